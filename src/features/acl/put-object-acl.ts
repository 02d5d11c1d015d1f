/** PUT ?acl of an object: by headers or by a document. */

import { operation } from "../../operations/operation.ts";
import { versionIdField } from "../../operations/version-field.ts";
import { detach } from "../../store/attachments.ts";
import { attachedVersion } from "../../store/key-versions.ts";
import { objectKey } from "../../store/keys.ts";
import { OBJECT_ACL_TAG } from "../../store/records.ts";
import { absence, ABSENCE_ERRORS } from "../versioning/model.ts";
import { ACL_INPUT_ERRORS, aclBody, aclField, givenAcl, givenSections, placeObjectAcl } from "./model.ts";

export const putObjectAcl = operation(
  {
    name: "PutObjectACL",
    summary: "Sets the ACL of an object, or takes its own away.",
    route: { method: "PUT", on: "object", query: ["acl"] },
    action: "name/cos:PutObjectACL",
    authentication: ["header", "query", "anonymous"],
    permission: "write-acp",
    loads: "version",
    input: { versionId: versionIdField, headers: aclField("object"), document: aclBody("object") },
    output: {},
    status: 200,
    errors: [...ACL_INPUT_ERRORS, ...ABSENCE_ERRORS, "NoSuchBucket"],
  },
  async ({ bucket, deleteMarker, key, limits, object, store }, { versionId, headers, document }) => {
    if (object === undefined) throw absence(versionId, deleteMarker);
    const own = givenSections(givenAcl<"object">(headers, document, bucket));
    await store.transact([objectKey(bucket.id, key)], async (tx) => {
      const present = await store.buckets.requireSame(tx, bucket);
      const found = await store.objects.findVersionIn(tx, present, key, versionId);
      if (found === undefined) throw absence(versionId, undefined);
      const { record } = found;
      if (record.type === "delete-marker") throw absence(versionId, record);
      const kept = record.sections.filter(({ tag }) => tag !== OBJECT_ACL_TAG);
      const changed = { ...record, sections: [...kept, ...own] };
      store.objects.update(tx, found.row, changed);
      if (own.length === 0) detach(tx, present, attachedVersion(key, changed));
      else await placeObjectAcl({ tx, configurations: store.configurations, limits }, present, key, changed);
    });
    return {};
  },
);
