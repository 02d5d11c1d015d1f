/** Errors, delays and cuts on demand, through the library. */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, it } from "vitest";
import { startCosbox } from "../../src/library.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type TestServer, testServer } from "../fixtures/server.ts";

describe("faults", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer();
  });
  afterAll(() => server.stop());
  afterEach(() => server.cosbox.faults.clear());

  const put = (path: string, body = "x") => server.send({ method: "PUT", path, body });
  const get = (path: string) => server.send({ path });

  it("answers with the error that is asked for, before anything is done", async () => {
    await server.cosbox.faults.add({ error: "SlowDown", match: { operation: "PutObject" } });
    assertRefused(await put("/before"), "SlowDown");
    assertRefused(await get("/before"), "NoSuchKey");
  });

  it("answers with it after everything was done", async () => {
    await server.cosbox.faults.add({ error: "InternalError", phase: "after", match: { operation: "PutObject" } });
    assertRefused(await put("/after"), "InternalError");
    assert.equal((await get("/after")).text, "x");
  });

  it("answers with it half way through the body, and stores nothing", async () => {
    await server.cosbox.faults.add({ error: "ServiceUnavailable", phase: "during", match: { operation: "PutObject" } });
    for (const size of [10, 3_000_000]) {
      assertRefused(await put("/during", "x".repeat(size)), "ServiceUnavailable");
    }
    await server.cosbox.faults.clear();
    assertRefused(await get("/during"), "NoSuchKey");
  });

  it("happens the first times, every so often, or with a probability that repeats itself", async () => {
    const outcomes = async (count: number) => {
      const all: string[] = [];
      for (let at = 0; at < count; at++) all.push((await get("/times")).status === 200 ? "." : "x");
      return all.join("");
    };
    await put("/times");
    const match = { operation: "GetObject", keyPrefix: "tim" };
    await server.cosbox.faults.add({ id: "t", error: "SlowDown", times: { first: 2 }, match });
    assert.equal(await outcomes(5), "xx...");
    await server.cosbox.faults.add({ id: "t", error: "SlowDown", times: { every: 3 }, match });
    assert.equal(await outcomes(7), "..x..x.");
    await server.cosbox.faults.add({ id: "t", error: "SlowDown", times: { probability: 0.5, seed: 7 }, match });
    const drawn = await outcomes(20);
    assert.match(drawn, /x/);
    assert.match(drawn, /\./);
    await server.cosbox.faults.add({ id: "t", error: "SlowDown", times: { probability: 0.5, seed: 7 }, match });
    assert.equal(await outcomes(20), drawn);
    assert.deepEqual(
      (await server.cosbox.faults.list()).map(({ id, met }) => [id, met]),
      [["t", 20]],
    );
  });

  it("meets only what it is told to: operation, bucket, prefix, caller", async () => {
    await put("/mine/a");
    await put("/other/a");
    await server.cosbox.faults.add({ error: "SlowDown", match: { keyPrefix: "mine/" } });
    assertRefused(await get("/mine/a"), "SlowDown");
    assert.equal((await get("/other/a")).status, 200);
    await server.cosbox.faults.clear();
    await server.cosbox.faults.add({ error: "SlowDown", match: { bucket: "elsewhere-1250000000" } });
    assert.equal((await get("/mine/a")).status, 200);
    await server.cosbox.faults.add({ error: "SlowDown", match: { caller: server.cosbox.credentials.secretId } });
    assertRefused(await get("/mine/a"), "SlowDown");
  });

  it("cuts the connection before the answer, or in the middle of it", async () => {
    await put("/cut", "x".repeat(100_000));
    await server.cosbox.faults.add({ id: "cut", cutAfterBytes: 0, match: { operation: "GetObject" } });
    await assert.rejects(get("/cut"));
    await server.cosbox.faults.add({ id: "cut", cutAfterBytes: 50_000, match: { operation: "GetObject" } });
    await assert.rejects(get("/cut"));
    const { host, pathname, search } = new URL(server.presign({ path: "/cut" }));
    const sent = await server.raw(`GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    const head = sent.indexOf("\r\n\r\n");
    assert.match(sent.slice(0, head), /^HTTP\/1.1 200 [^]*Content-Length: 100000/);
    assert.equal(sent.length - head - 4, 50_000);
  });

  it("delays, and slows a body down", async () => {
    await put("/slow", "x".repeat(3_000));
    await server.cosbox.faults.add({ delayMs: 300, match: { operation: "HeadObject" } });
    await server.cosbox.faults.add({ bytesPerSecond: 10_000, match: { operation: "GetObject" } });
    const before = performance.now();
    assert.equal((await server.send({ method: "HEAD", path: "/slow" })).status, 200);
    assert.ok(performance.now() - before >= 290);
    const between = performance.now();
    assert.equal((await get("/slow")).body.length, 3_000);
    assert.ok(performance.now() - between >= 190);
  });

  it("stands in the record of the request, and in its explanation", async () => {
    await server.cosbox.faults.add({ id: "mine", error: "SlowDown" });
    const refused = await put("/told");
    const id = String(refused.headers["x-cos-request-id"]);
    assert.equal((await server.cosbox.requests.find(id))?.fault, "mine");
    assert.match((await server.cosbox.requests.explain(id)) ?? "", /the fault mine\. Nothing of the request was done/);
    await server.cosbox.faults.clear();
    await server.cosbox.faults.add({ id: "late", delayMs: 1 });
    const late = String((await put("/told")).headers["x-cos-request-id"]);
    assert.match((await server.cosbox.requests.explain(late)) ?? "", /The fault late happened to it/);
  });

  it("happens to a single request of the root account that asks for it in a signed header", async () => {
    const asked = (fault: string, more = {}) =>
      server.send({ path: "/asked", headers: { "x-cosbox-fault": fault }, ...more });
    await put("/asked");
    assertRefused(await asked("SlowDown"), "SlowDown");
    assertRefused(await asked('{"error":"InternalError","delayMs":1}'), "InternalError");
    assertRefused(await asked("Nonsense"), "InvalidArgument", { message: /^x-cosbox-fault.error: the id of a row/ });
    assertRefused(await asked("{"), "InvalidArgument", { message: /^x-cosbox-fault is no JSON/ });
    // Not signed, it is a header like any other.
    const unsigned = await asked("SlowDown", { sign: { instead: { headers: {} } } });
    assert.equal(unsigned.status, 200);
    assert.equal((await get("/asked")).status, 200);
  });

  it("refuses a fault that does nothing, and one that nobody knows", async () => {
    await assert.rejects(server.cosbox.faults.add({}), /a fault does something/);
    await assert.rejects(server.cosbox.faults.add({ error: "Nonsense" as never }), /fault.error: the id of a row/);
    await assert.rejects(server.cosbox.faults.add({ error: "SlowDown", times: { first: 0 } }), /fault\.times/);
    // It would never happen, and nobody would know why.
    await assert.rejects(
      server.cosbox.faults.add({ error: "SlowDown", match: { operation: "PutObjekt" } }),
      /there is no operation "PutObjekt"; did you mean PutObject\?/,
    );
    assert.deepEqual(await server.cosbox.faults.list(), []);
  });
});

describe("faults of the settings", () => {
  it("hold from the start on, and what cannot stand keeps the server from starting", async () => {
    const match = { operation: "HeadBucket" };
    const server = await testServer({ faults: [{ error: "SlowDown", times: { first: 1 }, match }] });
    try {
      assert.equal((await server.send({ method: "HEAD" })).status, 503);
      assert.equal((await server.send({ method: "HEAD" })).status, 200);
    } finally {
      await server.stop();
    }
    await assert.rejects(testServer({ faults: [{ error: "Nothing" }] }), /faults\.0\.error: the id of a row/);
    await assert.rejects(
      testServer({ faults: [{ error: "SlowDown", match: { operation: "Putt" } }] }),
      /faults: .*"Putt"/,
    );
  });
});

describe("what was set in development", () => {
  const OWN = { secretId: "AKIDownserver0000000000000000000000", secretKey: "my-own-secret-key-of-the-server" };
  const withFolder = async (work: (data: string) => Promise<void>) => {
    const parent = await mkdtemp(join(tmpdir(), "cosbox-leftovers-"));
    try {
      await work(join(parent, "data"));
    } finally {
      await rm(parent, { recursive: true });
    }
  };

  it("keeps a server of the profile server from starting, until it is taken back", async () => {
    await withFolder(async (data) => {
      const start = (options = {}) => startCosbox({ memory: false, data, ...OWN, ...options });
      let cosbox = await start();
      await cosbox.clock.advance("1y");
      await cosbox.stop();
      await assert.rejects(start({ profile: "server" }), /its clock is not the machine's: .* say cosbox clock real/);
      cosbox = await start();
      await cosbox.clock.reset();
      await cosbox.faults.add({ error: "SlowDown" });
      await cosbox.stop();
      await assert.rejects(start({ profile: "server" }), /it has faults: .* say cosbox faults clear/);
      cosbox = await start();
      await cosbox.faults.clear();
      await cosbox.stop();
      await (await start({ profile: "server" })).stop();
    });
  });

  it("is gone with the settings that asked for it, where it is of them", async () => {
    await withFolder(async (data) => {
      const start = (options = {}) => startCosbox({ memory: false, data, ...options });
      let cosbox = await start({ faults: [{ error: "SlowDown" }] });
      assert.equal((await cosbox.faults.list()).length, 1);
      await cosbox.stop();
      cosbox = await start();
      assert.deepEqual(await cosbox.faults.list(), []);
      await cosbox.stop();
    });
  });
});

describe("for tests", () => {
  it("tells the next request that one waits for", async () => {
    const server = await testServer();
    try {
      const next = server.cosbox.requests.next(({ operation }) => operation === "PutObject");
      await server.send({ path: "/none" });
      await server.send({ method: "PUT", path: "/awaited", body: "x" });
      assert.equal((await next).key, "awaited");
      const wrong = server.cosbox.requests.next(({ key }) => (key as string).startsWith("x"));
      const failing = assert.rejects(wrong, TypeError);
      assert.equal((await server.send({ bucket: "" })).status, 200, "a client has no part in it");
      await failing;
      await assert.rejects(server.cosbox.requests.next(undefined, 10), /no such request .* none came at all$/);
      // By what it is to be, all of which has to be so.
      await server.cosbox.faults.add({ id: "busy", error: "SlowDown", match: { operation: "HeadObject" } });
      const wanted = {
        operation: "HeadObject",
        bucket: server.bucket,
        key: "b",
        error: "SlowDown",
        fault: "busy",
      } as const;
      const busy = server.cosbox.requests.next(wanted);
      const stored = server.cosbox.requests.next({ method: "PUT", status: 200 });
      for (const key of ["a", "b"]) await server.send({ method: "HEAD", path: `/${key}` });
      await server.send({ method: "PUT", path: "/c", body: "x" });
      assert.equal((await busy).key, "b");
      assert.equal((await stored).key, "c");
      const vain = server.cosbox.requests.next({ operation: "DeleteObject" }, 3_000);
      for (let at = 0; at < 6; at++) await server.send({ path: "/none" });
      await server.send({ method: "PUT", path: "/d", body: "x" });
      await assert.rejects(vain, /within 3000 ms; what came was …, (GetObject NoSuchKey, ){4}PutObject 200$/);
    } finally {
      await server.stop();
    }
  });

  it("begins anew: no bucket, no fault, the machine's time", async () => {
    const server = await testServer();
    try {
      await server.send({ method: "PUT", query: { versioning: undefined }, body: VERSIONED });
      for (const body of ["1", "2", "x".repeat(2_000_000)]) await server.send({ method: "PUT", path: "/a", body });
      await server.send({ method: "DELETE", path: "/a" });
      await server.send({ method: "POST", path: "/b", query: { uploads: undefined } });
      await server.cosbox.faults.add({ error: "SlowDown", match: { operation: "GetObject" } });
      await server.cosbox.clock.advance("1y");
      await server.cosbox.reset();
      assert.deepEqual((await server.send({ bucket: "" })).elements("Name"), []);
      assert.deepEqual(await server.cosbox.faults.list(), []);
      assert.ok(Math.abs(server.cosbox.clock.now().getTime() - Date.now()) < 60_000);
      assert.equal((await server.send({ method: "PUT" })).status, 200);
      assertRefused(await server.send({ path: "/a" }), "NoSuchKey");
    } finally {
      await server.stop();
    }
  });
});

const VERSIONED = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
