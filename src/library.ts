/** cosbox inside a program, such as a test: `const cosbox = await startCosbox()`. */

import { startServer } from "./assembly/server.ts";
import { coverageFolder } from "./config/coverage-folder.ts";
import type { ListenAddress } from "./config/listen-address.ts";
import { loadSettings } from "./config/load-settings.ts";
import { type Settings, SettingsError } from "./config/settings.ts";
import type { ClockControl, ClockState, DueWork } from "./control/clock-control.ts";
import { durationMs } from "./control/duration.ts";
import { type FaultControl, FaultRefusal } from "./control/fault-control.ts";
import type { RateControl } from "./control/rate-control.ts";
import { type SdkOptions, sdkOptions } from "./control/sdk-options.ts";
import type { ServerControl } from "./control/server-control.ts";
import { type SnapshotControl, SnapshotFault, type SnapshotTold } from "./control/snapshots.ts";
import type { StateControl } from "./control/state-control.ts";
import { keepTally } from "./engines/tally-file.ts";
import { systemClock } from "./engines/clock/system.ts";
import { type Coverage, coverageOf } from "./diagnose/coverage.ts";
import { explanation } from "./diagnose/explain.ts";
import type { DecisionRecord } from "./diagnose/record.ts";
import { cameInstead, fitsPattern, type RequestPattern } from "./diagnose/request-pattern.ts";
import type { Recorder } from "./diagnose/recorder.ts";
import type { SeedDocument } from "./config/seed.ts";
import type { Seeded as CosboxSeeded } from "./seed/seed.ts";
import { checkSeed, readSeed } from "./config/seed-file.ts";
import type { CountedFault, FaultRequest } from "./faults/fault.ts";
import type { RateRequest } from "./rates/rate-limit.ts";
import type { SetState, StateName, StateSubject } from "./states/state.ts";
import { TABLE } from "./operations/table.ts";
import type { Limits } from "./limits.ts";
import type { KeyRing } from "./store/key-ring.ts";
import { createLog, type Log, SILENT } from "./log.ts";

export { SettingsError } from "./config/settings.ts";
export type { DecisionRecord } from "./diagnose/record.ts";
export type { RequestPattern } from "./diagnose/request-pattern.ts";
export type { CountedFault, FaultRequest } from "./faults/fault.ts";
export type { RateRequest } from "./rates/rate-limit.ts";
export type { SetState, StateName, StateSubject } from "./states/state.ts";
export type { Coverage } from "./diagnose/coverage.ts";
export type { Limits } from "./limits.ts";
export type { Log } from "./log.ts";
export type { Seeded as CosboxSeeded } from "./seed/seed.ts";
export type { SdkOptions } from "./control/sdk-options.ts";
export { NamespaceFault } from "./namespaces/namespaces.ts";
export type { KeyDescription } from "./store/key-ring.ts";

/** A policy in CAM's grammar, or its JSON. */
export type CosboxPolicy = string | Readonly<Record<string, unknown>>;

/** A key pair of an account or of one of its users. */
export interface CosboxKey {
  readonly secretId: string;
  readonly secretKey: string;
  readonly enabled?: boolean;
}

/** An account and what belongs to it, as `accounts` in cosbox.yaml takes it. */
export interface CosboxAccount {
  readonly uin: string;
  /** May be left out for the root account and those of `credentials`. */
  readonly appid?: string;
  readonly name?: string;
  readonly keys?: readonly CosboxKey[];
  readonly policies?: readonly { readonly name: string; readonly document: CosboxPolicy }[];
  readonly groups?: readonly { readonly name: string; readonly policies?: readonly string[] }[];
  readonly users?: readonly {
    readonly uin: string;
    readonly name?: string;
    readonly groups?: readonly string[];
    readonly policies?: readonly string[];
    readonly keys?: readonly CosboxKey[];
  }[];
  readonly roles?: readonly {
    readonly name: string;
    /** Who may take it on: a policy with principals and without resources. */
    readonly trust: CosboxPolicy;
    readonly policies?: readonly string[];
    readonly sessionSecondsMax?: number;
  }[];
}

/** Accounts, buckets with their configurations, objects, folders, and another server to copy from. */
export type CosboxSeed = Omit<SeedDocument, "accounts"> & { readonly accounts?: readonly CosboxAccount[] };

/** Any setting of the command, as cosbox.yaml takes it. Neither that file nor the environment is read. */
export interface CosboxOptions
  extends Partial<Omit<Settings, "listen" | "credentials" | "accounts" | "limits" | "admin" | "seed">> {
  /** Default `127.0.0.1:0`: a free port of loopback. */
  readonly listen?: string | ListenAddress;
  /** Default `off`; `127.0.0.1:0` for a free port, which `cosbox.admin` tells. */
  readonly admin?: string | ListenAddress;
  readonly credentials?: readonly {
    readonly secretId: string;
    readonly secretKey: string;
    readonly appid?: string;
    readonly uin?: string;
  }[];
  readonly accounts?: readonly CosboxAccount[];
  readonly limits?: Partial<Limits>;
  /** What it begins with, where it is new: as `seed()` takes it. In memory `restore("seed")` goes back to it. */
  readonly seed?: string | CosboxSeed;
  /** Where the log goes. Without it there is none, unless `logLevel` asks for it on stderr. */
  readonly log?: Log;
}

/** The root account of a running cosbox. */
export interface CosboxCredentials {
  readonly secretId: string;
  readonly secretKey: string;
  readonly appid: string;
  readonly uin: string;
}

/** What a running cosbox has kept of the requests made to it. */
export interface CosboxRequests {
  /** The requests answered last, the newest first, at most `limits.recordsInMemory`. */
  recent(): readonly DecisionRecord[];
  /** The record of a RequestId, or of the TraceId of a refusal. */
  find(id: string): Promise<DecisionRecord | undefined>;
  /** What happened, why, and what to do about it, as text; undefined for an id that is not kept. */
  explain(id: string): Promise<string | undefined>;
  /**
   * Resolves to the next request that is as `wanted` tells, or that it takes, answered from now on; any unless told. Rejects
   * after `timeoutMs`, 10 s unless told, with what came instead.
   */
  next(wanted?: RequestPattern | ((record: DecisionRecord) => boolean), timeoutMs?: number): Promise<DecisionRecord>;
}

/** A time as a Date, as text that `Date` reads, or in ms since 1970. */
export type Time = Date | string | number;

/** The virtual time of a running cosbox: what signatures, dates and everything that waits goes by. */
export interface CosboxClock {
  now(): Date;
  /** Moves on by ms, or by `90s`, `15m`, `12h`, `30d`, `1y`; what falls due on the way is done when this resolves. */
  advance(by: number | string): Promise<Date>;
  /** Stands still, now or at another time, until it is set or advanced. */
  freeze(at?: Time): Promise<Date>;
  /** Goes on from this time. */
  set(to: Time): Promise<Date>;
  /** Shows the machine's time again. */
  reset(): Promise<Date>;
}

/** Errors, delays and cuts on demand. */
export interface CosboxFaults {
  /** Adds a fault, or replaces the one with its id; gives its id. Throws SettingsError for one that cannot stand. */
  add(fault: FaultRequest): Promise<string>;
  list(): Promise<readonly CountedFault[]>;
  remove(id: string): Promise<boolean>;
  clear(): Promise<void>;
}

/**
 * The keys of the local key management service. A key that is not there, or a change that its state does not allow, is an
 * error whose `fault` says so.
 */
export type CosboxKeys = KeyRing;

/** States that accounts, buckets, objects and the server are in, and that requests are refused for. */
export interface CosboxStates {
  /** `active` takes the subject out of any state. Throws SettingsError for a state that the subject cannot have. */
  set(subject: StateSubject, state: StateName | "active"): Promise<void>;
  list(): Promise<readonly SetState[]>;
  /** Everything is active. */
  clear(): Promise<void>;
}

/** Limits on how often requests may come: `SlowDown` for those beyond. */
export interface CosboxRates {
  /** Puts limits in place of all others; `service` for the service's own. Throws SettingsError for one that cannot stand. */
  set(rates: readonly RateRequest[] | "service"): Promise<void>;
  list(): readonly RateRequest[];
  /** Lets those of the settings hold again. */
  reset(): Promise<void>;
}

/** Work in the background that goes by virtual time, such as `lifecycle`. */
export interface CosboxWork {
  readonly name: string;
  /** When something falls due next; undefined where nothing waits. */
  readonly due: Date | undefined;
  /** Counts of the last run, or of the one under way; times in ms. */
  readonly statistics: Readonly<Record<string, number>>;
}

/** A snapshot that is kept until it is removed, or the server stops. */
export interface CosboxSnapshot {
  readonly name: string;
  /** By the virtual clock. */
  readonly takenAt: Date;
  /** Of everything in it; it takes less, since what has not changed is there once. */
  readonly bytes: number;
  remove(): Promise<void>;
}

/** What a server and each of its namespaces have of their own. */
interface CosboxFaces {
  /** `http://127.0.0.1:54321`. */
  readonly endpoint: string;
  readonly port: number;
  readonly region: string;
  readonly credentials: CosboxCredentials;
  /** For the SDK: `new COS({ ...cosbox.options })`. */
  readonly options: SdkOptions;
  readonly requests: CosboxRequests;
  readonly clock: CosboxClock;
  readonly faults: CosboxFaults;
  readonly states: CosboxStates;
  readonly rates: CosboxRates;
  /** Where the admin listener is; undefined unless `admin` asks for one. */
  readonly admin: string | undefined;
  /** What is done in the background, when it is due next and what it did last. `clock.advance` does what falls due on the way. */
  work(): Promise<readonly CosboxWork[]>;
  /** Does what is due at present, and resolves when it is done. Rejects where there is no work of this name. */
  runWork(name: string): Promise<CosboxWork>;
  /** Which errors were met since the start or the last reset, of those that the operations used can answer with. */
  coverage(): Promise<Coverage>;
  /**
   * Removes every bucket, every fault and every state, sets the clock to the machine's time, and counts anew. While
   * something is locked it rejects and removes nothing, unless it is forced.
   */
  reset(options?: { readonly force?: boolean }): Promise<void>;
  /**
   * Fills the server beside what is there: with a seed, or with the one at a path, which is a YAML file or a folder of which
   * each sub-folder is a bucket. Rejects with a SettingsError that names the place of what is refused; what was done before
   * stays.
   */
  seed(seed: string | CosboxSeed): Promise<CosboxSeeded>;
  /**
   * Holds on to everything as it is: buckets with all that is in them, accounts, keys, faults, states, rates, and what the
   * clock shows. One of the same name gives way. Throws SettingsError where it cannot: on disk, and beyond
   * `limits.snapshotsMax` and `limits.snapshotBytesMax`.
   */
  snapshot(name?: string): Promise<CosboxSnapshot>;
  /**
   * Puts everything back as it was, as often as one likes: cheap enough before each test. While something is locked that
   * would go it rejects and changes nothing, unless it is forced.
   */
  restore(snapshot: CosboxSnapshot | string, options?: { readonly force?: boolean }): Promise<void>;
  /** Those that are kept, the oldest first. */
  snapshots(): Promise<readonly CosboxSnapshot[]>;
  /** The keys of the key management service, for objects that are encrypted with `cos/kms`. */
  readonly keys: CosboxKeys;
  /** The full name of a bucket, which ends in the APPID: `demo` is `demo-1250000000`. */
  bucket(name: string): string;
}

/** A server in memory behind the listener of another one, for tests that run at the same time. */
export interface CosboxNamespace extends CosboxFaces {
  readonly name: string;
  readonly appid: string;
  readonly uin: string;
  /** Removes it with all that is in it, once its requests under way are answered. */
  remove(): Promise<void>;
}

/** A running server. */
export interface Cosbox extends CosboxFaces {
  /**
   * Makes a namespace, which shares nothing with others but the endpoint: requests that are signed with its keys or ask for
   * its buckets, whose names end in its APPID, are its own. Its name is drawn where none is told; `replace` removes the one
   * that has the name. It is kept in memory, whatever the server does. Throws NamespaceFault where it cannot be made.
   */
  namespace(name?: string, options?: { readonly replace?: boolean }): Promise<CosboxNamespace>;
  /** Finishes the requests under way, within `limits.stopGraceMs`, and forgets everything kept in memory. */
  stop(): Promise<void>;
}

/**
 * Starts a server of its own: in memory, on a free port of loopback, unless `options` say otherwise. Several run at
 * once without seeing each other. Throws SettingsError for an option that cannot stand.
 */
export async function startCosbox(options: CosboxOptions = {}): Promise<Cosbox> {
  const { log, seed, ...rest } = options;
  const given = typeof seed === "string" ? { ...rest, seed } : rest;
  const { settings } = await loadSettings({
    cwd: process.cwd(),
    file: false,
    defaults: { memory: true, listen: { host: "127.0.0.1", port: 0 }, admin: "off" },
    options: given,
  });
  if (settings.workers > 1) {
    throw new SettingsError("option workers: a library serves in its own process; several are for cosbox serve");
  }
  const fallback = given.logLevel === undefined ? SILENT : createLog({ level: given.logLevel, out: process.stderr });
  const server = await startServer(settings, { log: log ?? fallback });

  if (typeof seed === "object") {
    try {
      await server.control.begin(() => checkSeed(seed, process.cwd()));
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  const { appid, secretId, secretKey, uin } = settings;
  const root = { secretId, secretKey, appid, uin };
  const sdk = sdkOptions(server.endpoint, root, settings.tls === "dev");
  return {
    ...facesOf(server, root, { port: server.port, options: sdk, admin: server.admin }),
    async namespace(name, { replace } = {}) {
      const made = await server.namespaces.create({ name, replace });
      const { port } = server;
      return {
        ...facesOf(made, made.root, { port, options: made.options, admin: made.admin }),
        name: made.name,
        appid: made.root.appid,
        uin: made.root.uin,
        async remove() {
          if (server.namespaces.find(made.name) === made) await server.namespaces.remove(made.name);
        },
      };
    },
    async stop() {
      const { tally } = await server.control.counters();
      await server.stop(settings.limits.stopGraceMs);
      await keepTally(coverageFolder(), JSON.stringify(tally));
    },
  };
}

/** What people see of a server, or of a namespace. */
function facesOf(
  { control, records }: { readonly control: ServerControl; readonly records: Recorder },
  root: CosboxCredentials,
  reach: Pick<CosboxFaces, "port" | "options" | "admin">,
): CosboxFaces {
  return {
    ...reach,
    endpoint: control.endpoint(),
    region: control.region,
    credentials: root,
    requests: requestsOf(records),
    clock: clockOf(control.clock),
    faults: faultsOf(control.faults),
    keys: control.keys,
    states: statesOf(control.states),
    rates: ratesOf(control.rates),
    work: () => Promise.all(control.work.map(shownWork)),
    async runWork(name) {
      const work = control.work.find((one) => one.name === name);
      if (work === undefined) {
        const names = control.work.map((one) => one.name).join(", ");
        throw new SettingsError(`work: expected ${names}, found ${JSON.stringify(name)}`);
      }
      await work.runDue();
      return await shownWork(work);
    },
    coverage: async () => coverageOf(TABLE, (await control.counters()).tally),
    reset: (options) => control.reset(options),
    seed: async (given) =>
      await control.seed(await (typeof given === "string" ? readSeed : checkSeed)(given as string, process.cwd())),
    ...snapshotsOf(control.snapshots),
    bucket: (name) => `${name}-${root.appid}`,
  };
}

async function shownWork(work: DueWork): Promise<CosboxWork> {
  const due = await work.nextDue();
  const waits = due !== undefined && Number.isFinite(due);
  return { name: work.name, due: waits ? new Date(due) : undefined, statistics: await work.statistics() };
}

const NEXT_MS = 10_000;
const OTHERS_MAX = 10;

function requestsOf(records: Recorder): CosboxRequests {
  return {
    recent: () => records.recent(),
    find: (id) => records.find(id),
    async explain(id) {
      const record = await records.find(id);
      return record === undefined ? undefined : explanation(record);
    },
    next: (wanted = {}, timeoutMs = NEXT_MS) =>
      new Promise((resolve, reject) => {
        const others: DecisionRecord[] = [];
        const end = (): void => {
          timer.cancel();
          unwatch();
        };
        const unwatch = records.watch((record) => {
          try {
            if (!(typeof wanted === "function" ? wanted(record) : fitsPattern(record, wanted))) {
              others.push(record);
              if (others.length > OTHERS_MAX) others.shift();
              return;
            }
            resolve(record);
          } catch (error) {
            // It is the caller's, and no matter of whoever sent the request.
            reject(error);
          }
          end();
        });
        const timer = systemClock().after(timeoutMs, () => {
          end();
          reject(new Error(`no such request was answered within ${timeoutMs} ms; ${cameInstead(others)}`));
        });
      }),
  };
}

function timeOf(time: Time): number {
  const ms = new Date(time).getTime();
  if (Number.isNaN(ms)) throw new SettingsError(`clock: expected a time, found ${JSON.stringify(time)}`);
  return ms;
}

function clockOf(clock: ClockControl): CosboxClock {
  const shown = async (state: Promise<ClockState>): Promise<Date> => new Date((await state).nowMs);
  return {
    now: () => new Date(clock.state().nowMs),
    async advance(by) {
      const ms = typeof by === "number" ? by : durationMs(by);
      if (ms === undefined) throw new SettingsError(`clock: expected ms, or text such as "30d", found ${String(by)}`);
      return await shown(clock.advance(ms));
    },
    freeze: async (at) =>
      await shown(clock.set({ mode: "frozen", atMs: at === undefined ? clock.state().nowMs : timeOf(at) })),
    set: async (to) => await shown(clock.set({ mode: "offset", offsetMs: timeOf(to) - clock.state().realMs })),
    reset: async () => await shown(clock.set({ mode: "real" })),
  };
}

function faultsOf(faults: FaultControl): CosboxFaults {
  return {
    async add(fault) {
      const { FAULT, faultTrouble, withoutUndefined } = await import("./faults/shape.ts");
      const checked = FAULT.safeParse(fault);
      if (!checked.success) throw new SettingsError(faultTrouble(checked.error, "fault"));
      try {
        return await faults.set(withoutUndefined(checked.data));
      } catch (error) {
        throw error instanceof FaultRefusal ? new SettingsError(`fault: ${error.message}`) : error;
      }
    },
    list: () => faults.list(),
    remove: (id) => faults.remove(id),
    clear: () => faults.clear(),
  };
}

function statesOf(states: StateControl): CosboxStates {
  return {
    async set(subject, state) {
      const { STATE_CHANGE } = await import("./states/shape.ts");
      const checked = STATE_CHANGE.safeParse({ ...subject, state });
      if (!checked.success) throw new SettingsError(`states: ${checked.error.issues[0]?.message ?? "cannot stand"}`);
      await states.set(subject, state);
    },
    list: () => states.list(),
    clear: () => states.clear(),
  };
}

function snapshotsOf(snapshots: SnapshotControl): Pick<Cosbox, "snapshot" | "restore" | "snapshots"> {
  const shown = ({ name, takenMs, bytes }: SnapshotTold): CosboxSnapshot => ({
    name,
    takenAt: new Date(takenMs),
    bytes,
    remove: async () => orSettingsError(() => snapshots.remove(name)),
  });
  return {
    snapshot: async (name) => shown(await orSettingsError(() => snapshots.take(name))),
    restore: (snapshot, { force = false } = {}) =>
      orSettingsError(() => snapshots.restore(typeof snapshot === "string" ? snapshot : snapshot.name, force)),
    snapshots: async () => snapshots.list().map(shown),
  };
}

async function orSettingsError<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof SnapshotFault ? new SettingsError(error.message) : error;
  }
}

function ratesOf(rates: RateControl): CosboxRates {
  return {
    async set(wanted) {
      const { RATES } = await import("./config/rates.ts");
      const checked = RATES.safeParse(wanted);
      if (!checked.success) {
        throw new SettingsError(`rates: expected ${checked.error.issues[0]?.message ?? "a list of limits"}`);
      }
      try {
        await rates.set(checked.data);
      } catch (error) {
        throw error instanceof RangeError ? new SettingsError(`rates: ${error.message}`) : error;
      }
    },
    list: () => rates.list().rates,
    reset: () => rates.set(undefined),
  };
}
