/**
 * The CORS rules of a bucket: how they are kept, which one admits a request of a web page, and what the browser is told.
 * Pure. Matching is linear in the texts compared; no text of a rule becomes a regular expression.
 */

import type { CorsEvidence, CorsNearest } from "../errors/evidence.ts";
import type { ConfigurationKind } from "../store/configurations.ts";

/** One rule, as checked when it was put. */
export interface CorsRule {
  readonly id: string | undefined;
  /** `*`, an origin, or an origin with one `*` in it. */
  readonly origins: readonly string[];
  readonly methods: readonly string[];
  /** Names of headers, in lower case, each with at most one `*`. */
  readonly headers: readonly string[];
  readonly exposed: readonly string[];
  readonly maxAgeSeconds: number | undefined;
}

export interface CorsConfiguration {
  /** The first that matches counts. */
  readonly rules: readonly CorsRule[];
  /** Whether every answer of the bucket says `Vary: Origin`; undefined where the document did not tell. */
  readonly responseVary: boolean | undefined;
}

export const BUCKET_CORS: ConfigurationKind<CorsConfiguration> = {
  name: "cors",
  decode: (document) => JSON.parse(document.toString("utf8")) as CorsConfiguration,
  encode: (configuration) => Buffer.from(JSON.stringify(configuration)),
};

/** What a page wants to do. */
export interface CorsQuestion {
  readonly origin: string;
  readonly method: string;
  /** Names of headers it wants to send, in lower case; empty for a request that is there already. */
  readonly headers: readonly string[];
}

/** The rule that admits a request, and whether it does so for every origin alike. */
export interface CorsMatch {
  readonly rule: CorsRule;
  readonly anyOrigin: boolean;
}

type Fields = readonly (readonly [name: string, value: string])[];

/** The first rule that admits the origin, the method and every one of the headers; undefined where none does. */
export function matchCors(
  { rules }: Pick<CorsConfiguration, "rules">,
  { origin, method, headers }: CorsQuestion,
): CorsMatch | undefined {
  for (const rule of rules) {
    if (!rule.methods.includes(method)) continue;
    const pattern = originIn(rule, origin);
    if (pattern === undefined) continue;
    if (headers.every((name) => admitsHeader(rule, name))) return { rule, anyOrigin: pattern === "*" };
  }
  return undefined;
}

function originIn({ origins }: CorsRule, origin: string): string | undefined {
  const folded = origin.toLowerCase();
  return origins.find((allowed) => fits(allowed.toLowerCase(), folded));
}

const admitsHeader = ({ headers }: CorsRule, name: string): boolean => headers.some((allowed) => fits(allowed, name));

/** What a rule does not admit of a request: the origin before the method, and that before a header. */
function stopOf(
  rule: CorsRule,
  { origin, method, headers }: CorsQuestion,
): Omit<CorsNearest, "number" | "id"> | undefined {
  if (originIn(rule, origin) === undefined) return { stops: "origin", value: origin, admits: rule.origins };
  if (!rule.methods.includes(method)) return { stops: "method", value: method, admits: rule.methods };
  const header = headers.find((name) => !admitsHeader(rule, name));
  return header === undefined ? undefined : { stops: "header", value: header, admits: rule.headers };
}

/** The nearest rule is the first of those that stop a request latest. */
const STOPS = ["origin", "method", "header"] as const;

/** Why no rule admits a request. */
export function corsEvidence(
  rules: readonly CorsRule[],
  question: Omit<CorsQuestion, "origin"> & { readonly origin: string | undefined },
  need: CorsEvidence["need"],
): CorsEvidence {
  const { origin, method, headers } = question;
  let nearest: CorsNearest | undefined;
  for (const [at, rule] of origin === undefined ? [] : rules.entries()) {
    const stop = stopOf(rule, { origin: origin as string, method, headers });
    if (stop === undefined) continue;
    if (nearest !== undefined && STOPS.indexOf(stop.stops) <= STOPS.indexOf(nearest.stops)) continue;
    nearest = { number: at + 1, id: rule.id, ...stop };
  }
  return { kind: "cors", origin, method, headers, rules: rules.length, nearest, need };
}

/** Whether a text is what the pattern says; its only `*` stands for any characters, also for none. */
function fits(pattern: string, text: string): boolean {
  const star = pattern.indexOf("*");
  if (star < 0) return pattern === text;
  return (
    text.length >= pattern.length - 1 &&
    text.startsWith(pattern.slice(0, star)) &&
    text.endsWith(pattern.slice(star + 1))
  );
}

/**
 * What tells the browser that it may pass the answer on to the page. Only a rule that names its origins admits
 * credentials: with `*` every page would act in the name of who is logged in.
 */
export function corsFields({ rule, anyOrigin }: CorsMatch, { origin, headers }: CorsQuestion): Fields {
  const fields: [string, string][] = [["Access-Control-Allow-Origin", anyOrigin ? "*" : origin]];
  if (!anyOrigin) fields.push(["Access-Control-Allow-Credentials", "true"]);
  fields.push(["Access-Control-Allow-Methods", rule.methods.join(",")]);
  const allowed = rule.headers.some((name) => name.includes("*")) ? headers : rule.headers;
  if (allowed.length > 0) fields.push(["Access-Control-Allow-Headers", allowed.join(",")]);
  if (rule.exposed.length > 0) fields.push(["Access-Control-Expose-Headers", rule.exposed.join(",")]);
  if (rule.maxAgeSeconds !== undefined) fields.push(["Access-Control-Max-Age", String(rule.maxAgeSeconds)]);
  return fields;
}

const VARY: readonly [string, string] = ["Vary", "Origin"];

/** Whether caches must keep answers to different origins apart. */
export function varyFields({ responseVary }: CorsConfiguration, match: CorsMatch | undefined): Fields {
  return responseVary === true || match?.anyOrigin === false ? [VARY] : [];
}
