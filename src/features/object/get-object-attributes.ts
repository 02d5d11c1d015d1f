/** GET Object attributes: facts of an object in a document, for S3 clients; COS has no such operation. */

import { shownChecksum } from "../../operations/checksums.ts";
import type { AttributesDocument } from "../../operations/documents.ts";
import { header, required } from "../../operations/input-fields.ts";
import { operation } from "../../operations/operation.ts";
import { versionIdField } from "../../operations/version-field.ts";
import { out } from "../../operations/output-fields.ts";
import { keptChecksum, keptParts } from "../../store/checksums.ts";
import { customerKeyField, refuseReading } from "../encryption/model.ts";
import { absence, ABSENCE_ERRORS, shownVersionId, versionIdOutput } from "../versioning/model.ts";
import { el, leaf, nodes, NOTHING, optional, type XmlNode } from "../../xml/write.ts";

const ATTRIBUTES: ReadonlySet<string> = new Set(["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]);
const PARTS_MAX = 1000;
const NUMBER_MAX = 2 ** 31 - 1;

function attributesNode({ etag, checksum, parts, storageClass, size }: AttributesDocument): XmlNode {
  return el(
    "GetObjectAttributesResponse",
    optional("ETag", etag),
    checksum === undefined
      ? NOTHING
      : el("Checksum", leaf(`Checksum${checksum.algorithm}`, checksum.value), leaf("ChecksumType", checksum.type)),
    parts === undefined
      ? NOTHING
      : el(
          "ObjectParts",
          leaf("PartsCount", parts.count),
          leaf("PartNumberMarker", parts.marker),
          leaf("NextPartNumberMarker", parts.page.at(-1)?.number ?? 0),
          leaf("MaxParts", parts.max),
          leaf("IsTruncated", parts.truncated),
          nodes(
            parts.page.map(({ number, size, checksum }) =>
              el(
                "Part",
                leaf("PartNumber", number),
                leaf("Size", size),
                checksum === undefined ? NOTHING : leaf(`Checksum${checksum.algorithm}`, checksum.value),
              ),
            ),
          ),
        ),
    optional("StorageClass", storageClass),
    optional("ObjectSize", size),
  );
}

export const getObjectAttributes = operation(
  {
    name: "GetObjectAttributes",
    only: "s3",
    summary: "Tells the attributes of an object that are asked for.",
    route: { method: "GET", on: "object", query: ["attributes"] },
    action: "name/cos:GetObject",
    authentication: ["header", "query", "anonymous"],
    permission: "read",
    loads: "version",
    input: {
      versionId: versionIdField,
      wanted: required(
        header.text("x-amz-object-attributes", [...ATTRIBUTES].join(", ")),
        "InvalidArgument",
        "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty",
      ),
      maxParts: header.integer("x-amz-max-parts", { min: 0, max: NUMBER_MAX }),
      marker: header.integer("x-amz-part-number-marker", { min: 0, max: NUMBER_MAX }),
      customerKey: customerKeyField,
    },
    output: {
      lastModified: out.date("Last-Modified"),
      versionId: versionIdOutput,
      attributes: out.xml("GetObjectAttributesResponse", attributesNode),
    },
    status: 200,
    errors: [...ABSENCE_ERRORS, "AccessDenied", "InvalidArgument", "InvalidRequest", "SsecDecryptHeaderInvalid"],
  },
  async (context, { wanted: list, maxParts = PARTS_MAX, marker = 0, customerKey, versionId }) => {
    const { bucket, deleteMarker, object, refuse } = context;
    const names = list.split(",").map((name) => name.trim());
    if (!names.every((name) => ATTRIBUTES.has(name))) {
      throw refuse("InvalidArgument", { message: "Invalid attribute name specified." });
    }
    if (object === undefined) throw absence(versionId, deleteMarker);
    refuseReading(context, object, customerKey);
    const wanted = new Set(names);
    const checksum = keptChecksum(object.sections);
    const parts = keptParts(object.sections);
    const max = Math.min(maxParts, PARTS_MAX);
    const left = (parts ?? []).filter(({ number }) => number > marker);
    return {
      lastModified: object.modifiedMs,
      versionId: shownVersionId(bucket, object),
      attributes: {
        etag: wanted.has("ETag") ? object.etag : undefined,
        checksum: wanted.has("Checksum") ? shownChecksum(checksum, parts?.length) : undefined,
        parts:
          wanted.has("ObjectParts") && parts !== undefined
            ? {
                count: parts.length,
                marker,
                max,
                truncated: left.length > max,
                page: left.slice(0, max).map(({ number, size, checksum: value }) => ({
                  number,
                  size,
                  checksum:
                    checksum === undefined || value === undefined
                      ? undefined
                      : shownChecksum({ algorithm: checksum.algorithm, type: "FULL_OBJECT", value }),
                })),
              }
            : undefined,
        storageClass: wanted.has("StorageClass") ? object.storageClass : undefined,
        size: wanted.has("ObjectSize") ? object.size : undefined,
      },
    };
  },
);
