/** DELETE Bucket cors: takes the CORS rules from a bucket; one without rules is no fault. */

import { BUCKET_CORS } from "../../access/cors.ts";
import { operation } from "../../operations/operation.ts";

export const deleteBucketCors = operation(
  {
    name: "DeleteBucketCORS",
    summary: "Lets no web page use a bucket any more.",
    route: { method: "DELETE", on: "bucket", query: ["cors"] },
    action: "name/cos:DeleteBucketCORS",
    authentication: ["header", "query"],
    permission: "owner",
    input: {},
    output: {},
    status: 204,
    errors: ["NoSuchBucket"],
  },
  async ({ bucket, store }) => {
    await store.configurations.change(bucket, BUCKET_CORS, () => undefined);
    return {};
  },
);
