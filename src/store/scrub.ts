/**
 * Reads every object, every older version and every part of an open upload from its first byte to its last: each block and each row against
 * its checksum, and the whole against the CRC-64 that was told to the client, so that pieces which are sound but not
 * these pieces are found as well. Blobs that several objects share are read for each of them.
 */
import { BlobDamaged, type BlobEngine } from "../ports/blobs.ts";
import { type MetadataEngine, pointRange, type Row, RowDamaged } from "../ports/metadata.ts";
import { bodies, BodyVanished } from "./bodies.ts";
import { bodyPins } from "./body-pins.ts";
import { RecordDamaged } from "./bytes.ts";
import { crc64Continue } from "./crc64.ts";
import { shownEncryption } from "./encryption.ts";
import { IdTable, uploadTableId } from "./id-table.ts";
import { BUCKET_FAMILY_BYTES, familyRange, partNumberOf, splitUploadKey, splitVersionKey } from "./keys.ts";
import { eachRowIn, readRows } from "./read-rows.ts";
import {
  type Body,
  decodeBucket,
  decodeObject,
  decodeObjectHead,
  decodePart,
  isDeleteMarker,
  RecordFromNewerVersion,
  type Section,
} from "./records.ts";
import { isUploadId } from "./uploads.ts";
import { versionIdOf } from "./version-id.ts";

export interface ScrubSources {
  /** Each read is as of now: a scrub may take hours, and a snapshot would hold up the writer's free pages. */
  readonly metadata: Pick<MetadataEngine, "read">;
  readonly blobs: Pick<BlobEngine, "read">;
}

export interface ScrubOptions {
  /** Called after every chunk with its bytes; the next one waits for it. */
  readonly pace?: (bytes: number) => Promise<void> | void;
  readonly onProgress?: (progress: ScrubTotals) => void;
  readonly onDamage?: (damage: ScrubDamage) => void;
  /** Waits a moment before something that seems damaged is read again. */
  readonly pause?: () => Promise<void>;
}

/** An object or a part that cannot be read as it was stored. */
export interface ScrubDamage {
  /** `object <bucket>/<key>`, `part <number> of upload <id> in <bucket>`. */
  readonly where: string;
  readonly why: string;
  /** The blob in which the damage was met, if it was met in one. */
  readonly blob: string | undefined;
}

export interface ScrubTotals {
  /** Objects and parts read. */
  readonly bodies: number;
  /** Bytes read. */
  readonly bytes: number;
  readonly damaged: number;
}

const PAGE_ROWS = 100;
/** Times that something which keeps changing while it is read is begun again. */
const ATTEMPTS_MAX = 5;

function ignore(): void {}

/** Bytes of all objects and parts, and how many there are, for whoever shows progress. */
export async function scrubSize({
  metadata,
}: Pick<ScrubSources, "metadata">): Promise<{ bodies: number; bytes: number }> {
  let bytes = 0;
  let count = 0;
  for (const family of ["object", "version", "part"] as const) {
    await eachRowIn(metadata, familyRange(family, PAGE_ROWS), ignore, ({ value }) => {
      if (family === "version" && isDeleteMarker(value)) return;
      count += 1;
      const size = quietly(() => (family === "part" ? decodePart(value).body.size : decodeObjectHead(value).size));
      bytes += size ?? 0;
    });
  }
  return { bodies: count, bytes };
}

/** Reads everything once. What the engines throw, but for damage, ends it. */
export async function scrubStore(sources: ScrubSources, options: ScrubOptions = {}): Promise<ScrubTotals> {
  const { metadata } = sources;
  const { pace, onProgress, onDamage, pause } = options;
  const reader = bodyReader(sources);
  const totals = { bodies: 0, bytes: 0, damaged: 0 };
  const names = new Map<string, string>();
  await eachRowIn(metadata, familyRange("bucket", PAGE_ROWS), ignore, ({ value }) => {
    const bucket = quietly(() => decodeBucket(value));
    if (bucket) names.set(bucket.id, bucket.name);
  });

  /** Undefined when every byte is as it was stored. */
  async function faultOf({ body, crc64, sections }: Told): Promise<Omit<ScrubDamage, "where"> | undefined> {
    // What is sealed is held against the checksums of its blocks and rows alone: the keys are not at hand.
    const isSealed = shownEncryption(sections) !== undefined || body.pieces.some(({ seal }) => seal !== undefined);
    let crc = 0n;
    try {
      for await (const chunk of reader.readStored(body)) {
        if (!isSealed) crc = crc64Continue(crc, chunk);
        totals.bytes += chunk.length;
        const waited = pace?.(chunk.length);
        if (waited) await waited;
        onProgress?.(totals);
      }
    } catch (error) {
      if (error instanceof BlobDamaged) return { why: error.message, blob: error.blob };
      if (error instanceof BodyVanished) return { why: "a part of its bytes is missing", blob: undefined };
      if (isUnreadable(error)) return { why: error.message, blob: undefined };
      throw error;
    }
    if (isSealed || crc === crc64) return undefined;
    return { why: `its bytes do not match its checksum (CRC-64 ${crc}, not ${crc64})`, blob: undefined };
  }

  async function scrub(first: Row, read: (value: Buffer) => Told, where: () => string): Promise<void> {
    totals.bodies += 1;
    let { value } = first;
    let suspected = false;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const before = totals.bytes;
      let fault: Omit<ScrubDamage, "where"> | undefined;
      try {
        fault = await faultOf(read(value));
      } catch (error) {
        if (!isUnreadable(error)) throw error;
        fault = { why: error.message, blob: undefined };
      }
      if (fault === undefined) return;
      await pause?.();
      const [now] = (await readRows(metadata, pointRange(first.key), ignore)).map((row) => row.value);
      // Gone, or replaced while it was read: then what was read was on its way out.
      if (now === undefined) return;
      const same = now.equals(value);
      if (same && (suspected || pause === undefined)) {
        totals.damaged += 1;
        onDamage?.({ where: where(), ...fault });
        return;
      }
      suspected = same;
      value = now;
      totals.bytes = before;
    }
  }

  const bucketOf = (key: Buffer): string => {
    const id = key.toString("hex", 1, BUCKET_FAMILY_BYTES);
    return names.get(id) ?? `(bucket id ${id})`;
  };
  const objectAt = (key: Buffer): string => `object ${bucketOf(key)}/${key.toString("utf8", BUCKET_FAMILY_BYTES)}`;
  const partAt = (key: Buffer): string => {
    const upload = key.toString("latin1", BUCKET_FAMILY_BYTES, key.length - 3);
    return `part ${partNumberOf(key)} of upload ${upload} in ${bucketOf(key)}`;
  };
  const spoilt = (where: (key: Buffer) => string) => (key: Buffer) => {
    totals.bodies += 1;
    totals.damaged += 1;
    onDamage?.({ where: where(key), why: new RowDamaged(key).message, blob: undefined });
  };
  await eachRowIn(metadata, familyRange("object", PAGE_ROWS), spoilt(objectAt), (row) =>
    scrub(row, decodeObject, () => objectAt(row.key)),
  );
  const versionAt = (key: Buffer): string => {
    const named = quietly(() => splitVersionKey(key.subarray(BUCKET_FAMILY_BYTES)));
    if (!named) return `a version in ${bucketOf(key)}`;
    const id = versionIdOf({ sequence: named.sequence, versioned: true });
    return `version ${id} of object ${bucketOf(key)}/${named.key}`;
  };
  await eachRowIn(metadata, familyRange("version", PAGE_ROWS), spoilt(versionAt), (row) =>
    isDeleteMarker(row.value) ? undefined : scrub(row, decodeObject, () => versionAt(row.key)),
  );
  // Parts of an upload that has ended wait for the collector, or have had their bytes taken over.
  const open = new IdTable(32);
  const noteUpload = (key: Buffer): void => {
    const named = quietly(() => splitUploadKey(key.subarray(BUCKET_FAMILY_BYTES)));
    if (named && isUploadId(named.uploadId)) open.add(uploadTableId(named.uploadId));
  };
  await eachRowIn(metadata, familyRange("upload", PAGE_ROWS), noteUpload, ({ key }) => noteUpload(key));
  await eachRowIn(metadata, familyRange("part", PAGE_ROWS), spoilt(partAt), (row) => {
    const upload = row.key.toString("latin1", BUCKET_FAMILY_BYTES, row.key.length - 3);
    if (!isUploadId(upload) || !open.has(uploadTableId(upload))) return;
    return scrub(row, decodePart, () => partAt(row.key));
  });
  onProgress?.(totals);
  return totals;
}

/** A body and the checksum of all of it. */
interface Told {
  readonly body: Body;
  readonly crc64: bigint;
  readonly sections: readonly Section[];
}

/** Reads bodies beside a store that somebody else may have open: nothing is pinned, and nothing can be written. */
export function bodyReader({ metadata, blobs }: ScrubSources): Pick<ReturnType<typeof bodies>, "read" | "readStored"> {
  const never = async (): Promise<never> => {
    throw new Error("this only reads");
  };
  return bodies({
    metadata: { ...metadata, read: (ranges) => metadata.read(ranges), commit: never, close: async () => {} },
    blobs: {
      incarnation: "",
      read: (id, start, end) => blobs.read(id, start, end),
      put: never,
      remove: never,
      list: never,
      close: async () => {},
    },
    transact: never,
    identities: { incarnation: "", next: () => "", number: () => 0 },
    pins: bodyPins(() => {}),
    inlineMax: 0,
    onLeft() {},
  });
}

function isUnreadable(error: unknown): error is RecordDamaged | RecordFromNewerVersion | RowDamaged {
  return [RecordDamaged, RecordFromNewerVersion, RowDamaged].some((kind) => error instanceof kind);
}

function quietly<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (!isUnreadable(error)) throw error;
    return undefined;
  }
}
