/** DELETE Bucket encryption: what is stored without a word about it is not encrypted any more. */

import { operation } from "../../operations/operation.ts";
import { BUCKET_ENCRYPTION } from "./model.ts";

export const deleteBucketEncryption = operation(
  {
    name: "DeleteBucketEncryption",
    summary: "Takes from a bucket how it encrypts what is stored without a word about it.",
    route: { method: "DELETE", on: "bucket", query: ["encryption"] },
    action: "name/cos:DeleteBucketEncryption",
    authentication: ["header", "query"],
    permission: "owner",
    input: {},
    output: {},
    status: 204,
    errors: ["NoSuchBucket"],
  },
  async ({ bucket, store }) => {
    await store.configurations.change(bucket, BUCKET_ENCRYPTION, () => undefined);
    return {};
  },
);
