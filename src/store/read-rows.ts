/** Reading on past rows that are damaged, for those who look for damage. */
import { type MetadataEngine, type Range, type Row, RowDamaged } from "../ports/metadata.ts";
import { after } from "./keys.ts";

/**
 * The rows of a range in ascending order, at most its limit of them, without those that do not match their checksum:
 * their keys go to `damaged`. Fewer rows than the limit mean that there are no more.
 */
export async function readRows(
  metadata: Pick<MetadataEngine, "read">,
  range: Range,
  damaged: (key: Buffer) => void,
): Promise<readonly Row[]> {
  let found: readonly Row[] = [];
  for (let rest = range; ; ) {
    try {
      const [rows = []] = await metadata.read([rest]);
      return found.length === 0 ? rows : [...found, ...rows];
    } catch (error) {
      if (!(error instanceof RowDamaged)) throw error;
      // A range is read in order, so those before this one are sound.
      if (rest.start.compare(error.key) < 0) {
        const [before = []] = await metadata.read([{ ...rest, end: error.key }]);
        found = [...found, ...before];
      }
      damaged(error.key);
      if (found.length >= range.limit) return found;
      rest = { ...range, start: after(error.key), limit: range.limit - found.length };
    }
  }
}

/** Every row of a range, in pages of its limit, each visited and waited for; damaged ones go to `damaged`. */
export async function eachRowIn(
  metadata: Pick<MetadataEngine, "read">,
  range: Range,
  damaged: (key: Buffer) => void,
  visit: (row: Row) => void | Promise<void>,
  onPage: (rows: number) => void = () => undefined,
): Promise<void> {
  for (let rest = range; ; ) {
    const rows = await readRows(metadata, rest, damaged);
    for (const row of rows) {
      const waited = visit(row);
      if (waited) await waited;
    }
    onPage(rows.length);
    const last = rows.at(-1);
    if (!last || rows.length < range.limit) return;
    rest = { ...range, start: after(last.key) };
  }
}
