/** The documents of a bucket's intelligent tiering, of both forms: what they may hold, and how they are told. Pure. */

import { refuse } from "../../errors/cos-error.ts";
import { conditionsIn, filterNode } from "../../operations/filter-document.ts";
import { required, xmlBody } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import type { Limits } from "../../limits.ts";
import type { Tiering, TieringRule } from "../../store/storage-class.ts";
import { child, children, faultAt, integer, oneOf, only, requiredChild, requiredText, text } from "../../xml/decode.ts";
import type { XmlElement } from "../../xml/parse.ts";
import { el, leaf, nodes, type XmlNode } from "../../xml/write.ts";
import { tagNodes, tagsBelow } from "../tagging/model.ts";

const ANY = { min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER };
/** (intelligent tiering page) */
const DAYS: readonly number[] = [30, 60, 90];

/** The rule that enables tiering; the older form is the same one. */
export const DEFAULT_RULE = "default";
const ROOT = "IntelligentTieringConfiguration";

function daysOf(parent: XmlElement): number {
  requiredChild(parent, "Days");
  const days = integer(parent, "Days", ANY) as number;
  if (!DAYS.includes(days)) {
    throw refuse("InvalidArgument", { message: `The element Days must be one of: ${DAYS.join(", ")}.` });
  }
  if ((integer(parent, "RequestFrequent", ANY) ?? 1) !== 1) {
    throw refuse("InvalidArgument", { message: "The element RequestFrequent must be 1." });
  }
  return days;
}

/** Days of the infrequent tier. */
function decode(root: XmlElement): number {
  if (oneOf(root, "Status", ["Enabled"]) === undefined) throw faultAt(root, `expected <Status> in <${root.name}>`);
  const transition = requiredChild(root, "Transition");
  return daysOf(transition);
}

/** The document of a request. Raises InvalidArgument besides what a document raises. */
export const tieringBody = required(
  xmlBody({ root: ROOT, bytesMax: (limits) => limits.xmlBytesMax, decode }),
  "MissingRequestBodyError",
);

/** The document of an answer; it is empty where tiering was never enabled. */
export const tieringOutput = out.xml(
  ROOT,
  (tiering: Tiering | undefined): XmlNode =>
    tiering === undefined
      ? el(ROOT)
      : el(ROOT, leaf("Status", "Enabled"), el("Transition", leaf("Days", tiering.days), leaf("RequestFrequent", 1))),
);

/** Bounds of the days after which an archive tier may begin. (as S3 has them; COS names none) */
const ARCHIVE_DAYS = { ARCHIVE_ACCESS: { min: 90, max: 730 }, DEEP_ARCHIVE_ACCESS: { min: 180, max: 730 } } as const;
type ArchiveTier = keyof typeof ARCHIVE_DAYS;

/** What stands under an id: the days of the infrequent tier, or a rule about archive tiers. */
export type TieringEntry =
  | { readonly kind: "default"; readonly id: string; readonly days: number }
  | { readonly kind: "rule"; readonly id: string; readonly rule: TieringRule };

function decodeArchiveDays(tierings: readonly XmlElement[]): ReadonlyMap<ArchiveTier, number> {
  const found = new Map<ArchiveTier, number>();
  for (const tiering of tierings) {
    only(tiering, ["AccessTier", "Days"]);
    const tier = oneOf(tiering, "AccessTier", ["ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS"]);
    if (tier === undefined) throw faultAt(tiering, "expected <AccessTier> in <Tiering>");
    if (found.has(tier)) throw faultAt(tiering, `expected one <Tiering> for ${tier}`);
    requiredChild(tiering, "Days");
    const days = integer(tiering, "Days", ANY) as number;
    const { min, max } = ARCHIVE_DAYS[tier];
    if (days < min || days > max) {
      throw refuse("InvalidArgument", { message: `The element Days of ${tier} must be from ${min} to ${max}.` });
    }
    found.set(tier, days);
  }
  return found;
}

function decodeFilter(root: XmlElement, { keyBytesMax, objectTagsMax }: Limits): Pick<TieringRule, "prefix" | "tags"> {
  const filter = child(root, "Filter");
  if (filter === undefined) return { prefix: "", tags: [] };
  const conditions = conditionsIn(filter, ["Prefix", "Tag"]);
  const prefix = text(conditions, "Prefix") ?? "";
  if (Buffer.byteLength(prefix) > keyBytesMax) {
    throw refuse("InvalidArgument", { message: `The element Prefix must have at most ${keyBytesMax} bytes.` });
  }
  return { prefix, tags: tagsBelow(conditions, objectTagsMax) };
}

function decodeChange(root: XmlElement, limits: Limits): TieringEntry {
  only(root, ["Id", "Status", "Filter", "Tiering"]);
  const id = requiredText(root, "Id");
  const status = oneOf(root, "Status", ["Enabled", "Disabled"]);
  if (status === undefined) throw faultAt(root, `expected <Status> in <${ROOT}>`);
  const tierings = children(root, "Tiering");
  if (tierings.length === 0) throw faultAt(root, `expected <Tiering> in <${ROOT}>`);
  if (id === DEFAULT_RULE) {
    const [tiering, ...others] = tierings;
    if (tiering === undefined || others.length > 0) throw faultAt(root, "expected one <Tiering> in the default rule");
    only(tiering, ["AccessTier", "Days", "RequestFrequent"]);
    if (child(root, "Filter") !== undefined) throw faultAt(root, "expected no <Filter> in the default rule");
    if (oneOf(tiering, "AccessTier", ["INFREQUENT"]) === undefined) {
      throw faultAt(tiering, "expected <AccessTier> in <Tiering>");
    }
    if (status !== "Enabled") {
      throw refuse("InvalidArgument", { message: "The default rule cannot be disabled." });
    }
    return { kind: "default", id, days: daysOf(tiering) };
  }
  const days = decodeArchiveDays(tierings);
  const [archiveDays, deepArchiveDays] = [days.get("ARCHIVE_ACCESS"), days.get("DEEP_ARCHIVE_ACCESS")];
  if (archiveDays !== undefined && deepArchiveDays !== undefined && deepArchiveDays <= archiveDays) {
    throw refuse("InvalidArgument", { message: "DEEP_ARCHIVE_ACCESS must come later than ARCHIVE_ACCESS." });
  }
  const enabled = status === "Enabled";
  return { kind: "rule", id, rule: { id, enabled, ...decodeFilter(root, limits), archiveDays, deepArchiveDays } };
}

/** The document of a rule. Raises InvalidArgument, InvalidTag and BadRquest besides what a document raises. */
export const tieringChangeBody = required(
  xmlBody({ root: ROOT, bytesMax: (limits) => limits.xmlBytesMax, decode: decodeChange }),
  "MissingRequestBodyError",
);

function defaultNode({ days }: Pick<Tiering, "days">): XmlNode {
  const tier = el("Tiering", leaf("AccessTier", "INFREQUENT"), leaf("Days", days), leaf("RequestFrequent", 1));
  return el(ROOT, leaf("Id", DEFAULT_RULE), leaf("Status", "Enabled"), tier);
}

function ruleNode({ id, enabled, prefix, tags, archiveDays, deepArchiveDays }: TieringRule): XmlNode {
  const conditions = [...(prefix === "" ? [] : [leaf("Prefix", prefix)]), ...tagNodes(tags)];
  const tier = (name: ArchiveTier, days: number | undefined): XmlNode =>
    days === undefined ? nodes([]) : el("Tiering", leaf("AccessTier", name), leaf("Days", days));
  return el(
    ROOT,
    leaf("Id", id),
    conditions.length === 0 ? nodes([]) : filterNode(conditions),
    leaf("Status", enabled ? "Enabled" : "Disabled"),
    tier("ARCHIVE_ACCESS", archiveDays),
    tier("DEEP_ARCHIVE_ACCESS", deepArchiveDays),
  );
}

/** What a bucket has under an id. */
export function tieringEntry(tiering: Tiering | undefined, id: string): TieringEntry | undefined {
  if (tiering === undefined) return undefined;
  if (id === DEFAULT_RULE) return { kind: "default", id, days: tiering.days };
  const rule = tiering.rules.find((one) => one.id === id);
  return rule && { kind: "rule", id, rule };
}

/** The document of what stands under an id; it is empty where nothing does. */
export const tieringRuleOutput = out.xml(ROOT, (entry: TieringEntry | undefined): XmlNode => {
  if (entry === undefined) return el(ROOT);
  return entry.kind === "default" ? defaultNode(entry) : ruleNode(entry.rule);
});

const LIST_ROOT = "ListBucketIntelligentTieringConfigurationsOutput";

/** Every rule, the default one first. (the root as the Go SDK reads it) */
export const tieringRulesOutput = out.xml(
  LIST_ROOT,
  (tiering: Tiering | undefined): XmlNode =>
    el(
      LIST_ROOT,
      leaf("IsTruncated", false),
      nodes(tiering === undefined ? [] : [defaultNode(tiering), ...tiering.rules.map(ruleNode)]),
    ),
);
