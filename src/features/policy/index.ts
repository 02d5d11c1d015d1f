/**
 * Bucket policies.
 *
 * Differences and decisions: a bucket without a policy answers NoSuchPolicyVersion, the name that the error page has for
 * it. Elements that nobody knows are refused, since one that is passed over might have been meant to deny. A policy may
 * name resources of its own bucket alone. Its answer is `application/json`, where the sample of the reference page says
 * XML. Whom a policy names is not looked up: it may be an account that does not exist yet. The last five documents of a
 * policy are kept. No request has `qcs:vpc` and `vpc:requester_vpc`: none comes from a VPC. To S3 clients a bucket is
 * public (`?policyStatus`) where its policy allows something to anyone, but for conditions on addresses that no prefix
 * below /8 (/32 for IPv6) opens. `policyVersionsRollover=0` refuses a sixth with PolicyVersionFull.
 */

import type { Operation } from "../../operations/operation.ts";
import { deleteBucketPolicy } from "./delete-bucket-policy.ts";
import { getBucketPolicy } from "./get-bucket-policy.ts";
import { getBucketPolicyStatus } from "./get-bucket-policy-status.ts";
import { putBucketPolicy } from "./put-bucket-policy.ts";

export const operations: readonly Operation[] = [
  putBucketPolicy,
  getBucketPolicy,
  deleteBucketPolicy,
  getBucketPolicyStatus,
];
