/** The documents that a decision goes by, as the store keeps them. */

import type { ConfigurationKind, Configurations } from "../store/configurations.ts";
import type { BucketRecord, ObjectRecord } from "../store/records.ts";
import { BUCKET_TAGS, keptTags, NO_TAGS, type Tags } from "../store/tags.ts";
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

const NONE: AccessDocuments = { bucketPolicy: undefined, grants: [], tags: NO_TAGS };

/** The documents for a question; a promise only where one has to be read. */
export function documentsFor(
  { bucket, object }: Pick<AccessQuestion, "bucket" | "object">,
  configurations: Configurations,
): AccessDocuments | Promise<AccessDocuments> {
  if (bucket === undefined) return NONE;
  const policy = configurations.find(bucket, BUCKET_POLICY);
  const tags = configurations.find(bucket, BUCKET_TAGS);
  if (!(policy instanceof Promise) && !(tags instanceof Promise)) return together(bucket, policy, tags, object);
  return Promise.all([policy, tags]).then(([read, tagged]) => together(bucket, read, tagged, object));
}

function together(
  bucket: BucketRecord,
  policy: PolicyVersions | undefined,
  bucketTags: Tags = NO_TAGS,
  object: ObjectRecord | undefined,
): AccessDocuments {
  const objectTags = object === undefined || object.sections.length === 0 ? NO_TAGS : keptTags(object.sections);
  const tags = objectTags.length === 0 ? bucketTags : [...bucketTags, ...objectTags];
  return { bucketPolicy: policy?.current, grants: CANNED_GRANTS[bucket.acl], tags };
}
