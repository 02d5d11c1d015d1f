/**
 * Encryption of bodies: AES-256-GCM over blocks of 64 KiB, so that a range is read without the rest.
 *
 * Bytes that are sealed together carry the id of their seal in the record that names them, and nothing of it beside the
 * bytes. Each seal has a key of its own, made of the object's data key and the id, and each block is bound to the id, its
 * place and whether it is the last: a block, a whole blob or a part that stands where another belongs does not open, and
 * neither does a body that was cut short. An id is used once, so no nonce is.
 */
import { createCipheriv, createDecipheriv, createHmac } from "node:crypto";

/** Bytes of a block before it is sealed. */
export const BLOCK_BYTES = 64 * 1024;
/** Bytes that sealing adds to each block. */
const TAG_BYTES = 16;
const STORED_BLOCK_BYTES = BLOCK_BYTES + TAG_BYTES;
/** Bytes of a data key. */
export const DATA_KEY_BYTES = 32;

/** What bytes that were sealed together are known by. */
export interface Seal {
  /** 32 hex digits that no other seal has. */
  readonly id: string;
  /** Bytes, before they were sealed. */
  readonly size: number;
}

/** Raised when stored bytes are not those that were sealed, or the key is another. */
export class SealBroken extends Error {
  constructor(seal: string, block: number) {
    super(`block ${block} of the sealed bytes ${seal} does not open`);
    this.name = "SealBroken";
  }
}

/** Bytes that `size` bytes take when they are sealed. */
export function sealedLength(size: number): number {
  return size + Math.ceil(size / BLOCK_BYTES) * TAG_BYTES;
}

const CIPHER = "aes-256-gcm";
const PURPOSE = Buffer.from("cosbox blocks 1\0");

/** Seals and opens blocks of one seal. */
class Blocks {
  readonly #id: string;
  readonly #key: Buffer;
  /** Bound to each block: the seal's id, the block's place, and whether it is the last. */
  readonly #bound = Buffer.alloc(16 + 8 + 1);
  readonly #nonce = Buffer.alloc(12);

  constructor(dataKey: Buffer, id: string) {
    this.#id = id;
    this.#bound.write(id, 0, "hex");
    this.#key = createHmac("sha256", dataKey).update(PURPOSE).update(this.#bound.subarray(0, 16)).digest();
  }

  #place(block: number, isLast: boolean): void {
    this.#nonce.writeUIntBE(block, 6, 6);
    this.#bound.writeUIntBE(block, 18, 6);
    this.#bound[24] = isLast ? 1 : 0;
  }

  seal(block: number, isLast: boolean, bytes: Uint8Array): readonly [bytes: Buffer, tag: Buffer] {
    this.#place(block, isLast);
    const cipher = createCipheriv(CIPHER, this.#key, this.#nonce, { authTagLength: TAG_BYTES }).setAAD(this.#bound);
    const sealed = cipher.update(bytes);
    cipher.final();
    return [sealed, cipher.getAuthTag()];
  }

  /** @throws SealBroken. */
  open(block: number, isLast: boolean, stored: readonly Buffer[], tag: Buffer): Buffer {
    this.#place(block, isLast);
    const decipher = createDecipheriv(CIPHER, this.#key, this.#nonce, { authTagLength: TAG_BYTES })
      .setAAD(this.#bound)
      .setAuthTag(tag);
    const opened = stored.map((bytes) => decipher.update(bytes));
    try {
      decipher.final();
    } catch {
      throw new SealBroken(this.#id, block);
    }
    const [only, ...others] = opened;
    return only !== undefined && others.length === 0 ? only : Buffer.concat(opened);
  }
}

/** Few bytes, sealed. */
export function sealBytes(dataKey: Buffer, id: string, bytes: Buffer): Buffer {
  const blocks = new Blocks(dataKey, id);
  const stored: Buffer[] = [];
  for (let at = 0, block = 0; at < bytes.length; at += BLOCK_BYTES, block++) {
    const end = Math.min(at + BLOCK_BYTES, bytes.length);
    stored.push(...blocks.seal(block, end === bytes.length, bytes.subarray(at, end)));
  }
  return Buffer.concat(stored);
}

/** The same for bytes that come in chunks, which their producer may reuse once the next is asked for. */
export async function* sealedChunks(
  dataKey: Buffer,
  id: string,
  chunks: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  const blocks = new Blocks(dataKey, id);
  const held = Buffer.allocUnsafe(BLOCK_BYTES);
  let filled = 0;
  let block = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      // A full block waits until it is known whether another one follows.
      if (filled === BLOCK_BYTES) {
        yield* blocks.seal(block++, false, held);
        filled = 0;
      }
      const copied = chunk.copy(held, filled, at);
      filled += copied;
      at += copied;
    }
  }
  if (filled > 0) yield* blocks.seal(block, true, held.subarray(0, filled));
}

/** Where the blocks with the bytes from `start` up to `end` (start < end <= size) are stored. */
function storedRange({ size }: Seal, start: number, end: number): { first: number; from: number; to: number } {
  const first = Math.floor(start / BLOCK_BYTES);
  const after = Math.ceil(end / BLOCK_BYTES);
  return { first, from: first * STORED_BLOCK_BYTES, to: Math.min(after * STORED_BLOCK_BYTES, sealedLength(size)) };
}

/**
 * The bytes from `start` up to `end` (0 <= start < end <= size) of what was sealed. `read` gives stored bytes from one
 * place up to another; only the blocks with those bytes are asked for.
 * @throws SealBroken; what `read` throws.
 */
export async function* openedChunks(
  dataKey: Buffer,
  seal: Seal,
  start: number,
  end: number,
  read: (from: number, to: number) => AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  const { first, from, to } = storedRange(seal, start, end);
  const blocks = new Blocks(dataKey, seal.id);
  const last = Math.ceil(seal.size / BLOCK_BYTES) - 1;
  const tag = Buffer.alloc(TAG_BYTES);
  let block = first;
  let wanted = blockLength(seal, block);
  let tagged = 0;
  let stored: Buffer[] = [];
  for await (const chunk of read(from, to)) {
    for (let at = 0; at < chunk.length; ) {
      if (wanted > 0) {
        const bytes = chunk.subarray(at, at + wanted);
        // It may be overwritten when the next chunk is asked for, before the block is complete.
        stored.push(bytes.length === wanted ? bytes : Buffer.from(bytes));
        wanted -= bytes.length;
        at += bytes.length;
        // The tag comes next, perhaps in another chunk.
        if (wanted === 0 && at === chunk.length) stored = stored.map((one) => Buffer.from(one));
        continue;
      }
      const copied = chunk.copy(tag, tagged, at);
      tagged += copied;
      at += copied;
      if (tagged < TAG_BYTES) {
        stored = stored.map((one) => Buffer.from(one));
        continue;
      }
      const opened = blocks.open(block, block === last, stored, tag);
      const begins = block * BLOCK_BYTES;
      yield opened.subarray(Math.max(0, start - begins), Math.min(opened.length, end - begins));
      block += 1;
      wanted = blockLength(seal, block);
      tagged = 0;
      stored = [];
    }
  }
  if (block * BLOCK_BYTES < end) throw new SealBroken(seal.id, block);
}

function blockLength({ size }: Seal, block: number): number {
  return Math.max(0, Math.min(BLOCK_BYTES, size - block * BLOCK_BYTES));
}
