/**
 * The versions of one key, in one transaction.
 *
 * The current object is a row of family `object`; what it superseded, and every delete marker, are rows of family
 * `version`. A key without a current object has a delete marker as the newest of those, or nothing at all. No
 * transaction can hold a range of rows, so the key's `history` row guards them: it is there while there are any, whoever
 * adds or removes one rewrites it, and whoever looks at several has read it first. Two writers of a key that has no
 * such rows yet meet in the object's row.
 */
import type { ObjectEvidence } from "../errors/evidence.ts";
import type { Clock } from "../ports/clock.ts";
import type { Bodies } from "./bodies.ts";
import {
  attachmentKey,
  BUCKET_FAMILY_BYTES,
  historyKey,
  objectKey,
  prefixRange,
  splitVersionKey,
  versionKey,
  versionsPrefix,
} from "./keys.ts";
import { RecordDamaged } from "./bytes.ts";
import { isLocked } from "./locks.ts";
import { lockedBy, objectEvidence } from "./state-evidence.ts";
import {
  type BucketLock,
  decodeHistory,
  decodeObject,
  decodeVersion,
  encodeDeleteMarker,
  encodeHistory,
  encodeObject,
  OBJECT_ACL_TAG,
  type ObjectRecord,
  type VersionRecord,
} from "./records.ts";
import type { Transaction } from "./transact.ts";
import type { VersionId } from "./version-id.ts";

/** What the versions of a key are changed with. */
export interface VersionTools {
  readonly clock: Pick<Clock, "now">;
  /** What locks go by, milliseconds since 1970. */
  readonly lockNow: () => number;
  readonly bodies: Pick<Bodies, "release">;
  /** Removes what is locked too: for whoever takes everything away from a server of development. */
  readonly evenLocked?: boolean;
}

/** Whether the record is the version that the id names. */
export function isVersion(record: Pick<VersionRecord, "sequence" | "versioned">, id: VersionId): boolean {
  return id === "null" ? !record.versioned : record.versioned && record.sequence === id;
}

/** The name of a version's ACL among those of its account: each `null` version of a key has that of the one before. */
export function attachedVersion(key: string, { sequence, versioned }: Pick<ObjectRecord, "sequence" | "versioned">) {
  return { of: "object", key, sequence: versioned ? sequence : 0 } as const;
}

/** Gives back the account's place for the ACL of a version that goes. */
export function forgetAttachment(tx: Transaction, bucketId: string, key: string, record: ObjectRecord): void {
  const { ownerUin, sections } = record;
  if (sections.length === 0 || !sections.some(({ tag }) => tag === OBJECT_ACL_TAG)) return;
  tx.delete(attachmentKey(ownerUin, bucketId, attachedVersion(key, record)));
}

interface Place {
  readonly bucketId: string;
  readonly key: string;
  /** What the bucket locks; versions that are locked are not removed. */
  readonly lock: BucketLock | undefined;
}

export class KeyVersions {
  readonly #tx: Transaction;
  readonly #tools: VersionTools;
  readonly #bucketId: string;
  readonly #key: string;
  readonly #lock: BucketLock | undefined;
  #current: ObjectRecord | undefined;
  #nullSequence: number | undefined;
  /** Sequences of rows of family `version`, newest first: all, or so many that one is left after every removal. */
  #newest: number[] = [];
  /** Whether there are such rows that nobody has looked at. */
  #unseen = false;
  #hasObjectRow = false;
  #changed = false;

  private constructor(tx: Transaction, tools: VersionTools, { bucketId, key, lock }: Place) {
    this.#tx = tx;
    this.#tools = tools;
    this.#bucketId = bucketId;
    this.#key = key;
    this.#lock = lock;
  }

  /** Reads what there is under a key of a bucket in which versioning was never configured. */
  static async loadUnversioned(tx: Transaction, tools: VersionTools, place: Place): Promise<KeyVersions> {
    const { bucketId, key } = place;
    const versions = new KeyVersions(tx, tools, place);
    versions.#readObject(await tx.get(objectKey(bucketId, key)));
    return versions;
  }

  /** Reads what there is under a key, of whose versions at most `removals` will be removed. */
  static async load(
    tx: Transaction,
    tools: VersionTools,
    { removals, ...place }: Place & { readonly removals: number },
  ): Promise<KeyVersions> {
    const { bucketId, key } = place;
    const versions = new KeyVersions(tx, tools, place);
    const [object, history] = await tx.getMany([objectKey(bucketId, key), historyKey(bucketId, key)]);
    versions.#readObject(object);
    if (history === undefined) return versions;
    versions.#nullSequence = decodeHistory(history).nullSequence;
    versions.#unseen = removals === 0 && versions.#current !== undefined;
    if (versions.#unseen) return versions;
    // A removal may take away two: the newest, and the one behind it, which becomes the current object.
    const rows = await tx.peek(prefixRange(versionsPrefix(bucketId, key), removals * 2 + 1));
    versions.#newest = rows.map((row) => splitVersionKey(row.key.subarray(BUCKET_FAMILY_BYTES)).sequence);
    return versions;
  }

  #readObject(value: Buffer | undefined): void {
    this.#hasObjectRow = value !== undefined;
    this.#current = value && decodeObject(value);
  }

  get current(): ObjectRecord | undefined {
    return this.#current;
  }

  /** Microseconds of now, or one more than the newest version there is: versions keep their order when the clock does not. */
  nextSequence(): number {
    const newest = this.#current?.sequence ?? this.#newest[0] ?? 0;
    return Math.max(Math.floor(this.#tools.clock.now() * 1_000), newest + 1);
  }

  /** The `null` version, wherever it is. */
  async nullVersion(): Promise<VersionRecord | undefined> {
    if (this.#current && !this.#current.versioned) return this.#current;
    return this.#nullSequence === undefined ? undefined : decodeVersion(await this.#row(this.#nullSequence));
  }

  /** What is true of the version that the id names, where it is locked: then whatever would remove it raises ObjectLocked. */
  async lockOf(id: VersionId): Promise<ObjectEvidence | false> {
    const record = id === "null" ? await this.nullVersion() : await this.#versionWith(id);
    if (record === undefined || record.type === "delete-marker" || !this.#holds(record)) return false;
    return objectEvidence(record, this.#lock, this.#tools.lockNow());
  }

  async #versionWith(sequence: number): Promise<VersionRecord | undefined> {
    if (this.#current && isVersion(this.#current, sequence)) return this.#current;
    const value = await this.#tx.get(versionKey(this.#bucketId, this.#key, sequence));
    const record = value && decodeVersion(value);
    return record && isVersion(record, sequence) ? record : undefined;
  }

  #holds(record: ObjectRecord): boolean {
    return this.#tools.evenLocked !== true && isLocked(record, this.#lock, this.#tools.lockNow());
  }

  #refuseLocked(record: ObjectRecord): void {
    if (this.#holds(record)) throw lockedBy(objectEvidence(record, this.#lock, this.#tools.lockNow()));
  }

  /** Makes room for a newer version: the current one becomes an older one. */
  supersede(): void {
    if (this.#current === undefined) return;
    const record = { ...this.#current, supersededMs: this.#tools.clock.now() };
    this.#add(record, encodeObject(record));
    this.#current = undefined;
  }

  /** Removes the `null` version, if there is one. Raises ObjectLocked. */
  async removeNull(): Promise<void> {
    if (this.#current && !this.#current.versioned) this.#removeCurrent(this.#current);
    else if (this.#nullSequence !== undefined) await this.#removeOlder(this.#nullSequence);
  }

  /** Sets the current object, of which there is none now. */
  setCurrent(record: ObjectRecord): void {
    this.#tx.set(objectKey(this.#bucketId, this.#key), encodeObject(record));
    this.#current = record;
    this.#hasObjectRow = true;
  }

  /** Adds a delete marker on top; there is no current object now. */
  addMarker(sequence: number, versioned: boolean, ownerUin: string): VersionRecord {
    const modifiedMs = this.#tools.clock.now();
    const marker = { type: "delete-marker", modifiedMs, sequence, versioned, ownerUin, sections: [] } as const;
    this.#add(marker, encodeDeleteMarker(marker));
    return marker;
  }

  /** Removes one version for good, and gives it back; undefined when the key has no such version. Raises ObjectLocked. */
  async remove(id: VersionId): Promise<VersionRecord | undefined> {
    const current = this.#current;
    if (current && isVersion(current, id)) {
      this.#removeCurrent(current);
      await this.#promote();
      return current;
    }
    const sequence = id === "null" ? this.#nullSequence : id;
    if (sequence === undefined) return undefined;
    const value = await this.#tx.get(versionKey(this.#bucketId, this.#key, sequence));
    if (value === undefined || !isVersion(decodeVersion(value), id)) return undefined;
    const removed = await this.#removeOlder(sequence);
    if (!this.#current) await this.#promote();
    return removed;
  }

  /** Writes what holds for the key as a whole; the last step. */
  save(): void {
    if (!this.#current && this.#hasObjectRow) this.#tx.delete(objectKey(this.#bucketId, this.#key));
    if (!this.#changed) return;
    const row = historyKey(this.#bucketId, this.#key);
    if (this.#newest.length > 0 || this.#unseen) this.#tx.set(row, encodeHistory({ nullSequence: this.#nullSequence }));
    else this.#tx.delete(row);
  }

  async #row(sequence: number): Promise<Buffer> {
    const value = await this.#tx.get(versionKey(this.#bucketId, this.#key, sequence));
    if (value === undefined) throw new RecordDamaged("a version that its key's history names is missing");
    return value;
  }

  #add(record: Pick<VersionRecord, "sequence" | "versioned">, value: Buffer): void {
    this.#tx.set(versionKey(this.#bucketId, this.#key, record.sequence), value);
    this.#newest.unshift(record.sequence);
    if (!record.versioned) this.#nullSequence = record.sequence;
    this.#changed = true;
  }

  #removeCurrent(record: ObjectRecord): void {
    this.#refuseLocked(record);
    this.#tools.bodies.release(this.#tx, record.body);
    forgetAttachment(this.#tx, this.#bucketId, this.#key, record);
    this.#current = undefined;
  }

  async #removeOlder(sequence: number): Promise<VersionRecord> {
    const record = decodeVersion(await this.#row(sequence));
    if (record.type !== "delete-marker") this.#refuseLocked(record);
    this.#forget(sequence);
    if (record.type === "delete-marker") return record;
    this.#tools.bodies.release(this.#tx, record.body);
    forgetAttachment(this.#tx, this.#bucketId, this.#key, record);
    return record;
  }

  #forget(sequence: number): void {
    this.#tx.delete(versionKey(this.#bucketId, this.#key, sequence));
    this.#newest = this.#newest.filter((other) => other !== sequence);
    if (this.#nullSequence === sequence) this.#nullSequence = undefined;
    this.#changed = true;
  }

  /** Where the newest version is an object, and none is current, it is the current one from now on. */
  async #promote(): Promise<void> {
    const [newest] = this.#newest;
    if (newest === undefined) return;
    const record = decodeVersion(await this.#row(newest));
    if (record.type === "delete-marker") return;
    this.#forget(newest);
    this.setCurrent({ ...record, supersededMs: undefined });
  }
}
