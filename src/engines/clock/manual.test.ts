import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { manualClock } from "./manual.ts";
import { systemClock } from "./system.ts";

describe("the manual clock", () => {
  it("stands still until it is moved", () => {
    const clock = manualClock(1_700_000_000_000);
    assert.deepEqual([clock.now(), clock.monotonic()], [1_700_000_000_000, 0]);
    clock.advance(1_500);
    assert.deepEqual([clock.now(), clock.monotonic()], [1_700_000_001_500, 1_500]);
  });

  it("sets virtual time without the monotonic clock or the timers noticing", () => {
    const clock = manualClock(5_000);
    let rang = 0;
    clock.after(10, () => rang++);
    clock.set(1_000_000);
    clock.set(3);
    assert.deepEqual([clock.now(), clock.monotonic(), rang], [3, 0, 0]);
    clock.advance(10);
    assert.deepEqual([clock.now(), clock.monotonic(), rang], [13, 10, 1]);
  });

  it("runs timers in the order they fall due, each at its own time, with those they start", () => {
    const clock = manualClock(0);
    const rang: string[] = [];
    const ring = (name: string) => () => void rang.push(`${name} at ${clock.monotonic()}`);
    clock.after(20, ring("late"));
    clock.after(10, ring("early"));
    clock.after(10, ring("early too"));
    clock.after(5, () => clock.after(3, ring("started on the way")));
    clock.after(21, ring("not yet"));
    const called = clock.after(1, ring("called off"));
    called.cancel();
    clock.advance(20);
    assert.deepEqual(rang, ["started on the way at 8", "early at 10", "early too at 10", "late at 20"]);
    clock.advance(1);
    assert.equal(rang.at(-1), "not yet at 21");
    assert.equal(rang.length, 5);
  });

  it("refuses to go back", () => {
    const clock = manualClock(0);
    assert.throws(() => clock.advance(-1), RangeError);
    assert.throws(() => clock.advance(Number.NaN), RangeError);
  });
});

describe("the system clock", () => {
  it("tells the time of the machine, and a monotonic one that does not go back", () => {
    const clock = systemClock();
    const before = Date.now();
    const now = clock.now();
    assert.ok(now >= before && now <= Date.now());
    const first = clock.monotonic();
    assert.ok(clock.monotonic() >= first);
  });

  it("counts monotonic time from where every process of the machine does", () => {
    const before = Number(process.hrtime.bigint()) / 1e6;
    const there = systemClock().monotonic();
    const after = Number(process.hrtime.bigint()) / 1e6;
    // The two clocks are read one after the other, when the module is loaded.
    const apartMs = 1_000;
    assert.ok(before - apartMs <= there && there <= after + apartMs, `${before} ${there} ${after}`);
  });

  it("runs a task once, unless it is called off", async () => {
    const clock = systemClock();
    const rang: string[] = [];
    clock.after(1, () => void rang.push("called off")).cancel();
    await new Promise<void>((resolve) => {
      clock.after(5, () => {
        rang.push("rang");
        resolve();
      });
    });
    assert.deepEqual(rang, ["rang"]);
  });
});
