/**
 * The embedded metadata engine seen from a process beside the server: for commands that look at a data folder while it
 * is in use, or at one that nothing may change. LMDB lets any number of processes read while one writes.
 */

import { mkdir } from "node:fs/promises";
import type { MetadataEngine } from "../../ports/metadata.ts";
import { openDatabaseToRead, readRanges } from "./lmdb.ts";

/** One moment of the rows, held until it is ended. The writer keeps what it shows, so the data file may grow for it. */
export interface HeldSnapshot extends Pick<MetadataEngine, "read"> {
  end(): void;
}

export interface MetadataBeside {
  /** Each read is a snapshot of its own, of that moment. A commit rejects. */
  readonly current: MetadataEngine;
  snapshot(): HeldSnapshot;
  /** Writes a consistent copy of the whole database, as of some moment after the call, to `folder`, which is made. Rejects with MetadataUncopied. */
  copyTo(folder: string): Promise<void>;
  /** To be called when every snapshot has ended. */
  close(): Promise<void>;
}

/** Raised when the database cannot be copied: the disk that it goes to is full, or one of the two disks fails. */
export class MetadataUncopied extends Error {
  constructor(target: string, cause: unknown) {
    super(`the metadata cannot be copied to ${target}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
    this.name = "MetadataUncopied";
  }
}

/**
 * Opens the database in `folder` for reading.
 * @throws MetadataUnusable.
 */
export async function lmdbBeside(folder: string): Promise<MetadataBeside> {
  const database = await openDatabaseToRead(folder);
  const close = async (): Promise<void> => database.close();
  return {
    close,
    current: {
      close,
      async read(ranges) {
        database.resetReadTxn();
        return readRanges(database, ranges);
      },
      async commit() {
        throw new Error("this process only reads the metadata");
      },
    },
    snapshot() {
      database.resetReadTxn();
      const transaction = database.useReadTransaction();
      return {
        read: async (ranges) => readRanges(database, ranges, transaction),
        end() {
          transaction.done();
          // The library lets go of it with the next reset.
          database.resetReadTxn();
        },
      };
    },
    async copyTo(target) {
      await mkdir(target, { recursive: true, mode: 0o700 });
      try {
        // Compacted: without the pages that were free.
        await database.backup(target, true);
      } catch (error) {
        // The library has the system's words, and neither its code nor the file.
        throw new MetadataUncopied(target, error);
      }
    },
  };
}
