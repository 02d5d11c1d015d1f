/**
 * After a sync that failed nobody knows what is on the disk, and a later sync that succeeds proves nothing. The engine
 * that met the failure takes no more writes. The other one shares its disk, so it takes none either: rows and bytes
 * stop together, in every process that uses them, reads go on, and whoever starts again finds everything that was
 * acknowledged.
 */
import { type BlobEngine, StorageUnavailable } from "../ports/blobs.ts";
import type { MetadataEngine } from "../ports/metadata.ts";

export interface Engines {
  readonly metadata: MetadataEngine;
  readonly blobs: BlobEngine;
}

/** Engines of which neither changes anything any more once one has met a failed sync. */
export interface StoppingEngines extends Engines {
  /** Stops them for a sync that failed elsewhere. */
  stop(why: string): void;
  /** Whether they have stopped. */
  haveStopped(): boolean;
}

/** The same engines, stopping together; `onStopped` is called once, when they stop for a failure of their own. */
export function stoppingTogether({ metadata, blobs }: Engines, onStopped: (why: string) => void): StoppingEngines {
  let stopped: StorageUnavailable | undefined;

  async function changing<T>(change: () => Promise<T>): Promise<T> {
    if (stopped !== undefined) throw stopped;
    try {
      return await change();
    } catch (error) {
      if (stopped === undefined && error instanceof StorageUnavailable && error.trouble === "sync-failed") {
        stopped = error;
        onStopped(error.message);
      }
      throw error;
    }
  }

  return {
    haveStopped: () => stopped !== undefined,
    stop(why) {
      stopped ??= new StorageUnavailable("sync-failed", why);
    },
    metadata: {
      read: (ranges) => metadata.read(ranges),
      commit: (seen, writes) =>
        writes.length === 0 ? metadata.commit(seen, writes) : changing(() => metadata.commit(seen, writes)),
      ...(metadata.figures && { figures: metadata.figures }),
      close: () => metadata.close(),
    },
    blobs: {
      incarnation: blobs.incarnation,
      put: (body, sizeHint) => changing(() => blobs.put(body, sizeHint)),
      read: (id, start, end) => blobs.read(id, start, end),
      remove: (ids) => changing(() => blobs.remove(ids)),
      list: (after, limit) => blobs.list(after, limit),
      close: () => blobs.close(),
    },
  };
}
