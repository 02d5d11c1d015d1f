/** What the operations on bucket policies share: reading the document of a request. Pure. */

import { policyVersions, type PolicyVersions } from "../../access/documents.ts";
import type { Policy } from "../../access/policy/policy.ts";
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

/** Prefixes of source addresses as short as these are the open world. (S3 user guide, the meaning of "public") */
const OPEN_PREFIX_BITS = { ipv4: 8, ipv6: 32 } as const;

function isNarrow(range: string): boolean {
  const bits = /\/(\d{1,3})$/.exec(range)?.[1];
  return bits === undefined || Number(bits) >= OPEN_PREFIX_BITS[range.includes(":") ? "ipv6" : "ipv4"];
}

/** Whether a policy allows something to anybody, wherever they come from. */
export function isPublic({ statements }: Policy): boolean {
  return statements.some(
    ({ effect, principals, conditions }) =>
      effect === "allow" &&
      principals?.some(({ kind }) => kind === "anyone") === true &&
      !conditions.some(({ operator, key, values }) => {
        return operator === "ip_equal" && key === "qcs:ip" && values.every(isNarrow);
      }),
  );
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
