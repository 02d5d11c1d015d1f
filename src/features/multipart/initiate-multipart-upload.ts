/** Initiate Multipart Upload: names an upload that parts can then be sent to. */

import { storedParty } from "../../access/caller.ts";
import type { InitiatedDocument } from "../../operations/documents.ts";
import {
  checksumAlgorithmField,
  checksumTypeField,
  uploadChecksum,
  uploadChecksumHeaders,
} from "../../operations/checksums.ts";
import { group } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { checksumSections } from "../../store/checksums.ts";
import { makeUploadId } from "../../store/uploads.ts";
import { el, leaf } from "../../xml/write.ts";
import { aclField, givenSections } from "../acl/model.ts";
import {
  customerKeyIn,
  ENCRYPT_ERRORS,
  encryptionField,
  encryptionHeaders,
  encryptionOutput,
  keyToStore,
} from "../encryption/model.ts";
import { metadataField, storedHeaderFields, storedHeaders } from "../object/model.ts";
import { LOCK_ERRORS, lockSections, retentionField } from "../object-lock/model.ts";
import { ownerOf } from "../object/store-object.ts";
import { tagSections } from "../../store/tags.ts";
import { refuseClass, storageClassField } from "../storage-class/model.ts";
import { objectTagsField } from "../tagging/model.ts";
import { uploadName } from "./open-upload.ts";

export const initiateMultipartUpload = operation(
  {
    name: "InitiateMultipartUpload",
    summary: "Begins an upload in parts and answers its id.",
    route: { method: "POST", on: "object", query: ["uploads"] },
    action: "name/cos:InitiateMultipartUpload",
    authentication: ["header", "query", "anonymous"],
    permission: "write",
    input: {
      stored: group(storedHeaderFields),
      metadata: metadataField,
      acl: aclField("object"),
      storageClass: storageClassField,
      tags: objectTagsField,
      checksumAlgorithm: checksumAlgorithmField,
      checksumType: checksumTypeField,
      encryption: encryptionField,
      retention: retentionField,
    },
    output: {
      checksum: out.headers("x-amz-checksum-algorithm and x-amz-checksum-type"),
      encryption: encryptionOutput,
      result: out.xml("InitiateMultipartUploadResult", ({ bucket, key, uploadId }: InitiatedDocument) =>
        el("InitiateMultipartUploadResult", leaf("Bucket", bucket), leaf("Key", key), leaf("UploadId", uploadId)),
      ),
    },
    status: 200,
    errors: [...ENCRYPT_ERRORS, ...LOCK_ERRORS, "InvalidRequest", "NoSuchBucket"],
  },
  async (context, input) => {
    const { bucket, clock, key, random, store } = context;
    refuseClass(store, bucket, input.storageClass);
    const checksum = uploadChecksum(input.checksumAlgorithm, input.checksumType);
    const initiatedMs = clock.now();
    const uin = ownerOf(context);
    const uploadId = makeUploadId(initiatedMs, random);
    const locked = lockSections(context, input.retention);
    const dataKey = await keyToStore(context, input.encryption);
    const kept = dataKey?.sectionFor({ bucketId: bucket.id, key, uploadId });
    await store.transact([], async (tx) => {
      await store.buckets.requireSame(tx, bucket);
      store.uploads.create(tx, uploadName(context, uploadId), {
        initiatedMs,
        ownerUin: uin,
        initiatorUin: context.caller.kind === "account" ? storedParty(context.caller) : uin,
        storageClass: input.storageClass,
        headers: storedHeaders(input.stored, key),
        metadata: input.metadata,
        sections: [
          ...checksumSections(checksum),
          ...tagSections(input.tags),
          ...givenSections(input.acl),
          ...(kept === undefined ? [] : [kept]),
          ...locked,
        ],
      });
    });
    return {
      checksum: uploadChecksumHeaders(checksum),
      encryption: encryptionHeaders(dataKey?.shown, customerKeyIn(input.encryption)),
      result: { bucket: bucket.name, key, uploadId },
    };
  },
);
