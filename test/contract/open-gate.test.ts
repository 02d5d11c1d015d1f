/** A database that is opened while other processes commit to it: see open-gate.ts. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, it, onTestFinished, vi } from "vitest";
import { lmdbBeside } from "../../src/engines/metadata/lmdb-beside.ts";
import { lockFolder } from "../../src/engines/folder-lock.ts";
import { pointRange } from "../../src/ports/metadata.ts";
import { freshFolder } from "./store-fixture.ts";

const COMMITTER = join(import.meta.dirname, "../fixtures/committer.ts");
const TSX = import.meta.resolve("tsx");

interface Committer {
  readonly child: ChildProcess;
  /** Commits that it has told of. */
  readonly done: () => number;
}

async function committer(folder: string): Promise<Committer> {
  const child = spawn(process.execPath, ["--import", TSX, COMMITTER, folder], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let lines = 0;
  child.stdout.setEncoding("utf8").on("data", (text: string) => (lines += text.split("\n").length - 1));
  const one = { child, done: () => lines };
  await goesOn(one);
  return one;
}

async function goesOn({ done }: Committer): Promise<void> {
  const before = done();
  await vi.waitFor(() => assert.ok(done() > before + 1), { timeout: 30_000 });
}

describe("a database that other processes commit to", { timeout: 60_000 }, () => {
  it("is not waited for in the name of a process that has died, whose number is another's", async () => {
    const folder = await freshFolder();
    const gate = join(folder, "metadata", "gate");
    mkdirSync(gate, { recursive: true });
    writeFileSync(join(gate, `guard-${process.ppid}`), "");
    const lock = await lockFolder(folder);
    assert.ok(!existsSync(gate));
    await lock.release();
  });

  it("is opened while none of them commits", async () => {
    const folder = await freshFolder();
    const all = [await committer(folder), await committer(folder)];
    const request = join(folder, "gate", `${process.pid}-1000`);
    writeFileSync(request, "");
    await vi.waitFor(() => assert.ok(existsSync(`${request}.granted`)), { timeout: 10_000 });
    // What was committed before the answer may still be on its way here.
    await sleep(300);
    const before = all.map(({ done }) => done());
    await sleep(300);
    assert.deepEqual(
      all.map(({ done }) => done()),
      before,
    );
    rmSync(request);
    for (const one of all) await goesOn(one);
    await vi.waitFor(() => assert.ok(!existsSync(`${request}.granted`)));
  });

  it("is opened at once where they have died, and by several one after the other where they live", async () => {
    const folder = await freshFolder();
    const [first, second] = [await committer(folder), await committer(folder)];
    first.child.kill("SIGKILL");
    const opened = await Promise.all([1, 2, 3].map(() => lmdbBeside(folder)));
    const key = Buffer.from(`${second.child.pid}/0`);
    for (const one of opened) assert.equal((await one.current.read([pointRange(key)]))[0]?.length, 1);
    await opened[0]?.close();
    await goesOn(second);
    second.child.kill("SIGKILL");
    await vi.waitFor(() => assert.equal(second.child.signalCode, "SIGKILL"));
    await (await lmdbBeside(folder)).close();
    assert.deepEqual(readdirSync(join(folder, "gate")), []);
  });
});
