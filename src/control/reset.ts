/** Everything that a test has stored is taken away again, as clients could do it, so that the next one begins with nothing. */

import type { Removal } from "../store/objects.ts";
import type { BucketRecord } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import { parseVersionId } from "../store/version-id.ts";

/** Versions removed in one transaction: each costs ten operations at most, and an engine takes 1,000 of them. */
const REMOVALS_MAX = 90;
const UPLOADS_MAX = 50;
const BUCKETS_MAX = 100;

/**
 * Removes every bucket with all that is in it. Requests that write meanwhile may find their bucket gone, or put into it
 * what the next look finds.
 */
export async function removeEverything(store: Store): Promise<void> {
  for (;;) {
    const buckets = await store.buckets.listAll(BUCKETS_MAX);
    if (buckets.length === 0) return;
    for (const bucket of buckets) {
      do {
        await removeUploads(store, bucket);
        await removeVersions(store, bucket);
      } while ((await store.buckets.remove(bucket.name)) === "not-empty");
    }
  }
}

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

async function removeVersions(store: Store, bucket: BucketRecord): Promise<void> {
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
      await store.objects.remove(tx, present, removals, bucket.ownerUin);
    });
  }
}
