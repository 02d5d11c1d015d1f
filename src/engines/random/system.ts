import { randomBytes } from "node:crypto";
import type { Random } from "../../ports/random.ts";

/** The operating system's randomness, fit for keys and secrets. */
export function systemRandom(): Random {
  return { bytes: (count) => randomBytes(count) };
}
