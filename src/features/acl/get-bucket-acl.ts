/** GET ?acl of a bucket. */

import { BUCKET_GRANTS } from "../../access/documents.ts";
import { operation } from "../../operations/operation.ts";
import { aclOutput, describeAcl } from "./model.ts";

export const getBucketAcl = operation(
  {
    name: "GetBucketACL",
    summary: "Answers with the ACL of a bucket.",
    route: { method: "GET", on: "bucket", query: ["acl"] },
    action: "name/cos:GetBucketACL",
    authentication: ["header", "query", "anonymous"],
    permission: "read-acp",
    input: {},
    output: aclOutput,
    status: 200,
    errors: [],
  },
  async ({ bucket, store }) => {
    const more = (await store.configurations.find(bucket, BUCKET_GRANTS)) ?? { grants: [] };
    return describeAcl({ canned: bucket.acl, ...more }, bucket);
  },
);
