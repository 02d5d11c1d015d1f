/** DELETE Object: forgets the object under a key, or one version of it; a key that holds none is no fault. */

import { header } from "../../operations/input-fields.ts";
import { operation } from "../../operations/operation.ts";
import { versionIdField } from "../../operations/version-field.ts";
import type { Removed } from "../../store/objects.ts";
import { lockedBy } from "../../store/state-evidence.ts";
import { textOfVersionId } from "../../store/version-id.ts";
import { deleteMarkerOutput, versionIdOutput } from "../versioning/model.ts";
import { absentVersionsField } from "./model.ts";
import { isMissing, removeObjects } from "./remove-objects.ts";

export const deleteObject = operation(
  {
    name: "DeleteObject",
    summary: "Deletes an object, or one version of it; succeeds as well when there is no object.",
    route: { method: "DELETE", on: "object" },
    action: "name/cos:DeleteObject",
    authentication: ["header", "query", "anonymous"],
    permission: "write",
    input: {
      versionId: versionIdField,
      ifMatch: header.text("If-Match", "an ETag that the object must have"),
      absent: absentVersionsField,
    },
    output: { versionId: versionIdOutput, deleteMarker: deleteMarkerOutput },
    status: 204,
    errors: ["NoSuchBucket", "NoSuchVersion", "ObjectLocked", "PreconditionFailed"],
  },
  async (context, { absent, ifMatch, versionId }) => {
    const [[removed] = []] = await removeObjects(context, [{ key: context.key, versions: [versionId] }], ifMatch);
    const fate = removed as Removed;
    if (fate.locked) throw lockedBy(fate.locked);
    if (isMissing(context.bucket, versionId, fate)) {
      const named = versionId === undefined ? undefined : textOfVersionId(versionId);
      if (absent === undefined || named === undefined) throw context.refuse("NoSuchVersion");
      return { versionId: named, deleteMarker: undefined };
    }
    const { deleteMarker, versionId: affected } = fate;
    return { versionId: affected, deleteMarker: deleteMarker ? "true" : undefined };
  },
);
