/**
 * After a sync that failed nobody knows what is on the disk, and a later sync that succeeds proves nothing. The engine
 * that met the failure takes no more writes. The other one shares its disk, so it takes none either: rows and bytes
 * stop together, reads go on, and whoever starts again finds everything that was acknowledged.
 */
import { type BlobEngine, StorageUnavailable } from "../ports/blobs.ts";
import type { MetadataEngine } from "../ports/metadata.ts";

export interface Engines {
  readonly metadata: MetadataEngine;
  readonly blobs: BlobEngine;
}

/** The same engines, of which neither changes anything any more once one has met a failed sync. */
export function stoppingTogether({ metadata, blobs }: Engines): Engines {
  let stopped: StorageUnavailable | undefined;

  async function changing<T>(change: () => Promise<T>): Promise<T> {
    if (stopped !== undefined) throw stopped;
    try {
      return await change();
    } catch (error) {
      if (error instanceof StorageUnavailable && error.trouble === "sync-failed") stopped ??= error;
      throw error;
    }
  }

  return {
    metadata: {
      read: (ranges) => metadata.read(ranges),
      commit: (seen, writes) =>
        writes.length === 0 ? metadata.commit(seen, writes) : changing(() => metadata.commit(seen, writes)),
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
