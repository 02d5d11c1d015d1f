/** One row as it is written below. */
export interface ErrorRow {
  /** HTTP status, as the error page gives it. */
  readonly status: number;
  /** Code on the wire; the id when absent. */
  readonly code?: string;
  readonly message: string;
  /** The feature that owns the row. */
  readonly feature: string;
  /** Completes the sentence "Raised when …". */
  readonly raisedWhen: string;
  /** True while the owning feature is not built. */
  readonly notYet?: true;
  /** Where the live service is seen to answer otherwise than its error page. */
  readonly observed?: {
    readonly status?: number;
    readonly code?: string;
    readonly message?: string;
    /** How we know. */
    readonly evidence: string;
  };
}

/** One row as it is read: the code filled in. */
export type ErrorEntry = ErrorRow & { readonly code: string };

function codes<const Rows extends Record<string, ErrorRow>>(rows: Rows): { readonly [Id in keyof Rows]: ErrorEntry } {
  const entries = Object.entries(rows).map(([id, row]) => [id, { ...row, code: row.code ?? id }]);
  return Object.fromEntries(entries) as { readonly [Id in keyof Rows]: ErrorEntry };
}

export const CATALOGUE = codes({
  ActionAccelerateNotSupported: {
    status: 400,
    message: "The acceleration endpoint does not support this operation.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  AttachmentFull: {
    status: 400,
    message: "The number of ACLs and policies has exceeded the upper threshold. For more information, please see Specifications and Limits.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  BadDigest: {
    status: 400,
    message: "Value of the provided Content-MD5 is not the same as the MD5 hash value the server received.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  BadRquest: {
    status: 400,
    message: "The parameter is invalid.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  BucketAccelerateNotEnabled: {
    status: 400,
    message: "The acceleration endpoint is not enabled for the bucket.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  BucketNameTooLong: {
    status: 400,
    message: "The bucket name is too long. For more information, please see Naming Conventions in Bucket Overview.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  BucketVersionNotOpen: {
    status: 400,
    message: "Versioning is not enabled for the bucket.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  DNSRecordVerifyFailed: {
    status: 400,
    message: "The DNS record fails to be verified. Please add a CNAME or TXT record. The DNS record takes effect within 10 minutes.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  EntitySizeNotMatch: {
    status: 400,
    message: "The size of the request body is not the same as that specified in the Content-Length request header.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  EntityTooLarge: {
    status: 400,
    message: "The size of the uploaded object exceeds the upper threshold. For more information, please see Specifications and Limits.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  EntityTooSmall: {
    status: 400,
    message: "The size of the uploaded object does not reach the lower threshold. This error is often seen in multipart uploads. For more information, please see Specifications and Limits.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  ExpiredToken: {
    status: 400,
    message: "The temporary token has expired.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  ImageResolutionExceed: {
    status: 400,
    message: "The image resolution exceeds the limit, or the animated image contains too many frames.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  ImageTooLarge: {
    status: 400,
    message: "The image is too large.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  IncompleteBody: {
    status: 400,
    message: "The size of the request body is smaller than that specified in the Content-Length request header.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  IncorrectNumberOfFilesInPostRequest: {
    status: 400,
    message: "Only one object can be uploaded in a POST Object request.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidArgument: {
    status: 400,
    message: "The argument is invalid. Please check whether the request can take this argument.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidBucketName: {
    status: 400,
    message: "The bucket name is invalid. For more information, please see Naming Conventions.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidCopySource: {
    status: 400,
    message: "The source for object replication is invalid.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidDelimiter: {
    status: 400,
    message: "The delimiter parameter is invalid. It should be one character.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidDigest: {
    status: 400,
    message: "The provided value of Content-MD5 is invalid.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidImageFormat: {
    status: 400,
    message: "The image format is invalid.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidImageSource: {
    status: 400,
    message: "The image source is invalid.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidLocationConstraint: {
    status: 400,
    message: "The specified location is invalid.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidObjectName: {
    status: 400,
    message: "The object name is invalid. For more information, please see ObjectKey.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidPart: {
    status: 400,
    message: "A part for multipart upload is missing.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidPartOrder: {
    status: 400,
    message: "The part numbers are not continuous.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidPicOperations: {
    status: 400,
    message: "The Pic-Operations request header is invalid.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidPolicyDocument: {
    status: 400,
    message: "The policy in the POST Object request is invalid.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidRegionName: {
    status: 400,
    message: "The endpoint is invalid. For more information, please see Regions and Access Endpoints.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidRequest: {
    status: 400,
    message: "The request is invalid.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidSHA1Digest: {
    status: 400,
    message: "The request fails the SHA-1 verification.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidTag: {
    status: 400,
    message: "The bucket tag is invalid. For more information, please see Bucket Tag Overview.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidTargetBucketForLogging: {
    status: 400,
    message: "The destination bucket for logging is invalid. The destination bucket must be in the same region as the current bucket.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidUploadStatus: {
    status: 400,
    message: "If versioning is enabled, you cannot call a JSON API to upload objects. Please use an XML API.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidURI: {
    status: 400,
    message: "The URI is invalid.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InventoryFull: {
    status: 400,
    message: "The number of inventory jobs has exceeded the upper threshold (1,000).",
    feature: "unsorted",
    raisedWhen: "…",
  },
  JsonAPINotSupportOnMAZBucket: {
    status: 400,
    message: "JSON APIs do not support operations on MAZ buckets. Please use XML APIs.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  KeyTooLong: {
    status: 400,
    message: "The object key is too long. For more information, please see \u201cObjectKey\u201d in Object Overview.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  KmsException: {
    status: 400,
    message: "A Key Management Service (KMS) exception occurs.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  KmsKeyDisabled: {
    status: 400,
    message: "The provided key is disabled.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  KmsKeyNotExist: {
    status: 400,
    message: "The provided key does not exist.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  ListPartUploadIdIsEmpty: {
    status: 400,
    message: "UploadId is empty.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  LoggingConfExists: {
    status: 400,
    message: "The logging configuration already exists.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  LoggingPrefixInvalid: {
    status: 400,
    message: "The logging prefix is invalid.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  MalformedPolicy: {
    status: 400,
    message: "The policy format is invalid.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  MalformedPOSTRequest: {
    status: 400,
    message: "The request body content of the current POST request is invalid.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  MalformedXML: {
    status: 400,
    message: "The XML syntax of the request body is incorrect.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  MAZOperationNotSupportOnOAZBucket: {
    status: 400,
    message: "OAZ buckets do not support MAZ operations  The multiple availability zones operation is not supported by single availability zone bucket.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  MissingRequestBodyError: {
    status: 400,
    message: "The request body is missing.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  MultiAZFeatureNotSupport: {
    status: 400,
    message: "The current region does not support the MAZ feature.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  MultiBucketNotSupport: {
    status: 400,
    message: "Only one destination bucket can be set for cross-region replication.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NotifyRuleEventConflict: {
    status: 400,
    message: "Notification rules (event) conflict.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NotifyRulePrefixConflict: {
    status: 400,
    message: "Notification rule prefixes conflict.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NotifyRuleSuffixConflict: {
    status: 400,
    message: "Notification rule suffixes conflict.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NotSupportedStorageClass: {
    status: 400,
    message: "The specified Storage Class is not supported.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  OAZOperationNotSupportOnMAZBucket: {
    status: 400,
    message: "MAZ buckets do not support OAZ operations The single availability zone operation is not supported by multiple availability zones bucket.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  PolicyFull: {
    status: 400,
    message: "The number of ACLs and policies exceeds the upper threshold. For more information, please see Specifications and Limits.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  PolicyVersionFull: {
    status: 400,
    message: "The number of policy versions exceeds the limit.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  RequestTimeout: {
    status: 400,
    message: "The request timed out.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  SsecDecryptHeaderInvalid: {
    status: 400,
    message: "The source object is encrypted with SSE-C. Therefore, the same key should be provided in the request header.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  SSEContentNotSupported: {
    status: 400,
    message: "The encryption method is not supported.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  SSEHeaderNotAllowed: {
    status: 400,
    message: "The operation does not support the specified SSE header.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  TargetBucketNameInvalid: {
    status: 400,
    message: "The destination bucket is invalid. For more information, please see Naming Conventions.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  TooManyBuckets: {
    status: 400,
    message: "The number of buckets exceeds the upper threshold (200).",
    feature: "unsorted",
    raisedWhen: "…",
  },
  UnexpectedContent: {
    status: 400,
    message: "The request does not support the related content.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  UserCnameInvalid: {
    status: 400,
    message: "The specified CNAME does not exist or is invalid.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  UserNetworkTooSlow: {
    status: 400,
    message: "The network speed is too slow.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  VerifyAlgorithmNotSupported: {
    status: 400,
    message: "The verification algorithm is not supported.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  WebsiteURLInvalid: {
    status: 400,
    message: "The custom URL is invalid.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  XMLSizeLimit: {
    status: 400,
    message: "The length of XML exceeds the limit.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  PaymentRequired: {
    status: 402,
    message: "The cost quota is used up.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  AccessDenied: {
    status: 403,
    message: "The access is denied due to an incorrect signature or permission. For more information, please see Request Signature and ACL Overview.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  AccessForbidden: {
    status: 403,
    message: "The cross-origin resource sharing (CORS) request is denied. Please check whether Origin, Access-Control-Request-Method, and Access-Control-Request-Headers in the request method or request header are in the configured CORS allowlist.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidAccessKeyId: {
    status: 403,
    message: "The SecretID does not exist.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidObjectState403: {
    status: 403,
    code: "InvalidObjectState",
    message: "The storage class and requested operation conflict.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NoProcessAuthority: {
    status: 403,
    message: "You do not have permission to process images.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  RequestTimeTooSkewed: {
    status: 403,
    message: "The difference between the local time and server time is more than 15 minutes.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  RequestHasExpired: {
    status: 403,
    code: "Request has expired",
    message: "The signature has expired when you initiate the request, or your system time is out of sync with the time in your time zone. For more information, please see FAQs.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  SignatureDoesNotMatch: {
    status: 403,
    message: "The client-calculated signature is inconsistent with that calculated on the COS server. You can refer to Request Signature and use COS's request signature tool to check the signature generation process.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  UserNotSourceBucketOwner: {
    status: 403,
    message: "The current user is not the owner of the source bucket.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  UserNotTargetBucketOwner: {
    status: 403,
    message: "The current user is not the owner of the destination bucket.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InventoryConfigurationNotFoundError: {
    status: 404,
    message: "The list of inventory configurations is not found.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NoBucketQuotaPolicy: {
    status: 404,
    message: "The bucket quota policy is not found.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NoSuchBucket: {
    status: 404,
    message: "The specified bucket is not found.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NoSuchCopySource: {
    status: 404,
    message: "The source object to replicate is not found.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NoSuchCORSConfiguration: {
    status: 404,
    message: "The specified CORS configuration is not found.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NoSuchEncryptionConfiguration: {
    status: 404,
    message: "The specified bucket encryption configuration is not found.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NoSuchJob: {
    status: 404,
    message: "The specified Batch Operation job is not found.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NoSuchKey: {
    status: 404,
    message: "The specified object key is not found. You can call HEAD Object to check whether the object exists.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NoSuchLifecycleConfiguration: {
    status: 404,
    message: "The specified lifecycle configuration is not found.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NoSuchObjectLockConfiguration: {
    status: 404,
    message: "The specified object lock configuration is not found.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NoSuchPolicyVersion: {
    status: 404,
    message: "The specified policy version is not found.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NoSuchTagSet: {
    status: 404,
    message: "The specified tag set is not found.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NoSuchUpload: {
    status: 404,
    message: "The UploadId specified in a multipart upload is not found.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NoSuchVersion: {
    status: 404,
    message: "The specified version is not found.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NoSuchWebsiteConfiguration: {
    status: 404,
    message: "The specified static website configuration is not found.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  OriginConfigurationNotFoundError: {
    status: 404,
    message: "The origin-pull configuration is not found.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  ReplicationConfigurationNotFoundError: {
    status: 404,
    message: "The configuration for cross-region replication is not found.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  MethodNotAllowed: {
    status: 405,
    message: "The resource does not support this HTTP method.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  RestoreNonArchiveObject: {
    status: 405,
    message: "Non-ARCHIVED objects cannot be restored.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  UploadIdNotSupported: {
    status: 405,
    message: "The specified UploadId is generated by a JSON API. Therefore, you cannot operate with an XML API.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  AppendPositionErr: {
    status: 409,
    message: "The object length does not match position during the append operation.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  BucketAlreadyExists: {
    status: 409,
    message: "The specified bucket already exists.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  BucketAlreadyOwnedByYou: {
    status: 409,
    message: "The specified bucket already exists and is owned by the current account.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  BucketLocked: {
    status: 409,
    message: "The bucket is locked. In this case, cross-region replication and lifecycle are not supported.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  BucketNotEmpty: {
    status: 409,
    message: "The bucket is not empty.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  DomainConfigConflict: {
    status: 409,
    message: "The endpoint configurations conflict. Please delete the conflicting records.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidBucketState: {
    status: 409,
    message: "The bucket state conflicts with the request. For example, versioning configuration conflicts with cross-region replication.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidLockedTime: {
    status: 409,
    message: "The object lock time is invalid.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  ObjectLocked: {
    status: 409,
    message: "The object is locked. In this case, you cannot overwrite upload or delete the object, or modify the object metadata through copying.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidObjectState409: {
    status: 409,
    code: "InvalidObjectState",
    message: "The object state conflicts with the request.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  PathConflict: {
    status: 409,
    message: "Millisecond-level concurrency conflict occurs for objects with the same name.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  QuotaConflict: {
    status: 409,
    message: "The quota conflicts.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  QuotaOperationConflict: {
    status: 409,
    message: "The bucket state does not support this operation.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  RecordAlreadyExist: {
    status: 409,
    message: "The DNS record conflicts. Please delete the conflicting record, or add a CNAME/TXT record.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  RestoreAlreadyInProgress: {
    status: 409,
    message: "The object is being restored.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  UploadConflict: {
    status: 409,
    message: "Uploading the same object key too many times causes a conflict.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  ObjectNotAppendable: {
    status: 409,
    message: "The specified object is not appendable.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  MissingContentLength: {
    status: 411,
    message: "The Content-Length request header is missing.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  PreconditionFailed: {
    status: 412,
    message: "The precondition matching failed.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InvalidRange: {
    status: 416,
    message: "The requested object range is invalid.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  DomainAuditFailed: {
    status: 451,
    message: "The domain name does not have an ICP license.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  UnavailableForLegalReasons: {
    status: 451,
    message: "The service is unavailable. Please check whether your account has overdue payments. If not, check whether there are restricted files by referring to Content Compliance.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  InternalError: {
    status: 500,
    message: "Internal error of the server occurs.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  KmsInternalException: {
    status: 500,
    message: "KMS internal error occurs.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  NotImplemented: {
    status: 501,
    message: "The request has not been implemented.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  KmsFreqControl: {
    status: 503,
    message: "The KMS access frequency is too high.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  ServiceUnavailable: {
    status: 503,
    message: "The service is unavailable. Please retry.",
    feature: "unsorted",
    raisedWhen: "…",
  },
  SlowDown: {
    status: 503,
    message: "The access frequency should be slowed down.",
    feature: "unsorted",
    raisedWhen: "…",
  },
});

export type ErrorId = keyof typeof CATALOGUE;
