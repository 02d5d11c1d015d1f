/** DELETE Bucket lifecycle: takes the rules from a bucket; one without rules is no fault. */

import { operation } from "../../operations/operation.ts";
import { BUCKET_LIFECYCLE } from "./rules.ts";

export const deleteBucketLifecycle = operation(
  {
    name: "DeleteBucketLifecycle",
    summary: "Lets the objects of a bucket stay as they are.",
    route: { method: "DELETE", on: "bucket", query: ["lifecycle"] },
    action: "name/cos:DeleteBucketLifecycle",
    authentication: ["header", "query"],
    permission: "owner",
    input: {},
    output: {},
    status: 204,
    errors: ["NoSuchBucket"],
  },
  async ({ bucket, store }) => {
    await store.configurations.change(bucket, BUCKET_LIFECYCLE, () => undefined);
    return {};
  },
);
