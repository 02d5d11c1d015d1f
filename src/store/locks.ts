/**
 * Locks of objects: until when nobody may destroy a version, whoever asks.
 *
 * A version's own retention stands in its record, and what a bucket locks by default in the bucket's, which every write
 * reads in its transaction. Whatever removes or replaces a version goes through `KeyVersions`, which refuses there.
 */
import { ByteReader, ByteWriter } from "./bytes.ts";
import { DAY_MS } from "./storage-class.ts";
import { type BucketLock, OBJECT_RETENTION_TAG, type Section } from "./records.ts";

/** Until when a record says that it is locked, in milliseconds since 1970; it may be over. Undefined where it says nothing. */
export function retentionOf(sections: readonly Section[]): number | undefined {
  if (sections.length === 0) return undefined;
  const section = sections.find(({ tag }) => tag === OBJECT_RETENTION_TAG);
  if (section === undefined) return undefined;
  const reader = new ByteReader(section.bytes);
  const untilMs = reader.u48();
  reader.end();
  return untilMs;
}

/** The section of a retention, or none. */
export function retentionSections(untilMs: number | undefined): readonly Section[] {
  if (untilMs === undefined) return [];
  return [{ tag: OBJECT_RETENTION_TAG, bytes: new ByteWriter(6).u48(untilMs).finish() }];
}

/** The sections of a record with this retention in place of the one it had. */
export function withRetention(sections: readonly Section[], untilMs: number): readonly Section[] {
  return [...sections.filter(({ tag }) => tag !== OBJECT_RETENTION_TAG), ...retentionSections(untilMs)];
}

/** What a lock is told by. */
export interface Lockable {
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
  readonly sections: readonly Section[];
}

/**
 * Until when a version is locked, in milliseconds since 1970; it may be over. Undefined where it never was. Under a lock of
 * the first generation every object of the bucket is, for so many days after it was modified.
 */
export function lockedUntil({ modifiedMs, sections }: Lockable, lock: BucketLock | undefined): number | undefined {
  const own = retentionOf(sections);
  if (lock?.generation !== 1 || lock.days === undefined) return own;
  return Math.max(own ?? 0, modifiedMs + lock.days * DAY_MS);
}

export function isLocked(record: Lockable, lock: BucketLock | undefined, nowMs: number): boolean {
  const untilMs = lockedUntil(record, lock);
  return untilMs !== undefined && untilMs > nowMs;
}

/** The sections of a new version, locked as its bucket locks what says nothing of its own. */
export function lockedByDefault(
  sections: readonly Section[],
  lock: BucketLock | undefined,
  nowMs: number,
): readonly Section[] {
  if (lock?.generation !== 2 || lock.days === undefined || retentionOf(sections) !== undefined) return sections;
  return withRetention(sections, nowMs + lock.days * DAY_MS);
}
