/** GET ?policy: the policy of a bucket. */

import { BUCKET_POLICY } from "../../access/documents.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";

export const getBucketPolicy = operation(
  {
    name: "GetBucketPolicy",
    summary: "Answers with the policy of a bucket.",
    route: { method: "GET", on: "bucket", query: ["policy"] },
    action: "name/cos:GetBucketPolicy",
    authentication: ["header", "query", "anonymous"],
    permission: "read-acp",
    input: {},
    output: { policy: out.document("policy", "application/json") },
    status: 200,
    errors: ["NoSuchPolicyVersion"],
  },
  async ({ bucket, refuse, store }) => {
    const policy = await store.configurations.find(bucket, BUCKET_POLICY);
    if (policy === undefined) throw refuse("NoSuchPolicyVersion");
    return { policy: policy.current.text };
  },
);
