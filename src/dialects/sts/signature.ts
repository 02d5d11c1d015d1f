/**
 * Checks the signatures of the cloud's API, as the STS takes them: version 3 (`TC3-HMAC-SHA256`, in the header) and
 * version 1 (`HmacSHA1` or `HmacSHA256`, a parameter). (signature pages of API 3.0)
 *
 * As the host that was signed count the one that was sent, the same without its port, and the service's official name:
 * the Java helper signs that whatever it connects to.
 */

import { createHmac, timingSafeEqual } from "node:crypto";
import type { WireRequest } from "../../http/request.ts";
import { tc3Date, tc3Signature } from "../../tc3.ts";

/** Who signed a request, as it says; nothing of it has been compared. */
export interface StsCredentials {
  readonly secretId: string;
  readonly token: string | undefined;
  /** Seconds since 1970. */
  readonly timestamp: number;
  /** Whether the signature is that of the pair. */
  readonly verify: (secretKey: string) => boolean;
}

/** What keeps a signature from being read; a message. */
export class SignatureUnreadable extends Error {
  override readonly name = "SignatureUnreadable";
}

const OFFICIAL = ["sts.tencentcloudapi.com", "sts.internal.tencentcloudapi.com"];

/** `1795351681`; a longer number is milliseconds. */
const SECONDS = /^\d{1,12}$/;
/** Headers that one signature may list. */
const SIGNED_HEADERS_MAX = 50;

type Signed = Pick<WireRequest, "method" | "target" | "headers">;

function hostsOf({ target }: Signed): readonly string[] {
  return [...new Set([...target.authority.spellings, ...OFFICIAL])];
}

function isSame(computed: Buffer, given: Buffer): boolean {
  return computed.length === given.length && timingSafeEqual(computed, given);
}

const METHODS: ReadonlyMap<string, "sha1" | "sha256"> = new Map([
  ["HmacSHA1", "sha1"],
  ["HmacSHA256", "sha256"],
]);

/** Version 1: every parameter but the signature, in order of name, with its decoded value. */
export function credentialsV1(request: Signed, parameters: ReadonlyMap<string, string>): StsCredentials {
  const value = (name: string): string => {
    const text = parameters.get(name);
    if (text === undefined || text === "") throw new SignatureUnreadable(`The parameter ${name} is missing.`);
    return text;
  };
  const method = METHODS.get(parameters.get("SignatureMethod") ?? "HmacSHA1");
  if (method === undefined) throw new SignatureUnreadable("SignatureMethod must be HmacSHA1 or HmacSHA256.");
  const timestamp = value("Timestamp");
  if (!SECONDS.test(timestamp)) throw new SignatureUnreadable("Timestamp must be in seconds since 1970.");
  value("Nonce");
  const given = Buffer.from(value("Signature"), "base64");
  const signed = new Map(parameters);
  signed.delete("Signature");
  const text = [...signed]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, one]) => `${name}=${one}`)
    .join("&");
  return {
    secretId: value("SecretId"),
    token: parameters.get("Token") || undefined,
    timestamp: Number(timestamp),
    verify: (secretKey) =>
      hostsOf(request).some((host) => {
        const toSign = `${request.method}${host}/?${text}`;
        return isSame(createHmac(method, secretKey).update(toSign).digest(), given);
      }),
  };
}

const AUTHORIZATION =
  /^TC3-HMAC-SHA256\s+Credential=([^/,\s]{1,128})\/(\d{4}-\d{2}-\d{2})\/([^/,\s]{1,128})\/tc3_request,\s*SignedHeaders=([a-z0-9;-]{1,1024}),\s*Signature=([0-9a-f]{64})$/;

/** Version 3. */
export function credentialsV3(request: Signed, body: Buffer): StsCredentials {
  const found = AUTHORIZATION.exec(request.headers.get("authorization") ?? "") ?? [];
  const [, secretId, date, service, names, signature] = found;
  if (secretId === undefined || date === undefined || names === undefined || signature === undefined) {
    throw new SignatureUnreadable("The Authorization is not a TC3-HMAC-SHA256 signature.");
  }
  // The SDKs take the first label of whatever host they are pointed at for the name of the service.
  const label = request.target.authority.text.split(".", 1)[0];
  if (service === undefined || (service !== "sts" && service !== label)) {
    throw new SignatureUnreadable("The Credential is not for the service sts.");
  }
  const list = names.split(";");
  if (list.length > SIGNED_HEADERS_MAX || !list.includes("host") || !list.includes("content-type")) {
    throw new SignatureUnreadable("SignedHeaders must list content-type and host.");
  }
  const timestamp = request.headers.get("x-tc-timestamp") ?? "";
  if (!SECONDS.test(timestamp)) throw new SignatureUnreadable("X-TC-Timestamp must be in seconds since 1970.");
  if (tc3Date(Number(timestamp)) !== date)
    throw new SignatureUnreadable(`The date ${date} of the Credential is not that of X-TC-Timestamp.`);
  const query = request.target.query.entries
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join("&");
  return {
    secretId,
    token: request.headers.get("x-tc-token"),
    timestamp: Number(timestamp),
    verify(secretKey) {
      return hostsOf(request).some((host) => {
        const headers = list.map((name) => {
          const value = name === "host" ? host : (request.headers.raw(name) ?? "");
          return [name, value] as const;
        });
        const signed = { method: request.method, query, headers, body };
        return isSame(tc3Signature(secretKey, signed, { timestamp, date, service }), Buffer.from(signature, "hex"));
      });
    },
  };
}
