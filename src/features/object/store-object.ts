/** The one transaction that puts an object under a key, for PUT, forms and copy. */

import type { ErrorId } from "../../errors/catalogue.ts";
import { refuse } from "../../errors/cos-error.ts";
import { checksumHeaders, checksumOutput } from "../../operations/checksums.ts";
import { group } from "../../operations/input-fields.ts";
import type { InputOf, OperationContext, OutputOf } from "../../operations/operation.ts";
import { out } from "../../operations/output-fields.ts";
import { keeping, type PendingBody } from "../../store/bodies.ts";
import { objectKey } from "../../store/keys.ts";
import type { NewObject } from "../../store/objects.ts";
import type { ObjectRecord } from "../../store/records.ts";
import { checksumSections } from "../../store/checksums.ts";
import { tagSections } from "../../store/tags.ts";
import { objectTagsField } from "../tagging/model.ts";
import { expirationOutput, shownExpiration } from "../lifecycle/model.ts";
import { refuseClass, shownClass, storageClassField, storageClassOutput } from "../storage-class/model.ts";
import { shownVersionId, versionIdOutput } from "../versioning/model.ts";
import { ACL_PLACE_ERRORS, aclField, givenSections, placeObjectAcl } from "../acl/model.ts";
import {
  customerKeyIn,
  ENCRYPT_ERRORS,
  encryptionField,
  encryptionHeaders,
  encryptionOutput,
  keyToStore,
} from "../encryption/model.ts";
import { LOCK_ERRORS, lockSections, retentionField } from "../object-lock/model.ts";
import { metadataField, refuseWrite, storedHeaderFields, storedHeaders, type WriteConditions } from "./model.ts";
import { BODY_ERRORS, bodyFields, takeBody } from "./take-body.ts";

/** What was under a key when an upload of it began; undefined where nobody wants to know. */
interface KeyBefore {
  readonly sequence: number | undefined;
}

/** Looks at what is under the context's key, where the limit `sameTickConflicts` asks for it. */
async function keyBefore({
  bucket,
  key,
  limits,
  store,
}: Pick<OperationContext, "bucket" | "key" | "limits" | "store">): Promise<KeyBefore | undefined> {
  if (limits.sameTickConflicts === 0) return undefined;
  return { sequence: (await store.objects.findVersion(bucket, key, undefined))?.record.sequence };
}

/** Raises PathConflict where another upload, begun before the other was done, was stored in the same millisecond. */
function refuseSameTick(before: KeyBefore, present: ObjectRecord | undefined, modifiedMs: number): void {
  if (present === undefined || present.sequence === before.sequence || present.modifiedMs !== modifiedMs) return;
  const told = "Another upload of this key was stored in the same millisecond, after this one had begun.";
  throw refuse("PathConflict", { evidence: () => ({ kind: "limit", name: "sameTickConflicts", bound: 1, told }) });
}

const UNCONDITIONAL: WriteConditions = { ifMatch: undefined, ifNoneMatch: undefined };

/** An object that was stored. */
export interface StoredObject {
  /** Undefined in a bucket where versioning was never configured. */
  readonly versionId: string | undefined;
  /** With the lock that its bucket gives it by default. */
  readonly stored: ObjectRecord;
}

/**
 * Stores an object whose bytes are at hand as the current one under the context's key, and gives the bytes back when it
 * is refused. Raises PolicyFull, PathConflict, NoSuchBucket when the bucket was deleted since it was authorised, and what `refuseWrite`
 * does.
 */
export async function storeObject(
  { bucket, key, limits, store }: Pick<OperationContext, "bucket" | "key" | "limits" | "store">,
  pending: PendingBody,
  facts: Omit<NewObject, "body" | "size">,
  conditions: WriteConditions = UNCONDITIONAL,
  before?: KeyBefore,
): Promise<StoredObject> {
  const { etag, crc64, modifiedMs, storageClass, type, ownerUin, headers, metadata, sections, dataKey } = facts;
  const { body } = pending;
  const { size } = body;
  // Field by field, as in `Objects.put`.
  const record: NewObject = {
    size,
    modifiedMs,
    etag,
    crc64,
    type,
    storageClass,
    ownerUin,
    headers,
    metadata,
    body,
    sections,
    dataKey,
  };
  return keeping(pending, () =>
    store.transact([objectKey(bucket.id, key)], async (tx) => {
      const present = await store.buckets.requireSame(tx, bucket);
      if (conditions.ifMatch !== undefined || conditions.ifNoneMatch !== undefined) {
        refuseWrite(conditions, await store.objects.findIn(tx, bucket.id, key));
      }
      if (before !== undefined) {
        refuseSameTick(before, await store.objects.findIn(tx, bucket.id, key), modifiedMs);
      }
      await pending.addTo(tx);
      const stored = await store.objects.put(tx, present, key, record);
      await placeObjectAcl({ tx, configurations: store.configurations, limits }, present, key, stored);
      return { versionId: shownVersionId(present, stored), stored };
    }),
  );
}

/** The input fields of an object that comes with its bytes in one request. */
export const newObjectFields = {
  stored: group(storedHeaderFields),
  metadata: metadataField,
  acl: aclField("object"),
  storageClass: storageClassField,
  tags: objectTagsField,
  encryption: encryptionField,
  retention: retentionField,
  ...bodyFields,
};

/** What `storeNew` gives, as an answer tells it. */
export const newObjectOutput = {
  etag: out.quoted("ETag"),
  crc64: out.integer("x-cos-hash-crc64ecma"),
  versionId: versionIdOutput,
  storageClass: storageClassOutput,
  expiration: expirationOutput,
  checksum: checksumOutput,
  encryption: encryptionOutput,
};

/** The refusals of `storeNew`, for the declarations of its callers. */
export const NEW_OBJECT_ERRORS = [
  ...ACL_PLACE_ERRORS,
  ...BODY_ERRORS,
  ...ENCRYPT_ERRORS,
  ...LOCK_ERRORS,
  "NoSuchBucket",
  "PathConflict",
] as const satisfies readonly ErrorId[];

/** Takes the body of a request in and stores it as an object. Raises what `takeBody` and `storeObject` do. */
export async function storeNew(
  context: Pick<OperationContext, "bucket" | "clock" | "key" | "limits" | "store">,
  input: InputOf<typeof newObjectFields>,
  conditions: WriteConditions = UNCONDITIONAL,
): Promise<OutputOf<typeof newObjectOutput> & { readonly etag: string }> {
  refuseClass(context.store, context.bucket, input.storageClass);
  const locked = lockSections(context, input.retention);
  const dataKey = await keyToStore(context, input.encryption);
  const before = await keyBefore(context);
  const bytes = await takeBody(context, input, { dataKey: dataKey?.bytes });
  const etag = dataKey?.etagOf(bytes.md5) ?? bytes.md5.toString("hex");
  const facts = {
    etag,
    crc64: bytes.crc64,
    modifiedMs: context.clock.now(),
    storageClass: input.storageClass,
    type: "normal",
    ownerUin: ownerOf(context),
    headers: storedHeaders(input.stored, context.key),
    metadata: input.metadata,
    sections: [...checksumSections(bytes.checksum), ...tagSections(input.tags), ...givenSections(input.acl), ...locked],
    dataKey,
  } as const;
  const { versionId, stored } = await storeObject(context, bytes, facts, conditions, before);
  return {
    expiration: await shownExpiration(context.store, context.bucket, context.key, stored),
    etag,
    crc64: bytes.crc64,
    versionId,
    storageClass: shownClass(input.storageClass),
    checksum: checksumHeaders(bytes.checksum),
    encryption: encryptionHeaders(dataKey?.shown, customerKeyIn(input.encryption)),
  };
}

/** UIN of the owner of what is stored in a bucket: the bucket's own, whoever stores it. (ACL overview) */
export function ownerOf({ bucket }: Pick<OperationContext, "bucket">): string {
  return bucket.ownerUin;
}
