/** APPEND Object: adds bytes to the end of an appendable object, or makes one. */

import { createHash } from "node:crypto";
import { bodyStream, group, query, required } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import { operation } from "../../operations/operation.ts";
import { refuse } from "../../errors/cos-error.ts";
import { keeping } from "../../store/bodies.ts";
import { crc64Combine } from "../../store/digests.ts";
import { type DataKey, isSealedWith } from "../../store/encryption.ts";
import { objectKey } from "../../store/keys.ts";
import type { ObjectRecord } from "../../store/records.ts";
import { ACL_PLACE_ERRORS, aclField, givenSections, placeObjectAcl } from "../acl/model.ts";
import {
  customerKeyIn,
  DECRYPT_ERRORS,
  ENCRYPT_ERRORS,
  encryptionField,
  encryptionHeaders,
  encryptionOutput,
  keyToRead,
  keyToStore,
} from "../encryption/model.ts";
import { LOCK_ERRORS, lockSections, retentionField } from "../object-lock/model.ts";
import { metadataField, storedHeaderFields, storedHeaders } from "../object/model.ts";
import { ownerOf } from "../object/store-object.ts";
import type { StorageClass } from "../../store/storage-class.ts";
import { tagSections } from "../../store/tags.ts";
import { refuseFrozen, storageClassField } from "../storage-class/model.ts";
import { objectTagsField } from "../tagging/model.ts";
import { BODY_ERRORS, bodyFields, takeBody } from "../object/take-body.ts";

/**
 * Refuses an append that cannot be: ObjectNotAppendable for an object of another type, AppendPositionErr with the
 * position that would do, EntityTooLarge for bytes that do not fit.
 */
function checkAppend(present: ObjectRecord | undefined, position: number, bytes: number, bytesMax: number): void {
  if (present !== undefined && present.type !== "appendable") throw refuse("ObjectNotAppendable");
  const end = present?.size ?? 0;
  if (position !== end) {
    throw refuse("AppendPositionErr", {
      headers: { "x-cos-next-append-position": String(end) },
      cause: `the object has ${end} bytes, and the position is ${position}`,
    });
  }
  if (end + bytes > bytesMax) throw refuse("EntityTooLarge");
}

/**
 * Refuses classes that bytes cannot be appended to: NotSupportedStorageClass for a new object of the tiering class,
 * InvalidObjectState for one that has been archived. (append page)
 */
function refuseAppendClass(present: ObjectRecord | undefined, asked: StorageClass, nowMs: number): void {
  if (asked === "INTELLIGENT_TIERING" || present?.storageClass === "INTELLIGENT_TIERING") {
    throw refuse("NotSupportedStorageClass", { message: "No bytes can be appended to the class INTELLIGENT_TIERING." });
  }
  if (present !== undefined && present.type === "appendable") {
    // Of the tiering class it is not, so that no tier archives it.
    refuseFrozen(present, { key: "", tiering: undefined, nowMs });
  }
}

/**
 * Raises InvalidRequest for a lock that comes with bytes for an object which is there: only the first append says what
 * the object is like, and nobody may take for locked what is not.
 */
function refuseLateLock(present: ObjectRecord | undefined, untilMs: number | undefined): void {
  if (present === undefined || untilMs === undefined) return;
  throw refuse("InvalidRequest", {
    message: "Only the append that makes an object locks it; lock one that exists with PUT ?retention.",
  });
}

/**
 * The MD5 of the first bytes, and after each further append one of the ETag before and of the bytes that came: an MD5
 * of the whole would mean to read it again each time. The service's own is opaque too.
 */
function nextEtag(present: ObjectRecord | undefined, appendedMd5: Buffer, dataKey: DataKey | undefined): string {
  const md5 =
    present === undefined ? appendedMd5 : createHash("md5").update(present.etag, "hex").update(appendedMd5).digest();
  return dataKey?.etagOf(md5) ?? md5.toString("hex");
}

export const appendObject = operation(
  {
    name: "AppendObject",
    summary: "Adds bytes to the end of an appendable object, or makes one.",
    route: { method: "POST", on: "object", query: ["append"] },
    action: "name/cos:AppendObject",
    authentication: ["header", "query", "anonymous"],
    permission: "write",
    uploads: true,
    loads: "object",
    input: {
      position: required(query.integer("position", { min: 0, max: Number.MAX_SAFE_INTEGER }), "InvalidArgument"),
      stored: group(storedHeaderFields),
      metadata: metadataField,
      acl: aclField("object"),
      storageClass: storageClassField,
      tags: objectTagsField,
      encryption: encryptionField,
      retention: retentionField,
      ...bodyFields,
      body: bodyStream({ lengthNeeded: true }),
    },
    output: {
      etag: out.quoted("ETag"),
      crc64: out.integer("x-cos-hash-crc64ecma"),
      nextPosition: out.integer("x-cos-next-append-position"),
      // The reference page shows a SHA-1 here, but the Go SDK compares it with the MD5 of what it sent.
      encryption: encryptionOutput,
      appendedMd5: out.text("x-cos-content-sha1", "MD5 of the appended bytes, 32 hex digits"),
    },
    status: 200,
    errors: [
      ...ACL_PLACE_ERRORS,
      ...BODY_ERRORS,
      ...DECRYPT_ERRORS,
      ...ENCRYPT_ERRORS,
      ...LOCK_ERRORS,
      "AppendPositionErr",
      "InvalidObjectState403",
      "NoSuchBucket",
      "ObjectNotAppendable",
      "PathConflict",
    ],
  },
  async (context, input) => {
    const { bucket, clock, key, limits, object, store } = context;
    const { position } = input;
    const bytesMax = limits.singleUploadBytesMax;
    refuseAppendClass(object, input.storageClass, clock.now());
    checkAppend(object, position, input.body.declaredLength ?? 0, bytesMax);
    const locked = lockSections(context, input.retention);
    refuseLateLock(object, input.retention);
    const customerKey = customerKeyIn(input.encryption);
    const dataKey =
      object === undefined
        ? await keyToStore(context, input.encryption)
        : await keyToRead(context, object, customerKey);
    const bytes = await takeBody(context, input, { dataKey: dataKey?.bytes });

    const stored = await keeping(bytes, () =>
      store.transact([objectKey(bucket.id, key)], async (tx) => {
        const holder = await store.buckets.requireSame(tx, bucket);
        const present = await store.objects.findIn(tx, bucket.id, key);
        refuseAppendClass(present, input.storageClass, clock.now());
        checkAppend(present, position, bytes.size, bytesMax);
        refuseLateLock(present, input.retention);
        // Another object has come to be there, whose bytes are sealed otherwise.
        if (present !== undefined && !isSealedWith(present.sections, dataKey)) throw refuse("PathConflict");
        const body = await store.bodies.extend(tx, present?.body, bytes);
        const grown = {
          etag: nextEtag(present, bytes.md5, dataKey),
          crc64: present === undefined ? bytes.crc64 : crc64Combine(present.crc64, bytes.crc64, bytes.size),
          modifiedMs: clock.now(),
          size: body.size,
          body,
          dataKey,
        };
        // What the first append said about the object stays: a later one only adds bytes.
        const facts = present ?? {
          storageClass: input.storageClass,
          type: "appendable" as const,
          ownerUin: ownerOf(context),
          headers: storedHeaders(input.stored, key),
          metadata: input.metadata,
          sections: [...tagSections(input.tags), ...givenSections(input.acl), ...locked],
        };
        const appended = await store.objects.append(tx, holder, key, { ...facts, ...grown }, present);
        // It would take the place of the `null` version, which is an older one here.
        if (appended === undefined) throw refuse("ObjectNotAppendable");
        await placeObjectAcl({ tx, configurations: store.configurations, limits }, holder, key, appended);
        return appended;
      }),
    );
    return {
      etag: stored.etag,
      crc64: stored.crc64,
      nextPosition: stored.size,
      encryption: encryptionHeaders(dataKey?.shown, customerKey),
      appendedMd5: bytes.md5.toString("hex"),
    };
  },
);
