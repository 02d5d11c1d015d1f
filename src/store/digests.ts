/** What the service tells about a body, computed while it passes: MD5, CRC-64, its size and, when asked for, SHA-1. */
import { createHash, hash } from "node:crypto";
import { crc64Continue, crc64Of } from "./crc64.ts";

export { crc64Combine, crc64Continue, crc64Of } from "./crc64.ts";

export interface Digests<Md5 extends Buffer | undefined = Buffer> {
  /** 16 bytes. */
  readonly md5: Md5;
  /** CRC-64/XZ, 0 to 2^64 - 1. */
  readonly crc64: bigint;
  /** 20 bytes; present when it was asked for. */
  readonly sha1?: Buffer;
  /** Bytes. */
  readonly size: number;
}

export interface BodyDigests<Md5 extends Buffer | undefined = Buffer> {
  /** Takes the next bytes of the body, before it returns: the chunk may be reused afterwards. */
  update(chunk: Uint8Array): void;
  /** The digests of everything so far. To be called once, and nothing after it. */
  finish(): Digests<Md5>;
}

/**
 * Digests of a body that comes in pieces. One stream runs at about 0.57 GB/s, which is MD5's doing; a body that needs
 * no MD5 (an appended piece) can leave it out.
 */
export function bodyDigests(options?: { readonly sha1?: boolean; readonly md5?: true }): BodyDigests;
export function bodyDigests(options: { readonly sha1?: boolean; readonly md5: false }): BodyDigests<undefined>;
export function bodyDigests(
  options: { readonly sha1?: boolean; readonly md5?: boolean } = {},
): BodyDigests<Buffer | undefined> {
  const md5 = options.md5 === false ? undefined : createHash("md5");
  const sha1 = options.sha1 ? createHash("sha1") : undefined;
  let crc64 = 0n;
  let size = 0;
  return {
    update(chunk) {
      md5?.update(chunk);
      sha1?.update(chunk);
      crc64 = crc64Continue(crc64, chunk);
      size += chunk.length;
    },
    finish() {
      return { md5: md5?.digest(), crc64, size, ...(sha1 && { sha1: sha1.digest() }) };
    },
  };
}

/** Digests of a body that lies in one piece, without a stream's bookkeeping. Made for bodies up to about 64 KiB. */
export function digestsOf(body: Uint8Array, options: { readonly sha1?: boolean } = {}): Digests {
  const md5 = hash("md5", body, "buffer");
  const crc64 = crc64Of(body);
  const { length: size } = body;
  return options.sha1 ? { md5, crc64, size, sha1: hash("sha1", body, "buffer") } : { md5, crc64, size };
}
