/** What Complete Multipart Upload makes of an upload: the rules for its parts, and the object's facts. Pure. */

import { aclSections, ownAcl } from "../../access/acl.ts";
import { type CosError, refuse } from "../../errors/cos-error.ts";
import type { Limits } from "../../limits.ts";
import { checksumMismatch, type CompletedClaim } from "../../operations/checksums.ts";
import {
  type ChecksumAlgorithm,
  checksumOf,
  checksumSections,
  type ChecksumType,
  combinedChecksum,
  combines,
  type KeptChecksum,
  keptChecksum,
  type KeptPart,
  partsSections,
} from "../../store/checksums.ts";
import { crc64Combine } from "../../store/digests.ts";
import { retentionOf, retentionSections } from "../../store/locks.ts";
import type { NewObject } from "../../store/objects.ts";
import type { UploadRecord } from "../../store/records.ts";
import { keptTags, tagSections } from "../../store/tags.ts";
import type { NumberedPart } from "../../store/uploads.ts";
import { etagOfParts, type NamedPart } from "./model.ts";

export interface CompletionInput {
  /** Ascending; at least one. */
  readonly named: readonly NamedPart[];
  /** Every part of the upload, ascending. */
  readonly parts: readonly NumberedPart[];
  readonly upload: UploadRecord;
  /** What the client takes for the object's checksum, its type and its size. */
  readonly claimed: Claimed;
  readonly limits: Pick<Limits, "partBytesMin" | "objectBytesMax">;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** What a client says of the whole; each may be undefined. */
export interface Claimed {
  readonly checksum: CompletedClaim | undefined;
  readonly type: ChecksumType | undefined;
  /** Bytes. */
  readonly size: number | undefined;
}

export interface CompletedObject {
  /** The parts that the object is made of, ascending. */
  readonly taken: readonly NumberedPart[];
  readonly facts: Omit<NewObject, "body" | "size">;
  readonly checksum: KeptChecksum | undefined;
}

/**
 * The object that the named parts make. Throws CosError InvalidPart for a part that is not there or has another ETag,
 * EntityTooSmall for one, other than the last, below the bound, EntityTooLarge for an object above its bound,
 * InvalidRequest and BadDigest where the client takes the object for another.
 */
export function completedObject({ named, parts, upload, claimed, limits, nowMs }: CompletionInput): CompletedObject {
  const taken = takenParts(named, parts);
  let size = 0;
  let crc64 = 0n;
  for (const [at, part] of taken.entries()) {
    if (at < taken.length - 1 && part.body.size < limits.partBytesMin) throw tooSmall(part, limits.partBytesMin);
    size += part.body.size;
    crc64 = at === 0 ? part.crc64 : crc64Combine(crc64, part.crc64, part.body.size);
  }
  if (size > limits.objectBytesMax) {
    const told = `The parts have ${size} bytes together.`;
    const bound = limits.objectBytesMax;
    throw refuse("EntityTooLarge", { evidence: () => ({ kind: "limit", name: "objectBytesMax", bound, told }) });
  }
  if (claimed.size !== undefined && claimed.size !== size) {
    throw refuse("InvalidRequest", {
      message: `The provided 'x-amz-mp-object-size' header value ${claimed.size} does not match what was computed: ${size}`,
    });
  }
  const checksum = wholeChecksum(taken, keptChecksum(upload.sections), claimed);
  return {
    taken,
    checksum,
    facts: {
      etag: etagOfParts(taken.map(({ md5 }) => md5)),
      crc64,
      modifiedMs: nowMs,
      storageClass: upload.storageClass,
      type: "normal",
      ownerUin: upload.ownerUin,
      headers: upload.headers,
      metadata: upload.metadata,
      sections: [
        ...checksumSections(checksum),
        ...partsSections(keptPartsOf(taken, checksum)),
        ...tagSections(keptTags(upload.sections)),
        ...aclSections(ownAcl(upload.sections)),
        ...retentionSections(retentionAt(upload, nowMs)),
      ],
    },
  };
}

function tooSmall({ number, body }: NumberedPart, bound: number): CosError {
  const told = `Part ${number} has ${body.size} bytes, and it is not the last one.`;
  return refuse("EntityTooSmall", { evidence: () => ({ kind: "limit", name: "partBytesMin", bound, told }) });
}

/** What the upload says of its lock, unless that is over: then the object is locked as its bucket locks by default. */
function retentionAt({ sections }: UploadRecord, nowMs: number): number | undefined {
  const untilMs = retentionOf(sections);
  return untilMs !== undefined && untilMs > nowMs ? untilMs : undefined;
}

function takenParts(named: readonly NamedPart[], parts: readonly NumberedPart[]): readonly NumberedPart[] {
  const byNumber = new Map(parts.map((part) => [part.number, part]));
  return named.map(({ number, etag, checksum }) => {
    const found = byNumber.get(number);
    if (found?.md5 !== etag) {
      const there = found === undefined ? "is not there" : `has the ETag "${found.md5}"`;
      throw refuse("InvalidPart", { cause: `part ${number} ${there}` });
    }
    const kept = keptChecksum(found.sections);
    const named = checksum?.value;
    if (checksum !== undefined && kept?.algorithm === checksum.algorithm && named?.equals(kept.value) !== true) {
      throw refuse("InvalidPart", { cause: `part ${number} has another checksum` });
    }
    return found;
  });
}

function keptPartsOf(taken: readonly NumberedPart[], checksum: KeptChecksum | undefined): readonly KeptPart[] {
  return taken.map(({ number, body, sections }) => {
    const own = keptChecksum(sections);
    return { number, size: body.size, checksum: own?.algorithm === checksum?.algorithm ? own?.value : undefined };
  });
}

/** The checksum of the whole, where its upload has one or the client names one that follows from its parts. */
function wholeChecksum(
  taken: readonly NumberedPart[],
  wanted: KeptChecksum | undefined,
  { checksum: told, type }: Claimed,
): KeptChecksum | undefined {
  if (type !== undefined && type !== (wanted?.type ?? type)) {
    throw refuse("InvalidRequest", {
      message: `The upload was created using the ${wanted?.type} checksum type. The complete request must use the same checksum type.`,
    });
  }
  const algorithm = wanted?.algorithm ?? told?.algorithm;
  if (algorithm === undefined) return undefined;
  const values: Buffer[] = [];
  for (const { sections } of taken) {
    const own = keptChecksum(sections);
    if (own?.algorithm === algorithm) values.push(own.value);
  }
  // Parts that were copied, or sent before anybody spoke of checksums, have none: then neither has the whole.
  const complete = values.length === taken.length;
  const whole = complete
    ? joined(algorithm, values, taken, wanted?.type ?? type ?? defaultType(algorithm, told))
    : undefined;
  if (told === undefined) return whole;
  if (told.algorithm !== algorithm || whole === undefined) {
    throw refuse("InvalidRequest", {
      message: `The object's ${told.algorithm} cannot be computed: its parts have no such checksums.`,
    });
  }
  const count = whole.type === "COMPOSITE" ? taken.length : undefined;
  if (!told.value.equals(whole.value) || (told.parts !== undefined && told.parts !== count)) {
    throw checksumMismatch(algorithm);
  }
  return whole;
}

function defaultType(algorithm: ChecksumAlgorithm, told: CompletedClaim | undefined): ChecksumType {
  return told?.parts === undefined && combines(algorithm) ? "FULL_OBJECT" : "COMPOSITE";
}

function joined(
  algorithm: ChecksumAlgorithm,
  values: readonly Buffer[],
  taken: readonly NumberedPart[],
  type: ChecksumType,
): KeptChecksum {
  if (type === "COMPOSITE" || !combines(algorithm)) {
    return { algorithm, type: "COMPOSITE", value: checksumOf(algorithm, Buffer.concat(values)) };
  }
  let value = values[0] as Buffer;
  for (let at = 1; at < values.length; at++) {
    value = combinedChecksum(algorithm, value, values[at] as Buffer, (taken[at] as NumberedPart).body.size);
  }
  return { algorithm, type, value };
}
