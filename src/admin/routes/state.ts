/** What the server holds. */

import * as z from "zod";
import type { SnapshotTold } from "../../control/snapshots.ts";
import { SettingsError } from "../../config/settings.ts";
import type { SeedDocument } from "../../config/seed.ts";
import { dotted } from "../../config/told.ts";
import { AdminRefusal, adminRoute } from "../route.ts";

const NAME = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, "1 to 64 letters, digits, dots, dashes and underscores");
const FORCE = z.strictObject({ force: z.boolean().optional() });

const SNAPSHOT = z.object({
  name: z.string(),
  taken: z.iso.datetime().describe("virtual time"),
  bytes: z.number().describe("of everything in it; it takes less, since what has not changed is there once"),
});

const told = ({ name, takenMs, bytes }: SnapshotTold) => ({ name, taken: new Date(takenMs).toISOString(), bytes });

export const STATE_ROUTES = [
  adminRoute({
    method: "POST",
    path: "/v1/reset",
    name: "reset",
    about:
      "Removes every bucket with all that is in it, every fault and every state, sets the clock to the machine's time, and makes the accounts those of the settings again. While something is locked nothing is removed, unless it is forced.",
    area: "state",
    developmentOnly: true,
    body: FORCE,
    answer: z.object({}),
    async handle({ server }, { body: { force = false } }) {
      await server.reset({ force });
      return {};
    },
  }),
  adminRoute({
    method: "POST",
    path: "/v1/seed",
    name: "seed",
    about:
      "Fills the server with accounts, buckets and objects, beside what is there. Bodies come as text, Base64 or JSON: neither a file of the server's nor another server is read for a request. What is refused ends it; what was done before stays.",
    area: "state",
    developmentOnly: true,
    body: async () => (await import("../../config/seed-shape.ts")).SEED_SENT,
    answer: z.object({ buckets: z.int(), objects: z.int(), bytes: z.int() }),
    async handle({ server }, { body }) {
      const place = (where: readonly PropertyKey[]) => (where.length === 0 ? "body" : `body.${dotted(where)}`);
      try {
        return { ...(await server.seed({ document: body as SeedDocument, place })) };
      } catch (error) {
        throw error instanceof SettingsError ? new AdminRefusal(400, "SeedRefused", error.message) : error;
      }
    },
  }),
  adminRoute({
    method: "GET",
    path: "/v1/snapshots",
    name: "listSnapshots",
    about: "Lists the snapshots, the oldest first.",
    area: "state",
    developmentOnly: true,
    answer: z.object({ snapshots: z.array(SNAPSHOT) }),
    handle: async ({ server }) => ({ snapshots: server.snapshots.list().map(told) }),
  }),
  adminRoute({
    method: "POST",
    path: "/v1/snapshots",
    name: "takeSnapshot",
    about:
      "Takes a snapshot of a server in memory: of buckets with all that is in them, accounts, keys, faults, states, rates, and of what the clock shows. One of the same name gives way.",
    area: "state",
    developmentOnly: true,
    body: z.strictObject({ name: NAME.optional() }),
    answer: SNAPSHOT,
    handle: async ({ server }, { body: { name } }) => told(await server.snapshots.take(name)),
  }),
  adminRoute({
    method: "POST",
    path: "/v1/snapshots/{name}/restore",
    name: "restoreSnapshot",
    about:
      "Puts everything back as it was when the snapshot was taken. While something is locked that would go nothing changes, unless it is forced.",
    area: "state",
    developmentOnly: true,
    body: FORCE,
    answer: z.object({}),
    async handle({ server }, { path: { name = "" }, body: { force = false } }) {
      await server.snapshots.restore(name, force);
      return {};
    },
  }),
  adminRoute({
    method: "DELETE",
    path: "/v1/snapshots/{name}",
    name: "removeSnapshot",
    about: "Removes a snapshot.",
    area: "state",
    developmentOnly: true,
    answer: z.object({}),
    async handle({ server }, { path: { name = "" } }) {
      server.snapshots.remove(name);
      return {};
    },
  }),
];
