/** Whether a server says that it is ready when it is, and only then: with a disk that fails, and while it stops. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it, onTestFinished, vi } from "vitest";
import { ask } from "../fixtures/admin.ts";
import { disk, type Fault, failing } from "../fixtures/faulty-disk.ts";
import { heldUpload } from "../fixtures/held-upload.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type TestServer, testServer } from "../fixtures/server.ts";

vi.mock("node:fs", async (original) => {
  const { withFaults } = await import("../fixtures/faulty-disk.ts");
  return withFaults(await original<typeof import("node:fs")>());
});

afterEach(() => disk.calls.clear());

async function onDisk(): Promise<TestServer> {
  const data = await mkdtemp(join(tmpdir(), "cosbox-ready-"));
  const server = await testServer({ memory: false, data, admin: "127.0.0.1:0" });
  onTestFinished(async () => {
    disk.calls.clear();
    await server.stop();
    await rm(data, { recursive: true, force: true });
  });
  return server;
}

const ready = ({ cosbox }: TestServer) => ask(cosbox.admin as string, "GET", "/readyz");
const put = (server: TestServer) => server.send({ method: "PUT", path: "/a", body: "x".repeat(100_000) });
const READY = { status: 200, body: { ready: true, troubles: [] } };

describe("readiness", () => {
  const passing: readonly (readonly [what: string, fault: Fault, told: RegExp])[] = [
    ["is full", failing("ENOSPC"), /disk is full/],
    ["has no quota left", failing("EDQUOT"), /quota/],
    ["can only be read", failing("EROFS"), /read-only/],
  ];
  for (const [what, fault, told] of passing) {
    it(`says no while the disk ${what}, as uploads are refused, and yes again when that is over`, async () => {
      const server = await onDisk();
      assert.deepEqual(await ready(server), READY);
      for (const call of ["write", "writev"]) disk.calls.set(call, fault);
      assertRefused(await put(server), "ServiceUnavailable");
      const { status, body } = await ready(server);
      assert.deepEqual([status, body["ready"]], [503, false]);
      assert.match(String(body["troubles"]), told);
      assert.equal((await ask(server.cosbox.admin as string, "GET", "/healthz")).status, 200);
      disk.calls.clear();
      assert.equal((await put(server)).status, 200);
      assert.deepEqual(await ready(server), READY);
    });
  }

  it("says no for good after a sync that failed, also when the disk has recovered", async () => {
    const server = await onDisk();
    disk.calls.set("fdatasync", failing("EIO"));
    assertRefused(await put(server), "ServiceUnavailable");
    disk.calls.clear();
    assertRefused(await put(server), "ServiceUnavailable");
    const { status, body } = await ready(server);
    assert.equal(status, 503);
    assert.match(String(body["troubles"]), /start again/);
  });

  it("says no while the server stops and still finishes what is under way", async () => {
    const server = await onDisk();
    const admin = server.cosbox.admin as string;
    const held = await heldUpload(server, "/held");
    assert.equal((await server.send({ method: "HEAD" })).status, 200);
    const stopped = server.cosbox.stop();
    const { status, body } = await ask(admin, "GET", "/readyz");
    assert.deepEqual([status, body["troubles"]], [503, ["the server is stopping"]]);
    // The connection of the request before is still open.
    const late = await server.send({ method: "PUT", path: "/late", body: "x" });
    assert.equal(late.reused, true);
    assertRefused(late, "ServiceUnavailable");
    assert.equal(late.headers["connection"], "close");
    assert.match(await held.finish(), /HTTP\/1\.1 200/);
    await stopped;
  });
});
