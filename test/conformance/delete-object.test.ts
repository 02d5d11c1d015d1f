import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { STRANGER } from "../fixtures/accounts.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type Sent, type TestServer, testServer } from "../fixtures/server.ts";

describe("DeleteObject", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER] });
  });
  afterAll(() => server.stop());

  const put = (path: string, more: Sent = {}) => server.send({ method: "PUT", path, body: "x", ...more });
  const remove = (path: string, more: Sent = {}) => server.send({ method: "DELETE", path, ...more });

  it("answers 204 without a body, and the object is gone from reads and lists", async () => {
    await put("/gone");
    const answer = await remove("/gone");
    assert.equal(answer.status, 204);
    assert.equal(answer.reason, "No Content");
    assert.equal(answer.body.length, 0);
    assert.equal(answer.headers["content-length"], undefined);
    assert.equal(answer.headers["x-cos-delete-marker"], undefined);
    assertRefused(await server.send({ path: "/gone" }), "NoSuchKey");
    assert.ok(!(await server.send({})).elements("Key").includes("gone"));
  });

  it("answers 204 for a key that holds nothing, also one that none can hold", async () => {
    for (const path of ["/never", "//never", "/a\u0018"]) assert.equal((await remove(path)).status, 204, path);
    await put("/twice");
    assert.equal((await remove("/twice")).status, 204);
    assert.equal((await remove("/twice")).status, 204);
  });

  it("deletes exactly the key that is named", async () => {
    for (const path of ["/dir/", "/dir/a", "/dir/ab"]) await put(path);
    await remove("/dir/a");
    assert.deepEqual((await server.send({ query: { prefix: "dir/" } })).elements("Key"), ["dir/", "dir/ab"]);
    await remove("/dir/");
    assert.deepEqual((await server.send({ query: { prefix: "dir/" } })).elements("Key"), ["dir/ab"]);
  });

  it("NoSuchBucket: a bucket that is not there", async () => {
    assertRefused(await remove("/k", { bucket: "nobody-1250000000" }), "NoSuchBucket");
  });

  it("AccessDenied: strangers and anonymous callers", async () => {
    await put("/kept");
    assertRefused(await remove("/kept", { sign: STRANGER }), "AccessDenied");
    assertRefused(await remove("/kept", { sign: false }), "AccessDenied");
    assert.equal((await server.send({ path: "/kept" })).text, "x");
  });

  it("lets everyone delete where everyone may write", async () => {
    const bucket = "open-1250000000";
    await server.send({ method: "PUT", bucket, headers: { "x-cos-acl": "public-read-write" } });
    await put("/shared", { bucket });
    assert.equal((await remove("/shared", { bucket, sign: false })).status, 204);
    assertRefused(await server.send({ bucket, path: "/shared" }), "NoSuchKey");
  });

  it("KeyTooLong: 851 bytes", async () => {
    assertRefused(await remove(`/${"k".repeat(851)}`), "KeyTooLong");
  });

  it("UnexpectedContent: a body", async () => {
    await put("/body");
    assertRefused(await remove("/body", { body: "x" }), "UnexpectedContent");
    assert.equal((await server.send({ path: "/body" })).text, "x");
  });

  it("NotImplemented: a recursive deletion", async () => {
    await put("/kept");
    assertRefused(await remove("/kept", { query: { recursive: "x" } }), "NotImplemented", {
      message: "The parameter recursive belongs to a feature that is not implemented yet.",
    });
    assert.equal((await server.send({ path: "/kept" })).text, "x");
  });
});
