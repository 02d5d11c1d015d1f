/** DELETE ?policy: takes the policy of a bucket away, with those it had before. */

import { BUCKET_POLICY } from "../../access/documents.ts";
import { operation } from "../../operations/operation.ts";
import { detach } from "../../store/attachments.ts";

export const deleteBucketPolicy = operation(
  {
    name: "DeleteBucketPolicy",
    summary: "Takes the policy of a bucket away.",
    route: { method: "DELETE", on: "bucket", query: ["policy"] },
    action: "name/cos:DeleteBucketPolicy",
    authentication: ["header", "query"],
    permission: "write-acp",
    input: {},
    output: {},
    status: 204,
    errors: ["NoSuchBucket"],
  },
  async ({ bucket, store }) => {
    await store.configurations.change(bucket, BUCKET_POLICY, (tx, present) => {
      detach(tx, present, { of: "policy" });
      return undefined;
    });
    return {};
  },
);
