/** Counters: for Prometheus, and for tests that want to know which errors they never met. */

import * as z from "zod";
import { TABLE } from "../../operations/table.ts";
import { coverageOf } from "../../diagnose/coverage.ts";
import { metricsText } from "../metrics-text.ts";
import { adminRoute } from "../route.ts";

const COVERAGE = z.object({
  operations: z.array(
    z.object({
      operation: z.string(),
      requests: z.number(),
      met: z.array(z.string()).describe("ids of errors it answered with"),
      unmet: z.array(z.string()).describe("ids of errors it can answer with, and did not"),
    }),
  ),
  possible: z.number(),
  met: z.number(),
});

export const OBSERVE_ROUTES = [
  adminRoute({
    method: "GET",
    path: "/metrics",
    name: "getMetrics",
    about:
      "Counters of requests by operation and code, latencies, bytes, memory, queues, commits and what buckets hold, as Prometheus reads them.",
    area: "health",
    answer: "text/plain; version=0.0.4; charset=utf-8",
    async handle({ server }) {
      const { tally, processes } = await server.counters();
      const text = metricsText(tally, processes, await server.usage());
      return { contentType: "text/plain; version=0.0.4; charset=utf-8", text };
    },
  }),
  adminRoute({
    method: "GET",
    path: "/v1/coverage",
    name: "getCoverage",
    about: "Tells which errors were met since the start or the last reset, of those that the operations used can give.",
    area: "errors",
    answer: COVERAGE,
    async handle({ server }) {
      const { operations, ...sums } = coverageOf(TABLE, (await server.counters()).tally);
      return {
        ...sums,
        operations: operations.map(({ met, unmet, ...rest }) => ({ ...rest, met: [...met], unmet: [...unmet] })),
      };
    },
  }),
];
