/** What the core needs of a byte store: immutable blobs, named by the store. */

/** Names a blob: 32 lower-case hex digits, of which the first 16 name the incarnation of the process that wrote it. */
export type BlobId = string;

/** A blob that is stored: every byte is durable (to the engine's tier) when this is returned. */
export interface StoredBlob {
  readonly id: BlobId;
  /** Bytes. */
  readonly size: number;
}

/** Raised when stored bytes do not match their checksum, or are gone: the answer must fail, never be wrong. */
export class BlobDamaged extends Error {
  readonly blob: BlobId;
  constructor(blob: BlobId, why: string) {
    super(`blob ${blob}: ${why}`);
    this.name = "BlobDamaged";
    this.blob = blob;
  }
}

/** Why bytes cannot be stored or reached just now, though nothing is wrong with them. */
export type StorageTrouble = "full" | "read-only" | "too-many-files" | "sync-failed";

/**
 * Raised when the store cannot do its work for want of space, of permission or of descriptors; the answer is 503
 * ServiceUnavailable, and the same request may work later. After "sync-failed" the engine takes no more writes until
 * the process is started again, because a sync that failed once may report success the next time and have lost bytes.
 */
export class StorageUnavailable extends Error {
  readonly trouble: StorageTrouble;
  constructor(trouble: StorageTrouble, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "StorageUnavailable";
    this.trouble = trouble;
  }
}

/** An engine that keeps immutable bytes. It knows nothing of objects: rows elsewhere name its blobs. */
export interface BlobEngine {
  /** The 16 hex digits that begin the id of every blob this process writes. */
  readonly incarnation: string;
  /**
   * Stores the bytes of `body` and resolves when they are durable. When `body` throws, nothing is kept and the same
   * error is thrown; StorageUnavailable when the store cannot take the bytes. Chunks may be reused by their producer
   * once the next one is asked for. `sizeHint` is the declared length in bytes, when known; the engine must not trust
   * it.
   */
  put(body: AsyncIterable<Buffer>, sizeHint?: number): Promise<StoredBlob>;
  /**
   * The bytes from `start` up to, not including, `end` (0 <= start <= end <= size). Every chunk is verified before it
   * is handed out; a bad block, a blob that is not there or one that is shorter than `end` throws BlobDamaged, also
   * where no byte was asked for. A chunk is valid until the next one is asked for and is not to be written to. Leaving
   * the iteration early releases what it holds.
   */
  read(id: BlobId, start: number, end: number): AsyncIterable<Buffer>;
  /** Forgets blobs; ids that are not there are passed over. Readers that are under way finish or get BlobDamaged. */
  remove(ids: readonly BlobId[]): Promise<void>;
  /**
   * Ids in ascending order after `after` (exclusive; undefined from the start), at most `limit`. Those that are being
   * put just now may be among them.
   */
  list(after: BlobId | undefined, limit: number): Promise<readonly BlobId[]>;
  /** Releases what is held. To be called when no put and no read is under way. */
  close(): Promise<void>;
}
