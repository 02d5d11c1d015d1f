import type { Seen, Write } from "../../ports/metadata.ts";

/** Longest key in bytes. LMDB takes 1,978 on 4 KiB pages; the port promises less, so that every engine can honour it. */
export const KEY_BYTES_MAX = 1_900;

/** Most rows that one commit may name, seen and written together. */
export const COMMIT_ROWS_MAX = 1_000;

/**
 * Holds a commit against the bounds of the port, before anything of it is applied, so that engines refuse alike.
 * @throws RangeError for a key outside 1 to 1,900 bytes, or more than 1,000 rows.
 */
export function checkCommit(seen: readonly Seen[], writes: readonly Write[]): void {
  const rows = seen.length + writes.length;
  if (rows > COMMIT_ROWS_MAX) throw new RangeError(`a commit of ${rows} rows, where ${COMMIT_ROWS_MAX} are the most`);
  for (const row of seen) checkKey(row.key);
  for (const row of writes) checkKey(row.key);
}

function checkKey(key: Buffer): void {
  if (key.length < 1 || key.length > KEY_BYTES_MAX) {
    throw new RangeError(`a key of ${key.length} bytes, where 1 to ${KEY_BYTES_MAX} are allowed`);
  }
}
