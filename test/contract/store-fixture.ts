/** Stores to test against: the same functions over the memory engines and over the ones on disk. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { localBlobs } from "../../src/engines/blobs/local.ts";
import { memoryBlobs } from "../../src/engines/blobs/memory.ts";
import { systemClock } from "../../src/engines/clock/system.ts";
import { lmdbMetadata } from "../../src/engines/metadata/lmdb.ts";
import { memoryMetadata } from "../../src/engines/metadata/memory.ts";
import { systemRandom } from "../../src/engines/random/system.ts";
import { refuse } from "../../src/errors/cos-error.ts";
import type { BlobEngine } from "../../src/ports/blobs.ts";
import type { MetadataEngine } from "../../src/ports/metadata.ts";
import type { Peers } from "../../src/ports/peers.ts";
import type { BodySource, PendingBody } from "../../src/store/bodies.ts";
import { keeping } from "../../src/store/bodies.ts";
import type { Body, BucketRecord, ObjectRecord, Versioning } from "../../src/store/records.ts";
import { ALONE, openStore, type Store, type StoreOptions } from "../../src/store/store.ts";
import type { NewObject, Removed } from "../../src/store/objects.ts";
import type { VersionId } from "../../src/store/version-id.ts";
import { makeUploadId, type UploadName } from "../../src/store/uploads.ts";

export interface Engines {
  readonly metadata: MetadataEngine;
  readonly blobs: BlobEngine;
}

/** Engines that a test can open, and open again as another process would after a crash. */
export interface Disk {
  /** Blobs of each opening have an incarnation of their own. */
  open(): Promise<Engines>;
}

/** Takes what has to be done when the test has ended; the last first. */
export type Cleanup = (task: () => Promise<void>) => void;

export const DISKS: readonly (readonly [name: string, make: (cleanup?: Cleanup) => Promise<Disk>])[] = [
  ["memory", async () => memoryDisk()],
  ["LMDB and local files", localDisk],
];

/** What is in memory outlives the store, not the process; each opening draws a new incarnation. */
export function memoryDisk(): Disk {
  const metadata = memoryMetadata();
  let blobs: BlobEngine | undefined;
  return {
    async open() {
      const random = systemRandom();
      // Each opening sees what all the earlier ones have stored.
      blobs = blobs === undefined ? memoryBlobs({ random }) : renamed(blobs, random.bytes(8).toString("hex"));
      return { metadata, blobs };
    },
  };
}

/** The blobs of `engine`, and new ones under another incarnation, as if another process had opened it. */
function renamed(engine: BlobEngine, incarnation: string): BlobEngine {
  const inner = new Map<string, string>();
  let count = 0;
  return {
    incarnation,
    async put(body, sizeHint) {
      const { id, size } = await engine.put(body, sizeHint);
      const outer = incarnation + (count++).toString(16).padStart(16, "0");
      inner.set(outer, id);
      return { id: outer, size };
    },
    read: (id, start, end) => engine.read(inner.get(id) ?? id, start, end),
    async remove(ids) {
      await engine.remove(ids.map((id) => inner.get(id) ?? id));
      for (const id of ids) inner.delete(id);
    },
    async list(after, limit) {
      const own = new Set(inner.values());
      const all = [...(await engine.list(undefined, 1_000_000))].filter((id) => !own.has(id));
      return [...all, ...inner.keys()]
        .sort()
        .filter((id) => after === undefined || id > after)
        .slice(0, limit);
    },
    close: () => engine.close(),
  };
}

export async function freshFolder(cleanup: Cleanup = onTestFinished): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cosbox-test-"));
  cleanup(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function localDisk(cleanup: Cleanup = onTestFinished): Promise<Disk> {
  const folder = await freshFolder(cleanup);
  let open: Engines | undefined;
  const close = async () => {
    await open?.blobs.close();
    await open?.metadata.close();
  };
  cleanup(close);
  return {
    async open() {
      await close();
      const random = systemRandom();
      open = {
        metadata: await lmdbMetadata({ folder: join(folder, "metadata"), random, durability: "none" }),
        blobs: await localBlobs({ folder, random, durability: "none" }),
      };
      return open;
    },
  };
}

/** Peers all of whom live, and who have nothing under way. */
export const ALIVE: Peers = { ...ALONE, isAlive: async () => true };

export type StoreExtras = Partial<Omit<StoreOptions, "metadata" | "blobs">>;

export async function openOn(
  engines: Engines,
  extras: StoreExtras = {},
  cleanup: Cleanup = onTestFinished,
): Promise<Store> {
  const store = await openStore({
    ...engines,
    clock: systemClock(),
    random: systemRandom(),
    // What a test did not expect to go wrong must not pass unnoticed.
    report: (error) => {
      throw error;
    },
    ...extras,
  });
  cleanup(async () => {
    await store.collector.stop();
  });
  return store;
}

/** A request's body of these bytes, in chunks of `chunk`, with or without a declared length. */
export function source(bytes: Buffer, options: { declared?: boolean; chunk?: number } = {}): BodySource {
  const { declared = true, chunk = 64 * 1024 } = options;
  return {
    declaredLength: declared ? bytes.length : undefined,
    async *stream() {
      for (let at = 0; at < bytes.length; at += chunk) yield Buffer.from(bytes.subarray(at, at + chunk));
    },
    async collect(bytesMax, over) {
      if (bytes.length > bytesMax) throw refuse(over);
      return Buffer.from(bytes);
    },
  };
}

/** Bytes that differ from place to place, and for each seed. */
export function pattern(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = seed * 2_654_435_761;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

export const OWNER = { ownerUin: "100000000001", ownerAppid: "1250000000" };

export async function makeBucket(store: Store, name = "demo-1250000000"): Promise<BucketRecord> {
  const made = await store.buckets.create({ ...OWNER, name, region: "ap-guangzhou", acl: "private" }, 200);
  if (made.kind !== "created") throw new Error(`bucket ${name}: ${made.kind}`);
  return made.bucket;
}

/** An object's record of these bytes, with nothing else that matters here. */
export function objectOf(body: Body, digests: { md5: Buffer; crc64: bigint } = NO_DIGESTS): NewObject {
  return {
    size: body.size,
    modifiedMs: 1_700_000_000_000,
    etag: digests.md5.toString("hex"),
    crc64: digests.crc64,
    storageClass: "STANDARD",
    type: "normal",
    ownerUin: OWNER.ownerUin,
    headers: {},
    metadata: [],
    body,
    sections: [],
  };
}

const NO_DIGESTS = { md5: Buffer.alloc(16), crc64: 0n };

/** Stores `pending` under a key as the features do: bucket row, previous version, body, row, in one transaction. */
export async function putPending(
  store: Store,
  bucketName: string,
  key: string,
  pending: PendingBody,
  digests: { md5: Buffer; crc64: bigint } = NO_DIGESTS,
): Promise<ObjectRecord> {
  return keeping(pending, () =>
    store.transact([Buffer.from(`${bucketName}/${key}`)], async (tx) => {
      const bucket = await store.buckets.require(tx, bucketName);
      if (!bucket) throw refuse("NoSuchBucket");
      await pending.addTo(tx);
      return store.objects.put(tx, bucket, key, objectOf(pending.body, digests));
    }),
  );
}

export async function put(store: Store, bucketName: string, key: string, bytes: Buffer): Promise<ObjectRecord> {
  const body = await store.bodies.ingest(source(bytes), { bytesMax: 2 ** 40, over: "EntityTooLarge" });
  return putPending(store, bucketName, key, body, body);
}

export async function get(store: Store, bucketId: string, key: string, start = 0, end?: number): Promise<Buffer> {
  const found = await store.objects.find(bucketId, key);
  if (!found) throw refuse("NoSuchKey");
  return bytesOf(store, found.record, start, end);
}

export async function bytesOf(store: Store, record: ObjectRecord, start = 0, end = record.size): Promise<Buffer> {
  const opened = await store.bodies.open(record.body, start, end);
  if (Buffer.isBuffer(opened)) return opened;
  const chunks: Buffer[] = [];
  for await (const chunk of opened) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

export async function copy(store: Store, bucketName: string, bucketId: string, from: string, to: string) {
  const found = await store.objects.find(bucketId, from);
  if (!found) throw refuse("NoSuchKey");
  const shared = await store.bodies.share(found.record.body, 0, found.record.size, found.source);
  return putPending(store, bucketName, to, shared);
}

export async function remove(
  store: Store,
  bucketName: string,
  key: string,
  ...versions: readonly (VersionId | undefined)[]
): Promise<readonly Removed[]> {
  return store.transact([Buffer.from(`${bucketName}/${key}`)], async (tx) => {
    const bucket = await store.buckets.require(tx, bucketName);
    if (!bucket) throw refuse("NoSuchBucket");
    const wanted = versions.length === 0 ? [undefined] : versions;
    const [fates = []] = await store.objects.remove(tx, bucket, [{ key, versions: wanted }], OWNER.ownerUin);
    return fates;
  });
}

/** Sets the state of versioning as the feature does. */
export async function setVersioning(store: Store, bucketName: string, versioning: Versioning): Promise<BucketRecord> {
  return store.transact([], async (tx) => {
    const bucket = await store.buckets.require(tx, bucketName);
    if (!bucket) throw refuse("NoSuchBucket");
    const changed = { ...bucket, versioning };
    store.buckets.put(tx, changed);
    return changed;
  });
}

export async function append(store: Store, bucketName: string, key: string, bytes: Buffer): Promise<ObjectRecord> {
  const added = await store.bodies.ingest(source(bytes), { bytesMax: 2 ** 40, over: "EntityTooLarge" });
  return keeping(added, () =>
    store.transact([Buffer.from(`${bucketName}/${key}`)], async (tx) => {
      const bucket = await store.buckets.require(tx, bucketName);
      if (!bucket) throw refuse("NoSuchBucket");
      const previous = await store.objects.findIn(tx, bucket.id, key);
      const body = await store.bodies.extend(tx, previous?.body, added);
      const appended = await store.objects.append(tx, bucket, key, { ...objectOf(body), type: "appendable" }, previous);
      if (!appended) throw refuse("ObjectNotAppendable");
      return appended;
    }),
  );
}

export async function startUpload(store: Store, bucketId: string, key: string): Promise<UploadName> {
  const name = { bucketId, key, uploadId: makeUploadId(1_700_000_000_000, systemRandom()) };
  await store.transact([], async (tx) =>
    store.uploads.create(tx, name, {
      initiatedMs: 1_700_000_000_000,
      ownerUin: OWNER.ownerUin,
      initiatorUin: OWNER.ownerUin,
      storageClass: "STANDARD",
      headers: { contentType: "text/plain" },
      metadata: [["a", "b"]],
      sections: [],
    }),
  );
  return name;
}

export async function putPart(store: Store, name: UploadName, number: number, bytes: Buffer): Promise<void> {
  const body = await store.bodies.ingest(source(bytes), { bytesMax: 2 ** 40, over: "EntityTooLarge" });
  await keeping(body, () =>
    store.transact([], async (tx) => {
      if (!(await store.uploads.require(tx, name))) throw refuse("NoSuchUpload");
      await body.addTo(tx);
      const part = {
        number,
        md5: body.md5.toString("hex"),
        crc64: body.crc64,
        modifiedMs: 1,
        body: body.body,
        sections: [],
      };
      await store.uploads.putPart(tx, name, part);
    }),
  );
}

/** Makes the object of those parts that `takes` says, all unless told. */
export async function complete(
  store: Store,
  bucketName: string,
  name: UploadName,
  takes: (number: number) => boolean = () => true,
): Promise<{ value: ObjectRecord } | undefined> {
  return store.uploads.complete(name, async (completion) => {
    const taken: number[] = [];
    async function* bodies() {
      for await (const part of completion.parts()) {
        if (!takes(part.number)) continue;
        taken.push(part.number);
        yield part.body;
      }
    }
    const body = await store.bodies.assemble(bodies(), completion.manifestId);
    return store.transact([], async (tx) => {
      const bucket = await store.buckets.require(tx, bucketName);
      if (!bucket) throw refuse("NoSuchBucket");
      await completion.publish(tx, taken);
      return store.objects.put(tx, bucket, name.key, objectOf(body));
    });
  });
}

/** Every key in the metadata store as text of its family and hex, but for those that are always there. */
export async function rowsOf(metadata: MetadataEngine): Promise<string[]> {
  const [rows = []] = await metadata.read([{ start: Buffer.from([0]), end: Buffer.from([0xff]), limit: 1_000_000 }]);
  return rows
    .map(({ key }) => `${String.fromCharCode(key[0] as number)} ${key.toString("hex", 1)}`)
    .filter((row) => !/^[fnbaA] /.test(row));
}
