/** The admin listener over HTTP. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { afterAll, afterEach, beforeAll, describe, it, onTestFinished } from "vitest";
import { adminClient } from "../../src/admin/client.ts";
import { signCos } from "../../src/dialects/cos/sign.ts";
import { ask } from "../fixtures/admin.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type Sent, type TestServer, testServer } from "../fixtures/server.ts";

describe("the admin listener", () => {
  let server: TestServer;
  let endpoint: string;
  beforeAll(async () => {
    server = await testServer({ admin: "127.0.0.1:0" });
    endpoint = server.cosbox.admin as string;
  });
  afterAll(() => server.stop());
  afterEach(() => server.cosbox.faults.clear());
  const call = (method: string, path: string, more: Parameters<typeof ask>[3] = {}) =>
    ask(endpoint, method, path, more);

  it("tells that the server lives and can store", async () => {
    assert.deepEqual(await call("GET", "/healthz"), { status: 200, body: { alive: true } });
    assert.deepEqual(await call("GET", "/readyz"), { status: 200, body: { ready: true, troubles: [] } });
  });

  it("describes itself in OpenAPI 3.1, each call with what it takes and gives", async () => {
    const { body } = await call("GET", "/v1/openapi.json");
    const { openapi, paths } = body as unknown as { openapi: string; paths: Record<string, Record<string, object>> };
    assert.equal(openapi, "3.1.0");
    assert.ok(Object.keys(paths).length >= 10);
    for (const [path, calls] of Object.entries(paths)) {
      for (const [method, one] of Object.entries(calls)) {
        assert.ok("operationId" in one && "summary" in one && "responses" in one, `${method} ${path}`);
      }
    }
    const by = JSON.stringify(paths["/v1/clock/advance"]);
    assert.match(by, /"by"/);
  });

  it("sets and advances the clock", async () => {
    try {
      const set = await call("PUT", "/v1/clock", { body: { mode: "frozen", at: "2030-01-01T00:00:00Z" } });
      assert.equal(set.body["now"], "2030-01-01T00:00:00.000Z");
      const moved = await call("POST", "/v1/clock/advance", { body: { by: "36h" } });
      assert.equal(moved.body["now"], "2030-01-02T12:00:00.000Z");
      assert.equal((await call("GET", "/v1/clock")).body["mode"], "frozen");
      assert.equal((await call("POST", "/v1/clock/advance", { body: { by: "later" } })).status, 400);
    } finally {
      await call("PUT", "/v1/clock", { body: { mode: "real" } });
    }
  });

  it("sets, lists and removes faults", async () => {
    const fault = { id: "one", error: "SlowDown", match: { operation: "HeadBucket" } };
    assert.deepEqual((await call("POST", "/v1/faults", { body: fault })).body, { id: "one" });
    assert.equal((await server.send({ method: "HEAD" })).status, 503);
    assert.deepEqual((await call("GET", "/v1/faults")).body["faults"], [{ ...fault, met: 0 }]);
    assert.equal((await call("DELETE", "/v1/faults/one")).status, 200);
    assert.equal((await call("DELETE", "/v1/faults/one")).status, 404);
    assert.equal((await server.send({ method: "HEAD" })).status, 200);
  });

  it("lists requests and explains one by its id", async () => {
    const refused = await server.send({ path: "/not-there" });
    assertRefused(refused, "NoSuchKey");
    const id = String(refused.headers["x-cos-request-id"]);
    const listed = await call("GET", `/v1/requests?error=NoSuchKey&bucket=${server.bucket}&limit=1`);
    assert.deepEqual(
      (listed.body["requests"] as { requestId: string }[]).map(({ requestId }) => requestId),
      [id],
    );
    const coded = await call("GET", "/v1/requests?code=NoSuchKey");
    assert.ok((coded.body["requests"] as { errorId: string }[]).every(({ errorId }) => errorId === "NoSuchKey"));
    assert.deepEqual((await call("GET", "/v1/requests?code=NoSuchUpload")).body["requests"], []);
    const unknown = await call("GET", "/v1/requests?colour=red");
    assert.equal(unknown.status, 400, "a filter that is none would show everything");
    const found = await call("GET", `/v1/requests/${encodeURIComponent(id)}`);
    assert.match(String(found.body["explanation"]), /Refused with 404 NoSuchKey/);
    const url = `http://${server.bucket}.cos.ap-guangzhou.myqcloud.com/not-there`;
    const curl = `curl -x ${server.endpoint} -X GET -H "Authorization: $AUTHORIZATION" '${url}'`;
    assert.equal(found.body["curl"], curl);
    const node = `{"Method":"GET","Bucket":"${server.bucket}","Region":"ap-guangzhou","Key":"not-there"}`;
    assert.equal(found.body["node"], `await cos.request(${node});`);
    assert.equal((await call("GET", "/v1/requests/none")).status, 404);
  });

  it("tells a command that sends the same: no type of curl's own, an empty body where there was none", async () => {
    const curlOf = async (request: Sent) => {
      const id = String((await server.send(request)).headers["x-cos-request-id"]);
      return String((await call("GET", `/v1/requests/${encodeURIComponent(id)}`)).body["curl"]);
    };
    assert.match(await curlOf({ method: "PUT", path: "/a", body: "x" }), / -H Content-Type: --data-binary @body 'http/);
    const typed = await curlOf({ method: "PUT", path: "/a", body: "x", headers: { "content-type": "text/plain" } });
    assert.match(typed, /-H 'content-type: text\/plain' .*--data-binary @body/);
    assert.doesNotMatch(typed, /-H Content-Type:/);
    const copySource = `${server.bucket}.cos.ap-guangzhou.myqcloud.com/a`;
    const copied = await curlOf({ method: "PUT", path: "/b", body: "", headers: { "x-cos-copy-source": copySource } });
    assert.match(copied, / -H 'Content-Length: 0' 'http/);
    assert.match(await curlOf({ method: "HEAD", path: "/a" }), /^curl -x http:\S+ -I /);
  });

  it("is followed by its client whole, wherever the stream is cut, and refused as told", async () => {
    const record = { requestId: "1", key: "文件" };
    const slow = createServer((_request, response) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      const bytes = Buffer.from(`data: ${JSON.stringify(record)}\n\n`);
      const next = (at: number): void => {
        if (at === bytes.length) response.end();
        else response.write(bytes.subarray(at, at + 1), () => next(at + 1));
      };
      next(0);
    });
    slow.listen(0, "127.0.0.1");
    await once(slow, "listening");
    onTestFinished(() => void slow.close());
    const { port } = slow.address() as { port: number };
    const told: unknown[] = [];
    for await (const one of adminClient({ endpoint: `http://127.0.0.1:${port}` }).follow()) told.push(one);
    assert.deepEqual(told, [record]);
    const nowhere = adminClient({ endpoint: `${endpoint}/nowhere` }).follow();
    await assert.rejects(nowhere[Symbol.asyncIterator]().next(), { name: "AdminCallRefused", status: 404 });
  });

  it("streams requests as they are answered", async () => {
    const ended = new AbortController();
    const stream = await fetch(new URL("/v1/requests/stream", endpoint), { signal: ended.signal });
    assert.equal(stream.headers.get("content-type"), "text/event-stream");
    const reader = (stream.body as ReadableStream<Uint8Array>).getReader();
    let text = "";
    const until = async (wanted: RegExp) => {
      while (!wanted.test(text)) text += Buffer.from((await reader.read()).value ?? []).toString();
    };
    await until(/from here on/);
    await server.send({ method: "PUT", path: "/streamed", body: "x" });
    await until(/"key":"streamed"/);
    ended.abort();
  });

  it("lists the catalogue of errors", async () => {
    const { errors } = (await call("GET", "/v1/errors")).body as unknown as { errors: { id: string }[] };
    assert.ok(errors.length >= 130);
  });

  it("does not listen to web pages, foreign names, and bodies that a page could send", async () => {
    const body = { mode: "real" };
    for (const headers of [
      { Origin: "http://evil.example" },
      { Origin: "null" },
      { Origin: endpoint },
      { "Sec-Fetch-Site": "cross-site" },
      { Host: "evil.example" },
      { Host: `127.0.0.1.evil.example:${new URL(endpoint).port}` },
    ]) {
      assert.equal((await call("PUT", "/v1/clock", { body, headers })).status, 403, JSON.stringify(headers));
    }
    const form = { "Content-Type": "text/plain" };
    assert.equal((await call("PUT", "/v1/clock", { body, headers: form })).status, 415);
    const dns = await call("GET", "/healthz", { headers: { Host: `localhost:${new URL(endpoint).port}` } });
    assert.equal(dns.status, 200);
  });

  it("refuses what is malformed, unknown, and too long, and goes on", async () => {
    assert.equal((await call("GET", "/v2")).status, 404);
    assert.equal((await call("PATCH", "/v1/clock")).status, 405);
    assert.equal((await call("GET", "/v1/requests/%E0%A4%A")).status, 404);
    assert.equal((await call("PUT", "/v1/clock", { body: "{" })).status, 400);
    assert.equal((await call("PUT", "/v1/clock", { body: { mode: "real", more: 1 } })).status, 400);
    assert.equal((await call("POST", "/v1/faults", { body: "x".repeat(1_100_000) })).status, 413);
    assert.equal((await call("GET", "/v1/requests?limit=-1")).status, 400);
    assert.equal((await call("GET", "/healthz")).status, 200);
  });
});

describe("an admin listener with a token, on a server", () => {
  it("sec_S-2.17, CVE-2018-10861: asks for the token, takes no key of COS, and has neither clock nor faults nor reset", async () => {
    const token = "a-token-that-nobody-guesses";
    const server = await testServer({
      admin: "127.0.0.1:0",
      adminToken: token,
      profile: "server",
      secretId: "AKIDownserver0000000000000000000000",
      secretKey: "my-own-secret-key-of-the-server",
    });
    try {
      const endpoint = server.cosbox.admin as string;
      assert.equal((await ask(endpoint, "GET", "/healthz")).status, 401);
      const wrong = { Authorization: `Bearer ${token}x` };
      assert.equal((await ask(endpoint, "GET", "/v1/clock", { headers: wrong })).status, 401);
      const { host } = new URL(endpoint);
      const { secretId, secretKey } = server.cosbox.credentials;
      const now = Math.floor(Date.now() / 1000);
      for (const path of ["/v1/clock", "/v1/requests", "/v1/accounts", "/metrics"]) {
        const signTime = `${now - 60};${now + 600}`;
        const { authorization, queryString } = signCos({
          ...{ secretId, secretKey, method: "GET", path, signTime },
          headers: [["host", host]],
        });
        assert.equal((await ask(endpoint, "GET", path, { headers: { Authorization: authorization } })).status, 401);
        assert.equal((await ask(endpoint, "GET", `${path}?${queryString}`)).status, 401, path);
        assert.equal(
          (await ask(endpoint, "GET", path, { headers: { Authorization: `Bearer ${secretKey}` } })).status,
          401,
        );
      }
      const headers = { Authorization: `Bearer ${token}` };
      assert.equal((await ask(endpoint, "GET", "/v1/clock", { headers })).status, 200);
      for (const [method, path, body] of [
        ["PUT", "/v1/clock", { mode: "real" }],
        ["POST", "/v1/clock/advance", { by: "1s" }],
        ["POST", "/v1/faults", { error: "SlowDown" }],
        ["DELETE", "/v1/faults", undefined],
        ["POST", "/v1/reset", {}],
        ["POST", "/v1/snapshots", {}],
        ["POST", "/v1/snapshots/one/restore", {}],
      ] as const) {
        const refused = await ask(endpoint, method, path, { body, headers });
        assert.equal(refused.status, 403, `${method} ${path}`);
        assert.equal((refused.body["error"] as { code: string }).code, "NotOnServers");
      }
    } finally {
      await server.stop();
    }
  });

  it("does not open without a token where the profile is server, wherever it is to be", async () => {
    const own = { secretId: "AKIDownserver0000000000000000000000", secretKey: "my-own-secret-key-of-the-server" };
    const start = testServer({ admin: "127.0.0.1:0", profile: "server", ...own });
    await assert.rejects(start, /admin: with --profile server its callers need a token/);
  });

  it("does not open beyond loopback without a token", async () => {
    await assert.rejects(testServer({ admin: "0.0.0.0:0" }), /admin: .* set COSBOX_ADMIN_TOKEN/);
  });
});

describe("counters", () => {
  let server: TestServer;
  let endpoint: string;
  beforeAll(async () => {
    server = await testServer({ admin: "127.0.0.1:0" });
    endpoint = server.cosbox.admin as string;
    await server.send({ method: "PUT", path: "/a", body: "four" });
    await server.send({ path: "/a" });
    await server.send({ path: "/none" });
    await server.raw("nonsense\r\n\r\n");
  });
  afterAll(() => server.stop());

  it("are told as Prometheus reads them: by operation and code, with latencies and bytes", async () => {
    const text = await (await fetch(new URL("/metrics", endpoint))).text();
    for (const line of [
      'cosbox_requests_total{operation="PutObject",dialect="cos",status="200",code=""} 1',
      'cosbox_requests_total{operation="GetObject",dialect="cos",status="404",code="NoSuchKey"} 1',
      'cosbox_request_duration_seconds_count{operation="GetObject"} 2',
      'cosbox_request_duration_seconds_bucket{operation="GetObject",le="+Inf"} 2',
      'cosbox_request_bytes_total{operation="PutObject"} 4',
      "cosbox_processes 1",
    ]) {
      assert.ok(text.includes(`${line}\n`), `${line}\nin\n${text}`);
    }
    for (const line of text.trim().split("\n")) {
      assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [0-9.e+-]+)$/);
    }
    const steps = [...text.matchAll(/_bucket\{operation="GetObject",le="[^"]+"\} (\d+)/g)].map(([, count]) =>
      Number(count),
    );
    assert.deepEqual(
      steps,
      steps.toSorted((a, b) => a - b),
    );
  });

  it("tell which errors were met, of those that the operations used can answer with", async () => {
    const { operations, met, possible } = await server.cosbox.coverage();
    const get = operations.find(({ operation }) => operation === "GetObject");
    assert.deepEqual(get?.met, ["NoSuchKey"]);
    assert.equal(get?.requests, 2);
    assert.ok(get?.unmet.includes("InvalidRange"));
    assert.ok(!operations.some(({ operation }) => operation === "DeleteObject"));
    assert.ok(met >= 1 && possible > 10);
    const told = await ask(endpoint, "GET", "/v1/coverage");
    assert.deepEqual(told.body["operations"], JSON.parse(JSON.stringify(operations)));
    await server.cosbox.reset();
    assert.deepEqual((await server.cosbox.coverage()).operations, []);
  });

  it("stand beside refusals that say where they are explained", async () => {
    const refused = await server.send({ path: "/none" });
    const address = String(refused.headers["x-cosbox-explain"]);
    const found = (await (await fetch(address)).json()) as { explanation: string };
    assert.match(found.explanation, /Refused with 404 NoSuch(Key|Bucket)/);
    assert.equal((await server.send({ bucket: "" })).headers["x-cosbox-explain"], undefined);
  });

  it("and none of it without an admin listener, or where it is turned off", async () => {
    for (const options of [{}, { admin: "127.0.0.1:0", explainHeader: "off" }] as const) {
      const other = await testServer(options);
      assert.equal((await other.send({ path: "/none" })).headers["x-cosbox-explain"], undefined);
      await other.stop();
    }
  });
});
