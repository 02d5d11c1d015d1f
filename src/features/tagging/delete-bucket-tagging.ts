/** DELETE Bucket tagging: takes all tags from a bucket; one without tags is no fault. */

import { operation } from "../../operations/operation.ts";
import { BUCKET_TAGS } from "../../store/tags.ts";

export const deleteBucketTagging = operation(
  {
    name: "DeleteBucketTagging",
    summary: "Takes all tags from a bucket.",
    route: { method: "DELETE", on: "bucket", query: ["tagging"] },
    action: "name/cos:DeleteBucketTagging",
    authentication: ["header", "query"],
    permission: "owner",
    input: {},
    output: {},
    status: 204,
    errors: ["NoSuchBucket"],
  },
  async ({ bucket, store }) => {
    await store.configurations.change(bucket, BUCKET_TAGS, () => undefined);
    return {};
  },
);
