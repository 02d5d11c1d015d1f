/** What operations on objects share about storage classes: asking for one, telling one, and refusing what one forbids. */

import { refuse } from "../../errors/cos-error.ts";
import type { ErrorId } from "../../errors/catalogue.ts";
import { formatHttpDate } from "../../http/dates.ts";
import type { RestoreState } from "../../operations/documents.ts";
import { header } from "../../operations/input-fields.ts";
import { out } from "../../operations/output-fields.ts";
import type { InputField } from "../../operations/operation.ts";
import { objectKey } from "../../store/keys.ts";
import type { BucketRecord, ObjectHead, ObjectRecord } from "../../store/records.ts";
import type { Store } from "../../store/store.ts";
import { objectEvidence } from "../../store/state-evidence.ts";
import { idOfVersion } from "../../store/version-id.ts";
import { leaf, nodes, optional, type XmlNode } from "../../xml/write.ts";
import {
  accessedMs,
  BUCKET_TIERING,
  DAY_MS,
  isFrozen,
  restoreOf,
  STORAGE_CLASSES,
  type StorageClass,
  type Tiering,
  tierOf,
  withAccess,
} from "../../store/storage-class.ts";

/** Classes of buckets in several availability zones. */
const MULTI_AZ: ReadonlySet<string> = new Set([
  "MAZ_STANDARD",
  "MAZ_STANDARD_IA",
  "MAZ_INTELLIGENT_TIERING",
  "MAZ_ARCHIVE",
]);
/** A class that no page of the reference describes. */
const UNBUILT = "COLD";

/** The refusals of `storageClassNamed`. */
export const CLASS_NAME_ERRORS = [
  "MAZOperationNotSupportOnOAZBucket",
  "NotImplemented",
  "NotSupportedStorageClass",
] as const satisfies readonly ErrorId[];

/**
 * The class of that name, in any case. Throws CosError NotSupportedStorageClass for one that nobody knows,
 * MAZOperationNotSupportOnOAZBucket for one of several availability zones, which no bucket has.
 * @param where What the name was read from, for a message.
 */
export function storageClassNamed(text: string, where: string): StorageClass {
  const name = text.toUpperCase();
  const found = STORAGE_CLASSES.find((one) => one === name);
  if (found !== undefined) return found;
  if (MULTI_AZ.has(name)) throw refuse("MAZOperationNotSupportOnOAZBucket");
  if (name === UNBUILT) {
    throw refuse("NotImplemented", { message: `${where} with the class ${name} is not implemented yet.` });
  }
  throw refuse("NotSupportedStorageClass");
}

const storageClassText = header.text("x-cos-storage-class", STORAGE_CLASSES.join(", "));

/** `x-cos-storage-class`, or STANDARD. */
export const storageClassField: InputField<StorageClass> = {
  ...storageClassText,
  errors: CLASS_NAME_ERRORS,
  read(source) {
    const text = storageClassText.read(source) as string | undefined;
    return text === undefined ? "STANDARD" : storageClassNamed(text, "The header x-cos-storage-class");
  },
};

/** Refuses a class that the bucket does not have: NotSupportedStorageClass for tiering where it is not enabled. */
export function refuseClass(
  { configurations }: Pick<Store, "configurations">,
  bucket: BucketRecord,
  storageClass: StorageClass,
): void {
  if (storageClass === "INTELLIGENT_TIERING" && !configurations.has(bucket, BUCKET_TIERING)) {
    throw refuse("NotSupportedStorageClass", {
      message: "The storage class INTELLIGENT_TIERING is not enabled for the bucket.",
    });
  }
}

/** Where an object is that is read or told of. */
export interface Placed {
  readonly key: string;
  readonly tiering: Tiering | undefined;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** Refuses to read the bytes of an archived object that is not restored: InvalidObjectState, with the class it has. */
export function refuseFrozen(object: ObjectRecord, { key, tiering, nowMs }: Placed): void {
  if (!isFrozen(object, key, tiering, nowMs)) return;
  const tier = tierOf(object, key, tiering, nowMs);
  throw refuse("InvalidObjectState403", {
    headers: {
      "x-cos-storage-class": object.storageClass,
      ...(tier === undefined ? {} : { "x-cos-storage-tier": tier }),
    },
    evidence: () => objectEvidence(object, undefined, nowMs, tier),
  });
}

/** The class to tell in a header; the standard one goes without saying. */
export function shownClass(storageClass: string): string | undefined {
  return storageClass === "STANDARD" ? undefined : storageClass;
}

/** `x-cos-storage-class` of an answer. */
export const storageClassOutput = out.text("x-cos-storage-class", "absent for STANDARD");

/** Output fields of every answer that describes an object. */
export const classOutput = {
  storageClass: storageClassOutput,
  storageTier: out.text("x-cos-storage-tier", "FREQUENT, INFREQUENT, ARCHIVE_ACCESS or DEEP_ARCHIVE_ACCESS"),
  restore: out.text("x-cos-restore", 'ongoing-request="true", or "false" with an expiry-date'),
  restoreStatus: out.text("x-cos-restore-status", "tier and request-date of a restore under way"),
};

/** The values of `classOutput` for an object at `nowMs`. */
export function describeClass(object: ObjectHead, { key, tiering, nowMs }: Placed) {
  const restore = restoreOf(object, nowMs);
  const isOngoing = restore !== undefined && nowMs < restore.readyMs;
  return {
    storageClass: shownClass(object.storageClass),
    storageTier: tierOf(object, key, tiering, nowMs),
    restore:
      restore &&
      (isOngoing
        ? 'ongoing-request="true"'
        : `ongoing-request="false", expiry-date="${formatHttpDate(restore.expiresMs)}"`),
    restoreStatus: isOngoing
      ? `tier="${restore.tier.toLowerCase()}"; request-date="${formatHttpDate(restore.requestedMs)}"`
      : undefined,
  };
}

/**
 * The elements of a list's entry that tell its class: the tier of one of the tiering class, and the restore of an
 * archived one. (list page)
 */
export function classNodes(object: ObjectHead, { key, tiering, nowMs }: Placed): XmlNode {
  const { storageClass } = object;
  const name = leaf("StorageClass", storageClass);
  if (storageClass === "STANDARD") return name;
  const restore = restoreOf(object, nowMs);
  const state = restore && (nowMs < restore.readyMs ? "ONGOING" : "DONE");
  return nodes([name, optional("StorageTier", tierOf(object, key, tiering, nowMs)), optional("RestoreStatus", state)]);
}

/** What lists tell of restores at `nowMs`, where they are asked for it. */
export function restoreStates(asked: boolean, nowMs: number): (head: ObjectHead) => RestoreState | undefined {
  return (head) => {
    const restore = asked ? restoreOf(head, nowMs) : undefined;
    return restore && { underWay: nowMs < restore.readyMs, expiresMs: restore.expiresMs };
  };
}

/** The tiering of a bucket, where an object's answer depends on it. */
export function tieringFor(
  { configurations }: Pick<Store, "configurations">,
  bucket: BucketRecord,
  objects: readonly Pick<ObjectHead, "storageClass">[],
): Tiering | undefined | Promise<Tiering | undefined> {
  const asked = objects.some(({ storageClass }) => storageClass === "INTELLIGENT_TIERING");
  return asked ? configurations.find(bucket, BUCKET_TIERING) : undefined;
}

/** Whether a read at `nowMs` has to be noted: once a day is enough to tell in days when the last one was. */
function isAccessNews(object: ObjectRecord, nowMs: number): boolean {
  return object.storageClass === "INTELLIGENT_TIERING" && nowMs - accessedMs(object, nowMs) >= DAY_MS;
}

/** An object that was read, and where. */
interface Accessed {
  readonly store: Pick<Store, "objects" | "transact">;
  readonly bucket: BucketRecord;
  readonly key: string;
  /** As it was when it was read. */
  readonly object: ObjectRecord;
}

/**
 * Notes that an object of the tiering class was read at `nowMs`, milliseconds since 1970, unless that version has gone or
 * has been read meanwhile. A note that is missed only moves a tier, which is no reason to fail a read, so it does not throw.
 */
export async function noteAccess({ bucket, key, object, store }: Accessed, nowMs: number): Promise<void> {
  try {
    if (!isAccessNews(object, nowMs)) return;
    await store.transact([objectKey(bucket.id, key)], async (tx) => {
      const found = await store.objects.findVersionIn(tx, bucket, key, idOfVersion(object));
      if (found === undefined || found.record.type === "delete-marker" || !isAccessNews(found.record, nowMs)) return;
      const { record, row } = found;
      store.objects.update(tx, row, { ...record, sections: withAccess(record.sections, nowMs) });
    });
  } catch {
    // The next read notes it.
  }
}
