import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { STRANGER } from "../fixtures/accounts.ts";
import { assertRefusedHead } from "../fixtures/refusal.ts";
import { type Sent, type TestServer, testServer } from "../fixtures/server.ts";

describe("HeadObject", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER] });
    const headers = { "content-type": "text/plain", "cache-control": "no-cache", "x-cos-meta-a": "1" };
    await server.send({ method: "PUT", path: "/ten", body: "0123456789", headers });
    await server.send({ method: "PUT", path: "/empty", body: "" });
  });
  afterAll(() => server.stop());

  const head = (more: Sent = {}) => server.send({ method: "HEAD", path: "/ten", ...more });

  it("tells what GET tells, without the bytes", async () => {
    const [told, got] = [await head(), await head({ method: "GET" })];
    assert.equal(told.status, 200);
    assert.equal(told.body.length, 0);
    const facts = ({ headers }: typeof told) => {
      const { date: _date, "x-cos-request-id": _id, ...rest } = headers;
      return rest;
    };
    assert.deepEqual(facts(told), facts(got));
    assert.equal(told.headers["content-length"], "10");
  });

  it("tells the length of an empty object", async () => {
    const answer = await head({ path: "/empty" });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-length"], "0");
  });

  it("passes over a range", async () => {
    for (const range of ["bytes=1-2", "bytes=99-"]) {
      const answer = await head({ headers: { range } });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers["content-length"], "10");
      assert.equal(answer.headers["content-range"], undefined);
    }
  });

  it("NoSuchKey: 404 without a body", async () => {
    assertRefusedHead(await head({ path: "/missing" }), "NoSuchKey");
  });

  it("NoSuchBucket: 404 without a body", async () => {
    assertRefusedHead(await head({ bucket: "nobody-1250000000" }), "NoSuchBucket");
  });

  it("AccessDenied: 403 without a body", async () => {
    assertRefusedHead(await head({ sign: STRANGER }), "AccessDenied");
    assertRefusedHead(await head({ sign: false }), "AccessDenied");
  });

  it("SignatureDoesNotMatch: 403 without a body", async () => {
    assertRefusedHead(await head({ sign: { secretKey: "wrong" } }), "SignatureDoesNotMatch");
  });

  it("PreconditionFailed: 412 without a body", async () => {
    assertRefusedHead(await head({ headers: { "if-match": '"other"' } }), "PreconditionFailed");
  });

  it("UnexpectedContent: a body", async () => {
    assertRefusedHead(await head({ body: "x" }), "UnexpectedContent");
  });

  it("KeyTooLong: 400 without a body", async () => {
    assertRefusedHead(await head({ path: `/${"k".repeat(851)}` }), "KeyTooLong");
  });

  it("answers 304 with ETag and without a length", async () => {
    const etag = (await head()).headers["etag"] as string;
    const answer = await head({ headers: { "if-none-match": etag } });
    assert.equal(answer.status, 304);
    assert.equal(answer.headers["etag"], etag);
    assert.equal(answer.headers["content-length"], undefined);
    assert.ok((await head()).reused);
  });

  it("is what the SDK's headObject resolves with", async () => {
    const params = { Bucket: server.bucket, Region: "ap-guangzhou" };
    const { headers } = await server.cos.headObject({ ...params, Key: "ten" });
    assert.equal(headers?.["x-cos-meta-a"], "1");
    await assert.rejects(server.cos.headObject({ ...params, Key: "missing" }), { statusCode: 404, code: "404" });
  });
});
