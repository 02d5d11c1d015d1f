/**
 * Data keys: the key that an object's bytes are sealed with, and how it is kept beside the object.
 *
 * Each object has a data key of its own. Its record keeps it wrapped under a root key: one that the store keeps for the
 * service (SSE-COS), one that a key management service sealed (SSE-KMS), or the client's own, which is never stored
 * (SSE-C). The wrapping is bound to the bucket, the key and the version, and to everything that is kept with it, so that
 * it opens nowhere else; a copy wraps the same data key anew and shares the bytes.
 */
import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from "node:crypto";
import { refuse } from "../errors/cos-error.ts";
import type { ErrorId } from "../errors/catalogue.ts";
import { type EncryptionContext, type Kms, type KmsFault, KmsRefusal } from "../ports/kms.ts";
import type { Random } from "../ports/random.ts";
import { ByteReader, ByteWriter, RecordDamaged } from "./bytes.ts";
import { OBJECT_ENCRYPTION_TAG, RecordFromNewerVersion, type Section } from "./records.ts";
import { DATA_KEY_BYTES } from "./sealing.ts";

/** How something is to be encrypted. */
export type EncryptionMethod =
  /** SSE-COS: under the service's own keys. */
  | { readonly kind: "service" }
  /** SSE-KMS: under the named key, or the default one. `context` is what a client told, as it told it. */
  | {
      readonly kind: "kms";
      readonly keyId: string | undefined;
      readonly context: string | undefined;
      readonly parsed: EncryptionContext;
    }
  /** SSE-C: under the client's key of 32 bytes. */
  | { readonly kind: "customer"; readonly key: Buffer };

/** How something is encrypted, as answers tell it. */
export type ShownEncryption =
  | { readonly kind: "service" }
  | { readonly kind: "kms"; readonly keyId: string; readonly context: string | undefined }
  | { readonly kind: "customer" };

/** What a wrapped data key belongs to: a version of an object, or an upload. */
export type KeyHolder =
  | { readonly bucketId: string; readonly key: string; readonly sequence: number }
  | { readonly bucketId: string; readonly key: string; readonly uploadId: string };

/** An open data key. It is a secret: it is neither logged nor stored. */
export interface DataKey {
  /** 32 bytes, for `Bodies`. */
  readonly bytes: Buffer;
  readonly shown: ShownEncryption;
  /** The section that keeps it for a holder; each time another wrapping. */
  sectionFor(holder: KeyHolder): Section;
  /**
   * 32 hex digits that stand for bytes with this MD5: the MD5 itself under the service's keys, and otherwise what tells
   * nobody without the key whether he has the same bytes. (ETag rules of SSE-KMS and SSE-C)
   */
  etagOf(md5: Buffer): string;
}

/** Root keys of the service, by number. */
export interface ServiceKeys {
  /** The one that is used now. @throws KmsRefusal. */
  current(): Promise<RootKey>;
  /** An earlier one. @throws KmsRefusal. */
  numbered(number: number): Promise<Buffer>;
}

export interface RootKey {
  readonly number: number;
  /** 32 bytes. */
  readonly key: Buffer;
}

export interface Encryption {
  /**
   * A new data key, or, where `bytes` are given, the same data key for another holder.
   * Raises KmsKeyNotExist, KmsKeyDisabled, KmsException, KmsFreqControl, KmsInternalException.
   */
  create(method: EncryptionMethod, bytes?: Buffer): Promise<DataKey>;
  /**
   * The data key that sections keep; undefined where they keep none. Raises SsecDecryptHeaderInvalid where it takes the
   * client's key and that is absent or another one, and what `create` raises.
   */
  open(sections: readonly Section[], holder: KeyHolder, customerKey: Buffer | undefined): Promise<DataKey | undefined>;
}

/** The refusals of a key management service, for the declarations of whoever encrypts or decrypts. */
export const KMS_ERRORS = [
  "KmsException",
  "KmsFreqControl",
  "KmsInternalException",
  "KmsKeyDisabled",
  "KmsKeyNotExist",
] as const satisfies readonly ErrorId[];

const REFUSED: Readonly<Record<KmsFault, (typeof KMS_ERRORS)[number]>> = {
  "unknown-key": "KmsKeyNotExist",
  "key-disabled": "KmsKeyDisabled",
  refused: "KmsException",
  throttled: "KmsFreqControl",
  unavailable: "KmsInternalException",
};

const KINDS = ["service", "kms", "customer"] as const satisfies readonly ShownEncryption["kind"][];
const FORM = 1;
const WRAP_CIPHER = "aes-256-gcm";
const TAG_BYTES = 16;
const SALT_BYTES = 28;
const CHECK_BYTES = 16;
const WRAP_PURPOSE = Buffer.from("cosbox wrap 1\0");
const CHECK_PURPOSE = Buffer.from("cosbox check 1\0");
const COMMIT_PURPOSE = Buffer.from("cosbox commit 1\0");
const ETAG_PURPOSE = Buffer.from("cosbox etag 1\0");

/** What stands in a section before the wrapped key, and which root key wraps it. */
interface Root {
  readonly shown: ShownEncryption;
  readonly key: Buffer;
  /** Writes what finds the root key again. */
  write(writer: ByteWriter): void;
}

/** A section, taken apart. */
interface Kept {
  readonly kind: (typeof KINDS)[number];
  /** Where the key was wrapped for an upload whose client's key was not at hand when it became an object. */
  readonly uploadId: string | undefined;
  readonly number: number;
  readonly keyId: string;
  readonly sealed: Buffer;
  readonly context: string | undefined;
  readonly check: Buffer;
  /** Everything until here: what the wrapping is bound to. */
  readonly head: Buffer;
  readonly salt: Buffer;
  readonly wrapped: Buffer;
  readonly commitment: Buffer;
}

function hmac(key: Buffer, purpose: Buffer, ...parts: readonly Uint8Array[]): Buffer {
  const mac = createHmac("sha256", key).update(purpose);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** What a wrapping is bound to besides the head of its section. */
function holderBytes(holder: KeyHolder): Buffer {
  const writer = new ByteWriter().hex(holder.bucketId).text(holder.key);
  if ("sequence" in holder) writer.u8(0).u64(holder.sequence);
  else writer.u8(1).text(holder.uploadId);
  return writer.finish();
}

function read(bytes: Buffer): Kept {
  const reader = new ByteReader(bytes);
  const form = reader.u8();
  const kind = KINDS[reader.u8()];
  if (form !== FORM || kind === undefined) throw new RecordFromNewerVersion("an object's encryption");
  const uploadId = reader.text() || undefined;
  const number = kind === "service" ? reader.varint() : 0;
  const [keyId, sealed, context] =
    kind === "kms" ? [reader.text(), reader.bytes(), reader.text()] : ["", Buffer.alloc(0), ""];
  const check = kind === "customer" ? reader.raw(CHECK_BYTES) : Buffer.alloc(0);
  const head = bytes.subarray(0, bytes.length - reader.left);
  const salt = reader.raw(SALT_BYTES);
  const wrapped = reader.raw(DATA_KEY_BYTES + TAG_BYTES);
  const commitment = reader.raw(CHECK_BYTES);
  reader.end();
  return {
    kind,
    uploadId,
    number,
    keyId,
    sealed,
    context: context === "" ? undefined : context,
    check,
    head,
    salt,
    wrapped,
    commitment,
  };
}

function sectionOf(sections: readonly Section[]): Section | undefined {
  return sections.length === 0 ? undefined : sections.find(({ tag }) => tag === OBJECT_ENCRYPTION_TAG);
}

/** How something with these sections is encrypted; undefined where it is not. */
export function shownEncryption(sections: readonly Section[]): ShownEncryption | undefined {
  const section = sectionOf(sections);
  if (section === undefined) return undefined;
  const { kind, keyId, context } = read(section.bytes);
  return kind === "kms" ? { kind, keyId, context } : { kind };
}

/** Whether the client's own key, if he told one, is the one that these sections were made with. */
export function isCustomerKey(sections: readonly Section[], key: Buffer | undefined): boolean {
  const section = sectionOf(sections);
  if (section === undefined || key === undefined) return false;
  const { kind, check, salt } = read(section.bytes);
  return kind === "customer" && timingSafeEqual(checkOf(key, salt), check);
}

/** Whether the data key, or that there is none, is what these sections keep. */
export function isSealedWith(sections: readonly Section[], dataKey: DataKey | undefined): boolean {
  const section = sectionOf(sections);
  if (section === undefined || dataKey === undefined) return section === undefined && dataKey === undefined;
  return timingSafeEqual(read(section.bytes).commitment, commitmentOf(dataKey.bytes));
}

/** Sections without the one that keeps a data key. */
export function withoutEncryption(sections: readonly Section[]): readonly Section[] {
  return sections.filter(({ tag }) => tag !== OBJECT_ENCRYPTION_TAG);
}

/** The same for an object that an upload becomes: its data key stays wrapped as it was for the upload. */
export function keptForUpload(sections: readonly Section[], uploadId: string): Section | undefined {
  const section = sectionOf(sections);
  if (section !== undefined && read(section.bytes).uploadId !== uploadId) {
    throw new RecordDamaged("an upload's data key belongs to another upload");
  }
  return section;
}

/** The key of a client is stored nowhere; this tells it from another one. */
function checkOf(customerKey: Buffer, salt: Buffer): Buffer {
  return hmac(customerKey, CHECK_PURPOSE, salt).subarray(0, CHECK_BYTES);
}

/** Flat text members of a context as it is sealed with, in one order. */
function contextOf(text: string | undefined): EncryptionContext {
  return text === undefined ? {} : (JSON.parse(Buffer.from(text, "base64").toString("utf8")) as Record<string, string>);
}

async function asked<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof KmsRefusal)) throw error;
    throw refuse(REFUSED[error.fault], { cause: error });
  }
}

class WrappedKey implements DataKey {
  readonly bytes: Buffer;
  readonly #root: Root;
  readonly #random: Random;

  constructor(bytes: Buffer, root: Root, random: Random) {
    this.bytes = bytes;
    this.#root = root;
    this.#random = random;
  }

  get shown(): ShownEncryption {
    return this.#root.shown;
  }

  sectionFor(holder: KeyHolder): Section {
    const salt = this.#random.bytes(SALT_BYTES);
    const writer = new ByteWriter(256).u8(FORM).u8(KINDS.indexOf(this.shown.kind));
    writer.text("uploadId" in holder ? holder.uploadId : "");
    this.#root.write(writer);
    if (this.shown.kind === "customer") writer.raw(checkOf(this.#root.key, salt));
    const head = Buffer.from(writer.finish());
    const { key, nonce } = wrapping(this.#root.key, salt);
    const cipher = createCipheriv(WRAP_CIPHER, key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.concat([head, holderBytes(holder)]));
    writer.raw(salt).raw(cipher.update(this.bytes));
    cipher.final();
    writer.raw(cipher.getAuthTag()).raw(commitmentOf(this.bytes));
    return { tag: OBJECT_ENCRYPTION_TAG, bytes: writer.finish() };
  }

  etagOf(md5: Buffer): string {
    if (this.shown.kind === "service") return md5.toString("hex");
    return hmac(this.bytes, ETAG_PURPOSE, md5).toString("hex", 0, 16);
  }
}

/** Each wrapping has a key and a nonce of its own, both made of its salt: no number of objects wears a root key out. */
function wrapping(root: Buffer, salt: Buffer): { readonly key: Buffer; readonly nonce: Buffer } {
  return { key: hmac(root, WRAP_PURPOSE, salt), nonce: salt.subarray(0, 12) };
}

/** GCM alone would let a crafted text open under two keys; this says which one it is. */
function commitmentOf(dataKey: Buffer): Buffer {
  return hmac(dataKey, COMMIT_PURPOSE).subarray(0, CHECK_BYTES);
}

function unwrapped(root: Buffer, { head, salt, wrapped, commitment }: Kept, holder: KeyHolder): Buffer {
  const { key, nonce } = wrapping(root, salt);
  const decipher = createDecipheriv(WRAP_CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.concat([head, holderBytes(holder)]));
  decipher.setAuthTag(wrapped.subarray(DATA_KEY_BYTES));
  const bytes = decipher.update(wrapped.subarray(0, DATA_KEY_BYTES));
  try {
    decipher.final();
  } catch {
    throw new RecordDamaged("a data key does not open where it is kept");
  }
  if (!timingSafeEqual(commitmentOf(bytes), commitment)) throw new RecordDamaged("a data key is another one");
  return bytes;
}

export interface EncryptionOptions {
  readonly kms: Kms;
  readonly serviceKeys: ServiceKeys;
  readonly random: Random;
}

export function encryption({ kms, serviceKeys, random }: EncryptionOptions): Encryption {
  async function rootFor(method: EncryptionMethod): Promise<Root> {
    switch (method.kind) {
      case "service": {
        const { number, key } = await asked(() => serviceKeys.current());
        return serviceRoot(number, key);
      }
      case "kms": {
        const { keyId, key, sealed } = await asked(() => kms.generate(method.keyId, method.parsed));
        return kmsRoot(keyId, key, sealed, method.context);
      }
      case "customer":
        return customerRoot(method.key);
    }
  }

  async function rootOf(kept: Kept, customerKey: Buffer | undefined): Promise<Root> {
    switch (kept.kind) {
      case "service":
        return serviceRoot(kept.number, await asked(() => serviceKeys.numbered(kept.number)));
      case "kms": {
        const { keyId, sealed, context } = kept;
        const key = await asked(() => kms.open(keyId, sealed, contextOf(context)));
        return kmsRoot(keyId, key, sealed, context);
      }
      case "customer":
        if (customerKey === undefined || !timingSafeEqual(checkOf(customerKey, kept.salt), kept.check)) {
          throw refuse("SsecDecryptHeaderInvalid");
        }
        return customerRoot(customerKey);
    }
  }

  return {
    async create(method, bytes = random.bytes(DATA_KEY_BYTES)) {
      return new WrappedKey(bytes, await rootFor(method), random);
    },

    async open(sections, holder, customerKey) {
      const section = sectionOf(sections);
      if (section === undefined) return undefined;
      const kept = read(section.bytes);
      const root = await rootOf(kept, customerKey);
      const { bucketId, key } = holder;
      const bound = kept.uploadId === undefined ? holder : { bucketId, key, uploadId: kept.uploadId };
      return new WrappedKey(unwrapped(root.key, kept, bound), root, random);
    },
  };
}

function serviceRoot(number: number, key: Buffer): Root {
  return { shown: { kind: "service" }, key, write: (writer) => void writer.varint(number) };
}

function kmsRoot(keyId: string, key: Buffer, sealed: Buffer, context: string | undefined): Root {
  return {
    shown: { kind: "kms", keyId, context },
    key,
    write: (writer) =>
      void writer
        .text(keyId)
        .bytes(sealed)
        .text(context ?? ""),
  };
}

function customerRoot(key: Buffer): Root {
  return { shown: { kind: "customer" }, key, write() {} };
}
