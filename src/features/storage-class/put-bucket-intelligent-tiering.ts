/** PUT Bucket intelligent tiering: lets a bucket have objects of the tiering class, for good. */

import { operation } from "../../operations/operation.ts";
import { enableTiering, ENABLE_ERRORS } from "./enable-tiering.ts";
import { tieringBody } from "./tiering-document.ts";

export const putBucketIntelligentTiering = operation(
  {
    name: "PutBucketIntelligentTiering",
    summary: "Enables intelligent tiering; it cannot be changed or taken back.",
    route: { method: "PUT", on: "bucket", query: ["intelligenttiering"] },
    action: "name/cos:PutBucketIntelligentTiering",
    authentication: ["header", "query"],
    permission: "owner",
    input: { days: tieringBody },
    output: {},
    status: 200,
    errors: [...ENABLE_ERRORS],
  },
  async (context, { days }) => {
    // In the service's own words. (test of the Python SDK)
    await enableTiering(context, days, "Not support modify intelligent tiering configuration");
    return {};
  },
);
