/** The transaction that removes objects, for DELETE and multiple DELETE. */

import { objectKey } from "../../store/keys.ts";
import type { BucketRecord } from "../../store/records.ts";
import type { Store } from "../../store/store.ts";

/** Keys of one transaction: each costs three operations at most, and an engine takes 1,000 of them. */
export const REMOVALS_MAX = 250;

/**
 * Removes the objects under at most REMOVALS_MAX keys, in one step; keys without an object are passed over. Raises
 * NoSuchBucket when the bucket was deleted since it was authorised.
 */
export async function removeObjects(store: Store, bucket: BucketRecord, keys: readonly string[]): Promise<void> {
  const distinct = [...new Set(keys)];
  await store.transact(
    distinct.map((key) => objectKey(bucket.id, key)),
    async (tx) => {
      await store.buckets.requireSame(tx, bucket);
      const found = await store.objects.findManyIn(tx, bucket.id, distinct);
      for (const [at, key] of distinct.entries()) {
        const previous = found[at];
        if (previous !== undefined) store.objects.remove(tx, bucket.id, key, previous);
      }
    },
  );
}
