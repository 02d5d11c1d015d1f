/** PUT Bucket tagging: sets the tags of a bucket in place of those it had. */

import { operation } from "../../operations/operation.ts";
import { BUCKET_TAGS, type Tags } from "../../store/tags.ts";
import { bucketTagsBody, TAG_ERRORS } from "./model.ts";

export const putBucketTagging = operation(
  {
    name: "PutBucketTagging",
    summary: "Sets the tags of a bucket.",
    route: { method: "PUT", on: "bucket", query: ["tagging"] },
    action: "name/cos:PutBucketTagging",
    authentication: ["header", "query"],
    permission: "owner",
    setsTags: ({ tags }: { readonly tags: Tags }) => tags,
    input: { tags: bucketTagsBody },
    output: {},
    // The service answers 204 here, and 200 for an object. (tagging pages)
    status: 204,
    errors: [...TAG_ERRORS, "NoSuchBucket"],
  },
  async ({ bucket, store }, { tags }) => {
    await store.configurations.change(bucket, BUCKET_TAGS, () => (tags.length === 0 ? undefined : tags));
    return {};
  },
);
