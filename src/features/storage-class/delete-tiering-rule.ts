/** DELETE Bucket intelligent tiering: takes away a rule for archive tiers; what it archived can be read again. */

import { query, required } from "../../operations/input-fields.ts";
import { operation } from "../../operations/operation.ts";
import { BUCKET_TIERING } from "../../store/storage-class.ts";
import { DEFAULT_RULE } from "./tiering-document.ts";

export const deleteTieringRule = operation(
  {
    name: "DeleteBucketIntelligentTieringConfiguration",
    summary: "Removes a rule for the archive tiers of intelligent tiering; succeeds as well when there is none.",
    route: { method: "DELETE", on: "bucket", query: ["intelligent-tiering"] },
    action: "name/cos:DeleteBucketIntelligentTiering",
    authentication: ["header", "query"],
    permission: "owner",
    input: { id: required(query.text("id", "the rule's id"), "InvalidArgument") },
    output: {},
    status: 204,
    errors: ["InvalidArgument", "NoSuchBucket"],
  },
  async ({ bucket, refuse, store }, { id }) => {
    if (id === DEFAULT_RULE) {
      throw refuse("InvalidArgument", { message: "The default rule cannot be modified" });
    }
    await store.configurations.change(
      bucket,
      BUCKET_TIERING,
      (_tx, _bucket, previous) => previous && { ...previous, rules: previous.rules.filter((one) => one.id !== id) },
    );
    return {};
  },
);
