/** PUT ?policy: sets the policy of a bucket, in place of the one before. */

import { BUCKET_POLICY } from "../../access/documents.ts";
import { documentBody, required } from "../../operations/input-fields.ts";
import { operation } from "../../operations/operation.ts";
import { attach } from "../../store/attachments.ts";
import { readBucketPolicy, withVersion } from "./model.ts";

export const putBucketPolicy = operation(
  {
    name: "PutBucketPolicy",
    summary: "Sets the policy of a bucket.",
    route: { method: "PUT", on: "bucket", query: ["policy"] },
    action: "name/cos:PutBucketPolicy",
    authentication: ["header", "query"],
    permission: "write-acp",
    input: {
      document: required(
        documentBody({ name: "policy", bytesMax: (limits) => limits.policyBytesMax, over: "MalformedPolicy" }),
        "MissingRequestBodyError",
      ),
    },
    output: {},
    status: 204,
    errors: ["MalformedPolicy", "NoSuchBucket", "PolicyFull", "PolicyVersionFull"],
  },
  async ({ bucket, limits, refuse, store }, { document }) => {
    const text = readBucketPolicy(document, bucket, limits);
    await store.configurations.change(bucket, BUCKET_POLICY, async (tx, present, previous) => {
      const attached = await attach(tx, present, { of: "policy" }, limits.attachmentsPerAccount);
      if (!attached) throw refuse("PolicyFull");
      return withVersion(previous, text, limits);
    });
    return {};
  },
);
