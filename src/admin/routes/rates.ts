/** Limits on how often requests may come. */

import * as z from "zod";
import { RATES } from "../../config/rates.ts";
import type { RateRequest } from "../../rates/rate-limit.ts";
import { adminRoute } from "../route.ts";

const AREA = "rates";

const IN_FORCE = z.object({
  rates: z.array(z.looseObject({ per: z.string(), perSecond: z.number() })),
  changed: z.boolean().describe("whether they stand in place of those of the settings"),
});

const written = ({
  rates,
  changed,
}: {
  rates: readonly RateRequest[];
  changed: boolean;
}): z.input<typeof IN_FORCE> => ({
  rates: rates.map((rate) => ({ ...rate })),
  changed,
});

export const RATE_ROUTES = [
  adminRoute({
    method: "GET",
    path: "/v1/rates",
    name: "getRates",
    about: "Tells the limits on how often requests may come.",
    area: AREA,
    answer: IN_FORCE,
    handle: async ({ server }) => written(server.rates.list()),
  }),
  adminRoute({
    method: "PUT",
    path: "/v1/rates",
    name: "setRates",
    about:
      "Puts limits in place of all others, those of the settings among them; they hold in every process when this is answered.",
    area: AREA,
    body: z.strictObject({ rates: RATES }),
    outOfRange: [400, "NoSuchOperation"],
    answer: IN_FORCE,
    async handle({ server }, { body }) {
      await server.rates.set(body.rates);
      return written(server.rates.list());
    },
  }),
  adminRoute({
    method: "DELETE",
    path: "/v1/rates",
    name: "resetRates",
    about: "Lets the limits of the settings hold again.",
    area: AREA,
    answer: IN_FORCE,
    async handle({ server }) {
      await server.rates.set(undefined);
      return written(server.rates.list());
    },
  }),
];
