/**
 * What the XML documents of answers hold, as data. An operation's handler makes the data; how it is spelt is a dialect's
 * part: the declaration brings the service's own form, and another dialect may write the same data in its own.
 */

import type { Grant } from "../access/acl.ts";
import type { CosError } from "../errors/cos-error.ts";
import type { BucketRecord, ObjectHead, UploadRecord } from "../store/records.ts";
import type { Tiering } from "../store/storage-class.ts";
import type { NumberedPart, UploadPage } from "../store/uploads.ts";
import type { VersionPage } from "../store/version-listing.ts";

/** A page of an account's buckets. */
export interface BucketsDocument {
  readonly uin: string;
  readonly prefix: string | undefined;
  readonly marker: string | undefined;
  readonly maxKeys: number | undefined;
  readonly buckets: readonly BucketRecord[];
  readonly nextMarker: string | undefined;
}

/** An ACL, the owner's own grant among the others. */
export interface AclDocument {
  readonly ownerUin: string;
  readonly grants: readonly Grant[];
}

/** Which checksum a record keeps, without its value. */
export type ChecksumKind = Omit<ShownChecksum, "value">;

/** The restore of an archived object, as far as it counts. */
export interface RestoreState {
  readonly underWay: boolean;
  /** Until when the restored copy is there, milliseconds since 1970. */
  readonly expiresMs: number;
}

/** What the state of a class is worked out from, for entries of lists. */
interface ClassFacts {
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** The bucket's, where an entry is of the tiering class. */
  readonly tiering: Tiering | undefined;
  /** Worked out for the dialect that tells it; always undefined where it is not asked for. */
  readonly restoreOf: (head: ObjectHead) => RestoreState | undefined;
  /** Worked out for the dialect that tells it. */
  readonly checksumOf: (head: ObjectHead) => ChecksumKind | undefined;
}

/** A page of a bucket's objects. */
export interface ObjectsDocument extends ClassFacts {
  readonly bucket: string;
  readonly ownerAppid: string;
  readonly ownerUin: string;
  readonly prefix: string;
  readonly marker: string;
  readonly maxKeys: number;
  readonly delimiter: string | undefined;
  readonly encodeNames: boolean;
  readonly objects: readonly { readonly key: string; readonly head: ObjectHead }[];
  readonly prefixes: readonly string[];
  /** Last key or prefix of a page that more follows; the service tells it with and without a delimiter. */
  readonly nextMarker: string | undefined;
}

/** A checksum as documents tell it. */
export interface ShownChecksum {
  /** `CRC32`, and so on. */
  readonly algorithm: string;
  /** `FULL_OBJECT` or `COMPOSITE`. */
  readonly type: string;
  /** Base64, with the number of parts behind it where it is one of parts. */
  readonly value: string;
}

/** What a copy has made. */
export interface CopyDocument {
  readonly etag: string;
  readonly crc64: bigint;
  readonly modifiedMs: number;
  readonly checksum: ShownChecksum | undefined;
  /** Undefined in a bucket where versioning was never configured. */
  readonly versionId: string | undefined;
}

/** What a part copy has made. */
export interface CopiedPartDocument {
  readonly etag: string;
  readonly modifiedMs: number;
  readonly checksum: ShownChecksum | undefined;
}

/** An upload that has begun. */
export interface InitiatedDocument {
  readonly bucket: string;
  readonly key: string;
  readonly uploadId: string;
}

/** An object made of parts. */
export interface CompletedDocument {
  readonly location: string;
  readonly bucket: string;
  readonly key: string;
  readonly etag: string;
  readonly checksum: ShownChecksum | undefined;
}

/** What a form has stored. */
export interface PostedDocument {
  readonly location: string;
  readonly bucket: string;
  readonly key: string;
  readonly etag: string;
}

/** A page of an upload's parts. */
export interface PartsDocument {
  readonly bucket: string;
  readonly key: string;
  readonly encodeNames: boolean;
  readonly uploadId: string;
  readonly upload: UploadRecord;
  readonly marker: number;
  readonly maxParts: number;
  readonly parts: readonly (NumberedPart & { readonly checksum: ShownChecksum | undefined })[];
  readonly truncated: boolean;
  /** The checksum that the whole is to have; its value is not there yet. */
  readonly checksum: ChecksumKind | undefined;
}

/** A page of a bucket's uploads. */
export interface UploadsDocument {
  readonly bucket: string;
  readonly prefix: string;
  readonly delimiter: string | undefined;
  readonly keyMarker: string;
  readonly uploadIdMarker: string;
  readonly maxUploads: number;
  readonly encodeNames: boolean;
  readonly found: UploadPage;
  /** Worked out for the dialect that tells it. */
  readonly checksumOf: (record: UploadRecord) => ChecksumKind | undefined;
}

/** The fates of the objects of one multiple delete. */
export interface DeletionDocument {
  readonly deleted: readonly (DeletedDocument & { readonly markerVersionId: string | undefined })[];
  readonly faults: readonly (DeletedDocument & { readonly error: CosError })[];
}

/** What one entry of a multiple delete names; the version as the client wrote it. */
export interface DeletedDocument {
  readonly key: string;
  readonly versionId: string | undefined;
}

/** A page of the versions of a bucket's objects. */
export interface VersionsDocument extends ClassFacts {
  readonly bucket: string;
  readonly ownerAppid: string;
  readonly ownerUin: string;
  readonly prefix: string;
  readonly delimiter: string | undefined;
  readonly keyMarker: string;
  readonly versionIdMarker: string;
  readonly maxKeys: number;
  readonly encodeNames: boolean;
  readonly found: VersionPage;
}

/** The attributes of an object that were asked for; the others are undefined. */
export interface AttributesDocument {
  readonly etag: string | undefined;
  readonly checksum: ShownChecksum | undefined;
  readonly parts:
    | {
        readonly count: number;
        readonly marker: number;
        readonly max: number;
        readonly truncated: boolean;
        readonly page: readonly {
          readonly number: number;
          /** Bytes. */
          readonly size: number;
          readonly checksum: ShownChecksum | undefined;
        }[];
      }
    | undefined;
  readonly storageClass: string | undefined;
  /** Bytes. */
  readonly size: number | undefined;
}

/** How a bucket encrypts what is stored without a word about it. */
export interface DefaultEncryptionDocument {
  readonly algorithm: "AES256" | "KMS";
  /** The default key of the key management service where it is undefined. */
  readonly keyId: string | undefined;
}

/** How a bucket locks its objects. */
export interface ObjectLockDocument {
  readonly generation: 1 | 2;
  /** Undefined where it locks none by default. */
  readonly days: number | undefined;
}

/** Until when an object is locked. */
export interface RetentionDocument {
  /** Milliseconds since 1970. */
  readonly untilMs: number;
  /** Undefined where its bucket's rule alone locks it. */
  readonly mode: "COMPLIANCE" | undefined;
}

/** The documents that dialects write in forms of their own, by the name of their root. */
export interface Documents {
  readonly ListAllMyBucketsResult: BucketsDocument;
  readonly AccessControlPolicy: AclDocument;
  readonly ListBucketResult: ObjectsDocument;
  readonly CopyObjectResult: CopyDocument;
  readonly CopyPartResult: CopiedPartDocument;
  readonly InitiateMultipartUploadResult: InitiatedDocument;
  readonly CompleteMultipartUploadResult: CompletedDocument;
  readonly PostResponse: PostedDocument;
  readonly ListPartsResult: PartsDocument;
  readonly ListMultipartUploadsResult: UploadsDocument;
  readonly DeleteResult: DeletionDocument;
  readonly ListVersionsResult: VersionsDocument;
  readonly ServerSideEncryptionConfiguration: DefaultEncryptionDocument;
}

/** Writes the document `root` from the data it was made of; `standard` writes the service's own form. */
export type DocumentWriter = (root: string, data: unknown, standard: () => string) => string;
