/** Writing and reading the small binary forms of rows: big-endian integers, varints, texts and buffers. */

/** Raised when a stored row does not decode. It is a fault of the store, never of a request. */
export class RecordDamaged extends Error {
  constructor(why: string) {
    super(`a stored record is damaged: ${why}`);
    this.name = "RecordDamaged";
  }
}

/** Longest text or buffer inside a record, in bytes; a longer length field means damage. */
const FIELD_BYTES_MAX = 16 * 1024 * 1024;

/** Collects the bytes of one record. It grows by doubling and hands out one buffer of the exact size. */
export class ByteWriter {
  #buffer: Buffer;
  #at = 0;

  constructor(sizeHint = 256) {
    this.#buffer = Buffer.allocUnsafe(sizeHint);
  }

  #room(count: number): number {
    const at = this.#at;
    const needed = at + count;
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    this.#at = needed;
    return at;
  }

  u8(value: number): this {
    const at = this.#room(1);
    this.#buffer.writeUInt8(value, at);
    return this;
  }

  u16(value: number): this {
    const at = this.#room(2);
    this.#buffer.writeUInt16BE(value, at);
    return this;
  }

  /** An integer from 0 to 2^48 - 1: sizes in bytes, milliseconds. */
  u48(value: number): this {
    const at = this.#room(6);
    this.#buffer.writeUIntBE(value, at, 6);
    return this;
  }

  /** A safe integer of at least 0, in 8 bytes. */
  u64(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a u64 we can hold: ${value}`);
    const at = this.#room(8);
    this.#buffer.writeUInt32BE(Math.floor(value / 2 ** 32), at);
    this.#buffer.writeUInt32BE(value % 2 ** 32, at + 4);
    return this;
  }

  /** An integer from 0 to 2^64 - 1. */
  bigU64(value: bigint): this {
    const at = this.#room(8);
    this.#buffer.writeBigUInt64BE(value, at);
    return this;
  }

  /** A safe integer of at least 0 in 1 to 8 bytes, seven bits each, the lowest first. */
  varint(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a varint: ${value}`);
    let rest = value;
    while (rest >= 0x80) {
      this.u8((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    return this.u8(rest);
  }

  /** Bytes whose number the reader knows. */
  raw(bytes: Uint8Array): this {
    const at = this.#room(bytes.length);
    this.#buffer.set(bytes, at);
    return this;
  }

  /** Lower-case hex digits as bytes, half as many; the reader knows how many. */
  hex(digits: string): this {
    const at = this.#room(digits.length / 2);
    if (this.#buffer.write(digits, at, "hex") !== digits.length / 2) throw new RangeError(`not hex: ${digits}`);
    return this;
  }

  /** A length and so many bytes. */
  bytes(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  /** A length in bytes and the text in UTF-8. */
  text(text: string): this {
    const length = Buffer.byteLength(text);
    this.varint(length);
    const at = this.#room(length);
    this.#buffer.write(text, at, "utf8");
    return this;
  }

  /** Everything written so far. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }
}

/** A short text that most rows share, kept so that it need not be decoded again for each of a thousand of them. */
export interface SharedText {
  bytes: Buffer;
  text: string;
}

export function sharedText(): SharedText {
  return { bytes: Buffer.alloc(0), text: "" };
}

/** Lengths below it take one byte. */
const SHARED_LENGTH_MAX = 0x7f;

/** Reads a record from its start; whatever would run over its end throws RecordDamaged. */
export class ByteReader {
  readonly #buffer: Buffer;
  #at: number;

  constructor(buffer: Buffer, at = 0) {
    this.#buffer = buffer;
    this.#at = at;
  }

  #take(count: number): number {
    const at = this.#at;
    if (at + count > this.#buffer.length) {
      throw new RecordDamaged(`${count} bytes are wanted at ${at} of ${this.#buffer.length}`);
    }
    this.#at = at + count;
    return at;
  }

  /** Bytes that are left. */
  get left(): number {
    return this.#buffer.length - this.#at;
  }

  u8(): number {
    return this.#buffer[this.#take(1)] as number;
  }

  u16(): number {
    return this.#buffer.readUInt16BE(this.#take(2));
  }

  u48(): number {
    return this.#buffer.readUIntBE(this.#take(6), 6);
  }

  u64(): number {
    const at = this.#take(8);
    const value = this.#buffer.readUInt32BE(at) * 2 ** 32 + this.#buffer.readUInt32BE(at + 4);
    if (!Number.isSafeInteger(value)) throw new RecordDamaged(`the integer at ${at} is too large`);
    return value;
  }

  bigU64(): bigint {
    return this.#buffer.readBigUInt64BE(this.#take(8));
  }

  varint(): number {
    let value = 0;
    let weight = 1;
    for (let count = 0; count < 8; count++) {
      const byte = this.u8();
      value += (byte & 0x7f) * weight;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break;
        return value;
      }
      weight *= 0x80;
    }
    throw new RecordDamaged(`there is no integer before byte ${this.#at}`);
  }

  /** A view of the next `count` bytes. */
  raw(count: number): Buffer {
    const at = this.#take(count);
    return this.#buffer.subarray(at, at + count);
  }

  /** The next `count` bytes as 2 * count lower-case hex digits. */
  hex(count: number): string {
    const at = this.#take(count);
    return this.#buffer.toString("hex", at, at + count);
  }

  bytes(): Buffer {
    return this.raw(this.#length());
  }

  text(): string {
    const length = this.#length();
    const at = this.#take(length);
    return this.#buffer.toString("utf8", at, at + length);
  }

  /** The same for a text that is probably the one that was read last into `last`. */
  shared(last: SharedText): string {
    const buffer = this.#buffer;
    const at = this.#at + 1;
    const { bytes } = last;
    const { length } = bytes;
    if (length <= SHARED_LENGTH_MAX && buffer[at - 1] === length && at + length <= buffer.length) {
      let same = 0;
      while (same < length && buffer[at + same] === bytes[same]) same++;
      if (same === length) {
        this.#at = at + length;
        return last.text;
      }
    }
    last.text = this.text();
    last.bytes = Buffer.from(last.text);
    return last.text;
  }

  #length(): number {
    const length = this.varint();
    if (length > FIELD_BYTES_MAX) throw new RecordDamaged(`a field of ${length} bytes`);
    return length;
  }

  /** Throws when bytes are left over: a record of this format ends here. */
  end(): void {
    if (this.left > 0) throw new RecordDamaged(`${this.left} bytes are left over`);
  }
}
