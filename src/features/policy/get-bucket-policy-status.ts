/** GET ?policyStatus: whether the policy of a bucket makes it public, for S3 clients; COS has no such operation. */

import { BUCKET_POLICY } from "../../access/documents.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { el, leaf } from "../../xml/write.ts";
import { isPublic } from "./model.ts";

export const getBucketPolicyStatus = operation(
  {
    name: "GetBucketPolicyStatus",
    only: "s3",
    summary: "Tells whether the policy of a bucket makes it public.",
    route: { method: "GET", on: "bucket", query: ["policyStatus"] },
    action: "name/cos:GetBucketPolicy",
    authentication: ["header", "query", "anonymous"],
    permission: "read-acp",
    input: {},
    output: { status: out.xml("PolicyStatus", (open: boolean) => el("PolicyStatus", leaf("IsPublic", open))) },
    status: 200,
    errors: ["NoSuchPolicyVersion"],
  },
  async ({ bucket, refuse, store }) => {
    const policy = await store.configurations.find(bucket, BUCKET_POLICY);
    if (policy === undefined) throw refuse("NoSuchPolicyVersion");
    return { status: isPublic(policy.current) };
  },
);
