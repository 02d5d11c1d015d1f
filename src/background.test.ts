import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { type BackgroundTask, dueWork, schedule } from "./background.ts";
import { type ManualClock, manualClock } from "./engines/clock/manual.ts";

const START = Date.UTC(2026, 0, 1);
const HOUR_MS = 60 * 60 * 1000;
const MINUTE_MS = 60_000;

/** A task that is due every hour, and what it did. */
function hourly(clock: ManualClock, fails: () => boolean = () => false): BackgroundTask & { readonly runs: number[] } {
  let next = START + HOUR_MS;
  const runs: number[] = [];
  return {
    name: "hourly",
    runs,
    nextDue: async () => next,
    async runDue(nowMs) {
      if (fails()) throw new Error("cannot");
      runs.push(clock.now());
      while (next <= nowMs) next += HOUR_MS;
    },
    statistics: async () => ({ runs: runs.length }),
    stop: async () => {},
  };
}

/** Lets what waits for nothing but promises go on. */
const settle = () => new Promise((resolve) => void setImmediate(resolve));

async function advance(clock: ManualClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= MINUTE_MS) {
    clock.advance(Math.min(left, MINUTE_MS));
    await settle();
  }
}

describe("background work", () => {
  it("is done when it is due, and not before", async () => {
    const clock = manualClock(START);
    const task = hourly(clock);
    const scheduled = schedule([task], { clock, report: (error) => assert.fail(String(error)) });
    await advance(clock, HOUR_MS - MINUTE_MS);
    assert.deepEqual(task.runs, []);
    await advance(clock, 2 * MINUTE_MS);
    assert.equal(task.runs.length, 1);
    await advance(clock, HOUR_MS);
    assert.equal(task.runs.length, 2);
    await scheduled.stop();
    await advance(clock, 2 * HOUR_MS);
    assert.equal(task.runs.length, 2);
  });

  it("is noticed to be due within a minute of a clock that was set", async () => {
    const clock = manualClock(START);
    const task = hourly(clock);
    const scheduled = schedule([task], { clock, report: (error) => assert.fail(String(error)) });
    await advance(clock, MINUTE_MS);
    clock.set(START + 400 * 24 * HOUR_MS);
    await advance(clock, 2 * MINUTE_MS);
    assert.equal(task.runs.length, 1);
    await scheduled.stop();
  });

  it("is tried again when it failed, and the fault is told", async () => {
    const clock = manualClock(START);
    let broken = true;
    const task = hourly(clock, () => broken);
    const told: unknown[] = [];
    const scheduled = schedule([task], { clock, report: (error) => told.push(error) });
    await advance(clock, HOUR_MS + 2 * MINUTE_MS);
    assert.ok(told.length >= 2);
    broken = false;
    await advance(clock, MINUTE_MS);
    assert.equal(task.runs.length, 1);
    await scheduled.stop();
  });

  it("sec_S-10.4: is held when the machine's clock jumps by more than a day, and not when it creeps", async () => {
    const clock = manualClock(START);
    const task = hourly(clock);
    const told: unknown[] = [];
    const scheduled = schedule([task], { clock, machine: () => clock.now(), report: (error) => told.push(error) });
    await advance(clock, MINUTE_MS);
    clock.set(clock.now() + 23 * HOUR_MS);
    await advance(clock, 2 * MINUTE_MS);
    assert.equal(task.runs.length, 1);
    clock.set(clock.now() + 400 * 24 * HOUR_MS);
    await advance(clock, 3 * HOUR_MS);
    assert.equal(task.runs.length, 1);
    assert.equal(told.length, 1);
    assert.match(String(told[0]), /clock has jumped by 9600 hours/);
    await scheduled.stop();
  });

  it("sec_S-10.4: is held from the start when the clock has jumped since what it is given as right", async () => {
    const clock = manualClock(START);
    const since = { machineMs: clock.now(), monotonicMs: clock.monotonic() };
    clock.advance(MINUTE_MS);
    clock.set(clock.now() + 400 * 24 * HOUR_MS);
    const task = hourly(clock);
    const told: unknown[] = [];
    const scheduled = schedule([task], {
      clock,
      machine: () => clock.now(),
      since,
      report: (error) => told.push(error),
    });
    await advance(clock, 3 * HOUR_MS);
    assert.deepEqual(task.runs, []);
    assert.match(String(told[0]), /clock has jumped by 9600 hours/);
    await scheduled.stop();
  });

  it("counts as done for whoever moves the clock when another process has done it", async () => {
    const clock = manualClock(START + HOUR_MS);
    const task = hourly(clock);
    let asked = 0;
    const busy: BackgroundTask = {
      ...task,
      async runDue(nowMs) {
        asked += 1;
        if (asked === 3) await task.runDue(nowMs);
      },
    };
    const done = dueWork(busy, clock).runDue();
    for (let waits = 0; waits < 3; waits++) {
      await settle();
      clock.advance(100);
    }
    await done;
    assert.equal(task.runs.length, 1);
  });
});
