/** What whole copies and part copies share: finding the source, holding it against its conditions, and its digests. */

import { refuse } from "../../errors/cos-error.ts";
import type { ErrorId } from "../../errors/catalogue.ts";
import { header, required } from "../../operations/input-fields.ts";
import type { OperationContext } from "../../operations/operation.ts";
import { BodyVanished, type PendingBody, type SourceRow } from "../../store/bodies.ts";
import { type ChecksumAlgorithm, type KeptChecksum, keptChecksum, runningChecksum } from "../../store/checksums.ts";
import { bodyDigests, type Digests } from "../../store/digests.ts";
import type { DataKey } from "../../store/encryption.ts";
import type { BucketRecord, ObjectRecord } from "../../store/records.ts";
import { parseVersionId } from "../../store/version-id.ts";
import type { Store } from "../../store/store.ts";
import { objectEvidence } from "../../store/state-evidence.ts";
import { isFrozen, restoreOf } from "../../store/storage-class.ts";
import { DECRYPT_ERRORS, keyToRead, sourceKeyField } from "../encryption/model.ts";
import { type ByteRange, evaluateConditions, preconditionFailed } from "../object/model.ts";
import { noteAccess, refuseFrozen, tieringFor } from "../storage-class/model.ts";

/** Attempts at a source that writers keep replacing. */
const ATTEMPTS_MAX = 10;

/** Input fields that name a source and its conditions. */
export const copySourceFields = {
  source: required(header.text("x-cos-copy-source", "<bucket>.cos.<region>.myqcloud.com/<key>"), "InvalidCopySource"),
  sourceIfMatch: header.text("x-cos-copy-source-If-Match"),
  sourceIfNoneMatch: header.text("x-cos-copy-source-If-None-Match"),
  sourceIfModifiedSince: header.date("x-cos-copy-source-If-Modified-Since"),
  sourceIfUnmodifiedSince: header.date("x-cos-copy-source-If-Unmodified-Since"),
  sourceKey: sourceKeyField,
  sourceOwner: header.text("x-amz-source-expected-bucket-owner", "UIN or APPID of the owner of the source's bucket"),
};

interface CopySourceInput {
  readonly source: string;
  readonly sourceIfMatch: string | undefined;
  readonly sourceIfNoneMatch: string | undefined;
  readonly sourceIfModifiedSince: number | undefined;
  readonly sourceIfUnmodifiedSince: number | undefined;
  readonly sourceKey: Buffer | undefined;
  readonly sourceOwner: string | undefined;
}

/** The refusals of `withSource`, for the declarations of its callers. */
export const COPY_SOURCE_ERRORS = [
  ...DECRYPT_ERRORS,
  "InvalidCopySource",
  "InvalidObjectState403",
  "InvalidObjectState409",
  "NoSuchCopySource",
  "PathConflict",
  "PreconditionFailed",
] as const satisfies readonly ErrorId[];

interface ResolvedSource {
  readonly bucket: BucketRecord;
  readonly key: string;
  readonly object: ObjectRecord;
  /** Whether the source names a version, which is then no copy of the object onto itself. */
  readonly isNamedVersion: boolean;
  /** What the object's bytes are sealed with, if they are. */
  readonly dataKey: DataKey | undefined;
  /** The row as it was read, which `bodies.share` holds its transaction against. */
  readonly row: SourceRow;
}

type SourceContext = Pick<OperationContext, "bucket" | "caller" | "clock" | "key" | "locate" | "may" | "store">;

/**
 * Finds the object a copy takes and makes the copy with `use`; from the start again whenever the source was replaced or
 * deleted meanwhile. Raises what the source is refused with, and PathConflict when writers keep replacing it.
 */
export async function withSource<T>(
  context: SourceContext,
  input: CopySourceInput,
  use: (source: ResolvedSource) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const source = await resolveCopySource(context, input);
    try {
      const made = await use(source);
      // A note before would change the row that the copy's transaction is held against.
      await noteAccess({ ...source, store: context.store }, context.clock.now());
      return made;
    } catch (error) {
      if (!(error instanceof BodyVanished)) throw error;
      if (attempt === ATTEMPTS_MAX) throw refuse("PathConflict", { cause: error });
    }
  }
}

/**
 * The object a copy takes. The caller must be allowed to read it, which is checked before anything tells whether it is
 * there. Conditions are held against the very row that is returned.
 */
async function resolveCopySource(context: SourceContext, input: CopySourceInput): Promise<ResolvedSource> {
  const named = context.locate(input.source);
  const versionId = named.versionId === undefined ? undefined : parseVersionId(named.versionId);
  const about = { bucket: named.writtenBucket, key: named.key };
  const bucket = await context.store.buckets.find(named.bucket);
  if (bucket === undefined || (named.region !== undefined && named.region !== bucket.region)) {
    throw refuse("NoSuchCopySource", { s3: "NoSuchBucket", about });
  }
  const { sourceOwner } = input;
  if (sourceOwner !== undefined && sourceOwner !== bucket.ownerUin && sourceOwner !== bucket.ownerAppid) {
    throw refuse("AccessDenied");
  }
  const found = await context.store.objects.findVersion(bucket, named.key, versionId);
  const object = found?.record.type === "delete-marker" ? undefined : found?.record;
  const wanted = {
    action: "name/cos:GetObject",
    permission: "read",
    bucket,
    key: named.key,
    object,
    versionId: named.versionId ?? "",
  } as const;
  if (!(await context.may(wanted))) throw refuse("AccessDenied");
  // A version that is named and is a delete marker is a fault of the source. (part-copy reference page)
  if (found !== undefined && object === undefined && versionId !== undefined) {
    throw refuse("InvalidCopySource", { message: "The version of the copy source is a delete marker." });
  }
  if (found === undefined || object === undefined) throw refuse("NoSuchCopySource", { about });

  const verdict = evaluateConditions(
    {
      ifMatch: input.sourceIfMatch,
      ifNoneMatch: input.sourceIfNoneMatch,
      ifModifiedSince: input.sourceIfModifiedSince,
      ifUnmodifiedSince: input.sourceIfUnmodifiedSince,
    },
    object,
  );
  if (verdict !== "proceed") throw preconditionFailed(object);
  // Appendable objects cannot be copied. (copy reference page)
  if (object.type === "appendable") throw refuse("InvalidObjectState409");
  const nowMs = context.clock.now();
  const tiering = await tieringFor(context.store, bucket, [object]);
  const placed = { key: named.key, tiering, nowMs };
  // The class of an object cannot be changed while it is being restored.
  const isOntoItself = bucket.id === context.bucket.id && named.key === context.key;
  if (isOntoItself && restoreOf(object, nowMs) !== undefined && isFrozen(object, named.key, tiering, nowMs)) {
    throw refuse("InvalidObjectState409", { evidence: () => objectEvidence(object, bucket.lock, nowMs) });
  }
  refuseFrozen(object, placed);
  const isNamedVersion = versionId !== undefined && bucket.versioning !== undefined;
  const { key } = named;
  const dataKey = await keyToRead({ ...context, bucket, key }, object, input.sourceKey);
  return { bucket, key, object, dataKey, isNamedVersion, row: found.source };
}

/** What a copy takes its bytes of. */
type CopiedBytes = Pick<ResolvedSource, "object" | "dataKey">;

/** The bytes of a copy, with their digests. */
export interface Copied extends Pick<Digests, "md5" | "crc64"> {
  readonly pending: PendingBody;
}

/**
 * The bytes of a range of a source for a holder whose bytes are sealed with `dataKey`, or not at all. They are shared
 * where they are stored as the holder needs them, and otherwise read and stored anew.
 */
export async function copiedBytes(
  store: Store,
  source: CopiedBytes & Pick<ResolvedSource, "row">,
  range: ByteRange,
  dataKey: Buffer | undefined,
): Promise<Copied> {
  const { object } = source;
  const { start, end } = range;
  const present = source.dataKey?.bytes;
  if (dataKey === undefined ? present === undefined : present?.equals(dataKey) === true) {
    const digests = await digestsOfSource(store, source, range);
    return { ...digests, pending: await store.bodies.share(object.body, start, end, source.row) };
  }
  const declaredLength = end - start;
  const stream = () => store.bodies.read(object.body, start, end, present);
  const taken = await store.bodies.ingest(
    { declaredLength, stream, collect: () => collected(stream()) },
    { bytesMax: declaredLength, over: "EntityTooLarge", dataKey },
  );
  return { md5: taken.md5, crc64: taken.crc64, pending: taken };
}

async function collected(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(Buffer.from(chunk));
  return Buffer.concat(all);
}

/**
 * The checksum of a copy: the one that is asked for, computed, or that of the whole source where it has one; undefined
 * where there is neither.
 */
export async function checksumOfSource(
  store: Store,
  { object: source, dataKey }: CopiedBytes,
  { start, end }: ByteRange,
  algorithm: ChecksumAlgorithm | undefined,
): Promise<KeptChecksum | undefined> {
  const kept = keptChecksum(source.sections);
  const whole = start === 0 && end === source.size && kept?.type === "FULL_OBJECT";
  if (whole && (algorithm ?? kept.algorithm) === kept.algorithm) return kept;
  if (algorithm === undefined) return undefined;
  const running = runningChecksum(algorithm);
  for await (const chunk of store.bodies.read(source.body, start, end, dataKey?.bytes)) running.update(chunk);
  return { algorithm, type: "FULL_OBJECT", value: running.digest() };
}

/**
 * MD5, in hex, and CRC-64 of a range of a source. A whole object that was stored in one request has both in its record;
 * one that was made of parts has an ETag of another form, as has one under a key that is not the service's, and appendable
 * ones, whose ETag is no MD5, are no sources. All other bytes are read once for them.
 */
async function digestsOfSource(
  store: Store,
  { object: source, dataKey }: CopiedBytes,
  { start, end }: ByteRange,
): Promise<Pick<Digests, "md5" | "crc64">> {
  const isMd5 = !source.etag.includes("-") && (dataKey === undefined || dataKey.shown.kind === "service");
  if (start === 0 && end === source.size && isMd5) return { md5: Buffer.from(source.etag, "hex"), crc64: source.crc64 };
  const digests = bodyDigests();
  for await (const chunk of store.bodies.read(source.body, start, end, dataKey?.bytes)) digests.update(chunk);
  const { md5, crc64 } = digests.finish();
  return { md5, crc64 };
}
