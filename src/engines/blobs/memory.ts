/** Blobs in the memory of this process: for tests and trials. Everything is gone when the process ends. */
import { BlobDamaged, type BlobEngine, type BlobId, StorageUnavailable } from "../../ports/blobs.ts";
import type { Random } from "../../ports/random.ts";
import type { KeepsBlobs } from "../../ports/saved-state.ts";
import { blobIds, drawIncarnation } from "./blob-ids.ts";
import { BUFFER_BYTES, giveBuffer, takeBuffer } from "./buffers.ts";

export interface MemoryBlobsOptions {
  readonly random: Random;
  /** Bytes that all blobs together may take, those being put and those kept included; 2 GiB unless told. */
  readonly bytesMax?: number;
  /** Room that several stores share, in place of `bytesMax`. */
  readonly room?: MemoryRoom;
}

export interface MemoryRoom {
  /** Bytes that are taken, by all of them. */
  taken: number;
  readonly bytesMax: number;
}

const BYTES_MAX = 2 * 1024 ** 3;

interface Held {
  /** All of BUFFER_BYTES except the last. */
  readonly pages: readonly Buffer[];
  readonly size: number;
}

export function memoryBlobs({
  random,
  bytesMax = BYTES_MAX,
  room = { taken: 0, bytesMax },
}: MemoryBlobsOptions): BlobEngine & KeepsBlobs {
  const incarnation = drawIncarnation(random);
  const nextId = blobIds(incarnation);
  const blobs = new Map<BlobId, Held>();
  // Every id given out and not yet forgotten, ascending; removed ones are swept out when they are the majority.
  let ids: BlobId[] = [];
  /** Those that are kept past their removal, with how many keep them. */
  const kept = new Map<BlobId, { readonly held: Held; keepers: number }>();
  /** Of the room, what is taken by this store. */
  let bytes = 0;
  /** Nothing of the room is its own any more; what was being taken in must neither take nor give. */
  let closed = false;

  function reserve(count: number): void {
    if (closed) throw new StorageUnavailable("full", "the memory store is closed and holds nothing any more");
    if (room.taken + count > room.bytesMax) {
      const told = `the memory store holds ${room.taken} bytes and may hold ${room.bytesMax}`;
      throw new StorageUnavailable("full", told);
    }
    bytes += count;
    room.taken += count;
  }

  function free(count: number): void {
    if (closed) return;
    bytes -= count;
    room.taken -= count;
  }

  return {
    incarnation,

    async put(body) {
      const pages: Buffer[] = [];
      let page: Buffer | undefined;
      let filled = 0;
      let size = 0;
      try {
        for await (const chunk of body) {
          reserve(chunk.length);
          size += chunk.length;
          for (let at = 0; at < chunk.length; ) {
            page ??= takeBuffer();
            const copied = chunk.copy(page, filled, at);
            at += copied;
            filled += copied;
            if (filled === BUFFER_BYTES) {
              pages.push(page);
              page = undefined;
              filled = 0;
            }
          }
        }
        if (page && filled > 0) {
          const last = Buffer.allocUnsafeSlow(filled);
          page.copy(last, 0, 0, filled);
          pages.push(last);
        }
      } catch (error) {
        free(size);
        throw error;
      } finally {
        if (page) giveBuffer(page);
      }
      const id = nextId();
      blobs.set(id, { pages, size });
      ids.push(id);
      return { id, size };
    },

    async *read(id, start, end) {
      const held = blobs.get(id);
      if (!held) throw new BlobDamaged(id, "it is not there");
      if (end > held.size) throw new BlobDamaged(id, `it has ${held.size} bytes, not ${end}`);
      for (let at = start; at < end; ) {
        const offset = at % BUFFER_BYTES;
        const chunk = held.pages[(at - offset) / BUFFER_BYTES]?.subarray(offset, offset + end - at);
        if (!chunk) throw new BlobDamaged(id, `it has no byte ${at}`);
        yield chunk;
        at += chunk.length;
        // A reader that never waits, such as one that only sums, must not keep everybody else waiting.
        if (at < end) await new Promise((resolve) => setImmediate(resolve));
      }
    },

    async remove(removed) {
      for (const id of removed) {
        if (!kept.has(id)) free(blobs.get(id)?.size ?? 0);
        blobs.delete(id);
      }
      if (blobs.size < ids.length / 2) ids = [...blobs.keys()].sort();
    },

    keep(wanted) {
      const mine = new Map<BlobId, Held>();
      let mineBytes = 0;
      for (const id of wanted) {
        const held = blobs.get(id);
        if (held === undefined || mine.has(id)) continue;
        mine.set(id, held);
        mineBytes += held.size;
        const known = kept.get(id);
        if (known === undefined) kept.set(id, { held, keepers: 1 });
        else known.keepers += 1;
      }
      return {
        bytes: mineBytes,
        putBack() {
          const before = blobs.size;
          for (const [id, held] of mine) blobs.set(id, held);
          if (blobs.size > before) ids = [...blobs.keys()].sort();
        },
        letGo() {
          for (const [id, held] of mine) {
            const known = kept.get(id);
            if (known === undefined || --known.keepers > 0) continue;
            kept.delete(id);
            if (!blobs.has(id)) free(held.size);
          }
          mine.clear();
        },
      };
    },

    async list(after, limit) {
      const found: BlobId[] = [];
      for (let at = after === undefined ? 0 : firstAfter(ids, after); at < ids.length && found.length < limit; at++) {
        const id = ids[at] as BlobId;
        if (blobs.has(id)) found.push(id);
      }
      return found;
    },

    async close() {
      blobs.clear();
      kept.clear();
      ids = [];
      free(bytes);
      closed = true;
    },
  };
}

/** Where the first id greater than `after` stands in the ascending `ids`. */
function firstAfter(ids: readonly BlobId[], after: BlobId): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ids[middle] as BlobId) <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}
