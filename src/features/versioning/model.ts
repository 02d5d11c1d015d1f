/** What operations on versions share: naming one, telling one, and what is said where there is none. Pure. */

import { type CosError, refuse } from "../../errors/cos-error.ts";
import { formatHttpDate } from "../../http/dates.ts";
import { out } from "../../operations/output-fields.ts";
import type { BucketRecord, DeleteMarkerRecord, VersionRecord } from "../../store/records.ts";
import { type VersionId, versionIdOf } from "../../store/version-id.ts";

/** The output field of every answer that speaks of one version. */
export const versionIdOutput = out.text("x-cos-version-id", "a version id, or null");
/** `true` where that version is a delete marker, absent otherwise. */
export const deleteMarkerOutput = out.text("x-cos-delete-marker", "true");

/** The version id to show for a version of this bucket; undefined in a bucket where versioning was never configured. */
export function shownVersionId(
  bucket: Pick<BucketRecord, "versioning">,
  version: Pick<VersionRecord, "sequence" | "versioned">,
): string | undefined {
  return bucket.versioning === undefined ? undefined : versionIdOf(version);
}

/** The refusals of `absence`, for the declarations of its callers. */
export const ABSENCE_ERRORS = ["MethodNotAllowed", "NoSuchKey", "NoSuchVersion"] as const;

/**
 * The refusal of a request for an object that is not there: NoSuchVersion for a version that is not, NoSuchKey, or for a
 * delete marker that was named, MethodNotAllowed, since it can only be deleted. A delete marker is told in the headers, with
 * its time where it was named, as S3 has it.
 */
export function absence(versionId: VersionId | undefined, deleteMarker: DeleteMarkerRecord | undefined): CosError {
  if (deleteMarker === undefined) return refuse(versionId === undefined ? "NoSuchKey" : "NoSuchVersion");
  const headers = { "x-cos-delete-marker": "true", "x-cos-version-id": versionIdOf(deleteMarker) };
  if (versionId === undefined) return refuse("NoSuchKey", { headers });
  return refuse("MethodNotAllowed", {
    headers: { ...headers, Allow: "DELETE", "Last-Modified": formatHttpDate(deleteMarker.modifiedMs) },
    message: "The version is a delete marker, which can only be deleted.",
  });
}
