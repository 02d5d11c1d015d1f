/** What operations on objects share: the stored headers, conditions and ranges. Pure. */

import type { Caller } from "../../access/caller.ts";
import { type CosError, refuse } from "../../errors/cos-error.ts";
import { parseHttpDate } from "../../http/dates.ts";
import type { Limits } from "../../limits.ts";
import { checksumHeaders } from "../../operations/checksums.ts";
import { header, headersWithPrefix, query } from "../../operations/input-fields.ts";
import { isHeaderText, out } from "../../operations/output-fields.ts";
import type { InputField, OperationContext } from "../../operations/operation.ts";
import { type KeptChecksum, keptChecksum, keptParts } from "../../store/checksums.ts";
import type { ContentHeaders, ObjectRecord, VersionRecord } from "../../store/records.ts";
import type { Tiering } from "../../store/storage-class.ts";
import { keptTags } from "../../store/tags.ts";
import { expirationOutput, shownExpiration } from "../lifecycle/model.ts";
import { describeLock, lockOutput } from "../object-lock/model.ts";
import { classOutput, describeClass, tieringFor } from "../storage-class/model.ts";
import { contentTypeOf } from "./content-types.ts";

/** Headers that are stored with an object and sent back as they came. */
const HEADER_NAMES = {
  contentType: "Content-Type",
  cacheControl: "Cache-Control",
  contentDisposition: "Content-Disposition",
  contentEncoding: "Content-Encoding",
  contentLanguage: "Content-Language",
  expires: "Expires",
} as const satisfies Record<keyof ContentHeaders, string>;
type HeaderKey = keyof typeof HEADER_NAMES;
const HEADER_KEYS = Object.keys(HEADER_NAMES) as readonly HeaderKey[];

/** The input fields of every operation that creates an object: PUT, copy, initiate, append. */
export const storedHeaderFields = {
  contentType: header.text(HEADER_NAMES.contentType),
  cacheControl: header.text(HEADER_NAMES.cacheControl),
  contentDisposition: header.text(HEADER_NAMES.contentDisposition),
  contentEncoding: header.text(HEADER_NAMES.contentEncoding),
  contentLanguage: header.text(HEADER_NAMES.contentLanguage),
  expires: header.text(HEADER_NAMES.expires),
} satisfies Record<HeaderKey, unknown>;

type HeaderValues = { readonly [K in HeaderKey]: string | undefined };

function defined(values: HeaderValues): ContentHeaders {
  const headers: { -readonly [K in HeaderKey]?: string } = {};
  for (const key of HEADER_KEYS) {
    const value = values[key];
    if (value !== undefined) headers[key] = value;
  }
  return headers;
}

/** The headers to store with a new object under `key`; a type is always among them. */
export function storedHeaders(input: HeaderValues, key: string): ContentHeaders {
  return defined({ ...input, contentType: input.contentType ?? contentTypeOf(key) });
}

/** User metadata: `x-cos-meta-*`, at most `limits.metadataBytesMax` bytes of names and values together. */
export const metadataField = headersWithPrefix(
  "x-cos-meta-",
  (pairs, limits: Limits) => {
    let bytes = 0;
    for (const [name, value] of pairs) bytes += name.length + value.length;
    if (bytes > limits.metadataBytesMax) {
      throw refuse("InvalidArgument", {
        message: `The x-cos-meta- headers hold ${bytes} bytes; at most ${limits.metadataBytesMax} are allowed.`,
        s3: "MetadataTooLarge",
      });
    }
  },
  ["InvalidArgument"],
);

/** Conditions of GET and HEAD. */
export const conditionFields = {
  ifMatch: header.text("If-Match"),
  ifNoneMatch: header.text("If-None-Match"),
  ifModifiedSince: header.date("If-Modified-Since"),
  ifUnmodifiedSince: header.date("If-Unmodified-Since"),
};

/** Values of the four conditions, whichever headers carried them. */
export interface Conditions {
  readonly ifMatch: string | undefined;
  readonly ifNoneMatch: string | undefined;
  /** Milliseconds since 1970. */
  readonly ifModifiedSince: number | undefined;
  /** Milliseconds since 1970. */
  readonly ifUnmodifiedSince: number | undefined;
}

/** `etag` is undefined for what has none: only `*` names that. */
function listNames(list: string, etag: string | undefined): boolean {
  return list.split(",").some((part) => {
    const text = part.trim();
    if (text === "*") return true;
    const strong = text.startsWith("W/") ? text.slice(2) : text;
    return (strong.startsWith('"') && strong.endsWith('"') ? strong.slice(1, -1) : strong) === etag;
  });
}

/**
 * What the conditions make of an object: `proceed`, `failed` (412) or `unchanged` (304). If-Match wins over
 * If-Unmodified-Since and If-None-Match over If-Modified-Since (RFC 9110 §13.2.2). Dates compare in whole seconds.
 */
export function evaluateConditions(
  conditions: Conditions,
  object: { readonly etag: string; readonly modifiedMs: number },
): "proceed" | "failed" | "unchanged" {
  const modified = Math.floor(object.modifiedMs / 1000) * 1000;
  if (conditions.ifMatch !== undefined) {
    if (!listNames(conditions.ifMatch, object.etag)) return "failed";
  } else if (conditions.ifUnmodifiedSince !== undefined && modified > conditions.ifUnmodifiedSince) {
    return "failed";
  }
  if (conditions.ifNoneMatch !== undefined) {
    if (listNames(conditions.ifNoneMatch, object.etag)) return "unchanged";
  } else if (conditions.ifModifiedSince !== undefined && modified <= conditions.ifModifiedSince) {
    return "unchanged";
  }
  return "proceed";
}

/** The header fields that tell the checksum of what is answered: a part's own, or that of an object that is sent whole. */
export function checksumOfAnswer(
  object: Pick<ObjectRecord, "sections">,
  part: PartOfObject | undefined,
  isWhole: boolean,
): ReturnType<typeof checksumHeaders> {
  if (part !== undefined) return checksumHeaders(part.checksum);
  return isWhole ? checksumHeaders(keptChecksum(object.sections), keptParts(object.sections)?.length) : undefined;
}

/** Conditions of writes, held against what stands under the key when the object is stored. */
export const writeConditionFields = {
  ifMatch: header.text("If-Match", "an ETag; the object must be there with it"),
  ifNoneMatch: header.text("If-None-Match", "*, so that no object may be there, or an ETag that it may not have"),
};

/** Values of the two conditions. */
export interface WriteConditions {
  readonly ifMatch: string | undefined;
  readonly ifNoneMatch: string | undefined;
}

/** The refusals of `refuseWrite`, for the declarations of its callers. */
export const WRITE_CONDITION_ERRORS = ["NoSuchKey", "PreconditionFailed"] as const;

/** The refusal of a condition that does not hold. What does is for its record alone. */
export function preconditionFailed(
  present: Pick<ObjectRecord, "etag"> & Partial<Pick<ObjectRecord, "modifiedMs">>,
): CosError {
  const { etag, modifiedMs } = present;
  const modified =
    modifiedMs === undefined ? "" : `, and it was last modified at ${new Date(modifiedMs).toISOString()}`;
  return refuse("PreconditionFailed", { cause: `the object's ETag is "${etag}"${modified}` });
}

/** The refusal of a range of which an object has no byte. */
export function rangeMissed(range: string | undefined, { size }: Pick<ObjectRecord, "size">): CosError {
  return refuse("InvalidRange", {
    headers: { "Content-Range": `bytes */${size}` },
    cause: `the object has ${size} bytes, and the range is ${JSON.stringify(range)}`,
  });
}

/**
 * Refuses a write whose conditions do not hold: PreconditionFailed, or NoSuchKey where an ETag is asked for and there is
 * no object. To be called in the transaction that stores, with what that has read: of two writers that both want to be
 * the first, one is.
 */
export function refuseWrite(
  { ifMatch, ifNoneMatch }: WriteConditions,
  present: { readonly etag: string } | undefined,
): void {
  if (ifNoneMatch !== undefined && present !== undefined && listNames(ifNoneMatch, present.etag)) {
    throw preconditionFailed(present);
  }
  if (ifMatch === undefined) return;
  if (present === undefined) throw refuse("NoSuchKey");
  if (!listNames(ifMatch, present.etag)) throw preconditionFailed(present);
}

/**
 * Refuses to delete an object that has another ETag; one that is not there is no fault. A delete marker has no ETag that
 * could be the right one. Raises PreconditionFailed.
 */
export function refuseRemoval(ifMatch: string, present: VersionRecord | undefined): void {
  if (present === undefined) return;
  const etag = present.type === "delete-marker" ? undefined : present.etag;
  if (!listNames(ifMatch, etag)) throw refuse("PreconditionFailed");
}

/**
 * Set by the S3 dialect: to S3 a version that is gone is deleted, as an object that is gone is to both. (S3 DeleteObject
 * page; the service answers NoSuchVersion)
 */
export const absentVersionsField = query.text(
  "x-amz-absent-versions",
  "of the S3 dialect: a version that is not there is no fault",
);

/** Number of a part to read, as the S3 dialect passes it on; `partNumber` alone would be half of an upload's name. */
export const partField = query.integer("x-amz-part-number", { min: 1, max: 2 ** 31 - 1 });

/** The bytes of one of the parts that an object was made of, and how many parts there are. */
export interface PartOfObject extends ByteRange {
  /** Undefined for an object that was not made of parts: all of it is its first one. */
  readonly parts: number | undefined;
  /** The checksum it is kept with, under the type of the whole. */
  readonly checksum: KeptChecksum | undefined;
}

/** Finds a part. Throws CosError InvalidRange, with S3's code for it, where there is no such part. */
export function partOfObject(object: Pick<ObjectRecord, "sections" | "size" | "etag">, number: number): PartOfObject {
  const parts = keptParts(object.sections);
  if (parts === undefined && number === 1 && !object.etag.includes("-")) {
    return { start: 0, end: object.size, parts: undefined, checksum: keptChecksum(object.sections) };
  }
  let start = 0;
  for (const part of parts ?? []) {
    const end = start + part.size;
    if (part.number === number) {
      const whole = keptChecksum(object.sections);
      const checksum = whole && part.checksum && { ...whole, value: part.checksum };
      return { start, end, parts: parts?.length, checksum };
    }
    start = end;
  }
  throw refuse("InvalidRange", { message: "The requested partnumber is not satisfiable", s3: "InvalidPartNumber" });
}

/** Part of an object: bytes from `start` up to, not including, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Raises InvalidRequest for a range of an object of which one part is asked for as well. */
export function refuseRangeOfPart(range: string | undefined, part: number | undefined): void {
  if (range === undefined || part === undefined) return;
  throw refuse("InvalidRequest", { message: "Cannot specify both Range header and partNumber query parameter" });
}

/**
 * The `Range` of a HEAD, which COS passes over, as HTTP has it (RFC 9110 §14.2), and S3 heeds: its dialect gives it this
 * name. (S3 HeadObject page)
 */
export const rangeOfHeadField = header.text("x-amz-range", "bytes=first-last");

const RANGE = /^bytes=[ \t]*(\d*)[ \t]*-[ \t]*(\d*)[ \t]*$/i;

/**
 * Reads a `Range` header against an object of `size` bytes: a range, `whole` where the header says nothing usable
 * (another unit, several ranges, bad syntax, last before first: RFC 9110 §14.2 has such a header ignored), or
 * `unsatisfiable` when no byte of it exists (416).
 */
export function readRange(text: string | undefined, size: number): ByteRange | "whole" | "unsatisfiable" {
  if (text === undefined) return "whole";
  const match = RANGE.exec(text);
  if (match === null) return "whole";
  const [, first = "", last = ""] = match;
  if (first === "") {
    if (last === "") return "whole";
    const count = Math.min(Number(last), size);
    return count === 0 ? "unsatisfiable" : { start: size - count, end: size };
  }
  const start = Number(first);
  if (last !== "" && Number(last) < start) return "whole";
  if (start >= size) return "unsatisfiable";
  return { start, end: last === "" ? size : Math.min(Number(last) + 1, size) };
}

/**
 * Whether `If-Range` lets a range stand: absent, the object's very ETag, or its very date (RFC 9110 §13.1.5). Otherwise
 * the whole object is sent, so that a download that is resumed never joins parts of two objects.
 */
export function rangeStands(
  ifRange: string | undefined,
  object: { readonly etag: string; readonly modifiedMs: number },
): boolean {
  if (ifRange === undefined || ifRange === `"${object.etag}"` || ifRange === object.etag) return true;
  return parseHttpDate(ifRange) === Math.floor(object.modifiedMs / 1000) * 1000;
}

/** One override as input: refused when it could not stand in a header. Text beyond ASCII goes out as its UTF-8 bytes. */
function override(name: string): InputField<string | undefined> {
  const text = query.text(name);
  return {
    ...text,
    errors: [...text.errors, "InvalidArgument"],
    read(source) {
      const value = text.read(source) as string | undefined;
      if (value === undefined || value === "") return undefined;
      const bytes = Buffer.from(value, "utf8").toString("latin1");
      if (!isHeaderText(bytes)) {
        throw refuse("InvalidArgument", { message: `The argument ${name} holds a control character.` });
      }
      return bytes;
    },
  };
}

export const overrideFields = {
  contentType: override("response-content-type"),
  cacheControl: override("response-cache-control"),
  contentDisposition: override("response-content-disposition"),
  contentEncoding: override("response-content-encoding"),
  contentLanguage: override("response-content-language"),
  expires: override("response-expires"),
} satisfies Record<HeaderKey, unknown>;

/** Output fields of every answer that describes an object. */
export const objectOutput = {
  etag: out.quoted("ETag"),
  lastModified: out.date("Last-Modified"),
  crc64: out.integer("x-cos-hash-crc64ecma"),
  objectType: out.text("x-cos-object-type", "normal or appendable"),
  nextAppendPosition: out.integer("x-cos-next-append-position"),
  tagCount: out.integer("x-cos-tagging-count"),
  ...classOutput,
  expiration: expirationOutput,
  ...lockOutput,
  stored: out.headers("the stored headers"),
  metadata: out.headersWithPrefix("x-cos-meta-"),
};

/** Raises InvalidRequest for overrides of somebody who has not signed. */
export function refuseOverrides(overrides: Readonly<Record<string, string | undefined>>, caller: Caller): void {
  if (caller.kind !== "anonymous" || Object.values(overrides).every((value) => value === undefined)) return;
  throw refuse("InvalidRequest", { message: "response- parameters are for signed requests only." });
}

/** What an answer about an object depends on besides its record. */
interface ObjectView {
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  readonly tiering: Tiering | undefined;
  /** The value of its output field. */
  readonly expiration: string | undefined;
  readonly overrides?: HeaderValues;
}

/** How to describe an object of this bucket at this moment. An older version has no end that a header could tell. */
export function viewOf(
  { bucket, clock, key, store }: Pick<OperationContext, "bucket" | "clock" | "key" | "store">,
  object: ObjectRecord,
): ObjectView | Promise<ObjectView> {
  const nowMs = clock.now();
  const tiering = tieringFor(store, bucket, [object]);
  const expiration = object.supersededMs === undefined ? shownExpiration(store, bucket, key, object) : undefined;
  // Most buckets have neither, and most requests need not wait for either.
  if (tiering === undefined && expiration === undefined) return { key, nowMs, tiering, expiration };
  return Promise.all([tiering, expiration]).then(([known, shown]) => ({
    key,
    nowMs,
    tiering: known,
    expiration: shown,
  }));
}

/** The values of `objectOutput` for an object at `nowMs`; `overrides` stand in for its stored headers. */
export function describeObject(object: ObjectRecord, view: ObjectView) {
  const { expiration, overrides } = view;
  const stored: [string, string][] = [];
  for (const key of HEADER_KEYS) {
    const value = overrides?.[key] ?? object.headers[key];
    if (value !== undefined) stored.push([HEADER_NAMES[key], value]);
  }
  return {
    etag: object.etag,
    lastModified: object.modifiedMs,
    crc64: object.crc64,
    objectType: object.type,
    nextAppendPosition: object.type === "appendable" ? object.size : undefined,
    tagCount: object.sections.length === 0 ? undefined : keptTags(object.sections).length || undefined,
    ...describeClass(object, view),
    expiration,
    ...describeLock(object.sections),
    stored,
    metadata: object.metadata,
  };
}
