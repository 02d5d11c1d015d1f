import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, it } from "vitest";
import { contentMd5, type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { begin, complete, md5, refused, sendPart, UNKNOWN_UPLOAD } from "../fixtures/uploads.ts";

const PARTS_MAX = 20;
const BODY_MAX = 256 * 1024;

describe("UploadPart", () => {
  let server: TestServer;
  let uploadId: string;
  beforeAll(async () => {
    server = await testServer({ limits: { partsMax: PARTS_MAX, singleUploadBytesMax: BODY_MAX } });
    uploadId = await begin(server, "k");
  });
  afterAll(() => server.stop());

  const put = (rest: Sent, partNumber: number | string = 1) =>
    server.send({ method: "PUT", path: "/k", query: { partNumber, uploadId }, body: "hello", ...rest });

  it("answers the MD5 of the part as ETag and its CRC-64", async () => {
    const answer = await put({ body: "123456789" });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.etag, `"${md5("123456789")}"`);
    assert.equal(answer.headers["x-cos-hash-crc64ecma"], "11051210869376104954");
    assert.equal(answer.body.length, 0);
  });

  it("takes a part in chunks without a length", async () => {
    const answer = await put({ framing: "chunked", body: "chunked" });
    assert.equal(answer.headers.etag, `"${md5("chunked")}"`);
  });

  it("puts a part in place of the one that had its number", async () => {
    const id = await begin(server, "replaced");
    await sendPart(server, "replaced", id, 1, "first");
    const etag = await sendPart(server, "replaced", id, 1, "second");
    assert.equal((await complete(server, "replaced", id, [[1, etag]])).status, 200);
    assert.equal((await server.send({ path: "/replaced" })).text, "second");
  });

  it("accepts a body whose digests match its headers", async () => {
    const sha1 = createHash("sha1").update("hello").digest("hex");
    assert.equal(
      (await put({ headers: { "content-md5": contentMd5("hello"), "x-cos-content-sha1": sha1 } })).status,
      200,
    );
  });

  it("BadDigest: the body has another MD5, and the part before it stays", async () => {
    const id = await begin(server, "kept");
    const etag = await sendPart(server, "kept", id, 1, "good");
    const query = { partNumber: 1, uploadId: id };
    const headers = { "content-md5": contentMd5("other") };
    refused(await server.send({ method: "PUT", path: "/kept", query, headers, body: "bad" }), 400, "BadDigest");
    const listed = await server.send({ path: "/kept", query: { uploadId: id } });
    assert.deepEqual(listed.elements("ETag"), [`"${etag}"`]);
  });

  it("InvalidDigest: Content-MD5 is not Base64 of 16 bytes", async () => {
    refused(await put({ headers: { "content-md5": "abc" } }), 400, "InvalidDigest");
  });

  it("InvalidSHA1Digest: the body has another SHA-1", async () => {
    refused(await put({ headers: { "x-cos-content-sha1": "0".repeat(40) } }), 400, "InvalidSHA1Digest");
  });

  it("InvalidArgument: a part number outside its bounds, or none", async () => {
    for (const number of [0, PARTS_MAX + 1, "-1", "1.5", "one", "", "99999999999999999999"]) {
      refused(await put({}, number), 400, "InvalidArgument");
    }
    assert.equal((await put({}, PARTS_MAX)).status, 200);
  });

  it("NoSuchUpload: an unknown id, a text that is none, and another key's", async () => {
    for (const id of [UNKNOWN_UPLOAD, "x", "", "../../x", "9".repeat(5000)]) {
      refused(await put({ query: { partNumber: 1, uploadId: id } }), 404, "NoSuchUpload");
    }
    refused(await put({ path: "/other" }), 404, "NoSuchUpload");
  });

  it("NoSuchUpload: comes before the body is asked for", async () => {
    const signed = server.presign({ method: "PUT", path: "/k", query: { partNumber: 1, uploadId: UNKNOWN_UPLOAD } });
    const url = signed.replace(/^http:\/\/([^/]+)/, "");
    const host = /^http:\/\/([^/]+)/.exec(signed)?.[1];
    const head = `PUT ${url} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`;
    const answer = await server.raw(head, { end: false });
    assert.match(answer, /^HTTP\/1\.1 404 /);
    assert.match(answer, /<Code>NoSuchUpload<\/Code>/);
  });

  it("EntityTooLarge: the length that is told, and the bytes of a chunked body, above the bound", async () => {
    const body = Buffer.alloc(BODY_MAX + 1);
    refused(await put({ body }), 400, "EntityTooLarge");
    refused(await put({ body, framing: "chunked" }), 400, "EntityTooLarge");
    assert.equal((await put({ body: body.subarray(1) })).status, 200);
  });

  it("MissingContentLength: neither a length nor chunks", async () => {
    const signed = server.presign({ method: "PUT", path: "/k", query: { partNumber: 1, uploadId } });
    const [, host, target] = /^http:\/\/([^/]+)(.*)$/.exec(signed) ?? [];
    const answer = await server.raw(`PUT ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    assert.match(answer, /^HTTP\/1\.1 411 /);
    assert.match(answer, /<Code>MissingContentLength<\/Code>/);
  });
});
