/**
 * Tags of buckets and objects.
 *
 * Differences and decisions: keys have 1 to 128 characters and values up to 256, letters and digits of any script among
 * them; keys that begin with `qcs:` or `project` are reserved. Too many tags are `BadRquest`, every other fault InvalidTag.
 * An object without tags answers an empty set, a bucket NoSuchTagSet; setting no tags takes them away. To change tags
 * changes neither an object's time nor its version. A copy takes the tags of its source unless
 * `x-cos-tagging-directive: Replaced` is sent, and without it `x-cos-tagging` of a copy is ignored. GET and HEAD tell
 * the number of tags in `x-cos-tagging-count`. Conditions of policies find the tags of the bucket, and of the object
 * or version that the request addresses, under `qcs:resource_tag`, and the tags that it sets, in a header or a document,
 * under `qcs:request_tag`.
 */

import type { Operation } from "../../operations/operation.ts";
import { deleteBucketTagging } from "./delete-bucket-tagging.ts";
import { deleteObjectTagging } from "./delete-object-tagging.ts";
import { getBucketTagging } from "./get-bucket-tagging.ts";
import { getObjectTagging } from "./get-object-tagging.ts";
import { putBucketTagging } from "./put-bucket-tagging.ts";
import { putObjectTagging } from "./put-object-tagging.ts";

export const operations: readonly Operation[] = [
  putBucketTagging,
  getBucketTagging,
  deleteBucketTagging,
  putObjectTagging,
  getObjectTagging,
  deleteObjectTagging,
];
