/**
 * What a midnight does to the buckets of model.ts, in the simplest words: every rule is asked about every version, one
 * after the other. It knows nothing of rows, pages and transactions.
 */

import {
  CLASSES,
  type ClassName,
  type ModelBucket,
  type ModelLifecycle,
  type ModelObject,
  type ModelUpload,
  type ModelVersion,
  type Rule,
  type When,
} from "./model-state.ts";

export const HOUR_MS = 60 * 60 * 1000;
export const DAY_MS = 24 * HOUR_MS;
/** 00:00 of GMT+8. */
export const FIRST_MIDNIGHT = Date.UTC(2025, 11, 31, 16);
/** Bytes below which an object stays in its class. */
const MOVED_BYTES_MIN = 64 * 1024;

/** The first midnight at `ms` or later. */
export function midnightFrom(ms: number): number {
  return FIRST_MIDNIGHT + Math.ceil((ms - FIRST_MIDNIGHT) / DAY_MS) * DAY_MS;
}

const startOf = (when: When, fromMs: number): number =>
  "days" in when ? fromMs + when.days * DAY_MS : FIRST_MIDNIGHT + when.onDay * DAY_MS;

function selects(rule: Rule, key: string, object: ModelObject | undefined): boolean {
  const size = object?.bytes.length ?? 0;
  if (!key.startsWith(rule.prefix)) return false;
  if (rule.notPrefix !== undefined && key.startsWith(rule.notPrefix)) return false;
  if (rule.above !== undefined && size <= rule.above) return false;
  if (rule.below !== undefined && size >= rule.below) return false;
  return !rule.tagged || object?.tagged === true;
}

/** When a current object will be removed, and by which rule, by number. */
export function endOf(
  { rules, setMs }: ModelLifecycle,
  key: string,
  object: ModelObject,
): { readonly ms: number; readonly rule: number } | undefined {
  let end: { ms: number; rule: number } | undefined;
  if (object.appendable) return undefined;
  for (const [number, rule] of rules.entries()) {
    if (!rule.enabled || rule.expire === undefined || !selects(rule, key, object)) continue;
    const start = startOf(rule.expire, object.modifiedMs);
    const ms = midnightFrom(Math.max(start, object.modifiedMs, setMs, object.lockedMs ?? 0));
    if (end === undefined || ms < end.ms) end = { ms, rule: number };
  }
  return end;
}

/** Puts an object into the coldest of the classes that are due, if it may go there. */
function move(object: ModelObject, due: readonly ClassName[], nowMs: number): void {
  const isRestored = object.restore !== undefined && nowMs < object.restore.expiresMs;
  if (object.bytes.length < MOVED_BYTES_MIN || isRestored) return;
  const before = object.storageClass;
  for (const to of due) {
    if (CLASSES.indexOf(to) > CLASSES.indexOf(object.storageClass)) object.storageClass = to;
  }
  if (object.storageClass === before) return;
  object.restore = undefined;
  // Whatever was rarely read begins as rarely read.
  object.readMs = before === "STANDARD_IA" ? 0 : nowMs;
}

/** What the rules of a bucket do to it. `isLocked` and `expire` are the model's own. */
export interface MidnightTools {
  readonly nowMs: number;
  readonly isLocked: (object: ModelObject) => boolean;
  /** Does to a key what a DELETE does. */
  readonly expire: (key: string) => void;
}

/**
 * One midnight of one bucket. Gives the keys whose delete marker hides nothing any more since a moment ago, and goes at
 * the next midnight: or at this one, where whoever was at work died and another has looked again.
 */
export function midnight(
  bucket: ModelBucket,
  uploads: readonly ModelUpload[],
  { nowMs, isLocked, expire }: MidnightTools,
): readonly string[] {
  const { lifecycle, keys } = bucket;
  if (lifecycle === undefined || lifecycle.setMs > nowMs) return [];
  const rules = lifecycle.rules.filter(({ enabled }) => enabled);
  const isOver = (when: When | undefined, fromMs: number): boolean =>
    when !== undefined && startOf(when, fromMs) <= nowMs;

  for (const [key, [top]] of [...keys]) {
    const object = top?.object;
    if (object === undefined || object.appendable || object.modifiedMs > nowMs || isLocked(object)) continue;
    const own = rules.filter((rule) => selects(rule, key, object));
    if (own.some((rule) => isOver(rule.expire, object.modifiedMs))) expire(key);
    else {
      const due = own.flatMap((rule) => (rule.move && isOver(rule.move.when, object.modifiedMs) ? [rule.move.to] : []));
      move(object, due, nowMs);
    }
  }

  const bare: string[] = [];
  for (const [key, versions] of [...keys]) {
    const isMarkerDue = (marker: ModelVersion): boolean =>
      marker.modifiedMs < nowMs &&
      rules.some(
        (rule) =>
          selects(rule, key, undefined) &&
          (rule.markers ||
            (rule.noncurrentDays !== undefined && isOver({ days: rule.noncurrentDays }, marker.modifiedMs))),
      );
    const gone = new Set<ModelVersion>();
    for (const [at, version] of versions.entries()) {
      const { object } = version;
      const newer = versions[at - 1];
      if (newer === undefined) {
        if (object === undefined && versions.length === 1 && isMarkerDue(version)) gone.add(version);
        continue;
      }
      const sinceMs = object === undefined ? newer.modifiedMs : (version.supersededMs ?? Number.NaN);
      if (object !== undefined && (object.appendable || isLocked(object))) continue;
      const own = rules.filter((rule) => selects(rule, key, object));
      if (own.some(({ noncurrentDays: days }) => days !== undefined && isOver({ days }, sinceMs))) gone.add(version);
      else if (object !== undefined) {
        const due = own.flatMap(({ moveNoncurrent }) =>
          moveNoncurrent && isOver(moveNoncurrent, sinceMs) ? [moveNoncurrent.to] : [],
        );
        move(object, due, nowMs);
      }
    }
    const kept = versions.filter((version) => !gone.has(version));
    if (kept.length === 0) keys.delete(key);
    else keys.set(key, kept);
    const [marker, ...hidden] = kept;
    if (marker !== undefined && !marker.object && hidden.length === 0 && isMarkerDue(marker)) bare.push(key);
  }

  for (const upload of uploads) {
    const due = rules.some(
      (rule) =>
        rule.abortDays !== undefined &&
        selects(rule, upload.key, undefined) &&
        isOver({ days: rule.abortDays }, upload.initiatedMs),
    );
    if (due) upload.open = false;
  }
  return bare;
}

/** The document of rules, which are named by their numbers. */
export function xmlOf(rules: readonly Rule[]): string {
  const moved = (name: string, when: string, to: ClassName): string =>
    `<${name}>${when}<StorageClass>${to}</StorageClass></${name}>`;
  const whenXml = (when: When): string =>
    "days" in when
      ? `<Days>${when.days}</Days>`
      : `<Date>${new Date(FIRST_MIDNIGHT + when.onDay * DAY_MS).toISOString()}</Date>`;
  const texts = rules.map((rule, number) => {
    const conditions = [
      `<Prefix>${rule.prefix}</Prefix>`,
      rule.notPrefix === undefined ? "" : `<PrefixNotEquals>${rule.notPrefix}</PrefixNotEquals>`,
      rule.tagged ? "<Tag><Key>k</Key><Value>v</Value></Tag>" : "",
      rule.above === undefined ? "" : `<ObjectSizeGreaterThan>${rule.above}</ObjectSizeGreaterThan>`,
      rule.below === undefined ? "" : `<ObjectSizeLessThan>${rule.below}</ObjectSizeLessThan>`,
    ].join("");
    const actions = [
      rule.move === undefined ? "" : moved("Transition", whenXml(rule.move.when), rule.move.to),
      rule.expire === undefined ? "" : `<Expiration>${whenXml(rule.expire)}</Expiration>`,
      rule.markers ? "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>" : "",
      rule.moveNoncurrent === undefined
        ? ""
        : moved(
            "NoncurrentVersionTransition",
            `<NoncurrentDays>${rule.moveNoncurrent.days}</NoncurrentDays>`,
            rule.moveNoncurrent.to,
          ),
      rule.noncurrentDays === undefined
        ? ""
        : `<NoncurrentVersionExpiration><NoncurrentDays>${rule.noncurrentDays}</NoncurrentDays></NoncurrentVersionExpiration>`,
      rule.abortDays === undefined
        ? ""
        : `<AbortIncompleteMultipartUpload><DaysAfterInitiation>${rule.abortDays}</DaysAfterInitiation></AbortIncompleteMultipartUpload>`,
    ].join("");
    const status = rule.enabled ? "Enabled" : "Disabled";
    return `<Rule><ID>r${number}</ID><Filter><And>${conditions}</And></Filter><Status>${status}</Status>${actions}</Rule>`;
  });
  return `<LifecycleConfiguration>${texts.join("")}</LifecycleConfiguration>`;
}
