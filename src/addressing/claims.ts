/** What a request says of itself before anything of it is believed: whose key it is signed with, whose bucket it names. */

import type { WireRequest } from "../http/request.ts";
import { type AddressingRules, readAddress } from "./address.ts";

export interface Claims {
  /** The SecretId of its signature, in whichever form and place; undefined where it is not signed there. */
  readonly secretId: string | undefined;
  /** The token of a temporary key; undefined where there is none. */
  readonly token: string | undefined;
  /** The APPID that the name of its bucket ends in; undefined where it names none, or one without. */
  readonly appid: string | undefined;
}

/** A longer header is no signature of any dialect, and is left to them to refuse. */
const AUTHORIZATION_CHARS_MAX = 8 * 1024;
/** COS's fields, versions 4 and 2 of S3's signature, and version 3 of the cloud's API. */
const IN_HEADER = [/(?:^|[&\s])q-ak=([^&\s]+)/i, /[\s,]Credential=([^/,\s]+)\//, /^AWS\s+([^:\s]+):/] as const;

function inText(text: string): string | undefined {
  if (text.length > AUTHORIZATION_CHARS_MAX) return undefined;
  for (const form of IN_HEADER) {
    const found = form.exec(text)?.[1];
    if (found !== undefined) return found;
  }
  return undefined;
}

function secretIdOf({ headers, target: { query } }: Pick<WireRequest, "headers" | "target">): string | undefined {
  const header = headers.get("authorization");
  if (header !== undefined) return inText(header);
  if (query.entries.length === 0) return undefined;
  const merged = query.get("sign");
  return (
    query.get("q-ak") ??
    query.get("x-amz-credential")?.split("/", 1)[0] ??
    query.get("awsaccesskeyid") ??
    query.get("secretid") ??
    (merged === undefined ? undefined : inText(merged))
  );
}

function tokenOf({ headers, target: { query } }: Pick<WireRequest, "headers" | "target">): string | undefined {
  for (const name of ["x-cos-security-token", "x-amz-security-token"]) {
    const token = headers.get(name) ?? query.get(name);
    if (token !== undefined && token !== "") return token;
  }
  return headers.get("x-tc-token");
}

function appidOf({ target }: Pick<WireRequest, "target">, rules: AddressingRules): string | undefined {
  try {
    const address = readAddress(target, rules, { bareNames: true });
    if (address.kind !== "bucket" && address.kind !== "object") return undefined;
    return /-(\d+)$/.exec(address.bucket)?.[1];
  } catch {
    // What is wrong with the address is told by whoever answers.
    return undefined;
  }
}

/** Reads them. Never throws: what makes no sense claims nothing. */
export function claimsOf(request: Pick<WireRequest, "headers" | "target">, rules: AddressingRules): Claims {
  return { secretId: secretIdOf(request), token: tokenOf(request), appid: appidOf(request, rules) };
}
