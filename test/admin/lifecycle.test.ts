/** The lifecycle of a running server, whose clock is advanced. */

import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { adminClient } from "../../src/admin/client.ts";
import { ask } from "../fixtures/admin.ts";
import { type TestServer, testServer } from "../fixtures/server.ts";

const RULES =
  "<LifecycleConfiguration><Rule><Filter/><Status>Enabled</Status>" +
  "<Transition><Days>30</Days><StorageClass>ARCHIVE</StorageClass></Transition>" +
  "<Expiration><Days>200</Days></Expiration></Rule></LifecycleConfiguration>";

describe("the admin listener on work in the background", () => {
  it("tells when it is due and what it did, and does what is due", async () => {
    const server = await testServer({ admin: "127.0.0.1:0" });
    try {
      const call = async (method: string, path: string) => await ask(server.cosbox.admin as string, method, path);
      await server.send({ method: "PUT", path: "/k", body: "x" });
      // Without rules there is nothing to wait for.
      const none = (await call("POST", "/v1/workers/lifecycle/run")).body;
      assert.equal(none["due"], null);
      await server.send({ method: "PUT", query: { lifecycle: undefined }, body: RULES });
      await server.cosbox.clock.advance("202d");
      const { workers } = (await call("GET", "/v1/workers")).body as {
        workers: { name: string; due: string; statistics: Record<string, number> }[];
      };
      assert.deepEqual(
        workers.map(({ name }) => name),
        ["lifecycle"],
      );
      assert.match(workers[0]?.due ?? "", /T16:00:00\.000Z$/);
      assert.ok(Date.parse(workers[0]?.due ?? "") > server.cosbox.clock.now().getTime());
      assert.ok("expired" in (workers[0]?.statistics ?? {}));
      assert.equal((await server.send({ method: "HEAD", path: "/k" })).status, 404);
      assert.equal((await call("POST", "/v1/workers/none/run")).status, 404);
      // The same in the library, and in the client.
      const [work] = await server.cosbox.work();
      assert.equal(work?.due?.toISOString(), workers[0]?.due);
      assert.equal((await server.cosbox.runWork("lifecycle")).name, "lifecycle");
      await assert.rejects(server.cosbox.runWork("none"), /work: expected lifecycle, found "none"/);
      const admin = adminClient({ endpoint: server.cosbox.admin as string });
      assert.deepEqual(await admin.workers(), workers);
      assert.deepEqual(await admin.runWorker("lifecycle"), workers[0]);
    } finally {
      await server.stop();
    }
  });
});

describe("advancing the clock", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer();
  });
  afterAll(() => server.stop());

  it("does what the rules of a lifecycle want on the way, each at its midnight", async () => {
    const body = Buffer.alloc(64 * 1024);
    await server.send({ method: "PUT", query: { lifecycle: undefined }, body: RULES });
    await server.send({ method: "PUT", path: "/k", body });
    const versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    await server.send({ method: "PUT", query: { versioning: undefined }, body: versioning });
    const classOf = async () => (await server.send({ method: "HEAD", path: "/k" })).headers["x-cos-storage-class"];
    assert.equal(await classOf(), undefined);
    await server.cosbox.clock.advance("32d");
    assert.equal(await classOf(), "ARCHIVE");
    const now = server.cosbox.clock.now().getTime();
    await server.cosbox.clock.advance("365d");
    const { text } = await server.send({ query: { versions: undefined } });
    const [, marked] = /<DeleteMarker>.*?<LastModified>([^<]*)</.exec(text) ?? [];
    // Between 200 and 201 days after it was stored, at a midnight of GMT+8.
    const days = (Date.parse(marked ?? "") - now) / (24 * 60 * 60 * 1000);
    assert.ok(days > 168 - 1 && days < 170, `${days}`);
    assert.match(marked ?? "", /T16:00:00/);
  });
});
