import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { type Range, type Row, RowDamaged } from "../ports/metadata.ts";
import { eachRowIn } from "./read-rows.ts";

/** Rows in the order in which a database has them, searched as it does; keys with a capital are damaged. */
function engine(keys: readonly string[]) {
  return {
    async read([range]: readonly Range[]): Promise<readonly (readonly Row[])[]> {
      const { start, end, limit } = range as Range;
      let [low, high] = [0, keys.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (Buffer.from(keys[middle] as string).compare(start) < 0) low = middle + 1;
        else high = middle;
      }
      const rows: Row[] = [];
      for (const name of keys.slice(low)) {
        const key = Buffer.from(name);
        if (rows.length === limit || end.compare(key) <= 0) break;
        if (name !== name.toLowerCase()) throw new RowDamaged(key);
        rows.push({ key, value: Buffer.alloc(0), version: 1 });
      }
      return [rows];
    },
  };
}

async function read(keys: readonly string[], limit: number) {
  const found: string[] = [];
  const damaged = new Set<string>();
  const range = { start: Buffer.from("a"), end: Buffer.from("zz"), limit };
  const visit = ({ key }: Row): void => void found.push(String(key));
  await eachRowIn(engine(keys), range, (key) => damaged.add(String(key)), visit);
  return { found, damaged: [...damaged] };
}

describe("reading on past damaged rows", () => {
  const sound = ["a", "b", "c", "d", "e", "f"];

  it("gives every other row, once, and tells the keys of these", async () => {
    for (const limit of [1, 2, 3, 4, 10, 100]) {
      for (let at = 0; at < sound.length; at++) {
        const hurt = [`${sound[at]}X`, `${sound[at]}Y`];
        const result = await read(sound.toSpliced(at + 1, 0, ...hurt), limit);
        assert.deepEqual(result, { found: sound, damaged: hurt });
      }
    }
  });

  it("comes to an end where damaged keys seem to sort elsewhere, and gives no row twice", async () => {
    for (const limit of [1, 2, 3, 4, 10, 100]) {
      for (let at = 0; at <= sound.length; at++) {
        for (const key of ["A", "aX", "zX"]) {
          const { found } = await read(sound.toSpliced(at, 0, key), limit);
          assert.deepEqual(found, [...new Set(found)].sort(), `${key} at ${at}, ${limit} at a time`);
        }
      }
    }
    assert.deepEqual(await read(["a", "b", "c", "B", "d"], 100), { found: ["a", "b", "c", "d"], damaged: ["B"] });
  });
});
