import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { manualClock } from "../engines/clock/manual.ts";
import { systemClock } from "../engines/clock/system.ts";
import { memoryMetadata } from "../engines/metadata/memory.ts";
import { refuse } from "../errors/cos-error.ts";
import { type MetadataEngine, pointRange, type Seen, type Write } from "../ports/metadata.ts";
import { type Transact, TransactionContended, transactions } from "./transact.ts";

const bytes = (text: string) => Buffer.from(text);
const [a, b, c] = [bytes("a"), bytes("b"), bytes("c")];

interface Fixture {
  readonly engine: MetadataEngine;
  readonly transact: Transact;
  /** How often the engine was asked. */
  readonly calls: { read: number; commit: number };
  readonly put: (key: Buffer, value: string | undefined) => Promise<void>;
  readonly valueOf: (key: Buffer) => Promise<string | undefined>;
}

async function fixture(rows: Record<string, string> = {}, runsMax?: number): Promise<Fixture> {
  const inner = memoryMetadata();
  const calls = { read: 0, commit: 0 };
  const engine: MetadataEngine = {
    read(ranges) {
      calls.read += 1;
      return inner.read(ranges);
    },
    commit(seen, writes) {
      calls.commit += 1;
      return inner.commit(seen, writes);
    },
    close: () => inner.close(),
  };
  const put = async (key: Buffer, value: string | undefined) => {
    await inner.commit([], [{ key, value: value === undefined ? undefined : bytes(value) }]);
  };
  for (const [key, value] of Object.entries(rows)) await put(bytes(key), value);
  return {
    engine,
    transact: transactions(engine, systemClock(), runsMax === undefined ? {} : { runsMax }),
    calls,
    put,
    valueOf: async (key) => (await inner.read([pointRange(key)]))[0]?.[0]?.value.toString(),
  };
}

describe("a transaction", () => {
  it("applies all its writes at the end, and none before", async () => {
    const { transact, valueOf } = await fixture({ a: "1", b: "1" });
    const result = await transact([], async (tx) => {
      tx.set(a, bytes("2"));
      tx.delete(b);
      tx.set(c, bytes("2"));
      assert.deepEqual([await valueOf(a), await valueOf(b), await valueOf(c)], ["1", "1", undefined]);
      return "done";
    });
    assert.equal(result, "done");
    assert.deepEqual([await valueOf(a), await valueOf(b), await valueOf(c)], ["2", undefined, "2"]);
  });

  it("reads its own writes with get, and what is stored with peek", async () => {
    const { transact } = await fixture({ a: "1" });
    await transact([], async (tx) => {
      tx.set(a, bytes("2"));
      tx.set(b, bytes("2"));
      assert.deepEqual((await tx.getMany([a, b, c])).map(String), ["2", "2", "undefined"]);
      tx.delete(a);
      assert.equal(await tx.get(a), undefined);
      const rows = await tx.peek({ start: a, end: c, limit: 10 });
      assert.deepEqual(
        rows.map(({ value }) => value.toString()),
        ["1"],
      );
    });
  });

  it("reads a row once: a second read gives the same value, whatever has been committed since", async () => {
    const { transact, put } = await fixture({ a: "1" });
    const seen: string[] = [];
    await transact([], async (tx) => {
      const before = String(await tx.get(a));
      if (seen.length === 0) await put(a, "2");
      const [after] = await tx.getMany([a]);
      assert.equal(String(after), before);
      seen.push(before);
      tx.set(b, bytes("x"));
    });
    assert.deepEqual(seen, ["1", "2"]);
  });

  it("gives one value to two reads of one row that are under way at once", async () => {
    const { transact, put } = await fixture({ a: "1" });
    let runs = 0;
    const value = await transact([], async (tx) => {
      runs += 1;
      const first = tx.get(a);
      const change = runs === 1 ? put(a, "2") : undefined;
      const second = tx.get(a);
      await change;
      assert.deepEqual(await first, await second);
      return String(await first);
    });
    assert.deepEqual([value, runs], ["2", 2]);
  });

  it("costs one read and one commit when it asks for its rows together", async () => {
    const { transact, calls } = await fixture({ a: "1" });
    await transact([a], async (tx) => {
      await tx.getMany([a, b]);
      await tx.get(a);
      tx.set(a, bytes("2"));
    });
    assert.deepEqual(calls, { read: 1, commit: 1 });
  });

  it("costs one read when it only reads one snapshot, and nothing when it does nothing", async () => {
    const { transact, calls } = await fixture({ a: "1" });
    await transact([], async (tx) => void (await tx.getMany([a, b])));
    assert.deepEqual(calls, { read: 1, commit: 0 });
    await transact([], async () => {});
    assert.deepEqual(calls, { read: 1, commit: 0 });
  });

  it("runs its body again when a row it read has changed, appeared or gone", async () => {
    for (const [before, after] of [
      ["1", "2"],
      [undefined, "2"],
      ["1", undefined],
    ] as const) {
      const { transact, put, valueOf } = await fixture(before === undefined ? {} : { a: before });
      let runs = 0;
      await transact([], async (tx) => {
        const value = await tx.get(a);
        runs += 1;
        if (runs === 1) await put(a, after);
        tx.set(b, value ?? bytes("absent"));
      });
      assert.equal(runs, 2);
      assert.equal(await valueOf(b), after ?? "absent");
    }
  });

  it("does not take a row that was removed and made again alike for the row it read", async () => {
    const { transact, put } = await fixture({ a: "1" });
    let runs = 0;
    await transact([], async (tx) => {
      await tx.get(a);
      runs += 1;
      if (runs === 1) {
        await put(a, undefined);
        await put(a, "1");
      }
      tx.set(b, bytes("x"));
    });
    assert.equal(runs, 2);
  });

  it("overwrites a row that it never read without asking what it was", async () => {
    const { transact, put, valueOf } = await fixture({ a: "1" });
    let runs = 0;
    await transact([], async (tx) => {
      runs += 1;
      tx.set(a, bytes("mine"));
      await put(a, "theirs");
    });
    assert.equal(runs, 1);
    assert.equal(await valueOf(a), "mine");
  });

  it("does not validate what it peeked at", async () => {
    const { transact, put } = await fixture({ a: "1" });
    let runs = 0;
    await transact([], async (tx) => {
      await tx.peek({ start: a, end: c, limit: 10 });
      runs += 1;
      await put(b, "new");
      tx.set(c, bytes("x"));
    });
    assert.equal(runs, 1);
  });

  it("that only reads is validated when it looked at more than one moment", async () => {
    const { transact, put } = await fixture({ a: "1", b: "1" });
    let runs = 0;
    const pair = await transact([], async (tx) => {
      const first = String(await tx.get(a));
      runs += 1;
      if (runs === 1) {
        await put(a, "2");
        await put(b, "2");
      }
      return [first, String(await tx.get(b))];
    });
    assert.deepEqual([pair, runs], [["2", "2"], 2]);
  });

  it("throws what its body throws, and forgets its writes", async () => {
    const { transact, valueOf, calls } = await fixture();
    const refusal = refuse("NoSuchBucket");
    const attempt = transact([a], async (tx) => {
      await tx.get(a);
      tx.set(a, bytes("1"));
      throw refusal;
    });
    await assert.rejects(attempt, (error) => error === refusal);
    assert.equal(await valueOf(a), undefined);
    assert.equal(calls.commit, 0);
  });

  it("does not let a refusal out that rests on two moments which never were one", async () => {
    // A row moves from b to a between the two reads, so that the body sees it nowhere.
    const { transact, put } = await fixture({ b: "here" });
    let runs = 0;
    const found = await transact([], async (tx) => {
      runs += 1;
      const first = await tx.get(a);
      if (runs === 1) {
        await put(a, "here");
        await put(b, undefined);
      }
      const second = await tx.get(b);
      if (first === undefined && second === undefined) throw refuse("NoSuchKey");
      return String(first ?? second);
    });
    assert.deepEqual([found, runs], ["here", 2]);
  });

  it("lets a refusal out that rests on several reads of rows that held still", async () => {
    const { transact } = await fixture({ c: "1" });
    let runs = 0;
    const attempt = transact([], async (tx) => {
      runs += 1;
      await tx.get(a);
      await tx.peek({ start: b, end: c, limit: 1 });
      await tx.get(c);
      throw refuse("NoSuchKey");
    });
    await assert.rejects(attempt, { code: "NoSuchKey" });
    assert.equal(runs, 1);
  });

  it("gives up as contended after a bounded number of runs, having written nothing", async () => {
    const { transact, put, valueOf } = await fixture({ a: "0" }, 4);
    let runs = 0;
    const attempt = transact([], async (tx) => {
      await tx.get(a);
      runs += 1;
      await put(a, String(runs));
      tx.set(b, bytes("x"));
    });
    await assert.rejects(attempt, TransactionContended);
    assert.equal(runs, 4);
    assert.equal(await valueOf(b), undefined);
  });

  it("pauses between runs once several have failed, on the monotonic clock", async () => {
    const engine = memoryMetadata();
    const clock = manualClock(0);
    const transact = transactions(engine, clock);
    let runs = 0;
    const attempt = transact([], async (tx) => {
      await tx.get(a);
      runs += 1;
      if (runs < 8) await engine.commit([], [{ key: a, value: bytes(String(runs)) }]);
      tx.set(b, bytes("x"));
    });
    let ended = false;
    const watch = (async () => {
      await attempt;
      ended = true;
    })();
    const settle = () => new Promise((resolve) => setImmediate(resolve));
    await settle();
    assert.equal(runs, 6);
    clock.advance(1);
    await settle();
    assert.equal(runs, 7);
    clock.advance(1);
    await settle();
    assert.deepEqual([runs, ended], [7, false]);
    clock.advance(1);
    await settle();
    assert.deepEqual([runs, ended], [8, true]);
    await watch;
  });

  it("throws the error of a failed commit and does not run again: the outcome is unknown", async () => {
    const inner = memoryMetadata();
    const broken = new Error("the disk is gone");
    const engine: MetadataEngine = {
      read: (ranges) => inner.read(ranges),
      commit: async (seen: readonly Seen[], writes: readonly Write[]) => {
        await inner.commit(seen, writes);
        throw broken;
      },
      close: () => inner.close(),
    };
    let runs = 0;
    const attempt = transactions(engine, systemClock())([a], async (tx) => {
      runs += 1;
      tx.set(a, bytes("1"));
    });
    await assert.rejects(attempt, (error) => error === broken);
    assert.equal(runs, 1);
    assert.equal((await inner.read([pointRange(a)]))[0]?.[0]?.value.toString(), "1");
  });

  it("cannot be used after it has ended", async () => {
    const { transact } = await fixture();
    const tx = await transact([], async (inside) => inside);
    await assert.rejects(tx.get(a), /has ended/);
    await assert.rejects(tx.peek({ start: a, end: b, limit: 1 }), /has ended/);
    assert.throws(() => tx.set(a, b), /has ended/);
    assert.throws(() => tx.delete(a), /has ended/);
  });
});

describe("transactions that queue on a key", () => {
  it("run one after the other, in the order they came", async () => {
    const { transact } = await fixture();
    const events: string[] = [];
    const run = (name: string) =>
      transact([a], async (tx) => {
        events.push(`${name} begins`);
        await tx.get(a);
        await new Promise((resolve) => setImmediate(resolve));
        tx.set(a, bytes(name));
        events.push(`${name} ends`);
      });
    await Promise.all(["1", "2", "3"].map(run));
    assert.deepEqual(events, ["1 begins", "1 ends", "2 begins", "2 ends", "3 begins", "3 ends"]);
  });

  it("spare each other re-runs", async () => {
    const { transact, calls, valueOf } = await fixture();
    await Promise.all(
      Array.from({ length: 50 }, () =>
        transact([a], async (tx) => {
          const count = Number((await tx.get(a)) ?? 0);
          await new Promise((resolve) => setImmediate(resolve));
          tx.set(a, bytes(String(count + 1)));
        }),
      ),
    );
    assert.equal(await valueOf(a), "50");
    assert.deepEqual(calls, { read: 50, commit: 50 });
  });

  it("run side by side when they share no key", async () => {
    const { transact } = await fixture();
    const events: string[] = [];
    let open: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const slow = transact([a], async () => {
      await gate;
      events.push("slow");
    });
    await transact([b], async () => void events.push("other key"));
    await transact([], async () => void events.push("no key"));
    open();
    await slow;
    assert.deepEqual(events, ["other key", "no key", "slow"]);
  });

  it("never wait for each other in a circle, in whatever order they name their keys", async () => {
    const { transact, valueOf } = await fixture();
    const orders = [
      [a, b, c],
      [c, b, a],
      [b, a],
      [c, a, a],
      [b, c],
    ];
    await Promise.all(
      Array.from({ length: 200 }, (_, n) =>
        transact(orders[n % orders.length] as Buffer[], async (tx) => {
          const count = Number((await tx.get(a)) ?? 0);
          if (n % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
          tx.set(a, bytes(String(count + 1)));
        }),
      ),
    );
    assert.equal(await valueOf(a), "200");
  });

  it("go on after one of them has thrown", async () => {
    const { transact } = await fixture();
    const failed = transact([a], async () => {
      throw new Error("no");
    });
    const next = transact([a], async () => "yes");
    await assert.rejects(failed, /no/);
    assert.equal(await next, "yes");
  });
});
