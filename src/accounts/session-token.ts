/**
 * The token of a temporary key pair: everything that is known of the session, sealed, so that nothing of it has to be
 * stored and it outlives a restart. The SecretKey is made from the SecretId and stands nowhere.
 */

import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import type { Random } from "../ports/random.ts";
import type { Seal } from "./seal.ts";

/** What a token says. */
export interface SessionContent {
  /** The SecretId. */
  readonly keyId: string;
  /** Of the root account. */
  readonly uin: string;
  /** The SecretId that asked for it, whose permissions bound it as they are when it is used. */
  readonly issuer: string | undefined;
  /** The role that was taken on instead, of the account `uin`. */
  readonly role: string | undefined;
  /**
   * When that role was made, ms since 1970: one that is made under its name later is another. Undefined where the settings
   * make it, which make the same one again.
   */
  readonly roleMadeMs: number | undefined;
  /** JSON; undefined where the session has all that its issuer or role has. */
  readonly policy: string | undefined;
  /** The name that the caller gave it. */
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly expiresMs: number;
}

/** Characters of a token that is looked at at all; the service's own have up to 4,096 bytes. (STS page) */
export const TOKEN_CHARS_MAX = 4096;
/** Bytes of what one holds before it is packed. A policy has 6 KiB at most. */
const CONTENT_BYTES_MAX = 64 * 1024;

type Packed = readonly [
  keyId: string,
  uin: string,
  issuer: string,
  role: string,
  policy: string,
  name: string,
  expiresMs: number,
  roleMadeMs: number,
];

const NAME = "session";

/** The token; it may be longer than a client may send where the policy is long. */
export function sealSession(seal: Seal, content: SessionContent): string {
  const { keyId, uin, issuer = "", role = "", policy = "", name, expiresMs, roleMadeMs } = content;
  const packed: Packed = [keyId, uin, issuer, role, policy, name, expiresMs, roleMadeMs ?? 0];
  const bytes = deflateRawSync(JSON.stringify(packed), { level: constants.Z_BEST_COMPRESSION });
  return seal.seal("token", NAME, bytes).toString("base64url");
}

/** What a token says; undefined for anything that was not made here. */
export function openSession(seal: Seal, token: string): SessionContent | undefined {
  const sealed = token.length > TOKEN_CHARS_MAX ? undefined : decoded(token);
  const bytes = sealed && seal.open("token", NAME, sealed);
  if (bytes === undefined) return undefined;
  const text = inflateRawSync(bytes, { maxOutputLength: CONTENT_BYTES_MAX }).toString("utf8");
  const [keyId, uin, issuer, role, policy, name, expiresMs, roleMadeMs] = JSON.parse(text) as Packed;
  const given = (one: string): string | undefined => (one === "" ? undefined : one);
  const session = { keyId, uin, issuer: given(issuer), role: given(role), policy: given(policy), name, expiresMs };
  return { ...session, roleMadeMs: roleMadeMs === 0 ? undefined : roleMadeMs };
}

/** The bytes of a text in Base64; undefined for one that has another spelling as well. */
function decoded(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const ID_LETTERS = 32;

/** A SecretId that nobody has: `AKID` and 32 letters and digits. */
export function newSecretId(random: Random): string {
  let id = "AKID";
  // Bytes beyond the last multiple of the alphabet's length would make some letters likelier than others.
  while (id.length < 4 + ID_LETTERS) {
    for (const byte of random.bytes(ID_LETTERS)) {
      if (byte < 248 && id.length < 4 + ID_LETTERS) id += LETTERS.charAt(byte % LETTERS.length);
    }
  }
  return id;
}

/** A SecretKey: 32 letters and digits. */
export function newSecretKey(random: Random): string {
  return newSecretId(random).slice(4);
}

/** The SecretKey of a temporary pair: 32 characters. */
export function sessionKeyOf(seal: Seal, secretId: string): string {
  return seal.mac("secret", secretId).toString("base64url").slice(0, 32);
}
