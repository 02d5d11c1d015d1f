/** GET Bucket tagging: the tags of a bucket. */

import { operation } from "../../operations/operation.ts";
import { BUCKET_TAGS } from "../../store/tags.ts";
import { taggingOutput } from "./model.ts";

export const getBucketTagging = operation(
  {
    name: "GetBucketTagging",
    summary: "Tells the tags of a bucket.",
    route: { method: "GET", on: "bucket", query: ["tagging"] },
    action: "name/cos:GetBucketTagging",
    authentication: ["header", "query"],
    permission: "owner",
    input: {},
    output: { tags: taggingOutput },
    status: 200,
    errors: ["NoSuchTagSet"],
  },
  async ({ bucket, refuse, store }) => {
    const tags = await store.configurations.find(bucket, BUCKET_TAGS);
    if (tags === undefined) throw refuse("NoSuchTagSet");
    return { tags };
  },
);
