/** What Complete Multipart Upload makes of an upload: the rules for its parts, and the object's facts. Pure. */

import { refuse } from "../../errors/cos-error.ts";
import type { Limits } from "../../limits.ts";
import { crc64Combine } from "../../store/digests.ts";
import type { NewObject } from "../../store/objects.ts";
import type { UploadRecord } from "../../store/records.ts";
import type { NumberedPart } from "../../store/uploads.ts";
import { etagOfParts, type NamedPart } from "./model.ts";

export interface CompletionInput {
  /** Ascending; at least one. */
  readonly named: readonly NamedPart[];
  /** Every part of the upload, ascending. */
  readonly parts: readonly NumberedPart[];
  readonly upload: UploadRecord;
  readonly limits: Pick<Limits, "partBytesMin" | "objectBytesMax">;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

export interface CompletedObject {
  /** The parts that the object is made of, ascending. */
  readonly taken: readonly NumberedPart[];
  readonly facts: Omit<NewObject, "body" | "size">;
}

/**
 * The object that the named parts make. Throws CosError InvalidPart for a part that is not there or has another ETag,
 * EntityTooSmall for one, other than the last, below the bound, EntityTooLarge for an object above its bound.
 */
export function completedObject({ named, parts, upload, limits, nowMs }: CompletionInput): CompletedObject {
  const taken = takenParts(named, parts);
  let size = 0;
  let crc64 = 0n;
  for (const [at, part] of taken.entries()) {
    if (at < taken.length - 1 && part.body.size < limits.partBytesMin) throw refuse("EntityTooSmall");
    size += part.body.size;
    crc64 = at === 0 ? part.crc64 : crc64Combine(crc64, part.crc64, part.body.size);
  }
  if (size > limits.objectBytesMax) throw refuse("EntityTooLarge");
  return {
    taken,
    facts: {
      etag: etagOfParts(taken.map(({ md5 }) => md5)),
      crc64,
      modifiedMs: nowMs,
      storageClass: upload.storageClass,
      type: "normal",
      ownerUin: upload.ownerUin,
      headers: upload.headers,
      metadata: upload.metadata,
      sections: upload.sections,
    },
  };
}

function takenParts(named: readonly NamedPart[], parts: readonly NumberedPart[]): readonly NumberedPart[] {
  const byNumber = new Map(parts.map((part) => [part.number, part]));
  return named.map(({ number, etag }) => {
    const found = byNumber.get(number);
    if (found?.md5 !== etag) throw refuse("InvalidPart");
    return found;
  });
}
