/** GET Object tagging: the tags of an object or a version; an empty set where it has none. */

import { operation } from "../../operations/operation.ts";
import { versionIdField } from "../../operations/version-field.ts";
import { keptTags } from "../../store/tags.ts";
import { absence, ABSENCE_ERRORS, shownVersionId, versionIdOutput } from "../versioning/model.ts";
import { taggingOutput } from "./model.ts";

export const getObjectTagging = operation(
  {
    name: "GetObjectTagging",
    summary: "Tells the tags of an object, or of one version of it.",
    route: { method: "GET", on: "object", query: ["tagging"] },
    action: "name/cos:GetObjectTagging",
    authentication: ["header", "query"],
    permission: "owner",
    loads: "version",
    input: { versionId: versionIdField },
    output: { versionId: versionIdOutput, tags: taggingOutput },
    status: 200,
    errors: ABSENCE_ERRORS,
  },
  async ({ bucket, deleteMarker, object }, { versionId }) => {
    if (object === undefined) throw absence(versionId, deleteMarker);
    return { versionId: shownVersionId(bucket, object), tags: keptTags(object.sections) };
  },
);
