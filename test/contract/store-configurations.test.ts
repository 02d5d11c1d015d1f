/** What buckets are configured with: what is stored is found by everybody, and never lost in silence. */
import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { configurationKey, familyRange } from "../../src/store/keys.ts";
import { DISKS, makeBucket, memoryDisk, openOn } from "./store-fixture.ts";

const BUCKET = "demo-1250000000";
const TEXT = {
  name: "policy",
  decode: (bytes: Buffer) => bytes.toString(),
  encode: (text: string) => Buffer.from(text),
};

describe.each(DISKS)("configurations on %s", (_, make) => {
  it("are found as they were put, and not after they were removed", async () => {
    const disk = await make();
    const store = await openOn(await disk.open());
    const before = await makeBucket(store, BUCKET);
    assert.equal(await store.configurations.find(before, TEXT), undefined);
    await store.configurations.change(before, TEXT, () => "first");
    const now = async () => (await store.buckets.find(BUCKET)) ?? assert.fail("the bucket is gone");
    assert.equal(await store.configurations.find(await now(), TEXT), "first");
    assert.equal(store.configurations.has(await now(), TEXT), true);
    await store.configurations.change(before, TEXT, () => "second");
    assert.equal(await store.configurations.find(await now(), TEXT), "second");
    await store.configurations.change(before, TEXT, () => undefined);
    assert.equal(await store.configurations.find(await now(), TEXT), undefined);
  });

  it("are seen by other processes as soon as they are put, also where one was kept in memory", async () => {
    const engines = await (await make()).open();
    const [one, other] = [await openOn(engines), await openOn(engines)];
    const bucket = await makeBucket(one, BUCKET);
    for (const text of ["first", "second", undefined, "third"]) {
      await one.configurations.change(bucket, TEXT, () => text);
      const seen = (await other.buckets.find(BUCKET)) ?? assert.fail("the bucket is gone");
      assert.equal(await other.configurations.find(seen, TEXT), text);
    }
  });

  it("go with their bucket, and another of its name has none", async () => {
    const engines = await (await make()).open();
    const store = await openOn(engines);
    const bucket = await makeBucket(store, BUCKET);
    await store.configurations.change(bucket, TEXT, () => "first");
    assert.equal(await store.buckets.remove(BUCKET), "deleted");
    const [rows = []] = await engines.metadata.read([familyRange("configuration", 10)]);
    assert.deepEqual(rows, []);
    assert.equal(await store.configurations.find(await makeBucket(store, BUCKET), TEXT), undefined);
    await assert.rejects(
      store.configurations.change(bucket, TEXT, () => "late"),
      { code: "NoSuchBucket" },
    );
  });
});

describe("a configuration whose row is gone", () => {
  it("is damage where the bucket still names it: what a policy denies stays denied", async () => {
    const engines = await memoryDisk().open();
    const store = await openOn(engines);
    const bucket = await makeBucket(store, BUCKET);
    await store.configurations.change(bucket, TEXT, () => "first");
    await engines.metadata.commit([], [{ key: configurationKey(bucket.id, "policy"), value: undefined }]);
    const seen = (await store.buckets.find(BUCKET)) ?? assert.fail("the bucket is gone");
    await assert.rejects(async () => store.configurations.find(seen, TEXT), /has lost its policy/);
  });
});
