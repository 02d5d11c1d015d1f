/**
 * SIGKILL to the whole process group at any time, under everything that clients do; then what every client was told
 * must be true. The data folder is one for all rounds, so that what a crash leaves behind meets the next.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, it, onTestFinished } from "vitest";
import { clientOf } from "./client.ts";
import { crc64Of, Journal } from "./journal.ts";
import { poolOf, runClient } from "./load.ts";
import { assertSound } from "./offline.ts";
import { chanceOf, rounds, say } from "./plan.ts";
import { type ServerProcess, standby } from "./server-process.ts";
import { verify } from "./verify.ts";
import { BUCKET } from "./writer.ts";

const CLIENTS = 6;
/** Parts of any size, so that uploads have many of them. */
const FLAGS = ["--limit", "partBytesMin=1"];
/** A server is killed after so many acknowledged changes, and some milliseconds so that it is in the middle of some. */
const CHANGES_MAX = 80;
const LOAD_MS_MAX = 600;
const LAST_MS_MAX = 12;
const START_MS_MAX = 250;
/** Rounds after which every key is read and nothing may be left over. */
const WHOLE_EVERY = 10;

describe("a server that is killed", () => {
  const plan = rounds("kill -9", 300, 4);

  it(
    "has kept every change it acknowledged, and every other one wholly or not at all",
    async () => {
      const data = await mkdtemp(join(tmpdir(), "cosbox-crash-"));
      const chance = chanceOf("kill");
      const pool = poolOf(chance);
      const journal = new Journal();
      const crc64 = await crc64Of();
      const loads = Array.from({ length: CLIENTS }, (_, number) => chanceOf(`client ${number}`));
      let next = standby();
      let server: ServerProcess | undefined;
      onTestFinished(async () => {
        await next.discard();
        await server?.kill();
        await rm(data, { recursive: true });
      });
      const begin = (): ServerProcess => {
        server = next.begin({ data, flags: FLAGS });
        next = standby();
        return server;
      };
      let killedAtStart = 0;

      await plan.run(async (round) => {
        if (round > 0 && chance.once(8)) {
          // A crash while the crash before is being cleared up.
          const starting = begin();
          await sleep(chance.below(START_MS_MAX));
          await starting.kill();
          killedAtStart += 1;
        }
        const whole = round % WHOLE_EVERY === WHOLE_EVERY - 1;
        await assertSound(data, { collect: whole && chance.once(2) }).catch((error: Error) => {
          if (round > 0) throw error;
        });
        const running = begin();
        const port = await running.listening;
        const client = clientOf(port);
        if (round === 0) await client.ask({ method: "PUT", bucket: BUCKET });
        await verify({ client, journal, crc64, reads: () => whole || chance.once(4) });
        client.close();

        const clients = loads.map(() => clientOf(port));
        const work = clients.map((one, number) =>
          runClient({ client: one, journal, chance: loads[number] as never, number, pool }),
        );
        const all = Promise.all(work);
        const enough = journal.acknowledged + chance.below(CHANGES_MAX);
        const until = performance.now() + LOAD_MS_MAX;
        while (journal.acknowledged < enough && performance.now() < until) await Promise.race([all, sleep(1)]);
        await Promise.race([all, sleep(chance.below(LAST_MS_MAX))]);
        await running.kill();
        await all;
        for (const one of clients) one.close();
      });
      await assertSound(data, { collect: true });
      say(`kill -9: ${journal.acknowledged} changes acknowledged, ${killedAtStart} starts killed as well`);
    },
    plan.timeoutMs,
  );
});
