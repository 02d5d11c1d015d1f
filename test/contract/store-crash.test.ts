/**
 * A process that dies at any call to its engines: what was acknowledged is there, what was not is whole or absent, and
 * nothing that nobody names stays behind.
 */
import assert from "node:assert/strict";
import { describe, it } from "vitest";
import type { Store } from "../../src/store/store.ts";
import { Died, mortal } from "./mortal.ts";
import {
  append,
  complete,
  copy,
  type Disk,
  DISKS,
  type Engines,
  get,
  makeBucket,
  memoryDisk,
  openOn,
  pattern,
  put,
  putPart,
  remove,
  rowsOf,
  startUpload,
} from "./store-fixture.ts";

const BUCKET = "demo-1250000000";
const OTHER = "other-1250000000";
const INLINE_MAX = 64;

/** Engines of a process that dies at its `fatal`-th change: before the change is made, or after, but unanswered. */
async function dying(disk: Disk, fatal: number, changed: boolean): Promise<Engines> {
  const engines = mortal(await disk.open());
  engines.dieAt(fatal, changed);
  return engines;
}

/** What a client knows: the bytes acknowledged for each key, and what the request under way would make of its key. */
interface Journal {
  readonly acknowledged: Map<string, Buffer>;
  underWay: { readonly key: string; readonly bytes: Buffer | undefined } | undefined;
}

/** Every kind of change, small and large bodies, with and without manifests. */
async function work(store: Store, journal: Journal): Promise<void> {
  const { acknowledged } = journal;
  const step = async (key: string, bytes: Buffer | undefined, run: () => Promise<unknown>): Promise<void> => {
    journal.underWay = { key, bytes };
    await run();
    if (bytes) acknowledged.set(key, bytes);
    else acknowledged.delete(key);
    journal.underWay = undefined;
  };
  const at = (key: string): Buffer => acknowledged.get(key) as Buffer;
  const { id } = await makeBucket(store, BUCKET);
  const store1 = (key: string, bytes: Buffer) => step(key, bytes, () => put(store, BUCKET, key, bytes));
  const copyOf = (from: string, to: string) => step(to, at(from), () => copy(store, BUCKET, id, from, to));
  const drop = (key: string) => step(key, undefined, () => remove(store, BUCKET, key));

  await store1("small", pattern(20, 1));
  await store1("large", pattern(500, 2));
  await copyOf("large", "copy");
  await store1("large", pattern(600, 3));
  await store.collector.idle();
  await copyOf("copy", "copy of copy");
  await drop("copy");
  await store1("small", pattern(21, 4));
  await copyOf("small", "small copy");
  await store.collector.idle();

  const name = await startUpload(store, id, "multi");
  const parts = Array.from({ length: 35 }, (_, n) => pattern(n % 5 === 0 ? 100 : 10, n));
  for (const [n, bytes] of parts.entries()) await putPart(store, name, n + 1, bytes);
  await putPart(store, name, 1, parts[0] as Buffer);
  await step("multi", Buffer.concat(parts.filter((_, n) => n !== 33)), () =>
    complete(store, BUCKET, name, (number) => number !== 34),
  );
  await copyOf("multi", "multi copy");
  await store.collector.idle();
  await drop("multi");
  await store.collector.idle();

  for (let n = 0; n < 3; n++) {
    const bytes = pattern(n === 1 ? 100 : 15, n);
    const grown = Buffer.concat([acknowledged.get("log") ?? Buffer.alloc(0), bytes]);
    await step("log", grown, () => append(store, BUCKET, "log", bytes));
  }
  await step("log", Buffer.concat([at("log"), pattern(9)]), () => append(store, BUCKET, "log", pattern(9)));

  await makeBucket(store, OTHER);
  assert.equal(await store.buckets.remove(BUCKET), "not-empty");
  assert.equal(await store.buckets.remove(OTHER), "deleted");
  await drop("multi copy");
  await drop("log");
  await store.collector.idle();
}

/** What a new process finds, and whether everything can be given back. */
async function checkAfter(disk: Disk, journal: Journal, label: string): Promise<void> {
  const { metadata, blobs } = await disk.open();
  const store = await openOn({ metadata, blobs }, { inlineMax: INLINE_MAX });
  await store.collector.idle();
  const bucket = await store.buckets.find(BUCKET);
  if (bucket) {
    assert.equal(bucket.state.kind, "normal", label);
    const listed = await store.objects.list(bucket.id, { prefix: "", delimiter: undefined, marker: "", limit: 1_000 });
    const present = new Map<string, Buffer>();
    for (const { key } of listed.objects) present.set(key, await get(store, bucket.id, key));
    for (const key of new Set([...present.keys(), ...journal.acknowledged.keys()])) {
      const allowed = [journal.acknowledged.get(key)];
      if (journal.underWay?.key === key) allowed.push(journal.underWay.bytes);
      const got = present.get(key);
      assert.ok(
        allowed.some((bytes) => (bytes && got ? bytes.equals(got) : bytes === got)),
        `${label}: ${key} has ${got?.length} bytes, which nobody stored`,
      );
    }
    for (const key of present.keys()) await remove(store, bucket.name, key);
    for (const upload of (
      await store.uploads.list(bucket.id, { prefix: "", delimiter: undefined, marker: "", limit: 9 })
    ).uploads) {
      const name = { bucketId: bucket.id, ...upload };
      // An upload that a crash left behind can still be completed, or ended.
      await store.transact([], async (tx) => {
        assert.equal((await store.uploads.require(tx, name))?.state.kind, "open", label);
        store.uploads.abort(tx, name);
      });
    }
    assert.equal(await store.buckets.remove(BUCKET), "deleted", label);
  } else {
    assert.equal(journal.acknowledged.size, 0, label);
  }
  await store.collector.idle();
  assert.deepEqual(await blobs.list(undefined, 1_000), [], label);
  assert.deepEqual(await rowsOf(metadata), [], label);
  await store.close();
}

async function die(disk: Disk, fatal: number, changed: boolean): Promise<boolean> {
  const engines = await dying(disk, fatal, changed);
  const journal: Journal = { acknowledged: new Map(), underWay: undefined };
  let store: Store | undefined;
  let died = false;
  try {
    store = await openOn(engines, { inlineMax: INLINE_MAX, report: () => {} });
    await work(store, journal);
  } catch (error) {
    if (!(error instanceof Died)) throw error;
    died = true;
  }
  await store?.collector.stop();
  await checkAfter(disk, journal, `died at change ${fatal}, ${changed ? "after" : "before"} it`);
  return died;
}

describe("a process that dies", () => {
  it("at any change, in memory: loses nothing acknowledged and leaves nothing behind", async () => {
    for (const changed of [false, true]) {
      let fatal = 1;
      while (await die(memoryDisk(), fatal, changed)) fatal += 1;
      assert.ok(fatal > 90, `only ${fatal} changes were tried`);
    }
  }, 120_000);

  it("at some changes, on disk: loses nothing acknowledged and leaves nothing behind", async () => {
    const [, make] = DISKS[1] as (typeof DISKS)[number];
    let deaths = 0;
    for (let fatal = 3; fatal < 110; fatal += 8) if (await die(await make(), fatal, fatal % 16 === 3)) deaths += 1;
    assert.ok(deaths > 10, `it died ${deaths} times`);
  }, 120_000);

  it("while another cleans up after it: the next one finishes the cleaning", async () => {
    for (let fatal = 1; fatal < 30; fatal++) {
      const disk = memoryDisk();
      const engines = await dying(disk, 62, true);
      const journal: Journal = { acknowledged: new Map(), underWay: undefined };
      const first = await openOn(engines, { inlineMax: INLINE_MAX, report: () => {} });
      await assert.rejects(work(first, journal), Died);
      await first.collector.stop();
      const again = await dying(disk, fatal, fatal % 2 === 0);
      try {
        const second = await openOn(again, { inlineMax: INLINE_MAX, report: () => {} });
        await second.collector.idle().catch(() => {});
        await second.collector.stop();
      } catch (error) {
        assert.ok(error instanceof Died);
      }
      await checkAfter(disk, journal, `died again at ${fatal}`);
    }
  }, 60_000);
});
