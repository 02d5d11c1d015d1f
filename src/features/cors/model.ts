/** The CORS configuration as a document: what it may hold, and how it is told. Pure. */

import type { CorsConfiguration, CorsRule } from "../../access/cors.ts";
import { refuse } from "../../errors/cos-error.ts";
import type { Limits } from "../../limits.ts";
import { required, xmlBody } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { boolean, children, faultAt, integer, only, text, textOf } from "../../xml/decode.ts";
import type { XmlElement } from "../../xml/parse.ts";
import { el, leaf, nodes, optional, type XmlNode } from "../../xml/write.ts";

const METHODS: readonly string[] = ["GET", "PUT", "POST", "DELETE", "HEAD"];
const RULE_PARTS = ["ID", "AllowedOrigin", "AllowedMethod", "AllowedHeader", "ExposeHeader", "MaxAgeSeconds"];
/** What a header may be called. (RFC 9110 §5.6.2) Its `*` is the wildcard here. */
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const PRINTABLE = /^[\x21-\x7e]+$/;
const SECONDS_MAX = 2 ** 31 - 1;

const stars = (value: string): number => value.split("*").length - 1;

function checked(value: string, fault: string | undefined): string {
  if (fault === undefined) return value;
  throw refuse("InvalidArgument", { message: `The CORS rule ${fault}: ${value.slice(0, 256)}` });
}

function originFault(origin: string): string | undefined {
  if (stars(origin) > 1) return "has an AllowedOrigin with more than one *";
  return PRINTABLE.test(origin) ? undefined : "has an AllowedOrigin that no page can have";
}

/**
 * Raises InvalidArgument for an origin that is neither `*` nor has the form that the service's page asks for. S3 takes any
 * text with one `*`. (PUT Bucket cors page of either)
 */
export function refuseOtherOrigins({ rules }: CorsConfiguration): void {
  for (const { origins } of rules) for (const origin of origins) checked(origin, formFault(origin));
}

function formFault(origin: string): string | undefined {
  if (origin === "*") return undefined;
  const scheme = origin.indexOf("://");
  const host = scheme < 0 ? origin : origin.slice(scheme + 3);
  const whole = scheme > 0 || origin.includes("*");
  return whole && host !== "" && !host.includes("/")
    ? undefined
    : "has an AllowedOrigin that is neither * nor a scheme and host without a path";
}

function allowedHeaderFault(name: string): string | undefined {
  if (stars(name) > 1) return "has an AllowedHeader with more than one *";
  return FIELD_NAME.test(name) ? undefined : "has an AllowedHeader that no header can be called";
}

function exposedHeaderFault(name: string): string | undefined {
  if (name.includes("*")) return "has an ExposeHeader with a *";
  return FIELD_NAME.test(name) ? undefined : "has an ExposeHeader that no header can be called";
}

const blanksOff = (element: XmlElement): string => textOf(element).trim();

function methodOf(element: XmlElement): string {
  const method = blanksOff(element);
  if (!METHODS.includes(method)) throw faultAt(element, `expected one of ${METHODS.join(", ")} in <AllowedMethod>`);
  return method;
}

function decodeRule(rule: XmlElement): CorsRule {
  only(rule, RULE_PARTS);
  const origins = children(rule, "AllowedOrigin");
  const methods = children(rule, "AllowedMethod");
  if (origins.length === 0) throw faultAt(rule, "expected <AllowedOrigin> in <CORSRule>");
  if (methods.length === 0) throw faultAt(rule, "expected <AllowedMethod> in <CORSRule>");
  const maxAgeSeconds = integer(rule, "MaxAgeSeconds", { min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER });
  if (maxAgeSeconds !== undefined && (maxAgeSeconds < 0 || maxAgeSeconds > SECONDS_MAX)) {
    checked(String(maxAgeSeconds), `has MaxAgeSeconds that are not from 0 to ${SECONDS_MAX}`);
  }
  return {
    id: text(rule, "ID"),
    origins: origins.map(blanksOff).map((origin) => checked(origin, originFault(origin))),
    methods: methods.map(methodOf),
    // An empty one is what some consoles and SDKs send for none.
    headers: children(rule, "AllowedHeader")
      .map((header) => blanksOff(header).toLowerCase())
      .filter((name) => name !== "")
      .map((name) => checked(name, allowedHeaderFault(name))),
    exposed: children(rule, "ExposeHeader")
      .map(blanksOff)
      .filter((name) => name !== "")
      .map((name) => checked(name, exposedHeaderFault(name))),
    maxAgeSeconds,
  };
}

function decode(root: XmlElement, { corsRulesMax }: Limits): CorsConfiguration {
  only(root, ["CORSRule", "ResponseVary"]);
  const rules = children(root, "CORSRule");
  if (rules.length === 0) throw faultAt(root, "expected <CORSRule> in <CORSConfiguration>");
  if (rules.length > corsRulesMax) {
    throw refuse("InvalidArgument", { message: `A bucket has at most ${corsRulesMax} CORS rules.` });
  }
  return { rules: rules.map(decodeRule), responseVary: boolean(root, "ResponseVary") };
}

/** The document of a request. Raises InvalidArgument besides what a document raises. */
export const corsBody = required(
  xmlBody({ root: "CORSConfiguration", bytesMax: (limits) => limits.xmlBytesMax, decode }),
  "MissingRequestBodyError",
);

const ruleNode = ({ id, origins, methods, headers, exposed, maxAgeSeconds }: CorsRule): XmlNode =>
  el(
    "CORSRule",
    optional("ID", id),
    nodes(origins.map((origin) => leaf("AllowedOrigin", origin))),
    nodes(methods.map((method) => leaf("AllowedMethod", method))),
    nodes(headers.map((name) => leaf("AllowedHeader", name))),
    nodes(exposed.map((name) => leaf("ExposeHeader", name))),
    optional("MaxAgeSeconds", maxAgeSeconds),
  );

/** The document of an answer. */
export const corsOutput = out.xml(
  "CORSConfiguration",
  ({ rules, responseVary }: CorsConfiguration): XmlNode =>
    el("CORSConfiguration", nodes(rules.map(ruleNode)), optional("ResponseVary", responseVary)),
);
