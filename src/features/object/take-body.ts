/** The body of a request that stores bytes, held against the digests that came with it; for PUT, parts and appends. */

import { refuse } from "../../errors/cos-error.ts";
import type { ErrorId } from "../../errors/catalogue.ts";
import { bodyStream, header } from "../../operations/input-fields.ts";
import { checksumField, summedBody } from "../../operations/checksums.ts";
import type { InputOf, OperationContext } from "../../operations/operation.ts";
import type { IngestedBody } from "../../store/bodies.ts";
import type { ChecksumAlgorithm, KeptChecksum } from "../../store/checksums.ts";

/** The input fields of a body and its digests. */
export const bodyFields = {
  contentMd5: header.md5("Content-MD5"),
  contentSha1: header.sha1("x-cos-content-sha1"),
  // What S3 clients tell beside Content-Length: the length of the bytes themselves, without any framing of theirs.
  size: header.integer("x-amz-decoded-content-length", { min: 0, max: Number.MAX_SAFE_INTEGER }),
  checksum: checksumField,
  body: bodyStream(),
};

/** The refusals of `takeBody`, for the declarations of its callers. */
export const BODY_ERRORS = [
  "BadDigest",
  "EntitySizeNotMatch",
  "EntityTooLarge",
  "InvalidRequest",
  "InvalidSHA1Digest",
] as const satisfies readonly ErrorId[];

/** How a body is taken in. */
export interface TakeOptions {
  /** The checksum to compute where the client sends none. */
  readonly computed?: ChecksumAlgorithm | undefined;
  /** What it is sealed with; without one it is stored as it is. */
  readonly dataKey?: Buffer | undefined;
}

/** A body that was taken in, with the checksum that its client knows it by. */
export type TakenBody = IngestedBody & { readonly checksum: KeptChecksum | undefined };

/**
 * Takes a body in. Nothing is kept of one that has another digest or size than its request says (BadDigest,
 * InvalidSHA1Digest, EntitySizeNotMatch) or is too long for one request (EntityTooLarge). Sizes are decided before the
 * first byte when the length is told.
 */
export async function takeBody(
  { limits, store }: Pick<OperationContext, "limits" | "store">,
  { body, checksum: claim, contentMd5, contentSha1, size }: InputOf<typeof bodyFields>,
  { computed, dataKey }: TakeOptions = {},
): Promise<TakenBody> {
  if (size !== undefined && body.declaredLength !== undefined && body.declaredLength !== size) {
    throw refuse("EntitySizeNotMatch");
  }
  const asked = claim ?? (computed === undefined ? undefined : { algorithm: computed, value: undefined });
  const summed = asked === undefined ? undefined : summedBody(body, asked);
  const bytes = await store.bodies.ingest(summed ?? body, {
    sha1: contentSha1 !== undefined,
    bytesMax: limits.singleUploadBytesMax,
    over: "EntityTooLarge",
    dataKey,
  });
  try {
    const fault = faultOf(bytes, { contentMd5, contentSha1, size });
    if (fault !== undefined) {
      const { size: came } = bytes.body;
      throw refuse(fault, { cause: `the ${came} bytes that came have the MD5 ${bytes.md5.toString("base64")}` });
    }
    return { ...bytes, checksum: summed?.checksum() };
  } catch (error) {
    await bytes.discard();
    throw error;
  }
}

function faultOf(
  bytes: IngestedBody,
  { contentMd5, contentSha1, size }: Omit<InputOf<typeof bodyFields>, "body" | "checksum">,
): (typeof BODY_ERRORS)[number] | undefined {
  if (size !== undefined && bytes.body.size !== size) return "EntitySizeNotMatch";
  if (contentMd5 !== undefined && !contentMd5.equals(bytes.md5)) return "BadDigest";
  if (contentSha1 !== undefined && bytes.sha1?.equals(contentSha1) !== true) return "InvalidSHA1Digest";
  return undefined;
}
