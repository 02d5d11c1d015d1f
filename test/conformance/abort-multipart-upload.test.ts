import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type TestServer, testServer } from "../fixtures/server.ts";
import { begin, refused, sendPart, UNKNOWN_UPLOAD } from "../fixtures/uploads.ts";

describe("AbortMultipartUpload", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer();
  });
  afterAll(() => server.stop());

  const abort = (key: string, uploadId: string) =>
    server.send({ method: "DELETE", path: `/${key}`, query: { uploadId } });

  it("ends the upload with 204 and no body", async () => {
    const uploadId = await begin(server, "k");
    await sendPart(server, "k", uploadId, 1, "x");
    const answer = await abort("k", uploadId);
    assert.deepEqual([answer.status, answer.text], [204, ""]);
    refused(await server.send({ path: "/k", query: { uploadId } }), 404, "NoSuchUpload");
    const listed = await server.send({ query: { uploads: undefined, prefix: "k" } });
    assert.deepEqual(listed.elements("UploadId"), []);
  });

  it("leaves the object under the key and other uploads of it alone", async () => {
    await server.send({ method: "PUT", path: "/both", body: "object" });
    const one = await begin(server, "both");
    const two = await begin(server, "both");
    const etag = await sendPart(server, "both", two, 1, "part");
    assert.equal((await abort("both", one)).status, 204);
    assert.equal((await server.send({ path: "/both" })).text, "object");
    assert.deepEqual((await server.send({ path: "/both", query: { uploadId: two } })).elements("ETag"), [`"${etag}"`]);
  });

  it("lets the bucket be deleted afterwards", async () => {
    const bucket = "aborted-1250000000";
    await server.send({ method: "PUT", bucket });
    const started = await server.send({ method: "POST", path: "/k", query: { uploads: undefined }, bucket });
    refused(await server.send({ method: "DELETE", bucket }), 409, "BucketNotEmpty");
    const uploadId = started.element("UploadId") as string;
    await server.send({ method: "DELETE", path: "/k", query: { uploadId }, bucket });
    assert.equal((await server.send({ method: "DELETE", bucket })).status, 204);
  });

  it("NoSuchUpload: unknown, aborted before, or another key's", async () => {
    const uploadId = await begin(server, "k");
    refused(await abort("k", UNKNOWN_UPLOAD), 404, "NoSuchUpload");
    refused(await abort("other", uploadId), 404, "NoSuchUpload");
    refused(await abort("k", "nonsense"), 404, "NoSuchUpload");
    assert.equal((await abort("k", uploadId)).status, 204);
    refused(await abort("k", uploadId), 404, "NoSuchUpload");
  });

  it("UnexpectedContent: a body has no place here", async () => {
    const uploadId = await begin(server, "k");
    const answer = await server.send({ method: "DELETE", path: "/k", query: { uploadId }, body: "x" });
    refused(answer, 400, "UnexpectedContent");
  });

  it("AccessDenied: anonymous callers may not end uploads of a private bucket", async () => {
    const uploadId = await begin(server, "k");
    const answer = await server.send({ method: "DELETE", path: "/k", query: { uploadId }, sign: false });
    refused(answer, 403, "AccessDenied");
  });
});
