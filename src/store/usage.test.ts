import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { manualClock } from "../engines/clock/manual.ts";
import { usage } from "./usage.ts";
import type { Walk } from "./walk.ts";

describe("the count of what buckets hold", () => {
  it("is stopped at once, also in a pause, whose timer keeps no process alive", async () => {
    const pages: (Buffer | undefined)[] = [];
    const next = Buffer.from("next");
    const walk = {
      buckets: async (from: Buffer | undefined) => {
        pages.push(from);
        return { items: [], next };
      },
    } as unknown as Walk;
    const counted = usage({ walk, clock: manualClock(0), report: assert.ifError });
    counted.begin(10);
    // Its first page was read, and the clock stands still.
    await new Promise((resolve) => setImmediate(resolve));
    await counted.stop();
    assert.deepEqual(pages, [undefined]);
    assert.equal(counted.last(), undefined);
  });
});
