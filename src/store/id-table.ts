/** A table from ids to numbers in a few dozen bytes for each, for walks over millions of rows. */

/** Slots at first; they double when half of them are taken. */
const SLOTS_MIN = 1_024;

/** Ids are hex digits, as many for each as the table was made for. Nothing is ever taken out. */
export class IdTable {
  readonly #words: number;
  #slots = SLOTS_MIN;
  #keys: Uint32Array;
  #taken: Uint8Array;
  /** What is kept for the id in a slot: a number of bytes, for example. */
  values: Float64Array;
  /** Another number, from 0 to 2^32 - 1. */
  marks: Uint32Array;
  #size = 0;
  readonly #key: Uint32Array;

  /** `digits` is a multiple of eight. */
  constructor(digits: number) {
    this.#words = digits / 8;
    this.#key = new Uint32Array(this.#words);
    this.#keys = new Uint32Array(this.#slots * this.#words);
    this.#taken = new Uint8Array(this.#slots);
    this.values = new Float64Array(this.#slots);
    this.marks = new Uint32Array(this.#slots);
  }

  get size(): number {
    return this.#size;
  }

  /** Adds the id, unless it is there, and gives its slot, which stands until the next id is added. */
  add(id: string, value = 0): number {
    if (this.#size * 2 >= this.#slots) this.#grow();
    const slot = this.#place(this.#wordsOf(id));
    if (this.#taken[slot] === 1) return slot;
    this.#taken[slot] = 1;
    this.#keys.set(this.#key, slot * this.#words);
    this.values[slot] = value;
    this.#size += 1;
    return slot;
  }

  /** The id's slot, or -1 where it was never added. */
  find(id: string): number {
    const slot = this.#place(this.#wordsOf(id));
    return this.#taken[slot] === 1 ? slot : -1;
  }

  has(id: string): boolean {
    return this.find(id) >= 0;
  }

  /** Every slot that is taken, with its id; in no order. */
  *entries(): Iterable<readonly [slot: number, id: string]> {
    for (let slot = 0; slot < this.#taken.length; slot++) {
      if (this.#taken[slot] === 0) continue;
      let id = "";
      for (let word = 0; word < this.#words; word++) {
        id += (this.#keys[slot * this.#words + word] as number).toString(16).padStart(8, "0");
      }
      yield [slot, id];
    }
  }

  #wordsOf(id: string): Uint32Array {
    for (let word = 0; word < this.#words; word++) {
      this.#key[word] = Number.parseInt(id.slice(word * 8, word * 8 + 8), 16);
    }
    return this.#key;
  }

  /** The slot that holds the key, or the free one where it would go. */
  #place(key: Uint32Array): number {
    let hash = 0;
    for (let word = 0; word < key.length; word++) {
      hash = Math.imul(hash ^ (key[word] as number), 0x9e37_79b1);
      hash ^= hash >>> 15;
    }
    const last = this.#slots - 1;
    for (let slot = hash & last; ; slot = (slot + 1) & last) {
      if (this.#taken[slot] === 0 || this.#holds(slot, key)) return slot;
    }
  }

  #holds(slot: number, key: Uint32Array): boolean {
    const at = slot * this.#words;
    for (let word = 0; word < key.length; word++) if (this.#keys[at + word] !== key[word]) return false;
    return true;
  }

  #grow(): void {
    const { values, marks } = this;
    const keys = this.#keys;
    const taken = this.#taken;
    this.#slots *= 2;
    this.#keys = new Uint32Array(this.#slots * this.#words);
    this.#taken = new Uint8Array(this.#slots);
    this.values = new Float64Array(this.#slots);
    this.marks = new Uint32Array(this.#slots);
    for (let from = 0; from < taken.length; from++) {
      if (taken[from] === 0) continue;
      const key = keys.subarray(from * this.#words, (from + 1) * this.#words);
      const to = this.#place(key);
      this.#taken[to] = 1;
      this.#keys.set(key, to * this.#words);
      this.values[to] = values[from] as number;
      this.marks[to] = marks[from] as number;
    }
  }
}

/** What stands for an upload in a table of 32 digits: half of its random ones, which is plenty. */
export function uploadTableId(uploadId: string): string {
  return uploadId.slice(10, 42);
}
