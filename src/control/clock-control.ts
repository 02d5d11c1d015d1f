/** The server's clock in the hands of people: read, moved, frozen, advanced; the same in every process of the server. */

import type { ClockChange, VirtualClock } from "../ports/clock.ts";
import type { Controls } from "../store/controls.ts";

/** What the clock is to show: the machine's time, another time that goes on, or one that stands still. */
export type ClockMode =
  | { readonly mode: "real" }
  | { readonly mode: "offset"; readonly offsetMs: number }
  | { readonly mode: "frozen"; readonly atMs: number };

export interface ClockState {
  readonly mode: ClockMode["mode"];
  /** Virtual time, ms since 1970. */
  readonly nowMs: number;
  /** The machine's time, ms since 1970. */
  readonly realMs: number;
  /** How far virtual time is ahead. */
  readonly offsetMs: number;
}

/** Work that waits for a time. */
export interface DueWork {
  readonly name: string;
  /** When the next of it falls due, ms since 1970 of virtual time; undefined when nothing waits. */
  nextDue(): Promise<number | undefined>;
  /** Does what is due at present. Resolves when it is done, also where another process is doing it. */
  runDue(): Promise<void>;
  /** What it did in its last run, or does in the one under way. */
  statistics(): Promise<Readonly<Record<string, number>>>;
}

export interface ClockControl {
  state(): ClockState;
  /** @throws RangeError for a time outside of 1970 to 9999. */
  set(mode: ClockMode): Promise<ClockState>;
  /**
   * Moves virtual time on by `ms`, not negative, frozen or not. What falls due on the way is done, each at its own time,
   * before this resolves. @throws RangeError
   */
  advance(ms: number): Promise<ClockState>;
  /** Reads anew what another process has stored. */
  refresh(): Promise<void>;
}

export interface ClockControlOptions {
  readonly clock: VirtualClock;
  readonly controls: Controls;
  /** Has every other process refresh; resolves when they have. */
  readonly announce: () => Promise<void>;
  readonly work?: readonly DueWork[];
}

/** The name of the control that holds what the clock has shown. */
export const CLOCK_CONTROL = "clock";
/** Changes that are remembered for links that were signed before them. */
const HISTORY_MAX = 1_000;
/** The end of the year 2254: versions are numbered in microseconds, and a number is exact up to the middle of the next. */
const LATEST_MS = 8_993_721_599_999;

function isTime(ms: number): boolean {
  return Number.isFinite(ms) && ms >= 0 && ms <= LATEST_MS;
}

function decode(document: Buffer | undefined): readonly ClockChange[] {
  return document === undefined ? [] : (JSON.parse(document.toString("utf8")) as readonly ClockChange[]);
}

export function clockControl({ clock, controls, announce, work = [] }: ClockControlOptions): ClockControl {
  function state(): ClockState {
    const [nowMs, realMs] = [clock.now(), clock.real()];
    return { mode: clock.history.at(-1)?.mode ?? "real", nowMs, realMs, offsetMs: nowMs - realMs };
  }

  /** `next` makes of the last change what is to hold from now on. */
  async function change(next: (last: ClockChange | undefined, now: number, real: number) => ClockMode): Promise<void> {
    const stored = await controls.change(CLOCK_CONTROL, (previous) => {
      const history = decode(previous);
      const real = clock.real();
      const last = history.at(-1);
      const mode = next(last, clock.now(), real);
      if (!isTime(mode.mode === "frozen" ? mode.atMs : real + (mode.mode === "offset" ? mode.offsetMs : 0))) {
        throw new RangeError("the clock shows times from 1970 to 2254");
      }
      const whole = [...history, { since: real, ...mode }];
      return Buffer.from(JSON.stringify(whole.slice(-HISTORY_MAX)));
    });
    clock.follow(decode(stored));
    await announce();
  }

  async function earliest(): Promise<{ readonly at: number; readonly task: DueWork } | undefined> {
    let first: { at: number; task: DueWork } | undefined;
    for (const task of work) {
      const at = await task.nextDue();
      if (at !== undefined && (first === undefined || at < first.at)) first = { at, task };
    }
    return first;
  }

  function moveTo(target: number): Promise<void> {
    return change((last, now, real) => {
      const to = Math.max(target, now);
      return last?.mode === "frozen" ? { mode: "frozen", atMs: to } : { mode: "offset", offsetMs: to - real };
    });
  }

  return {
    state,
    async set(mode) {
      await change(() => mode);
      return state();
    },
    async advance(ms) {
      if (!(ms >= 0)) throw new RangeError("a clock advances by no less than nothing");
      const target = clock.now() + ms;
      if (!isTime(target)) throw new RangeError("the clock shows times from 1970 to 2254");
      for (let due = await earliest(), last = ""; due !== undefined && due.at <= target; due = await earliest()) {
        // Work that stays due, because it cannot be done now, must not hold the clock for ever.
        const turn = `${due.task.name} ${due.at}`;
        if (turn === last) break;
        last = turn;
        if (due.at > clock.now()) await moveTo(due.at);
        await due.task.runDue();
      }
      await moveTo(target);
      return state();
    },
    async refresh() {
      const found = await controls.list(CLOCK_CONTROL);
      clock.follow(decode(found.find(({ name }) => name === CLOCK_CONTROL)?.document));
    },
  };
}
