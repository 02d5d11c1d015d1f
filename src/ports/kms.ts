/** What the core needs of a key management service: keys that seal other keys, and are never told themselves. */

/** Names and values that a sealed key is bound to; whoever opens it must tell the same. */
export type EncryptionContext = Readonly<Record<string, string>>;

/** A fresh key, once as it is and once sealed under a key of the service. */
export interface GeneratedKey {
  /** The key it is sealed under. */
  readonly keyId: string;
  /** 32 bytes, never stored. */
  readonly key: Buffer;
  /** What `open` makes the same 32 bytes of; at most 2,048 bytes. */
  readonly sealed: Buffer;
}

/**
 * Why the service gave no key: it knows none of that name; the key is disabled or awaits its deletion; it refuses for
 * another reason, such as another context; it is called too often; it fails, or cannot be reached.
 */
export type KmsFault = "unknown-key" | "key-disabled" | "refused" | "throttled" | "unavailable";

/** Raised when the service gives no key. */
export class KmsRefusal extends Error {
  readonly fault: KmsFault;
  constructor(fault: KmsFault, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "KmsRefusal";
    this.fault = fault;
  }
}

/** A key management service. */
export interface Kms {
  /**
   * A fresh key sealed under the key called `keyId`, or under the service's default key where that is undefined.
   * @throws KmsRefusal.
   */
  generate(keyId: string | undefined, context: EncryptionContext): Promise<GeneratedKey>;
  /**
   * The key that `generate` sealed, also after the key it is sealed under was rotated.
   * @throws KmsRefusal.
   */
  open(keyId: string, sealed: Buffer, context: EncryptionContext): Promise<Buffer>;
}
