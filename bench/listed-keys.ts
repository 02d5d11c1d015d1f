/** The keys of the bucket that is listed. */

/** Keys under one prefix. */
export const KEYS_IN_PREFIX = 1000;

/** Name of a key; names sort as their numbers do. */
export function listedKey(index: number): string {
  const prefix = Math.floor(index / KEYS_IN_PREFIX);
  return `dir-${String(prefix).padStart(6, "0")}/key-${String(index % KEYS_IN_PREFIX).padStart(4, "0")}`;
}
