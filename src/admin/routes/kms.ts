/** The keys of the local key management service. */

import * as z from "zod";
import type { KeyDescription } from "../../store/key-ring.ts";
import { adminRoute } from "../route.ts";

const AREA = "kms";

const KEY = z.object({
  id: z.string(),
  description: z.string(),
  state: z.enum(["enabled", "disabled", "pending-deletion"]),
  created: z.string().describe("ISO 8601"),
  deletion: z.string().optional().describe("when it will be gone, ISO 8601; absent while no deletion is scheduled"),
  rotations: z.number().describe("materials it has had, the one in use included"),
  isDefault: z.boolean().describe("whether it is used where none is named"),
});

function told({ createdMs, deletionMs, ...key }: KeyDescription): z.input<typeof KEY> {
  const deletion = deletionMs === undefined ? {} : { deletion: new Date(deletionMs).toISOString() };
  return { ...key, created: new Date(createdMs).toISOString(), ...deletion };
}

export const KMS_ROUTES = [
  adminRoute({
    method: "GET",
    path: "/v1/kms/keys",
    name: "listKmsKeys",
    about: "Lists the keys of the key management service in order of id.",
    area: AREA,
    answer: z.object({ keys: z.array(KEY) }),
    handle: async ({ server }) => ({ keys: (await server.keys.list()).map(told) }),
  }),
  adminRoute({
    method: "POST",
    path: "/v1/kms/keys",
    name: "createKmsKey",
    about: "Makes a key, which x-cos-server-side-encryption-cos-kms-key-id then names.",
    area: AREA,
    body: z.strictObject({ description: z.string().max(1_024).optional() }),
    answer: KEY,
    handle: async ({ server }, { body }) => told(await server.keys.create(body.description)),
  }),
  adminRoute({
    method: "PUT",
    path: "/v1/kms/keys/{id}/state",
    name: "setKmsKeyState",
    about: "Enables or disables a key; nothing is encrypted or read under a disabled one.",
    area: AREA,
    body: z.strictObject({ state: z.enum(["enabled", "disabled"]) }),
    answer: KEY,
    handle: async ({ server }, { path: { id = "" }, body: { state } }) =>
      told(await (state === "enabled" ? server.keys.enable(id) : server.keys.disable(id))),
  }),
  adminRoute({
    method: "POST",
    path: "/v1/kms/keys/{id}/rotation",
    name: "rotateKmsKey",
    about:
      "Gives a key a new material; what was encrypted under an older one is still read. The id service names the service's own keys.",
    area: AREA,
    body: z.strictObject({}),
    answer: KEY,
    handle: async ({ server }, { path: { id = "" } }) => told(await server.keys.rotate(id)),
  }),
  adminRoute({
    method: "PUT",
    path: "/v1/kms/keys/{id}/deletion",
    name: "scheduleKmsKeyDeletion",
    about:
      "Takes a key out of use at once, and removes it for good after some days, with everything that is encrypted under it.",
    area: AREA,
    body: z.strictObject({ days: z.int().min(7).max(30).optional() }),
    answer: KEY,
    handle: async ({ server }, { path: { id = "" }, body: { days } }) =>
      told(await server.keys.scheduleDeletion(id, days)),
  }),
  adminRoute({
    method: "DELETE",
    path: "/v1/kms/keys/{id}/deletion",
    name: "cancelKmsKeyDeletion",
    about: "Takes a key back whose deletion was scheduled; it is disabled.",
    area: AREA,
    answer: KEY,
    handle: async ({ server }, { path: { id = "" } }) => told(await server.keys.cancelDeletion(id)),
  }),
];
