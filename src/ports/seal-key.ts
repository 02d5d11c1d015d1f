/** The key that seals secrets at rest comes through this port; it is kept apart from what it seals. */

export interface SealKey {
  readonly kind: "file" | "passphrase";
  /** Where it is from, for a person who has to find it. */
  readonly place: string;
  /** The key, 32 bytes, that goes with this salt (16 bytes); undefined where there is none. */
  find(salt: Buffer): Promise<Buffer | undefined>;
  /** The same; makes one where there is none. Of several who make one at the same time, all get the same. */
  make(salt: Buffer): Promise<Buffer>;
}
