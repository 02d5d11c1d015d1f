/** GET Object: an object's bytes, whole or a range of them. */

import { checksumModeField, checksumOutput } from "../../operations/checksums.ts";
import { group, header } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { versionIdField } from "../../operations/version-field.ts";
import { BodyVanished } from "../../store/bodies.ts";
import type { ObjectRecord } from "../../store/records.ts";
import { noteAccess, refuseFrozen } from "../storage-class/model.ts";
import {
  customerKeyField,
  DECRYPT_ERRORS,
  encryptionHeaders,
  encryptionOutput,
  keyToRead,
} from "../encryption/model.ts";
import { absence, ABSENCE_ERRORS, shownVersionId, versionIdOutput } from "../versioning/model.ts";
import {
  checksumOfAnswer,
  conditionFields,
  describeObject,
  evaluateConditions,
  objectOutput,
  partField,
  partOfObject,
  overrideFields,
  rangeStands,
  readRange,
  refuseOverrides,
  refuseRangeOfPart,
  viewOf,
  preconditionFailed,
  rangeMissed,
} from "./model.ts";

/** Look-ups of a row whose bytes were gone by the time they were wanted; each means that a writer came in between. */
const LOOKUPS_MAX = 10;

export const getObject = operation(
  {
    name: "GetObject",
    summary: "Answers with an object's bytes.",
    route: { method: "GET", on: "object" },
    action: "name/cos:GetObject",
    authentication: ["header", "query", "anonymous"],
    permission: "read",
    loads: "version",
    shows: true,
    input: {
      versionId: versionIdField,
      conditions: group(conditionFields),
      range: header.text("Range", "bytes=first-last"),
      part: partField,
      ifRange: header.text("If-Range", "an ETag or a date"),
      overrides: group(overrideFields),
      checksumMode: checksumModeField,
      customerKey: customerKeyField,
    },
    output: {
      status: out.status("206 for a range, 304 when a condition finds the object unchanged"),
      acceptRanges: out.text("Accept-Ranges"),
      contentRange: out.text("Content-Range"),
      object: out.group(objectOutput),
      checksum: checksumOutput,
      partsCount: out.integer("x-amz-mp-parts-count"),
      versionId: versionIdOutput,
      encryption: encryptionOutput,
      bytes: out.bytes(),
    },
    status: 200,
    errors: [...ABSENCE_ERRORS, ...DECRYPT_ERRORS, "InvalidObjectState403", "InvalidRange", "PreconditionFailed"],
  },
  async (
    context,
    { checksumMode, conditions, customerKey, ifRange, overrides, part: number, range: rangeText, versionId },
  ) => {
    const { bucket, caller, clock, deleteMarker, key, may, object: authorised, refuse, store } = context;
    refuseOverrides(overrides, caller);
    refuseRangeOfPart(rangeText, number);
    const answer = async (object: ObjectRecord) => {
      const view = await viewOf({ bucket, clock, key, store }, object);
      const { nowMs } = view;
      const described = describeObject(object, { ...view, overrides });
      const shown = shownVersionId(bucket, object);
      const dataKey = await keyToRead(context, object, customerKey);
      const encryption = encryptionHeaders(dataKey?.shown, customerKey);
      const verdict = evaluateConditions(conditions, object);
      if (verdict === "failed") throw preconditionFailed(object);
      if (verdict === "unchanged") {
        return {
          status: 304,
          acceptRanges: "bytes",
          contentRange: undefined,
          object: described,
          checksum: undefined,
          partsCount: undefined,
          versionId: shown,
          encryption,
          bytes: undefined,
        };
      }

      refuseFrozen(object, view);
      const part = number === undefined ? undefined : partOfObject(object, number);
      const range = part ?? readRange(rangeStands(ifRange, object) ? rangeText : undefined, object.size);
      if (range === "unsatisfiable") throw rangeMissed(rangeText, object);
      const { start, end } = range === "whole" ? { start: 0, end: object.size } : range;
      // It comes before the bytes are opened: from then on they have to be read or closed.
      await noteAccess({ bucket, key, object, store }, nowMs);
      const content = await store.bodies.open(object.body, start, end, dataKey?.bytes);
      return {
        status: range === "whole" ? 200 : 206,
        acceptRanges: "bytes",
        contentRange: range === "whole" ? undefined : `bytes ${start}-${end - 1}/${object.size}`,
        object: described,
        checksum: checksumMode ? checksumOfAnswer(object, part, range === "whole") : undefined,
        partsCount: part?.parts,
        versionId: shown,
        encryption,
        bytes: Buffer.isBuffer(content) ? content : { length: end - start, chunks: content },
      };
    };

    let object = authorised;
    let marker = deleteMarker;
    for (let lookups = 1; object !== undefined; lookups++) {
      try {
        return await answer(object);
      } catch (error) {
        if (!(error instanceof BodyVanished) || lookups === LOOKUPS_MAX) throw error;
        // A writer replaced the object after its row was read; the row that is there now has its bytes. It may have an
        // ACL of its own, so it is asked for anew.
        const record = (await store.objects.findVersion(bucket, key, versionId))?.record;
        object = record?.type === "delete-marker" ? undefined : record;
        marker = record?.type === "delete-marker" ? record : undefined;
        const wanted = { action: "name/cos:GetObject", permission: "read", bucket, key, object } as const;
        if (!(await may(wanted))) throw refuse("AccessDenied");
      }
    }
    throw absence(versionId, marker);
  },
);
