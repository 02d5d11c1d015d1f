/** PUT Bucket cors: sets the CORS rules of a bucket in place of those it had. */

import { BUCKET_CORS } from "../../access/cors.ts";
import { operation } from "../../operations/operation.ts";
import { corsBody } from "./model.ts";

export const putBucketCors = operation(
  {
    name: "PutBucketCORS",
    summary: "Sets which web pages may use a bucket.",
    route: { method: "PUT", on: "bucket", query: ["cors"] },
    action: "name/cos:PutBucketCORS",
    authentication: ["header", "query"],
    permission: "owner",
    input: { configuration: corsBody },
    output: {},
    status: 200,
    errors: ["InvalidArgument", "NoSuchBucket"],
  },
  async ({ bucket, store }, { configuration }) => {
    await store.configurations.change(bucket, BUCKET_CORS, () => configuration);
    return {};
  },
);
