/** The one transaction that changes the tags of an object, for PUT and DELETE. */

import type { OperationContext } from "../../operations/operation.ts";
import { objectKey } from "../../store/keys.ts";
import { refuseLocked } from "../../store/state-evidence.ts";
import { type Tags, withTags } from "../../store/tags.ts";
import type { VersionId } from "../../store/version-id.ts";
import { absence, shownVersionId } from "../versioning/model.ts";

/**
 * Sets the tags of the version that is named, or of the current object, and gives the version id to tell. The object
 * stays what it is: neither its time nor its version changes. Raises NoSuchBucket, ObjectLocked and what `absence` does.
 */
export async function setObjectTags(
  { bucket, key, store }: Pick<OperationContext, "bucket" | "key" | "store">,
  versionId: VersionId | undefined,
  tags: Tags,
): Promise<string | undefined> {
  return store.transact([objectKey(bucket.id, key)], async (tx) => {
    const present = await store.buckets.requireSame(tx, bucket);
    const found = await store.objects.findVersionIn(tx, present, key, versionId);
    const record = found?.record;
    if (found === undefined || record === undefined) throw absence(versionId, undefined);
    if (record.type === "delete-marker") throw absence(versionId, record);
    refuseLocked(record, present.lock, store.lockNow());
    store.objects.update(tx, found.row, { ...record, sections: withTags(record.sections, tags) });
    return shownVersionId(present, record);
  });
}
