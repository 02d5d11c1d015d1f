/** List Parts: a page of the parts that an unfinished upload has. */

import { formatIsoMillis } from "../../http/dates.ts";
import { shownChecksum } from "../../operations/checksums.ts";
import type { PartsDocument } from "../../operations/documents.ts";
import { query } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { keptChecksum } from "../../store/checksums.ts";
import { nameEncoding } from "../../xml/url-encoding.ts";
import { el, leaf, nodes, optional, type XmlNode } from "../../xml/write.ts";
import { encodingTypeField, PAGE_SIZE_MAX } from "../listing/model.ts";
import { listedUploadIdField, partyOf } from "./model.ts";
import { uploadName } from "./open-upload.ts";

/** Order and presence of the elements are the service's. (list-parts page; protocol reference §7) */
function listPartsResult(page: PartsDocument): XmlNode {
  const { url, encode } = nameEncoding(page.encodeNames, [page.key]);
  const { parts, truncated } = page;
  return el(
    "ListPartsResult",
    leaf("Bucket", page.bucket),
    optional("EncodingType", url ? "url" : undefined),
    leaf("Key", encode(page.key)),
    leaf("UploadId", page.uploadId),
    partyOf("Owner", page.upload.ownerUin),
    leaf("PartNumberMarker", page.marker),
    partyOf("Initiator", page.upload.initiatorUin),
    nodes(
      parts.map(({ number, modifiedMs, md5, body }) =>
        el(
          "Part",
          leaf("PartNumber", number),
          leaf("LastModified", formatIsoMillis(modifiedMs)),
          leaf("ETag", `"${md5}"`),
          leaf("Size", body.size),
        ),
      ),
    ),
    optional("NextPartNumberMarker", truncated ? parts.at(-1)?.number : undefined),
    leaf("StorageClass", page.upload.storageClass),
    leaf("MaxParts", page.maxParts),
    leaf("IsTruncated", truncated),
  );
}

export const listParts = operation(
  {
    name: "ListParts",
    summary: "Lists a page of the parts that an upload has.",
    route: { method: "GET", on: "object", query: ["uploadId"] },
    action: "name/cos:ListParts",
    authentication: ["header", "query", "anonymous"],
    permission: "write",
    input: {
      uploadId: listedUploadIdField,
      marker: query.integer("part-number-marker", { min: 0, max: PAGE_SIZE_MAX }),
      maxParts: query.integer("max-parts", { min: 0, max: PAGE_SIZE_MAX }),
      encodingType: encodingTypeField,
    },
    output: { page: out.xml("ListPartsResult", listPartsResult) },
    status: 200,
    errors: ["NoSuchUpload"],
  },
  async (context, input) => {
    const { bucket, key, limits, refuse, store } = context;
    const name = uploadName(context, input.uploadId);
    const upload = await store.uploads.find(name);
    if (upload === undefined) throw refuse("NoSuchUpload");
    const marker = input.marker ?? 0;
    const maxParts = Math.min(input.maxParts ?? limits.listPartsMax, limits.listPartsMax);
    const found =
      maxParts === 0 ? { parts: [], truncated: false } : await store.uploads.listParts(name, marker, maxParts);
    return {
      page: {
        bucket: bucket.name,
        key,
        encodeNames: input.encodingType === "url",
        uploadId: input.uploadId,
        upload,
        marker,
        maxParts,
        parts: found.parts.map((part) => ({ ...part, checksum: shownChecksum(keptChecksum(part.sections)) })),
        truncated: found.truncated,
        checksum: shownChecksum(keptChecksum(upload.sections)),
      },
    };
  },
);
