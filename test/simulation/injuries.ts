/** What a disk does to a file behind the back of those who wrote it. */

import { readFileSync, writeFileSync } from "node:fs";
import type { Chance } from "../fuzz/chance.ts";

const PAGE_BYTES = 4096;
const BLOCK_BYTES = 64 * 1024;

const INJURIES = [
  "flip a bit",
  "flip a byte",
  "zero 4 KiB",
  "cut the end off",
  "add bytes",
  "swap two blocks",
  "an older block",
] as const;
export type Injury = (typeof INJURIES)[number] | "swap two files";

/** The bytes after the injury; the same as before where it has nothing to take hold of. */
function injured(
  before: Buffer,
  injury: (typeof INJURIES)[number],
  chance: Chance,
  older: Buffer,
  blockBytes: number,
): Buffer {
  const bytes = Buffer.from(before);
  const size = bytes.length;
  const at = chance.below(size);
  switch (injury) {
    case "flip a bit":
      bytes[at] = (bytes[at] as number) ^ (1 << chance.below(8));
      return bytes;
    case "flip a byte":
      bytes[at] = (bytes[at] as number) ^ (1 + chance.below(255));
      return bytes;
    case "zero 4 KiB":
      bytes.subarray(at - (at % PAGE_BYTES), at - (at % PAGE_BYTES) + PAGE_BYTES).fill(0);
      return bytes;
    case "cut the end off":
      return bytes.subarray(0, chance.once(2) ? at : Math.max(0, size - 1 - chance.below(100)));
    case "add bytes":
      return Buffer.concat([bytes, bytes.subarray(0, 1 + chance.below(PAGE_BYTES))]);
    case "swap two blocks": {
      const blocks = Math.ceil(size / blockBytes);
      const [from, to] = [chance.below(blocks) * blockBytes, chance.below(blocks) * blockBytes];
      before.copy(bytes, to, from, from + blockBytes);
      before.copy(bytes, from, to, to + blockBytes);
      return bytes;
    }
    case "an older block": {
      const from = at - (at % blockBytes);
      if (from < older.length) older.copy(bytes, from, from, from + blockBytes);
      return bytes;
    }
  }
}

/**
 * Injures the file, in one way or another, so that it is not what it was, and tells how. `older` is what the place it
 * lies in held before it: for a file whose pages are written again, an earlier copy of it.
 */
export function injure(path: string, chance: Chance, older: Buffer, pages: boolean): Injury {
  const before = readFileSync(path);
  for (;;) {
    const injury = chance.pick(INJURIES);
    const after = injured(before, injury, chance, older, pages ? PAGE_BYTES : chance.pick([PAGE_BYTES, BLOCK_BYTES]));
    if (after.equals(before)) continue;
    writeFileSync(path, after);
    return injury;
  }
}

/** Gives each of two files the bytes of the other. */
export function swapFiles(one: string, other: string): Injury {
  const bytes = readFileSync(one);
  writeFileSync(one, readFileSync(other));
  writeFileSync(other, bytes);
  return "swap two files";
}
