/** What operations share that lock objects, or tell that they are locked: headers, documents, retentions. */

import { refuse } from "../../errors/cos-error.ts";
import type { ErrorId } from "../../errors/catalogue.ts";
import { formatIsoMillis, parseHttpDate } from "../../http/dates.ts";
import type { ObjectLockDocument, RetentionDocument } from "../../operations/documents.ts";
import { header, required, xmlBody } from "../../operations/input-fields.ts";
import type { InputField, OperationContext } from "../../operations/operation.ts";
import { out } from "../../operations/output-fields.ts";
import { retentionOf, retentionSections } from "../../store/locks.ts";
import type { Section } from "../../store/records.ts";
import { DAY_MS } from "../../store/storage-class.ts";
import { child, children, faultAt, only, requiredInteger, requiredText, text } from "../../xml/decode.ts";
import type { XmlElement } from "../../xml/parse.ts";
import { el, leaf, NOTHING, optional, type XmlNode } from "../../xml/write.ts";

const MODE = "x-cos-object-lock-mode";
const UNTIL = "x-cos-object-lock-retain-until-date";
/** The longest lock, a hundred years. (object lock page) */
export const LOCK_DAYS_MAX = 36_500;
const DAYS_OF_YEAR = 365;

/** The refusals of `lockSections`, for the declarations of operations that store objects. */
export const LOCK_ERRORS = [
  "InvalidLockedTime",
  "InvalidRequest",
  "ObjectLocked",
] as const satisfies readonly ErrorId[];

function checkMode(mode: string): void {
  const word = mode.trim().toUpperCase();
  if (word === "GOVERNANCE") {
    throw refuse("NotImplemented", { message: "The lock mode GOVERNANCE is not implemented; COS has COMPLIANCE." });
  }
  if (word !== "COMPLIANCE") throw refuse("InvalidArgument", { message: "The lock mode must be COMPLIANCE." });
}

function dateOf(value: string): number {
  const ms = parseHttpDate(value.trim());
  if (ms === undefined) throw refuse("InvalidArgument", { message: "A lock ends at a date in ISO 8601." });
  return ms;
}

const modeText = header.text(MODE, "COMPLIANCE");
const untilText = header.text(UNTIL, "a date in ISO 8601");

/** Until when a request wants to lock what it stores, in milliseconds since 1970; undefined where it says nothing. */
export const retentionField: InputField<number | undefined> = {
  from: "group",
  name: "",
  required: false,
  summary: "",
  errors: ["InvalidArgument", "NotImplemented"],
  fields: { mode: modeText, until: untilText },
  read(source) {
    const mode = modeText.read(source) as string | undefined;
    const until = untilText.read(source) as string | undefined;
    if (mode === undefined && until === undefined) return undefined;
    if (mode === undefined || until === undefined) {
      throw refuse("InvalidArgument", { message: `The headers ${MODE} and ${UNTIL} come together.` });
    }
    checkMode(mode);
    return dateOf(until);
  },
};

/** Refuses an end that lies in the past, before the one there is, or beyond what may be: InvalidLockedTime. */
export function refuseEnd(untilMs: number, presentMs: number | undefined, nowMs: number): void {
  if (untilMs <= nowMs || untilMs < (presentMs ?? 0) || untilMs > nowMs + LOCK_DAYS_MAX * DAY_MS) {
    throw refuse("InvalidLockedTime");
  }
}

/** Refuses to give single objects a retention where the bucket has no lock of the second generation: InvalidRequest. */
export function refuseUnlockable({ lock }: OperationContext["bucket"]): void {
  if (lock?.generation === 2) return;
  throw refuse("InvalidRequest", {
    message:
      lock === undefined
        ? "The bucket has no object lock; enable it with PUT ?object-lock."
        : "The bucket locks its objects by its rule alone.",
  });
}

/** The sections of what a request locks. Raises InvalidRequest where the bucket locks nothing, and InvalidLockedTime. */
export function lockSections(
  { bucket, clock }: Pick<OperationContext, "bucket" | "clock">,
  untilMs: number | undefined,
): readonly Section[] {
  if (untilMs === undefined) return [];
  refuseUnlockable(bucket);
  refuseEnd(untilMs, undefined, clock.now());
  return retentionSections(untilMs);
}

/** The header fields that tell until when an object is locked. */
export const lockOutput = { lock: out.headers("its lock") };

/** The values of `lockOutput`. */
export function describeLock(sections: readonly Section[]): {
  lock: readonly (readonly [string, string])[] | undefined;
} {
  const untilMs = retentionOf(sections);
  if (untilMs === undefined) return { lock: undefined };
  return {
    lock: [
      [MODE, "COMPLIANCE"],
      [UNTIL, formatIsoMillis(untilMs)],
    ],
  };
}

const LOCK_ROOT = "ObjectLockConfiguration";

/** Days of the default of a document; undefined for none. Raises InvalidLockedTime for days that may not be. */
function decodeLock(root: XmlElement): { readonly days: number | undefined } {
  only(root, ["ObjectLockEnabled", "Rule"]);
  if (requiredText(root, "ObjectLockEnabled").trim() !== "Enabled") {
    throw faultAt(root, "expected Enabled in <ObjectLockEnabled>");
  }
  const rules = children(root, "Rule");
  if (rules.length > 1) throw faultAt(root, `expected one <Rule> in <${LOCK_ROOT}>`);
  const [rule] = rules;
  if (rule === undefined) return { days: undefined };
  only(rule, ["DefaultRetention"]);
  const byDefault = child(rule, "DefaultRetention");
  if (byDefault === undefined) throw faultAt(rule, "expected <DefaultRetention> in <Rule>");
  only(byDefault, ["Mode", "Days", "Years"]);
  const mode = text(byDefault, "Mode");
  if (mode !== undefined) checkMode(mode);
  const inYears = child(byDefault, "Years") !== undefined;
  if (inYears && child(byDefault, "Days") !== undefined) throw faultAt(byDefault, "expected either <Days> or <Years>");
  const bounds = { min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER };
  const count = requiredInteger(byDefault, inYears ? "Years" : "Days", bounds);
  const days = inYears ? count * DAYS_OF_YEAR : count;
  if (days < 1 || days > LOCK_DAYS_MAX) throw refuse("InvalidLockedTime");
  return { days };
}

/** The document of a bucket's lock. Raises InvalidArgument, InvalidLockedTime and NotImplemented besides its own faults. */
export const lockBody = required(
  xmlBody({ root: LOCK_ROOT, bytesMax: (limits) => limits.xmlBytesMax, decode: decodeLock }),
  "MissingRequestBodyError",
);

export const lockDocumentOutput = out.xml(LOCK_ROOT, ({ days, generation }: ObjectLockDocument): XmlNode => {
  const mode = optional("Mode", generation === 2 ? "COMPLIANCE" : undefined);
  const rule = days === undefined ? NOTHING : el("Rule", el("DefaultRetention", mode, leaf("Days", days)));
  return el(LOCK_ROOT, leaf("ObjectLockEnabled", "Enabled"), rule);
});

/** The document of an object's retention. Raises InvalidArgument and NotImplemented besides its own faults. */
export const retentionBody = required(
  xmlBody({
    root: "Retention",
    bytesMax: (limits) => limits.xmlBytesMax,
    decode(root: XmlElement): number {
      only(root, ["Mode", "RetainUntilDate"]);
      checkMode(requiredText(root, "Mode"));
      return dateOf(requiredText(root, "RetainUntilDate"));
    },
  }),
  "MissingRequestBodyError",
);

export const retentionOutput = out.xml(
  "Retention",
  ({ untilMs, mode }: RetentionDocument): XmlNode =>
    el("Retention", optional("Mode", mode), leaf("RetainUntilDate", formatIsoMillis(untilMs))),
);
