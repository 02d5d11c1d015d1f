/** Blob files kept open for reading, so that a GET begins with a read and not with an open. */
import { LRUCache } from "lru-cache";
import type { BlobId } from "../../ports/blobs.ts";
import { type OpenBlobFile, openBlobFile } from "./blob-file.ts";
import { closeFile, openFile, TO_READ } from "./disk.ts";

/** Files kept open while nobody reads them; 1,024 descriptors is what a process can count on. */
const IDLE_MAX = 256;
/** After this long without a reader a file is closed, since a removed file takes up the disk while it is open. */
const IDLE_MS = 15_000;

interface Entry {
  readonly file: Promise<OpenBlobFile>;
  readers: number;
  /** No longer in the cache: the last reader closes it. */
  dropped: boolean;
}

/** A file that the caller may read until it calls `release`, once. */
export interface Lease {
  readonly file: OpenBlobFile;
  readonly release: () => void;
}

export class OpenFiles {
  readonly #pathOf: (id: BlobId) => string;
  readonly #entries: LRUCache<BlobId, Entry>;
  readonly #closing = new Set<Promise<void>>();
  #sweep: NodeJS.Timeout | undefined;

  constructor(pathOf: (id: BlobId) => string) {
    this.#pathOf = pathOf;
    this.#entries = new LRUCache({
      max: IDLE_MAX,
      ttl: IDLE_MS,
      updateAgeOnGet: true,
      dispose: (entry) => {
        entry.dropped = true;
        this.#closeUnread(entry);
      },
    });
  }

  /** Opens the blob's file, or shares the open one. Rejects as openFile and openBlobFile do. */
  async lease(id: BlobId): Promise<Lease> {
    const entry = this.#entries.get(id) ?? this.#add(id);
    entry.readers++;
    const release = (): void => {
      entry.readers--;
      this.#closeUnread(entry);
    };
    try {
      return { file: await entry.file, release };
    } catch (error) {
      if (this.#entries.peek(id) === entry) this.#entries.delete(id);
      release();
      throw error;
    }
  }

  /** Closes the file when its readers have left; the next lease opens anew. */
  forget(id: BlobId): void {
    this.#entries.delete(id);
  }

  /** Closes every file that nobody reads, for want of descriptors. */
  async forgetAll(): Promise<void> {
    this.#entries.clear();
    await Promise.all(this.#closing);
  }

  async close(): Promise<void> {
    clearInterval(this.#sweep);
    this.#sweep = undefined;
    await this.forgetAll();
  }

  #add(id: BlobId): Entry {
    const entry: Entry = { file: this.#open(id), readers: 0, dropped: false };
    this.#entries.set(id, entry);
    this.#sweep ??= setInterval(() => {
      this.#entries.purgeStale();
      if (this.#entries.size > 0) return;
      clearInterval(this.#sweep);
      this.#sweep = undefined;
    }, IDLE_MS).unref();
    return entry;
  }

  async #open(id: BlobId): Promise<OpenBlobFile> {
    const fd = await openFile(this.#pathOf(id), TO_READ);
    try {
      return await openBlobFile(id, fd);
    } catch (error) {
      await closeFile(fd);
      throw error;
    }
  }

  #closeUnread(entry: Entry): void {
    if (!entry.dropped || entry.readers > 0) return;
    const closing = entry.file.then(
      (file) => closeFile(file.fd),
      () => undefined,
    );
    // Nothing was written through it, so there is nothing that a failing close could lose.
    const over = closing.catch(() => undefined).finally(() => this.#closing.delete(over));
    this.#closing.add(over);
  }
}
