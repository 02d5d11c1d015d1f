/** Refusals by the state of an object or a bucket, with what decision records keep of that state. Pure. */

import { type CosError, refuse } from "../errors/cos-error.ts";
import type { BucketEvidence, ObjectEvidence } from "../errors/evidence.ts";
import { isLocked, lockedUntil } from "./locks.ts";
import type { BucketLock, BucketRecord, ObjectRecord } from "./records.ts";
import { restoreOf } from "./storage-class.ts";
import { versionIdOf } from "./version-id.ts";

export function objectEvidence(
  record: ObjectRecord,
  lock: BucketLock | undefined,
  nowMs: number,
  tier?: string,
): ObjectEvidence {
  const untilMs = lockedUntil(record, lock);
  const restore = restoreOf(record, nowMs);
  return {
    kind: "object",
    version: versionIdOf(record),
    storageClass: record.storageClass,
    tier,
    nowMs,
    lockedUntilMs: untilMs !== undefined && untilMs > nowMs ? untilMs : undefined,
    restore: restore && { readyMs: restore.readyMs, expiresMs: restore.expiresMs },
  };
}

/** Raises ObjectLocked for a version that is locked: for whoever changes one in place, or removes it. */
export function refuseLocked(record: ObjectRecord, lock: BucketLock | undefined, nowMs: number): void {
  if (isLocked(record, lock, nowMs)) throw lockedBy(objectEvidence(record, lock, nowMs));
}

/** The refusal of what a lock forbids. */
export function lockedBy(evidence: ObjectEvidence): CosError {
  return refuse("ObjectLocked", { evidence: () => evidence });
}

export function bucketEvidence({ configurations, lock, versioning }: BucketRecord): BucketEvidence {
  return { kind: "bucket", versioning, lock, configurations: [...configurations.revisions.keys()].sort() };
}
