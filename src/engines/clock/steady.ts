import type { Clock } from "../../ports/clock.ts";

/**
 * The clock's time, but never further ahead than `aheadMs` of what has gone by since this was called, as the monotonic
 * clock tells, which nobody can set: for what must not end because somebody has set the machine's. Milliseconds since
 * 1970. A new process takes the time it finds for right.
 */
export function steadyTime(clock: Pick<Clock, "now" | "monotonic">, aheadMs: number): () => number {
  const aheadOfMonotonic = clock.now() - clock.monotonic() + aheadMs;
  return () => Math.min(clock.now(), clock.monotonic() + aheadOfMonotonic);
}
