/** The only place that chooses engines for ports and joins the parts to a server. */

import { join } from "node:path";
import { type Credential, rootCredential } from "./access/caller.ts";
import { administration } from "./accounts/administration.ts";
import { directory } from "./accounts/directory.ts";
import { sealing } from "./accounts/seal.ts";
import { applySeed } from "./accounts/seed.ts";
import { newSecretId, newSecretKey } from "./accounts/session-token.ts";
import { sessions } from "./accounts/sessions.ts";
import { REGIONS, SUFFIXES } from "./config/places.ts";
import { type BackgroundTask, dueWork, JUMP_MS_MAX, schedule } from "./background.ts";
import { formatListen, isLoopback, reachableHost } from "./config/listen-address.ts";
import { DEVELOPMENT_SECRET_ID, DEVELOPMENT_SECRET_KEY, type Settings, SettingsError } from "./config/settings.ts";
import { type AddressingRules, addressingRules } from "./addressing/address.ts";
import { claimsOf } from "./addressing/claims.ts";
import { cosDialect } from "./dialects/cos/index.ts";
import { s3Dialect } from "./dialects/s3/index.ts";
import { type Sts, stsDialect } from "./dialects/sts/index.ts";
import { localBlobs } from "./engines/blobs/local.ts";
import { type MemoryRoom, memoryBlobs } from "./engines/blobs/memory.ts";
import { steadyTime } from "./engines/clock/steady.ts";
import { systemClock } from "./engines/clock/system.ts";
import { virtualClock } from "./engines/clock/virtual.ts";
import { isDataHeld } from "./engines/data-hold.ts";
import { lockFolder, markWorker } from "./engines/folder-lock.ts";
import { kmsOf } from "./engines/kms/kms-of.ts";
import type { RemoteKms } from "./engines/kms/remote-kms.ts";
import { memoryMetadata } from "./engines/metadata/memory.ts";
import { ownMeter } from "./engines/meter/counts.ts";
import { systemRandom } from "./engines/random/system.ts";
import { sealKeyOf } from "./engines/seal-key/seal-key-of.ts";
import type { AdminContext } from "./admin/route.ts";
import { startAdmin, type AdminListener } from "./admin/server.ts";
import { sdkOptions } from "./control/sdk-options.ts";
import { checkOperations } from "./control/rate-control.ts";
import { type Consulted, type ServerControl, serverControl } from "./control/server-control.ts";
import { loadTls } from "./engines/tls/load-tls.ts";
import type { CheckedSeed } from "./config/seed.ts";
import type { Seeded } from "./seed/seed.ts";
import { CosError } from "./errors/cos-error.ts";
import type { Answer, Handler } from "./http/answer.ts";
import { lifecycleTask } from "./features/lifecycle/index.ts";
import { type Dialect, dialectOf, pipeline, withExplanation } from "./http/pipeline.ts";
import type { WireRequest } from "./http/request.ts";
import { type EdgeFigures, startEdge } from "./http/server.ts";
import { type Log, SILENT } from "./log.ts";
import { type NamespaceControl, type NamespaceRoot, namespaces } from "./namespaces/namespaces.ts";
import { TABLE } from "./operations/table.ts";
import type { BlobEngine } from "./ports/blobs.ts";
import type { MetadataEngine } from "./ports/metadata.ts";
import type { Meter } from "./ports/meter.ts";
import type { ClockReading, VirtualClock } from "./ports/clock.ts";
import type { Random } from "./ports/random.ts";
import type { Peers } from "./ports/peers.ts";
import { type Recorder, recorder } from "./diagnose/recorder.ts";
import { type Tally, tally } from "./diagnose/tally.ts";
import { refusalFolder } from "./engines/record-log/folder.ts";
import { recordFiles } from "./engines/record-log/files.ts";
import { openStore, type Store, type StoreOptions } from "./store/store.ts";

/** A server that answers. */
export interface RunningServer {
  /** `http://127.0.0.1:9000`, with an address that this machine reaches. */
  readonly endpoint: string;
  readonly host: string;
  readonly port: number;
  /** What people may look at and change while it runs. */
  readonly control: ServerControl;
  /** What is kept of requests and refusals of this process. */
  readonly records: Recorder;
  /** Where the admin listener is, such as `http://127.0.0.1:9001`; undefined where there is none. */
  readonly admin: string | undefined;
  /** What is done in the background by the virtual clock. */
  readonly tasks: readonly BackgroundTask[];
  /** Servers in memory that share its listener. */
  readonly namespaces: NamespaceControl;
  /**
   * Finishes requests under way, for at most `graceMs` milliseconds, and closes the store. Connections that are idle
   * are closed after `idleMs`, by default at once.
   */
  stop(graceMs?: number, idleMs?: number): Promise<void>;
}

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

/** Things to be closed again, the last first. */
class Closers {
  readonly #steps: (() => unknown)[] = [];

  add(step: () => unknown): void {
    this.#steps.push(step);
  }

  async run(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) await step();
  }
}

type StoreParts = Omit<StoreOptions, "metadata" | "blobs">;

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

async function openEngines(
  settings: Settings,
  parts: StoreParts,
  closers: Closers,
  room: MemoryRoom | undefined,
): Promise<Store> {
  const { peers, random, report } = parts;
  const keep = async (
    metadata: MetadataEngine,
    blobs: BlobEngine,
    extras: Pick<StoreOptions, "isHeld" | "peers" | "inMemory"> = {},
  ): Promise<Store> => {
    closers.add(() => blobs.close());
    closers.add(() => metadata.close());
    const store = await openStore({ ...parts, ...extras, metadata, blobs });
    closers.add(() => store.close());
    return store;
  };
  if (settings.memory) {
    const [rows, blobs] = [memoryMetadata(), memoryBlobs({ random, ...(room && { room }) })];
    return await keep(rows, blobs, { inMemory: { rows, blobs } });
  }

  const { data, durability, limits } = settings;
  const lock = peers === undefined ? await lockFolder(data) : await markWorker(data);
  closers.add(() => lock.release());
  // Its library is a quarter of what there is to load, and a server in memory has no use for it.
  const { lmdbMetadata } = await import("./engines/metadata/lmdb.ts");
  const metadata = await lmdbMetadata({ folder: join(data, "metadata"), random, durability });
  /** Whether this process, among several, is the one that collects. */
  let isTending = false;
  const blobs = await localBlobs({
    folder: data,
    random,
    durability,
    segmentBytesMax: limits.segmentBytesMax,
    packingBytesPerSecond: limits.packingBytesPerSecond,
    // Who has the lock is the only one who writes. Among several, the one that collects looks after the dead.
    inherits:
      peers === undefined ? () => true : async (incarnation) => isTending && !(await peers.isAlive(incarnation)),
    looksAround: peers === undefined,
    ...(report && { report }),
  });
  const isHeld = () => isDataHeld(data);
  if (peers === undefined) return await keep(metadata, blobs, { isHeld });
  const inheriting: Peers = {
    ...peers,
    register: (incarnation, here) =>
      peers.register(incarnation, {
        ...here,
        tend() {
          isTending = true;
          blobs.inherit();
          here.tend();
        },
      }),
  };
  return await keep(metadata, blobs, { isHeld, peers: inheriting });
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
  const { FAULT, faultTrouble, withoutUndefined } = await import("./faults/shape.ts");
  const checked = FAULT.array().safeParse(faults);
  if (!checked.success) throw new SettingsError(faultTrouble(checked.error, "faults"));
  await control.adopt(checked.data.map(withoutUndefined));
}

/**
 * Opens the admin listener. Where nobody said which port it has, it is the one after the server's, and a server does
 * without when somebody else is there.
 */
async function openAdmin(
  settings: Settings,
  port: number,
  context: Omit<AdminContext, "profile">,
  log: Log,
): Promise<AdminListener | undefined> {
  const { admin, adminToken: token, profile } = settings;
  if (admin === "off") return undefined;
  const listen = admin === "auto" ? { host: "127.0.0.1", port: settings.listen.port === 0 ? 0 : port + 1 } : admin;
  if (admin === "auto" && profile === "server" && token === "") return undefined;
  if (token === "" && profile === "server") {
    throw new SettingsError("admin: with --profile server its callers need a token; set COSBOX_ADMIN_TOKEN");
  }
  if (token === "" && !isLoopback(listen.host)) {
    throw new SettingsError(
      `admin: ${formatListen(listen)} can be reached from other machines; set COSBOX_ADMIN_TOKEN`,
    );
  }
  try {
    return await startAdmin({ listen, token, context: { ...context, profile }, log });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    if (admin !== "auto") throw new SettingsError(`admin: port ${listen.port} is taken; choose another with --admin`);
    log.warn(`port ${listen.port} is taken, so there is no admin listener; choose another with --admin host:port`);
    return undefined;
  }
}

/** Where a server is reached, as soon as it is known. */
interface Place {
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
interface Core {
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
async function openCore(
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
    const { asker, seeder } = await import("./seed/seed.ts");
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

/** The settings of a namespace: those of its server, but in memory and with an account of its own. */
function namespaceSettings(settings: Settings, root: NamespaceRoot): Settings {
  const own = { memory: true, sealKey: "", sealPassphrase: "", credentials: [], accounts: [], workers: 1 };
  return { ...settings, ...own, ...root };
}

/** The namespaces of a server that is reached at `place`. */
function openNamespaces(settings: Settings, log: Log, core: Core, place: Place) {
  const { limits } = settings;
  const { random, clock } = core;
  const room: MemoryRoom = { taken: 0, bytesMax: limits.namespaceBytesMax };
  const adminOf = (name: string): string | undefined =>
    place.admin === undefined ? undefined : `${place.admin}/namespaces/${encodeURIComponent(name)}`;
  return namespaces({
    namespacesMax: limits.namespacesMax,
    profile: settings.profile,
    processes: settings.workers,
    random,
    clock,
    graceMs: limits.stopGraceMs,
    claimsOf: (request) => claimsOf(request, core.rules),
    readForm: (request) => (core.sts.claims(request) ? core.sts.signer(request) : undefined),
    isOwn: (secretId) => core.fixedKeys.has(secretId),
    isTaken: async (appid) => (await core.control.accounts.accounts()).some((one) => one.appid === appid),
    newPair: () => ({ secretId: newSecretId(random), secretKey: newSecretKey(random) }),
    async open(name, root) {
      const closers = new Closers();
      try {
        const { endpoint = "" } = place;
        const admin = adminOf(name);
        const there = { endpoint, ...(admin === undefined ? {} : { admin }) };
        const options = { log, alsoCounted: core.counted, room };
        const inside = await openCore(namespaceSettings(settings, root), options, there, closers);
        return { ...inside, close: () => closers.run() };
      } catch (error) {
        await closers.run();
        throw error;
      }
    },
    reach: (name, root) => ({
      options: sdkOptions(place.endpoint ?? "", root, settings.tls === "dev"),
      admin: adminOf(name),
    }),
  });
}

/** Fills a new server with the seed of its settings, if they name one. */
async function begin(control: ServerControl, { seed }: Settings, log: Log): Promise<void> {
  if (seed === "") return;
  const { readSeed } = await import("./config/seed-file.ts");
  const seeded = await control.begin(() => readSeed(seed, "."));
  if (seeded === undefined) log.info("the server has begun before, and is not seeded");
  else log.info("the server begins with its seed", { ...seeded });
}

/**
 * The same for a data folder that nobody uses yet, before several processes do.
 * @throws SettingsError, and the faults of the system (a folder that cannot be used).
 */
export async function beginWithSeed(settings: Settings, log: Log): Promise<void> {
  const closers = new Closers();
  try {
    const core = await openCore({ ...settings, workers: 1 }, { log }, {}, closers);
    await begin(core.control, settings, log);
  } finally {
    await closers.run();
  }
}

/**
 * Starts a server with these settings and resolves when it listens.
 * @throws SettingsError, and the faults of the system (a busy port, a folder that cannot be used).
 */
export async function startServer(settings: Settings, options: ServerOptions = {}): Promise<RunningServer> {
  const { log = SILENT } = options;
  const { limits } = settings;
  const closers = new Closers();
  try {
    const place: Place = {};
    const core = await openCore(settings, options, place, closers);
    // It may be back before anybody needs it, so nothing waits for it; but whoever set it wrongly is told now.
    core.kms?.check().catch((error: unknown) => log.warn("objects under SSE-KMS cannot be read or stored", { error }));
    const { handler, control, records, tasks, clock, random } = core;
    await begin(control, settings, log);
    const apart = openNamespaces(settings, log, core, place);
    place.isNamespaces = (appid) => apart.hasAppid(appid);
    closers.add(() => apart.close());
    const tls = await loadTls(settings, clock, {
      onReload: (pair) => edge.setTls(pair),
      onRefused: (why) => log.warn(why),
    });
    if (tls !== undefined) closers.add(() => tls.close());
    const edge = await startEdge({
      handler: (request) => (apart.any ? apart.handle(request, handler) : handler(request)),
      listen: settings.listen,
      tls,
      clock,
      random,
      limits,
      log,
      dialect: {
        writeError: (error, request) =>
          apart.any ? apart.writeError(error, request, core) : core.writeError(error, request),
      },
    });
    closers.add(() => edge.stop(limits.stopGraceMs));
    place.edge = () => edge.figures();
    const { port } = edge;
    const host = reachableHost(settings.listen.host);
    const endpoint = `${tls === undefined ? "http" : "https"}://${formatListen({ host, port })}`;
    place.endpoint = endpoint;
    const admin = await openAdmin(settings, port, { server: control, namespaces: apart }, log);
    if (admin !== undefined) {
      place.admin = admin.endpoint;
      closers.add(() => admin.stop());
    }
    return {
      endpoint,
      host,
      port,
      control,
      records,
      admin: admin?.endpoint,
      tasks,
      namespaces: apart,
      async stop(graceMs = limits.stopGraceMs, idleMs = 0) {
        // Where others go on for this process, whoever asks for the server's readiness shall ask them.
        if (idleMs > 0) admin?.leave();
        else place.isStopping = true;
        await edge.stop(graceMs, idleMs);
        await closers.run();
      },
    };
  } catch (error) {
    await closers.run();
    throw error;
  }
}
