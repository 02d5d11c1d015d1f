/** Enables intelligent tiering, which either form of its configuration does. */

import { refuse } from "../../errors/cos-error.ts";
import type { ErrorId } from "../../errors/catalogue.ts";
import type { OperationContext } from "../../operations/operation.ts";
import { bucketEvidence } from "../../store/state-evidence.ts";
import { BUCKET_TIERING } from "../../store/storage-class.ts";

/** The refusals of `enableTiering`. */
export const ENABLE_ERRORS = [
  "InvalidArgument",
  "InvalidBucketState",
  "NoSuchBucket",
] as const satisfies readonly ErrorId[];

/**
 * Enables tiering with so many days, for good. Raises InvalidBucketState in a bucket with object lock, and InvalidArgument
 * with the message `unchangeable` where it is enabled with other days.
 */
export async function enableTiering(
  { bucket, store }: Pick<OperationContext, "bucket" | "store">,
  days: number,
  unchangeable: string,
): Promise<void> {
  await store.configurations.change(bucket, BUCKET_TIERING, (_tx, present, previous) => {
    if (present.lock !== undefined) {
      throw refuse("InvalidBucketState", {
        message: "Intelligent tiering does not go together with object lock.",
        evidence: () => bucketEvidence(present),
      });
    }
    if (previous !== undefined && previous.days !== days) throw refuse("InvalidArgument", { message: unchangeable });
    return previous ?? { days, rules: [] };
  });
}
