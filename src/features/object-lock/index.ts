/**
 * Object lock: versions that nobody may destroy before their day, the owner of the bucket included.
 *
 * Differences and decisions: the service has two generations of it. cosbox has the second: a bucket is enabled for good;
 * objects are locked by headers of what stores them, by `?retention`, or by the bucket's default, which holds for what is
 * stored from then on and may be changed or taken away. `--limit objectLockGeneration=1` gives buckets that are enabled from
 * then on the first: every object, older ones included, is locked for the bucket's days after its last change; the days may
 * only grow; there is no `?retention` to set, and no versioning. The one mode is COMPLIANCE: a date may be put off and never
 * brought forward; GOVERNANCE and legal holds are NotImplemented. What a lock refuses, in the transaction that would do it:
 * overwriting (PUT, form, copy, append, completion), deleting, also one among many, deleting by version, replacing the
 * `null` version under suspended versioning, and changing tags. A new version, a delete marker, an ACL, and restoring
 * from an archive are allowed. Parts of unfinished uploads are not locked; a retention given at the beginning of an upload, or the
 * bucket's default, holds from its completion. Versioning of such a bucket cannot be suspended, and it takes no intelligent
 * tiering (InvalidBucketState). Days may be told as `Years` of 365. `x-amz-bucket-object-lock-enabled` of a creation
 * enables it together with versioning, as in S3. A retention header, or `?retention`, for a bucket without object
 * lock is InvalidRequest. Emptying a server of development refuses while something is locked, unless it is forced. Time is
 * the server's own: its clock can be set in development alone, and with the server profile a machine's clock that is set
 * ahead by more than a day ends no lock before its time until the server is started anew; a server process that begins in
 * place of another (`--workers`, SIGUSR2) goes on with the time of the first.
 */

import type { Operation } from "../../operations/operation.ts";
import { getBucketObjectLock } from "./get-bucket-object-lock.ts";
import { getObjectRetention } from "./get-object-retention.ts";
import { putBucketObjectLock } from "./put-bucket-object-lock.ts";
import { putObjectRetention } from "./put-object-retention.ts";

export const operations: readonly Operation[] = [
  putBucketObjectLock,
  getBucketObjectLock,
  putObjectRetention,
  getObjectRetention,
];
