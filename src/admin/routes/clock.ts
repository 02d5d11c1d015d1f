/** The virtual clock. */

import * as z from "zod";
import { adminRoute } from "../route.ts";
import { durationMs } from "../../control/duration.ts";
import type { ClockState } from "../../control/clock-control.ts";

const AREA = "clock";

const STATE = z.object({
  mode: z.enum(["real", "offset", "frozen"]),
  now: z.iso.datetime().describe("virtual time"),
  real: z.iso.datetime().describe("time of the machine"),
  offsetMs: z.number().describe("how far virtual time is ahead, ms"),
});

const at = z.iso
  .datetime({ offset: true })
  .transform((text) => Date.parse(text))
  .describe("a time such as 2030-01-01T00:00:00Z");

const by = z
  .string()
  .transform((text, context) => {
    const ms = durationMs(text);
    if (ms !== undefined) return ms;
    context.addIssue("expected a duration such as 90s, 15m, 12h, 30d or 1y");
    return z.NEVER;
  })
  .describe("a duration such as 90s, 15m, 12h, 30d or 1y");

const MODE = z.union([
  z.strictObject({ mode: z.literal("real") }),
  z.strictObject({ mode: z.literal("offset"), offsetMs: z.number() }),
  z.strictObject({ mode: z.literal("frozen"), at: at.optional() }),
  z.strictObject({ mode: z.literal("offset"), at }),
]);

const written = ({ mode, nowMs, realMs, offsetMs }: ClockState): z.input<typeof STATE> => ({
  mode,
  now: new Date(nowMs).toISOString(),
  real: new Date(realMs).toISOString(),
  offsetMs,
});

const OUT_OF_RANGE = [400, "InvalidTime"] as const;

export const CLOCK_ROUTES = [
  adminRoute({
    method: "GET",
    path: "/v1/clock",
    name: "getClock",
    about: "Tells virtual time and the machine's.",
    area: AREA,
    answer: STATE,
    handle: async ({ server }) => written(server.clock.state()),
  }),
  adminRoute({
    method: "PUT",
    path: "/v1/clock",
    name: "setClock",
    about: "Sets the clock to the machine's time, to another time that goes on, or to one that stands still.",
    area: AREA,
    developmentOnly: true,
    body: MODE,
    answer: STATE,
    outOfRange: OUT_OF_RANGE,
    async handle({ server: { clock } }, { body }) {
      if (body.mode === "real") return written(await clock.set({ mode: "real" }));
      if (body.mode === "frozen") {
        return written(await clock.set({ mode: "frozen", atMs: body.at ?? clock.state().nowMs }));
      }
      const offsetMs = "at" in body ? body.at - clock.state().realMs : body.offsetMs;
      return written(await clock.set({ mode: "offset", offsetMs }));
    },
  }),
  adminRoute({
    method: "POST",
    path: "/v1/clock/advance",
    name: "advanceClock",
    about: "Moves virtual time on; what falls due on the way is done before the answer.",
    area: AREA,
    developmentOnly: true,
    body: z.strictObject({ by }),
    answer: STATE,
    outOfRange: OUT_OF_RANGE,
    handle: async ({ server }, { body }) => written(await server.clock.advance(body.by)),
  }),
];
