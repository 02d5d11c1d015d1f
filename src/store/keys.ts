/**
 * Every family of keys in the metadata store. The first byte of a key names its family; nothing else makes or takes
 * apart keys. `docs/data-format.md` describes the same bytes for people.
 *
 * Rows use a bucket's internal id, never its name, so a bucket that is made again starts empty. Object keys are UTF-8
 * without NUL (the address parser refuses it), which is why NUL ends a key that something follows: `a` sorts before
 * `a\0…`, and both before `a!`.
 */
import type { Range } from "../ports/metadata.ts";
import { RecordDamaged } from "./bytes.ts";

/** The first byte of each family. */
export const FAMILY = {
  /** One row: the number of the data format, and when the store was made. */
  format: 0x66, // f
  /** `b<bucket name>`: the bucket's record. Names are unique, since they end in the account's APPID. */
  bucket: 0x62, // b
  /** `c<bucket id 8><name>`: a configuration of a bucket. The bucket's record names it, and its revision. */
  configuration: 0x63, // c
  /** `A<uin>`: rewritten whenever the account creates a bucket, so that two creations cannot both be the last allowed. */
  account: 0x41, // A
  /** `l<uin>\0<bucket id 8><what>`: an ACL or a policy in a bucket of the account; the value is empty. */
  attachment: 0x6c, // l
  /** `a<uin>\0<bucket name>`: an account's buckets in order of name; the value is empty. */
  accountBucket: 0x61, // a
  /** `o<bucket id 8><key>`: the current version of an object. LIST walks this family alone. */
  object: 0x6f, // o
  /** `v<bucket id 8><key>\0<inverted sequence 8>`: older versions and delete markers, newest first. */
  version: 0x76, // v
  /** `h<bucket id 8><key>`: there while the key has rows of family `v`; whoever adds or removes one rewrites it. */
  history: 0x68, // h
  /** `u<bucket id 8><key>\0<upload id>`: an unfinished multipart upload. */
  upload: 0x75, // u
  /** `p<bucket id 8><upload id>\0<part number u16>`: an uploaded part. */
  part: 0x70, // p
  /** `i<body id 16>`: the bytes of a small body. Ids of one process ascend, so these rows are appended. */
  inline: 0x69, // i
  /** `m<manifest id 16><offset u64>`: up to 1,000 pieces of a body, of which the first begins at `offset` of it. */
  manifest: 0x6d, // m
  /** `r<blob id 16><holder 16>`: a body of this holder needs this blob; the value is empty. */
  reference: 0x72, // r
  /** `g<id 16>`: something to be released in the background. */
  garbage: 0x67, // g
  /** `x<incarnation 8><number u64>`: work in several commits that the named process has begun, and how to undo it. */
  intent: 0x78, // x
  /** `t<name>`: a task in the background that one process at a time does, and how far it has come. */
  task: 0x74, // t
  /** `n<incarnation 8>`: a process that uses the store. */
  incarnation: 0x6e, // n
  /** `w<kind><name>`: who there is: accounts, users, groups, roles, policies and keys, and what seals their secrets. */
  principal: 0x77, // w
  /** `y<name>`: what a person has set on the running server, such as its clock; a document of whoever set it. */
  control: 0x79, // y
  /** `k<name>`: a key of the key ring, sealed under the master key; or what tells that key from another. */
  keyRing: 0x6b, // k
} as const;

/** Names one family. */
export type Family = keyof typeof FAMILY;

export const BUCKET_ID_BYTES = 8;
/** Bytes before the object's key in the keys of objects, versions and uploads. */
export const BUCKET_FAMILY_BYTES = 1 + BUCKET_ID_BYTES;

/**
 * Longest name of a bucket or an object that a row's key has room for, in bytes, with all that goes around it within
 * the 1,900 bytes of an engine. The limits on what may be stored are settings, and lower.
 */
const NAME_BYTES_MAX = 1_800;

const NUL = Buffer.from([0]);

/** Whether a row could have this name. Names from outside that could not are names of nothing. */
export function canName(text: string): boolean {
  return text.length * 3 <= NAME_BYTES_MAX || Buffer.byteLength(text) <= NAME_BYTES_MAX;
}

function family(name: Family): Buffer {
  return Buffer.from([FAMILY[name]]);
}

function named(name: Family, text: string): Buffer {
  const key = Buffer.allocUnsafe(1 + Buffer.byteLength(text));
  key[0] = FAMILY[name];
  key.write(text, 1, "utf8");
  return key;
}

function hexed(name: Family, digits: string, more = 0): Buffer {
  const key = Buffer.allocUnsafe(1 + digits.length / 2 + more);
  key[0] = FAMILY[name];
  if (key.write(digits, 1, "hex") !== digits.length / 2) throw new RangeError(`not an id: ${digits}`);
  return key;
}

function withKey(name: Family, bucketId: string, key: string, tail?: Buffer): Buffer {
  const length = Buffer.byteLength(key);
  const row = Buffer.allocUnsafe(BUCKET_FAMILY_BYTES + length + (tail ? 1 + tail.length : 0));
  row[0] = FAMILY[name];
  row.write(bucketId, 1, "hex");
  row.write(key, BUCKET_FAMILY_BYTES, "utf8");
  if (tail) {
    row[BUCKET_FAMILY_BYTES + length] = 0;
    tail.copy(row, BUCKET_FAMILY_BYTES + length + 1);
  }
  return row;
}

export function formatKey(): Buffer {
  return family("format");
}

export function bucketKey(name: string): Buffer {
  return named("bucket", name);
}

export function configurationKey(bucketId: string, name: string): Buffer {
  return withKey("configuration", bucketId, name);
}

/** The row of a control, or what begins the keys of those whose names begin so. */
export function controlKey(name: string): Buffer {
  return named("control", name);
}

export function accountKey(uin: string): Buffer {
  return named("account", uin);
}

export function accountBucketKey(uin: string, bucketName: string): Buffer {
  return Buffer.concat([named("accountBucket", uin), NUL, Buffer.from(bucketName)]);
}

/** What begins the keys of all buckets of one account. */
export function accountBucketsPrefix(uin: string): Buffer {
  return Buffer.concat([named("accountBucket", uin), NUL]);
}

/** What a bucket or an object has of its own: the bucket's policy, its ACL, or the ACL of a version under a key, whose sequence is 0 for the `null` version. */
export type Attached =
  | { readonly of: "policy" }
  | { readonly of: "acl" }
  | { readonly of: "object"; readonly key: string; readonly sequence: number };

const ATTACHED_BYTE = { policy: "p", acl: "a", object: "o" } as const;

export function attachmentKey(uin: string, bucketId: string, attached: Attached): Buffer {
  const holder = [attachmentsPrefix(uin), Buffer.from(bucketId, "hex"), Buffer.from(ATTACHED_BYTE[attached.of])];
  if (attached.of !== "object") return Buffer.concat(holder);
  return Buffer.concat([...holder, invertedSequence(attached.sequence), Buffer.from(attached.key)]);
}

/** What begins the keys of all ACLs and policies of one account. */
export function attachmentsPrefix(uin: string): Buffer {
  return Buffer.concat([named("attachment", uin), NUL]);
}

/** The bucket id (16 hex digits) in the row of an attachment, and what is attached as `attachmentKey` was told. */
export function splitAttachmentKey(key: Buffer): { readonly bucketId: string; readonly attached: Attached } {
  const at = key.indexOf(0) + 1;
  const end = at + BUCKET_ID_BYTES;
  const kind = String.fromCharCode(key[end] ?? 0);
  const of = (["policy", "acl", "object"] as const).find((one) => ATTACHED_BYTE[one] === kind);
  if (at === 0 || of === undefined) throw new RecordDamaged("an attachment's row names nothing");
  const bucketId = key.toString("hex", at, end);
  if (of !== "object") return { bucketId, attached: { of } };
  const keyAt = end + 1 + SEQUENCE_BYTES;
  if (key.length < keyAt) throw new RecordDamaged("an attachment's row names no version");
  const sequence = Number(SEQUENCE_MAX - key.readBigUInt64BE(end + 1));
  return { bucketId, attached: { of, key: key.toString("utf8", keyAt), sequence } };
}

export function objectKey(bucketId: string, key: string): Buffer {
  return withKey("object", bucketId, key);
}

/** What begins the keys of all rows that a family holds for a bucket. */
export function bucketPrefix(name: "object" | "version" | "history" | "upload" | "part", bucketId: string): Buffer {
  return hexed(name, bucketId);
}

/** The row of a version that is not current, by the sequence it was given. */
export function versionKey(bucketId: string, key: string, sequence: number): Buffer {
  return withKey("version", bucketId, key, invertedSequence(sequence));
}

/** What begins the keys of all rows of family `version` that one object key has. */
export function versionsPrefix(bucketId: string, key: string): Buffer {
  return withKey("version", bucketId, key, Buffer.alloc(0));
}

/** The object key and the sequence in the row of a version, without what begins all rows of its bucket. */
export function splitVersionKey(suffix: Buffer): { readonly key: string; readonly sequence: number } {
  const at = suffix.indexOf(0);
  if (at < 0 || suffix.length !== at + 1 + SEQUENCE_BYTES) throw new RecordDamaged("a version's row names no sequence");
  return { key: suffix.toString("utf8", 0, at), sequence: Number(SEQUENCE_MAX - suffix.readBigUInt64BE(at + 1)) };
}

const SEQUENCE_BYTES = 8;
const SEQUENCE_MAX = 2n ** 64n - 1n;

/** A sequence so that newer ones sort first, as it also stands in a version id. */
export function invertedSequence(sequence: number): Buffer {
  const bytes = Buffer.allocUnsafe(SEQUENCE_BYTES);
  bytes.writeBigUInt64BE(SEQUENCE_MAX - BigInt(sequence));
  return bytes;
}

export function historyKey(bucketId: string, key: string): Buffer {
  return withKey("history", bucketId, key);
}

export function uploadKey(bucketId: string, key: string, uploadId: string): Buffer {
  return withKey("upload", bucketId, key, Buffer.from(uploadId));
}

/** The key and the upload id in the row of an upload, without what begins all rows of its bucket. */
export function splitUploadKey(suffix: Buffer): { readonly key: string; readonly uploadId: string } {
  const at = suffix.indexOf(0);
  if (at < 0) throw new RecordDamaged("an upload's row names no upload id");
  return { key: suffix.toString("utf8", 0, at), uploadId: suffix.toString("latin1", at + 1) };
}

export function partKey(bucketId: string, uploadId: string, partNumber: number): Buffer {
  const prefix = partsPrefix(bucketId, uploadId);
  const key = Buffer.allocUnsafe(prefix.length + 2);
  prefix.copy(key);
  key.writeUInt16BE(partNumber, prefix.length);
  return key;
}

/** What begins the keys of all parts of one upload. */
export function partsPrefix(bucketId: string, uploadId: string): Buffer {
  return withKey("part", bucketId, uploadId, Buffer.alloc(0));
}

/** The part number in the row of a part. */
export function partNumberOf(key: Buffer): number {
  if (key.length < 2) throw new RecordDamaged("a part's row names no number");
  return key.readUInt16BE(key.length - 2);
}

export function inlineKey(bodyId: string): Buffer {
  return hexed("inline", bodyId);
}

export function manifestKey(manifestId: string, offset: number): Buffer {
  const key = hexed("manifest", manifestId, 8);
  key.writeBigUInt64BE(BigInt(offset), 17);
  return key;
}

/** What begins the keys of all chunks of one manifest. */
export function manifestPrefix(manifestId: string): Buffer {
  return hexed("manifest", manifestId);
}

/** Where in the body the first piece of a chunk begins. */
export function manifestOffsetOf(key: Buffer): number {
  if (key.length !== 25) throw new RecordDamaged("a manifest's row names no offset");
  return Number(key.readBigUInt64BE(17));
}

export function referenceKey(blobId: string, holder: string): Buffer {
  return hexed("reference", blobId + holder);
}

/** What begins the keys of all references to one blob. */
export function referencesPrefix(blobId: string): Buffer {
  return hexed("reference", blobId);
}

export function garbageKey(id: string): Buffer {
  return hexed("garbage", id);
}

/** `number` counts within the incarnation (16 hex digits). */
export function intentKey(incarnation: string, number: number): Buffer {
  const key = hexed("intent", incarnation, 8);
  key.writeBigUInt64BE(BigInt(number), 9);
  return key;
}

export function taskKey(name: string): Buffer {
  return named("task", name);
}

/** The incarnation that wrote an intent, or that an incarnation row names: 16 hex digits. */
export function incarnationOf(key: Buffer): string {
  if (key.length < 9) throw new RecordDamaged("a row names no incarnation");
  return key.toString("hex", 1, 9);
}

export function keyRingKey(name: string): Buffer {
  return named("keyRing", name);
}

/** The name of a key in its row. */
export function keyRingNameOf(key: Buffer): string {
  return key.toString("utf8", 1);
}

export function incarnationKey(incarnation: string): Buffer {
  return hexed("incarnation", incarnation);
}

/** What each kind of row of the family `principal` begins with. */
export const PRINCIPAL_KIND = {
  /** One row: counts every change of the others. */
  revision: "v",
  /** One row: what tells whether a key is the one that sealed the secrets. */
  seal: "s",
  /** One row: which accounts of the settings were applied last. */
  seed: "d",
  /** `wa<uin>` */
  account: "a",
  /** `wu<uin>\0<uin of the user>` */
  user: "u",
  /** `wg<uin>\0<name>` */
  group: "g",
  /** `wr<uin>\0<name>` */
  role: "r",
  /** `wp<uin>\0<name>` */
  policy: "p",
  /** `wk<SecretId>` */
  key: "k",
  /** `wh<uin>\0<SecretId>`: the keys of an account; the value is empty. */
  holding: "h",
} as const;

/** A row of the family `principal`; `names` are free of NUL. */
export function principalKey(kind: keyof typeof PRINCIPAL_KIND, ...names: readonly string[]): Buffer {
  return named("principal", PRINCIPAL_KIND[kind] + names.join("\0"));
}

/** What begins the keys of all rows of a kind, or of those of one account. */
export function principalsPrefix(kind: keyof typeof PRINCIPAL_KIND, uin?: string): Buffer {
  return named("principal", PRINCIPAL_KIND[kind] + (uin === undefined ? "" : `${uin}\0`));
}

/**
 * The first key after all keys that begin with `prefix`: its last byte that is not 0xff, one greater, and what follows
 * left off. A prefix of 0xff bytes alone has none; our prefixes begin with a family byte or are UTF-8, which has no 0xff.
 */
export function prefixEnd(prefix: Buffer): Buffer {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length -= 1;
  if (length === 0) throw new RangeError("nothing sorts after this prefix");
  const end = Buffer.from(prefix.subarray(0, length));
  end[length - 1] = (end[length - 1] as number) + 1;
  return end;
}

/** Every row whose key begins with `prefix`, at most `limit` of them. */
export function prefixRange(prefix: Buffer, limit: number): Range {
  return { start: prefix, end: prefixEnd(prefix), limit };
}

/** Every row of a family, at most `limit` of them. */
export function familyRange(name: Family, limit: number): Range {
  return prefixRange(family(name), limit);
}

/** The first key after `key`. */
export function after(key: Buffer): Buffer {
  return Buffer.concat([key, NUL]);
}
