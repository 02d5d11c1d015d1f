/** A database that is opened while other processes commit to it: see open-gate.ts. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, it, onTestFinished, vi } from "vitest";
import { lmdbMetadata } from "../../src/engines/metadata/lmdb.ts";
import { lmdbBeside } from "../../src/engines/metadata/lmdb-beside.ts";
import { whileNobodyCommits } from "../../src/engines/metadata/open-gate.ts";
import { systemRandom } from "../../src/engines/random/system.ts";
import { pointRange } from "../../src/ports/metadata.ts";
import { serverOn } from "../fixtures/data-folder.ts";
import { freshFolder } from "./store-fixture.ts";

const COMMITTER = join(import.meta.dirname, "../fixtures/committer.ts");
const OPENER = join(import.meta.dirname, "../fixtures/opener.ts");
const GATE = new URL("../../src/engines/metadata/open-gate.ts", import.meta.url).href;
/** Less than they pause. */
const REST_MS_MAX = 5_000;
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

/** Waits until none of them has told of a commit for a while: what was committed before may still be on its way here. */
async function rest(all: readonly Committer[]): Promise<void> {
  const counts = (): string => String(all.map(({ done }) => done()));
  for (const end = performance.now() + REST_MS_MAX; ; ) {
    const before = counts();
    await sleep(400);
    if (counts() === before) return;
    assert.ok(performance.now() < end, `they go on: ${before}, then ${counts()}`);
  }
}

async function dies({ child }: Committer): Promise<void> {
  child.kill("SIGKILL");
  await vi.waitFor(() => assert.equal(child.signalCode, "SIGKILL"));
}

async function signed(file: string): Promise<object> {
  return JSON.parse(await readFile(file, "utf8")) as object;
}

/** A process that is let in, and never ends what it does then. */
async function stuckOpener(folder: string): Promise<ChildProcess> {
  const code = `
    import { whileNobodyCommits } from ${JSON.stringify(GATE)};
    void whileNobodyCommits(${JSON.stringify(folder)}, () => new Promise(() => setInterval(() => console.log("in"), 50)));
  `;
  const flags = ["--import", TSX, "--input-type=module", "--eval", code];
  const child = spawn(process.execPath, flags, { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  return child;
}

/** What those who commit and open leave, without the lock. */
async function left(folder: string): Promise<string[]> {
  return (await readdir(join(folder, "gate"))).filter((name) => !name.startsWith("lock-"));
}

describe("a database that other processes commit to", { timeout: 90_000 }, () => {
  it("is opened while none of them commits", async () => {
    const folder = await freshFolder();
    const all = [await committer(folder), await committer(folder)];
    await whileNobodyCommits(folder, () => rest(all));
    for (const one of all) await goesOn(one);
    await vi.waitFor(async () => assert.equal((await left(folder)).length, all.length));
  });

  it("loses nothing while others open it, write and close it", async () => {
    const folder = await freshFolder();
    const engine = await lmdbMetadata({ folder, random: systemRandom(), durability: "none" });
    const opener = spawn(process.execPath, ["--import", TSX, OPENER, folder, "150"], { stdio: "inherit" });
    onTestFinished(() => void opener.kill("SIGKILL"));
    const ended = once(opener, "exit");
    const writers = [1, 2, 3, 4].map(async (writer) => {
      for (let at = 0; opener.exitCode === null; at++) {
        const name = `${writer}/${at}`;
        const key = Buffer.from(name);
        assert.ok(
          await engine.commit([{ key, version: undefined }], [{ key, value: key }]),
          `${name} is there already`,
        );
        assert.equal((await engine.read([pointRange(key)]))[0]?.length, 1, `${name} is lost`);
      }
    });
    await Promise.all(writers);
    assert.deepEqual(await ended, [0, null]);
    await engine.close();
  });

  it("is opened by one process at a time", async () => {
    const folder = await freshFolder();
    const one = await committer(folder);
    let opening = 0;
    const opened = await Promise.all(
      [1, 2, 3].map((number) =>
        whileNobodyCommits(folder, async () => {
          opening += 1;
          assert.equal(opening, 1);
          await rest([one]);
          opening -= 1;
          return number;
        }),
      ),
    );
    assert.deepEqual(opened, [1, 2, 3]);
    await goesOn(one);
  });

  it("is opened at once where they have died", async () => {
    const folder = await freshFolder();
    const [first, second] = [await committer(folder), await committer(folder)];
    await dies(first);
    const opened = await Promise.all([1, 2, 3].map(() => lmdbBeside(folder)));
    const key = Buffer.from(`${second.child.pid}/0`);
    for (const one of opened) assert.equal((await one.current.read([pointRange(key)]))[0]?.length, 1);
    for (const one of opened) await one.close();
    await goesOn(second);
    await dies(second);
    await (await lmdbBeside(folder)).close();
    assert.deepEqual(await left(folder), []);
  });

  it("is not opened while one of them does not answer", async (context) => {
    if (process.platform === "win32") context.skip("processes cannot be stopped there");
    const folder = await freshFolder();
    const [silent, other] = [await committer(folder), await committer(folder)];
    silent.child.kill("SIGSTOP");
    const opened = whileNobodyCommits(folder, () => assert.fail("opened"), 3_000);
    await assert.rejects(opened, {
      name: "GateShut",
      message: new RegExp(`^process ${silent.child.pid} on .* does not answer`),
    });
    // It may have been stopped in the middle of a commit, and then the other waits for it.
    silent.child.kill("SIGCONT");
    await goesOn(other);
    await whileNobodyCommits(folder, () => rest([silent, other]));
  });

  it("goes on when an opening never comes to an end", async () => {
    const folder = await freshFolder();
    const one = await committer(folder);
    await whileNobodyCommits(folder, async () => {
      await rest([one]);
      await goesOn(one);
    });
  });

  it("goes on when the one that opens it dies, and forgets it", async () => {
    const folder = await freshFolder();
    const one = await committer(folder);
    const opener = await stuckOpener(folder);
    await rest([one]);
    opener.kill("SIGKILL");
    await goesOn(one);
    await (await lmdbBeside(folder)).close();
    await vi.waitFor(async () => assert.equal((await left(folder)).length, 1));
  });

  it("takes no answer for its own that somebody left", async () => {
    const folder = await freshFolder();
    const one = await committer(folder);
    const opener = await stuckOpener(folder);
    await vi.waitFor(async () => assert.equal((await left(folder)).length, 3));
    one.child.kill("SIGKILL");
    opener.kill("SIGKILL");
    const other = await committer(folder);
    await whileNobodyCommits(folder, () => rest([other]));
    await goesOn(other);
    await vi.waitFor(async () => assert.equal((await left(folder)).length, 1));
  });

  it("asks processes that cannot be looked at, and pauses for them", async () => {
    const folder = await freshFolder();
    const one = await committer(folder);
    const gate = join(folder, "gate");
    const [mark = ""] = await left(folder);
    const elsewhere = JSON.stringify({ ...(await signed(join(gate, mark))), pidSpace: "another" });
    const silent = mark.replace(/-[0-9]+$/, "-1000");
    await writeFile(join(gate, silent), elsewhere);
    await assert.rejects(
      whileNobodyCommits(folder, () => assert.fail("opened"), 1_000),
      { name: "GateShut" },
    );
    // What a loss of power has left does not say whose it is.
    const ago = new Date(Date.now() - 10_000);
    await writeFile(join(gate, silent), "");
    await utimes(join(gate, silent), ago, ago);
    await whileNobodyCommits(folder, () => rest([one]));
    await rm(join(gate, silent));
    await writeFile(join(gate, "opening-1-1-1"), elsewhere);
    await rest([one]);
    await rm(join(gate, "opening-1-1-1"));
    await goesOn(one);
  });

  it("is a copy, which nobody commits to", async () => {
    const folder = await freshFolder();
    const one = await committer(folder);
    const copy = await freshFolder();
    await cp(join(folder, "gate"), join(copy, "gate"), { recursive: true });
    await whileNobodyCommits(copy, () => goesOn(one), 1);
  });

  it("is not waited for in the name of a process that has died, which cannot be looked at", async () => {
    const data = join(await freshFolder(), "data");
    const server = await serverOn(data);
    const gate = join(data, "metadata", "gate");
    const [mark = ""] = await left(join(data, "metadata"));
    const named = await signed(join(gate, mark));
    await server.stop();
    assert.deepEqual(await left(join(data, "metadata")), []);
    await mkdir(gate, { recursive: true });
    const stale = mark.replace(/-[0-9]+$/, "-1000");
    await writeFile(join(gate, stale), JSON.stringify({ ...named, pidSpace: "another" }));
    await serverOn(data, false);
    assert.ok(!existsSync(join(gate, stale)));
  });
});
