/** PUT Object: stores a body under a key, in one request. */

import { group } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { checksumHeaders, checksumOutput } from "../../operations/checksums.ts";
import { checksumSections } from "../../store/checksums.ts";
import { tagSections } from "../../store/tags.ts";
import { objectTagsField } from "../tagging/model.ts";
import { refuseClass, shownClass, storageClassField, storageClassOutput } from "../storage-class/model.ts";
import { versionIdOutput } from "../versioning/model.ts";
import { ACL_PLACE_ERRORS, aclField, givenSections } from "../acl/model.ts";
import {
  metadataField,
  storedHeaderFields,
  storedHeaders,
  WRITE_CONDITION_ERRORS,
  writeConditionFields,
} from "./model.ts";
import { ownerOf, storeObject } from "./store-object.ts";
import { BODY_ERRORS, bodyFields, takeBody } from "./take-body.ts";

export const putObject = operation(
  {
    name: "PutObject",
    summary: "Stores an object in one request.",
    route: { method: "PUT", on: "object" },
    action: "name/cos:PutObject",
    authentication: ["header", "query", "anonymous"],
    permission: "write",
    input: {
      stored: group(storedHeaderFields),
      metadata: metadataField,
      acl: aclField("object"),
      storageClass: storageClassField,
      tags: objectTagsField,
      conditions: group(writeConditionFields),
      ...bodyFields,
    },
    output: {
      etag: out.quoted("ETag"),
      crc64: out.integer("x-cos-hash-crc64ecma"),
      versionId: versionIdOutput,
      storageClass: storageClassOutput,
      checksum: checksumOutput,
    },
    status: 200,
    errors: [...ACL_PLACE_ERRORS, ...BODY_ERRORS, ...WRITE_CONDITION_ERRORS, "NoSuchBucket"],
  },
  async (context, input) => {
    refuseClass(context.store, context.bucket, input.storageClass);
    const bytes = await takeBody(context, input);
    const etag = bytes.md5.toString("hex");
    const facts = {
      etag,
      crc64: bytes.crc64,
      modifiedMs: context.clock.now(),
      storageClass: input.storageClass,
      type: "normal",
      ownerUin: ownerOf(context),
      headers: storedHeaders(input.stored, context.key),
      metadata: input.metadata,
      sections: [...checksumSections(bytes.checksum), ...tagSections(input.tags), ...givenSections(input.acl)],
    } as const;
    const { versionId } = await storeObject(context, bytes, facts, input.conditions);
    return {
      etag,
      crc64: bytes.crc64,
      versionId,
      storageClass: shownClass(input.storageClass),
      checksum: checksumHeaders(bytes.checksum),
    };
  },
);
