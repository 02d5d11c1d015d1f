/** The one transaction that puts an object under a key, for PUT and copy. */

import type { OperationContext } from "../../operations/operation.ts";
import { keeping, type PendingBody } from "../../store/bodies.ts";
import { objectKey } from "../../store/keys.ts";
import type { NewObject } from "../../store/objects.ts";
import { shownVersionId } from "../versioning/model.ts";
import { placeObjectAcl } from "../acl/model.ts";
import { refuseWrite, type WriteConditions } from "./model.ts";

const UNCONDITIONAL: WriteConditions = { ifMatch: undefined, ifNoneMatch: undefined };

/** What a client is told of an object that was stored. */
export interface StoredObject {
  /** Undefined in a bucket where versioning was never configured. */
  readonly versionId: string | undefined;
}

/**
 * Stores an object whose bytes are at hand as the current one under the context's key, and gives the bytes back when it
 * is refused. Raises PolicyFull, NoSuchBucket when the bucket was deleted since it was authorised, and what `refuseWrite`
 * does.
 */
export async function storeObject(
  { bucket, key, limits, store }: Pick<OperationContext, "bucket" | "key" | "limits" | "store">,
  pending: PendingBody,
  facts: Omit<NewObject, "body" | "size">,
  conditions: WriteConditions = UNCONDITIONAL,
): Promise<StoredObject> {
  const { etag, crc64, modifiedMs, storageClass, type, ownerUin, headers, metadata, sections } = facts;
  const { body } = pending;
  const { size } = body;
  // Field by field, as in `Objects.put`.
  const record: NewObject = {
    size,
    modifiedMs,
    etag,
    crc64,
    type,
    storageClass,
    ownerUin,
    headers,
    metadata,
    body,
    sections,
  };
  return keeping(pending, () =>
    store.transact([objectKey(bucket.id, key)], async (tx) => {
      const present = await store.buckets.requireSame(tx, bucket);
      if (conditions.ifMatch !== undefined || conditions.ifNoneMatch !== undefined) {
        refuseWrite(conditions, await store.objects.findIn(tx, bucket.id, key));
      }
      await pending.addTo(tx);
      const stored = await store.objects.put(tx, present, key, record);
      await placeObjectAcl({ tx, configurations: store.configurations, limits }, present, key, stored);
      return { versionId: shownVersionId(present, stored) };
    }),
  );
}

/** UIN of the owner of what is stored in a bucket: the bucket's own, whoever stores it. (ACL overview) */
export function ownerOf({ bucket }: Pick<OperationContext, "bucket">): string {
  return bucket.ownerUin;
}
