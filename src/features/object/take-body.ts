/** The body of a request that stores bytes, held against the digests that came with it; for PUT, parts and appends. */

import { refuse } from "../../errors/cos-error.ts";
import type { ErrorId } from "../../errors/catalogue.ts";
import { bodyStream, header } from "../../operations/fields.ts";
import type { InputOf, OperationContext } from "../../operations/operation.ts";
import type { IngestedBody } from "../../store/bodies.ts";

/** The input fields of a body and its digests. */
export const bodyFields = {
  contentMd5: header.md5("Content-MD5"),
  contentSha1: header.sha1("x-cos-content-sha1"),
  body: bodyStream(),
};

/** The refusals of `takeBody`, for the declarations of its callers. */
export const BODY_ERRORS = ["BadDigest", "EntityTooLarge", "InvalidSHA1Digest"] as const satisfies readonly ErrorId[];

/**
 * Takes a body in. Nothing is kept of one that has another digest than its request says (BadDigest, InvalidSHA1Digest)
 * or is too long for one request (EntityTooLarge, before the first byte when the length is told).
 */
export async function takeBody(
  { limits, store }: Pick<OperationContext, "limits" | "store">,
  { body, contentMd5, contentSha1 }: InputOf<typeof bodyFields>,
): Promise<IngestedBody> {
  const bytes = await store.bodies.ingest(body, {
    sha1: contentSha1 !== undefined,
    bytesMax: limits.singleUploadBytesMax,
    over: "EntityTooLarge",
  });
  const fault =
    contentMd5 !== undefined && !contentMd5.equals(bytes.md5)
      ? "BadDigest"
      : contentSha1 !== undefined && bytes.sha1?.equals(contentSha1) !== true
        ? "InvalidSHA1Digest"
        : undefined;
  if (fault === undefined) return bytes;
  await bytes.discard();
  throw refuse(fault);
}
