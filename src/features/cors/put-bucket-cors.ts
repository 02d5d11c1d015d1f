/** PUT Bucket cors: sets the CORS rules of a bucket in place of those it had. */

import { BUCKET_CORS } from "../../access/cors.ts";
import { query } from "../../operations/input-fields.ts";
import { operation } from "../../operations/operation.ts";
import { corsBody, refuseOtherOrigins } from "./model.ts";

export const putBucketCors = operation(
  {
    name: "PutBucketCORS",
    summary: "Sets which web pages may use a bucket.",
    route: { method: "PUT", on: "bucket", query: ["cors"] },
    action: "name/cos:PutBucketCORS",
    authentication: ["header", "query"],
    permission: "owner",
    input: {
      configuration: corsBody,
      anyOrigins: query.text("x-amz-any-origins", "of the S3 dialect: an origin need not have a scheme"),
    },
    output: {},
    status: 200,
    errors: ["InvalidArgument", "NoSuchBucket"],
  },
  async ({ bucket, store }, { anyOrigins, configuration }) => {
    if (anyOrigins === undefined) refuseOtherOrigins(configuration);
    await store.configurations.change(bucket, BUCKET_CORS, () => configuration);
    return {};
  },
);
