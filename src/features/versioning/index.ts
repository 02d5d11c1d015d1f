/**
 * Versions of objects.
 *
 * Differences and decisions: version ids have the service's form and count up by sequence, also when the clock is set
 * back; objects stored before versioning was switched on, or while it is suspended, are version `null`, and an answer
 * tells `x-cos-version-id: null` for those in a bucket where versioning was ever configured. A version that is not there
 * is NoSuchVersion, for DELETE too (where S3 says 204), but in a bucket without versioning `versionId=null` is the object itself. The
 * version id of a delete marker is told with `x-cos-delete-marker` in the refusals of GET and HEAD. An appendable object
 * takes no part in versioning: it is the `null` version of its key and grows in place, and where an older version is the
 * `null` version, appending is refused with ObjectNotAppendable. A version may be copied onto its own key without
 * replacing metadata: that brings it back. `version-id-marker=null` of a key that has no such version (any more) shows
 * all versions of the key. Setting the state it already has changes nothing.
 */

import type { Operation } from "../../operations/operation.ts";
import { getBucketObjectVersions } from "./get-bucket-object-versions.ts";
import { getBucketVersioning } from "./get-bucket-versioning.ts";
import { putBucketVersioning } from "./put-bucket-versioning.ts";

export const operations: readonly Operation[] = [putBucketVersioning, getBucketVersioning, getBucketObjectVersions];
