import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type TestServer, testServer } from "../fixtures/server.ts";
import { begin, complete, refused, sendPart } from "../fixtures/uploads.ts";

describe("InitiateMultipartUpload", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer();
  });
  afterAll(() => server.stop());

  const initiate = (path: string, rest: object = {}) =>
    server.send({ method: "POST", path, query: { uploads: undefined }, ...rest });

  it("answers the bucket, the key and an id of ten digits and 64 hex digits", async () => {
    const answer = await initiate("/dir/a b&.bin");
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-type"], "application/xml");
    assert.match(
      answer.text,
      new RegExp(
        `^<\\?xml [^>]*\\?>\\s*<InitiateMultipartUploadResult><Bucket>${server.bucket}</Bucket>` +
          "<Key>dir/a b&amp;\\.bin</Key><UploadId>\\d{10}[0-9a-f]{64}</UploadId></InitiateMultipartUploadResult>$",
      ),
    );
  });

  it("gives two uploads of one key two ids", async () => {
    assert.notEqual(await begin(server, "twice"), await begin(server, "twice"));
  });

  it("stores its headers and metadata with the object that is made", async () => {
    const uploadId = await begin(server, "described", {
      "content-type": "text/plain",
      "cache-control": "max-age=60",
      "content-disposition": "attachment",
      "content-language": "zh-CN",
      "x-cos-meta-colour": "blue",
    });
    const etag = await sendPart(server, "described", uploadId, 1, "hello");
    assert.equal((await complete(server, "described", uploadId, [[1, etag]])).status, 200);
    const { headers } = await server.send({ method: "HEAD", path: "/described" });
    assert.deepEqual(
      ["content-type", "cache-control", "content-disposition", "content-language", "x-cos-meta-colour"].map(
        (name) => headers[name],
      ),
      ["text/plain", "max-age=60", "attachment", "zh-CN", "blue"],
    );
  });

  it("takes empty headers for absent ones, as the Node SDK sends them", async () => {
    const uploadId = await begin(server, "empty-headers", { "content-type": "", "cache-control": "" });
    const etag = await sendPart(server, "empty-headers", uploadId, 1, "x");
    await complete(server, "empty-headers", uploadId, [[1, etag]]);
    const { headers } = await server.send({ method: "HEAD", path: "/empty-headers" });
    assert.equal(headers["content-type"], "application/octet-stream");
    assert.equal(headers["cache-control"], undefined);
  });

  it("UnexpectedContent: a body has no place here", async () => {
    refused(await initiate("/k", { body: "<x/>" }), 400, "UnexpectedContent");
  });

  it("InvalidArgument: metadata above the bound", async () => {
    refused(await initiate("/k", { headers: { "x-cos-meta-a": "v".repeat(2048) } }), 400, "InvalidArgument");
  });

  it("NotSupportedStorageClass: a class that nobody knows", async () => {
    refused(await initiate("/k", { headers: { "x-cos-storage-class": "GLACIER" } }), 400, "NotSupportedStorageClass");
  });

  it("NotImplemented: names the header of a feature that is not built", async () => {
    const answer = await initiate("/k", { headers: { "x-cos-return-body": "1" } });
    refused(answer, 501, "NotImplemented");
    assert.match(answer.element("Message") ?? "", /x-cos-return-body/);
  });

  it("NoSuchBucket: the bucket is not there", async () => {
    refused(await initiate("/k", { bucket: "absent-1250000000" }), 404, "NoSuchBucket");
  });

  it("AccessDenied: anonymous callers may not begin uploads in a private bucket", async () => {
    refused(await initiate("/k", { sign: false }), 403, "AccessDenied");
  });
});
