import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { pieces, put, readAll, someBytes, throughOneBuffer } from "../../../test/contract/blobs-contract.ts";
import { type Callback, disk, failing, systemError } from "../../../test/fixtures/faulty-disk.ts";
import { BlobDamaged, type BlobEngine, type BlobId, StorageUnavailable } from "../../ports/blobs.ts";
import { localBlobs } from "./local.ts";

vi.mock("node:fs", async (original) => {
  const { withFaults } = await import("../../../test/fixtures/faulty-disk.ts");
  return withFaults(await original<typeof import("node:fs")>());
});

function unavailable(trouble: string): (error: unknown) => boolean {
  return (error) => error instanceof StorageUnavailable && error.trouble === trouble;
}

const random = { bytes: (count: number): Buffer => randomBytes(count) };
let folder: string;
let engine: BlobEngine;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cosbox-local-"));
  engine = await localBlobs({ folder, random, durability: "group", segmentBytesMax: 0 });
});

afterEach(async () => {
  disk.calls.clear();
  await engine.close();
  await rm(folder, { recursive: true });
});

async function filesIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function fileOf(id: BlobId): Promise<string> {
  const path = (await filesIn(folder)).find((file) => file.endsWith(id));
  assert.ok(path, `no file for ${id}`);
  return path;
}

/** Opens the folder anew, as the next start would: no descriptor is kept from before. */
async function reopen(): Promise<void> {
  await engine.close();
  engine = await localBlobs({ folder, random, durability: "group", segmentBytesMax: 0 });
}

/** Reads until the end or an error, and fails with another error at the first byte that is wrong. */
async function readChecking(id: BlobId, bytes: Buffer, start = 0, end = bytes.length): Promise<void> {
  let at = start;
  for await (const chunk of engine.read(id, start, end)) {
    assert.ok(chunk.equals(bytes.subarray(at, at + chunk.length)), `wrong bytes at ${at}`);
    at += chunk.length;
  }
}

describe("local blobs: damage", () => {
  const size = 5 * 65_536 + 1234;
  const bytes = someBytes(size, 3);
  const table = 6 * 4;

  it("BlobDamaged: a bit flipped anywhere in the file, and never a wrong byte", async () => {
    const { id } = await put(engine, bytes);
    const path = await fileOf(id);
    const sound = await readFile(path);
    assert.equal(sound.length, size + table + 64);
    const places = [0, 1, 65_535, 65_536, 200_000, 262_143, 262_144, size - 1];
    for (let at = size; at < sound.length; at++) places.push(at);
    for (const place of places) {
      const injured = Buffer.from(sound);
      injured[place] = (injured[place] as number) ^ (1 << (place % 8));
      await writeFile(path, injured);
      await reopen();
      await assert.rejects(readChecking(id, bytes), BlobDamaged);
    }
    await writeFile(path, sound);
    await reopen();
    assert.ok((await readAll(engine, id, 0, size)).equals(bytes));
  });

  it("gives the ranges that lie in sound blocks of a file with a damaged one", async () => {
    const { id } = await put(engine, bytes);
    const path = await fileOf(id);
    const injured = await readFile(path);
    injured[70_000] = (injured[70_000] as number) ^ 1;
    await writeFile(path, injured);
    assert.ok((await readAll(engine, id, 0, 65_536)).equals(bytes.subarray(0, 65_536)));
    assert.ok((await readAll(engine, id, 131_072, size)).equals(bytes.subarray(131_072)));
    await assert.rejects(readChecking(id, bytes, 65_536, 65_537), BlobDamaged);
    await assert.rejects(readChecking(id, bytes, 131_071, 131_072), BlobDamaged);
  });

  it("BlobDamaged: a file cut short anywhere, also under an open descriptor, or with bytes added", async () => {
    for (const length of [0, 1, 63, 64, 65_536, 262_144, size - 1, size, size + table, size + table + 63]) {
      const { id } = await put(engine, bytes);
      await readAll(engine, id, 0, 1);
      await truncate(await fileOf(id), length);
      // An open descriptor has its table already; what it still reads is either gone or right.
      if (length < size) await assert.rejects(readChecking(id, bytes, size - 1), BlobDamaged);
      await reopen();
      await assert.rejects(readChecking(id, bytes), BlobDamaged);
    }
    const { id } = await put(engine, bytes);
    const path = await fileOf(id);
    await writeFile(path, Buffer.concat([await readFile(path), Buffer.alloc(100)]));
    await assert.rejects(readChecking(id, bytes), BlobDamaged);
  });

  it("BlobDamaged: two files that changed places, two blocks that did, and a block of another blob", async () => {
    const [a, b] = [await put(engine, bytes), await put(engine, bytes)];
    const [pathA, pathB] = [await fileOf(a.id), await fileOf(b.id)];
    const [fileA, fileB] = [await readFile(pathA), await readFile(pathB)];
    await writeFile(pathA, fileB);
    await writeFile(pathB, fileA);
    await assert.rejects(readChecking(a.id, bytes), BlobDamaged);
    await assert.rejects(readChecking(b.id, bytes), BlobDamaged);

    // Block 1 and block 2 with their table entries.
    const moved = Buffer.from(fileA);
    fileA.copy(moved, 65_536, 131_072, 196_608);
    fileA.copy(moved, 131_072, 65_536, 131_072);
    fileA.copy(moved, size + 4, size + 8, size + 12);
    fileA.copy(moved, size + 8, size + 4, size + 8);
    await writeFile(pathA, moved);
    await reopen();
    await assert.rejects(readChecking(a.id, bytes), BlobDamaged);

    // The same bytes at the same place, but summed for another blob.
    const foreign = Buffer.from(fileA);
    fileB.copy(foreign, size, size, size + 4);
    await writeFile(pathA, foreign);
    await reopen();
    await assert.rejects(readChecking(a.id, bytes), BlobDamaged);
  });

  it("names the format of a file that a newer version wrote, and does not call it damaged", async () => {
    const { id } = await put(engine, bytes);
    const path = await fileOf(id);
    const newer = await readFile(path);
    const trailer = newer.subarray(-64);
    trailer.writeUInt16LE(2, 8);
    trailer.writeUInt32LE((await import("node:zlib")).crc32(trailer.subarray(0, 60)), 60);
    await writeFile(path, newer);
    await assert.rejects(readAll(engine, id, 0, 1), (error) => {
      return error instanceof Error && !(error instanceof BlobDamaged) && /format 2\./.test(error.message);
    });
  });

  it("BlobDamaged: a disk that cannot read", async () => {
    const { id } = await put(engine, bytes);
    disk.calls.set("read", failing("EIO"));
    await assert.rejects(readChecking(id, bytes), BlobDamaged);
    disk.calls.clear();
    assert.ok((await readAll(engine, id, 0, size)).equals(bytes));
  });
});

describe("local blobs: a disk that refuses", () => {
  for (const [code, trouble] of [
    ["ENOSPC", "full"],
    ["EDQUOT", "full"],
    ["EROFS", "read-only"],
    ["EMFILE", "too-many-files"],
  ] as const) {
    it(`says ${trouble} at ${code}, leaves no file, still reads, and writes again afterwards`, async () => {
      const kept = await put(engine, someBytes(1000));
      for (const name of ["open", "write"]) {
        for (const size of [10, 1_000_000]) {
          disk.calls.set(name, failing(code));
          await assert.rejects(put(engine, someBytes(size)), unavailable(trouble));
          disk.calls.clear();
          assert.equal((await filesIn(folder)).length, 1);
        }
      }
      assert.equal((await readAll(engine, kept.id, 0, 1000)).length, 1000);
      await put(engine, someBytes(1_000_000));
    });
  }

  it("finishes writes and reads that the system does only in part", async () => {
    const part = (_real: () => void, done: Callback, args: unknown[]): void => {
      const [fd, buffer, offset, length, position] = args as [number, Buffer, number, number, number];
      const some = Math.max(1, Math.ceil(length / 3));
      setImmediate(() => {
        const from = buffer.subarray(offset, offset + some);
        done(null, writing ? fs.writeSync(fd, from, 0, some, position) : fs.readSync(fd, from, 0, some, position));
      });
    };
    let writing = true;
    const bytes = someBytes(600_000, 7);
    disk.calls.set("write", part);
    const { id } = await put(engine, bytes);
    disk.calls.clear();
    writing = false;
    disk.calls.set("read", part);
    assert.ok((await readAll(engine, id, 0, bytes.length)).equals(bytes));
  });

  for (const name of ["fdatasync", "fsync"] as const) {
    it(`stops writing for good when ${name} fails once, keeps no file, and still reads and removes`, async () => {
      const kept = await put(engine, someBytes(1000));
      let calls = 0;
      disk.calls.set(name, (_real, done) => {
        calls++;
        setImmediate(done, systemError("EIO"));
      });
      await assert.rejects(put(engine, someBytes(500_000)), unavailable("sync-failed"));
      disk.calls.set(name, (real) => {
        calls++;
        real();
      });
      await assert.rejects(put(engine, someBytes(10)), unavailable("sync-failed"));
      await assert.rejects(engine.put(throughOneBuffer([])), unavailable("sync-failed"));
      assert.equal(calls, 1, "a sync that failed was tried again");
      assert.equal((await filesIn(folder)).length, 1);
      assert.equal((await readAll(engine, kept.id, 0, 1000)).length, 1000);
      await engine.remove([kept.id]);
      assert.equal((await filesIn(folder)).length, 0);
    });
  }

  it("refuses every put that waited for the sync that failed", async () => {
    await put(engine, someBytes(1));
    disk.calls.set("fsync", failing("EIO"));
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => put(engine, someBytes(100))));
    for (const result of results) {
      assert.ok(result.status === "rejected" && unavailable("sync-failed")(result.reason));
    }
    assert.equal((await filesIn(folder)).length, 1);
  });
});

describe("local blobs: what is held", () => {
  it("syncs the file before its folder, and answers only then", async () => {
    const order: string[] = [];
    for (const name of ["write", "fdatasync", "fsync"]) {
      disk.calls.set(name, (real) => {
        order.push(name);
        real();
      });
    }
    await put(engine, someBytes(10));
    // The first blob also makes its two folders, whose names are synced before the file is made.
    assert.deepEqual(order, ["fsync", "fsync", "write", "fdatasync", "fsync"]);
    order.length = 0;
    await put(engine, someBytes(10));
    assert.deepEqual(order, ["write", "fdatasync", "fsync"]);
  });

  it("syncs nothing in the tier that promises nothing", async () => {
    const loose = await localBlobs({ folder, random, durability: "none", segmentBytesMax: 0 });
    for (const name of ["fdatasync", "fsync"]) disk.calls.set(name, () => assert.fail(`${name} was called`));
    await put(loose, someBytes(20_000_000));
    await loose.close();
  });

  it("shares one folder sync among the puts that wait for it", async () => {
    await put(engine, someBytes(1));
    let syncs = 0;
    disk.calls.set("fsync", (real) => {
      syncs++;
      setTimeout(real, 20);
    });
    await Promise.all(Array.from({ length: 40 }, () => put(engine, someBytes(100))));
    assert.ok(syncs >= 1 && syncs <= 10, `${syncs} syncs for 40 puts`);
  });

  it("stops asking a body when the disk stands still, and goes on when it moves", async () => {
    let asked = 0;
    const body = async function* (): AsyncGenerator<Buffer> {
      for (const chunk of pieces(someBytes(2_000_000), 16_384)) {
        asked += chunk.length;
        yield chunk;
      }
    };
    const held: (() => void)[] = [];
    disk.calls.set("write", (real) => held.push(real));
    const putting = engine.put(body());
    await vi.waitFor(() => assert.equal(held.length, 1));
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.ok(asked <= 2 * 262_144, `asked for ${asked} bytes of a disk that took none`);
    disk.calls.clear();
    for (const real of held) real();
    const { id, size } = await putting;
    assert.equal(size, 2_000_000);
    assert.ok((await readAll(engine, id, 0, size)).equals(someBytes(2_000_000)));
  });

  it("reads at most one buffer ahead of its consumer", async () => {
    const { id, size } = await put(engine, someBytes(3_000_000));
    let read = 0;
    disk.calls.set("read", (real, _done, args) => {
      read += args[3] as number;
      real();
    });
    for await (const chunk of engine.read(id, 0, size)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      // The end of the file, with trailer and table, is read too.
      assert.ok(read <= chunk.length + 262_144 + 16_448, `${read} bytes read`);
      break;
    }
  });

  it("closes what it opened: after reads left early, removals, damage and failed puts", async () => {
    let open = 0;
    disk.calls.set("open", (real, done, args) => {
      args[args.length - 1] = (error: Error | null, fd: number) => {
        if (!error) open++;
        done(error, fd);
      };
      real();
    });
    disk.calls.set("close", (real) => {
      open--;
      real();
    });
    const bytes = someBytes(700_000);
    for (let round = 0; round < 30; round++) {
      const { id } = await put(engine, bytes);
      for await (const _ of engine.read(id, 0, bytes.length)) break;
      const leaving = engine.read(id, 0, bytes.length)[Symbol.asyncIterator]();
      await leaving.next();
      if (round % 2 === 0) await truncate(await fileOf(id), 100);
      await readAll(engine, id, 0, bytes.length).catch(() => undefined);
      await engine.remove([id]);
      await leaving.return?.();
      await assert.rejects(readAll(engine, id, 0, 1), BlobDamaged);
      const body = async function* (): AsyncGenerator<Buffer> {
        yield bytes;
        throw new Error("gone");
      };
      await assert.rejects(engine.put(body()), /gone/);
    }
    const ids = await Promise.all(Array.from({ length: 400 }, () => put(engine, someBytes(10))));
    await Promise.all(ids.map(({ id }) => readAll(engine, id, 0, 10)));
    await vi.waitFor(() => assert.ok(open <= 256, `${open} descriptors`));
    await engine.close();
    assert.equal(open, 0);
  });

  it("gives descriptors back when the process runs out of them", async () => {
    const blobs = await Promise.all(Array.from({ length: 20 }, (_, index) => put(engine, someBytes(100, index))));
    let free = 5;
    disk.calls.set("open", (real, done, args) => {
      if (free === 0) {
        setImmediate(done, systemError("EMFILE"));
        return;
      }
      free--;
      args[args.length - 1] = done;
      real();
    });
    disk.calls.set("close", (real) => {
      free++;
      real();
    });
    for (const { id } of blobs) assert.equal((await readAll(engine, id, 0, 100)).length, 100);
    await put(engine, someBytes(100));
    assert.ok(free <= 5);
  });

  it("removes folders that have become empty, and makes them again when they vanish", async () => {
    const other = await localBlobs({ folder, random, durability: "group", segmentBytesMax: 0 });
    const theirs = await put(other, someBytes(10));
    await engine.remove([theirs.id]);
    assert.deepEqual(await readdir(join(folder, "blobs")), []);
    const next = await put(other, someBytes(10));
    assert.equal((await readAll(engine, next.id, 0, 10)).length, 10);
    await engine.remove([next.id]);
    await other.close();
  });

  it("passes over what is no blob of its own when listing", async () => {
    const { id } = await put(engine, someBytes(10));
    const path = await fileOf(id);
    await writeFile(`${path}.bak`, "");
    await writeFile(join(path, "..", "f".repeat(32)), "");
    await writeFile(join(folder, "blobs", "0".repeat(16)), "");
    await mkdir(join(folder, "blobs", "lost+found"));
    assert.deepEqual(await engine.list(undefined, 10), [id]);
  });

  it("does not reuse an incarnation that has blobs", async () => {
    await put(engine, someBytes(10));
    const draws = [Buffer.from(engine.incarnation, "hex"), Buffer.alloc(8, 7)];
    const next = await localBlobs({ folder, durability: "none", random: { bytes: () => draws.shift() as Buffer } });
    assert.equal(next.incarnation, "07".repeat(8));
    const stuck = { bytes: (): Buffer => Buffer.from(engine.incarnation, "hex") };
    await assert.rejects(localBlobs({ folder, durability: "none", random: stuck }), /repeats itself/);
  });
});
