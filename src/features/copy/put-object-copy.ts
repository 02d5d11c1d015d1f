/** PUT Object - Copy: makes an object of another one's bytes, which both then share. */

import { checksumAlgorithmField, shownChecksum } from "../../operations/checksums.ts";
import type { CopyDocument } from "../../operations/documents.ts";
import { group, header } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { formatIsoSeconds } from "../../http/dates.ts";
import { el, leaf, optional, type XmlNode } from "../../xml/write.ts";
import { checksumSections } from "../../store/checksums.ts";
import { ACL_PLACE_ERRORS, aclField, givenSections } from "../acl/model.ts";
import {
  customerKeyIn,
  ENCRYPT_ERRORS,
  encryptionField,
  encryptionHeaders,
  encryptionOutput,
  methodFor,
} from "../encryption/model.ts";
import {
  metadataField,
  storedHeaderFields,
  storedHeaders,
  WRITE_CONDITION_ERRORS,
  writeConditionFields,
} from "../object/model.ts";
import { LOCK_ERRORS, lockSections, retentionField } from "../object-lock/model.ts";
import { ownerOf, storeObject } from "../object/store-object.ts";
import { keptTags, tagSections } from "../../store/tags.ts";
import { objectTagsField, taggingDirectiveField } from "../tagging/model.ts";
import { expirationOutput, shownExpiration } from "../lifecycle/model.ts";
import { refuseClass, shownClass, storageClassField, storageClassOutput } from "../storage-class/model.ts";
import { shownVersionId, versionIdOutput } from "../versioning/model.ts";
import { checksumOfSource, copiedBytes, COPY_SOURCE_ERRORS, copySourceFields, withSource } from "./model.ts";

function copyObjectResult({ etag, crc64, modifiedMs, versionId }: CopyDocument): XmlNode {
  return el(
    "CopyObjectResult",
    leaf("ETag", `"${etag}"`),
    leaf("CRC64", crc64),
    leaf("LastModified", formatIsoSeconds(modifiedMs)),
    optional("VersionId", versionId),
  );
}

export const putObjectCopy = operation(
  {
    name: "PutObjectCopy",
    summary: "Stores a copy of another object.",
    route: { method: "PUT", on: "object", header: "x-cos-copy-source" },
    action: "name/cos:PutObject",
    // The name in CAM's list; the page on policies has the other.
    aliases: ["name/cos:PutObjectCopy"],
    authentication: ["header", "query", "anonymous"],
    permission: "write",
    uploads: true,
    input: {
      source: group(copySourceFields),
      directive: header.oneOf("x-cos-metadata-directive", ["Copy", "Replaced", "Replace"]),
      stored: group(storedHeaderFields),
      metadata: metadataField,
      acl: aclField("object"),
      storageClass: storageClassField,
      tagging: taggingDirectiveField,
      tags: objectTagsField,
      checksumAlgorithm: checksumAlgorithmField,
      conditions: group(writeConditionFields),
      encryption: encryptionField,
      retention: retentionField,
    },
    output: {
      versionId: versionIdOutput,
      storageClass: storageClassOutput,
      expiration: expirationOutput,
      sourceVersionId: out.text("x-cos-copy-source-version-id", "a version id, or null"),
      encryption: encryptionOutput,
      result: out.xml("CopyObjectResult", copyObjectResult),
    },
    status: 200,
    errors: [
      ...ACL_PLACE_ERRORS,
      ...COPY_SOURCE_ERRORS,
      ...ENCRYPT_ERRORS,
      ...LOCK_ERRORS,
      ...WRITE_CONDITION_ERRORS,
      "EntityTooLarge",
      "InvalidRequest",
      "NoSuchBucket",
    ],
    keepAlive: true,
  },
  async (context, input) => {
    const { bucket, key, clock, limits, refuse, store } = context;
    const replaced = input.directive !== undefined && input.directive !== "Copy";
    const retagged = input.tagging !== undefined && input.tagging !== "Copy";
    const locked = lockSections(context, input.retention);
    const method = await methodFor(context, input.encryption);

    refuseClass(store, bucket, input.storageClass);

    return await withSource(context, input.source, async (source) => {
      const { size } = source.object;
      if (size > limits.singleUploadBytesMax) throw refuse("EntityTooLarge");
      const isOntoItself = !source.isNamedVersion && source.bucket.id === bucket.id && source.key === key;
      const isChanged =
        replaced || retagged || input.encryption !== undefined || source.object.storageClass !== input.storageClass;
      if (isOntoItself && !isChanged) {
        throw refuse("InvalidRequest", {
          message:
            "A copy of an object onto itself must replace its metadata (x-cos-metadata-directive: Replaced), its storage class or its encryption.",
        });
      }
      // The ETag of a copy is the MD5 of its bytes, also where the source was made of parts and carries another form.
      const whole = { start: 0, end: size };
      const checksum = await checksumOfSource(store, source, whole, input.checksumAlgorithm);
      const dataKey = method && (await store.encryption.create(method, source.dataKey?.bytes));
      const { md5, crc64, pending } = await copiedBytes(store, source, whole, dataKey?.bytes);
      const etag = dataKey?.etagOf(md5) ?? md5.toString("hex");
      const modifiedMs = clock.now();
      const facts = {
        etag,
        crc64,
        modifiedMs,
        storageClass: input.storageClass,
        type: "normal",
        ownerUin: ownerOf(context),
        headers: replaced ? storedHeaders(input.stored, key) : source.object.headers,
        metadata: replaced ? input.metadata : source.object.metadata,
        sections: [
          ...checksumSections(checksum),
          ...tagSections(retagged ? input.tags : keptTags(source.object.sections)),
          ...givenSections(input.acl),
          ...locked,
        ],
        dataKey,
      } as const;
      const { versionId, stored } = await storeObject(context, pending, facts, input.conditions);
      const sourceVersionId = shownVersionId(source.bucket, source.object);
      const result = { etag, crc64, modifiedMs, checksum: shownChecksum(checksum), versionId };
      const encryption = encryptionHeaders(dataKey?.shown, customerKeyIn(input.encryption));
      const expiration = await shownExpiration(store, bucket, key, stored);
      const storageClass = shownClass(input.storageClass);
      return { versionId, sourceVersionId, storageClass, expiration, encryption, result };
    });
  },
);
