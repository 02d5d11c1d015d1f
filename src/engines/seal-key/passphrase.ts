/** The sealing key from a passphrase. */

import { scrypt } from "node:crypto";
import type { SealKey } from "../../ports/seal-key.ts";

const KEY_BYTES = 32;
/** 64 MiB and some 200 ms for each guess. (RFC 7914; OWASP's figures for scrypt) */
const COST = { N: 2 ** 16, r: 8, p: 1, maxmem: 128 * 1024 ** 2 } as const;

/** The key that this passphrase and the salt of the data make. */
export function passphraseKey(passphrase: string): SealKey {
  const find = (salt: Buffer): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      scrypt(passphrase, salt, KEY_BYTES, COST, (error, key) => (error === null ? resolve(key) : reject(error)));
    });
  return { kind: "passphrase", place: "the setting sealPassphrase", find, make: find };
}
