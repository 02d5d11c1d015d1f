import type { Random } from "../../ports/random.ts";

/**
 * Randomness that a simulation can repeat: the same seed gives the same bytes, whatever sizes they are asked for in.
 * It is predictable, so it must never make a key, a token or an id that someone could gain by guessing.
 *
 * The generator is sfc32 (a counter and three words of chaotic state), seeded by running it in.
 * @param seed Any integer; its low 32 bits count.
 */
export function seededRandom(seed: number): Random {
  let a = 0;
  let b = seed | 0;
  let c = 0x9e3779b9 | 0;
  let counter = 1;

  function word(): number {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    c |= 0;
    return sum;
  }

  // Neighbouring seeds begin alike; after these rounds nothing of that is left.
  for (let round = 0; round < 16; round++) word();

  let left = 0;
  let pending = 0;
  return {
    bytes(count) {
      const bytes = Buffer.allocUnsafe(count);
      for (let at = 0; at < count; at++) {
        if (left === 0) {
          pending = word();
          left = 4;
        }
        bytes[at] = pending & 0xff;
        pending >>>= 8;
        left -= 1;
      }
      return bytes;
    },
  };
}
