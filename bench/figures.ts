/**
 * `npm run figures`: what a run of the benchmark does not tell. Memory under many transfers at once, space after deleting
 * everything, the start and the check of a store with a million objects, how long others wait while small bodies are read
 * that are not in memory, and what the lifecycle does in a minute. `--only=transfers,million,cold,lifecycle` chooses;
 * `--data=folder` says where; `--keys=1000000`.
 *
 * `cold` needs a memory controller of cgroup version 1 or 2 and root, and says so where it has neither.
 */

import { fork, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Aim, measure, type Measured, type Work } from "./load.ts";
import { machine, machineHash, usageOf } from "./machine.ts";
import { type Contender, cosbox, type Running, start } from "./servers.ts";

const { values: flags } = parseArgs({
  options: {
    only: { type: "string", default: "transfers,million,cold,lifecycle,encryption" },
    data: { type: "string", default: tmpdir() },
    keys: { type: "string", default: "1000000" },
  },
});
const MIB = 1 << 20;
const TRANSFERS = 64;
const keys = Number(flags.keys);
/** A store four times as large as the memory it is given. */
const COLD_MEMORY = 384 * MIB;
const COLD_BODY = 8192;
/** What a body of this size takes in the database: three pages. */
const COLD_ROW = 12_288;
const COLD_KEYS = (4 * COLD_MEMORY) / COLD_ROW;
const STARTS = 5;
/** How often the memory of the servers is looked at. */
const LOOK_MS = 50;

const folder = mkdtempSync(join(flags.data, "cosbox-figures-"));
const figures: Record<string, number | string> = {};

function note(name: string, value: number | string): void {
  figures[name] = typeof value === "number" ? Number(value.toPrecision(4)) : value;
  process.stdout.write(`${name}: ${figures[name]}\n`);
}

async function asked(aim: Aim, work: Work): Promise<Measured> {
  const measured = await measure(aim, work);
  if (measured.fault !== undefined) throw new Error(measured.fault);
  return measured;
}

const makeBucket = (aim: Aim) => asked(aim, { op: "make-bucket", size: 0, keys: 0, concurrency: 1, seconds: 0 });

/** The most memory that the processes had resident together while `work` went on, MiB. */
async function peakDuring(pid: number, work: () => Promise<unknown>): Promise<number> {
  let peak = 0;
  const look = setInterval(() => {
    peak = Math.max(peak, usageOf(pid)?.residentMiB ?? 0);
  }, LOOK_MS);
  try {
    await work();
  } finally {
    clearInterval(look);
  }
  return peak;
}

/** KiB that the files below a folder take on the disk, the reserve left out. */
function kibibytesIn(path: string): number {
  let sum = 0;
  for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name === "reserve") continue;
    sum += statSync(join(entry.parentPath, entry.name)).blocks / 2;
  }
  return sum;
}

function runScript(name: string, ...args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const path = fileURLToPath(new URL(name, import.meta.url));
    fork(path, args, { stdio: "inherit" }).once("exit", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${name} failed`));
    });
  });
}

async function transfers(): Promise<void> {
  const data = join(folder, "transfers");
  const server = await start(cosbox(), data);
  const pid = server.pid as number;
  await new Promise((resolve) => setTimeout(resolve, 1000));
  note("memory idle, all processes, MiB", usageOf(pid)?.residentMiB ?? 0);
  await makeBucket(server.aim);
  const large = { size: 64 * MIB, keys: TRANSFERS, concurrency: TRANSFERS, seconds: 10 };
  note(
    "memory in 64 uploads of 64 MiB at once, all processes, MiB",
    await peakDuring(pid, () => asked(server.aim, { op: "fill", ...large })),
  );
  note(
    "memory in 64 downloads of 64 MiB at once, all processes, MiB",
    await peakDuring(pid, () => asked(server.aim, { op: "get", ...large })),
  );
  for (const size of [4096, 65_536, MIB]) {
    await asked(server.aim, { op: "fill", size, keys: 500, concurrency: 16, seconds: 0 });
  }
  note("space with 64 × 64 MiB, 500 × 1 MiB, 64 KiB and 4 KiB, MiB", kibibytesIn(data) / 1024);
  for (const size of [4096, 65_536, MIB]) {
    await asked(server.aim, { op: "delete", size, keys: 500, concurrency: 16, seconds: 0 });
  }
  await asked(server.aim, { op: "delete", ...large });
  let before: number;
  do {
    before = kibibytesIn(data);
    await new Promise((resolve) => setTimeout(resolve, 3000));
  } while (kibibytesIn(data) < before);
  note("space after deleting everything, running, MiB", kibibytesIn(data) / 1024);
  await server.stop();
  note("space after deleting everything, stopped, MiB", kibibytesIn(data) / 1024);
}

async function million(): Promise<void> {
  const data = join(folder, "million");
  const contender = cosbox();
  let server = await start(contender, data);
  await makeBucket(server.aim);
  await server.stop();
  await runScript("bulk-load.ts", join(data, "data"), contender.bucket, String(keys));
  const times: Record<"empty" | "full", number[]> = { empty: [], full: [] };
  for (let at = 0; at < STARTS; at++) {
    for (const [which, where] of [
      ["empty", join(folder, `empty-${at}`)],
      ["full", data],
    ] as const) {
      server = await start(contender, where);
      times[which].push(server.startMs as number);
      await server.stop();
    }
  }
  for (const [which, all] of Object.entries(times)) {
    const count = which === "full" ? keys : 0;
    note(`start to the first answer with ${count} objects, ms`, all.toSorted((a, b) => a - b)[STARTS >> 1] as number);
  }
  const began = performance.now();
  const { file, args } = (contender.command as NonNullable<Contender["command"]>)(data, 0);
  const checked = spawnSync(file, [args[0] as string, "fsck", "--data", join(data, "data")], { encoding: "utf8" });
  if (checked.status !== 0) throw new Error(checked.stderr);
  note(`fsck of ${keys} objects, s`, (performance.now() - began) / 1000);
}

/** A group of processes that may have so much memory, or undefined with the reason told. */
function memoryGroup(bytes: number): string | undefined {
  const old = "/sys/fs/cgroup/memory";
  const [root, limit] = existsSync(old) ? [old, "memory.limit_in_bytes"] : ["/sys/fs/cgroup", "memory.max"];
  const group = join(root, `cosbox-figures-${process.pid}`);
  try {
    mkdirSync(group);
    writeFileSync(join(group, limit), String(bytes));
    return group;
  } catch (error) {
    note("cold reads", `skipped: no group with bounded memory (${(error as Error).message})`);
    return undefined;
  }
}

async function cold(): Promise<void> {
  const group = memoryGroup(COLD_MEMORY);
  if (group === undefined) return;
  const data = join(folder, "cold");
  const contender = cosbox();
  const bounded: Contender = {
    ...contender,
    command(where, port) {
      const { file, args, env = {} } = (contender.command as NonNullable<Contender["command"]>)(where, port);
      const enter = `echo $$ > '${group}/cgroup.procs' && exec "$@"`;
      return { file: "sh", args: ["-c", enter, "sh", file, ...args], env };
    },
  };
  const hasty: Contender = {
    ...contender,
    command(where, port) {
      const command = (contender.command as NonNullable<Contender["command"]>)(where, port);
      return { ...command, args: [...command.args, "--durability", "none"] };
    },
  };
  let server: Running | undefined = await start(hasty, data);
  try {
    await makeBucket(server.aim);
    await asked(server.aim, { op: "fill", size: COLD_BODY, keys: COLD_KEYS, concurrency: 64, seconds: 0 });
    await asked(server.aim, { op: "fill", size: 1024, keys: 1, concurrency: 1, seconds: 0 });
    await server.stop();
    server = undefined;
    writeFileSync("/proc/sys/vm/drop_caches", "1");
    server = await start(bounded, data);
    const { aim } = server;
    note("store, MiB", kibibytesIn(data) / 1024);
    note("memory it may use, MiB", COLD_MEMORY / MIB);
    const hot: Work = { op: "get", size: 1024, keys: 1, concurrency: 1, seconds: 8 };
    const alone = await asked(aim, hot);
    note("a hot object alone, p50 / p99, ms", `${alone.p50Ms.toFixed(2)} / ${alone.p99Ms.toFixed(2)}`);
    const [others, reads] = await Promise.all([
      asked(aim, hot),
      asked(aim, { op: "get", size: COLD_BODY, keys: COLD_KEYS, concurrency: 16, seconds: 8 }),
    ]);
    note(
      "a hot object beside cold inline reads, p50 / p99, ms",
      `${others.p50Ms.toFixed(2)} / ${others.p99Ms.toFixed(2)}`,
    );
    note("cold inline reads, c = 16, /s", reads.perSecond);
    note("cold inline reads, p50 / p99, ms", `${reads.p50Ms.toFixed(2)} / ${reads.p99Ms.toFixed(2)}`);
  } finally {
    await server?.stop();
    rmdirSync(group);
  }
}

/** What the lifecycle examines and removes in a minute; it prints its own lines. */
const lifecycle = () => runScript("lifecycle.ts", `--keys=${keys}`, `--data=${folder}`);

/** What encryption costs beside plain bodies; it prints its own lines. */
const encryption = () => runScript("encryption.ts", `--data=${folder}`);

const PARTS = { transfers, million, cold, lifecycle, encryption };

try {
  for (const [name, part] of Object.entries(PARTS)) if (flags.only.split(",").includes(name)) await part();
  const results = fileURLToPath(new URL("results/", import.meta.url));
  mkdirSync(results, { recursive: true });
  const date = new Date().toISOString().slice(0, 10);
  const report = { date, machine: machine(folder), workers: cosbox().workers, figures };
  writeFileSync(join(results, `figures-${date}-${machineHash()}.json`), `${JSON.stringify(report, null, 1)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
