/** Objects and their versions: the rules for storing, replacing and removing them. */
import type { Clock } from "../ports/clock.ts";
import { type MetadataEngine, pointRange } from "../ports/metadata.ts";
import type { Bodies, SourceRow } from "./bodies.ts";
import { type DataKey, withoutEncryption } from "./encryption.ts";
import { forgetAttachment, isVersion, KeyVersions } from "./key-versions.ts";
import {
  BUCKET_FAMILY_BYTES,
  bucketPrefix,
  canName,
  historyKey,
  objectKey,
  prefixRange,
  versionKey,
  versionsPrefix,
} from "./keys.ts";
import { listKeys, type ListQuery } from "./listing.ts";
import { lockedByDefault } from "./locks.ts";
import { refuseLocked } from "./state-evidence.ts";
import type { ObjectEvidence } from "../errors/evidence.ts";
import {
  type BucketLock,
  type BucketRecord,
  decodeHistory,
  decodeObject,
  decodeObjectHead,
  decodeVersion,
  encodeObject,
  type ObjectHead,
  type ObjectRecord,
  type VersionRecord,
} from "./records.ts";
import { type Transaction, TransactionContended } from "./transact.ts";
import { type VersionId, versionIdOf } from "./version-id.ts";
import { listVersions, type VersionPage } from "./version-listing.ts";

/** A version and the row it was read from. */
export interface FoundVersion {
  readonly record: VersionRecord;
  readonly source: SourceRow;
}

/** An object and the row it was read from: what `bodies.share` wants to know. */
export interface FoundObject extends FoundVersion {
  readonly record: ObjectRecord;
}

/** An object that has no place among the versions of its key yet. */
export type NewObject = Omit<ObjectRecord, "sequence" | "versioned" | "supersededMs"> & {
  /** What its bytes are sealed with; it is kept bound to the version that the object becomes. */
  readonly dataKey?: DataKey | undefined;
};

/** What is to be removed under one key. */
export interface Removal {
  readonly key: string;
  /** Versions to remove for good; undefined for the object itself, which a delete marker replaces in a versioned bucket. */
  readonly versions: readonly (VersionId | undefined)[];
}

/** What became of one removal. */
export interface Removed {
  /** Whether there was anything to remove, or a delete marker took its place. */
  readonly found: boolean;
  /** The version that was removed, or the delete marker that was added; undefined where there are no versions. */
  readonly versionId: string | undefined;
  /** Whether that version is a delete marker. */
  readonly deleteMarker: boolean;
  /** What is true of the version where it is locked, and so is still there. */
  readonly locked: ObjectEvidence | false;
}

/** Further options of a removal. */
export interface RemovalOptions {
  /** Removes what is locked too: for whoever takes everything away from a server of development. */
  readonly evenLocked?: boolean;
  /**
   * When it counts as done, in milliseconds since 1970, for what is done later than it was due: the time of delete markers,
   * and of what they supersede. Now by default.
   */
  readonly atMs?: number;
}

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
  /** The current object under a key, read at this moment. */
  find(bucketId: string, key: string): Promise<FoundObject | undefined>;
  /** Several at this moment, in the order asked. */
  findMany(bucketId: string, keys: readonly string[]): Promise<readonly (ObjectRecord | undefined)[]>;
  /**
   * The version of a key that the id names, or without one its newest, which may be a delete marker. Undefined when
   * there is none.
   */
  findVersion(bucket: BucketRecord, key: string, id: VersionId | undefined): Promise<FoundVersion | undefined>;
  /**
   * The same in a transaction, which then depends on it, with the key of its row for `update`.
   */
  findVersionIn(
    tx: Transaction,
    bucket: BucketRecord,
    key: string,
    id: VersionId | undefined,
  ): Promise<{ readonly record: VersionRecord; readonly row: Buffer } | undefined>;
  /** Changes what is said of an object that this transaction has found, and neither its bytes nor its place. */
  update(tx: Transaction, row: Buffer, record: ObjectRecord): void;
  /** The current object in a transaction, which then depends on it. */
  findIn(tx: Transaction, bucketId: string, key: string): Promise<ObjectRecord | undefined>;
  /**
   * Stores the object under a key whose bucket this transaction has required, and gives it its sequence and version,
   * anew in each run. What was there becomes an older version (versioning Enabled), or is released if it is the `null`
   * version (Suspended, and whatever can be appended to), or is released (never configured). Raises ObjectLocked where that is locked; the new object is locked
   * by the bucket's default unless it says otherwise. The body itself is the caller's to add (`PendingBody.addTo`).
   */
  put(tx: Transaction, bucket: BucketRecord, key: string, record: NewObject): Promise<ObjectRecord>;
  /**
   * Stores an appendable object. It takes no part in versioning: it is the `null` version of its key and grows in place
   * of `present`, whose bytes it keeps. Raises ObjectLocked. Undefined, and nothing is stored, where there is another `null` version among
   * the older ones, which it would replace.
   */
  append(
    tx: Transaction,
    bucket: BucketRecord,
    key: string,
    record: NewObject,
    present: ObjectRecord | undefined,
  ): Promise<ObjectRecord | undefined>;
  /**
   * Removes under distinct keys of a bucket that this transaction has required; the fate of each version, in the order
   * asked. `ownerUin` owns the delete markers. Locked versions stay, and their fate says so. At most seven writes for each
   * version.
   */
  remove(
    tx: Transaction,
    bucket: BucketRecord,
    removals: readonly Removal[],
    ownerUin: string,
    options?: RemovalOptions,
  ): Promise<readonly (readonly Removed[])[]>;
  list(bucketId: string, query: ListQuery): Promise<ObjectPage>;
  /** Every version of every key, the newest first. `versionMarker` counts only together with a marker. */
  listVersions(
    bucket: BucketRecord,
    query: ListQuery & { readonly versionMarker: VersionId | undefined },
  ): Promise<VersionPage>;
}

export interface ObjectsOptions {
  readonly metadata: MetadataEngine;
  readonly clock: Clock;
  /** What locks go by, milliseconds since 1970. */
  readonly lockNow: () => number;
  readonly bodies: Bodies;
}

/** Looks at a key whose `null` version keeps changing its place. */
const LOOKS_MAX = 20;

export function objects({ metadata, clock, lockNow, bodies }: ObjectsOptions): Objects {
  const tools = { clock, lockNow, bodies };

  async function find(bucketId: string, key: string): Promise<FoundObject | undefined> {
    if (!canName(key)) return undefined;
    const row = objectKey(bucketId, key);
    const [rows] = await metadata.read([pointRange(row)]);
    const value = rows?.[0]?.value;
    return value && { record: decodeObject(value), source: { key: row, value } };
  }

  /** The current object and one row of family `version`, from one snapshot. */
  async function findWith(bucketId: string, key: string, older: ReturnType<typeof pointRange>) {
    const row = objectKey(bucketId, key);
    const [[object] = [], [version] = []] = await metadata.read([pointRange(row), older]);
    return {
      current: object && { record: decodeObject(object.value), source: { key: row, value: object.value } },
      older: version && { record: decodeVersion(version.value), source: { key: version.key, value: version.value } },
    };
  }

  async function findNull(bucketId: string, key: string): Promise<FoundVersion | undefined> {
    if (!canName(key)) return undefined;
    const [objectRow, historyRow] = [objectKey(bucketId, key), historyKey(bucketId, key)];
    for (let looks = 0; looks < LOOKS_MAX; looks++) {
      const [[object] = [], [history] = []] = await metadata.read([pointRange(objectRow), pointRange(historyRow)]);
      const current = object && decodeObject(object.value);
      if (current && !current.versioned) return { record: current, source: { key: objectRow, value: object.value } };
      const sequence = history && decodeHistory(history.value).nullSequence;
      if (sequence === undefined) return undefined;
      const row = versionKey(bucketId, key, sequence);
      const [[found] = []] = await metadata.read([pointRange(row)]);
      if (found) return { record: decodeVersion(found.value), source: { key: row, value: found.value } };
      // It has become the current object since, or another one has taken its place.
    }
    throw new TransactionContended(LOOKS_MAX);
  }

  return {
    find,

    async findVersion(bucket, key, id) {
      if (!canName(key)) return undefined;
      if (id === undefined) {
        const current = await find(bucket.id, key);
        if (current || bucket.versioning === undefined) return current;
        const newest = await findWith(bucket.id, key, prefixRange(versionsPrefix(bucket.id, key), 1));
        return newest.current ?? newest.older;
      }
      if (id === "null") return bucket.versioning === undefined ? find(bucket.id, key) : findNull(bucket.id, key);
      const { current, older } = await findWith(bucket.id, key, pointRange(versionKey(bucket.id, key, id)));
      return [current, older].find((one) => one && isVersion(one.record, id));
    },

    async findVersionIn(tx, bucket, key, id) {
      if (!canName(key)) return undefined;
      const objectRow = objectKey(bucket.id, key);
      if (bucket.versioning === undefined) {
        const value = id === undefined || id === "null" ? await tx.get(objectRow) : undefined;
        return value && { record: decodeObject(value), row: objectRow };
      }
      const [object, history] = await tx.getMany([objectRow, historyKey(bucket.id, key)]);
      const current = object && decodeObject(object);
      if (current && (id === undefined || isVersion(current, id))) return { record: current, row: objectRow };
      if (history === undefined) return undefined;
      let row: Buffer | undefined;
      if (id === undefined)
        [row] = (await tx.peek(prefixRange(versionsPrefix(bucket.id, key), 1))).map((one) => one.key);
      else {
        const sequence = id === "null" ? decodeHistory(history).nullSequence : id;
        row = sequence === undefined ? undefined : versionKey(bucket.id, key, sequence);
      }
      const value = row && (await tx.get(row));
      if (row === undefined || value === undefined) return undefined;
      const record = decodeVersion(value);
      return id === undefined || isVersion(record, id) ? { record, row } : undefined;
    },

    update(tx, row, record) {
      tx.set(row, encodeObject(record));
    },

    async findMany(bucketId, keys) {
      const found = await metadata.read(keys.map((key) => pointRange(objectKey(bucketId, key))));
      return found.map(([row]) => row && decodeObject(row.value));
    },

    async findIn(tx, bucketId, key) {
      const value = await tx.get(objectKey(bucketId, key));
      return value && decodeObject(value);
    },

    async put(tx, bucket, key, record) {
      // What can be appended to takes no part in versioning, also where an import brings it.
      const enabled = bucket.versioning === "Enabled" && record.type !== "appendable";
      const place = { bucketId: bucket.id, key, removals: 1, lock: bucket.lock };
      const versions =
        bucket.versioning === undefined
          ? await KeyVersions.loadUnversioned(tx, tools, place)
          : await KeyVersions.load(tx, tools, { ...place, removals: enabled ? 0 : 1 });
      const sequence = versions.nextSequence();
      if (!enabled) await versions.removeNull();
      versions.supersede();
      const stored = placed(bound(locking(record, bucket.lock, clock), bucket.id, key, sequence), sequence, enabled);
      versions.setCurrent(stored);
      versions.save();
      return stored;
    },

    async append(tx, bucket, key, record, present) {
      if (present) {
        const { versioned, sequence, supersededMs } = present;
        refuseLocked(present, bucket.lock, lockNow());
        const next = versioned ? sequence : Math.max(Math.floor(clock.now() * 1_000), sequence + 1);
        const stored = { ...bound(record, bucket.id, key, next), versioned, supersededMs, sequence: next };
        if (!versioned) forgetAttachment(tx, bucket.id, key, present);
        tx.set(objectKey(bucket.id, key), encodeObject(stored));
        return stored;
      }
      const versions = await KeyVersions.load(tx, tools, { bucketId: bucket.id, key, removals: 1, lock: bucket.lock });
      const hidden = await versions.nullVersion();
      if (hidden && hidden.type !== "delete-marker") return undefined;
      const sequence = versions.nextSequence();
      const stored = {
        ...bound(locking(record, bucket.lock, clock), bucket.id, key, sequence),
        sequence,
        versioned: false,
        supersededMs: undefined,
      };
      await versions.removeNull();
      versions.setCurrent(stored);
      versions.save();
      return stored;
    },

    async remove(tx, bucket, removals, ownerUin, { atMs, ...options } = {}) {
      const removing = { ...tools, ...options, ...(atMs !== undefined && { clock: { now: () => atMs } }) };
      const { versioning } = bucket;
      const rows = removals.map(({ key }) => objectKey(bucket.id, key));
      if (versioning !== undefined) rows.push(...removals.map(({ key }) => historyKey(bucket.id, key)));
      // All at once, so that the reads of each key find what they look for.
      await tx.getMany(rows);
      const fates: Removed[][] = [];
      for (const { key, versions: ids } of removals) {
        const place = { bucketId: bucket.id, key, removals: ids.length, lock: bucket.lock };
        const versions =
          versioning === undefined
            ? await KeyVersions.loadUnversioned(tx, removing, place)
            : await KeyVersions.load(tx, removing, place);
        const fate: Removed[] = [];
        for (const id of ids) {
          const keepsAll = id === undefined && versioning === "Enabled";
          const locked = !keepsAll && (await versions.lockOf(id ?? "null"));
          if (locked) {
            fate.push({ found: true, versionId: undefined, deleteMarker: false, locked });
            continue;
          }
          if (id === undefined && versioning !== undefined) {
            const sequence = versions.nextSequence();
            if (versioning === "Suspended") await versions.removeNull();
            versions.supersede();
            const marker = versions.addMarker(sequence, versioning === "Enabled", ownerUin);
            fate.push({ found: true, versionId: versionIdOf(marker), deleteMarker: true, locked: false });
            continue;
          }
          const removed = await versions.remove(id ?? "null");
          fate.push({
            found: removed !== undefined,
            versionId: removed && id !== undefined && versioning !== undefined ? versionIdOf(removed) : undefined,
            deleteMarker: removed?.type === "delete-marker",
            locked: false,
          });
        }
        versions.save();
        fates.push(fate);
      }
      return fates;
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

    async listVersions({ id }, { versionMarker, ...query }) {
      let olderThan = versionMarker;
      if (olderThan === "null") {
        // Where it has gone since its page was made, nobody can tell what stood behind it: none of the key is left out.
        olderThan = (await findNull(id, query.marker ?? ""))?.record.sequence ?? Number.MAX_SAFE_INTEGER;
      }
      return listVersions(metadata, id, { ...query, olderThan });
    },
  };
}

/** The object, locked by default where its bucket has it so. */
function locking(object: NewObject, lock: BucketLock | undefined, clock: Clock): NewObject {
  if (lock === undefined) return object;
  return { ...object, sections: lockedByDefault(object.sections, lock, clock.now()) };
}

/** The object with its data key, if it has one, kept for the version that it becomes. */
function bound(object: NewObject, bucketId: string, key: string, sequence: number): Placeable {
  if (object.dataKey === undefined) return object;
  const { dataKey, ...record } = object;
  const kept = dataKey.sectionFor({ bucketId, key, sequence });
  return { ...record, sections: [...withoutEncryption(record.sections), kept] };
}

type Placeable = Omit<NewObject, "dataKey">;

/** Field by field: a spread of so many costs more than writing the row's bytes. */
function placed(record: Placeable, sequence: number, versioned: boolean): ObjectRecord {
  const { size, modifiedMs, etag, crc64, type, storageClass, ownerUin, headers, metadata, body, sections } = record;
  return {
    size,
    modifiedMs,
    sequence,
    etag,
    crc64,
    type,
    versioned,
    storageClass,
    ownerUin,
    supersededMs: undefined,
    headers,
    metadata,
    body,
    sections,
  };
}
