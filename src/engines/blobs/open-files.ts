/** Files kept open for reading, so that a GET begins with a read and not with an open. */
import { LRUCache } from "lru-cache";
import { closeFile, openFile, TO_READ } from "./disk.ts";

/** Files kept open while nobody reads them; 1,024 descriptors is what a process can count on. */
const IDLE_MAX = 256;
/** After this long a file is closed, since one that was removed takes up the disk while it is open. */
const IDLE_MS = 15_000;

interface Entry<File> {
  readonly file: Promise<File>;
  readers: number;
  /** No longer in the cache: the last reader closes it. */
  dropped: boolean;
}

/** A file that the caller may read until it calls `release`, once. */
export interface Lease<File> {
  readonly file: File;
  readonly release: () => void;
}

export interface OpenFilesOptions<File> {
  readonly pathOf: (name: string) => string;
  /** What readers need to know of the file. The descriptor stays the caller's when this throws. */
  readonly inspect: (name: string, fd: number) => Promise<File>;
  /**
   * Whether each lease begins the time anew after which an idle file is closed. Not for files that other processes
   * replace: a busy one would be kept open for good.
   */
  readonly renew: boolean;
}

export class OpenFiles<File extends { readonly fd: number }> {
  readonly #options: OpenFilesOptions<File>;
  readonly #entries: LRUCache<string, Entry<File>>;
  readonly #closing = new Set<Promise<void>>();
  #sweep: NodeJS.Timeout | undefined;

  constructor(options: OpenFilesOptions<File>) {
    this.#options = options;
    this.#entries = new LRUCache({
      max: IDLE_MAX,
      ttl: IDLE_MS,
      updateAgeOnGet: options.renew,
      dispose: (entry) => {
        entry.dropped = true;
        this.#closeUnread(entry);
      },
    });
  }

  /** Opens the file, or shares the open one. Rejects as openFile and `inspect` do. */
  async lease(name: string): Promise<Lease<File>> {
    const entry = this.#entries.get(name) ?? this.#add(name);
    entry.readers++;
    const release = (): void => {
      entry.readers--;
      this.#closeUnread(entry);
    };
    try {
      return { file: await entry.file, release };
    } catch (error) {
      if (this.#entries.peek(name) === entry) this.#entries.delete(name);
      release();
      throw error;
    }
  }

  /** Closes the file when its readers have left; the next lease opens anew. */
  forget(name: string): void {
    this.#entries.delete(name);
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

  #add(name: string): Entry<File> {
    const entry: Entry<File> = { file: this.#open(name), readers: 0, dropped: false };
    this.#entries.set(name, entry);
    this.#sweep ??= setInterval(() => {
      this.#entries.purgeStale();
      if (this.#entries.size > 0) return;
      clearInterval(this.#sweep);
      this.#sweep = undefined;
    }, IDLE_MS).unref();
    return entry;
  }

  async #open(name: string): Promise<File> {
    const { pathOf, inspect } = this.#options;
    const fd = await openFile(pathOf(name), TO_READ);
    try {
      return await inspect(name, fd);
    } catch (error) {
      await closeFile(fd);
      throw error;
    }
  }

  #closeUnread(entry: Entry<File>): void {
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
