import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, it } from "vitest";
import type { ErrorId } from "../../src/errors/catalogue.ts";
import { STRANGER } from "../fixtures/accounts.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type Sent, type TestServer, testServer } from "../fixtures/server.ts";

const HOST = "demo-1250000000.cos.ap-guangzhou.myqcloud.com";
const BUCKET = "demo-1250000000";
const asHeader = (text: string) => Buffer.from(text, "utf8").toString("latin1");

describe("PutObjectCopy", () => {
  let server: TestServer;
  let copies = 0;

  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER] });
    for (const key of [
      "src/plain.txt",
      "plus+sign",
      "blank sign",
      "报告 (v1).txt",
      "100%",
      "100%25",
      "q?v",
      "dir/",
      "a//b",
      "src%2Fplain.txt",
      "__proto__",
    ]) {
      const answer = await server.send({
        method: "PUT",
        path: `/${key}`,
        body: `bytes of ${key}`,
        headers: { "content-type": "text/plain", "cache-control": "no-cache", "x-cos-meta-a": "1" },
      });
      assert.equal(answer.status, 200);
    }
  });
  afterAll(() => server.stop());

  const get = (path: string, more: Sent = {}) => server.send({ path, ...more });
  const copyTo = (path: string, source: string, { headers, ...more }: Sent = {}) =>
    server.send({ method: "PUT", path, headers: { "x-cos-copy-source": source, ...headers }, ...more });
  const copy = (source: string, more: Sent = {}) => copyTo(`/copy-${copies++}`, source, more);
  const last = () => `/copy-${copies - 1}`;

  it("answers with the result's document and stores the bytes under the new key", async () => {
    const answer = await copy(`${HOST}/src/plain.txt`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-type"], "application/xml");
    const made = await get(last());
    assert.equal(
      answer.text,
      "<?xml version='1.0' encoding='utf-8' ?>\n<CopyObjectResult>" +
        `<ETag>&quot;${createHash("md5").update("bytes of src/plain.txt").digest("hex")}&quot;</ETag>` +
        `<CRC64>${String(made.headers["x-cos-hash-crc64ecma"])}</CRC64>` +
        `<LastModified>${answer.element("LastModified")}</LastModified></CopyObjectResult>`,
    );
    assert.match(answer.element("LastModified") as string, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.equal(
      Date.parse(answer.element("LastModified") as string),
      Date.parse(made.headers["last-modified"] as string),
    );
    assert.equal(made.text, "bytes of src/plain.txt");
    assert.equal(made.headers["etag"], answer.element("ETag"));
    assert.equal(made.headers["content-type"], "text/plain");
    assert.equal(made.headers["x-cos-meta-a"], "1");
  });

  describe("spellings of the source", () => {
    const PLAIN = "src/plain.txt";
    const table: readonly (readonly [spelling: string, key: string])[] = [
      [`${HOST}/src/plain.txt`, PLAIN],
      [`/${HOST}/src/plain.txt`, PLAIN],
      [`http://${HOST}/src/plain.txt`, PLAIN],
      [`https://${HOST}/src/plain.txt`, PLAIN],
      [`HTTPS://${HOST}/src/plain.txt`, PLAIN],
      [`${HOST}:443/src/plain.txt`, PLAIN],
      [`${HOST}:9000/src/plain.txt`, PLAIN],
      [`${HOST}./src/plain.txt`, PLAIN],
      [`${HOST.toUpperCase()}/src/plain.txt`, PLAIN],
      [`${BUCKET}.cos.ap-guangzhou.tencentcos.cn/src/plain.txt`, PLAIN],
      [`${BUCKET}.cos-internal.ap-guangzhou.tencentcos.cn/src/plain.txt`, PLAIN],
      [`${BUCKET}.cos.ap-guangzhou.localhost:9000/src/plain.txt`, PLAIN],
      [`${BUCKET}.cn-south.myqcloud.com/src/plain.txt`, PLAIN],
      [`cos.ap-guangzhou.myqcloud.com/${BUCKET}/src/plain.txt`, PLAIN],
      [`service.cos.myqcloud.com/${BUCKET}/src/plain.txt`, PLAIN],
      [`${BUCKET}/src/plain.txt`, PLAIN],
      [`/${BUCKET}/src/plain.txt`, PLAIN],
      [`//${BUCKET}/src/plain.txt`, PLAIN],
      [`${HOST}/src%2Fplain.txt`, PLAIN],
      [`${HOST}/src%2fplain.txt`, PLAIN],
      [`${HOST}/%73rc/plain%2Etxt`, PLAIN],
      [`${HOST}%2Fsrc%2Fplain.txt`, PLAIN],
      [`${BUCKET}%2Fsrc%2Fplain.txt`, PLAIN],
      [`%2F${BUCKET}%2Fsrc%2Fplain.txt`, PLAIN],
      [`/${BUCKET}/src%2Fplain.txt`, PLAIN],
      [`${HOST}/src/plain.txt?`, PLAIN],
      [`${HOST}/src/plain.txt?versionId=`, PLAIN],
      [`${HOST}/src/plain.txt?unknown=1`, PLAIN],
      [`${HOST}/src%252Fplain.txt`, "src%2Fplain.txt"],
      [`${HOST}/plus+sign`, "plus+sign"],
      [`${HOST}/plus%2Bsign`, "plus+sign"],
      [`${HOST}/plus%2bsign`, "plus+sign"],
      [`${HOST}/blank%20sign`, "blank sign"],
      [`${HOST}/blank sign`, "blank sign"],
      [`/${BUCKET}/blank%20sign`, "blank sign"],
      [`${HOST}/${encodeURIComponent("报告 (v1).txt")}`, "报告 (v1).txt"],
      [`${HOST}/${encodeURI("报告 (v1).txt")}`, "报告 (v1).txt"],
      [`${HOST}/${asHeader("报告 (v1).txt")}`, "报告 (v1).txt"],
      [`${HOST}/100%25`, "100%"],
      [`${HOST}/100%2525`, "100%25"],
      [`${HOST}/q%3Fv`, "q?v"],
      [`${HOST}/dir/`, "dir/"],
      [`${HOST}/dir%2F`, "dir/"],
      [`${HOST}/a//b`, "a//b"],
      [`${HOST}/a%2F%2Fb`, "a//b"],
      [`${BUCKET}/a//b`, "a//b"],
      [`${HOST}/__proto__`, "__proto__"],
    ];
    for (const [spelling, key] of table) {
      it(`${JSON.stringify(spelling)} is ${key}`, async () => {
        const answer = await copy(spelling);
        assert.equal(answer.status, 200, answer.text);
        assert.equal((await get(last())).text, `bytes of ${key}`);
      });
    }

    const refused: readonly (readonly [spelling: string, id: ErrorId])[] = [
      ["/", "InvalidCopySource"],
      ["//", "InvalidCopySource"],
      ["?", "InvalidCopySource"],
      ["?versionId=x", "InvalidCopySource"],
      ["nonsense", "InvalidCopySource"],
      ["src/plain.txt", "InvalidCopySource"],
      [BUCKET, "InvalidCopySource"],
      [`${BUCKET}/`, "InvalidCopySource"],
      [`/${BUCKET}/`, "InvalidCopySource"],
      [HOST, "InvalidCopySource"],
      [`${HOST}/`, "InvalidCopySource"],
      [`${HOST}?versionId=x`, "InvalidCopySource"],
      ["demo/src/plain.txt", "InvalidCopySource"],
      ["Demo-1250000000/src/plain.txt", "InvalidCopySource"],
      ["__proto__/src/plain.txt", "InvalidCopySource"],
      [`ftp://${HOST}/src/plain.txt`, "InvalidCopySource"],
      ["http:///src/plain.txt", "InvalidCopySource"],
      ["example.com/src/plain.txt", "InvalidCopySource"],
      [`${HOST}.evil.tld/src/plain.txt`, "InvalidCopySource"],
      [`evil-${HOST.replace(".com", ".com.evil")}/src/plain.txt`, "InvalidCopySource"],
      [`user@${HOST}/src/plain.txt`, "InvalidCopySource"],
      [`${BUCKET}.cos.xx-nowhere.myqcloud.com/src/plain.txt`, "InvalidCopySource"],
      ["demo.cos.ap-guangzhou.myqcloud.com/src/plain.txt", "InvalidCopySource"],
      [`${BUCKET}.cos-website.ap-guangzhou.myqcloud.com/src/plain.txt`, "InvalidCopySource"],
      ["cos.ap-guangzhou.myqcloud.com/src/plain.txt", "InvalidCopySource"],
      [`${HOST}/%`, "InvalidCopySource"],
      [`${HOST}/%zz`, "InvalidCopySource"],
      [`${HOST}/%ff`, "InvalidCopySource"],
      [`${HOST}/%c0%ae`, "InvalidCopySource"],
      [`${HOST}/%00`, "InvalidCopySource"],
      [`${HOST}/src/plain.txt?versionId=%zz`, "InvalidCopySource"],
      [`${BUCKET}.cos.ap-beijing.myqcloud.com/src/plain.txt`, "NoSuchCopySource"],
      [`${HOST}/missing`, "NoSuchCopySource"],
      [`${HOST}//src/plain.txt`, "NoSuchCopySource"],
      [`${HOST}/src/../src/plain.txt`, "NoSuchCopySource"],
      [`${HOST}/src/plain.txt%3FversionId=x`, "NoSuchCopySource"],
      [`${HOST}/src%25252Fplain.txt`, "NoSuchCopySource"],
      ["nobody-1250000000/src/plain.txt", "NoSuchCopySource"],
      ["nobody-1250000000.cos.ap-guangzhou.myqcloud.com/k", "NoSuchCopySource"],
    ];
    for (const [spelling, id] of refused) {
      it(`${JSON.stringify(spelling)} gives ${id}`, async () => {
        assertRefused(await copy(spelling), id);
        assertRefused(await get(last()), "NoSuchKey");
      });
    }
  });

  it("InvalidCopySource: a source that names no object", async () => {
    assertRefused(await copy("nonsense"), "InvalidCopySource", {
      message: "Copy Source must mention the source bucket and key.",
    });
  });

  it("NoSuchCopySource: a bucket or a key that is not there", async () => {
    assertRefused(await copy("nobody-1250000000/k"), "NoSuchCopySource");
    assertRefused(await copy(`${HOST}/missing`), "NoSuchCopySource");
  });

  it("NoSuchCopySource: a version that the source does not have", async () => {
    assertRefused(await copy(`${HOST}/src/plain.txt?versionId=MTg0`), "NoSuchCopySource");
  });

  it("an empty source is a plain PUT", async () => {
    const answer = await copyTo("/no-copy", "", { body: "own bytes" });
    assert.equal(answer.status, 200);
    assert.equal(answer.text, "");
    assert.equal((await get("/no-copy")).text, "own bytes");
  });

  it("lives on when its source is replaced or deleted, and the other way round", async () => {
    const large = Buffer.alloc(200_000, "large");
    for (const body of [Buffer.from("small"), large]) {
      await server.send({ method: "PUT", path: "/origin", body });
      await copyTo("/kept-1", `${HOST}/origin`);
      await copyTo("/kept-2", `${HOST}/kept-1`);
      await server.send({ method: "PUT", path: "/origin", body: "replaced" });
      assert.ok((await get("/kept-1")).body.equals(body));
      await server.send({ method: "DELETE", path: "/origin" });
      await server.send({ method: "DELETE", path: "/kept-1" });
      assert.ok((await get("/kept-2")).body.equals(body));
    }
  });

  it("replaces what was under the key", async () => {
    await server.send({ method: "PUT", path: "/target", body: "old", headers: { "x-cos-meta-old": "1" } });
    await copyTo("/target", `${HOST}/src/plain.txt`);
    const read = await get("/target");
    assert.equal(read.text, "bytes of src/plain.txt");
    assert.equal(read.headers["x-cos-meta-old"], undefined);
  });

  it("copies an empty object", async () => {
    await server.send({ method: "PUT", path: "/nothing", body: "" });
    const answer = await copy(`${HOST}/nothing`);
    assert.equal(answer.element("ETag"), '"d41d8cd98f00b204e9800998ecf8427e"');
    assert.equal(answer.element("CRC64"), "0");
    assert.equal((await get(last())).headers["content-length"], "0");
  });

  it("copies between buckets and regions", async () => {
    const host = "abroad-1250000000.cos.ap-singapore.myqcloud.com";
    await server.send({ method: "PUT", host });
    assert.equal((await copyTo("/far", `${HOST}/src/plain.txt`, { host })).status, 200);
    assert.equal((await get("/far", { host })).text, "bytes of src/plain.txt");
    assert.equal((await copyTo("/back", `${host}/far`)).status, 200);
    assert.equal((await copyTo("/back-s3", "abroad-1250000000/far")).status, 200);
  });

  describe("directives", () => {
    const replacing = { "content-type": "text/html", "x-cos-meta-b": "2", "content-language": "de" };

    it("Copy takes the headers of the source and passes over those of the request", async () => {
      for (const directive of [
        {},
        { "x-cos-metadata-directive": "Copy" },
        { "x-cos-metadata-directive": "COPY" },
        { "x-cos-metadata-directive": "" },
      ]) {
        assert.equal((await copy(`${HOST}/src/plain.txt`, { headers: { ...replacing, ...directive } })).status, 200);
        const { headers } = await get(last());
        assert.equal(headers["content-type"], "text/plain");
        assert.equal(headers["cache-control"], "no-cache");
        assert.equal(headers["x-cos-meta-a"], "1");
        assert.equal(headers["x-cos-meta-b"], undefined);
        assert.equal(headers["content-language"], undefined);
      }
    });

    it("Replaced takes the headers of the request alone, in every spelling", async () => {
      for (const directive of ["Replaced", "REPLACED", "replaced", "REPLACE"]) {
        const headers = { ...replacing, "x-cos-metadata-directive": directive };
        assert.equal((await copy(`${HOST}/src/plain.txt`, { headers })).status, 200);
        const made = await get(last());
        assert.equal(made.text, "bytes of src/plain.txt");
        assert.equal(made.headers["content-type"], "text/html");
        assert.equal(made.headers["content-language"], "de");
        assert.equal(made.headers["x-cos-meta-b"], "2");
        assert.equal(made.headers["x-cos-meta-a"], undefined);
        assert.equal(made.headers["cache-control"], undefined);
      }
    });

    it("InvalidArgument: a directive that does not exist", async () => {
      const answer = await copy(`${HOST}/src/plain.txt`, { headers: { "x-cos-metadata-directive": "Merge" } });
      assertRefused(answer, "InvalidArgument", { message: /x-cos-metadata-directive/ });
    });

    it("InvalidArgument: metadata over its bound", async () => {
      const headers = { "x-cos-metadata-directive": "Replaced", "x-cos-meta-a": "m".repeat(2048) };
      assertRefused(await copy(`${HOST}/src/plain.txt`, { headers }), "InvalidArgument", { message: /2049 bytes/ });
    });
  });

  describe("onto itself", () => {
    it("InvalidRequest: without replacing anything, however the source is spelt", async () => {
      for (const source of [
        `${HOST}/src/plain.txt`,
        `/${BUCKET}/src%2Fplain.txt`,
        `${BUCKET}.cos.ap-guangzhou.tencentcos.cn/src/plain.txt`,
      ]) {
        assertRefused(await copyTo("/src/plain.txt", source), "InvalidRequest", { message: /onto itself/ });
      }
      assert.equal((await get("/src/plain.txt")).text, "bytes of src/plain.txt");
    });

    it("changes the headers and keeps the bytes, small and large, again and again", async () => {
      for (const body of [Buffer.from("small"), Buffer.alloc(200_000, "large")]) {
        await server.send({ method: "PUT", path: "/self", body });
        for (let round = 1; round <= 3; round++) {
          const headers = { "x-cos-metadata-directive": "Replaced", "x-cos-meta-round": round };
          assert.equal((await copyTo("/self", `${HOST}/self`, { headers })).status, 200);
          const made = await get("/self");
          assert.ok(made.body.equals(body));
          assert.equal(made.headers["x-cos-meta-round"], String(round));
        }
      }
    });
  });

  describe("conditions on the source", () => {
    let etag: string;
    let modified: number;
    beforeAll(async () => {
      const { headers } = await server.send({ method: "HEAD", path: "/src/plain.txt" });
      etag = headers["etag"] as string;
      modified = Date.parse(headers["last-modified"] as string);
    });
    const at = (offsetMs: number) => new Date(modified + offsetMs).toUTCString();

    type Row = readonly [what: string, conditions: () => Readonly<Record<string, string>>, status: 200 | 412];
    const table: readonly Row[] = [
      ["If-Match that holds", () => ({ "If-Match": etag }), 200],
      ["If-Match without quotes", () => ({ "If-Match": etag.slice(1, -1) }), 200],
      ["If-Match that does not hold", () => ({ "If-Match": '"other"' }), 412],
      ["If-None-Match that holds", () => ({ "If-None-Match": '"other"' }), 200],
      ["If-None-Match that does not hold", () => ({ "If-None-Match": etag }), 412],
      ["If-Modified-Since that holds", () => ({ "If-Modified-Since": at(-1000) }), 200],
      ["If-Modified-Since that does not hold", () => ({ "If-Modified-Since": at(0) }), 412],
      ["If-Unmodified-Since that holds", () => ({ "If-Unmodified-Since": at(0) }), 200],
      ["If-Unmodified-Since that does not hold", () => ({ "If-Unmodified-Since": at(-1000) }), 412],
      ["If-Match over If-Unmodified-Since", () => ({ "If-Match": etag, "If-Unmodified-Since": at(-1000) }), 200],
      ["If-None-Match over If-Modified-Since", () => ({ "If-None-Match": '"other"', "If-Modified-Since": at(0) }), 200],
      ["If-Match, but not If-None-Match", () => ({ "If-Match": etag, "If-None-Match": etag }), 412],
      ["empty ones", () => ({ "If-Match": "", "If-None-Match": "" }), 200],
      ["a date that is none", () => ({ "If-Unmodified-Since": "yesterday" }), 200],
    ];
    for (const [what, conditions, status] of table) {
      it(`${what}: ${status}`, async () => {
        for (const prefix of ["x-cos-copy-source-", "x-cos-copy-source-".toUpperCase()]) {
          const headers = Object.fromEntries(
            Object.entries(conditions()).map(([name, value]) => [prefix + name, value]),
          );
          const answer = await copy(`${HOST}/src/plain.txt`, { headers });
          if (status === 412) {
            assertRefused(answer, "PreconditionFailed");
            assertRefused(await get(last()), "NoSuchKey");
          } else {
            assert.equal(answer.status, 200, answer.text);
          }
        }
      });
    }

    it("PreconditionFailed: also where a read would be 304", async () => {
      const headers = { "x-cos-copy-source-If-None-Match": etag };
      assertRefused(await copy(`${HOST}/src/plain.txt`, { headers }), "PreconditionFailed");
    });
  });

  describe("refusals", () => {
    it("NoSuchBucket: the destination is not there", async () => {
      assertRefused(await copy(`${HOST}/src/plain.txt`, { bucket: "nobody-1250000000" }), "NoSuchBucket");
    });

    it("AccessDenied: the destination may not be written, or the source not be read", async () => {
      assertRefused(await copy(`${HOST}/src/plain.txt`, { sign: STRANGER }), "AccessDenied");
      assertRefused(await copy(`${HOST}/src/plain.txt`, { sign: false }), "AccessDenied");
      const bucket = "theirs-1250000002";
      await server.send({ method: "PUT", bucket, sign: STRANGER, headers: { "x-cos-acl": "public-read-write" } });
      for (const sign of [STRANGER, false] as const) {
        for (const source of [`${HOST}/src/plain.txt`, `${HOST}/missing`]) {
          assertRefused(await copyTo("/theirs", source, { bucket, sign }), "AccessDenied");
        }
      }
      assertRefused(await get("/theirs", { bucket, sign: STRANGER }), "NoSuchKey");
    });

    it("lets others copy what everyone may read", async () => {
      const [open, bucket] = ["open-1250000000", "reader-1250000002"];
      await server.send({ method: "PUT", bucket: open, headers: { "x-cos-acl": "public-read" } });
      await server.send({ method: "PUT", bucket: open, path: "/k", body: "shared" });
      await server.send({ method: "PUT", bucket, sign: STRANGER });
      assert.equal((await copyTo("/mine", `${open}/k`, { bucket, sign: STRANGER })).status, 200);
      assert.equal((await get("/mine", { bucket, sign: STRANGER })).text, "shared");
    });

    it("UnexpectedContent: a body beside the source", async () => {
      assertRefused(await copy(`${HOST}/src/plain.txt`, { body: "own bytes" }), "UnexpectedContent");
      assertRefused(await get(last()), "NoSuchKey");
    });

    it("InvalidObjectName: a destination that may not be stored", async () => {
      assertRefused(await copyTo("//x", `${HOST}/src/plain.txt`), "InvalidObjectName");
    });

    it("KeyTooLong: a destination of 851 bytes", async () => {
      assertRefused(await copyTo(`/${"k".repeat(851)}`, `${HOST}/src/plain.txt`), "KeyTooLong");
    });

    it("InvalidObjectState409: an appendable source", async () => {
      const appended = await server.send({
        method: "POST",
        path: "/log",
        query: { append: undefined, position: 0 },
        body: "line",
      });
      assert.equal(appended.status, 200, appended.text);
      assertRefused(await copy(`${HOST}/log`), "InvalidObjectState409");
      assertRefused(await get(last()), "NoSuchKey");
    });

    it("NotSupportedStorageClass: a class nobody knows", async () => {
      const answer = await copy(`${HOST}/src/plain.txt`, { headers: { "x-cos-storage-class": "SHINY" } });
      assertRefused(answer, "NotSupportedStorageClass");
    });

    it("EntityTooLarge: a source over what one request may copy", async () => {
      const small = await testServer({ limits: { singleUploadBytesMax: 1000, partBytesMin: 1 } });
      try {
        const query = {
          uploadId: (await small.send({ method: "POST", path: "/big", query: { uploads: undefined } })).element(
            "UploadId",
          ),
        };
        const etags: string[] = [];
        for (const partNumber of [1, 2]) {
          const part = await small.send({
            method: "PUT",
            path: "/big",
            query: { ...query, partNumber },
            body: "p".repeat(600),
          });
          etags.push(part.headers["etag"] as string);
        }
        const parts = etags
          .map((tag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${tag}</ETag></Part>`)
          .join("");
        const body = `<CompleteMultipartUpload>${parts}</CompleteMultipartUpload>`;
        assert.equal((await small.send({ method: "POST", path: "/big", query, body })).status, 200);
        const headers = { "x-cos-copy-source": `${BUCKET}/big` };
        assertRefused(await small.send({ method: "PUT", path: "/copy", headers }), "EntityTooLarge");
        assertRefused(await small.send({ path: "/copy" }), "NoSuchKey");
      } finally {
        await small.stop();
      }
    });

    it("leaves the connection usable", async () => {
      await copy("nonsense");
      assert.ok((await get("/src/plain.txt")).reused);
    });
  });

  describe("that takes long", () => {
    let slow: TestServer;
    const SIZE = 48 * 1024 * 1024;
    const BODY = Buffer.alloc(SIZE, "0123456789abcdef");
    beforeAll(async () => {
      slow = await testServer({ limits: { earlyAnswerMs: 1 } });
      // An object of one part has another ETag than its MD5, so a copy of it reads all its bytes.
      const query = {
        uploadId: (await slow.send({ method: "POST", path: "/big", query: { uploads: undefined } })).element(
          "UploadId",
        ),
      };
      const part = await slow.send({ method: "PUT", path: "/big", query: { ...query, partNumber: 1 }, body: BODY });
      const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers["etag"]}</ETag></Part></CompleteMultipartUpload>`;
      assert.equal((await slow.send({ method: "POST", path: "/big", query, body })).status, 200);
    });
    afterAll(() => slow.stop());

    it("is answered 200 at once, in chunks, and ends with the document behind its declaration", async () => {
      const answer = await slow.send({
        method: "PUT",
        path: "/copy",
        headers: { "x-cos-copy-source": `${BUCKET}/big` },
      });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers["transfer-encoding"], "chunked", "it took longer than a millisecond");
      assert.equal(answer.headers["content-length"], undefined);
      assert.match(
        answer.text,
        /^<\?xml version='1\.0' encoding='utf-8' \?>\s*<CopyObjectResult>.*<\/CopyObjectResult>$/s,
      );
      const made = await slow.send({ method: "HEAD", path: "/copy" });
      assert.equal(made.headers["etag"], answer.element("ETag"));
      assert.equal(made.headers["etag"], `"${createHash("md5").update(BODY).digest("hex")}"`);
      assert.ok(made.reused);
    });

    it("NoSuchBucket: is an Error document in the 200 that was sent before the bucket was gone", async () => {
      const bucket = "vanishing-1250000000";
      await slow.send({ method: "PUT", bucket });
      const headers = { "x-cos-copy-source": `${BUCKET}/big` };
      const copying = slow.send({ method: "PUT", bucket, path: "/copy", headers });
      await new Promise((resolve) => setTimeout(resolve, 5));
      const deleted = await slow.send({ method: "DELETE", bucket });
      assert.equal(deleted.status, 204);
      const answer = await copying;
      assert.equal(answer.status, 200);
      assert.match(
        answer.text,
        /^<\?xml version='1\.0' encoding='utf-8' \?>\s*<Error><Code>NoSuchBucket<\/Code>.*<\/Error>$/s,
      );
      assert.equal(answer.element("Resource"), `${bucket}.cos.ap-guangzhou.myqcloud.com/copy`);
      assert.equal(answer.element("RequestId"), answer.headers["x-cos-request-id"]);
      assert.notEqual(answer.element("TraceId") ?? "", "");
    });
  });

  it("is what the SDK's putObjectCopy resolves with", async () => {
    const params = {
      Bucket: server.bucket,
      Region: "ap-guangzhou",
      Key: "sdk-copy",
      CopySource: `${HOST}/src/plain.txt`,
    };
    const { ETag } = await server.cos.putObjectCopy(params);
    assert.equal((await get("/sdk-copy")).headers["etag"], ETag);
    await assert.rejects(server.cos.putObjectCopy({ ...params, CopySource: `${HOST}/missing` }), {
      code: "NoSuchCopySource",
    });
  });
});
