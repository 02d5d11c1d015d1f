/**
 * Multipart uploads: objects that are sent in parts.
 *
 * Differences and decisions: the numbers of the parts that complete an upload may have gaps, and only have to ascend.
 * The ETag of the whole is the MD5 of its parts' MD5s with their number, where the service's is opaque. A part may be
 * empty. Whatever else is asked of an upload while it is being completed waits for the outcome: after a success it answers
 * NoSuchUpload, after a failure it goes on; to S3, the same Complete once more answers as the first one did while its object
 * stands under the key. Bounds of pages above the greatest are lowered to it, and 0 gives an empty page that is not
 * truncated. A Complete or a part copy that takes long answers 200 at once and tells a late refusal in the body.
 */

import type { Operation } from "../../operations/operation.ts";
import { abortMultipartUpload } from "./abort-multipart-upload.ts";
import { completeMultipartUpload } from "./complete-multipart-upload.ts";
import { initiateMultipartUpload } from "./initiate-multipart-upload.ts";
import { listMultipartUploads } from "./list-multipart-uploads.ts";
import { listParts } from "./list-parts.ts";
import { uploadPart } from "./upload-part.ts";
import { uploadPartCopy } from "./upload-part-copy.ts";

export const operations: readonly Operation[] = [
  initiateMultipartUpload,
  uploadPart,
  uploadPartCopy,
  completeMultipartUpload,
  abortMultipartUpload,
  listParts,
  listMultipartUploads,
];
