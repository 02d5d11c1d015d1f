/** The figures of a run, as a table of ratios for people and as JSON to keep. */

import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Measured } from "./load.ts";
import type { Machine } from "./machine.ts";
import type { ProbeName } from "./rows.ts";

export interface Result extends Measured {
  readonly row: string;
  readonly unit: "/s" | "MB/s";
  /** The row's figure, in its unit. */
  readonly value: number;
  readonly serverCpuSeconds?: number;
  readonly against?: ProbeName;
}

export interface Contest {
  readonly name: string;
  readonly version: string;
  readonly durability: string;
  readonly workers: string;
  /** From the start of the process to its first answer, sorted. */
  readonly startsMs: readonly number[];
  readonly memory?: { readonly idleMiB: number; readonly peakMiB: number };
  readonly results: readonly Result[];
}

/** Figures of the machine. Requests, commits and syncs per second; MB/s for `md5` and `sendfile-64m`. */
export type Probes = { readonly [Name in ProbeName]?: number } & {
  /** Answers per second of a server that reads nothing: what the generator can do at most. */
  readonly generatorCeiling: number;
  /** Share of one processor that the generator used against `null`. */
  readonly nullGeneratorCpu: number;
  readonly fdatasync: number;
};

export interface Report {
  readonly date: string;
  readonly command: string;
  readonly seconds: number;
  readonly machine: Machine;
  readonly probes: Probes;
  readonly contests: readonly Contest[];
}

export function amount({ value, unit, fault }: Result): string {
  return fault === undefined ? `${round(value)} ${unit}` : "void";
}

function round(value: number): string {
  if (value >= 10_000) return `${(value / 1000).toFixed(1)} K`;
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

const ms = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(2));
const times = (ours: number, theirs: number): string => `${(ours / theirs).toPrecision(2)}×`;
const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |\n`;

function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  return line(head) + line(head.map(() => "---")) + body.map(line).join("");
}

/** The whole report. Ratios above 1 are in favour of the first contender. */
export function markdown({ command, seconds, machine, probes, contests }: Report): string {
  const [ours, ...others] = contests as [Contest, ...Contest[]];
  const { cpu, cores, memoryGiB, system, node, fileSystem, loadAverage } = machine;
  const rows = ours.results.map((result) => {
    const probe = result.against === undefined ? undefined : probes[result.against];
    const cells = [result.row, amount(result)];
    if (result.fault !== undefined) return [...cells, ...Array<string>(4 + others.length).fill("")];
    const busy = result.serverCpuSeconds === undefined ? "" : (result.serverCpuSeconds / result.seconds).toFixed(2);
    cells.push(`${ms(result.p50Ms)} / ${ms(result.p99Ms)}`, `${busy} / ${result.generatorCpu.toFixed(2)}`);
    cells.push(probe === undefined ? "" : `${(result.value / probe).toFixed(2)} × ${result.against}`);
    for (const { results } of others) {
      const theirs = results.find(({ row }) => row === result.row);
      if (theirs === undefined) cells.push("");
      else cells.push(theirs.fault === undefined ? `${times(result.value, theirs.value)} (${amount(theirs)})` : "void");
    }
    return cells;
  });
  const servers = contests.map(({ name, version, durability, workers, startsMs, memory }) => [
    `${name} ${version}`,
    durability,
    workers,
    startsMs.length === 0 ? "" : `${ms(startsMs[Math.floor(startsMs.length / 2)] as number)} ms`,
    memory === undefined ? "" : `${memory.idleMiB.toFixed(0)} / ${memory.peakMiB.toFixed(0)} MiB`,
  ]);
  const figures = Object.entries(probes).map(([name, value]) => [name, round(value)]);
  const voids = contests.flatMap(({ name, results }) =>
    results.flatMap(({ row, fault }) =>
      fault === undefined ? [] : [`- ${name}, ${row}: ${fault.split("\r\n", 1)[0]}\n`],
    ),
  );
  return [
    `\n\`${command}\`, ${seconds} s a row, on ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${fileSystem}, ${system}, Node ${node}; load average before: ${loadAverage}\n\n`,
    table(["server", "durability", "workers", "start", "memory idle / peak"], servers),
    "\n",
    table(["probe", "figure"], figures),
    "\n",
    table(
      [
        "row",
        ours.name,
        "p50 / p99 ms",
        "cores: server / generator",
        "of the probe",
        ...others.map(({ name }) => `against ${name}`),
      ],
      rows,
    ),
    voids.length === 0 ? "" : `\nVoid:\n${voids.join("")}`,
    "\n",
  ].join("");
}

/** Writes the report beside its elders, and gives the path. */
export function save(report: Report, machineHash: string): string {
  const folder = fileURLToPath(new URL("results/", import.meta.url));
  mkdirSync(folder, { recursive: true });
  const path = `${folder}${report.date}-${machineHash}.json`;
  writeFileSync(
    path,
    `${JSON.stringify(report, (_, value: unknown) => (typeof value === "number" ? Number(value.toPrecision(6)) : value), 1)}\n`,
  );
  return path;
}
