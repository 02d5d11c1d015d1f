/**
 * The layout of a blob in a file of its own, and how it is written and read. docs/decisions/0003-blob-files.md has the
 * reasons.
 *
 *     the stored bytes, in blocks of 64 KiB, the last one shorter
 *     the table: for each block a CRC-32 of blob id, block index and the block's stored bytes
 *     the trailer: 64 bytes that name the format, the blob and its size
 *
 * The sums lie apart from the bytes, so that a read of 256 KiB is four whole blocks that go out as one chunk, uncopied,
 * and so that nothing of the file needs to be known before the last byte has come. A file that was not finished has no
 * trailer and is no blob.
 */
import { crc32 } from "node:zlib";
import { BlobDamaged, type BlobId } from "../../ports/blobs.ts";
import { BUFFER_BYTES, giveBuffer, takeBuffer } from "./buffers.ts";
import { closeFile, errorCode, fileSize, readAt, syncData, writeAt } from "./disk.ts";

export const BLOCK_BYTES = 64 * 1024;
export const SUM_BYTES = 4;
const TRAILER_BYTES = 64;
const MAGIC = Buffer.from("cosboxbl", "ascii");
const FORMAT = 1;

/** Sums that a reader holds at a time: 16 KiB of them, for 256 MiB of bytes. */
const SUMS_HELD = 4096;

/**
 * Bytes after which the disk is set to work while the body still comes, so that the last sync finds little left: a
 * 64 MiB body, hashed, became durable at 0.49 GB/s instead of 0.40.
 */
const SYNC_EVERY_BYTES = 8 * 1024 * 1024;

const indexBytes = Buffer.alloc(8);

/** The CRC-32 of the id's 16 bytes, with which every block's sum begins. */
export function sumOfId(id: BlobId): number {
  return crc32(Buffer.from(id, "hex"));
}

/** The sum of a block, which continues that of its blob's id. */
export function sumOfBlock(idSum: number, index: number, block: Buffer): number {
  indexBytes.writeUInt32LE(index, 0);
  return crc32(block, crc32(indexBytes, idSum));
}

/**
 * The trailer, little-endian: 0 magic, 8 format (u16), 10 block size as a power of two (u8), 11 bytes per table entry
 * (u8), 12 flags (u32, none yet), 16 blob id, 32 size in bytes (u64), 40 zeros, 60 CRC-32 of the bytes before it.
 */
function encodeTrailer(id: BlobId, size: number): Buffer {
  const trailer = Buffer.alloc(TRAILER_BYTES);
  MAGIC.copy(trailer);
  trailer.writeUInt16LE(FORMAT, 8);
  trailer.writeUInt8(Math.log2(BLOCK_BYTES), 10);
  trailer.writeUInt8(SUM_BYTES, 11);
  Buffer.from(id, "hex").copy(trailer, 16);
  trailer.writeBigUInt64LE(BigInt(size), 32);
  trailer.writeUInt32LE(crc32(trailer.subarray(0, 60)), 60);
  return trailer;
}

/** The size that the trailer states. Throws BlobDamaged, and an Error for a format that is not known here. */
function decodeTrailer(id: BlobId, trailer: Buffer): number {
  if (!trailer.subarray(0, 8).equals(MAGIC)) throw new BlobDamaged(id, "its file has no trailer");
  if (crc32(trailer.subarray(0, 60)) !== trailer.readUInt32LE(60)) throw new BlobDamaged(id, "its trailer is damaged");
  const form = [trailer.readUInt16LE(8), trailer.readUInt8(10), trailer.readUInt8(11), trailer.readUInt32LE(12)];
  if (form.join() !== [FORMAT, Math.log2(BLOCK_BYTES), SUM_BYTES, 0].join()) {
    throw new Error(`blob ${id}: its file has format ${form.join(".")}, which this version of cosbox cannot read`);
  }
  if (trailer.toString("hex", 16, 32) !== id) throw new BlobDamaged(id, "its file holds another blob");
  return Number(trailer.readBigUInt64LE(32));
}

/**
 * Writes one blob file. It holds at most two buffers, one being filled and summed while the other is on its way to the
 * disk, and the file is made only when the first buffer is full or the body has ended.
 */
export class BlobFileWriter {
  readonly #id: BlobId;
  readonly #idSum: number;
  readonly #create: () => Promise<number>;
  readonly #durable: boolean;
  #fd: number | undefined;
  #buffer: Buffer | undefined;
  #filled = 0;
  /** Where the next buffer goes. */
  #position = 0;
  #sums = Buffer.alloc(64 * SUM_BYTES);
  #blocks = 0;
  #writing: Promise<void> | undefined;
  #syncing: Promise<void> | undefined;
  #syncedTo = 0;
  /** What went wrong while nobody was waiting for it. */
  #failure: { readonly error: unknown } | undefined;

  /** `create` makes the empty file and resolves with its descriptor, which belongs to the writer from then on. */
  constructor(id: BlobId, create: () => Promise<number>, durable: boolean) {
    this.#id = id;
    this.#idSum = sumOfId(id);
    this.#create = create;
    this.#durable = durable;
  }

  /** Takes a copy of `chunk`. When there is a promise, the next call has to wait for it. */
  add(chunk: Buffer): Promise<void> | undefined {
    if (this.#filled + chunk.length >= BUFFER_BYTES) return this.#addAndSend(chunk);
    this.#buffer ??= takeBuffer();
    this.#filled += chunk.copy(this.#buffer, this.#filled);
    return undefined;
  }

  async #addAndSend(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      this.#buffer ??= takeBuffer();
      const copied = chunk.copy(this.#buffer, this.#filled, at);
      at += copied;
      this.#filled += copied;
      if (this.#filled < BUFFER_BYTES) return;
      this.#sum(this.#buffer);
      await this.#send(this.#buffer, BUFFER_BYTES);
    }
  }

  /** Writes what is left, the table and the trailer, and makes the file's bytes durable. Returns the blob's size. */
  async finish(): Promise<number> {
    this.#buffer ??= takeBuffer();
    this.#sum(this.#buffer);
    const size = this.#position + this.#filled;
    const end = Buffer.concat([this.#sums.subarray(0, this.#blocks * SUM_BYTES), encodeTrailer(this.#id, size)]);
    const room = BUFFER_BYTES - this.#filled;
    // A table of more than 65,000 blocks (4 GiB) needs a second buffer; nearly always the end fits the first.
    for (let at = 0, free = room; at < end.length; free = BUFFER_BYTES) {
      const piece = Math.min(free, end.length - at);
      this.#buffer ??= takeBuffer();
      end.copy(this.#buffer, this.#filled, at, at + piece);
      await this.#send(this.#buffer, this.#filled + piece);
      at += piece;
    }
    await this.#writing;
    await this.#syncing;
    this.#throwFailure();
    if (this.#durable && this.#fd !== undefined) await syncData(this.#fd);
    return size;
  }

  /** Closes the file, if there is one. */
  async close(): Promise<void> {
    const fd = this.#fd;
    this.#fd = undefined;
    if (fd !== undefined) await closeFile(fd);
  }

  /** Lets go of everything, whatever state the writer is in. */
  async abandon(): Promise<void> {
    await this.#writing;
    await this.#syncing;
    if (this.#buffer) giveBuffer(this.#buffer);
    this.#buffer = undefined;
    // The file is about to be removed; what closing it has to say no longer matters.
    await this.close().catch(() => undefined);
  }

  #sum(buffer: Buffer): void {
    for (let at = 0; at < this.#filled; at += BLOCK_BYTES) {
      const place = this.#blocks * SUM_BYTES;
      if (place === this.#sums.length) this.#sums = Buffer.concat([this.#sums], place * 2);
      const block = buffer.subarray(at, Math.min(at + BLOCK_BYTES, this.#filled));
      this.#sums.writeUInt32LE(sumOfBlock(this.#idSum, this.#blocks, block), place);
      this.#blocks++;
    }
  }

  /** Starts to write `#buffer`, once the one before it is written. */
  async #send(buffer: Buffer, length: number): Promise<void> {
    const fd = (this.#fd ??= await this.#create());
    await this.#writing;
    this.#throwFailure();
    if (this.#durable && !this.#syncing && this.#position - this.#syncedTo >= SYNC_EVERY_BYTES) {
      this.#syncedTo = this.#position;
      this.#syncing = this.#noting(syncData(fd)).finally(() => {
        this.#syncing = undefined;
      });
    }
    this.#writing = this.#noting(writeAt(fd, buffer, length, this.#position)).finally(() => giveBuffer(buffer));
    this.#position += length;
    this.#buffer = undefined;
    this.#filled = 0;
  }

  #noting(work: Promise<void>): Promise<void> {
    return work.catch((error: unknown) => {
      this.#failure ??= { error };
    });
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}

/** A run of the table: the sums of the blocks from `first` on. */
interface Sums {
  readonly first: number;
  readonly entries: Buffer;
}

/** A blob that can be read: its file is open, and its trailer or header was found to be sound. */
export interface OpenBlobFile {
  readonly id: BlobId;
  readonly fd: number;
  /** Where in the file the blob's first byte lies; 0 in a file of its own. */
  readonly base: number;
  /** Stored bytes. */
  readonly size: number;
  readonly idSum: number;
  /** The part of the table that was needed last, for the next reader. */
  sums: Sums;
}

/** A failing disk is damage; what the process cannot do for other reasons stays what it is. */
export async function reading<T>(id: BlobId, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (errorCode(error) === "EIO") throw new BlobDamaged(id, "the disk cannot read it (EIO)");
    throw error;
  }
}

/** Reads and checks the end of the file. The descriptor stays the caller's, also when this throws BlobDamaged. */
export async function openBlobFile(id: BlobId, fd: number): Promise<OpenBlobFile> {
  const buffer = takeBuffer();
  try {
    const length = await reading(id, fileSize(fd));
    const wanted = Math.min(length, SUMS_HELD * SUM_BYTES + TRAILER_BYTES);
    const got = await reading(id, readAt(fd, buffer, wanted, length - wanted));
    if (got < TRAILER_BYTES || got < wanted) throw new BlobDamaged(id, "its file is cut short");

    const size = decodeTrailer(id, buffer.subarray(got - TRAILER_BYTES, got));
    const blocks = Math.ceil(size / BLOCK_BYTES);
    if (length !== size + blocks * SUM_BYTES + TRAILER_BYTES) {
      throw new BlobDamaged(id, `its file has ${length} bytes, which does not fit ${size} stored bytes`);
    }
    const held = Math.min(blocks, SUMS_HELD);
    const entries = Buffer.alloc(held * SUM_BYTES);
    buffer.copy(entries, 0, got - TRAILER_BYTES - entries.length, got - TRAILER_BYTES);
    return { id, fd, base: 0, size, idSum: sumOfId(id), sums: { first: blocks - held, entries } };
  } finally {
    giveBuffer(buffer);
  }
}

/** The sums of `count` blocks from `first` on, and of those after them while there is room. */
async function sumsFrom(file: OpenBlobFile, first: number, count: number): Promise<Sums> {
  const { sums } = file;
  if (sums.first <= first && first + count <= sums.first + sums.entries.length / SUM_BYTES) return sums;
  const held = Math.min(SUMS_HELD, Math.ceil(file.size / BLOCK_BYTES) - first);
  const entries = Buffer.alloc(held * SUM_BYTES);
  const got = await reading(file.id, readAt(file.fd, entries, entries.length, file.size + first * SUM_BYTES));
  if (got < entries.length) throw new BlobDamaged(file.id, "its file is cut short");
  file.sums = { first, entries };
  return file.sums;
}

/** Throws BlobDamaged unless `bytes`, the blob's blocks from `first` on, match `sums`. */
export function checkBlocks(file: Pick<OpenBlobFile, "id" | "idSum">, sums: Sums, first: number, bytes: Buffer): void {
  for (let at = 0, index = first; at < bytes.length; at += BLOCK_BYTES, index++) {
    const block = bytes.subarray(at, Math.min(at + BLOCK_BYTES, bytes.length));
    if (sumOfBlock(file.idSum, index, block) !== sums.entries.readUInt32LE((index - sums.first) * SUM_BYTES)) {
      throw new BlobDamaged(file.id, `block ${index} does not match its checksum`);
    }
  }
}

/** A buffer on its way from the disk. */
interface Ahead {
  readonly buffer: Buffer;
  /** Where its bytes stand in the blob: the beginning of a block. */
  readonly position: number;
  readonly length: number;
  /** Resolves when the buffer is no longer touched: with the bytes read, or with what went wrong. */
  readonly outcome: Promise<number | { readonly error: unknown }>;
}

function readAhead(file: OpenBlobFile, position: number, stop: number): Ahead | undefined {
  if (position >= stop) return undefined;
  const buffer = takeBuffer();
  const length = Math.min(BUFFER_BYTES, stop - position);
  const outcome = reading(file.id, readAt(file.fd, buffer, length, file.base + position)).catch((error: unknown) => ({
    error,
  }));
  return { buffer, position, length, outcome };
}

/**
 * The bytes from `start` to `end`, which lie in the file, every block checked before it is handed out. It holds at most
 * two buffers: the one handed out and the one being read.
 */
export async function* readBlobFile(file: OpenBlobFile, start: number, end: number): AsyncGenerator<Buffer> {
  if (start === end) return;
  const stop = Math.min(file.size, Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES);
  let ahead = readAhead(file, start - (start % BLOCK_BYTES), stop);
  let held: Buffer | undefined;
  try {
    while (ahead) {
      const { buffer, position, length, outcome } = ahead;
      const got = await outcome;
      ahead = undefined;
      held = buffer;
      if (typeof got !== "number") throw got.error;
      if (got < length) throw new BlobDamaged(file.id, "its file is cut short");

      ahead = readAhead(file, position + length, stop);
      const first = position / BLOCK_BYTES;
      const sums = await sumsFrom(file, first, Math.ceil(length / BLOCK_BYTES));
      checkBlocks(file, sums, first, buffer.subarray(0, length));
      yield buffer.subarray(Math.max(0, start - position), Math.min(length, end - position));
      held = undefined;
      giveBuffer(buffer);
    }
  } finally {
    if (held) giveBuffer(held);
    if (ahead) {
      await ahead.outcome;
      giveBuffer(ahead.buffer);
    }
  }
}
