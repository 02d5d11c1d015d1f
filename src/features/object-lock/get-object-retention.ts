/** GET Object retention: until when a version is locked. */

import { operation } from "../../operations/operation.ts";
import { versionIdField } from "../../operations/version-field.ts";
import { lockedUntil } from "../../store/locks.ts";
import { absence, ABSENCE_ERRORS } from "../versioning/model.ts";
import { retentionOutput } from "./model.ts";

export const getObjectRetention = operation(
  {
    name: "GetObjectRetention",
    summary: "Tells until when an object is locked.",
    route: { method: "GET", on: "object", query: ["retention"] },
    action: "name/cos:GetObjectRetention",
    authentication: ["header", "query"],
    permission: "owner",
    loads: "version",
    input: { versionId: versionIdField },
    output: { retention: retentionOutput },
    status: 200,
    errors: [...ABSENCE_ERRORS, "NoSuchObjectLockConfiguration"],
  },
  async ({ bucket: { lock }, deleteMarker, object, refuse }, { versionId }) => {
    if (object === undefined) throw absence(versionId, deleteMarker);
    const untilMs = lockedUntil(object, lock);
    if (untilMs === undefined) throw refuse("NoSuchObjectLockConfiguration");
    // An object that its bucket's rule alone locks has no mode of its own.
    return { retention: { untilMs, mode: lock?.generation === 1 ? undefined : ("COMPLIANCE" as const) } };
  },
);
