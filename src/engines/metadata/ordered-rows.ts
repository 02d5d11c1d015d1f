/**
 * Rows in byte order, in memory: sorted chunks of bounded size for order, and a map for single rows.
 *
 * A name is a key read as latin1. Two such strings compare as their bytes do, and the comparison stays inside the
 * JavaScript engine, where `Buffer.compare` would leave it 20 times for every seek.
 */

/** What is kept for one key. The buffers belong to the store and are never handed out. */
export interface StoredRow {
  readonly name: string;
  readonly key: Buffer;
  readonly value: Buffer;
  readonly version: number;
}

/** A chunk that grows past this is halved: small enough to shift quickly, large enough to keep the chunks few. */
const CHUNK_ROWS_MAX = 512;

export class OrderedRows {
  #rows = new Map<string, StoredRow>();
  /** Sorted names in sorted chunks. No chunk is empty. */
  #chunks: string[][] = [];

  get size(): number {
    return this.#rows.size;
  }

  /** Bytes of all keys and values. */
  bytes(): number {
    let bytes = 0;
    for (const { key, value } of this.#rows.values()) bytes += key.length + value.length;
    return bytes;
  }

  /** The same rows, all of one version where one is given, for changes of their own. Keys and values are shared. */
  copy(version?: number): OrderedRows {
    const copy = new OrderedRows();
    copy.#chunks = this.#chunks.map((chunk) => chunk.slice());
    if (version === undefined) copy.#rows = new Map(this.#rows);
    else for (const row of this.#rows.values()) copy.#rows.set(row.name, { ...row, version });
    return copy;
  }

  get(name: string): StoredRow | undefined {
    return this.#rows.get(name);
  }

  set(row: StoredRow): void {
    const known = this.#rows.has(row.name);
    this.#rows.set(row.name, row);
    if (known) return;
    if (this.#chunks.length === 0) {
      this.#chunks.push([row.name]);
      return;
    }
    const at = this.#chunkOf(row.name);
    const chunk = this.#chunks[at] as string[];
    chunk.splice(lowerBound(chunk, row.name), 0, row.name);
    if (chunk.length > CHUNK_ROWS_MAX) {
      // Rows mostly arrive in ascending order (times, part numbers), so the last chunk is left nearly full.
      const keep = at === this.#chunks.length - 1 ? CHUNK_ROWS_MAX - 32 : chunk.length >> 1;
      this.#chunks.splice(at + 1, 0, chunk.splice(keep));
    }
  }

  delete(name: string): void {
    if (!this.#rows.delete(name)) return;
    const at = this.#chunkOf(name);
    const chunk = this.#chunks[at] as string[];
    chunk.splice(lowerBound(chunk, name), 1);
    if (chunk.length === 0) this.#chunks.splice(at, 1);
  }

  /** Rows with `start <= name < end`, at most `limit`, ascending or descending. */
  slice(start: string, end: string, limit: number, reverse: boolean): StoredRow[] {
    return reverse ? this.#descending(start, end, limit) : this.#ascending(start, end, limit);
  }

  #ascending(start: string, end: string, limit: number): StoredRow[] {
    const found: StoredRow[] = [];
    if (this.#chunks.length === 0) return found;
    let at = this.#chunkOf(start);
    let row = lowerBound(this.#chunks[at] as string[], start);
    for (; at < this.#chunks.length; at++, row = 0) {
      const chunk = this.#chunks[at] as string[];
      for (; row < chunk.length; row++) {
        const name = chunk[row] as string;
        if (found.length >= limit || name >= end) return found;
        found.push(this.#rows.get(name) as StoredRow);
      }
    }
    return found;
  }

  #descending(start: string, end: string, limit: number): StoredRow[] {
    const found: StoredRow[] = [];
    if (this.#chunks.length === 0) return found;
    let at = this.#chunkOf(end);
    let row = lowerBound(this.#chunks[at] as string[], end) - 1;
    for (;;) {
      const chunk = this.#chunks[at] as string[];
      for (; row >= 0; row--) {
        const name = chunk[row] as string;
        if (found.length >= limit || name < start) return found;
        found.push(this.#rows.get(name) as StoredRow);
      }
      if (at === 0) return found;
      at--;
      row = (this.#chunks[at] as string[]).length - 1;
    }
  }

  /** The chunk that holds `name`, or would: the last one that does not begin after it. */
  #chunkOf(name: string): number {
    let low = 0;
    let high = this.#chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#chunks[middle]?.[0] as string) <= name) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The index of the first name that is not before `name`. */
function lowerBound(names: readonly string[], name: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((names[middle] as string) < name) low = middle + 1;
    else high = middle;
  }
  return low;
}
