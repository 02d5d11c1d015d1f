/**
 * The layout of segments, files that many blobs share. docs/decisions/0006-segments.md has the reasons.
 *
 * A segment is made of pages of 4 KiB. Each blob is a record that begins on a page: a header, a CRC-32 for each block of
 * 64 KiB as in a file of its own, the stored bytes, zeros up to the end of the page. The blob's id says which segment it
 * was written to, on which page and how many pages its record takes, so no index is needed to find it.
 *
 * A segment that takes no more records ends with a seal. One that was packed, so that it holds only the blobs that were still wanted, has the same name as before and
 * begins with a directory: which page every record was written to, in the order in which they follow now.
 */
import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { BlobId } from "../../ports/blobs.ts";
import { BLOCK_BYTES, SUM_BYTES } from "./blob-file.ts";

export const PAGE_BYTES = 4096;
export const HEADER_BYTES = 64;

const RECORD_MAGIC = Buffer.from("cosboxsr", "ascii");
const DIRECTORY_MAGIC = Buffer.from("cosboxsg", "ascii");
const SEAL_MAGIC = Buffer.from("cosboxse", "ascii");
const FORMAT = 1;
const FORM = [FORMAT, Math.log2(BLOCK_BYTES), SUM_BYTES, 0].join(".");

/** In an id's counter, the first digit tells segments from files, which have 0. */
const KIND = "1";
const NUMBER_DIGITS = 6;
const PAGE_DIGITS = 5;
const PAGES_DIGITS = 4;
const INCARNATION_DIGITS = 16;
/** Digits of an id that name the segment: those of the incarnation, the kind and the number. */
const SEGMENT_DIGITS = INCARNATION_DIGITS + 1 + NUMBER_DIGITS;

/** Segments that one process may write. */
export const SEGMENTS_MAX = 16 ** NUMBER_DIGITS;
/** Pages that an id can count, 4 GiB of them. */
export const SEGMENT_PAGES_MAX = 16 ** PAGE_DIGITS;

/**
 * The greatest body that may go into a segment: header and sums of a record must fit its first page, and a body is held
 * in memory until it is complete.
 */
export const SEGMENT_BODY_MAX = 16 * 1024 * 1024;

/** Names a segment: the first 23 digits of the ids of its blobs. */
export type SegmentName = string;

export interface Location {
  readonly segment: SegmentName;
  /** The page it was written to, counted from the segment's beginning. */
  readonly page: number;
  readonly pages: number;
}

/** Where the blob was written, or undefined for one that has a file of its own. */
export function locationOf(id: BlobId): Location | undefined {
  if (id[INCARNATION_DIGITS] !== KIND) return undefined;
  const at = SEGMENT_DIGITS + PAGE_DIGITS;
  return {
    segment: id.slice(0, SEGMENT_DIGITS),
    page: Number.parseInt(id.slice(SEGMENT_DIGITS, at), 16),
    pages: Number.parseInt(id.slice(at), 16),
  };
}

export function segmentName(incarnation: string, number: number): SegmentName {
  return incarnation + KIND + number.toString(16).padStart(NUMBER_DIGITS, "0");
}

export function blobIdAt({ segment, page, pages }: Location): BlobId {
  return segment + page.toString(16).padStart(PAGE_DIGITS, "0") + pages.toString(16).padStart(PAGES_DIGITS, "0");
}

/** The path of a segment below `root`, the folder of all blobs. */
export function segmentPath(root: string, segment: SegmentName): string {
  return join(root, segment.slice(0, INCARNATION_DIGITS), segment.slice(INCARNATION_DIGITS));
}

/** What a file in an incarnation's folder has to do with segments. */
export interface SegmentFile {
  readonly segment: SegmentName;
  /** The incarnation of the process that is packing the segment into this file; undefined for the segment itself. */
  readonly packer: string | undefined;
}

const SEGMENT_FILE = /^(1[0-9a-f]{6})(?:\.([0-9a-f]{16}))?$/;

export function segmentFile(incarnation: string, name: string): SegmentFile | undefined {
  const match = SEGMENT_FILE.exec(name);
  return match ? { segment: `${incarnation}${match[1]}`, packer: match[2] } : undefined;
}

export function blocksOf(size: number): number {
  return Math.ceil(size / BLOCK_BYTES);
}

/** Bytes of a record before the body's. */
export function headBytes(size: number): number {
  return HEADER_BYTES + blocksOf(size) * SUM_BYTES;
}

export function recordPages(size: number): number {
  return Math.ceil((headBytes(size) + size) / PAGE_BYTES);
}

/**
 * The header, little-endian: 0 magic, 8 format (u16), 10 block size as a power of two (u8), 11 bytes per sum (u8),
 * 12 flags (u32, none yet), 16 blob id, 32 size in bytes (u32), 36 pages of the segment that were durable when this was
 * written (u32), 40 zeros, 44 CRC-32 of the bytes before it, 48 the mark: 16 zeros, or the id of a blob that was removed.
 */
export function encodeHeader(id: BlobId, size: number, settledPages: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  RECORD_MAGIC.copy(header);
  header.writeUInt16LE(FORMAT, 8);
  header.writeUInt8(Math.log2(BLOCK_BYTES), 10);
  header.writeUInt8(SUM_BYTES, 11);
  header.write(id, 16, "hex");
  header.writeUInt32LE(size, 32);
  header.writeUInt32LE(settledPages, 36);
  header.writeUInt32LE(crc32(header.subarray(0, 44)), 44);
  return header;
}

/** Where in a header the mark of a removed blob goes. The mark is its id, which nothing writes there by accident. */
export const MARK_AT = 48;
export const MARK_BYTES = 16;

export function markOf(id: BlobId): Buffer {
  return Buffer.from(id, "hex");
}

export interface RecordHeader {
  readonly id: BlobId;
  /** Stored bytes. */
  readonly size: number;
  readonly settledPages: number;
  readonly removed: boolean;
}

/** Raised for a record that a newer version of cosbox wrote. */
export class NewerRecord extends Error {
  constructor(id: BlobId, form: string) {
    super(`blob ${id}: its record has format ${form}, which this version of cosbox cannot read`);
    this.name = "NewerRecord";
  }
}

/**
 * The header at the beginning of `page`, or undefined when there is none that is sound.
 * @throws NewerRecord
 */
export function decodeHeader(page: Buffer): RecordHeader | undefined {
  if (page.length < HEADER_BYTES || page.compare(RECORD_MAGIC, 0, 8, 0, 8) !== 0) return undefined;
  if (crc32(page.subarray(0, 44)) !== page.readUInt32LE(44)) return undefined;
  const id = page.toString("hex", 16, 32);
  const form = [page.readUInt16LE(8), page.readUInt8(10), page.readUInt8(11), page.readUInt32LE(12)].join(".");
  if (form !== FORM) throw new NewerRecord(id, form);
  const removed = markIn(page) === id;
  return { id, size: page.readUInt32LE(32), settledPages: page.readUInt32LE(36), removed };
}

/** The id in the place of the mark, whatever the rest of the header looks like. */
export function markIn(page: Buffer): BlobId {
  return page.toString("hex", MARK_AT, MARK_AT + MARK_BYTES);
}

/**
 * The last page of a segment that takes no more records, little-endian: 0 magic, 8 format (u16), 10 zeros, 16 the
 * segment's incarnation, 24 its number (u32), 28 pages that were durable before the last group was written (u32; all, if
 * the process ended it in order), 32 zeros, 60 CRC-32 of the bytes before it.
 */
export function encodeSeal(segment: SegmentName, settledPages: number): Buffer {
  const seal = Buffer.alloc(PAGE_BYTES);
  SEAL_MAGIC.copy(seal);
  seal.writeUInt16LE(FORMAT, 8);
  seal.write(segment.slice(0, INCARNATION_DIGITS), 16, "hex");
  seal.writeUInt32LE(numberOf(segment), 24);
  seal.writeUInt32LE(settledPages, 28);
  seal.writeUInt32LE(crc32(seal.subarray(0, 60)), 60);
  return seal;
}

/** The durable pages that a seal tells, or undefined when `page` is no seal of this segment. */
export function decodeSeal(segment: SegmentName, page: Buffer): number | undefined {
  if (page.length < PAGE_BYTES || page.compare(SEAL_MAGIC, 0, 8, 0, 8) !== 0) return undefined;
  const settledPages = page.readUInt32LE(28);
  return page.equals(encodeSeal(segment, settledPages)) ? settledPages : undefined;
}

function numberOf(segment: SegmentName): number {
  return Number.parseInt(segment.slice(INCARNATION_DIGITS + 1), 16);
}

/** A record's place in a packed segment. */
export interface Place {
  /** The page it was written to at first. */
  readonly page: number;
  readonly pages: number;
}

const DIRECTORY_HEAD_BYTES = 64;
const ENTRY_BYTES = 8;

export function directoryPages(entries: number): number {
  return Math.ceil((DIRECTORY_HEAD_BYTES + entries * ENTRY_BYTES) / PAGE_BYTES);
}

/**
 * The directory of a packed segment, whole pages, little-endian: 0 magic, 8 format (u16), 10 page size as a power of two
 * (u8), 11 bytes per entry (u8), 12 flags (u32), 16 the segment's incarnation, 24 its number (u32), 28 entries (u32),
 * 32 CRC-32 of the entries, 36 zeros, 60 CRC-32 of the bytes before it; then for each record, in their order, the page
 * it was written to (u32) and how many it takes (u32). The first record follows on the next page.
 */
export function encodeDirectory(segment: SegmentName, places: readonly Place[]): Buffer {
  const directory = Buffer.alloc(directoryPages(places.length) * PAGE_BYTES);
  const end = DIRECTORY_HEAD_BYTES + places.length * ENTRY_BYTES;
  for (const [index, { page, pages }] of places.entries()) {
    directory.writeUInt32LE(page, DIRECTORY_HEAD_BYTES + index * ENTRY_BYTES);
    directory.writeUInt32LE(pages, DIRECTORY_HEAD_BYTES + index * ENTRY_BYTES + 4);
  }
  DIRECTORY_MAGIC.copy(directory);
  directory.writeUInt16LE(FORMAT, 8);
  directory.writeUInt8(Math.log2(PAGE_BYTES), 10);
  directory.writeUInt8(ENTRY_BYTES, 11);
  directory.write(segment.slice(0, INCARNATION_DIGITS), 16, "hex");
  directory.writeUInt32LE(numberOf(segment), 24);
  directory.writeUInt32LE(places.length, 28);
  directory.writeUInt32LE(crc32(directory.subarray(DIRECTORY_HEAD_BYTES, end)), 32);
  directory.writeUInt32LE(crc32(directory.subarray(0, 60)), 60);
  return directory;
}

/** How many entries the directory that begins with `head` has; undefined when that is no sound beginning of one. */
export function directoryEntries(segment: SegmentName, head: Buffer): number | undefined {
  if (head.length < DIRECTORY_HEAD_BYTES || head.compare(DIRECTORY_MAGIC, 0, 8, 0, 8) !== 0) return undefined;
  if (crc32(head.subarray(0, 60)) !== head.readUInt32LE(60)) return undefined;
  const form = [head.readUInt16LE(8), head.readUInt8(10), head.readUInt8(11), head.readUInt32LE(12)].join(".");
  if (form !== [FORMAT, Math.log2(PAGE_BYTES), ENTRY_BYTES, 0].join(".")) {
    throw new Error(`segment ${segment}: its directory has format ${form}, which this version of cosbox cannot read`);
  }
  const incarnation = segment.slice(0, INCARNATION_DIGITS);
  if (head.toString("hex", 16, 24) !== incarnation || head.readUInt32LE(24) !== numberOf(segment)) return undefined;
  return head.readUInt32LE(28);
}

/** The page where each record lies now, by the page it was written to; undefined when the entries are damaged. */
export function decodeDirectory(directory: Buffer): Map<number, number> | undefined {
  const entries = directory.readUInt32LE(28);
  const table = directory.subarray(DIRECTORY_HEAD_BYTES, DIRECTORY_HEAD_BYTES + entries * ENTRY_BYTES);
  if (table.length < entries * ENTRY_BYTES || crc32(table) !== directory.readUInt32LE(32)) return undefined;
  const places = new Map<number, number>();
  let at = directoryPages(entries);
  for (let index = 0; index < entries; index++) {
    places.set(table.readUInt32LE(index * ENTRY_BYTES), at);
    at += table.readUInt32LE(index * ENTRY_BYTES + 4);
  }
  return places;
}
