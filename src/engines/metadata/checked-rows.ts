/**
 * Values as they lie in a database whose pages carry no checksum: the value, then four bytes with the CRC-32 of the
 * key and the value after it. Without it a flipped bit of a small body, of an object's ETag or of the place where its
 * bytes lie would be served as if it had been stored.
 *
 * The key is part of the sum, so a value that has come under another key is found as well. What it cannot find is a row
 * that is gone, or one that was right at an earlier time.
 */
import { crc32 } from "node:zlib";
import { RowDamaged } from "../../ports/metadata.ts";

const SUM_BYTES = 4;

/** A copy of `value` as it is to be stored under `key`. */
export function sealed(key: Buffer, value: Buffer): Buffer {
  const { length } = value;
  const stored = Buffer.allocUnsafe(length + SUM_BYTES);
  value.copy(stored);
  stored.writeUInt32LE(crc32(value, crc32(key)), length);
  return stored;
}

/**
 * A copy of the value that `sealed` had made the first `size` bytes of `stored`.
 * @throws RowDamaged when they are not what was stored under `key`.
 */
export function unsealed(key: Buffer, stored: Uint8Array, size: number): Buffer {
  const length = size - SUM_BYTES;
  if (length < 0) throw new RowDamaged(key);
  const value = Buffer.allocUnsafe(length);
  // The database library's buffers have a `length` of their own, which Buffer's methods do not go by; this view is told.
  value.set(new Uint8Array(stored.buffer, stored.byteOffset, length));
  if (readSum(stored, length) !== crc32(value, crc32(key))) throw new RowDamaged(key);
  return value;
}

/** Little-endian, as `sealed` writes it. */
function readSum(stored: Uint8Array, at: number): number {
  const [a, b, c, d] = [stored[at], stored[at + 1], stored[at + 2], stored[at + 3]] as [number, number, number, number];
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}
