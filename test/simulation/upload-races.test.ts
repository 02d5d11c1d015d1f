/** Racing clients of one upload or one appended object: exactly one wins, and no bytes are left over. */

import assert from "node:assert/strict";
import { describe, it } from "vitest";
import type { MetadataEngine } from "../../src/ports/metadata.ts";
import { type Disk, memoryDisk, openOn, pattern, rowsOf } from "../contract/store-fixture.ts";
import { type InProcess, inProcess, type Told } from "../fixtures/in-process.ts";
import { md5, partList } from "../fixtures/uploads.ts";

const TRIALS = 200;
const LIMITS = { partBytesMin: 1 };
/** Above the inline bound, and below it. */
const LARGE = 20_000;
const SMALL = 10;

async function fixture(disk: Disk = memoryDisk(), wrap: (metadata: MetadataEngine) => MetadataEngine = (m) => m) {
  const engines = await disk.open();
  const store = await openOn({ ...engines, metadata: wrap(engines.metadata) }, { report: () => {} });
  const server = await inProcess(store, LIMITS);
  return { ...engines, store, server };
}

type Fixture = Awaited<ReturnType<typeof fixture>>;

async function initiate(server: InProcess, key: string): Promise<string> {
  const { text } = await server.ask({ method: "POST", target: `/${key}?uploads` });
  return /<UploadId>([^<]*)/.exec(text)?.[1] as string;
}

const sendPart = (server: InProcess, key: string, uploadId: string, number: number, body: Buffer) =>
  server.ask({ method: "PUT", target: `/${key}?partNumber=${number}&uploadId=${uploadId}`, body });

const complete = (server: InProcess, key: string, uploadId: string, bodies: readonly Buffer[]) =>
  server.ask({
    method: "POST",
    target: `/${key}?uploadId=${uploadId}`,
    body: partList(bodies.map((body, at) => [at + 1, md5(body)])),
  });

const abort = (server: InProcess, key: string, uploadId: string) =>
  server.ask({ method: "DELETE", target: `/${key}?uploadId=${uploadId}` });

/** An upload with three parts, of which the trial decides the sizes; now and then more than fit in an object's row. */
async function uploadOf(server: InProcess, key: string, trial: number) {
  const uploadId = await initiate(server, key);
  const count = trial % 50 === 0 ? 40 : 3;
  const bodies = Array.from({ length: count }, (_, at) => pattern((trial + at) % 2 === 0 ? LARGE : SMALL, trial + at));
  await Promise.all(bodies.map((body, at) => sendPart(server, key, uploadId, at + 1, body)));
  return { uploadId, bodies };
}

/** Starts the second request a number of turns of the event queue after the first. */
async function race(turns: number, first: () => Promise<Told>, second: () => Promise<Told>): Promise<[Told, Told]> {
  const one = first();
  for (let turn = 0; turn < turns; turn++) await Promise.resolve();
  return await Promise.all([one, second()]);
}

/** Removes all that clients can remove; then neither row nor blob may be left. */
async function assertClean({ blobs, metadata, server, store }: Fixture): Promise<void> {
  const objects = await store.objects.list(server.bucketId, query());
  for (const { key } of objects.objects) {
    assert.equal((await server.ask({ method: "DELETE", target: `/${key}` })).status, 204);
  }
  const uploads = await store.uploads.list(server.bucketId, query());
  for (const { key, uploadId } of uploads.uploads) assert.equal((await abort(server, key, uploadId)).status, 204);
  await store.collector.idle();
  assert.deepEqual(await rowsOf(metadata), []);
  assert.deepEqual(await blobs.list(undefined, 10), []);
}

const query = () => ({ prefix: "", delimiter: undefined, marker: undefined, limit: 10_000 });

describe("uploads under race", () => {
  it("of two completions of one upload exactly one wins", async () => {
    const made = await fixture();
    const { server } = made;
    for (let trial = 0; trial < TRIALS; trial++) {
      const key = `k${trial % 7}`;
      const { uploadId, bodies } = await uploadOf(server, key, trial);
      const run = () => complete(server, key, uploadId, bodies);
      const codes = (await race(trial % 60, run, run)).map(({ code }) => code).toSorted();
      assert.deepEqual(codes, ["NoSuchUpload", "ok"], `trial ${trial}`);
      assert.ok((await server.ask({ method: "GET", target: `/${key}` })).bytes.equals(Buffer.concat(bodies)));
    }
    assert.deepEqual(server.faults, []);
    await assertClean(made);
  });

  it("of a completion and an abort exactly one wins", async () => {
    const made = await fixture();
    const { server } = made;
    const wins = { complete: 0, abort: 0 };
    for (let trial = 0; trial < TRIALS; trial++) {
      const key = `k${trial}`;
      const { uploadId, bodies } = await uploadOf(server, key, trial);
      const completing = () => complete(server, key, uploadId, bodies);
      const aborting = () => abort(server, key, uploadId);
      const [completed, aborted] =
        trial % 2 === 0
          ? await race(trial % 60, completing, aborting)
          : ((await race(trial % 60, aborting, completing)).toReversed() as [Told, Told]);
      const got = await server.ask({ method: "GET", target: `/${key}` });
      if (completed.code === "ok") {
        wins.complete += 1;
        assert.equal(aborted.code, "NoSuchUpload", `trial ${trial}`);
        assert.ok(got.bytes.equals(Buffer.concat(bodies)));
      } else {
        wins.abort += 1;
        assert.deepEqual([completed.code, aborted.code], ["NoSuchUpload", "ok"], `trial ${trial}`);
        assert.equal(got.code, "NoSuchKey");
      }
    }
    assert.ok(wins.complete > 0 && wins.abort > 0, `both must happen: ${JSON.stringify(wins)}`);
    assert.deepEqual(server.faults, []);
    await assertClean(made);
  });

  it("a part that is replaced while its upload completes is in the object as it was named, or not at all", async () => {
    const made = await fixture();
    const { server } = made;
    const outcomes = new Set<string>();
    for (let trial = 0; trial < TRIALS; trial++) {
      const key = `k${trial}`;
      const { uploadId, bodies } = await uploadOf(server, key, trial);
      const other = pattern(trial % 3 === 0 ? SMALL : LARGE, 1_000 + trial);
      const completing = () => complete(server, key, uploadId, bodies);
      const replacing = () => sendPart(server, key, uploadId, 2, other);
      const [completed, replaced] =
        trial % 2 === 0
          ? await race(trial % 60, completing, replacing)
          : ((await race(trial % 60, replacing, completing)).toReversed() as [Told, Told]);
      outcomes.add(`${completed.code} ${replaced.code}`);
      if (completed.code === "ok") {
        assert.ok((await server.ask({ method: "GET", target: `/${key}` })).bytes.equals(Buffer.concat(bodies)));
      } else {
        assert.deepEqual([completed.code, replaced.code], ["InvalidPart", "ok"]);
        const again = await complete(server, key, uploadId, bodies.with(1, other));
        assert.equal(again.code, "ok", "the upload is open again");
      }
    }
    assert.deepEqual([...outcomes].toSorted(), ["InvalidPart ok", "ok NoSuchUpload"]);
    assert.deepEqual(server.faults, []);
    await assertClean(made);
  });

  it("of two appends at one position exactly one wins", async () => {
    const made = await fixture();
    const { server } = made;
    for (let trial = 0; trial < TRIALS; trial++) {
      const key = `k${trial % 11}`;
      const present = await server.ask({ method: "GET", target: `/${key}` });
      const before = present.code === "ok" ? present.bytes : Buffer.alloc(0);
      const bodies = [pattern(trial % 5 === 0 ? LARGE : SMALL, trial), pattern(SMALL + 1, 500 + trial)] as const;
      const append = (body: Buffer) => () =>
        server.ask({ method: "POST", target: `/${key}?append&position=${before.length}`, body });
      const [one, two] = await race(trial % 40, append(bodies[0]), append(bodies[1]));
      assert.deepEqual([one.code, two.code].toSorted(), ["AppendPositionErr", "ok"], `trial ${trial}`);
      const won = one.code === "ok" ? bodies[0] : bodies[1];
      const lost = one.code === "ok" ? two : one;
      const after = Buffer.concat([before, won]);
      assert.equal(lost.headers.get("x-cos-next-append-position"), String(after.length));
      assert.ok((await server.ask({ method: "GET", target: `/${key}` })).bytes.equals(after), `trial ${trial}`);
    }
    assert.deepEqual(server.faults, []);
    await assertClean(made);
  });
});

describe("parts that share the bytes of an object of many pieces", () => {
  for (const end of ["complete", "abort", "replace"] as const) {
    it(`leave nothing behind: ${end}`, async () => {
      const made = await fixture();
      const { server, store } = made;
      const source = await uploadOf(server, "source", 50);
      assert.equal((await complete(server, "source", source.uploadId, source.bodies)).code, "ok");
      const whole = Buffer.concat(source.bodies);

      const uploadId = await initiate(server, "copy");
      const copied = await server.ask({
        method: "PUT",
        target: `/copy?partNumber=1&uploadId=${uploadId}`,
        headers: { "x-cos-copy-source": "demo-1250000000.cos.ap-guangzhou.myqcloud.com/source" },
      });
      assert.equal(copied.code, "ok", copied.text);
      const last = pattern(LARGE, 3);
      assert.equal((await sendPart(server, "copy", uploadId, 2, last)).code, "ok");
      assert.equal((await server.ask({ method: "DELETE", target: "/source" })).code, "ok");
      if (end === "replace") assert.equal((await sendPart(server, "copy", uploadId, 1, last)).code, "ok");
      await store.collector.idle();
      if (end === "complete") {
        assert.equal((await complete(server, "copy", uploadId, [whole, last])).code, "ok");
        await store.collector.idle();
        const got = await server.ask({ method: "GET", target: "/copy" });
        assert.ok(got.bytes.equals(Buffer.concat([whole, last])));
      }
      assert.deepEqual(server.faults, []);
      await assertClean(made);
    });
  }
});

/** Fails one commit, counted from when `arm` is called, before or after it has been made. */
function failing() {
  let left = Number.POSITIVE_INFINITY;
  let applied = false;
  return {
    arm(commits: number, made: boolean) {
      left = commits;
      applied = made;
    },
    wrap: (metadata: MetadataEngine): MetadataEngine => ({
      ...metadata,
      async commit(seen, writes) {
        left -= 1;
        if (left !== 0) return await metadata.commit(seen, writes);
        if (applied) await metadata.commit(seen, writes);
        throw new Error("the engine does not say what became of this commit");
      },
    }),
  };
}

describe("uploads whose commits fail", () => {
  it("a completion can be asked for again, whichever of its commits failed, and whether it was made", async () => {
    const engine = failing();
    const disk = memoryDisk();
    const { server, store } = await fixture(disk, engine.wrap);
    for (let commits = 1; commits <= 5; commits++) {
      for (const applied of [false, true]) {
        const key = `k${commits}${applied}`;
        const { uploadId, bodies } = await uploadOf(server, key, 50);
        await store.collector.idle();
        engine.arm(commits, applied);
        const first = await complete(server, key, uploadId, bodies);
        engine.arm(Number.POSITIVE_INFINITY, false);
        const second = await complete(server, key, uploadId, bodies);
        if (first.code === "ok") assert.equal(second.code, "NoSuchUpload");
        else assert.ok(["ok", "NoSuchUpload"].includes(second.code), `${first.code}, then ${second.code}`);
        const got = await server.ask({ method: "GET", target: `/${key}` });
        assert.ok(got.bytes.equals(Buffer.concat(bodies)), `commit ${commits}, made: ${applied}`);
      }
    }
    // The intent of a completion whose fence was made unheard is looked at by the next start.
    await store.collector.stop();
    await assertClean(await fixture(disk));
  });

  it("a completion that a crash cut short is undone by the next start", async () => {
    const disk = memoryDisk();
    const dead = await fixture(disk);
    const { uploadId, bodies } = await uploadOf(dead.server, "k", 50);
    await new Promise<void>((fenced) => {
      // The process dies after its manifest is written, so its work never returns.
      void dead.store.uploads.complete({ bucketId: dead.server.bucketId, key: "k", uploadId }, async (completion) => {
        const parts = [];
        for await (const part of completion.parts()) parts.push(part.body);
        await dead.store.bodies.assemble(parts, completion.manifestId);
        fenced();
        return await new Promise(() => {});
      });
    });
    await dead.store.collector.stop();

    const made = await fixture(disk);
    await made.store.collector.idle();
    assert.equal((await sendPart(made.server, "k", uploadId, 41, pattern(SMALL))).code, "ok");
    assert.equal((await complete(made.server, "k", uploadId, bodies)).code, "ok");
    const got = await made.server.ask({ method: "GET", target: "/k" });
    assert.ok(got.bytes.equals(Buffer.concat(bodies)));
    await assertClean(made);
  });
});
