/**
 * Storage classes, and what the record of an object tells of its own: a restore that was asked for, and when an object
 * of the tiering class was read last. Both are times; what they mean at a moment is worked out when somebody asks, so a
 * restored copy comes and goes, and an object changes its tier, without anybody changing a row.
 */
import { ByteReader, ByteWriter, RecordDamaged } from "./bytes.ts";
import type { ConfigurationKind } from "./configurations.ts";
import type { ObjectHead, Section } from "./records.ts";
import { keptTags, NO_TAGS, type Tags } from "./tags.ts";

/** The classes that are built, from the warmest to the coldest. */
export const STORAGE_CLASSES = ["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "ARCHIVE", "DEEP_ARCHIVE"] as const;
export type StorageClass = (typeof STORAGE_CLASSES)[number];

export const DAY_MS = 24 * 60 * 60 * 1000;
/** The service's days begin at midnight of GMT+8. */
const DAY_BEGINS_MS = 16 * 60 * 60 * 1000;

/** The first midnight of GMT+8 at `ms` or later; milliseconds since 1970. */
export function midnightFrom(ms: number): number {
  return Math.ceil((ms - DAY_BEGINS_MS) / DAY_MS) * DAY_MS + DAY_BEGINS_MS;
}

/** Whether objects of the class have to be restored before they can be read. */
export function isArchive(storageClass: string): boolean {
  return storageClass === "ARCHIVE" || storageClass === "DEEP_ARCHIVE";
}

/** How fast a restore is. */
export const RESTORE_TIERS = ["Expedited", "Standard", "Bulk"] as const;
export type RestoreTier = (typeof RESTORE_TIERS)[number];

/** A restore that was asked for. Times are milliseconds since 1970. */
export interface Restore {
  readonly tier: RestoreTier;
  readonly requestedMs: number;
  /** From then on the restored copy can be read. */
  readonly readyMs: number;
  /** From then on it is gone. */
  readonly expiresMs: number;
}

/** Sections of objects. An old version keeps them without knowing what they say. */
const RESTORE_TAG = 18;
const ACCESSED_TAG = 19;

function sectionOf({ sections }: Pick<ObjectHead, "sections">, tag: number): Buffer | undefined {
  return sections.find((section) => section.tag === tag)?.bytes;
}

function without(sections: readonly Section[], tags: readonly number[]): readonly Section[] {
  return sections.filter(({ tag }) => !tags.includes(tag));
}

/** The sections of a record with this restore in place of the one before. */
export function withRestore(sections: readonly Section[], restore: Restore): readonly Section[] {
  const { tier, requestedMs, readyMs, expiresMs } = restore;
  const writer = new ByteWriter(20).u8(RESTORE_TIERS.indexOf(tier)).u48(requestedMs).u48(readyMs).u48(expiresMs);
  return [...without(sections, [RESTORE_TAG]), { tag: RESTORE_TAG, bytes: writer.finish() }];
}

type Kept = Pick<ObjectHead, "sections" | "storageClass">;

function restoreIn(object: Kept): Restore | undefined {
  const bytes = sectionOf(object, RESTORE_TAG);
  if (bytes === undefined) return undefined;
  const reader = new ByteReader(bytes);
  const tier = RESTORE_TIERS[reader.u8()] ?? "Standard";
  return { tier, requestedMs: reader.u48(), readyMs: reader.u48(), expiresMs: reader.u48() };
}

/**
 * The restore that counts at `nowMs`: one that is under way or whose copy is still there; undefined otherwise. Of the
 * tiering class it is one under way: afterwards the object is in the frequent tier, and there is no copy.
 */
export function restoreOf(object: Kept, nowMs: number): Restore | undefined {
  if (!isArchive(object.storageClass) && object.storageClass !== "INTELLIGENT_TIERING") return undefined;
  const restore = restoreIn(object);
  return restore !== undefined && nowMs < restore.expiresMs ? restore : undefined;
}

/** A rule about archive tiers; every part that is there has to hold. */
export interface TieringRule {
  readonly id: string;
  readonly enabled: boolean;
  /** Empty for every key. */
  readonly prefix: string;
  readonly tags: Tags;
  /** Days without a read after which an object is archived; undefined for never. */
  readonly archiveDays: number | undefined;
  readonly deepArchiveDays: number | undefined;
}

/** The intelligent tiering of a bucket; it is on where there is one. */
export interface Tiering {
  /** Days without a read after which an object counts as infrequently read; it never changes. */
  readonly days: number;
  /** In order of their ids. */
  readonly rules: readonly TieringRule[];
}

export const BUCKET_TIERING: ConfigurationKind<Tiering> = {
  name: "intelligent-tiering",
  encode({ days, rules }) {
    const writer = new ByteWriter(64).varint(days);
    return (rules.length === 0 ? writer : writer.text(JSON.stringify(rules))).finish();
  },
  decode(document) {
    const reader = new ByteReader(document);
    const days = reader.varint();
    const rules = reader.left === 0 ? "[]" : reader.text();
    reader.end();
    try {
      return { days, rules: JSON.parse(rules) as readonly TieringRule[] };
    } catch {
      throw new RecordDamaged("rules of tiering are no JSON");
    }
  },
};

/** Objects of fewer bytes stay in their class, and in the frequent tier. (intelligent tiering page; lifecycle page) */
export const TRANSITION_BYTES_MIN = 64 * 1024;

type Tiered = Kept & Pick<ObjectHead, "size" | "modifiedMs">;

/** When an object of the tiering class was last read, restored, or put there; 0 for one that came as infrequent. */
export function accessedMs(object: Tiered, nowMs: number): number {
  if (object.sections.length === 0) return object.modifiedMs;
  const bytes = sectionOf(object, ACCESSED_TAG);
  const readMs = bytes === undefined ? object.modifiedMs : new ByteReader(bytes).u48();
  const restoredMs = restoreIn(object)?.readyMs ?? 0;
  return restoredMs <= nowMs ? Math.max(readMs, restoredMs) : readMs;
}

/** The sections of a record that was read at `ms`, milliseconds since 1970. */
export function withAccess(sections: readonly Section[], ms: number): readonly Section[] {
  const bytes = new ByteWriter(6).u48(ms).finish();
  return [...without(sections, [ACCESSED_TAG]), { tag: ACCESSED_TAG, bytes }];
}

/** Begins in the infrequent tier, and is idle from `cameMs` on. */
function infrequentFrom(cameMs: number): Section {
  return { tag: ACCESSED_TAG, bytes: new ByteWriter(12).u48(0).u48(cameMs).finish() };
}

/**
 * From when on the days of archive tiers count: the last access, or when it came of an object that came as infrequent.
 * Undefined for one whose coming an older version did not keep: it is not known to have been idle for any time.
 */
function idleFrom(object: Tiered, nowMs: number): number | undefined {
  const readMs = accessedMs(object, nowMs);
  const bytes = sectionOf(object, ACCESSED_TAG);
  if (readMs !== 0 || bytes === undefined) return readMs;
  const reader = new ByteReader(bytes);
  reader.u48();
  return reader.left === 0 ? undefined : reader.u48();
}

/** The record in another class. What was said of the old one is no more; its time and its bytes stay. */
export function inClass<R extends ObjectHead>(record: R, storageClass: StorageClass, nowMs: number): R {
  const sections = without(record.sections, [ACCESSED_TAG, RESTORE_TAG]);
  if (storageClass !== "INTELLIGENT_TIERING") return { ...record, storageClass, sections };
  // What comes from the infrequent class begins in the infrequent tier, and stays there until it is read.
  const isInfrequent = record.storageClass === "STANDARD_IA";
  return {
    ...record,
    storageClass,
    sections: isInfrequent ? [...sections, infrequentFrom(nowMs)] : withAccess(sections, nowMs),
  };
}

export type AccessTier = "FREQUENT" | "INFREQUENT" | "ARCHIVE_ACCESS" | "DEEP_ARCHIVE_ACCESS";

function isAbout({ enabled, prefix, tags }: TieringRule, key: string, has: ReadonlyMap<string, string>): boolean {
  return enabled && key.startsWith(prefix) && tags.every(([name, value]) => has.get(name) === value);
}

/** The tier of an object at `nowMs`; undefined for one of another class, or where the bucket has no tiering. */
export function tierOf(
  object: Tiered,
  key: string,
  tiering: Tiering | undefined,
  nowMs: number,
): AccessTier | undefined {
  if (object.storageClass !== "INTELLIGENT_TIERING" || tiering === undefined) return undefined;
  if (object.size < TRANSITION_BYTES_MIN) return "FREQUENT";
  if (nowMs - accessedMs(object, nowMs) < tiering.days * DAY_MS) return "FREQUENT";
  const idleFromMs = idleFrom(object, nowMs);
  if (idleFromMs === undefined || tiering.rules.length === 0) return "INFREQUENT";
  const idleMs = nowMs - idleFromMs;
  const has = new Map(tiering.rules.some(({ tags }) => tags.length > 0) ? keptTags(object.sections) : NO_TAGS);
  const rules = tiering.rules.filter((rule) => isAbout(rule, key, has));
  const isLongerThan = (days: number | undefined): boolean => days !== undefined && idleMs >= days * DAY_MS;
  if (rules.some(({ deepArchiveDays }) => isLongerThan(deepArchiveDays))) return "DEEP_ARCHIVE_ACCESS";
  if (rules.some(({ archiveDays }) => isLongerThan(archiveDays))) return "ARCHIVE_ACCESS";
  return "INFREQUENT";
}

/** Whether the bytes of an object cannot be read at `nowMs`, because it is archived and not restored. */
export function isFrozen(object: Tiered, key: string, tiering: Tiering | undefined, nowMs: number): boolean {
  if (!isArchive(object.storageClass)) return isArchiveTier(tierOf(object, key, tiering, nowMs));
  const restore = restoreOf(object, nowMs);
  return restore === undefined || nowMs < restore.readyMs;
}

/** Whether objects in the tier have to be restored before they can be read. */
export function isArchiveTier(tier: AccessTier | undefined): tier is "ARCHIVE_ACCESS" | "DEEP_ARCHIVE_ACCESS" {
  return tier === "ARCHIVE_ACCESS" || tier === "DEEP_ARCHIVE_ACCESS";
}
