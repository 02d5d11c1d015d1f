/**
 * Strict signature mode: what signatures have to cover, told by each bucket.
 *
 * Differences and decisions: a bucket without rules answers an empty document, where the service's code is not published.
 * Rules hold for signatures in the header and the query, in both dialects; forms are outside of the mode, as on the
 * service. Of an S3 signature `x-cos-` names mean those of `x-amz-`; version 4 always covers every parameter, version 2
 * the host and the parameters it knows. Names compare in any case. Batch operations are told by `Job` in their names. Too
 * many rules or names, and names that the pages do not list, are InvalidArgument. The token of a temporary key needs no
 * signature: it belongs to its key, and clients send it beside what they sign. The setting `strictSigning` asks for
 * more, of every request in COS's dialect: the host, every `x-cos-` header, every parameter and every field of a form.
 */

import type { Operation } from "../../operations/operation.ts";
import { deleteBucketStrictSignature } from "./delete-bucket-strict-signature.ts";
import { getBucketStrictSignature } from "./get-bucket-strict-signature.ts";
import { putBucketStrictSignature } from "./put-bucket-strict-signature.ts";

export const operations: readonly Operation[] = [
  putBucketStrictSignature,
  getBucketStrictSignature,
  deleteBucketStrictSignature,
];
