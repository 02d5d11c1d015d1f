/**
 * Checks COS v5 signatures, in the header and in the query. (request signature page)
 *
 * What is signed is compared exactly. What official clients are known to write differently is tried as a small set of
 * candidates, each of them a reading of this very request:
 * - `host` with and without its port, and as the absolute-form target names it;
 * - path style without the bucket (`signedPaths` in address.ts);
 * - header bytes beyond ASCII as UTF-8 (Go, Python) or as Latin-1 (Node);
 * - names with reserved characters in the Node SDK's order.
 * Parameters and headers that a signature does not list are accepted, as the service does; `strictSigning` refuses them
 * and the leniencies of the path.
 */

import type { SignedFor } from "../../access/signing-time.ts";
import { isUtf8 } from "node:buffer";
import { timingSafeEqual } from "node:crypto";
import type { SignedVia } from "../../access/caller.ts";
import { type CosError, refuse } from "../../errors/cos-error.ts";
import type { Evidence } from "../../errors/evidence.ts";
import { formatIsoSeconds } from "../../http/dates.ts";
import type { WireRequest } from "../../http/request.ts";
import type { Query } from "../../http/target.ts";
import { type CosAddress, signedPaths } from "../../addressing/address.ts";
import {
  joinedPairs,
  joinedRequest,
  joinedToSign,
  type PairOrder,
  type SignedPair,
  signatureOf,
  signingEncoded,
  signingName,
  signKeyOf,
} from "./canonical.ts";
import { checkDownload, type DownloadCredentials, isSignedWith, readDownloadSignature } from "./download-signature.ts";
import { signatureEvidence } from "./signature-mistakes.ts";

/** What of a request a signature can speak of. */
export interface SignedRequestView {
  readonly method: string;
  /** Paths that may have been signed, the likeliest first. */
  readonly paths: readonly string[];
  /** The path as it was sent, and the bucket that was addressed; for the evidence of a refusal. */
  readonly rawPath?: string;
  readonly bucket?: string | undefined;
  /** Whether an object is addressed. */
  readonly object?: boolean;
  /** Hosts that may have been signed, the likeliest first. */
  readonly hosts: readonly string[];
  readonly query: Query;
  readonly headers: Pick<WireRequest["headers"], "get" | "raw" | "entries">;
}

export interface SignatureOptions {
  /** How far the start of a signature may lie in the future, ms. Default 15 minutes. */
  readonly skewMs?: number;
  /**
   * The present, in the time of whoever signed at `startMs`. By default it is our own for everybody.
   */
  readonly presentFor?: (startMs: number, signedFor: SignedFor) => number;
  /** Refuses what the protocol leaves unsigned: host, `x-cos-*` headers and parameters. Default false. */
  readonly strictSigning?: boolean;
}

/** Credentials as the client wrote them, well-formed and within their time, but not yet compared. */
export interface CosCredentials {
  readonly via: "header" | "query";
  readonly accessKeyId: string;
  readonly signTime: string;
  readonly keyTime: string;
  /** Encoded names in lower case, each once. */
  readonly headerList: readonly string[];
  readonly parameterList: readonly string[];
  readonly signature: string;
  /** The token of a temporary pair, as it came along; undefined where none did. */
  readonly token: string | undefined;
}

/** Who signed, and the two strings on which both sides agree. */
export type CosEvidence<Credential> =
  | { readonly kind: "anonymous" }
  | {
      readonly kind: "signed";
      readonly accessKeyId: string;
      readonly credential: Credential;
      readonly via: SignedVia;
      /** Whether a part was signed, by its name in lower case. What carries the signature counts as signed. */
      readonly isSigned: (part: "header" | "parameter", name: string) => boolean;
      readonly formatString: string;
      readonly stringToSign: string;
    };

/** Characters of a credential string. The lists of the longest real one take under 1 KiB. */
const CREDENTIALS_CHARS_MAX = 8 * 1024;
/** Names in one of the two lists. */
const LIST_ENTRIES_MAX = 200;
const SKEW_MS = 15 * 60 * 1000;

const FIELDS = [
  "q-sign-algorithm",
  "q-ak",
  "q-sign-time",
  "q-key-time",
  "q-header-list",
  "q-url-param-list",
  "q-signature",
] as const;
type Field = (typeof FIELDS)[number];

const TOKEN = "x-cos-security-token";
/** Parameters that carry credentials and so cannot sign themselves. */
const CREDENTIAL_PARAMETERS: ReadonlySet<string> = new Set([...FIELDS, "sign", TOKEN]);
/** The token proves itself, and belongs to one key alone. Clients add it to what they have signed, as Node's does. */
const CREDENTIAL_HEADERS: ReadonlySet<string> = new Set(["authorization", TOKEN]);

/** The view of a request whose address is known. */
export function signedRequestView(
  request: Pick<WireRequest, "method" | "target" | "headers">,
  address: CosAddress,
): SignedRequestView {
  return {
    method: request.method,
    paths: signedPaths(request.target, address),
    rawPath: request.target.rawPath,
    bucket: address.kind === "bucket" || address.kind === "object" ? address.bucket : undefined,
    object: address.kind === "object",
    hosts: request.target.authority.spellings,
    query: request.target.query,
    headers: request.headers,
  };
}

/** Finds the credential of a SecretId with the token that came along; undefined for an unknown or disabled one. */
export type FindsKeys<Found> = (accessKeyId: string, token: string | undefined) => Found;

/**
 * Decides who asks. A promise only where `keys` gives one. A token without a signature says nothing.
 *
 * Throws CosError, in this order: `InvalidRequest` (credentials in more than one place, two tokens),
 * `VerifyAlgorithmNotSupported`, `AccessDenied` (malformed), `RequestHasExpired`, `RequestTimeTooSkewed`, `AccessDenied`
 * (periods that do not fit each other), what `keys` throws (`ExpiredToken`), `InvalidAccessKeyId`,
 * `SignatureDoesNotMatch`, and with `strictSigning` `AccessDenied` (something is not signed).
 */
export function authenticateCos<Credential extends { readonly secretKey: string }>(
  request: SignedRequestView,
  keys: FindsKeys<Credential | undefined>,
  nowMs: number,
  options?: SignatureOptions,
): CosEvidence<Credential>;
export function authenticateCos<Credential extends { readonly secretKey: string }>(
  request: SignedRequestView,
  keys: FindsKeys<Credential | undefined | Promise<Credential | undefined>>,
  nowMs: number,
  options?: SignatureOptions,
): CosEvidence<Credential> | Promise<CosEvidence<Credential>>;
export function authenticateCos<Credential extends { readonly secretKey: string }>(
  request: SignedRequestView,
  keys: FindsKeys<Credential | undefined | Promise<Credential | undefined>>,
  nowMs: number,
  options: SignatureOptions = {},
): CosEvidence<Credential> | Promise<CosEvidence<Credential>> {
  const merged = request.query.entries.length === 0 ? undefined : request.query.get("sign");
  const download = merged === undefined ? undefined : readDownloadSignature(merged);
  if (download !== undefined) return authenticateDownload(request, download, keys, nowMs, options);
  const credentials = readCredentials(request, nowMs, options);
  if (credentials === undefined) return { kind: "anonymous" };
  const { accessKeyId, via, token } = credentials;
  const verified = (credential: Credential | undefined): CosEvidence<Credential> => {
    if (credential === undefined) throw refuse("InvalidAccessKeyId");
    const strings = verifySignature(request, credentials, credential.secretKey, options);
    return { kind: "signed", accessKeyId, credential, via, isSigned: isSignedBy(credentials), ...strings };
  };
  const found = keys(accessKeyId, token);
  return found instanceof Promise ? found.then(verified) : verified(found);
}

/** The same for the older signature of a download. */
function authenticateDownload<Credential extends { readonly secretKey: string }>(
  request: SignedRequestView,
  download: DownloadCredentials,
  keys: FindsKeys<Credential | undefined | Promise<Credential | undefined>>,
  nowMs: number,
  options: SignatureOptions,
): CosEvidence<Credential> | Promise<CosEvidence<Credential>> {
  refuseSecondPlace(request);
  checkDownload(download, request, nowMs, { ...options, skewMs: options.skewMs ?? SKEW_MS });
  const { accessKeyId, text } = download;
  const verified = (credential: Credential | undefined): CosEvidence<Credential> => {
    if (credential === undefined) throw refuse("InvalidAccessKeyId");
    const stringToSign = text.toString("utf8");
    if (!isSignedWith(download, credential.secretKey)) {
      throw refuse("SignatureDoesNotMatch", { extras: [["StringToSign", stringToSign]] });
    }
    const isSigned = (part: "header" | "parameter", name: string): boolean =>
      part === "parameter" && CREDENTIAL_PARAMETERS.has(name);
    return { kind: "signed", accessKeyId, credential, via: "query", isSigned, formatString: "", stringToSign };
  };
  const found = keys(accessKeyId, readToken(request));
  return found instanceof Promise ? found.then(verified) : verified(found);
}

function isSignedBy({ headerList, parameterList }: CosCredentials) {
  return (part: "header" | "parameter", name: string): boolean =>
    part === "header"
      ? CREDENTIAL_HEADERS.has(name) || headerList.includes(signingName(name))
      : CREDENTIAL_PARAMETERS.has(name) || parameterList.includes(signingName(name));
}

/** Whether a request carries credentials of any kind in its header or its query. */
export function carriesCredentials({ headers, query }: SignedRequestView): boolean {
  if (headers.get("authorization") !== undefined) return true;
  return query.has("sign") || FIELDS.some((field) => query.has(field)) || hasS3Parameters(query);
}

/** The part of `authenticateCos` that needs no key; undefined when the request carries no credentials. */
export function readCredentials(
  request: SignedRequestView,
  nowMs: number,
  options: SignatureOptions = {},
): CosCredentials | undefined {
  const { query } = request;
  const { apart, header, merged, places } = refuseSecondPlace(request);
  if (places === 0) return undefined;
  const token = readToken(request);

  const fields = apart ? fieldsOfQuery(query) : fieldsOfText(header ?? merged ?? "", nowMs);
  const algorithm = fields.get("q-sign-algorithm");
  if (algorithm !== undefined && algorithm !== "" && algorithm !== "sha1") {
    throw refuse("VerifyAlgorithmNotSupported");
  }
  const value = (name: Field, mayBeEmpty = false): string => {
    const text = fields.get(name);
    if (text === undefined || (text === "" && !mayBeEmpty)) throw malformed(`The signature lacks ${name}.`, nowMs);
    return text;
  };
  value("q-sign-algorithm");
  const accessKeyId = value("q-ak");
  const signTime = value("q-sign-time");
  const keyTime = value("q-key-time");
  const headerList = readList(value("q-header-list", true), "q-header-list", nowMs);
  const parameterList = readList(value("q-url-param-list", true), "q-url-param-list", nowMs);
  const signature = value("q-signature");
  const signedFor = header === undefined ? "link" : "request";
  checkTimes(signTime, keyTime, nowMs, options, signedFor);
  return {
    via: header === undefined ? "query" : "header",
    accessKeyId,
    signTime,
    keyTime,
    headerList,
    parameterList,
    signature,
    token,
  };
}

/** Where the credentials are; raises InvalidRequest for more than one place. */
function refuseSecondPlace({ headers, query }: SignedRequestView) {
  // An empty field counts as absent: the Python SDK sends one when it has no keys.
  const header = headers.get("authorization");
  const merged = query.get("sign");
  const queried = query.entries.length > 0;
  const apart = queried && FIELDS.some((field) => query.has(field));
  const s3 = queried && hasS3Parameters(query);
  const places = Number(header !== undefined) + Number(merged !== undefined) + Number(apart) + Number(s3);
  if (places > 1 || query.repeated("sign") || (apart && FIELDS.some((field) => query.repeated(field)))) {
    throw refuse("InvalidRequest", {
      message:
        "The request carries credentials in more than one place; send the Authorization header or a signed query, once.",
    });
  }
  return { apart, header, merged, places };
}

/** The token may be in the header or in the query, wherever the signature is; SDKs put it beside that. */
function readToken({ headers, query }: SignedRequestView): string | undefined {
  const header = headers.get(TOKEN);
  const parameter = query.entries.length === 0 ? undefined : query.get(TOKEN);
  if (parameter === undefined || parameter === "") return header;
  if (query.repeated(TOKEN) || (header !== undefined && header !== parameter)) {
    throw refuse("InvalidRequest", { message: `The request carries more than one ${TOKEN}.` });
  }
  return parameter;
}

/** The part of `authenticateCos` that needs the key. Compares in constant time; gives the strings that agreed. */
export function verifySignature(
  request: SignedRequestView,
  credentials: CosCredentials,
  secretKey: string,
  options: SignatureOptions = {},
): { readonly formatString: string; readonly stringToSign: string } {
  const strict = options.strictSigning ?? false;
  const signKey = signKeyOf(secretKey, credentials.keyTime);
  const parameters = sentParameters(request, credentials.parameterList);
  const headers = sentHeaders(request, credentials.headerList);
  // The name may have been signed with an empty value, so what is absent would verify as what is empty: a URL signed
  // for `?acl` would also serve without it. Nothing that is listed may be missing.
  const complete = [...parameters, ...headers].every(([, found]) => found !== undefined);

  let first: { formatString: string; stringToSign: string } | undefined;
  for (const candidate of candidates(request, parameters, headers, strict)) {
    const formatString = joinedRequest(request.method, candidate.path, candidate.parameters, candidate.headers);
    const stringToSign = joinedToSign(credentials.signTime, formatString);
    if (sameSignature(signatureOf(signKey, stringToSign), credentials.signature) && complete) {
      if (strict) refuseUnsigned(request, credentials);
      return { formatString, stringToSign };
    }
    first ??= { formatString, stringToSign };
  }
  throw refuse("SignatureDoesNotMatch", {
    evidence: () =>
      signatureEvidence(
        {
          method: request.method,
          path: request.paths[0] ?? "",
          rawPath: request.rawPath ?? request.paths[0] ?? "",
          bucket: request.bucket,
          parameters: parameters.map(([listed, sent]) => [listed, sent?.values[0]]),
          sentNames: parameters.map(([listed, sent]) => (sent === undefined ? listed : signingEncoded(sent.name))),
          headers: headers.map(([listed, sent]) => [
            listed,
            sent?.values[0] === undefined ? undefined : headerText(sent.values[0], "utf-8"),
          ]),
          hosts: request.hosts,
          signTime: credentials.signTime,
          keyTime: credentials.keyTime,
          accessKeyId: credentials.accessKeyId,
          signature: credentials.signature,
        },
        secretKey,
      ),
    extras: [
      ["StringToSign", first?.stringToSign ?? ""],
      ["FormatString", first?.formatString ?? ""],
    ],
  });
}

/** S3's own parameters, of either version. `Signature` alone is too common a word to mean anything. */
function hasS3Parameters(query: Query): boolean {
  return query.has("x-amz-algorithm") || query.has("x-amz-signature") || query.has("awsaccesskeyid");
}

function fieldsOfQuery(query: Query): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const name of FIELDS) {
    const value = query.get(name);
    if (value !== undefined) fields.set(name, value);
  }
  return fields;
}

/** Reads `q-…=…&q-…=…` in any order: cosfs puts the parameter list before the header list. */
function fieldsOfText(text: string, nowMs: number): ReadonlyMap<string, string> {
  if (text.length > CREDENTIALS_CHARS_MAX) {
    throw malformed(`The signature is longer than ${CREDENTIALS_CHARS_MAX} characters.`, nowMs);
  }
  const fields = new Map<string, string>();
  for (const piece of text.trim().split("&")) {
    const equals = piece.indexOf("=");
    const name = equals === -1 ? piece : piece.slice(0, equals);
    if (fields.has(name)) throw malformed(`The signature has ${JSON.stringify(name)} twice.`, nowMs);
    fields.set(name, equals === -1 ? "" : piece.slice(equals + 1));
  }
  if (!FIELDS.some((field) => fields.has(field))) {
    throw malformed("The Authorization is no COS signature: it has no q-sign-algorithm.", nowMs);
  }
  return fields;
}

/**
 * The names of a list, encoded and in lower case, each once: Go repeats a name for each of its values. In a query the
 * escapes of a name may already be gone, since the Node SDK does not encode the list a second time.
 */
function readList(text: string, field: Field, nowMs: number): readonly string[] {
  if (text === "") return [];
  const entries = text.split(";");
  if (entries.length > LIST_ENTRIES_MAX) throw malformed(`${field} has more than ${LIST_ENTRIES_MAX} names.`, nowMs);
  const names = new Set<string>();
  for (const entry of entries) {
    if (entry === "") throw malformed(`${field} has an empty name.`, nowMs);
    names.add(/^[A-Za-z0-9._~%-]+$/.test(entry) ? entry.toLowerCase() : signingName(entry));
  }
  return [...names];
}

/** Twelve digits reach the year 33658; thirteen are milliseconds, a mistake that is better told than verified. */
const PERIOD = /^(\d{1,12});(\d{1,12})$/;

/**
 * Throws CosError AccessDenied for a period that is none, RequestHasExpired, RequestTimeTooSkewed, and AccessDenied for
 * a signature that reaches beyond its key.
 */
export function checkTimes(
  signTime: string,
  keyTime: string,
  nowMs: number,
  { skewMs = SKEW_MS, presentFor }: SignatureOptions,
  signedFor: SignedFor,
): void {
  const [signStart, signEnd] = readPeriod(signTime, "q-sign-time", nowMs);
  const [keyStart, keyEnd] = readPeriod(keyTime, "q-key-time", nowMs);
  const presentMs = presentFor?.(signStart * 1000, signedFor) ?? nowMs;
  const now = Math.floor(presentMs / 1000);
  const evidence = (): Evidence => ({
    kind: "time",
    now: presentMs,
    start: Math.max(signStart, keyStart) * 1000,
    end: Math.min(signEnd, keyEnd) * 1000,
    skewMs,
  });
  if (now > signEnd || now > keyEnd) throw refuse("RequestHasExpired", { extras: serverTime(nowMs), evidence });
  if (Math.max(signStart, keyStart) * 1000 > presentMs + skewMs) {
    throw refuse("RequestTimeTooSkewed", { extras: serverTime(nowMs), evidence });
  }
  if (signStart < keyStart || signEnd > keyEnd) {
    throw malformed("q-sign-time reaches beyond q-key-time, the time for which its key is made.", nowMs);
  }
}

function readPeriod(text: string, field: Field, nowMs: number): readonly [start: number, end: number] {
  const [, start, end] = PERIOD.exec(text) ?? [];
  if (start === undefined || end === undefined) {
    throw malformed(`${field} is not <start>;<end> in seconds since 1970.`, nowMs);
  }
  if (Number(start) > Number(end)) throw malformed(`${field} ends before it starts.`, nowMs);
  return [Number(start), Number(end)];
}

/** The live service puts its time into refusals of this stage. (documented transcript) */
function serverTime(nowMs: number): readonly (readonly [string, string])[] {
  return [["ServerTime", formatIsoSeconds(nowMs)]];
}

/** The refusal of credentials that cannot be read. */
export function malformed(message: string, nowMs: number): CosError {
  return refuse("AccessDenied", { message, extras: serverTime(nowMs) });
}

/** A name as it was sent, with every value in the order sent. */
interface Sent {
  readonly name: string;
  readonly values: string[];
}

type Named = readonly [listed: string, sent: Sent | undefined];

function sentParameters({ query }: SignedRequestView, list: readonly string[]): readonly Named[] {
  if (list.length === 0) return [];
  const sent = byListedName(query.entries);
  return list.map((listed) => [listed, sent.get(listed)]);
}

/** A name without an escape is the header's own, so that most requests are read without an index of all they hold. */
function sentHeaders({ headers, hosts }: SignedRequestView, list: readonly string[]): readonly Named[] {
  const sent = [...headers.entries()];
  let escaped: ReadonlyMap<string, Sent> | undefined;
  return list.map((listed): Named => {
    if (listed.includes("%")) {
      escaped ??= byListedName(sent);
      return [listed, escaped.get(listed)];
    }
    const values: string[] = [];
    for (const [name, value] of sent) if (name === listed) values.push(value);
    // HTTP/1.0 with an absolute target names its host there alone.
    if (values.length === 0 && listed === "host" && hosts.length > 0) values.push(hosts[0] as string);
    return [listed, values.length === 0 ? undefined : { name: listed, values }];
  });
}

/** By the form a name has in a list. */
function byListedName(entries: Iterable<readonly [name: string, value: string]>): Map<string, Sent> {
  const fields = new Map<string, Sent>();
  for (const [name, value] of entries) {
    const listed = signingName(name);
    const known = fields.get(listed);
    if (known === undefined) fields.set(listed, { name, values: [value] });
    else known.values.push(value);
  }
  return fields;
}

interface Candidate {
  readonly path: string;
  readonly parameters: string;
  readonly headers: string;
}

/** How the bytes of a header beyond ASCII are taken. */
type Reading = "utf-8" | "latin-1";

/** Readings of the request, the likeliest first. Without exotic names or bytes there is one for each path and host. */
function* candidates(
  request: SignedRequestView,
  parameters: readonly Named[],
  headers: readonly Named[],
  strict: boolean,
): Generator<Candidate> {
  const paths = strict ? request.paths.slice(0, 1) : request.paths;
  const hosts = headers.some(([listed]) => listed === "host") ? request.hosts : request.hosts.slice(0, 1);
  const beyondAscii = headers.some(([, sent]) => sent?.values.some((value) => !/^[\0-\x7f]*$/.test(value)));
  const readings: readonly Reading[] = beyondAscii ? ["utf-8", "latin-1"] : ["utf-8"];
  const reserved = [...parameters, ...headers].some(([listed]) => listed.includes("%"));
  const orders: readonly PairOrder[] = reserved ? ["encoded", "plain"] : ["encoded"];
  const parameterPairs = parameters.map(
    ([listed, sent]): SignedPair => [sent?.name ?? plainName(listed), sent?.values ?? []],
  );

  for (const order of orders) {
    const joined = joinedPairs(parameterPairs, order);
    for (const reading of readings) {
      for (const host of hosts.length === 0 ? [""] : hosts) {
        const headerPairs = headers.map(([listed, sent]): SignedPair => {
          if (listed === "host") return [listed, [host]];
          return [sent?.name ?? plainName(listed), (sent?.values ?? []).map((value) => headerText(value, reading))];
        });
        const joinedHeaders = joinedPairs(headerPairs, order);
        for (const path of paths) yield { path, parameters: joined, headers: joinedHeaders };
      }
    }
  }
}

/** For the report on a name that was listed and not sent; a list may hold any text. */
function plainName(listed: string): string {
  try {
    return decodeURIComponent(listed);
  } catch {
    return listed;
  }
}

/** A header's text. HTTP hands bytes on as Latin-1; most clients mean UTF-8. Outer blanks are dropped, as Java does. */
function headerText(value: string, reading: Reading): string {
  // Not trim(): that takes U+00A0 as well, which is half of an "à" here.
  const text = value.replace(/^[ \t]+/, "").replace(/[ \t]+$/, "");
  if (reading === "latin-1" || !/[\x80-\xff]/.test(text) || /[^\0-\xff]/.test(text)) return text;
  const bytes = Buffer.from(text, "latin1");
  return isUtf8(bytes) ? bytes.toString("utf8") : text;
}

/**
 * Equal or not, in a time that tells nothing about where the two differ. Both are brought to 20 bytes first, on which
 * `timingSafeEqual` insists; that a text is no signature at all is no secret. Both sides
 * have one fixed length, so hashing them first, as secrets of varying length need, would only cost time.
 */
export function sameSignature(computed: string, given: string): boolean {
  return /^[0-9a-f]{40}$/.test(given) && timingSafeEqual(Buffer.from(computed, "hex"), Buffer.from(given, "hex"));
}

function refuseUnsigned({ headers, query, hosts }: SignedRequestView, credentials: CosCredentials): void {
  const headerList = new Set(credentials.headerList);
  const parameterList = new Set(credentials.parameterList);
  const sent = new Set(byListedName(headers.entries()).keys());
  if (hosts.length > 0) sent.add("host");
  for (const name of sent) {
    const asked = name === "host" || (name.startsWith("x-cos-") && !CREDENTIAL_HEADERS.has(name));
    if (asked && !headerList.has(name)) {
      throw refuse("AccessDenied", { message: `Strict signature missing header that must be signed: ${name}` });
    }
  }
  for (const name of byListedName(query.entries).keys()) {
    if (!CREDENTIAL_PARAMETERS.has(name) && !parameterList.has(name)) {
      throw refuse("AccessDenied", { message: `Strict signature missing param that must be signed: ${name}` });
    }
  }
}
