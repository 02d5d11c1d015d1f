/**
 * The binary forms of rows. Each begins with the number of its format. `docs/data-format.md` describes the bytes; a
 * change of a form is a new number that later versions read beside the old ones.
 *
 * Records of buckets, objects and uploads have room for what later features need: optional sections, each a tag and
 * bytes. An old version keeps a section it does not know, unless its tag is 128 or more: such a section changes what
 * the rest means (encryption, a lock), so the record is refused instead of being misread.
 */
import { ByteReader, ByteWriter, RecordDamaged, sharedText } from "./bytes.ts";
import type { Seal } from "./sealing.ts";

/** Raised when a later version of the product wrote the record. */
export class RecordFromNewerVersion extends Error {
  constructor(what: string) {
    super(`${what} was written by a newer version of cosbox: start that version on this data folder`);
    this.name = "RecordFromNewerVersion";
  }
}

/** A later feature's field. Tags are 1 to 255; those from 128 up must be understood by whoever reads the record. */
export interface Section {
  readonly tag: number;
  readonly bytes: Buffer;
}

/** Bytes of a body that lie together. Ids are 32 lower-case hex digits; `offset` and `length` are in bytes. */
export type Piece = InlinePiece | BlobPiece;

/** Bytes in a metadata row of their own, which belongs to this body alone. */
export interface InlinePiece {
  readonly kind: "inline";
  readonly id: string;
  readonly offset: number;
  readonly length: number;
  /** Present where the row's bytes are sealed; `offset` and `length` count what was sealed. */
  readonly seal?: Seal;
}

/** Bytes of a blob, which other bodies may use too; the row `r<blob><holder>` keeps it for this one. */
export interface BlobPiece {
  readonly kind: "blob";
  readonly id: string;
  readonly holder: string;
  readonly offset: number;
  readonly length: number;
  /** Present where the blob's bytes are sealed; `offset` and `length` count what was sealed. */
  readonly seal?: Seal;
}

/** The beginning of a body with many pieces: they are in rows `m<id><offset>`. */
export interface Manifest {
  readonly id: string;
  /** Bytes that its pieces cover, from the body's first byte on. */
  readonly size: number;
  /** Number of its pieces. */
  readonly pieces: number;
}

/** Where the bytes of an object or a part are: first those of the manifest, if there is one, then the pieces here. */
export interface Body {
  /** Bytes. */
  readonly size: number;
  readonly manifest: Manifest | undefined;
  /** At most PIECES_IN_RECORD_MAX. */
  readonly pieces: readonly Piece[];
}

/** Pieces that a record itself may hold; a body of more has a manifest. */
export const PIECES_IN_RECORD_MAX = 32;
/** Pieces in one row of a manifest. */
export const PIECES_IN_CHUNK_MAX = 1_000;

export const EMPTY_BODY: Body = { size: 0, manifest: undefined, pieces: [] };

/** Headers that are stored with an object and given back as they came. */
export interface ContentHeaders {
  readonly contentType?: string;
  readonly cacheControl?: string;
  readonly contentDisposition?: string;
  readonly contentEncoding?: string;
  readonly contentLanguage?: string;
  readonly expires?: string;
}

/** The order of their bits in a record. */
const CONTENT_HEADERS = [
  "contentType",
  "cacheControl",
  "contentDisposition",
  "contentEncoding",
  "contentLanguage",
  "expires",
] as const satisfies readonly (keyof ContentHeaders)[];

/** User metadata in the order it came: names in lower case, without `x-cos-meta-`. */
export type MetadataPairs = readonly (readonly [name: string, value: string])[];

export const CANNED_ACLS = ["private", "public-read", "public-read-write", "authenticated-read"] as const;
export type CannedAcl = (typeof CANNED_ACLS)[number];

/** A bucket is normal, or the named process is finding out whether it is empty. */
export type BucketState =
  | { readonly kind: "normal" }
  | { readonly kind: "deleting"; readonly incarnation: string; readonly token: number };

export interface BucketRecord {
  /** 16 hex digits, never given to another bucket: what rows of its objects carry. */
  readonly id: string;
  readonly name: string;
  readonly ownerUin: string;
  readonly ownerAppid: string;
  readonly region: string;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
  readonly acl: CannedAcl;
  readonly state: BucketState;
  /** What is configured for it; the documents themselves are rows of their own. */
  readonly configurations: BucketConfigurations;
  /** Undefined while it was never configured. It is here, and not in a row of its own, so that every writer sees it. */
  readonly versioning: Versioning | undefined;
  /** Undefined while it was never locked; it is never unlocked. Here for the same reason. */
  readonly lock: BucketLock | undefined;
  readonly sections: readonly Section[];
}

/** How the objects of a bucket are locked. */
export interface BucketLock {
  /** 1: every object is locked, by the bucket's rule alone. 2: those that are stored from then on, each until its own day. */
  readonly generation: 1 | 2;
  /** Days for which an object is locked that says nothing else; undefined for none. */
  readonly days: number | undefined;
}

export const VERSIONINGS = ["Enabled", "Suspended"] as const;
/** Whether a write keeps what was there (`Enabled`), or replaces the `null` version alone (`Suspended`). */
export type Versioning = (typeof VERSIONINGS)[number];

/** Which configurations a bucket has, and the revision of each, so that nobody reads a row to learn there is none. */
export interface BucketConfigurations {
  /** The last revision given in this bucket. None is given twice, also where its configuration has been removed. */
  readonly last: number;
  readonly revisions: ReadonlyMap<string, number>;
}

export const NO_CONFIGURATIONS: BucketConfigurations = { last: 0, revisions: new Map() };

/** What LIST and HEAD show; it stands at fixed places, so that LIST reads nothing else of a record. */
export interface ObjectHead {
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
  /** Microseconds since 1970, but always greater than that of the version before: the version id is made of it. */
  readonly sequence: number;
  /** 32 hex digits, with `-<parts>` after them for a multipart object; without quotes. */
  readonly etag: string;
  /** CRC-64/XZ of the whole object. */
  readonly crc64: bigint;
  readonly storageClass: string;
  readonly type: "normal" | "appendable";
  /** Whether it has a version id of its own; otherwise it is the `null` version of its key. */
  readonly versioned: boolean;
  readonly ownerUin: string;
  /** What features keep of it. */
  readonly sections: readonly Section[];
  /** When a newer version took its place, in milliseconds since 1970; undefined for the current one. */
  readonly supersededMs: number | undefined;
}

export interface ObjectRecord extends ObjectHead {
  readonly headers: ContentHeaders;
  readonly metadata: MetadataPairs;
  readonly body: Body;
}

/** What says that a key was deleted: a version without bytes. It stands among the older versions, also while it is the newest. */
export interface DeleteMarkerRecord extends Pick<ObjectHead, "modifiedMs" | "sequence" | "versioned" | "ownerUin"> {
  readonly type: "delete-marker";
  readonly sections: readonly Section[];
}

/** What a row of family `version` holds. */
export type VersionRecord = ObjectRecord | DeleteMarkerRecord;

/** What is known of a key's rows of family `version` as a whole. */
export interface HistoryRecord {
  /** The sequence of the `null` version, where that is one of those rows. */
  readonly nullSequence: number | undefined;
}

/** An upload takes parts, or the named process is making an object of them; `token` is the manifest it writes. */
export type UploadState =
  | { readonly kind: "open" }
  | { readonly kind: "completing"; readonly incarnation: string; readonly token: string };

export interface UploadRecord {
  /** Milliseconds since 1970. */
  readonly initiatedMs: number;
  readonly ownerUin: string;
  /** `<uin>` of an account, or `<uin>/<user>` of one of its users or roles. */
  readonly initiatorUin: string;
  readonly storageClass: string;
  readonly headers: ContentHeaders;
  readonly metadata: MetadataPairs;
  readonly state: UploadState;
  readonly sections: readonly Section[];
}

export interface PartRecord {
  /** 32 hex digits; the part's ETag. */
  readonly md5: string;
  readonly crc64: bigint;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
  /** Its size is the part's size. */
  readonly body: Body;
  readonly sections: readonly Section[];
}

/** What waits to be released in the background. */
export type GarbageRecord =
  /** A body that no row names any more. */
  | { readonly kind: "body"; readonly body: Body }
  /** The parts of an upload that has ended. Bodies of the parts in `taken` now belong to an object. */
  | {
      readonly kind: "parts";
      readonly bucketId: string;
      readonly uploadId: string;
      readonly taken: readonly PartRange[];
    }
  /** The rows of a manifest that was never published; its pieces belong to others. */
  | { readonly kind: "manifest-rows"; readonly manifestId: string };

/** Part numbers from `first` to `last`, both included. */
export interface PartRange {
  readonly first: number;
  readonly last: number;
}

/** Work in several commits; whoever finds one of a dead process undoes it. */
export type IntentRecord =
  | { readonly kind: "bucket-deletion"; readonly bucketName: string }
  /** A manifest with references of its own is being written: release it. */
  | { readonly kind: "body"; readonly manifestId: string }
  /** An upload is being completed: open it again, forget the manifest. */
  | {
      readonly kind: "completion";
      readonly bucketId: string;
      readonly key: string;
      readonly uploadId: string;
      readonly manifestId: string;
    };

const FORMAT = 1;

function begin(value: Buffer, what: string, formatMax = FORMAT): ByteReader {
  const reader = new ByteReader(value);
  const format = reader.u8();
  if (format > formatMax) throw new RecordFromNewerVersion(what);
  if (format < 1) throw new RecordDamaged(`${what} has format ${format}`);
  return reader;
}

function choice<T>(values: readonly T[], at: number, what: string): T {
  if (at >= values.length) throw new RecordFromNewerVersion(what);
  return values[at] as T;
}

const CRITICAL_TAGS_FROM = 128;

/** Sections that a bucket's record has fields for. One that is not understood would leave open what a policy closes. */
const BUCKET_CONFIGURATIONS_TAG = 128;
const BUCKET_VERSIONING_TAG = 129;
const BUCKET_LOCK_TAG = 141;
/** Sections that an object's record has fields for. */
const OBJECT_SUPERSEDED_TAG = 1;
/** Tags of an object, or of the one that an upload makes: policies may go by them. Stays among the sections. */
export const OBJECT_TAGS_TAG = 130;
/** The ACL of an object, or of what an upload will make. Stays among the sections. */
export const OBJECT_ACL_TAG = 129;
/** The wrapped data key of an object, or of what an upload will make. Stays among the sections. */
export const OBJECT_ENCRYPTION_TAG = 140;
/** Until when an object is locked, or what an upload makes will be. Stays among the sections. */
export const OBJECT_RETENTION_TAG = 141;
const OBJECT_TAGS: readonly number[] = [OBJECT_ACL_TAG, OBJECT_TAGS_TAG, OBJECT_ENCRYPTION_TAG, OBJECT_RETENTION_TAG];

function writeSections(writer: ByteWriter, sections: readonly Section[]): void {
  writer.varint(sections.length);
  for (const { tag, bytes } of sections) writer.u8(tag).bytes(bytes);
}

/** `known` are the critical tags that the caller takes out and reads. */
function readSections(reader: ByteReader, what: string, known: readonly number[] = []): readonly Section[] {
  const count = reader.varint();
  if (count === 0) return [];
  const sections: Section[] = [];
  for (let at = 0; at < count; at++) {
    const tag = reader.u8();
    const bytes = reader.bytes();
    if (tag >= CRITICAL_TAGS_FROM && !known.includes(tag)) throw new RecordFromNewerVersion(what);
    sections.push({ tag, bytes });
  }
  return sections;
}

// The bits of a piece's kind.
const PIECE_BLOB = 1;
const PIECE_SEALED = 2;

function writePieces(writer: ByteWriter, pieces: readonly Piece[]): void {
  writer.varint(pieces.length);
  for (const piece of pieces) {
    const { seal } = piece;
    writer.u8((piece.kind === "blob" ? PIECE_BLOB : 0) | (seal === undefined ? 0 : PIECE_SEALED)).hex(piece.id);
    if (piece.kind === "blob") writer.hex(piece.holder);
    writer.varint(piece.offset).varint(piece.length);
    if (seal !== undefined) writer.hex(seal.id).varint(seal.size);
  }
}

function readPieces(reader: ByteReader, max: number): readonly Piece[] {
  const count = reader.varint();
  if (count > max) throw new RecordDamaged(`${count} pieces in a row`);
  const pieces: Piece[] = [];
  for (let at = 0; at < count; at++) {
    const kind = reader.u8();
    if (kind > (PIECE_BLOB | PIECE_SEALED)) throw new RecordFromNewerVersion("a body");
    const id = reader.hex(16);
    const holder = kind & PIECE_BLOB ? reader.hex(16) : undefined;
    const offset = reader.varint();
    const length = reader.varint();
    const piece: Piece =
      holder === undefined ? { kind: "inline", id, offset, length } : { kind: "blob", id, holder, offset, length };
    pieces.push(kind & PIECE_SEALED ? { ...piece, seal: readSeal(reader, offset + length) } : piece);
  }
  return pieces;
}

function readSeal(reader: ByteReader, end: number): Seal {
  const seal = { id: reader.hex(16), size: reader.varint() };
  if (end > seal.size) throw new RecordDamaged(`a piece ends at ${end} of ${seal.size} sealed bytes`);
  return seal;
}

function writeBody(writer: ByteWriter, { manifest, pieces }: Body): void {
  if (pieces.length > PIECES_IN_RECORD_MAX) throw new RangeError(`${pieces.length} pieces need a manifest`);
  if (manifest) writer.u8(1).hex(manifest.id).varint(manifest.size).varint(manifest.pieces);
  else writer.u8(0);
  writePieces(writer, pieces);
}

function readBody(reader: ByteReader): Body {
  const form = reader.u8();
  if (form > 1) throw new RecordFromNewerVersion("a body");
  const manifest = form === 1 ? { id: reader.hex(16), size: reader.varint(), pieces: reader.varint() } : undefined;
  return bodyOf(manifest, readPieces(reader, PIECES_IN_RECORD_MAX));
}

/** A body of these bytes, in this order. */
export function bodyOf(manifest: Manifest | undefined, pieces: readonly Piece[]): Body {
  let size = manifest?.size ?? 0;
  for (const piece of pieces) size += piece.length;
  return { size, manifest, pieces };
}

function writeHeaders(writer: ByteWriter, headers: ContentHeaders): void {
  let present = 0;
  for (const [bit, name] of CONTENT_HEADERS.entries()) if (headers[name] !== undefined) present |= 1 << bit;
  writer.u8(present);
  for (const name of CONTENT_HEADERS) {
    const value = headers[name];
    if (value !== undefined) writer.text(value);
  }
}

function readHeaders(reader: ByteReader): ContentHeaders {
  const present = reader.u8();
  if (present >> CONTENT_HEADERS.length !== 0) throw new RecordFromNewerVersion("an object's headers");
  const headers: { -readonly [Name in keyof ContentHeaders]: ContentHeaders[Name] } = {};
  for (let bit = 0; present >> bit !== 0; bit++) {
    if (present & (1 << bit)) headers[CONTENT_HEADERS[bit] as keyof ContentHeaders] = reader.text();
  }
  return headers;
}

function writeMetadata(writer: ByteWriter, metadata: MetadataPairs): void {
  writer.varint(metadata.length);
  for (const [name, value] of metadata) writer.text(name).text(value);
}

function readMetadata(reader: ByteReader): MetadataPairs {
  const count = reader.varint();
  const metadata: (readonly [string, string])[] = [];
  for (let at = 0; at < count; at++) metadata.push([reader.text(), reader.text()]);
  return metadata;
}

// Format

export interface FormatRecord {
  readonly format: number;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
}

export function encodeFormat({ format, createdMs }: FormatRecord): Buffer {
  return new ByteWriter().u16(format).u48(createdMs).finish();
}

/** Only the number is certain to be readable: later formats may have changed what follows. */
export function decodeFormat(value: Buffer): FormatRecord {
  const reader = new ByteReader(value);
  return { format: reader.u16(), createdMs: reader.left >= 6 ? reader.u48() : 0 };
}

// Buckets

export function encodeBucket(bucket: BucketRecord): Buffer {
  const writer = new ByteWriter()
    .u8(FORMAT)
    .hex(bucket.id)
    .text(bucket.name)
    .text(bucket.ownerUin)
    .text(bucket.ownerAppid)
    .text(bucket.region)
    .u48(bucket.createdMs)
    .u8(CANNED_ACLS.indexOf(bucket.acl));
  if (bucket.state.kind === "deleting") writer.u8(1).hex(bucket.state.incarnation).u64(bucket.state.token);
  else writer.u8(0);
  const { configurations, lock, versioning } = bucket;
  const sections = [...bucket.sections];
  if (configurations.last !== 0) {
    sections.push({ tag: BUCKET_CONFIGURATIONS_TAG, bytes: encodeConfigurations(configurations) });
  }
  if (versioning !== undefined) {
    sections.push({ tag: BUCKET_VERSIONING_TAG, bytes: Buffer.from([VERSIONINGS.indexOf(versioning)]) });
  }
  if (lock !== undefined) {
    const bytes = new ByteWriter(8)
      .u8(lock.generation)
      .varint(lock.days ?? 0)
      .finish();
    sections.push({ tag: BUCKET_LOCK_TAG, bytes });
  }
  writeSections(writer, sections);
  return writer.finish();
}

const BUCKET_TAGS: readonly number[] = [BUCKET_CONFIGURATIONS_TAG, BUCKET_VERSIONING_TAG, BUCKET_LOCK_TAG];

function readBucketLock(bytes: Buffer): BucketLock {
  const reader = new ByteReader(bytes);
  const generation = choice([undefined, 1, 2] as const, reader.u8(), "a bucket");
  const days = reader.varint();
  reader.end();
  if (generation === undefined) throw new RecordDamaged("a bucket's lock has no generation");
  return { generation, days: days === 0 ? undefined : days };
}

export function decodeBucket(value: Buffer): BucketRecord {
  const reader = begin(value, "a bucket");
  const fields = {
    id: reader.hex(8),
    name: reader.text(),
    ownerUin: reader.text(),
    ownerAppid: reader.text(),
    region: reader.text(),
    createdMs: reader.u48(),
    acl: choice(CANNED_ACLS, reader.u8(), "a bucket"),
    state: readBucketState(reader),
  };
  const sections = readSections(reader, "a bucket", BUCKET_TAGS);
  reader.end();
  if (sections.length === 0) {
    return { ...fields, configurations: NO_CONFIGURATIONS, versioning: undefined, lock: undefined, sections };
  }
  const bytesOf = (wanted: number): Buffer | undefined => sections.find(({ tag }) => tag === wanted)?.bytes;
  const configured = bytesOf(BUCKET_CONFIGURATIONS_TAG);
  const versioning = bytesOf(BUCKET_VERSIONING_TAG);
  const lock = bytesOf(BUCKET_LOCK_TAG);
  return {
    ...fields,
    configurations: configured === undefined ? NO_CONFIGURATIONS : decodeConfigurations(configured),
    versioning: versioning && choice(VERSIONINGS, new ByteReader(versioning).u8(), "a bucket"),
    lock: lock && readBucketLock(lock),
    sections: sections.filter(({ tag }) => !BUCKET_TAGS.includes(tag)),
  };
}

function encodeConfigurations({ last, revisions }: BucketConfigurations): Buffer {
  const writer = new ByteWriter(64).varint(last).varint(revisions.size);
  for (const [name, revision] of revisions) writer.text(name).varint(revision);
  return writer.finish();
}

function decodeConfigurations(bytes: Buffer): BucketConfigurations {
  const reader = new ByteReader(bytes);
  const last = reader.varint();
  const revisions = new Map<string, number>();
  for (let left = reader.varint(); left > 0; left--) revisions.set(reader.text(), reader.varint());
  reader.end();
  return { last, revisions };
}

function readBucketState(reader: ByteReader): BucketState {
  const kind = choice(["normal", "deleting"] as const, reader.u8(), "a bucket");
  return kind === "normal" ? { kind } : { kind, incarnation: reader.hex(8), token: reader.u64() };
}

// Objects

// Fixed places in an object's record, in bytes.
const AT_FLAGS = 1;
const AT_SIZE = 2;
const AT_MODIFIED = 8;
const AT_SEQUENCE = 14;
const AT_ETAG = 22;
const AT_ETAG_PARTS = 38;
const AT_CRC64 = 40;
const AT_STORAGE_CLASS = 48;

const FLAG_APPENDABLE = 1;
/** It has a version id of its own. */
const FLAG_VERSIONED = 2;
/** No object, but a delete marker: what follows the flags has another form. */
const FLAG_DELETE_MARKER = 4;

const ETAG = /^([0-9a-f]{32})(?:-([1-9][0-9]{0,4}))?$/;

export function encodeObject(record: ObjectRecord): Buffer {
  const etag = ETAG.exec(record.etag);
  if (!etag) throw new RangeError(`not an ETag: ${record.etag}`);
  const writer = new ByteWriter(512)
    .u8(FORMAT)
    .u8((record.type === "appendable" ? FLAG_APPENDABLE : 0) | (record.versioned ? FLAG_VERSIONED : 0))
    .u48(record.size)
    .u48(record.modifiedMs)
    .u64(record.sequence)
    .hex(etag[1] as string)
    .u16(Number(etag[2] ?? 0))
    .bigU64(record.crc64)
    .text(record.storageClass)
    .text(record.ownerUin);
  const { supersededMs, sections } = record;
  if (supersededMs === undefined) writeSections(writer, sections);
  else {
    writeSections(writer, [
      ...sections,
      { tag: OBJECT_SUPERSEDED_TAG, bytes: new ByteWriter(6).u48(supersededMs).finish() },
    ]);
  }
  writeHeaders(writer, record.headers);
  writeMetadata(writer, record.metadata);
  writeBody(writer, record.body);
  return writer.finish();
}

const lastStorageClass = sharedText();
const lastOwnerUin = sharedText();

/**
 * The head of a row. The checksum, a big integer, and the sections are read when they are asked for: a list of a
 * thousand rows needs none.
 */
class RowHead implements ObjectHead {
  readonly size: number;
  readonly modifiedMs: number;
  readonly sequence: number;
  readonly etag: string;
  readonly type: ObjectHead["type"];
  readonly versioned: boolean;
  readonly storageClass: string;
  readonly ownerUin: string;
  readonly #value: Buffer;
  readonly #sectionsAt: number;

  constructor(value: Buffer, flags: number, reader: ByteReader) {
    const parts = value.readUInt16BE(AT_ETAG_PARTS);
    const hash = value.toString("hex", AT_ETAG, AT_ETAG_PARTS);
    this.#value = value;
    this.size = value.readUIntBE(AT_SIZE, 6);
    this.modifiedMs = value.readUIntBE(AT_MODIFIED, 6);
    this.sequence = value.readUInt32BE(AT_SEQUENCE) * 2 ** 32 + value.readUInt32BE(AT_SEQUENCE + 4);
    this.etag = parts === 0 ? hash : `${hash}-${parts}`;
    this.type = flags & FLAG_APPENDABLE ? "appendable" : "normal";
    this.versioned = (flags & FLAG_VERSIONED) !== 0;
    this.storageClass = reader.shared(lastStorageClass);
    this.ownerUin = reader.shared(lastOwnerUin);
    this.#sectionsAt = value.length - reader.left;
  }

  get sections(): readonly Section[] {
    return this.#all().filter(({ tag }) => tag !== OBJECT_SUPERSEDED_TAG);
  }

  get supersededMs(): number | undefined {
    const superseded = this.#all().find(({ tag }) => tag === OBJECT_SUPERSEDED_TAG);
    return superseded && new ByteReader(superseded.bytes).u48();
  }

  #all(): readonly Section[] {
    return readSections(new ByteReader(this.#value, this.#sectionsAt), "an object", OBJECT_TAGS);
  }

  get crc64(): bigint {
    return this.#value.readBigUInt64BE(AT_CRC64);
  }
}

function readHead(value: Buffer): { head: ObjectHead; reader: ByteReader } {
  const format = value[0] as number;
  if (value.length <= AT_STORAGE_CLASS) throw new RecordDamaged(`an object's record of ${value.length} bytes`);
  if (format > FORMAT) throw new RecordFromNewerVersion("an object");
  if (format < 1) throw new RecordDamaged(`an object has format ${format}`);
  const flags = value[AT_FLAGS] as number;
  if (flags & FLAG_DELETE_MARKER) throw new RecordDamaged("a delete marker where an object belongs");
  if (flags > (FLAG_APPENDABLE | FLAG_VERSIONED)) throw new RecordFromNewerVersion("an object");
  const reader = new ByteReader(value, AT_STORAGE_CLASS);
  const head = new RowHead(value, flags, reader);
  return { head, reader };
}

/** The first part of an object's record, for listings: about a microsecond, whatever follows. */
export function decodeObjectHead(value: Buffer): ObjectHead {
  return readHead(value).head;
}

export function decodeObject(value: Buffer): ObjectRecord {
  const { head, reader } = readHead(value);
  const all = readSections(reader, "an object", OBJECT_TAGS);
  const superseded = all.find(({ tag }) => tag === OBJECT_SUPERSEDED_TAG);
  const sections = superseded === undefined ? all : all.filter((section) => section !== superseded);
  const headers = readHeaders(reader);
  const metadata = readMetadata(reader);
  const body = readBody(reader);
  reader.end();
  if (body.size !== head.size) throw new RecordDamaged(`an object of ${head.size} bytes has a body of ${body.size}`);
  // Field by field: spreading the head took longer than decoding it.
  const { size, modifiedMs, sequence, etag, crc64, type, versioned, storageClass, ownerUin } = head;
  return {
    size,
    modifiedMs,
    sequence,
    etag,
    crc64,
    type,
    versioned,
    storageClass,
    ownerUin,
    supersededMs: superseded && new ByteReader(superseded.bytes).u48(),
    sections,
    headers,
    metadata,
    body,
  };
}

/** Whether a row of family `version` is a delete marker's. */
export function isDeleteMarker(value: Buffer): boolean {
  return value.length > AT_FLAGS && ((value[AT_FLAGS] as number) & FLAG_DELETE_MARKER) !== 0;
}

export function encodeDeleteMarker({
  modifiedMs,
  sequence,
  versioned,
  ownerUin,
  sections,
}: DeleteMarkerRecord): Buffer {
  const writer = new ByteWriter(64)
    .u8(FORMAT)
    .u8(FLAG_DELETE_MARKER | (versioned ? FLAG_VERSIONED : 0))
    .u48(modifiedMs)
    .u64(sequence)
    .text(ownerUin);
  writeSections(writer, sections);
  return writer.finish();
}

export function decodeDeleteMarker(value: Buffer): DeleteMarkerRecord {
  const reader = begin(value, "a delete marker");
  const flags = reader.u8();
  if (!(flags & FLAG_DELETE_MARKER)) throw new RecordDamaged("an object where a delete marker belongs");
  if (flags > (FLAG_DELETE_MARKER | FLAG_VERSIONED)) throw new RecordFromNewerVersion("a delete marker");
  const record: DeleteMarkerRecord = {
    type: "delete-marker",
    versioned: (flags & FLAG_VERSIONED) !== 0,
    modifiedMs: reader.u48(),
    sequence: reader.u64(),
    ownerUin: reader.text(),
    sections: readSections(reader, "a delete marker"),
  };
  reader.end();
  return record;
}

export function encodeVersion(record: VersionRecord): Buffer {
  return record.type === "delete-marker" ? encodeDeleteMarker(record) : encodeObject(record);
}

export function decodeVersion(value: Buffer): VersionRecord {
  return isDeleteMarker(value) ? decodeDeleteMarker(value) : decodeObject(value);
}

export function encodeHistory({ nullSequence }: HistoryRecord): Buffer {
  return new ByteWriter(16)
    .u8(FORMAT)
    .u64(nullSequence ?? 0)
    .finish();
}

export function decodeHistory(value: Buffer): HistoryRecord {
  const reader = begin(value, "the history of a key");
  const sequence = reader.u64();
  reader.end();
  return { nullSequence: sequence === 0 ? undefined : sequence };
}

// Uploads and parts

export function encodeUpload(upload: UploadRecord): Buffer {
  const writer = new ByteWriter()
    .u8(FORMAT)
    .u48(upload.initiatedMs)
    .text(upload.ownerUin)
    .text(upload.initiatorUin)
    .text(upload.storageClass);
  if (upload.state.kind === "completing") writer.u8(1).hex(upload.state.incarnation).hex(upload.state.token);
  else writer.u8(0);
  writeSections(writer, upload.sections);
  writeHeaders(writer, upload.headers);
  writeMetadata(writer, upload.metadata);
  return writer.finish();
}

export function decodeUpload(value: Buffer): UploadRecord {
  const reader = begin(value, "an upload");
  const record = {
    initiatedMs: reader.u48(),
    ownerUin: reader.text(),
    initiatorUin: reader.text(),
    storageClass: reader.text(),
    state: readUploadState(reader),
    sections: readSections(reader, "an upload", OBJECT_TAGS),
    headers: readHeaders(reader),
    metadata: readMetadata(reader),
  };
  reader.end();
  return record;
}

function readUploadState(reader: ByteReader): UploadState {
  const kind = choice(["open", "completing"] as const, reader.u8(), "an upload");
  return kind === "open" ? { kind } : { kind, incarnation: reader.hex(8), token: reader.hex(16) };
}

/** Parts have a second form, with sections after the body. */
const PART_FORMAT_MAX = 2;

export function encodePart(part: PartRecord): Buffer {
  const { sections } = part;
  // The first form has no room for sections, and most parts have none.
  const form = sections.length === 0 ? FORMAT : PART_FORMAT_MAX;
  const writer = new ByteWriter().u8(form).hex(part.md5).bigU64(part.crc64).u48(part.modifiedMs);
  writeBody(writer, part.body);
  if (sections.length > 0) writeSections(writer, sections);
  return writer.finish();
}

export function decodePart(value: Buffer): PartRecord {
  const reader = begin(value, "a part", PART_FORMAT_MAX);
  const record = {
    md5: reader.hex(16),
    crc64: reader.bigU64(),
    modifiedMs: reader.u48(),
    body: readBody(reader),
    sections: value[0] === PART_FORMAT_MAX ? readSections(reader, "a part") : [],
  };
  reader.end();
  return record;
}

// Manifests

/** One row of a manifest: at most PIECES_IN_CHUNK_MAX pieces. */
export function encodeChunk(pieces: readonly Piece[]): Buffer {
  if (pieces.length > PIECES_IN_CHUNK_MAX) throw new RangeError(`${pieces.length} pieces in one row`);
  const writer = new ByteWriter(16 + pieces.length * 44).u8(FORMAT);
  writePieces(writer, pieces);
  return writer.finish();
}

export function decodeChunk(value: Buffer): readonly Piece[] {
  const reader = begin(value, "a manifest");
  const pieces = readPieces(reader, PIECES_IN_CHUNK_MAX);
  reader.end();
  return pieces;
}

// Background work

const GARBAGE_KINDS = ["body", "parts", "manifest-rows"] as const satisfies readonly GarbageRecord["kind"][];

export function encodeGarbage(garbage: GarbageRecord): Buffer {
  const writer = new ByteWriter().u8(FORMAT).u8(GARBAGE_KINDS.indexOf(garbage.kind));
  switch (garbage.kind) {
    case "body":
      writeBody(writer, garbage.body);
      break;
    case "parts":
      writer.hex(garbage.bucketId).text(garbage.uploadId).varint(garbage.taken.length);
      for (const { first, last } of garbage.taken) writer.u16(first).u16(last);
      break;
    case "manifest-rows":
      writer.hex(garbage.manifestId);
      break;
  }
  return writer.finish();
}

export function decodeGarbage(value: Buffer): GarbageRecord {
  const reader = begin(value, "a queue row");
  const record = readGarbage(choice(GARBAGE_KINDS, reader.u8(), "a queue row"), reader);
  reader.end();
  return record;
}

function readGarbage(kind: GarbageRecord["kind"], reader: ByteReader): GarbageRecord {
  if (kind === "body") return { kind, body: readBody(reader) };
  if (kind === "manifest-rows") return { kind, manifestId: reader.hex(16) };
  const bucketId = reader.hex(8);
  const uploadId = reader.text();
  const taken: PartRange[] = [];
  for (let left = reader.varint(); left > 0; left--) taken.push({ first: reader.u16(), last: reader.u16() });
  return { kind, bucketId, uploadId, taken };
}

const INTENT_KINDS = ["bucket-deletion", "body", "completion"] as const satisfies readonly IntentRecord["kind"][];

export function encodeIntent(intent: IntentRecord): Buffer {
  const writer = new ByteWriter().u8(FORMAT).u8(INTENT_KINDS.indexOf(intent.kind));
  switch (intent.kind) {
    case "bucket-deletion":
      writer.text(intent.bucketName);
      break;
    case "body":
      writer.hex(intent.manifestId);
      break;
    case "completion":
      writer.hex(intent.bucketId).text(intent.key).text(intent.uploadId).hex(intent.manifestId);
      break;
  }
  return writer.finish();
}

export function decodeIntent(value: Buffer): IntentRecord {
  const reader = begin(value, "unfinished work");
  const record = readIntent(choice(INTENT_KINDS, reader.u8(), "unfinished work"), reader);
  reader.end();
  return record;
}

function readIntent(kind: IntentRecord["kind"], reader: ByteReader): IntentRecord {
  if (kind === "bucket-deletion") return { kind, bucketName: reader.text() };
  if (kind === "body") return { kind, manifestId: reader.hex(16) };
  return { kind, bucketId: reader.hex(8), key: reader.text(), uploadId: reader.text(), manifestId: reader.hex(16) };
}

export interface IncarnationRecord {
  /** Milliseconds since 1970. */
  readonly startedMs: number;
}

export function encodeIncarnation({ startedMs }: IncarnationRecord): Buffer {
  return new ByteWriter().u8(FORMAT).u48(startedMs).finish();
}

export function decodeIncarnation(value: Buffer): IncarnationRecord {
  const reader = begin(value, "a process");
  const record = { startedMs: reader.u48() };
  reader.end();
  return record;
}

/** A configuration of a bucket, such as its policy; the feature that owns it knows what the document means. */
export interface ConfigurationRecord {
  readonly revision: number;
  readonly document: Buffer;
}

export function encodeConfiguration({ revision, document }: ConfigurationRecord): Buffer {
  return new ByteWriter(document.length + 16).u8(FORMAT).varint(revision).bytes(document).finish();
}

export function decodeConfiguration(value: Buffer): ConfigurationRecord {
  const reader = begin(value, "a configuration");
  const record = { revision: reader.varint(), document: reader.bytes() };
  reader.end();
  return record;
}

/** A task in the background: who does it, and how far it has come. */
export interface TaskRecord {
  /** The process that does it (16 hex digits); undefined when nobody does. */
  readonly holder: string | undefined;
  /** How often the task has changed hands: whoever had it before has another number. */
  readonly fence: number;
  /** In the task's own form; empty before it began. */
  readonly progress: Buffer;
}

export function encodeTask({ holder, fence, progress }: TaskRecord): Buffer {
  const writer = new ByteWriter(progress.length + 32).u8(FORMAT).varint(fence);
  if (holder === undefined) writer.u8(0);
  else writer.u8(1).hex(holder);
  return writer.bytes(progress).finish();
}

export function decodeTask(value: Buffer): TaskRecord {
  const reader = begin(value, "a task");
  const fence = reader.varint();
  const isHeld = choice([false, true], reader.u8(), "a task");
  const record = { fence, holder: isHeld ? reader.hex(8) : undefined, progress: Buffer.from(reader.bytes()) };
  reader.end();
  return record;
}
