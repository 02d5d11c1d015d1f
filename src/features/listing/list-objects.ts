/** GET Bucket: a page of a bucket's objects in the byte order of their keys. */

import { formatIsoMillis } from "../../http/dates.ts";
import type { ObjectsDocument } from "../../operations/documents.ts";
import { checksumKind } from "../../operations/checksums.ts";
import { query } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { nameEncoding } from "../../xml/url-encoding.ts";
import { el, leaf, nodes, optional, raw, textNode, type XmlNode } from "../../xml/write.ts";
import { classNodes, restoreStates, tieringFor } from "../storage-class/model.ts";
import { delimiterField, encodingTypeField, PAGE_SIZE_MAX, restoreStatusField } from "./model.ts";

function* names(page: ObjectsDocument): Iterable<string> {
  yield page.prefix;
  yield page.marker;
  if (page.delimiter !== undefined) yield page.delimiter;
  for (const { key } of page.objects) yield key;
  yield* page.prefixes;
}

/**
 * The entries of a page, a thousand as a rule. They are written in one piece where nothing can need an escape: dates,
 * sizes and ETags, which are hex digits.
 */
function contents(
  { objects, nowMs, tiering }: ObjectsDocument,
  owner: XmlNode,
  encode: (name: string) => string,
): XmlNode {
  const pieces: string[] = [];
  for (const { key, head } of objects) {
    pieces.push("<Contents><Key>", textNode(encode(key)), "</Key><LastModified>", formatIsoMillis(head.modifiedMs));
    pieces.push("</LastModified><ETag>&quot;", head.etag, "&quot;</ETag><Size>", String(head.size), "</Size>", owner);
    pieces.push(classNodes(head, { key, tiering, nowMs }), "</Contents>");
  }
  // Joined at once: a text that grows by pieces is a tree of them, and taking it apart costs more than all else here.
  return raw(pieces.join(""));
}

/** Order and presence of the elements are the service's. (list reference page; protocol reference §8) */
function listBucketResult(page: ObjectsDocument): XmlNode {
  const { url, encode } = nameEncoding(page.encodeNames, names(page));
  const owner = el("Owner", leaf("ID", page.ownerAppid), leaf("DisplayName", page.ownerAppid));
  return el(
    "ListBucketResult",
    leaf("Name", page.bucket),
    optional("EncodingType", url ? "url" : undefined),
    leaf("Prefix", encode(page.prefix)),
    leaf("Marker", encode(page.marker)),
    leaf("MaxKeys", page.maxKeys),
    optional("Delimiter", page.delimiter === undefined ? undefined : encode(page.delimiter)),
    leaf("IsTruncated", page.nextMarker !== undefined),
    optional("NextMarker", page.nextMarker === undefined ? undefined : encode(page.nextMarker)),
    nodes(page.prefixes.map((prefix) => el("CommonPrefixes", leaf("Prefix", encode(prefix))))),
    contents(page, owner, encode),
  );
}

export const listObjects = operation(
  {
    name: "GetBucket",
    summary: "Lists a page of the bucket's objects, grouped at a delimiter when one is given.",
    route: { method: "GET", on: "bucket" },
    action: "name/cos:GetBucket",
    authentication: ["header", "query", "anonymous"],
    permission: "read",
    lists: true,
    input: {
      prefix: query.text("prefix"),
      delimiter: delimiterField,
      marker: query.text("marker"),
      maxKeys: query.integer("max-keys", { min: 0, max: PAGE_SIZE_MAX }),
      encodingType: encodingTypeField,
      restoreStatus: restoreStatusField,
    },
    output: { region: out.text("x-cos-bucket-region"), page: out.xml("ListBucketResult", listBucketResult) },
    status: 200,
    errors: [],
  },
  async ({ bucket, clock, store, limits }, input) => {
    const prefix = input.prefix ?? "";
    const marker = input.marker ?? "";
    const maxKeys = Math.min(input.maxKeys ?? limits.listKeysMax, limits.listKeysMax);
    const found = await store.objects.list(bucket.id, { prefix, marker, delimiter: input.delimiter, limit: maxKeys });
    const nowMs = clock.now();
    return {
      region: bucket.region,
      page: {
        bucket: bucket.name,
        ownerAppid: bucket.ownerAppid,
        ownerUin: bucket.ownerUin,
        prefix,
        marker,
        maxKeys,
        delimiter: input.delimiter,
        encodeNames: input.encodingType === "url",
        objects: found.objects,
        prefixes: found.prefixes,
        nextMarker: found.nextMarker,
        restoreOf: restoreStates(input.restoreStatus !== undefined, nowMs),
        checksumOf: checksumKind,
        nowMs,
        tiering: await tieringFor(
          store,
          bucket,
          found.objects.map(({ head }) => head),
        ),
      },
    };
  },
);
