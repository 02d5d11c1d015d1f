// Every row of the service's error-code page: 129 codes in 130 rows, because one code stands under two statuses.
// Responses, `docs/reference/errors.md` and the conformance list derive from this table. Codes that the live service
// sends but the page does not list have no place here.
//
// The page describes codes in prose and rarely prints the text that is sent. A row with `seen` carries the text of the
// live service and says where it was seen; in all other rows the wording of `message` is ours.

/** The features that own rows. A row without an owner does not compile. */
export type Feature =
  | "acceleration"
  | "account"
  | "acl"
  | "address"
  | "append"
  | "authenticate"
  | "authorise"
  | "batch"
  | "bucket"
  | "copy"
  | "cors"
  | "domains"
  | "encryption"
  | "faults"
  | "http-edge"
  | "image-processing"
  | "input"
  | "inventory"
  | "json-api"
  | "lifecycle"
  | "logging"
  | "maz"
  | "multipart"
  | "notification"
  | "object"
  | "object-lock"
  | "origin"
  | "pipeline"
  | "policy"
  | "post-object"
  | "quota"
  | "replication"
  | "restore"
  | "route"
  | "storage-class"
  | "sts"
  | "tagging"
  | "versioning"
  | "website";

/** One row as it is written below. */
export interface ErrorRow {
  /** HTTP status, as the error page gives it. */
  readonly status: number;
  /** Code on the wire, spelt as the error page spells it; the id when absent. */
  readonly code?: string;
  /** Text of `<Message>` unless the refusal brings its own. */
  readonly message: string;
  /** Where `message` was seen, word for word; absent when the wording is ours. */
  readonly seen?: string;
  readonly feature: Feature;
  /** Completes the sentence "Raised when …". */
  readonly raisedWhen: string;
  /** Set while the owning feature is not built, so that nothing can raise the row. */
  readonly notYet?: true;
  /** Where the live service answers otherwise than its error page says; sent under `errors: observed`. */
  readonly observed?: Observed;
}

/** What the live service is seen to send; a field that is absent does not differ from the page. */
export interface Observed {
  readonly status?: number;
  readonly code?: string;
  readonly message?: string;
  /** How we know, as a sentence. */
  readonly evidence: string;
}

/** One row as it is read: the code filled in. */
export type ErrorEntry = ErrorRow & { readonly code: string };

function codes<const Rows extends Readonly<Record<string, ErrorRow>>>(
  rows: Rows,
): { readonly [Id in keyof Rows]: ErrorEntry } {
  const entries = Object.entries(rows).map(([id, row]) => [id, { ...row, code: row.code ?? id }]);
  return Object.fromEntries(entries) as { readonly [Id in keyof Rows]: ErrorEntry };
}

/** All rows by id. The id is ours and unique; several ids may share a wire code. */
export const CATALOGUE = codes({
  // 400 Bad Request

  ActionAccelerateNotSupported: {
    status: 400,
    message: "The acceleration endpoint does not support this operation.",
    feature: "acceleration",
    raisedWhen:
      "a request through the acceleration host of an accelerated bucket is not one of the object transfers served there (upload, download, HEAD, preflight, multipart)",
    notYet: true,
  },
  AttachmentFull: {
    status: 400,
    message: "The number of ACLs and policies has exceeded the upper limit.",
    feature: "acl",
    raisedWhen: "an ACL would hold its 101st grant",
  },
  BadDigest: {
    status: 400,
    message: "The Content-MD5 you specified did not match what we received.",
    feature: "object",
    raisedWhen: "`Content-MD5` is well-formed but is not the MD5 of the body received; nothing is stored",
  },
  // The misspelling is the service's own, and Tencent's C++ client matches on it. A later edition of the page prints
  // `BadRequest`; we keep the spelling that clients know.
  BadRquest: {
    status: 400,
    message: "The parameter is invalid.",
    feature: "http-edge",
    raisedWhen:
      "the request is malformed below the level of the API: bad header syntax, two `Host` headers, or both `Content-Length` and chunked encoding; also when a resource is given more tags than it may have",
  },
  BucketAccelerateNotEnabled: {
    status: 400,
    message: "Acceleration is not enabled on this bucket.",
    feature: "acceleration",
    raisedWhen: "a bucket is addressed through the acceleration host while its acceleration is unset or suspended",
    notYet: true,
  },
  BucketNameTooLong: {
    status: 400,
    message: "The specified bucket name is too long.",
    feature: "bucket",
    raisedWhen: "PUT Bucket names a bucket whose host name on the real service would exceed 60 characters",
  },
  BucketVersionNotOpen: {
    status: 400,
    message: "Versioning is not enabled for the bucket.",
    feature: "replication",
    raisedWhen: "a replication rule names a destination bucket that is not versioned",
    notYet: true,
  },
  DNSRecordVerifyFailed: {
    status: 400,
    message:
      "The DNS record could not be verified. Please add a CNAME or TXT record; it takes effect within 10 minutes.",
    feature: "domains",
    raisedWhen: "binding a domain needs proof and the CNAME or TXT record that is found is not the expected one",
    notYet: true,
  },
  EntitySizeNotMatch: {
    status: 400,
    message: "The size of the request body does not match the size that was declared.",
    feature: "input",
    raisedWhen: "the body that arrived in full has another length than a header declared for it",
  },
  EntityTooLarge: {
    status: 400,
    message: "Your proposed upload exceeds the maximum allowed size.",
    feature: "object",
    raisedWhen:
      "an upload, part, copy or append exceeds 5 GB (decided from `Content-Length`, before the body is read), or a form's file is larger than its policy allows",
  },
  EntityTooSmall: {
    status: 400,
    message: "Your proposed upload is smaller than the minimum allowed size.",
    feature: "multipart",
    raisedWhen:
      "Complete Multipart Upload names a part, other than the last, that is smaller than 1 MB, or a form's file is smaller than its policy allows",
  },
  ExpiredToken: {
    status: 400,
    message: "The provided token has expired.",
    feature: "sts",
    raisedWhen: "the temporary key that signed the request is past its expiry",
  },
  ImageResolutionExceed: {
    status: 400,
    message: "The image resolution exceeds the limit, or the animated image has too many frames.",
    feature: "image-processing",
    raisedWhen: "a side, the pixel count, the frame count or the output size of an image exceeds its limit",
    notYet: true,
  },
  ImageTooLarge: {
    status: 400,
    message: "The image is too large.",
    feature: "image-processing",
    raisedWhen: "the object to be processed as an image is larger than 32 MB",
    notYet: true,
  },
  IncompleteBody: {
    status: 400,
    message: "You did not provide the number of bytes specified by the Content-Length HTTP header.",
    feature: "http-edge",
    raisedWhen: "the client ends its side of the connection before `Content-Length` bytes have arrived",
  },
  IncorrectNumberOfFilesInPostRequest: {
    status: 400,
    message: "POST requires exactly one file upload per request.",
    feature: "post-object",
    raisedWhen: "a POST Object form holds more than one field `file`",
  },
  InvalidArgument: {
    status: 400,
    message: "Invalid argument.",
    feature: "input",
    raisedWhen:
      "a parameter or header is outside its range or vocabulary, such as `max-keys`, `partNumber`, `position` or `encoding-type`",
  },
  InvalidBucketName: {
    status: 400,
    message: "The specified bucket is not valid.",
    feature: "bucket",
    raisedWhen:
      "PUT Bucket names a bucket with characters other than `a-z`, `0-9` and `-`, or with a hyphen at either end",
  },
  InvalidCopySource: {
    status: 400,
    message: "Copy Source must mention the source bucket and key.",
    feature: "copy",
    raisedWhen: "`x-cos-copy-source` cannot be read, names a host that is not ours, or names a delete marker",
  },
  InvalidDelimiter: {
    status: 400,
    message: "The delimiter is invalid; it must be one character.",
    feature: "bucket",
    raisedWhen: "a listing is asked for with a `delimiter` of more than one character",
  },
  InvalidDigest: {
    status: 400,
    message: "The Content-MD5 you specified is not valid.",
    feature: "object",
    raisedWhen: "`Content-MD5` is not the base64 form of 16 bytes; decided before the body is read",
  },
  InvalidImageFormat: {
    status: 400,
    message: "The image format is invalid.",
    feature: "image-processing",
    raisedWhen: "the bytes are not an image that can be decoded, or the target format is not supported",
    notYet: true,
  },
  InvalidImageSource: {
    status: 400,
    message: "The image source is invalid.",
    feature: "image-processing",
    raisedWhen: "the image cannot be obtained: the object is empty, or a watermark's URL is not an image of the bucket",
    notYet: true,
  },
  InvalidLocationConstraint: {
    status: 400,
    message: "The specified location constraint is not valid.",
    feature: "bucket",
    raisedWhen: "the body of PUT Bucket names a region that is unknown or is not the region of the endpoint",
  },
  InvalidObjectName: {
    status: 400,
    message: "The specified object name is not valid.",
    feature: "address",
    raisedWhen: "an object key begins with `/` or `\\`, or holds one of the control bytes 0x18 to 0x1B",
  },
  InvalidPart: {
    status: 400,
    message: "One or more of the specified parts could not be found.",
    feature: "multipart",
    raisedWhen:
      "Complete Multipart Upload names a part number that was not uploaded, or an ETag the part does not have",
  },
  InvalidPartOrder: {
    status: 400,
    message: "The list of parts was not in ascending order.",
    feature: "multipart",
    raisedWhen: "the part numbers of Complete Multipart Upload are not strictly ascending",
  },
  InvalidPicOperations: {
    status: 400,
    message: "The Pic-Operations header is invalid.",
    feature: "image-processing",
    raisedWhen:
      "`Pic-Operations` is not JSON, holds more than five rules, or has a rule without `fileid` or `rule` or with an unknown directive",
    notYet: true,
  },
  InvalidPolicyDocument: {
    status: 400,
    message: "You must provide condition if you specify a policy in post object request.",
    seen: "documented on the service's POST Object troubleshooting page",
    feature: "post-object",
    raisedWhen:
      "the policy of a POST Object form is not base64, not JSON, has no `conditions` or one that cannot be read, or is too long",
  },
  InvalidRegionName: {
    status: 400,
    message: "The specified region is invalid.",
    feature: "address",
    raisedWhen: "the region label of the host name is not a region that is configured",
  },
  InvalidRequest: {
    status: 400,
    message: "The request is invalid.",
    feature: "input",
    raisedWhen:
      "the parts of the request do not fit together: a header that the operation needs is absent, the bucket's name lacks its APPID, credentials stand in more than one place, or an object is copied onto itself unchanged",
  },
  InvalidSHA1Digest: {
    status: 400,
    message: "The SHA1 digest you specified did not match what we received.",
    feature: "object",
    raisedWhen: "`x-cos-content-sha1` is not the SHA-1 of the body received; nothing is stored",
  },
  InvalidTag: {
    status: 400,
    message: "The tag provided is not a valid tag.",
    feature: "tagging",
    raisedWhen: "a tag has illegal characters, a reserved prefix, a key that occurs twice, or is too long",
  },
  InvalidTargetBucketForLogging: {
    status: 400,
    message: "The destination bucket for logging is invalid; it must be in the region of the source bucket.",
    feature: "logging",
    raisedWhen: "the target bucket of a logging configuration does not exist or is in another region",
    notYet: true,
  },
  InvalidUploadStatus: {
    status: 400,
    message: "A bucket with versioning does not take uploads through the JSON API; please use the XML API.",
    feature: "json-api",
    raisedWhen: "the JSON API uploads into a bucket whose versioning is enabled",
    notYet: true,
  },
  InvalidURI: {
    status: 400,
    message: "Couldn't parse the specified URI.",
    feature: "http-edge",
    raisedWhen: "the path has an undecodable percent sign, bytes that are not UTF-8, or a NUL",
  },
  InventoryFull: {
    status: 400,
    message: "The number of inventory jobs has exceeded the upper limit.",
    feature: "inventory",
    raisedWhen: "a bucket with 1,000 inventory configurations is given another id",
    notYet: true,
  },
  JsonAPINotSupportOnMAZBucket: {
    status: 400,
    message: "The JSON API does not support multi-AZ buckets; please use the XML API.",
    feature: "json-api",
    raisedWhen: "the JSON API writes to a multi-AZ bucket",
    notYet: true,
  },
  KeyTooLong: {
    status: 400,
    message: "Your key is too long.",
    feature: "address",
    raisedWhen: "an object key exceeds 850 bytes of UTF-8",
  },
  KmsException: {
    status: 400,
    message: "The key management service refused the request.",
    feature: "encryption",
    raisedWhen:
      "the key management service refuses for another reason than the key's absence or state, such as an encryption context that is not base64-encoded JSON",
  },
  KmsKeyDisabled: {
    status: 400,
    message: "The provided key is disabled.",
    feature: "encryption",
    raisedWhen: "the key named for encryption exists but is disabled or awaits deletion",
  },
  KmsKeyNotExist: {
    status: 400,
    message: "The provided key does not exist.",
    feature: "encryption",
    raisedWhen: "the key named for encryption is unknown to the key management service",
  },
  ListPartUploadIdIsEmpty: {
    status: 400,
    message: "UploadId is empty.",
    feature: "multipart",
    raisedWhen: "List Parts is called with an empty `uploadId`",
  },
  LoggingConfExists: {
    status: 400,
    message: "The logging configuration already exists.",
    feature: "logging",
    raisedWhen: "logging to the same target and prefix is already configured and the strict setting is on",
    notYet: true,
  },
  LoggingPrefixInvalid: {
    status: 400,
    message: "The logging prefix is invalid.",
    feature: "logging",
    raisedWhen:
      "the target prefix of a logging configuration begins with `/`, holds control characters or empty or dot segments, or makes keys longer than 850 bytes",
    notYet: true,
  },
  MalformedPolicy: {
    status: 400,
    message: "The policy format is invalid.",
    feature: "policy",
    raisedWhen:
      "a bucket policy is not JSON, lacks a required element, has another version than 2.0, an unknown operator or a malformed resource, or exceeds 20 KB",
  },
  MalformedPOSTRequest: {
    status: 400,
    message: "The body of your POST request is not well-formed multipart/form-data.",
    seen: "a captured reply, in issue 24 of Tencent's JavaScript SDK",
    feature: "post-object",
    raisedWhen:
      "the body of POST Object is not multipart/form-data, has no boundary or no field `file`, has a field twice, or more fields and bytes beside its file than are allowed",
  },
  MalformedXML: {
    status: 400,
    message: "The XML you provided was not well-formed or did not validate against our published schema.",
    seen: "captured replies, in issue 29 of Tencent's Node SDK among others",
    feature: "input",
    raisedWhen:
      "an XML body is not well-formed, declares a DOCTYPE, has another root than expected, or lacks or misuses an element",
  },
  MAZOperationNotSupportOnOAZBucket: {
    status: 400,
    message: "The multiple availability zones operation is not supported by single availability zone bucket",
    seen: "printed by the error-code page beside its description",
    feature: "maz",
    raisedWhen: "a multi-AZ storage class is asked for in a single-AZ bucket",
  },
  MissingRequestBodyError: {
    status: 400,
    message: "Request body is empty.",
    feature: "input",
    raisedWhen: "an operation that is described by its body, such as `?delete`, is called with an empty one",
  },
  MultiAZFeatureNotSupport: {
    status: 400,
    message: "The region does not support the multi-AZ feature.",
    feature: "maz",
    raisedWhen: "PUT Bucket asks for a multi-AZ bucket in a region without that feature",
    notYet: true,
  },
  MultiBucketNotSupport: {
    status: 400,
    message: "Cross-region replication takes one destination bucket only.",
    feature: "replication",
    raisedWhen: "the rules of a replication configuration name more than one destination bucket",
    notYet: true,
  },
  NotifyRuleEventConflict: {
    status: 400,
    message: "The events of the notification rules conflict.",
    feature: "notification",
    raisedWhen: "two notification rules with an event in common have the same prefix and the same suffix",
    notYet: true,
  },
  NotifyRulePrefixConflict: {
    status: 400,
    message: "The prefixes of the notification rules conflict.",
    feature: "notification",
    raisedWhen:
      "two notification rules with an event in common have different prefixes that overlap, and overlapping suffixes",
    notYet: true,
  },
  NotifyRuleSuffixConflict: {
    status: 400,
    message: "The suffixes of the notification rules conflict.",
    feature: "notification",
    raisedWhen:
      "two notification rules with an event in common have the same prefix and different suffixes that overlap",
    notYet: true,
  },
  NotSupportedStorageClass: {
    status: 400,
    message: "The storage class is not supported.",
    feature: "storage-class",
    raisedWhen: "a storage class is unknown, or is not available in the bucket or to the operation",
  },
  OAZOperationNotSupportOnMAZBucket: {
    status: 400,
    message: "The single availability zone operation is not supported by multiple availability zones bucket",
    seen: "printed by the error-code page beside its description",
    feature: "maz",
    raisedWhen:
      "a multi-AZ bucket is asked for an append or a single-AZ storage class, or is the source of a copy into a single-AZ bucket",
    notYet: true,
  },
  PolicyFull: {
    status: 400,
    message: "your policy or acl has reached the limit",
    seen: "known from the service's documents and the tests of its SDKs",
    feature: "policy",
    raisedWhen: "the account already has 1,000 ACLs and policies and the request would add one",
  },
  PolicyVersionFull: {
    status: 400,
    message: "The number of policy versions exceeds the limit.",
    feature: "policy",
    raisedWhen: "a policy has its maximum of kept versions, the oldest may not be replaced, and another is put",
  },
  RequestTimeout: {
    status: 400,
    message: "Your socket connection to the server was not read from or written to within the timeout period.",
    feature: "http-edge",
    raisedWhen: "the client stops sending its body for longer than the idle timeout; the connection is closed",
  },
  SsecDecryptHeaderInvalid: {
    status: 400,
    message: "The source object is encrypted with a key of your own; please provide the same key.",
    feature: "encryption",
    raisedWhen: "an object encrypted with the client's own key is read or copied without that key or with another",
  },
  SSEContentNotSupported: {
    status: 400,
    message: "The encryption method is not supported.",
    feature: "encryption",
    raisedWhen: "an encryption header names an unknown algorithm, or two methods are asked for at once",
  },
  SSEHeaderNotAllowed: {
    status: 400,
    message: "The operation does not support the specified SSE header.",
    feature: "encryption",
    raisedWhen: "an encryption header is sent with an operation that takes none, such as GET Object",
  },
  TargetBucketNameInvalid: {
    status: 400,
    message: "The destination bucket name is invalid.",
    feature: "logging",
    raisedWhen: "the target of a logging, replication or inventory configuration is not a legal bucket name",
    notYet: true,
  },
  TooManyBuckets: {
    status: 400,
    message: "You have attempted to create more buckets than allowed.",
    feature: "bucket",
    raisedWhen: "an account that owns its maximum of buckets (200) creates another",
  },
  UnexpectedContent: {
    status: 400,
    message: "This request does not support content.",
    feature: "input",
    raisedWhen: "a request carries a body where its operation takes none",
  },
  UserCnameInvalid: {
    status: 400,
    message: "The specified CNAME does not exist or is invalid.",
    feature: "domains",
    raisedWhen:
      "the domain to bind is not a host name, or its CNAME is absent or does not lead to an endpoint of ours, or a server that accepts the published development keys is asked under a name that is not its own",
  },
  UserNetworkTooSlow: {
    status: 400,
    message: "The network speed is too slow.",
    feature: "http-edge",
    raisedWhen: "the body of an upload arrives below the rate floor (1 KiB/s over 30 s) or takes longer than its cap",
  },
  VerifyAlgorithmNotSupported: {
    status: 400,
    message: "The verification algorithm is not supported.",
    feature: "authenticate",
    raisedWhen: "`q-sign-algorithm` is another than `sha1`",
  },
  WebsiteURLInvalid: {
    status: 400,
    message: "The custom URL is invalid.",
    feature: "website",
    raisedWhen: "a redirect target or error document of a website configuration is not a key of the bucket",
    notYet: true,
  },
  XMLSizeLimit: {
    status: 400,
    message: "The XML body exceeds the size limit.",
    feature: "input",
    raisedWhen: "an XML body is larger than its operation takes",
  },

  // 402 Payment Required

  PaymentRequired: {
    status: 402,
    message: "The cost quota is used up.",
    feature: "account",
    raisedWhen: "the account of the caller or of the bucket has used up its spending quota",
  },

  // 403 Forbidden

  AccessDenied: {
    status: 403,
    message: "Access Denied.",
    seen: "captured replies and the service's own 403 troubleshooting page",
    feature: "authorise",
    raisedWhen: "the caller may not do this, or the credentials cannot be read at all",
  },
  AccessForbidden: {
    status: 403,
    // The misspellings are the service's own.
    message:
      "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Requet-Headers are not whitelisted by the resource's CORS spec",
    seen: "documented on the service's OPTIONS Object page",
    feature: "cors",
    raisedWhen:
      "a preflight request matches no rule of the bucket, or a web page that no rule admits uses the published development keys, or writes unsigned to a server that accepts them",
  },
  InvalidAccessKeyId: {
    status: 403,
    message: "The Access Key Id you provided does not exist in our records",
    seen: "a captured reply, in issue 57 of Tencent's PHP SDK",
    feature: "authenticate",
    raisedWhen: "the SecretId is unknown or disabled",
  },
  // One wire code, two meanings: the page lists it under 403 and under 409, so the id carries the status.
  InvalidObjectState403: {
    status: 403,
    code: "InvalidObjectState",
    message: "The operation is not valid for the object storage class.",
    seen: "documented on the service's GET Object page",
    feature: "restore",
    raisedWhen: "an archived object is read, copied or selected from before it is restored",
  },
  NoProcessAuthority: {
    status: 403,
    message: "You do not have permission to process images.",
    feature: "image-processing",
    raisedWhen: "the bucket is not bound to image processing, or the caller may not use it",
    notYet: true,
  },
  RequestTimeTooSkewed: {
    status: 403,
    message: "The difference between the request time and the current time is too large.",
    feature: "authenticate",
    raisedWhen: "the signature's time begins more than 15 minutes in the future",
  },
  // The page's code has blanks in it, which no identifier can have.
  RequestHasExpired: {
    status: 403,
    code: "Request has expired",
    message: "Request has expired",
    seen: "the message under which the live service refuses expired signatures; Tencent's Node SDK compares it",
    feature: "authenticate",
    raisedWhen: "the present lies after the end of `q-sign-time` or of `q-key-time`",
    observed: {
      code: "AccessDenied",
      message: "Request has expired",
      evidence:
        "Tencent's Node SDK corrects its clock on exactly this pair of code and message, and the 403 troubleshooting page prints it.",
    },
  },
  SignatureDoesNotMatch: {
    status: 403,
    message: "The Signature you specified is invalid.",
    seen: "a captured reply (PicGo issue 638)",
    feature: "authenticate",
    raisedWhen: "the signature is not the one that the secret key gives for this request",
  },
  UserNotSourceBucketOwner: {
    status: 403,
    message: "The current user is not the owner of the source bucket.",
    feature: "replication",
    raisedWhen: "replication or logging is configured by another account than the owner of the source bucket",
    notYet: true,
  },
  UserNotTargetBucketOwner: {
    status: 403,
    message: "The current user is not the owner of the destination bucket.",
    feature: "replication",
    raisedWhen:
      "the destination bucket of a replication, logging or inventory configuration belongs to another account",
    notYet: true,
  },

  // 404 Not Found

  InventoryConfigurationNotFoundError: {
    status: 404,
    message: "The inventory configuration is not found.",
    feature: "inventory",
    raisedWhen: "GET Bucket inventory names an id that the bucket does not have",
    notYet: true,
  },
  NoBucketQuotaPolicy: {
    status: 404,
    message: "The bucket quota policy is not found.",
    feature: "quota",
    raisedWhen: "the quota of a bucket that has none is read or deleted",
    notYet: true,
  },
  NoSuchBucket: {
    status: 404,
    message: "The specified bucket does not exist.",
    seen: "a captured reply, in the S3 dialect (zfile issue 200)",
    feature: "bucket",
    raisedWhen: "the addressed bucket has no record, or its deletion has committed",
  },
  NoSuchCopySource: {
    status: 404,
    message: "The copy source does not exist.",
    feature: "copy",
    raisedWhen: "the bucket, key or version named by `x-cos-copy-source` does not exist",
  },
  NoSuchCORSConfiguration: {
    status: 404,
    message: "The CORS configuration does not exist.",
    feature: "cors",
    raisedWhen: "the CORS configuration of a bucket that has none is read",
  },
  NoSuchEncryptionConfiguration: {
    status: 404,
    message: "The bucket encryption configuration does not exist.",
    feature: "encryption",
    raisedWhen: "the default encryption of a bucket that has none is read",
  },
  NoSuchJob: {
    status: 404,
    message: "The specified batch operation job is not found.",
    feature: "batch",
    raisedWhen: "a batch job is described, changed or deleted by an id that is unknown, or changed after it has ended",
    notYet: true,
  },
  NoSuchKey: {
    status: 404,
    message: "The specified key does not exist.",
    seen: "captured replies and the service's documented samples",
    feature: "object",
    raisedWhen: "the addressed object does not exist, or its latest version is a delete marker",
  },
  NoSuchLifecycleConfiguration: {
    status: 404,
    message: "The lifecycle configuration does not exist.",
    feature: "lifecycle",
    raisedWhen: "the lifecycle configuration of a bucket that has none is read",
  },
  NoSuchObjectLockConfiguration: {
    status: 404,
    message: "The object lock configuration does not exist.",
    feature: "object-lock",
    raisedWhen:
      "the lock configuration of a bucket that never had one, or the retention of an unlocked object, is read",
  },
  NoSuchPolicyVersion: {
    status: 404,
    message: "The specified policy version does not exist.",
    feature: "policy",
    raisedWhen: "the policy of a bucket that has none is read",
  },
  NoSuchTagSet: {
    status: 404,
    message: "The TagSet does not exist.",
    feature: "tagging",
    raisedWhen: "the tags of a bucket that has none are read",
  },
  NoSuchUpload: {
    status: 404,
    message: "The specified multipart upload does not exist.",
    feature: "multipart",
    raisedWhen: "`uploadId` is unknown, belongs to another key, or was completed or aborted",
  },
  NoSuchVersion: {
    status: 404,
    message: "The specified version does not exist.",
    feature: "versioning",
    raisedWhen: "`versionId` is malformed or names no version of the key",
  },
  NoSuchWebsiteConfiguration: {
    status: 404,
    message: "The static website configuration does not exist.",
    feature: "website",
    raisedWhen: "the website configuration of a bucket that has none is read, or its website endpoint is called",
    notYet: true,
  },
  OriginConfigurationNotFoundError: {
    status: 404,
    message: "The origin-pull configuration is not found.",
    feature: "origin",
    raisedWhen: "the origin-pull configuration of a bucket that has none is read",
    notYet: true,
  },
  ReplicationConfigurationNotFoundError: {
    status: 404,
    message: "The replication configuration was not found.",
    feature: "replication",
    raisedWhen: "the replication configuration of a bucket that has none is read",
    notYet: true,
    observed: {
      code: "ReplicationConfigurationnotFoundError",
      evidence:
        "Tencent's Node and JavaScript SDKs compare this spelling, with a small n, and report any other as an error.",
    },
  },

  // 405 Method Not Allowed

  MethodNotAllowed: {
    status: 405,
    message: "The specified method is not allowed against this resource.",
    feature: "route",
    raisedWhen:
      "the resource exists in the API but not with this method; `Allow` names those it has; also when a delete marker is read by its version",
  },
  RestoreNonArchiveObject: {
    status: 405,
    message: "Restore is not allowed for the object's current storage class.",
    feature: "restore",
    raisedWhen: "an object that is not archived is to be restored",
  },
  UploadIdNotSupported: {
    status: 405,
    message: "The upload was begun through the JSON API and cannot be continued through the XML API.",
    feature: "json-api",
    raisedWhen: "a multipart operation names an upload that the JSON API began",
    notYet: true,
  },

  // 409 Conflict

  AppendPositionErr: {
    status: 409,
    message: "The append position does not match the object length.",
    feature: "append",
    raisedWhen: "`position` is not the present length of the appendable object; the answer names the length",
  },
  BucketAlreadyExists: {
    status: 409,
    message: "The requested bucket name is not available.",
    seen: "a reply of the live service kept in the tests of Tencent's Go SDK",
    feature: "bucket",
    raisedWhen: "PUT Bucket names a bucket that another account owns, or that the caller owns in another region",
  },
  BucketAlreadyOwnedByYou: {
    status: 409,
    message: "Your previous request to create the named bucket succeeded and you already own it.",
    feature: "bucket",
    raisedWhen: "PUT Bucket names a bucket that the caller already owns in this region",
  },
  BucketLocked: {
    status: 409,
    message: "The bucket is locked. Replication and lifecycle are not supported.",
    feature: "object-lock",
    raisedWhen: "replication (or, under the older kind of lock, lifecycle) is configured on a bucket with object lock",
  },
  BucketNotEmpty: {
    status: 409,
    message: "The bucket you tried to delete is not empty.",
    feature: "bucket",
    raisedWhen: "DELETE Bucket finds an object, a version, a delete marker or an unfinished multipart upload",
  },
  DomainConfigConflict: {
    status: 409,
    message: "The domain configurations conflict. Please delete the conflicting records.",
    feature: "domains",
    raisedWhen: "a domain configuration names the same domain twice or with two types",
    notYet: true,
  },
  InvalidBucketState: {
    status: 409,
    message: "The request is not valid for the current state of the bucket.",
    feature: "versioning",
    raisedWhen:
      "a configuration contradicts another of the bucket, such as suspending versioning under replication or replicating without versioning",
  },
  InvalidLockedTime: {
    status: 409,
    message: "The object lock time is invalid.",
    feature: "object-lock",
    raisedWhen:
      "a lock's days are outside 1 to 36,500 or fewer than before, or a retention ends in the past or earlier than before",
  },
  ObjectLocked: {
    status: 409,
    message: "The object is locked.",
    feature: "object-lock",
    raisedWhen: "a locked object would be overwritten, deleted, retagged or changed by a copy onto itself",
  },
  InvalidObjectState409: {
    status: 409,
    code: "InvalidObjectState",
    message: "The operation is not valid for the current state of the object.",
    seen: "documented by the service for the same refusal of an append",
    feature: "restore",
    raisedWhen:
      "the state of the object forbids the request, such as a copy of an appendable object or a change of storage class during a restore",
  },
  PathConflict: {
    status: 409,
    message: "Path conflict.",
    seen: "documented in the sample answer of DELETE Multiple Objects",
    feature: "faults",
    raisedWhen:
      "the writers of one key keep getting in each other's way, or two of them meet in the same millisecond and the setting lets one lose",
  },
  QuotaConflict: {
    status: 409,
    message: "The quota conflicts with the present usage or with another quota.",
    feature: "quota",
    raisedWhen: "a bucket's quota is set below what the bucket already holds, or against the account's quota",
    notYet: true,
  },
  QuotaOperationConflict: {
    status: 409,
    message: "The state of the bucket does not support this operation.",
    feature: "quota",
    raisedWhen: "a write would exceed the bucket's quota, or a quota is set in a state that forbids it",
    notYet: true,
  },
  RecordAlreadyExist: {
    status: 409,
    message: "The DNS record conflicts. Please delete the conflicting record, or add a CNAME or TXT record.",
    feature: "domains",
    raisedWhen: "a domain is bound that is already bound to another bucket",
    notYet: true,
  },
  RestoreAlreadyInProgress: {
    status: 409,
    message: "Object restore is already in progress.",
    feature: "restore",
    raisedWhen: "a restore is asked for while one is running",
  },
  UploadConflict: {
    status: 409,
    message: "Upload conflict.",
    feature: "faults",
    raisedWhen: "more uploads of one key run at once than the setting allows",
  },
  // The page prints the status as `409 ObjectNotAppendale`; on the wire it is an ordinary 409.
  ObjectNotAppendable: {
    status: 409,
    message: "The operation is not valid for the current state of the object.",
    seen: "documented on the service's APPEND Object page",
    feature: "append",
    raisedWhen: "an append addresses an object that was not made by appending",
  },

  // 411 to 451

  MissingContentLength: {
    status: 411,
    message: "You must provide the Content-Length HTTP header.",
    seen: "documented on the service's APPEND Object page",
    feature: "input",
    raisedWhen: "a PUT or POST has neither `Content-Length` nor chunked encoding, or an append is chunked",
  },
  PreconditionFailed: {
    status: 412,
    message: "Precondition not match.",
    seen: "documented on the service's GET Object page",
    feature: "object",
    raisedWhen:
      "a conditional header, or one on a copy's source, does not hold (a read that is merely unmodified is a 304)",
  },
  InvalidRange: {
    status: 416,
    message: "The requested range cannot be satisfied.",
    feature: "object",
    raisedWhen: "the first byte of the range lies at or beyond the object's end, as it always does in an empty object",
  },
  DomainAuditFailed: {
    status: 451,
    message: "The domain name does not have an ICP license.",
    feature: "domains",
    raisedWhen: "a domain without an ICP filing is bound to a bucket in a mainland region",
    notYet: true,
  },
  UnavailableForLegalReasons: {
    status: 451,
    message: "The appid is unavailable for legal reasons.",
    seen: "a report from the live service (serverless-tencent issue 23)",
    feature: "account",
    raisedWhen:
      "the account of the caller or of the bucket is suspended, blocked or closed, or the bucket or the object is blocked",
  },

  // 5xx

  InternalError: {
    status: 500,
    message: "We encountered an internal error.",
    seen: "a reply kept in the tests of Tencent's Go SDK",
    feature: "pipeline",
    raisedWhen: "a request fails for a reason that is nobody's fault but ours; the cause is in the log",
  },
  KmsInternalException: {
    status: 500,
    message: "The key management service met an internal error.",
    feature: "encryption",
    raisedWhen: "the key management service fails or cannot be reached",
  },
  NotImplemented: {
    status: 501,
    message: "A header you provided implies functionality that is not implemented.",
    feature: "route",
    raisedWhen: "the operation, or what a header asks for, is part of the API but is not built; the message names it",
  },
  KmsFreqControl: {
    status: 503,
    message: "The key management service is called too often.",
    feature: "encryption",
    raisedWhen: "requests to the key management service exceed its rate",
  },
  ServiceUnavailable: {
    status: 503,
    message: "Service is unavailable. Please retry.",
    feature: "faults",
    raisedWhen:
      "the disk or the memory that holds objects is full or fails, the server is in maintenance or shutting down, or it has no room for another request",
  },
  SlowDown: {
    status: 503,
    message: "Please reduce your request rate.",
    feature: "faults",
    raisedWhen: "requests to a bucket, of an account, for an operation or to the server exceed the rate that was set",
  },
});

/** Our name of a catalogue row. */
export type ErrorId = keyof typeof CATALOGUE;
