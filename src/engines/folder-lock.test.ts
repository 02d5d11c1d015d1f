import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "vitest";
import { FolderLocked, lockFolder, markWorker } from "./folder-lock.ts";

const FAST = { beatMs: 20, deadAfterMs: 300 };

describe("the lock of a data folder", () => {
  let folder: string;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "cosbox-lock-"));
  });

  afterEach(async () => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  });

  /** A process that locks the folder and says how it went: `locked`, or the error. */
  async function other(): Promise<{ said: string; child: ChildProcess }> {
    const script = `
      import { lockFolder } from ${JSON.stringify(new URL("./folder-lock.ts", import.meta.url).href)};
      lockFolder(${JSON.stringify(folder)}).then(
        () => { console.log("locked"); setInterval(() => {}, 1000); },
        (error) => console.log(error.name + ": " + error.message),
      );`;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    children.push(child);
    const said = await new Promise<string>((resolve, reject) => {
      child.stdout?.once("data", (data: Buffer) => resolve(data.toString().trim()));
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`it ended with ${code} and said nothing`)));
    });
    return { said, child };
  }

  async function killed(child: ChildProcess): Promise<void> {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  it("keeps a second server out, naming the process and the mend, until it is given back", async () => {
    const lock = await lockFolder(folder, FAST);
    await assert.rejects(lockFolder(folder, FAST), (error: unknown) => {
      assert.ok(error instanceof FolderLocked);
      assert.equal(error.pid, process.pid);
      assert.match(error.message, new RegExp(`process ${process.pid} on .*--data.*remove .*lock-1`));
      return true;
    });
    const { said } = await other();
    assert.match(said, new RegExp(`^FolderLocked: .*process ${process.pid}`));
    await lock.release();
    await lock.release();
    await (await lockFolder(folder, FAST)).release();
  });

  it("is taken over at once from a process that was killed, and not from its successor", async () => {
    const { said, child } = await other();
    assert.equal(said, "locked");
    await assert.rejects(lockFolder(folder, FAST), { pid: child.pid });
    await killed(child);
    const lock = await lockFolder(folder, FAST);
    assert.match((await other()).said, /^FolderLocked/);
    await lock.release();
  });

  it("is taken over by one only, when many come at once after a crash (20 rounds of 8)", async () => {
    const { child } = await other();
    await killed(child);
    for (let round = 0; round < 20; round++) {
      const results = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(folder, FAST)));
      const locks = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
      assert.equal(locks.length, 1, `round ${round}`);
      for (const result of results) {
        if (result.status === "rejected") assert.ok(result.reason instanceof FolderLocked, String(result.reason));
      }
      await locks[0]?.release();
    }
    assert.ok((await readdir(folder)).length <= 2);
  });

  it("is taken over from a process that has ended and that nobody has asked about yet", async () => {
    if (process.platform !== "linux") return;
    // The shell starts a process that ends soon, and has become a program that never asks after it by then.
    const parent = spawn("sh", ["-c", "sleep 0.5 & echo $!; exec sleep 100"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    children.push(parent);
    const [said] = (await once(parent.stdout, "data")) as [Buffer];
    const pid = Number(said.toString());
    const stat = () => readFile(`/proc/${pid}/stat`, "utf8");
    while (!(await stat()).includes(") Z ")) await new Promise((resolve) => setTimeout(resolve, 5));
    const mark = await markWorker(folder);
    const file = join(folder, (await readdir(folder))[0] as string);
    const holder = JSON.parse(await readFile(file, "utf8"));
    await mark.release();
    const started = (await stat()).split(") ")[1]?.split(" ")[19];
    await writeFile(join(folder, "lock-1"), JSON.stringify({ ...holder, pid, started }));
    const lock = await lockFolder(folder, FAST);
    await lock.release();
  });

  it("is taken over when another process has the dead one's number", async () => {
    const lock = await lockFolder(folder, FAST);
    await lock.release();
    const [name] = await readdir(folder);
    const file = join(folder, name as string);
    const holder = JSON.parse(await readFile(file, "utf8"));
    if (holder.started === "") return;
    assert.equal(holder.pid, process.pid);
    await writeFile(file, JSON.stringify({ ...holder, released: false, started: "1" }));
    const again = await lockFolder(folder, FAST);
    await again.release();
  });

  it("belongs to the folder's owner when the administrator takes it", async (context) => {
    if (process.getuid?.() !== 0) context.skip("needs to be the administrator");
    const nobody = 65_534;
    await chown(folder, nobody, nobody);
    const lock = await lockFolder(folder, FAST);
    const mark = await markWorker(folder);
    for (const name of await readdir(folder)) assert.equal((await stat(join(folder, name))).uid, nobody, name);
    await mark.release();
    await lock.release();
    for (const name of await readdir(folder)) assert.equal((await stat(join(folder, name))).uid, nobody, name);
  });

  it("of a holder that cannot be looked at stands while its heart beats, and falls when it stops", async () => {
    const elsewhere = { pid: 1, host: "elsewhere", boot: "x", pidSpace: "y", started: "1", released: false };
    const file = join(folder, "lock-1");
    await writeFile(file, JSON.stringify(elsewhere));
    const beat = setInterval(() => void utimes(file, new Date(), new Date()), 20);
    await assert.rejects(lockFolder(folder, FAST), { pid: 1 });
    clearInterval(beat);
    await (await lockFolder(folder, FAST)).release();
  });

  it("that a crash of the machine has left empty is no obstacle", async () => {
    await writeFile(join(folder, "lock-7"), "");
    const lock = await lockFolder(folder, FAST);
    await assert.rejects(lockFolder(folder, FAST), FolderLocked);
    await lock.release();
  });

  it("waits for workers that an earlier holder has left, and is refused while one of them lives", async () => {
    const mark = await markWorker(folder);
    await assert.rejects(lockFolder(folder, FAST), { name: "FolderLocked", pid: process.pid });
    setTimeout(() => void mark.release(), 100);
    await (await lockFolder(folder, FAST)).release();

    const dead = {
      ...JSON.parse(await readFile(join(folder, (await readdir(folder))[0] as string), "utf8")),
      pid: 2 ** 22,
    };
    await writeFile(join(folder, `worker-${dead.pid}`), JSON.stringify({ ...dead, released: false }));
    await (await lockFolder(folder, FAST)).release();
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.startsWith("worker-")),
      [],
    );
  });
});
