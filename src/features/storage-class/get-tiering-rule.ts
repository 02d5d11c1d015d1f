/** GET Bucket intelligent tiering, the newer form: one rule by its id. */

import { query, required } from "../../operations/input-fields.ts";
import { operation } from "../../operations/operation.ts";
import { BUCKET_TIERING } from "../../store/storage-class.ts";
import { tieringEntry, tieringRuleOutput } from "./tiering-document.ts";

export const getTieringRule = operation(
  {
    name: "GetBucketIntelligentTieringConfiguration",
    summary:
      "Tells a rule of a bucket's intelligent tiering; the document is empty where there is none of that id (to S3 that is a fault).",
    route: { method: "GET", on: "bucket", query: ["intelligent-tiering", "id"] },
    action: "name/cos:GetBucketIntelligentTiering",
    authentication: ["header", "query"],
    permission: "owner",
    input: {
      id: required(query.text("id", "the rule's id"), "InvalidArgument"),
      // To S3 a configuration that is not there is a fault; the service's error page has no code for it.
      absent: query.text("x-amz-absent-configurations", "of the S3 dialect: a rule that is not there is a fault"),
    },
    output: { rule: tieringRuleOutput },
    status: 200,
    errors: ["InvalidArgument"],
  },
  async ({ bucket, refuse, store }, { absent, id }) => {
    const rule = tieringEntry(await store.configurations.find(bucket, BUCKET_TIERING), id);
    if (rule === undefined && absent !== undefined) {
      throw refuse("InvalidArgument", {
        message: "The specified configuration does not exist.",
        s3: "NoSuchConfiguration",
      });
    }
    return { rule };
  },
);
