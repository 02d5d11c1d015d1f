/** PUT Bucket strict-signature: sets what signatures have to cover, in place of what was set. */

import { BUCKET_STRICT_SIGNATURE } from "../../access/strict-signature.ts";
import { operation } from "../../operations/operation.ts";
import { strictSignatureBody } from "./model.ts";

export const putBucketStrictSignature = operation(
  {
    name: "PutBucketStrictSignature",
    summary: "Sets which headers and parameters have to be signed in requests to a bucket.",
    route: { method: "PUT", on: "bucket", query: ["strict-signature"] },
    action: "name/cos:PutBucketStrictSignature",
    authentication: ["header", "query"],
    permission: "owner",
    input: { configuration: strictSignatureBody },
    output: {},
    status: 200,
    errors: ["InvalidArgument", "NoSuchBucket"],
  },
  async ({ bucket, store }, { configuration }) => {
    await store.configurations.change(bucket, BUCKET_STRICT_SIGNATURE, () => configuration);
    return {};
  },
);
