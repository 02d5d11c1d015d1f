/** Upload Part: stores one part of an upload, in place of the one that had its number. */

import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { BODY_ERRORS, bodyFields, takeBody } from "../object/take-body.ts";
import { partNumberField, uploadIdField } from "./model.ts";
import { storePart, uploadName } from "./open-upload.ts";

export const uploadPart = operation(
  {
    name: "UploadPart",
    summary: "Stores one part of an upload.",
    route: { method: "PUT", on: "object", query: ["partNumber", "uploadId"] },
    action: "name/cos:UploadPart",
    authentication: ["header", "query", "anonymous"],
    permission: "write",
    input: {
      partNumber: partNumberField,
      uploadId: uploadIdField,
      ...bodyFields,
    },
    output: { etag: out.quoted("ETag"), crc64: out.integer("x-cos-hash-crc64ecma") },
    status: 200,
    errors: [...BODY_ERRORS, "NoSuchBucket", "NoSuchUpload"],
  },
  async (context, input) => {
    const { clock, refuse, store } = context;
    const name = uploadName(context, input.uploadId);
    if ((await store.uploads.find(name)) === undefined) throw refuse("NoSuchUpload");
    const bytes = await takeBody(context, input);
    const md5 = bytes.md5.toString("hex");
    await storePart(context, name, input.partNumber, bytes, { md5, crc64: bytes.crc64, modifiedMs: clock.now() });
    return { etag: md5, crc64: bytes.crc64 };
  },
);
