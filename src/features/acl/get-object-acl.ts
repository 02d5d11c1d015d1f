/** GET ?acl of an object. */

import { ownAcl } from "../../access/acl.ts";
import { operation } from "../../operations/operation.ts";
import { versionIdField } from "../../operations/version-field.ts";
import { absence, ABSENCE_ERRORS } from "../versioning/model.ts";
import { aclOutput, describeAcl } from "./model.ts";

export const getObjectAcl = operation(
  {
    name: "GetObjectACL",
    summary: "Answers with the ACL of an object.",
    route: { method: "GET", on: "object", query: ["acl"] },
    action: "name/cos:GetObjectACL",
    authentication: ["header", "query", "anonymous"],
    permission: "read-acp",
    loads: "version",
    input: { versionId: versionIdField },
    output: aclOutput,
    status: 200,
    errors: ABSENCE_ERRORS,
  },
  async ({ bucket, deleteMarker, object }, { versionId }) => {
    if (object === undefined) throw absence(versionId, deleteMarker);
    return describeAcl(ownAcl(object.sections), bucket);
  },
);
