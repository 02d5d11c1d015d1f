/** What the server holds. */

import { z } from "zod";
import { LockedObjects } from "../../control/reset.ts";
import { AdminRefusal, adminRoute } from "../route.ts";

export const STATE_ROUTES = [
  adminRoute({
    method: "POST",
    path: "/v1/reset",
    name: "reset",
    about:
      "Removes every bucket with all that is in it, every fault and every state, sets the clock to the machine's time, and makes the accounts those of the settings again. While something is locked nothing is removed, unless it is forced.",
    area: "state",
    developmentOnly: true,
    body: z.strictObject({ force: z.boolean().optional() }),
    answer: z.object({}),
    async handle({ server }, { body: { force = false } }) {
      try {
        await server.reset({ force });
      } catch (error) {
        if (error instanceof LockedObjects) throw new AdminRefusal(409, "ObjectsLocked", error.message);
        throw error;
      }
      return {};
    },
  }),
];
