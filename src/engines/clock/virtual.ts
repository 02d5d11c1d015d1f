import type { Clock, ClockChange, VirtualClock } from "../../ports/clock.ts";

function shown(change: ClockChange | undefined, realMs: number): number {
  if (change === undefined || change.mode === "real") return realMs;
  return change.mode === "frozen" ? change.atMs : realMs + change.offsetMs;
}

/** A virtual clock over the machine's. Its monotonic side and its timers are those of `machine`. */
export function virtualClock(machine: Clock): VirtualClock {
  let history: readonly ClockChange[] = [];
  let present: ClockChange | undefined;
  return {
    now: () => (present === undefined ? machine.now() : shown(present, machine.now())),
    real: () => machine.now(),
    at: (realMs) =>
      shown(
        history.findLast(({ since }) => since <= realMs),
        realMs,
      ),
    monotonic: () => machine.monotonic(),
    after: (ms, task) => machine.after(ms, task),
    get history() {
      return history;
    },
    follow(changes) {
      history = changes;
      present = changes.at(-1);
    },
  };
}
