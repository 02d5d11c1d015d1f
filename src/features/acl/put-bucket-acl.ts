/** PUT ?acl of a bucket: by headers or by a document. */

import { operation } from "../../operations/operation.ts";
import { bucketKey } from "../../store/keys.ts";
import { ACL_INPUT_ERRORS, aclBody, aclField, givenAcl, setBucketAcl } from "./model.ts";

export const putBucketAcl = operation(
  {
    name: "PutBucketACL",
    summary: "Sets the ACL of a bucket.",
    route: { method: "PUT", on: "bucket", query: ["acl"] },
    action: "name/cos:PutBucketACL",
    authentication: ["header", "query", "anonymous"],
    permission: "write-acp",
    input: { headers: aclField("bucket"), document: aclBody("bucket") },
    output: {},
    status: 200,
    errors: [...ACL_INPUT_ERRORS, "NoSuchBucket"],
  },
  async ({ bucket, limits, store }, { headers, document }) => {
    const acl = givenAcl<"bucket">(headers, document, bucket);
    if (acl === "default") throw new Error("a bucket has no default ACL");
    await store.transact([bucketKey(bucket.name)], async (tx) => {
      const present = await store.buckets.requireSame(tx, bucket);
      await setBucketAcl({ tx, configurations: store.configurations, limits }, present, acl);
    });
    return {};
  },
);
