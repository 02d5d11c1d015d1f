import type { MetadataEngine, Range, Row, Seen, Write } from "../../ports/metadata.ts";
import { checkCommit } from "./bounds.ts";
import { OrderedRows, type StoredRow } from "./ordered-rows.ts";

/**
 * A metadata engine that lives as long as its process: durability tier `memory`. Reads and commits are synchronous
 * inside, so each of them is one snapshot. Keys and values are copied on the way in and on the way out.
 */
export function memoryMetadata(): MetadataEngine {
  const rows = new OrderedRows();
  let closed = false;
  // Counts commits. No number is used twice, so a row that was removed and made again never repeats a version.
  let version = 0;

  function checkOpen(): void {
    if (closed) throw new Error("the metadata store is closed");
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
      for (const { key, value } of writes) {
        const name = key.toString("latin1");
        if (value === undefined) rows.delete(name);
        else rows.set({ name, key: Buffer.from(key), value: Buffer.from(value), version });
      }
      return true;
    },

    async close(): Promise<void> {
      closed = true;
    },
  };
}

function handOut(row: StoredRow): Row {
  return { key: Buffer.from(row.key), value: Buffer.from(row.value), version: row.version };
}
