/** Upload Part: stores one part of an upload, in place of the one that had its number. */

import { checksumHeaders, checksumOutput } from "../../operations/checksums.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { checksumSections, keptChecksum } from "../../store/checksums.ts";
import { customerKeyField, encryptionHeaders, encryptionOutput } from "../encryption/model.ts";
import { BODY_ERRORS, bodyFields, takeBody } from "../object/take-body.ts";
import { partNumberField, uploadIdField } from "./model.ts";
import { storePart, UPLOAD_KEY_ERRORS, uploadKey, uploadName } from "./open-upload.ts";

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
      customerKey: customerKeyField,
      ...bodyFields,
    },
    output: {
      etag: out.quoted("ETag"),
      crc64: out.integer("x-cos-hash-crc64ecma"),
      checksum: checksumOutput,
      encryption: encryptionOutput,
    },
    status: 200,
    errors: [...BODY_ERRORS, ...UPLOAD_KEY_ERRORS, "NoSuchBucket", "NoSuchUpload"],
  },
  async (context, input) => {
    const { clock, refuse, store } = context;
    const name = uploadName(context, input.uploadId);
    const upload = await store.uploads.find(name);
    if (upload === undefined) throw refuse("NoSuchUpload");
    const wanted = keptChecksum(upload.sections)?.algorithm;
    const sent = input.checksum?.algorithm;
    if (wanted !== undefined && sent !== undefined && sent !== wanted) {
      throw refuse("InvalidRequest", {
        message: `Checksum Type mismatch occurred, expected checksum Type: ${wanted.toLowerCase()}, actual checksum Type: ${sent.toLowerCase()}`,
      });
    }
    const dataKey = await uploadKey(context, name, upload, input.customerKey);
    const bytes = await takeBody(context, input, { computed: wanted, dataKey: dataKey?.bytes });
    const md5 = dataKey?.etagOf(bytes.md5) ?? bytes.md5.toString("hex");
    await storePart(context, name, input.partNumber, bytes, {
      md5,
      crc64: bytes.crc64,
      modifiedMs: clock.now(),
      sections: checksumSections(bytes.checksum),
    });
    const encryption = encryptionHeaders(dataKey?.shown, input.customerKey);
    return { etag: md5, crc64: bytes.crc64, checksum: checksumHeaders(bytes.checksum)?.slice(0, 1), encryption };
  },
);
