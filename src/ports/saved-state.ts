/** What engines that keep everything in memory can do besides: hold on to what there is at one moment, and go back to it. */

import type { BlobId } from "./blobs.ts";
import type { Range, Row, Write } from "./metadata.ts";

/** Rows of one moment. Their buffers are the engine's: nobody writes to them. */
export interface RowsView {
  get(key: Buffer): Buffer | undefined;
  /** In byte order, as `Range` says. */
  list(range: Range): readonly Pick<Row, "key" | "value">[];
}

export interface SavedRows extends RowsView {
  /** Bytes of its keys and values. */
  readonly bytes: number;
  /**
   * Puts these rows in place of all there are, with what `change` writes besides, in one step. `change` is called in it
   * with the rows that go; what it throws leaves them where they are. Every row has a version that none had before, so
   * that whoever has read something runs again.
   */
  putBack(change: (live: RowsView) => readonly Write[]): void;
}

/** A metadata engine whose rows can be saved. */
export interface SavesRows {
  /** Costs a step per row, and shares their bytes. */
  save(): SavedRows;
}

export interface KeptBlobs {
  /** Bytes of all of them. */
  readonly bytes: number;
  /** Makes all of them readable again. */
  putBack(): void;
  /** They may go, unless they are stored or kept otherwise. Later calls do nothing. */
  letGo(): void;
}

/** A blob engine whose blobs can be kept past their removal. */
export interface KeepsBlobs {
  /** Ids that are not there are passed over. */
  keep(ids: Iterable<BlobId>): KeptBlobs;
}
