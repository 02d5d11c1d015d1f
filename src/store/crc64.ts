/**
 * CRC-64/XZ (ECMA-182, reflected), the checksum of `x-cos-hash-crc64ecma`: of bytes, continued, and of two bodies
 * joined. A CRC is an unsigned 64-bit bigint; on the wire it is written in decimal.
 *
 * The loop runs in one WebAssembly instance (3.4 GB/s against 1.8 for hash-wasm's). It keeps nothing between
 * two calls, so any number of bodies can be summed at once, and there is nothing to create for each.
 */
import { CRC64_WASM } from "./crc64-wasm.ts";

type Update = (crc: bigint, at: number, end: number) => bigint;

// The types of Node 20 do not describe WebAssembly; this is the part that is used here.
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { exports: { memory: { buffer: ArrayBuffer }; update: Update } };
};

const TABLES = 16;
const TABLE_BYTES = 256 * 8;
const BYTES_AT = TABLES * TABLE_BYTES;
/** Bytes that are copied into the instance at a time: with the tables they stay in the second-level cache. */
const WINDOW_BYTES = 64 * 1024;

/** A polynomial of degree below 64 as two 32-bit halves, the lowest power in the highest bit. */
type Polynomial = readonly [high: number, low: number];

interface Kernel {
  readonly window: Uint8Array;
  readonly update: Update;
}

/** One CRC of 64 bits: what it divides by, x^64 left out, and its loop once it is started. */
interface Crc64 {
  readonly divisor: Polynomial;
  kernel: Kernel | undefined;
  /** Entry k is x^(8 · 2^k): appending 2^k zero bytes. A length has at most 53 bits. */
  squarings: readonly Polynomial[] | undefined;
}

const XZ: Crc64 = { divisor: [0xc96c5795, 0xd7870f42], kernel: undefined, squarings: undefined };
const NVME: Crc64 = { divisor: [0x9a6c9329, 0xac4bc9b5], kernel: undefined, squarings: undefined };

/** Compiles the loop and fills its tables: once in a process, when the first checksum is asked for (5 ms). */
function start(crc: Crc64): Kernel {
  const [divisorHigh, divisorLow] = crc.divisor;
  const { memory, update } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(CRC64_WASM, "base64")))
    .exports;
  // Table k is the effect of a byte that k more bytes follow.
  const low = new Int32Array(TABLES * 256);
  const high = new Int32Array(TABLES * 256);
  for (let byte = 0; byte < 256; byte++) {
    let [l, h] = [byte, 0];
    for (let bit = 0; bit < 8; bit++) {
      const odd = -(l & 1);
      l = ((l >>> 1) | (h << 31)) ^ (odd & divisorLow);
      h = (h >>> 1) ^ (odd & divisorHigh);
    }
    low[byte] = l;
    high[byte] = h;
  }
  for (let entry = 256; entry < low.length; entry++) {
    const l = low[entry - 256] as number;
    const h = high[entry - 256] as number;
    low[entry] = ((l >>> 8) | (h << 24)) ^ (low[l & 0xff] as number);
    high[entry] = (h >>> 8) ^ (high[l & 0xff] as number);
  }
  const tables = new DataView(memory.buffer, 0, BYTES_AT);
  for (let entry = 0; entry < low.length; entry++) {
    tables.setInt32(entry * 8, low[entry] as number, true);
    tables.setInt32(entry * 8 + 4, high[entry] as number, true);
  }
  crc.kernel = { window: new Uint8Array(memory.buffer, BYTES_AT, WINDOW_BYTES), update };
  return crc.kernel;
}

/** The CRC-64 of the bytes that gave `crc`, followed by `bytes`. A CRC of nothing is 0n. */
export function crc64Continue(crc: bigint, bytes: Uint8Array): bigint {
  return continued(XZ, crc, bytes);
}

/** The same for CRC-64/NVME, which S3 clients know as CRC64NVME. */
export function crc64NvmeContinue(crc: bigint, bytes: Uint8Array): bigint {
  return continued(NVME, crc, bytes);
}

function continued(kind: Crc64, crc: bigint, bytes: Uint8Array): bigint {
  const { window, update } = kind.kernel ?? start(kind);
  let state = ~crc;
  for (let at = 0; at < bytes.length; at += WINDOW_BYTES) {
    const piece = bytes.length <= WINDOW_BYTES ? bytes : bytes.subarray(at, at + WINDOW_BYTES);
    window.set(piece);
    state = update(state, BYTES_AT, BYTES_AT + piece.length);
  }
  return BigInt.asUintN(64, ~state);
}

/** The CRC-64 of `bytes`. */
export function crc64Of(bytes: Uint8Array): bigint {
  return crc64Continue(0n, bytes);
}

/** a · b modulo the CRC's polynomial. In halves, since bigint arithmetic would take fifty times as long. */
function product([divisorHigh, divisorLow]: Polynomial, a: Polynomial, b: Polynomial): Polynomial {
  let [high, low] = b;
  let productHigh = 0;
  let productLow = 0;
  for (const half of a) {
    for (let bit = 31; bit >= 0; bit--) {
      if ((half >>> bit) & 1) {
        productHigh ^= high;
        productLow ^= low;
      }
      const odd = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (odd) {
        low ^= divisorLow;
        high ^= divisorHigh;
      }
    }
  }
  return [productHigh, productLow];
}

function square(kind: Crc64): readonly Polynomial[] {
  const powers: Polynomial[] = [];
  let power: Polynomial = [1 << 23, 0];
  for (let k = 0; k < 53; k++) {
    powers.push(power);
    power = product(kind.divisor, power, power);
  }
  kind.squarings = powers;
  return powers;
}

/**
 * The CRC-64 of A followed by B, from their two CRCs and the length of B in bytes: about a microsecond, whatever the
 * lengths are. This is how the CRC of a multipart object comes from its parts without reading them.
 */
export function crc64Combine(crcA: bigint, crcB: bigint, lengthB: number): bigint {
  return combined(XZ, crcA, crcB, lengthB);
}

/** The same for CRC-64/NVME. */
export function crc64NvmeCombine(crcA: bigint, crcB: bigint, lengthB: number): bigint {
  return combined(NVME, crcA, crcB, lengthB);
}

function combined(kind: Crc64, crcA: bigint, crcB: bigint, lengthB: number): bigint {
  if (!Number.isSafeInteger(lengthB) || lengthB < 0) throw new RangeError(`not a length in bytes: ${lengthB}`);
  let shifted: Polynomial = [Number(crcA >> 32n) | 0, Number(crcA & 0xffffffffn) | 0];
  const powers = kind.squarings ?? square(kind);
  for (let k = 0, rest = lengthB; rest > 0; k++, rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) shifted = product(kind.divisor, powers[k] as Polynomial, shifted);
  }
  return ((BigInt(shifted[0] >>> 0) << 32n) | BigInt(shifted[1] >>> 0)) ^ crcB;
}
