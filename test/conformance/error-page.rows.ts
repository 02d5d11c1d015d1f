// The service's error-code page as facts: which codes it lists under which status, in the page's order and spelling.
// The page prints one status as `409 ObjectNotAppendale`, which is a slip for 409 Conflict.

/** Codes of the error-code page by HTTP status: 130 rows. Codes of one status are separated by commas. */
export const ERROR_PAGE: ReadonlyMap<number, readonly string[]> = new Map(
  Object.entries({
    400: `
      ActionAccelerateNotSupported, AttachmentFull, BadDigest, BadRquest, BucketAccelerateNotEnabled,
      BucketNameTooLong, BucketVersionNotOpen, DNSRecordVerifyFailed, EntitySizeNotMatch, EntityTooLarge,
      EntityTooSmall, ExpiredToken, ImageResolutionExceed, ImageTooLarge, IncompleteBody,
      IncorrectNumberOfFilesInPostRequest, InvalidArgument, InvalidBucketName, InvalidCopySource,
      InvalidDelimiter, InvalidDigest, InvalidImageFormat, InvalidImageSource, InvalidLocationConstraint,
      InvalidObjectName, InvalidPart, InvalidPartOrder, InvalidPicOperations, InvalidPolicyDocument,
      InvalidRegionName, InvalidRequest, InvalidSHA1Digest, InvalidTag, InvalidTargetBucketForLogging,
      InvalidUploadStatus, InvalidURI, InventoryFull, JsonAPINotSupportOnMAZBucket, KeyTooLong, KmsException,
      KmsKeyDisabled, KmsKeyNotExist, ListPartUploadIdIsEmpty, LoggingConfExists, LoggingPrefixInvalid,
      MalformedPolicy, MalformedPOSTRequest, MalformedXML, MAZOperationNotSupportOnOAZBucket,
      MissingRequestBodyError, MultiAZFeatureNotSupport, MultiBucketNotSupport, NotifyRuleEventConflict,
      NotifyRulePrefixConflict, NotifyRuleSuffixConflict, NotSupportedStorageClass,
      OAZOperationNotSupportOnMAZBucket, PolicyFull, PolicyVersionFull, RequestTimeout,
      SsecDecryptHeaderInvalid, SSEContentNotSupported, SSEHeaderNotAllowed, TargetBucketNameInvalid,
      TooManyBuckets, UnexpectedContent, UserCnameInvalid, UserNetworkTooSlow, VerifyAlgorithmNotSupported,
      WebsiteURLInvalid, XMLSizeLimit`,
    402: "PaymentRequired",
    403: `
      AccessDenied, AccessForbidden, InvalidAccessKeyId, InvalidObjectState, NoProcessAuthority,
      RequestTimeTooSkewed, Request has expired, SignatureDoesNotMatch, UserNotSourceBucketOwner,
      UserNotTargetBucketOwner`,
    404: `
      InventoryConfigurationNotFoundError, NoBucketQuotaPolicy, NoSuchBucket, NoSuchCopySource,
      NoSuchCORSConfiguration, NoSuchEncryptionConfiguration, NoSuchJob, NoSuchKey,
      NoSuchLifecycleConfiguration, NoSuchObjectLockConfiguration, NoSuchPolicyVersion, NoSuchTagSet,
      NoSuchUpload, NoSuchVersion, NoSuchWebsiteConfiguration, OriginConfigurationNotFoundError,
      ReplicationConfigurationNotFoundError`,
    405: `
      MethodNotAllowed, RestoreNonArchiveObject, UploadIdNotSupported`,
    409: `
      AppendPositionErr, BucketAlreadyExists, BucketAlreadyOwnedByYou, BucketLocked, BucketNotEmpty,
      DomainConfigConflict, InvalidBucketState, InvalidLockedTime, ObjectLocked, InvalidObjectState,
      PathConflict, QuotaConflict, QuotaOperationConflict, RecordAlreadyExist, RestoreAlreadyInProgress,
      UploadConflict, ObjectNotAppendable`,
    411: "MissingContentLength",
    412: "PreconditionFailed",
    416: "InvalidRange",
    451: "DomainAuditFailed, UnavailableForLegalReasons",
    500: "InternalError, KmsInternalException",
    501: "NotImplemented",
    503: `
      KmsFreqControl, ServiceUnavailable, SlowDown`,
  }).map(([status, codes]) => [Number(status), codes.split(",").map((code) => code.trim().replace(/\s+/g, " "))]),
);
