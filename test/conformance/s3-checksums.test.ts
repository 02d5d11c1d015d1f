import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type S3Client, s3Client, type S3Request } from "../fixtures/s3.ts";
import { assertS3Refused } from "../fixtures/s3-refusal.ts";
import { contentMd5, type Received, type TestServer, testServer } from "../fixtures/server.ts";

/** The check values of the algorithms' own definitions. */
const OF_123456789 = {
  crc32: Buffer.from("cbf43926", "hex"),
  crc32c: Buffer.from("e3069283", "hex"),
  crc64nvme: Buffer.from("ae8b14860a799888", "hex"),
  sha1: createHash("sha1").update("123456789").digest(),
  sha256: createHash("sha256").update("123456789").digest(),
};
type Name = keyof typeof OF_123456789;
const NAMES = Object.keys(OF_123456789) as Name[];
const base64 = (name: Name): string => OF_123456789[name].toString("base64");
const wrong = (name: Name): string => Buffer.alloc(OF_123456789[name].length, 1).toString("base64");

describe("x-amz-checksum", () => {
  let server: TestServer;
  let s3: S3Client;
  let serial = 0;
  const fresh = (): string => `/checksum-${++serial}`;

  beforeAll(async () => {
    server = await testServer({ limits: { partBytesMin: 1 } });
    s3 = s3Client(server);
  });
  afterAll(() => server.stop());

  const head = (path: string, mode = "ENABLED"): Promise<Received> =>
    s3.send({ method: "HEAD", path, headers: { "x-amz-checksum-mode": mode } });

  async function gone(path: string): Promise<void> {
    assert.equal((await head(path)).status, 404);
  }

  describe.each(NAMES)("%s of a PUT", (name) => {
    const header = `x-amz-checksum-${name}`;

    it("is verified, kept, and answered to whoever asks for it", async () => {
      const path = fresh();
      const headers = { [header]: base64(name), "x-amz-sdk-checksum-algorithm": name.toUpperCase() };
      const put = await s3.send({ method: "PUT", path, body: "123456789", headers });
      assert.equal(put.status, 200, put.text);
      assert.equal(put.headers[header], base64(name));
      assert.equal(put.headers["x-amz-checksum-type"], "FULL_OBJECT");
      assert.equal((await head(path)).headers[header], base64(name));
      assert.equal((await head(path, "DISABLED")).headers[header], undefined);
      const get = await s3.send({ path, headers: { "x-amz-checksum-mode": "ENABLED" } });
      assert.equal(get.headers[header], base64(name));
      const range = await s3.send({ path, headers: { "x-amz-checksum-mode": "ENABLED", range: "bytes=0-1" } });
      assert.equal(range.headers[header], undefined, "it is of all bytes, not of two");
    });

    it("BadDigest: of other bytes, and nothing is stored", async () => {
      for (const body of ["123456789", Buffer.alloc(100_000)]) {
        const path = fresh();
        const answer = await s3.send({ method: "PUT", path, body, headers: { [header]: wrong(name) } });
        assertS3Refused(answer, 400, "BadDigest", new RegExp(`^The ${name.toUpperCase()} you specified`));
        await gone(path);
      }
    });

    it("InvalidRequest: a value that is none", async () => {
      for (const value of ["x", "", "AAAA", `${base64(name)}=`, "!".repeat(8), base64(name).slice(0, -2)]) {
        const answer = await s3.send({ method: "PUT", path: "/none", body: "123456789", headers: { [header]: value } });
        assertS3Refused(answer, 400, "InvalidRequest");
      }
    });

    it.each(["STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"] as const)(
      "comes after the body with %s",
      async (payload) => {
        const path = fresh();
        const request: S3Request = { method: "PUT", path, body: "123456789", payload, chunkBytes: 4 };
        const good = await s3.send({ ...request, trailers: { [header]: base64(name) } });
        assert.equal(good.headers[header], base64(name), good.text);
        assert.equal((await head(path)).headers[header], base64(name));
        assert.equal((await s3.send({ path })).headers["content-encoding"], undefined);
        const other = fresh();
        const bad = await s3.send({ ...request, path: other, trailers: { [header]: wrong(name) } });
        assertS3Refused(bad, 400, "BadDigest");
        await gone(other);
      },
    );
  });

  it("InvalidRequest: two of them, one that is announced as another, and one that does not come", async () => {
    const put = (headers: Record<string, string>) =>
      s3.send({ method: "PUT", path: "/none", body: "123456789", headers });
    const both = { "x-amz-checksum-crc32": base64("crc32"), "x-amz-checksum-sha1": base64("sha1") };
    assertS3Refused(await put(both), 400, "InvalidRequest", /single/);
    const other = { "x-amz-checksum-crc32": base64("crc32"), "x-amz-sdk-checksum-algorithm": "SHA1" };
    assertS3Refused(await put(other), 400, "InvalidRequest", /sdk-checksum-algorithm/);
    assertS3Refused(await put({ "x-amz-sdk-checksum-algorithm": "CRC32" }), 400, "InvalidRequest", /corresponding/);
    assertS3Refused(await put({ "x-amz-sdk-checksum-algorithm": "CRC99" }), 400, "InvalidRequest");
    assertS3Refused(await put({ "x-amz-trailer": "x-amz-checksum-crc32" }), 400, "InvalidRequest");
  });

  it("NotImplemented: a newer algorithm", async () => {
    const headers = { "x-amz-checksum-xxhash3": "AAAAAAAAAAA=" };
    const answer = await s3.send({ method: "PUT", path: "/none", body: "123456789", headers });
    assertS3Refused(answer, 501, "NotImplemented", /XXHASH3/);
  });

  it("is told by its kind in every list, of objects, versions and uploads", async () => {
    const bucket = "kinds-1250000000";
    await s3.send({ method: "PUT", bucket });
    await s3.send({ method: "PUT", bucket, path: "/none", body: "x" });
    await s3.send({
      method: "PUT",
      bucket,
      path: "/some",
      body: "123456789",
      headers: { "x-amz-checksum-crc32c": base64("crc32c") },
    });
    const upload = { "x-amz-checksum-algorithm": "SHA256" };
    await s3.send({ method: "POST", bucket, path: "/some", query: { uploads: undefined }, headers: upload });
    for (const [query, kind] of [
      [{}, ["CRC32C", "FULL_OBJECT"]],
      [{ "list-type": 2 }, ["CRC32C", "FULL_OBJECT"]],
      [{ versions: undefined }, ["CRC32C", "FULL_OBJECT"]],
      [{ uploads: undefined }, ["SHA256", "COMPOSITE"]],
    ] as const) {
      const list = await s3.send({ bucket, query });
      assert.deepEqual([...list.elements("ChecksumAlgorithm"), ...list.elements("ChecksumType")], kind, list.text);
      assert.doesNotMatch((await server.send({ bucket, query })).text, /Checksum/);
    }
  });

  it("goes along with a copy, or is computed for it", async () => {
    const path = fresh();
    const headers = { "x-amz-checksum-sha1": base64("sha1") };
    await s3.send({ method: "PUT", path, body: "123456789", headers });
    const source = { "x-amz-copy-source": `/${s3.bucket}${path}` };
    const plain = await s3.send({ method: "PUT", path: fresh(), headers: source });
    assert.equal(plain.element("ChecksumSHA1"), base64("sha1"));
    const wanted = { ...source, "x-amz-checksum-algorithm": "CRC32C" };
    const computed = await s3.send({ method: "PUT", path: fresh(), headers: wanted });
    assert.equal(computed.element("ChecksumCRC32C"), base64("crc32c"));
    assert.equal(computed.element("ChecksumType"), "FULL_OBJECT");
  });

  describe("of an upload in parts", () => {
    const BODIES = ["1234", "56", "789"];

    async function begin(path: string, headers: Record<string, string>): Promise<string> {
      const answer = await s3.send({ method: "POST", path, query: { uploads: undefined }, headers });
      assert.equal(answer.status, 200, answer.text);
      return answer.element("UploadId") ?? "";
    }

    async function parts(path: string, uploadId: string): Promise<string> {
      let list = "";
      for (const [at, body] of BODIES.entries()) {
        const query = { partNumber: at + 1, uploadId };
        const { headers } = await s3.send({ method: "PUT", path, query, body });
        list += `<Part><PartNumber>${at + 1}</PartNumber><ETag>${headers.etag}</ETag></Part>`;
      }
      return `<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`;
    }

    it.each(["crc32", "crc32c", "crc64nvme"] as const)("FULL_OBJECT %s is that of all bytes", async (name) => {
      const path = fresh();
      const upper = name.toUpperCase();
      const type = { "x-amz-checksum-algorithm": upper, "x-amz-checksum-type": "FULL_OBJECT" };
      const uploadId = await begin(path, type);
      const body = await parts(path, uploadId);
      const bad = { [`x-amz-checksum-${name}`]: wrong(name) };
      const complete: S3Request = { method: "POST", path, query: { uploadId }, body };
      assertS3Refused(await s3.send({ ...complete, headers: bad }), 400, "BadDigest");
      const good = { [`x-amz-checksum-${name}`]: base64(name), "x-amz-mp-object-size": 9 };
      const done = await s3.send({ ...complete, headers: good });
      assert.equal(done.element(`Checksum${upper}`), base64(name), done.text);
      assert.equal(done.element("ChecksumType"), "FULL_OBJECT");
      assert.equal((await head(path)).headers[`x-amz-checksum-${name}`], base64(name));
    });

    it.each(["crc32", "crc32c", "sha1", "sha256"] as const)("COMPOSITE %s is that of the parts' own", async (name) => {
      const path = fresh();
      const upper = name.toUpperCase();
      const uploadId = await begin(path, { "x-amz-checksum-algorithm": upper });
      const body = await parts(path, uploadId);
      const listed = await s3.send({ path, query: { uploadId } });
      assert.equal(listed.element("ChecksumAlgorithm"), upper);
      assert.equal(listed.element("ChecksumType"), "COMPOSITE");
      const own = listed.elements(`Checksum${upper}`).map((value) => Buffer.from(value, "base64"));
      assert.equal(own.length, 3);
      const done = await s3.send({ method: "POST", path, query: { uploadId }, body });
      const expected = name.startsWith("sha")
        ? `${createHash(name).update(Buffer.concat(own)).digest("base64")}-3`
        : done.element(`Checksum${upper}`);
      assert.equal(done.element(`Checksum${upper}`), expected);
      assert.match(expected ?? "", /-3$/);
      assert.equal((await head(path)).headers[`x-amz-checksum-${name}`], expected);
      assert.equal((await head(path)).headers["x-amz-checksum-type"], "COMPOSITE");
    });

    it("InvalidRequest: types that an algorithm cannot have, another algorithm for a part, another size", async () => {
      const start = (headers: Record<string, string>) =>
        s3.send({ method: "POST", path: "/none", query: { uploads: undefined }, headers });
      for (const [algorithm, type] of [
        ["SHA256", "FULL_OBJECT"],
        ["SHA1", "FULL_OBJECT"],
        ["CRC64NVME", "COMPOSITE"],
        ["CRC32", "HALF"],
        ["CRC99", "COMPOSITE"],
      ]) {
        const headers = { "x-amz-checksum-algorithm": algorithm ?? "", "x-amz-checksum-type": type ?? "" };
        assertS3Refused(await start(headers), 400, "InvalidRequest");
      }
      assertS3Refused(await start({ "x-amz-checksum-type": "COMPOSITE" }), 400, "InvalidRequest");
      const path = fresh();
      const uploadId = await begin(path, { "x-amz-checksum-algorithm": "SHA256" });
      const headers = { "x-amz-checksum-crc32": base64("crc32") };
      const query = { partNumber: 9, uploadId };
      const part = await s3.send({ method: "PUT", path, query, body: "123456789", headers });
      assertS3Refused(part, 400, "InvalidRequest", /mismatch/);
      const body = await parts(path, uploadId);
      const complete: S3Request = { method: "POST", path, query: { uploadId }, body };
      assertS3Refused(await s3.send({ ...complete, headers: { "x-amz-mp-object-size": 8 } }), 400, "InvalidRequest");
      const type = { "x-amz-checksum-type": "FULL_OBJECT" };
      assertS3Refused(await s3.send({ ...complete, headers: type }), 400, "InvalidRequest");
      const named = body.replace("</ETag>", `</ETag><ChecksumSHA256>${wrong("sha256")}</ChecksumSHA256>`);
      assertS3Refused(await s3.send({ ...complete, body: named }), 400, "InvalidPart");
    });

    it("is told with the parts by GetObjectAttributes", async () => {
      const path = fresh();
      const uploadId = await begin(path, { "x-amz-checksum-algorithm": "CRC32" });
      await s3.send({ method: "POST", path, query: { uploadId }, body: await parts(path, uploadId) });
      const wanted = "ETag,Checksum,ObjectParts,StorageClass,ObjectSize";
      const ask = (headers: Record<string, string | number>) =>
        s3.send({ path, query: { attributes: undefined }, headers });
      const all = await ask({ "x-amz-object-attributes": wanted });
      assert.equal(all.status, 200, all.text);
      assert.match(all.text, /<GetObjectAttributesResponse xmlns="http:\/\/s3.amazonaws.com\/doc\/2006-03-01\/">/);
      assert.equal(all.element("ObjectSize"), "9");
      assert.equal(all.element("PartsCount"), "3");
      assert.equal(all.element("StorageClass"), "STANDARD");
      assert.equal(all.element("ChecksumType"), "COMPOSITE");
      assert.deepEqual(all.elements("Size"), ["4", "2", "3"]);
      assert.equal(all.elements("ChecksumCRC32").length, 4);
      const page = await ask({
        "x-amz-object-attributes": "ObjectParts",
        "x-amz-max-parts": 1,
        "x-amz-part-number-marker": 1,
      });
      assert.deepEqual(page.elements("PartNumber"), ["2"]);
      assert.equal(page.element("IsTruncated"), "true");
      assert.equal(page.element("NextPartNumberMarker"), "2");
      assert.equal(page.element("ObjectSize"), undefined);
      assertS3Refused(await ask({}), 400, "InvalidArgument");
      assertS3Refused(await ask({ "x-amz-object-attributes": "Colour" }), 400, "InvalidArgument");
    });

    it("lets each part be read by its number, with its own checksum", async () => {
      const path = fresh();
      const uploadId = await begin(path, { "x-amz-checksum-algorithm": "SHA1" });
      await s3.send({ method: "POST", path, query: { uploadId }, body: await parts(path, uploadId) });
      for (const [at, body] of BODIES.entries()) {
        const headers = { "x-amz-checksum-mode": "ENABLED" };
        const answer = await s3.send({ path, query: { partNumber: at + 1 }, headers });
        assert.equal(answer.headers["x-amz-checksum-sha1"], createHash("sha1").update(body).digest("base64"));
        assert.equal(answer.headers["x-amz-checksum-type"], "COMPOSITE");
        assert.equal(`${answer.status} ${answer.text}`, `206 ${body}`);
        assert.equal(answer.headers["x-amz-mp-parts-count"], "3");
        const described = await s3.send({ method: "HEAD", path, query: { partNumber: at + 1 } });
        assert.equal(described.headers["content-length"], String(body.length));
      }
      assertS3Refused(await s3.send({ path, query: { partNumber: 4 } }), 416, "InvalidPartNumber");
      assertS3Refused(await s3.send({ path, query: { partNumber: 0 } }), 400, "InvalidArgument");
      const both = { path, query: { partNumber: 1 }, headers: { range: "bytes=0-0" } };
      assertS3Refused(await s3.send(both), 400, "InvalidRequest");
    });
  });

  it("stands for Content-MD5 in DeleteObjects, which needs one of the two", async () => {
    const body = "<Delete><Object><Key>checksum-doomed</Key></Object></Delete>";
    const send = async (headers: Record<string, string>) => {
      await s3.send({ method: "PUT", path: "/checksum-doomed", body: "x" });
      return await s3.send({ method: "POST", query: { delete: undefined }, body, headers });
    };
    assert.equal((await send({ "content-md5": contentMd5(body) })).element("Key"), "checksum-doomed");
    const sha256 = createHash("sha256").update(body).digest("base64");
    assert.equal((await send({ "x-amz-checksum-sha256": sha256 })).element("Key"), "checksum-doomed");
    assertS3Refused(await send({ "x-amz-checksum-sha256": wrong("sha256") }), 400, "BadDigest");
    assertS3Refused(await send({ "content-md5": contentMd5("other") }), 400, "BadDigest");
    assertS3Refused(await send({ "content-md5": "x" }), 400, "InvalidDigest");
    assertS3Refused(await send({}), 400, "InvalidRequest", /Content-MD5/);
    assert.equal((await s3.send({ path: "/checksum-doomed" })).text, "x");
  });
});
