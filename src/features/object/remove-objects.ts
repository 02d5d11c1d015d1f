/** The transaction that removes objects and versions, for DELETE and multiple DELETE. */

import type { OperationContext } from "../../operations/operation.ts";
import { objectKey } from "../../store/keys.ts";
import type { Removal, Removed } from "../../store/objects.ts";
import type { BucketRecord } from "../../store/records.ts";
import { refuseRemoval } from "./model.ts";

/** Versions of one transaction: each costs ten operations at most, and an engine takes 1,000 of them. */
export const REMOVALS_MAX = 90;

/**
 * Whether a version that was named is not there. Without versions the object is the `null` version, and to delete what
 * is not there is no fault.
 */
export function isMissing(
  bucket: Pick<BucketRecord, "versioning">,
  versionId: string | number | undefined,
  { found }: Removed,
): boolean {
  if (found || versionId === undefined) return false;
  return versionId !== "null" || bucket.versioning !== undefined;
}

/**
 * Removes what is named under distinct keys, at most REMOVALS_MAX versions, in one step, and tells the fate of each.
 * Raises NoSuchBucket when the bucket was deleted since it was authorised, and PreconditionFailed, without removing
 * anything, where the first version named of a key has another ETag than `ifMatch`.
 */
export async function removeObjects(
  { bucket, caller, store }: Pick<OperationContext, "bucket" | "caller" | "store">,
  removals: readonly Removal[],
  ifMatch?: string,
): Promise<readonly (readonly Removed[])[]> {
  const ownerUin = caller.kind === "account" ? caller.uin : bucket.ownerUin;
  return store.transact(
    removals.map(({ key }) => objectKey(bucket.id, key)),
    async (tx) => {
      const present = await store.buckets.requireSame(tx, bucket);
      if (ifMatch !== undefined) {
        for (const { key, versions } of removals) {
          const found = await store.objects.findVersionIn(tx, present, key, versions[0]);
          refuseRemoval(ifMatch, found?.record);
        }
      }
      return store.objects.remove(tx, present, removals, ownerUin);
    },
  );
}
