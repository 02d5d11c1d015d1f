/**
 * Encryption of objects where they are stored: under the service's keys (SSE-COS), under keys of a key management service
 * (SSE-KMS), and under keys that clients bring along (SSE-C).
 *
 * Differences and decisions: the service's keys and those of the key management service are cosbox's own, sealed under the
 * key beside the data folder, unless the settings name a key management service to ask over HTTP; all accounts share them, and
 * no role has to be granted. A service over HTTP makes no default key by itself: kmsKeyId names it. A key id or a context
 * belongs to `cos/kms`, else InvalidArgument; a context that is no flat JSON object of texts is KmsException. What a
 * bucket encrypts by default is encrypted for copies and uploads in parts too; a copy otherwise is encrypted as its request
 * says and not as its source is, and shares the bytes of an encrypted source. To copy an object onto itself with another
 * encryption is allowed. Under SSE-KMS and SSE-C the ETag is no MD5. Nobody without a signature reads what SSE-KMS
 * guards; what SSE-COS encrypts is as public as its ACL says. Whoever reads with a key of his own what is not encrypted with
 * one is refused with InvalidRequest. A part of an upload that was begun with a key of the client's needs that key; its
 * completion does not. Appends take the encryption that the first one asked for. HEAD asks nobody for a key. Keys of
 * clients are taken over plain HTTP, as COS says nothing to the contrary. SM4 is NotImplemented. Space that was given
 * back is not overwritten.
 */

import type { Operation } from "../../operations/operation.ts";
import { deleteBucketEncryption } from "./delete-bucket-encryption.ts";
import { getBucketEncryption } from "./get-bucket-encryption.ts";
import { putBucketEncryption } from "./put-bucket-encryption.ts";

export const operations: readonly Operation[] = [putBucketEncryption, getBucketEncryption, deleteBucketEncryption];
