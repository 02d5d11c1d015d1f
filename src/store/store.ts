/**
 * The store: everything above the engines that keeps buckets, objects and uploads. One per process; several processes
 * may have one each on the same engines when they know each other (`peers`).
 */
import type { BlobEngine } from "../ports/blobs.ts";
import type { Clock } from "../ports/clock.ts";
import type { Kms } from "../ports/kms.ts";
import { type CommitFigures, type MetadataEngine, pointRange, type Row } from "../ports/metadata.ts";
import type { Here, Peers } from "../ports/peers.ts";
import type { Random } from "../ports/random.ts";
import type { KeepsBlobs, SavesRows } from "../ports/saved-state.ts";
import type { SealKey } from "../ports/seal-key.ts";
import { type Bodies, bodies } from "./bodies.ts";
import { bodyPins } from "./body-pins.ts";
import { type Buckets, buckets } from "./buckets.ts";
import { type Collector, collector } from "./collector.ts";
import { type Configurations, configurations } from "./configurations.ts";
import { type Controls, controls } from "./controls.ts";
import { type Encryption, encryption } from "./encryption.ts";
import { identities } from "./identities.ts";
import { besideKeyRing, type KeyRing, keyRing, type MasterKey } from "./key-ring.ts";
import { after, bucketKey, familyRange, formatKey, incarnationKey, incarnationOf, uploadKey } from "./keys.ts";
import { type Objects, objects } from "./objects.ts";
import { type Principals, principals } from "./principals.ts";
import {
  decodeBucket,
  decodeFormat,
  decodeIntent,
  encodeBucket,
  encodeFormat,
  encodeIncarnation,
  type IntentRecord,
} from "./records.ts";
import { type StoreSnapshot, takeSnapshot } from "./snapshots.ts";
import { stoppingTogether } from "./stop-together.ts";
import { type Tasks, tasks } from "./tasks.ts";
import { type Transact, type Transaction, type TransactOptions, transactions } from "./transact.ts";
import { reopenIn, type Uploads, uploads } from "./uploads.ts";
import { elsewhere, underWay, waiting } from "./unsettled.ts";
import { type Usage, usage } from "./usage.ts";
import { type Walk, walk } from "./walk.ts";

/** The number of the format that this version writes. */
export const DATA_FORMAT = 1;

/** Raised when a later version made the data. Nothing has been changed. */
export class DataFromNewerVersion extends Error {
  constructor(format: number) {
    super(
      `the data is in format ${format}, and this version of cosbox knows formats up to ${DATA_FORMAT}: ` +
        "start the version that wrote it, or a later one, or choose another data folder",
    );
    this.name = "DataFromNewerVersion";
  }
}

export interface StoreOptions {
  readonly metadata: MetadataEngine;
  readonly blobs: BlobEngine;
  readonly clock: Clock;
  readonly random: Random;
  /** Most bytes of a body that is stored as a row beside its object; 16 KiB unless told. */
  readonly inlineMax?: number;
  /** The other processes that use the engines; by default there are none. */
  readonly peers?: Peers;
  /** What this process says when another consults it (`Peers.consult`); by default nothing. */
  readonly consulted?: (topic: string, text: string) => Promise<string>;
  /** Whether somebody copies the blobs just now, so that none may be removed; by default nobody does. */
  readonly isHeld?: () => Promise<boolean>;
  /** What seals the keys of the store; without it nothing can be encrypted. */
  readonly sealKey?: SealKey;
  /** A remote key management service for what is new; the store's own key ring unless told. */
  readonly kms?: Kms | undefined;
  /** Calls that the key ring answers in one second; 10,000 unless told. */
  readonly kmsCallsPerSecond?: number;
  /** What locks of objects go by, milliseconds since 1970; the clock's time unless told. */
  readonly lockNow?: () => number;
  /** Told about trouble in the background, which is tried again later; by default nobody is. */
  readonly report?: (error: unknown) => void;
  readonly transactions?: TransactOptions;
  /** What else the engines can do, where they keep everything in memory. */
  readonly inMemory?: { readonly rows: SavesRows; readonly blobs: KeepsBlobs };
}

/** Nobody else. */
export const ALONE: Peers = {
  register: async () => {},
  isAlive: async () => false,
  isUnderWay: async () => false,
  hold: async () => [],
  consult: async () => [],
  letGo() {},
  stopWriting() {},
  wake() {},
};

/** No keys: for stores in which nothing is encrypted. */
const NO_KEY: SealKey = {
  kind: "file",
  place: "no file",
  find: async () => undefined,
  async make() {
    throw new Error("this store was opened without a key to seal with");
  },
};

/** What waits in a store, and how its commits were grouped. */
export interface StoreFigures {
  /** Transactions that wait for others of the same rows. */
  readonly waitingForRows: number;
  /** Undefined where commits are not grouped. */
  readonly commits: CommitFigures | undefined;
}

export interface Store {
  /** 16 hex digits, new for each start. */
  readonly incarnation: string;
  /** What locks of objects go by, milliseconds since 1970. */
  readonly lockNow: () => number;
  /** Runs a transaction, waiting for a bucket's deletion or an upload's completion that it meets. */
  readonly transact: Transact;
  readonly buckets: Buckets;
  readonly configurations: Configurations;
  readonly principals: Principals;
  readonly objects: Objects;
  readonly uploads: Uploads;
  readonly bodies: Bodies;
  readonly controls: Controls;
  readonly encryption: Encryption;
  /** The keys of the local key management service. */
  readonly keyRing: KeyRing;
  readonly masterKey: MasterKey;
  readonly collector: Collector;
  /** What one process at a time does. */
  readonly tasks: Tasks;
  readonly walk: Walk;
  /** Holds on to everything as it is now. Undefined where the engines cannot. */
  readonly takeSnapshot: (() => StoreSnapshot) | undefined;
  /**
   * Finds out whether bytes and rows can be stored, by storing a blob, which is removed again, and a row. Rejects with what
   * keeps them from being stored.
   */
  probe(): Promise<void>;
  /** How much each bucket holds. */
  readonly usage: Usage;
  figures(): StoreFigures;
  /** Ends the background work. The engines are closed by whoever opened them, afterwards. */
  close(): Promise<void>;
}

/** The control that is stored to find out whether that is possible. */
const PROBED = "ready";

async function* oneByte(): AsyncGenerator<Buffer> {
  yield Buffer.alloc(1);
}

const INLINE_BYTES_MAX = 16 * 1024;
const KMS_CALLS_PER_SECOND = 10_000;

/**
 * Opens the store on two engines: makes it when they are empty, undoes what a crash left half done, and begins to
 * collect what it left behind; among several processes, one of them does. No store but those of `peers` may be open on
 * the same engines (the data folder's lock sees to it).
 * @throws DataFromNewerVersion, and an Error when the metadata is not cosbox's.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { clock, random, inlineMax = INLINE_BYTES_MAX, peers = ALONE, report = () => {} } = options;
  const { lockNow = () => clock.now() } = options;
  const engines = stoppingTogether(options, (why) => peers.stopWriting(why));
  const { metadata, blobs } = engines;
  await checkFormat(metadata, clock);

  const ids = identities(blobs.incarnation);
  /** Whether this process collects for all. */
  let tending = false;
  let closing = false;
  /** What this process undoes of others' work; it does not reject. */
  let tended: Promise<void> = Promise.resolve();
  const nudge = (): void => (tending ? collecting.nudge() : peers.wake());
  const pins = bodyPins(nudge);
  const work = underWay();
  const isAlive = async (incarnation: string): Promise<boolean> =>
    incarnation === ids.incarnation || (await peers.isAlive(incarnation));
  const isHeld = options.isHeld ?? (async () => false);
  const collecting = collector({ metadata, blobs, clock, pins, peers, isAlive, isHeld, report });

  let waitingForRows = 0;
  const onQueue = (change: 1 | -1): void => {
    waitingForRows += change;
  };
  const settle = waiting(transactions(metadata, clock, { ...options.transactions, onQueue }));
  /** Transactions leave work behind only in these runs; the collector is told when one has been stored. */
  const leaving = new WeakSet<Transaction>();
  const transact: Transact = async (queueOn, body) => {
    let left = false;
    const value = await settle(queueOn, async (tx) => {
      const result = await body(tx);
      left = leaving.has(tx);
      return result;
    });
    if (left) nudge();
    return value;
  };

  const onLeft = (tx: Transaction): void => void leaving.add(tx);
  const stored = bodies({ metadata, blobs, transact, identities: ids, pins, inlineMax, onLeft });
  const others = elsewhere({ metadata, clock, peers });
  const settling = { metadata, transact, identities: ids, underWay: work, elsewhere: others };
  const named = buckets({ ...settling, clock, random });
  const { sealKey = NO_KEY, kms: remote, kmsCallsPerSecond: callsPerSecond = KMS_CALLS_PER_SECOND } = options;
  const { ring, kms, serviceKeys, master } = keyRing({ metadata, transact, clock, random, sealKey, callsPerSecond });
  const configured = configurations({ metadata, transact, buckets: named });
  const { inMemory } = options;
  const walked = walk(metadata);
  const counted = usage({ walk: walked, clock, report });
  const store: Store = {
    incarnation: ids.incarnation,
    lockNow,
    transact,
    bodies: stored,
    buckets: named,
    configurations: configured,
    principals: principals(metadata, transact),
    objects: objects({ metadata, clock, lockNow, bodies: stored }),
    uploads: uploads({ ...settling, bodies: stored }),
    controls: controls({ metadata, transact }),
    encryption: encryption({ kms: remote === undefined ? kms : besideKeyRing(kms, remote), serviceKeys, random }),
    keyRing: ring,
    masterKey: master,
    collector: collecting,
    tasks: tasks({ metadata, transact, incarnation: ids.incarnation, isAlive }),
    walk: walked,
    usage: counted,
    figures: () => ({ waitingForRows, commits: metadata.figures?.() }),
    takeSnapshot:
      inMemory &&
      (() =>
        takeSnapshot({
          rows: inMemory.rows,
          blobs: { keep: (ids) => inMemory.blobs.keep(ids), remove: (ids) => blobs.remove(ids) },
          collector: collecting,
          forget: () => configured.forget(),
          undo: (intent, record) => undo(store, intent, record),
        })),
    async probe() {
      // While somebody copies the blobs, none may be removed, and so none is made for this.
      if (!(await isHeld())) {
        const { id } = await blobs.put(oneByte());
        await blobs.remove([id]);
      }
      await store.controls.change(PROBED, () => Buffer.from(String(clock.real())));
    },
    async close() {
      closing = true;
      await tended;
      await counted.stop();
      await collecting.stop();
      await note(undefined);
    },
  };

  /** Stores the row of this process, or removes it. One that may not write needs none: it has nothing to undo. */
  async function note(value: Buffer | undefined): Promise<void> {
    if (!engines.haveStopped()) await metadata.commit([], [{ key: incarnationKey(ids.incarnation), value }]);
  }
  async function tend(): Promise<void> {
    tending = true;
    await recover(metadata, store, isAlive);
    collecting.nudge();
    collecting.sweep();
  }
  const here: Here = {
    isUnderWay: (name) => work.ended(name) !== undefined,
    hold: (names) => pins.hold(names),
    letGo: (names) => pins.letGo(names),
    stopWriting: (why) => engines.stop(why),
    consult: async (topic, text) => (await options.consulted?.(topic, text)) ?? "",
    wake: () => collecting.nudge(),
    tend() {
      // What cannot be undone now is met by whoever needs it, and waits for the next time.
      tended = tended.then(async () => (closing ? undefined : await tend())).catch(report);
    },
  };
  await peers.register(ids.incarnation, here);
  await note(encodeIncarnation({ startedMs: clock.now() }));
  if (options.peers === undefined) await tend();
  return store;
}

async function checkFormat(metadata: MetadataEngine, clock: Clock): Promise<void> {
  const everything = { start: Buffer.from([0]), end: Buffer.from([0xff]), limit: 1 };
  const [formats, anything] = await metadata.read([pointRange(formatKey()), everything]);
  const row = formats?.[0];
  if (row) {
    const { format } = decodeFormat(row.value);
    if (format > DATA_FORMAT) throw new DataFromNewerVersion(format);
    return;
  }
  if (anything?.length !== 0) throw new Error("the metadata store holds rows that are not cosbox's");
  const value = encodeFormat({ format: DATA_FORMAT, createdMs: clock.now() });
  const made = await metadata.commit([{ key: formatKey(), version: undefined }], [{ key: formatKey(), value }]);
  if (!made) await checkFormat(metadata, clock);
}

const ROWS_MAX = 100;

/** Undoes the work that dead processes left half done. A crash in here leaves the rest to the next time. */
async function recover(
  metadata: MetadataEngine,
  store: Store,
  isAlive: (incarnation: string) => Promise<boolean>,
): Promise<void> {
  await eachRow(metadata, "intent", async ({ key, value }) => {
    if (await isAlive(incarnationOf(key))) return;
    await undo(store, key, decodeIntent(value));
  });
  await eachRow(metadata, "incarnation", async ({ key }) => {
    if (!(await isAlive(incarnationOf(key)))) await metadata.commit([], [{ key, value: undefined }]);
  });
}

async function eachRow(
  metadata: MetadataEngine,
  family: "intent" | "incarnation",
  visit: (row: Row) => Promise<void>,
): Promise<void> {
  let range = familyRange(family, ROWS_MAX);
  for (;;) {
    const [rows = []] = await metadata.read([range]);
    for (const row of rows) await visit(row);
    const last = rows.at(-1);
    if (!last) return;
    range = { ...range, start: after(last.key) };
  }
}

async function undo(store: Store, intent: Buffer, record: IntentRecord): Promise<void> {
  await store.transact([], async (tx) => {
    if ((await tx.get(intent)) === undefined) return;
    tx.delete(intent);
    switch (record.kind) {
      case "bucket-deletion": {
        const key = bucketKey(record.bucketName);
        const value = await tx.get(key);
        const bucket = value && decodeBucket(value);
        // The intent's own process marked it, since its row would be gone otherwise.
        if (bucket?.state.kind === "deleting" && bucket.state.incarnation === incarnationOf(intent)) {
          tx.set(key, encodeBucket({ ...bucket, state: { kind: "normal" } }));
        }
        return;
      }
      case "body": {
        const manifest = { id: record.manifestId, size: 0, pieces: 0 };
        store.bodies.leave(tx, { kind: "body", body: { size: 0, manifest, pieces: [] } });
        return;
      }
      case "completion": {
        const row = uploadKey(record.bucketId, record.key, record.uploadId);
        reopenIn(tx, row, await tx.get(row), record.manifestId, store.bodies);
        return;
      }
    }
  });
}
