import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, it } from "vitest";
import { crc64Of } from "../../src/store/digests.ts";
import { pattern } from "../contract/store-fixture.ts";
import { contentMd5, type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { begin, complete, md5, refused, sendPart } from "../fixtures/uploads.ts";

const BYTES_MAX = 400_000;

describe("AppendObject", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ limits: { singleUploadBytesMax: BYTES_MAX } });
  });
  afterAll(() => server.stop());

  const append = (key: string, position: number | string, body: string | Buffer, rest: Sent = {}) =>
    server.send({ method: "POST", path: `/${key}`, query: { append: undefined, position }, body, ...rest });

  it("makes an appendable object at position 0", async () => {
    const answer = await append("new", 0, "hello");
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.text, "");
    assert.equal(answer.headers["x-cos-next-append-position"], "5");
    assert.equal(answer.headers["x-cos-hash-crc64ecma"], String(crc64Of(Buffer.from("hello"))));
    assert.match(answer.headers.etag as string, /^"[0-9a-f]{32}"$/);
    const head = await server.send({ method: "HEAD", path: "/new" });
    assert.deepEqual(
      ["x-cos-object-type", "x-cos-next-append-position", "content-length", "etag"].map((name) => head.headers[name]),
      ["appendable", "5", "5", answer.headers.etag],
    );
  });

  it("adds bytes to the end, with the CRC-64 of the whole and the MD5 of what was added", async () => {
    await append("grown", 0, "hello ");
    const answer = await append("grown", 6, "world");
    assert.equal(answer.headers["x-cos-next-append-position"], "11");
    assert.equal(answer.headers["x-cos-hash-crc64ecma"], String(crc64Of(Buffer.from("hello world"))));
    // The Go SDK compares it with the MD5 of what it sent.
    assert.equal(answer.headers["x-cos-content-sha1"], md5("world"));
    assert.equal((await server.send({ path: "/grown" })).text, "hello world");
  });

  it("changes the ETag with every append", async () => {
    const etags = new Set<unknown>();
    for (const position of [0, 1, 2]) etags.add((await append("etags", position, "x")).headers.etag);
    assert.equal(etags.size, 3);
  });

  it("joins small and large bytes in any order", async () => {
    const bodies = [10, 70_000, 5, 5, 20_000, 1, 16_384, 90_000].map((size, at) => pattern(size, at));
    let position = 0;
    for (const body of bodies) {
      const answer = await append("joined", position, body);
      assert.equal(answer.status, 200, answer.text);
      position += body.length;
    }
    const whole = Buffer.concat(bodies);
    const got = await server.send({ path: "/joined" });
    assert.ok(got.body.equals(whole));
    assert.equal(got.headers["x-cos-hash-crc64ecma"], String(crc64Of(whole)));
    const range = await server.send({ path: "/joined", headers: { range: "bytes=69990-90040" } });
    assert.ok(range.body.equals(whole.subarray(69_990, 90_041)));
  });

  it("keeps what the first append said about the object", async () => {
    await append("described", 0, "a", { headers: { "content-type": "text/plain", "x-cos-meta-n": "1" } });
    await append("described", 1, "b", { headers: { "content-type": "text/html" } });
    const { headers } = await server.send({ method: "HEAD", path: "/described" });
    assert.deepEqual([headers["content-type"], headers["x-cos-meta-n"]], ["text/plain", "1"]);
  });

  it("allows an append of nothing", async () => {
    assert.equal((await append("nothing", 0, "")).headers["x-cos-next-append-position"], "0");
    assert.equal((await append("nothing", 0, "")).status, 200);
    assert.equal((await append("nothing", 0, "x")).headers["x-cos-next-append-position"], "1");
  });

  it("makes way for a PUT, which is not appendable", async () => {
    await append("put", 0, "appended");
    await server.send({ method: "PUT", path: "/put", body: "stored" });
    const head = await server.send({ method: "HEAD", path: "/put" });
    assert.equal(head.headers["x-cos-object-type"], "normal");
    refused(await append("put", 6, "x"), 409, "ObjectNotAppendable");
  });

  it("works through the official SDK", async () => {
    const where = { Bucket: server.bucket, Region: server.cosbox.region, Key: "sdk" };
    await server.cos.appendObject({ ...where, Position: 0, Body: "one" });
    const second = await server.cos.appendObject({ ...where, Position: 3, Body: "two" });
    assert.equal(second.headers?.["x-cos-next-append-position"], "6");
    assert.equal((await server.cos.getObject(where)).Body.toString(), "onetwo");
  });

  it("AppendPositionErr: tells the position that would do", async () => {
    const absent = await append("absent", 3, "x");
    refused(absent, 409, "AppendPositionErr");
    assert.equal(absent.headers["x-cos-next-append-position"], "0");
    await append("position", 0, "four");
    for (const position of [0, 3, 5]) {
      const answer = await append("position", position, "x");
      refused(answer, 409, "AppendPositionErr");
      assert.equal(answer.headers["x-cos-next-append-position"], "4");
    }
    assert.equal((await server.send({ path: "/position" })).text, "four");
  });

  it("ObjectNotAppendable: the object was stored by PUT or made of parts", async () => {
    await server.send({ method: "PUT", path: "/stored", body: "1234" });
    refused(await append("stored", 4, "x"), 409, "ObjectNotAppendable");
    refused(await append("stored", 0, "x"), 409, "ObjectNotAppendable");
    const uploadId = await begin(server, "parts");
    await complete(server, "parts", uploadId, [[1, await sendPart(server, "parts", uploadId, 1, "1234")]]);
    refused(await append("parts", 4, "x"), 409, "ObjectNotAppendable");
  });

  it("InvalidArgument: no position, or one that is no number", async () => {
    for (const position of ["", "-1", "x", "1.0", "1e3", "99999999999999999999"]) {
      refused(await append("argument", position, "x"), 400, "InvalidArgument");
    }
    const none = await server.send({ method: "POST", path: "/argument", query: { append: undefined }, body: "x" });
    refused(none, 400, "InvalidArgument");
    assert.equal(none.element("Message"), "The argument position is missing.");
  });

  it("MissingContentLength: a chunked body", async () => {
    refused(await append("chunked", 0, "x", { framing: "chunked" }), 411, "MissingContentLength");
  });

  it("EntityTooLarge: the object would be longer than one may become by appending", async () => {
    await append("large", 0, Buffer.alloc(BYTES_MAX - 1));
    refused(await append("large", BYTES_MAX - 1, "xx"), 400, "EntityTooLarge");
    assert.equal((await append("large", BYTES_MAX - 1, "x")).status, 200);
    refused(await append("too-large", 0, Buffer.alloc(BYTES_MAX + 1)), 400, "EntityTooLarge");
  });

  it("BadDigest: the body has another MD5, and the object stays as it was", async () => {
    await append("digest", 0, "one");
    refused(await append("digest", 3, "two", { headers: { "content-md5": contentMd5("other") } }), 400, "BadDigest");
    assert.equal((await append("digest", 3, "two", { headers: { "content-md5": contentMd5("two") } })).status, 200);
  });

  it("InvalidSHA1Digest: the body has another SHA-1", async () => {
    const headers = { "x-cos-content-sha1": createHash("sha1").update("other").digest("hex") };
    refused(await append("sha1", 0, "x", { headers }), 400, "InvalidSHA1Digest");
  });

  it("AccessDenied: anonymous callers may not append in a private bucket", async () => {
    refused(await append("anonymous", 0, "x", { sign: false }), 403, "AccessDenied");
  });
});

describe("AppendObject of many small pieces", () => {
  it("keeps every byte in its place, whatever becomes of the rows they are in", async () => {
    const server = await testServer({ limits: { inlineBytesMax: 100 } });
    try {
      const lines = Array.from({ length: 450 }, (_, at) => String(at).padStart(10, "0"));
      for (const [at, body] of lines.entries()) {
        const query = { append: undefined, position: at * 10 };
        const answer = await server.send({ method: "POST", path: "/lines", query, body });
        assert.equal(answer.status, 200, answer.text);
      }
      const whole = lines.join("");
      assert.equal((await server.send({ path: "/lines" })).text, whole);
      const range = await server.send({ path: "/lines", headers: { range: "bytes=3195-3304" } });
      assert.equal(range.text, whole.slice(3195, 3305));
    } finally {
      await server.stop();
    }
  });
});
