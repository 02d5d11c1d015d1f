/** DELETE Object tagging: takes all tags from an object or a version. */

import { operation } from "../../operations/operation.ts";
import { versionIdField } from "../../operations/version-field.ts";
import { NO_TAGS } from "../../store/tags.ts";
import { ABSENCE_ERRORS, versionIdOutput } from "../versioning/model.ts";

import { setObjectTags } from "./set-object-tags.ts";

export const deleteObjectTagging = operation(
  {
    name: "DeleteObjectTagging",
    summary: "Takes all tags from an object, or from one version of it.",
    route: { method: "DELETE", on: "object", query: ["tagging"] },
    action: "name/cos:DeleteObjectTagging",
    authentication: ["header", "query"],
    permission: "owner",
    loads: "version",
    input: { versionId: versionIdField },
    output: { versionId: versionIdOutput },
    status: 204,
    errors: [...ABSENCE_ERRORS, "NoSuchBucket", "ObjectLocked"],
  },
  async (context, { versionId }) => ({
    versionId: await setObjectTags(context, versionId, NO_TAGS),
  }),
);
