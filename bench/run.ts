/**
 * `npm run bench`: cosbox as it is shipped, its peers, and the probes of the same machine in the same run.
 *
 *   --quick            a few rows, a minute and a half at most
 *   --only=a,b         rows whose names begin with one of these
 *   --peers=a,b        peers to compare with, or none (default: all that npm can install, and the environment's)
 *   --seconds=1        length of each measurement
 *   --times=3          measurements of each row, of which the middle one counts (1 with --quick, and for peers)
 *   --data=folder      where the data goes; a real disk, or the figures mean little
 *   --no-save          print, and keep nothing
 */

import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Aim, type Measured, NOTHING, type Work } from "./load.ts";
import { machine, machineHash, usageOf } from "./machine.ts";
import { commitProbe, md5GbPerSecond, syncsPerSecond } from "./probes.ts";
import { amount, type Contest, markdown, type MachineFigures, type Report, type Result, save } from "./report.ts";
import { loadedRows, type ProbeName, ROWS, type Row } from "./rows.ts";
import { type Contender, cosbox, nginx, peers, probeServer, type Running, start } from "./servers.ts";

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    peers: { type: "string" },
    seconds: { type: "string", default: "1" },
    times: { type: "string" },
    data: { type: "string", default: tmpdir() },
    "no-save": { type: "boolean", default: false },
  },
});
const { quick } = flags;
const seconds = Number(flags.seconds);
const times = Number(flags.times ?? (quick ? 1 : 3));
const only = flags.only?.split(",");
const STARTS = quick ? 3 : 5;
/** Keys in the buckets of the lists. A peer's go in one by one. */
const LOADED = quick ? [10_000] : [10_000, 1_000_000];
const PEER_LOADED = quick ? [] : [10_000];
/** A server is idle when it has been left alone for this long. */
const IDLE_MS = 500;
const WARM_UP_SECONDS = quick ? 1 : 3;

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

/** Measures one row so many times, and gives the middle one; a fault in any of them voids the row. */
async function measureRow(server: Running, row: Row, probes: RowProbes | undefined): Promise<Result> {
  const results: Result[] = [];
  // Peers have no probes, and some take minutes for what a row asks of them.
  for (let time = 0; time < (probes === undefined ? 1 : times); time++) {
    // What was deleted must be there again.
    if (time > 0 && row.op === "delete") await prepare(server.aim, { op: "fill", size: row.size, keys: row.keys });
    results.push(await measureOnce(server, row, probes));
  }
  const values = results.map(({ value }) => value);
  const voided = results.find(({ fault }) => fault !== undefined);
  if (voided !== undefined) return { ...voided, values };
  const middle = results.toSorted((a, b) => a.value - b.value)[Math.floor(results.length / 2)] as Result;
  return { ...middle, values };
}

/** Measures one row between two turns of its probe, with the processor time that the server used for it. */
async function measureOnce({ aim, pid }: Running, row: Row, probes: RowProbes | undefined): Promise<Result> {
  const probedBefore = await probes?.figure(row, seconds / 2);
  const before = pid === undefined ? undefined : usageOf(pid);
  const { fault, ...measured } = await measure(aim, { ...row, seconds });
  const after = pid === undefined ? undefined : usageOf(pid);
  const probedAfter = await probes?.figure(row, seconds / 2);
  return {
    row: row.name,
    unit: row.unit,
    value: row.unit === "/s" ? measured.perSecond : measured.bytesPerSecond / 1e6,
    values: [],
    ...measured,
    ...(before && after ? { serverCpuSeconds: after.cpuSeconds - before.cpuSeconds } : {}),
    ...(row.against === undefined || probedBefore === undefined || probedAfter === undefined
      ? {}
      : { against: { probe: row.against, value: (probedBefore + probedAfter) / 2 } }),
    ...(fault === undefined ? {} : { fault }),
  };
}

async function measureRows(
  server: Running,
  { name }: Contender,
  wanted: readonly Row[],
  probes: RowProbes | undefined,
): Promise<Result[]> {
  const results: Result[] = [];
  const filled = new Set<number>();
  if (wanted.length > 0) {
    // A server's first seconds say how fast its code is compiled, which the start row says already.
    const [{ op, keys }] = wanted as [Row, ...Row[]];
    const warmUp = { concurrency: 16, seconds: WARM_UP_SECONDS };
    if (op === "list" || op === "list-grouped" || op === "put-listed") {
      await measure(server.aim, { op: "list", size: 0, keys, ...warmUp });
    } else {
      await prepare(server.aim, { op: "fill", size: 4096, keys: 2000 });
      await measure(server.aim, { op: "mixed", size: 4096, keys: 2000, ...warmUp });
    }
  }
  for (const row of wanted) {
    const reads = row.op === "get" || row.op === "head" || row.op === "mixed";
    let result: Result;
    try {
      if (row.op === "delete" || (reads && !filled.has(row.size))) {
        await prepare(server.aim, { op: "fill", size: row.size, keys: row.keys });
        filled.add(row.size);
      }
      result = await measureRow(server, row, probes);
    } catch (error) {
      // A server that gives up in one row has stood the rows before.
      result = { row: row.name, unit: row.unit, value: 0, values: [], ...NOTHING, fault: String(error) };
    }
    results.push(result);
    say(`${name.padEnd(8)} ${row.name.padEnd(24)} ${amount(result)} ${result.fault ?? ""}`);
    if (row.op === "delete") filled.delete(row.size);
  }
  return results;
}

/** Rows of a bucket with many keys. Ours are loaded through the store; a peer's go in by requests. */
async function measureLoaded(
  contender: Contender,
  keys: number,
  data: string,
  probes: RowProbes | undefined,
): Promise<Result[]> {
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
    return measureRows(server, contender, wanted, probes);
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
async function contend(
  contender: Contender,
  wanted: readonly Row[],
  loads: readonly number[],
  probes?: RowProbes,
): Promise<Contest> {
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
    const measured = await measureRows(server, contender, wanted, probes);
    const loaded = server.pid === undefined ? undefined : usageOf(server.pid);
    if (idle !== undefined && loaded !== undefined) memory = { idleMiB: idle.residentMiB, peakMiB: loaded.peakMiB };
    return measured;
  });
  for (const keys of loads) {
    results.push(...(await measureLoaded(contender, keys, join(folder, `loaded-${keys}`), probes)));
  }
  startsMs.sort((a, b) => a - b);
  return { name, version, durability, workers, startsMs, results, ...(memory === undefined ? {} : { memory }) };
}

/** The probes of rows, each started when a row first asks for it and kept until the end. */
class RowProbes {
  readonly #workers: number;
  readonly #measures = new Map<string, (seconds: number) => Promise<number>>();
  readonly #closers: (() => Promise<void>)[] = [];

  constructor(workers: number) {
    this.#workers = workers;
  }

  /** The probe's figure in the unit of its row; undefined where the machine lacks what it takes. */
  async figure(row: Row, length: number): Promise<number | undefined> {
    const name = row.against;
    if (name === undefined) return undefined;
    const id = `${name}-${name === "lmdb-loaded" ? row.keys : ""}`;
    let probe = this.#measures.get(id);
    if (probe === undefined) {
      probe = await this.#open(name, row);
      if (probe === undefined) return undefined;
      this.#measures.set(id, probe);
    }
    return probe(length);
  }

  async #open(name: ProbeName, { size, keys, concurrency }: Row) {
    if (name === "md5") return async (length: number) => md5GbPerSecond(length) * 1000;
    if (name === "lmdb" || name === "lmdb-loaded") {
      const probe = await commitProbe(folder, { size, keys: name === "lmdb" ? 0 : keys });
      this.#closers.push(() => probe.close());
      return (length: number) => probe.measure(concurrency, length);
    }
    const sendfile = name === "sendfile-64m";
    const contender = sendfile ? nginx() : probeServer(name === "null" ? "null" : "hash", this.#workers);
    if (contender === undefined) return undefined;
    const server = await start(contender, join(folder, contender.name));
    this.#closers.push(() => server.stop());
    const op = name === "hash-64k" ? "put" : "get";
    return async (length: number) => {
      const measured = await measure(server.aim, { op, size, concurrency, keys: 1, seconds: length });
      if (measured.fault !== undefined) throw new Error(`${contender.name}: ${measured.fault}`);
      return sendfile ? measured.bytesPerSecond / 1e6 : measured.perSecond;
    };
  }

  async close(): Promise<void> {
    for (const close of this.#closers) await close();
  }
}

/** What the machine and the generator can do by themselves. */
async function machineFigures(): Promise<MachineFigures> {
  const work = { op: "get", size: 0, concurrency: 64, keys: 1, seconds } as const;
  const raw = probeServer("raw", 1);
  const ceiling = await running(raw, join(folder, raw.name), ({ aim }) => measure(aim, work));
  return {
    generatorCeiling: ceiling.perSecond,
    generatorCpu: ceiling.generatorCpu,
    syncs: syncsPerSecond(folder, seconds),
    md5: md5GbPerSecond(seconds) * 1000,
  };
}

async function main(): Promise<void> {
  const ours = cosbox();
  const wanted = ROWS.filter(isWanted);
  const peerRows = wanted.filter(({ peers }) => peers === "always" || (peers === "full" && !quick));
  const about = machine(folder);
  if (about.fileSystem === "tmpfs") say(`${flags.data} is memory, not a disk: name a folder with --data`);

  const probes = new RowProbes(Number(ours.workers) || 1);
  const figures = await machineFigures();
  const contests = [await contend(ours, wanted, LOADED, probes)];
  await probes.close();
  const report = (): Report => ({
    date: new Date().toISOString().slice(0, 10),
    command: `npm run bench -- ${process.argv.slice(2).join(" ")}`.trim(),
    seconds,
    times,
    machine: about,
    figures,
    contests,
  });
  // After each contender: the next may take long, or never end.
  const keep = (): void => {
    if (!flags["no-save"]) say(`kept in ${save(report(), machineHash())}`);
  };
  keep();
  for (const peer of flags.peers === "none" ? [] : peers(flags.peers?.split(","), say)) {
    try {
      contests.push(await contend(peer, peerRows, PEER_LOADED));
      keep();
    } catch (error) {
      say(`${peer.name} is left out: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  process.stdout.write(markdown(report()));
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
