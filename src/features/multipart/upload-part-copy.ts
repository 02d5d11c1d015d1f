/** Upload Part - Copy: makes a part of another object's bytes, which both then share. */

import { formatIsoMillis } from "../../http/dates.ts";
import { group } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { BodyVanished } from "../../store/bodies.ts";
import { bodyDigests } from "../../store/digests.ts";
import type { ObjectRecord, PartRecord } from "../../store/records.ts";
import type { Store } from "../../store/store.ts";
import { el, leaf } from "../../xml/write.ts";
import { COPY_SOURCE_ERRORS, copySourceFields, resolveCopySource } from "../copy/model.ts";
import type { ByteRange } from "../object/model.ts";
import { partNumberField, sourceRangeField, uploadIdField } from "./model.ts";
import { storePart, uploadName } from "./open-upload.ts";

/** Attempts at a source that writers keep replacing. */
const ATTEMPTS_MAX = 10;

interface CopiedPart {
  readonly etag: string;
  readonly modifiedMs: number;
}

/**
 * MD5 and CRC-64 of the bytes that are shared. A whole object that was stored in one request has both in its record;
 * all other bytes are read once for them.
 */
async function digestsOfRange(
  store: Store,
  source: ObjectRecord,
  { start, end }: ByteRange,
): Promise<Pick<PartRecord, "md5" | "crc64">> {
  const whole = start === 0 && end === source.size;
  if (whole && source.type === "normal" && !source.etag.includes("-")) return { md5: source.etag, crc64: source.crc64 };
  const digests = bodyDigests();
  for await (const chunk of store.bodies.read(source.body, start, end)) digests.update(chunk);
  const { md5, crc64 } = digests.finish();
  return { md5: md5.toString("hex"), crc64 };
}

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
      result: out.xml("CopyPartResult", ({ etag, modifiedMs }: CopiedPart) =>
        el("CopyPartResult", leaf("ETag", `"${etag}"`), leaf("LastModified", formatIsoMillis(modifiedMs))),
      ),
    },
    status: 200,
    errors: [...COPY_SOURCE_ERRORS, "EntityTooLarge", "InvalidRange", "NoSuchBucket", "NoSuchUpload", "PathConflict"],
    keepAlive: true,
  },
  async (context, input) => {
    const { clock, limits, refuse, store } = context;
    const name = uploadName(context, input.uploadId);
    if ((await store.uploads.find(name)) === undefined) throw refuse("NoSuchUpload");

    for (let attempt = 1; ; attempt++) {
      const source = await resolveCopySource(context, input.source);
      const range = input.range ?? { start: 0, end: source.object.size };
      if (range.end > source.object.size) throw refuse("InvalidRange");
      if (range.end - range.start > limits.singleUploadBytesMax) throw refuse("EntityTooLarge");
      try {
        const digests = await digestsOfRange(store, source.object, range);
        const pending = await store.bodies.share(source.object.body, range.start, range.end, source.row);
        const modifiedMs = clock.now();
        await storePart(context, name, input.partNumber, pending, { ...digests, modifiedMs });
        return { result: { etag: digests.md5, modifiedMs } };
      } catch (error) {
        if (!(error instanceof BodyVanished)) throw error;
        if (attempt === ATTEMPTS_MAX) throw refuse("PathConflict", { cause: error });
      }
    }
  },
);
