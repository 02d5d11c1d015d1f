/** Complete Multipart Upload: makes an object of the parts that the client names. */

import type { CompletedDocument } from "../../operations/documents.ts";
import { required, xmlBody } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { objectKey } from "../../store/keys.ts";
import type { NumberedPart } from "../../store/uploads.ts";
import { urlEncoded } from "../../xml/url-encoding.ts";
import { el, leaf } from "../../xml/write.ts";
import { completedObject } from "./completed-object.ts";
import { decodeNamedParts, uploadIdField } from "./model.ts";
import { uploadName } from "./open-upload.ts";

export const completeMultipartUpload = operation(
  {
    name: "CompleteMultipartUpload",
    summary: "Makes an object of an upload's parts.",
    route: { method: "POST", on: "object", query: ["uploadId"] },
    action: "name/cos:CompleteMultipartUpload",
    authentication: ["header", "query", "anonymous"],
    permission: "write",
    input: {
      uploadId: uploadIdField,
      parts: required(
        xmlBody({
          root: "CompleteMultipartUpload",
          bytesMax: (limits) => limits.xmlCompleteBytesMax,
          decode: decodeNamedParts,
        }),
        "MissingRequestBodyError",
      ),
    },
    output: {
      crc64: out.integer("x-cos-hash-crc64ecma"),
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
      "EntityTooLarge",
      "EntityTooSmall",
      "InvalidArgument",
      "InvalidPart",
      "InvalidPartOrder",
      "NoSuchBucket",
      "NoSuchUpload",
    ],
    keepAlive: true,
  },
  async (context, { uploadId, parts: named }) => {
    const { baseUrl, bucket, clock, key, limits, refuse, store } = context;
    const completed = await store.uploads.complete(uploadName(context, uploadId), async (completion) => {
      const parts: NumberedPart[] = [];
      for await (const part of completion.parts()) parts.push(part);
      const { taken, facts } = completedObject({ named, parts, upload: completion.upload, limits, nowMs: clock.now() });
      const body = await store.bodies.assemble(
        taken.map((part) => part.body),
        completion.manifestId,
      );
      await store.transact([objectKey(bucket.id, key)], async (tx) => {
        await store.buckets.requireSame(tx, bucket);
        const previous = await store.objects.findIn(tx, bucket.id, key);
        store.objects.put(tx, bucket.id, key, { ...facts, size: body.size, body }, previous);
        await completion.publish(
          tx,
          taken.map(({ number }) => number),
        );
      });
      return facts;
    });
    if (completed === undefined) throw refuse("NoSuchUpload");
    const { etag, crc64 } = completed.value;
    return { crc64, result: { location: `${baseUrl}/${urlEncoded(key)}`, bucket: bucket.name, key, etag } };
  },
);
