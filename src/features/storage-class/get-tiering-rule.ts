/** GET Bucket intelligent tiering, the newer form: one rule by its id. */

import { query, required } from "../../operations/input-fields.ts";
import { operation } from "../../operations/operation.ts";
import { BUCKET_TIERING } from "../../store/storage-class.ts";
import { tieringRuleOutput } from "./tiering-document.ts";

export const getTieringRule = operation(
  {
    name: "GetBucketIntelligentTieringConfiguration",
    summary: "Tells a rule of a bucket's intelligent tiering; the document is empty where there is none of that id.",
    route: { method: "GET", on: "bucket", query: ["intelligent-tiering", "id"] },
    action: "name/cos:GetBucketIntelligentTiering",
    authentication: ["header", "query"],
    permission: "owner",
    input: { id: required(query.text("id", "the rule's id"), "InvalidArgument") },
    output: { rule: tieringRuleOutput },
    status: 200,
    errors: [],
  },
  async ({ bucket, store }, { id }) => ({
    rule: { tiering: await store.configurations.find(bucket, BUCKET_TIERING), id },
  }),
);
