/** PUT Bucket referer: sets the referer rules of a bucket; without a document it takes them away. */

import { BUCKET_REFERER } from "../../access/referer.ts";
import { operation } from "../../operations/operation.ts";
import { refererBody } from "./model.ts";

export const putBucketReferer = operation(
  {
    name: "PutBucketReferer",
    summary: "Sets which pages may show the objects of a bucket; a request without a body takes the rules away.",
    route: { method: "PUT", on: "bucket", query: ["referer"] },
    action: "name/cos:PutBucketReferer",
    authentication: ["header", "query"],
    permission: "owner",
    input: { configuration: refererBody },
    output: {},
    status: 200,
    errors: ["InvalidArgument", "NoSuchBucket"],
  },
  async ({ bucket, store }, { configuration }) => {
    await store.configurations.change(bucket, BUCKET_REFERER, () => configuration);
    return {};
  },
);
