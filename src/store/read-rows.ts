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
      const before = await rowsBefore(metadata, rest);
      found = [...found, ...before];
      damaged(error.key);
      if (found.length >= range.limit) return found;
      // Where it is the key that is damaged it may seem to stand anywhere, and must not lead back to where we were.
      const reached = before.at(-1)?.key ?? rest.start;
      const past = after(error.key.compare(reached) > 0 && error.key.compare(rest.end) < 0 ? error.key : reached);
      rest = { ...range, start: past, limit: range.limit - found.length };
    }
  }
}

/** The rows before the first damaged one of a range that has one: as many as can be read. */
async function rowsBefore(metadata: Pick<MetadataEngine, "read">, range: Range): Promise<readonly Row[]> {
  let sound: readonly Row[] = [];
  for (let tooMany = range.limit; tooMany - sound.length > 1; ) {
    const limit = Math.ceil((sound.length + tooMany) / 2);
    try {
      [sound = []] = await metadata.read([{ ...range, limit }]);
      // Somebody has taken the damaged row away meanwhile.
      if (sound.length < limit) return sound;
    } catch (error) {
      if (!(error instanceof RowDamaged)) throw error;
      tooMany = limit;
    }
  }
  return sound;
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
