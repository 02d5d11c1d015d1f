/** A sealing key for what is kept in memory: gone with it. */

import type { Random } from "../../ports/random.ts";
import type { SealKey } from "../../ports/seal-key.ts";

/** A key that nobody else has. */
export function memoryKey(random: Random): SealKey {
  const key = random.bytes(32);
  return { kind: "file", place: "memory", find: async () => key, make: async () => key };
}
