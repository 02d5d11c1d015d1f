/** Complete Multipart Upload: makes an object of the parts that the client names. */

import type { CompletedDocument } from "../../operations/documents.ts";
import { checksumTypeField, completedChecksumField, shownChecksum } from "../../operations/checksums.ts";
import { group, header, query, required, xmlBody } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation, type OperationContext } from "../../operations/operation.ts";
import { keptChecksum, type KeptChecksum, keptParts } from "../../store/checksums.ts";
import { keptForUpload, shownEncryption } from "../../store/encryption.ts";
import { objectKey } from "../../store/keys.ts";
import type { ObjectRecord } from "../../store/records.ts";
import { isMadeBy, madeBySections, type NumberedPart } from "../../store/uploads.ts";
import { urlEncoded } from "../../xml/url-encoding.ts";
import { el, leaf } from "../../xml/write.ts";
import { ACL_PLACE_ERRORS, placeObjectAcl } from "../acl/model.ts";
import { customerKeyField, encryptionHeaders, encryptionOutput } from "../encryption/model.ts";
import { refuseWrite, WRITE_CONDITION_ERRORS, writeConditionFields } from "../object/model.ts";
import { expirationOutput, shownExpiration } from "../lifecycle/model.ts";
import { shownVersionId, versionIdOutput } from "../versioning/model.ts";
import { completedObject } from "./completed-object.ts";
import { decodeNamedParts, etagOfParts, type NamedPart, uploadIdField } from "./model.ts";
import { UPLOAD_KEY_ERRORS, uploadKey, uploadName } from "./open-upload.ts";

/** What an answer tells of the object that was made. */
interface Outcome {
  readonly stored: ObjectRecord;
  readonly encryption: ReturnType<typeof encryptionHeaders>;
  readonly checksum: KeptChecksum | undefined;
  readonly parts: number;
  readonly versionId: string | undefined;
}

interface Repetition {
  readonly uploadId: string;
  readonly parts: readonly NamedPart[];
  readonly customerKey: Buffer | undefined;
}

/**
 * The outcome of an upload that has been completed with the same parts, while its object stands under the key; undefined
 * otherwise.
 */
async function completedBefore(
  { bucket, key, store }: Pick<OperationContext, "bucket" | "key" | "store">,
  { uploadId, parts: named, customerKey }: Repetition,
): Promise<Outcome | undefined> {
  const stored = (await store.objects.find(bucket.id, key))?.record;
  if (stored === undefined || !isMadeBy(stored.sections, uploadId)) return undefined;
  const parts = keptParts(stored.sections);
  const isSame =
    parts?.length === named.length &&
    named.every(({ number, etag }, at) => number === parts[at]?.number && MD5.test(etag)) &&
    etagOfParts(named.map(({ etag }) => etag)) === stored.etag;
  if (!isSame) return undefined;
  return {
    stored,
    encryption: encryptionHeaders(shownEncryption(stored.sections), customerKey),
    checksum: keptChecksum(stored.sections),
    parts: parts.length,
    versionId: shownVersionId(bucket, stored),
  };
}

const MD5 = /^[0-9a-f]{32}$/;

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
      // To S3 completing is the same however often it is asked for; to COS the upload is gone.
      again: query.text(
        "x-amz-completed-uploads",
        "of the S3 dialect: answers again for the upload that made the object",
      ),
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
    const completed = await store.uploads.complete(name, async (completion): Promise<Outcome> => {
      const parts: NumberedPart[] = [];
      for await (const part of completion.parts()) parts.push(part);
      const { upload } = completion;
      const { taken, facts, checksum } = completedObject({ named, parts, upload, claimed, limits, nowMs: clock.now() });
      const shown = shownEncryption(upload.sections);
      const unopened = shown?.kind === "customer" && input.customerKey === undefined;
      const kept = unopened ? keptForUpload(upload.sections, uploadId) : undefined;
      const dataKey = unopened ? undefined : await uploadKey(context, name, upload, input.customerKey);
      const sections = [...facts.sections, ...madeBySections(uploadId), ...(kept === undefined ? [] : [kept])];
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
    const outcome = completed?.value ?? (input.again === undefined ? undefined : await completedBefore(context, input));
    if (outcome === undefined) throw refuse("NoSuchUpload");
    const { stored, encryption, checksum, parts, versionId } = outcome;
    const { etag, crc64 } = stored;
    const expiration = await shownExpiration(store, bucket, key, stored);
    const location = `${baseUrl}/${urlEncoded(key)}`;
    const result = { location, bucket: bucket.name, key, etag, checksum: shownChecksum(checksum, parts) };
    return { crc64, versionId, expiration, encryption, result };
  },
);
