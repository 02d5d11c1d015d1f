/** Bytes to send, and the sums by which they are known again. */

import { createCipheriv, createHash } from "node:crypto";
import { crc64 } from "hash-wasm";

/** The same bytes for the same seed, without a period that would hide a wrong offset. */
export function bytes(length: number, seed = "cosbox"): Buffer {
  const key = createHash("md5").update(seed).digest();
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

export const sha256 = (data: Buffer | string): string => createHash("sha256").update(data).digest("hex");
export const md5 = (data: Buffer | string): string => createHash("md5").update(data).digest("hex");

/** CRC-64/XZ in decimal, as `x-cos-hash-crc64ecma` has it, by other code than the server's. */
export async function crc64ecma(data: Buffer): Promise<string> {
  return BigInt(`0x${await crc64(data, "c96c5795d7870f42")}`).toString();
}
