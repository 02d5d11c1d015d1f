/** Counters in the text form that Prometheus reads (version 0.0.4 of its exposition formats). */

import type { ProcessFigures } from "../control/server-control.ts";
import { CATALOGUE } from "../errors/catalogue.ts";
import { SECONDS_MAX, type TallyTold } from "../diagnose/tally.ts";

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

/** The text, ending in a newline. Counters are of all processes, and start from nothing with them. */
export function metricsText({ ends, operations }: TallyTold, figures: readonly ProcessFigures[]): string {
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
  ];
  return `${lines.join("\n")}\n`;
}
