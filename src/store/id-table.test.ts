import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "vitest";
import { IdTable } from "./id-table.ts";

const idOf = (seed: number, digits: number): string => {
  const hash = createHash("sha256").update(String(seed)).digest("hex");
  return hash.slice(0, digits);
};

describe("a table of ids", () => {
  it.each([32, 64])("keeps what a map keeps, through its growth (%i digits)", (digits) => {
    const table = new IdTable(digits);
    const map = new Map<string, number>();
    for (let seed = 0; seed < 5_000; seed++) {
      // Ids of one process differ in their last digits alone.
      const id = seed % 2 === 0 ? idOf(seed % 3_000, digits) : seed.toString(16).padStart(digits, "0");
      const slot = table.add(id, seed);
      if (map.has(id)) assert.equal(table.values[slot], map.get(id));
      else map.set(id, seed);
    }
    assert.equal(table.size, map.size);
    for (const [id, value] of map) assert.equal(table.values[table.find(id)], value);
    assert.equal(table.find("f".repeat(digits)), -1);
    assert.deepEqual(new Set(Array.from(table.entries(), ([, id]) => id)), new Set(map.keys()));
  });

  it("keeps marks through its growth", () => {
    const table = new IdTable(32);
    table.marks[table.add(idOf(1, 32))] = 7;
    for (let seed = 2; seed < 3_000; seed++) table.add(idOf(seed, 32));
    assert.equal(table.marks[table.find(idOf(1, 32))], 7);
    assert.equal(table.marks[table.find(idOf(2, 32))], 0);
  });
});
