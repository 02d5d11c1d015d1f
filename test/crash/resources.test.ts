/**
 * What the machine may lack: room on the disk, a disk that can be written, one that takes what it is told to keep,
 * descriptors, memory. The server answers 503 and no wrong data, reads go on, and it recovers by itself, except after a
 * failed sync, which stops all writing until it is started again.
 */
import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, it, onTestFinished } from "vitest";
import { type Client, clientOf, Unanswered } from "./client.ts";
import { crc64Of, Journal } from "./journal.ts";
import { poolOf } from "./load.ts";
import { assertSound } from "./offline.ts";
import { chanceOf, say } from "./plan.ts";
import { SEQUENCES } from "./sequences.ts";
import { type ServerOptions, type ServerProcess, startServer } from "./server-process.ts";
import { makeSmallDisk, missingSmallDisk } from "./small-disk.ts";
import { COUNTABLE, inject, trace } from "./strace.ts";
import { command, missing, missingStrace } from "./tools.ts";
import { verify } from "./verify.ts";
import { BUCKET, Failed, Writer } from "./writer.ts";

const MIB = 1024 * 1024;
const FLAGS = ["--limit", "partBytesMin=1"];

interface Running {
  readonly server: ServerProcess;
  readonly client: Client;
  readonly writer: Writer;
  readonly journal: Journal;
  readonly bytes: (count: number) => Buffer;
  /** Everything that was acknowledged is there, and the rest is whole or absent. */
  check(): Promise<void>;
  /** The same, by a new process. */
  restart(): Promise<Running>;
}

const pool = poolOf(chanceOf("resources"));

function bytesFrom(name: string): (count: number) => Buffer {
  const chance = chanceOf(name);
  return (count) => {
    const at = chance.below(pool.length - count);
    return pool.subarray(at, at + count);
  };
}

async function running(options: ServerOptions, journal = new Journal()): Promise<Running> {
  const server = startServer({ ...options, flags: FLAGS });
  onTestFinished(() => server.kill());
  const client = clientOf(await server.listening);
  onTestFinished(() => client.close());
  const crc64 = await crc64Of();
  const made: Running = {
    server,
    client,
    journal,
    writer: new Writer(client, journal),
    bytes: bytesFrom(options.data),
    check: () => verify({ client, journal, crc64, reads: () => true }),
    async restart() {
      client.close();
      await server.kill();
      const again = await running(options, journal);
      await again.check();
      return again;
    },
  };
  if (journal.keys.size === 0) await client.ask({ method: "PUT", bucket: BUCKET });
  return made;
}

async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "cosbox-crash-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** What the store keeps back for removals on a full disk, bytes. */
const RESERVE = 16 * MIB;

/** Bytes of it that are there. */
async function reserveOf(data: string): Promise<number> {
  return await stat(join(data, "metadata", "reserve")).then(
    ({ size }) => size,
    () => 0,
  );
}

/** Runs a change; resolves with "ok", or with the code it was refused with. Anything but an answer fails. */
async function outcome(change: Promise<unknown>): Promise<string> {
  try {
    await change;
    return "ok";
  } catch (error) {
    if (error instanceof Failed) return error.answer.code;
    throw error;
  }
}

/** Every way to store bytes, each once. */
async function everyWrite({ writer, bytes }: Running): Promise<string[]> {
  const outcomes: string[] = [];
  const run = async (change: () => Promise<unknown>): Promise<void> => {
    outcomes.push(await outcome(change()));
  };
  await run(() => writer.put("inline", bytes(5_000)));
  await run(() => writer.put("blob", bytes(100_000)));
  await run(() => writer.put("large", bytes(2 * MIB)));
  await run(() => writer.append("log", bytes(20_000)));
  await run(() => writer.copy("source", "copy"));
  await run(async () => {
    const upload = await writer.begin("multi");
    await writer.part(upload, 1, bytes(200_000));
    await writer.part(upload, 2, bytes(1_000));
    await writer.complete(upload);
  });
  return outcomes;
}

describe("a disk that is full", () => {
  it("ServiceUnavailable: at every stage, while reads and deletes go on and writes resume when there is room", async (context) => {
    const reason = missingSmallDisk();
    if (reason !== undefined) context.skip(reason);
    const disk = await makeSmallDisk(256 * MIB);
    onTestFinished(() => disk.unmount());
    let server = await running({ data: join(disk.folder, "data") });
    await server.writer.put("source", server.bytes(100_000));
    assert.deepEqual(new Set(await everyWrite(server)), new Set(["ok"]));
    const reserved = () => reserveOf(join(disk.folder, "data"));
    while ((await reserved()) < RESERVE) await sleep(50);
    const seen: string[] = [];
    for (const left of [40 * MIB, 33 * MIB, 20 * MIB, 9 * MIB, 3 * MIB, 1 * MIB, 100_000, 0]) {
      await disk.fill(left);
      const before = await disk.free();
      const outcomes = await everyWrite(server);
      seen.push(`${(before / MIB).toFixed(1)} MiB: ${outcomes.join(" ")}`);
      for (const one of outcomes) assert.ok(["ok", "ServiceUnavailable"].includes(one), seen.join("\n"));
      assert.equal(server.server.ended(), false, server.server.log());
      await server.check();
    }
    assert.ok(seen.at(-1)?.includes("ServiceUnavailable"), seen.join("\n"));
    await disk.fill(20 * MIB);
    for (let again = 0; again < 20; again++) {
      assert.equal(await outcome(server.writer.put("large", server.bytes(2 * MIB))), "ServiceUnavailable");
    }
    assert.ok((await disk.free()) > 12 * MIB, "what is refused does not fill the disk up");
    say(`full disk:\n  ${seen.join("\n  ")}`);

    // Somebody else has taken every byte. What is kept back for removals is given up for them, and for them alone.
    const { journal, writer } = server;
    // What was removed before may have come back to the disk meanwhile.
    await disk.fillUp();
    for (const key of ["inline", "blob", "large", "log", "copy", "multi"]) {
      assert.equal(await outcome(writer.delete(key)), "ok", `delete ${key} at ${await disk.free()} bytes`);
    }
    assert.equal(await outcome(writer.deleteMany(["source", "none"])), "ok");
    for (const upload of [...journal.uploads.values()]) assert.equal(await outcome(writer.abort(upload)), "ok");

    assert.equal(await reserved(), 0, "the reserve was given up");
    await disk.fillUp();
    assert.equal(await outcome(writer.put("new", server.bytes(5_000))), "ServiceUnavailable");

    await disk.empty();
    await writer.put("source", server.bytes(100_000));
    assert.deepEqual(new Set(await everyWrite(server)), new Set(["ok"]), "writes resume");
    await server.check();
    while ((await reserved()) < RESERVE) {
      await sleep(50);
      await writer.put("again", server.bytes(100));
    }
    server = await server.restart();
    server.client.close();
    assert.equal(await server.server.stop(), 0);
    await assertSound(join(disk.folder, "data"), { collect: true });
    const blobs = await readdir(join(disk.folder, "data", "blobs"), { recursive: true });
    assert.deepEqual(
      blobs.filter((name) => /draft|temp/.test(name)),
      [],
      "nothing temporary is left",
    );
  }, 120_000);
});

describe("a disk that can only be read", () => {
  it("ServiceUnavailable: for every write, while reads go on", async (context) => {
    const reason = missingSmallDisk();
    if (reason !== undefined) context.skip(reason);
    const disk = await makeSmallDisk(256 * MIB);
    onTestFinished(() => disk.unmount());
    const server = await running({ data: join(disk.folder, "data") });
    await server.writer.put("source", server.bytes(100_000));
    assert.deepEqual(new Set(await everyWrite(server)), new Set(["ok"]));
    await disk.failReadOnly();
    const outcomes = await everyWrite(server);
    outcomes.push(await outcome(server.writer.delete("inline")));
    say(`read-only disk: ${outcomes.join(" ")}`);
    assert.deepEqual(new Set(outcomes), new Set(["ServiceUnavailable"]), server.server.log());
    assert.equal(server.server.ended(), false);
    // Nothing was stored and nothing is lost; what was begun cannot have been.
    await server.check();
  }, 60_000);
});

describe("a sync that fails", () => {
  for (const sequence of SEQUENCES) {
    it(`ServiceUnavailable: for that write and every later one, and reads go on: ${sequence.name}`, async (context) => {
      const reason = missingStrace();
      if (reason !== undefined) context.skip(reason);
      const data = await freshFolder();
      let server = await running({ data, env: COUNTABLE });
      const points: string[] = [];
      for (const call of ["fdatasync", "fsync"]) {
        for (let nth = 1; ; nth++) {
          await server.writer.put("kept", server.bytes(1_000));
          // It is made a while after a first write, and synced as well.
          while ((await reserveOf(data)) < RESERVE) await sleep(50);
          const act = await sequence.prepare(server.writer, server.bytes);
          await sleep(300);
          const injection = await inject(server.server.pid, call, nth, "error=EIO");
          const answer = await outcome(act());
          await sleep(150);
          const lines = await injection.end();
          if (!lines.some((line) => line.includes("(INJECTED)"))) break;
          const met = `${call} ${nth}: ${answer}`;
          points.push(met);
          assert.equal(server.server.ended(), false, `${met}: ${server.server.log()}`);
          if (answer !== "ok") assert.equal(answer, "ServiceUnavailable", met);
          const syncs = await trace(server.server.pid, ["fdatasync", "fsync"]);
          const later = [
            await outcome(server.writer.put("later", server.bytes(1_000))),
            await outcome(server.writer.put("later", server.bytes(100_000))),
            await outcome(server.writer.delete("kept")),
          ];
          assert.deepEqual(later, ["ServiceUnavailable", "ServiceUnavailable", "ServiceUnavailable"], met);
          assert.deepEqual(await syncs.end(), [], `${met}: nothing is synced again`);
          assert.match(server.server.log(), /start again/, `${met}: the log tells what to do`);
          await server.check();
          server = await server.restart();
        }
      }
      say(`failed syncs, ${sequence.name}: ${points.join(", ")}`);
      assert.ok(points.length > 0);
    }, 120_000);
  }
});

describe("a process without descriptors", () => {
  it("does not end, and recovers", async (context) => {
    const reason = missing(["prlimit"]);
    if (reason !== undefined) context.skip(reason);
    for (const limit of [64, 128, 512]) {
      const data = await freshFolder();
      const server = await running({ data });
      const keys = Array.from({ length: 40 }, (_, at) => `key-${at}`);
      for (const key of keys) await server.writer.put(key, server.bytes(60_000));
      await sleep(1_000);
      // The limit takes effect now, with the code loaded, as it would under a burst of clients.
      await command("prlimit", "--pid", String(server.server.pid), `--nofile=${limit}`);
      const codes = new Map<string, number>();
      const until = performance.now() + 3_000;
      const visitor = async (number: number): Promise<void> => {
        while (performance.now() < until) {
          // A connection for each: they take descriptors as files do.
          const client = clientOf(await server.server.listening);
          const key = keys[number % keys.length] as string;
          const code = await client
            .ask({ method: "GET", bucket: BUCKET, key, withinMs: 2_000 })
            .then((answer) => answer.code)
            .catch((error: unknown) => {
              if (!(error instanceof Unanswered)) throw error;
              return "cut off";
            });
          client.close();
          codes.set(code, (codes.get(code) ?? 0) + 1);
          assert.ok(["ok", "cut off", "ServiceUnavailable", "SlowDown"].includes(code), `${limit}: ${code}`);
        }
      };
      await Promise.all(Array.from({ length: 200 }, (_, at) => visitor(at)));
      say(`${limit} descriptors: ${[...codes].map(([code, count]) => `${count} ${code}`).join(", ")}`);
      assert.equal(server.server.ended(), false, server.server.log());
      await sleep(500);
      server.client.close();
      const again = clientOf(await server.server.listening);
      onTestFinished(() => again.close());
      const writer = new Writer(again, server.journal);
      await writer.put("after", server.bytes(100_000));
      for (const key of keys) await writer.read(key);
      again.close();
      await server.server.kill();
    }
  }, 90_000);
});

describe("a process with little memory", () => {
  it("serves 200 requests at once, of every size, with a heap of 96 MiB", async () => {
    const server = await running({ data: await freshFolder(), node: ["--max-old-space-size=96"] });
    const codes = new Map<string, number>();
    const until = performance.now() + 6_000;
    const chance = chanceOf("heap");
    const visitor = async (number: number): Promise<void> => {
      const client = clientOf(await server.server.listening);
      const writer = new Writer(client, server.journal);
      const key = `visitor-${number}`;
      while (performance.now() < until) {
        const size = chance.pick([1_000, 60_000, 400_000, 2 * MIB]);
        const code = await outcome(
          chance.pick([
            () => writer.put(key, server.bytes(size)),
            () => writer.read(key),
            () => writer.delete(key),
            () => writer.append(`${key}-log`, server.bytes(500)),
            () => client.ask({ method: "GET", bucket: BUCKET }),
          ])(),
        );
        codes.set(code, (codes.get(code) ?? 0) + 1);
        assert.ok(["ok", "ServiceUnavailable", "SlowDown"].includes(code), code);
      }
      client.close();
    };
    await Promise.all(Array.from({ length: 200 }, (_, at) => visitor(at)));
    say(`a heap of 96 MiB: ${[...codes].map(([code, count]) => `${count} ${code}`).join(", ")}`);
    assert.equal(server.server.ended(), false, server.server.log());
    await server.check();
  }, 60_000);
});
