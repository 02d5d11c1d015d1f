import type { Clock } from "../../ports/clock.ts";

/** The clocks of the machine. Its timers do not keep the process alive. */
export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    real: () => Date.now(),
    at: (realMs) => realMs,
    // `performance.now()` would count from the start of each process.
    monotonic: () => Number(process.hrtime.bigint()) / 1e6,
    after(ms, task) {
      const timeout = setTimeout(task, ms);
      timeout.unref();
      return { cancel: () => clearTimeout(timeout) };
    },
  };
}
