import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { manualClock } from "./manual.ts";
import { steadyTime } from "./steady.ts";

const START = Date.UTC(2026, 0, 1);

describe("steady time", () => {
  it("is never further ahead than what has gone by allows, and follows a clock that is set back", () => {
    const clock = manualClock(START);
    const now = steadyTime(clock, 100);
    clock.set(START + 5_000);
    assert.equal(now(), START + 100);
    clock.advance(10);
    assert.equal(now(), START + 110);
    clock.set(START - 5_000);
    assert.equal(now(), START - 5_000);
  });

  it("goes by the reading it is given, and not by the time it finds", () => {
    const clock = manualClock(START);
    clock.advance(20);
    const since = { machineMs: clock.now(), monotonicMs: clock.monotonic() };
    clock.advance(30);
    clock.set(START + 1_000_000);
    assert.equal(steadyTime(clock, 100, since)(), START + 150);
    assert.equal(steadyTime(clock, 100)(), START + 1_000_000);
  });
});
