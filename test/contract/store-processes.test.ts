/**
 * Two stores on the same engines, which know each other as the processes of one server do: what one of them promises
 * holds when the other is at the same rows. They run in this process, so that each order of events can be had at will;
 * test/workers.test.ts shows the same of real processes.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, onTestFinished } from "vitest";
import { localBlobs } from "../../src/engines/blobs/local.ts";
import { systemClock } from "../../src/engines/clock/system.ts";
import { lmdbMetadata } from "../../src/engines/metadata/lmdb.ts";
import type { Said } from "../../src/engines/peers/messages.ts";
import { workerPeers } from "../../src/engines/peers/peers.ts";
import { type Seat, switchboard } from "../../src/engines/peers/switchboard.ts";
import { systemRandom } from "../../src/engines/random/system.ts";
import { CosError } from "../../src/errors/cos-error.ts";
import { type BlobEngine, StorageUnavailable } from "../../src/ports/blobs.ts";
import type { MetadataEngine } from "../../src/ports/metadata.ts";
import { openStore, type Store } from "../../src/store/store.ts";
import {
  append,
  bytesOf,
  complete,
  get,
  makeBucket,
  pattern,
  put,
  putPart,
  remove,
  rowsOf,
  startUpload,
} from "./store-fixture.ts";

const BUCKET = "demo-1250000000";
const INLINE_MAX = 1_000;

interface Member {
  readonly store: Store;
  readonly blobs: BlobEngine;
  /** As if the process had been killed: it is heard no more, and the others learn of its end. */
  die(): void;
  end(): Promise<void>;
  /** As if its event loop stood still: it hears nothing. */
  freeze(): void;
}

/** `count` stores; the first of them collects. Nothing they could not say over a channel passes between them. */
async function joined(count = 2) {
  const folder = await mkdtemp(join(tmpdir(), "cosbox-processes-"));
  const clock = systemClock();
  const random = systemRandom();
  const metadata = await lmdbMetadata({ folder: join(folder, "metadata"), random, durability: "none" });
  const board = switchboard(clock);
  const faults: unknown[] = [];
  let areSyncsFailing = false;

  async function join1(): Promise<Member> {
    let isHearing = true;
    let isAlive = true;
    const deliver = (to: () => { hear(message: Said): void }) => (message: Said) => {
      const text = JSON.stringify(message);
      setImmediate(() => {
        if (isAlive && (isHearing || to() !== peers)) to().hear(JSON.parse(text) as Said);
      });
    };
    const seat: Seat = board.join(deliver(() => peers));
    const peers = workerPeers(
      deliver(() => seat),
      clock,
    );
    const blobs = await localBlobs({ folder, random, durability: "none" });
    const store = await openStore({
      // A process that has died commits nothing.
      metadata: {
        ...metadata,
        commit: (seen, writes) => {
          if (!isAlive) return new Promise(() => {});
          if (areSyncsFailing) return Promise.reject(new StorageUnavailable("sync-failed", "on purpose"));
          return metadata.commit(seen, writes);
        },
      },
      blobs,
      clock,
      random,
      peers,
      inlineMax: INLINE_MAX,
      report: (error) => faults.push(error),
    });
    return {
      store,
      blobs,
      die() {
        isAlive = false;
        seat.leave();
      },
      freeze() {
        isHearing = false;
      },
      async end() {
        if (isAlive) await store.collector.stop();
        await blobs.close();
      },
    };
  }

  const members: Member[] = [];
  for (let number = 0; number < count; number++) members.push(await join1());
  onTestFinished(async () => {
    for (const member of members) await member.end();
    await metadata.close();
    await rm(folder, { recursive: true });
    assert.deepEqual(faults, []);
  });
  const [one, two] = members as [Member, Member];
  const bucket = await makeBucket(one.store);
  const failSyncs = (whether = true) => {
    areSyncsFailing = whether;
  };
  return { one, two, metadata, bucket, join1, members, failSyncs };
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (await isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`never so: ${what}`);
}

const noRows = (metadata: MetadataEngine) => async () => (await rowsOf(metadata)).length === 0;
const code = (error: unknown): string => (error instanceof CosError ? error.id : String(error));

/** What waits until `go` is called. */
function gate() {
  let open: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, go: () => open() };
}

describe("two processes on one store", () => {
  it("write one key in turn: no append is lost, and none is given up", async () => {
    const { one, two, bucket } = await joined();
    const writers = Array.from({ length: 16 }, async (_, writer) => {
      const { store } = writer % 2 === 0 ? one : two;
      for (let times = 0; times < 10; times++) await append(store, bucket.name, "k", Buffer.from([writer]));
    });
    await Promise.all(writers);
    const bytes = await get(two.store, bucket.id, "k");
    assert.equal(bytes.length, 160);
    for (let writer = 0; writer < 16; writer++) assert.equal(bytes.filter((byte) => byte === writer).length, 10);
  });

  it("never orphan an object: of a bucket's deletion here and a put there, one sees the other", async () => {
    const { one, two, metadata } = await joined();
    const outcomes = new Set<string>();
    for (let round = 0; round < 60; round++) {
      const name = `round${round}-1250000000`;
      await makeBucket(one.store, name);
      const pause = () => new Promise((resolve) => setTimeout(resolve, round % 4));
      const [deleted, stored] = await Promise.all([
        (round % 3 === 0 ? pause() : Promise.resolve()).then(() => one.store.buckets.remove(name)),
        (round % 3 === 1 ? pause() : Promise.resolve()).then(() =>
          put(two.store, name, "k", Buffer.from("x")).then(() => "stored", code),
        ),
      ]);
      outcomes.add(`${deleted}, ${stored}`);
    }
    assert.deepEqual([...outcomes].sort(), ["deleted, NoSuchBucket", "not-empty, stored"]);
    const objects = (await rowsOf(metadata)).filter((row) => row.startsWith("o "));
    assert.equal(objects.length, (await rowsOf(metadata)).filter((row) => row.startsWith("i ")).length);
  });

  it("complete an upload once, whoever else completes or aborts it", async () => {
    const { one, two, bucket } = await joined();
    for (let round = 0; round < 20; round++) {
      const name = await startUpload(one.store, bucket.id, `k${round}`);
      await putPart(one.store, name, 1, pattern(50, 1));
      await putPart(two.store, name, 2, pattern(5_000, 2));
      const abort = () =>
        two.store.transact([], async (tx) => {
          if (!(await two.store.uploads.require(tx, name))) return undefined;
          two.store.uploads.abort(tx, name);
          return "aborted";
        });
      const [first, second] = await Promise.all([
        complete(one.store, BUCKET, name).then((done) => done && "completed"),
        round % 2 === 0 ? complete(two.store, BUCKET, name).then((done) => done && "completed") : abort(),
      ]);
      assert.equal([first, second].filter((done) => done !== undefined).length, 1);
      const isThere = (await one.store.objects.find(bucket.id, `k${round}`)) !== undefined;
      assert.equal(isThere, first === "completed" || second === "completed");
      if (isThere) {
        const whole = Buffer.concat([pattern(50, 1), pattern(5_000, 2)]);
        assert.ok((await get(two.store, bucket.id, `k${round}`)).equals(whole));
      }
    }
  });

  it("wait for each other's completions, and learn what came of them", async () => {
    const { one, two, bucket } = await joined();
    for (const outcome of ["published", "failed"] as const) {
      const name = await startUpload(one.store, bucket.id, outcome);
      await putPart(one.store, name, 1, pattern(10));
      const { opened, go } = gate();
      const begun = gate();
      const completing = one.store.uploads
        .complete(name, async (completion) => {
          begun.go();
          await opened;
          if (outcome === "failed") throw new Error("on purpose");
          await one.store.transact([], (tx) => completion.publish(tx, []));
        })
        .catch(() => undefined);
      await begun.opened;
      let settled = false;
      const adding = putPart(two.store, name, 2, pattern(10))
        .then(() => "stored", code)
        .finally(() => {
          settled = true;
        });
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.equal(settled, false, "it has not been decided yet");
      go();
      await completing;
      assert.equal(await adding, outcome === "published" ? "NoSuchUpload" : "stored");
    }
  });

  it.each([
    ["the one that collects", 0],
    ["the other", 1],
  ] as const)("let a long download end that %s serves, while its object is overwritten and deleted", async (_, at) => {
    const { one, metadata, bucket, members } = await joined();
    const reader = (members[at] as Member).store;
    const writer = (members[1 - at] as Member).store;
    const name = await startUpload(writer, bucket.id, "k");
    const parts = Array.from({ length: 40 }, (_, part) => pattern(part % 2 === 0 ? 300_000 : 500, part + 1));
    for (const [part, bytes] of parts.entries()) await putPart(writer, name, part + 1, bytes);
    const { value: old } = (await complete(writer, BUCKET, name)) as { value: Parameters<typeof bytesOf>[1] };
    const whole = Buffer.concat(parts);

    const chunks = await reader.bodies.open(old.body, 0, old.size);
    assert.ok(!Buffer.isBuffer(chunks));
    const read: Buffer[] = [];
    let isGone = false;
    for await (const chunk of chunks) {
      read.push(Buffer.from(chunk));
      if (isGone) continue;
      isGone = true;
      await put(writer, BUCKET, "k", Buffer.from("new"));
      await remove(writer, bucket.name, "k");
      await one.store.collector.idle();
    }
    assert.ok(Buffer.concat(read).equals(whole), "every byte of what was there when the download began");
    // The reader's leaving wakes the one that collects, wherever it was.
    await until("everything is freed", noRows(metadata));
    assert.deepEqual(await one.blobs.list(undefined, 10), []);
  });

  it("free nothing while one of them does not answer, and go on when it has ended", { timeout: 20_000 }, async () => {
    const { one, two, metadata, bucket } = await joined();
    await put(one.store, BUCKET, "k", pattern(50_000));
    two.freeze();
    await put(one.store, BUCKET, "k", Buffer.alloc(0));
    await one.store.collector.idle();
    assert.equal((await one.blobs.list(undefined, 10)).length, 1);
    await remove(one.store, bucket.name, "k");
    two.die();
    await until("everything is freed", noRows(metadata));
    assert.deepEqual(await one.blobs.list(undefined, 10), []);
  });

  it.each([0, 1])(
    "undo at once what a process leaves that dies, also when it was the one that collects (%i)",
    async (at) => {
      const { metadata, bucket, members } = await joined();
      const dying = members[at] as Member;
      const living = members[1 - at] as Member;
      const name = await startUpload(dying.store, bucket.id, "k");
      await putPart(dying.store, name, 1, pattern(10));
      const begun = gate();
      void dying.store.uploads.complete(name, async () => {
        begun.go();
        await new Promise(() => {});
      });
      await begun.opened;
      // Bytes that no row names yet.
      await dying.blobs.put(
        (async function* () {
          yield pattern(5_000);
        })(),
      );
      const adding = putPart(living.store, name, 2, pattern(20));
      dying.die();
      await adding;
      await until("its intent and its process row are gone", async () => {
        const [rows = []] = await metadata.read([{ start: Buffer.from("n"), end: Buffer.from("y"), limit: 100 }]);
        return (
          rows.filter(({ key }) => key[0] === 0x78 || key.toString("hex").includes(dying.store.incarnation)).length ===
          0
        );
      });
      await until("its bytes are gone", async () => (await living.blobs.list(undefined, 10)).length === 0);
      assert.ok(await complete(living.store, BUCKET, name));
      assert.ok((await get(living.store, bucket.id, "k")).equals(Buffer.concat([pattern(10), pattern(20)])));
    },
  );

  it("stop writing together when a sync fails in one of them, and go on reading", async () => {
    const { one, two, bucket, join1, members, failSyncs } = await joined();
    await put(one.store, BUCKET, "k", pattern(50));
    failSyncs();
    await assert.rejects(put(one.store, BUCKET, "k", pattern(60)), { trouble: "sync-failed" });
    // A sync that succeeds later proves nothing.
    failSyncs(false);
    const isStopped = ({ store }: Member) =>
      put(store, BUCKET, "k", pattern(70)).then(
        () => false,
        (error: unknown) => error instanceof StorageUnavailable && error.trouble === "sync-failed",
      );
    await until("the other writes no more", () => isStopped(two));
    const third = await join1();
    members.push(third);
    assert.ok(await isStopped(third), "nor does one that begins later");
    for (const { store } of members) assert.ok((await get(store, bucket.id, "k")).length >= 50);
  });

  it("leave the blobs of the living alone when one dies", async () => {
    const { one, two, join1, members } = await joined();
    const third = await join1();
    members.push(third);
    const body = async function* () {
      yield pattern(5_000);
    };
    const kept = await two.blobs.put(body());
    const lost = await third.blobs.put(body());
    third.die();
    await until("those of the dead are gone", async () => !(await one.blobs.list(undefined, 10)).includes(lost.id));
    assert.deepEqual(await one.blobs.list(undefined, 10), [kept.id]);
  });
});
