/**
 * `npm run bench`: cosbox as it is shipped, its peers, and the probes of the same machine in the same run.
 *
 *   --quick            a few rows, a minute and a half at most
 *   --only=a,b         rows whose names begin with one of these
 *   --peers=a,b        peers to compare with, or none (default: all that npm can install, and the environment's)
 *   --seconds=2        length of each measured row (1 with --quick)
 *   --data=folder      where the data goes; a real disk, or the figures mean little
 *   --no-save          print, and keep nothing
 */

import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Aim, Measured, Work } from "./load.ts";
import { machine, machineHash, usageOf } from "./machine.ts";
import { commitsPerSecond, md5GbPerSecond, syncsPerSecond } from "./probes.ts";
import { amount, type Contest, markdown, type Probes, type Report, type Result, save } from "./report.ts";
import { loadedRows, type ProbeName, ROWS, type Row } from "./rows.ts";
import { type Contender, cosbox, nginx, peers, probeServer, type Running, start } from "./servers.ts";

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    peers: { type: "string" },
    seconds: { type: "string" },
    data: { type: "string", default: tmpdir() },
    "no-save": { type: "boolean", default: false },
  },
});
const { quick } = flags;
const seconds = Number(flags.seconds ?? (quick ? 1 : 2));
const only = flags.only?.split(",");
const STARTS = quick ? 3 : 5;
/** Keys in the buckets of the lists. A peer's go in one by one. */
const LOADED = quick ? [10_000] : [10_000, 1_000_000];
const PEER_LOADED = quick ? [] : [10_000];
/** A server is idle when it has been left alone for this long. */
const IDLE_MS = 500;

const began = performance.now();
const script = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const folder = mkdtempSync(join(flags.data, "cosbox-bench-"));
const generator = fork(script("load.ts"));

function say(line: string): void {
  process.stderr.write(`${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s  ${line}\n`);
}

function isWanted(row: Row): boolean {
  return (row.quick || !quick) && (only === undefined || only.some((name) => row.name.startsWith(name)));
}

/** Has the generator run one row. */
function measure(aim: Aim, work: Work): Promise<Measured> {
  return new Promise((resolve, reject) => {
    const gone = () => reject(new Error("the generator ended"));
    generator.once("exit", gone);
    generator.once("message", (measured) => {
      generator.off("exit", gone);
      resolve(measured as Measured);
    });
    generator.send({ aim, work });
  });
}

async function prepare(aim: Aim, work: Pick<Work, "op" | "size" | "keys">): Promise<void> {
  const concurrency = work.op === "make-bucket" ? 1 : work.size > 1 << 20 ? 2 : 16;
  const { fault } = await measure(aim, { ...work, concurrency, seconds: 0 });
  if (fault !== undefined) throw new Error(`the preparation failed: ${fault}`);
}

/** Starts a contender on a folder that is removed at the end, for as long as `use` takes. */
async function running<T>(contender: Contender, data: string, use: (server: Running) => Promise<T>): Promise<T> {
  const server = await start(contender, data);
  try {
    return await use(server);
  } finally {
    await server.stop();
    rmSync(data, { recursive: true, force: true });
  }
}

/** Measures one row, with the processor time that the server used for it. */
async function measureRow({ aim, pid }: Running, row: Row): Promise<Result> {
  const before = pid === undefined ? undefined : usageOf(pid);
  const { fault, ...measured } = await measure(aim, { ...row, seconds });
  const after = pid === undefined ? undefined : usageOf(pid);
  return {
    row: row.name,
    unit: row.unit,
    value: row.unit === "/s" ? measured.perSecond : measured.bytesPerSecond / 1e6,
    ...measured,
    ...(before && after ? { serverCpuSeconds: after.cpuSeconds - before.cpuSeconds } : {}),
    ...(row.against === undefined ? {} : { against: row.against }),
    ...(fault === undefined ? {} : { fault }),
  };
}

async function measureRows(server: Running, { name }: Contender, wanted: readonly Row[]): Promise<Result[]> {
  const results: Result[] = [];
  const filled = new Set<number>();
  for (const row of wanted) {
    const reads = row.op === "get" || row.op === "head" || row.op === "mixed";
    if (row.op === "delete" || (reads && !filled.has(row.size))) {
      await prepare(server.aim, { op: "fill", size: row.size, keys: row.keys });
      filled.add(row.size);
    }
    const result = await measureRow(server, row);
    results.push(result);
    say(`${name.padEnd(8)} ${row.name.padEnd(24)} ${amount(result)} ${result.fault ?? ""}`);
    if (row.op === "delete") filled.delete(row.size);
  }
  return results;
}

/** Rows of a bucket with many keys. Ours are loaded through the store; a peer's go in by requests. */
async function measureLoaded(contender: Contender, keys: number, data: string): Promise<Result[]> {
  const wanted = loadedRows(keys).filter(isWanted);
  if (wanted.length === 0) return [];
  const bulk = contender.name === "cosbox";
  if (bulk) {
    const server = await start(contender, data);
    await prepare(server.aim, { op: "make-bucket", size: 0, keys: 0 });
    await server.stop();
    await runScript("bulk-load.ts", join(data, "data"), contender.bucket, String(keys));
    say(`${contender.name.padEnd(8)} ${keys} keys loaded`);
  }
  return running(contender, data, async (server) => {
    if (!bulk) {
      await prepare(server.aim, { op: "make-bucket", size: 0, keys: 0 });
      await prepare(server.aim, { op: "fill-listed", size: 0, keys });
    }
    return measureRows(server, contender, wanted);
  });
}

/** Runs a script of this folder in a process of its own, to its end. */
function runScript(name: string, ...args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    fork(script(name), args, { stdio: "inherit" }).once("exit", (code) => {
      if (code === 0) resolve();
      else reject(new Error(`${name} failed`));
    });
  });
}

/** Everything about one contender: starts, memory, rows. */
async function contend(contender: Contender, wanted: readonly Row[], loads: readonly number[]): Promise<Contest> {
  const { name, version, durability, workers } = contender;
  const startsMs: number[] = [];
  for (let at = 0; at < (contender.command === undefined ? 0 : STARTS); at++) {
    await running(contender, join(folder, `start-${at}`), async ({ startMs }) => void startsMs.push(startMs as number));
  }
  let memory: Contest["memory"];
  const results = await running(contender, join(folder, "rows"), async (server) => {
    await new Promise((resolve) => void setTimeout(resolve, IDLE_MS));
    const idle = server.pid === undefined ? undefined : usageOf(server.pid);
    if (wanted.length > 0) await prepare(server.aim, { op: "make-bucket", size: 0, keys: 0 });
    const measured = await measureRows(server, contender, wanted);
    const loaded = server.pid === undefined ? undefined : usageOf(server.pid);
    if (idle !== undefined && loaded !== undefined) memory = { idleMiB: idle.residentMiB, peakMiB: loaded.peakMiB };
    return measured;
  });
  for (const keys of loads) results.push(...(await measureLoaded(contender, keys, join(folder, `loaded-${keys}`))));
  startsMs.sort((a, b) => a - b);
  return { name, version, durability, workers, startsMs, results, ...(memory === undefined ? {} : { memory }) };
}

/** The probes that `wanted` rows are held against, and those that describe the machine. */
async function runProbes(workers: number, wanted: ReadonlySet<ProbeName>): Promise<Probes> {
  const commits = (keys: number) => commitsPerSecond(folder, { size: 4096, keys, concurrency: 64, seconds });
  const asked = (contender: Contender, work: Omit<Work, "seconds">) =>
    running(contender, join(folder, contender.name), ({ aim }) => measure(aim, { ...work, seconds }));
  const small = { op: "get", size: 0, concurrency: 64, keys: 1 } as const;
  const ceiling = await asked(probeServer("raw", 1), small);
  const bare = await asked(probeServer("null", workers), small);
  const server = nginx();
  const hashed = { op: "put", size: 65_536, concurrency: 64, keys: 1 } as const;
  const whole = { op: "get", size: 64 << 20, concurrency: 1, keys: 1 } as const;
  return {
    generatorCeiling: ceiling.perSecond,
    null: bare.perSecond,
    nullGeneratorCpu: bare.generatorCpu,
    md5: md5GbPerSecond(seconds) * 1000,
    fdatasync: syncsPerSecond(folder, seconds),
    ...(wanted.has("hash-64k") ? { "hash-64k": (await asked(probeServer("hash", workers), hashed)).perSecond } : {}),
    ...(wanted.has("lmdb") ? { lmdb: await commits(0) } : {}),
    ...(wanted.has("lmdb-loaded") ? { "lmdb-loaded": await commits(LOADED.at(-1) as number) } : {}),
    ...(server && wanted.has("sendfile-64m")
      ? { "sendfile-64m": (await asked(server, whole)).bytesPerSecond / 1e6 }
      : {}),
  };
}

async function main(): Promise<void> {
  const ours = cosbox();
  const wanted = ROWS.filter(isWanted);
  const peerRows = wanted.filter((row) => row.peers === "always" || !quick);
  const against = new Set(
    [...wanted, ...LOADED.flatMap((keys) => loadedRows(keys).filter(isWanted))].map((row) => row.against),
  );
  const about = machine(folder);
  if (about.fileSystem === "tmpfs") say(`${flags.data} is memory, not a disk: name a folder with --data`);

  const contests = [await contend(ours, wanted, LOADED)];
  const probes = await runProbes(Number(ours.workers) || 1, against as Set<ProbeName>);
  say("probes done");
  for (const peer of flags.peers === "none" ? [] : peers(flags.peers?.split(","), say)) {
    try {
      contests.push(await contend(peer, peerRows, PEER_LOADED));
    } catch (error) {
      say(`${peer.name} is left out: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const report: Report = {
    date: new Date().toISOString().slice(0, 10),
    command: `npm run bench -- ${process.argv.slice(2).join(" ")}`.trim(),
    seconds,
    machine: about,
    probes,
    contests,
  };
  process.stdout.write(markdown(report));
  if (!flags["no-save"]) say(`kept in ${save(report, machineHash())}`);
  if (contests.some(({ name, results }) => name === ours.name && results.some(({ fault }) => fault !== undefined))) {
    process.exitCode = 1;
  }
}

try {
  await main();
} finally {
  generator.kill();
  rmSync(folder, { recursive: true, force: true });
}
