/** PUT Object: stores a body under a key, in one request. */

import { bodyStream, group, header, out } from "../../operations/fields.ts";
import { operation } from "../../operations/operation.ts";
import { metadataField, storageClassField, storedHeaderFields, storedHeaders } from "./model.ts";
import { ownerOf, storeObject } from "./store-object.ts";

export const putObject = operation(
  {
    name: "PutObject",
    summary: "Stores an object in one request.",
    route: { method: "PUT", on: "object" },
    action: "name/cos:PutObject",
    authentication: ["header", "query", "anonymous"],
    permission: "write",
    input: {
      stored: group(storedHeaderFields),
      metadata: metadataField,
      storageClass: storageClassField,
      contentMd5: header.md5("Content-MD5"),
      contentSha1: header.sha1("x-cos-content-sha1"),
      body: bodyStream(),
    },
    output: { etag: out.quoted("ETag"), crc64: out.integer("x-cos-hash-crc64ecma") },
    status: 200,
    errors: ["BadDigest", "EntityTooLarge", "InvalidSHA1Digest", "NoSuchBucket"],
  },
  async (context, input) => {
    const { clock, limits, refuse, store } = context;
    const bytes = await store.bodies.ingest(input.body, {
      sha1: input.contentSha1 !== undefined,
      bytesMax: limits.singleUploadBytesMax,
      over: "EntityTooLarge",
    });
    const digestFault =
      input.contentMd5 !== undefined && !input.contentMd5.equals(bytes.md5)
        ? "BadDigest"
        : input.contentSha1 !== undefined && bytes.sha1?.equals(input.contentSha1) !== true
          ? "InvalidSHA1Digest"
          : undefined;
    if (digestFault !== undefined) {
      await bytes.discard();
      throw refuse(digestFault);
    }
    const etag = bytes.md5.toString("hex");
    await storeObject(context, bytes, {
      etag,
      crc64: bytes.crc64,
      modifiedMs: clock.now(),
      storageClass: input.storageClass,
      type: "normal",
      ownerUin: ownerOf(context),
      headers: storedHeaders(input.stored),
      metadata: input.metadata,
    });
    return { etag, crc64: bytes.crc64 };
  },
);
