/** The arithmetic of COS v5 signatures: what is joined, in which order, and how it is hashed. (request signature page) */

import { createHmac, hash } from "node:crypto";
import { LRUCache } from "lru-cache";

/** A parameter or header with its values; most have one. */
export type SignedPair = readonly [name: string, values: readonly string[]];

/**
 * `encoded` sorts by the encoded name in lower case, as the page has it. `plain` sorts by the name before encoding, as
 * the Node SDK does; the two differ only for names with characters such as `[`.
 */
export type PairOrder = "encoded" | "plain";

/** Percent-encodes UTF-8, all but the unreserved characters of RFC 3986. Throws URIError for a lone surrogate. */
export function signingEncoded(text: string): string {
  if (/^[A-Za-z0-9._~-]*$/.test(text)) return text;
  return encodeURIComponent(text).replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** A name as it stands in the lists of a signature: encoded, then in lower case, the escapes included. */
export function signingName(name: string): string {
  return signingEncoded(name).toLowerCase();
}

/**
 * `name=value` of every value, joined by `&`. A name with several values gives one pair for each, the values sorted, as
 * the Go SDK writes them; a name without a value counts as empty.
 */
export function joinedPairs(pairs: readonly SignedPair[], order: PairOrder): string {
  const key = order === "encoded" ? signingName : (name: string) => name.toLowerCase();
  const sorted = pairs.map(([name, values]) => ({ key: key(name), name: signingName(name), values }));
  sorted.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  let joined = "";
  for (const { name, values } of sorted) {
    const encoded = values.length === 0 ? [""] : values.map(signingEncoded);
    if (encoded.length > 1) encoded.sort();
    for (const value of encoded) joined += `${joined === "" ? "" : "&"}${name}=${value}`;
  }
  return joined;
}

/** The page's HttpString, the error body's FormatString. `path` is percent-decoded; the rest is joined already. */
export function joinedRequest(method: string, path: string, parameters: string, headers: string): string {
  return `${method.toLowerCase()}\n${path}\n${parameters}\n${headers}\n`;
}

/** The page's StringToSign. `signTime` is `q-sign-time` as sent. */
export function joinedToSign(signTime: string, formatString: string): string {
  return `sha1\n${signTime}\n${hash("sha1", formatString)}\n`;
}

/** Keys of one signature period. SDKs make a new period each second at most, so a busy client stays within the bound. */
const SIGN_KEYS_MAX = 4096;
const signKeys = new LRUCache<string, string>({ max: SIGN_KEYS_MAX });

/** The two blocks of HMAC-SHA1 (RFC 2104) under a key of at most a block. */
interface KeyBlocks {
  /** Text, because every byte of a key in hex stays below 128 when it is combined with the pad. */
  readonly inner: string;
  /** Followed by room for the inner digest. */
  readonly outer: Buffer;
}

const SHA1_BLOCK_BYTES = 64;
const SHA1_BYTES = 20;
const keyBlocks = new LRUCache<string, KeyBlocks>({ max: SIGN_KEYS_MAX });

function keyBlocksOf(signKey: string): KeyBlocks {
  let blocks = keyBlocks.get(signKey);
  if (blocks === undefined) {
    const key = Buffer.alloc(SHA1_BLOCK_BYTES);
    key.write(signKey, "latin1");
    const outer = Buffer.alloc(SHA1_BLOCK_BYTES + SHA1_BYTES);
    for (const [at, byte] of key.entries()) outer[at] = byte ^ 0x5c;
    blocks = { inner: Buffer.from(key.map((byte) => byte ^ 0x36)).toString("latin1"), outer };
    keyBlocks.set(signKey, blocks);
  }
  return blocks;
}

/**
 * HMAC-SHA1 in 40 lower-case hex digits; `signKey` is a key as `signKeyOf` gives it. Two plain digests over a key that is
 * prepared once take half as long as node:crypto's Hmac, which is the dearest part of checking a request.
 */
export function signatureOf(signKey: string, stringToSign: string): string {
  const { inner, outer } = keyBlocksOf(signKey);
  outer.write(hash("sha1", inner + stringToSign), SHA1_BLOCK_BYTES, "hex");
  return hash("sha1", outer);
}

/** The page's SignKey, 40 lower-case hex digits, used as text. `keyTime` is `q-key-time` as sent. */
export function signKeyOf(secretKey: string, keyTime: string): string {
  const period = `${keyTime}\n${secretKey}`;
  let key = signKeys.get(period);
  if (key === undefined) {
    key = createHmac("sha1", secretKey).update(keyTime).digest("hex");
    signKeys.set(period, key);
  }
  return key;
}
