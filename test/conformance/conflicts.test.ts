/** Uploads of one key that meet, and more requests than there is room for. */

import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { heldUpload } from "../fixtures/held-upload.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type TestServer, testServer } from "../fixtures/server.ts";

async function withServer(limits: object, work: (server: TestServer) => Promise<void>): Promise<void> {
  const server = await testServer({ limits });
  try {
    await work(server);
  } finally {
    await server.stop();
  }
}

const put = (server: TestServer, path: string) => server.send({ method: "PUT", path, body: "other" });

describe("uploads of one key at once", () => {
  it("UploadConflict: one more than there may be; other keys, reads and what follows are not concerned", () =>
    withServer({ keyUploadsMax: 1 }, async (server) => {
      const held = await heldUpload(server, "/k");
      const refused = await put(server, "/k");
      assertRefused(refused, "UploadConflict");
      const source = `${server.bucket}.cos.ap-guangzhou.myqcloud.com/other`;
      assert.equal((await put(server, "/other")).status, 200);
      const copy = await server.send({ method: "PUT", path: "/k", headers: { "x-cos-copy-source": source } });
      assertRefused(copy, "UploadConflict");
      assertRefused(await server.send({ path: "/k" }), "NoSuchKey");
      assert.match(await held.finish(), /HTTP\/1\.1 200/);
      assert.equal((await put(server, "/k")).status, 200);
      assert.equal((await put(server, "/k")).status, 200);
      const told = await server.cosbox.requests.explain(String(refused.headers["x-cos-request-id"]));
      assert.match(told ?? "", /uploads of this key .*\n.*The limit keyUploadsMax is 1/);
    }));

  it("an upload that broke off does not count any more", () =>
    withServer({ keyUploadsMax: 2 }, async (server) => {
      const held = [await heldUpload(server, "/k"), await heldUpload(server, "/k")];
      assertRefused(await put(server, "/k"), "UploadConflict");
      for (const one of held) one.cut();
      while ((await put(server, "/k")).status !== 200) await new Promise((resolve) => setTimeout(resolve, 10));
    }));

  it("are all stored unless a limit is set: the last one is what is there", () =>
    withServer({}, async (server) => {
      await server.cosbox.clock.freeze();
      const held = await Promise.all(Array.from({ length: 5 }, (_, at) => heldUpload(server, "/k", `body ${at}`)));
      for (const one of held) assert.match(await one.finish(), /HTTP\/1\.1 200/);
      assert.equal((await server.send({ path: "/k" })).text, "body 4");
    }));
});

describe("uploads of one key in the same millisecond", () => {
  it("PathConflict: the later of two that met, where the setting says so; the first stays", () =>
    withServer({ sameTickConflicts: 1 }, async (server) => {
      for (const before of ["absent", "present"]) {
        await server.cosbox.clock.freeze();
        if (before === "present") assert.equal((await put(server, `/${before}`)).status, 200);
        await server.cosbox.clock.advance(1);
        const held = await heldUpload(server, `/${before}`);
        assert.equal((await put(server, `/${before}`)).status, 200);
        const answer = await held.finish();
        assert.match(answer, /HTTP\/1\.1 409 Conflict[^]*<Code>PathConflict<\/Code><Message>Path conflict\.</);
        assert.equal((await server.send({ path: `/${before}` })).text, "other");
        const id = /x-cos-request-id: (\S+)/i.exec(answer)?.[1] ?? "";
        assert.match((await server.cosbox.requests.explain(id)) ?? "", /stored in the same millisecond/);
      }
    }));

  it("uploads that follow each other, or that meet in different milliseconds, are stored", () =>
    withServer({ sameTickConflicts: 1 }, async (server) => {
      await server.cosbox.clock.freeze();
      for (let at = 0; at < 5; at++) assert.equal((await put(server, "/k")).status, 200);
      const held = await heldUpload(server, "/k");
      assert.equal((await put(server, "/k")).status, 200);
      await server.cosbox.clock.advance(1);
      assert.match(await held.finish(), /HTTP\/1\.1 200/);
      assert.equal((await server.send({ path: "/k" })).text, "held");
    }));
});

describe("more requests than there is room for", () => {
  it("ServiceUnavailable: one more than may be under way, before it is read; then there is room again", () =>
    withServer({ requestsMax: 2 }, async (server) => {
      const held = [await heldUpload(server, "/a"), await heldUpload(server, "/b")];
      const refused = await put(server, "/c");
      assertRefused(refused, "ServiceUnavailable");
      assert.equal(refused.headers["retry-after"], "1");
      const told = await server.cosbox.requests.explain(String(refused.headers["x-cos-request-id"]));
      assert.match(told ?? "", /had 2 requests under way when it came\.\n.*The limit requestsMax is 2/);
      assert.match((await held[0]?.finish()) ?? "", /HTTP\/1\.1 200/);
      assert.equal((await put(server, "/c")).status, 200);
      held[1]?.cut();
      for (let at = 0; at < 5; at++) assert.equal((await server.send({ path: "/c" })).status, 200);
    }));
});

describe("bodies that do not come", () => {
  it("are explained by what had come and the limit that was reached", () =>
    withServer({ bodyIdleMs: 100, discardMs: 50 }, async (server) => {
      const { pathname, search, host } = new URL(server.presign({ method: "PUT", path: "/stalled" }));
      const text = await server.raw(
        `PUT ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 9\r\n\r\nhalf`,
        { end: false },
      );
      assert.match(text, /<Code>RequestTimeout</);
      const id = /<RequestId>([^<]+)/.exec(text)?.[1] ?? "";
      const told = (await server.cosbox.requests.explain(id)) ?? "";
      assert.match(
        told,
        /Of the body, 4 bytes of 9 had come; then nothing came for \d+ ms\.\n.*limit bodyIdleMs is 100/,
      );
    }));

  it("are explained by their pace as well", () =>
    withServer({ bodyRateFloor: 1_000_000, bodyRateWindowMs: 100, discardMs: 50 }, async (server) => {
      const { pathname, search, host } = new URL(server.presign({ method: "PUT", path: "/slow" }));
      const text = await server.raw(
        `PUT ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 9\r\n\r\nhalf`,
        { end: false },
      );
      assert.match(text, /<Code>UserNetworkTooSlow</);
      const id = /<RequestId>([^<]+)/.exec(text)?.[1] ?? "";
      const told = (await server.cosbox.requests.explain(id)) ?? "";
      assert.match(told, /then \d+ bytes came in \d+ ms of waiting for the client\.\n.*limit bodyRateFloor is 1000000/);
    }));
});
