/** What the operations on bucket policies share: reading the document of a request. Pure. */

import { policyVersions, type PolicyVersions } from "../../access/documents.ts";
import { concerns, type ResourcePattern } from "../../access/policy/resource.ts";
import { PolicyFault, readPolicy } from "../../access/policy/read-policy.ts";
import { refuse } from "../../errors/cos-error.ts";
import type { Limits } from "../../limits.ts";
import type { BucketRecord } from "../../store/records.ts";

/** The policy of a bucket in its normal form. Raises MalformedPolicy, which names the place and what was expected. */
export function readBucketPolicy(bytes: Buffer, bucket: BucketRecord, limits: Limits): string {
  const resourceFault = (pattern: ResourcePattern): string | undefined =>
    concerns(pattern, bucket) ? undefined : `the resource is not in the bucket ${bucket.name}`;
  try {
    const rules = { principal: "required", bytesMax: limits.policyBytesMax, resourceFault } as const;
    return readPolicy(bytes.toString("utf8"), rules).text;
  } catch (error) {
    if (error instanceof PolicyFault) throw refuse("MalformedPolicy", { message: `${error.message}.`, cause: error });
    throw error;
  }
}

/**
 * The documents a bucket has after `text` was put. Where as many are kept as may be, the oldest gives way, or
 * PolicyVersionFull is raised where it may not. The same document again makes no version.
 */
export function withVersion(previous: PolicyVersions | undefined, text: string, limits: Limits): PolicyVersions {
  const before = previous?.texts ?? [];
  if (before.at(-1) === text) return previous as PolicyVersions;
  if (before.length >= limits.policyVersionsMax && limits.policyVersionsRollover === 0) {
    throw refuse("PolicyVersionFull");
  }
  const kept = before.slice(Math.max(0, before.length - limits.policyVersionsMax + 1));
  return policyVersions([...kept, text]);
}
