/** Upload Part - Copy: makes a part of another object's bytes, which both then share. */

import { formatIsoMillis } from "../../http/dates.ts";
import { shownChecksum } from "../../operations/checksums.ts";
import type { CopiedPartDocument } from "../../operations/documents.ts";
import { group } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { checksumSections, keptChecksum } from "../../store/checksums.ts";
import { el, leaf } from "../../xml/write.ts";
import { checksumOfSource, COPY_SOURCE_ERRORS, copySourceFields, digestsOfSource, withSource } from "../copy/model.ts";
import { shownVersionId } from "../versioning/model.ts";
import { partNumberField, sourceRangeField, uploadIdField } from "./model.ts";
import { storePart, uploadName } from "./open-upload.ts";

export const uploadPartCopy = operation(
  {
    name: "UploadPartCopy",
    summary: "Stores a range of another object as one part of an upload.",
    route: { method: "PUT", on: "object", query: ["partNumber", "uploadId"], header: "x-cos-copy-source" },
    action: "name/cos:UploadPartCopy",
    authentication: ["header", "query", "anonymous"],
    permission: "write",
    input: {
      partNumber: partNumberField,
      uploadId: uploadIdField,
      source: group(copySourceFields),
      range: sourceRangeField,
    },
    output: {
      sourceVersionId: out.text("x-cos-copy-source-version-id", "a version id, or null"),
      result: out.xml("CopyPartResult", ({ etag, modifiedMs }: CopiedPartDocument) =>
        el("CopyPartResult", leaf("ETag", `"${etag}"`), leaf("LastModified", formatIsoMillis(modifiedMs))),
      ),
    },
    status: 200,
    errors: [...COPY_SOURCE_ERRORS, "EntityTooLarge", "InvalidRange", "NoSuchBucket", "NoSuchUpload"],
    keepAlive: true,
  },
  async (context, input) => {
    const { clock, limits, refuse, store } = context;
    const name = uploadName(context, input.uploadId);
    const upload = await store.uploads.find(name);
    if (upload === undefined) throw refuse("NoSuchUpload");
    const wanted = keptChecksum(upload.sections)?.algorithm;

    return await withSource(context, input.source, async (source) => {
      const range = input.range ?? { start: 0, end: source.object.size };
      if (range.end > source.object.size) throw refuse("InvalidRange");
      if (range.end - range.start > limits.singleUploadBytesMax) throw refuse("EntityTooLarge");
      const digests = await digestsOfSource(store, source.object, range);
      const pending = await store.bodies.share(source.object.body, range.start, range.end, source.row);
      const checksum = wanted && (await checksumOfSource(store, source.object, range, wanted));
      const modifiedMs = clock.now();
      const sections = checksumSections(checksum);
      await storePart(context, name, input.partNumber, pending, { ...digests, modifiedMs, sections });
      const sourceVersionId = shownVersionId(source.bucket, source.object);
      return { sourceVersionId, result: { etag: digests.md5, modifiedMs, checksum: shownChecksum(checksum) } };
    });
  },
);
