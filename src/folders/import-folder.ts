/** A folder becomes objects of a bucket, exactly those of an export where it is one. */

import { decodeGrants } from "../access/acl.ts";
import { placeObjectAcl, setBucketAcl } from "../features/acl/model.ts";
import { existsSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import path from "node:path";
import { type Settings, SettingsError } from "../config/settings.ts";
import { CosError } from "../errors/cos-error.ts";
import { methodFor } from "../features/encryption/model.ts";
import { storedHeaders } from "../features/object/model.ts";
import type { Limits } from "../limits.ts";
import { bucketNameFault, keyFault } from "../operations/name-rules.ts";
import { type BodySource, type IngestedBody, keeping } from "../store/bodies.ts";
import type { DataKey, EncryptionMethod } from "../store/encryption.ts";
import { objectKey } from "../store/keys.ts";
import type { NewObject } from "../store/objects.ts";
import type { BucketRecord } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import { placeSettings } from "./bucket-settings.ts";
import { EXPORT_FOLDER, SIDECAR } from "./export-names.ts";
import { chunksOf, eachAtOnce, filesBelow, openToRead, pathInside } from "./files.ts";
import { readSidecar, type Sidecar, type SidecarBucket, type SidecarObject } from "./sidecar.ts";

/** Files under way at once: they share the commits, and each commit waits for the disk. */
const IMPORTS_AT_ONCE = 64;
const MD5_DIGITS = 32;

/** Why one file was not imported; the others are. */
class Refused extends Error {}

/** A file and the object it becomes. */
interface Wanted {
  readonly key: string;
  readonly file: string;
  /** What the export says of it; undefined in a plain folder. */
  readonly listed: SidecarObject | undefined;
}

/** What a refusal said, and what that was caused by: where there is no key, the words of the key ring. */
export function reasonOf(error: CosError): string {
  const causes: string[] = [];
  for (let at: unknown = error; at instanceof Error; at = at.cause) causes.push(at.message);
  return causes.join(" ");
}

/** What is told on the way. */
export interface ImportProgress {
  /** Files that have become objects, and their bytes. */
  readonly onStored?: (bytes: number) => void;
  /** One that has not, and why. The others go on. */
  readonly onRefused: (name: string, why: string) => void;
  /** What is neither a file nor a folder. */
  readonly onSpecial?: (name: string) => void;
  /** Whether a file of a plain folder becomes no object; by default each does. */
  readonly isLeftOut?: (name: string) => boolean;
}

/** Makes objects of the files in `folder`, exactly those of the export where `list` is the list of one. */
export async function importInto(
  store: Store,
  bucket: BucketRecord,
  folder: string,
  list: Sidecar | undefined,
  { limits, onStored, onRefused, onSpecial, isLeftOut }: ImportProgress & { readonly limits: Limits },
): Promise<void> {
  const special = (name: string): void => onSpecial?.(name);
  const wanted =
    list === undefined ? plainFiles(folder, special, isLeftOut) : listedFiles(folder, list.objects(), onRefused);
  await eachAtOnce(wanted, IMPORTS_AT_ONCE, async (one) => {
    try {
      onStored?.(await importOne(store, bucket, one, limits));
    } catch (error) {
      // What the store refuses is of this file alone too: an object that is locked, a key that is not at hand.
      if (error instanceof CosError) onRefused(one.key, reasonOf(error));
      else if (error instanceof Refused) onRefused(one.key, error.message);
      else throw error;
    }
  });
}

/** The list of an export; undefined in a plain folder. @throws SettingsError for one that cannot be read. */
export async function listOf(folder: string): Promise<Sidecar | undefined> {
  const file = path.join(folder, SIDECAR);
  return existsSync(file) ? await readSidecar(file) : undefined;
}

/** The bucket, made for the root account and as it was exported where there is none. @throws SettingsError where it cannot be. */
export async function bucketFor(
  store: Store,
  name: string,
  settings: Pick<Settings, "appid" | "limits" | "region" | "uin">,
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
    async (tx, bucket) => {
      const placing = { tx, configurations: store.configurations, limits };
      const configured = exported === undefined ? bucket : await placeSettings(placing, bucket, exported);
      await setBucketAcl(placing, configured, { canned: acl, ...grants });
    },
  );
  if (made.kind === "full") throw new SettingsError(`account ${uin} has all the buckets it may have`);
  return (await store.buckets.find(name)) ?? made.bucket;
}

async function* plainFiles(
  folder: string,
  skip: (name: string) => void,
  isLeftOut: (name: string) => boolean = () => false,
): AsyncGenerator<Wanted> {
  for await (const name of filesBelow(folder, skip)) {
    // An export without its list is a plain folder, but what is left of the list is no object.
    if (name.startsWith(`${EXPORT_FOLDER}/`) || isLeftOut(name)) continue;
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
  limits: Limits,
): Promise<number> {
  if (keyFault(key, listed === undefined, limits.keyBytesMax) !== undefined) {
    throw new Refused("no object can have this key");
  }
  const { handle, size, modifiedMs } = await openSource(file);
  try {
    if (listed && size !== listed.size) throw new Refused(changed(`${size} bytes`, `${listed.size}`));
    // What was not encrypted is encrypted as a PUT of it would be.
    const method = await methodFor({ bucket, store }, listed && methodOf(listed));
    const dataKey = method && (await store.encryption.create(method));
    const ingested = await store.bodies.ingest(sourceOf(handle, size), {
      bytesMax: limits.objectBytesMax,
      over: "EntityTooLarge",
      dataKey: dataKey?.bytes,
    });
    const record = listed
      ? recordOf(ingested, listed, bucket, dataKey)
      : plainRecord(ingested, key, modifiedMs, bucket, dataKey);
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

/** The ETag of a body that is stored now, 32 hex digits. */
function etagOf({ md5 }: IngestedBody, dataKey: DataKey | undefined): string {
  return dataKey?.etagOf(md5) ?? md5.toString("hex");
}

/**
 * The object as it was exported; undefined when the bytes are not those it had. Only its ETag is another where it tells
 * the MD5 of what is from now on encrypted under a key of a key management service; how many parts it had still stands there.
 */
function recordOf(
  ingested: IngestedBody,
  listed: SidecarObject,
  { ownerUin }: BucketRecord,
  dataKey: DataKey | undefined,
): NewObject | undefined {
  if (String(ingested.crc64) !== listed.crc64 || ingested.size !== listed.size) return undefined;
  const isHidden = dataKey?.shown.kind === "kms" && listed.encryption !== "kms";
  const etag = isHidden ? etagOf(ingested, dataKey) + listed.etag.slice(MD5_DIGITS) : listed.etag;
  const { modifiedMs, type, storageClass, headers, metadata } = listed;
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

function plainRecord(
  ingested: IngestedBody,
  key: string,
  modifiedMs: number,
  { ownerUin }: BucketRecord,
  dataKey: DataKey | undefined,
): NewObject {
  return {
    size: ingested.size,
    modifiedMs,
    etag: etagOf(ingested, dataKey),
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
