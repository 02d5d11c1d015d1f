/** The store: everything above the engines that keeps buckets, objects and uploads. One per process. */
import type { BlobEngine } from "../ports/blobs.ts";
import type { Clock } from "../ports/clock.ts";
import { type MetadataEngine, pointRange, type Row } from "../ports/metadata.ts";
import type { Random } from "../ports/random.ts";
import { type Bodies, bodies } from "./bodies.ts";
import { bodyPins } from "./body-pins.ts";
import { type Buckets, buckets } from "./buckets.ts";
import { type Collector, collector } from "./collector.ts";
import { identities } from "./identities.ts";
import { after, bucketKey, familyRange, formatKey, incarnationKey, incarnationOf, uploadKey } from "./keys.ts";
import { type Objects, objects } from "./objects.ts";
import {
  decodeBucket,
  decodeFormat,
  decodeIntent,
  encodeBucket,
  encodeFormat,
  encodeIncarnation,
  type IntentRecord,
} from "./records.ts";
import { stoppingTogether } from "./stop-together.ts";
import { type Transact, type Transaction, type TransactOptions, transactions } from "./transact.ts";
import { reopenIn, type Uploads, uploads } from "./uploads.ts";
import { waiting } from "./unsettled.ts";

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
  /** Whether somebody copies the blobs just now, so that none may be removed; by default nobody does. */
  readonly isHeld?: () => Promise<boolean>;
  /** Told about trouble in the background, which is tried again later; by default nobody is. */
  readonly report?: (error: unknown) => void;
  readonly transactions?: TransactOptions;
}

export interface Store {
  /** 16 hex digits, new for each start. */
  readonly incarnation: string;
  /** Runs a transaction, waiting for a bucket's deletion or an upload's completion that it meets. */
  readonly transact: Transact;
  readonly buckets: Buckets;
  readonly objects: Objects;
  readonly uploads: Uploads;
  readonly bodies: Bodies;
  readonly collector: Collector;
  /** Ends the background work. The engines are closed by whoever opened them, afterwards. */
  close(): Promise<void>;
}

const INLINE_BYTES_MAX = 16 * 1024;

/**
 * Opens the store on two engines: makes it when they are empty, undoes what a crash left half done, and begins to
 * collect what it left behind. No other store may be open on the same engines (the data folder's lock sees to it).
 * @throws DataFromNewerVersion, and an Error when the metadata is not cosbox's.
 */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { clock, random, inlineMax = INLINE_BYTES_MAX, report = () => {} } = options;
  const { metadata, blobs } = stoppingTogether(options);
  await checkFormat(metadata, clock);

  const ids = identities(blobs.incarnation);
  const pins = bodyPins(() => collecting.nudge());
  // One process uses the store, so every other incarnation is dead.
  const isAlive = (incarnation: string): boolean => incarnation === ids.incarnation;
  const isHeld = options.isHeld ?? (async () => false);
  const collecting = collector({ metadata, blobs, clock, pins, isAlive, isHeld, report });

  const settle = waiting(transactions(metadata, clock, options.transactions));
  /** Transactions leave work behind only in these runs; the collector is told when one has been stored. */
  const leaving = new WeakSet<Transaction>();
  const transact: Transact = async (queueOn, body) => {
    let left = false;
    const value = await settle(queueOn, async (tx) => {
      const result = await body(tx);
      left = leaving.has(tx);
      return result;
    });
    if (left) collecting.nudge();
    return value;
  };

  const stored = bodies({ metadata, blobs, transact, identities: ids, pins, inlineMax });
  const noting: Bodies = {
    ...stored,
    release(tx, body) {
      leaving.add(tx);
      stored.release(tx, body);
    },
    leave(tx, garbage) {
      leaving.add(tx);
      stored.leave(tx, garbage);
    },
  };
  const store: Store = {
    incarnation: ids.incarnation,
    transact,
    bodies: noting,
    buckets: buckets({ metadata, transact, clock, random, identities: ids }),
    objects: objects({ metadata, clock, bodies: noting }),
    uploads: uploads({ metadata, transact, identities: ids, bodies: noting }),
    collector: collecting,
    async close() {
      await collecting.stop();
      await metadata.commit([], [{ key: incarnationKey(ids.incarnation), value: undefined }]);
    },
  };

  await metadata.commit(
    [],
    [{ key: incarnationKey(ids.incarnation), value: encodeIncarnation({ startedMs: clock.now() }) }],
  );
  await recover(metadata, store, isAlive);
  collecting.nudge();
  collecting.sweep();
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

/** Undoes the work that dead processes left half done. A crash in here leaves the rest to the next start. */
async function recover(metadata: MetadataEngine, store: Store, isAlive: (incarnation: string) => boolean) {
  await eachRow(metadata, "intent", async ({ key, value }) => {
    if (isAlive(incarnationOf(key))) return;
    await undo(store, key, decodeIntent(value));
  });
  await eachRow(metadata, "incarnation", async ({ key }) => {
    if (!isAlive(incarnationOf(key))) await metadata.commit([], [{ key, value: undefined }]);
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
