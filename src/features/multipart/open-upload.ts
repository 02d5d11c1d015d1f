/** Transactions on an upload that is open: what they depend on, and the one that stores a part. */

import { refuse } from "../../errors/cos-error.ts";
import type { OperationContext } from "../../operations/operation.ts";
import { keeping, type PendingBody } from "../../store/bodies.ts";
import { partKey } from "../../store/keys.ts";
import type { PartRecord, UploadRecord } from "../../store/records.ts";
import type { Transaction } from "../../store/transact.ts";
import type { UploadName } from "../../store/uploads.ts";

type Where = Pick<OperationContext, "bucket" | "key" | "store">;

export function uploadName({ bucket, key }: Pick<Where, "bucket" | "key">, uploadId: string): UploadName {
  return { bucketId: bucket.id, key, uploadId };
}

/**
 * Makes a transaction depend on the bucket the request was authorised for and on the upload, which it waits for while it
 * is being completed. Raises NoSuchBucket and NoSuchUpload.
 */
export async function requireUpload(tx: Transaction, where: Where, name: UploadName): Promise<UploadRecord> {
  await where.store.buckets.requireSame(tx, where.bucket);
  const upload = await where.store.uploads.require(tx, name);
  if (upload === undefined) throw refuse("NoSuchUpload");
  return upload;
}

/**
 * Stores a part whose bytes are at hand, in place of the one that had its number, and gives the bytes back when it is
 * refused. Raises NoSuchBucket and NoSuchUpload; throws BodyVanished for shared bytes whose source has changed.
 */
export async function storePart(
  where: Where,
  name: UploadName,
  number: number,
  pending: PendingBody,
  facts: Omit<PartRecord, "body">,
): Promise<void> {
  await keeping(pending, () =>
    where.store.transact([partKey(name.bucketId, name.uploadId, number)], async (tx) => {
      await requireUpload(tx, where, name);
      await pending.addTo(tx);
      await where.store.uploads.putPart(tx, name, { ...facts, number, body: pending.body });
    }),
  );
}
