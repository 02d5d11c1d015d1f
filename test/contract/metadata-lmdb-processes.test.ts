/** What LMDB promises when several processes share one folder: the same as within one. */

import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, describe, it } from "vitest";
import { systemClock } from "../../src/engines/clock/system.ts";
import { lmdbMetadata } from "../../src/engines/metadata/lmdb.ts";
import { systemRandom } from "../../src/engines/random/system.ts";
import { type MetadataEngine, pointRange } from "../../src/ports/metadata.ts";
import { transactions } from "../../src/store/transact.ts";
import type { Ask, Say } from "./metadata-process.ts";

const parent = await mkdtemp(join(tmpdir(), "cosbox-processes-"));
afterAll(() => rm(parent, { recursive: true }));

const engines: MetadataEngine[] = [];
const processes: ChildProcess[] = [];
afterEach(async () => {
  for (const child of processes.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }
  for (const engine of engines.splice(0)) await engine.close();
});

let folders = 0;
const freshFolder = () => join(parent, String(folders++), "metadata");

async function openHere(folder: string): Promise<MetadataEngine> {
  const engine = await lmdbMetadata({ folder, random: systemRandom() });
  engines.push(engine);
  return engine;
}

/** Starts a process on the folder and waits until it has opened it. */
async function startOther(folder: string, role: "peer" | "writer", heard: (said: Say) => void): Promise<ChildProcess> {
  const child = fork(fileURLToPath(new URL("metadata-process.ts", import.meta.url)), [folder, role], {
    execArgv: ["--import", "tsx"],
  });
  processes.push(child);
  await new Promise<void>((resolve, reject) => {
    child.once("exit", (code, signal) => reject(new Error(`the other process ended: ${code ?? signal}`)));
    child.on("message", (said: Say) => {
      if (said.kind === "ready") resolve();
      else heard(said);
    });
  });
  return child;
}

function ask(child: ChildProcess, what: Ask): void {
  child.send(what);
}

describe("metadata engine lmdb, two processes", { timeout: 60_000 }, () => {
  it("a write acknowledged in one is seen by the other at once, and writes are seen in their order", async () => {
    const folder = freshFolder();
    const engine = await openHere(folder);
    const waiting = new Map<number, (found: { first: number; second: number }) => void>();
    const other = await startOther(folder, "peer", (said) => {
      if (said.kind === "found") waiting.get(said.n)?.(said);
    });
    let asked = 0;
    let stale = 0;
    let disordered = 0;
    // Many chains at once, so that several questions reach the other process in one turn of its loop: a snapshot that
    // the first of them left open would hide from the second what was written between.
    const chain = async (name: string) => {
      for (let value = 1; value <= 125; value++) {
        for (const row of ["first", "second"]) {
          await engine.commit([], [{ key: Buffer.from(`${name}/${row}`), value: Buffer.from(String(value)) }]);
        }
        const n = asked++;
        const { first, second } = await new Promise<{ first: number; second: number }>((resolve) => {
          waiting.set(n, resolve);
          ask(other, { kind: "check", chain: name, n });
        });
        waiting.delete(n);
        if (first < value || second < value) stale += 1;
        if (second > first) disordered += 1;
      }
    };
    await Promise.all(Array.from({ length: 32 }, (_, at) => chain(`chain-${at}`)));
    assert.deepEqual({ asked, stale, disordered }, { asked: 4_000, stale: 0, disordered: 0 });
  });

  for (const queue of [true, false]) {
    it(`increments of both are all counted, ${queue ? "queued within" : "unqueued in"} each process`, async () => {
      const folder = freshFolder();
      const engine = await openHere(folder);
      // What is asked is whether any is lost, not how often one has to try on a busy machine.
      const transact = transactions(engine, systemClock(), { runsMax: 10_000 });
      const key = Buffer.from("counter");
      let finish: () => void = () => {};
      const done = new Promise<void>((resolve) => {
        finish = resolve;
      });
      const other = await startOther(folder, "peer", (said) => {
        if (said.kind === "done") finish();
      });
      ask(other, { kind: "increment", key: "counter", times: 400, queue });
      const workers = Array.from({ length: 4 }, async () => {
        for (let n = 0; n < 100; n++) {
          await transact(queue ? [key] : [], async (tx) => {
            tx.set(key, Buffer.from(String(Number((await tx.get(key)) ?? 0) + 1)));
          });
        }
      });
      await Promise.all([...workers, done]);
      const [rows] = await engine.read([pointRange(key)]);
      assert.equal(rows?.[0]?.value.toString(), "800");
    });
  }

  it("killing one in the middle of its writes loses nothing it had acknowledged, and the other goes on", async () => {
    const folder = freshFolder();
    const engine = await openHere(folder);
    const acknowledged: string[] = [];
    const own = { rows: 0, stop: false };
    for (let round = 0; round < 4; round++) {
      const before = acknowledged.length;
      let enough: () => void = () => {};
      const heard = new Promise<void>((resolve) => {
        enough = resolve;
      });
      const other = await startOther(folder, "writer", (said) => {
        if (said.kind !== "acknowledged") return;
        acknowledged.push(said.key);
        if (acknowledged.length - before >= 400 + round * 37) enough();
      });
      own.stop = false;
      const writer = (async () => {
        while (!own.stop) {
          await engine.commit([], [{ key: Buffer.from(`own/${own.rows++}`), value: Buffer.alloc(200) }]);
        }
      })();
      await heard;
      const exit = once(other, "exit");
      other.kill("SIGKILL");
      await exit;
      const target = own.rows + 100;
      while (own.rows < target) await new Promise((resolve) => setImmediate(resolve));
      own.stop = true;
      await writer;
    }
    const rows = await engine.read(acknowledged.map((key) => pointRange(Buffer.from(key))));
    const missing = acknowledged.filter((key, at) => !rows[at]?.[0]?.value.equals(Buffer.alloc(200, key)));
    assert.deepEqual(missing, []);
    assert.ok(acknowledged.length >= 1_600);
    assert.equal(
      (await engine.read([{ start: Buffer.from("own/"), end: Buffer.from("own0"), limit: own.rows }]))[0]?.length,
      own.rows,
    );
  });

  it("one that closes leaves the other its database", async () => {
    const folder = freshFolder();
    const engine = await openHere(folder);
    const other = await startOther(folder, "peer", () => {});
    const exit = once(other, "exit");
    ask(other, { kind: "end" });
    assert.deepEqual(await exit, [0, null]);
    assert.equal(await engine.commit([], [{ key: Buffer.from("a"), value: Buffer.from("1") }]), true);
    assert.equal((await engine.read([pointRange(Buffer.from("a"))]))[0]?.length, 1);
  });
});
