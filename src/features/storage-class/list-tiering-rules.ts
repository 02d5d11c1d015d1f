/** GET Bucket intelligent tiering, the newer form without an id: every rule. */

import { operation } from "../../operations/operation.ts";
import { BUCKET_TIERING } from "../../store/storage-class.ts";
import { tieringRulesOutput } from "./tiering-document.ts";

export const listTieringRules = operation(
  {
    name: "ListBucketIntelligentTiering",
    summary: "Lists the rules of a bucket's intelligent tiering, the default one first.",
    route: { method: "GET", on: "bucket", query: ["intelligent-tiering"] },
    action: "name/cos:ListBucketIntelligentTiering",
    authentication: ["header", "query"],
    permission: "owner",
    input: {},
    output: { rules: tieringRulesOutput },
    status: 200,
    errors: [],
  },
  async ({ bucket, store }) => ({ rules: await store.configurations.find(bucket, BUCKET_TIERING) }),
);
