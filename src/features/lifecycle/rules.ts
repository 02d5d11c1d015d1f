/** The rules of a bucket's lifecycle, and what they want of an object, a version or an upload at a midnight. Pure. */

import { RecordDamaged } from "../../store/bytes.ts";
import type { ConfigurationKind } from "../../store/configurations.ts";
import { retentionOf } from "../../store/locks.ts";
import type { ObjectHead, UploadRecord } from "../../store/records.ts";
import {
  DAY_MS,
  midnightFrom,
  restoreOf,
  STORAGE_CLASSES,
  type StorageClass,
  TRANSITION_BYTES_MIN,
} from "../../store/storage-class.ts";
import { keptTags, NO_TAGS, type Tags } from "../../store/tags.ts";

/** What a rule is about; every part that is there has to hold. */
export interface RuleFilter {
  /** Empty for every key. */
  readonly prefix: string;
  readonly tags: Tags;
  /** Beginnings of keys that the rule leaves alone. */
  readonly notPrefixes: readonly string[];
  /** Bytes; objects of exactly so many are left alone. */
  readonly sizeAbove: number | undefined;
  /** Bytes; objects of exactly so many are left alone. */
  readonly sizeBelow: number | undefined;
  /** Set where the prefix was put in the oldest form, without a filter around it, and so is told. */
  readonly bare?: true;
}

/** Days since the object was modified, or a midnight in milliseconds since 1970. */
export type RuleTime =
  | { readonly days: number }
  /** `written` is the text of whoever put it, and what is told again. (published suite of the Node SDK) */
  | { readonly dateMs: number; readonly written: string };

export interface RuleTransition {
  readonly when: RuleTime;
  readonly to: StorageClass;
}

export interface LifecycleRule {
  readonly id: string;
  readonly enabled: boolean;
  readonly filter: RuleFilter;
  readonly transitions: readonly RuleTransition[];
  readonly expiration: RuleTime | undefined;
  /** Whether a delete marker goes that hides nothing; undefined where the rule does not say. */
  readonly expiredMarkers: boolean | undefined;
  /** Days since the version was superseded. */
  readonly noncurrentTransitions: readonly { readonly days: number; readonly to: StorageClass }[];
  /** Days since the version was superseded. */
  readonly noncurrentExpirationDays: number | undefined;
  /** Days since an upload was begun. */
  readonly abortDays: number | undefined;
}

export interface Lifecycle {
  /** When it was set, milliseconds since 1970: its first midnight comes after. */
  readonly setMs: number;
  readonly rules: readonly LifecycleRule[];
}

/** The lifecycle of a bucket. */
export const BUCKET_LIFECYCLE: ConfigurationKind<Lifecycle> = {
  name: "lifecycle",
  encode: (lifecycle) => Buffer.from(JSON.stringify(lifecycle)),
  decode(document) {
    try {
      return JSON.parse(document.toString("utf8")) as Lifecycle;
    } catch {
      throw new RecordDamaged("a lifecycle is no JSON");
    }
  },
};

/** The rules that hold at a midnight: those that are enabled, of a lifecycle that was set before. */
export function rulesAt({ setMs, rules }: Lifecycle, midnightMs: number): readonly LifecycleRule[] {
  return setMs <= midnightMs ? rules.filter(({ enabled }) => enabled) : [];
}

/** What a filter is held against. Sections are read only where a rule asks for tags. */
interface Filtered {
  readonly size: number;
  readonly sections: ObjectHead["sections"];
}

/** A delete marker, or an upload, has neither bytes nor tags. */
const NOTHING: Filtered = { size: 0, sections: [] };

function matches(filter: RuleFilter, key: string, of: Filtered): boolean {
  if (!key.startsWith(filter.prefix)) return false;
  if (filter.notPrefixes.some((prefix) => key.startsWith(prefix))) return false;
  if (filter.sizeAbove !== undefined && of.size <= filter.sizeAbove) return false;
  if (filter.sizeBelow !== undefined && of.size >= filter.sizeBelow) return false;
  if (filter.tags.length === 0) return true;
  const tags = new Map(of.sections.length === 0 ? NO_TAGS : keptTags(of.sections));
  return filter.tags.every(([name, value]) => tags.get(name) === value);
}

/** When something that counts from `fromMs` is due: a midnight. */
function dueMs(when: RuleTime, fromMs: number): number {
  return "days" in when ? midnightFrom(fromMs + when.days * DAY_MS) : midnightFrom(when.dateMs);
}

function isDue(when: RuleTime, fromMs: number, midnightMs: number): boolean {
  return ("days" in when ? fromMs + when.days * DAY_MS : when.dateMs) <= midnightMs;
}

const rank = (storageClass: string): number => STORAGE_CLASSES.findIndex((one) => one === storageClass);

/** Whether an object may go to a class: colder than its own, and not while a restored copy of it is there or on its way. */
function mayMove(object: ObjectHead, to: StorageClass, nowMs: number): boolean {
  return (
    object.size >= TRANSITION_BYTES_MIN &&
    rank(to) > rank(object.storageClass) &&
    restoreOf(object, nowMs) === undefined
  );
}

/** What is to become of an object or a version. */
export type LifecycleAction = { readonly kind: "expire" } | { readonly kind: "move"; readonly to: StorageClass };

const EXPIRE: LifecycleAction = { kind: "expire" };

/** The coldest class of those that are due, as an action. */
function move(object: ObjectHead, due: readonly StorageClass[], nowMs: number): LifecycleAction | undefined {
  let coldest: StorageClass | undefined;
  for (const to of due) {
    if (mayMove(object, to, nowMs) && (coldest === undefined || rank(to) > rank(coldest))) coldest = to;
  }
  return coldest && { kind: "move", to: coldest };
}

/**
 * What the rules want of a current object at a midnight. Expiration goes before transitions, and of these the coldest
 * counts. (lifecycle page) Appendable objects take no part.
 */
export function currentAction(
  rules: readonly LifecycleRule[],
  key: string,
  object: ObjectHead,
  midnightMs: number,
): LifecycleAction | undefined {
  if (object.type === "appendable" || object.modifiedMs > midnightMs) return undefined;
  const due: StorageClass[] = [];
  for (const { filter, expiration, transitions } of rules) {
    const isExpired = expiration !== undefined && isDue(expiration, object.modifiedMs, midnightMs);
    const classes = transitions.filter(({ when }) => isDue(when, object.modifiedMs, midnightMs));
    if ((!isExpired && classes.length === 0) || !matches(filter, key, object)) continue;
    if (isExpired) return EXPIRE;
    due.push(...classes.map(({ to }) => to));
  }
  return due.length === 0 ? undefined : move(object, due, midnightMs);
}

/** The same for a version that a newer one superseded at `supersededMs`, milliseconds since 1970. */
export function noncurrentAction(
  rules: readonly LifecycleRule[],
  key: string,
  version: ObjectHead | undefined,
  supersededMs: number,
  midnightMs: number,
): LifecycleAction | undefined {
  if (version?.type === "appendable" || supersededMs > midnightMs) return undefined;
  const due: StorageClass[] = [];
  for (const { filter, noncurrentExpirationDays: days, noncurrentTransitions } of rules) {
    const isExpired = days !== undefined && isDue({ days }, supersededMs, midnightMs);
    const classes = noncurrentTransitions.filter((one) => isDue(one, supersededMs, midnightMs));
    if ((!isExpired && classes.length === 0) || !matches(filter, key, version ?? NOTHING)) continue;
    if (isExpired) return EXPIRE;
    due.push(...classes.map(({ to }) => to));
  }
  return version === undefined || due.length === 0 ? undefined : move(version, due, midnightMs);
}

/**
 * Whether a delete marker that hides nothing any more is to go: by a rule that says so, or by one that has removed what
 * it hid. (lifecycle page)
 */
export function isMarkerDue(
  rules: readonly LifecycleRule[],
  key: string,
  modifiedMs: number,
  midnightMs: number,
): boolean {
  // A marker that the pass itself has put there stays until the next one.
  if (modifiedMs >= midnightMs) return false;
  return rules.some(
    ({ filter, expiredMarkers, noncurrentExpirationDays: days }) =>
      (expiredMarkers === true || (days !== undefined && isDue({ days }, modifiedMs, midnightMs))) &&
      matches(filter, key, NOTHING),
  );
}

/** Whether an unfinished upload is to be ended. */
export function isUploadDue(
  rules: readonly LifecycleRule[],
  key: string,
  { initiatedMs }: UploadRecord,
  midnightMs: number,
): boolean {
  return rules.some(
    ({ filter, abortDays: days }) =>
      days !== undefined && isDue({ days }, initiatedMs, midnightMs) && matches(filter, key, NOTHING),
  );
}

/**
 * When the rules will remove an object, and the rule that does; undefined where none does. What is locked stays until its
 * lock ends.
 */
export function expiryOf(
  { setMs, rules }: Lifecycle,
  key: string,
  object: Filtered & Pick<ObjectHead, "modifiedMs" | "type">,
): { readonly dueMs: number; readonly ruleId: string } | undefined {
  if (object.type === "appendable") return undefined;
  let first: { dueMs: number; ruleId: string } | undefined;
  for (const { id, enabled, expiration, filter } of rules) {
    if (!enabled || expiration === undefined || !matches(filter, key, object)) continue;
    const notBeforeMs = Math.max(object.modifiedMs, setMs, retentionOf(object.sections) ?? 0);
    const due = Math.max(dueMs(expiration, object.modifiedMs), midnightFrom(notBeforeMs));
    if (first === undefined || due < first.dueMs) first = { dueMs: due, ruleId: id };
  }
  return first;
}
