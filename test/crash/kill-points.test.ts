/**
 * SIGKILL before the n-th call that changes a file or answers a client, for every n, in one trace of each way to
 * commit. The calls of one thread are counted by strace.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
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
import { type ServerProcess, startServer } from "./server-process.ts";
import { COUNTABLE, inject, trace } from "./strace.ts";
import { missingStrace } from "./tools.ts";
import { verify } from "./verify.ts";
import { BUCKET, Writer } from "./writer.ts";

/** Every call with which the store changes a file. */
const CALLS = ["pwrite64", "writev", "pwritev", "fdatasync", "fsync", "mkdir", "unlink", "rename", "ftruncate"];
/** Parts of any size, so that small uploads have many of them. */
const FLAGS = ["--limit", "partBytesMin=1"];
/** How long the work that follows an answer in the background may take. */
const AFTER_MS = 150;
/** More calls of one kind than any sequence makes on one thread. */
const NTH_MAX = 60;

/** Which of its thread's writes was the one with which the answer left. */
function answerAmongWrites(calls: readonly string[]): number {
  const answer = calls.find((line) => line.includes('"HTTP/1.1 ')) ?? "";
  const thread = /^\d+ +write/.exec(answer)?.[0] ?? "";
  assert.notEqual(thread, "", "no answer was seen");
  return 1 + calls.filter((line) => line.startsWith(thread)).indexOf(answer);
}

describe("a server that is killed at a call", () => {
  const reason = missingStrace();

  for (const sequence of SEQUENCES) {
    it(`keeps what it must at every call: ${sequence.name}`, async (context) => {
      if (reason !== undefined) context.skip(reason);
      // The key of what is encrypted lies beside the data.
      const folder = await mkdtemp(join(tmpdir(), "cosbox-crash-"));
      const data = join(folder, "data");
      const chance = chanceOf(sequence.name);
      const pool = poolOf(chance);
      const bytes = (count: number): Buffer => {
        const at = chance.below(pool.length - count);
        return pool.subarray(at, at + count);
      };
      const journal = new Journal();
      const crc64 = await crc64Of();
      let server: ServerProcess | undefined;
      let client: Client | undefined;
      onTestFinished(async () => {
        client?.close();
        await server?.kill();
        await rm(folder, { recursive: true });
      });

      async function start(): Promise<Writer> {
        server = startServer({ data, flags: FLAGS, env: COUNTABLE });
        client = clientOf(await server.listening);
        await verify({ client, journal, crc64, reads: () => true });
        return new Writer(client, journal);
      }

      server = startServer({ data, flags: FLAGS, env: COUNTABLE });
      client = clientOf(await server.listening);
      await client.ask({ method: "PUT", bucket: BUCKET });
      let writer = new Writer(client, journal);
      const points: string[] = [];
      const request = await sequence.prepare(writer, bytes);
      await sleep(AFTER_MS);
      const watched = await trace(server.pid, [...CALLS, "write"]);
      await request();
      await sleep(AFTER_MS);
      const calls = await watched.end();
      const first = new Map(
        CALLS.filter((call) => calls.some((line) => line.includes(` ${call}(`))).map((c) => [c, 1]),
      );
      first.set("write", answerAmongWrites(calls));
      for (const [call, from] of first) {
        let nth = from;
        for (; nth <= NTH_MAX; nth++) {
          const act = await sequence.prepare(writer, bytes);
          // What the preparation left to the collector is none of the sequence.
          await sleep(AFTER_MS);
          const injection = await inject(server.pid, call, nth, "signal=KILL");
          let answered = true;
          await act().catch((error: unknown) => {
            if (!(error instanceof Unanswered)) throw error;
            answered = false;
          });
          if (answered) await Promise.race([server.exit, sleep(AFTER_MS)]);
          await injection.end();
          if (!server.ended() && answered) break;
          await server.kill();
          client.close();
          await assertSound(data);
          writer = await start();
          // The writes before and after the answer are threads that wake each other.
          if (call === "write" && ++nth) break;
        }
        assert.ok(nth <= NTH_MAX, `${call} has no end`);
        if (nth > from) points.push(`${call} ${nth - from}`);
      }
      say(`kill points, ${sequence.name}: ${points.join(", ")}`);
      assert.ok(points.length >= 3, `killed at no more than: ${points.join()}`);
      client.close();
      await server.stop();
      await assertSound(data, { collect: true });
    }, 180_000);
  }
});
