/** `x-cos-traffic-limit`: how fast the bytes of one request travel. Times are held against their lower bounds alone. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, it } from "vitest";
import { form, signedFields } from "../fixtures/forms.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { s3Client } from "../fixtures/s3.ts";
import { type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { begin } from "../fixtures/uploads.ts";

const LIMIT = "x-cos-traffic-limit";
/** 100 KiB per second, the least that the service takes. */
const LEAST = 819_200;
const BYTES_PER_SECOND = LEAST / 8;
const BODY = "x".repeat(40_000);
const BODY_MS = (BODY.length / BYTES_PER_SECOND) * 1000;
/** Waits round to whole milliseconds, and the shortest are left out. */
const ROUNDING_MS = 10;

describe("x-cos-traffic-limit", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer();
    assert.equal((await server.send({ method: "PUT", path: "/k", body: BODY })).status, 200);
  });
  afterAll(() => server.stop());

  async function timed(request: () => Promise<Received>): Promise<{ answer: Received; ms: number }> {
    const before = performance.now();
    const answer = await request();
    return { answer, ms: performance.now() - before };
  }
  const header = { [LIMIT]: LEAST };

  it.each<[string, Sent]>([
    ["GET by a header", { path: "/k", headers: header }],
    ["GET by a parameter", { path: "/k", query: { [LIMIT]: LEAST } }],
    ["GET by a signed link", { path: "/k", query: { [LIMIT]: LEAST }, sign: "query" }],
    ["PUT by a header", { method: "PUT", path: "/put", body: BODY, headers: header }],
    ["PUT in chunks", { method: "PUT", path: "/put", body: BODY, headers: header, framing: "chunked" }],
    ["PUT by a parameter", { method: "PUT", path: "/put", body: BODY, query: { [LIMIT]: LEAST } }],
    ["append", { method: "POST", path: "/log", query: { append: "", position: 0 }, body: BODY, headers: header }],
  ])("slows %s", async (_name, request) => {
    const { answer, ms } = await timed(() => server.send(request));
    assert.equal(answer.status, 200, answer.text);
    if (request.method === undefined) assert.equal(answer.text, BODY);
    assert.ok(ms >= BODY_MS - ROUNDING_MS, `${ms} ms`);
  });

  it("slows a part", async () => {
    const uploadId = await begin(server, "parts");
    const request = { method: "PUT", path: "/parts", query: { partNumber: 1, uploadId }, body: BODY, headers: header };
    const { answer, ms } = await timed(() => server.send(request));
    assert.equal(answer.status, 200, answer.text);
    assert.ok(ms >= BODY_MS - ROUNDING_MS, `${ms} ms`);
  });

  it("slows the file of a form that has it as a field", async () => {
    const { secretId, secretKey } = server.cosbox.credentials;
    const fields = signedFields({ secretId, secretKey, conditions: [] });
    const parts = [["key", "form"], [LIMIT, String(LEAST)], ...fields, ["file", { bytes: BODY }]] as const;
    const { answer, ms } = await timed(() => server.send(form(parts)));
    assert.equal(answer.status, 204, answer.text);
    assert.ok(ms >= BODY_MS - ROUNDING_MS, `${ms} ms`);
    assert.equal((await server.send({ path: "/form" })).text, BODY);
  });

  it("slows a large object and gives it whole, a range as well", async () => {
    const body = Buffer.alloc(3_000_000, "0123456789");
    await server.send({ method: "PUT", path: "/large", body });
    const whole = await timed(() => server.send({ path: "/large", headers: { [LIMIT]: 80_000_000 } }));
    assert.ok(whole.answer.body.equals(body));
    assert.ok(whole.ms >= 300 - ROUNDING_MS, `${whole.ms} ms`);
    const part = await server.send({ path: "/large", headers: { [LIMIT]: 800_000_000, range: "bytes=5-1000004" } });
    assert.equal(part.status, 206);
    assert.ok(part.body.equals(body.subarray(5, 1_000_005)));
  });

  it("lets neither of two limits be raised by the other", async () => {
    const headers = { [LIMIT]: 838_860_800 };
    const { answer, ms } = await timed(() => server.send({ path: "/k", query: { [LIMIT]: LEAST }, headers }));
    assert.equal(answer.text, BODY);
    assert.ok(ms >= BODY_MS - ROUNDING_MS, `${ms} ms`);
  });

  it("leaves HEAD and refusals alone", async () => {
    const head = await server.send({ method: "HEAD", path: "/k", headers: header });
    assert.deepEqual([head.status, head.headers["content-length"]], [200, String(BODY.length)]);
    assertRefused(await server.send({ path: "/none", headers: header }), "NoSuchKey");
  });

  it("holds for S3's clients as well", async () => {
    const s3 = s3Client(server);
    const { answer, ms } = await timed(() => s3.send({ path: "/k", query: { [LIMIT]: LEAST } }));
    assert.equal(answer.text, BODY);
    assert.ok(ms >= BODY_MS - ROUNDING_MS, `${ms} ms`);
  });

  it("InvalidArgument: a limit out of range or none, before any byte is stored", async () => {
    const message = "The argument x-cos-traffic-limit must be a whole number from 819200 to 838860800.";
    for (const value of ["819199", "838860801", "0", "-1", "1e6", "fast", "819200.5", "99999999999999999999"]) {
      const headers = { [LIMIT]: value };
      const query = { [LIMIT]: value };
      for (const one of [{ headers }, { query }]) {
        assertRefused(await server.send({ path: "/k", ...one }), "InvalidArgument", { message });
        const put = await server.send({ method: "PUT", path: "/refused", body: "x", ...one });
        assertRefused(put, "InvalidArgument", { message });
      }
    }
    assertRefused(await server.send({ path: "/k", query: { [LIMIT]: "" } }), "InvalidArgument", { message });
    assertRefused(await server.send({ path: "/refused" }), "NoSuchKey");
    for (const value of [LEAST, 838_860_800]) {
      assert.equal(
        (await server.send({ method: "PUT", path: "/taken", body: "x", headers: { [LIMIT]: value } })).status,
        200,
      );
    }
  });
});

it("a client that sends faster than its limit is kept waiting; the server takes in no more", async () => {
  const server = await testServer({ limits: { trafficLimitMin: 8, stopGraceMs: 100 } });
  try {
    const { pathname, search } = new URL(server.presign({ method: "PUT", path: "/slow", query: { [LIMIT]: 80 } }));
    const socket = connect(server.port, "127.0.0.1");
    await once(socket, "connect");
    const size = 64 * 1024 ** 2;
    const host = `${server.bucket}.cos.ap-guangzhou.myqcloud.com`;
    socket.write(`PUT ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${size}\r\n\r\n`);
    socket.write(Buffer.alloc(size));
    await sleep(500);
    // What the two sockets' own buffers hold is a few megabytes.
    assert.ok(socket.writableLength > size / 2, `${socket.writableLength} bytes are still to be sent`);
    socket.destroy();
  } finally {
    await server.stop();
  }
});
