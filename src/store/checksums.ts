/**
 * The checksums that S3 clients send along and ask for: computed while bytes pass, combined from those of parts, and
 * kept in sections of records.
 */

import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { crc64NvmeCombine, crc64NvmeContinue } from "./crc64.ts";
import type { Section } from "./records.ts";

/** In the order of their numbers in a record; new ones are added at the end. */
export const CHECKSUM_ALGORITHMS = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];

/** Bytes of each one's value. */
export const CHECKSUM_BYTES: Readonly<Record<ChecksumAlgorithm, number>> = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
};

export const CHECKSUM_TYPES = ["FULL_OBJECT", "COMPOSITE"] as const;
/** Whether a checksum is of all bytes, or of the checksums of the parts. */
export type ChecksumType = (typeof CHECKSUM_TYPES)[number];

/** A checksum while its bytes pass. */
export interface RunningChecksum {
  /** Takes the next bytes before it returns. */
  update(chunk: Uint8Array): void;
  /** The checksum of everything so far, most significant byte first. To be called once. */
  digest(): Buffer;
}

const CASTAGNOLI = 0x82f63b78;
const CRC32_POLYNOMIAL = 0xedb88320;

let castagnoliTables: readonly Int32Array[] | undefined;

/** Table k is the effect of a byte that k more bytes follow. Made when the first CRC-32C is asked for. */
function makeTables(): readonly Int32Array[] {
  const tables = Array.from({ length: 8 }, () => new Int32Array(256));
  const [first] = tables as [Int32Array];
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? CASTAGNOLI : 0);
    first[byte] = crc;
  }
  for (let k = 1; k < 8; k++) {
    const [table, before] = [tables[k] as Int32Array, tables[k - 1] as Int32Array];
    for (let byte = 0; byte < 256; byte++) {
      const crc = before[byte] as number;
      table[byte] = (crc >>> 8) ^ (first[crc & 0xff] as number);
    }
  }
  castagnoliTables = tables;
  return tables;
}

/** CRC-32C of the bytes that gave `crc`, followed by `bytes`; eight bytes a turn. */
function crc32cContinue(crc: number, bytes: Uint8Array): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = (castagnoliTables ?? makeTables()) as [
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
    Int32Array,
  ];
  let state = ~crc;
  let at = 0;
  const wholeEnd = bytes.length - 7;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (; at < wholeEnd; at += 8) {
    const low = view.getInt32(at, true) ^ state;
    const high = view.getInt32(at + 4, true);
    state =
      (t7[low & 0xff] as number) ^
      (t6[(low >>> 8) & 0xff] as number) ^
      (t5[(low >>> 16) & 0xff] as number) ^
      (t4[low >>> 24] as number) ^
      (t3[high & 0xff] as number) ^
      (t2[(high >>> 8) & 0xff] as number) ^
      (t1[(high >>> 16) & 0xff] as number) ^
      (t0[high >>> 24] as number);
  }
  for (; at < bytes.length; at++) state = (state >>> 8) ^ (t0[(state ^ (bytes[at] as number)) & 0xff] as number);
  return ~state >>> 0;
}

function bytesOf32(crc: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc >>> 0);
  return bytes;
}

function bytesOf64(crc: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(crc);
  return bytes;
}

/** Begins a checksum. */
export function runningChecksum(algorithm: ChecksumAlgorithm): RunningChecksum {
  if (algorithm === "SHA1" || algorithm === "SHA256") {
    const hash = createHash(algorithm === "SHA1" ? "sha1" : "sha256");
    return { update: (chunk) => void hash.update(chunk), digest: () => hash.digest() };
  }
  if (algorithm === "CRC64NVME") {
    let crc = 0n;
    return {
      update(chunk) {
        crc = crc64NvmeContinue(crc, chunk);
      },
      digest: () => bytesOf64(crc),
    };
  }
  const next = algorithm === "CRC32" ? (crc: number, chunk: Uint8Array) => crc32(chunk, crc) : crc32cContinue;
  let crc = 0;
  return {
    update(chunk) {
      crc = next(crc, chunk);
    },
    digest: () => bytesOf32(crc),
  };
}

/** The checksum of bytes that lie in one piece. */
export function checksumOf(algorithm: ChecksumAlgorithm, bytes: Uint8Array): Buffer {
  const running = runningChecksum(algorithm);
  running.update(bytes);
  return running.digest();
}

/** a · b modulo the polynomial, the lowest power in the highest bit. */
function product32(a: number, b: number, polynomial: number): number {
  let product = 0;
  let power = b;
  for (let bit = 31; bit >= 0; bit--) {
    if ((a >>> bit) & 1) product ^= power;
    power = (power >>> 1) ^ (power & 1 ? polynomial : 0);
  }
  return product;
}

function combine32(a: number, b: number, lengthB: number, polynomial: number): number {
  let shifted = a;
  // x^8, and its squares: appending so many zero bytes.
  let power = 1 << 23;
  for (let rest = lengthB; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) shifted = product32(power, shifted, polynomial);
    power = product32(power, power, polynomial);
  }
  return (shifted ^ b) >>> 0;
}

/** True for those that combine: the checksum of a whole follows from those of its parts. */
export function combines(algorithm: ChecksumAlgorithm): algorithm is "CRC32" | "CRC32C" | "CRC64NVME" {
  return algorithm.startsWith("CRC");
}

/** The checksum of A followed by B, of their two checksums and the length of B in bytes. */
export function combinedChecksum(
  algorithm: "CRC32" | "CRC32C" | "CRC64NVME",
  a: Buffer,
  b: Buffer,
  lengthB: number,
): Buffer {
  if (algorithm === "CRC64NVME") return bytesOf64(crc64NvmeCombine(a.readBigUInt64BE(), b.readBigUInt64BE(), lengthB));
  const polynomial = algorithm === "CRC32" ? CRC32_POLYNOMIAL : CASTAGNOLI;
  return bytesOf32(combine32(a.readUInt32BE(), b.readUInt32BE(), lengthB, polynomial));
}

/** What a record keeps of a checksum; for an upload that has none yet, an empty value. */
export interface KeptChecksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: ChecksumType;
  readonly value: Buffer;
}

/** The parts that an object was made of, in their order. */
export interface KeptPart {
  /** The number under which it was uploaded. */
  readonly number: number;
  /** Bytes. */
  readonly size: number;
  /** Of the object's algorithm; undefined where none is kept. */
  readonly checksum: Buffer | undefined;
}

/** Sections of objects, uploads and parts. An old version keeps them without knowing what they say. */
const CHECKSUM_TAG = 16;
/** Section of objects alone. */
const PARTS_TAG = 17;
/** Parts whose own checksums are kept: 1,000 values of 32 bytes make a record of 32 KiB. */
const PART_CHECKSUMS_MAX = 1_000;

/** The section of a checksum, or none. */
export function checksumSections(checksum: KeptChecksum | undefined): readonly Section[] {
  if (checksum === undefined) return [];
  const bytes = new ByteWriter(48)
    .u8(CHECKSUM_ALGORITHMS.indexOf(checksum.algorithm))
    .u8(CHECKSUM_TYPES.indexOf(checksum.type))
    .bytes(checksum.value)
    .finish();
  return [{ tag: CHECKSUM_TAG, bytes }];
}

/** The checksum that a record keeps. */
export function keptChecksum(sections: readonly Section[]): KeptChecksum | undefined {
  const section = sections.find(({ tag }) => tag === CHECKSUM_TAG);
  if (section === undefined) return undefined;
  const reader = new ByteReader(section.bytes);
  const algorithm = CHECKSUM_ALGORITHMS[reader.u8()];
  const type = CHECKSUM_TYPES[reader.u8()];
  // One of a later version is none that this one could tell.
  if (algorithm === undefined || type === undefined) return undefined;
  return { algorithm, type, value: Buffer.from(reader.bytes()) };
}

/** The section of the parts that an object is made of. Runs of parts of one size take a few bytes. */
export function partsSections(parts: readonly KeptPart[]): readonly Section[] {
  const runs: { first: number; size: number; count: number }[] = [];
  for (const { number, size } of parts) {
    const run = runs.at(-1);
    if (run !== undefined && run.size === size && number === run.first + run.count) run.count += 1;
    else runs.push({ first: number, size, count: 1 });
  }
  const writer = new ByteWriter(64).varint(runs.length);
  for (const { first, size, count } of runs) writer.varint(first).varint(size).varint(count);
  const kept = parts.length <= PART_CHECKSUMS_MAX ? parts.filter(({ checksum }) => checksum !== undefined) : [];
  const all = kept.length === parts.length ? kept : [];
  writer.varint(all.length);
  for (const { checksum } of all) writer.bytes(checksum as Buffer);
  return [{ tag: PARTS_TAG, bytes: writer.finish() }];
}

/** The parts that a record keeps; undefined for an object that was not made of parts, or before they were kept. */
export function keptParts(sections: readonly Section[]): readonly KeptPart[] | undefined {
  const section = sections.find(({ tag }) => tag === PARTS_TAG);
  if (section === undefined) return undefined;
  const reader = new ByteReader(section.bytes);
  const sizes: { number: number; size: number }[] = [];
  for (let runs = reader.varint(); runs > 0; runs--) {
    const [first, size, count] = [reader.varint(), reader.varint(), reader.varint()];
    for (let at = 0; at < count; at++) sizes.push({ number: first + at, size });
  }
  const checksums = reader.varint();
  return sizes.map((part) => ({ ...part, checksum: checksums > 0 ? Buffer.from(reader.bytes()) : undefined }));
}
