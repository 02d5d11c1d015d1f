/** Whether the server lives, and whether it can do its work. */

import * as z from "zod";
import { adminRoute } from "../route.ts";

const AREA = "health";

export const HEALTH_ROUTES = [
  adminRoute({
    method: "GET",
    path: "/healthz",
    name: "getHealth",
    about: "Answers while the process lives.",
    area: AREA,
    answer: z.object({ alive: z.literal(true) }),
    handle: async () => ({ alive: true as const }),
  }),
  adminRoute({
    method: "GET",
    path: "/readyz",
    name: "getReadiness",
    about:
      "Stores a row and some bytes, and says whether that was possible and requests are taken: 200, or 503 with what is wrong.",
    area: AREA,
    answer: z.object({ ready: z.boolean(), troubles: z.array(z.string()) }),
    async handle({ server }) {
      const { ready, troubles } = await server.readiness();
      return { ready, troubles: [...troubles] };
    },
  }),
];
