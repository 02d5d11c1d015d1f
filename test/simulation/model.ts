/**
 * What cosbox is, in the simplest words: maps in memory, without time, engines or streams. It answers each step with
 * what a client must see. Where it and the server differ, one of them is wrong.
 */

import { md5 } from "../interop/content.ts";
import { createHash } from "node:crypto";

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

/** One request, with names and uploads told by number, or what else happens to the server. */
export type Step =
  | { readonly kind: "createBucket" | "deleteBucket" | "headBucket"; readonly bucket: number }
  | ({ readonly kind: "put"; readonly content: Content; readonly note?: string | undefined } & ObjectName)
  | ({ readonly kind: "get"; readonly range?: RangeText | undefined } & ObjectName)
  | ({ readonly kind: "head" | "delete" } & ObjectName)
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
    } & ObjectName)
  | ({ readonly kind: "append"; readonly content: Content; readonly off: number } & ObjectName)
  | ({ readonly kind: "appendMany"; readonly lengths: readonly number[]; readonly seed: number } & ObjectName)
  | ({ readonly kind: "initiate"; readonly note?: string | undefined } & ObjectName)
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
  | { readonly kind: "restart"; readonly clean: boolean };

/** A range as `Range` tells it: from the front, or the last bytes. */
export type RangeText = { readonly first: number; readonly last: number | undefined } | { readonly suffix: number };

/** A page of names, in the form both kinds of lists can be brought to. */
export interface Page {
  readonly items: readonly string[];
  readonly prefixes: readonly string[];
  /** What the next page begins after; undefined on the last page. */
  readonly next: readonly string[] | undefined;
}

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
}

interface ModelObject {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly appendable: boolean;
  readonly note: string | undefined;
}

export interface ModelVersion {
  /** Undefined for a delete marker. */
  readonly object: ModelObject | undefined;
  /** `null`, or what the server has called it; `NEW` until it has told. */
  id: string;
}

interface ModelPart {
  readonly bytes: Buffer;
  readonly etag: string;
}

export interface ModelUpload {
  readonly bucket: string;
  readonly key: string;
  readonly note: string | undefined;
  readonly parts: Map<number, ModelPart>;
  /** The server's name for it, once it has told one. */
  id: string;
  open: boolean;
}

interface ModelBucket {
  versioning: "Enabled" | "Suspended" | undefined;
  /** The versions of each key that has any, the newest first. */
  readonly keys: Map<string, ModelVersion[]>;
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

const newBucket = (): ModelBucket => ({ versioning: undefined, keys: new Map() });

export class Model {
  readonly buckets = new Map<string, ModelBucket>([[BUCKETS[0] as string, newBucket()]]);
  /** The version that the last step has made and whose id the server tells. */
  made: ModelVersion | undefined;
  /** Every upload that ever was, in the order they were begun. */
  readonly uploads: ModelUpload[] = [];

  /** The upload that a step means: any that ever was. Undefined before the first. */
  upload(number: number): ModelUpload | undefined {
    return this.uploads.length === 0 ? undefined : this.uploads[number % this.uploads.length];
  }

  bucket(number: number): string {
    return BUCKETS[number % BUCKETS.length] as string;
  }

  key(number: number): string {
    return KEYS[number % KEYS.length] as string;
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

  /** What a copy takes, or what it is refused with. */
  #source(from: ObjectName, nth: number | undefined): ModelObject | Seen {
    const version = nth === undefined ? this.versions(from)[0] : this.version(from, nth);
    if (version && !version.object && nth !== undefined) return refused(400, "InvalidCopySource");
    if (!version?.object) return NO_SOURCE;
    return version.object.appendable ? refused(409, "InvalidObjectState") : version.object;
  }

  #add(bucket: ModelBucket, key: string, object: ModelObject | undefined): void {
    const enabled = bucket.versioning === "Enabled";
    const kept = (bucket.keys.get(key) ?? []).filter(({ id }) => enabled || id !== "null");
    this.made = { object, id: enabled ? NEW : "null" };
    bucket.keys.set(key, [this.made, ...kept]);
  }

  #drop(bucket: ModelBucket, key: string, version: ModelVersion): void {
    const kept = (bucket.keys.get(key) ?? []).filter((other) => other !== version);
    if (kept.length === 0) bucket.keys.delete(key);
    else bucket.keys.set(key, kept);
  }

  /** Stores an object, and tells what kind of version id the client sees. */
  #store(bucket: ModelBucket, key: string, object: ModelObject): string | undefined {
    this.#add(bucket, key, object);
    return bucket.versioning === undefined ? undefined : this.made?.id;
  }

  #delete(bucket: ModelBucket, key: string): Seen {
    if (bucket.versioning !== undefined) this.#add(bucket, key, undefined);
    else bucket.keys.delete(key);
    return bucket.versioning === undefined
      ? { status: 204, version: undefined }
      : { status: 204, version: this.made?.id, marker: true };
  }

  #deleteVersion(bucket: ModelBucket, key: string, version: ModelVersion | undefined): Seen {
    if (!version) return NO_VERSION;
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

  /** Plays a step, and tells what the client must see; undefined for a step that asks nothing. */
  play(step: Step): Seen | undefined {
    this.made = undefined;
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
        const bytes = bytesOf(step.content);
        const etag = md5(bytes);
        const object = { bytes, etag, appendable: false, note: step.note };
        return { status: 200, etag, whole: bytes, version: this.#store(bucket, this.key(step.key), object) };
      }
      case "get":
        return this.#told(bucket, this.versions(step)[0], read(this.object(step), step.range));
      case "head": {
        const object = this.object(step);
        return this.#told(bucket, this.versions(step)[0], object ? described(object) : { status: 404 });
      }
      case "getVersion": {
        const version = this.version(step, step.nth);
        if (!version) return NO_VERSION;
        const seen = version.object ? read(version.object, undefined) : refused(405, "MethodNotAllowed");
        return this.#told(bucket, version, seen);
      }
      case "delete":
        return this.#delete(bucket, this.key(step.key));
      case "deleteVersion":
        return this.#deleteVersion(bucket, this.key(step.key), this.version(step, step.nth));
      case "setVersioning":
        bucket.versioning = step.state;
        return { status: 200 };
      case "deleteMany": {
        const named = this.namedForDeletion(step);
        const missing = new Set<string>();
        // Twice the same is once.
        for (const { key, id } of new Map(named.map((one) => [`${one.key} ${one.id}`, one])).values()) {
          if (id === undefined) {
            this.#delete(bucket, key);
            continue;
          }
          const version = bucket.keys.get(key)?.find((one) => one.id === id);
          if (version) this.#drop(bucket, key, version);
          else if (id !== "null" || bucket.versioning !== undefined) missing.add(`${key} ${id}`);
        }
        this.made = undefined;
        const keys = named.filter(({ key, id }) => missing.has(`${key} ${id}`) || !step.quiet).map(({ key }) => key);
        return { status: 200, keys };
      }
      case "copy":
        return this.#copy(step, bucket);
      case "append":
        return this.#append(bucket, step, bytesOf(step.content), step.off);
      case "appendMany": {
        let seen: Seen = { status: 200 };
        for (const [at, length] of step.lengths.entries()) {
          seen = this.#append(bucket, step, bytesOf({ length, seed: step.seed + at }), 0);
        }
        return seen;
      }
      case "initiate":
        this.uploads.push({
          bucket: name,
          key: this.key(step.key),
          note: step.note,
          parts: new Map(),
          id: "",
          open: true,
        });
        return { status: 200 };
      case "list": {
        const items = [...bucket.keys].flatMap(([key, [first]]) => (first?.object ? [{ key, tail: "" }] : []));
        const { shown, prefixes, next } = pageOf(items, step, "");
        const told = shown.map(({ key }) => {
          const [first] = bucket.keys.get(key) as ModelVersion[];
          const { etag, bytes } = (first as ModelVersion).object as ModelObject;
          return `${key} ${etag} ${bytes.length}`;
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
          const what = object ? `${object.etag} ${object.bytes.length}` : "marker";
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

  #copy(step: Step & { kind: "copy" }, holder: ModelBucket): Seen {
    const source = this.#source(step.from, step.nth);
    if ("status" in source) return source;
    const [bucket, key] = [this.bucket(step.bucket), this.key(step.key)];
    const onto = bucket === this.bucket(step.from.bucket) && key === this.key(step.from.key);
    if (!step.replaced && onto && (step.nth === undefined || holder.versioning === undefined)) {
      return refused(400, "InvalidRequest");
    }
    const etag = md5(source.bytes);
    const note = step.replaced ? "replaced" : source.note;
    const version = this.#store(holder, key, { bytes: source.bytes, etag, appendable: false, note });
    return { status: 200, etag, version };
  }

  /** `off` is how far the client's position is from the right one. */
  #append(bucket: ModelBucket, name: ObjectName, bytes: Buffer, off: number): Seen {
    const key = this.key(name.key);
    const versions = this.versions(name);
    const present = versions[0]?.object;
    if (present && !present.appendable) return refused(409, "ObjectNotAppendable");
    if (off !== 0) return refused(409, "AppendPositionErr");
    // It would take the place of the `null` version.
    if (!present && versions.some(({ object, id }) => object && id === "null")) {
      return refused(409, "ObjectNotAppendable");
    }
    const added = createHash("md5").update(bytes).digest();
    const etag = present
      ? createHash("md5").update(present.etag, "hex").update(added).digest("hex")
      : added.toString("hex");
    const whole = Buffer.concat([present?.bytes ?? Buffer.alloc(0), bytes]);
    const grown = { bytes: whole, etag, appendable: true, note: present?.note };
    const kept = versions.filter(({ id }) => id !== "null");
    bucket.keys.set(key, [{ object: grown, id: "null" }, ...kept]);
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
        const source = this.#source(step.from, step.nth);
        if ("status" in source) return source;
        const { first, length } = step.range ?? { first: 0, length: source.bytes.length };
        if (first + length > source.bytes.length) return refused(416, "InvalidRange");
        const bytes = source.bytes.subarray(first, first + length);
        const etag = md5(bytes);
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
        const version = this.#store(holder, upload.key, { bytes, etag, appendable: false, note: upload.note });
        upload.open = false;
        return { status: 200, etag, whole: bytes, version };
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

function read(object: ModelObject | undefined, range: RangeText | undefined): Seen {
  if (!object) return NO_KEY;
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
