/** Keys of the key management service, over the admin listener. */

import assert from "node:assert/strict";
import { afterAll, beforeAll, it } from "vitest";
import { assertRefused } from "../fixtures/refusal.ts";
import { type TestServer, testServer } from "../fixtures/server.ts";

const KEY_ID = "x-cos-server-side-encryption-cos-kms-key-id";
const DAY_MS = 24 * 60 * 60 * 1000;

interface Told {
  readonly status: number;
  readonly id: string;
  readonly state: string;
  readonly rotations: number;
  readonly deletion?: string;
  readonly keys: readonly { readonly id: string; readonly description: string }[];
  readonly error?: { readonly code: string };
}

let server: TestServer;
beforeAll(async () => {
  server = await testServer({ admin: "127.0.0.1:0" });
});
afterAll(() => server.stop());

async function ask(method: string, path: string, body?: unknown): Promise<Told> {
  const answer = await fetch(`${server.cosbox.admin ?? ""}/v1/kms/keys${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
  });
  return { status: answer.status, ...((await answer.json()) as Omit<Told, "status">) };
}

const put = (path: string, id: string) =>
  server.send({
    method: "PUT",
    path,
    body: "x",
    headers: { "x-cos-server-side-encryption": "cos/kms", [KEY_ID]: id },
  });

it("KmsKeyDisabled, KmsKeyNotExist: a key is made, disabled, rotated, scheduled for deletion, taken back and gone", async () => {
  const made = await ask("POST", "", { description: "mine" });
  assert.deepEqual([made.status, made.state, made.rotations], [200, "enabled", 1]);
  assert.deepEqual(
    (await ask("GET", "")).keys.filter(({ id }) => id === made.id).map(({ description }) => description),
    ["mine"],
  );
  assert.equal((await put("/a", made.id)).status, 200);

  assert.equal((await ask("PUT", `/${made.id}/state`, { state: "disabled" })).state, "disabled");
  assertRefused(await server.send({ path: "/a" }), "KmsKeyDisabled");
  assert.equal((await ask("PUT", `/${made.id}/state`, { state: "enabled" })).state, "enabled");
  assert.equal((await ask("POST", `/${made.id}/rotation`, {})).rotations, 2);
  assert.equal((await server.send({ path: "/a" })).text, "x");

  assert.equal((await ask("PUT", `/${made.id}/deletion`, { days: 7 })).state, "pending-deletion");
  const early = await ask("PUT", `/${made.id}/state`, { state: "enabled" });
  assert.deepEqual([early.status, early.error?.code], [409, "KeyState"]);
  assertRefused(await put("/b", made.id), "KmsKeyDisabled");
  assert.equal((await ask("DELETE", `/${made.id}/deletion`)).state, "disabled");
  await ask("PUT", `/${made.id}/deletion`, {});
  await server.cosbox.clock.advance(7 * DAY_MS + 1);
  assertRefused(await server.send({ path: "/a" }), "KmsKeyNotExist");
  assertRefused(await put("/b", made.id), "KmsKeyNotExist");
  assert.equal((await ask("DELETE", `/${made.id}/deletion`)).status, 404);
});

it("refuses keys that are not there, and days that may not be", async () => {
  for (const [method, path, body] of [
    ["PUT", "/none/state", { state: "disabled" }],
    ["POST", "/none/rotation", {}],
    ["PUT", "/none/deletion", {}],
    ["PUT", "/master/state", { state: "disabled" }],
  ] as const) {
    const refused = await ask(method, path, body);
    assert.deepEqual([refused.status, refused.error?.code], [404, "NoSuchKey"], `${method} ${path}`);
  }
  assert.equal((await ask("PUT", "/none/deletion", { days: 1 })).status, 400);
  assert.equal((await ask("PUT", "/none/state", { state: "lost" })).status, 400);
});

it("rotates the service's own keys, and reads what was encrypted before", async () => {
  const headers = { "x-cos-server-side-encryption": "AES256" };
  assert.equal((await server.send({ method: "PUT", path: "/cos", body: "before", headers })).status, 200);
  assert.equal((await ask("POST", "/service/rotation", {})).rotations, 2);
  assert.equal((await server.send({ path: "/cos" })).text, "before");
  assert.equal((await server.send({ method: "PUT", path: "/cos", body: "after", headers })).status, 200);
  assert.equal((await server.send({ path: "/cos" })).text, "after");
  assert.equal((await ask("PUT", "/service/deletion", {})).status, 409);
  assert.equal((await ask("PUT", "/service/state", { state: "disabled" })).status, 409);
});
