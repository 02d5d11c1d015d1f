/**
 * Referer rules: which pages may show the objects of a bucket.
 *
 * Differences and decisions: GET and HEAD of objects are held against the rules, after the signature and before the
 * permission; signed requests are not, but for signed URLs where `VerifySignatureURL` is Enabled. A bucket without rules
 * answers an empty document where the service has a code that its error page does not list. `*` stands for any run of
 * characters of a host and never reaches into a path, so that `*.example.com` covers no page of `evil.example/x.example.com`;
 * hosts compare in any case. A rule with a path names the very host. More than 30 rules, and a rule that is no host, are
 * InvalidArgument.
 */

import type { Operation } from "../../operations/operation.ts";
import { getBucketReferer } from "./get-bucket-referer.ts";
import { putBucketReferer } from "./put-bucket-referer.ts";

export const operations: readonly Operation[] = [putBucketReferer, getBucketReferer];
