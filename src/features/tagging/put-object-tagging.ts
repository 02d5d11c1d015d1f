/** PUT Object tagging: sets the tags of an object or a version. */

import { operation } from "../../operations/operation.ts";
import { versionIdField } from "../../operations/version-field.ts";
import type { Tags } from "../../store/tags.ts";
import { ABSENCE_ERRORS, versionIdOutput } from "../versioning/model.ts";
import { objectTagsBody, TAG_ERRORS } from "./model.ts";
import { setObjectTags } from "./set-object-tags.ts";

export const putObjectTagging = operation(
  {
    name: "PutObjectTagging",
    summary: "Sets the tags of an object, or of one version of it, in place of those it had.",
    route: { method: "PUT", on: "object", query: ["tagging"] },
    action: "name/cos:PutObjectTagging",
    authentication: ["header", "query"],
    permission: "owner",
    setsTags: ({ tags }: { readonly tags: Tags }) => tags,
    loads: "version",
    input: { versionId: versionIdField, tags: objectTagsBody },
    output: { versionId: versionIdOutput },
    status: 200,
    errors: [...ABSENCE_ERRORS, ...TAG_ERRORS, "NoSuchBucket", "ObjectLocked"],
  },
  async (context, { versionId, tags }) => ({
    versionId: await setObjectTags(context, versionId, tags),
  }),
);
