/** Counters in the text form that Prometheus reads (version 0.0.4 of its exposition formats). */

import type { ProcessFigures } from "../control/server-control.ts";
import { CATALOGUE } from "../errors/catalogue.ts";
import { SECONDS_MAX, type TallyTold } from "../diagnose/tally.ts";
import { COMMIT_GROUPS, type CommitFigures } from "../ports/metadata.ts";
import type { UsageTold } from "../store/usage.ts";

type Labels = Readonly<Record<string, string | number>>;

function labelled(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    const escaped = String(value).replace(/[\\"\n]/g, (one) => (one === "\n" ? "\\n" : `\\${one}`));
    return `${name}="${escaped}"`;
  });
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function family(
  name: string,
  type: "counter" | "gauge" | "histogram",
  help: string,
  samples: readonly (readonly [suffix: string, labels: Labels, value: number])[],
): string[] {
  if (samples.length === 0) return [];
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...samples.map(([suffix, labels, value]) => `${name}${suffix}${labelled(labels)} ${value}`),
  ];
}

function sum(all: readonly (number | undefined)[]): number {
  return all.reduce<number>((whole, one) => whole + (one ?? 0), 0);
}

/** Requests, connections and writes that wait. */
function queues(figures: readonly ProcessFigures[]): string[] {
  const edges = figures.flatMap(({ edge }) => edge ?? []);
  const commits = figures.flatMap(({ store }) => store.commits ?? []);
  return [
    ...family(
      "cosbox_requests_under_way",
      "gauge",
      "Requests whose answers are not out yet.",
      edges.length === 0 ? [] : [["", {}, sum(edges.map(({ requests }) => requests))]],
    ),
    ...family(
      "cosbox_connections",
      "gauge",
      "Open connections.",
      edges.length === 0 ? [] : [["", {}, sum(edges.map(({ connections }) => connections))]],
    ),
    ...family("cosbox_queue_depth", "gauge", "Writes that wait: for others of the same rows, or to be on the disk.", [
      ["", { queue: "rows" }, sum(figures.map(({ store }) => store.waitingForRows))],
      ...(commits.length === 0
        ? []
        : [["", { queue: "commit" }, sum(commits.map(({ underWay }) => underWay))] as const]),
    ]),
    ...commitGroups(commits),
  ];
}

function commitGroups(commits: readonly CommitFigures[]): string[] {
  if (commits.length === 0) return [];
  let upTo = 0;
  const buckets = Array.from({ length: COMMIT_GROUPS }, (_, place) => {
    upTo += sum(commits.map(({ groups }) => groups[place]));
    return ["_bucket", { le: 2 ** place }, upTo] as const;
  });
  return family("cosbox_commit_group_size", "histogram", "Writes that became durable together.", [
    ...buckets,
    ["_bucket", { le: "+Inf" }, upTo],
    ["_sum", {}, sum(commits.map((one) => one.commits))],
    ["_count", {}, upTo],
  ]);
}

/** What buckets hold; the name of all others together is none that a bucket can have. */
function storage({ buckets, countedMs, tookMs }: UsageTold): string[] {
  const samples = (of: "objects" | "bytes") =>
    buckets.flatMap(({ bucket = "(others)", current, older }) => [
      ["", { bucket, versions: "current" }, current[of]] as const,
      ["", { bucket, versions: "older" }, older[of]] as const,
    ]);
  return [
    ...family(
      "cosbox_bucket_objects",
      "gauge",
      "Objects of a bucket, when they were counted last.",
      samples("objects"),
    ),
    ...family(
      "cosbox_bucket_bytes",
      "gauge",
      "Bytes of a bucket's objects, when they were counted last.",
      samples("bytes"),
    ),
    ...family("cosbox_storage_counted_timestamp_seconds", "gauge", "When what buckets hold was counted last.", [
      ["", {}, countedMs / 1000],
    ]),
    ...family("cosbox_storage_count_seconds", "gauge", "How long that took, pauses included.", [
      ["", {}, tookMs / 1000],
    ]),
  ];
}

/** The text, ending in a newline. Counters are of all processes, and start from nothing with them. */
export function metricsText(
  { ends, operations }: TallyTold,
  figures: readonly ProcessFigures[],
  usage: UsageTold | undefined,
): string {
  const lines = [
    ...family(
      "cosbox_requests_total",
      "counter",
      "Requests answered.",
      ends.map(({ operation, dialect, status, error, count }) => {
        const code = error === undefined ? "" : CATALOGUE[error].code;
        return ["", { operation, dialect, status, code }, count] as const;
      }),
    ),
    ...family(
      "cosbox_request_duration_seconds",
      "histogram",
      "From the request's head to its answer's.",
      operations.flatMap(({ operation, count, seconds, steps }) => {
        let upTo = 0;
        const buckets = SECONDS_MAX.map((le, at) => {
          upTo += steps[at] ?? 0;
          return ["_bucket", { operation, le }, upTo] as const;
        });
        return [
          ...buckets,
          ["_bucket", { operation, le: "+Inf" }, count] as const,
          ["_sum", { operation }, seconds] as const,
          ["_count", { operation }, count] as const,
        ];
      }),
    ),
    ...family(
      "cosbox_request_bytes_total",
      "counter",
      "Announced bytes of request bodies.",
      operations.map(({ operation, bytesIn }) => ["", { operation }, bytesIn] as const),
    ),
    ...family(
      "cosbox_answer_bytes_total",
      "counter",
      "Bytes of answers' bodies.",
      operations.map(({ operation, bytesOut }) => ["", { operation }, bytesOut] as const),
    ),
    ...family("cosbox_processes", "gauge", "Processes that serve.", [["", {}, figures.length]]),
    ...family("cosbox_resident_memory_bytes", "gauge", "Memory of the processes that serve.", [
      ["", {}, figures.reduce((sum, one) => sum + one.residentBytes, 0)],
    ]),
    ...family("cosbox_cpu_seconds_total", "counter", "Processor time of the processes that serve.", [
      ["", {}, figures.reduce((sum, one) => sum + one.cpuSeconds, 0)],
    ]),
    ...family("cosbox_uptime_seconds", "gauge", "Age of the oldest process that serves.", [
      ["", {}, Math.max(0, ...figures.map((one) => one.uptimeSeconds))],
    ]),
    ...queues(figures),
    ...(usage === undefined ? [] : storage(usage)),
  ];
  return `${lines.join("\n")}\n`;
}
