/** GET Bucket Object versions: a page of all versions of all keys, by key and then the newest first. */

import { formatIsoMillis } from "../../http/dates.ts";
import type { VersionsDocument } from "../../operations/documents.ts";
import { checksumKind } from "../../operations/checksums.ts";
import { query } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import type { ListedVersion } from "../../store/version-listing.ts";
import { parseVersionId } from "../../store/version-id.ts";
import { nameEncoding } from "../../xml/url-encoding.ts";
import { el, leaf, nodes, optional, type XmlNode } from "../../xml/write.ts";
import { classNodes, restoreStates, tieringFor } from "../storage-class/model.ts";
import { delimiterField, encodingTypeField, PAGE_SIZE_MAX, restoreStatusField } from "../listing/model.ts";

function* names({ prefix, delimiter, keyMarker, found }: VersionsDocument): Iterable<string> {
  yield prefix;
  yield keyMarker;
  if (delimiter !== undefined) yield delimiter;
  for (const { key } of found.versions) yield key;
  yield* found.prefixes;
}

function versionNode(
  { key, versionId, isLatest, version }: ListedVersion,
  { nowMs, tiering }: VersionsDocument,
  owner: XmlNode,
  encode: (name: string) => string,
): XmlNode {
  const common = [
    leaf("Key", encode(key)),
    leaf("VersionId", versionId),
    leaf("IsLatest", isLatest),
    leaf("LastModified", formatIsoMillis(version.modifiedMs)),
  ];
  if (version.type === "delete-marker") return el("DeleteMarker", ...common, owner);
  return el(
    "Version",
    ...common,
    leaf("ETag", `"${version.etag}"`),
    leaf("Size", version.size),
    classNodes(version, { key, tiering, nowMs }),
    owner,
  );
}

/** Order and presence of the elements are the service's. (list-versions page; protocol reference §8) */
function listVersionsResult(page: VersionsDocument): XmlNode {
  const { url, encode } = nameEncoding(page.encodeNames, names(page));
  const owner = el("Owner", leaf("ID", page.ownerAppid), leaf("DisplayName", page.ownerAppid));
  const { versions, prefixes, truncated, nextKeyMarker, nextVersionIdMarker } = page.found;
  return el(
    "ListVersionsResult",
    leaf("Name", page.bucket),
    optional("EncodingType", url ? "url" : undefined),
    leaf("Prefix", encode(page.prefix)),
    leaf("KeyMarker", encode(page.keyMarker)),
    leaf("VersionIdMarker", page.versionIdMarker),
    leaf("MaxKeys", page.maxKeys),
    leaf("IsTruncated", truncated),
    optional("NextKeyMarker", nextKeyMarker === undefined ? undefined : encode(nextKeyMarker)),
    // Empty after a page that ends with a common prefix; clients send that back.
    optional("NextVersionIdMarker", truncated ? (nextVersionIdMarker ?? "") : undefined),
    optional("Delimiter", page.delimiter === undefined ? undefined : encode(page.delimiter)),
    nodes(prefixes.map((prefix) => el("CommonPrefixes", leaf("Prefix", encode(prefix))))),
    nodes(versions.map((version) => versionNode(version, page, owner, encode))),
  );
}

export const getBucketObjectVersions = operation(
  {
    name: "GetBucketObjectVersions",
    summary: "Lists a page of all versions of the bucket's objects, grouped at a delimiter when one is given.",
    route: { method: "GET", on: "bucket", query: ["versions"] },
    action: "name/cos:GetBucketObjectVersions",
    authentication: ["header", "query", "anonymous"],
    permission: "read",
    lists: true,
    input: {
      prefix: query.text("prefix"),
      delimiter: delimiterField,
      keyMarker: query.text("key-marker"),
      versionIdMarker: query.text("version-id-marker"),
      maxKeys: query.integer("max-keys", { min: 0, max: PAGE_SIZE_MAX }),
      encodingType: encodingTypeField,
      restoreStatus: restoreStatusField,
    },
    output: { page: out.xml("ListVersionsResult", listVersionsResult) },
    status: 200,
    errors: ["InvalidArgument"],
  },
  async ({ bucket, clock, limits, refuse, store }, input) => {
    const prefix = input.prefix ?? "";
    const keyMarker = input.keyMarker ?? "";
    const versionIdMarker = input.versionIdMarker ?? "";
    if (versionIdMarker !== "" && keyMarker === "") {
      throw refuse("InvalidArgument", { message: "The argument version-id-marker needs a key-marker." });
    }
    const marked = versionIdMarker === "" ? undefined : parseVersionId(versionIdMarker);
    if (marked === 0) throw refuse("InvalidArgument", { message: "The argument version-id-marker is no version id." });
    const maxKeys = Math.min(input.maxKeys ?? limits.listKeysMax, limits.listKeysMax);
    const found = await store.objects.listVersions(bucket, {
      prefix,
      delimiter: input.delimiter,
      marker: keyMarker,
      versionMarker: marked,
      limit: maxKeys,
    });
    const nowMs = clock.now();
    return {
      page: {
        bucket: bucket.name,
        ownerAppid: bucket.ownerAppid,
        ownerUin: bucket.ownerUin,
        prefix,
        delimiter: input.delimiter,
        keyMarker,
        versionIdMarker,
        maxKeys,
        encodeNames: input.encodingType === "url",
        found,
        restoreOf: restoreStates(input.restoreStatus !== undefined, nowMs),
        checksumOf: checksumKind,
        nowMs,
        tiering: await tieringFor(
          store,
          bucket,
          found.versions.flatMap(({ version }) => (version.type === "delete-marker" ? [] : [version])),
        ),
      },
    };
  },
);
