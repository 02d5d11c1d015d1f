/**
 * Walking through everything that a bucket holds, for work in the background. Pages are of rows as they are stored,
 * each from one snapshot; whoever acts on a row reads it again in the transaction that acts. Rows that are damaged are
 * passed over: nothing is done to what cannot be read.
 */
import type { MetadataEngine, Row } from "../ports/metadata.ts";
import {
  after,
  BUCKET_FAMILY_BYTES,
  bucketPrefix,
  familyRange,
  prefixRange,
  splitUploadKey,
  splitVersionKey,
} from "./keys.ts";
import {
  type BucketRecord,
  decodeBucket,
  decodeDeleteMarker,
  decodeObjectHead,
  decodeUpload,
  type DeleteMarkerRecord,
  isDeleteMarker,
  type ObjectHead,
  type UploadRecord,
} from "./records.ts";
import { readRows } from "./read-rows.ts";

/** A page of rows, what each of them holds. */
export interface WalkedPage<T> {
  readonly items: readonly T[];
  /** Rows that cannot be read, or hold what cannot. */
  readonly unreadable: number;
  /** Where the next page begins; undefined after the last one. */
  readonly next: Buffer | undefined;
}

export interface WalkedObject {
  readonly key: string;
  readonly head: ObjectHead;
}

/** A row of family `version`; in the order of keys, the newest of a key first. */
export interface WalkedVersion {
  readonly row: Buffer;
  readonly key: string;
  readonly version: ObjectHead | DeleteMarkerRecord;
}

export interface WalkedUpload {
  readonly key: string;
  readonly uploadId: string;
  readonly record: UploadRecord;
}

/** Pages of at most `limit` rows, from `from` on; undefined from the beginning. */
export interface Walk {
  /** All buckets, in the order of their names. */
  buckets(from: Buffer | undefined, limit: number): Promise<WalkedPage<BucketRecord>>;
  objects(bucketId: string, from: Buffer | undefined, limit: number): Promise<WalkedPage<WalkedObject>>;
  versions(bucketId: string, from: Buffer | undefined, limit: number): Promise<WalkedPage<WalkedVersion>>;
  uploads(bucketId: string, from: Buffer | undefined, limit: number): Promise<WalkedPage<WalkedUpload>>;
}

export function walk(metadata: MetadataEngine): Walk {
  async function page<T>(
    all: ReturnType<typeof prefixRange>,
    from: Buffer | undefined,
    decode: (row: Row) => T,
  ): Promise<WalkedPage<T>> {
    let unreadable = 0;
    const range = from === undefined ? all : { ...all, start: from };
    const rows = await readRows(metadata, range, () => {
      unreadable += 1;
    });
    const items: T[] = [];
    for (const row of rows) {
      try {
        items.push(decode(row));
      } catch {
        unreadable += 1;
      }
    }
    const last = rows.at(-1);
    return { items, unreadable, next: last && rows.length >= range.limit ? after(last.key) : undefined };
  }

  return {
    buckets: (from, limit) => page(familyRange("bucket", limit), from, ({ value }) => decodeBucket(value)),
    objects: (bucketId, from, limit) =>
      page(prefixRange(bucketPrefix("object", bucketId), limit), from, ({ key, value }) => ({
        key: key.toString("utf8", BUCKET_FAMILY_BYTES),
        head: decodeObjectHead(value),
      })),
    versions: (bucketId, from, limit) =>
      page(prefixRange(bucketPrefix("version", bucketId), limit), from, ({ key, value }) => ({
        row: key,
        key: splitVersionKey(key.subarray(BUCKET_FAMILY_BYTES)).key,
        version: isDeleteMarker(value) ? decodeDeleteMarker(value) : decodeObjectHead(value),
      })),
    uploads: (bucketId, from, limit) =>
      page(prefixRange(bucketPrefix("upload", bucketId), limit), from, ({ key, value }) => ({
        ...splitUploadKey(key.subarray(BUCKET_FAMILY_BYTES)),
        record: decodeUpload(value),
      })),
  };
}
