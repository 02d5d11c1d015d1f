/** GET Bucket encryption: how a bucket encrypts what is stored without a word about it. */

import { operation } from "../../operations/operation.ts";
import { BUCKET_ENCRYPTION, defaultEncryptionOutput } from "./model.ts";

export const getBucketEncryption = operation(
  {
    name: "GetBucketEncryption",
    summary: "Tells how a bucket encrypts what is stored without a word about it.",
    route: { method: "GET", on: "bucket", query: ["encryption"] },
    action: "name/cos:GetBucketEncryption",
    authentication: ["header", "query"],
    permission: "owner",
    input: {},
    output: { configuration: defaultEncryptionOutput },
    status: 200,
    errors: ["NoSuchEncryptionConfiguration"],
  },
  async ({ bucket, refuse, store }) => {
    const configuration = await store.configurations.find(bucket, BUCKET_ENCRYPTION);
    if (configuration === undefined) throw refuse("NoSuchEncryptionConfiguration");
    return { configuration };
  },
);
