/**
 * Snapshots of everything that a server in memory holds, for tests that begin with the same each time: what clients have
 * stored, accounts, keys, faults, states and rates, and what the clock shows. Records of requests, coverage and what
 * counts against a rate belong to what has happened, and stay.
 */

import { KindFault } from "../errors/kind-fault.ts";
import type { ClockChange, VirtualClock } from "../ports/clock.ts";
import type { RateRequest } from "../rates/rate-limit.ts";
import { SnapshotGone, type StoreSnapshot } from "../store/snapshots.ts";
import type { Store } from "../store/store.ts";
import { CLOCK_CONTROL, type ClockControl, type ClockMode } from "./clock-control.ts";
import type { FaultControl } from "./fault-control.ts";
import { RATES_CONTROL, type RateControl } from "./rate-control.ts";
import { LockedObjects } from "./reset.ts";
import type { StateControl } from "./state-control.ts";

/** A snapshot as it is told. */
export interface SnapshotTold {
  readonly name: string;
  /** Virtual time, ms since 1970. */
  readonly takenMs: number;
  /** Of everything in it; it takes less, since what has not changed is there once. */
  readonly bytes: number;
}

/** Why nothing was done. */
export type SnapshotFaultKind = "SnapshotsNeedMemory" | "NoSuchSnapshot" | "TooManySnapshots";

export class SnapshotFault extends KindFault<SnapshotFaultKind> {
  override readonly name = "SnapshotFault";
}

/** Every call throws SnapshotFault for what cannot be done. */
export interface SnapshotControl {
  /** The oldest first. */
  list(): readonly SnapshotTold[];
  /**
   * Takes one of this moment, or of that at which the restores under way are done; one of the same name gives way. It gets a
   * name of its own where none is given.
   */
  take(name?: string): Promise<SnapshotTold>;
  /**
   * Puts everything back. It may be done as often as one likes, also after a reset.
   * @throws LockedObjects, having done nothing, where something is locked that would go, unless it is forced.
   */
  restore(name: string, force: boolean): Promise<void>;
  remove(name: string): void;
}

export interface SnapshotControlOptions {
  readonly store: Pick<Store, "takeSnapshot">;
  readonly clock: VirtualClock;
  readonly limits: { readonly snapshotsMax: number; readonly snapshotBytesMax: number };
  readonly clocks: ClockControl;
  readonly faults: FaultControl;
  readonly states: StateControl;
  readonly rates: RateControl;
}

interface Kept {
  readonly told: SnapshotTold;
  readonly stored: StoreSnapshot;
  readonly mode: ClockMode;
  /** Undefined where those of the settings held. */
  readonly rates: readonly RateRequest[] | undefined;
}

/** The name of the control that readiness is tried out with, and which nobody sets. */
const READY_CONTROL = "ready";

function modeOf(change: ClockChange | undefined): ClockMode {
  switch (change?.mode) {
    case "frozen":
      return { mode: "frozen", atMs: change.atMs };
    case "offset":
      return { mode: "offset", offsetMs: change.offsetMs };
    default:
      return { mode: "real" };
  }
}

const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

function noSuch(name: string): SnapshotFault {
  return new SnapshotFault("NoSuchSnapshot", `there is no snapshot ${JSON.stringify(name)}`);
}

export function snapshotControl(options: SnapshotControlOptions): SnapshotControl {
  const { store, clock, limits, clocks, faults, states, rates } = options;
  const kept = new Map<string, Kept>();
  let taken = 0;
  /** The restores so far. One takes several steps, and those of two would leave some of each. */
  let going: Promise<void> = Promise.resolve();

  function freeName(): string {
    do taken += 1;
    while (kept.has(`snapshot-${taken}`));
    return `snapshot-${taken}`;
  }

  function find(name: string): Kept {
    const found = kept.get(name);
    if (found === undefined) throw noSuch(name);
    return found;
  }

  function remove(name: string): void {
    find(name).stored.letGo();
    kept.delete(name);
  }

  function takeStored(others: readonly Kept[]): StoreSnapshot {
    if (store.takeSnapshot === undefined) {
      throw new SnapshotFault(
        "SnapshotsNeedMemory",
        "snapshots are of what is kept in memory: of a server with --memory, or of a namespace; a data folder is copied with cosbox backup, and cosbox restore puts it back",
      );
    }
    if (others.length >= limits.snapshotsMax) {
      throw new SnapshotFault(
        "TooManySnapshots",
        `there are ${limits.snapshotsMax} snapshots (snapshotsMax); remove one`,
      );
    }
    const stored = store.takeSnapshot();
    const bytes = others.reduce((sum, { told }) => sum + told.bytes, stored.bytes);
    if (bytes <= limits.snapshotBytesMax) return stored;
    stored.letGo();
    throw new SnapshotFault(
      "TooManySnapshots",
      `all snapshots would have ${bytes} bytes, and ${limits.snapshotBytesMax} is the most (snapshotBytesMax); remove one`,
    );
  }

  async function goBack(name: string, force: boolean): Promise<void> {
    const { stored, mode, rates: ratesThen } = find(name);
    const nowMs = clock.now();
    // The clock goes on from what it has shown, so that links signed since are read as they were meant; and a rate that
    // is set again counts anew.
    const controlsKept = [CLOCK_CONTROL, RATES_CONTROL, READY_CONTROL];
    const locked = await stored.restore({ nowMs, evenLocked: force, controlsKept }).catch((error: unknown) => {
      if (error instanceof SnapshotGone) throw noSuch(name);
      throw error;
    });
    if (locked !== undefined) throw new LockedObjects(locked.bucket, locked.key, "restore");
    await faults.refresh();
    await states.refresh();
    const { rates: limitsSet, changed } = rates.list();
    if (!isSame(changed ? limitsSet : undefined, ratesThen)) await rates.set(ratesThen);
    if (!isSame(modeOf(clock.history.at(-1)), mode)) await clocks.set(mode);
  }

  return {
    list: () => Array.from(kept.values(), ({ told }) => told),
    async take(wanted) {
      // One that is half gone back to is the state of no moment.
      await going;
      const name = wanted ?? freeName();
      const stored = takeStored([...kept].filter(([other]) => other !== name).map(([, one]) => one));
      if (kept.has(name)) remove(name);
      const told = { name, takenMs: clock.now(), bytes: stored.bytes };
      const { rates: limitsSet, changed } = rates.list();
      kept.set(name, { told, stored, mode: modeOf(clock.history.at(-1)), rates: changed ? limitsSet : undefined });
      return told;
    },
    restore(name, force) {
      const turn = going.then(() => goBack(name, force));
      going = turn.catch(() => undefined);
      return turn;
    },
    remove,
  };
}
