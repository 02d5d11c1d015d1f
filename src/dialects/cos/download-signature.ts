/**
 * The signature of the older JSON API, as it stands in `?sign=` of a download: Base64 of an HMAC-SHA1 and of the text that it
 * is about. It says who lets somebody read one object, or any of a bucket, and until when; nothing else of the request is
 * signed. Official SDKs still make it (`getV4Auth`). What the JSON API itself takes, uploads and signatures that hold once,
 * is none of this. (signature page of the JSON API)
 */

import { createHmac, timingSafeEqual } from "node:crypto";
import { refuse } from "../../errors/cos-error.ts";
import type { SignedFor } from "../../access/signing-time.ts";
import type { Query } from "../../http/target.ts";

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const MAC_BYTES = 20;
const FIELDS = ["a", "b", "k", "e", "t", "r", "f"] as const;
type Field = (typeof FIELDS)[number];
const SECONDS = /^\d{1,12}$/;
/** Three months, the most that such a signature may hold. */
const SECONDS_MAX = 92 * 86_400;

/** What a download may have in its query. A sub-resource, such as `acl`, is not downloaded. */
const PARAMETERS = /^(sign|versionid|response-[a-z-]+|x-cos-security-token|x-cos-traffic-limit)$/;

/** A signature as it was read; who made it is not known yet. */
export interface DownloadCredentials {
  readonly accessKeyId: string;
  readonly fields: Readonly<Record<Field, string>>;
  /** The text that is signed, byte for byte. */
  readonly text: Buffer;
  readonly mac: Buffer;
}

/** What of a request such a signature speaks of. */
export interface DownloadView {
  readonly method: string;
  /** Paths that may have been signed. */
  readonly paths: readonly string[];
  readonly bucket?: string | undefined;
  /** Whether an object is addressed. */
  readonly object?: boolean;
  readonly query: Query;
}

export interface DownloadOptions {
  /** How far the start of a signature may lie in the future, ms. */
  readonly skewMs: number;
  /** The present, in the time of whoever signed at `startMs`; by default it is our own for everybody. */
  readonly presentFor?: (startMs: number, signedFor: SignedFor) => number;
  /** Refuses what the signature leaves unsigned: all but the object and the bucket. */
  readonly strictSigning?: boolean;
}

/** The signature in a text; undefined for any other text, which may be a signature of another form. */
export function readDownloadSignature(sign: string): DownloadCredentials | undefined {
  const bytes = BASE64.test(sign) ? Buffer.from(sign, "base64") : Buffer.alloc(0);
  if (bytes.length <= MAC_BYTES || bytes.toString("base64") !== sign) return undefined;
  const text = bytes.subarray(MAC_BYTES);
  const fields = new Map<string, string>();
  for (const piece of text.toString("utf8").split("&")) {
    const equals = piece.indexOf("=");
    if (equals < 1 || fields.has(piece.slice(0, equals))) return undefined;
    fields.set(piece.slice(0, equals), piece.slice(equals + 1));
  }
  if (fields.size !== FIELDS.length || !FIELDS.every((name) => fields.has(name))) return undefined;
  const known = Object.fromEntries(fields) as Readonly<Record<Field, string>>;
  return { accessKeyId: known.k, fields: known, text, mac: bytes.subarray(0, MAC_BYTES) };
}

/**
 * Holds a signature against the request, before anybody is asked for the key. Throws CosError AccessDenied for anything but
 * the download of the object, or of the bucket, that it names, RequestHasExpired and RequestTimeTooSkewed.
 */
export function checkDownload(
  { fields }: Pick<DownloadCredentials, "fields">,
  request: DownloadView,
  nowMs: number,
  { skewMs, presentFor, strictSigning }: DownloadOptions,
): void {
  if (strictSigning === true) throw denied("The signature leaves out the host, which has to be signed.");
  const reads = request.object === true && (request.method === "GET" || request.method === "HEAD");
  if (!reads || ![...request.query.names()].every((name) => PARAMETERS.test(name))) {
    throw denied("The signature is for downloads alone.");
  }
  const [start, end] = [fields.t, fields.e].map((text) => (SECONDS.test(text) ? Number(text) : Number.NaN)) as [
    number,
    number,
  ];
  // An end of 0 is that of a signature that holds once, which is none for downloads.
  if (!(start <= end && end - start <= SECONDS_MAX)) {
    throw denied("The times of the signature are no period of three months at most.");
  }
  const presentMs = presentFor?.(start * 1000, "link") ?? nowMs;
  if (Math.floor(presentMs / 1000) > end) throw refuse("RequestHasExpired");
  if (start * 1000 > presentMs + skewMs) throw refuse("RequestTimeTooSkewed");
  const [appid, name, file] = [fields.a, fields.b, fields.f];
  if (`${name}-${appid}` !== request.bucket) throw denied("The signature is for another bucket.");
  if (file !== "" && !request.paths.includes(pathOf(file, `/${appid}/${name}/`))) {
    throw denied("The signature is for another object.");
  }
}

/** Whether the signature was made with this key. Compares in constant time. */
export function isSignedWith({ text, mac }: DownloadCredentials, secretKey: string): boolean {
  return timingSafeEqual(createHmac("sha1", secretKey).update(text).digest(), mac);
}

/** The path that a file id names: with the APPID and the bucket before it, or alone. */
function pathOf(file: string, place: string): string {
  const path = file.startsWith(place) ? file.slice(place.length - 1) : file.startsWith("/") ? file : `/${file}`;
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function denied(message: string): Error {
  return refuse("AccessDenied", { message });
}
