/** The documents that a decision goes by, as the store keeps them. */

import type { ConfigurationKind, Configurations } from "../store/configurations.ts";
import type { BucketRecord } from "../store/records.ts";
import { CANNED_GRANTS } from "./acl.ts";
import type { AccessDocuments, AccessQuestion } from "./authorise.ts";
import type { Caller } from "./caller.ts";
import type { Policy } from "./policy/policy.ts";
import { readPolicy } from "./policy/read-policy.ts";

/** A bucket's policy and those it had before. */
export interface PolicyVersions {
  readonly current: Policy;
  /** Documents, the oldest first, the current one last. */
  readonly texts: readonly string[];
}

/** Makes the versions of these documents; the last is the current one and a policy of a bucket that was read before. */
export function policyVersions(texts: readonly string[]): PolicyVersions {
  const current = readPolicy(texts.at(-1) ?? "", { principal: "required", bytesMax: Number.MAX_SAFE_INTEGER });
  return { current, texts };
}

export const BUCKET_POLICY: ConfigurationKind<PolicyVersions> = {
  name: "policy",
  decode: (document) => policyVersions(JSON.parse(document.toString("utf8")) as string[]),
  encode: ({ texts }) => Buffer.from(JSON.stringify(texts)),
};

/** Whether the decision can differ from key to key of one bucket. */
export function dependsOnKey(caller: Caller, { bucketPolicy }: AccessDocuments): boolean {
  if (bucketPolicy !== undefined) return true;
  return caller.kind === "account" && (caller.policies.length > 0 || caller.session?.policy !== undefined);
}

const NONE: AccessDocuments = { bucketPolicy: undefined, grants: [] };

/** The documents for a question; a promise only where one has to be read. */
export function documentsFor(
  { bucket }: Pick<AccessQuestion, "bucket">,
  configurations: Configurations,
): AccessDocuments | Promise<AccessDocuments> {
  if (bucket === undefined) return NONE;
  const policy = configurations.find(bucket, BUCKET_POLICY);
  return policy instanceof Promise ? policy.then((read) => together(bucket, read)) : together(bucket, policy);
}

function together(bucket: BucketRecord, policy: PolicyVersions | undefined): AccessDocuments {
  return { bucketPolicy: policy?.current, grants: CANNED_GRANTS[bucket.acl] };
}
