/** What LMDB must do beyond the contract of its port: refuse a bad folder clearly, survive a full disk, stay fast. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, cp, mkdir, mkdtemp, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { open } from "lmdb";
import { afterAll, afterEach, describe, it } from "vitest";
import { lmdbMetadata, lmdbSettings } from "../../src/engines/metadata/lmdb.ts";
import { seededRandom } from "../../src/engines/random/seeded.ts";
import { systemRandom } from "../../src/engines/random/system.ts";
import { type MetadataEngine, pointRange, type Write } from "../../src/ports/metadata.ts";
import type { Say } from "./metadata-process.ts";

const parent = await mkdtemp(join(tmpdir(), "cosbox-lmdb-"));
afterAll(() => rm(parent, { recursive: true }));

const engines: MetadataEngine[] = [];
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

let folders = 0;
const freshFolder = () => join(parent, String(folders++), "metadata");
const random = systemRandom();

async function openIn(folder: string, durability: "group" | "none" = "group"): Promise<MetadataEngine> {
  const engine = await lmdbMetadata({ folder, random, durability });
  engines.push(engine);
  return engine;
}

function row(key: string, value: Buffer | undefined): Write {
  return { key: Buffer.from(key), value };
}

async function valueOf(engine: MetadataEngine, key: string): Promise<Buffer | undefined> {
  return (await engine.read([pointRange(Buffer.from(key))]))[0]?.[0]?.value;
}

describe("opening the LMDB metadata store", () => {
  it("makes the folder, closed to other users, and finds its rows and their versions again", async () => {
    const folder = freshFolder();
    const first = await openIn(folder);
    await first.commit([], [row("a", Buffer.from("1"))]);
    const [before] = await first.read([pointRange(Buffer.from("a"))]);
    await first.close();
    const second = await openIn(folder);
    assert.deepEqual(await second.read([pointRange(Buffer.from("a"))]), [before]);
    for (const [path, mode] of [
      [folder, 0o700],
      [join(folder, "data.mdb"), 0o600],
      [join(folder, "lock.mdb"), 0o600],
    ] as const) {
      if (process.platform !== "win32") assert.equal((await stat(path)).mode & 0o777, mode, path);
    }
  });

  it("changes between the durability tiers when it is opened again", async () => {
    const folder = freshFolder();
    for (const durability of ["group", "none", "group", "none"] as const) {
      const engine = await openIn(folder, durability);
      const count = Number((await valueOf(engine, "count")) ?? 0);
      await engine.commit([], [row("count", Buffer.from(String(count + 1)))]);
      await engine.close();
    }
    assert.equal((await valueOf(await openIn(folder), "count"))?.toString(), "4");
  });

  it("takes a folder with a dot in its name, and an empty file that a crash left behind", async () => {
    const folder = join(freshFolder(), "v1.0");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "data.mdb"), "");
    const engine = await openIn(folder);
    assert.equal(await engine.commit([], [row("a", Buffer.from("1"))]), true);
    assert.ok((await stat(join(folder, "data.mdb"))).size > 0);
  });

  it("gives two engines of one process the same rows at once", async () => {
    const folder = freshFolder();
    const [a, b] = [await openIn(folder), await openIn(folder)];
    for (let n = 0; n < 50; n++) {
      const [writer, reader] = n % 2 === 0 ? [a, b] : [b, a];
      await writer.commit([], [row("n", Buffer.from(String(n)))]);
      assert.equal((await valueOf(reader, "n"))?.toString(), String(n));
    }
    await a.close();
    assert.equal((await valueOf(b, "n"))?.toString(), "49");
    assert.equal(await b.commit([], [row("n", Buffer.from("b"))]), true);
  });

  it("names the folder and the fault: a file in its place, or above it", async () => {
    const file = join(parent, "file");
    await writeFile(file, "");
    for (const folder of [file, join(file, "metadata")]) {
      await assert.rejects(openIn(folder), {
        message: `cannot open the metadata store in ${folder}: there is a file where a folder should be`,
      });
    }
  });

  it("refuses files that are no database, without ending the process", async () => {
    const contents = [
      Buffer.alloc(20_000, 7),
      Buffer.alloc(20_000),
      Buffer.alloc(100, 1),
      Buffer.from("x"),
      seededRandom(1).bytes(50_000),
    ];
    for (const content of contents) {
      const folder = freshFolder();
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, "data.mdb"), content);
      await assert.rejects(openIn(folder), { message: /cannot open .*: data\.mdb is not a metadata database, or/ });
    }
    const folder = freshFolder();
    await mkdir(join(folder, "data.mdb"), { recursive: true });
    await assert.rejects(openIn(folder), /data\.mdb is not a file/);
  });

  it("refuses a database whose end is missing", async () => {
    const folder = freshFolder();
    const engine = await openIn(folder);
    for (let n = 0; n < 20; n++) await engine.commit([], [row(`key-${n}`, Buffer.alloc(3_000, n))]);
    await engine.close();
    const path = join(folder, "data.mdb");
    await truncate(path, 8_192);
    await assert.rejects(openIn(folder), /data\.mdb is damaged: its end is missing/);
  });

  it("says when this user may not use the folder", async (context) => {
    if (process.platform === "win32") context.skip("Windows has no permission bits");
    if (process.getuid?.() === 0) context.skip("root may read every folder");
    const folder = freshFolder();
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o500);
    await assert.rejects(openIn(folder), /this user may not read and write there/);
    await chmod(folder, 0o700);
  });
});

describe("LMDB, measured traps", () => {
  it("is opened with the settings that were measured", () => {
    const group = lmdbSettings("group");
    assert.equal(group.overlappingSync, false);
    assert.equal(group.maxFreeSpaceToLoad, 1_000);
    assert.equal(group.maxFreeSpaceToRetain, 1_000);
    const none = lmdbSettings("none");
    assert.deepEqual({ ...none, overlappingSync: false }, group);
    assert.equal(none.overlappingSync, true);
    for (const settings of [group, none]) assert.equal("noSync" in settings, false);
  });

  it("bounds the list of free pages that it loads after a restart", async () => {
    const built = freshFolder();
    const engine = await openIn(built, "none");
    const key = (n: number) =>
      Buffer.from(`${String(Math.imul(n, 2_654_435_761) >>> 0).padStart(10, "0")}/object-${n}`);
    const keys = Array.from({ length: 20_000 }, (_, n) => key(n));
    for (let at = 0; at < keys.length; at += 1_000) {
      await engine.commit(
        [],
        keys.slice(at, at + 1_000).map((name) => ({ key: name, value: Buffer.alloc(1_000, 1) })),
      );
    }
    for (let at = 0; at < 16_000; at += 1_000) {
      await engine.commit(
        [],
        keys.slice(at, at + 1_000).map((name) => ({ key: name, value: undefined })),
      );
    }
    await engine.close();
    const copied = freshFolder();
    await cp(built, copied, { recursive: true });

    // Thousands of free pages lie scattered. With its defaults the library loads them all, finds long runs among them
    // and needs no more of the file; each later commit then pays for the whole list. With ours it looks at a thousand,
    // and takes the room for large values from the end of the file: a little space for short lists.
    const large = Array.from({ length: 20 }, (_, n) => ({ key: key(1_000_000 + n), value: Buffer.alloc(60_000, n) }));
    const size = async (folder: string) => (await stat(join(folder, "data.mdb"))).size;
    const before = await size(built);

    const ours = await openIn(built);
    for (const write of large) await ours.commit([], [write]);
    assert.equal(
      (await ours.read([{ start: Buffer.alloc(0), end: Buffer.from(":"), limit: 9_999 }]))[0]?.length,
      4_020,
    );
    await ours.close();

    const { maxFreeSpaceToLoad: _load, maxFreeSpaceToRetain: _retain, ...defaults } = lmdbSettings("none");
    const theirs = open<Buffer, Buffer>(copied, defaults);
    for (const write of large) await theirs.put(write.key, write.value, 1);
    await theirs.close();

    assert.equal(await size(copied), before, "the library's defaults no longer load long lists: look at them again");
    assert.ok((await size(built)) > before, "the bound on the free list no longer reaches the native code");
  });

  it("puts at most 1,000 writes into one transaction, however many commits come at once", async () => {
    const folder = freshFolder();
    const engine = await openIn(folder);
    const watcher = open<Buffer, Buffer>(folder, lmdbSettings("group"));
    const transactions = () => {
      watcher.resetReadTxn();
      return (watcher.getStats() as { lastTxnId: number }).lastTxnId;
    };
    const before = transactions();
    const commits = Array.from({ length: 30 }, (_, n) =>
      engine.commit(
        [],
        Array.from({ length: 501 }, (_, at) => row(`${n}/${at}`, Buffer.from("x"))),
      ),
    );
    assert.deepEqual(await Promise.all(commits), Array(30).fill(true));
    // Two commits of 501 are more than 1,000, so none shares a transaction with another.
    assert.ok(transactions() - before >= 30);
    await watcher.close();
  });

  it("groups small commits that come at once into few transactions", async () => {
    const folder = freshFolder();
    const engine = await openIn(folder);
    const watcher = open<Buffer, Buffer>(folder, lmdbSettings("group"));
    const transactions = () => {
      watcher.resetReadTxn();
      return (watcher.getStats() as { lastTxnId: number }).lastTxnId;
    };
    const before = transactions();
    await Promise.all(
      Array.from({ length: 256 }, (_, n) =>
        engine.commit([{ key: Buffer.from(`k${n}`), version: undefined }], [row(`k${n}`, Buffer.alloc(100))]),
      ),
    );
    assert.ok(transactions() - before <= 64);
    await watcher.close();
  });

  it("refuses commits before the disk is full, keeps reading, and lets rows be removed for longest", async () => {
    let free = Number.POSITIVE_INFINITY;
    const engine = await lmdbMetadata({ folder: freshFolder(), random, freeBytes: () => free });
    engines.push(engine);
    const setFree = async (bytes: number) => {
      free = bytes;
      await new Promise((resolve) => setTimeout(resolve, 40));
    };
    const large = row("large", Buffer.alloc(1_048_576));
    assert.equal(await engine.commit([], [row("a", Buffer.from("1")), row("b", Buffer.from("1"))]), true);
    await setFree(33 * 1_048_576 - 1);
    await assert.rejects(engine.commit([], [large]), { trouble: "full", message: /the disk of .* is full/ });
    assert.equal(await engine.commit([], [row("c", Buffer.from("1"))]), true);
    // What is under way counts: of eight at once, only those that fit together are let through.
    await setFree(36 * 1_048_576);
    const eight = await Promise.allSettled(Array.from({ length: 8 }, () => engine.commit([], [large])));
    assert.deepEqual(
      eight.map(({ status }) => status),
      [...Array(3).fill("fulfilled"), ...Array(5).fill("rejected")],
    );
    await setFree(9 * 1_048_576);
    await assert.rejects(engine.commit([], [row("d", Buffer.from("1"))]), { trouble: "full" });
    assert.equal(await engine.commit([], [row("a", undefined), row("gone", Buffer.from("a"))]), true);
    assert.equal(await engine.commit([{ key: Buffer.from("d"), version: undefined }], []), true);
    assert.equal((await valueOf(engine, "gone"))?.toString(), "a");
    await setFree(0);
    await assert.rejects(engine.commit([], [row("b", undefined)]), { trouble: "full" });
    await assert.rejects(engine.commit([], [row("e", Buffer.from("1"))]), { trouble: "full" });
    free = Number.POSITIVE_INFINITY;
    assert.equal(await engine.commit([], [row("e", Buffer.from("1"))]), true, "room that was made counts at once");
    assert.equal(await engine.commit([], [row("b", undefined)]), true);
  });

  it("forgets a reader in another process that was killed, so that what it saw can be written over", async () => {
    const folder = freshFolder();
    engines.push(await lmdbMetadata({ folder, random, readersLookMs: 20 }));
    const module = new URL("../../src/engines/metadata/lmdb-beside.ts", import.meta.url).href;
    const script = `
      import { lmdbBeside } from ${JSON.stringify(module)};
      const beside = await lmdbBeside(${JSON.stringify(folder)});
      const held = beside.snapshot();
      await held.read([{ start: Buffer.from("a"), end: Buffer.from("b"), limit: 1 }]);
      console.log("held");
      setInterval(() => held, 1000);`;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    const database = open(folder, lmdbSettings("group"));
    const isListed = () => new RegExp(`^\\s*${child.pid}\\s`, "m").test(database.readerList());
    assert.ok(isListed(), database.readerList());
    child.kill("SIGKILL");
    await once(child, "exit");
    while (isListed()) await new Promise((resolve) => setTimeout(resolve, 10));
    await database.close();
  });

  for (const durability of ["group", "none"] as const) {
    it(`when the system refuses writes, nothing acknowledged is lost (${durability})`, async (context) => {
      if (process.platform === "win32") context.skip("Windows cannot limit the size of a file for one process");
      const folder = freshFolder();
      const acknowledged: string[] = [];
      let full: Extract<Say, { kind: "full" }> | undefined;
      const script = fileURLToPath(new URL("metadata-process.ts", import.meta.url));
      // The limit on a file's size stands in for the end of the disk: writes beyond it fail. 4,096 blocks of 512 bytes.
      const limited = 'ulimit -f 4096; exec "$0" "$@"';
      const child = spawn(
        "sh",
        ["-c", limited, process.execPath, "--import", "tsx", script, folder, "filler", durability],
        { stdio: ["ignore", "ignore", "ignore", "ipc"] },
      );
      const exit = once(child, "exit");
      child.on("message", (said: Say) => {
        if (said.kind === "acknowledged") acknowledged.push(said.key);
        if (said.kind === "full") {
          full = said;
          child.send({ kind: "end" });
        }
      });
      const [code, signal] = await exit;
      // The library may overrun a buffer of its own while it describes the failure, which the C library answers with
      // an abort. If it does not, every commit has failed in words, and what was there could still be read.
      if (full === undefined) assert.equal(signal, "SIGABRT");
      else {
        assert.equal(code, 0);
        assert.ok(full.errors.length >= 20);
        // The last transaction may have become visible and then failed to say so; none goes the other way.
        assert.ok(full.readable >= acknowledged.length);
        // One failure is enough: this process commits no more, and each later commit names the same reason.
        assert.equal(new Set(full.errors).size, 1);
        // The limit is named by the system, or, where a write ended short of it, by LMDB.
        for (const error of full.errors)
          assert.match(error, /transaction failed: (File too large|Input\/output error)/);
      }
      assert.ok(acknowledged.length > 10);
      const engine = await openIn(folder);
      const rows = await engine.read(acknowledged.map((key) => pointRange(Buffer.from(key))));
      const missing = acknowledged.filter((key, at) => !rows[at]?.[0]?.value.equals(Buffer.alloc(30_000, key)));
      assert.deepEqual(missing, []);
      assert.equal(await engine.commit([], [row("room again", Buffer.alloc(30_000))]), true);
    });
  }
});
