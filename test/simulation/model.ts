/**
 * What cosbox is, in the simplest words: maps in memory, without engines or streams, and a time that only the test
 * moves. It answers each step with what a client must see. Where it and the server differ, one of them is wrong.
 */

import { md5 } from "../interop/content.ts";
import { createHash } from "node:crypto";
import { DAY_MS, endOf, HOUR_MS, midnight, midnightFrom } from "./model-lifecycle.ts";
import type { Facts, ModelBucket, ModelObject, ModelPart, ModelUpload, ModelVersion, Rule } from "./model-state.ts";

/** Bounds that the model and the server share. */
export const PART_BYTES_MIN = 8;

/** Content that is told by its length and a number. */
export interface Content {
  readonly length: number;
  readonly seed: number;
}

export interface ObjectName {
  readonly bucket: number;
  readonly key: number;
}

export const RESTORE_HOURS: Readonly<Record<string, Readonly<Record<string, number | undefined>>>> = {
  ARCHIVE: { Expedited: 1 / 60, Standard: 3, Bulk: 5 },
  DEEP_ARCHIVE: { Expedited: undefined, Standard: 12, Bulk: 24 },
};

/** When a process dies. */
export interface Death {
  /** At the so-manieth change of what is stored. */
  readonly changes: number;
  /** Whether that change is still made. */
  readonly changed: boolean;
}

/** One request, with names and uploads told by number, or what else happens to the server. */
export type Step =
  | { readonly kind: "createBucket" | "deleteBucket" | "headBucket"; readonly bucket: number }
  | ({
      readonly kind: "put";
      readonly content: Content;
      readonly note?: string | undefined;
      readonly facts?: Facts | undefined;
    } & ObjectName)
  | ({ readonly kind: "get"; readonly range?: RangeText | undefined } & ObjectName)
  | ({ readonly kind: "head"; readonly nth?: number | undefined } & ObjectName)
  | ({ readonly kind: "delete" } & ObjectName)
  /** `nth` is which version of the key, the newest first; one behind the last is a version that never was. */
  | ({ readonly kind: "getVersion" | "deleteVersion"; readonly nth: number } & ObjectName)
  | {
      readonly kind: "deleteMany";
      readonly bucket: number;
      readonly keys: readonly number[];
      /** Which version of each of the keys; undefined for the object itself. */
      readonly nths?: readonly (number | undefined)[] | undefined;
      readonly quiet: boolean;
    }
  | { readonly kind: "setVersioning"; readonly bucket: number; readonly state: "Enabled" | "Suspended" }
  | ({
      readonly kind: "copy";
      readonly from: ObjectName;
      readonly nth?: number | undefined;
      readonly replaced: boolean;
      /** Its tags are those of the source, unless it is tagged itself. */
      readonly facts?: Facts | undefined;
    } & ObjectName)
  | ({
      readonly kind: "append";
      readonly content: Content;
      readonly off: number;
      readonly facts?: Facts | undefined;
    } & ObjectName)
  | ({ readonly kind: "appendMany"; readonly lengths: readonly number[]; readonly seed: number } & ObjectName)
  | ({
      readonly kind: "initiate";
      readonly note?: string | undefined;
      readonly facts?: Facts | undefined;
    } & ObjectName)
  /** Begins an upload, sends parts, lets time go by, and completes it. */
  | ({
      readonly kind: "uploadWhole";
      readonly contents: readonly Content[];
      readonly hours: number;
      readonly facts?: Facts | undefined;
    } & ObjectName)
  | { readonly kind: "part"; readonly upload: number; readonly number: number; readonly content: Content }
  | { readonly kind: "manyParts"; readonly upload: number; readonly count: number; readonly seed: number }
  | {
      readonly kind: "partCopy";
      readonly upload: number;
      readonly number: number;
      readonly from: ObjectName;
      readonly nth?: number | undefined;
      readonly range?: { readonly first: number; readonly length: number } | undefined;
    }
  | {
      readonly kind: "complete";
      readonly upload: number;
      readonly how: "all" | "some" | "reversed" | "wrong" | "elsewhere";
    }
  | { readonly kind: "abort"; readonly upload: number }
  | {
      readonly kind: "list" | "listUploads";
      readonly bucket: number;
      readonly prefix: string;
      readonly delimiter: string;
      readonly marker: string;
      readonly max: number | undefined;
    }
  | {
      readonly kind: "listVersions";
      readonly bucket: number;
      readonly prefix: string;
      readonly delimiter: string;
      /** The key to begin behind, and which of its versions; undefined for the last one. */
      readonly after: { readonly key: number; readonly nth: number | undefined } | undefined;
      readonly max: number | undefined;
    }
  | { readonly kind: "listParts"; readonly upload: number; readonly marker: number; readonly max: number | undefined }
  | { readonly kind: "restart"; readonly clean: boolean }
  /** Time goes by, and what falls due is done. */
  | { readonly kind: "advance"; readonly hours: number }
  /** Time goes by to the next midnight, whose work dies at so many changes and is taken up by another process. */
  | ({ readonly kind: "dyingMidnight" } & Death)
  /** A request whose process dies at so many changes: it was done or it was not, and nobody was told. */
  | ({ readonly kind: "dying"; readonly step: Step } & Death)
  /** Sets rules in place of those before, or removes them where there are none. */
  | { readonly kind: "setLifecycle"; readonly bucket: number; readonly rules: readonly Rule[] }
  | { readonly kind: "setLock"; readonly bucket: number; readonly days: number | undefined }
  | { readonly kind: "setTiering"; readonly bucket: number; readonly days: 30 | 60 }
  | ({ readonly kind: "retain"; readonly nth: number | undefined; readonly days: number } & ObjectName)
  | ({ readonly kind: "tag"; readonly nth: number | undefined; readonly tagged: boolean } & ObjectName)
  | ({
      readonly kind: "restore";
      readonly nth: number | undefined;
      readonly days: number;
      readonly tier: "Expedited" | "Standard" | "Bulk";
    } & ObjectName);

/** A range as `Range` tells it: from the front, or the last bytes. */
export type RangeText = { readonly first: number; readonly last: number | undefined } | { readonly suffix: number };

/** A page of names, in the form both kinds of lists can be brought to. */
export interface Page {
  readonly items: readonly string[];
  readonly prefixes: readonly string[];
  /** What the next page begins after; undefined on the last page. */
  readonly next: readonly string[] | undefined;
}

type HeaderFields = Readonly<Record<string, string | undefined>>;

/** What a client must see. Fields that a step has no use for are absent. */
export interface Seen {
  readonly status: number;
  readonly code?: string;
  /** The answer's body, or the object's bytes where only their digests are told. */
  readonly bytes?: Buffer;
  readonly whole?: Buffer;
  readonly etag?: string;
  readonly note?: string | undefined;
  readonly appendable?: boolean;
  /** The id of the version that was read, or what kind of id a version that was made has to get. */
  readonly version?: string | undefined;
  readonly marker?: boolean;
  readonly keys?: readonly string[];
  readonly page?: Page;
  /** Header fields that are there with this value, or are not. */
  readonly headers?: HeaderFields;
}

/** The id of a version that the server has yet to name. */
export const NEW = "new";
/** In the form of a version id, and of no version. */
export const UNKNOWN_VERSION = "MTg0NDUxMzY2NDIxNTAwOTk4NzA";

export const BUCKETS: readonly string[] = ["demo-1250000000", "other-1250000000"];
export const KEYS: readonly string[] = ["a", "a/", "a/b", "a/b/c", "a/b&<c>", "ab", "b/1", "b/2", "z", "中/文", "😀"];

const patterns = new Map<string, Buffer>();

/** The bytes of a content. */
export function bytesOf({ length, seed }: Content): Buffer {
  const name = `${length} ${seed}`;
  let bytes = patterns.get(name);
  if (bytes === undefined) {
    bytes = Buffer.alloc(length);
    const block = createHash("sha512").update(name).digest();
    for (let at = 0; at < length; at++) bytes[at] = (block[at & 63] as number) ^ (at >> 6) ^ (at >> 14);
    patterns.set(name, bytes);
  }
  return bytes;
}

const byBytes = (a: string, b: string): number => Buffer.from(a).compare(Buffer.from(b));
const refused = (status: number, code: string): Seen => ({ status, code });
const NO_BUCKET = refused(404, "NoSuchBucket");
const NO_KEY = refused(404, "NoSuchKey");
const NO_UPLOAD = refused(404, "NoSuchUpload");
const NO_SOURCE = refused(404, "NoSuchCopySource");
const NO_VERSION = refused(404, "NoSuchVersion");

const LOCKED = refused(409, "ObjectLocked");
const FROZEN = refused(403, "InvalidObjectState");

/** What a request means that says nothing. */
const PLAIN: Facts = { storageClass: "STANDARD", tagged: false, lockDays: undefined };

const newBucket = (): ModelBucket => ({
  versioning: undefined,
  lock: undefined,
  lifecycle: undefined,
  tieringDays: undefined,
  keys: new Map(),
});

const isArchived = ({ storageClass }: ModelObject): boolean => storageClass.endsWith("ARCHIVE");

export interface ModelOptions {
  /** Virtual time, milliseconds since 1970. */
  readonly nowMs: number;
  /** Which kind of lock buckets get. */
  readonly lockGeneration: 1 | 2;
}

export class Model {
  nowMs: number;
  readonly lockGeneration: 1 | 2;
  readonly buckets = new Map<string, ModelBucket>([[BUCKETS[0] as string, newBucket()]]);
  /** The version that the last step has made and whose id the server tells. */
  made: ModelVersion | undefined;
  /** Every upload that ever was, in the order they were begun. */
  readonly uploads: ModelUpload[] = [];

  constructor({ nowMs, lockGeneration }: ModelOptions) {
    this.nowMs = nowMs;
    this.lockGeneration = lockGeneration;
  }

  /** The upload that a step means: any that ever was, 0 for the newest. Undefined before the first. */
  upload(number: number): ModelUpload | undefined {
    return this.uploads.length === 0 ? undefined : this.uploads.at(-1 - (number % this.uploads.length));
  }

  bucket(number: number): string {
    return BUCKETS[number % BUCKETS.length] as string;
  }

  key(number: number): string {
    return KEYS[number % KEYS.length] as string;
  }

  /** All that it holds, for `become`. */
  snapshot(): Pick<Model, "buckets" | "uploads"> {
    const copied = (version: ModelVersion): ModelVersion => ({
      ...version,
      object: version.object && { ...version.object },
    });
    const buckets = [...this.buckets].map(([name, bucket]) => {
      const keys = [...bucket.keys].map(([key, versions]) => [key, versions.map(copied)] as const);
      return [name, { ...bucket, keys: new Map(keys) }] as const;
    });
    const uploads = this.uploads.map((upload) => ({ ...upload, parts: new Map(upload.parts) }));
    return { buckets: new Map(buckets), uploads };
  }

  /** Holds what it held when the snapshot was made. */
  become({ buckets, uploads }: Pick<Model, "buckets" | "uploads">): void {
    this.buckets.clear();
    for (const [name, bucket] of buckets) this.buckets.set(name, bucket);
    this.uploads.splice(0, this.uploads.length, ...uploads);
  }

  openUploads(bucket: string): ModelUpload[] {
    return this.uploads.filter((upload) => upload.open && upload.bucket === bucket);
  }

  versions({ bucket, key }: ObjectName): readonly ModelVersion[] {
    return this.buckets.get(this.bucket(bucket))?.keys.get(this.key(key)) ?? [];
  }

  /** The version that a step means; undefined for one that never was. */
  version(name: ObjectName, nth: number): ModelVersion | undefined {
    const versions = this.versions(name);
    return versions[nth % (versions.length + 1)];
  }

  object(name: ObjectName): ModelObject | undefined {
    return this.versions(name)[0]?.object;
  }

  #isLocked({ lock }: ModelBucket, object: ModelObject): boolean {
    const byRule = this.lockGeneration === 1 && lock ? object.modifiedMs + (lock.days ?? 0) * DAY_MS : 0;
    return Math.max(object.lockedMs ?? 0, byRule) > this.nowMs;
  }

  #isReadable(object: ModelObject): boolean {
    const { restore } = object;
    return (
      !isArchived(object) || (restore !== undefined && restore.readyMs <= this.nowMs && this.nowMs < restore.expiresMs)
    );
  }

  #isBeingRestored(object: ModelObject): boolean {
    return isArchived(object) && object.restore !== undefined && this.nowMs < object.restore.readyMs;
  }

  /** What a copy onto a name takes, or what it is refused with. */
  #source(from: ObjectName, nth: number | undefined, onto: { bucket: string; key: string }): ModelObject | Seen {
    const version = nth === undefined ? this.versions(from)[0] : this.version(from, nth);
    if (version && !version.object && nth !== undefined) return refused(400, "InvalidCopySource");
    const object = version?.object;
    if (!object) return NO_SOURCE;
    if (object.appendable) return refused(409, "InvalidObjectState");
    const isOnto = this.bucket(from.bucket) === onto.bucket && this.key(from.key) === onto.key;
    if (isOnto && this.#isBeingRestored(object)) return refused(409, "InvalidObjectState");
    return this.#isReadable(object) ? object : FROZEN;
  }

  #refusedClass(bucket: ModelBucket, { storageClass }: Facts): Seen | undefined {
    const unknown = storageClass === "INTELLIGENT_TIERING" && bucket.tieringDays === undefined;
    return unknown ? refused(400, "NotSupportedStorageClass") : undefined;
  }

  #refusedLock({ lock }: ModelBucket, { lockDays }: Facts): Seen | undefined {
    if (lockDays === undefined) return undefined;
    if (lock === undefined || this.lockGeneration === 1) return refused(400, "InvalidRequest");
    return lockDays <= 0 ? refused(409, "InvalidLockedTime") : undefined;
  }

  /** An object as it is stored now. */
  #made(
    bytes: Buffer,
    etag: string,
    note: string | undefined,
    { storageClass, tagged, lockDays }: Facts,
    appendable = false,
  ): ModelObject {
    const nowMs = this.nowMs;
    const lockedMs = lockDays === undefined ? undefined : nowMs + lockDays * DAY_MS;
    const times = { modifiedMs: nowMs, readMs: nowMs, lockedMs, restore: undefined };
    return { bytes, etag, note, appendable, storageClass, tagged, ...times };
  }

  /** Locks an object as its bucket does by default. */
  #lockByDefault({ lock }: ModelBucket, object: ModelObject): void {
    if (this.lockGeneration === 1 || lock?.days === undefined) return;
    object.lockedMs ??= this.nowMs + lock.days * DAY_MS;
  }

  #nullIsLocked(bucket: ModelBucket, key: string): boolean {
    const found = bucket.keys.get(key)?.find(({ id }) => id === "null");
    return found?.object !== undefined && this.#isLocked(bucket, found.object);
  }

  #add(bucket: ModelBucket, key: string, object: ModelObject | undefined): void {
    const enabled = bucket.versioning === "Enabled";
    const kept = (bucket.keys.get(key) ?? []).filter(({ id }) => enabled || id !== "null");
    const [top] = kept;
    if (top) top.supersededMs ??= this.nowMs;
    this.made = { object, id: enabled ? NEW : "null", modifiedMs: this.nowMs, supersededMs: undefined };
    bucket.keys.set(key, [this.made, ...kept]);
  }

  #drop(bucket: ModelBucket, key: string, version: ModelVersion): void {
    const kept = (bucket.keys.get(key) ?? []).filter((other) => other !== version);
    // What is the newest is superseded no more.
    if (kept[0]?.object) kept[0].supersededMs = undefined;
    if (kept.length === 0) bucket.keys.delete(key);
    else bucket.keys.set(key, kept);
  }

  /** Stores an object, and tells what kind of version id the client sees, or what it is refused with. */
  #store(bucket: ModelBucket, key: string, object: ModelObject): { version: string | undefined } | Seen {
    if (bucket.versioning !== "Enabled" && this.#nullIsLocked(bucket, key)) return LOCKED;
    this.#lockByDefault(bucket, object);
    this.#add(bucket, key, object);
    return { version: bucket.versioning === undefined ? undefined : this.made?.id };
  }

  #delete(bucket: ModelBucket, key: string): Seen {
    if (bucket.versioning !== "Enabled" && this.#nullIsLocked(bucket, key)) return LOCKED;
    if (bucket.versioning !== undefined) this.#add(bucket, key, undefined);
    else bucket.keys.delete(key);
    return bucket.versioning === undefined
      ? { status: 204, version: undefined }
      : { status: 204, version: this.made?.id, marker: true };
  }

  #deleteVersion(bucket: ModelBucket, key: string, version: ModelVersion | undefined): Seen {
    if (!version) return NO_VERSION;
    if (version.object && this.#isLocked(bucket, version.object)) return LOCKED;
    this.#drop(bucket, key, version);
    return { status: 204, version: bucket.versioning && version.id, marker: version.object === undefined };
  }

  /** The numbers and ETags that a completion names. */
  named(upload: ModelUpload, how: (Step & { kind: "complete" })["how"]): (readonly [number, string])[] {
    const all = [...upload.parts].sort(([a], [b]) => a - b).map(([number, { etag }]) => [number, etag] as const);
    if (how === "some") return all.filter((_, at) => at % 2 === 0);
    if (how === "reversed") return all.reverse();
    if (how === "wrong")
      return all.map(([number], at) => [number, at === all.length - 1 ? md5("wrong") : (all[at]?.[1] as string)]);
    return all;
  }

  /** Lets time go by, with every midnight on the way. Gives keys by bucket whose marker may be gone where a process died. */
  moveTo(ms: number): ReadonlyMap<string, readonly string[]> {
    const bare = new Map<string, readonly string[]>();
    for (let at = midnightFrom(this.nowMs + 1); at <= ms; at += DAY_MS) {
      this.nowMs = at;
      for (const [name, bucket] of this.buckets) {
        const keys = midnight(bucket, this.openUploads(name), {
          nowMs: at,
          isLocked: (object) => this.#isLocked(bucket, object),
          expire: (key) => void this.#delete(bucket, key),
        });
        bare.set(name, keys);
      }
    }
    this.nowMs = ms;
    return bare;
  }

  /** What answers tell of an object besides its bytes; its end only where it is a current one. */
  #headers(bucket: ModelBucket, key: string, object: ModelObject, isCurrent: boolean): HeaderFields {
    const { restore, storageClass, tagged, lockedMs, modifiedMs } = object;
    const isThere = isArchived(object) && restore !== undefined && this.nowMs < restore.expiresMs;
    const shown = this.#isBeingRestored(object)
      ? 'ongoing-request="true"'
      : `ongoing-request="false", expiry-date="${new Date(restore?.expiresMs ?? 0).toUTCString()}"`;
    return {
      "Last-Modified": new Date(modifiedMs).toUTCString(),
      "x-cos-storage-class": storageClass === "STANDARD" ? undefined : storageClass,
      "x-cos-storage-tier": this.#tierOf(bucket, object),
      "x-cos-restore": isThere ? shown : undefined,
      "x-cos-tagging-count": tagged ? "1" : undefined,
      "x-cos-object-lock-retain-until-date": lockedMs === undefined ? undefined : new Date(lockedMs).toISOString(),
      "x-cos-expiration": isCurrent ? this.#expiration(bucket, key, object) : undefined,
    };
  }

  #expiration({ lifecycle }: ModelBucket, key: string, object: ModelObject): string | undefined {
    const end = lifecycle && endOf(lifecycle, key, object);
    return end && `expiry-date="${new Date(end.ms).toUTCString()}", rule-id="r${end.rule}"`;
  }

  #tierOf({ tieringDays = 0 }: ModelBucket, object: ModelObject): string | undefined {
    if (object.storageClass !== "INTELLIGENT_TIERING") return undefined;
    const isRare = object.bytes.length >= 64 * 1024 && this.nowMs - object.readMs >= tieringDays * DAY_MS;
    return isRare ? "INFREQUENT" : "FREQUENT";
  }

  /** What a list tells of an object. */
  #listed(bucket: ModelBucket, object: ModelObject): string {
    const tier = this.#tierOf(bucket, object);
    return `${object.etag} ${object.bytes.length} ${object.storageClass}${tier === undefined ? "" : ` ${tier}`}`;
  }

  /** What a client sees that reads an object, which is noted. */
  #read(bucket: ModelBucket, key: string, version: ModelVersion | undefined, range: RangeText | undefined): Seen {
    const object = version?.object;
    if (!object) return NO_KEY;
    if (!this.#isReadable(object)) return FROZEN;
    const headers = this.#headers(bucket, key, object, version === bucket.keys.get(key)?.[0]);
    const seen = read(object, range);
    if (seen.status >= 300) return seen;
    this.#noteRead(object);
    return { ...seen, headers };
  }

  /** The version that a step reads, if it is one that reads; what it copies from, or what it gets. */
  sourceOf(step: Step): { readonly bucket: string; readonly key: string; readonly id: string } | undefined {
    if (!["get", "getVersion", "copy", "partCopy"].includes(step.kind)) return undefined;
    const name = "from" in step ? step.from : (step as ObjectName);
    const nth = "nth" in step ? step.nth : undefined;
    const version = nth === undefined ? this.versions(name)[0] : this.version(name, nth);
    return version?.object && { bucket: this.bucket(name.bucket), key: this.key(name.key), id: version.id };
  }

  /** Notes that a version was read, if it is there and can be. */
  noteReadOf({ bucket, key, id }: { readonly bucket: string; readonly key: string; readonly id: string }): void {
    const object = this.buckets
      .get(bucket)
      ?.keys.get(key)
      ?.find((version) => version.id === id)?.object;
    if (object && this.#isReadable(object)) this.#noteRead(object);
  }

  #noteRead(object: ModelObject): void {
    if (this.nowMs - object.readMs >= DAY_MS) object.readMs = this.nowMs;
  }

  /** Changes what is said of a version, or tells what the client is refused with. */
  #change(step: ObjectName & { nth: number | undefined }, change: (object: ModelObject) => Seen): Seen {
    const version = step.nth === undefined ? this.versions(step)[0] : this.version(step, step.nth);
    if (version?.object) return change(version.object);
    if (step.nth === undefined) return NO_KEY;
    return version === undefined ? NO_VERSION : refused(405, "MethodNotAllowed");
  }

  /** Plays a step, and tells what the client must see; undefined for a step that asks nothing. */
  play(step: Step): Seen | undefined {
    this.made = undefined;
    if (step.kind === "advance" || step.kind === "dyingMidnight" || step.kind === "dying") return undefined;
    // Made of others.
    if (step.kind === "uploadWhole") return undefined;
    if (step.kind === "restart") {
      // Whoever starts the server again sees to it that the first bucket is there.
      const first = BUCKETS[0] as string;
      if (!this.buckets.has(first)) this.buckets.set(first, newBucket());
      return undefined;
    }
    if ("upload" in step) return this.#playUpload(step);
    const name = this.bucket(step.bucket);
    const bucket = this.buckets.get(name);
    if (step.kind === "createBucket") {
      if (bucket) return refused(409, "BucketAlreadyOwnedByYou");
      this.buckets.set(name, newBucket());
      return { status: 200 };
    }
    if (!bucket) return step.kind === "headBucket" || step.kind === "head" ? { status: 404 } : NO_BUCKET;
    switch (step.kind) {
      case "headBucket":
        return { status: 200 };
      case "deleteBucket":
        if (bucket.keys.size > 0 || this.openUploads(name).length > 0) return refused(409, "BucketNotEmpty");
        this.buckets.delete(name);
        return { status: 204 };
      case "put": {
        const { facts = PLAIN } = step;
        const refusal = this.#refusedClass(bucket, facts) ?? this.#refusedLock(bucket, facts);
        if (refusal) return refusal;
        const bytes = bytesOf(step.content);
        const [etag, key] = [md5(bytes), this.key(step.key)];
        const object = this.#made(bytes, etag, step.note, facts);
        const stored = this.#store(bucket, key, object);
        if ("status" in stored) return stored;
        const headers = { "x-cos-expiration": this.#expiration(bucket, key, object) };
        return { status: 200, etag, whole: bytes, headers, ...stored };
      }
      case "get": {
        const [top] = this.versions(step);
        return this.#told(bucket, top, this.#read(bucket, this.key(step.key), top, step.range));
      }
      case "head": {
        const [top] = this.versions(step);
        const version = step.nth === undefined ? top : this.version(step, step.nth);
        if (!version) return { status: 404 };
        if (!version.object) return this.#told(bucket, version, { status: step.nth === undefined ? 404 : 405 });
        const headers = this.#headers(bucket, this.key(step.key), version.object, version === top);
        return this.#told(bucket, version, { ...described(version.object), headers });
      }
      case "getVersion": {
        const version = this.version(step, step.nth);
        if (!version) return NO_VERSION;
        if (!version.object) return this.#told(bucket, version, refused(405, "MethodNotAllowed"));
        return this.#told(bucket, version, this.#read(bucket, this.key(step.key), version, undefined));
      }
      case "delete":
        return this.#delete(bucket, this.key(step.key));
      case "deleteVersion":
        return this.#deleteVersion(bucket, this.key(step.key), this.version(step, step.nth));
      case "setVersioning":
        if (bucket.lock && (this.lockGeneration === 1 || step.state === "Suspended")) {
          return refused(409, "InvalidBucketState");
        }
        bucket.versioning = step.state;
        return { status: 200 };
      case "setLifecycle":
        return this.#setLifecycle(bucket, step.rules);
      case "setLock":
        return this.#setLock(bucket, step.days);
      case "setTiering":
        if (bucket.lock) return refused(409, "InvalidBucketState");
        if ((bucket.tieringDays ?? step.days) !== step.days) return refused(400, "InvalidArgument");
        bucket.tieringDays = step.days;
        return { status: 200 };
      case "retain":
        if (!bucket.lock || this.lockGeneration === 1) return refused(400, "InvalidRequest");
        return this.#change(step, (object) => {
          const untilMs = this.nowMs + step.days * DAY_MS;
          if (untilMs <= this.nowMs || untilMs < (object.lockedMs ?? 0)) return refused(409, "InvalidLockedTime");
          object.lockedMs = untilMs;
          return { status: 200 };
        });
      case "tag":
        return this.#change(step, (object) => {
          if (this.#isLocked(bucket, object)) return LOCKED;
          object.tagged = step.tagged;
          return { status: step.tagged ? 200 : 204 };
        });
      case "restore":
        return this.#change(step, (object) => {
          if (!isArchived(object)) return refused(405, "RestoreNonArchiveObject");
          const hours = RESTORE_HOURS[object.storageClass]?.[step.tier];
          if (hours === undefined) return refused(400, "InvalidArgument");
          if (this.#isBeingRestored(object)) return refused(409, "RestoreAlreadyInProgress");
          const isThere = this.#isReadable(object);
          const readyMs = isThere && object.restore ? object.restore.readyMs : this.nowMs + hours * HOUR_MS;
          const fromMs = isThere ? this.nowMs : readyMs;
          object.restore = { readyMs, expiresMs: midnightFrom(fromMs + step.days * DAY_MS) };
          return { status: isThere ? 200 : 202 };
        });
      case "deleteMany": {
        const named = this.namedForDeletion(step);
        const faulty = new Set<string>();
        // Twice the same is once.
        for (const { key, id } of new Map(named.map((one) => [`${one.key} ${one.id}`, one])).values()) {
          if (id === undefined) {
            if (this.#delete(bucket, key) === LOCKED) faulty.add(`${key} ${id}`);
            continue;
          }
          const version = bucket.keys.get(key)?.find((one) => one.id === id);
          if (version?.object && this.#isLocked(bucket, version.object)) faulty.add(`${key} ${id}`);
          else if (version) this.#drop(bucket, key, version);
          else if (id !== "null" || bucket.versioning !== undefined) faulty.add(`${key} ${id}`);
        }
        this.made = undefined;
        const keys = named.filter(({ key, id }) => faulty.has(`${key} ${id}`) || !step.quiet).map(({ key }) => key);
        return { status: 200, keys };
      }
      case "copy":
        return this.#copy(step, bucket);
      case "append":
        return this.#append(bucket, step, bytesOf(step.content), step.off, step.facts);
      case "appendMany": {
        let seen: Seen = { status: 200 };
        for (const [at, length] of step.lengths.entries()) {
          seen = this.#append(bucket, step, bytesOf({ length, seed: step.seed + at }), 0);
        }
        return seen;
      }
      case "initiate": {
        const { facts = PLAIN } = step;
        const refusal = this.#refusedClass(bucket, facts) ?? this.#refusedLock(bucket, facts);
        if (refusal) return refusal;
        this.uploads.push({
          bucket: name,
          key: this.key(step.key),
          note: step.note,
          facts,
          initiatedMs: this.nowMs,
          parts: new Map(),
          id: "",
          open: true,
        });
        return { status: 200 };
      }
      case "list": {
        const items = [...bucket.keys].flatMap(([key, [first]]) => (first?.object ? [{ key, tail: "" }] : []));
        const { shown, prefixes, next } = pageOf(items, step, "");
        const told = shown.map(({ key }) => {
          const [first] = bucket.keys.get(key) as ModelVersion[];
          return `${key} ${this.#listed(bucket, (first as ModelVersion).object as ModelObject)}`;
        });
        return { status: 200, page: { items: told, prefixes, next: next?.slice(0, 1) } };
      }
      case "listVersions": {
        const items = [...bucket.keys].flatMap(([key, versions]) =>
          versions.map((version, at) => ({ key, tail: String(at).padStart(6, "0"), version })),
        );
        const marker = step.after === undefined ? "" : this.key(step.after.key);
        const beyond = step.after && this.markedVersion(step);
        const tail = beyond && items.find(({ version }) => version === beyond)?.tail;
        const { shown, prefixes, next } = pageOf(items, { ...step, kind: "list", marker }, tail ?? "");
        const told = shown.map(({ key, tail: at }) => {
          const { object, id } = (bucket.keys.get(key) as ModelVersion[])[Number(at)] as ModelVersion;
          const what = object ? this.#listed(bucket, object) : "marker";
          return `${key} ${id} ${Number(at) === 0} ${what}`;
        });
        const [nextKey, nextAt] = next ?? [];
        const nextId = nextAt === "" ? "" : bucket.keys.get(nextKey ?? "")?.[Number(nextAt)]?.id;
        return { status: 200, page: { items: told, prefixes, next: next && [nextKey as string, nextId as string] } };
      }
      case "listUploads": {
        const items = this.openUploads(name).map(({ key, id }) => ({ key, tail: id }));
        const { shown, prefixes, next } = pageOf(items, step, "");
        return { status: 200, page: { items: shown.map(({ key, tail }) => `${key} ${tail}`), prefixes, next } };
      }
    }
  }

  /** The version that a listing begins behind; undefined where it begins behind all of the key's. */
  markedVersion(step: Step & { kind: "listVersions" }): ModelVersion | undefined {
    if (step.after?.nth === undefined) return undefined;
    const versions = this.versions({ bucket: step.bucket, key: step.after.key });
    return versions[step.after.nth % Math.max(1, versions.length)];
  }

  /** What each entry of a multiple deletion names; the id is undefined for the object itself. */
  namedForDeletion(step: Step & { kind: "deleteMany" }): { readonly key: string; readonly id: string | undefined }[] {
    return step.keys.map((key, at) => {
      const nth = step.nths?.[at];
      const id =
        nth === undefined ? undefined : (this.version({ bucket: step.bucket, key }, nth)?.id ?? UNKNOWN_VERSION);
      return { key: this.key(key), id };
    });
  }

  /** The same answer, with the version that it is about. */
  #told(bucket: ModelBucket, version: ModelVersion | undefined, seen: Seen): Seen {
    if (bucket.versioning === undefined || !version) return { ...seen, version: undefined };
    // A refusal tells of the marker that is there, and of nothing else.
    if (!version.object) return { ...seen, version: version.id, marker: true };
    return seen.status >= 300 ? seen : { ...seen, version: version.id };
  }

  #setLifecycle(bucket: ModelBucket, rules: readonly Rule[]): Seen {
    if (rules.length === 0) {
      bucket.lifecycle = undefined;
      return { status: 204 };
    }
    if (bucket.lock && this.lockGeneration === 1) return refused(409, "BucketLocked");
    const tiers = rules.some(({ move, moveNoncurrent }) =>
      [move?.to, moveNoncurrent?.to].includes("INTELLIGENT_TIERING"),
    );
    if (tiers && bucket.tieringDays === undefined) return refused(400, "NotSupportedStorageClass");
    bucket.lifecycle = { setMs: this.nowMs, rules };
    return { status: 200 };
  }

  #setLock(bucket: ModelBucket, days: number | undefined): Seen {
    if (days !== undefined && days < 1) return refused(409, "InvalidLockedTime");
    const { versioning } = bucket;
    if (versioning === "Suspended" || bucket.tieringDays !== undefined) return refused(409, "InvalidBucketState");
    if (this.lockGeneration === 1) {
      if (versioning !== undefined || bucket.lifecycle) return refused(409, "InvalidBucketState");
      if (days === undefined) return refused(400, "MalformedXML");
      if (days < (bucket.lock?.days ?? 0)) return refused(409, "InvalidLockedTime");
    }
    bucket.lock = { days };
    return { status: 200 };
  }

  #copy(step: Step & { kind: "copy" }, holder: ModelBucket): Seen {
    const { facts = PLAIN } = step;
    const refusal = this.#refusedLock(holder, facts) ?? this.#refusedClass(holder, facts);
    if (refusal) return refusal;
    const [bucket, key] = [this.bucket(step.bucket), this.key(step.key)];
    const source = this.#source(step.from, step.nth, { bucket, key });
    if ("status" in source) return source;
    const onto = bucket === this.bucket(step.from.bucket) && key === this.key(step.from.key);
    const isChanged = step.replaced || facts.tagged || facts.storageClass !== source.storageClass;
    if (!isChanged && onto && (step.nth === undefined || holder.versioning === undefined)) {
      return refused(400, "InvalidRequest");
    }
    const etag = md5(source.bytes);
    const note = step.replaced ? "replaced" : source.note;
    const object = this.#made(source.bytes, etag, note, { ...facts, tagged: facts.tagged || source.tagged });
    const stored = this.#store(holder, key, object);
    if ("status" in stored) return stored;
    this.#noteRead(source);
    const headers = { "x-cos-expiration": this.#expiration(holder, key, object) };
    return { status: 200, etag, headers, ...stored };
  }

  /** `off` is how far the client's position is from the right one. */
  #append(bucket: ModelBucket, name: ObjectName, bytes: Buffer, off: number, facts: Facts = PLAIN): Seen {
    const key = this.key(name.key);
    const versions = this.versions(name);
    const present = versions[0]?.object;
    if ([facts.storageClass, present?.storageClass].includes("INTELLIGENT_TIERING")) {
      return refused(400, "NotSupportedStorageClass");
    }
    if (present?.appendable && !this.#isReadable(present)) return FROZEN;
    if (present && !present.appendable) return refused(409, "ObjectNotAppendable");
    if (off !== 0) return refused(409, "AppendPositionErr");
    const refusal = this.#refusedLock(bucket, facts);
    if (refusal) return refusal;
    // Only the first append says what the object is like.
    if (present && facts.lockDays !== undefined) return refused(400, "InvalidRequest");
    // It would take the place of the `null` version.
    if (!present && versions.some(({ object, id }) => object && id === "null")) {
      return refused(409, "ObjectNotAppendable");
    }
    const added = createHash("md5").update(bytes).digest();
    const etag = present
      ? createHash("md5").update(present.etag, "hex").update(added).digest("hex")
      : added.toString("hex");
    const whole = Buffer.concat([present?.bytes ?? Buffer.alloc(0), bytes]);
    if (present && this.#isLocked(bucket, present)) return LOCKED;
    const { nowMs } = this;
    const grown = present
      ? { ...present, bytes: whole, etag, modifiedMs: nowMs }
      : this.#made(whole, etag, undefined, facts, true);
    if (!present) this.#lockByDefault(bucket, grown);
    const kept = versions.filter(({ id }) => id !== "null");
    bucket.keys.set(key, [{ object: grown, id: "null", modifiedMs: nowMs, supersededMs: undefined }, ...kept]);
    return { status: 200, etag, whole };
  }

  #playUpload(step: Extract<Step, { readonly upload: number }>): Seen {
    const upload = this.upload(step.upload);
    // Before the first upload the server is asked for one that nobody was given.
    if (!upload) return this.buckets.has(BUCKETS[0] as string) ? NO_UPLOAD : NO_BUCKET;
    if (!this.buckets.has(upload.bucket)) return NO_BUCKET;
    const named = step.kind === "complete" ? this.named(upload, step.how) : [];
    if (step.kind === "complete") {
      if (named.length === 0) return refused(400, "MalformedXML");
      if (step.how === "reversed" && named.length > 1) return refused(400, "InvalidPartOrder");
      if (step.how === "elsewhere") return NO_UPLOAD;
    }
    if (!upload.open) return NO_UPLOAD;
    switch (step.kind) {
      case "part": {
        const bytes = bytesOf(step.content);
        const etag = md5(bytes);
        upload.parts.set(step.number, { bytes, etag });
        return { status: 200, etag, whole: bytes };
      }
      case "manyParts": {
        for (let number = 1; number <= step.count; number++) {
          const bytes = manyPart(step, number);
          upload.parts.set(number, { bytes, etag: md5(bytes) });
        }
        return { status: 200 };
      }
      case "partCopy": {
        const source = this.#source(step.from, step.nth, upload);
        if ("status" in source) return source;
        const { first, length } = step.range ?? { first: 0, length: source.bytes.length };
        if (first + length > source.bytes.length) return refused(416, "InvalidRange");
        const bytes = source.bytes.subarray(first, first + length);
        const etag = md5(bytes);
        this.#noteRead(source);
        upload.parts.set(step.number, { bytes, etag });
        return { status: 200, etag };
      }
      case "complete": {
        if (step.how === "wrong") return refused(400, "InvalidPart");
        const taken = named.map(([number]) => upload.parts.get(number) as ModelPart);
        if (taken.slice(0, -1).some(({ bytes }) => bytes.length < PART_BYTES_MIN))
          return refused(400, "EntityTooSmall");
        const sum = createHash("md5");
        for (const { etag } of taken) sum.update(etag, "hex");
        const bytes = Buffer.concat(taken.map((part) => part.bytes));
        const etag = `${sum.digest("hex")}-${taken.length}`;
        const holder = this.buckets.get(upload.bucket) as ModelBucket;
        const object = this.#made(bytes, etag, upload.note, { ...upload.facts, lockDays: undefined });
        // A lock that is over by now is none.
        const { lockDays } = upload.facts;
        const untilMs = lockDays === undefined ? 0 : upload.initiatedMs + lockDays * DAY_MS;
        if (untilMs > this.nowMs) object.lockedMs = untilMs;
        const stored = this.#store(holder, upload.key, object);
        if ("status" in stored) return stored;
        upload.open = false;
        const headers = { "x-cos-expiration": this.#expiration(holder, upload.key, object) };
        return { status: 200, etag, whole: bytes, headers, ...stored };
      }
      case "abort":
        upload.open = false;
        return { status: 204 };
      case "listParts": {
        const all = [...upload.parts].sort(([a], [b]) => a - b).filter(([number]) => number > step.marker);
        const shown = all.slice(0, step.max ?? 1000);
        const more = step.max !== 0 && shown.length < all.length;
        const next = more ? [String(shown.at(-1)?.[0])] : undefined;
        const items = shown.map(([number, { etag, bytes }]) => `${number} ${etag} ${bytes.length}`);
        return { status: 200, page: { items, prefixes: [], next } };
      }
    }
  }
}

/** The bytes of one of many parts. */
export const manyPart = (step: Step & { kind: "manyParts" }, number: number): Buffer =>
  bytesOf({ length: PART_BYTES_MIN + ((step.seed + number) % 5) * 30, seed: step.seed + number });

function described({ etag, appendable, note, bytes }: ModelObject): Seen {
  return { status: 200, etag, appendable, note, whole: bytes };
}

function read(object: ModelObject, range: RangeText | undefined): Seen {
  const { bytes } = object;
  if (range === undefined) return { ...described(object), bytes };
  const first = "suffix" in range ? Math.max(0, bytes.length - range.suffix) : range.first;
  const end = "suffix" in range || range.last === undefined ? bytes.length : Math.min(bytes.length, range.last + 1);
  if ("suffix" in range ? Math.min(range.suffix, bytes.length) === 0 : first >= bytes.length) {
    return refused(416, "InvalidRange");
  }
  return { ...described(object), status: 206, bytes: bytes.subarray(first, end) };
}

interface Item {
  readonly key: string;
  readonly tail: string;
}

/** A page, by writing the whole list down first: what sorts behind the marker, keys and common prefixes as one. */
function pageOf(
  all: readonly Item[],
  { prefix, delimiter, marker, max }: Omit<Extract<Step, { readonly kind: "list" | "listUploads" }>, "bucket">,
  markerTail: string,
): { shown: Item[]; prefixes: string[]; next: string[] | undefined } {
  const entries = new Map<string, Item | undefined>();
  const sorted = all.toSorted((a, b) => byBytes(a.key, b.key) || byBytes(a.tail, b.tail));
  for (const item of sorted) {
    if (!item.key.startsWith(prefix)) continue;
    const at = delimiter === "" ? -1 : item.key.indexOf(delimiter, prefix.length);
    const common = at < 0 ? undefined : item.key.slice(0, at + delimiter.length);
    const behind = common ?? item.key;
    const isMarked = common === undefined && item.key === marker && markerTail !== "";
    if (isMarked ? byBytes(item.tail, markerTail) <= 0 : marker !== "" && byBytes(behind, marker) <= 0) continue;
    if (common === undefined) entries.set(`${item.key}\0${item.tail}`, item);
    else entries.set(common, undefined);
  }
  const list = [...entries];
  const shown = list.slice(0, max ?? 1000);
  const last = shown.at(-1);
  const more = last !== undefined && shown.length < list.length;
  return {
    shown: shown.flatMap(([, item]) => (item === undefined ? [] : [item])),
    prefixes: shown.flatMap(([name, item]) => (item === undefined ? [name] : [])),
    next: more ? (last[1] === undefined ? [last[0], ""] : [last[1].key, last[1].tail]) : undefined,
  };
}
