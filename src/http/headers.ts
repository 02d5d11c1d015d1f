/** Header fields, read once from what Node's parser passes on unmerged. */

import { refuse } from "../errors/cos-error.ts";
import type { HeaderFields } from "./request.ts";

/**
 * Fields that may stand in a request once. Of two, Node takes the first for some and joins others with a comma, and a
 * proxy in front may have decided on the other one; so a second is refused, whatever its value.
 */
const ONCE: ReadonlySet<string> = new Set([
  "access-control-request-method",
  "authorization",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-length",
  "content-md5",
  "content-range",
  "content-type",
  "date",
  "expect",
  "expires",
  "host",
  "origin",
  "pic-operations",
  "range",
  "referer",
  "transfer-encoding",
  "user-agent",
]);
const ONCE_PREFIXES = ["x-cos-", "x-ci-", "x-amz-", "if-"];

/**
 * Reads the fields from `[name, value, name, value …]`. Bytes beyond ASCII arrive as one Latin-1 character each and
 * stay so: what a client stores is given back byte for byte.
 *
 * Throws CosError `BadRquest` for a field that is repeated though it may occur once, and for more than `headersMax`
 * fields. Other repeated fields are joined with ", ", as RFC 9110 has it.
 */
export function readHeaders(rawHeaders: readonly string[], headersMax: number): HeaderFields {
  if (rawHeaders.length > headersMax * 2) {
    throw refuse("BadRquest", { message: `The request has more than ${headersMax} header fields.` });
  }
  // A Map, because a field may be called `__proto__`.
  const values = new Map<string, string>();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase();
    const value = rawHeaders[index + 1] as string;
    const before = values.get(name);
    if (before === undefined) {
      values.set(name, value);
    } else if (ONCE.has(name) || ONCE_PREFIXES.some((prefix) => name.startsWith(prefix))) {
      throw refuse("BadRquest", { message: `The header ${name} is sent more than once.` });
    } else {
      values.set(name, `${before}, ${value}`);
    }
  }
  return new Fields(values);
}

/** Fields of these values, by lower-case name, where a request means others than those it was sent with. */
export function headerFields(values: ReadonlyMap<string, string>): HeaderFields {
  return new Fields(values);
}

/** No fields at all; for requests whose headers could not be read. */
export function noHeaders(): HeaderFields {
  return new Fields(new Map());
}

class Fields implements HeaderFields {
  readonly #values: ReadonlyMap<string, string>;

  constructor(values: ReadonlyMap<string, string>) {
    this.#values = values;
  }

  get(name: string): string | undefined {
    const value = this.#values.get(name);
    if (value === undefined || value === "") return undefined;
    return trimmed(value) || undefined;
  }

  raw(name: string): string | undefined {
    return this.#values.get(name);
  }

  entries(): Iterable<readonly [name: string, value: string]> {
    return this.#values.entries();
  }
}

/** Without blanks and tabs at both ends. `trim` would also take 0xA0, which is the last byte of `à` in UTF-8. */
function trimmed(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isBlank(value.charCodeAt(start))) start += 1;
  while (end > start && isBlank(value.charCodeAt(end - 1))) end -= 1;
  return start === 0 && end === value.length ? value : value.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
