/**
 * What the S3 dialect calls the refusals of the catalogue. A row that is not here has the same code and status in both
 * dialects, or S3 has no name for it and the service's own stands.
 */

import type { ErrorId } from "./catalogue.ts";

/** How S3 tells one refusal. */
export interface S3Form {
  readonly code: string;
  readonly status: number;
  /** Replaces the row's own message; a message that the refusal brings along stays. */
  readonly message?: string;
}

/** By our id. (S3 API reference, list of error codes) */
export const S3_FORMS: { readonly [Id in ErrorId]?: S3Form } = {
  BadRquest: { code: "BadRequest", status: 400 },
  BucketNameTooLong: { code: "InvalidBucketName", status: 400 },
  EntitySizeNotMatch: { code: "IncompleteBody", status: 400 },
  InvalidCopySource: { code: "InvalidArgument", status: 400 },
  InvalidDelimiter: { code: "InvalidArgument", status: 400 },
  InvalidLockedTime: { code: "InvalidArgument", status: 400 },
  InvalidSHA1Digest: { code: "BadDigest", status: 400 },
  InventoryConfigurationNotFoundError: { code: "NoSuchConfiguration", status: 404 },
  KeyTooLong: { code: "KeyTooLongError", status: 400, message: "Your key is too long." },
  KmsKeyDisabled: { code: "KMS.DisabledException", status: 400 },
  KmsKeyNotExist: { code: "KMS.NotFoundException", status: 400 },
  ListPartUploadIdIsEmpty: { code: "NoSuchUpload", status: 404 },
  NoSuchCopySource: { code: "NoSuchKey", status: 404, message: "The specified key does not exist." },
  NoSuchEncryptionConfiguration: { code: "ServerSideEncryptionConfigurationNotFoundError", status: 404 },
  NoSuchPolicyVersion: { code: "NoSuchBucketPolicy", status: 404, message: "The bucket policy does not exist" },
  NotSupportedStorageClass: { code: "InvalidStorageClass", status: 400 },
  ObjectLocked: { code: "AccessDenied", status: 403 },
  PathConflict: {
    code: "OperationAborted",
    status: 409,
    message: "A conflicting conditional operation is currently in progress against this resource. Please try again.",
  },
  RequestHasExpired: { code: "AccessDenied", status: 403, message: "Request has expired" },
  RestoreNonArchiveObject: { code: "InvalidObjectState", status: 403 },
  SsecDecryptHeaderInvalid: { code: "InvalidRequest", status: 400 },
  SSEContentNotSupported: { code: "InvalidArgument", status: 400 },
  SSEHeaderNotAllowed: { code: "InvalidArgument", status: 400 },
  UserNetworkTooSlow: { code: "RequestTimeout", status: 400 },
  VerifyAlgorithmNotSupported: { code: "InvalidRequest", status: 400 },
  XMLSizeLimit: { code: "MalformedXML", status: 400 },
};

/** Codes that S3 has for a part of what one row of the catalogue covers, and their statuses. */
export const S3_NARROWER = {
  AuthorizationHeaderMalformed: 400,
  AuthorizationQueryParametersError: 400,
  InvalidPartNumber: 416,
  MalformedTrailerError: 400,
  MetadataTooLarge: 400,
  NoSuchConfiguration: 404,
  ObjectLockConfigurationNotFoundError: 404,
  XAmzContentSHA256Mismatch: 400,
} as const satisfies Readonly<Record<string, number>>;

/** A code that the S3 dialect alone tells: one of its own, or of another row, where a bucket is missing as a source. */
export type S3Code = keyof typeof S3_NARROWER | "NoSuchBucket";
