/** The catalogue of errors. */

import * as z from "zod";
import { CATALOGUE, type ErrorId } from "../../errors/catalogue.ts";
import { adminRoute } from "../route.ts";

const ROW = z.object({
  id: z.string().describe("unique, unlike the code"),
  code: z.string(),
  status: z.number(),
  message: z.string(),
  feature: z.string(),
  raisedWhen: z.string(),
});

export const ERROR_ROUTES = [
  adminRoute({
    method: "GET",
    path: "/v1/errors",
    name: "listErrors",
    about: "Lists the catalogue of errors.",
    area: "errors",
    answer: z.object({ errors: z.array(ROW) }),
    handle: async () => ({
      errors: Object.entries(CATALOGUE).map(([id, { code, status, message, feature, raisedWhen }]) => ({
        id: id as ErrorId,
        code,
        status,
        message,
        feature,
        raisedWhen,
      })),
    }),
  }),
];
