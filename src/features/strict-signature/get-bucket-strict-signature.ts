/** GET Bucket strict-signature: what signatures have to cover. */

import { BUCKET_STRICT_SIGNATURE } from "../../access/strict-signature.ts";
import { operation } from "../../operations/operation.ts";
import { strictSignatureOutput } from "./model.ts";

export const getBucketStrictSignature = operation(
  {
    name: "GetBucketStrictSignature",
    summary: "Tells which headers and parameters have to be signed; the document is empty where there are no rules.",
    route: { method: "GET", on: "bucket", query: ["strict-signature"] },
    action: "name/cos:GetBucketStrictSignature",
    authentication: ["header", "query"],
    permission: "owner",
    input: {},
    output: { configuration: strictSignatureOutput },
    status: 200,
    errors: [],
  },
  async ({ bucket, store }) => ({ configuration: await store.configurations.find(bucket, BUCKET_STRICT_SIGNATURE) }),
);
