/**
 * Checks AWS signatures, version 4 and 2, in the header and in the query. (AWS Signature Version 4 for S3; signing and
 * authenticating REST requests)
 *
 * What is signed is compared exactly. As candidates are tried, each a reading of this very request: the host with and
 * without its port, the path as S3 encodes it and as it was sent, and header bytes beyond ASCII as they came or as text.
 * Everything that changes what a request means has to be signed: with version 4 the host and every `x-amz-` and `x-cos-`
 * header; with version 2, which does not sign queries, no other parameters are taken than those it signs and those that
 * only choose a page of a list.
 */

import type { SignedFor } from "../../access/signing-time.ts";
import { createHmac, timingSafeEqual } from "node:crypto";
import type { SignedVia } from "../../access/caller.ts";
import { type CosError, refuse } from "../../errors/cos-error.ts";
import type { Evidence } from "../../errors/evidence.ts";
import { formatIsoSeconds, parseHttpDate } from "../../http/dates.ts";
import type { WireRequest } from "../../http/request.ts";
import type { Query } from "../../http/target.ts";
import {
  canonicalQuery,
  encodedPath,
  sameSignatureV4,
  type Scope,
  signatureV4,
  signingKeyOf,
  stringToSign,
} from "./canonical.ts";
import { evidenceV2, evidenceV4 } from "./signature-mistakes.ts";

/** What a signature of version 4 says of the body, and what signs its chunks. */
export interface SeedV4 {
  readonly signature: string;
  readonly signingKey: Buffer;
  readonly scope: Scope;
  /** `20130524T000000Z`. */
  readonly dateTime: string;
}

/** Who signed. */
export type S3Evidence<Credential> =
  | { readonly kind: "anonymous" }
  | {
      readonly kind: "signed";
      readonly credential: Credential;
      readonly via: SignedVia;
      /** Whether a part was signed, by its name in lower case. */
      readonly isSigned: (part: "header" | "parameter", name: string) => boolean;
      /** Present for signatures of version 4 in the header; others can sign no chunks. */
      readonly seed: SeedV4 | undefined;
    };

/** The part of a request that signatures speak of. */
export type SignedRequest = Pick<WireRequest, "method" | "target" | "headers">;

export interface S3SignatureOptions {
  /** How far the time of a signature may lie from ours, ms. */
  readonly skewMs: number;
  /**
   * The present, in the time of whoever signed at `startMs`; of an undated link only its end is known. By default it is
   * our own for everybody.
   */
  readonly presentFor?: (startMs: number, signedFor: SignedFor) => number;
  /** The bucket that the host names; undefined under path style. Version 2 signs it as part of the path. */
  readonly hostBucket: string | undefined;
  /** The bucket, wherever it is named; for the evidence of a refusal. */
  readonly bucket?: string | undefined;
}

interface CredentialsV4 {
  readonly version: 4;
  readonly via: "header" | "query";
  readonly accessKeyId: string;
  readonly scope: Scope;
  readonly dateTime: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
}

interface CredentialsV2 {
  readonly version: 2;
  readonly via: "header" | "query";
  readonly accessKeyId: string;
  /** What stands in the place of the date: empty where `x-amz-date` is signed, `Expires` in a query. */
  readonly dateLine: string;
  readonly signature: string;
}

type Credentials = CredentialsV4 | CredentialsV2;

const ALGORITHM = "AWS4-HMAC-SHA256";
/** Characters of an Authorization field. */
const AUTHORIZATION_CHARS_MAX = 8 * 1024;
const SIGNED_HEADERS_MAX = 200;
/** A week, in seconds. (query string authentication page) */
const EXPIRES_MAX = 604_800;

/** The one parameter that a signature of version 4 does not cover: its own. */
const OWN_PARAMETER = "x-amz-signature";

const V4_PARAMETERS = [
  "x-amz-algorithm",
  "x-amz-credential",
  "x-amz-date",
  "x-amz-expires",
  "x-amz-signedheaders",
  "x-amz-signature",
] as const;
const SIGNATURE_PARAMETERS: ReadonlySet<string> = new Set([
  ...V4_PARAMETERS,
  "x-amz-content-sha256",
  "x-amz-security-token",
]);
/** Marks of version 4 in a query; a date or an expiry alone makes no signature. */
const V4_MARKS = ["x-amz-algorithm", "x-amz-credential", "x-amz-signature"] as const;
const V2_PARAMETERS = ["awsaccesskeyid", "signature", "expires"] as const;
const COS_PARAMETERS = ["sign", "q-ak", "q-signature", "q-sign-algorithm", "q-sign-time", "q-key-time"] as const;

const hasAny = (query: Query, names: readonly string[]): boolean => names.some((name) => query.has(name));

/** True for an Authorization of either version of AWS's. */
export function isAwsAuthorization(text: string): boolean {
  return /^AWS(4-[A-Z0-9-]+)?(?:[\s,]|$)/.test(text);
}

/** True for a query that carries credentials of either version. `Signature` alone is too common a word. */
export function hasAwsParameters(query: Query): boolean {
  return query.entries.length > 0 && (hasAny(query, V4_MARKS) || query.has("awsaccesskeyid"));
}

/** True for a query with a signature of version 4, which covers every other parameter. */
export function hasSignatureV4(query: Query): boolean {
  return query.has(OWN_PARAMETER);
}

/** Whether a parameter, by its lower-case name, belongs to a signature of version 4. */
export function isSignatureParameter(name: string): boolean {
  return SIGNATURE_PARAMETERS.has(name);
}

/** True for a query that carries credentials of COS's own. */
export function hasCosParameters(query: Query): boolean {
  return query.entries.length > 0 && hasAny(query, COS_PARAMETERS);
}

/** Finds the credential of an access key id with the token that came along; undefined for an unknown or disabled one. */
export type FindsKeys<Found> = (accessKeyId: string, token: string | undefined) => Found;

/**
 * Decides who asks. A promise only where `keys` gives one.
 *
 * Throws CosError, in this order: InvalidRequest (credentials in more than one place, or twice), InvalidRequest with
 * S3's code for a malformed header or query, VerifyAlgorithmNotSupported, AccessDenied (no usable date),
 * RequestTimeTooSkewed, RequestHasExpired, InvalidRequest (two tokens), what `keys` throws (ExpiredToken),
 * InvalidAccessKeyId, SignatureDoesNotMatch, AccessDenied (something that matters is not signed).
 */
export function authenticateS3<Credential extends { readonly secretKey: string }>(
  request: SignedRequest,
  keys: FindsKeys<Credential | undefined>,
  nowMs: number,
  options: S3SignatureOptions,
): S3Evidence<Credential>;
export function authenticateS3<Credential extends { readonly secretKey: string }>(
  request: SignedRequest,
  keys: FindsKeys<Credential | undefined | Promise<Credential | undefined>>,
  nowMs: number,
  options: S3SignatureOptions,
): S3Evidence<Credential> | Promise<S3Evidence<Credential>>;
export function authenticateS3<Credential extends { readonly secretKey: string }>(
  request: SignedRequest,
  keys: FindsKeys<Credential | undefined | Promise<Credential | undefined>>,
  nowMs: number,
  options: S3SignatureOptions,
): S3Evidence<Credential> | Promise<S3Evidence<Credential>> {
  const credentials = readCredentials(request, nowMs, options);
  if (credentials === undefined) return { kind: "anonymous" };
  const found = keys(credentials.accessKeyId, readToken(request));
  if (found instanceof Promise) return found.then((one) => verified(request, credentials, one, options));
  return verified(request, credentials, found, options);
}

const TOKEN = "x-amz-security-token";

/** The token of a temporary pair. Version 4 signs it like all of its kind, version 2 as a header wherever it is. */
function readToken({ headers, target }: SignedRequest): string | undefined {
  const header = headers.get(TOKEN);
  const parameter = target.query.entries.length === 0 ? undefined : target.query.get(TOKEN);
  if (parameter === undefined || parameter === "") return header;
  if (target.query.repeated(TOKEN) || (header !== undefined && header !== parameter)) {
    throw refuse("InvalidRequest", { message: `The request carries more than one ${TOKEN}.` });
  }
  return parameter;
}

function verified<Credential extends { readonly secretKey: string }>(
  request: SignedRequest,
  credentials: Credentials,
  credential: Credential | undefined,
  options: S3SignatureOptions,
): S3Evidence<Credential> {
  if (credential === undefined) {
    throw refuse("InvalidAccessKeyId", { extras: [["AWSAccessKeyId", credentials.accessKeyId]] });
  }
  if (credentials.version === 2) {
    verifyV2(request, credentials, credential.secretKey, options);
    // A host that names a bucket is part of the path that is signed.
    const isSigned = (part: "header" | "parameter", name: string): boolean =>
      part === "parameter"
        ? V2_SIGNED.has(name) || V2_OWN.has(name)
        : name.startsWith("x-amz-") || V2_SIGNED_HEADERS.has(name);
    return { kind: "signed", credential, via: credentials.via, isSigned, seed: undefined };
  }
  const { scope, dateTime, signature, via } = credentials;
  const signingKey = signingKeyOf(credential.secretKey, scope);
  verifyV4(request, credentials, signingKey, credential.secretKey, options);
  return {
    kind: "signed",
    credential,
    via,
    isSigned: (part, name) => part === "parameter" || credentials.signedHeaders.includes(name),
    seed: via === "header" ? { signature, signingKey, scope, dateTime } : undefined,
  };
}

/** Whether a request carries credentials of any kind in its header or its query. */
export function carriesCredentials({ headers, target: { query } }: SignedRequest): boolean {
  return headers.get("authorization") !== undefined || hasAwsParameters(query) || hasCosParameters(query);
}

/** The part of `authenticateS3` that needs no key; undefined when the request carries no credentials. */
export function readCredentials(
  request: SignedRequest,
  nowMs: number,
  { skewMs, presentFor }: Pick<S3SignatureOptions, "skewMs" | "presentFor">,
): Credentials | undefined {
  const { query } = request.target;
  const header = request.headers.get("authorization");
  const v4 = hasAny(query, V4_MARKS);
  const v2 = query.has("awsaccesskeyid");
  const places = Number(header !== undefined) + Number(v4) + Number(v2) + Number(hasCosParameters(query));
  const twice = [...(v4 ? V4_PARAMETERS : []), ...(v2 ? V2_PARAMETERS : [])].some((name) => query.repeated(name));
  if (places > 1 || twice) {
    throw refuse("InvalidRequest", {
      message:
        "The request carries credentials in more than one place; send the Authorization header or a signed query, once.",
    });
  }
  const times: Times = { nowMs, skewMs, presentFor: presentFor ?? (() => nowMs) };
  if (v4) return v4OfQuery(query, times);
  if (v2) return v2OfQuery(query, times);
  if (header === undefined) return undefined;
  if (header.length > AUTHORIZATION_CHARS_MAX) throw malformedHeader("The authorization header is too long.");
  if (header.startsWith(ALGORITHM)) return v4OfHeader(request, header.slice(ALGORITHM.length), times);
  if (/^AWS\s/.test(header)) return v2OfHeader(request, header.slice(4).trim(), times);
  throw refuse("VerifyAlgorithmNotSupported", {
    message: "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
  });
}

function malformedHeader(message: string): CosError {
  return refuse("InvalidRequest", { message, s3: "AuthorizationHeaderMalformed" });
}

function malformedQuery(message: string): CosError {
  return refuse("InvalidRequest", { message, s3: "AuthorizationQueryParametersError" });
}

type Malformed = (message: string) => CosError;

// Version 4

function v4OfHeader(request: SignedRequest, text: string, times: Times): CredentialsV4 {
  if (!/^[\s,]/.test(text)) {
    throw refuse("VerifyAlgorithmNotSupported", {
      message: "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    });
  }
  const fields = new Map<string, string>();
  for (const piece of text.split(",")) {
    const trimmed = piece.trim();
    if (trimmed === "") continue;
    const equals = trimmed.indexOf("=");
    const name = trimmed.slice(0, Math.max(0, equals));
    if (!["Credential", "SignedHeaders", "Signature"].includes(name)) {
      throw malformedHeader("The authorization header that you provided is not valid.");
    }
    if (fields.has(name)) throw malformedHeader(`The authorization header has ${name} twice.`);
    fields.set(name, trimmed.slice(equals + 1));
  }
  const field = (name: string): string => {
    const value = fields.get(name);
    if (value === undefined || value === "") {
      throw malformedHeader(`The authorization header is malformed; it lacks ${name}.`);
    }
    return value;
  };
  const { accessKeyId, scope } = readCredentialScope(field("Credential"), malformedHeader);
  const signedHeaders = readSignedHeaders(field("SignedHeaders"), malformedHeader);
  const signature = field("Signature");
  const sent = request.headers.get("x-amz-date") ?? request.headers.get("date");
  const dateMs = sent === undefined ? undefined : parsedDate(sent);
  if (dateMs === undefined) {
    throw refuse("AccessDenied", { message: "AWS authentication requires a valid Date or x-amz-date header." });
  }
  const dateTime = formatBasic(dateMs);
  refuseOtherDay(scope, dateTime, malformedHeader);
  refuseSkewed(dateMs, times);
  return { version: 4, via: "header", accessKeyId, scope, dateTime, signedHeaders, signature };
}

function v4OfQuery(query: Query, times: Times): CredentialsV4 {
  const value = (name: string, shown: string): string => {
    const text = query.get(name);
    if (text === undefined || text === "") {
      throw malformedQuery(`Query-string authentication version 4 requires the parameter ${shown}.`);
    }
    return text;
  };
  if (value("x-amz-algorithm", "X-Amz-Algorithm") !== ALGORITHM) {
    throw malformedQuery(`X-Amz-Algorithm only supports "${ALGORITHM}".`);
  }
  const { accessKeyId, scope } = readCredentialScope(value("x-amz-credential", "X-Amz-Credential"), malformedQuery);
  const dateTime = value("x-amz-date", "X-Amz-Date");
  const dateMs = parseBasic(dateTime);
  if (dateMs === undefined)
    throw malformedQuery("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\".");
  const expires = value("x-amz-expires", "X-Amz-Expires");
  if (!/^-?\d{1,12}$/.test(expires)) throw malformedQuery("X-Amz-Expires should be a number.");
  if (Number(expires) < 0) throw malformedQuery("X-Amz-Expires must be non-negative.");
  if (Number(expires) > EXPIRES_MAX) {
    throw malformedQuery(
      `X-Amz-Expires must be less than a week (in seconds); that is, it must be at most ${EXPIRES_MAX}.`,
    );
  }
  const signedHeaders = readSignedHeaders(value("x-amz-signedheaders", "X-Amz-SignedHeaders"), malformedQuery);
  const signature = value("x-amz-signature", "X-Amz-Signature");
  refuseOtherDay(scope, dateTime, malformedQuery);
  const presentMs = times.presentFor(dateMs, "link");
  const endMs = dateMs + Number(expires) * 1000;
  const evidence = (): Evidence => period(dateMs, endMs, times);
  if (dateMs > presentMs + times.skewMs) {
    throw refuse("RequestTimeTooSkewed", { extras: timesOf(dateMs, times), evidence });
  }
  if (presentMs > endMs) {
    throw refuse("RequestHasExpired", {
      evidence,
      extras: [
        ["X-Amz-Expires", expires],
        ["Expires", formatIsoSeconds(endMs)],
        ["ServerTime", formatIsoSeconds(times.nowMs)],
      ],
    });
  }
  return { version: 4, via: "query", accessKeyId, scope, dateTime, signedHeaders, signature };
}

/** `<key id>/<date>/<region>/s3/aws4_request`. The region may be any: the live service does not look at it. */
export function readCredentialScope(text: string, malformed: Malformed): { accessKeyId: string; scope: Scope } {
  const parts = text.split("/");
  const [accessKeyId = "", date = "", region = "", service = "", end = ""] = parts;
  if (parts.length !== 5 || accessKeyId === "") {
    throw malformed("The Credential is malformed; expecting <YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request.");
  }
  if (!/^\d{8}$/.test(date)) throw malformed("The Credential has no date of the form YYYYMMDD.");
  if (!/^[A-Za-z0-9-]{1,64}$/.test(region)) throw malformed("The Credential has no region.");
  if (service !== "s3")
    throw malformed(`The Credential is for the service ${JSON.stringify(service.slice(0, 32))}; expecting "s3".`);
  if (end !== "aws4_request") throw malformed('The Credential must end with "aws4_request".');
  return { accessKeyId, scope: { date, region } };
}

function readSignedHeaders(text: string, malformed: Malformed): readonly string[] {
  const names = text.split(";");
  if (names.length > SIGNED_HEADERS_MAX) throw malformed(`SignedHeaders has more than ${SIGNED_HEADERS_MAX} names.`);
  let last = "";
  for (const name of names) {
    // Lower case, in order, each once: what stands otherwise could be read in two ways.
    if (!/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name) || name <= last) throw malformed("SignedHeaders is malformed.");
    last = name;
  }
  return names;
}

export function refuseOtherDay({ date }: Scope, dateTime: string, malformed: Malformed): void {
  if (dateTime.slice(0, 8) !== date) {
    throw malformed(`The date of the Credential, ${date}, is not that of the request, ${dateTime.slice(0, 8)}.`);
  }
}

/** What times of a signature are held against. */
interface Times {
  readonly nowMs: number;
  readonly skewMs: number;
  readonly presentFor: NonNullable<S3SignatureOptions["presentFor"]>;
}

function refuseSkewed(dateMs: number, times: Times): void {
  if (Math.abs(times.presentFor(dateMs, "request") - dateMs) > times.skewMs) {
    throw refuse("RequestTimeTooSkewed", {
      extras: timesOf(dateMs, times),
      evidence: () => period(dateMs, dateMs + times.skewMs, times),
    });
  }
}

function period(start: number, end: number, { nowMs, skewMs }: Times): Evidence {
  return { kind: "time", now: nowMs, start, end, skewMs };
}

export function timesOf(
  dateMs: number,
  { nowMs, skewMs }: Pick<Times, "nowMs" | "skewMs">,
): readonly (readonly [string, string])[] {
  return [
    ["RequestTime", formatBasic(dateMs)],
    ["ServerTime", formatIsoSeconds(nowMs)],
    ["MaxAllowedSkewMilliseconds", String(skewMs)],
  ];
}

const BASIC = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})Z$/;

/** `20130524T000000Z` in ms since 1970; undefined for anything else, a day that no calendar has included. */
export function parseBasic(text: string): number | undefined {
  const [, year, month, day, hour, minute, second] = BASIC.exec(text) ?? [];
  if (year === undefined) return undefined;
  const ms = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second));
  return formatBasic(ms) === text ? ms : undefined;
}

/** A date in any form that a signed request may carry; `+0000` is how RFC 822 writes GMT. */
function parsedDate(text: string): number | undefined {
  return parseBasic(text) ?? parseHttpDate(text.replace(/ [+-]0000$/, " GMT"));
}

function formatBasic(ms: number): string {
  const iso = new Date(ms).toISOString();
  return `${iso.slice(0, 4)}${iso.slice(5, 7)}${iso.slice(8, 10)}T${iso.slice(11, 13)}${iso.slice(14, 16)}${iso.slice(17, 19)}Z`;
}

/** What a signature of version 4 says of the body: a hash, or one of the fixed words. */
export function payloadWord({ headers, target }: Pick<SignedRequest, "headers" | "target">): string | undefined {
  return headers.get("x-amz-content-sha256") ?? target.query.get("x-amz-content-sha256");
}

function verifyV4(
  request: SignedRequest,
  credentials: CredentialsV4,
  signingKey: Buffer,
  secretKey: string,
  { bucket }: Pick<S3SignatureOptions, "bucket">,
): void {
  const { signedHeaders, scope, dateTime, via } = credentials;
  if (!signedHeaders.includes("host")) {
    throw refuse("AccessDenied", { message: "The host must be among the signed headers." });
  }
  const payload = payloadWord(request);
  if (via === "header" && payload === undefined) {
    throw refuse("InvalidRequest", { message: "Missing required header for this request: x-amz-content-sha256" });
  }
  // A name that is listed and not sent would verify as one that is sent empty.
  const complete = signedHeaders.every((name) => name === "host" || request.headers.raw(name) !== undefined);
  const hash = payload ?? "UNSIGNED-PAYLOAD";
  const parameters =
    via === "header"
      ? request.target.query.entries
      : request.target.query.entries.filter(([name]) => name.toLowerCase() !== OWN_PARAMETER);
  const query = canonicalQuery(parameters);
  let first: { toSign: string; canonical: string; encoding: Reading["encoding"] } | undefined;
  for (const { path, headers, encoding } of readings(request, signedHeaders)) {
    const canonical = `${request.method}\n${path}\n${query}\n${headers}\n${signedHeaders.join(";")}\n${hash}`;
    const toSign = stringToSign(dateTime, scope, canonical, encoding);
    if (sameSignatureV4(signatureV4(signingKey, toSign), credentials.signature) && complete) {
      refuseUnsigned(request, signedHeaders);
      return;
    }
    first ??= { toSign, canonical, encoding };
  }
  throw mismatch(credentials, first?.toSign ?? "", first?.canonical, () => {
    const [host] = request.target.authority.spellings;
    const headers = signedHeaders.map((name): readonly [string, string | undefined] => {
      const value = name === "host" ? host : request.headers.raw(name);
      return [name, value === undefined ? undefined : canonicalValue(value)];
    });
    const { method, target } = request;
    const sent = { ...credentials, method, path: target.path, bucket, parameters, headers, payload: hash };
    return evidenceV4(sent, secretKey, first?.encoding ?? "latin1");
  });
}

function mismatch(
  { accessKeyId, signature }: Credentials,
  toSign: string,
  canonical: string | undefined,
  evidence: () => Evidence,
): CosError {
  return refuse("SignatureDoesNotMatch", {
    evidence,
    extras: [
      ["AWSAccessKeyId", accessKeyId],
      ["StringToSign", toSign],
      ["SignatureProvided", signature],
      ...(canonical === undefined ? [] : [["CanonicalRequest", canonical] as const]),
    ],
  });
}

/** Headers that carry no meaning of their own, or are part of the canonical request already. */
const MAY_BE_UNSIGNED: ReadonlySet<string> = new Set(["x-amz-content-sha256", "x-amz-user-agent"]);

/** Whoever holds a signed URL must not add to what it does. */
function refuseUnsigned({ headers }: SignedRequest, signedHeaders: readonly string[]): void {
  for (const [name] of headers.entries()) {
    if (!/^x-(amz|cos)-/.test(name) || signedHeaders.includes(name) || MAY_BE_UNSIGNED.has(name)) continue;
    throw refuse("AccessDenied", {
      message: "There were headers present in the request which were not signed",
      extras: [["HeadersNotSigned", name]],
    });
  }
}

interface Reading {
  readonly path: string;
  readonly headers: string;
  readonly encoding: "utf8" | "latin1";
}

/** Readings of a request, the likeliest first: one, unless its path, its host or its header bytes are out of the ordinary. */
function* readings(request: SignedRequest, signedHeaders: readonly string[]): Generator<Reading> {
  const { path, rawPath, authority } = request.target;
  const paths = new Set([encodedPath(path), rawPath]);
  const hosts = authority.spellings.length === 0 ? [""] : authority.spellings;
  const values = signedHeaders.map((name) => canonicalValue(request.headers.raw(name) ?? ""));
  // Header bytes beyond ASCII are held as Latin-1 characters: the first reading hashes them as they came, the second
  // as the text that a client in JavaScript meant.
  const beyondAscii = values.some((value) => /[\x80-\xff]/.test(value));
  for (const encoding of beyondAscii ? (["latin1", "utf8"] as const) : (["latin1"] as const)) {
    for (const host of hosts) {
      let headers = "";
      for (const [at, name] of signedHeaders.entries()) headers += `${name}:${name === "host" ? host : values[at]}\n`;
      for (const one of paths) yield { path: one, headers, encoding };
    }
  }
}

/** Without blanks at the ends, and one where there were several. */
function canonicalValue(value: string): string {
  return value.replace(/[ \t]+/g, " ").replace(/^ | $/g, "");
}

// Version 2

/** Parameters that version 2 signs. (canonicalized resource; `tagging` and `restore` as boto and Java sign them) */
const V2_SIGNED: ReadonlySet<string> = new Set([
  "accelerate",
  "acl",
  "analytics",
  "cors",
  "delete",
  "encryption",
  "inventory",
  "lifecycle",
  "location",
  "logging",
  "metrics",
  "notification",
  "partnumber",
  "policy",
  "publicaccessblock",
  "replication",
  "requestpayment",
  "response-cache-control",
  "response-content-disposition",
  "response-content-encoding",
  "response-content-language",
  "response-content-type",
  "response-expires",
  "restore",
  "tagging",
  "torrent",
  "uploadid",
  "uploads",
  "versionid",
  "versioning",
  "versions",
  "website",
]);

/** Parameters that carry the signature. */
const V2_OWN: ReadonlySet<string> = new Set(["awsaccesskeyid", "expires", "signature"]);
const V2_SIGNED_HEADERS: ReadonlySet<string> = new Set([
  "authorization",
  "content-md5",
  "content-type",
  "date",
  "host",
]);

/** Parameters that nobody signs and that only choose a page of a list. */
const V2_HARMLESS: ReadonlySet<string> = new Set([
  "awsaccesskeyid",
  "continuation-token",
  "delimiter",
  "encoding-type",
  "expires",
  "fetch-owner",
  "key-marker",
  "list-type",
  "marker",
  "max-keys",
  "max-parts",
  "max-uploads",
  "part-number-marker",
  "prefix",
  "signature",
  "start-after",
  "upload-id-marker",
  "version-id-marker",
  "x-id",
]);

function v2OfHeader(request: SignedRequest, text: string, times: Times): CredentialsV2 {
  const colon = text.lastIndexOf(":");
  if (colon < 1 || colon === text.length - 1) {
    throw refuse("InvalidArgument", {
      message: "AWS authorization header is invalid. Expected AwsAccessKeyId:signature",
    });
  }
  const amzDate = request.headers.get("x-amz-date");
  const date = request.headers.get("date");
  const sent = amzDate ?? date;
  const dateMs = sent === undefined ? undefined : parsedDate(sent);
  if (dateMs === undefined) {
    throw refuse("AccessDenied", { message: "AWS authentication requires a valid Date or x-amz-date header" });
  }
  refuseSkewed(dateMs, times);
  return {
    version: 2,
    via: "header",
    accessKeyId: text.slice(0, colon),
    dateLine: amzDate === undefined ? (date ?? "") : "",
    signature: text.slice(colon + 1),
  };
}

function v2OfQuery(query: Query, times: Times): CredentialsV2 {
  const accessKeyId = query.get("awsaccesskeyid") ?? "";
  const signature = query.get("signature") ?? "";
  const expires = query.get("expires") ?? "";
  if (accessKeyId === "" || signature === "" || expires === "") {
    throw refuse("AccessDenied", {
      message: "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
    });
  }
  if (!/^\d{1,12}$/.test(expires)) {
    throw refuse("AccessDenied", { message: "Invalid date (should be seconds since epoch): Expires" });
  }
  // When it was made is not told, only how long it holds: one that the machine's clock takes for valid is of now.
  if (times.presentFor(Number(expires) * 1000, "undated link") > Number(expires) * 1000) {
    throw refuse("RequestHasExpired", {
      extras: [
        ["Expires", formatIsoSeconds(Number(expires) * 1000)],
        ["ServerTime", formatIsoSeconds(times.nowMs)],
      ],
    });
  }
  return { version: 2, via: "query", accessKeyId, dateLine: expires, signature };
}

function verifyV2(
  request: SignedRequest,
  credentials: CredentialsV2,
  secretKey: string,
  { hostBucket }: S3SignatureOptions,
): void {
  const { headers, target, method } = request;
  for (const name of target.query.names()) {
    if (V2_SIGNED.has(name) || V2_HARMLESS.has(name) || name === TOKEN) continue;
    throw refuse("AccessDenied", {
      message: `Signature version 2 does not sign the parameter ${name.slice(0, 64)}; use version 4.`,
    });
  }
  for (const [name] of headers.entries()) {
    if (name.startsWith("x-cos-")) {
      throw refuse("AccessDenied", {
        message: "There were headers present in the request which were not signed",
        extras: [["HeadersNotSigned", name]],
      });
    }
  }
  // Clients sign it as the header it would have been.
  const token = headers.get(TOKEN) === undefined ? target.query.get(TOKEN) : undefined;
  const amz = [...headers.entries(), ...(token === undefined ? [] : [[TOKEN, token] as const])]
    .filter(([name]) => name.startsWith("x-amz-"))
    .map(([name, value]) => `${name}:${canonicalValue(value)}\n`)
    .toSorted()
    .join("");
  const signed = target.query.entries
    .filter(([name]) => V2_SIGNED.has(name.toLowerCase()))
    .map(([name, value]) => (value === "" ? name : `${name}=${value}`))
    .toSorted()
    .join("&");
  const root = hostBucket === undefined ? "" : `/${hostBucket}`;
  let first: string | undefined;
  // Botocore signs a bucket in the path with a slash that it does not send.
  const ofBucket = /^\/[^/]+$/.test(target.rawPath) ? [`${target.rawPath}/`] : [];
  for (const path of new Set([target.rawPath, encodedPath(target.path), ...ofBucket])) {
    const resource = `${root}${path}${signed === "" ? "" : `?${signed}`}`;
    const toSign = `${method}\n${headers.get("content-md5") ?? ""}\n${headers.get("content-type") ?? ""}\n${credentials.dateLine}\n${amz}${resource}`;
    for (const encoding of ["latin1", "utf8"] as const) {
      const computed = createHmac("sha1", secretKey).update(toSign, encoding).digest();
      if (sameBytes(computed, credentials.signature)) return;
    }
    first ??= toSign;
  }
  const { accessKeyId, signature } = credentials;
  const toSign = first ?? "";
  throw mismatch(credentials, toSign, undefined, () => evidenceV2({ toSign, accessKeyId, signature }, secretKey));
}

/** Equal or not, for a signature of version 2 in Base64, in a time that tells nothing about where the two differ. */
export function sameBytes(computed: Buffer, given: string): boolean {
  if (!/^[A-Za-z0-9+/]{27}=$/.test(given)) return false;
  return timingSafeEqual(computed, Buffer.from(given, "base64"));
}
