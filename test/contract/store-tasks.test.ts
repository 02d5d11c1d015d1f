import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { manualClock } from "../../src/engines/clock/manual.ts";
import { systemRandom } from "../../src/engines/random/system.ts";
import { lifecycleTask } from "../../src/features/lifecycle/index.ts";
import type { MetadataEngine } from "../../src/ports/metadata.ts";
import { checkStore } from "../../src/store/check.ts";
import { objectKey } from "../../src/store/keys.ts";
import { openStore } from "../../src/store/store.ts";
import { LeaseLost } from "../../src/store/tasks.ts";
import { inProcess } from "../fixtures/in-process.ts";
import { DAY_MS } from "../fixtures/timed-server.ts";
import { ALIVE, DISKS, type Engines, memoryDisk, openOn } from "./store-fixture.ts";

const EMPTY = Buffer.alloc(0);
const AT = objectKey("00".repeat(8), "written by a task");

describe.each(DISKS)("tasks on %s", (_name, makeDisk) => {
  it("keep their progress, whoever goes on with them", async () => {
    const disk = await makeDisk();
    const first = await openOn(await disk.open());
    assert.equal(await first.tasks.find("t"), undefined);
    const lease = await first.tasks.claim("t");
    assert.deepEqual(lease?.progress, EMPTY);
    await lease?.save(Buffer.from("half"));
    await lease?.release();
    await first.collector.stop();
    const second = await openOn(await disk.open());
    assert.deepEqual((await second.tasks.claim("t"))?.progress, Buffer.from("half"));
    assert.equal((await second.tasks.find("t"))?.holder, second.incarnation);
  });

  it("are taken over from the dead, who can store nothing more under them", async () => {
    const engines = await (await makeDisk()).open();
    const dead = await openOn(engines);
    const lease = await dead.tasks.claim("t");
    await lease?.save(Buffer.from("half"));
    const engines2 = { ...engines, blobs: { ...engines.blobs, incarnation: "ab".repeat(8) } };
    const heir = await openOn(engines2);
    const taken = await heir.tasks.claim("t");
    assert.deepEqual(taken?.progress, Buffer.from("half"));
    const write = dead.transact([], async (tx) => {
      tx.set(AT, EMPTY);
      await lease?.hold(tx);
    });
    await assert.rejects(write, LeaseLost);
    await assert.rejects(async () => lease?.save(Buffer.from("mine")), LeaseLost);
    await lease?.release();
    assert.equal((await heir.tasks.find("t"))?.holder, heir.incarnation);
    await heir.transact([], async (tx) => {
      await taken?.hold(tx);
      assert.equal(await tx.get(AT), undefined);
    });
  });

  it("cannot be stored under by who lost them in the middle of a transaction", async () => {
    const engines = await (await makeDisk()).open();
    const slow = await openOn(engines);
    const lease = await slow.tasks.claim("t");
    const heir = await openOn({ ...engines, blobs: { ...engines.blobs, incarnation: "ab".repeat(8) } });
    const write = slow.transact([], async (tx) => {
      await lease?.hold(tx);
      tx.set(AT, EMPTY);
      if ((await heir.tasks.find("t"))?.holder === slow.incarnation) await heir.tasks.claim("t");
    });
    await assert.rejects(write, LeaseLost);
    await slow.transact([], async (tx) => assert.equal(await tx.get(AT), undefined));
  });
});

describe("tasks", () => {
  it("stay with a process that lives", async () => {
    const engines = await memoryDisk().open();
    const first = await openOn(engines, { peers: ALIVE });
    const lease = await first.tasks.claim("t");
    const second = await openOn(
      { ...engines, blobs: { ...engines.blobs, incarnation: "ab".repeat(8) } },
      { peers: ALIVE },
    );
    assert.equal(await second.tasks.claim("t"), undefined);
    await lease?.release();
    assert.notEqual(await second.tasks.claim("t"), undefined);
  });
});

/** An engine whose process is killed so many commits after it was armed: that one, stored or not, and all that follow fail. */
function dying(engine: MetadataEngine, commits: number, stored: boolean) {
  let left = Number.POSITIVE_INFINITY;
  return {
    arm() {
      left = commits;
    },
    died: () => left < 0,
    read: (ranges: Parameters<MetadataEngine["read"]>[0]) => engine.read(ranges),
    async commit(seen: Parameters<MetadataEngine["commit"]>[0], writes: Parameters<MetadataEngine["commit"]>[1]) {
      left -= 1;
      if (left === -1 && stored) await engine.commit(seen, writes);
      if (left < 0) throw new Error("killed");
      return engine.commit(seen, writes);
    },
    close: () => engine.close(),
  };
}

describe("the lifecycle under crashes", () => {
  const START = Date.UTC(2026, 2, 1, 17);
  const RULES =
    "<LifecycleConfiguration><Rule><Filter><Prefix>old</Prefix></Filter><Status>Enabled</Status>" +
    "<Expiration><Days>1</Days></Expiration><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>" +
    "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>" +
    "<Rule><Filter><Prefix>cold</Prefix></Filter><Status>Enabled</Status>" +
    "<Transition><Days>1</Days><StorageClass>ARCHIVE</StorageClass></Transition></Rule></LifecycleConfiguration>";

  async function filled(): Promise<{ engines: Engines; clock: ReturnType<typeof manualClock> }> {
    const clock = manualClock(START);
    const engines = await memoryDisk().open();
    const store = await openOn(engines, { clock });
    const { ask, bucketId } = await inProcess(store, {}, [], "public-read-write", clock);
    const bucket = await store.buckets.find("demo-1250000000");
    assert.equal(bucket?.id, bucketId);
    const put = (key: string, body: string) => ask({ method: "PUT", target: `/${key}`, body });
    await put("old-1", "x");
    await put("cold-1", "y".repeat(64 * 1024));
    await put("kept", "z");
    await ask({ method: "POST", target: "/old-upload?uploads" });
    await store.transact([], async (tx) => {
      const present = await store.buckets.requireSame(tx, bucket);
      store.buckets.put(tx, { ...present, versioning: "Enabled" });
    });
    await put("old-2", "1");
    await put("old-2", "2");
    await setRules(store, clock);
    await lifecycleTask(store).runDue(clock.now());
    clock.set(START + 2 * DAY_MS);
    await store.collector.stop();
    return { engines, clock };
  }

  async function setRules(store: Awaited<ReturnType<typeof openOn>>, clock: ReturnType<typeof manualClock>) {
    const { rootCredential } = await import("../../src/access/caller.ts");
    const { signCos } = await import("../../src/dialects/cos/sign.ts");
    const owner = { secretId: "AKIDowner", secretKey: "secret", appid: "1250000000", uin: "100000000001" };
    const { ask } = await inProcess(store, {}, [rootCredential(owner)], "public-read-write", clock);
    const { authorization } = signCos({ ...owner, method: "PUT", path: "/", signTime: "0;4102444800" });
    const told = await ask({ method: "PUT", target: "/?lifecycle", headers: { authorization }, body: RULES });
    assert.equal(told.status, 200, told.text);
  }

  it.each([true, false])("is complete after a death at any commit, which was stored: %s", async (stored) => {
    let deaths = 0;
    for (let commits = 0; ; commits++) {
      const { engines, clock } = await filled();
      const open = (metadata: MetadataEngine, incarnation: string) =>
        openStore({
          metadata,
          blobs: { ...engines.blobs, incarnation },
          clock,
          random: systemRandom(),
          report: () => undefined,
        });
      const engine = dying(engines.metadata, commits, stored);
      const victim = await open(engine, "cd".repeat(8));
      engine.arm();
      await lifecycleTask(victim)
        .runDue(clock.now())
        .catch((error: unknown) => assert.match(String(error), /killed/));
      if (engine.died()) deaths += 1;
      await victim.collector.stop();
      const heir = await open(engines.metadata, "ef".repeat(8));
      const task = lifecycleTask(heir);
      await task.runDue(clock.now());
      assert.ok((await task.nextDue(clock.now())) > clock.now());
      const { ask, bucketId } = await inProcess(heir, {}, [], "public-read-write", clock);
      const { text } = await ask({ method: "GET", target: "/?versions" });
      const left = [...text.matchAll(/<(Version|DeleteMarker)><Key>([^<]*)</g)].map(
        ([, kind, key]) => `${key} ${kind}`,
      );
      assert.deepEqual(left, [
        "cold-1 Version",
        "kept Version",
        "old-1 DeleteMarker",
        "old-1 Version",
        "old-2 DeleteMarker",
        "old-2 Version",
      ]);
      assert.match(text, /<Key>cold-1<.*?<StorageClass>ARCHIVE</s);
      const uploads = await heir.uploads.list(bucketId, { prefix: "", marker: "", delimiter: undefined, limit: 10 });
      assert.deepEqual(uploads.uploads, []);
      await heir.collector.idle();
      const { found } = await checkStore({ rows: engines.metadata, blobs: engines.blobs, inUse: true });
      assert.deepEqual([...found], []);
      await heir.close();
      if (!engine.died()) break;
    }
    assert.ok(deaths >= 6, `${deaths} deaths`);
  });
});
