import type { Clock, ClockReading } from "../../ports/clock.ts";

/**
 * The clock's time, but never further ahead than `aheadMs` of what has gone by since `since`, as the monotonic clock
 * tells, which nobody can set: for what must not end because somebody has set the machine's. Milliseconds since 1970.
 * The time at `since` is taken for right; by default that is the one found now.
 */
export function steadyTime(
  clock: Pick<Clock, "now" | "monotonic">,
  aheadMs: number,
  since: ClockReading = { machineMs: clock.now(), monotonicMs: clock.monotonic() },
): () => number {
  const aheadOfMonotonic = since.machineMs - since.monotonicMs + aheadMs;
  return () => Math.min(clock.now(), clock.monotonic() + aheadOfMonotonic);
}
