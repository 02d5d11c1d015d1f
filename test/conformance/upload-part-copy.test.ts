import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { crc64Of } from "../../src/store/digests.ts";
import { pattern } from "../contract/store-fixture.ts";
import { type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { begin, complete, md5, refused, sendPart, UNKNOWN_UPLOAD } from "../fixtures/uploads.ts";

const BODY_MAX = 300_000;
const SOURCE = pattern(100_000, 7);

describe("UploadPartCopy", () => {
  let server: TestServer;
  let uploadId: string;
  beforeAll(async () => {
    server = await testServer({ limits: { partBytesMin: 1, singleUploadBytesMax: BODY_MAX } });
    await server.send({ method: "PUT", path: "/source", body: SOURCE });
    await server.send({ method: "PUT", path: "/small", body: "tiny" });
    uploadId = await begin(server, "k");
  });
  afterAll(() => server.stop());

  const named = (key: string) => `${server.bucket}.cos.${server.cosbox.region}.myqcloud.com/${key}`;

  function copy(headers: Record<string, string>, query: Sent["query"] = { partNumber: 1, uploadId }, path = "/k") {
    return server.send({ method: "PUT", path, query, headers: { "x-cos-copy-source": named("source"), ...headers } });
  }

  it("answers the MD5 of the bytes that were copied, and when", async () => {
    const answer = await copy({ "x-cos-copy-source-range": "bytes=10-69999" });
    assert.equal(answer.status, 200, answer.text);
    assert.match(
      answer.text,
      /^<\?xml [^>]*\?>\s*<CopyPartResult><ETag>&quot;[0-9a-f]{32}&quot;<\/ETag><LastModified>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z<\/LastModified><\/CopyPartResult>$/,
    );
    assert.equal(answer.element("ETag"), `"${md5(SOURCE.subarray(10, 70_000))}"`);
  });

  it("makes an object of copied ranges, whole copies and sent parts", async () => {
    const id = await begin(server, "mixed");
    const ranged = await copy(
      { "x-cos-copy-source-range": "bytes=99990-99999" },
      { partNumber: 1, uploadId: id },
      "/mixed",
    );
    const whole = await copy({}, { partNumber: 2, uploadId: id }, "/mixed");
    const small = await copy({ "x-cos-copy-source": named("small") }, { partNumber: 3, uploadId: id }, "/mixed");
    const etags = [ranged, whole, small].map((answer) => (answer.element("ETag") ?? "").replaceAll('"', ""));
    const sent = await sendPart(server, "mixed", id, 4, "end");
    const done = await complete(
      server,
      "mixed",
      id,
      [...etags, sent].map((etag, at) => [at + 1, etag]),
    );
    assert.equal(done.status, 200, done.text);
    const expected = Buffer.concat([SOURCE.subarray(99_990), SOURCE, Buffer.from("tinyend")]);
    assert.equal(done.headers["x-cos-hash-crc64ecma"], String(crc64Of(expected)));
    // What was copied stays when the sources go.
    await server.send({ method: "PUT", path: "/small", body: "tiny" });
    assert.ok((await server.send({ path: "/mixed" })).body.equals(expected));
  });

  it("copies parts of an object that was made of many parts", async () => {
    const id = await begin(server, "pieces");
    const bodies = Array.from({ length: 50 }, (_, at) => pattern(100 + at, at + 1));
    const etags: [number, string][] = [];
    for (const [at, body] of bodies.entries()) etags.push([at + 1, await sendPart(server, "pieces", id, at + 1, body)]);
    assert.equal((await complete(server, "pieces", id, etags)).status, 200);
    const whole = Buffer.concat(bodies);

    const target = await begin(server, "from-pieces");
    const from = { "x-cos-copy-source": named("pieces") };
    const one = await copy(from, { partNumber: 1, uploadId: target }, "/from-pieces");
    const two = await copy(
      { ...from, "x-cos-copy-source-range": "bytes=150-400" },
      { partNumber: 2, uploadId: target },
      "/from-pieces",
    );
    assert.equal(one.element("ETag"), `"${md5(whole)}"`);
    const list = [one, two].map((answer, at): [number, string] => [at + 1, answer.element("ETag") ?? ""]);
    assert.equal((await complete(server, "from-pieces", target, list)).status, 200);
    await server.send({ method: "DELETE", path: "/pieces" });
    const got = await server.send({ path: "/from-pieces" });
    assert.ok(got.body.equals(Buffer.concat([whole, whole.subarray(150, 401)])));
  });

  it("InvalidRange: the range ends behind the source", async () => {
    refused(await copy({ "x-cos-copy-source-range": "bytes=0-100000" }), 416, "InvalidRange");
    refused(await copy({ "x-cos-copy-source-range": "bytes=100000-100001" }), 416, "InvalidRange");
    assert.equal((await copy({ "x-cos-copy-source-range": "bytes=0-99999" })).status, 200);
  });

  it("InvalidArgument: a range of another form, a part number outside its bounds", async () => {
    for (const range of ["bytes=5-", "bytes=-5", "bytes=9-5", "0-5", "bytes=a-b", "bytes=0-1,3-4"]) {
      refused(await copy({ "x-cos-copy-source-range": range }), 400, "InvalidArgument");
    }
    refused(await copy({}, { partNumber: 0, uploadId }), 400, "InvalidArgument");
  });

  it("NoSuchCopySource: no such key, no such bucket", async () => {
    refused(await copy({ "x-cos-copy-source": named("absent") }), 404, "NoSuchCopySource");
    const elsewhere = `absent-1250000000.cos.${server.cosbox.region}.myqcloud.com/source`;
    refused(await copy({ "x-cos-copy-source": elsewhere }), 404, "NoSuchCopySource");
  });

  it("InvalidCopySource: a source that names no object", async () => {
    refused(await copy({ "x-cos-copy-source": "nonsense" }), 400, "InvalidCopySource");
  });

  it("PreconditionFailed: a condition on the source does not hold", async () => {
    refused(await copy({ "x-cos-copy-source-If-Match": '"other"' }), 412, "PreconditionFailed");
    assert.equal((await copy({ "x-cos-copy-source-If-Match": `"${md5(SOURCE)}"` })).status, 200);
  });

  it("NoSuchUpload: comes before the source is looked for", async () => {
    const absent = { "x-cos-copy-source": named("absent") };
    refused(await copy(absent, { partNumber: 1, uploadId: UNKNOWN_UPLOAD }), 404, "NoSuchUpload");
  });

  it("EntityTooLarge: more bytes than one part may have", async () => {
    const id = await begin(server, "long");
    const parts: [number, string][] = [];
    for (const number of [1, 2])
      parts.push([number, await sendPart(server, "long", id, number, pattern(200_000, number))]);
    await complete(server, "long", id, parts);
    refused(await copy({ "x-cos-copy-source": named("long") }), 400, "EntityTooLarge");
    assert.equal(
      (await copy({ "x-cos-copy-source": named("long"), "x-cos-copy-source-range": "bytes=0-299999" })).status,
      200,
    );
  });
});
