import type { Clock } from "../../ports/clock.ts";

/** A clock that stands still until it is told to move. */
export interface ManualClock extends Clock {
  /** Moves virtual time alone to `ms` since 1970, forwards or backwards: the monotonic clock and timers do not notice. */
  set(ms: number): void;
  /**
   * Moves both clocks forward by `ms` (not negative), running the timers that fall due on the way, each at its own
   * time, in order, those that they start included. A timer that throws ends the advance with its error.
   */
  advance(ms: number): void;
}

interface Due {
  readonly at: number;
  readonly task: () => void;
}

/** A clock for tests and simulations. Virtual time begins at `startMs` since 1970, monotonic time at 0. */
export function manualClock(startMs: number): ManualClock {
  let virtual = startMs;
  let monotonic = 0;
  const timers = new Set<Due>();

  /** The earliest timer; among those of one time, the one that was started first. */
  function next(): Due | undefined {
    let first: Due | undefined;
    for (const timer of timers) if (first === undefined || timer.at < first.at) first = timer;
    return first;
  }

  function moveTo(at: number): void {
    virtual += at - monotonic;
    monotonic = at;
  }

  return {
    now: () => virtual,
    real: () => virtual,
    at: (realMs) => realMs,
    monotonic: () => monotonic,
    after(ms, task) {
      const timer: Due = { at: monotonic + Math.max(0, ms), task };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    set(ms) {
      virtual = ms;
    },
    advance(ms) {
      if (!(ms >= 0)) throw new RangeError(`a clock cannot advance by ${ms} ms`);
      const target = monotonic + ms;
      for (let timer = next(); timer !== undefined && timer.at <= target; timer = next()) {
        timers.delete(timer);
        moveTo(Math.max(timer.at, monotonic));
        timer.task();
      }
      moveTo(Math.max(target, monotonic));
    },
  };
}
