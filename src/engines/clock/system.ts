import { performance } from "node:perf_hooks";
import type { Clock } from "../../ports/clock.ts";

/** The clocks of the machine. Its timers do not keep the process alive. */
export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    real: () => Date.now(),
    at: (realMs) => realMs,
    monotonic: () => performance.now(),
    after(ms, task) {
      const timeout = setTimeout(task, ms);
      timeout.unref();
      return { cancel: () => clearTimeout(timeout) };
    },
  };
}
