/** Complete Multipart Upload: makes an object of the parts that the client names. */

import type { CompletedDocument } from "../../operations/documents.ts";
import { checksumTypeField, completedChecksumField, shownChecksum } from "../../operations/checksums.ts";
import { group, header, required, xmlBody } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { keptForUpload, shownEncryption } from "../../store/encryption.ts";
import { objectKey } from "../../store/keys.ts";
import type { NumberedPart } from "../../store/uploads.ts";
import { urlEncoded } from "../../xml/url-encoding.ts";
import { el, leaf } from "../../xml/write.ts";
import { ACL_PLACE_ERRORS, placeObjectAcl } from "../acl/model.ts";
import { customerKeyField, encryptionHeaders, encryptionOutput } from "../encryption/model.ts";
import { refuseWrite, WRITE_CONDITION_ERRORS, writeConditionFields } from "../object/model.ts";
import { expirationOutput, shownExpiration } from "../lifecycle/model.ts";
import { shownVersionId, versionIdOutput } from "../versioning/model.ts";
import { completedObject } from "./completed-object.ts";
import { decodeNamedParts, uploadIdField } from "./model.ts";
import { UPLOAD_KEY_ERRORS, uploadKey, uploadName } from "./open-upload.ts";

export const completeMultipartUpload = operation(
  {
    name: "CompleteMultipartUpload",
    summary: "Makes an object of an upload's parts.",
    route: { method: "POST", on: "object", query: ["uploadId"] },
    action: "name/cos:CompleteMultipartUpload",
    authentication: ["header", "query", "anonymous"],
    permission: "write",
    uploads: true,
    input: {
      uploadId: uploadIdField,
      conditions: group(writeConditionFields),
      customerKey: customerKeyField,
      checksum: completedChecksumField,
      checksumType: checksumTypeField,
      size: header.integer("x-amz-mp-object-size", { min: 0, max: Number.MAX_SAFE_INTEGER }),
      parts: required(
        xmlBody({
          root: "CompleteMultipartUpload",
          bytesMax: (limits) => limits.xmlCompleteBytesMax,
          decode: decodeNamedParts,
          checksumOf: "object",
        }),
        "MissingRequestBodyError",
      ),
    },
    output: {
      crc64: out.integer("x-cos-hash-crc64ecma"),
      versionId: versionIdOutput,
      expiration: expirationOutput,
      encryption: encryptionOutput,
      result: out.xml("CompleteMultipartUploadResult", ({ location, bucket, key, etag }: CompletedDocument) =>
        el(
          "CompleteMultipartUploadResult",
          leaf("Location", location),
          leaf("Bucket", bucket),
          leaf("Key", key),
          leaf("ETag", `"${etag}"`),
        ),
      ),
    },
    status: 200,
    errors: [
      ...ACL_PLACE_ERRORS,
      ...UPLOAD_KEY_ERRORS,
      ...WRITE_CONDITION_ERRORS,
      "BadDigest",
      "EntityTooLarge",
      "EntityTooSmall",
      "InvalidArgument",
      "InvalidPart",
      "InvalidPartOrder",
      "NoSuchBucket",
      "NoSuchUpload",
      "ObjectLocked",
    ],
    keepAlive: true,
  },
  async (context, input) => {
    const { uploadId, parts: named } = input;
    const claimed = { checksum: input.checksum, type: input.checksumType, size: input.size };
    const { baseUrl, bucket, clock, key, limits, refuse, store } = context;
    const name = uploadName(context, uploadId);
    const completed = await store.uploads.complete(name, async (completion) => {
      const parts: NumberedPart[] = [];
      for await (const part of completion.parts()) parts.push(part);
      const { upload } = completion;
      const { taken, facts, checksum } = completedObject({ named, parts, upload, claimed, limits, nowMs: clock.now() });
      const shown = shownEncryption(upload.sections);
      const unopened = shown?.kind === "customer" && input.customerKey === undefined;
      const kept = unopened ? keptForUpload(upload.sections, uploadId) : undefined;
      const dataKey = unopened ? undefined : await uploadKey(context, name, upload, input.customerKey);
      const sections = kept === undefined ? facts.sections : [...facts.sections, kept];
      const body = await store.bodies.assemble(
        taken.map((part) => part.body),
        completion.manifestId,
      );
      return store.transact([objectKey(bucket.id, key)], async (tx) => {
        const present = await store.buckets.requireSame(tx, bucket);
        refuseWrite(input.conditions, await store.objects.findIn(tx, bucket.id, key));
        const stored = await store.objects.put(tx, present, key, {
          ...facts,
          sections,
          dataKey,
          size: body.size,
          body,
        });
        await placeObjectAcl({ tx, configurations: store.configurations, limits }, present, key, stored);
        await completion.publish(
          tx,
          taken.map(({ number }) => number),
        );
        const versionId = shownVersionId(present, stored);
        const encryption = encryptionHeaders(shown, input.customerKey);
        return { stored, encryption, checksum, parts: taken.length, versionId };
      });
    });
    if (completed === undefined) throw refuse("NoSuchUpload");
    const { stored, encryption, checksum, parts, versionId } = completed.value;
    const { etag, crc64 } = stored;
    const expiration = await shownExpiration(store, bucket, key, stored);
    const location = `${baseUrl}/${urlEncoded(key)}`;
    const result = { location, bucket: bucket.name, key, etag, checksum: shownChecksum(checksum, parts) };
    return { crc64, versionId, expiration, encryption, result };
  },
);
