/** Everything that a test has stored is taken away again, as clients could do it, so that the next one begins with nothing. */

import type { Clock } from "../ports/clock.ts";
import { isLocked } from "../store/locks.ts";
import type { Removal } from "../store/objects.ts";
import type { BucketRecord } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import { parseVersionId, type VersionId } from "../store/version-id.ts";

/** Versions removed in one transaction: each costs ten operations at most, and an engine takes 1,000 of them. */
const REMOVALS_MAX = 90;
const UPLOADS_MAX = 50;
const BUCKETS_MAX = 100;

/** Raised where something is locked, and nobody has said that it shall go all the same. Nothing was removed. */
export class LockedObjects extends Error {
  override readonly name = "LockedObjects";
  constructor(bucket: string, key: string, what: "reset" | "restore" = "reset") {
    super(`${bucket}/${key} is locked; force the ${what} to remove what is locked too`);
  }
}

/**
 * Removes every bucket with all that is in it. Requests that write meanwhile may find their bucket gone, or put into it
 * what the next look finds.
 * @throws LockedObjects where an object is locked, unless it is forced.
 */
export async function removeEverything(store: Store, clock: Clock, force: boolean): Promise<void> {
  if (!force) await refuseAllLocks(store, clock);
  for (;;) {
    const buckets = await store.buckets.listAll(undefined, BUCKETS_MAX);
    if (buckets.length === 0) return;
    for (const bucket of buckets) {
      do {
        await removeUploads(store, bucket);
        await removeVersions(store, bucket, force);
        // Another bucket may have the name by now: the next look finds it.
      } while ((await store.buckets.find(bucket.name))?.id === bucket.id && !(await isRemoved(store, bucket)));
    }
  }
}

async function isRemoved(store: Store, bucket: BucketRecord): Promise<boolean> {
  return (await store.buckets.remove(bucket.name)) !== "not-empty";
}

async function refuseAllLocks(store: Store, clock: Clock): Promise<void> {
  for (let last: string | undefined; ; ) {
    const buckets = await store.buckets.listAll(last, BUCKETS_MAX);
    if (buckets.length === 0) return;
    for (const bucket of buckets) await refuseLocks(store, bucket, clock.now());
    last = buckets.at(-1)?.name;
  }
}

async function refuseLocks(store: Store, bucket: BucketRecord, nowMs: number): Promise<void> {
  const query = { prefix: "", delimiter: undefined, limit: REMOVALS_MAX };
  let at: { marker: string | undefined; versionMarker: VersionId | undefined } = ALL;
  for (;;) {
    const page = await store.objects.listVersions(bucket, { ...query, ...at });
    for (const { key, version } of page.versions) {
      if (version.type === "delete-marker") continue;
      const found = await store.objects.findVersion(bucket, key, version.versioned ? version.sequence : "null");
      const record = found?.record;
      if (record === undefined || record.type === "delete-marker") continue;
      if (isLocked(record, bucket.lock, nowMs)) throw new LockedObjects(bucket.name, key);
    }
    if (!page.truncated) return;
    const { nextKeyMarker: marker, nextVersionIdMarker: named } = page;
    at = { marker, versionMarker: named === undefined || named === "" ? undefined : parseVersionId(named) };
  }
}

const ALL = { marker: undefined, versionMarker: undefined };

async function removeUploads(store: Store, bucket: BucketRecord): Promise<void> {
  const query = { prefix: "", delimiter: undefined, marker: undefined, limit: UPLOADS_MAX };
  for (;;) {
    const { uploads } = await store.uploads.list(bucket.id, query);
    if (uploads.length === 0) return;
    for (const { key, uploadId } of uploads) {
      const name = { bucketId: bucket.id, key, uploadId };
      await store.transact([], async (tx) => {
        if ((await store.uploads.require(tx, name)) !== undefined) store.uploads.abort(tx, name);
      });
    }
  }
}

async function removeVersions(store: Store, bucket: BucketRecord, force: boolean): Promise<void> {
  const query = {
    prefix: "",
    delimiter: undefined,
    marker: undefined,
    versionMarker: undefined,
    limit: REMOVALS_MAX,
  };
  for (;;) {
    const { versions } = await store.objects.listVersions(bucket, query);
    if (versions.length === 0) return;
    const byKey = new Map<string, Removal["versions"]>();
    for (const { key, versionId } of versions) {
      byKey.set(key, [...(byKey.get(key) ?? []), parseVersionId(versionId === "" ? "null" : versionId)]);
    }
    const removals = Array.from(byKey, ([key, named]) => ({ key, versions: named }));
    await store.transact([], async (tx) => {
      const present = await store.buckets.require(tx, bucket.name);
      if (present?.id !== bucket.id) return;
      const fates = await store.objects.remove(tx, present, removals, bucket.ownerUin, { evenLocked: force });
      const kept = fates.findIndex((fate) => fate.some(({ locked }) => locked));
      if (kept >= 0) throw new LockedObjects(bucket.name, removals[kept]?.key ?? "");
    });
  }
}
