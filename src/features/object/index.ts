/**
 * Objects: put, get, head, delete, delete many.
 *
 * Differences and decisions: an object stored without a Content-Type gets the type of its key's extension, or
 * `application/octet-stream`, from a table of common files where the service's is not published; a Range that is not one
 * plain range of bytes is ignored; a HEAD ignores Range; user metadata over the bound is InvalidArgument, and an
 * empty value of it is kept, while other empty headers count as absent; a condition whose date cannot be read is ignored;
 * If-Range holds as in RFC 9110; `x-amz-decoded-content-length`, where a client tells it, must be the body's size.
 * Headers of features that are not built answer NotImplemented by name; other `x-cos-` headers that no page knows are
 * ignored, as the service does, but `x-cos-meta-` with no name after it is InvalidArgument. An object belongs to the
 * owner of its bucket, whoever uploaded it and whichever way.
 * `If-None-Match: *` and `If-Match` of a PUT, a copy or a completion hold when the object is stored, in every dialect.
 * `x-cos-traffic-limit` holds for every operation, while the service names GET, PUT and POST Object and Upload Part; of a
 * header and a parameter the lower one holds. Nothing of a copy travels to or from its client, so nothing of it is slowed.
 * Checksums of S3's (`x-amz-checksum-*`) are verified, kept and answered; without one from the client none is made.
 */

import type { Operation } from "../../operations/operation.ts";
import { deleteMultipleObjects } from "./delete-multiple-objects.ts";
import { deleteObject } from "./delete-object.ts";
import { getObjectAttributes } from "./get-object-attributes.ts";
import { getObject } from "./get-object.ts";
import { headObject } from "./head-object.ts";
import { putObject } from "./put-object.ts";

export const operations: readonly Operation[] = [
  putObject,
  getObject,
  getObjectAttributes,
  headObject,
  deleteObject,
  deleteMultipleObjects,
];
