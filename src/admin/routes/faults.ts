/** Errors, delays and cuts on demand. */

import * as z from "zod";
import { FAULT, withoutUndefined } from "../../faults/shape.ts";
import { AdminRefusal, adminRoute } from "../route.ts";

const AREA = "faults";

const COUNTED = z.looseObject({ id: z.string(), met: z.number().describe("requests met, where it is counted") });

export const FAULT_ROUTES = [
  adminRoute({
    method: "GET",
    path: "/v1/faults",
    name: "listFaults",
    about: "Lists the faults in the order in which they are tried.",
    area: AREA,
    answer: z.object({ faults: z.array(COUNTED) }),
    handle: async ({ server }) => ({ faults: (await server.faults.list()).map((fault) => ({ ...fault })) }),
  }),
  adminRoute({
    method: "POST",
    path: "/v1/faults",
    name: "setFault",
    about: "Puts a fault in place of the one with its id; it holds in every process when this is answered.",
    area: AREA,
    developmentOnly: true,
    body: FAULT,
    answer: z.object({ id: z.string() }),
    async handle({ server }, { body }) {
      return { id: await server.faults.set(withoutUndefined(body)) };
    },
  }),
  adminRoute({
    method: "DELETE",
    path: "/v1/faults/{id}",
    name: "removeFault",
    about: "Removes a fault.",
    area: AREA,
    developmentOnly: true,
    answer: z.object({}),
    async handle({ server }, { path }) {
      if (await server.faults.remove(path["id"] ?? "")) return {};
      throw new AdminRefusal(404, "NoSuchFault", "there is no fault with this id");
    },
  }),
  adminRoute({
    method: "DELETE",
    path: "/v1/faults",
    name: "clearFaults",
    about: "Removes every fault.",
    area: AREA,
    developmentOnly: true,
    answer: z.object({}),
    async handle({ server }) {
      await server.faults.clear();
      return {};
    },
  }),
];
