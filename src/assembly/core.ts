/** Joins the parts to a server that only lacks its listeners. */

import { type Credential, rootCredential } from "../access/caller.ts";
import { administration } from "../accounts/administration.ts";
import { directory } from "../accounts/directory.ts";
import { sealing } from "../accounts/seal.ts";
import { applySeed } from "../accounts/seed.ts";
import { sessions } from "../accounts/sessions.ts";
import { REGIONS, SUFFIXES } from "../config/places.ts";
import { type BackgroundTask, dueWork, JUMP_MS_MAX, schedule } from "../background.ts";
import { isLoopback } from "../config/listen-address.ts";
import { DEVELOPMENT_SECRET_ID, DEVELOPMENT_SECRET_KEY, type Settings, SettingsError } from "../config/settings.ts";
import { type AddressingRules, addressingRules } from "../addressing/address.ts";
import { cosDialect } from "../dialects/cos/index.ts";
import { s3Dialect } from "../dialects/s3/index.ts";
import { type Sts, stsDialect } from "../dialects/sts/index.ts";
import type { MemoryRoom } from "../engines/blobs/memory.ts";
import { steadyTime } from "../engines/clock/steady.ts";
import { systemClock } from "../engines/clock/system.ts";
import { virtualClock } from "../engines/clock/virtual.ts";
import { kmsOf } from "../engines/kms/kms-of.ts";
import type { RemoteKms } from "../engines/kms/remote-kms.ts";
import { ownMeter } from "../engines/meter/counts.ts";
import { systemRandom } from "../engines/random/system.ts";
import { sealKeyOf } from "../engines/seal-key/seal-key-of.ts";
import { FaultRefusal } from "../control/fault-control.ts";
import { checkOperations } from "../control/rate-control.ts";
import { type Consulted, type ServerControl, serverControl } from "../control/server-control.ts";
import type { CheckedSeed } from "../config/seed.ts";
import type { Seeded } from "../seed/seed.ts";
import { CosError } from "../errors/cos-error.ts";
import type { Answer, Handler } from "../http/answer.ts";
import { lifecycleTask } from "../features/lifecycle/index.ts";
import { type Dialect, dialectOf, pipeline, withExplanation } from "../http/pipeline.ts";
import type { WireRequest } from "../http/request.ts";
import type { EdgeFigures } from "../http/server.ts";
import { type Log, SILENT } from "../log.ts";
import { TABLE } from "../operations/table.ts";
import type { Meter } from "../ports/meter.ts";
import type { ClockReading, VirtualClock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { Peers } from "../ports/peers.ts";
import { type Recorder, recorder } from "../diagnose/recorder.ts";
import { type Tally, tally } from "../diagnose/tally.ts";
import { refusalFolder } from "../engines/record-log/folder.ts";
import { recordFiles } from "../engines/record-log/files.ts";
import type { Closers } from "./closers.ts";
import { openEngines } from "./engines.ts";

export interface ServerOptions {
  readonly log?: Log;
  /**
   * The other processes of this server. The first of them holds the lock of the data folder; this one only says that it
   * works there. Without peers, this process locks the folder itself.
   */
  readonly peers?: Peers & Meter;
  /** What the clocks showed when the server began, where it has begun before this process. */
  readonly since?: ClockReading;
}

/** Runs of one transaction before it is given up, for each process that may be at the same rows. */
const RUNS_MAX = 100;

function credentialsOf(settings: Settings): ReadonlyMap<string, Credential> {
  const { secretId, secretKey, uin, appid } = settings;
  const all = [{ secretId, secretKey, uin, appid }, ...settings.credentials];
  return new Map(
    all.map((one) => [one.secretId, rootCredential(one, one.secretKey === DEVELOPMENT_SECRET_KEY)] as const),
  );
}

/** The names of all operations, once those are found among them that the settings limit. */
function operationsOf({ rates }: Settings): ReadonlySet<string> {
  const operations = new Set(TABLE.map(({ name }) => name));
  try {
    checkOperations(rates, operations);
  } catch (error) {
    throw new SettingsError(`rates: ${(error as Error).message}`);
  }
  return operations;
}

/**
 * A server goes by the machine's time and fails of its own alone, and has no way to change that. So it does not take over
 * what somebody has set on the same data in development: locks would end early, and objects expire.
 * @throws SettingsError that says how to take it back.
 */
function refuseLeftovers({ profile }: Settings, clock: VirtualClock, { faults }: ServerControl): void {
  if (profile !== "server") return;
  const isMoved = (clock.history.at(-1)?.mode ?? "real") !== "real";
  if (!isMoved && !faults.any) return;
  const [what, mend] = isMoved ? ["its clock is not the machine's", "clock real"] : ["it has faults", "faults clear"];
  throw new SettingsError(
    `the data was used in development, and ${what}: start it without --profile server, say cosbox ${mend}, and stop it`,
  );
}

/** Puts the faults of the settings in place. @throws SettingsError for one that cannot stand. */
async function adoptFaults({ faults, profile }: Settings, { faults: control }: ServerControl): Promise<void> {
  if (profile === "server") throw new SettingsError("faults: they are for development, and this is --profile server");
  const { FAULT, faultTrouble, withoutUndefined } = await import("../faults/shape.ts");
  const checked = FAULT.array().safeParse(faults);
  if (!checked.success) throw new SettingsError(faultTrouble(checked.error, "faults"));
  try {
    await control.adopt(checked.data.map(withoutUndefined));
  } catch (error) {
    throw error instanceof FaultRefusal ? new SettingsError(`faults: ${error.message}`) : error;
  }
}

/** Where a server is reached, as soon as it is known. */
export interface Place {
  endpoint?: string;
  /** Where the calls of the admin listener are that are about it. */
  admin?: string;
  edge?: () => EdgeFigures;
  /** Set when it takes no more requests. */
  isStopping?: boolean;
  /** Whether an APPID is that of a namespace. */
  isNamespaces?: (appid: string) => boolean;
}

/** A server without its listeners: all that there is between a request and what is stored. */
export interface Core {
  readonly handler: Handler;
  /** Writes a refusal that the edge raises, and keeps a record of it. */
  writeError(error: CosError, request: WireRequest): Answer;
  readonly control: ServerControl;
  readonly records: Recorder;
  readonly tasks: readonly BackgroundTask[];
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly rules: AddressingRules;
  readonly sts: Sts;
  readonly counted: Tally;
  /** The SecretIds of its settings. */
  readonly fixedKeys: ReadonlySet<string>;
  /** The key management service of the settings, where they name one. */
  readonly kms: RemoteKms | undefined;
  /** Whether a SecretId is one of its own, also that of a temporary key that has expired. */
  knows(secretId: string, token: string | undefined): Promise<boolean>;
}

interface CoreOptions extends ServerOptions {
  /** Counts its requests too. */
  readonly alsoCounted?: Tally;
  /** The memory that it shares with others, for one in memory. */
  readonly room?: MemoryRoom;
}

/**
 * Joins the parts to a server that only lacks its listeners; what has to be closed again is added to `closers`.
 * @throws SettingsError, and the faults of the system (a folder that cannot be used).
 */
export async function openCore(
  settings: Settings,
  { log = SILENT, peers, since, alsoCounted, room }: CoreOptions,
  place: Place,
  closers: Closers,
): Promise<Core> {
  const clock = virtualClock(systemClock());
  const random = systemRandom();
  const { limits, region } = settings;
  // Others may ask before there is anything to say, and read what is stored when they begin.
  const here: { control?: Consulted } = {};
  const sealKey = sealKeyOf(settings, random);
  const kms = await kmsOf(settings, clock);
  const store = await openEngines(
    settings,
    {
      clock,
      random,
      inlineMax: limits.inlineBytesMax,
      sealKey,
      kms,
      kmsCallsPerSecond: limits.kmsCallsPerSecond,
      ...(settings.profile === "server" ? { lockNow: steadyTime(clock, JUMP_MS_MAX, since) } : {}),
      ...(peers === undefined ? {} : { peers }),
      consulted: async (topic, text) => (await here.control?.consulted(topic, text)) ?? "",
      // Within a process the writers of one row wait for each other; the processes race.
      transactions: { runsMax: RUNS_MAX * settings.workers },
      report: (error) => log.warn("work in the background failed and is tried again", { error }),
    },
    closers,
    room,
  );
  const tasks = [
    lifecycleTask(store, { report: (error) => log.warn("the lifecycle passed over stored data", { error }) }),
  ];
  const fixed = credentialsOf(settings);
  const publishedKeys = [...fixed.values()].some(({ published }) => published);
  const rows = store.principals;
  const seals = sealing({ rows, key: sealKey, masterKey: store.masterKey, random });
  // A key that is missing is told now, and not to whoever asks first.
  await seals.existing();
  await applySeed({ rows, sealing: seals, clock }, settings.accounts);
  const who = directory({ fixed, rows, sealing: seals, clock });
  const shared = {
    rules: addressingRules({
      regions: [...REGIONS, ...settings.regions, region],
      suffixes: [...SUFFIXES, ...settings.suffix],
      // A page whose own name is pointed at this machine reads here as if it were at home (DNS rebinding).
      unknownHosts: publishedKeys ? "refuse" : "serve",
    }),
    keys: (secretId: string, token: string | undefined) => who.find(secretId, token),
    clock,
    signSkewMs: limits.signSkewMs,
  };
  const onFault = (error: unknown, request: WireRequest): void =>
    log.error("a request failed", { error, requestId: request.ids.requestId, method: request.method });
  const dialects: readonly Dialect[] = [
    s3Dialect({
      ...shared,
      hosts: settings.s3Hosts,
      bareNames: settings.bareBuckets ? { appid: settings.appid } : undefined,
      strict: settings.strictS3,
    }),
    cosDialect({ ...shared, errors: settings.errors, strictSigning: settings.strictSigning }),
  ];
  const counted = tally();
  const records = recorder({
    clock,
    log: settings.memory
      ? undefined
      : recordFiles({
          folder: refusalFolder(settings.data),
          incarnation: store.incarnation,
          linesMax: limits.refusalRecordsMax,
          ageMsMax: limits.refusalRecordsMs,
        }),
    recentMax: limits.recordsInMemory,
    refusalsPerSecond: limits.refusalRecordsPerSecond,
  });
  closers.add(() => records.flush());
  const fixedKeys = new Set(fixed.keys());
  const accounts = administration({
    rows,
    sealing: seals,
    clock,
    random,
    limits,
    fixed: new Map([...fixed.values()].map(({ uin, appid }) => [uin, appid])),
    fixedKeys,
    published: new Set([DEVELOPMENT_SECRET_ID, DEVELOPMENT_SECRET_KEY]),
    seed: settings.accounts,
    isReserved: (appid) => place.isNamespaces?.(appid) === true,
  });
  const meter = peers ?? ownMeter(clock);
  const operations = operationsOf(settings);
  /** Most servers are never seeded, so what does it is loaded when one is. */
  async function seed(given: CheckedSeed): Promise<Seeded> {
    const { asker, seeder } = await import("../seed/seed.ts");
    // No fault, state or rate meets its requests, and nobody counts them or keeps records of them.
    const installation = { region, limits };
    const handler = pipeline({ dialects, table: TABLE, store, clock, random, installation, onFault });
    return await seeder({
      ask: asker({ handler, clock, random, limits }),
      store,
      accounts,
      root: settings,
      region,
      isRegion: (name) => shared.rules.regions.has(name),
      limits,
      accountOf: async (secretId) => await who.permanent(secretId),
      now: () => clock.real(),
    })(given);
  }
  const control = await serverControl({
    seed,
    rates: { meter, configured: settings.rates, operations },
    limits,
    clock,
    random,
    store,
    records,
    accounts,
    peers,
    tally: counted,
    region,
    endpoint: () => place.endpoint ?? "",
    isStopping: () => place.isStopping === true,
    edge: () => place.edge?.(),
    faultsByHeader: settings.profile !== "server",
    work: tasks.map((task) => dueWork(task, clock)),
  });
  refuseLeftovers(settings, clock, control);
  // From here on the clock shows what it showed last.
  const scheduled = schedule(tasks, {
    clock,
    ...(settings.profile === "server" ? { machine: () => clock.real(), ...(since && { since }) } : {}),
    report: (error) => log.warn("work in the background failed and is tried again", { error }),
  });
  closers.add(() => scheduled.stop());
  if (settings.profile !== "server" || settings.faults.length > 0) await adoptFaults(settings, control);
  here.control = control;
  // What was announced before there was anybody here to hear it.
  await control.refresh();
  const { explainHeader } = settings;
  const explained = explainHeader === "on" || (explainHeader === "auto" && isLoopback(settings.listen.host));
  const explainedAt = (requestId: string): string | undefined =>
    explained && place.admin !== undefined ? `${place.admin}/v1/requests/${encodeURIComponent(requestId)}` : undefined;
  const objects = pipeline({
    dialects,
    table: TABLE,
    store,
    clock,
    random,
    installation: { region, limits },
    publishedKeys,
    faults: control.faults,
    states: control.states,
    rates: control.rates,
    meter,
    explainedAt,
    onAnswer(request, answer, outcome) {
      records.take(request, answer, outcome.refusal, outcome);
      counted.take(request, answer, outcome.refusal, outcome);
      alsoCounted?.take(request, answer, outcome.refusal, outcome);
    },
    onFault,
  });
  const sts = stsDialect({
    rules: shared.rules,
    directory: who,
    sessions: sessions({ directory: who, sealing: seals, clock, random, limits }),
    clock,
    limits,
    onFault,
    onAnswer: (request, answer, outcome) => records.take(request, answer, undefined, outcome),
  });
  return {
    handler: (request) => (sts.claims(request) ? sts.answer(request) : objects(request)),
    writeError(error, request) {
      const written = dialectOf(dialects, request).writeError(error, request);
      const answer = withExplanation(written, explainedAt(request.ids.requestId));
      records.take(request, answer, error, undefined);
      counted.take(request, answer, error, undefined);
      return answer;
    },
    control,
    records,
    tasks,
    clock,
    random,
    rules: shared.rules,
    sts,
    counted,
    fixedKeys,
    kms,
    async knows(secretId, token) {
      try {
        return (await who.find(secretId, token)) !== undefined;
      } catch (error) {
        return error instanceof CosError;
      }
    },
  };
}
