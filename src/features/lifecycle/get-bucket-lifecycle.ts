/** GET Bucket lifecycle: the rules of a bucket. */

import { operation } from "../../operations/operation.ts";
import { lifecycleOutput } from "./document.ts";
import { BUCKET_LIFECYCLE } from "./rules.ts";

export const getBucketLifecycle = operation(
  {
    name: "GetBucketLifecycle",
    summary: "Tells the rules by which objects of a bucket change their class and go.",
    route: { method: "GET", on: "bucket", query: ["lifecycle"] },
    action: "name/cos:GetBucketLifecycle",
    authentication: ["header", "query"],
    permission: "owner",
    input: {},
    output: { lifecycle: lifecycleOutput },
    status: 200,
    errors: ["NoSuchLifecycleConfiguration"],
  },
  async ({ bucket, refuse, store }) => {
    const lifecycle = await store.configurations.find(bucket, BUCKET_LIFECYCLE);
    if (lifecycle === undefined) throw refuse("NoSuchLifecycleConfiguration");
    return { lifecycle };
  },
);
