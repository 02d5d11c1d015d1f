/** Work in the background that goes by virtual time. */

import * as z from "zod";
import type { DueWork } from "../../control/clock-control.ts";
import { AdminRefusal, adminRoute } from "../route.ts";

const AREA = "workers";

const WORKER = z.object({
  name: z.string().describe("such as lifecycle"),
  due: z.iso.datetime().nullable().describe("virtual time of what is due next; null where nothing waits"),
  statistics: z.record(z.string(), z.number()).describe("counts of the last run, or of the one under way; times in ms"),
});

async function told(work: DueWork): Promise<z.input<typeof WORKER>> {
  const due = await work.nextDue();
  const waits = due !== undefined && Number.isFinite(due);
  return { name: work.name, due: waits ? new Date(due).toISOString() : null, statistics: await work.statistics() };
}

export const WORKER_ROUTES = [
  adminRoute({
    method: "GET",
    path: "/v1/workers",
    name: "listWorkers",
    about: "Tells what is done in the background, when it is due next and what it did last.",
    area: AREA,
    answer: z.object({ workers: z.array(WORKER) }),
    handle: async ({ server }) => ({ workers: await Promise.all(server.work.map(told)) }),
  }),
  adminRoute({
    method: "POST",
    path: "/v1/workers/{name}/run",
    name: "runWorker",
    about: "Does what is due at present, and tells what was done; the answer waits for it.",
    area: AREA,
    answer: WORKER,
    async handle({ server }, { path }) {
      const work = server.work.find(({ name }) => name === path["name"]);
      if (work === undefined) throw new AdminRefusal(404, "NoSuchWorker", "there is no work of this name");
      await work.runDue();
      return await told(work);
    },
  }),
];
