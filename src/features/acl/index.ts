/**
 * ACLs of buckets and objects.
 *
 * Differences and decisions: where a request has both ACL headers and a document, the headers count. The 101st grant of
 * one ACL is AttachmentFull, and the account's 1,001st ACL or policy PolicyFull; private ACLs take no place. Whom a grant
 * names is not looked up. A document with another owner is AccessDenied. It is answered as it was put, also where it grants its
 * owner less than everything, or nothing: that takes nothing from him. Nor is he listed beside grants in headers, but with a
 * canned ACL other than private. An object belongs to the owner of its bucket,
 * whoever stored it, so `bucket-owner-read` and `bucket-owner-full-control` are accepted and grant nothing new. An
 * object without an ACL of its own answers with its owner's grant and `x-cos-acl: default`; it inherits the nearest
 * folder's, an object whose key ends in a slash, up to 64 folders from the top, and otherwise the bucket's. The ACL of an
 * object also goes for whoever asks what it is (READ_ACP) and sets it (WRITE_ACP).
 */

import type { Operation } from "../../operations/operation.ts";
import { getBucketAcl } from "./get-bucket-acl.ts";
import { getObjectAcl } from "./get-object-acl.ts";
import { putBucketAcl } from "./put-bucket-acl.ts";
import { putObjectAcl } from "./put-object-acl.ts";

export const operations: readonly Operation[] = [putBucketAcl, getBucketAcl, putObjectAcl, getObjectAcl];
