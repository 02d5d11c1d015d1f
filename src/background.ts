/**
 * Work that comes due by the virtual clock, and what does it at its time. A task says when it is due and does what is
 * due at a moment; whoever moves the virtual clock by hand asks it the same two questions.
 */

import type { Clock, ClockReading, Timer } from "./ports/clock.ts";

/** Work in the background. Times are milliseconds since 1970, of the virtual clock. */
export interface BackgroundTask {
  /** Such as `lifecycle`. */
  readonly name: string;
  /** When there is something to do; at `nowMs` or before where there is something now, Infinity where nothing will be. */
  nextDue(nowMs: number): Promise<number>;
  /**
   * Does what is due at `nowMs`, in units of bounded size. What a stop, a crash or another process leaves undone is due
   * still.
   */
  runDue(nowMs: number): Promise<void>;
  /** What it did in its last run, or does in the one under way. */
  statistics(): Promise<Readonly<Record<string, number>>>;
  /** Ends the work after the unit under way; nothing begins from then on. */
  stop(): Promise<void>;
}

/** How long a look at the clock holds: it may be set, and another process may die with its work undone. Monotonic ms. */
const LOOK_MS = 60_000;
/** How soon work is tried again that could not be done, or that another process does. Monotonic ms. */
const RETRY_MS = 30_000;

/** How far a machine's clock may jump, against the one that nobody can set, before what goes by it is held. */
export const JUMP_MS_MAX = 24 * 60 * 60 * 1000;

/** Told once when the machine's clock has jumped: somebody has to look whether it is right, and start the server anew. */
class ClockJumped extends Error {
  constructor(ms: number) {
    super(
      `the machine's clock has jumped by ${Math.round(ms / 3_600_000)} hours; nothing expires or changes its class ` +
        "from now on. If the time is right, start the server again",
    );
    this.name = "ClockJumped";
  }
}

export interface ScheduleOptions {
  readonly clock: Clock;
  /**
   * The machine's time, ms since 1970, where a jump of it is to hold all work: wrong by a year, it would remove what is to
   * stay for another one. By default jumps are taken for what they say.
   */
  readonly machine?: () => number;
  /**
   * What the first look is compared with: of a time when the machine's was taken for right. Smaller steps since then add
   * up. By default, of now.
   */
  readonly since?: ClockReading;
  /** Told about what goes wrong; the work is tried again. */
  readonly report: (error: unknown) => void;
}

/** Does the tasks at their times, each by itself, until it is stopped. */
export function schedule(
  tasks: readonly BackgroundTask[],
  { clock, machine, since, report }: ScheduleOptions,
): { stop(): Promise<void> } {
  let stopped = false;
  let last = since ?? { machineMs: machine?.() ?? 0, monotonicMs: clock.monotonic() };

  /** Whether the machine's clock has jumped since the last look; told once, and true from then on. */
  function hasJumped(): boolean {
    if (machine === undefined) return false;
    const now = { machineMs: machine(), monotonicMs: clock.monotonic() };
    const jump = now.machineMs - last.machineMs - (now.monotonicMs - last.monotonicMs);
    last = now;
    if (jump <= JUMP_MS_MAX) return false;
    stopped = true;
    report(new ClockJumped(jump));
    return true;
  }

  const timers = new Map<BackgroundTask, Timer>();

  /** Does what is due; how long to wait for the next look. */
  async function look(task: BackgroundTask): Promise<number> {
    if (stopped || hasJumped()) return LOOK_MS;
    try {
      const due = await task.nextDue(clock.now());
      if (due > clock.now()) return Math.min(due - clock.now(), LOOK_MS);
      await task.runDue(clock.now());
      const next = await task.nextDue(clock.now());
      return next <= clock.now() ? RETRY_MS : Math.min(next - clock.now(), LOOK_MS);
    } catch (error) {
      report(error);
      return RETRY_MS;
    }
  }

  function wait(task: BackgroundTask, ms: number): void {
    if (stopped) return;
    timers.set(
      task,
      clock.after(ms, () => void look(task).then((next) => wait(task, next))),
    );
  }

  for (const task of tasks) wait(task, 0);
  return {
    async stop() {
      stopped = true;
      for (const timer of timers.values()) timer.cancel();
      await Promise.all(tasks.map((task) => task.stop()));
    },
  };
}

/** How long to wait for another process that does what is due. Monotonic ms. */
const WAIT_MS = 50;
const WAITS_MAX = 1_200;

/** A task for whoever moves the clock: its work counts as done when it is, whichever process does it. */
export function dueWork(task: BackgroundTask, clock: Clock) {
  return {
    name: task.name,
    nextDue: () => task.nextDue(clock.now()),
    statistics: () => task.statistics(),
    async runDue(): Promise<void> {
      for (let waits = 0; waits < WAITS_MAX; waits++) {
        await task.runDue(clock.now());
        if ((await task.nextDue(clock.now())) > clock.now()) return;
        await new Promise<void>((resolve) => void clock.after(WAIT_MS, resolve));
      }
    },
  };
}
