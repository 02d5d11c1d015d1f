import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { put, readAll, someBytes, throughOneBuffer } from "../../../test/contract/blobs-contract.ts";
import { type Callback, CHANGES, disk, failing, systemError } from "../../../test/fixtures/faulty-disk.ts";
import { BlobDamaged, type BlobEngine, type BlobId, StorageUnavailable } from "../../ports/blobs.ts";
import { type LocalBlobs, localBlobs, type LocalBlobsOptions } from "./local.ts";

vi.mock("node:fs", async (original) => {
  const { withFaults } = await import("../../../test/fixtures/faulty-disk.ts");
  return withFaults(await original<typeof import("node:fs")>());
});

const KIB = 1024;
const PAGE = 4096;
const random = { bytes: (count: number): Buffer => randomBytes(count) };
/** Segments of half a MiB, and no pauses while they are packed. */
const SMALL = { segmentFileBytes: 512 * KIB, segmentBytesMax: 300 * KIB, packingBytesPerSecond: 1e12 };

let folder: string;
let engine: LocalBlobs;

function open(options: Partial<LocalBlobsOptions> = {}): Promise<LocalBlobs> {
  return localBlobs({ folder, random, durability: "group", inherits: () => true, ...SMALL, ...options });
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "cosbox-segments-"));
  engine = await open();
});

afterEach(async () => {
  disk.calls.clear();
  await engine.close();
  await rm(folder, { recursive: true });
});

async function reopen(options: Partial<LocalBlobsOptions> = {}): Promise<void> {
  await engine.close();
  engine = await open(options);
}

function unavailable(trouble: string): (error: unknown) => boolean {
  return (error) => error instanceof StorageUnavailable && error.trouble === trouble;
}

async function filesIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function bytesOnDisk(): Promise<number> {
  let bytes = 0;
  for (const file of await filesIn(folder)) bytes += (await stat(file)).size;
  return bytes;
}

/** The segment of a blob, and where in it the blob was put. */
function placeOf(id: BlobId): { path: string; at: number; length: number } {
  return {
    path: join(folder, "blobs", id.slice(0, 16), id.slice(16, 23)),
    at: Number.parseInt(id.slice(23, 28), 16) * PAGE,
    length: Number.parseInt(id.slice(28), 16) * PAGE,
  };
}

async function everyId(from: BlobEngine, limit = 1000): Promise<BlobId[]> {
  const ids: BlobId[] = [];
  for (;;) {
    const page = await from.list(ids.at(-1), limit);
    ids.push(...page);
    if (page.length < limit) return ids;
  }
}

type Stored = Map<BlobId, Buffer>;

async function putAll(into: BlobEngine, sizes: readonly number[]): Promise<Stored> {
  const stored: Stored = new Map();
  await Promise.all(
    sizes.map(async (size, index) => {
      const bytes = someBytes(size, size + index + 1);
      stored.set((await put(into, bytes)).id, bytes);
    }),
  );
  return stored;
}

async function sameAs(from: BlobEngine, stored: Stored, label = ""): Promise<void> {
  for (const [id, bytes] of stored) {
    assert.ok((await readAll(from, id, 0, bytes.length)).equals(bytes), `${label}: other bytes than those put`);
  }
}

/** Reads to the end or an error; a wrong byte is another error. */
async function readChecking(id: BlobId, bytes: Buffer): Promise<void> {
  let at = 0;
  for await (const chunk of engine.read(id, 0, bytes.length)) {
    assert.ok(chunk.equals(bytes.subarray(at, at + chunk.length)), `wrong bytes at ${at}`);
    at += chunk.length;
  }
  assert.equal(at, bytes.length);
}

function mix(count: number): number[] {
  return Array.from({ length: count }, (_, index) => 1 + ((index * 7919) % (120 * KIB)));
}

describe("segments: what is put", () => {
  it("shares segments among bodies up to the bound, and gives a longer one a file of its own", async () => {
    const stored = await putAll(engine, [0, 1, 17_000, 299 * KIB, 300 * KIB]);
    const long = await put(engine, someBytes(300 * KIB + 1));
    // The length a client tells decides nothing but where to begin.
    for (const hint of [1, 400 * KIB]) {
      const bytes = someBytes(hint === 1 ? 301 * KIB : 100, hint);
      const { id } = await engine.put(throughOneBuffer([bytes]), hint);
      assert.equal(id[16], "0");
      stored.set(id, bytes);
    }
    assert.equal(long.id[16], "0");
    assert.equal([...stored.keys()].filter((id) => id[16] === "1").length, 5);
    await sameAs(engine, stored);
    await reopen();
    await sameAs(engine, stored);
    assert.deepEqual(await everyId(engine), [...stored.keys(), long.id].sort());
  });

  it("finds every blob of many segments after a restart, in pages of any size", async () => {
    const stored = await putAll(engine, mix(80));
    assert.ok((await filesIn(folder)).length > 5);
    await reopen();
    await sameAs(engine, stored);
    for (const limit of [1, 7, 79, 80, 81]) assert.deepEqual(await everyId(engine, limit), [...stored.keys()].sort());
  });

  it("shares one sync among the puts that wait, after their bytes are written and before they are answered", async () => {
    await put(engine, someBytes(10));
    const order: string[] = [];
    for (const name of ["writev", "fdatasync"]) {
      disk.calls.set(name, (real) => {
        order.push(name);
        setTimeout(real, 5);
      });
    }
    await Promise.all(Array.from({ length: 40 }, () => put(engine, someBytes(1000)).then(() => order.push("answer"))));
    const first = order.indexOf("answer");
    assert.ok(order.slice(0, first).includes("fdatasync") && order.indexOf("writev") < order.indexOf("fdatasync"));
    assert.ok(order.filter((name) => name === "fdatasync").length <= 4, order.join());
  });

  it("makes the name of a segment durable before the first answer", async () => {
    const order: string[] = [];
    for (const name of ["writev", "fdatasync", "fsync"]) {
      disk.calls.set(name, (real) => {
        order.push(name);
        real();
      });
    }
    await put(engine, someBytes(10));
    // The folder of all, the incarnation's; then the record, the zeros after it, and their sync.
    assert.deepEqual(order, ["fsync", "fsync", "writev", "writev", "fdatasync"]);
    order.length = 0;
    await put(engine, someBytes(10));
    assert.deepEqual(order, ["writev", "fdatasync"]);
  });

  it("syncs nothing in the tier that promises nothing", async () => {
    const loose = await open({ durability: "none" });
    for (const name of ["fdatasync", "fsync"]) disk.calls.set(name, () => assert.fail(`${name} was called`));
    const stored = await putAll(loose, mix(40));
    await loose.remove([...stored.keys()].slice(0, 30));
    await loose.pack();
    await loose.close();
  });

  it("finishes writes that the system does only in part", async () => {
    disk.calls.set("writev", (_real, done, args) => {
      const [fd, buffers, position] = args as [number, Buffer[], number];
      const all = Buffer.concat(buffers);
      const some = Math.max(1, Math.ceil(all.length / 3));
      setImmediate(() => done(null, fs.writeSync(fd, all, 0, some, position)));
    });
    const stored = await putAll(engine, [10, 70_000, 270_000]);
    disk.calls.clear();
    await sameAs(engine, stored);
  });

  it("leaves neither zeros nor empty segments behind when it is closed", async () => {
    const stored = await putAll(engine, [50_000]);
    const [segment] = await filesIn(folder);
    assert.ok((await stat(segment as string)).size >= 256 * KIB, "no space was prepared");
    await engine.close();
    assert.equal((await stat(segment as string)).size, 14 * PAGE);
    engine = await open();
    await engine.remove([...stored.keys()]);
    await engine.pack();
    await engine.remove([(await put(engine, someBytes(10))).id]);
    await engine.close();
    assert.deepEqual(await readdir(join(folder, "blobs")), []);
  });
});

describe("segments: a process that dies", () => {
  class Died extends Error {}

  /** The disk of a process that dies at its `fatal`-th change: before it, after it, or in the middle of a write. */
  function mortalDisk(fatal: number, when: "before" | "half" | "after"): { changes: () => number } {
    let changes = 0;
    for (const name of CHANGES) {
      disk.calls.set(name, (real, done, args) => {
        const opensToRead = name === "open" && args[1] === 0;
        if (opensToRead && changes < fatal) return real();
        changes++;
        if (changes < fatal) return real();
        if (changes > fatal || when === "before") return void setImmediate(done, new Died());
        if (when === "half" && name === "writev") {
          const [fd, buffers, position] = args as [number, Buffer[], number];
          const all = Buffer.concat(buffers);
          fs.writeSync(fd, all, 0, Math.floor(all.length / 2), position);
          return void setImmediate(done, new Died());
        }
        args[args.length - 1] = () => done(new Died());
        real();
      });
    }
    return { changes: () => changes };
  }

  async function work(stored: Stored, removed: Set<BlobId>): Promise<void> {
    const save = async (size: number): Promise<void> => {
      const bytes = someBytes(size, stored.size + 1);
      stored.set((await put(engine, bytes)).id, bytes);
    };
    const remove = async (ids: readonly BlobId[]): Promise<void> => {
      for (const id of ids) {
        removed.add(id);
        stored.delete(id);
      }
      await engine.remove(ids);
    };
    for (let round = 0; round < 3; round++) {
      // In groups of several, too.
      await save(30_000);
      const results = await Promise.allSettled(Array.from({ length: 6 }, (_, n) => save(40_000 + n)));
      for (const result of results) if (result.status === "rejected") throw result.reason;
      await remove([...stored.keys()].filter((_, index) => index % 4 > 0));
      await engine.pack();
    }
    await engine.close();
  }

  async function dieAt(fatal: number, when: "before" | "half" | "after"): Promise<boolean> {
    const stored: Stored = new Map();
    const removed = new Set<BlobId>();
    const label = `died ${when} change ${fatal}`;
    mortalDisk(fatal, when);
    let died = false;
    try {
      await work(stored, removed);
    } catch {
      died = true;
    }
    await engine.close().catch(() => undefined);
    disk.calls.clear();

    engine = await open();
    await sameAs(engine, stored, label);
    await engine.pack();
    await sameAs(engine, stored, label);
    const listed = await everyId(engine);
    for (const id of stored.keys()) assert.ok(listed.includes(id), `${label}: a blob is not listed`);
    // What was put and not acknowledged, or was being removed, may be there; the sweep removes it.
    await engine.remove(listed.filter((id) => !stored.has(id)));
    assert.deepEqual(await everyId(engine), [...stored.keys()].sort(), label);
    await engine.remove([...stored.keys()]);
    await engine.pack();
    assert.deepEqual(await filesIn(folder), [], label);
    await engine.close();
    engine = await open();
    return died;
  }

  for (const when of ["before", "half", "after"] as const) {
    it(`${when} any change to the disk: loses nothing acknowledged, and all space comes back`, async () => {
      let fatal = 1;
      while (await dieAt(fatal, when)) fatal += 1;
      assert.ok(fatal > 60, `only ${fatal} changes were tried`);
    }, 120_000);
  }

  it("with a tail that the disk wrote only in part: the rest is whole, listed and packed", async () => {
    for (const injury of [0, 1, 2, 3]) {
      const stored = await putAll(engine, mix(5));
      // A group of which no part was acknowledged, since its sync never came back.
      const held: (() => void)[] = [];
      disk.calls.set("fdatasync", (real) => held.push(real));
      const lost = Promise.allSettled(Array.from({ length: 4 }, (_, n) => put(engine, someBytes(20_000, n))));
      await vi.waitFor(() => assert.equal(held.length, 1));
      const path = placeOf([...stored.keys()][0] as BlobId).path;
      const torn = await readFile(path);
      disk.calls.clear();
      for (const real of held) real();
      await lost;
      await engine.close();
      const end = Math.max(...[...stored.keys()].map((id) => placeOf(id).at + placeOf(id).length));
      for (let at = end; at < end + 24 * PAGE; at += 512) {
        if ((at / 512) % 4 === injury) torn.fill(0, at, at + 512);
        if ((at / 512) % 7 === injury) torn.fill(randomBytes(512), at, at + 512);
      }
      await writeFile(path, torn);

      engine = await open();
      await sameAs(engine, stored);
      const listed = await everyId(engine);
      for (const id of stored.keys()) assert.ok(listed.includes(id));
      await engine.remove(listed.filter((id) => !stored.has(id)));
      await engine.remove([...stored.keys()].slice(1));
      await engine.pack();
      await sameAs(engine, new Map([...stored].slice(0, 1)));
      assert.ok((await stat(path)).size < 60 * PAGE, "it was not packed");
      await engine.remove([[...stored.keys()][0] as BlobId]);
      await engine.pack();
      assert.deepEqual(await filesIn(folder), []);
    }
  });
});

describe("segments: damage", () => {
  function flip(file: Buffer, place: number): void {
    file[place] = (file[place] as number) ^ (1 << (place % 8));
  }

  async function injure(path: string, change: (file: Buffer) => void): Promise<void> {
    const file = await readFile(path);
    change(file);
    await writeFile(path, file);
    await reopen();
  }

  it("BlobDamaged: a bit flipped anywhere in a record, never a wrong byte, and no other blob concerned", async () => {
    const size = 150_000;
    const bytes = someBytes(size, 5);
    await putAll(engine, [5000]);
    const { id } = await put(engine, bytes);
    const after = await putAll(engine, [6000]);
    await engine.close();
    const { path, at, length } = placeOf(id);
    const sound = await readFile(path);
    const head = 64 + 3 * 4;
    const places = [head, head + 1, head + 65_535, head + 65_536, head + 140_000, head + size - 1];
    for (let place = 0; place < head; place++) places.push(place);
    places.push(head + size, length - 1);
    engine = await open({ inherits: () => false });
    for (const place of places) {
      const injured = Buffer.from(sound);
      flip(injured, at + place);
      await writeFile(path, injured);
      await reopen({ inherits: () => false });
      const harmless = (place >= 48 && place < 64) || place >= head + size;
      if (harmless) await readChecking(id, bytes);
      else await assert.rejects(readChecking(id, bytes), BlobDamaged);
      await sameAs(engine, after);
      const listed = await everyId(engine);
      assert.ok(listed.includes([...after.keys()][0] as BlobId));
    }
  });

  it("gives the ranges that lie in sound blocks of a record with a damaged one", async () => {
    const bytes = someBytes(290_000, 6);
    const { id } = await put(engine, bytes);
    await injure(placeOf(id).path, (file) => {
      flip(file, placeOf(id).at + 64 + 5 * 4 + 70_000);
    });
    assert.ok((await readAll(engine, id, 0, 65_536)).equals(bytes.subarray(0, 65_536)));
    assert.ok((await readAll(engine, id, 131_072, 290_000)).equals(bytes.subarray(131_072)));
    await assert.rejects(readAll(engine, id, 65_536, 65_537), BlobDamaged);
  });

  it("BlobDamaged: a segment cut short, two records that changed places, another segment's bytes", async () => {
    const [a, b] = [someBytes(60_000, 1), someBytes(60_000, 2)];
    const [idA, idB] = [(await put(engine, a)).id, (await put(engine, b)).id];
    await engine.close();
    const { path, length } = placeOf(idA);
    const sound = await readFile(path);
    engine = await open();
    for (const cut of [0, 1, 63, 64, 4095, 4096, 30_000, length - 1]) {
      await injure(path, () => {});
      await writeFile(path, sound.subarray(0, cut));
      await assert.rejects(readChecking(idA, a), BlobDamaged);
      await assert.rejects(readChecking(idB, b), BlobDamaged);
    }
    await writeFile(path, Buffer.concat([sound.subarray(length, 2 * length), sound.subarray(0, length)]));
    await reopen();
    await assert.rejects(readAll(engine, idA, 0, 1), BlobDamaged);
    await assert.rejects(readAll(engine, idB, 0, 1), BlobDamaged);
    const other = await put(engine, someBytes(60_000, 3));
    await engine.close();
    await writeFile(path, await readFile(placeOf(other.id).path));
    engine = await open();
    await assert.rejects(readAll(engine, idA, 0, 1), BlobDamaged);
  });

  it("keeps a segment with a damaged header as it is until the damaged blob is removed", async () => {
    const stored = await putAll(
      engine,
      Array.from({ length: 9 }, () => 50_000),
    );
    const ids = [...stored.keys()].sort();
    const [kept, damaged, ...others] = ids as [BlobId, BlobId, ...BlobId[]];
    await reopen();
    const { path, at } = placeOf(damaged);
    await injure(path, (file) => {
      flip(file, at + 20);
    });
    const before = (await stat(path)).size;
    await engine.remove(others);
    await engine.pack();
    assert.equal((await stat(path)).size, before);
    assert.deepEqual(await engine.list(undefined, 100), [kept]);
    await engine.remove([damaged]);
    await engine.pack();
    assert.ok((await stat(path)).size < before / 2);
    await sameAs(engine, new Map([[kept, stored.get(kept) as Buffer]]));
  });

  it("writes over nothing for an id that was never given out", async () => {
    const bytes = someBytes(100_000, 8);
    const { id } = await put(engine, bytes);
    const segment = id.slice(0, 23);
    const made = [`${segment}000010001`, `${segment}00005ffff`, `${segment}fffff0001`, `${id.slice(0, 28)}0001`];
    await engine.remove([...made, `${id.slice(0, 16)}1fffff000000001`, `${id.slice(0, 16)}2000000000000001`]);
    await readChecking(id, bytes);
    for (const other of made) await assert.rejects(readAll(engine, other, 0, 0), BlobDamaged);
    assert.deepEqual(await engine.list(undefined, 10), [id]);
  });

  it("finds the blobs of a packed segment whose directory is damaged", async () => {
    const stored = await putAll(engine, mix(30));
    const ids = [...stored.keys()].sort();
    await engine.remove(ids.filter((_, index) => index % 5 > 0));
    await reopen();
    await engine.pack();
    const left = new Map([...stored].filter(([id]) => ids.indexOf(id) % 5 === 0));
    const segments = (await filesIn(folder)).filter((file) => /1[0-9a-f]{6}$/.test(file));
    let packed = 0;
    for (const segment of segments) {
      for (const place of [0, 9, 17, 40, 62, 64, 70]) {
        const sound = await readFile(segment);
        if (sound.toString("latin1", 0, 8) !== "cosboxsg") continue;
        packed++;
        await injure(segment, (file) => {
          flip(file, place);
        });
        await sameAs(engine, left);
        assert.deepEqual(await everyId(engine), [...left.keys()].sort());
        await engine.close();
        await writeFile(segment, sound);
        engine = await open();
      }
    }
    assert.ok(packed > 0);
  });

  it("names the format of a record that a newer version wrote, and leaves its segment alone", async () => {
    const { id } = await put(engine, someBytes(1000));
    const others = await putAll(
      engine,
      Array.from({ length: 6 }, () => 50_000),
    );
    await reopen();
    const { path, at } = placeOf(id);
    const { crc32 } = await import("node:zlib");
    await injure(path, (file) => {
      file.writeUInt16LE(2, at + 8);
      file.writeUInt32LE(crc32(file.subarray(at, at + 44)), at + 44);
    });
    await assert.rejects(readAll(engine, id, 0, 1), (error) => {
      return error instanceof Error && !(error instanceof BlobDamaged) && /format 2\./.test(error.message);
    });
    const before = (await stat(path)).size;
    await engine.remove([...others.keys()]);
    await engine.pack();
    assert.equal((await stat(path)).size, before);
  });

  /** A disk that cannot read the record of a blob. */
  function unreadable(id: BlobId): void {
    const { at, length } = placeOf(id);
    disk.calls.set("read", (real, done, args) => {
      const [wanted, from] = [args[3] as number, args[4] as number];
      if (from < at + length && from + wanted > at) setImmediate(done, systemError("EIO"));
      else real();
    });
  }

  it("BlobDamaged: a disk that cannot read; what it can read again later was not packed away meanwhile", async () => {
    for (const which of [2, 5]) {
      const stored = await putAll(
        engine,
        Array.from({ length: 6 }, () => 50_000),
      );
      const ids = [...stored.keys()].sort();
      const kept = ids[which] as BlobId;
      await reopen();
      unreadable(kept);
      await assert.rejects(readChecking(kept, stored.get(kept) as Buffer), BlobDamaged);
      await engine.remove(ids.filter((id) => id !== kept));
      await engine.pack();
      disk.calls.clear();
      await readChecking(kept, stored.get(kept) as Buffer);
      await engine.remove([kept]);
    }
  });

  it("cuts nothing off the segment of a dead process that the disk could read later", async () => {
    const stored = await putAll(
      engine,
      Array.from({ length: 6 }, () => 50_000),
    );
    const last = [...stored.keys()].sort().at(-1) as BlobId;
    const heir = await open();
    unreadable(last);
    await assert.rejects(heir.pack(), /cannot read/);
    disk.calls.clear();
    await heir.pack();
    await sameAs(heir, stored);
    assert.ok((await everyId(heir)).includes(last));
    await heir.close();
  });
});

describe("segments: a disk that refuses", () => {
  for (const [code, trouble] of [
    ["ENOSPC", "full"],
    ["EDQUOT", "full"],
    ["EROFS", "read-only"],
    ["EMFILE", "too-many-files"],
  ] as const) {
    it(`says ${trouble} at ${code}, keeps nothing of the put, still reads, and writes again afterwards`, async () => {
      const kept = await putAll(engine, [1000]);
      for (const name of ["open", "writev"]) {
        await reopen();
        disk.calls.set(name, failing(code));
        await assert.rejects(put(engine, someBytes(20_000)), unavailable(trouble));
        disk.calls.clear();
        assert.deepEqual(await everyId(engine), [...kept.keys()].sort());
        await sameAs(engine, kept);
        for (const [id, bytes] of await putAll(engine, [100])) kept.set(id, bytes);
      }
      await sameAs(engine, kept);
    });
  }

  it("puts without prepared space when there is room for the record alone", async () => {
    let calls = 0;
    disk.calls.set("writev", (real, done) => (++calls % 2 === 1 ? real() : done(systemError("ENOSPC"))));
    const { id } = await put(engine, someBytes(5000));
    disk.calls.clear();
    assert.equal((await stat(placeOf(id).path)).size, 2 * PAGE);
    await put(engine, someBytes(5000));
  });

  it("removes on a full disk: segments with nothing in use go at once, others once there is room", async () => {
    const stored = await putAll(
      engine,
      Array.from({ length: 40 }, () => 50_000),
    );
    await reopen();
    const ids = [...stored.keys()].sort();
    const [first] = ids as [BlobId];
    const inFirst = ids.filter((id) => id.slice(0, 23) === first.slice(0, 23));
    const full = [inFirst[0], ...ids.filter((id) => !inFirst.includes(id))].filter((id) => id !== undefined);
    // Overwriting is possible on a full disk, anything new is not.
    disk.calls.set("open", (real, done, args) =>
      (args[1] as number) & fs.constants.O_CREAT ? done(systemError("ENOSPC")) : real(),
    );
    await engine.remove(full);
    await engine.remove(inFirst.slice(2));
    await assert.rejects(engine.pack(), unavailable("full"));
    const left = new Map(inFirst.slice(1, 2).map((id) => [id, stored.get(id) as Buffer] as const));
    assert.deepEqual(
      (await filesIn(folder)).map((file) => file.slice(-7)),
      [first.slice(16, 23)],
    );
    await sameAs(engine, left);
    const before = await bytesOnDisk();
    disk.calls.clear();
    await engine.pack();
    assert.ok((await bytesOnDisk()) < before / 2);
    await sameAs(engine, left);
  });

  it("removes even where marks need space: they are gone at once, and their space is given back", async () => {
    const stored = await putAll(
      engine,
      Array.from({ length: 9 }, () => 50_000),
    );
    await reopen();
    const [kept, ...gone] = [...stored.keys()].sort() as [BlobId, ...BlobId[]];
    disk.calls.set("writev", failing("ENOSPC"));
    await engine.remove(gone);
    await engine.remove(gone);
    for (const id of gone) await assert.rejects(readAll(engine, id, 0, 1), BlobDamaged);
    assert.deepEqual(await everyId(engine), [kept]);
    disk.calls.clear();
    await engine.pack();
    assert.ok((await bytesOnDisk()) < 100_000);
    assert.deepEqual(await everyId(engine), [kept]);
  });

  it("stops writing for good when fdatasync fails once, and still reads, removes and gives space back", async () => {
    const kept = await putAll(engine, [1000, 2000]);
    let calls = 0;
    disk.calls.set("fdatasync", (_real, done) => {
      calls++;
      setImmediate(done, systemError("EIO"));
    });
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => put(engine, someBytes(1000))));
    for (const result of results) assert.ok(result.status === "rejected" && unavailable("sync-failed")(result.reason));
    disk.calls.set("fdatasync", (real) => {
      calls++;
      real();
    });
    await assert.rejects(put(engine, someBytes(10)), unavailable("sync-failed"));
    assert.equal(calls, 1, "a sync that failed was tried again");
    assert.deepEqual(await everyId(engine), [...kept.keys()].sort());
    await sameAs(engine, kept);
    await engine.remove([...kept.keys()]);
    await engine.pack();
    assert.deepEqual(await filesIn(folder), []);
  });

  it("stops writing when a sync fails while a segment is packed, which stays as it was", async () => {
    const stored = await putAll(
      engine,
      Array.from({ length: 9 }, () => 50_000),
    );
    const [kept, ...gone] = [...stored.keys()].sort() as [BlobId, ...BlobId[]];
    await reopen();
    await engine.remove(gone);
    disk.calls.set("fdatasync", failing("EIO"));
    await assert.rejects(engine.pack(), unavailable("sync-failed"));
    disk.calls.clear();
    await assert.rejects(put(engine, someBytes(10)), unavailable("sync-failed"));
    await sameAs(engine, new Map([[kept, stored.get(kept) as Buffer]]));
    assert.equal((await filesIn(folder)).length, 1);
  });
});

describe("segments: giving space back", () => {
  it("packs while others put, read and remove: every blob that is wanted stays right, and space comes back", async () => {
    const stored = await putAll(engine, mix(120));
    const before = await bytesOnDisk();
    let packing = true;
    const packs = (async () => {
      while (packing) {
        await engine.pack();
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    const reads = Array.from({ length: 4 }, async (_, reader) => {
      for (let round = 0; round < 150; round++) {
        const all = [...stored];
        const [id, bytes] = all[(round * 31 + reader * 17) % all.length] as [BlobId, Buffer];
        const start = (round * 101) % bytes.length;
        const read = await readAll(engine, id, start, bytes.length).catch((error: unknown) => {
          // Only what was removed meanwhile may be gone.
          if (error instanceof BlobDamaged && !stored.has(id)) return undefined;
          throw error;
        });
        if (read) assert.ok(read.equals(bytes.subarray(start)));
      }
    });
    const changes = (async () => {
      for (let round = 0; round < 60; round++) {
        const ids = [...stored.keys()];
        const gone = [ids[(round * 7) % ids.length], ids[(round * 13) % ids.length]].filter((id) => id !== undefined);
        for (const id of gone) stored.delete(id);
        await engine.remove(gone);
        if (round % 3 === 0) for (const [id, bytes] of await putAll(engine, [20_000 + round])) stored.set(id, bytes);
      }
      const ids = [...stored.keys()].sort();
      const gone = ids.filter((_, index) => index % 10 > 0);
      for (const id of gone) stored.delete(id);
      await engine.remove(gone);
    })();
    await Promise.all([...reads, changes]);
    packing = false;
    await packs;
    await sameAs(engine, stored);
    await reopen();
    await engine.pack();
    await sameAs(engine, stored);
    assert.deepEqual(await everyId(engine), [...stored.keys()].sort());
    const wanted = [...stored.values()].reduce((sum, bytes) => sum + bytes.length, 0);
    const after = await bytesOnDisk();
    assert.ok(after < before / 3 && after < 2.5 * wanted + 200_000, `${before} bytes became ${after} for ${wanted}`);
  });

  it("lets a reader of the old file finish, whatever is removed and packed under it", async () => {
    const stored = await putAll(engine, [290_000, 10_000, 10_000]);
    await reopen();
    const [id] = [...stored].find(([, bytes]) => bytes.length === 290_000) as [BlobId, Buffer];
    const chunks: Buffer[] = [];
    for await (const chunk of engine.read(id, 0, 290_000)) {
      chunks.push(Buffer.from(chunk));
      if (chunks.length > 1) continue;
      await engine.remove([id]);
      await engine.pack();
    }
    assert.ok(Buffer.concat(chunks).equals(stored.get(id) as Buffer));
    await assert.rejects(readAll(engine, id, 0, 1), BlobDamaged);
  });

  it("loses no mark that is made while the segment is packed, also by another process", async () => {
    for (const remover of ["itself", "another"]) {
      const stored = await putAll(
        engine,
        Array.from({ length: 9 }, () => 50_000),
      );
      const ids = [...stored.keys()].sort();
      await reopen();
      const other = remover === "another" ? await open({ inherits: () => false }) : engine;
      await engine.remove(ids.slice(3));
      // Just before and just after the file is replaced.
      disk.calls.set("rename", (real, done, args) => {
        void other.remove([ids[0] as BlobId]).then(() => {
          args[args.length - 1] = (...outcome: [Error | null]) => {
            void other.remove([ids[1] as BlobId]).then(() => setImmediate(done, ...outcome));
          };
          real();
        });
      });
      await engine.pack();
      disk.calls.clear();
      assert.deepEqual(await everyId(engine), [ids[2]]);
      if (other !== engine) await other.close();
      await engine.remove(ids);
      await engine.pack();
      assert.deepEqual(await filesIn(folder), []);
    }
  });

  it("marks again what was marked in a file that had been replaced meanwhile", async () => {
    const stored = await putAll(
      engine,
      Array.from({ length: 9 }, () => 50_000),
    );
    const ids = [...stored.keys()].sort();
    await reopen();
    const other = await open({ inherits: () => false });
    await engine.remove(ids.slice(3));
    const held: (() => void)[] = [];
    disk.calls.set("writev", (real) => held.push(real));
    const removed = other.remove([ids[0] as BlobId]);
    await vi.waitFor(() => assert.equal(held.length, 1));
    await engine.pack();
    disk.calls.clear();
    for (const real of held) real();
    await removed;
    assert.deepEqual(await everyId(engine), ids.slice(1, 3));
    await other.close();
  });

  it("is not packed by two processes at once: the slower would undo the marks made in the file of the other", async () => {
    const stored = await putAll(
      engine,
      Array.from({ length: 9 }, () => 50_000),
    );
    const ids = [...stored.keys()].sort();
    await reopen({ inherits: () => false });
    const other = await open({ inherits: () => false });
    const held: (() => void)[] = [];
    disk.calls.set("rename", (real) => held.push(real));
    await other.remove(ids.slice(3));
    const packed = other.pack();
    await vi.waitFor(() => assert.equal(held.length, 1));
    disk.calls.clear();
    await engine.remove([ids[8] as BlobId]);
    await engine.pack();
    await engine.remove([ids[0] as BlobId]);
    for (const real of held) real();
    await packed;
    assert.deepEqual(await everyId(engine), ids.slice(1, 3));
    // What was removed meanwhile may be packed at once.
    await vi.waitFor(async () => assert.equal((await filesIn(folder)).length, 1));
    await other.close();
  });

  it("ends the open segment when most of what it holds was removed, so that the space comes back", async () => {
    const stored = await putAll(engine, [100_000, 100_000, 5_000]);
    const ids = [...stored.keys()].sort((a, b) => (stored.get(b)?.length ?? 0) - (stored.get(a)?.length ?? 0));
    await engine.remove(ids.slice(0, 2));
    await vi.waitFor(async () => {
      await engine.pack();
      assert.ok((await bytesOnDisk()) < 20_000);
    });
    await sameAs(engine, new Map([[ids[2] as BlobId, stored.get(ids[2] as BlobId) as Buffer]]));
  });

  it("reads and writes no more than it may per second", async () => {
    const stored = await putAll(
      engine,
      Array.from({ length: 9 }, () => 50_000),
    );
    await reopen({ packingBytesPerSecond: 1_000_000 });
    await engine.remove([...stored.keys()].slice(4));
    const began = performance.now();
    await engine.pack();
    // 200,000 bytes in use are read and written.
    const took = performance.now() - began;
    assert.ok(took > 300, `${took} ms`);
  });

  it("stops at once when it is closed, and the next start goes on", async () => {
    const stored = await putAll(
      engine,
      Array.from({ length: 9 }, () => 50_000),
    );
    const ids = [...stored.keys()].sort();
    await reopen({ packingBytesPerSecond: 1 });
    await engine.remove(ids.slice(2));
    const packed = engine.pack();
    await new Promise((resolve) => setTimeout(resolve, 50));
    await reopen();
    await packed;
    assert.equal((await filesIn(folder)).length, 1);
    await engine.pack();
    assert.ok((await bytesOnDisk()) < 140_000);
    await sameAs(engine, new Map(ids.slice(0, 2).map((id) => [id, stored.get(id) as Buffer])));
  });

  it("leaves the open segment of another process alone, and seals that of one that has died", async () => {
    const stored = await putAll(engine, [20_000]);
    const [id] = stored.keys();
    const { path } = placeOf(id as BlobId);
    const before = (await stat(path)).size;
    const living = await open({ inherits: (incarnation) => incarnation !== engine.incarnation });
    await living.pack();
    assert.equal((await stat(path)).size, before);
    await sameAs(living, stored);
    await living.remove([id as BlobId]);
    await living.pack();
    const more = await putAll(engine, [30_000]);
    await living.close();
    const heir = await open();
    await heir.pack();
    await sameAs(heir, more);
    assert.ok((await stat(path)).size < before);
    await heir.close();
  });

  it("lists every blob that was there before and after, while others are put and removed", async () => {
    const stored = await putAll(engine, mix(60));
    const always = [...stored.keys()].filter((_, index) => index % 2 === 0);
    const never = new Set<BlobId>();
    const changes = (async () => {
      for (const id of [...stored.keys()].filter((_, index) => index % 2 === 1)) {
        await engine.remove([id]);
        never.add((await put(engine, someBytes(3000))).id);
        if (never.size % 5 === 0) await engine.pack();
      }
    })();
    for (let round = 0; round < 10; round++) {
      const listed = await everyId(engine, 7);
      assert.deepEqual(listed, [...new Set(listed)].sort());
      for (const id of always) assert.ok(listed.includes(id));
    }
    await changes;
  });
});

describe("segments: what is held", () => {
  it("closes what it opened", async () => {
    let opened = 0;
    disk.calls.set("open", (real, done, args) => {
      args[args.length - 1] = ((error, fd) => {
        if (!error) opened++;
        done(error, fd);
      }) satisfies Callback;
      real();
    });
    disk.calls.set("close", (real) => {
      opened--;
      real();
    });
    const stored = await putAll(engine, mix(60));
    for (const [id, bytes] of stored) for await (const _ of engine.read(id, 0, bytes.length)) break;
    await engine.remove([...stored.keys()].slice(0, 50));
    await engine.pack();
    await assert.rejects(readAll(engine, `${engine.incarnation}1ffffff000000001`, 0, 1), BlobDamaged);
    const failure = new Error("gone");
    const body = async function* (): AsyncGenerator<Buffer> {
      yield someBytes(1000);
      throw failure;
    };
    await assert.rejects(engine.put(body()), (error) => error === failure);
    await engine.close();
    assert.equal(opened, 0);
  });
});
