/** How clients of crash tests have objects encrypted. */

import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/** Undefined for not at all. */
export const ENCRYPTIONS = [undefined, "service", "kms", "customer"] as const;
export type Encryption = (typeof ENCRYPTIONS)[number];

const METHOD = "x-cos-server-side-encryption";
/** One for all that clients encrypt themselves: which key an object has is no question of crashes. */
const KEY = createHash("sha256").update("the key of a client").digest();

function customerHeaders(prefix: string): Record<string, string> {
  return {
    [`${prefix}-algorithm`]: "AES256",
    [`${prefix}-key`]: KEY.toString("base64"),
    [`${prefix}-key-MD5`]: createHash("md5").update(KEY).digest("base64"),
  };
}

/** Headers with which something is stored so. */
export function storingHeaders(encryption: Encryption): Record<string, string> {
  if (encryption === undefined) return {};
  if (encryption === "customer") return readingHeaders(encryption);
  return { [METHOD]: encryption === "kms" ? "cos/kms" : "AES256" };
}

/** Headers with which it is read, appended to, or given parts. */
export function readingHeaders(encryption: Encryption): Record<string, string> {
  return encryption === "customer" ? customerHeaders(`${METHOD}-customer`) : {};
}

/** Headers with which it is copied from. */
export function sourceHeaders(encryption: Encryption): Record<string, string> {
  return encryption === "customer" ? customerHeaders("x-cos-copy-source-server-side-encryption-customer") : {};
}

/** What an answer says of it. */
export function encryptionIn(headers: IncomingHttpHeaders): Encryption {
  if (headers[`${METHOD}-customer-algorithm`] !== undefined) return "customer";
  const method = headers[METHOD];
  return method === undefined ? undefined : method === "cos/kms" ? "kms" : "service";
}

/** Whether the ETag of what is stored in one piece is its MD5. */
export function hasPlainEtag(encryption: Encryption): boolean {
  return encryption === undefined || encryption === "service";
}
