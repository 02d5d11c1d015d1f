/** Everything that people may look at and change of a running server, for the admin listener and the library. */

import type { Administration } from "../accounts/administration.ts";
import type { DecisionRecord } from "../diagnose/record.ts";
import { added, type Tally, type TallyTold } from "../diagnose/tally.ts";
import type { Recorder } from "../diagnose/recorder.ts";
import type { Limits } from "../limits.ts";
import type { Peers } from "../ports/peers.ts";
import type { Random } from "../ports/random.ts";
import type { KeyRing } from "../store/key-ring.ts";
import type { EdgeFigures } from "../http/server.ts";
import type { Store, StoreFigures } from "../store/store.ts";
import type { UsageTold } from "../store/usage.ts";
import type { CheckedSeed } from "../config/seed.ts";
import type { Seeded } from "../seed/seed.ts";
import type { VirtualClock } from "../ports/clock.ts";
import { type ClockControl, clockControl, type DueWork } from "./clock-control.ts";
import { removeEverything } from "./reset.ts";
import { type FaultControl, faultControl } from "./fault-control.ts";
import { type RateControl, rateControl, type RateControlOptions } from "./rate-control.ts";
import { type SnapshotControl, snapshotControl, SnapshotFault } from "./snapshots.ts";
import { type StateControl, stateControl } from "./state-control.ts";

/** The records of every process of the server. */
export interface Requests {
  /** The requests answered last by any process, the newest first, at most `most`. */
  recent(most: number): Promise<readonly DecisionRecord[]>;
  /** The record of a RequestId, or of the TraceId of a refusal, whichever process answered. */
  find(id: string): Promise<DecisionRecord | undefined>;
  /**
   * Calls `listener` for each request that is answered from now on, until what is given back is called. Those of other
   * processes come a moment later, and not all of them where there are very many.
   */
  watch(listener: (record: DecisionRecord) => void): () => void;
}

/** Whether the server can do its work. */
export interface Readiness {
  readonly ready: boolean;
  /** What is wrong, a sentence each. */
  readonly troubles: readonly string[];
}

export interface ServerControl {
  readonly region: string;
  /** Where it listens, such as `http://127.0.0.1:9000`. */
  endpoint(): string;
  readonly clock: ClockControl;
  readonly faults: FaultControl;
  readonly states: StateControl;
  readonly rates: RateControl;
  readonly snapshots: SnapshotControl;
  readonly requests: Requests;
  readonly accounts: Administration;
  /** What is done in the background by virtual time, by whichever process. */
  readonly work: readonly DueWork[];
  /** The keys of the local key management service. */
  readonly keys: KeyRing;
  /**
   * Removes every bucket, every fault and every state, sets the clock to the machine's time, and makes the accounts and
   * rates those of the settings again.
   * @throws LockedObjects, having done nothing, where an object is locked, unless it is forced.
   */
  reset(options?: { readonly force?: boolean }): Promise<void>;
  /** Fills the server with what a seed says. @throws SettingsError for what is refused; what was done before stays. */
  seed(seed: CheckedSeed): Promise<Seeded>;
  /**
   * The same for the seed that a new server begins with, unless this one has begun with one. In memory there is a snapshot
   * `seed` afterwards, where there is room for it. Undefined where nothing was to be done.
   */
  begin(seed: () => Promise<CheckedSeed>): Promise<Seeded | undefined>;
  /** Of every process, since its start or the last reset. */
  counters(): Promise<Counters>;
  /** How much buckets hold, as it was counted last; begins to count where that is long ago. Undefined before a first count. */
  usage(): Promise<UsageTold | undefined>;
  /** Finds out whether something can be stored, by storing something, and whether requests are still taken. */
  readiness(): Promise<Readiness>;
}

/** One serving process. */
export interface ProcessFigures {
  readonly residentBytes: number;
  readonly cpuSeconds: number;
  readonly uptimeSeconds: number;
  readonly store: StoreFigures;
  /** Undefined for one without a listener of its own. */
  readonly edge?: EdgeFigures | undefined;
}

export interface Counters {
  readonly tally: TallyTold;
  readonly processes: readonly ProcessFigures[];
}

export interface ServerControlOptions {
  readonly region: string;
  readonly endpoint: () => string;
  readonly tally: Tally;
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly store: Store;
  readonly records: Recorder;
  /** Whether the root account's requests may ask for faults by a header. */
  readonly faultsByHeader: boolean;
  readonly accounts: Administration;
  readonly peers: Pick<Peers, "consult"> | undefined;
  /** Whether this process takes no more requests, as it is about to end. */
  readonly isStopping: () => boolean;
  /** What is at the edge; undefined without one. */
  readonly edge: () => EdgeFigures | undefined;
  readonly work?: readonly DueWork[];
  readonly seed: (seed: CheckedSeed) => Promise<Seeded>;
  readonly rates: Pick<RateControlOptions, "meter" | "configured" | "operations">;
  readonly limits: Pick<Limits, "snapshotsMax" | "snapshotBytesMax" | "metricBucketsMax" | "storageCountMs">;
}

/** What this process says to others of its server, and does for them. */
export interface Consulted {
  /** Reads anew everything that is set for all processes. */
  refresh(): Promise<void>;
  consulted(topic: string, text: string): Promise<string>;
}

/** Raised when another process did not answer in time, so that nobody knows whether it goes by what was set. */
export class ProcessSilent extends Error {
  constructor() {
    super("one of the server's processes did not answer in time; ask again");
    this.name = "ProcessSilent";
  }
}

/** What one process says of itself. */
interface Shown {
  readonly tally: TallyTold;
  readonly figures: ProcessFigures;
}

/** What one process says of the storage that it has counted. */
interface Counted {
  readonly last: UsageTold | undefined;
  readonly counting: boolean;
}

function processFigures({ store, edge }: Pick<ServerControlOptions, "store" | "edge">): ProcessFigures {
  const { user, system } = process.cpuUsage();
  return {
    residentBytes: process.memoryUsage.rss(),
    cpuSeconds: (user + system) / 1_000_000,
    uptimeSeconds: process.uptime(),
    store: store.figures(),
    edge: edge(),
  };
}

/** The name of the control that says that a server has begun with its seed. */
const SEEDED_CONTROL = "seeded";
/** What stands there while a seed is being applied, or where one was refused half-way: it is applied again. */
const SEED_BEGUN = "begun";

const LOOK_MS = 300;
/** Records of another process that are looked at each time. */
const LOOKED_AT = 500;

/** What the others answered; a process that has only begun answers with nothing. */
function answered<T>(others: readonly string[] | undefined): T[] {
  return (others ?? []).filter((text) => text !== "").map((text) => JSON.parse(text) as T);
}

/** Looks again and again at what other processes have answered. */
function watchOthers(
  peers: Pick<Peers, "consult">,
  clock: VirtualClock,
  listener: (record: DecisionRecord) => void,
): () => void {
  let ended = false;
  let seen: ReadonlySet<string> | undefined;
  async function look(): Promise<void> {
    const said = answered<DecisionRecord[]>(await peers.consult("recent", String(LOOKED_AT)));
    const records = said.flat().toSorted((a, b) => a.at - b.at);
    // What had been answered before the first look is nothing new.
    for (const record of seen === undefined ? [] : records) {
      if (!ended && seen?.has(record.requestId) === false) listener(record);
    }
    seen = new Set(records.map(({ requestId }) => requestId));
    if (!ended) clock.after(LOOK_MS, () => void look());
  }
  void look();
  return () => {
    ended = true;
  };
}

export async function serverControl(options: ServerControlOptions): Promise<ServerControl & Consulted> {
  const { clock, random, store, records, accounts, peers, tally } = options;
  const { controls } = store;
  const figures = (): ProcessFigures => processFigures(options);
  const tell = async (topic: string): Promise<void> => {
    if ((await peers?.consult(topic, "")) === undefined && peers !== undefined) throw new ProcessSilent();
  };
  const clocks = clockControl({ clock, controls, announce: () => tell("clock"), work: options.work ?? [] });
  const rates = rateControl({ ...options.rates, controls, announce: () => tell("rates") });
  const faults = faultControl({
    controls,
    random,
    announce: () => tell("faults"),
    byHeader: options.faultsByHeader,
    operations: options.rates.operations,
  });
  const states = stateControl({ controls, clock, announce: () => tell("states") });
  const refresh = async (): Promise<void> => {
    await clocks.refresh();
    await faults.refresh();
    await states.refresh();
    await rates.refresh();
  };
  await refresh();
  let probing: Promise<void> | undefined;
  const counted = (): Counted => ({ last: store.usage.last(), counting: store.usage.isCounting() });
  const snapshots = snapshotControl({ store, clock, limits: options.limits, clocks, faults, states, rates });

  return {
    refresh,
    seed: options.seed,
    async begin(read) {
      const found = (await controls.list(SEEDED_CONTROL)).find(({ name }) => name === SEEDED_CONTROL);
      const begun = found?.document.toString() === SEED_BEGUN;
      if (found !== undefined && !begun) return undefined;
      const ended = () => controls.change(SEEDED_CONTROL, () => Buffer.from(String(clock.real())));
      if (!begun && (await store.buckets.listAll(undefined, 1)).length > 0) {
        // What is there was not of the seed, which would replace it.
        await ended();
        return undefined;
      }
      const checked = await read();
      await controls.change(SEEDED_CONTROL, () => Buffer.from(SEED_BEGUN));
      const seeded = await options.seed(checked);
      await ended();
      try {
        await snapshots.take("seed");
      } catch (error) {
        // On disk there is none, and none of a seed that is larger than all snapshots may be.
        if (!(error instanceof SnapshotFault)) throw error;
      }
      return seeded;
    },
    region: options.region,
    endpoint: options.endpoint,
    clock: clocks,
    work: options.work ?? [],
    faults,
    states,
    accounts,
    rates,
    snapshots,
    keys: store.keyRing,
    requests: {
      async recent(most) {
        const others = answered<DecisionRecord[]>(await peers?.consult("recent", String(most)));
        const all = [records.recent().slice(0, most), ...others];
        return all
          .flat()
          .toSorted((a, b) => b.at - a.at)
          .slice(0, most);
      },
      async find(id) {
        const found = await records.find(id);
        if (found !== undefined) return found;
        return answered<DecisionRecord>(await peers?.consult("find", id))[0];
      },
      watch(listener) {
        const endOwn = records.watch(listener);
        const endOthers = peers === undefined ? () => {} : watchOthers(peers, clock, listener);
        return () => {
          endOwn();
          endOthers();
        };
      },
    },
    async counters() {
      const own: Shown = { tally: tally.told(), figures: figures() };
      const others = answered<Shown>(await peers?.consult("counters", ""));
      const all = [own, ...others];
      return { tally: added(all.map((one) => one.tally)), processes: all.map((one) => one.figures) };
    },
    async usage() {
      const others = peers === undefined ? [] : await peers.consult("usage", "");
      const all = [counted(), ...answered<Counted>(others)];
      const newest = all.map(({ last }) => last).reduce((a, b) => ((b?.countedMs ?? 0) > (a?.countedMs ?? 0) ? b : a));
      const { storageCountMs, metricBucketsMax } = options.limits;
      // One that is silent may be counting; whoever looks again finds out.
      const mayBegin = others !== undefined && !all.some(({ counting }) => counting);
      if (mayBegin && clock.real() - (newest?.countedMs ?? 0) > storageCountMs) store.usage.begin(metricBucketsMax);
      return newest;
    },
    async reset({ force = false } = {}) {
      await removeEverything(store, clock, force);
      await faults.clear();
      await states.clear();
      if (rates.list().changed) await rates.set(undefined);
      await accounts.restore();
      if (clocks.state().mode !== "real") await clocks.set({ mode: "real" });
      tally.clear();
      await tell("uncount");
    },
    async readiness() {
      const troubles = options.isStopping() ? ["the server is stopping"] : [];
      // Those who ask at the same time are told the same.
      probing ??= store.probe().finally(() => {
        probing = undefined;
      });
      await probing.catch((error: unknown) => troubles.push((error as Error).message));
      return { ready: troubles.length === 0, troubles };
    },
    async consulted(topic, text) {
      switch (topic) {
        case "clock":
          await clocks.refresh();
          return "";
        case "faults":
          await faults.refresh();
          return "";
        case "states":
          await states.refresh();
          return "";
        case "rates":
          await rates.refresh();
          return "";
        case "uncount":
          tally.clear();
          return "";
        case "counters":
          return JSON.stringify({ tally: tally.told(), figures: figures() } satisfies Shown);
        case "usage":
          return JSON.stringify(counted());
        case "recent":
          return JSON.stringify(records.recent().slice(0, Number(text)));
        case "find":
          return JSON.stringify(await records.find(text)) ?? "";
        default:
          return "";
      }
    },
  };
}
