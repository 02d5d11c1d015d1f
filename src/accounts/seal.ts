/**
 * Seals secrets at rest: AES-256-GCM under keys that are made from one key outside of the data folder. What is sealed is
 * bound to its purpose and to a name, so that a row cannot be put in the place of another.
 */

import { createCipheriv, createDecipheriv, createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { KmsRefusal } from "../ports/kms.ts";
import type { Random } from "../ports/random.ts";
import type { SealKey } from "../ports/seal-key.ts";
import type { MasterKey } from "../store/key-ring.ts";
import type { Principals, SealRow } from "../store/principals.ts";

/** Raised where the key is missing or another than the one that sealed the secrets. One line, with the mend. */
export class SealUnusable extends Error {
  override readonly name = "SealUnusable";
}

/** What is sealed: a SecretKey in its row, or what a session token holds. */
export type SealPurpose = "key" | "token";

export interface Seal {
  /** Nonce, sealed bytes and tag. `name` has to be the same when it is opened. */
  seal(purpose: SealPurpose, name: string, secret: Buffer): Buffer;
  /** Undefined for bytes that were not sealed here, for this purpose and name. */
  open(purpose: SealPurpose, name: string, sealed: Buffer): Buffer | undefined;
  /** 32 bytes that only who has the key can make of a text. */
  mac(purpose: "secret" | "seed", text: string): Buffer;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
const SALT_BYTES = 16;

function derived(key: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync("sha256", key, Buffer.alloc(0), `cosbox ${purpose}`, KEY_BYTES));
}

function sealWith(key: Buffer, random: Random): Seal {
  const keys = { key: derived(key, "key"), token: derived(key, "token") };
  const macs = { secret: derived(key, "secret"), seed: derived(key, "seed") };
  return {
    seal(purpose, name, secret) {
      const nonce = random.bytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", keys[purpose], nonce).setAAD(Buffer.from(name));
      return Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
    },
    open(purpose, name, sealed) {
      if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
      const tagAt = sealed.length - TAG_BYTES;
      const decipher = createDecipheriv("aes-256-gcm", keys[purpose], sealed.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(name)).setAuthTag(sealed.subarray(tagAt));
      try {
        return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, tagAt)), decipher.final()]);
      } catch {
        return undefined;
      }
    },
    mac: (purpose, text) => createHmac("sha256", macs[purpose]).update(text).digest(),
  };
}

/** The seal of one store. */
export interface Sealing {
  /** The seal, if anything was ever sealed. */
  existing(): Promise<Seal | undefined>;
  /** The seal; its key is made on the first need, and never in place of one that is lost. */
  needed(): Promise<Seal>;
}

export interface SealingParts {
  readonly rows: Pick<Principals, "seal" | "putSeal">;
  readonly key: SealKey;
  /** That of the key ring, which is made of the same key: where there is one, no other key is made. */
  readonly masterKey: MasterKey;
  readonly random: Random;
}

/**
 * The seal of a store. `existing` and `needed` reject with SealUnusable where the data has been sealed with a key that is
 * not at hand, and with what the port throws.
 */
export function sealing({ rows, key, masterKey, random }: SealingParts): Sealing {
  let open: Seal | undefined;

  const checkOf = (bytes: Buffer): Buffer => derived(bytes, "check");

  async function unlocked(row: SealRow): Promise<Seal> {
    const sealedBy = row.kind === "file" ? "a key file" : "a passphrase";
    if (row.kind !== key.kind) {
      const mend =
        row.kind === "file"
          ? "leave out the passphrase, and name the file with --seal-key"
          : "set COSBOX_SEAL_PASSPHRASE";
      throw new SealUnusable(`the secrets of this data are sealed with ${sealedBy}: ${mend}`);
    }
    const bytes = await key.find(row.salt);
    if (bytes === undefined) {
      throw new SealUnusable(
        `the secrets of this data are sealed, and their key is missing: put ${key.place} back, or name it with --seal-key`,
      );
    }
    if (!timingSafeEqual(checkOf(bytes), row.check)) {
      throw new SealUnusable(
        `the secrets of this data are sealed with another key than ${key.place}: ` +
          (row.kind === "file" ? "name the right one with --seal-key" : "set the right COSBOX_SEAL_PASSPHRASE"),
      );
    }
    return sealWith(bytes, random);
  }

  async function existing(): Promise<Seal | undefined> {
    if (open !== undefined) return open;
    const row = await rows.seal();
    if (row !== undefined) open = await unlocked(row);
    return open;
  }

  async function refuseAnother(): Promise<void> {
    try {
      await masterKey.check();
    } catch (error) {
      if (!(error instanceof KmsRefusal)) throw error;
      const mend =
        key.kind === "file"
          ? "put back what it was, or name its file with --seal-key"
          : "set the passphrase that it was, or leave it out where it was a file";
      throw new SealUnusable(`no secret is sealed under another key than before: ${error.message}; ${mend}`, {
        cause: error,
      });
    }
  }

  return {
    existing,
    async needed() {
      const there = await existing();
      if (there !== undefined) return there;
      await refuseAnother();
      const salt = random.bytes(SALT_BYTES);
      const bytes = await key.make(salt);
      // Whoever stored it first among several processes is who counts.
      const row = await rows.putSeal({ kind: key.kind, salt, check: checkOf(bytes) });
      return (open = await unlocked(row));
    },
  };
}
