import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { CosError, refuse } from "../../src/errors/cos-error.ts";
import { bucketKey, formatKey } from "../../src/store/keys.ts";
import { encodeBucket, encodeFormat } from "../../src/store/records.ts";
import { DataFromNewerVersion } from "../../src/store/store.ts";
import { DISKS, get, makeBucket, memoryDisk, openOn, OWNER, pattern, put, remove, rowsOf } from "./store-fixture.ts";

const BUCKET = "demo-1250000000";
const NEW = { ...OWNER, name: BUCKET, region: "ap-guangzhou", acl: "private" as const };

describe.each(DISKS)("buckets on %s", (name, disk) => {
  const races = name === "memory" ? 500 : 150;

  async function fixture() {
    const engines = await (await disk()).open();
    return { ...engines, store: await openOn(engines, { inlineMax: 64 }) };
  }

  it("are found as they were made, and the second of one name is told who has it", async () => {
    const { store } = await fixture();
    const made = await store.buckets.create({ ...NEW, acl: "public-read" }, 200);
    assert.equal(made.kind, "created");
    const found = await store.buckets.find(BUCKET);
    assert.deepEqual(found, made.kind === "created" && made.bucket);
    assert.equal(found?.acl, "public-read");
    const again = await store.buckets.create({ ...NEW, ownerUin: "100000000009" }, 200);
    assert.equal(again.kind === "exists" && again.bucket.ownerUin, OWNER.ownerUin);
    assert.equal(await store.buckets.find("other-1250000000"), undefined);
  });

  it("and objects and uploads of names that no row has room for are not there", async () => {
    const { store } = await fixture();
    const { id } = await makeBucket(store, BUCKET);
    for (const long of ["k".repeat(5_000), "\u{1f600}".repeat(1_000)]) {
      assert.equal(await store.buckets.find(long), undefined);
      assert.equal(await store.objects.find(id, long), undefined);
      const name = { bucketId: id, key: long, uploadId: `1700000000${"0".repeat(64)}` };
      assert.equal(await store.uploads.find(name), undefined);
      assert.equal(await store.uploads.find({ ...name, key: "k", uploadId: long }), undefined);
      for (const marker of [long, `a${long}`]) {
        const { buckets } = await store.buckets.list(OWNER.ownerUin, marker, 10);
        assert.equal(buckets.length, BUCKET > marker ? 1 : 0);
        const query = { prefix: "", delimiter: undefined, marker, limit: 10 };
        assert.deepEqual((await store.objects.list(id, query)).objects, []);
        assert.deepEqual((await store.uploads.list(id, query, long)).uploads, []);
      }
      const under = { prefix: long, delimiter: "/", marker: "", limit: 10 };
      assert.deepEqual((await store.objects.list(id, under)).objects, []);
    }
  });

  it("never exceed an account's limit, however many are made at once", async () => {
    const { store } = await fixture();
    const make = (at: number) => store.buckets.create({ ...NEW, name: `b${at}-1250000000` }, 10);
    const results = await Promise.all(Array.from({ length: 30 }, (_unused, at) => make(at)));
    assert.equal(results.filter(({ kind }) => kind === "created").length, 10);
    assert.equal(results.filter(({ kind }) => kind === "full").length, 20);
    const other = await store.buckets.create({ ...NEW, ownerUin: "1000000000012", name: "x-1250000001" }, 10);
    assert.equal(other.kind, "created");
    const { buckets } = await store.buckets.list(OWNER.ownerUin, undefined, 100);
    assert.equal(await store.buckets.remove((buckets[0] as { name: string }).name), "deleted");
    assert.equal((await make(31)).kind, "created");
    assert.equal((await make(32)).kind, "full");
  });

  it("are listed by name in pages, each account's own", async () => {
    const { store } = await fixture();
    const names = Array.from({ length: 25 }, (_unused, at) => `b${at}-1250000000`).sort();
    for (const name of names) await store.buckets.create({ ...NEW, name }, 100);
    await store.buckets.create({ ...NEW, name: "b1-12500000001", ownerUin: "1000000000010" }, 100);
    for (const limit of [1, 7, 24, 25, 26]) {
      const listed: string[] = [];
      for (let marker: string | undefined; ; marker = listed.at(-1)) {
        const page = await store.buckets.list(OWNER.ownerUin, marker, limit);
        listed.push(...page.buckets.map(({ name }) => name));
        assert.equal(page.truncated, listed.length < names.length);
        if (!page.truncated) break;
      }
      assert.deepEqual(listed, names);
    }
  });

  it("are deleted only when empty, and a bucket made again under the name starts empty", async () => {
    const { store, metadata } = await fixture();
    const first = await makeBucket(store, BUCKET);
    await put(store, BUCKET, "k", pattern(10));
    assert.equal(await store.buckets.remove(BUCKET), "not-empty");
    await put(store, BUCKET, "k2", pattern(10));
    for (const key of ["k", "k2"]) assert.ok((await remove(store, BUCKET, key))[0]?.found);
    assert.equal(await store.buckets.remove(BUCKET), "deleted");
    assert.equal(await store.buckets.remove(BUCKET), "absent");
    const second = await makeBucket(store, BUCKET);
    assert.notEqual(second.id, first.id);
    const page = await store.objects.list(second.id, { prefix: "", delimiter: undefined, marker: "", limit: 10 });
    assert.deepEqual(page.objects, []);
    await store.collector.idle();
    assert.deepEqual(await rowsOf(metadata), []);
  });

  it("are left alone when the one who deletes is refused", async () => {
    const { store } = await fixture();
    const before = await makeBucket(store, BUCKET);
    const refused = store.buckets.remove(BUCKET, () => {
      throw refuse("AccessDenied");
    });
    await assert.rejects(refused, { id: "AccessDenied" });
    assert.deepEqual(await store.buckets.find(BUCKET), before);
  });

  it("never orphan an object: of a delete and a put at once, one sees the other", async () => {
    const { store, metadata, blobs } = await fixture();
    let deleted = 0;
    for (let trial = 0; trial < races; trial++) {
      const bucket = await makeBucket(store, BUCKET);
      const bytes = pattern(trial % 3 === 0 ? 200 : 20, trial);
      const write = async (): Promise<boolean> => {
        try {
          await put(store, BUCKET, "k", bytes);
          return true;
        } catch (error) {
          assert.ok(error instanceof CosError && error.id === "NoSuchBucket", String(error));
          return false;
        }
      };
      const erase = async (): Promise<string> => {
        // From before the write's first step to after its last, on the engine in memory and on the one on disk.
        for (let wait = trial % 50; wait > 0; wait--) await Promise.resolve();
        for (let wait = Math.floor((trial * 10) / races); wait > 0; wait--)
          await new Promise((done) => setImmediate(done));
        return store.buckets.remove(BUCKET);
      };
      const [written, outcome] = await Promise.all([write(), erase()]);
      assert.equal(outcome, written ? "not-empty" : "deleted");
      if (!written) {
        deleted += 1;
        continue;
      }
      assert.ok((await get(store, bucket.id, "k")).equals(bytes));
      assert.ok((await remove(store, BUCKET, "k"))[0]?.found);
      assert.equal(await store.buckets.remove(BUCKET), "deleted");
    }
    assert.ok(deleted > 0 && deleted < races, `${deleted} of ${races} deletions came first: that is no race`);
    await store.collector.idle();
    assert.deepEqual(await rowsOf(metadata), []);
    assert.deepEqual(await blobs.list(undefined, 10), []);
  }, 60_000);

  it("that a dead process had begun to delete are whole again, by the first writer or the next start", async () => {
    const { store, metadata, blobs } = await fixture();
    const bucket = await makeBucket(store, BUCKET);
    const mark = (incarnation: string) =>
      metadata.commit(
        [],
        [
          {
            key: bucketKey(BUCKET),
            value: encodeBucket({ ...bucket, state: { kind: "deleting", incarnation, token: 77 } }),
          },
        ],
      );
    for (const incarnation of ["00".repeat(8), store.incarnation]) {
      await mark(incarnation);
      assert.equal((await store.buckets.find(BUCKET))?.id, bucket.id);
      await put(store, BUCKET, "k", pattern(10));
      assert.equal((await store.buckets.find(BUCKET))?.state.kind, "normal");
      await mark(incarnation);
      assert.equal((await store.buckets.create(NEW, 200)).kind, "exists");
    }
    const again = await openOn({ metadata, blobs });
    assert.equal((await again.buckets.find(BUCKET))?.state.kind, "normal");
  });
});

describe("opening a store", () => {
  it("refuses data of a newer version, saying what to do, and changes nothing", async () => {
    const { metadata, blobs } = await memoryDisk().open();
    await metadata.commit([], [{ key: formatKey(), value: encodeFormat({ format: 2, createdMs: 1 }) }]);
    await assert.rejects(openOn({ metadata, blobs }), (error: unknown) => {
      assert.ok(error instanceof DataFromNewerVersion);
      assert.match(error.message, /format 2.*formats up to 1.*start the version that wrote it/s);
      return true;
    });
    const [rows] = await metadata.read([{ start: Buffer.from([0]), end: Buffer.from([255]), limit: 10 }]);
    assert.equal(rows?.length, 1);
  });

  it("refuses metadata that something else wrote", async () => {
    const { metadata, blobs } = await memoryDisk().open();
    await metadata.commit([], [{ key: Buffer.from("zebra"), value: Buffer.from("x") }]);
    await assert.rejects(openOn({ metadata, blobs }), /not cosbox's/);
  });

  it("finds everything again, and forgets the process that was there before", async () => {
    const disk = memoryDisk();
    const first = await openOn(await disk.open());
    const bucket = await makeBucket(first, BUCKET);
    await put(first, BUCKET, "k", pattern(50_000));
    await first.close();
    const engines = await disk.open();
    const second = await openOn(engines);
    await second.collector.idle();
    assert.notEqual(second.incarnation, first.incarnation);
    assert.ok((await get(second, bucket.id, "k")).equals(pattern(50_000)));
    await second.close();
    const [rows] = await engines.metadata.read([{ start: Buffer.from("n"), end: Buffer.from("o"), limit: 10 }]);
    assert.deepEqual(rows, []);
  });
});

describe("versions of an object", () => {
  it("keep their order when the clock stands still or goes back", async () => {
    const engines = await memoryDisk().open();
    let now = 1_700_000_000_000;
    const clock = {
      now: () => now,
      real: () => now,
      at: (ms: number) => ms,
      monotonic: () => 0,
      after: () => ({ cancel: () => {} }),
    };
    const store = await openOn(engines, { clock });
    await makeBucket(store, BUCKET);
    const first = await put(store, BUCKET, "k", pattern(1));
    assert.equal(first.sequence, now * 1_000);
    const second = await put(store, BUCKET, "k", pattern(2));
    now -= 5_000;
    const third = await put(store, BUCKET, "k", pattern(3));
    now += 10_000;
    const fourth = await put(store, BUCKET, "k", pattern(4));
    assert.deepEqual([second.sequence, third.sequence], [first.sequence + 1, first.sequence + 2]);
    assert.equal(fourth.sequence, now * 1_000);
  });
});
