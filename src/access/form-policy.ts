/**
 * The policy of a form upload: a signed document that says until when a form may be sent, and what it may hold.
 * Pure, bounded by its caller's limits, and without regular expressions made of its texts. (POST Object page)
 */

import { refuse } from "../errors/cos-error.ts";

interface Condition {
  /** Field name in lower case. */
  readonly field: string;
  readonly how: "eq" | "starts-with";
  readonly value: string;
}

export interface FormPolicy {
  /** The document as it was signed. */
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly expiresMs: number;
  readonly conditions: readonly Condition[];
  /** Bytes of the file, both ends included; every range of the document bounds them. */
  readonly length: { readonly min: number; readonly max: number } | undefined;
}

export interface FormPolicyBounds {
  /** Bytes of the document once decoded. */
  readonly bytesMax: number;
  readonly conditionsMax: number;
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

/** Reads the form field `policy`, Base64 of JSON. Raises InvalidPolicyDocument. */
export function readFormPolicy(encoded: string, { bytesMax, conditionsMax }: FormPolicyBounds): FormPolicy {
  const text = decoded(encoded, bytesMax);
  const document = parsed(text);
  if (!isRecord(document)) throw invalid("The policy is not a JSON object.");
  const { expiration, conditions } = document;
  if (typeof expiration !== "string" || !ISO.test(expiration) || Number.isNaN(Date.parse(expiration))) {
    throw invalid("The expiration of the policy is not an ISO 8601 time.");
  }
  if (!Array.isArray(conditions) || conditions.length === 0) {
    // The text is the service's own.
    throw invalid("You must provide condition if you specify a policy in post object request.");
  }
  const read: Condition[] = [];
  let length: FormPolicy["length"];
  for (const condition of conditions) {
    if (Array.isArray(condition) && isText(condition[0]) && condition[0].toLowerCase() === "content-length-range") {
      const range = readRange(condition);
      length = { min: Math.max(range.min, length?.min ?? 0), max: Math.min(range.max, length?.max ?? range.max) };
    } else if (Array.isArray(condition)) read.push(readTriple(condition));
    else read.push(...readMap(condition));
    if (read.length > conditionsMax) throw invalid(`The policy has more than ${conditionsMax} conditions.`);
  }
  return { text, expiresMs: Date.parse(expiration), conditions: read, length };
}

/** A form as its policy is held against it. */
export interface JudgedForm {
  /** By their names in lower case, with `${filename}` put in. */
  readonly fields: ReadonlyMap<string, string>;
  /** Names of the addressed bucket: whole, and as the client may write it. */
  readonly buckets: readonly string[];
  readonly nowMs: number;
  /** Whether a field may be sent that no condition speaks of. */
  readonly mayBeUncovered: (field: string) => boolean;
}

/** Holds a form against its policy. Raises AccessDenied with the service's text. */
export function checkFormPolicy({ expiresMs, conditions }: FormPolicy, form: JudgedForm): void {
  if (form.nowMs >= expiresMs) {
    const [expired, now] = [expiresMs, form.nowMs].map((ms) => Math.floor(ms / 1000));
    throw refuse("AccessDenied", {
      message: `You post object request has been expired, expiration time: ${expired} but the time now : ${now}`,
    });
  }
  for (const { field, how, value } of conditions) {
    // What the condition calls so is the form's time of the key.
    const name = field === "q-sign-time" ? "q-key-time" : field;
    // The bucket is the addressed one, whatever a field of that name says.
    const sent = field === "bucket" ? form.buckets : [form.fields.get(name)];
    const holds = sent.some((text) => text !== undefined && (how === "eq" ? text === value : text.startsWith(value)));
    if (!holds) throw mismatch(field, field === "bucket" ? `[${value}]` : value);
  }
  const covered = new Set(conditions.map(({ field }) => field));
  for (const field of form.fields.keys()) {
    if (covered.has(field) || form.mayBeUncovered(field)) continue;
    throw refuse("AccessDenied", {
      message: `Invalid according to Policy: Extra input fields: ${field.slice(0, 64)}`,
    });
  }
}

/** Holds the file's length, or the bytes that have come so far, against the policy. */
export function checkFormLength({ length }: FormPolicy, bytes: number, complete: boolean): void {
  if (length === undefined) return;
  // The service names no value here, and its text ends in a blank.
  const message = "Condition key content-length-range doesn't match the value ";
  if (bytes > length.max) throw refuse("EntityTooLarge", { message });
  if (complete && bytes < length.min) throw refuse("EntityTooSmall", { message });
}

function decoded(encoded: string, bytesMax: number): string {
  const compact = encoded.replaceAll("\r", "").replaceAll("\n", "");
  if (!BASE64.test(compact)) throw invalid("The policy is not Base64.");
  const bytes = Buffer.from(compact, "base64");
  if (bytes.length > bytesMax) throw invalid(`The policy has more than ${bytesMax} bytes.`);
  return bytes.toString("utf8");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid("The policy is not JSON.", error);
  }
}

function readRange([, min, max, ...rest]: readonly unknown[]): { min: number; max: number } {
  const [least, most] = [Number(min), Number(max)];
  const whole = (value: unknown, number: number) =>
    (typeof value === "number" || isText(value)) && Number.isSafeInteger(number) && number >= 0;
  if (rest.length > 0 || !whole(min, least) || !whole(max, most) || least > most) {
    throw invalid("The content-length-range of the policy is not two whole numbers in order.");
  }
  return { min: least, max: most };
}

function readTriple([how, field, value, ...rest]: readonly unknown[]): Condition {
  const operator = isText(how) ? how.toLowerCase() : undefined;
  if (rest.length > 0 || (operator !== "eq" && operator !== "starts-with")) {
    throw invalid("A condition of the policy is neither eq, starts-with nor content-length-range.");
  }
  if (!isText(field) || !field.startsWith("$") || !isText(value)) {
    throw invalid("A condition of the policy does not name a field with $ and a text.");
  }
  return { field: field.slice(1).toLowerCase(), how: operator, value };
}

function readMap(condition: unknown): Condition[] {
  if (!isRecord(condition)) throw invalid("A condition of the policy is neither a list nor an object.");
  const conditions = Object.entries(condition);
  if (conditions.length === 0) throw invalid("A condition of the policy names no field.");
  return conditions.map(([field, value]) => {
    if (!isText(value)) throw invalid("A condition of the policy has a value that is no text.");
    return { field: field.toLowerCase(), how: "eq", value };
  });
}

const isText = (value: unknown): value is string => typeof value === "string";
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const invalid = (message: string, cause?: unknown) => refuse("InvalidPolicyDocument", { message, cause });
const mismatch = (field: string, value: string) =>
  refuse("AccessDenied", {
    message: `Condition key ${field.slice(0, 64)} doesn't match the value ${value.slice(0, 256)}`,
  });
