/** The signature of the cloud's API, version 3: `TC3-HMAC-SHA256`. (signature page of API 3.0) Pure. */

import { createHash, createHmac } from "node:crypto";

export const TC3 = "TC3-HMAC-SHA256";

/** What is signed of a request, which always asks for `/`. */
export interface Tc3Request {
  readonly method: string;
  /** Encoded, without its question mark. */
  readonly query: string;
  /** Names in lower case, in the order in which the signature lists them. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

/** What a signature is good for. */
export interface Tc3Scope {
  /** Seconds since 1970, in digits. */
  readonly timestamp: string;
  /** The day of that in UTC, `2019-02-25`. */
  readonly date: string;
  readonly service: string;
}

const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();
const sha256 = (bytes: string | Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** The day of a time in seconds since 1970. */
export function tc3Date(timestamp: number): string {
  return new Date(timestamp * 1000).toISOString().slice(0, 10);
}

/** Names of signed headers as a signature lists them. */
export function tc3Names(headers: Tc3Request["headers"]): string {
  return headers.map(([name]) => name).join(";");
}

/** The 32 bytes that go into `Signature`. */
export function tc3Signature(secretKey: string, request: Tc3Request, scope: Tc3Scope): Buffer {
  const { method, query, headers, body } = request;
  const { timestamp, date, service } = scope;
  const lines = headers.map(([name, value]) => `${name}:${value.trim().toLowerCase()}\n`);
  const canonical = [method, "/", query, lines.join(""), tc3Names(headers), sha256(body)].join("\n");
  const toSign = [TC3, timestamp, `${date}/${service}/tc3_request`, sha256(canonical)].join("\n");
  return hmac(hmac(hmac(hmac(`TC3${secretKey}`, date), service), "tc3_request"), toSign);
}
