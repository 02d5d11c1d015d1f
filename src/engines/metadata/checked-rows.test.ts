import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { RowDamaged } from "../../ports/metadata.ts";
import { sealed, unsealed } from "./checked-rows.ts";

const KEY = Buffer.from("o12345678photos/a.jpg");

describe("a row with its checksum", () => {
  it("gives back what was stored, of any size", () => {
    for (const length of [0, 1, 3, 4, 5, 100, 16 * 1024]) {
      const value = Buffer.alloc(length, "cosbox");
      const stored = sealed(KEY, value);
      assert.equal(stored.length, length + 4);
      assert.deepEqual(unsealed(KEY, stored, stored.length), value);
      // What lies behind, in a buffer that is used again, is none of it.
      assert.deepEqual(unsealed(KEY, Buffer.concat([stored, Buffer.from("more")]), stored.length), value);
    }
  });

  it("does not share the buffer it was given, nor the one it was read from", () => {
    const value = Buffer.from("before");
    const stored = sealed(KEY, value);
    value.fill("x");
    const read = unsealed(KEY, stored, stored.length);
    stored.fill("y");
    assert.equal(read.toString(), "before");
  });

  it("is refused with any one bit changed, in the value, the sum or the key", () => {
    const stored = sealed(KEY, Buffer.from("a small body"));
    for (let bit = 0; bit < stored.length * 8; bit++) {
      const hurt = Buffer.from(stored);
      hurt[bit >> 3] = (hurt[bit >> 3] as number) ^ (1 << (bit & 7));
      assert.throws(() => unsealed(KEY, hurt, hurt.length), RowDamaged);
    }
    for (let bit = 0; bit < KEY.length * 8; bit++) {
      const other = Buffer.from(KEY);
      other[bit >> 3] = (other[bit >> 3] as number) ^ (1 << (bit & 7));
      assert.throws(() => unsealed(other, stored, stored.length), RowDamaged);
    }
  });

  it("is refused with bytes missing from its end, or too many", () => {
    const stored = sealed(KEY, Buffer.from("a small body"));
    for (let size = 0; size < stored.length; size++) assert.throws(() => unsealed(KEY, stored, size), RowDamaged);
    const longer = Buffer.concat([stored, Buffer.alloc(1)]);
    assert.throws(() => unsealed(KEY, longer, longer.length), RowDamaged);
  });
});
