/** The documents of answers in S3's form. (S3 API reference; order of elements as its samples have it) */

import type { Grantee } from "../../access/acl.ts";
import { callerId, partyNames } from "../../access/caller.ts";
import { s3Form } from "../../errors/cos-error.ts";
import { formatIsoMillis } from "../../http/dates.ts";
import type { ChecksumKind, Documents, RestoreState, ShownChecksum } from "../../operations/documents.ts";
import { nameEncoding } from "../../xml/url-encoding.ts";
import {
  el,
  leaf,
  nodes,
  NOTHING,
  optional,
  raw,
  textNode,
  withAttributes,
  xmlDocument,
  type XmlNode,
} from "../../xml/write.ts";
import { s3Class, s3Classes } from "./storage-classes.ts";
import { continuationToken } from "./translate.ts";

/** What a document depends on besides its data. */
export interface Writing {
  /** The bucket's name as the client knows it. */
  readonly bucketName: (name: string) => string;
  /** The key part of `Location`s and the like keeps the name that the client used. */
  readonly listing:
    | {
        readonly startAfter: string | undefined;
        readonly token: string | undefined;
        readonly fetchOwner: boolean;
      }
    | undefined;
}

const NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/";
const ATTRIBUTES = [["xmlns", NAMESPACE]] as const;

function root(name: string, ...content: readonly XmlNode[]): XmlNode {
  return withAttributes(name, ATTRIBUTES, ...content);
}

function party(element: "Owner" | "Initiator", stored: string): XmlNode {
  const { id, name } = partyNames(stored);
  return el(element, leaf("ID", id), leaf("DisplayName", name));
}

const GROUPS = { everyone: "AllUsers", signed: "AuthenticatedUsers" } as const;
const XSI = ["xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance"] as const;

function granteeNode(grantee: Grantee): XmlNode {
  if (grantee.kind === "user") {
    const id = callerId(grantee.uin, grantee.user);
    const attributes = [XSI, ["xsi:type", "CanonicalUser"]] as const;
    return withAttributes("Grantee", attributes, leaf("ID", id), leaf("DisplayName", grantee.user));
  }
  const uri = leaf("URI", `http://acs.amazonaws.com/groups/global/${GROUPS[grantee.kind]}`);
  return withAttributes("Grantee", [XSI, ["xsi:type", "Group"]], uri);
}

/** Grants of groups before those of single accounts, which have names for clients to sort by. */
function groupsFirst(grants: Documents["AccessControlPolicy"]["grants"]): Documents["AccessControlPolicy"]["grants"] {
  const isGroup = ({ grantee }: (typeof grants)[number]): boolean => grantee.kind !== "user";
  return [...grants.filter(isGroup), ...grants.filter((grant) => !isGroup(grant))];
}

/** A checksum with its type. */
function checksumOf(checksum: ShownChecksum | undefined): XmlNode {
  return checksum === undefined ? NOTHING : nodes([valueOf(checksum), leaf("ChecksumType", checksum.type)]);
}

function valueOf(checksum: ShownChecksum | undefined): XmlNode {
  return checksum === undefined ? NOTHING : leaf(`Checksum${checksum.algorithm}`, checksum.value);
}

type Writers = { readonly [Root in keyof Documents]: (data: Documents[Root], writing: Writing) => XmlNode };

const WRITERS: Writers = {
  ListAllMyBucketsResult: ({ uin, prefix, buckets, nextMarker }, { bucketName }) =>
    root(
      "ListAllMyBucketsResult",
      party("Owner", uin),
      el(
        "Buckets",
        nodes(
          buckets.map(({ name, createdMs, region }) =>
            el(
              "Bucket",
              leaf("Name", bucketName(name)),
              leaf("CreationDate", formatIsoMillis(createdMs)),
              leaf("BucketRegion", region),
            ),
          ),
        ),
      ),
      optional("ContinuationToken", nextMarker === undefined ? undefined : continuationToken(nextMarker)),
      optional("Prefix", prefix),
    ),

  AccessControlPolicy: ({ ownerUin, grants }) =>
    root(
      "AccessControlPolicy",
      party("Owner", ownerUin),
      el(
        "AccessControlList",
        nodes(
          groupsFirst(grants).map(({ grantee, permission }) =>
            el("Grant", granteeNode(grantee), leaf("Permission", permission)),
          ),
        ),
      ),
    ),

  ListBucketResult(page, { bucketName, listing }) {
    const { url, encode } = nameEncoding(page.encodeNames, namesOf(page));
    const { objects, prefixes, nextMarker } = page;
    const truncated = nextMarker !== undefined;
    const second = listing !== undefined;
    const owner = !second || listing.fetchOwner ? party("Owner", page.ownerUin) : NOTHING;
    return root(
      "ListBucketResult",
      leaf("Name", bucketName(page.bucket)),
      leaf("Prefix", encode(page.prefix)),
      second ? NOTHING : leaf("Marker", encode(page.marker)),
      second ? optional("ContinuationToken", listing.token) : NOTHING,
      second && truncated ? leaf("NextContinuationToken", continuationToken(nextMarker)) : NOTHING,
      second
        ? optional("StartAfter", listing.startAfter === undefined ? undefined : encode(listing.startAfter))
        : NOTHING,
      second ? leaf("KeyCount", objects.length + prefixes.length) : NOTHING,
      leaf("MaxKeys", page.maxKeys),
      optional("Delimiter", page.delimiter === undefined ? undefined : encode(page.delimiter)),
      optional("EncodingType", url ? "url" : undefined),
      leaf("IsTruncated", truncated),
      // S3 tells the next marker with a delimiter only; without one the last key is the marker. Telling it always, as
      // COS does, spares clients the difference.
      second || !truncated ? NOTHING : leaf("NextMarker", encode(nextMarker)),
      contents(page, owner, encode),
      nodes(prefixes.map((prefix) => el("CommonPrefixes", leaf("Prefix", encode(prefix))))),
    );
  },

  CopyObjectResult: ({ etag, modifiedMs, checksum }) =>
    root(
      "CopyObjectResult",
      leaf("LastModified", formatIsoMillis(modifiedMs)),
      leaf("ETag", `"${etag}"`),
      checksumOf(checksum),
    ),

  CopyPartResult: ({ etag, modifiedMs, checksum }) =>
    root(
      "CopyPartResult",
      leaf("LastModified", formatIsoMillis(modifiedMs)),
      leaf("ETag", `"${etag}"`),
      valueOf(checksum),
    ),

  InitiateMultipartUploadResult: ({ bucket, key, uploadId }, { bucketName }) =>
    root(
      "InitiateMultipartUploadResult",
      leaf("Bucket", bucketName(bucket)),
      leaf("Key", key),
      leaf("UploadId", uploadId),
    ),

  CompleteMultipartUploadResult: ({ location, bucket, key, etag, checksum }, { bucketName }) =>
    root(
      "CompleteMultipartUploadResult",
      leaf("Location", location),
      leaf("Bucket", bucketName(bucket)),
      leaf("Key", key),
      leaf("ETag", `"${etag}"`),
      checksumOf(checksum),
    ),

  // This one stands in no namespace.
  PostResponse: ({ location, bucket, key, etag }, { bucketName }) =>
    el(
      "PostResponse",
      leaf("Location", location),
      leaf("Bucket", bucketName(bucket)),
      leaf("Key", key),
      leaf("ETag", `"${etag}"`),
    ),

  ListPartsResult(page, { bucketName }) {
    const { encode } = nameEncoding(page.encodeNames, [page.key]);
    const { parts, truncated } = page;
    return root(
      "ListPartsResult",
      leaf("Bucket", bucketName(page.bucket)),
      leaf("Key", encode(page.key)),
      leaf("UploadId", page.uploadId),
      party("Initiator", page.upload.initiatorUin),
      party("Owner", page.upload.ownerUin),
      leaf("StorageClass", s3Class(page.upload.storageClass)),
      leaf("PartNumberMarker", page.marker),
      leaf("NextPartNumberMarker", parts.at(-1)?.number ?? 0),
      leaf("MaxParts", page.maxParts),
      leaf("IsTruncated", truncated),
      optional("ChecksumAlgorithm", page.checksum?.algorithm),
      optional("ChecksumType", page.checksum?.type),
      nodes(
        parts.map(({ number, modifiedMs, md5, body, checksum }) =>
          el(
            "Part",
            leaf("PartNumber", number),
            leaf("LastModified", formatIsoMillis(modifiedMs)),
            leaf("ETag", `"${md5}"`),
            leaf("Size", body.size),
            valueOf(checksum),
          ),
        ),
      ),
    );
  },

  ListMultipartUploadsResult(page, { bucketName }) {
    const { uploads, prefixes, truncated, nextKeyMarker, nextUploadIdMarker } = page.found;
    const { url, encode } = nameEncoding(page.encodeNames, [
      page.prefix,
      page.keyMarker,
      page.delimiter ?? "",
      ...uploads.map(({ key }) => key),
      ...prefixes,
    ]);
    return root(
      "ListMultipartUploadsResult",
      leaf("Bucket", bucketName(page.bucket)),
      leaf("KeyMarker", encode(page.keyMarker)),
      leaf("UploadIdMarker", page.uploadIdMarker),
      optional("NextKeyMarker", nextKeyMarker === undefined ? undefined : encode(nextKeyMarker)),
      optional("NextUploadIdMarker", truncated ? (nextUploadIdMarker ?? "") : undefined),
      leaf("Prefix", encode(page.prefix)),
      optional("Delimiter", page.delimiter === undefined ? undefined : encode(page.delimiter)),
      optional("EncodingType", url ? "url" : undefined),
      leaf("MaxUploads", page.maxUploads),
      leaf("IsTruncated", truncated),
      nodes(
        uploads.map(({ key, uploadId, record }) =>
          el(
            "Upload",
            leaf("Key", encode(key)),
            leaf("UploadId", uploadId),
            party("Initiator", record.initiatorUin),
            party("Owner", record.ownerUin),
            leaf("StorageClass", s3Class(record.storageClass)),
            leaf("Initiated", formatIsoMillis(record.initiatedMs)),
            kindOf(page.checksumOf(record)),
          ),
        ),
      ),
      nodes(prefixes.map((prefix) => el("CommonPrefixes", leaf("Prefix", encode(prefix))))),
    );
  },

  ServerSideEncryptionConfiguration: ({ algorithm, keyId }) =>
    root(
      "ServerSideEncryptionConfiguration",
      el(
        "Rule",
        el(
          "ApplyServerSideEncryptionByDefault",
          leaf("SSEAlgorithm", algorithm === "KMS" ? "aws:kms" : algorithm),
          optional("KMSMasterKeyID", keyId),
        ),
        leaf("BucketKeyEnabled", false),
      ),
    ),

  DeleteResult: ({ deleted, faults }) =>
    root(
      "DeleteResult",
      nodes(
        deleted.map(({ key, versionId, markerVersionId }) =>
          el(
            "Deleted",
            leaf("Key", key),
            optional("VersionId", versionId),
            optional("DeleteMarker", markerVersionId === undefined ? undefined : true),
            optional("DeleteMarkerVersionId", markerVersionId),
          ),
        ),
      ),
      nodes(
        faults.map(({ key, versionId, error }) => {
          const { code, message } = s3Form(error);
          return el(
            "Error",
            leaf("Key", key),
            optional("VersionId", versionId),
            leaf("Code", code),
            leaf("Message", message),
          );
        }),
      ),
    ),

  ListVersionsResult(page, { bucketName }) {
    const { versions, prefixes, truncated, nextKeyMarker, nextVersionIdMarker } = page.found;
    const { url, encode } = nameEncoding(page.encodeNames, [
      page.prefix,
      page.keyMarker,
      page.delimiter ?? "",
      ...versions.map(({ key }) => key),
      ...prefixes,
    ]);
    const owner = party("Owner", page.ownerUin);
    return root(
      "ListVersionsResult",
      leaf("Name", bucketName(page.bucket)),
      leaf("Prefix", encode(page.prefix)),
      leaf("KeyMarker", encode(page.keyMarker)),
      leaf("VersionIdMarker", page.versionIdMarker),
      optional("NextKeyMarker", nextKeyMarker === undefined ? undefined : encode(nextKeyMarker)),
      optional("NextVersionIdMarker", truncated ? nextVersionIdMarker : undefined),
      leaf("MaxKeys", page.maxKeys),
      optional("Delimiter", page.delimiter === undefined ? undefined : encode(page.delimiter)),
      optional("EncodingType", url ? "url" : undefined),
      leaf("IsTruncated", truncated),
      nodes(
        versions.map(({ key, versionId, isLatest, version }) => {
          const common = [
            leaf("Key", encode(key)),
            leaf("VersionId", versionId),
            leaf("IsLatest", isLatest),
            leaf("LastModified", formatIsoMillis(version.modifiedMs)),
          ];
          if (version.type === "delete-marker") return el("DeleteMarker", ...common, owner);
          const { etag, size, storageClass } = version;
          return el(
            "Version",
            ...common,
            leaf("ETag", `"${etag}"`),
            kindOf(page.checksumOf(version)),
            leaf("Size", size),
            leaf("StorageClass", s3Class(storageClass)),
            owner,
            restoreStatus(page.restoreOf(version)),
          );
        }),
      ),
      nodes(prefixes.map((prefix) => el("CommonPrefixes", leaf("Prefix", encode(prefix))))),
    );
  },
};

function* namesOf(page: Documents["ListBucketResult"]): Iterable<string> {
  yield page.prefix;
  yield page.marker;
  if (page.delimiter !== undefined) yield page.delimiter;
  for (const { key } of page.objects) yield key;
  yield* page.prefixes;
}

/** The entries of a page; written in one piece where nothing can need an escape, as dates, sizes and ETags cannot. */
function contents(page: Documents["ListBucketResult"], owner: XmlNode, encode: (name: string) => string): XmlNode {
  const pieces: string[] = [];
  for (const { key, head } of page.objects) {
    pieces.push("<Contents><Key>", textNode(encode(key)), "</Key><LastModified>", formatIsoMillis(head.modifiedMs));
    pieces.push("</LastModified><ETag>&quot;", head.etag, "&quot;</ETag>", kindOf(page.checksumOf(head)), "<Size>");
    pieces.push(String(head.size), "</Size>", owner, leaf("StorageClass", s3Class(head.storageClass)));
    pieces.push(restoreStatus(page.restoreOf(head)), "</Contents>");
  }
  return raw(pieces.join(""));
}

/** Which checksum a record keeps; its value is for whoever asks for the object. */
function kindOf(checksum: ChecksumKind | undefined): XmlNode {
  if (checksum === undefined) return NOTHING;
  return nodes([leaf("ChecksumAlgorithm", checksum.algorithm), leaf("ChecksumType", checksum.type)]);
}

function restoreStatus(restore: RestoreState | undefined): XmlNode {
  if (restore === undefined) return NOTHING;
  const { underWay, expiresMs } = restore;
  const until = underWay ? undefined : formatIsoMillis(expiresMs);
  return el("RestoreStatus", leaf("IsRestoreInProgress", underWay), optional("RestoreExpiryDate", until));
}

/**
 * The document `name` in S3's form. One that both dialects write alike is the service's own, with S3's namespace on its
 * root.
 */
export function s3Document(name: string, data: unknown, standard: () => string, writing: Writing): string {
  if (Object.hasOwn(WRITERS, name)) {
    const write = WRITERS[name as keyof Documents] as (data: unknown, writing: Writing) => XmlNode;
    return xmlDocument(write(data, writing));
  }
  const text = s3Classes(standard());
  const start = text.indexOf(`<${name}`);
  const end = start + name.length + 1;
  // Only the root stands here without an attribute that names its namespace.
  return start < 0 ? text : `${text.slice(0, end)} xmlns="${NAMESPACE}"${text.slice(end)}`;
}
