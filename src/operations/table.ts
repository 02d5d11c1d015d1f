/** Every operation of the service: the built ones from their features, the others by name. */

import { operations as acl } from "../features/acl/index.ts";
import { operations as append } from "../features/append/index.ts";
import { operations as bucket } from "../features/bucket/index.ts";
import { operations as cors } from "../features/cors/index.ts";
import { operations as encryption } from "../features/encryption/index.ts";
import { operations as copy } from "../features/copy/index.ts";
import { operations as lifecycle } from "../features/lifecycle/index.ts";
import { operations as listing } from "../features/listing/index.ts";
import { operations as multipart } from "../features/multipart/index.ts";
import { operations as postObject } from "../features/post-object/index.ts";
import { operations as policy } from "../features/policy/index.ts";
import { operations as objectLock } from "../features/object-lock/index.ts";
import { operations as object } from "../features/object/index.ts";
import { operations as referer } from "../features/referer/index.ts";
import { operations as service } from "../features/service/index.ts";
import { operations as storageClass } from "../features/storage-class/index.ts";
import { operations as strictSignature } from "../features/strict-signature/index.ts";
import { operations as tagging } from "../features/tagging/index.ts";
import { operations as versioning } from "../features/versioning/index.ts";
import { type Operation, type Route, unbuilt } from "./operation.ts";

type Row = readonly [name: string, method: Route["method"], on: Route["on"], ...query: readonly string[]];

/** Recognised by name and answered with NotImplemented until their feature is built. Actions follow the names. */
const UNBUILT: readonly Row[] = [
  ["PutBucketReplication", "PUT", "bucket", "replication"],
  ["GetBucketReplication", "GET", "bucket", "replication"],
  ["DeleteBucketReplication", "DELETE", "bucket", "replication"],
  ["PutBucketWebsite", "PUT", "bucket", "website"],
  ["GetBucketWebsite", "GET", "bucket", "website"],
  ["DeleteBucketWebsite", "DELETE", "bucket", "website"],
  ["PutBucketLogging", "PUT", "bucket", "logging"],
  ["GetBucketLogging", "GET", "bucket", "logging"],
  ["PutBucketAccelerate", "PUT", "bucket", "accelerate"],
  ["GetBucketAccelerate", "GET", "bucket", "accelerate"],
  ["PutBucketDomain", "PUT", "bucket", "domain"],
  ["GetBucketDomain", "GET", "bucket", "domain"],
  ["DeleteBucketDomain", "DELETE", "bucket", "domain"],
  ["PutBucketDomainCertificate", "PUT", "bucket", "domaincertificate"],
  ["GetBucketDomainCertificate", "GET", "bucket", "domaincertificate"],
  ["DeleteBucketDomainCertificate", "DELETE", "bucket", "domaincertificate"],
  ["PutBucketInventory", "PUT", "bucket", "inventory"],
  ["GetBucketInventory", "GET", "bucket", "inventory"],
  ["DeleteBucketInventory", "DELETE", "bucket", "inventory"],
  ["PostBucketInventory", "POST", "bucket", "inventory"],
  ["PutBucketOrigin", "PUT", "bucket", "origin"],
  ["GetBucketOrigin", "GET", "bucket", "origin"],
  ["DeleteBucketOrigin", "DELETE", "bucket", "origin"],
  ["PutBucketNotification", "PUT", "bucket", "notification"],
  ["GetBucketNotification", "GET", "bucket", "notification"],
  ["PutBucketQuota", "PUT", "bucket", "quota"],
  ["GetBucketQuota", "GET", "bucket", "quota"],
  ["DeleteBucketQuota", "DELETE", "bucket", "quota"],
  ["PutLiveChannelSwitch", "PUT", "bucket", "live"],
  ["ListLiveChannels", "GET", "bucket", "live"],
  ["SelectObjectContent", "POST", "object", "select"],
  ["PutSymlink", "PUT", "object", "symlink"],
  ["GetSymlink", "GET", "object", "symlink"],
  ["RenameObject", "PUT", "object", "rename"],
  ["PutObjectLegalHold", "PUT", "object", "legal-hold"],
  ["GetObjectLegalHold", "GET", "object", "legal-hold"],
];

/** Operations that S3 alone has, recognised in its dialect so that none of them is taken for a plain list or object. */
const UNBUILT_S3: readonly Row[] = [
  ["PutBucketOwnershipControls", "PUT", "bucket", "ownershipControls"],
  ["GetBucketOwnershipControls", "GET", "bucket", "ownershipControls"],
  ["DeleteBucketOwnershipControls", "DELETE", "bucket", "ownershipControls"],
  ["PutPublicAccessBlock", "PUT", "bucket", "publicAccessBlock"],
  ["GetPublicAccessBlock", "GET", "bucket", "publicAccessBlock"],
  ["DeletePublicAccessBlock", "DELETE", "bucket", "publicAccessBlock"],
  ["PutBucketRequestPayment", "PUT", "bucket", "requestPayment"],
  ["GetBucketRequestPayment", "GET", "bucket", "requestPayment"],
  ["PutBucketAnalyticsConfiguration", "PUT", "bucket", "analytics"],
  ["GetBucketAnalyticsConfiguration", "GET", "bucket", "analytics"],
  ["DeleteBucketAnalyticsConfiguration", "DELETE", "bucket", "analytics"],
  ["PutBucketMetricsConfiguration", "PUT", "bucket", "metrics"],
  ["GetBucketMetricsConfiguration", "GET", "bucket", "metrics"],
  ["DeleteBucketMetricsConfiguration", "DELETE", "bucket", "metrics"],
  ["CreateBucketMetadataConfiguration", "POST", "bucket", "metadataConfiguration"],
  ["GetBucketMetadataConfiguration", "GET", "bucket", "metadataConfiguration"],
  ["DeleteBucketMetadataConfiguration", "DELETE", "bucket", "metadataConfiguration"],
  ["CreateBucketMetadataTableConfiguration", "POST", "bucket", "metadataTable"],
  ["GetBucketMetadataTableConfiguration", "GET", "bucket", "metadataTable"],
  ["DeleteBucketMetadataTableConfiguration", "DELETE", "bucket", "metadataTable"],
  ["UpdateBucketMetadataAnnotationTableConfiguration", "PUT", "bucket", "metadataAnnotationTable"],
  ["UpdateBucketMetadataInventoryTableConfiguration", "PUT", "bucket", "metadataInventoryTable"],
  ["UpdateBucketMetadataJournalTableConfiguration", "PUT", "bucket", "metadataJournalTable"],
  ["GetBucketAbac", "GET", "bucket", "abac"],
  ["PutBucketAbac", "PUT", "bucket", "abac"],
  ["CreateSession", "GET", "bucket", "session"],
  ["GetObjectTorrent", "GET", "object", "torrent"],
  ["RenameObject", "PUT", "object", "renameObject"],
  ["UpdateObjectEncryption", "PUT", "object", "encryption"],
  ["PutObjectAnnotation", "PUT", "object", "annotation"],
  ["GetObjectAnnotation", "GET", "object", "annotation"],
  ["DeleteObjectAnnotation", "DELETE", "object", "annotation"],
];

export const TABLE: readonly Operation[] = [
  ...service,
  ...bucket,
  ...listing,
  ...object,
  ...copy,
  ...cors,
  ...append,
  ...multipart,
  ...postObject,
  ...policy,
  ...referer,
  ...strictSignature,
  ...versioning,
  ...tagging,
  ...storageClass,
  ...encryption,
  ...lifecycle,
  ...objectLock,
  ...acl,
  ...UNBUILT.map(([name, method, on, ...query]) => unbuilt(name, `name/cos:${name}`, { method, on, query })),
  ...UNBUILT_S3.map(([name, method, on, ...query]) => unbuilt(name, `name/cos:${name}`, { method, on, query }, "s3")),
];
