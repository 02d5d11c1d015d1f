/** What the server holds. */

import { z } from "zod";
import { adminRoute } from "../route.ts";

export const STATE_ROUTES = [
  adminRoute({
    method: "POST",
    path: "/v1/reset",
    name: "reset",
    about:
      "Removes every bucket with all that is in it, every fault and every state, sets the clock to the machine's time, and makes the accounts those of the settings again.",
    area: "state",
    developmentOnly: true,
    body: z.strictObject({}),
    answer: z.object({}),
    async handle({ server }) {
      await server.reset();
      return {};
    },
  }),
];
