/**
 * Every bound of the server, by name. All of them are settings (`limits:` in cosbox.yaml, `--limit name=value`), so
 * that a test reaches a bound with kilobytes. A docstring names the code a client gets, where there is one.
 */
export const LIMITS = {
  /** Buckets one root account may own: `TooManyBuckets`. (limits page) */
  bucketsPerAccount: 200,
  /** Characters of `<bucket>.cos.<region>.myqcloud.com` as a whole: `BucketNameTooLong`. (bucket naming page) */
  bucketHostCharsMax: 60,

  /** Bytes of an object key in UTF-8: `KeyTooLong`. (limits page) */
  keyBytesMax: 850,
  /** Bytes of all `x-cos-meta-*` names and values of one object together: `InvalidArgument`. (limits page) */
  metadataBytesMax: 2048,
  /** Bytes of one body: PUT, POST, a part, a copy in one request, an appended object: `EntityTooLarge`. (limits page) */
  singleUploadBytesMax: 5 * 1024 ** 3,
  /** Bytes of an object made of parts, 50,000 GB: `EntityTooLarge`. (limits page) */
  objectBytesMax: 50_000 * 1024 ** 3,
  /** Highest part number, and so the number of parts of one upload: `InvalidArgument`. (limits page) */
  partsMax: 10_000,
  /** Bytes of every part but the last: `EntityTooSmall`. (limits page) */
  partBytesMin: 1024 ** 2,
  /** CORS rules of one bucket: `InvalidArgument`. (CORS page) */
  corsRulesMax: 100,
  /** Referer rules of one bucket: `InvalidArgument`. (hotlink protection page) */
  refererDomainsMax: 30,
  /** Strict signature rules of one bucket: `InvalidArgument`. (strict signature pages) */
  strictRulesMax: 10,
  /** Actions of one strict signature rule: `InvalidArgument`. (strict signature pages) */
  strictActionsMax: 200,
  /** Headers, and parameters, of one strict signature rule: `InvalidArgument`. (strict signature pages) */
  strictNamesMax: 20,
  /** Headers that one preflight request may ask for: `AccessForbidden`. */
  corsRequestHeadersMax: 200,
  /** Rules of a bucket's lifecycle: `InvalidArgument`. (lifecycle page) */
  lifecycleRulesMax: 1000,
  /** Rules for the archive tiers of a bucket's intelligent tiering: `InvalidArgument`. (intelligent tiering page) */
  tieringRulesMax: 1000,
  /** Days for which an archived object may be restored: `InvalidArgument`. (restore page) */
  restoreDaysMax: 365,
  /** How long a restore of ARCHIVE takes, ms, by its tier; the service says 1 to 5 minutes. (restore page) */
  restoreExpeditedMs: 60 * 1000,
  /** The service says 3 to 5 hours. */
  restoreStandardMs: 3 * 60 * 60 * 1000,
  /** The service says 5 to 12 hours. */
  restoreBulkMs: 5 * 60 * 60 * 1000,
  /** How long a restore of DEEP_ARCHIVE takes, ms; the service says 12 to 24 hours. */
  restoreDeepStandardMs: 12 * 60 * 60 * 1000,
  /** The service says 24 to 48 hours. */
  restoreDeepBulkMs: 24 * 60 * 60 * 1000,
  /** Keys in one multiple delete: `MalformedXML`. (multiple-delete page) */
  deleteObjectsMax: 1000,
  /** Tags of one object: `BadRquest`. (tagging page) */
  objectTagsMax: 10,
  /** Tags of one bucket: `BadRquest`. (tagging page) */
  bucketTagsMax: 50,

  /** Keys, prefixes or versions on one listing page; a greater `max-keys` is lowered to it. (list pages) */
  listKeysMax: 1000,
  /** Parts on one page of List Parts; a greater `max-parts` is lowered to it. (list-parts page) */
  listPartsMax: 1000,
  /** Uploads on one page of List Multipart Uploads; a greater `max-uploads` is lowered to it. (list-uploads page) */
  listUploadsMax: 1000,
  /** Buckets on one page of List Buckets; a greater `max-keys` is lowered to it. (Go SDK; not on the page) */
  listBucketsMax: 2000,

  /** Bytes of an XML body that no other bound names: `XMLSizeLimit`. */
  xmlBytesMax: 64 * 1024,
  /**
   * Bytes of a Complete Multipart Upload body: `XMLSizeLimit`. 10,000 parts written compactly take 1 MB, and
   * indented ones with escaped quotes up to 1.5 MB.
   */
  xmlCompleteBytesMax: 2 * 1024 ** 2,
  /** Bytes of a lifecycle's document, 1,000 rules of a kilobyte: `XMLSizeLimit`. */
  xmlLifecycleBytesMax: 1024 ** 2,
  /** Bytes of a multiple-delete body, 1,000 keys of 850 bytes with room for escapes: `XMLSizeLimit`. */
  xmlDeleteBytesMax: 2 * 1024 ** 2,
  /** Levels of nested elements in an XML body: `MalformedXML`. */
  xmlDepthMax: 16,
  /** Elements in an XML body: `MalformedXML`. */
  xmlElementsMax: 100_000,

  /** Bytes of a form upload besides its file, and of its policy once decoded: `MalformedPOSTRequest`. (as S3) */
  formBytesMax: 20 * 1024,
  /** Fields of a form upload before its file: `MalformedPOSTRequest`. */
  formFieldsMax: 100,
  /** Conditions of a form's policy: `InvalidPolicyDocument`. */
  formConditionsMax: 200,

  /** Bytes of the request line and all headers together: `BadRquest`. */
  headerBytesMax: 16 * 1024,
  /** Headers of one request: `BadRquest`. */
  headersMax: 200,
  /** Parameters in one query: `InvalidURI`. */
  queryParametersMax: 1000,

  /** Bytes of a bucket's policy: `MalformedPolicy`. (policy page) */
  policyBytesMax: 20 * 1024,
  /** Root accounts that are stored, beside those of the settings. */
  accountsMax: 1000,
  /** Users of one account. */
  accountUsersMax: 1000,
  /** Groups of one account. (CAM's limit) */
  accountGroupsMax: 300,
  /** Roles of one account. (CAM's limit) */
  accountRolesMax: 1000,
  /** Policies of one account. (CAM's limit) */
  accountPoliciesMax: 1500,
  /** Keys of one account itself, and of one user. */
  identityKeysMax: 10,
  /** Bytes of a policy of a user, a group, a role or a temporary key. (CAM's limit) */
  accountPolicyBytesMax: 6 * 1024,
  /** Seconds a temporary key of a root account may last: `InvalidParameterValue` of the STS. (GetFederationToken page) */
  rootSessionSecondsMax: 7200,
  /** Seconds a temporary key of a user may last: `InvalidParameterValue` of the STS. (GetFederationToken page) */
  userSessionSecondsMax: 129_600,
  /** Bytes of a request to the STS: `RequestSizeLimitExceeded` of the STS. */
  stsBytesMax: 64 * 1024,
  /** How far the time of a request to the STS may lie from ours, ms: `AuthFailure.SignatureExpire`. (signature page) */
  stsSkewMs: 5 * 60 * 1000,
  /** Grants of one ACL: `AttachmentFull`. (ACL pages) */
  aclGrantsMax: 100,
  /** ACLs and policies that the buckets and objects of one account may have: `PolicyFull`. (limits page) */
  attachmentsPerAccount: 1000,
  /** Documents kept of one policy, the current one among them: `PolicyVersionFull`, unless the oldest gives way. */
  policyVersionsMax: 5,
  /** 1: the oldest document of a policy gives way to a new one; 0: a new one is refused. */
  policyVersionsRollover: 1,

  /** The least that `x-cos-traffic-limit` may say, bits per second: `InvalidArgument`. (traffic-limit page) */
  trafficLimitMin: 819_200,
  /** The most that it may say, bits per second: `InvalidArgument`. */
  trafficLimitMax: 838_860_800,

  /** How far the start of a signature may lie in the future, ms: `RequestTimeTooSkewed`. (signature page: 15 minutes) */
  signSkewMs: 15 * 60 * 1000,

  /** From a connection, or the end of the previous request's headers, to complete headers, ms: `RequestTimeout`. */
  headersTimeoutMs: 20_000,
  /** An idle connection is kept this long after an answer, ms; then it is closed without one. */
  keepAliveMs: 60_000,
  /** Within a body, ms without a single byte: `RequestTimeout`. */
  bodyIdleMs: 20_000,
  /** Bytes per second that a body must reach over `bodyRateWindowMs`, 0 for any pace: `UserNetworkTooSlow`. */
  bodyRateFloor: 1024,
  /** The window over which `bodyRateFloor` is measured, ms. */
  bodyRateWindowMs: 30_000,
  /**
   * After an early refusal, bytes of the body that are read and thrown away before the connection is cut. Clients such
   * as Python's read no answer before they have sent everything, so a whole upload has to fit; throwing bytes away
   * costs less than storing them, which a client may make us do at any time. `discardMs` is what bounds the effort.
   */
  discardBytesMax: 5 * 1024 ** 3 + 64 * 1024 ** 2,
  /** After an early refusal, ms for which the body is read and thrown away before the connection is cut. (as nginx) */
  discardMs: 30_000,
  /** A client that takes nothing of an answer for this long, ms, is cut off. */
  writeStallMs: 60_000,
  /** While a document is not known that was promised with a status of 200, ms between two blanks. */
  blankEveryMs: 5000,
  /** Requests under way at once in each process; one more is `ServiceUnavailable`, before anything of it is read. */
  requestsMax: 10_000,
  /** Uploads of one key under way at once, over all processes, 0 for any number; one more is `UploadConflict`. */
  keyUploadsMax: 0,
  /**
   * 1: of two uploads of one key that began with the same object in place and are stored in the same millisecond, the
   * later one is `PathConflict`; 0: the later one is what is there then.
   */
  sameTickConflicts: 0,
  /** Connections at once; further ones are closed as they come. */
  connectionsMax: 65_536,
  /** A copy or a completion that takes longer, ms, is answered 200 at once; its document follows, after blanks. */
  earlyAnswerMs: 5000,
  /** Bytes up to which a body is kept in a row of the metadata store, and not in a blob of its own. */
  inlineBytesMax: 16 * 1024,
  /** Bytes up to which a longer body shares a file with others, 0 for a file each; on disk only. */
  segmentBytesMax: 512 * 1024,
  /** Bytes per second that may be read and written to give back the space of removed bodies that shared files. */
  packingBytesPerSecond: 32 * 1024 ** 2,
  /** 2: buckets get the second generation of object lock; 1: the first. Those that have one keep it. */
  objectLockGeneration: 2,
  /** Calls that the local key management service answers in one second, for each process: `KmsFreqControl`. */
  kmsCallsPerSecond: 10_000,
  /** Within which a remote key management service answers, ms: `KmsInternalException`. */
  kmsTimeoutMs: 5000,
  /**
   * How long a key that a remote key management service has opened is remembered in memory, ms; 0 for not at all, so that
   * one it disables opens nothing more.
   */
  kmsCachedMs: 0,
  /** Requests, and refusals besides, whose decision records are kept in memory. */
  recordsInMemory: 1000,
  /** Decision records of refusals that are kept in the data folder; the oldest give way. */
  refusalRecordsMax: 100_000,
  /** How long they are kept, ms: a week. */
  refusalRecordsMs: 7 * 24 * 60 * 60 * 1000,
  /** Refusals in one second of which the whole reason is kept, for each process. */
  refusalRecordsPerSecond: 100,
  /** Buckets whose storage the metrics tell by name, the largest; the others are told as one. */
  metricBucketsMax: 100,
  /** How old the count of what buckets hold may be when the metrics are asked for, ms, before it is counted anew. */
  storageCountMs: 60_000,
  /** Namespaces at once, each of them a server in memory behind the same listener. */
  namespacesMax: 64,
  /** Bytes of bodies beyond `inlineBytesMax` that all namespaces together may hold: `ServiceUnavailable`. */
  namespaceBytesMax: 2 * 1024 ** 3,
  /** Snapshots of a server in memory that are kept at once. */
  snapshotsMax: 100,
  /** Bytes of everything in all snapshots, each counted as if it shared nothing. */
  snapshotBytesMax: 1024 ** 3,
  /** On a stop, ms that requests under way get before their connections are cut. */
  stopGraceMs: 10_000,
  /** With several workers, how many may end unexpectedly within a minute before the server stops. */
  workerCrashesMax: 20,
};

export type LimitName = keyof typeof LIMITS;
export type Limits = { readonly [Name in LimitName]: number };

/** The longest wait that a Node timer keeps; a longer one would fire at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** The values a limit may be set to, both ends included. */
export function limitBounds(name: LimitName): { readonly min: number; readonly max: number } {
  // A row's key holds the object key, a bucket id and a version within 1,900 bytes.
  if (name === "keyBytesMax") return { min: 1, max: 1600 };
  // Rows name a part by two bytes, and an ETag counts them in as many.
  if (name === "partsMax") return { min: 1, max: 65_535 };
  // Such a body is held in memory until it is complete.
  if (name === "segmentBytesMax") return { min: 0, max: 16 * 1024 ** 2 };
  // A place in memory for each, from the start.
  if (name === "recordsInMemory") return { min: 1, max: 100_000 };
  if (name === "objectLockGeneration") return { min: 1, max: 2 };
  if (name === "sameTickConflicts") return { min: 0, max: 1 };
  if (name === "keyUploadsMax") return { min: 0, max: Number.MAX_SAFE_INTEGER };
  if (name === "policyVersionsRollover") return { min: 0, max: 1 };
  if (name === "kmsCachedMs") return { min: 0, max: TIMER_MS_MAX };
  if (name === "bodyRateFloor") return { min: 0, max: Number.MAX_SAFE_INTEGER };
  if (name.endsWith("Ms")) return { min: 1, max: TIMER_MS_MAX };
  return { min: 1, max: Number.MAX_SAFE_INTEGER };
}
