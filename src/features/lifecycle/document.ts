/** The lifecycle as a document: what it may hold, and how it is told. Pure. */

import { refuse } from "../../errors/cos-error.ts";
import type { Limits } from "../../limits.ts";
import { conditionsIn, filterNode } from "../../operations/filter-document.ts";
import { required, xmlBody } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { DAY_MS, midnightFrom, STORAGE_CLASSES, type StorageClass } from "../../store/storage-class.ts";
import { boolean, child, children, faultAt, integer, only, oneOf, requiredText, text } from "../../xml/decode.ts";
import type { XmlElement } from "../../xml/parse.ts";
import { el, leaf, nodes, type XmlNode } from "../../xml/write.ts";
import { storageClassNamed } from "../storage-class/model.ts";
import { tagNodes, tagsBelow } from "../tagging/model.ts";
import type { Lifecycle, LifecycleRule, RuleFilter, RuleTime, RuleTransition } from "./rules.ts";

/** Rules as a client gives them: one without an id gets one. */
export type GivenRule = Omit<LifecycleRule, "id"> & { readonly id: string | undefined };

const ANY = { min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER };
/** Ten years. (lifecycle page) */
const DAYS_MAX = 3650;
const ID_CHARS_MAX = 255;
const STATUSES = ["Enabled", "Disabled"] as const;
const ACTIONS = [
  "Transition",
  "Expiration",
  "NoncurrentVersionTransition",
  "NoncurrentVersionExpiration",
  "AbortIncompleteMultipartUpload",
];
const CONDITIONS = ["Prefix", "Tag", "PrefixNotEquals", "ObjectSizeGreaterThan", "ObjectSizeLessThan"];

/** `InvalidArgument`, by which a rule is refused that is well-formed and cannot be. */
function invalid(message: string): Error {
  return refuse("InvalidArgument", { message });
}

function days(parent: XmlElement, name: string, min: number): number | undefined {
  const value = integer(parent, name, ANY);
  if (value !== undefined && (value < min || value > DAYS_MAX)) {
    throw invalid(`The element ${name} must be from ${min} to ${DAYS_MAX}.`);
  }
  return value;
}

const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?(?:Z|[+-]\d\d:\d\d)$/;

/** A midnight of GMT+8, or of GMT, which is what S3 clients send. Raises InvalidArgument for other times. */
function date(parent: XmlElement): Extract<RuleTime, { dateMs: number }> | undefined {
  const written = text(parent, "Date")?.trim();
  if (written === undefined) return undefined;
  const ms = DATE.test(written) ? Date.parse(written) : Number.NaN;
  if (Number.isNaN(ms)) throw faultAt(parent, `expected a date of ISO 8601 in <Date> of <${parent.name}>`);
  const isMidnight = midnightFrom(ms) === ms || ms % DAY_MS === 0;
  if (!isMidnight) throw invalid("The element Date must be at midnight of GMT+8.");
  return { dateMs: ms, written };
}

/** The time of an action: one of `Days` and `Date`. */
function time(parent: XmlElement, daysMin: number): RuleTime | undefined {
  const after = days(parent, "Days", daysMin);
  const on = date(parent);
  if (after !== undefined && on !== undefined) throw invalid("Days and Date cannot both be given.");
  if (after !== undefined) return { days: after };
  return on;
}

function refuseFrequency(parent: XmlElement): void {
  if (child(parent, "AccessFrequency") === undefined) return;
  throw refuse("NotImplemented", { message: "AccessFrequency of a lifecycle rule is not implemented yet." });
}

/** The class that a rule moves objects to. */
function target(parent: XmlElement): StorageClass {
  const name = requiredText(parent, "StorageClass").trim();
  const known = STORAGE_CLASSES.some((one) => one === name.toUpperCase());
  if (known || /^(maz_|cold$)/i.test(name)) {
    const found = storageClassNamed(name, "A lifecycle rule");
    if (found !== "STANDARD") return found;
  }
  throw invalid(`Objects cannot be moved to the storage class ${name.slice(0, 64)}.`);
}

function transition(element: XmlElement): RuleTransition {
  refuseFrequency(element);
  only(element, ["Days", "Date", "StorageClass"]);
  const when = time(element, 0);
  if (when === undefined) throw faultAt(element, "expected <Days> or <Date> in <Transition>");
  return { when, to: target(element) };
}

function noncurrentTransition(element: XmlElement): LifecycleRule["noncurrentTransitions"][number] {
  refuseFrequency(element);
  only(element, ["NoncurrentDays", "StorageClass"]);
  const after = days(element, "NoncurrentDays", 0);
  if (after === undefined) throw faultAt(element, `expected <NoncurrentDays> in <${element.name}>`);
  return { days: after, to: target(element) };
}

/** Some pages of the service write `Days` here. */
function noncurrentExpiration(element: XmlElement): number {
  if (child(element, "NewerNoncurrentVersions") !== undefined) {
    throw refuse("NotImplemented", { message: "NewerNoncurrentVersions of a lifecycle rule is not implemented yet." });
  }
  only(element, ["NoncurrentDays", "Days"]);
  const found = days(element, "NoncurrentDays", 1) ?? days(element, "Days", 1);
  if (found === undefined) throw faultAt(element, `expected <NoncurrentDays> in <${element.name}>`);
  return found;
}

function expiration(element: XmlElement | undefined): Pick<LifecycleRule, "expiration" | "expiredMarkers"> {
  if (element === undefined) return { expiration: undefined, expiredMarkers: undefined };
  only(element, ["Days", "Date", "ExpiredObjectDeleteMarker"]);
  const when = time(element, 1);
  const expiredMarkers = boolean(element, "ExpiredObjectDeleteMarker");
  if (when === undefined && expiredMarkers === undefined) {
    throw faultAt(element, "expected <Days>, <Date> or <ExpiredObjectDeleteMarker> in <Expiration>");
  }
  if (when !== undefined && expiredMarkers !== undefined) {
    throw invalid("Expiration has either a time or ExpiredObjectDeleteMarker.");
  }
  return { expiration: when, expiredMarkers };
}

const size = (parent: XmlElement, name: string): number | undefined =>
  integer(parent, name, { min: 0, max: Number.MAX_SAFE_INTEGER });

function conditions(parent: XmlElement, { keyBytesMax, objectTagsMax }: Limits): RuleFilter {
  const prefix = text(parent, "Prefix") ?? "";
  const notPrefixes = children(parent, "PrefixNotEquals").map(({ text: excluded }) => excluded);
  const sizeAbove = size(parent, "ObjectSizeGreaterThan");
  const sizeBelow = size(parent, "ObjectSizeLessThan");
  if (Buffer.byteLength(prefix) > keyBytesMax) {
    throw invalid(`The element Prefix must have at most ${keyBytesMax} bytes.`);
  }
  if (notPrefixes.some((excluded) => prefix.startsWith(excluded))) {
    throw invalid("PrefixNotEquals would leave every object alone.");
  }
  if (sizeBelow !== undefined && sizeBelow <= (sizeAbove ?? -1) + 1) {
    throw invalid("No object has a size above ObjectSizeGreaterThan and below ObjectSizeLessThan.");
  }
  return { prefix, tags: tagsBelow(parent, objectTagsMax), notPrefixes, sizeAbove, sizeBelow };
}

/** Refuses an action on what has neither tags nor a size, where the filter asks for one: the rule would never do it. */
function refuseNothing({ tags, sizeAbove }: RuleFilter, action: string): void {
  if (tags.length > 0) throw invalid(`${action} cannot be used with a filter of tags.`);
  if (sizeAbove !== undefined) throw invalid(`${action} cannot be used with ObjectSizeGreaterThan.`);
}

/** Nothing means the whole bucket; otherwise one condition, or several in `And`. The oldest form is a bare prefix. */
function filterOf(rule: XmlElement, limits: Limits): RuleFilter {
  const filter = child(rule, "Filter");
  const legacy = child(rule, "Prefix");
  if (filter === undefined) {
    if (legacy === undefined) throw faultAt(rule, "expected <Filter> in <Rule>");
    return { ...conditions({ ...rule, children: [legacy] }, limits), bare: true };
  }
  if (legacy !== undefined) throw faultAt(legacy, "expected one of <Filter> and <Prefix> in <Rule>");
  return conditions(conditionsIn(filter, CONDITIONS), limits);
}

/** Transitions to colder classes come later, and none twice. (rule of S3) */
function refuseOrder(times: readonly { readonly at: number; readonly to: StorageClass }[]): void {
  const sorted = times.toSorted((a, b) => STORAGE_CLASSES.indexOf(a.to) - STORAGE_CLASSES.indexOf(b.to));
  for (const [at, { to, at: when }] of sorted.entries()) {
    const before = sorted[at - 1];
    if (before === undefined) continue;
    if (before.to === to) throw invalid(`A rule moves objects to ${to} once.`);
    if (before.at >= when) throw invalid(`A rule moves objects to ${to} later than to ${before.to}.`);
  }
}

const atOf = (when: RuleTime): number => ("days" in when ? when.days : when.dateMs);

function decodeRule(rule: XmlElement, limits: Limits): GivenRule {
  only(rule, ["ID", "Status", "Filter", "Prefix", ...ACTIONS]);
  const id = text(rule, "ID");
  if (id !== undefined && id.length > ID_CHARS_MAX)
    throw invalid(`A rule's ID has at most ${ID_CHARS_MAX} characters.`);
  const status = oneOf(rule, "Status", STATUSES);
  if (status === undefined) throw faultAt(rule, "expected <Status> in <Rule>");
  const filter = filterOf(rule, limits);
  if (!ACTIONS.some((name) => rule.children.some((element) => element.name === name))) {
    throw invalid("A rule has at least one action.");
  }
  const transitions = children(rule, "Transition").map(transition);
  const noncurrentTransitions = children(rule, "NoncurrentVersionTransition").map(noncurrentTransition);
  const ends = expiration(child(rule, "Expiration"));
  const noncurrent = child(rule, "NoncurrentVersionExpiration");
  const abort = child(rule, "AbortIncompleteMultipartUpload");
  if (abort !== undefined) only(abort, ["DaysAfterInitiation"]);
  const abortDays = abort && days(abort, "DaysAfterInitiation", 1);
  if (abort !== undefined && abortDays === undefined) {
    throw faultAt(abort, "expected <DaysAfterInitiation> in <AbortIncompleteMultipartUpload>");
  }
  if (abort !== undefined) refuseNothing(filter, "AbortIncompleteMultipartUpload");
  if (ends.expiredMarkers === true) refuseNothing(filter, "ExpiredObjectDeleteMarker");
  const times = [...transitions.map(({ when }) => when), ...(ends.expiration === undefined ? [] : [ends.expiration])];
  if (times.some((when) => "days" in when) && times.some((when) => "dateMs" in when)) {
    throw invalid("Days and Date cannot both be given in one rule.");
  }
  refuseOrder(transitions.map(({ when, to }) => ({ at: atOf(when), to })));
  refuseOrder(noncurrentTransitions.map(({ days: at, to }) => ({ at, to })));
  return {
    id: id === "" ? undefined : id,
    enabled: status === "Enabled",
    filter,
    transitions,
    ...ends,
    noncurrentTransitions,
    noncurrentExpirationDays: noncurrent && noncurrentExpiration(noncurrent),
    abortDays,
  };
}

/** What a rule does and when, an entry for each thing that two rules cannot both say otherwise. */
function* saidBy(rule: GivenRule): Iterable<readonly [what: string, when: string]> {
  for (const { when, to } of rule.transitions) yield [`move ${to}`, JSON.stringify(when)];
  if (rule.expiration !== undefined) yield ["expire", JSON.stringify(rule.expiration)];
  if (rule.expiredMarkers !== undefined) yield ["markers", String(rule.expiredMarkers)];
  for (const { days: after, to } of rule.noncurrentTransitions) yield [`move versions ${to}`, String(after)];
  if (rule.noncurrentExpirationDays !== undefined) yield ["expire versions", String(rule.noncurrentExpirationDays)];
  if (rule.abortDays !== undefined) yield ["abort", String(rule.abortDays)];
}

/** Refuses rules of one filter that say otherwise about the same thing: InvalidRequest, in the service's own words. */
function refuseConflicts(rules: readonly GivenRule[]): void {
  const said = new Map<string, string>();
  for (const rule of rules) {
    if (!rule.enabled) continue;
    const { bare: _form, tags, ...rest } = rule.filter;
    const filter = JSON.stringify({ ...rest, tags: tags.map((tag) => tag.join("=")).sort() });
    for (const [what, when] of saidBy(rule)) {
      const before = said.get(filter + what);
      if (before !== undefined && before !== when)
        throw refuse("InvalidRequest", { message: "Conflict lifecycle rule" });
      said.set(filter + what, when);
    }
  }
}

function decode(root: XmlElement, limits: Limits): readonly GivenRule[] {
  only(root, ["Rule"]);
  const elements = children(root, "Rule");
  if (elements.length === 0) throw faultAt(root, "expected <Rule> in <LifecycleConfiguration>");
  if (elements.length > limits.lifecycleRulesMax) {
    throw invalid(`A bucket has at most ${limits.lifecycleRulesMax} lifecycle rules.`);
  }
  const rules = elements.map((rule) => decodeRule(rule, limits));
  const ids = new Set<string>();
  for (const { id } of rules) {
    if (id === undefined) continue;
    if (ids.has(id)) throw invalid("Rule ID must be unique. Found same ID for more than one rule");
    ids.add(id);
  }
  refuseConflicts(rules);
  return rules;
}

/** The document of a request. Raises what `LIFECYCLE_ERRORS` names besides what a document raises. */
export const lifecycleBody = required(
  xmlBody({ root: "LifecycleConfiguration", bytesMax: (limits) => limits.xmlLifecycleBytesMax, decode }),
  "MissingRequestBodyError",
);

/** The refusals of a lifecycle's rules. */
export const LIFECYCLE_ERRORS = [
  "BadRquest",
  "InvalidArgument",
  "InvalidRequest",
  "InvalidTag",
  "MAZOperationNotSupportOnOAZBucket",
  "NotImplemented",
  "NotSupportedStorageClass",
] as const;

function timeNode(when: RuleTime): XmlNode {
  return "days" in when ? leaf("Days", when.days) : leaf("Date", when.written);
}

function ruleFilterNode({ bare, prefix, tags, notPrefixes, sizeAbove, sizeBelow }: RuleFilter): XmlNode {
  if (bare === true) return leaf("Prefix", prefix);
  return filterNode([
    ...(prefix === "" ? [] : [leaf("Prefix", prefix)]),
    ...tagNodes(tags),
    ...notPrefixes.map((one) => leaf("PrefixNotEquals", one)),
    ...(sizeAbove === undefined ? [] : [leaf("ObjectSizeGreaterThan", sizeAbove)]),
    ...(sizeBelow === undefined ? [] : [leaf("ObjectSizeLessThan", sizeBelow)]),
  ]);
}

function ruleNode(rule: LifecycleRule): XmlNode {
  const { expiration: when, expiredMarkers, noncurrentExpirationDays, abortDays } = rule;
  return el(
    "Rule",
    leaf("ID", rule.id),
    ruleFilterNode(rule.filter),
    leaf("Status", rule.enabled ? "Enabled" : "Disabled"),
    nodes(rule.transitions.map((one) => el("Transition", timeNode(one.when), leaf("StorageClass", one.to)))),
    nodes(when === undefined ? [] : [el("Expiration", timeNode(when))]),
    nodes(
      expiredMarkers === undefined ? [] : [el("Expiration", leaf("ExpiredObjectDeleteMarker", String(expiredMarkers)))],
    ),
    nodes(
      rule.noncurrentTransitions.map((one) =>
        el("NoncurrentVersionTransition", leaf("NoncurrentDays", one.days), leaf("StorageClass", one.to)),
      ),
    ),
    nodes(
      noncurrentExpirationDays === undefined
        ? []
        : [el("NoncurrentVersionExpiration", leaf("NoncurrentDays", noncurrentExpirationDays))],
    ),
    nodes(
      abortDays === undefined ? [] : [el("AbortIncompleteMultipartUpload", leaf("DaysAfterInitiation", abortDays))],
    ),
  );
}

/** The document of an answer. */
export const lifecycleOutput = out.xml(
  "LifecycleConfiguration",
  ({ rules }: Lifecycle): XmlNode => el("LifecycleConfiguration", nodes(rules.map(ruleNode))),
);
