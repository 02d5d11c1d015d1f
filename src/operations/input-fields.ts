/** The vocabulary of declared input: what a header, a query parameter or a body may hold, and what it raises. */

import { createHash } from "node:crypto";
import type { ErrorId } from "../errors/catalogue.ts";
import { CosError, refuse } from "../errors/cos-error.ts";
import { parseHttpDate } from "../http/dates.ts";
import type { RequestBody } from "../http/request.ts";
import type { Limits } from "../limits.ts";
import { type XmlElement, parseXml, XmlFault } from "../xml/parse.ts";
import { type ChecksumClaim, checksumField, verifyDocument } from "./checksums.ts";
import type { InputField, InputFields, InputOf, InputSource } from "./operation.ts";

/** Decimal digits only: no sign, no blanks, no exponent; at most 19 digits. */
const DIGITS = /^\d{1,19}$/;
const BASE64_MD5 = /^[A-Za-z0-9+/]{22}==$/;
const HEX_SHA1 = /^[0-9a-fA-F]{40}$/;

interface NumberBounds {
  readonly min: number;
  readonly max: number;
  /** Values above `max` count as `max` instead of being refused. */
  readonly clamp?: boolean;
  readonly error?: ErrorId;
}

function readInteger(name: string, text: string, bounds: NumberBounds): number {
  const value = DIGITS.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value) || value < bounds.min || (value > bounds.max && bounds.clamp !== true)) {
    const expected =
      bounds.max === Number.MAX_SAFE_INTEGER
        ? `a whole number from ${bounds.min}`
        : `a whole number from ${bounds.min} to ${bounds.max}`;
    throw refuse(bounds.error ?? "InvalidArgument", { message: `The argument ${name} must be ${expected}.` });
  }
  return Math.min(value, bounds.max);
}

type Carrier = "header" | "query";

function carried(from: Carrier, name: string): (source: InputSource) => string | undefined {
  const key = name.toLowerCase();
  if (from === "header") return ({ request }) => request.headers.get(key);
  return ({ request }) => {
    const { query } = request.target;
    if (query.repeated(key)) {
      throw refuse("InvalidArgument", { message: `The argument ${name} is given more than once.` });
    }
    return query.get(key);
  };
}

function field<T>(
  from: Carrier,
  name: string,
  summary: string,
  errors: readonly ErrorId[],
  parse: (text: string, source: InputSource) => T,
): InputField<T | undefined> {
  const take = carried(from, name);
  return {
    from,
    name,
    required: false,
    summary,
    errors: from === "query" && !errors.includes("InvalidArgument") ? [...errors, "InvalidArgument"] : errors,
    read(source) {
      const text = take(source);
      return text === undefined ? undefined : parse(text, source);
    },
  };
}

function vocabulary(from: Carrier) {
  return {
    /** Any text. A header that is empty counts as absent; a query parameter that is empty is the empty text. */
    text: (name: string, summary = "text") => field(from, name, summary, [], (text) => text),
    /** A whole number within bounds; raises `error`, by default InvalidArgument. */
    integer: (name: string, bounds: NumberBounds) =>
      field(from, name, `${bounds.min} to ${bounds.max}`, [bounds.error ?? "InvalidArgument"], (text) =>
        readInteger(name, text, bounds),
      ),
    /** One of `values`, in any case; raises `error`, by default InvalidArgument. */
    oneOf: <const V extends string>(name: string, values: readonly V[], error: ErrorId = "InvalidArgument") =>
      field(from, name, values.join(", "), [error], (text): V => {
        const found = values.find((value) => value.toLowerCase() === text.toLowerCase());
        if (found === undefined) {
          throw refuse(error, { message: `The argument ${name} must be one of: ${values.join(", ")}.` });
        }
        return found;
      }),
  };
}

/** Input from a header. Every field is undefined when the header is absent or empty. */
export const header = {
  ...vocabulary("header"),
  /** `Content-MD5`: Base64 of 16 bytes, as bytes. Raises InvalidDigest. */
  md5: (name: string) =>
    field("header", name, "Base64 of 16 bytes", ["InvalidDigest"], (text): Buffer => {
      if (!BASE64_MD5.test(text)) throw refuse("InvalidDigest");
      return Buffer.from(text, "base64");
    }),
  /** A SHA-1 in 40 hex digits, as bytes. Raises InvalidSHA1Digest. */
  sha1: (name: string) =>
    field("header", name, "40 hex digits", ["InvalidSHA1Digest"], (text): Buffer => {
      if (!HEX_SHA1.test(text)) throw refuse("InvalidSHA1Digest");
      return Buffer.from(text, "hex");
    }),
  /**
   * A date of a condition, in milliseconds since 1970: RFC 1123, RFC 850, asctime or ISO 8601. One that cannot be read
   * counts as absent, as RFC 9110 §13.1.3 has it.
   */
  date: (name: string) => field("header", name, "a date", [], (text): number | undefined => parseHttpDate(text)),
};

/** Input from the query. Names match in any case, as SDKs disagree (`versionId`, `VersionId`). */
export const query = vocabulary("query");

/**
 * Headers with a common prefix, by the rest of their names in lower case, in the order received. A header that is the
 * prefix alone raises InvalidArgument.
 */
export function headersWithPrefix(
  prefix: string,
  check: (pairs: readonly (readonly [string, string])[], limits: Limits) => void,
  errors: readonly ErrorId[],
): InputField<readonly (readonly [name: string, value: string])[]> {
  return {
    from: "headers",
    name: prefix,
    required: false,
    summary: "any number of headers",
    errors: [...new Set<ErrorId>([...errors, "InvalidArgument"])],
    read({ request, limits }) {
      const pairs: [string, string][] = [];
      for (const [name, value] of request.headers.entries()) {
        if (!name.startsWith(prefix)) continue;
        if (name === prefix) {
          throw refuse("InvalidArgument", { message: `The header ${prefix} has no name after its prefix.` });
        }
        pairs.push([name.slice(prefix.length), value]);
      }
      check(pairs, limits);
      return pairs;
    },
  };
}

/**
 * Several fields under one name, none of them a body: `conditions: group(conditionFields)`. Their values come as one
 * object.
 */
export function group<const I extends InputFields>(fields: I): InputField<InputOf<I>> {
  const entries = Object.entries(fields);
  return {
    from: "group",
    name: "",
    required: false,
    summary: "",
    errors: [...new Set(entries.flatMap(([, inner]) => inner.errors))],
    fields,
    read(source) {
      const values: Record<string, unknown> = {};
      for (const [name, inner] of entries) values[name] = inner.read(source);
      return values as InputOf<I>;
    },
  };
}

/** The same field, refused with `error` when it is absent. InvalidArgument names the argument unless `message` is given. */
export function required<T>(
  inner: InputField<T>,
  error: ErrorId,
  message?: string,
): InputField<Exclude<Awaited<T>, undefined>> {
  const missing = error === "InvalidArgument" ? `The argument ${inner.name} is missing.` : undefined;
  const told = message ?? missing;
  const refusal = () => refuse(error, told === undefined ? {} : { message: told });
  return {
    ...inner,
    required: true,
    errors: [...inner.errors, error],
    read(source) {
      const value = inner.read(source);
      if (value instanceof Promise) {
        return value.then((settled) => {
          if (settled === undefined) throw refusal();
          return settled as Exclude<Awaited<T>, undefined>;
        });
      }
      if (value === undefined) throw refusal();
      return value as Exclude<Awaited<T>, undefined>;
    },
  };
}

/**
 * The body as a stream, for operations that store it. Raises MissingContentLength for a request that tells no length;
 * one that is sent in chunks passes unless `lengthNeeded`.
 */
export function bodyStream(options: { readonly lengthNeeded?: boolean } = {}): InputField<RequestBody> {
  return {
    from: "body",
    name: "bytes",
    required: true,
    summary: "the object's bytes",
    errors: ["IncompleteBody", "MissingContentLength", "RequestTimeout", "UserNetworkTooSlow"],
    read({ request: { body } }) {
      const told = body.declaredLength !== undefined || (body.chunked && options.lengthNeeded !== true);
      if (!told) throw refuse("MissingContentLength");
      return body;
    },
  };
}

const optionalMd5 = header.md5("Content-MD5");

/** The whole body, held against the digests that were sent with it; undefined when the request has none. */
async function collected(
  { request: { body } }: InputSource,
  expectedMd5: Buffer | undefined,
  claim: ChecksumClaim | undefined,
  bytesMax: number,
  over: ErrorId,
): Promise<Buffer | undefined> {
  if (!body.announced) return undefined;
  const bytes = await body.collect(bytesMax, over);
  if (bytes.length === 0) return undefined;
  const md5 = expectedMd5 && createHash("md5").update(bytes).digest();
  if (md5 !== undefined && expectedMd5?.equals(md5) === false) {
    throw refuse("BadDigest", { cause: `the ${bytes.length} bytes that came have the MD5 ${md5.toString("base64")}` });
  }
  if (claim !== undefined) verifyDocument(bytes, body, claim);
  return bytes;
}

interface DocumentBodyOptions {
  /** What the reference page calls it. */
  readonly name: string;
  readonly bytesMax: (limits: Limits) => number;
  /** Raised for one byte more. */
  readonly over: ErrorId;
}

/** A document of another form than XML, as bytes; undefined when the request has no body. Verifies `Content-MD5`. */
export function documentBody({ name, bytesMax, over }: DocumentBodyOptions): InputField<Buffer | undefined> {
  return {
    from: "body",
    name,
    required: false,
    summary: "a document",
    errors: [
      ...new Set<ErrorId>([over, ...optionalMd5.errors, ...checksumField.errors, "BadDigest", "IncompleteBody"]),
    ],
    async read(source) {
      const claim = checksumField.read(source) as ChecksumClaim | undefined;
      const most = bytesMax(source.limits);
      const bytes = await collected(source, await optionalMd5.read(source), claim, most, over).catch((error) => {
        if (!(error instanceof CosError) || error.id !== over) throw error;
        throw refuse(over, { message: `The ${name} has more than ${most} bytes.`, cause: error });
      });
      return bytes === undefined ? undefined : (source.ownDocument?.(name, bytes) ?? bytes);
    },
  };
}

interface XmlBodyOptions<T> {
  /** Local name of the root element. */
  readonly root: string;
  /** Bound of the document in bytes; one more raises XMLSizeLimit. */
  readonly bytesMax: (limits: Limits) => number;
  /** Turns the root into input; throws XmlFault for what the document may not hold. */
  readonly decode: (root: XmlElement, limits: Limits) => T;
  /** `Content-MD5`, where the service insists on one or a checksum of S3's; by default both may be absent. */
  readonly contentMd5?: InputField<Buffer | undefined>;
  /** Whose checksum `x-amz-checksum-*` is; by default the document's own. */
  readonly checksumOf?: "document" | "object";
}

/**
 * A document in the body; undefined when the request has no body. Raises MalformedXML and XMLSizeLimit, and verifies
 * `Content-MD5` when it is there (BadDigest, InvalidDigest). Make it `required(…, "MissingRequestBodyError")` where the
 * service insists on one.
 */
export function xmlBody<T>(options: XmlBodyOptions<T>): InputField<T | undefined> {
  const { contentMd5 = optionalMd5 } = options;
  return {
    from: "body",
    name: options.root,
    required: false,
    summary: contentMd5.required ? "an XML document, with its Content-MD5" : "an XML document",
    errors: [
      ...new Set<ErrorId>([
        "MalformedXML",
        "XMLSizeLimit",
        ...contentMd5.errors,
        ...checksumField.errors,
        "BadDigest",
        "IncompleteBody",
      ]),
    ],
    async read(source): Promise<T | undefined> {
      const { limits } = source;
      const claim =
        options.checksumOf === "object" ? undefined : (checksumField.read(source) as ChecksumClaim | undefined);
      // Whoever sends a checksum needs no MD5 as well.
      const expectedMd5 = claim === undefined ? await contentMd5.read(source) : await optionalMd5.read(source);
      const bytes = await collected(source, expectedMd5, claim, options.bytesMax(limits), "XMLSizeLimit");
      if (bytes === undefined) return undefined;
      try {
        const own = source.ownDocument?.(options.root, bytes) ?? bytes;
        const root = parseXml(own, { depthMax: limits.xmlDepthMax, elementsMax: limits.xmlElementsMax });
        if (root.name !== options.root) throw new XmlFault(`expected <${options.root}>`, root.line, root.column);
        return options.decode(root, limits);
      } catch (error) {
        if (error instanceof XmlFault) throw refuse("MalformedXML", { cause: error });
        throw error;
      }
    },
  };
}
