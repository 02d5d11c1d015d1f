/** States of accounts, buckets, objects and the server. */

import * as z from "zod";
import { STATE_CHANGE } from "../../states/shape.ts";
import { ACCOUNT_STATES } from "../../states/state.ts";
import { adminRoute } from "../route.ts";

const AREA = "states";

const SET = z.object({
  account: z.string().optional(),
  bucket: z.string().optional(),
  key: z.string().optional(),
  state: z.enum(ACCOUNT_STATES),
  since: z.iso.datetime().describe("virtual time"),
});

export const STATES_ROUTES = [
  adminRoute({
    method: "GET",
    path: "/v1/states",
    name: "listStates",
    about: "Lists the accounts, buckets and objects that are in a state other than active.",
    area: AREA,
    answer: z.object({ states: z.array(SET) }),
    async handle({ server }) {
      const states = await server.states.list();
      return {
        states: states.map(({ sinceMs, ...set }) => ({ ...set, since: new Date(sinceMs).toISOString() })),
      };
    },
  }),
  adminRoute({
    method: "PUT",
    path: "/v1/states",
    name: "setState",
    about:
      "Puts an account, a bucket, an object or the whole server into a state; it holds in every process when this is answered.",
    area: AREA,
    body: STATE_CHANGE,
    outOfRange: [400, "TooManyStates"],
    answer: z.object({}),
    async handle({ server }, { body }) {
      const { state, ...subject } = body;
      await server.states.set(subject, state);
      return {};
    },
  }),
];
