/**
 * What S3 calls the operations: each name of the S3 API with the operation of the table that it is. Nothing is decided
 * by it, since requests are routed by what they ask for; `docs/reference/s3.md` and its tests are made of it.
 */

export interface S3Operation {
  /** As the S3 API reference has it. */
  readonly name: string;
  /** The operation of the table, which may be one that is recognised and not built. */
  readonly is: string;
  /** What a client has to know where the two differ, as a sentence. */
  readonly note?: string;
}

const same = (...names: readonly string[]): S3Operation[] => names.map((name) => ({ name, is: name }));

/** Every operation of the S3 API reference for general purpose buckets, in order of name. */
export const S3_OPERATIONS: readonly S3Operation[] = [
  ...same("AbortMultipartUpload", "CompleteMultipartUpload"),
  { name: "CopyObject", is: "PutObjectCopy" },
  {
    name: "CreateBucket",
    is: "PutBucket",
    note: "A `LocationConstraint` must be the endpoint's region. `x-amz-bucket-object-lock-enabled` enables versioning too.",
  },
  ...same("CreateBucketMetadataConfiguration", "CreateBucketMetadataTableConfiguration"),
  { name: "CreateMultipartUpload", is: "InitiateMultipartUpload" },
  ...same("CreateSession", "DeleteBucket", "DeleteBucketAnalyticsConfiguration"),
  { name: "DeleteBucketCors", is: "DeleteBucketCORS" },
  ...same("DeleteBucketEncryption", "DeleteBucketIntelligentTieringConfiguration"),
  { name: "DeleteBucketInventoryConfiguration", is: "DeleteBucketInventory" },
  ...same(
    "DeleteBucketLifecycle",
    "DeleteBucketMetadataConfiguration",
    "DeleteBucketMetadataTableConfiguration",
    "DeleteBucketMetricsConfiguration",
    "DeleteBucketOwnershipControls",
    "DeleteBucketPolicy",
    "DeleteBucketReplication",
    "DeleteBucketTagging",
    "DeleteBucketWebsite",
    "DeleteObject",
  ),
  {
    name: "DeleteObjects",
    is: "DeleteMultipleObjects",
    note: "Needs `Content-MD5` or an `x-amz-checksum-*`; with `strictS3` the first.",
  },
  ...same("DeleteObjectAnnotation", "DeleteObjectTagging"),
  { name: "DeletePublicAccessBlock", is: "DeletePublicAccessBlock" },
  ...same("GetBucketAbac"),
  { name: "GetBucketAccelerateConfiguration", is: "GetBucketAccelerate" },
  { name: "GetBucketAcl", is: "GetBucketACL" },
  ...same("GetBucketAnalyticsConfiguration"),
  { name: "GetBucketCors", is: "GetBucketCORS" },
  ...same("GetBucketEncryption"),
  ...same("GetBucketIntelligentTieringConfiguration"),
  { name: "GetBucketInventoryConfiguration", is: "GetBucketInventory" },
  { name: "GetBucketLifecycleConfiguration", is: "GetBucketLifecycle" },
  ...same(
    "GetBucketLocation",
    "GetBucketLogging",
    "GetBucketMetadataConfiguration",
    "GetBucketMetadataTableConfiguration",
    "GetBucketMetricsConfiguration",
  ),
  { name: "GetBucketNotificationConfiguration", is: "GetBucketNotification" },
  ...same(
    "GetBucketOwnershipControls",
    "GetBucketPolicy",
    "GetBucketPolicyStatus",
    "GetBucketReplication",
    "GetBucketRequestPayment",
    "GetBucketTagging",
    "GetBucketVersioning",
    "GetBucketWebsite",
  ),
  { name: "GetObject", is: "GetObject" },
  { name: "GetObjectAcl", is: "GetObjectACL" },
  ...same("GetObjectAnnotation"),
  ...same("GetObjectAttributes", "GetObjectLegalHold"),
  { name: "GetObjectLockConfiguration", is: "GetBucketObjectLockConfiguration" },
  ...same(
    "GetObjectRetention",
    "GetObjectTagging",
    "GetObjectTorrent",
    "GetPublicAccessBlock",
    "HeadBucket",
    "HeadObject",
  ),
  { name: "ListBucketAnalyticsConfigurations", is: "GetBucketAnalyticsConfiguration" },
  { name: "ListBucketIntelligentTieringConfigurations", is: "ListBucketIntelligentTiering" },
  { name: "ListBucketInventoryConfigurations", is: "GetBucketInventory" },
  { name: "ListBucketMetricsConfigurations", is: "GetBucketMetricsConfiguration" },
  { name: "ListBuckets", is: "GetService" },
  { name: "ListMultipartUploads", is: "ListMultipartUploads" },
  { name: "ListObjectAnnotations", is: "GetObjectAnnotation" },
  { name: "ListObjects", is: "GetBucket", note: "`NextMarker` is told without a delimiter too." },
  { name: "ListObjectsV2", is: "GetBucket", note: "A continuation token is a marker in another form." },
  { name: "ListObjectVersions", is: "GetBucketObjectVersions" },
  ...same("ListParts"),
  { name: "PostObject", is: "PostObject" },
  ...same("PutBucketAbac"),
  { name: "PutBucketAccelerateConfiguration", is: "PutBucketAccelerate" },
  { name: "PutBucketAcl", is: "PutBucketACL" },
  ...same("PutBucketAnalyticsConfiguration"),
  { name: "PutBucketCors", is: "PutBucketCORS" },
  ...same("PutBucketEncryption", "PutBucketIntelligentTieringConfiguration"),
  { name: "PutBucketInventoryConfiguration", is: "PutBucketInventory" },
  { name: "PutBucketLifecycleConfiguration", is: "PutBucketLifecycle" },
  ...same("PutBucketLogging", "PutBucketMetricsConfiguration"),
  { name: "PutBucketNotificationConfiguration", is: "PutBucketNotification" },
  ...same(
    "PutBucketOwnershipControls",
    "PutBucketPolicy",
    "PutBucketReplication",
    "PutBucketRequestPayment",
    "PutBucketTagging",
    "PutBucketVersioning",
    "PutBucketWebsite",
    "PutObject",
  ),
  { name: "PutObjectAcl", is: "PutObjectACL" },
  ...same("PutObjectAnnotation", "PutObjectLegalHold"),
  { name: "PutObjectLockConfiguration", is: "PutBucketObjectLockConfiguration" },
  ...same("PutObjectRetention", "PutObjectTagging", "PutPublicAccessBlock", "RenameObject"),
  { name: "RestoreObject", is: "PostObjectRestore" },
  ...same(
    "SelectObjectContent",
    "UpdateBucketMetadataAnnotationTableConfiguration",
    "UpdateBucketMetadataInventoryTableConfiguration",
    "UpdateBucketMetadataJournalTableConfiguration",
  ),
  ...same("UpdateObjectEncryption", "UploadPart", "UploadPartCopy"),
];
