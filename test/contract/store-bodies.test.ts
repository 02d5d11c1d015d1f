import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "vitest";
import { refuse } from "../../src/errors/cos-error.ts";
import { StorageUnavailable } from "../../src/ports/blobs.ts";
import { BodyVanished } from "../../src/store/bodies.ts";
import type { ObjectRecord } from "../../src/store/records.ts";
import { isUploadId, makeUploadId } from "../../src/store/uploads.ts";
import { systemRandom } from "../../src/engines/random/system.ts";
import {
  append,
  bytesOf,
  complete,
  copy,
  DISKS,
  get,
  makeBucket,
  openOn,
  pattern,
  put,
  putPart,
  putPending,
  remove,
  rowsOf,
  source,
  startUpload,
} from "./store-fixture.ts";

const BUCKET = "demo-1250000000";
const INLINE_MAX = 1_024;
const SIZES = [0, 1, 100, INLINE_MAX - 1, INLINE_MAX, INLINE_MAX + 1, 100_000, 700_001];

describe.each(DISKS)("bodies on %s", (_, disk) => {
  async function fixture() {
    const engines = await (await disk()).open();
    const store = await openOn(engines, { inlineMax: INLINE_MAX });
    const bucket = await makeBucket(store, BUCKET);
    const blobIds = () => engines.blobs.list(undefined, 1_000_000);
    return { ...engines, store, bucket, blobIds };
  }

  it("gives back what was put in, whole and in ranges, with or without a declared length", async () => {
    const { store, bucket } = await fixture();
    for (const size of SIZES) {
      for (const declared of [true, false]) {
        const bytes = pattern(size, size + 1);
        const body = await store.bodies.ingest(source(bytes, { declared, chunk: 1_000 }), {
          bytesMax: 1_000_000,
          over: "EntityTooLarge",
          sha1: true,
        });
        assert.equal(body.size, size);
        assert.deepEqual(body.md5, createHash("md5").update(bytes).digest());
        assert.deepEqual(body.sha1, createHash("sha1").update(bytes).digest());
        await putPending(store, BUCKET, "k", body, body);
        assert.ok((await get(store, bucket.id, "k")).equals(bytes));
        for (const [start, end] of [
          [0, Math.min(1, size)],
          [Math.floor(size / 3), size],
          [Math.max(0, size - 1), size],
          [Math.floor(size / 2), Math.floor(size / 2)],
        ] as const) {
          assert.ok((await get(store, bucket.id, "k", start, end)).equals(bytes.subarray(start, end)));
        }
      }
    }
  });

  it("keeps nothing of a body that is too long, declared or not, small or large", async () => {
    const { store, blobIds, metadata } = await fixture();
    for (const bytesMax of [10, INLINE_MAX, 5_000]) {
      for (const declared of [true, false]) {
        const long = source(pattern(bytesMax + 1), { declared, chunk: 300 });
        await assert.rejects(store.bodies.ingest(long, { bytesMax, over: "EntityTooLarge" }), { id: "EntityTooLarge" });
        const exact = source(pattern(bytesMax), { declared, chunk: 300 });
        await (await store.bodies.ingest(exact, { bytesMax, over: "EntityTooLarge" })).discard();
      }
    }
    assert.deepEqual(await blobIds(), []);
    assert.deepEqual(await rowsOf(metadata), []);
  });

  it("keeps nothing of a body whose sender fails, or whose transaction is refused", async () => {
    const { store, blobIds, metadata } = await fixture();
    const failing = {
      ...source(pattern(10)),
      declaredLength: 100_000,
      async *stream() {
        yield pattern(50_000);
        throw refuse("IncompleteBody");
      },
    };
    await assert.rejects(store.bodies.ingest(failing, { bytesMax: 200_000, over: "EntityTooLarge" }), {
      id: "IncompleteBody",
    });
    for (const size of [10, 50_000]) {
      await assert.rejects(put(store, "gone-1250000000", "k", pattern(size)), { id: "NoSuchBucket" });
    }
    assert.deepEqual(await blobIds(), []);
    assert.deepEqual(await rowsOf(metadata), []);
  });

  it("keeps nothing of a body whose row a full disk does not take, so that refusals do not fill it up", async () => {
    const engines = await (await disk()).open();
    let commitsLeft = Number.POSITIVE_INFINITY;
    const metadata: typeof engines.metadata = {
      read: (ranges) => engines.metadata.read(ranges),
      async commit(seen, writes) {
        const isRemoval = writes.some(({ value }) => value === undefined);
        if (!isRemoval && commitsLeft-- <= 0) throw new StorageUnavailable("full", "no room");
        return await engines.metadata.commit(seen, writes);
      },
      close: () => engines.metadata.close(),
    };
    const store = await openOn({ ...engines, metadata }, { inlineMax: INLINE_MAX });
    const bucket = await makeBucket(store, BUCKET);
    const upload = await startUpload(store, bucket.id, "film");
    for (let part = 1; part <= 900; part++)
      await putPart(store, upload, part, pattern(part % 7 === 0 ? 2_000 : 10, part));
    await complete(store, BUCKET, upload);
    await store.collector.idle();
    const blobIds = () => engines.blobs.list(undefined, 1_000_000);
    const [blobs, rows] = [await blobIds(), await rowsOf(engines.metadata)];
    for (const bytes of [10, 100_000, 700_001]) {
      commitsLeft = 0;
      await assert.rejects(put(store, BUCKET, "k", pattern(bytes)), { trouble: "full" });
      assert.deepEqual(await blobIds(), blobs, `${bytes} bytes`);
    }
    for (let at = 0; at < 4; at++) {
      commitsLeft = at;
      await assert.rejects(copy(store, BUCKET, bucket.id, "film", "copy"), { trouble: "full" });
    }
    commitsLeft = Number.POSITIVE_INFINITY;
    await store.collector.idle();
    assert.deepEqual([await blobIds(), await rowsOf(engines.metadata)], [blobs, rows]);
  });

  it("frees the bytes of what is overwritten and of what is deleted", async () => {
    const { store, bucket, blobIds, metadata } = await fixture();
    for (const size of [...SIZES, ...SIZES]) await put(store, BUCKET, "k", pattern(size));
    await put(store, BUCKET, "k", pattern(50_000, 9));
    await store.collector.idle();
    assert.equal((await blobIds()).length, 1);
    assert.equal((await rowsOf(metadata)).length, 2);
    assert.ok((await get(store, bucket.id, "k")).equals(pattern(50_000, 9)));
    await remove(store, bucket.name, "k");
    await store.collector.idle();
    assert.deepEqual(await blobIds(), []);
    assert.deepEqual(await rowsOf(metadata), []);
  });

  it.each(SIZES.filter((size) => size > 0))(
    "keeps a copy's %i bytes when the source goes, and frees them with the last",
    async (size) => {
      const { store, bucket, blobIds, metadata } = await fixture();
      const bytes = pattern(size);
      await put(store, BUCKET, "a", bytes);
      await copy(store, BUCKET, bucket.id, "a", "b");
      await copy(store, BUCKET, bucket.id, "b", "c");
      assert.equal((await blobIds()).length, size > INLINE_MAX ? 1 : 0);
      await remove(store, bucket.name, "a");
      await put(store, BUCKET, "b", Buffer.alloc(0));
      await store.collector.idle();
      assert.ok((await get(store, bucket.id, "c")).equals(bytes));
      await remove(store, bucket.name, "c");
      await remove(store, bucket.name, "b");
      await store.collector.idle();
      assert.deepEqual(await blobIds(), []);
      assert.deepEqual(await rowsOf(metadata), []);
    },
  );

  it("refuses a copy whose source has changed since it was read", async () => {
    const { store, bucket, blobIds } = await fixture();
    for (const size of [100, 50_000]) {
      await put(store, BUCKET, "a", pattern(size));
      const found = await store.objects.find(bucket.id, "a");
      assert.ok(found);
      const shared = await store.bodies.share(found.record.body, 0, size, found.source);
      await put(store, BUCKET, "a", Buffer.alloc(0));
      await store.collector.idle();
      await assert.rejects(putPending(store, BUCKET, "b", shared), BodyVanished);
    }
    await store.collector.idle();
    assert.deepEqual(await blobIds(), []);
    assert.equal(await store.objects.find(bucket.id, "b"), undefined);
  });

  it("tells a reader who comes too late before the first byte", async () => {
    const { store, bucket } = await fixture();
    for (const size of [100, 50_000]) {
      const old = await put(store, BUCKET, "k", pattern(size));
      await put(store, BUCKET, "k", pattern(size, 2));
      await store.collector.idle();
      await assert.rejects(store.bodies.open(old.body, 0, size), BodyVanished);
      assert.ok((await get(store, bucket.id, "k")).equals(pattern(size, 2)));
    }
  });

  it("leaves bytes that are being read until their reader has gone", async () => {
    const { store, bucket, blobIds } = await fixture();
    const bytes = pattern(900_000);
    const old = await put(store, BUCKET, "k", bytes);
    const chunks = await store.bodies.open(old.body, 0, old.size);
    assert.ok(!Buffer.isBuffer(chunks));
    await remove(store, bucket.name, "k");
    await store.collector.idle();
    const read: Buffer[] = [];
    for await (const chunk of chunks) read.push(Buffer.from(chunk));
    assert.ok(Buffer.concat(read).equals(bytes));
    await store.collector.idle();
    assert.deepEqual(await blobIds(), []);
  });

  it("makes an object of 2,500 parts, reads and copies any range of it, and frees all of it", async () => {
    const { store, bucket, blobIds, metadata } = await fixture();
    const name = await startUpload(store, bucket.id, "big");
    const parts = Array.from({ length: 2_500 }, (_, at) => pattern(1 + ((at * 7) % 40), at + 1));
    // A few are blobs, so that the manifest holds both kinds of piece.
    for (const at of [0, 1_234, 2_499]) parts[at] = pattern(3_000, at + 1);
    for (let at = 0; at < parts.length; at += 50) {
      await Promise.all(parts.slice(at, at + 50).map((bytes, index) => putPart(store, name, at + index + 1, bytes)));
    }
    const done = await complete(store, BUCKET, name);
    assert.ok(done);
    const bytes = Buffer.concat(parts);
    assert.equal(done.value.body.manifest?.pieces, 2_500);
    assert.ok((await get(store, bucket.id, "big")).equals(bytes));
    for (let at = 0; at < 60; at++) {
      const start = Math.floor((bytes.length * at) / 60);
      const end = Math.min(bytes.length, start + at * 50);
      assert.ok((await get(store, bucket.id, "big", start, end)).equals(bytes.subarray(start, end)), `${start}-${end}`);
    }
    assert.equal(await store.uploads.find(name), undefined);

    await copy(store, BUCKET, bucket.id, "big", "copy");
    await remove(store, bucket.name, "big");
    await store.collector.idle();
    assert.equal((await blobIds()).length, 3);
    assert.ok((await get(store, bucket.id, "copy")).equals(bytes));
    await remove(store, bucket.name, "copy");
    await store.collector.idle();
    assert.deepEqual(await blobIds(), []);
    assert.deepEqual(await rowsOf(metadata), []);
  }, 60_000);

  it("frees parts that are replaced, not taken, or of an aborted upload", async () => {
    const { store, bucket, blobIds, metadata } = await fixture();
    const name = await startUpload(store, bucket.id, "k");
    for (const seed of [1, 2])
      for (const number of [1, 2, 3]) await putPart(store, name, number, pattern(9_000, seed + number));
    await store.collector.idle();
    assert.equal((await blobIds()).length, 3);
    assert.ok(await complete(store, BUCKET, name, (number) => number !== 2));
    await store.collector.idle();
    assert.equal((await blobIds()).length, 2);
    assert.ok((await get(store, bucket.id, "k")).equals(Buffer.concat([pattern(9_000, 3), pattern(9_000, 5)])));
    assert.equal(await complete(store, BUCKET, name), undefined);

    const other = await startUpload(store, bucket.id, "k");
    await putPart(store, other, 1, pattern(9_000));
    await store.transact([], async (tx) => {
      assert.ok(await store.uploads.require(tx, other));
      store.uploads.abort(tx, other);
    });
    await assert.rejects(putPart(store, other, 2, pattern(9_000)), { id: "NoSuchUpload" });
    await remove(store, bucket.name, "k");
    await store.collector.idle();
    assert.deepEqual(await blobIds(), []);
    assert.deepEqual(await rowsOf(metadata), []);
  });

  it("opens an upload again when its completion is refused, and makes others wait for the outcome", async () => {
    const { store, bucket, blobIds, metadata } = await fixture();
    const name = await startUpload(store, bucket.id, "k");
    for (let number = 1; number <= 40; number++) await putPart(store, name, number, pattern(1_500, number));
    let late: Promise<void> | undefined;
    await assert.rejects(
      store.uploads.complete(name, async (completion) => {
        async function* bodies() {
          for await (const part of completion.parts()) yield part.body;
        }
        await store.bodies.assemble(bodies(), completion.manifestId);
        late = putPart(store, name, 41, pattern(1_500, 41));
        await new Promise((resolve) => setTimeout(resolve, 30));
        assert.equal((await store.uploads.listParts(name, 0, 100)).parts.length, 40);
        throw refuse("InvalidPart");
      }),
      { id: "InvalidPart" },
    );
    await late;
    assert.equal((await store.uploads.listParts(name, 0, 100)).parts.length, 41);
    const [first, second] = await Promise.all([complete(store, BUCKET, name), complete(store, BUCKET, name)]);
    assert.equal([first, second].filter((result) => result !== undefined).length, 1);
    await store.collector.idle();
    const expected = Buffer.concat(Array.from({ length: 41 }, (_, at) => pattern(1_500, at + 1)));
    assert.ok((await get(store, bucket.id, "k")).equals(expected));
    await remove(store, bucket.name, "k");
    await store.collector.idle();
    assert.deepEqual(await blobIds(), []);
    assert.deepEqual(await rowsOf(metadata), []);
  });

  it("grows a body by appends of every size; small ones share rows; whoever reads the shorter body still can", async () => {
    const { store, bucket, blobIds, metadata } = await fixture();
    let expected = Buffer.alloc(0);
    let record: ObjectRecord | undefined;
    const earlier: { record: ObjectRecord; bytes: Buffer }[] = [];
    for (let at = 0; at < 400; at++) {
      const bytes = pattern(at % 7 === 6 ? 2_000 : at % 3 === 2 ? 500 : 10, at);
      record = await append(store, bucket.name, "log", bytes);
      expected = Buffer.concat([expected, bytes]);
      if (at % 40 === 0) earlier.push({ record, bytes: expected });
    }
    assert.ok(record);
    const pieces = (record.body.manifest?.pieces ?? 0) + record.body.pieces.length;
    assert.ok(pieces < 260, `${pieces} pieces`);
    assert.ok((await get(store, bucket.id, "log")).equals(expected));
    for (const { record: old, bytes } of earlier) assert.ok((await bytesOf(store, old)).equals(bytes));
    await copy(store, BUCKET, bucket.id, "log", "copy");
    await remove(store, bucket.name, "log");
    await store.collector.idle();
    assert.ok((await get(store, bucket.id, "copy")).equals(expected));
    await remove(store, bucket.name, "copy");
    await store.collector.idle();
    assert.deepEqual(await blobIds(), []);
    assert.deepEqual(await rowsOf(metadata), []);
  }, 60_000);

  it("gives out upload ids of the service's form, and takes no other text for one", () => {
    const id = makeUploadId(1_700_000_000_123, systemRandom());
    assert.match(id, /^1700000000[0-9a-f]{64}$/);
    assert.ok(isUploadId(id));
    for (const other of ["", "x", `${id}0`, id.toUpperCase().replace(/^/, " "), `${id}\0`])
      assert.ok(!isUploadId(other));
  });
});
