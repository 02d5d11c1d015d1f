/**
 * Referer rules of a bucket: which pages may show its objects. Pure, and without regular expressions made of the rules.
 * They keep honest browsers from pages; whoever writes the field by hand writes what they like. (hotlink protection page)
 */

import type { RefererEvidence } from "../errors/evidence.ts";
import type { ConfigurationKind } from "../store/configurations.ts";
import type { Caller } from "./caller.ts";
import { fits, wildcard } from "./policy/wildcard.ts";

export interface RefererConfiguration {
  readonly enabled: boolean;
  readonly type: "Black-List" | "White-List";
  /** As they were written: a host, perhaps with a port or the beginning of a path; `*` for any run of its characters. */
  readonly domains: readonly string[];
  /** Whether requests without a referer are served; undefined for not, as told by nobody. */
  readonly allowsEmpty: boolean | undefined;
  /** Whether signed URLs are asked too; undefined for not, as told by nobody. */
  readonly checksSignedUrls: boolean | undefined;
}

export const BUCKET_REFERER: ConfigurationKind<RefererConfiguration> = {
  name: "referer",
  decode: (document) => JSON.parse(document.toString("utf8")) as RefererConfiguration,
  encode: (configuration) => Buffer.from(JSON.stringify(configuration)),
};

/**
 * Why the rules refuse a read, or undefined where they do not. Who signs is not asked where the pages come from, unless
 * the signature stands in a URL and the rules say so: a URL can be copied into a page.
 */
export function refererFault(
  { enabled, type, domains, allowsEmpty, checksSignedUrls }: RefererConfiguration,
  referer: string | undefined,
  caller: Caller,
): RefererEvidence | undefined {
  if (!enabled) return undefined;
  if (caller.kind === "account" && !(caller.via === "query" && checksSignedUrls === true)) return undefined;
  if (referer === undefined || referer === "") {
    return allowsEmpty === true ? undefined : { kind: "referer", referer: undefined, type, matched: undefined };
  }
  const matched = domains.find((domain) => covers(domain, referer));
  const refused = type === "White-List" ? matched === undefined : matched !== undefined;
  return refused ? { kind: "referer", referer, type, matched } : undefined;
}

interface Place {
  /** Host and port, in lower case. */
  readonly authority: string;
  /** With its slash, query and all; undefined where there is none. */
  readonly path: string | undefined;
}

function placeOf(text: string): Place {
  const rest = text.replace(/^https?:\/\//i, "");
  const slash = rest.search(/[/?#]/);
  const whole = slash < 0 ? rest : rest.slice(0, slash);
  // Browsers leave the user out; whoever writes one must not pass for the host that stands there.
  const authority = whole.slice(whole.lastIndexOf("@") + 1).toLowerCase();
  return { authority, path: slash < 0 ? undefined : rest.slice(slash) };
}

/**
 * Whether a rule covers a referer: without a path any host that begins so, `www.example.com` also
 * `www.example.com.cn:8080`; with one the very host, and every path that begins so. A `*` stays within the host.
 */
function covers(domain: string, referer: string): boolean {
  const rule = placeOf(domain);
  const page = placeOf(referer);
  if (rule.path === undefined) return fits(wildcard(`${rule.authority}*`), page.authority);
  return fits(wildcard(rule.authority), page.authority) && fits(wildcard(`${rule.path}*`), page.path ?? "/");
}
