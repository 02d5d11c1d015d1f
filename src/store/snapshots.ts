/**
 * Going back: everything that the store holds at one moment, and the way to it from any later one.
 *
 * It takes engines that keep everything in memory, where a snapshot shares the bytes of what has not changed since, and
 * where all rows are put back in one step. Work under way is not waited for: a transaction that has read anything runs
 * again, since every row has another version; what takes several transactions finds its intent undone, or its mark gone,
 * and fails; and bytes that were taken in, and that no row names yet, stay for whoever is about to store them.
 */
import type { Write } from "../ports/metadata.ts";
import type { KeepsBlobs, RowsView, SavedRows, SavesRows } from "../ports/saved-state.ts";
import type { Collector } from "./collector.ts";
import { masterCheckKey, serviceKeysKey, serviceKeysOf } from "./key-ring.ts";
import {
  BUCKET_FAMILY_BYTES,
  bucketPrefix,
  controlKey,
  familyRange,
  formatKey,
  objectKey,
  prefixRange,
  principalKey,
  splitVersionKey,
  versionKey,
} from "./keys.ts";
import { isLocked, lockedUntil } from "./locks.ts";
import { revisionAfter } from "./principals.ts";
import {
  decodeBucket,
  decodeIntent,
  decodeTask,
  decodeVersion,
  encodeTask,
  type IntentRecord,
  type ObjectRecord,
} from "./records.ts";

/** A version that is locked and that the snapshot does not have, or has otherwise. */
export interface LockedVersion {
  readonly bucket: string;
  readonly key: string;
}

export interface RestoreOptions {
  /** Virtual time, ms since 1970: what is locked then stays. */
  readonly nowMs: number;
  /** Goes back also where something is locked by now that would go. */
  readonly evenLocked: boolean;
  /** Names of controls that stay as they are. */
  readonly controlsKept: readonly string[];
}

export interface StoreSnapshot {
  /** Bytes of its rows and of the blobs they name; what has not changed since takes no memory of its own. */
  readonly bytes: number;
  /** Puts everything back. Gives something that is locked, having changed nothing, where that would go. */
  restore(options: RestoreOptions): Promise<LockedVersion | undefined>;
  /** Lets what is not needed otherwise go. */
  letGo(): void;
}

export interface SnapshotParts {
  readonly rows: SavesRows;
  readonly blobs: KeepsBlobs & { remove(ids: readonly string[]): Promise<void> };
  readonly collector: Pick<Collector, "between" | "nudge">;
  /** Forgets what this process keeps of rows by numbers that go on from where they were. */
  readonly forget: () => void;
  /** Undoes work in several commits that was under way. */
  readonly undo: (intent: Buffer, record: IntentRecord) => Promise<void>;
}

/** All rows of a family: there is no page to them, since nobody waits while they are looked at. */
const ALL = Number.MAX_SAFE_INTEGER;

const BLOB_ID_BYTES = 16;

/** The blobs that any row needs. */
function blobsOf(view: RowsView): Set<string> {
  return new Set(view.list(familyRange("reference", ALL)).map(({ key }) => key.toString("hex", 1, 1 + BLOB_ID_BYTES)));
}

/** A version by its sequence, current or not. */
function versionIn(view: RowsView, bucketId: string, key: string, sequence: number): ObjectRecord | undefined {
  for (const row of [objectKey(bucketId, key), versionKey(bucketId, key, sequence)]) {
    const value = view.get(row);
    const record = value && decodeVersion(value);
    if (record !== undefined && record.type !== "delete-marker" && record.sequence === sequence) return record;
  }
  return undefined;
}

/** Something that is locked in `live`, and that `saved` does not have, or does not lock for as long. */
function lockedOnlyIn(live: RowsView, saved: RowsView, nowMs: number): LockedVersion | undefined {
  for (const row of live.list(familyRange("bucket", ALL))) {
    const bucket = decodeBucket(row.value);
    const value = saved.get(row.key);
    const lockThen = value && decodeBucket(value).lock;
    const alike = lockThen?.generation === bucket.lock?.generation && lockThen?.days === bucket.lock?.days;
    for (const family of ["object", "version"] as const) {
      for (const { key: rowKey, value: stored } of live.list(prefixRange(bucketPrefix(family, bucket.id), ALL))) {
        const before = alike ? saved.get(rowKey) : undefined;
        if (before === stored || before?.equals(stored) === true) continue;
        const record = decodeVersion(stored);
        if (record.type === "delete-marker" || !isLocked(record, bucket.lock, nowMs)) continue;
        const suffix = rowKey.subarray(BUCKET_FAMILY_BYTES);
        const key = family === "object" ? suffix.toString("utf8") : splitVersionKey(suffix).key;
        const then = versionIn(saved, bucket.id, key, record.sequence);
        const isSame = then?.crc64 === record.crc64 && then.size === record.size;
        const untilThen = isSame ? lockedUntil(then, lockThen) : undefined;
        if (untilThen === undefined || untilThen < (lockedUntil(record, bucket.lock) ?? 0)) {
          return { bucket: bucket.name, key };
        }
      }
    }
  }
  return undefined;
}

/** The tasks as far as they had come. Nobody has them, and whoever had one does not have it any more. */
function taskWrites(live: RowsView, saved: RowsView): Write[] {
  const keys = new Map<string, Buffer>();
  for (const view of [live, saved]) {
    for (const { key } of view.list(familyRange("task", ALL))) keys.set(key.toString("latin1"), key);
  }
  return Array.from(keys.values(), (key) => {
    const [now, then] = [live, saved].map((view) => view.get(key)).map((value) => value && decodeTask(value));
    const fence = Math.max(now?.fence ?? 0, then?.fence ?? 0) + 1;
    return { key, value: encodeTask({ holder: undefined, fence, progress: then?.progress ?? Buffer.alloc(0) }) };
  });
}

/**
 * What does not go back: it is the process's, or says which keys it has, or counts what others remember by number, or is
 * what a request that is under way has sealed something under.
 */
function writesBeside(live: RowsView, saved: RowsView, controlsKept: readonly string[]): readonly Write[] {
  const revision = principalKey("revision");
  const serviceKeys = serviceKeysKey();
  const lasting = [formatKey(), principalKey("seal"), masterCheckKey(), ...controlsKept.map(controlKey)];
  return [
    ...lasting.map((key) => ({ key, value: live.get(key) })),
    ...saved.list(familyRange("incarnation", ALL)).map(({ key }) => ({ key, value: undefined })),
    ...live.list(familyRange("incarnation", ALL)),
    ...taskWrites(live, saved),
    { key: revision, value: revisionAfter(live.get(revision), saved.get(revision)) },
    { key: serviceKeys, value: serviceKeysOf(live.get(serviceKeys), saved.get(serviceKeys)) },
  ];
}

/** A snapshot was let go before its restore began. */
export class SnapshotGone extends Error {
  constructor() {
    super("the snapshot was removed");
  }
}

class StillLocked extends Error {
  readonly version: LockedVersion;
  constructor(version: LockedVersion) {
    super("something is locked");
    this.version = version;
  }
}

/** Everything as it is now. */
export function takeSnapshot({ rows, blobs, collector, forget, undo }: SnapshotParts): StoreSnapshot {
  const saved: SavedRows = rows.save();
  const named = blobsOf(saved);
  const kept = blobs.keep(named);
  let gone = false;

  /** Gives the blobs that nothing names any more. */
  function goBack({ nowMs, evenLocked, controlsKept }: RestoreOptions): readonly string[] {
    if (gone) throw new SnapshotGone();
    let left: readonly string[] = [];
    saved.putBack((live) => {
      const locked = evenLocked ? undefined : lockedOnlyIn(live, saved, nowMs);
      if (locked !== undefined) throw new StillLocked(locked);
      // Those that no row of now names either are being taken in.
      left = [...blobsOf(live)].filter((id) => !named.has(id));
      return writesBeside(live, saved, controlsKept);
    });
    kept.putBack();
    forget();
    return left;
  }

  return {
    bytes: saved.bytes + kept.bytes,
    async restore(options) {
      try {
        // What is being released was looked at before, and may be named again.
        await blobs.remove(await collector.between(() => goBack(options)));
      } catch (error) {
        if (error instanceof StillLocked) return error.version;
        throw error;
      }
      for (const { key, value } of saved.list(familyRange("intent", ALL))) await undo(key, decodeIntent(value));
      collector.nudge();
      return undefined;
    },
    letGo() {
      gone = true;
      kept.letGo();
    },
  };
}
