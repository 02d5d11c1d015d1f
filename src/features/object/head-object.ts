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
  viewOf,
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
  async (context, { checksumMode, conditions, customerKey, part: number, versionId }) => {
    const { bucket, clock, deleteMarker, key, object, refuse, store } = context;
    if (object === undefined) throw absence(versionId, deleteMarker);
    refuseReading(context, object, customerKey);
    const verdict = evaluateConditions(conditions, object);
    if (verdict === "failed") throw refuse("PreconditionFailed");
    const unchanged = verdict === "unchanged";
    const part = unchanged || number === undefined ? undefined : partOfObject(object, number);
    return {
      status: unchanged ? 304 : part === undefined ? 200 : 206,
      acceptRanges: "bytes",
      contentRange: part && object.size > 0 ? `bytes ${part.start}-${part.end - 1}/${object.size}` : undefined,
      contentLength: unchanged ? undefined : part === undefined ? object.size : part.end - part.start,
      object: describeObject(object, await viewOf({ bucket, clock, key, store }, object)),
      checksum: checksumMode && !unchanged ? checksumOfAnswer(object, part, true) : undefined,
      partsCount: part?.parts,
      versionId: shownVersionId(bucket, object),
      encryption: encryptionHeaders(shownEncryption(object.sections), customerKey),
    };
  },
);
