/** PUT Bucket intelligent tiering, the newer form: a rule by its id. `default` enables tiering; others archive what nobody reads. */

import { query, required } from "../../operations/input-fields.ts";
import { operation } from "../../operations/operation.ts";
import { BUCKET_TIERING, type TieringRule } from "../../store/storage-class.ts";
import { enableTiering, ENABLE_ERRORS } from "./enable-tiering.ts";
import { DEFAULT_RULE, tieringChangeBody } from "./tiering-document.ts";

/** Bytes of all rules of a bucket together, as they are stored: every read of an object of the class goes by them. */
const RULES_BYTES_MAX = 256 * 1024;

const inOrder = (rules: readonly TieringRule[]): readonly TieringRule[] =>
  rules.toSorted((a, b) => (a.id < b.id ? -1 : 1));

export const putTieringRule = operation(
  {
    name: "PutBucketIntelligentTieringConfiguration",
    summary: "Enables intelligent tiering (the rule default), or sets a rule for its archive tiers.",
    route: { method: "PUT", on: "bucket", query: ["intelligent-tiering"] },
    action: "name/cos:PutBucketIntelligentTiering",
    authentication: ["header", "query"],
    permission: "owner",
    input: {
      id: required(query.text("id", "the rule's id, 1 to 64 characters"), "InvalidArgument"),
      change: tieringChangeBody,
    },
    output: {},
    status: 200,
    errors: [...ENABLE_ERRORS, "InvalidRequest"],
  },
  async (context, { id, change }) => {
    const { bucket, limits, refuse, store } = context;
    if (change.id !== id) {
      throw refuse("InvalidArgument", { message: "The element Id must be the id of the request." });
    }
    if (change.kind === "default") {
      // In the service's own words. (intelligent tiering page)
      await enableTiering(context, change.days, "The default rule cannot be modified");
      return {};
    }
    if (!/^[\w.-]{1,64}$/.test(id)) {
      throw refuse("InvalidArgument", { message: "The id must be 1 to 64 letters, digits or any of . _ -" });
    }
    const { rule } = change;
    await store.configurations.change(bucket, BUCKET_TIERING, (_tx, _bucket, previous) => {
      if (previous === undefined) {
        throw refuse("InvalidRequest", { message: `Enable intelligent tiering first, by the rule ${DEFAULT_RULE}.` });
      }
      const rules = inOrder([...previous.rules.filter((one) => one.id !== id), rule]);
      if (rules.length > limits.tieringRulesMax) {
        throw refuse("InvalidArgument", {
          message: `A bucket has at most ${limits.tieringRulesMax} rules of tiering.`,
        });
      }
      if (Buffer.byteLength(JSON.stringify(rules)) > RULES_BYTES_MAX) {
        throw refuse("InvalidArgument", { message: `All rules together have more than ${RULES_BYTES_MAX} bytes.` });
      }
      return { ...previous, rules };
    });
    return {};
  },
);
