/** PUT Object - Copy: makes an object of another one's bytes, which both then share. */

import { group, header } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { formatIsoSeconds } from "../../http/dates.ts";
import { BodyVanished } from "../../store/bodies.ts";
import { bodyDigests } from "../../store/digests.ts";
import type { ObjectRecord } from "../../store/records.ts";
import type { Store } from "../../store/store.ts";
import { el, leaf, type XmlNode } from "../../xml/write.ts";
import { metadataField, storageClassField, storedHeaderFields, storedHeaders } from "../object/model.ts";
import { ownerOf, storeObject } from "../object/store-object.ts";
import { COPY_SOURCE_ERRORS, copySourceFields, resolveCopySource } from "./model.ts";

/** Attempts at a source that writers keep replacing. */
const ATTEMPTS_MAX = 10;

interface CopyResult {
  readonly etag: string;
  readonly crc64: bigint;
  readonly modifiedMs: number;
}

function copyObjectResult({ etag, crc64, modifiedMs }: CopyResult): XmlNode {
  return el(
    "CopyObjectResult",
    leaf("ETag", `"${etag}"`),
    leaf("CRC64", crc64),
    leaf("LastModified", formatIsoSeconds(modifiedMs)),
  );
}

/**
 * The ETag of a copy is the MD5 of its bytes, also where the source was made of parts and carries another form. Only
 * then are the bytes read.
 */
async function etagOfCopy(store: Store, source: ObjectRecord): Promise<string> {
  if (!source.etag.includes("-") && source.type === "normal") return source.etag;
  const digests = bodyDigests();
  for await (const chunk of store.bodies.read(source.body, 0, source.size)) digests.update(chunk);
  return digests.finish().md5.toString("hex");
}

export const putObjectCopy = operation(
  {
    name: "PutObjectCopy",
    summary: "Stores a copy of another object.",
    route: { method: "PUT", on: "object", header: "x-cos-copy-source" },
    action: "name/cos:PutObject",
    authentication: ["header", "query", "anonymous"],
    permission: "write",
    input: {
      source: group(copySourceFields),
      directive: header.oneOf("x-cos-metadata-directive", ["Copy", "Replaced", "Replace"]),
      stored: group(storedHeaderFields),
      metadata: metadataField,
      storageClass: storageClassField,
    },
    output: { result: out.xml("CopyObjectResult", copyObjectResult) },
    status: 200,
    errors: [...COPY_SOURCE_ERRORS, "EntityTooLarge", "InvalidRequest", "NoSuchBucket", "PathConflict"],
    keepAlive: true,
  },
  async (context, input) => {
    const { bucket, key, clock, limits, refuse, store } = context;
    const replaced = input.directive !== undefined && input.directive !== "Copy";

    for (let attempt = 1; ; attempt++) {
      const source = await resolveCopySource(context, input.source);
      if (source.object.size > limits.singleUploadBytesMax) throw refuse("EntityTooLarge");
      if (!replaced && source.bucket.id === bucket.id && source.key === key) {
        throw refuse("InvalidRequest", {
          message: "A copy of an object onto itself must replace its metadata (x-cos-metadata-directive: Replaced).",
        });
      }
      try {
        const etag = await etagOfCopy(store, source.object);
        const bytes = await store.bodies.share(source.object.body, 0, source.object.size, source.row);
        const modifiedMs = clock.now();
        await storeObject(context, bytes, {
          etag,
          crc64: source.object.crc64,
          modifiedMs,
          storageClass: input.storageClass,
          type: "normal",
          ownerUin: ownerOf(context),
          headers: replaced ? storedHeaders(input.stored, key) : source.object.headers,
          metadata: replaced ? input.metadata : source.object.metadata,
        });
        return { result: { etag, crc64: source.object.crc64, modifiedMs } };
      } catch (error) {
        if (!(error instanceof BodyVanished)) throw error;
        if (attempt === ATTEMPTS_MAX) throw refuse("PathConflict", { cause: error });
      }
    }
  },
);
