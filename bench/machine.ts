/** What is known of the machine and of running processes; most of it from /proc, and absent elsewhere. */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statfsSync } from "node:fs";
import { arch, cpus, hostname, platform, release, totalmem } from "node:os";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  readonly fileSystem: string;
  /** Processes that wanted to run in the last minute when the benchmark began; more than a few tenths is noise. */
  readonly loadAverage: string;
}

const FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0xef53, "ext4"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x01021994, "tmpfs"],
  [0x794c7630, "overlayfs"],
  [0x2fc12fc1, "zfs"],
]);

export function fileSystemOf(folder: string): string {
  const { type } = statfsSync(folder);
  return FILE_SYSTEMS.get(type) ?? `0x${type.toString(16)}`;
}

export function machine(folder: string): Machine {
  const [first] = cpus();
  return {
    cpu: first?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${arch()} ${release()}`,
    node: process.version,
    fileSystem: fileSystemOf(folder),
    loadAverage: text("/proc/loadavg")?.split(" ", 1)[0] ?? "unknown",
  };
}

/** Eight digits that tell two machines apart and name neither. */
export function machineHash(): string {
  return createHash("sha256")
    .update(`${hostname()}/${text("/etc/machine-id") ?? ""}`)
    .digest("hex")
    .slice(0, 8);
}

/** What a process and its descendants use. */
export interface Usage {
  /** Seconds of processor time since they started. */
  readonly cpuSeconds: number;
  readonly residentMiB: number;
  /** The most that was ever resident, added up. */
  readonly peakMiB: number;
}

/** Undefined where there is no /proc. */
export function usageOf(pid: number): Usage | undefined {
  if (text(`/proc/${pid}/stat`) === undefined) return undefined;
  let cpuSeconds = 0;
  let residentMiB = 0;
  let peakMiB = 0;
  for (const member of family(pid)) {
    const stat = text(`/proc/${member}/stat`);
    const status = text(`/proc/${member}/status`) ?? "";
    // The name in parentheses may hold blanks; user and system time are the 12th and 13th field after it, in ticks.
    const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ") ?? [];
    cpuSeconds += (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100;
    residentMiB += kibibytes(status, "VmRSS") / 1024;
    peakMiB += kibibytes(status, "VmHWM") / 1024;
  }
  return { cpuSeconds, residentMiB, peakMiB };
}

function family(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = text(`/proc/${name}/stat`);
    if (stat !== undefined) parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(")") + 4).split(" ", 1)[0]));
  }
  const members = [pid];
  for (const member of members) {
    for (const [child, parent] of parents) if (parent === member) members.push(child);
  }
  return members;
}

function kibibytes(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
}

function text(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
