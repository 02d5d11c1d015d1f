/** DELETE Bucket strict-signature: takes the rules from a bucket; one without rules is no fault. */

import { BUCKET_STRICT_SIGNATURE } from "../../access/strict-signature.ts";
import { operation } from "../../operations/operation.ts";

export const deleteBucketStrictSignature = operation(
  {
    name: "DeleteBucketStrictSignature",
    summary: "Lets signatures cover what they like again.",
    route: { method: "DELETE", on: "bucket", query: ["strict-signature"] },
    action: "name/cos:DeleteBucketStrictSignature",
    authentication: ["header", "query"],
    permission: "owner",
    input: {},
    output: {},
    status: 204,
    errors: ["NoSuchBucket"],
  },
  async ({ bucket, store }) => {
    await store.configurations.change(bucket, BUCKET_STRICT_SIGNATURE, () => undefined);
    return {};
  },
);
