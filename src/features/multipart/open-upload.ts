/** Transactions on an upload that is open: what they depend on, and the one that stores a part. */

import { refuse } from "../../errors/cos-error.ts";
import type { ErrorId } from "../../errors/catalogue.ts";
import type { OperationContext } from "../../operations/operation.ts";
import { keeping, type PendingBody } from "../../store/bodies.ts";
import { type DataKey, KMS_ERRORS } from "../../store/encryption.ts";
import { partKey } from "../../store/keys.ts";
import type { PartRecord, UploadRecord } from "../../store/records.ts";
import type { Transaction } from "../../store/transact.ts";
import type { UploadName } from "../../store/uploads.ts";

type Where = Pick<OperationContext, "bucket" | "key" | "store">;

export function uploadName({ bucket, key }: Pick<Where, "bucket" | "key">, uploadId: string): UploadName {
  return { bucketId: bucket.id, key, uploadId };
}

/** The refusals of `uploadKey`, for the declarations of its callers. */
export const UPLOAD_KEY_ERRORS = [
  ...KMS_ERRORS,
  "InvalidRequest",
  "SSEContentNotSupported",
  "SsecDecryptHeaderInvalid",
] as const satisfies readonly ErrorId[];

/**
 * What the parts of an upload are sealed with; undefined where they are not. Raises SsecDecryptHeaderInvalid without the
 * client's key that the upload was begun with, InvalidRequest for a key where it takes none, and what the key management
 * service refuses.
 */
export async function uploadKey(
  { store }: Pick<Where, "store">,
  name: UploadName,
  { sections }: UploadRecord,
  customerKey: Buffer | undefined,
): Promise<DataKey | undefined> {
  const dataKey = await store.encryption.open(sections, name, customerKey);
  if (customerKey !== undefined && dataKey?.shown.kind !== "customer") {
    throw refuse("InvalidRequest", { message: "The upload was not begun with a key of your own." });
  }
  return dataKey;
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
