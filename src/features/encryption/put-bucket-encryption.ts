/** PUT Bucket encryption: how a bucket encrypts what is stored without a word about it. */

import { operation } from "../../operations/operation.ts";
import { BUCKET_ENCRYPTION, defaultEncryptionBody } from "./model.ts";

export const putBucketEncryption = operation(
  {
    name: "PutBucketEncryption",
    summary: "Sets how a bucket encrypts what is stored without a word about it.",
    route: { method: "PUT", on: "bucket", query: ["encryption"] },
    action: "name/cos:PutBucketEncryption",
    authentication: ["header", "query"],
    permission: "owner",
    input: { configuration: defaultEncryptionBody },
    output: {},
    status: 200,
    errors: ["InvalidArgument", "NoSuchBucket", "NotImplemented"],
  },
  async ({ bucket, store }, { configuration }) => {
    await store.configurations.change(bucket, BUCKET_ENCRYPTION, () => configuration);
    return {};
  },
);
