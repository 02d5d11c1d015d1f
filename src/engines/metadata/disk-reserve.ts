/**
 * Room that is kept for removals: a file of zeros beside the database, given up when a row is to be removed and the disk
 * has no byte left for the pages that this takes. Whoever filled the disk may take that room too, so it is a reserve and
 * no guarantee. It is made in the background, where there is plenty of room, and made again when there is again.
 */
import { statSync, truncateSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";

/** Bytes of the reserve: what removals may use down to their own bound, and as much again to stay above it. */
export const RESERVE_BYTES = 16 * 1_048_576;
/** Bytes that must be free for it to be made. */
const PLENTY_BYTES = 8 * RESERVE_BYTES;
/** A start, and a first write, have the disk to themselves for this long. */
const DELAY_MS = 1_000;
/** After trouble with making it, the next attempt is not before this. */
const RETRY_MS = 60_000;
const CHUNK_BYTES = 1_048_576;

export interface DiskReserve {
  /** Gives the room up; false when there was none to give. Other processes on the folder may be quicker. */
  release(): boolean;
  /** Says how many bytes are free: time to make the reserve, perhaps. Returns at once and never fails. */
  restore(freeBytes: number): void;
  /** Stops making it. */
  close(): Promise<void>;
}

/** The reserve in `folder`, which several processes may share. */
export function diskReserve(folder: string): DiskReserve {
  const path = join(folder, "reserve");
  let isThere = false;
  let timer: NodeJS.Timeout | undefined;
  let making: Promise<void> | undefined;
  let notBefore = 0;
  let closed = false;

  async function make(): Promise<void> {
    // Not emptied on opening: another process may have made it.
    const file = await open(path, "a+", 0o600);
    try {
      const { size, blocks } = await file.stat();
      if (size >= RESERVE_BYTES && blocks * 512 >= RESERVE_BYTES) return;
      await file.truncate(0);
      const zeros = Buffer.alloc(CHUNK_BYTES);
      for (let at = 0; at < RESERVE_BYTES && !closed; at += CHUNK_BYTES) await file.write(zeros);
      await file.datasync();
    } catch (error) {
      await file.truncate(0).catch(() => undefined);
      throw error;
    } finally {
      await file.close();
    }
  }

  return {
    release() {
      isThere = false;
      try {
        if (statSync(path).size === 0) return false;
        truncateSync(path, 0);
        return true;
      } catch {
        // There is none, or the disk says no even to that: the removal is refused as before.
        return false;
      }
    },

    restore(freeBytes) {
      if (isThere || timer !== undefined || closed || freeBytes < PLENTY_BYTES) return;
      if (performance.now() < notBefore) return;
      timer = setTimeout(() => {
        making = make().then(
          () => {
            isThere = true;
            timer = undefined;
          },
          () => {
            notBefore = performance.now() + RETRY_MS;
            timer = undefined;
          },
        );
      }, DELAY_MS).unref();
    },

    async close() {
      closed = true;
      clearTimeout(timer);
      await making;
    },
  };
}
