/**
 * Chance that can be repeated, and the ways in which the fuzz tests damage what they send. A run prints its seed;
 * `SEED=<number>` repeats it and `COSBOX_FUZZ_RUNS=<count>` sets how many inputs each test makes.
 */

import { randomInt } from "node:crypto";
import { seededRandom } from "../../src/engines/random/seeded.ts";

export interface Chance {
  /** A whole number from 0 to `count - 1`. */
  below(count: number): number;
  /** True once in `of` times. */
  once(of: number): boolean;
  pick<T>(items: readonly T[]): T;
}

/** The seed of this process: `SEED`, or one of its own. */
export const SEED = Number(process.env["SEED"] ?? randomInt(2 ** 31));

/** Inputs of one test: `COSBOX_FUZZ_RUNS`, or what keeps the everyday run short. */
export const runsOf = (everyday: number): number => Number(process.env["COSBOX_FUZZ_RUNS"] ?? everyday);

/** Milliseconds a test of so many runs may take: generous, because what hangs is found by other means. */
export const timeoutOf = (runs: number): number => 30_000 + runs * 20;

/** Chance of a test's own, which the order of the tests does not change. Prints how to repeat it. */
export function chanceOf(test: string, runs: number): Chance {
  let seed = SEED | 0;
  for (const character of test) seed = (Math.imul(seed, 31) + (character.codePointAt(0) ?? 0)) | 0;
  process.stderr.write(`${test}: SEED=${SEED} COSBOX_FUZZ_RUNS=${runs}\n`);
  return chanceFrom(seed);
}

/** The chance of one seed, below 2^32. */
export function chanceFrom(seed: number): Chance {
  const random = seededRandom(seed);
  const below = (count: number): number => (count < 1 ? 0 : random.bytes(4).readUInt32LE() % count);
  return {
    below,
    once: (of) => below(of) === 0,
    pick: <T>(items: readonly T[]): T => items[below(items.length)] as T,
  };
}

/** Pieces that parsers stumble over, as Latin-1: what HTTP, percent-encoding, XML and signatures give a meaning to. */
// biome-ignore format: a table of short texts
const PIECES: readonly string[] = [
  "\0", "\r", "\n", "\r\n", "\r\n\r\n", "\t", " ", "\x7f", "\x80", "\xff", "\xed\xa0\x80", "\xc0\xaf", "\xef\xbb\xbf",
  "%", "%00", "%zz", "%ff", "%2F", "%2e%2e%2f", "%252e", "%C0%AF", "%ED%A0%80", "+", "?", "&", "=", ";", "#", "*", "//",
  "..", "/../", "\\", ":", "@", "[", "]", "[::1]", ",", '"', "'", "<", ">", "<!DOCTYPE a>", "<![CDATA[", "]]>", "<?a?>",
  "&amp;", "&#0;", "&#x110000;", "</", "/>", "-1", "0", "1e999", "NaN", "99999999999999999999", "2147483648", "65536",
  "__proto__", "constructor", "toString", "Transfer-Encoding: chunked\r\n", "Content-Length: 3\r\n", "Expect: 100-continue\r\n",
  "Host: a\r\n", "HTTP/1.0", "HTTP/2.0", "uploadId=", "partNumber=1", "acl", "sign=", "q-ak=", "versionId=null",
];

/** The bytes with one to six changes: flips, pieces put in or over, stretches taken out, doubled or moved. */
export function damaged(bytes: Buffer, chance: Chance): Buffer {
  let now = bytes;
  for (let left = 1 + chance.below(6); left > 0; left--) {
    const at = chance.below(now.length + 1);
    const stretch = Math.min(now.length - at, 1 + chance.below(chance.once(4) ? 200 : 8));
    const before = now.subarray(0, at);
    const rest = now.subarray(at + stretch);
    const middle = now.subarray(at, at + stretch);
    switch (chance.below(6)) {
      case 0: {
        const flipped = Buffer.from(middle);
        if (flipped.length > 0) flipped[0] = (flipped[0] ?? 0) ^ (1 << chance.below(8));
        now = Buffer.concat([before, flipped, rest]);
        break;
      }
      case 1:
        now = Buffer.concat([before, Buffer.from(chance.pick(PIECES), "latin1"), middle, rest]);
        break;
      case 2:
        now = Buffer.concat([before, Buffer.from(chance.pick(PIECES), "latin1"), rest]);
        break;
      case 3:
        now = Buffer.concat([before, rest]);
        break;
      case 4:
        now = Buffer.concat([before, middle, middle, rest]);
        break;
      default:
        now = Buffer.concat([rest, before, middle]);
    }
  }
  return now;
}

/** As `damaged`, for text whose characters are bytes. */
export const damagedText = (text: string, chance: Chance): string =>
  damaged(Buffer.from(text, "latin1"), chance).toString("latin1");
