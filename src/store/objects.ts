/** The current versions of objects: one row each, and the rules for replacing it. */
import type { Clock } from "../ports/clock.ts";
import { type MetadataEngine, pointRange } from "../ports/metadata.ts";
import type { Bodies, SourceRow } from "./bodies.ts";
import { BUCKET_FAMILY_BYTES, bucketPrefix, canName, objectKey } from "./keys.ts";
import { listKeys, type ListQuery } from "./listing.ts";
import { decodeObject, decodeObjectHead, encodeObject, type ObjectHead, type ObjectRecord } from "./records.ts";
import type { Transaction } from "./transact.ts";

/** An object and the row it was read from: what `bodies.share` wants to know. */
export interface FoundObject {
  readonly record: ObjectRecord;
  readonly source: SourceRow;
}

/** An object that has no sequence yet. */
export type NewObject = Omit<ObjectRecord, "sequence">;

export interface ListedObject {
  readonly key: string;
  readonly head: ObjectHead;
}

export interface ObjectPage {
  readonly objects: readonly ListedObject[];
  readonly prefixes: readonly string[];
  readonly truncated: boolean;
  /** The last key or common prefix of the page, when there is more: the marker of the next page. */
  readonly nextMarker: string | undefined;
}

export interface Objects {
  /** The current version of an object, read at this moment. */
  find(bucketId: string, key: string): Promise<FoundObject | undefined>;
  /** The same in a transaction, which then depends on it. */
  findIn(tx: Transaction, bucketId: string, key: string): Promise<ObjectRecord | undefined>;
  /** Several in a transaction, from one snapshot, in the order asked. */
  findManyIn(
    tx: Transaction,
    bucketId: string,
    keys: readonly string[],
  ): Promise<readonly (ObjectRecord | undefined)[]>;
  /**
   * Stores the object in place of `previous`, which this transaction has read, and releases the bytes of `previous`
   * unless they are `kept` (the new record has the same body, or one that grew out of it). Gives the record its
   * sequence, anew in each run. The body itself is the caller's to add (`PendingBody.addTo`).
   */
  put(
    tx: Transaction,
    bucketId: string,
    key: string,
    record: NewObject,
    previous: ObjectRecord | undefined,
    previousBody?: "released" | "kept",
  ): ObjectRecord;
  /** Removes the object, which this transaction has read, and releases its bytes. */
  remove(tx: Transaction, bucketId: string, key: string, previous: ObjectRecord): void;
  list(bucketId: string, query: ListQuery): Promise<ObjectPage>;
}

export interface ObjectsOptions {
  readonly metadata: MetadataEngine;
  readonly clock: Clock;
  readonly bodies: Bodies;
}

export function objects({ metadata, clock, bodies }: ObjectsOptions): Objects {
  return {
    async find(bucketId, key) {
      if (!canName(key)) return undefined;
      const row = objectKey(bucketId, key);
      const [rows] = await metadata.read([pointRange(row)]);
      const value = rows?.[0]?.value;
      return value && { record: decodeObject(value), source: { key: row, value } };
    },

    async findIn(tx, bucketId, key) {
      const value = await tx.get(objectKey(bucketId, key));
      return value && decodeObject(value);
    },

    async findManyIn(tx, bucketId, keys) {
      const values = await tx.getMany(keys.map((key) => objectKey(bucketId, key)));
      return values.map((value) => value && decodeObject(value));
    },

    put(tx, bucketId, key, record, previous, previousBody = "released") {
      const stored = withSequence(record, nextSequence(clock, previous));
      tx.set(objectKey(bucketId, key), encodeObject(stored));
      if (previous && previousBody === "released") bodies.release(tx, previous.body);
      return stored;
    },

    remove(tx, bucketId, key, previous) {
      tx.delete(objectKey(bucketId, key));
      bodies.release(tx, previous.body);
    },

    async list(bucketId, query) {
      const page = await listKeys(metadata, { family: bucketPrefix("object", bucketId), ...query });
      return {
        objects: page.rows.map(({ key, value }) => ({
          key: key.toString("utf8", BUCKET_FAMILY_BYTES),
          head: decodeObjectHead(value),
        })),
        prefixes: page.prefixes,
        truncated: page.truncated,
        nextMarker: page.truncated ? page.lastItem : undefined,
      };
    },
  };
}

/** Field by field: a spread of so many costs more than writing the row's bytes. */
function withSequence(record: NewObject, sequence: number): ObjectRecord {
  const { size, modifiedMs, etag, crc64, type, storageClass, ownerUin, headers, metadata, body, sections } = record;
  return { size, modifiedMs, sequence, etag, crc64, type, storageClass, ownerUin, headers, metadata, body, sections };
}

/** Microseconds of now, or one more than the version before: versions keep their order when the clock does not. */
function nextSequence(clock: Clock, previous: ObjectRecord | undefined): number {
  return Math.max(Math.floor(clock.now() * 1_000), previous === undefined ? 0 : previous.sequence + 1);
}
