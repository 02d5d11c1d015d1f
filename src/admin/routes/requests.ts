/** Requests and what became of them. */

import * as z from "zod";
import { explanation } from "../../diagnose/explain.ts";
import { asCurl, asNodeCall } from "../../diagnose/export.ts";
import type { DecisionRecord } from "../../diagnose/record.ts";
import { CATALOGUE } from "../../errors/catalogue.ts";
import { AdminRefusal, adminRoute } from "../route.ts";

const AREA = "requests";
const MOST = 1_000;

const RECORD = z.looseObject({ requestId: z.string(), status: z.number() });

const FILTER = z.strictObject({
  limit: z.coerce.number().int().min(1).max(MOST).default(100),
  status: z.coerce.number().int().optional().describe("of the answer"),
  error: z.string().optional().describe("id of a row of the catalogue"),
  code: z.string().optional().describe("of the refusal, as a client sees it; several rows may share one"),
  bucket: z.string().optional(),
  operation: z.string().optional(),
  since: z.iso
    .datetime({ offset: true })
    .transform((text) => Date.parse(text))
    .optional()
    .describe("arrived at this time or later"),
});

function fits(
  record: DecisionRecord,
  { status, error, code, bucket, operation, since }: z.output<typeof FILTER>,
): boolean {
  return (
    (status === undefined || record.status === status) &&
    (error === undefined || record.errorId === error) &&
    (code === undefined || (record.errorId !== undefined && CATALOGUE[record.errorId].code === code)) &&
    (bucket === undefined || record.bucket === bucket) &&
    (operation === undefined || record.operation === operation) &&
    (since === undefined || record.at >= since)
  );
}

export const REQUEST_ROUTES = [
  adminRoute({
    method: "GET",
    path: "/v1/requests",
    name: "listRequests",
    about: "Lists the requests answered last, the newest first.",
    area: AREA,
    query: FILTER,
    answer: z.object({ requests: z.array(RECORD) }),
    async handle({ server }, { query }) {
      const recent = await server.requests.recent(Number.POSITIVE_INFINITY);
      const requests = recent.filter((record) => fits(record, query)).slice(0, query.limit);
      return { requests: requests.map((record) => ({ ...record })) };
    },
  }),
  adminRoute({
    method: "GET",
    path: "/v1/requests/stream",
    name: "streamRequests",
    about: "Tells each request when it is answered, as server-sent events.",
    area: AREA,
    answer: "text/event-stream",
    handle: async ({ server }) => ({
      contentType: "text/event-stream",
      text(tell: (piece: string) => void, ended: AbortSignal) {
        tell(": requests from here on\n\n");
        const end = server.requests.watch((record) => tell(`data: ${JSON.stringify(record)}\n\n`));
        ended.addEventListener("abort", end, { once: true });
      },
    }),
  }),
  adminRoute({
    method: "GET",
    path: "/v1/requests/{id}",
    name: "getRequest",
    about: "Finds a request by its RequestId, or by the TraceId of its refusal, and explains what became of it.",
    area: AREA,
    answer: z.object({
      record: RECORD,
      explanation: z.string(),
      curl: z.string().describe("the same request as a command"),
      node: z.string().optional().describe("the same request as a call of the Node.js SDK"),
    }),
    async handle({ server, namespaces }, { path }) {
      const id = path["id"] ?? "";
      let record = await server.requests.find(id);
      // Whoever has only an id does not know which namespace it is of.
      for (const one of namespaces?.list() ?? []) record ??= await one.control.requests.find(id);
      if (record === undefined) throw new AdminRefusal(404, "NoSuchRequest", "no request with this id is kept");
      const node = asNodeCall(record, server.region);
      return {
        record: { ...record },
        explanation: explanation(record),
        curl: asCurl(record, server.endpoint()),
        ...(node === undefined ? {} : { node }),
      };
    },
  }),
];
