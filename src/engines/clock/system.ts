import { performance } from "node:perf_hooks";
import type { Clock } from "../../ports/clock.ts";

/**
 * When this process began, ms of the clock that all processes of the machine share. `performance.now()` counts from then,
 * and takes half the time that asking for the shared clock's does.
 */
const BEGAN_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/** The clocks of the machine. Its timers do not keep the process alive. */
export function systemClock(): Clock {
  return {
    now: () => Date.now(),
    real: () => Date.now(),
    at: (realMs) => realMs,
    monotonic: () => BEGAN_MS + performance.now(),
    after(ms, task) {
      const timeout = setTimeout(task, ms);
      timeout.unref();
      return { cancel: () => clearTimeout(timeout) };
    },
  };
}
