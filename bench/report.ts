/** The figures of a run, as a table of ratios for people and as JSON to keep. */

import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Measured } from "./load.ts";
import type { Machine } from "./machine.ts";
import type { ProbeName } from "./rows.ts";

export interface Result extends Measured {
  readonly row: string;
  readonly unit: "/s" | "MB/s";
  /** The row's figure, in its unit: the middle one of `values`, with all that belongs to it. */
  readonly value: number;
  /** The figures of all measurements, in the order they were made. */
  readonly values: readonly number[];
  readonly serverCpuSeconds?: number;
  /** The probe this row is held against, and its figure in the row's unit, measured before and after the row. */
  readonly against?: { readonly probe: ProbeName; readonly value: number };
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

/** Figures of the machine by itself. */
export interface MachineFigures {
  /** Answers per second of a server that reads nothing: what the generator can do at most. */
  readonly generatorCeiling: number;
  /** Share of one processor that the generator used for that. */
  readonly generatorCpu: number;
  /** Overwrites of 4 KiB per second, each followed by fdatasync. */
  readonly syncs: number;
  /** MB/s of MD5 in one stream. */
  readonly md5: number;
}

export interface Report {
  readonly date: string;
  readonly command: string;
  readonly seconds: number;
  readonly times: number;
  readonly machine: Machine;
  readonly figures: MachineFigures;
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

function ratio({ against, value }: Result): string {
  if (against === undefined) return "";
  return `${(value / against.value).toFixed(2)} × ${against.probe} (${round(against.value)})`;
}

function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  return line(head) + line(head.map(() => "---")) + body.map(line).join("");
}

/** The whole report. Ratios above 1 are in favour of the first contender. */
export function markdown({ command, seconds, times: measurements, machine, figures, contests }: Report): string {
  const [ours, ...others] = contests as [Contest, ...Contest[]];
  const { cpu, cores, memoryGiB, system, node, fileSystem, loadAverage } = machine;
  const rows = ours.results.map((result) => {
    const cells = [result.row, amount(result)];
    if (result.fault !== undefined) return [...cells, ...Array<string>(4 + others.length).fill("")];
    const busy = result.serverCpuSeconds === undefined ? "" : (result.serverCpuSeconds / result.seconds).toFixed(2);
    cells.push(`${ms(result.p50Ms)} / ${ms(result.p99Ms)}`, `${busy} / ${result.generatorCpu.toFixed(2)}`);
    cells.push(ratio(result));
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
  const known = Object.entries(figures).map(([name, value]) => [name, round(value as number)]);
  const voids = contests.flatMap(({ name, results }) =>
    results.flatMap(({ row, fault }) =>
      fault === undefined ? [] : [`- ${name}, ${row}: ${fault.split("\r\n", 1)[0]}\n`],
    ),
  );
  return [
    `\n\`${command}\`, ${measurements} × ${seconds} s a row, on ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${fileSystem}, ${system}, Node ${node}; load average before: ${loadAverage}\n\n`,
    table(["server", "durability", "workers", "start", "memory idle / peak"], servers),
    "\n",
    table(["the machine by itself", "figure"], known),
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
