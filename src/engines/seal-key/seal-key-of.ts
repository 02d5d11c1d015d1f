/** The choice of a sealing key. */

import type { Settings } from "../../config/settings.ts";
import type { Random } from "../../ports/random.ts";
import type { SealKey } from "../../ports/seal-key.ts";
import { keyFile } from "./key-file.ts";
import { memoryKey } from "./memory.ts";
import { passphraseKey } from "./passphrase.ts";

/** Where the key is that seals what is stored: in memory for a store that is gone with it. */
export function sealKeyOf(
  { memory, data, sealKey, sealPassphrase }: Pick<Settings, "data" | "memory" | "sealKey" | "sealPassphrase">,
  random: Random,
): SealKey {
  if (sealPassphrase !== "") return passphraseKey(sealPassphrase);
  if (memory && sealKey === "") return memoryKey(random);
  return keyFile(sealKey === "" ? `${data}.key` : sealKey, random);
}
