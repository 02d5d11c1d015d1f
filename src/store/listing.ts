/**
 * Pages of keys, for objects and for uploads.
 *
 * A listing is the sequence of its items in byte order, keys and common prefixes together; a page is the first `limit`
 * items that sort after the marker. So a common prefix that equals the marker, or sorts before it because the marker
 * lies under it, is not shown again, nor is anything below it.
 *
 * What a common prefix hides is never read: the walk goes on behind it with a new seek. How many rows are asked for at
 * a time follows what the last ones were good for, so that a page costs in proportion to its items, whatever there is
 * between them. A page is not one instant: it shows every key that was there all the while it was made.
 */
import type { MetadataEngine, Row } from "../ports/metadata.ts";
import { after, prefixEnd } from "./keys.ts";

/** What a client asks for. */
export interface ListQuery {
  /** Only keys that begin with it; may be empty. */
  readonly prefix: string;
  /** Keys that contain it behind the prefix are shown as one common prefix, up to and with it; undefined shows all. */
  readonly delimiter: string | undefined;
  /** Only items after it; undefined or empty from the beginning. */
  readonly marker: string | undefined;
  /** Most keys and common prefixes together. 0 gives an empty page that is not truncated. */
  readonly limit: number;
}

export interface KeyList extends ListQuery {
  /** What begins the rows' keys; the keys of the listing follow. */
  readonly family: Buffer;
  /** Whether a NUL and more follow the listed key in a row's key: one key may have several rows, each an item. */
  readonly rowsPerKey?: "one" | "many";
  /** With many rows for a key: what follows the NUL in the last row shown of the marker's key; else all are passed over. */
  readonly markerTail?: string | Buffer | undefined;
}

export interface KeyPage {
  /** Rows in order; none of them is under one of the prefixes. */
  readonly rows: readonly Row[];
  readonly prefixes: readonly string[];
  readonly truncated: boolean;
  /** The last item: a key, or a common prefix. Undefined on an empty page. */
  readonly lastItem: string | undefined;
  /** The row of the last item; undefined when it is a common prefix. */
  readonly lastRow: Row | undefined;
}

/** Rows of the first read when there may be prefixes to skip. */
const FIRST_READ_ROWS = 64;
const READ_ROWS_MIN = 2;
const READ_ROWS_MAX = 1_001;
/**
 * Bytes of a bound of a read. Prefixes and markers come from outside at any length, and engines take keys up to 1,900
 * bytes. Every row's key is shorter than this, so a bound that is cut here still stands between the same rows.
 */
const BOUND_BYTES_MAX = 1_800;

/** One page of `list`. */
export async function listKeys(metadata: Pick<MetadataEngine, "read">, list: KeyList): Promise<KeyPage> {
  const { family, delimiter, limit, rowsPerKey = "one" } = list;
  const begin = bound(family, list.prefix);
  const end = prefixEnd(begin);
  const separator = delimiter === undefined || delimiter === "" ? undefined : Buffer.from(delimiter);

  /** Where the listed key ends in a row's key. */
  function keyEnd(key: Buffer): number {
    if (rowsPerKey === "one") return key.length;
    const nul = key.indexOf(0, family.length);
    return nul < 0 ? key.length : nul;
  }

  /** What begins all rows' keys of the common prefix that this key belongs to, if it belongs to one. */
  function group(key: Buffer, ends: number): Buffer | undefined {
    if (!separator) return undefined;
    const at = key.indexOf(separator, begin.length);
    return at < 0 || at + separator.length > ends ? undefined : key.subarray(0, at + separator.length);
  }

  function startKey(): Buffer {
    if (list.marker === undefined || list.marker === "") return begin;
    const marker = bound(family, list.marker);
    // A marker before the prefix has no say; what is under a common prefix that the marker has reached is behind us.
    const reached = marker.subarray(0, begin.length).equals(begin) ? group(marker, marker.length) : undefined;
    let start: Buffer;
    if (reached) start = prefixEnd(reached);
    else if (rowsPerKey === "one") start = after(marker);
    else if (list.markerTail === undefined) start = Buffer.concat([marker, Buffer.from([1])]);
    else start = after(bound(marker, Buffer.concat([NUL, Buffer.from(list.markerTail)])));
    return start.compare(begin) < 0 ? begin : start;
  }

  const rows: Row[] = [];
  const prefixes: string[] = [];
  let lastRow: Row | undefined;
  const page = (truncated: boolean): KeyPage => {
    const lastItem = lastRow ? lastRow.key.toString("utf8", family.length, keyEnd(lastRow.key)) : prefixes.at(-1);
    return { rows, prefixes, truncated, lastItem, lastRow };
  };

  if (limit === 0) return page(false);
  let start = startKey();
  let asked = Math.min(limit + 1, separator ? FIRST_READ_ROWS : READ_ROWS_MAX);
  for (;;) {
    if (start.compare(end) >= 0) return page(false);
    const [found = []] = await metadata.read([{ start, end, limit: asked }]);
    let shown = 0;
    /** Rows before this key belong to the last common prefix. */
    let hiddenUntil: Buffer | undefined;
    for (const row of found) {
      if (hiddenUntil && row.key.compare(hiddenUntil) < 0) continue;
      if (rows.length + prefixes.length === limit) return page(true);
      shown += 1;
      const ends = keyEnd(row.key);
      const common = group(row.key, ends);
      if (common) {
        hiddenUntil = prefixEnd(common);
        lastRow = undefined;
        prefixes.push(common.toString("utf8", family.length));
      } else {
        rows.push(row);
        lastRow = row;
      }
    }
    const last = found.at(-1);
    if (!last || found.length < asked) return page(false);
    start = hiddenUntil && last.key.compare(hiddenUntil) < 0 ? hiddenUntil : after(last.key);
    const wanted = limit - rows.length - prefixes.length + 1;
    if (shown * 2 > found.length) asked *= 2;
    else if (shown * 4 < found.length) asked = Math.floor(asked / 4);
    asked = Math.max(READ_ROWS_MIN, Math.min(asked, wanted, READ_ROWS_MAX));
  }
}

const NUL = Buffer.from([0]);

function bound(begin: Buffer, text: string | Buffer): Buffer {
  return Buffer.concat([begin, typeof text === "string" ? Buffer.from(text) : text]).subarray(0, BOUND_BYTES_MAX);
}
