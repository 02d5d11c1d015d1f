/** DELETE Bucket: removes a bucket that holds nothing, not even an unfinished upload. */

import { operation } from "../../operations/operation.ts";

export const deleteBucket = operation(
  {
    name: "DeleteBucket",
    summary: "Deletes an empty bucket.",
    route: { method: "DELETE", on: "bucket" },
    action: "name/cos:DeleteBucket",
    authentication: ["header", "query"],
    permission: "owner",
    input: {},
    output: {},
    status: 204,
    errors: ["BucketNotEmpty", "NoSuchBucket"],
  },
  async ({ bucket, refuse, store }) => {
    const result = await store.buckets.remove(bucket.name, (present) => {
      if (present.id !== bucket.id) throw refuse("NoSuchBucket");
    });
    if (result === "not-empty") throw refuse("BucketNotEmpty");
    if (result === "absent") throw refuse("NoSuchBucket");
    return {};
  },
);
