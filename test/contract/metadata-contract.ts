/** What every metadata engine promises, written once. An engine passes it or is none. */

import assert from "node:assert/strict";
import * as fc from "fast-check";
import { afterEach, describe, it } from "vitest";
import { systemClock } from "../../src/engines/clock/system.ts";
import { type MetadataEngine, pointRange, type Range, type Row, type Write } from "../../src/ports/metadata.ts";
import { transactions } from "../../src/store/transact.ts";

/** Runs the suite against engines from `make`, which makes one with no rows. Engines are closed by the suite. */
export function metadataEngineContract(name: string, make: () => Promise<MetadataEngine>): void {
  describe(`metadata engine: ${name}`, () => {
    const made: MetadataEngine[] = [];
    const fresh = async (): Promise<MetadataEngine> => {
      const engine = await make();
      made.push(engine);
      return engine;
    };
    afterEach(async () => {
      for (const engine of made.splice(0)) await engine.close();
    });

    describe("read", () => {
      it("gives no rows where there are none", async () => {
        const engine = await fresh();
        assert.deepEqual(await engine.read([pointRange(bytes("a")), all(10), { ...all(10), reverse: true }]), [
          [],
          [],
          [],
        ]);
        assert.deepEqual(await engine.read([]), []);
      });

      it("orders keys by their unsigned bytes, a prefix before what it begins", async () => {
        const engine = await fresh();
        const keys = ["ff", "00", "0000", "000001", "61", "6100", "61ff", "7f", "80", "ffff", "fffe"].map((hex) =>
          Buffer.from(hex, "hex"),
        );
        await commitAll(engine, keys);
        const sorted = keys.map((key) => key.toString("hex")).sort();
        assert.deepEqual(await keysOf(engine, all(100)), sorted);
        assert.deepEqual(await keysOf(engine, { ...all(100), reverse: true }), sorted.toReversed());
      });

      it("includes the start of a range and excludes its end, in both directions", async () => {
        const engine = await fresh();
        await commitAll(engine, ["a", "b", "c", "d"].map(bytes));
        const range = { start: bytes("b"), end: bytes("d"), limit: 10 };
        assert.deepEqual(await textsOf(engine, range), ["b", "c"]);
        assert.deepEqual(await textsOf(engine, { ...range, reverse: true }), ["c", "b"]);
        const between = { start: bytes("aa"), end: bytes("cc"), limit: 10 };
        assert.deepEqual(await textsOf(engine, between), ["b", "c"]);
        assert.deepEqual(await textsOf(engine, { ...between, reverse: true }), ["c", "b"]);
      });

      it("gives nothing for a range that ends where it begins, or before", async () => {
        const engine = await fresh();
        await commitAll(engine, ["a", "b", "c"].map(bytes));
        for (const reverse of [false, true]) {
          assert.deepEqual(await textsOf(engine, { start: bytes("b"), end: bytes("b"), limit: 5, reverse }), []);
          assert.deepEqual(await textsOf(engine, { start: bytes("c"), end: bytes("a"), limit: 5, reverse }), []);
        }
      });

      it("stops at the limit of each range, counted from the end it starts at", async () => {
        const engine = await fresh();
        await commitAll(engine, ["a", "b", "c"].map(bytes));
        assert.deepEqual(await textsOf(engine, all(2)), ["a", "b"]);
        assert.deepEqual(await textsOf(engine, { ...all(2), reverse: true }), ["c", "b"]);
        assert.deepEqual(await textsOf(engine, all(1)), ["a"]);
      });

      it("takes an empty start as the beginning of everything", async () => {
        const engine = await fresh();
        await commitAll(engine, [Buffer.from([0]), bytes("a")]);
        const range = { start: Buffer.alloc(0), end: bytes("b"), limit: 5 };
        assert.deepEqual(await keysOf(engine, range), ["00", "61"]);
        assert.deepEqual(await keysOf(engine, { ...range, reverse: true }), ["61", "00"]);
      });

      it("finds exactly one key by its point, not its neighbours", async () => {
        const engine = await fresh();
        await commitAll(engine, [bytes("a"), Buffer.from("6100", "hex"), bytes("b")]);
        assert.deepEqual(await keysOf(engine, pointRange(bytes("a"))), ["61"]);
        assert.deepEqual(await keysOf(engine, { ...pointRange(bytes("a")), reverse: true }), ["61"]);
        assert.deepEqual(await keysOf(engine, pointRange(Buffer.from("6100", "hex"))), ["6100"]);
        assert.deepEqual(await keysOf(engine, pointRange(bytes("c"))), []);
        // One byte from a point, and no point: it reaches over "a\0".
        assert.deepEqual(await keysOf(engine, { start: bytes("a"), end: Buffer.from("6101", "hex"), limit: 9 }), [
          "61",
          "6100",
        ]);
      });

      it("answers every range of one call from one snapshot while commits go on", async () => {
        const engine = await fresh();
        const pair = [bytes("left"), bytes("right")] as const;
        const progress = { ended: false };
        const writer = (async () => {
          for (let n = 0; n < 300; n++) {
            const value = bytes(String(n));
            await engine.commit(
              [],
              pair.map((key) => ({ key, value })),
            );
          }
          progress.ended = true;
        })();
        let reads = 0;
        while (!progress.ended) {
          const [left, right, both] = await engine.read([pointRange(pair[0]), pointRange(pair[1]), all(5)]);
          assert.equal(text(left?.[0]), text(right?.[0]));
          assert.deepEqual(both?.map(text), both?.length === 0 ? [] : [text(left?.[0]), text(right?.[0])]);
          reads += 1;
          await new Promise((resolve) => setImmediate(resolve));
        }
        await writer;
        assert.ok(reads > 0);
      });

      it("sees every commit that was acknowledged before it began", async () => {
        const engine = await fresh();
        const key = bytes("counter");
        for (let n = 0; n < 300; n++) {
          await engine.commit([], [{ key, value: bytes(String(n)) }]);
          // The second read of a turn as well as the first.
          assert.equal(text((await engine.read([pointRange(key)]))[0]?.[0]), String(n));
          assert.equal(text((await engine.read([all(1)]))[0]?.[0]), String(n));
        }
      });

      it("hands out rows that belong to the caller", async () => {
        const engine = await fresh();
        const key = bytes("key");
        await engine.commit([], [{ key, value: bytes("value") }]);
        for (const range of [pointRange(key), all(1)]) {
          const row = (await engine.read([range]))[0]?.[0];
          assert.ok(Buffer.isBuffer(row?.key) && Buffer.isBuffer(row.value));
          row.key.fill(0);
          row.value.fill(0);
          const again = (await engine.read([range]))[0]?.[0];
          assert.deepEqual([again?.key.toString(), again?.value.toString()], ["key", "value"]);
        }
      });

      it("keeps earlier rows intact while later ones are read", async () => {
        const engine = await fresh();
        await commitAll(engine, ["a", "b"].map(bytes), (key) => Buffer.alloc(50_000, key));
        const [first] = await engine.read([pointRange(bytes("a"))]);
        const [second] = await engine.read([pointRange(bytes("b"))]);
        assert.ok(first?.[0]?.value.equals(Buffer.alloc(50_000, "a")));
        assert.ok(second?.[0]?.value.equals(Buffer.alloc(50_000, "b")));
      });
    });

    describe("commit", () => {
      it("stores, replaces and removes rows together", async () => {
        const engine = await fresh();
        await commitAll(engine, ["a", "b"].map(bytes));
        assert.equal(
          await engine.commit(
            [],
            [
              { key: bytes("a"), value: undefined },
              { key: bytes("b"), value: bytes("new") },
              { key: bytes("c"), value: bytes("c") },
              { key: bytes("never was"), value: undefined },
            ],
          ),
          true,
        );
        assert.deepEqual((await engine.read([all(9)]))[0]?.map(text), ["new", "c"]);
      });

      it("lets the last of several writes to one key stand", async () => {
        const engine = await fresh();
        const key = bytes("k");
        await engine.commit([], [row("k", "1"), { key, value: undefined }, row("k", "2")]);
        assert.equal(text(await one(engine, key)), "2");
        await engine.commit([], [row("k", "3"), { key, value: undefined }]);
        assert.equal(await one(engine, key), undefined);
      });

      it("holds when every row is as it was seen, present or absent", async () => {
        const engine = await fresh();
        await commitAll(engine, ["a", "b"].map(bytes));
        const seen = [await see(engine, "a"), await see(engine, "b"), await see(engine, "x"), await see(engine, "y")];
        assert.equal(await engine.commit(seen, [row("x", "1")]), true);
        assert.equal(text(await one(engine, bytes("x"))), "1");
      });

      it("changes nothing and says false when one of the rows seen has changed, wherever it stands", async () => {
        const engine = await fresh();
        await commitAll(engine, ["a", "b", "c"].map(bytes));
        const names = ["a", "x", "b", "y", "c", "z"];
        const seen = await Promise.all(names.map((name) => see(engine, name)));
        // Changed, removed, and made: each of the six in turn is the one that is stale.
        for (const stale of names) {
          const was = await one(engine, bytes(stale));
          await engine.commit([], [was === undefined ? row(stale, "made") : { key: bytes(stale), value: undefined }]);
          for (const order of [seen, seen.toReversed()]) {
            assert.equal(await engine.commit(order, [row("out", "1"), row("a", "changed")]), false);
            assert.equal(await engine.commit(order, []), false);
          }
          assert.equal(await one(engine, bytes("out")), undefined);
          await engine.commit([], [{ key: bytes(stale), value: was?.value }]);
          const at = names.indexOf(stale);
          seen[at] = await see(engine, stale);
        }
        assert.equal(await engine.commit(seen, [row("out", "1")]), true);
      });

      it("says false when a row seen absent exists, even as the only condition or the outer of two", async () => {
        const engine = await fresh();
        await commitAll(engine, [bytes("a")]);
        const absent = (name: string) => ({ key: bytes(name), version: undefined });
        assert.equal(await engine.commit([absent("a")], [row("out", "1")]), false);
        assert.equal(await engine.commit([absent("a"), absent("b")], [row("out", "1")]), false);
        assert.equal(await engine.commit([absent("b"), absent("a")], [row("out", "1")]), false);
        assert.equal(await one(engine, bytes("out")), undefined);
      });

      it("is not confused by a key that is seen twice", async () => {
        const engine = await fresh();
        await commitAll(engine, [bytes("a")]);
        const seen = await see(engine, "a");
        assert.equal(await engine.commit([seen, seen], [row("a", "1")]), true);
        const now = await see(engine, "a");
        assert.equal(await engine.commit([now, seen], [row("a", "2")]), false);
        assert.equal(await engine.commit([seen, now], [row("a", "2")]), false);
        assert.equal(await engine.commit([now, { key: now.key, version: undefined }], [row("a", "2")]), false);
        assert.equal(text(await one(engine, bytes("a"))), "1");
      });

      it("without writes only says whether what was seen still holds", async () => {
        const engine = await fresh();
        await commitAll(engine, [bytes("a")]);
        const seen = [await see(engine, "a"), await see(engine, "b")];
        assert.equal(await engine.commit(seen, []), true);
        assert.equal(await engine.commit([], []), true);
        await engine.commit([], [row("b", "1")]);
        assert.equal(await engine.commit(seen, []), false);
      });

      it("lets exactly one of many racing commits through that saw the same row", async () => {
        const engine = await fresh();
        for (const present of [false, true]) {
          if (present) await commitAll(engine, [bytes("prize")]);
          else await engine.commit([], [{ key: bytes("prize"), value: undefined }]);
          const seen = await see(engine, "prize");
          const won = await Promise.all(
            Array.from({ length: 20 }, (_, n) => engine.commit([seen], [row("prize", String(n)), row(`by-${n}`, "x")])),
          );
          assert.equal(won.filter(Boolean).length, 1);
          assert.equal(text(await one(engine, bytes("prize"))), String(won.indexOf(true)));
          const { length } = (await engine.read([{ start: bytes("by-"), end: bytes("by."), limit: 99 }]))[0] ?? [];
          assert.equal(length, 1);
          await engine.commit([], [{ key: bytes(`by-${won.indexOf(true)}`), value: undefined }]);
        }
      });

      it("never gives a row a version twice, not even when it is removed and made again alike", async () => {
        const engine = await fresh();
        const versions = new Set<number | undefined>();
        for (let n = 0; n < 100; n++) {
          await engine.commit([], [row("a", "same")]);
          const { version } = await see(engine, "a");
          assert.ok(version !== undefined && version !== 0 && !versions.has(version));
          versions.add(version);
          if (n % 2 === 0) await engine.commit([], [{ key: bytes("a"), value: undefined }]);
        }
      });

      it("keeps the version of a row that nobody writes", async () => {
        const engine = await fresh();
        await commitAll(engine, ["a", "b"].map(bytes));
        const seen = await see(engine, "a");
        await engine.commit([seen], [row("b", "1")]);
        assert.deepEqual(await see(engine, "a"), seen);
      });

      it("takes 1,000 rows at once, seen and written, with the longest keys", async () => {
        const engine = await fresh();
        const keys = Array.from({ length: 1_000 }, (_, n) => longKey(n));
        assert.equal(await commitAll(engine, keys), true);
        assert.equal((await engine.read([all(2_000)]))[0]?.length, 1_000);
        const rows = await engine.read(keys.slice(0, 499).map(pointRange));
        const present = rows.map((found) => ({ key: found[0]?.key as Buffer, version: found[0]?.version }));
        const absent = Array.from({ length: 500 }, (_, n) => ({ key: longKey(5_000 + n), version: undefined }));
        assert.equal(await engine.commit([...present, ...absent], [row("out", "1")]), true);
        assert.equal(await engine.commit([...absent, ...present], [row("out", "2")]), true);
        await engine.commit([], [{ key: keys[498] as Buffer, value: undefined }]);
        assert.equal(await engine.commit([...present, ...absent], [row("out", "3")]), false);
        assert.equal(text(await one(engine, bytes("out"))), "2");
        assert.equal(
          await engine.commit(
            [],
            keys.map((key) => ({ key, value: undefined })),
          ),
          true,
        );
        assert.deepEqual(await textsOf(engine, all(5)), ["2"]);
      });

      it("refuses what the port does not allow, and applies nothing of it", async () => {
        const engine = await fresh();
        const value = bytes("1");
        const bad = [Buffer.alloc(0), Buffer.alloc(1_901, 1)];
        for (const key of bad) {
          await assert.rejects(engine.commit([], [row("out", "1"), { key, value }]), RangeError);
          await assert.rejects(engine.commit([{ key, version: undefined }], [row("out", "1")]), RangeError);
        }
        const many = Array.from({ length: 1_001 }, (_, n) => row(`k${n}`, "1"));
        await assert.rejects(engine.commit([], many), RangeError);
        assert.deepEqual((await engine.read([all(5)]))[0], []);
        assert.equal(await engine.commit([], [{ key: Buffer.alloc(1_900, 1), value }]), true);
      });

      it("gives back the same bytes: empty, binary, and hundreds of KiB", async () => {
        const engine = await fresh();
        const sizes = [0, 1, 7, 8, 250, 4_000, 4_096, 16_384, 32_767, 32_768, 65_536, 300_000, 700_001];
        const values = sizes.map((size) => Buffer.from(Uint8Array.from({ length: size }, (_, at) => at * 7 + size)));
        await engine.commit(
          [],
          values.map((value, n) => ({ key: Buffer.from([0, n]), value })),
        );
        const points = await engine.read(values.map((_, n) => pointRange(Buffer.from([0, n]))));
        const scan = (await engine.read([all(99)]))[0] ?? [];
        for (const [n, value] of values.entries()) {
          assert.ok(points[n]?.[0]?.value.equals(value), `a point of ${value.length} bytes`);
          assert.ok(scan[n]?.value.equals(value), `a row of ${value.length} bytes in a range`);
        }
      });

      it("keeps what it was given, whatever the caller does with the buffers afterwards", async () => {
        const engine = await fresh();
        const commits = Array.from({ length: 50 }, (_, n) => {
          const key = bytes(`key-${String(n).padStart(2, "0")}`);
          const value = Buffer.alloc(2_000, n);
          const commit = engine.commit([{ key, version: undefined }], [{ key, value }]);
          key.fill(0xff);
          value.fill(0xff);
          return commit;
        });
        assert.deepEqual(await Promise.all(commits), Array(50).fill(true));
        const rows = (await engine.read([all(99)]))[0] ?? [];
        assert.deepEqual(
          rows.map(({ key, value }, n) => [key.toString(), value.equals(Buffer.alloc(2_000, n))]),
          Array.from({ length: 50 }, (_, n) => [`key-${String(n).padStart(2, "0")}`, true]),
        );
      });

      it("applies commits of one caller in the order they were made, large ones among small", async () => {
        const engine = await fresh();
        const commits: Promise<boolean>[] = [];
        for (let n = 0; n < 40; n++) {
          const rows = Array.from({ length: n % 3 === 0 ? 900 : 1 }, (_, at) => row(`row-${at}`, String(n)));
          commits.push(engine.commit([], [row("last", String(n)), ...rows]));
        }
        assert.deepEqual(await Promise.all(commits), Array(40).fill(true));
        assert.equal(text(await one(engine, bytes("last"))), "39");
        assert.equal(text(await one(engine, bytes("row-0"))), "39");
        assert.equal(text(await one(engine, bytes("row-899"))), "39");
        assert.equal((await engine.read([{ start: bytes("row-"), end: bytes("row."), limit: 2_000 }]))[0]?.length, 900);
      });
    });

    describe("100,000 rows", () => {
      it("page completely, forwards and backwards, whatever the page size", async () => {
        const engine = await fresh();
        const keys = Array.from({ length: 100_000 }, (_, n) => `k/${(n * 7_919) % 100_000}`);
        for (let at = 0; at < keys.length; at += 1_000) {
          await commitAll(engine, keys.slice(at, at + 1_000).map(bytes), () => bytes("v"));
        }
        const sorted = keys.toSorted();
        assert.deepEqual(await pages(engine, 1_000), sorted);
        assert.deepEqual(await pages(engine, 9_973), sorted);
        const backwards: string[] = [];
        for (let end = Buffer.from([0xff]); ; ) {
          const rows = (await engine.read([{ start: Buffer.alloc(0), end, limit: 7_001, reverse: true }]))[0] ?? [];
          backwards.push(...rows.map(({ key }) => key.toString()));
          const last = rows.at(-1);
          if (last === undefined) break;
          end = Buffer.from(last.key);
        }
        assert.deepEqual(backwards, sorted.toReversed());
      });
    });

    describe("any history", () => {
      it("reads and commits as a plain sorted array does", async () => {
        const engine = await fresh();
        let runs = 0;
        const details = await fc.check(
          fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
            // One database for all runs; each stays under a prefix of its own.
            const prefix = Buffer.alloc(5, 0x70);
            prefix.writeUInt32BE(runs++, 0);
            await replay(engine, prefix, steps);
          }),
          { numRuns: 150 },
        );
        assert.equal(details.failed, false, fc.defaultReportMessage(details));
      });
    });

    describe("transactions", () => {
      it("lose no update, whether or not the writers queue", async () => {
        const engine = await fresh();
        const transact = transactions(engine, systemClock());
        const key = bytes("counter");
        const increment = (queue: readonly Buffer[]) =>
          transact(queue, async (tx) => {
            const count = Number((await tx.get(key))?.toString() ?? 0);
            tx.set(key, bytes(String(count + 1)));
          });
        await Promise.all(Array.from({ length: 200 }, () => increment([key])));
        await Promise.all(Array.from({ length: 8 }, () => increment([])));
        assert.equal(text(await one(engine, key)), "208");
      });

      it("keep an invariant over two rows", async () => {
        const engine = await fresh();
        const transact = transactions(engine, systemClock());
        const [from, to] = [bytes("from"), bytes("to")];
        await engine.commit([], [row("from", "100"), row("to", "0")]);
        const move = () =>
          transact([from, to], async (tx) => {
            const [a, b] = await tx.getMany([from, to]);
            if (Number(a) === 0) throw new Error("nothing left");
            tx.set(from, bytes(String(Number(a) - 1)));
            tx.set(to, bytes(String(Number(b) + 1)));
          });
        const moves = await Promise.allSettled(Array.from({ length: 130 }, move));
        assert.equal(moves.filter(({ status }) => status === "fulfilled").length, 100);
        assert.deepEqual((await engine.read([all(5)]))[0]?.map(text), ["0", "100"]);
      });
    });

    describe("close", () => {
      it("refuses reads and commits from then on, and may be called again", async () => {
        const engine = await fresh();
        await commitAll(engine, [bytes("a")]);
        await engine.close();
        await assert.rejects(engine.read([all(1)]), /closed/);
        await assert.rejects(engine.read([pointRange(bytes("a"))]), /closed/);
        await assert.rejects(engine.commit([], [row("b", "1")]), /closed/);
        await assert.rejects(engine.commit([await absentRow("b")], []), /closed/);
        await engine.close();
      });

      it("waits for commits that are under way", async () => {
        const engine = await fresh();
        const commits = Array.from({ length: 5 }, (_, n) =>
          commitAll(
            engine,
            Array.from({ length: 600 }, (_, at) => bytes(`${n}/${at}`)),
          ),
        );
        const closed = engine.close();
        assert.deepEqual(await Promise.all(commits), Array(5).fill(true));
        await closed;
      });
    });
  });
}

function bytes(text: string): Buffer {
  return Buffer.from(text);
}

function row(key: string, value: string): Write {
  return { key: bytes(key), value: bytes(value) };
}

function text(row: Row | undefined): string | undefined {
  return row?.value.toString();
}

function all(limit: number): Range {
  return { start: Buffer.alloc(0), end: Buffer.alloc(8, 0xff), limit };
}

function longKey(n: number): Buffer {
  return Buffer.concat([Buffer.alloc(1_896, (n * 131) & 0x7f), Buffer.from([0, 0xff, n >> 8, n & 0xff])]);
}

async function absentRow(key: string): Promise<{ key: Buffer; version: undefined }> {
  return { key: bytes(key), version: undefined };
}

async function one(engine: MetadataEngine, key: Buffer): Promise<Row | undefined> {
  return (await engine.read([pointRange(key)]))[0]?.[0];
}

async function see(engine: MetadataEngine, key: string): Promise<{ key: Buffer; version: number | undefined }> {
  return { key: bytes(key), version: (await one(engine, bytes(key)))?.version };
}

async function commitAll(
  engine: MetadataEngine,
  keys: readonly Buffer[],
  value: (key: Buffer) => Buffer = (key) => key,
): Promise<boolean> {
  return engine.commit(
    [],
    keys.map((key) => ({ key, value: value(key) })),
  );
}

async function keysOf(engine: MetadataEngine, range: Range): Promise<string[]> {
  return ((await engine.read([range]))[0] ?? []).map(({ key }) => key.toString("hex"));
}

async function textsOf(engine: MetadataEngine, range: Range): Promise<string[]> {
  return ((await engine.read([range]))[0] ?? []).map(({ value }) => value.toString());
}

/** Every key, page by page, each page starting just after the last key of the one before. */
async function pages(engine: MetadataEngine, limit: number): Promise<string[]> {
  const found: string[] = [];
  for (let start = Buffer.alloc(0); ; ) {
    const rows = (await engine.read([{ start, end: Buffer.from([0xff]), limit }]))[0] ?? [];
    found.push(...rows.map(({ key }) => key.toString()));
    const last = rows.at(-1);
    if (last === undefined) return found;
    start = Buffer.concat([last.key, Buffer.from([0])]);
  }
}

/** Keys that crowd together: few bytes, short, many of them prefixes of others. */
const someKey = fc
  .array(fc.constantFrom(0x00, 0x01, 0x61, 0xff), { minLength: 1, maxLength: 4 })
  .map((numbers) => Buffer.from(numbers));

const step = fc.oneof(
  fc.record({
    kind: fc.constant("commit" as const),
    seen: fc.array(fc.record({ key: someKey, as: fc.constantFrom("is", "was", "absent") }), { maxLength: 4 }),
    writes: fc.array(
      fc.record({ key: someKey, value: fc.option(fc.uint8Array({ maxLength: 20 }), { nil: undefined }) }),
      { maxLength: 8 },
    ),
  }),
  fc.record({
    kind: fc.constant("read" as const),
    ranges: fc.array(
      fc.record({
        start: someKey,
        end: fc.option(someKey, { nil: undefined }),
        limit: fc.integer({ min: 1, max: 12 }),
        reverse: fc.boolean(),
      }),
      { minLength: 1, maxLength: 4 },
    ),
  }),
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface ModelRow {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly version: number;
}

/** Runs the steps against the engine and against a sorted array, which must always agree. */
async function replay(engine: MetadataEngine, prefix: Buffer, steps: readonly Step[]): Promise<void> {
  let model: ModelRow[] = [];
  const under = (key: Buffer) => Buffer.concat([prefix, key]);
  const find = (key: Buffer) => model.find((known) => known.key.equals(key));
  /** Every version each row has had. */
  const history = new Map<string, number[]>();

  for (const next of steps) {
    if (next.kind === "read") {
      const ranges = next.ranges.map(({ start, end, limit, reverse }) => {
        const range = end === undefined ? pointRange(under(start)) : { start: under(start), end: under(end), limit };
        return reverse ? { ...range, reverse } : range;
      });
      const expected = ranges.map((range) => {
        const within = model.filter(({ key }) => key.compare(range.start) >= 0 && key.compare(range.end) < 0);
        return ("reverse" in range ? within.toReversed() : within).slice(0, range.limit);
      });
      assert.deepEqual(await engine.read(ranges), expected);
      continue;
    }
    const seen = next.seen.map(({ key, as }) => {
      const full = under(key);
      const version =
        as === "is" ? find(full)?.version : as === "was" ? history.get(full.toString("hex"))?.[0] : undefined;
      return { key: full, version };
    });
    const writes = next.writes.map(({ key, value }) => ({
      key: under(key),
      value: value === undefined ? undefined : Buffer.from(value),
    }));
    const holds = seen.every(({ key, version }) => find(key)?.version === version);
    assert.equal(await engine.commit(seen, writes), holds);
    if (!holds) continue;
    for (const { key, value } of writes) {
      model = model.filter((known) => !known.key.equals(key));
      if (value === undefined) continue;
      const version = (await one(engine, key))?.version ?? 0;
      model.push({ key, value, version });
    }
    model.sort((a, b) => a.key.compare(b.key));
    for (const { key } of writes) {
      const now = find(key);
      if (now === undefined) continue;
      const name = key.toString("hex");
      const versions = history.get(name) ?? [];
      if (versions.at(-1) !== now.version) assert.ok(!versions.includes(now.version), "a version came back");
      if (!versions.includes(now.version)) history.set(name, [...versions, now.version]);
    }
  }
  const end = Buffer.concat([prefix, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff])]);
  assert.deepEqual((await engine.read([{ start: prefix, end, limit: 1_000 }]))[0], model);
}
