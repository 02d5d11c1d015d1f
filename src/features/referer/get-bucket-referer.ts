/** GET Bucket referer: the referer rules of a bucket. */

import { BUCKET_REFERER } from "../../access/referer.ts";
import { operation } from "../../operations/operation.ts";
import { refererOutput } from "./model.ts";

export const getBucketReferer = operation(
  {
    name: "GetBucketReferer",
    summary: "Tells which pages may show the objects of a bucket; the document is empty where there are no rules.",
    route: { method: "GET", on: "bucket", query: ["referer"] },
    action: "name/cos:GetBucketReferer",
    authentication: ["header", "query"],
    permission: "owner",
    input: {},
    output: { configuration: refererOutput },
    status: 200,
    errors: [],
  },
  async ({ bucket, store }) => ({ configuration: await store.configurations.find(bucket, BUCKET_REFERER) }),
);
