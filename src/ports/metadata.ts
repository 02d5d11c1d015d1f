/** What the core needs of a metadata store: an ordered key-value engine with one atomic, conditional write. */

/** One row. `version` is opaque, never 0, and differs between any two states a row has had. */
export interface Row {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly version: number;
}

/** Rows with `start <= key < end` in byte order, or in descending order when `reverse`, at most `limit` of them. */
export interface Range {
  readonly start: Buffer;
  readonly end: Buffer;
  /** At least 1. */
  readonly limit: number;
  readonly reverse?: boolean;
}

/** A row as the caller saw it; `version` is undefined where it saw no row. */
export interface Seen {
  readonly key: Buffer;
  readonly version: number | undefined;
}

/** A row to store, or to remove when `value` is undefined. */
export interface Write {
  readonly key: Buffer;
  readonly value: Buffer | undefined;
}

/**
 * Raised when a stored row is not what was stored: the request must fail, never be answered from it. Only an engine
 * that keeps rows where bits can rot raises it. Rows beside it can still be read, by ranges that leave it out.
 */
export class RowDamaged extends Error {
  readonly key: Buffer;
  constructor(key: Buffer) {
    super(`the metadata row ${key.toString("hex")} does not match its checksum`);
    this.name = "RowDamaged";
    this.key = Buffer.from(key);
  }
}

/**
 * An ordered key-value engine. That is all an engine has to offer; transactions are built on it once, in
 * store/transact.ts, and behave alike on every engine. Keys are 1 to 1,900 bytes.
 */
export interface MetadataEngine {
  /**
   * Rows of every range, each range in byte order, all from one snapshot that includes every acknowledged commit.
   * Rejects with RowDamaged when one of them is damaged.
   */
  read(ranges: readonly Range[]): Promise<readonly (readonly Row[])[]>;
  /**
   * Applies every write, or none. Resolves false, changing nothing, when a row of `seen` no longer has the version it
   * was read at (or exists, where it was seen absent); resolves true only when the writes are durable and visible.
   * A rejection means the outcome is unknown; it is StorageUnavailable (ports/blobs.ts) where the disk does not take
   * the writes. With the trouble "full" it comes before any of them: nothing was applied, nor will be. At most 1,000 of `seen` and `writes` together.
   */
  commit(seen: readonly Seen[], writes: readonly Write[]): Promise<boolean>;
  /** For engines that group commits. */
  readonly figures?: () => CommitFigures;
  close(): Promise<void>;
}

/** The largest group of commits that is told apart, as a power of two. */
export const COMMIT_GROUPS = 11;

/** How an engine groups commits into transactions, since it was opened. */
export interface CommitFigures {
  /** Commits that are not settled. */
  readonly underWay: number;
  /** Commits whose transaction has ended. */
  readonly commits: number;
  /** Transactions by how many commits shared them: at place n those of at most 2^n and more than half as many. */
  readonly groups: readonly number[];
}

/** The range that holds exactly `key`. */
export function pointRange(key: Buffer): Range {
  const end = Buffer.allocUnsafe(key.length + 1);
  key.copy(end);
  end[key.length] = 0;
  return { start: key, end, limit: 1 };
}
