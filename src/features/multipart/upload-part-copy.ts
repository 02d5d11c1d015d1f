/** Upload Part - Copy: makes a part of another object's bytes, which both then share. */

import { formatIsoMillis } from "../../http/dates.ts";
import { shownChecksum } from "../../operations/checksums.ts";
import type { CopiedPartDocument } from "../../operations/documents.ts";
import { group } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { checksumSections, keptChecksum } from "../../store/checksums.ts";
import { el, leaf } from "../../xml/write.ts";
import { checksumOfSource, copiedBytes, COPY_SOURCE_ERRORS, copySourceFields, withSource } from "../copy/model.ts";
import { customerKeyField, encryptionHeaders, encryptionOutput } from "../encryption/model.ts";
import { shownVersionId } from "../versioning/model.ts";
import { partNumberField, sourceRangeField, uploadIdField } from "./model.ts";
import { storePart, UPLOAD_KEY_ERRORS, uploadKey, uploadName } from "./open-upload.ts";

export const uploadPartCopy = operation(
  {
    name: "UploadPartCopy",
    summary: "Stores a range of another object as one part of an upload.",
    route: { method: "PUT", on: "object", query: ["partNumber", "uploadId"], header: "x-cos-copy-source" },
    action: "name/cos:UploadPartCopy",
    // So the page on policies has it, and the scopes that the Node SDK asks keys for.
    aliases: ["name/cos:PutObject"],
    authentication: ["header", "query", "anonymous"],
    permission: "write",
    input: {
      partNumber: partNumberField,
      uploadId: uploadIdField,
      source: group(copySourceFields),
      range: sourceRangeField,
      customerKey: customerKeyField,
    },
    output: {
      sourceVersionId: out.text("x-cos-copy-source-version-id", "a version id, or null"),
      encryption: encryptionOutput,
      result: out.xml("CopyPartResult", ({ etag, modifiedMs }: CopiedPartDocument) =>
        el("CopyPartResult", leaf("ETag", `"${etag}"`), leaf("LastModified", formatIsoMillis(modifiedMs))),
      ),
    },
    status: 200,
    errors: [
      ...COPY_SOURCE_ERRORS,
      ...UPLOAD_KEY_ERRORS,
      "EntityTooLarge",
      "InvalidRange",
      "NoSuchBucket",
      "NoSuchUpload",
    ],
    keepAlive: true,
  },
  async (context, input) => {
    const { clock, limits, refuse, store } = context;
    const name = uploadName(context, input.uploadId);
    const upload = await store.uploads.find(name);
    if (upload === undefined) throw refuse("NoSuchUpload");
    const wanted = keptChecksum(upload.sections)?.algorithm;
    const dataKey = await uploadKey(context, name, upload, input.customerKey);

    return await withSource(context, input.source, async (source) => {
      const range = input.range ?? { start: 0, end: source.object.size };
      if (range.end > source.object.size) throw refuse("InvalidRange");
      if (range.end - range.start > limits.singleUploadBytesMax) throw refuse("EntityTooLarge");
      const checksum = wanted && (await checksumOfSource(store, source, range, wanted));
      const { md5: digest, crc64, pending } = await copiedBytes(store, source, range, dataKey?.bytes);
      const md5 = dataKey?.etagOf(digest) ?? digest.toString("hex");
      const modifiedMs = clock.now();
      const sections = checksumSections(checksum);
      await storePart(context, name, input.partNumber, pending, { md5, crc64, modifiedMs, sections });
      const sourceVersionId = shownVersionId(source.bucket, source.object);
      const encryption = encryptionHeaders(dataKey?.shown, input.customerKey);
      return { sourceVersionId, encryption, result: { etag: md5, modifiedMs, checksum: shownChecksum(checksum) } };
    });
  },
);
