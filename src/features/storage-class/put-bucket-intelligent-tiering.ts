/** PUT Bucket intelligent tiering: lets a bucket have objects of the tiering class, for good. */

import { operation } from "../../operations/operation.ts";
import { bucketEvidence } from "../../store/state-evidence.ts";
import { BUCKET_TIERING } from "../../store/storage-class.ts";
import { tieringBody } from "./tiering-document.ts";

export const putBucketIntelligentTiering = operation(
  {
    name: "PutBucketIntelligentTiering",
    summary: "Enables intelligent tiering; it cannot be changed or taken back.",
    route: { method: "PUT", on: "bucket", query: ["intelligenttiering"] },
    action: "name/cos:PutBucketIntelligentTiering",
    authentication: ["header", "query"],
    permission: "owner",
    input: { tiering: tieringBody },
    output: {},
    status: 200,
    errors: ["InvalidArgument", "InvalidBucketState", "NoSuchBucket"],
  },
  async ({ bucket, refuse, store }, { tiering }) => {
    await store.configurations.change(bucket, BUCKET_TIERING, (_tx, present, previous) => {
      if (present.lock !== undefined) {
        throw refuse("InvalidBucketState", {
          message: "Intelligent tiering does not go together with object lock.",
          evidence: () => bucketEvidence(present),
        });
      }
      if (previous !== undefined && previous.days !== tiering.days) {
        // In the service's own words. (test of the Python SDK)
        throw refuse("InvalidArgument", { message: "Not support modify intelligent tiering configuration" });
      }
      return previous ?? tiering;
    });
    return {};
  },
);
