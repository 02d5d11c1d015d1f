/**
 * Strict signature mode of a bucket: what a signature has to cover if the request has it. Pure. (strict signature pages)
 */

import type { UnsignedEvidence } from "../errors/evidence.ts";
import type { ConfigurationKind } from "../store/configurations.ts";
import { fits, wildcard } from "./policy/wildcard.ts";

export interface StrictSignatureRule {
  readonly id: string;
  /** Actions without `name/cos:`; `*` may stand at the end. */
  readonly actions: readonly string[];
  /** Names in lower case; `x-cos-*` for all that begin so. */
  readonly headers: readonly string[];
  /** Names as written, which compare in any case; `all` for every one. */
  readonly parameters: readonly string[];
}

export interface StrictSignatureConfiguration {
  readonly rules: readonly StrictSignatureRule[];
}

export const BUCKET_STRICT_SIGNATURE: ConfigurationKind<StrictSignatureConfiguration> = {
  name: "strict-signature",
  decode: (document) => JSON.parse(document.toString("utf8")) as StrictSignatureConfiguration,
  encode: (configuration) => Buffer.from(JSON.stringify(configuration)),
};

/** What a request has, and what of it is signed. Names are in lower case. */
export interface SignedParts {
  readonly headers: Iterable<string>;
  readonly parameters: Iterable<string>;
  readonly isSigned: (part: "header" | "parameter", name: string) => boolean;
}

/** The first part of a signed request that a rule wants signed and that is not; undefined where there is none. */
export function unsignedPart(
  { rules }: StrictSignatureConfiguration,
  action: string,
  { headers, parameters, isSigned }: SignedParts,
): UnsignedEvidence | undefined {
  const name = action.slice(action.indexOf(":") + 1).toLowerCase();
  const sent = { header: [...headers], parameter: [...parameters] };
  for (const rule of rules) {
    if (!rule.actions.some((pattern) => fits(wildcard(pattern.toLowerCase()), name))) continue;
    for (const part of ["header", "parameter"] as const) {
      const wanted = (part === "header" ? rule.headers : rule.parameters).map(patternOf);
      const missing = sent[part].find((one) => wanted.some((pattern) => fits(pattern, one)) && !isSigned(part, one));
      if (missing !== undefined) return { kind: "unsigned", part, name: missing, rule: rule.id };
    }
  }
  return undefined;
}

function patternOf(name: string) {
  return wildcard(name.toLowerCase() === "all" ? "*" : name.toLowerCase());
}
