import type { MetadataEngine, Range, Row, Seen, Write } from "../../ports/metadata.ts";
import type { RowsView, SavesRows } from "../../ports/saved-state.ts";
import { checkCommit } from "./bounds.ts";
import { OrderedRows, type StoredRow } from "./ordered-rows.ts";

/**
 * A metadata engine that lives as long as its process: durability tier `memory`. Reads and commits are synchronous
 * inside, so each of them is one snapshot. Keys and values are copied on the way in and on the way out.
 */
export function memoryMetadata(): MetadataEngine & SavesRows {
  let rows = new OrderedRows();
  let closed = false;
  // Counts commits. No number is used twice, so a row that was removed and made again never repeats a version.
  let version = 0;

  function checkOpen(): void {
    if (closed) throw new Error("the metadata store is closed");
  }

  function apply(to: OrderedRows, key: Buffer, value: Buffer | undefined): void {
    const name = key.toString("latin1");
    if (value === undefined) to.delete(name);
    else to.set({ name, key: Buffer.from(key), value: Buffer.from(value), version });
  }

  return {
    async read(ranges: readonly Range[]): Promise<readonly (readonly Row[])[]> {
      checkOpen();
      return ranges.map((range) =>
        rows
          .slice(range.start.toString("latin1"), range.end.toString("latin1"), range.limit, range.reverse === true)
          .map(handOut),
      );
    },

    async commit(seen: readonly Seen[], writes: readonly Write[]): Promise<boolean> {
      checkOpen();
      checkCommit(seen, writes);
      if (seen.some((row) => rows.get(row.key.toString("latin1"))?.version !== row.version)) return false;
      version += 1;
      for (const { key, value } of writes) apply(rows, key, value);
      return true;
    },

    save() {
      checkOpen();
      const saved = rows.copy();
      return {
        ...viewOf(saved),
        bytes: saved.bytes(),
        putBack(change) {
          checkOpen();
          const writes = change(viewOf(rows));
          version += 1;
          const put = saved.copy(version);
          for (const { key, value } of writes) apply(put, key, value);
          rows = put;
        },
      };
    },

    async close(): Promise<void> {
      closed = true;
    },
  };
}

function viewOf(rows: OrderedRows): RowsView {
  return {
    get: (key) => rows.get(key.toString("latin1"))?.value,
    list: ({ start, end, limit, reverse }) =>
      rows.slice(start.toString("latin1"), end.toString("latin1"), limit, reverse === true),
  };
}

function handOut(row: StoredRow): Row {
  return { key: Buffer.from(row.key), value: Buffer.from(row.value), version: row.version };
}
