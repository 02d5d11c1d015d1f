/**
 * Buckets: create, look, delete, locate.
 *
 * Differences and decisions: a name that the owner holds in another region is BucketAlreadyExists, in the same region
 * BucketAlreadyOwnedByYou; a name with another account's APPID is AccessDenied. The location is told as the plain
 * region (`ap-guangzhou`), as the table of the reference page has it, where its sample prints `cos.` before it.
 * Multi-AZ and OFS buckets answer NotImplemented by the element's name.
 */

import type { Operation } from "../../operations/operation.ts";
import { deleteBucket } from "./delete-bucket.ts";
import { getBucketLocation } from "./get-bucket-location.ts";
import { headBucket } from "./head-bucket.ts";
import { putBucket } from "./put-bucket.ts";

export const operations: readonly Operation[] = [putBucket, headBucket, deleteBucket, getBucketLocation];
