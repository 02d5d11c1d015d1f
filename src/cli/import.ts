/** `cosbox import`: a folder becomes objects of a bucket, exactly those of an export where it is one. */

import { decodeGrants } from "../access/acl.ts";
import { placeObjectAcl, setBucketAcl } from "../features/acl/model.ts";
import { existsSync, statSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import path from "node:path";
import type { LoadedSettings } from "../config/load-settings.ts";
import { type Settings, SettingsError } from "../config/settings.ts";
import { localBlobs } from "../engines/blobs/local.ts";
import { systemClock } from "../engines/clock/system.ts";
import { isDataHeld } from "../engines/data-hold.ts";
import { lockFolder } from "../engines/folder-lock.ts";
import { lmdbMetadata } from "../engines/metadata/lmdb.ts";
import { systemRandom } from "../engines/random/system.ts";
import { sealKeyOf } from "../engines/seal-key/seal-key-of.ts";
import { CosError } from "../errors/cos-error.ts";
import { methodFor } from "../features/encryption/model.ts";
import { storedHeaders } from "../features/object/model.ts";
import { bucketNameFault, keyFault } from "../operations/name-rules.ts";
import { type BodySource, type IngestedBody, keeping } from "../store/bodies.ts";
import type { EncryptionMethod } from "../store/encryption.ts";
import { objectKey } from "../store/keys.ts";
import type { NewObject } from "../store/objects.ts";
import type { BucketRecord } from "../store/records.ts";
import { openStore, type Store } from "../store/store.ts";
import { reasonOf } from "./export.ts";
import { EXPORT_FOLDER, SIDECAR } from "./export-names.ts";
import { chunksOf, eachAtOnce, filesBelow, openToRead, pathInside } from "./files.ts";
import { metadataFolder } from "./open-data.ts";
import { progress } from "./progress.ts";
import { bytesText, countOf, durationText, printable } from "./quantities.ts";
import type { Shell } from "./run.ts";
import { readSidecar, type SidecarBucket, type SidecarObject } from "./sidecar.ts";
import { prepareDataFolder } from "./start-fault.ts";

/** Files under way at once: they share the commits, and each commit waits for the disk. */
const IMPORTS_AT_ONCE = 64;

/** Why one file was not imported; the others are. */
class Refused extends Error {}

/** A file and the object it becomes. */
interface Wanted {
  readonly key: string;
  readonly file: string;
  /** What the export says of it; undefined in a plain folder. */
  readonly listed: SidecarObject | undefined;
}

/** Exit code 0 when every file has become an object; 1 otherwise, with a line for each that has not. */
export async function importFolder(
  { settings }: LoadedSettings,
  source: string,
  bucketName: string,
  shell: Shell,
): Promise<number> {
  const folder = path.resolve(shell.cwd(), source);
  if (!existsSync(folder) || !statSync(folder).isDirectory()) throw new SettingsError(`there is no folder ${folder}`);
  if (settings.memory) throw new SettingsError("--memory: an import needs a data folder; name one with --data");
  const started = performance.now();
  const sidecar = existsSync(path.join(folder, SIDECAR)) ? await readSidecar(path.join(folder, SIDECAR)) : undefined;

  prepareDataFolder(settings.data);
  const lock = await lockFolder(settings.data);
  const closers: (() => Promise<void>)[] = [() => lock.release()];
  const totals = { objects: 0, bytes: 0, failed: 0, skipped: 0 };
  const bar = progress(shell, { label: "importing", total: undefined, unit: "bytes" });
  const fail = (name: string, why: string): void => {
    totals.failed += 1;
    bar.line(`not imported: ${printable(name)}: ${printable(why)}`);
  };
  try {
    const store = await openWritable(settings, closers);
    const bucket = await bucketFor(store, bucketName, settings, sidecar?.bucket);
    const skip = (name: string): void => {
      totals.skipped += 1;
      bar.line(`passed over: ${printable(name)}: it is neither a file nor a folder`);
    };
    const wanted = sidecar === undefined ? plainFiles(folder, skip) : listedFiles(folder, sidecar.objects(), fail);
    await eachAtOnce(wanted, IMPORTS_AT_ONCE, async (one) => {
      try {
        totals.bytes += await importOne(store, bucket, one, settings);
        totals.objects += 1;
        bar.update(totals.bytes);
      } catch (error) {
        // What the store refuses is of this file alone too: an object that is locked, a key that is not at hand.
        if (error instanceof CosError) fail(one.key, reasonOf(error));
        else if (error instanceof Refused) fail(one.key, error.message);
        else throw error;
      }
    });
  } finally {
    bar.end();
    for (const close of closers.reverse()) await close();
  }
  shell.stdout.write(
    `imported ${countOf(totals.objects, "object")} of ${bytesText(totals.bytes)} into ${bucketName} in ` +
      `${durationText(performance.now() - started)}${totals.failed > 0 ? `; ${countOf(totals.failed, "file")} not imported` : ""}\n`,
  );
  return totals.failed === 0 ? 0 : 1;
}

async function openWritable(settings: Settings, closers: (() => Promise<void>)[]): Promise<Store> {
  const { data, durability, limits } = settings;
  const random = systemRandom();
  const metadata = await lmdbMetadata({ folder: metadataFolder(data), random, durability });
  closers.push(() => metadata.close());
  const { segmentBytesMax } = limits;
  const blobs = await localBlobs({ folder: data, random, durability, segmentBytesMax });
  closers.push(() => blobs.close());
  const store = await openStore({
    metadata,
    blobs,
    clock: systemClock(),
    random,
    inlineMax: limits.inlineBytesMax,
    sealKey: sealKeyOf(settings, random),
    isHeld: () => isDataHeld(data),
  });
  closers.push(() => store.close());
  return store;
}

/** The bucket, made for the root account where there is none. */
async function bucketFor(
  store: Store,
  name: string,
  settings: Settings,
  exported: SidecarBucket | undefined,
): Promise<BucketRecord> {
  const present = await store.buckets.find(name);
  if (present) return present;
  const { appid, limits, uin } = settings;
  const region = exported?.region ?? settings.region;
  const fault = bucketNameFault(name, region, limits.bucketHostCharsMax);
  if (fault !== undefined || !name.endsWith(`-${appid}`)) {
    throw new SettingsError(
      `a bucket cannot be called ${JSON.stringify(name)}; names are lower-case letters, digits and hyphens, ` +
        `then -${appid}`,
    );
  }
  const acl = exported?.acl ?? "private";
  const grants = decodeGrants(exported?.grants ?? []);
  const made = await store.buckets.create(
    { name, ownerUin: uin, ownerAppid: appid, region, acl },
    limits.bucketsPerAccount,
    [],
    async (tx, bucket) =>
      await setBucketAcl({ tx, configurations: store.configurations, limits }, bucket, { canned: acl, ...grants }),
  );
  if (made.kind === "full") throw new SettingsError(`account ${uin} has all the buckets it may have`);
  return made.bucket;
}

async function* plainFiles(folder: string, skip: (name: string) => void): AsyncGenerator<Wanted> {
  for await (const name of filesBelow(folder, skip)) {
    // An export without its list is a plain folder, but what is left of the list is no object.
    if (name.startsWith(`${EXPORT_FOLDER}/`)) continue;
    yield { key: name, file: path.join(folder, name), listed: undefined };
  }
}

async function* listedFiles(
  folder: string,
  objects: AsyncIterable<SidecarObject>,
  fail: (name: string, why: string) => void,
): AsyncGenerator<Wanted> {
  for await (const listed of objects) {
    const file = await pathInside(folder, listed.file);
    if (file === undefined) fail(listed.key, `the list puts it outside of the folder, at ${listed.file}`);
    else yield { key: listed.key, file, listed };
  }
}

/** Stores one file and gives its size. */
async function importOne(
  store: Store,
  bucket: BucketRecord,
  { key, file, listed }: Wanted,
  { limits }: Settings,
): Promise<number> {
  if (keyFault(key, listed === undefined, limits.keyBytesMax) !== undefined) {
    throw new Refused("no object can have this key");
  }
  const { handle, size, modifiedMs } = await openSource(file);
  try {
    if (listed && size !== listed.size) throw new Refused(changed(`${size} bytes`, `${listed.size}`));
    const method = listed ? methodOf(listed) : await methodFor({ bucket, store }, undefined);
    const dataKey = method && (await store.encryption.create(method));
    const ingested = await store.bodies.ingest(sourceOf(handle, size), {
      bytesMax: limits.objectBytesMax,
      over: "EntityTooLarge",
      dataKey: dataKey?.bytes,
    });
    const record = listed ? recordOf(ingested, listed, bucket) : plainRecord(ingested, key, modifiedMs, bucket);
    if (record === undefined) {
      await ingested.discard();
      throw new Refused(changed("other bytes", "those of its checksum"));
    }
    await keeping(ingested, () =>
      store.transact([objectKey(bucket.id, key)], async (tx) => {
        const present = await store.buckets.require(tx, bucket.name);
        if (present?.id !== bucket.id) throw new Error(`bucket ${bucket.name} is gone`);
        await ingested.addTo(tx);
        const stored = await store.objects.put(tx, present, key, { ...record, dataKey });
        await placeObjectAcl({ tx, configurations: store.configurations, limits }, present, key, stored);
      }),
    );
    return size;
  } finally {
    await handle.close();
  }
}

/** As it was encrypted before, under the keys of this store. */
function methodOf({ encryption }: SidecarObject): EncryptionMethod | undefined {
  if (encryption === undefined) return undefined;
  return encryption === "service"
    ? { kind: "service" }
    : { kind: "kms", keyId: undefined, context: undefined, parsed: {} };
}

function changed(found: string, listed: string): string {
  return `the file has ${found}, not ${listed}, and so has changed since the export; to import what it holds now, remove its line, or the whole list`;
}

async function openSource(file: string) {
  try {
    const handle = await openToRead(file);
    const found = await handle.stat();
    if (found.isFile()) return { handle, size: found.size, modifiedMs: Math.max(0, Math.floor(found.mtimeMs)) };
    await handle.close();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new Refused("its file is missing");
    if (code !== "ELOOP" && code !== "EACCES" && code !== "EISDIR") throw error;
  }
  throw new Refused("this is no file that can be read");
}

function sourceOf(handle: FileHandle, size: number): BodySource {
  return {
    declaredLength: size,
    stream: () => chunksOf(handle, size),
    async collect() {
      const bytes = Buffer.alloc(size);
      let got = 0;
      for (let at = -1; at !== got; ) {
        at = got;
        got += (await handle.read(bytes, got, size - got, got)).bytesRead;
      }
      return bytes.subarray(0, got);
    },
  };
}

/** The object as it was exported; undefined when the bytes are not those it had. */
function recordOf(ingested: IngestedBody, listed: SidecarObject, { ownerUin }: BucketRecord): NewObject | undefined {
  if (String(ingested.crc64) !== listed.crc64 || ingested.size !== listed.size) return undefined;
  const { etag, modifiedMs, type, storageClass, headers, metadata } = listed;
  return {
    size: ingested.size,
    modifiedMs,
    etag,
    crc64: ingested.crc64,
    storageClass,
    type,
    ownerUin,
    headers,
    metadata,
    body: ingested.body,
    sections: listed.sections.map(([tag, bytes]) => ({ tag, bytes: Buffer.from(bytes, "base64") })),
  };
}

const NO_HEADERS = {
  contentType: undefined,
  cacheControl: undefined,
  contentDisposition: undefined,
  contentEncoding: undefined,
  contentLanguage: undefined,
  expires: undefined,
};

function plainRecord(ingested: IngestedBody, key: string, modifiedMs: number, { ownerUin }: BucketRecord): NewObject {
  return {
    size: ingested.size,
    modifiedMs,
    etag: ingested.md5.toString("hex"),
    crc64: ingested.crc64,
    storageClass: "STANDARD",
    type: "normal",
    ownerUin,
    headers: storedHeaders(NO_HEADERS, key),
    metadata: [],
    body: ingested.body,
    sections: [],
  };
}
