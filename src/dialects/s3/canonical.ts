/** The texts and keys of AWS Signature Version 4, as its pages spell them out. */

import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { LRUCache } from "lru-cache";

/** SHA-256 of nothing, in hex. */
export const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/** The scope of a signature: a day, a region, the service. */
export interface Scope {
  /** `20130524`. */
  readonly date: string;
  readonly region: string;
}

/** `20130524/us-east-1/s3/aws4_request`. */
export function scopeText({ date, region }: Scope): string {
  return `${date}/${region}/s3/aws4_request`;
}

/** Keys of one day and region, by what they are made of. A key costs four HMACs and serves a whole day. */
const SIGNING_KEYS_MAX = 1000;
const signingKeys = new LRUCache<string, Buffer>({ max: SIGNING_KEYS_MAX });

/** The key that signs within a scope, 32 bytes. */
export function signingKeyOf(secretKey: string, scope: Scope): Buffer {
  const name = `${scope.date}\n${scope.region}\n${secretKey}`;
  let key = signingKeys.get(name);
  if (key === undefined) {
    key = signingKeyFrom(`AWS4${secretKey}`, scope);
    signingKeys.set(name, key);
  }
  return key;
}

/** The key that comes of any text in the place of `AWS4` and the SecretKey; it is not remembered. */
export function signingKeyFrom(text: string, { date, region }: Scope): Buffer {
  return hmac(hmac(hmac(hmac(text, date), region), "s3"), "aws4_request");
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text, "utf8").digest();
}

/** The signature of a text, in hex. */
export function signatureV4(key: Buffer, text: string): string {
  return createHmac("sha256", key).update(text, "utf8").digest("hex");
}

/** SHA-256 in hex; a text is taken as UTF-8 unless it stands for bytes. */
export function sha256Hex(data: string | Buffer, encoding: "utf8" | "latin1" = "utf8"): string {
  return typeof data === "string"
    ? createHash("sha256").update(data, encoding).digest("hex")
    : createHash("sha256").update(data).digest("hex");
}

/** The string that a request's signature is made of. */
export function stringToSign(dateTime: string, scope: Scope, canonicalRequest: string, encoding: "utf8" | "latin1") {
  return `AWS4-HMAC-SHA256\n${dateTime}\n${scopeText(scope)}\n${sha256Hex(canonicalRequest, encoding)}`;
}

const PLAIN = /^[A-Za-z0-9\-._~]*$/;

/** Percent-encodes everything but letters, digits and `-._~`; in upper-case hex, of UTF-8. */
export function uriEncoded(text: string): string {
  if (PLAIN.test(text)) return text;
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** The same for a path, whose slashes stay. S3 encodes once and normalises nothing. */
export function encodedPath(path: string): string {
  return path.split("/").map(uriEncoded).join("/");
}

/** The canonical query of decoded parameters: encoded, sorted by name and value. */
export function canonicalQuery(entries: Iterable<readonly [name: string, value: string]>): string {
  const pairs: [string, string][] = [];
  for (const [name, value] of entries) pairs.push([uriEncoded(name), uriEncoded(value)]);
  pairs.sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0));
  return pairs.map(([name, value]) => `${name}=${value}`).join("&");
}

const HEX_64 = /^[0-9a-f]{64}$/;

/**
 * Whether a client's signature is the computed one, both in hex; in a time that does not tell where they differ. Both
 * are brought to 32 bytes first; that a text is no signature at all is no secret.
 */
export function sameSignatureV4(computed: string, given: string): boolean {
  return HEX_64.test(given) && timingSafeEqual(Buffer.from(computed, "hex"), Buffer.from(given, "hex"));
}
