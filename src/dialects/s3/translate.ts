/** From S3's names to those of declarations and back: headers, the parameters of ListObjectsV2, and bare bucket names. */

import { refuse } from "../../errors/cos-error.ts";
import type { Answer } from "../../http/answer.ts";
import { headerFields } from "../../http/headers.ts";
import { type HeaderFields, ReadRequest, type WireRequest } from "../../http/request.ts";
import { Query } from "../../http/target.ts";
import { withHoisted } from "./hoisted.ts";
import { ownClass, s3Class } from "./storage-classes.ts";

const AMZ = "x-amz-";
const COS = "x-cos-";

/**
 * Fields that keep their name: those of the protocol itself, and those for which COS has none. Declarations name the
 * latter as S3 does.
 */
const KEPT: ReadonlySet<string> = new Set([
  "x-amz-bucket-namespace",
  "x-amz-bucket-object-lock-enabled",
  "x-amz-bypass-governance-retention",
  "x-amz-checksum-algorithm",
  "x-amz-checksum-mode",
  "x-amz-checksum-type",
  "x-amz-content-sha256",
  "x-amz-date",
  "x-amz-decoded-content-length",
  "x-amz-expected-bucket-owner",
  "x-amz-id-2",
  "x-amz-mfa",
  "x-amz-mp-object-size",
  "x-amz-max-parts",
  "x-amz-object-attributes",
  "x-amz-object-ownership",
  "x-amz-optional-object-attributes",
  "x-amz-part-number-marker",
  "x-amz-rename-source",
  "x-amz-request-payer",
  "x-amz-sdk-checksum-algorithm",
  "x-amz-security-token",
  "x-amz-source-expected-bucket-owner",
  "x-amz-te",
  "x-amz-trailer",
  "x-amz-transition-default-minimum-object-size",
  "x-amz-user-agent",
  "x-amz-write-offset-bytes",
]);
const KEPT_PREFIXES = ["x-amz-checksum-", "x-amz-if-match-"];

const ENCRYPTION = "server-side-encryption";
/** S3's names of what COS calls otherwise, without what begins them all. */
const NAMES: readonly (readonly [s3: string, cos: string])[] = [
  [`${ENCRYPTION}-aws-kms-key-id`, `${ENCRYPTION}-cos-kms-key-id`],
];
const OWN_NAMES: ReadonlyMap<string, string> = new Map(NAMES.map(([s3, cos]) => [AMZ + s3, COS + cos]));
const S3_NAMES: ReadonlyMap<string, string> = new Map(NAMES.map(([s3, cos]) => [COS + cos, AMZ + s3]));
/** An ARN of a key names it behind its last `/`. */
const KEY_ARN = /^arn:aws:kms:[^:]*:[^:]*:key\/(?=[^/]+$)/;

/** The id of a key, of which S3 clients may tell the ARN. */
function keyId(text: string): string {
  return text.trim().replace(KEY_ARN, "");
}

/** The document of a bucket's default encryption with the id of its key. */
export function ownKeyId(document: string): string {
  return document.replace(
    /(<KMSMasterKeyID>)([^<]*)(<\/KMSMasterKeyID>)/g,
    (_, open: string, id: string, close: string) => open + keyId(id) + close,
  );
}

/** The name of S3's under which a header of declarations is sent. */
export function sentName(own: string): string {
  return S3_NAMES.get(own) ?? (own.startsWith(COS) ? AMZ + own.slice(COS.length) : own);
}

/** The name under which declarations read a header. */
export function ownName(name: string): string {
  const other = OWN_NAMES.get(name);
  if (other !== undefined) return other;
  if (!name.startsWith(AMZ) || KEPT.has(name) || KEPT_PREFIXES.some((prefix) => name.startsWith(prefix))) return name;
  return COS + name.slice(AMZ.length);
}

/**
 * Throws CosError InvalidRequest for a header that is sent under both of its names, InvalidDigest for an empty MD5.
 * @param drop Names, as S3 has them, that count for nothing.
 */
function translatedHeaders(headers: HeaderFields, drop: (name: string) => boolean): HeaderFields {
  const values = new Map<string, string>();
  for (const [name, value] of headers.entries()) {
    if (drop(name)) continue;
    // An empty one counts as absent to COS; to S3 it is a digest that is none.
    if (name === "content-md5" && value.trim() === "") throw refuse("InvalidDigest");
    const own = ownName(name);
    if (values.has(own)) {
      throw refuse("InvalidRequest", { message: `The header ${name} is sent under two names.` });
    }
    values.set(own, translatedValue(own, value));
  }
  return headerFields(values);
}

/** The value of a header as declarations read it. */
export function translatedValue(own: string, value: string): string {
  if (own === "content-encoding") return withoutAwsChunked(value);
  if (own === "x-cos-storage-class") return ownClass(value);
  // S3 clients may leave out the quotes of a grantee's id.
  if (own.startsWith("x-cos-grant-")) return value.replace(/(^|,)(\s*\w+\s*=\s*)([^",\s]+)(?=\s*(?:,|$))/g, '$1$2"$3"');
  if (own === COS + ENCRYPTION && value.trim().toLowerCase() === "aws:kms") return "cos/kms";
  if (own === `${COS}${ENCRYPTION}-cos-kms-key-id`) return keyId(value);
  return value;
}

/** `aws-chunked` is how the body travels, not how the object is encoded. */
function withoutAwsChunked(value: string): string {
  if (!/aws-chunked/i.test(value)) return value;
  return value
    .split(",")
    .map((coding) => coding.trim())
    .filter((coding) => coding.toLowerCase() !== "aws-chunked" && coding !== "")
    .join(",");
}

/** Whether a request asks for the second version of a bucket's list. Raises InvalidArgument for a third. */
export function isSecondListing(
  { method, target }: Pick<WireRequest, "method" | "target">,
  onBucket: boolean,
): boolean {
  if (!onBucket || method !== "GET") return false;
  const version = target.query.get("list-type");
  if (version === undefined) return false;
  if (version !== "2") throw refuse("InvalidArgument", { message: "Invalid List Type specified in Request" });
  return true;
}

/** A page's marker as the opaque text that S3 calls a continuation token. */
export function continuationToken(marker: string): string {
  return `1${Buffer.from(marker, "utf8").toString("base64url")}`;
}

/** The marker of a token of ours. Raises InvalidArgument for any other text. */
function markerOf(token: string): string {
  const bytes = Buffer.from(token.slice(1), "base64url");
  const marker = bytes.toString("utf8");
  if (continuationToken(marker) !== token) {
    throw refuse("InvalidArgument", { message: "The continuation token provided is incorrect" });
  }
  return marker;
}

/** Second-version lists are first-version lists whose marker is a token, or a key that is not listed itself. */
function translatedListing(query: Query): Query {
  const token = query.get("continuation-token") ?? "";
  const marker = token === "" ? (query.get("start-after") ?? "") : markerOf(token);
  const kept = query.entries.filter(([name]) => name.toLowerCase() !== "marker");
  for (const name of ["continuation-token", "start-after"]) {
    if (query.repeated(name)) {
      throw refuse("InvalidArgument", { message: `The argument ${name} is given more than once.` });
    }
  }
  return new Query([...kept, ["marker", marker]]);
}

/** The number of a part to read stands alone in S3; beside an upload's id it would name a part of that. */
function translatedPart(query: Query): Query {
  if (query.entries.length === 0 || !query.has("partNumber") || query.has("uploadId")) return query;
  return new Query(
    query.entries.map(([name, value]) => [name.toLowerCase() === "partnumber" ? "x-amz-part-number" : name, value]),
  );
}

/** S3 heeds the range of a HEAD, where COS passes over it. */
function withRangeOfHead(headers: HeaderFields): HeaderFields {
  const entries = [...headers.entries()].map(
    ([name, value]) => [name === "range" ? "x-amz-range" : name, value] as const,
  );
  return headerFields(new Map(entries));
}

/** A greater page is none to S3, where COS lowers it. (ListBuckets page) Raises InvalidArgument. */
function pageOfBuckets(value: string): string {
  if (Number(value) <= BUCKETS_MAX) return value;
  throw refuse("InvalidArgument", {
    message: `The argument max-buckets must be a whole number from 1 to ${BUCKETS_MAX}.`,
  });
}

const BUCKETS_MAX = 10_000;

/** ListBuckets as S3 has it since it has pages. */
function translatedBuckets(query: Query): Query {
  const entries: (readonly [string, string])[] = [];
  for (const [name, value] of query.entries) {
    const lower = name.toLowerCase();
    if (lower === "max-buckets") entries.push(["max-keys", pageOfBuckets(value)]);
    else if (lower === "bucket-region") entries.push(["region", value]);
    else if (lower === "continuation-token") entries.push(["marker", value === "" ? "" : markerOf(value)]);
    else entries.push([name, value]);
  }
  return new Query(entries);
}

/** What S3 asks of an operation beyond what COS does: parameters that only this dialect sends. */
const ASKED: readonly {
  readonly kind: TranslationOptions["kind"];
  readonly method: string;
  /** A parameter that the request has; undefined for any. */
  readonly beside?: string;
  readonly asks: string;
}[] = [
  { kind: "bucket", method: "DELETE", asks: "x-amz-end-uploads" },
  { kind: "bucket", method: "GET", beside: "intelligent-tiering", asks: "x-amz-absent-configurations" },
  { kind: "bucket", method: "PUT", beside: "cors", asks: "x-amz-any-origins" },
  { kind: "bucket", method: "POST", beside: "delete", asks: "x-amz-absent-versions" },
  { kind: "object", method: "DELETE", beside: "versionId", asks: "x-amz-absent-versions" },
  { kind: "object", method: "POST", beside: "uploadId", asks: "x-amz-completed-uploads" },
];

export interface TranslationOptions {
  readonly kind: "service" | "bucket" | "object";
  /** Drops what the live service passes over, checksums of S3's, and asks for nothing beyond what that does. */
  readonly strict: boolean;
}

function askedBy({ method, target }: WireRequest, kind: TranslationOptions["kind"]): string | undefined {
  return ASKED.find(
    (one) => one.kind === kind && one.method === method && (one.beside === undefined || target.query.has(one.beside)),
  )?.asks;
}

/** The request in the names that declarations use. */
export function translated(request: WireRequest, { kind, strict }: TranslationOptions): WireRequest {
  const { target } = request;
  // S3 clients may send the key of an upload with the list of its parts, which does not need it. (ListParts page)
  const listsParts = kind === "object" && request.method === "GET" && target.query.has("uploadId");
  let headers = translatedHeaders(
    withHoisted(request),
    (name) =>
      (strict && (name.startsWith("x-amz-checksum-") || name === "x-amz-sdk-checksum-algorithm")) ||
      (listsParts && name.startsWith(`${AMZ}${ENCRYPTION}-customer-`)),
  );
  if (kind === "object" && request.method === "HEAD" && headers.get("range") !== undefined) {
    headers = withRangeOfHead(headers);
  }
  const asked = strict ? undefined : askedBy(request, kind);
  if (asked !== undefined) {
    const query = new Query([...target.query.entries, [asked, ""]]);
    return new ReadRequest(request, { headers, target: { ...target, query } });
  }
  if (isSecondListing(request, kind === "bucket")) {
    return new ReadRequest(request, { headers, target: { ...target, query: translatedListing(target.query) } });
  }
  if (kind === "object" && (request.method === "GET" || request.method === "HEAD")) {
    return new ReadRequest(request, { headers, target: { ...target, query: translatedPart(target.query) } });
  }
  if (kind === "service" && target.query.entries.length > 0) {
    return new ReadRequest(request, { headers, target: { ...target, query: translatedBuckets(target.query) } });
  }
  return new ReadRequest(request, { headers });
}

function s3Value(name: string, value: string): string {
  if (name === "x-cos-storage-class") return s3Class(value);
  return name === COS + ENCRYPTION && value === "cos/kms" ? "aws:kms" : value;
}

/** The fields of an answer under S3's names. */
export function translatedAnswer(answer: Answer, ids: readonly (readonly [string, string])[]): Answer {
  const headers: (readonly [string, string])[] = [];
  for (const [name, value] of answer.headers) {
    headers.push([sentName(name), s3Value(name, value)]);
    // S3 tells the tiers out of which objects have to be restored, and no others. (HeadObject page)
    if (name === "x-cos-storage-tier" && value.includes("ARCHIVE")) headers.push(["x-amz-archive-status", value]);
  }
  headers.push(...ids);
  return { ...answer, headers };
}
