/** GET Bucket cors: the CORS rules of a bucket. */

import { BUCKET_CORS } from "../../access/cors.ts";
import { operation } from "../../operations/operation.ts";
import { corsOutput } from "./model.ts";

export const getBucketCors = operation(
  {
    name: "GetBucketCORS",
    summary: "Tells which web pages may use a bucket.",
    route: { method: "GET", on: "bucket", query: ["cors"] },
    action: "name/cos:GetBucketCORS",
    authentication: ["header", "query"],
    permission: "owner",
    input: {},
    output: { configuration: corsOutput },
    status: 200,
    errors: ["NoSuchCORSConfiguration"],
  },
  async ({ bucket, refuse, store }) => {
    const configuration = await store.configurations.find(bucket, BUCKET_CORS);
    if (configuration === undefined) throw refuse("NoSuchCORSConfiguration");
    return { configuration };
  },
);
