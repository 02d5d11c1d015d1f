import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, it } from "vitest";
import { crc64Of } from "../../src/store/digests.ts";
import { pattern } from "../contract/store-fixture.ts";
import { contentMd5, type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { begin, complete, md5, partList, refused, sendPart, UNKNOWN_UPLOAD } from "../fixtures/uploads.ts";

const PART_MIN = 1000;
const PARTS_MAX = 60;

describe("CompleteMultipartUpload", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({
      limits: { partBytesMin: PART_MIN, partsMax: PARTS_MAX, objectBytesMax: 2_000_000, xmlCompleteBytesMax: 20_000 },
    });
  });
  afterAll(() => server.stop());

  /** Uploads parts of these sizes, numbered from 1, and returns what is needed to complete them. */
  async function upload(key: string, sizes: readonly number[]) {
    const uploadId = await begin(server, key);
    const bodies = sizes.map((size, at) => pattern(size, at + 1));
    const named: [number, string][] = [];
    for (const [at, body] of bodies.entries())
      named.push([at + 1, await sendPart(server, key, uploadId, at + 1, body)]);
    return { uploadId, bodies, named };
  }

  const post = (key: string, uploadId: string, rest: Sent) =>
    server.send({ method: "POST", path: `/${key}`, query: { uploadId }, ...rest });

  it("makes an object of the parts, with the MD5 of their MD5s and the CRC-64 of the whole", async () => {
    const { uploadId, bodies, named } = await upload("whole", [70_000, 5_000, 10]);
    const answer = await complete(server, "whole", uploadId, named);
    assert.equal(answer.status, 200, answer.text);
    const whole = Buffer.concat(bodies);
    const md5s = bodies.map((body) => createHash("md5").update(body).digest());
    const etag = `"${md5(Buffer.concat(md5s))}-3"`;
    const crc64 = String(crc64Of(whole));
    assert.match(
      answer.text,
      /^<\?xml [^>]*\?>\s*<CompleteMultipartUploadResult><Location>[^<]*<\/Location><Bucket>[^<]*<\/Bucket><Key>whole<\/Key><ETag>[^<]*<\/ETag><\/CompleteMultipartUploadResult>$/,
    );
    assert.equal(answer.element("ETag"), etag);
    assert.equal(answer.element("Bucket"), server.bucket);
    assert.equal(answer.element("Location"), `http://${server.bucket}.cos.${server.cosbox.region}.myqcloud.com/whole`);
    assert.equal(answer.headers["x-cos-hash-crc64ecma"], crc64);
    const got = await server.send({ path: "/whole" });
    assert.ok(got.body.equals(whole));
    assert.equal(got.headers.etag, etag);
    assert.equal(got.headers["x-cos-hash-crc64ecma"], crc64);
    const across = await server.send({ path: "/whole", headers: { range: "bytes=69990-75004" } });
    assert.ok(across.body.equals(whole.subarray(69_990, 75_005)));
  });

  it("accepts ETags with quotes and without, escaped, in upper case, with a namespace and a declaration", async () => {
    const { uploadId, named } = await upload("quotes", [PART_MIN, PART_MIN, 1]);
    const [one, two, three] = named.map(([, etag]) => etag) as [string, string, string];
    const list = partList([
      [1, `"${one}"`],
      [2, `&quot;${two.toUpperCase()}&quot;`],
      [3, three],
    ]).replace("<CompleteMultipartUpload>", '<CompleteMultipartUpload xmlns="http://example.com/ns">');
    const body = `<?xml version="1.0" encoding="UTF-8"?>\n${list}`;
    const answer = await post("quotes", uploadId, { body, headers: { "content-md5": contentMd5(body) } });
    assert.equal(answer.status, 200, answer.text);
  });

  it("makes an object of more parts than its row can hold", async () => {
    const { uploadId, bodies, named } = await upload("many", new Array<number>(PARTS_MAX).fill(PART_MIN));
    assert.equal((await complete(server, "many", uploadId, named)).status, 200);
    const whole = Buffer.concat(bodies);
    assert.ok((await server.send({ path: "/many" })).body.equals(whole));
    const range = await server.send({ path: "/many", headers: { range: "bytes=34500-47001" } });
    assert.ok(range.body.equals(whole.subarray(34_500, 47_002)));
  });

  it("takes the parts that are named, gaps between their numbers included, and no others", async () => {
    const uploadId = await begin(server, "some");
    for (const number of [2, 5, 9, 40]) await sendPart(server, "some", uploadId, number, pattern(PART_MIN, number));
    const named = [5, 40].map((number): [number, string] => [number, md5(pattern(PART_MIN, number))]);
    assert.equal((await complete(server, "some", uploadId, named)).status, 200);
    const got = await server.send({ path: "/some" });
    assert.ok(got.body.equals(Buffer.concat([pattern(PART_MIN, 5), pattern(PART_MIN, 40)])));
  });

  it("replaces the object that was there", async () => {
    await server.send({ method: "PUT", path: "/over", body: "old" });
    const { uploadId, named } = await upload("over", [3]);
    assert.equal((await server.send({ path: "/over" })).text, "old");
    await complete(server, "over", uploadId, named);
    assert.ok((await server.send({ path: "/over" })).body.equals(pattern(3, 1)));
  });

  it("InvalidPartOrder: numbers that do not ascend, a number twice", async () => {
    const { uploadId, named } = await upload("order", [PART_MIN, PART_MIN]);
    const [one, two] = named as [[number, string], [number, string]];
    refused(await complete(server, "order", uploadId, [two, one]), 400, "InvalidPartOrder");
    refused(await complete(server, "order", uploadId, [one, one]), 400, "InvalidPartOrder");
    assert.equal((await complete(server, "order", uploadId, [one, two])).status, 200, "the upload is still open");
  });

  it("InvalidPart: a number that was not uploaded, an ETag the part does not have", async () => {
    const { uploadId, named } = await upload("part", [PART_MIN, 1]);
    const [one, two] = named as [[number, string], [number, string]];
    refused(await complete(server, "part", uploadId, [one, two, [3, two[1]]]), 400, "InvalidPart");
    refused(await complete(server, "part", uploadId, [one, [2, one[1]]]), 400, "InvalidPart");
    refused(await complete(server, "part", uploadId, [one, [2, "x"]]), 400, "InvalidPart");
    assert.equal((await complete(server, "part", uploadId, [one, two])).status, 200, "the upload is still open");
  });

  it("EntityTooSmall: a part other than the last is below the bound", async () => {
    const { uploadId, named } = await upload("small", [PART_MIN - 1, PART_MIN]);
    refused(await complete(server, "small", uploadId, named), 400, "EntityTooSmall");
    const replaced = await sendPart(server, "small", uploadId, 1, pattern(PART_MIN));
    assert.equal((await complete(server, "small", uploadId, [[1, replaced], ...named.slice(1)])).status, 200);
  });

  it("EntityTooLarge: the parts together are above the bound of an object", async () => {
    const { uploadId, named } = await upload("large", [1_000_000, 1_000_001]);
    refused(await complete(server, "large", uploadId, named), 400, "EntityTooLarge");
  });

  it("MalformedXML: no parts, part number 0, no ETag, another document", async () => {
    const { uploadId, named } = await upload("malformed", [10]);
    const etag = named[0]?.[1] as string;
    for (const body of [
      partList([]),
      partList([[0, etag]]),
      partList([[-1, etag]]),
      "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
      `<CompleteMultipartUpload><Part><PartNumber>one</PartNumber><ETag>${etag}</ETag></Part></CompleteMultipartUpload>`,
      "<Delete/>",
      "<CompleteMultipartUpload>",
      "{}",
    ]) {
      refused(await post("malformed", uploadId, { body }), 400, "MalformedXML");
    }
  });

  it("InvalidArgument: a part number above the greatest", async () => {
    const { uploadId, named } = await upload("number", [10]);
    refused(
      await complete(server, "number", uploadId, [[PARTS_MAX + 1, named[0]?.[1] as string]]),
      400,
      "InvalidArgument",
    );
  });

  it("MissingRequestBodyError: no document at all", async () => {
    const { uploadId } = await upload("bodyless", [10]);
    refused(await post("bodyless", uploadId, {}), 400, "MissingRequestBodyError");
  });

  it("BadDigest: the document has another MD5", async () => {
    const { uploadId, named } = await upload("digest", [10]);
    const headers = { "content-md5": contentMd5("other") };
    refused(await post("digest", uploadId, { body: partList(named), headers }), 400, "BadDigest");
  });

  it("XMLSizeLimit: a document above the bound", async () => {
    const { uploadId, named } = await upload("size", [10]);
    const body = partList(named) + " ".repeat(20_000);
    refused(await post("size", uploadId, { body }), 400, "XMLSizeLimit");
  });

  it("NoSuchUpload: an unknown id, another key, an upload that was completed or aborted", async () => {
    const { uploadId, named } = await upload("gone", [10]);
    refused(await complete(server, "gone", UNKNOWN_UPLOAD, named), 404, "NoSuchUpload");
    refused(await complete(server, "elsewhere", uploadId, named), 404, "NoSuchUpload");
    assert.equal((await complete(server, "gone", uploadId, named)).status, 200);
    refused(await complete(server, "gone", uploadId, named), 404, "NoSuchUpload");
    const aborted = await upload("gone", [10]);
    await server.send({ method: "DELETE", path: "/gone", query: { uploadId: aborted.uploadId } });
    refused(await complete(server, "gone", aborted.uploadId, aborted.named), 404, "NoSuchUpload");
  });
});

describe("CompleteMultipartUpload through the official SDK", () => {
  it("makes what sliceUploadFile sends, part by part", async () => {
    const server = await testServer();
    try {
      const where = { Bucket: server.bucket, Region: server.cosbox.region, Key: "sdk/文件.bin" };
      const { UploadId } = await server.cos.multipartInit(where);
      const first = pattern(1024 * 1024, 1);
      const second = pattern(300, 2);
      const one = await server.cos.multipartUpload({ ...where, UploadId, PartNumber: 1, Body: first });
      const two = await server.cos.multipartUpload({ ...where, UploadId, PartNumber: 2, Body: second });
      const listed = await server.cos.multipartListPart({ ...where, UploadId });
      assert.deepEqual(
        listed.Part.map(({ PartNumber, ETag, Size }) => [PartNumber, ETag, Size]),
        [
          ["1", one.ETag, "1048576"],
          ["2", two.ETag, "300"],
        ],
      );
      const done = await server.cos.multipartComplete({
        ...where,
        UploadId,
        Parts: [
          { PartNumber: 1, ETag: one.ETag },
          { PartNumber: 2, ETag: two.ETag },
        ],
      });
      assert.match(done.ETag, /^"[0-9a-f]{32}-2"$/);
      const got = await server.cos.getObject(where);
      assert.ok(Buffer.concat([first, second]).equals(got.Body));
    } finally {
      await server.stop();
    }
  });
});
