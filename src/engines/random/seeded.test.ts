import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { seededRandom } from "./seeded.ts";
import { systemRandom } from "./system.ts";

describe("seeded randomness", () => {
  it("gives the same bytes for the same seed, in whatever sizes they are asked for", () => {
    const whole = seededRandom(42).bytes(1_000);
    const random = seededRandom(42);
    const pieces = [1, 2, 3, 0, 5, 7, 982].map((size) => random.bytes(size));
    assert.deepEqual(Buffer.concat(pieces), whole);
  });

  it("gives other bytes for other seeds, neighbours included", () => {
    const starts = Array.from({ length: 1_000 }, (_, seed) => seededRandom(seed).bytes(8).toString("hex"));
    assert.equal(new Set(starts).size, 1_000);
  });

  it("favours no byte value", () => {
    const counts = Array.from({ length: 256 }, () => 0);
    for (const byte of seededRandom(7).bytes(256_000)) counts[byte] = (counts[byte] as number) + 1;
    // 1,000 of each are expected, with a standard deviation of 32.
    assert.ok(Math.min(...counts) > 800 && Math.max(...counts) < 1_200);
  });
});

describe("system randomness", () => {
  it("gives as many bytes as asked for, never the same 16 twice", () => {
    const random = systemRandom();
    assert.equal(random.bytes(0).length, 0);
    const drawn = Array.from({ length: 1_000 }, () => random.bytes(16).toString("hex"));
    assert.ok(drawn.every((hex) => hex.length === 32));
    assert.equal(new Set(drawn).size, 1_000);
  });
});
