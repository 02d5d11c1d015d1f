/**
 * Lifecycle: rules by which objects of a bucket change their class and go, and the work that does it.
 *
 * Differences and decisions: rules are at work at once; the service's take effect within the day. A pass begins at
 * 00:00 of GMT+8, or when the server next runs; what was missed is made up for by one pass, of the last midnight. What
 * a pass supersedes counts as superseded at its midnight. A rule does nothing at midnights before it was set.
 * Appendable objects take no part. Archived objects stay in their class while a restored copy of them is there or on
 * its way. A delete marker counts as superseded when the next newer version was stored. `Date` may be midnight of GMT+8
 * or of GMT, and a rule with a date in the past holds every day from then on. Two enabled rules of one filter that say
 * otherwise about the same thing are InvalidRequest (`Conflict lifecycle rule`); filters that merely overlap are
 * allowed. A filter that nothing can pass, and one of tags or of more than so many bytes for delete markers and
 * uploads, which have neither, are InvalidArgument. `AccessFrequency` and S3's `NewerNoncurrentVersions` are
 * NotImplemented. With the server profile a machine's clock that jumps by more than a day holds all of it until the
 * server is started anew. The answers to PUT, copy, a completion, GET and HEAD tell `x-cos-expiration`, in the form
 * that S3 has.
 */

import type { Operation } from "../../operations/operation.ts";
import { deleteBucketLifecycle } from "./delete-bucket-lifecycle.ts";
import { getBucketLifecycle } from "./get-bucket-lifecycle.ts";
import { putBucketLifecycle } from "./put-bucket-lifecycle.ts";

export { lifecycleTask } from "./worker.ts";

export const operations: readonly Operation[] = [putBucketLifecycle, getBucketLifecycle, deleteBucketLifecycle];
