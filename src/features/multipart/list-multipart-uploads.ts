/** List Multipart Uploads: a page of a bucket's unfinished uploads, by key and then by age. */

import { formatIsoMillis } from "../../http/dates.ts";
import type { UploadsDocument } from "../../operations/documents.ts";
import { checksumKind } from "../../operations/checksums.ts";
import { query } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { nameEncoding } from "../../xml/url-encoding.ts";
import { el, leaf, nodes, optional, type XmlNode } from "../../xml/write.ts";
import { delimiterField, encodingTypeField, PAGE_SIZE_MAX } from "../listing/model.ts";
import { partyOf } from "./model.ts";

function* names({ prefix, delimiter, keyMarker, found }: UploadsDocument): Iterable<string> {
  yield prefix;
  yield keyMarker;
  if (delimiter !== undefined) yield delimiter;
  for (const { key } of found.uploads) yield key;
  yield* found.prefixes;
}

/**
 * Order and presence of the elements are the service's. The encoding is told under two names, because the Go SDK reads
 * `Encoding-Type` and the others `EncodingType`. (list-uploads page; protocol reference §7)
 */
function listMultipartUploadsResult(page: UploadsDocument): XmlNode {
  const { url, encode } = nameEncoding(page.encodeNames, names(page));
  const { uploads, prefixes, truncated, nextKeyMarker, nextUploadIdMarker } = page.found;
  const encoding = url ? "url" : undefined;
  return el(
    "ListMultipartUploadsResult",
    leaf("Bucket", page.bucket),
    optional("Encoding-Type", encoding),
    optional("EncodingType", encoding),
    leaf("KeyMarker", encode(page.keyMarker)),
    leaf("UploadIdMarker", page.uploadIdMarker),
    optional("NextKeyMarker", nextKeyMarker === undefined ? undefined : encode(nextKeyMarker)),
    optional("NextUploadIdMarker", truncated ? (nextUploadIdMarker ?? "") : undefined),
    leaf("MaxUploads", page.maxUploads),
    leaf("IsTruncated", truncated),
    leaf("Prefix", encode(page.prefix)),
    optional("Delimiter", page.delimiter === undefined ? undefined : encode(page.delimiter)),
    nodes(
      uploads.map(({ key, uploadId, record }) =>
        el(
          "Upload",
          leaf("Key", encode(key)),
          leaf("UploadId", uploadId),
          leaf("StorageClass", record.storageClass),
          partyOf("Initiator", record.initiatorUin),
          partyOf("Owner", record.ownerUin),
          leaf("Initiated", formatIsoMillis(record.initiatedMs)),
        ),
      ),
    ),
    nodes(prefixes.map((prefix) => el("CommonPrefixes", leaf("Prefix", encode(prefix))))),
  );
}

export const listMultipartUploads = operation(
  {
    name: "ListMultipartUploads",
    summary: "Lists a page of the bucket's unfinished uploads, grouped at a delimiter when one is given.",
    route: { method: "GET", on: "bucket", query: ["uploads"] },
    action: "name/cos:ListMultipartUploads",
    authentication: ["header", "query", "anonymous"],
    permission: "read",
    lists: true,
    input: {
      prefix: query.text("prefix"),
      delimiter: delimiterField,
      keyMarker: query.text("key-marker"),
      uploadIdMarker: query.text("upload-id-marker"),
      maxUploads: query.integer("max-uploads", { min: 0, max: PAGE_SIZE_MAX }),
      encodingType: encodingTypeField,
    },
    output: { page: out.xml("ListMultipartUploadsResult", listMultipartUploadsResult) },
    status: 200,
    errors: [],
  },
  async ({ bucket, limits, store }, input) => {
    const prefix = input.prefix ?? "";
    const keyMarker = input.keyMarker ?? "";
    const uploadIdMarker = input.uploadIdMarker ?? "";
    const maxUploads = Math.min(input.maxUploads ?? limits.listUploadsMax, limits.listUploadsMax);
    const found = await store.uploads.list(
      bucket.id,
      { prefix, delimiter: input.delimiter, marker: keyMarker, limit: maxUploads },
      // A page that ended with a common prefix has none, and clients send the empty text back.
      uploadIdMarker === "" ? undefined : uploadIdMarker,
    );
    return {
      page: {
        bucket: bucket.name,
        prefix,
        delimiter: input.delimiter,
        keyMarker,
        uploadIdMarker,
        maxUploads,
        encodeNames: input.encodingType === "url",
        found,
        checksumOf: checksumKind,
      },
    };
  },
);
