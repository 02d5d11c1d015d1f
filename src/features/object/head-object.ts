/** HEAD Object: what GET tells about an object, without its bytes. */

import { checksumModeField, checksumOutput } from "../../operations/checksums.ts";
import { group } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { versionIdField } from "../../operations/version-field.ts";
import { shownEncryption } from "../../store/encryption.ts";
import { customerKeyField, encryptionHeaders, encryptionOutput, refuseReading } from "../encryption/model.ts";
import { absence, ABSENCE_ERRORS, shownVersionId, versionIdOutput } from "../versioning/model.ts";
import {
  checksumOfAnswer,
  conditionFields,
  partField,
  partOfObject,
  describeObject,
  evaluateConditions,
  objectOutput,
  overrideFields,
  rangeOfHeadField,
  readRange,
  refuseOverrides,
  refuseRangeOfPart,
  viewOf,
  preconditionFailed,
  rangeMissed,
} from "./model.ts";

export const headObject = operation(
  {
    name: "HeadObject",
    summary: "Describes an object.",
    route: { method: "HEAD", on: "object" },
    action: "name/cos:HeadObject",
    authentication: ["header", "query", "anonymous"],
    permission: "read",
    loads: "version",
    shows: true,
    input: {
      versionId: versionIdField,
      conditions: group(conditionFields),
      checksumMode: checksumModeField,
      part: partField,
      range: rangeOfHeadField,
      overrides: group(overrideFields),
      customerKey: customerKeyField,
    },
    output: {
      status: out.status("206 for a part, 304 when a condition finds the object unchanged"),
      acceptRanges: out.text("Accept-Ranges"),
      contentRange: out.text("Content-Range"),
      contentLength: out.length(),
      object: out.group(objectOutput),
      versionId: versionIdOutput,
      encryption: encryptionOutput,
      checksum: checksumOutput,
      partsCount: out.integer("x-amz-mp-parts-count"),
    },
    status: 200,
    errors: [
      ...ABSENCE_ERRORS,
      "AccessDenied",
      "InvalidRange",
      "InvalidRequest",
      "PreconditionFailed",
      "SSEContentNotSupported",
      "SsecDecryptHeaderInvalid",
    ],
  },
  async (context, { checksumMode, conditions, customerKey, overrides, part: number, range: rangeText, versionId }) => {
    const { bucket, caller, clock, deleteMarker, key, object, store } = context;
    refuseOverrides(overrides, caller);
    refuseRangeOfPart(rangeText, number);
    if (object === undefined) throw absence(versionId, deleteMarker);
    refuseReading(context, object, customerKey);
    const verdict = evaluateConditions(conditions, object);
    if (verdict === "failed") throw preconditionFailed(object);
    const unchanged = verdict === "unchanged";
    const part = unchanged || number === undefined ? undefined : partOfObject(object, number);
    const asked = part ?? (unchanged ? "whole" : readRange(rangeText, object.size));
    if (asked === "unsatisfiable") throw rangeMissed(rangeText, object);
    const range = asked === "whole" ? undefined : asked;
    const view = await viewOf({ bucket, clock, key, store }, object);
    return {
      status: unchanged ? 304 : range === undefined ? 200 : 206,
      acceptRanges: "bytes",
      contentRange: range && object.size > 0 ? `bytes ${range.start}-${range.end - 1}/${object.size}` : undefined,
      contentLength: unchanged ? undefined : range === undefined ? object.size : range.end - range.start,
      object: describeObject(object, { ...view, overrides }),
      checksum: checksumMode && !unchanged ? checksumOfAnswer(object, part, range === undefined) : undefined,
      partsCount: part?.parts,
      versionId: shownVersionId(bucket, object),
      encryption: encryptionHeaders(shownEncryption(object.sections), customerKey),
    };
  },
);
