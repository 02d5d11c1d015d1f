/** What whole copies and part copies share: finding the source and holding it against its conditions. */

import { refuse } from "../../errors/cos-error.ts";
import type { ErrorId } from "../../errors/catalogue.ts";
import { header, required } from "../../operations/input-fields.ts";
import type { OperationContext } from "../../operations/operation.ts";
import type { SourceRow } from "../../store/bodies.ts";
import type { BucketRecord, ObjectRecord } from "../../store/records.ts";
import { evaluateConditions } from "../object/model.ts";

/** Input fields that name a source and its conditions. */
export const copySourceFields = {
  source: required(header.text("x-cos-copy-source", "<bucket>.cos.<region>.myqcloud.com/<key>"), "InvalidCopySource"),
  sourceIfMatch: header.text("x-cos-copy-source-If-Match"),
  sourceIfNoneMatch: header.text("x-cos-copy-source-If-None-Match"),
  sourceIfModifiedSince: header.date("x-cos-copy-source-If-Modified-Since"),
  sourceIfUnmodifiedSince: header.date("x-cos-copy-source-If-Unmodified-Since"),
};

interface CopySourceInput {
  readonly source: string;
  readonly sourceIfMatch: string | undefined;
  readonly sourceIfNoneMatch: string | undefined;
  readonly sourceIfModifiedSince: number | undefined;
  readonly sourceIfUnmodifiedSince: number | undefined;
}

/** The refusals of `resolveCopySource`, for the declarations of its callers. */
export const COPY_SOURCE_ERRORS = [
  "AccessDenied",
  "InvalidCopySource",
  "InvalidObjectState409",
  "NoSuchCopySource",
  "NotImplemented",
  "PreconditionFailed",
] as const satisfies readonly ErrorId[];

export interface ResolvedSource {
  readonly bucket: BucketRecord;
  readonly key: string;
  readonly object: ObjectRecord;
  /** The row as it was read, which `bodies.share` holds its transaction against. */
  readonly row: SourceRow;
}

/**
 * The object a copy takes. The caller must be allowed to read it, which is checked before anything tells whether it is
 * there. Conditions are held against the very row that is returned.
 */
export async function resolveCopySource(
  context: Pick<OperationContext, "locate" | "mayRead" | "store">,
  input: CopySourceInput,
): Promise<ResolvedSource> {
  const named = context.locate(input.source);
  if (named.versionId !== undefined) {
    throw refuse("NotImplemented", { message: "A copy source with a versionId is not implemented yet." });
  }
  const bucket = await context.store.buckets.find(named.bucket);
  if (bucket === undefined || (named.region !== undefined && named.region !== bucket.region)) {
    throw refuse("NoSuchCopySource");
  }
  if (!context.mayRead(bucket)) throw refuse("AccessDenied");
  const found = await context.store.objects.find(bucket.id, named.key);
  if (found === undefined) throw refuse("NoSuchCopySource");
  const { record: object, source: row } = found;

  const verdict = evaluateConditions(
    {
      ifMatch: input.sourceIfMatch,
      ifNoneMatch: input.sourceIfNoneMatch,
      ifModifiedSince: input.sourceIfModifiedSince,
      ifUnmodifiedSince: input.sourceIfUnmodifiedSince,
    },
    object,
  );
  if (verdict !== "proceed") throw refuse("PreconditionFailed");
  // Appendable objects cannot be copied. (copy reference page)
  if (object.type === "appendable") throw refuse("InvalidObjectState409");
  return { bucket, key: named.key, object, row };
}
