/**
 * A second process on one LMDB folder, for metadata-lmdb-processes.test.ts. Its arguments are the folder and a role;
 * it says "ready" when the database is open, and ends when its channel closes.
 */

import { systemClock } from "../../src/engines/clock/system.ts";
import { lmdbMetadata } from "../../src/engines/metadata/lmdb.ts";
import { systemRandom } from "../../src/engines/random/system.ts";
import { pointRange } from "../../src/ports/metadata.ts";
import { transactions } from "../../src/store/transact.ts";

/** What the test asks. */
export type Ask =
  | { readonly kind: "check"; readonly chain: string; readonly n: number }
  | { readonly kind: "increment"; readonly key: string; readonly times: number; readonly queue: boolean }
  | { readonly kind: "end" };

/** What it says: what a check found, that the increments are done, and each write once it is acknowledged. */
export type Say =
  | { readonly kind: "ready" }
  | { readonly kind: "found"; readonly n: number; readonly first: number; readonly second: number }
  | { readonly kind: "done" }
  | { readonly kind: "acknowledged"; readonly key: string }
  | { readonly kind: "full"; readonly errors: readonly string[]; readonly readable: number };

const [folder = "", role = "", durability = "group"] = process.argv.slice(2);
const engine = await lmdbMetadata({
  folder,
  random: systemRandom(),
  durability: durability === "none" ? "none" : "group",
});
const transact = transactions(engine, systemClock(), { runsMax: 10_000 });
const say = (message: Say) => process.send?.(message);

async function check(chain: string, n: number): Promise<void> {
  const rows = await engine.read([
    pointRange(Buffer.from(`${chain}/first`)),
    pointRange(Buffer.from(`${chain}/second`)),
  ]);
  const [first = 0, second = 0] = rows.map((found) => Number(found[0]?.value));
  say({ kind: "found", n, first, second });
}

async function increment(key: Buffer, times: number, queue: boolean): Promise<void> {
  const once = () =>
    transact(queue ? [key] : [], async (tx) => {
      tx.set(key, Buffer.from(String(Number((await tx.get(key)) ?? 0) + 1)));
    });
  const workers = Array.from({ length: 4 }, async () => {
    for (let n = 0; n < times / 4; n++) await once();
  });
  await Promise.all(workers);
  say({ kind: "done" });
}

/** Writes rows without end, eight at a time, and names each when it is acknowledged. */
async function write(): Promise<void> {
  const worker = async (name: number) => {
    for (let n = 0; ; n++) {
      const key = `${process.pid}/${name}/${n}`;
      await engine.commit([], [{ key: Buffer.from(key), value: Buffer.alloc(200, key) }]);
      say({ kind: "acknowledged", key });
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, name) => worker(name)));
}

/** Writes rows, eight at a time, until 20 of them have failed; then says what failed and how much can be read. */
async function fill(): Promise<void> {
  const errors: string[] = [];
  const worker = async (name: number) => {
    for (let n = 0; errors.length < 20; n++) {
      const key = `${name}/${n}`;
      const absent = ["a", "b"].map((row) => ({ key: Buffer.from(`${key}/${row}`), version: undefined }));
      try {
        await engine.commit(n % 2 === 0 ? absent : [], [{ key: Buffer.from(key), value: Buffer.alloc(30_000, key) }]);
        say({ kind: "acknowledged", key });
      } catch (error) {
        errors.push((error as Error).message);
      }
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, name) => worker(name)));
  const [rows = []] = await engine.read([{ start: Buffer.from("0"), end: Buffer.from("9"), limit: 10_000 }]);
  say({ kind: "full", errors, readable: rows.length });
}

process.on("message", (ask: Ask) => {
  if (ask.kind === "check") void check(ask.chain, ask.n);
  else if (ask.kind === "increment") void increment(Buffer.from(ask.key), ask.times, ask.queue);
  else void engine.close().then(() => process.disconnect());
});
say({ kind: "ready" });
if (role === "writer") await write();
if (role === "filler") await fill();
