import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, it } from "vitest";
import { STRANGER } from "../fixtures/accounts.ts";
import { assertRefused, headerNames } from "../fixtures/refusal.ts";
import { type Sent, type TestServer, testServer } from "../fixtures/server.ts";

const TEN = "0123456789";
const TEN_ETAG = `"${createHash("md5").update(TEN).digest("hex")}"`;
/** Large enough to be a blob of several blocks. */
const LARGE = Buffer.from(Array.from({ length: 300_001 }, (_, n) => (n * 31 + (n >> 8)) & 0xff));

describe("GetObject", () => {
  let server: TestServer;
  let modified: number;
  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER] });
    await server.send({
      method: "PUT",
      path: "/ten",
      body: TEN,
      headers: { "content-type": "text/plain", "x-cos-meta-a": "1" },
    });
    await server.send({ method: "PUT", path: "/empty", body: "" });
    await server.send({ method: "PUT", path: "/large", body: LARGE });
    modified = Date.parse((await server.send({ path: "/ten" })).headers["last-modified"] as string);
    await server.send({ method: "PUT", bucket: "open-1250000000", headers: { "x-cos-acl": "public-read" } });
    await server.send({ method: "PUT", bucket: "open-1250000000", path: "/ten", body: TEN });
  });
  afterAll(() => server.stop());

  const get = (more: Sent = {}) => server.send({ path: "/ten", ...more });

  it("answers with the bytes and everything about them, in canonical case", async () => {
    const answer = await get();
    assert.equal(answer.status, 200);
    assert.equal(answer.text, TEN);
    assert.equal(answer.headers["content-length"], "10");
    assert.equal(answer.headers["content-type"], "text/plain");
    assert.equal(answer.headers["accept-ranges"], "bytes");
    assert.equal(answer.headers["etag"], TEN_ETAG);
    assert.equal(answer.headers["x-cos-object-type"], "normal");
    assert.equal(answer.headers["x-cos-meta-a"], "1");
    assert.match(
      answer.headers["last-modified"] as string,
      /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/,
    );
    assert.ok(Math.abs(modified - Date.now()) < 60_000);
    assert.equal(answer.headers["content-range"], undefined);
    assert.equal(answer.headers["x-cos-trace-id"], undefined);
    assert.equal(answer.headers["transfer-encoding"], undefined);
    const expected = [
      "Accept-Ranges",
      "Content-Length",
      "Content-Type",
      "Date",
      "ETag",
      "Last-Modified",
      "Server",
      "x-cos-hash-crc64ecma",
      "x-cos-object-type",
      "x-cos-request-id",
    ];
    for (const name of expected) assert.ok(headerNames(answer).includes(name), name);
  });

  it("NoSuchKey: a key that holds nothing", async () => {
    assertRefused(await get({ path: "/missing" }), "NoSuchKey", {
      resource: "demo-1250000000.cos.ap-guangzhou.myqcloud.com/missing",
    });
    assertRefused(await get({ path: "/ten/" }), "NoSuchKey");
    assertRefused(await get({ path: "/TEN" }), "NoSuchKey");
  });

  it("NoSuchKey: GET // is the key /, never a listing", async () => {
    for (const path of ["//", "///", "/./", "/a/..", "//ten"]) {
      const answer = await get({ path });
      assertRefused(answer, "NoSuchKey");
      assert.doesNotMatch(answer.text, /ListBucketResult/);
    }
  });

  it("NoSuchBucket: a bucket that is not there, or lives in another region", async () => {
    assertRefused(await get({ bucket: "nobody-1250000000" }), "NoSuchBucket");
    assertRefused(await get({ host: `${server.bucket}.cos.ap-beijing.myqcloud.com` }), "NoSuchBucket");
  });

  it("AccessDenied: says nothing about what is in the bucket", async () => {
    for (const path of ["/ten", "/missing"]) {
      assertRefused(await get({ path, sign: STRANGER }), "AccessDenied");
      assertRefused(await get({ path, sign: false }), "AccessDenied");
    }
  });

  it("answers everyone where the ACL lets everyone read", async () => {
    assert.equal((await get({ bucket: "open-1250000000", sign: false })).text, TEN);
    assert.equal((await get({ bucket: "open-1250000000", sign: STRANGER })).text, TEN);
    assertRefused(await get({ bucket: "open-1250000000", path: "/missing", sign: false }), "NoSuchKey");
  });

  it("UnexpectedContent: a body", async () => {
    assertRefused(await get({ body: "x" }), "UnexpectedContent");
  });

  it("passes over parameters it does not know", async () => {
    assert.equal(
      (
        await get({
          query: { "x-unknown": 1, lifecycle: undefined, position: 3, constructor: "x", ["__proto__"]: "y" },
        })
      ).text,
      TEN,
    );
  });

  describe("ranges", () => {
    for (const [range, bytes, contentRange] of [
      ["bytes=0-0", "0", "bytes 0-0/10"],
      ["bytes=0-9", TEN, "bytes 0-9/10"],
      ["bytes=0-", TEN, "bytes 0-9/10"],
      ["bytes=3-5", "345", "bytes 3-5/10"],
      ["bytes=9-9", "9", "bytes 9-9/10"],
      ["bytes=9-", "9", "bytes 9-9/10"],
      ["bytes=5-10", "56789", "bytes 5-9/10"],
      ["bytes=5-999999999999999999", "56789", "bytes 5-9/10"],
      [`bytes=5-${"9".repeat(40)}`, "56789", "bytes 5-9/10"],
      ["bytes=-1", "9", "bytes 9-9/10"],
      ["bytes=-10", TEN, "bytes 0-9/10"],
      ["bytes=-11", TEN, "bytes 0-9/10"],
      ["bytes=-999999999999999999", TEN, "bytes 0-9/10"],
      ["Bytes=1-2", "12", "bytes 1-2/10"],
      ["bytes= 1-2", "12", "bytes 1-2/10"],
    ] as const) {
      it(`${range} is ${contentRange}`, async () => {
        const answer = await get({ headers: { range } });
        assert.equal(answer.status, 206);
        assert.equal(answer.reason, "Partial Content");
        assert.equal(answer.text, bytes);
        assert.equal(answer.headers["content-range"], contentRange);
        assert.equal(answer.headers["content-length"], String(bytes.length));
        assert.equal(answer.headers["etag"], TEN_ETAG);
        const whole = await get();
        assert.equal(
          answer.headers["x-cos-hash-crc64ecma"],
          whole.headers["x-cos-hash-crc64ecma"],
          "of the whole object",
        );
        assert.ok(headerNames(answer).includes("Content-Range"));
      });
    }

    for (const range of [
      "bytes=5-3",
      "bytes=-",
      "bytes=a-b",
      "bytes=0-1,3-4",
      "lines=0-1",
      "bytes",
      "bytes=1",
      "0-1",
      "bytes=--1",
      "bytes=1-2-3",
    ]) {
      it(`${range} is no range and is passed over`, async () => {
        const answer = await get({ headers: { range } });
        assert.equal(answer.status, 200);
        assert.equal(answer.text, TEN);
        assert.equal(answer.headers["content-range"], undefined);
      });
    }

    it("InvalidRange: the first byte is beyond the end, or none is asked for", async () => {
      for (const range of ["bytes=10-", "bytes=10-20", `bytes=${"9".repeat(40)}-`, "bytes=-0"]) {
        const answer = await get({ headers: { range } });
        assertRefused(answer, "InvalidRange");
        assert.equal(answer.headers["content-range"], "bytes */10");
      }
    });

    it("InvalidRange: any range of an empty object", async () => {
      for (const range of ["bytes=0-", "bytes=0-0", "bytes=-1"]) {
        const answer = await get({ path: "/empty", headers: { range } });
        assertRefused(answer, "InvalidRange");
        assert.equal(answer.headers["content-range"], "bytes */0");
      }
      assert.equal((await get({ path: "/empty" })).status, 200);
    });

    it("hold across the blocks of a large object", async () => {
      const end = LARGE.length;
      for (const [first, last] of [
        [0, 0],
        [65_535, 65_536],
        [65_536, 131_071],
        [1, end - 2],
        [end - 1, end - 1],
        [131_072, end - 1],
        [200_000, 262_144],
      ] as const) {
        const answer = await get({ path: "/large", headers: { range: `bytes=${first}-${last}` } });
        assert.equal(answer.status, 206);
        assert.ok(answer.body.equals(LARGE.subarray(first, last + 1)), `${first}-${last}`);
      }
    });

    it("follow If-Range: the part when nothing changed, otherwise the whole", async () => {
      const range = "bytes=2-3";
      for (const [condition, status] of [
        [TEN_ETAG, 206],
        ['"other"', 200],
        [`W/${TEN_ETAG}`, 200],
        [new Date(modified).toUTCString(), 206],
        [new Date(modified - 1000).toUTCString(), 200],
        ["nonsense", 200],
      ] as const) {
        const answer = await get({ headers: { range, "if-range": condition } });
        assert.equal(answer.status, status, condition);
        assert.equal(answer.text, status === 206 ? "23" : TEN);
      }
      assert.equal((await get({ headers: { "if-range": TEN_ETAG } })).status, 200);
    });
  });

  describe("conditions", () => {
    const at = (offsetMs: number) => new Date(modified + offsetMs).toUTCString();
    const OTHER = '"00000000000000000000000000000000"';
    const BARE = TEN_ETAG.slice(1, -1);

    /** Names of the four headers with their values, and what comes of them. Dates are offsets in ms. */
    const table: readonly (readonly [Readonly<Record<string, string | number>>, number])[] = [
      [{ "If-Match": TEN_ETAG }, 200],
      [{ "If-Match": BARE }, 200],
      [{ "If-Match": "*" }, 200],
      [{ "If-Match": `${OTHER}, ${TEN_ETAG}` }, 200],
      [{ "If-Match": OTHER }, 412],
      [{ "If-Match": "" }, 200],
      [{ "If-None-Match": TEN_ETAG }, 304],
      [{ "If-None-Match": BARE }, 304],
      [{ "If-None-Match": `W/${TEN_ETAG}` }, 304],
      [{ "If-None-Match": "*" }, 304],
      [{ "If-None-Match": `${OTHER},${TEN_ETAG}` }, 304],
      [{ "If-None-Match": OTHER }, 200],
      [{ "If-Modified-Since": -1000 }, 200],
      [{ "If-Modified-Since": 0 }, 304],
      [{ "If-Modified-Since": 60_000 }, 304],
      [{ "If-Modified-Since": "yesterday" }, 200],
      [{ "If-Unmodified-Since": -1000 }, 412],
      [{ "If-Unmodified-Since": 0 }, 200],
      [{ "If-Unmodified-Since": 60_000 }, 200],
      [{ "If-Unmodified-Since": "yesterday" }, 200],
      // If-Match wins over If-Unmodified-Since, If-None-Match over If-Modified-Since.
      [{ "If-Match": TEN_ETAG, "If-Unmodified-Since": -1000 }, 200],
      [{ "If-Match": OTHER, "If-Unmodified-Since": 60_000 }, 412],
      [{ "If-None-Match": OTHER, "If-Modified-Since": 60_000 }, 200],
      [{ "If-None-Match": TEN_ETAG, "If-Modified-Since": -1000 }, 304],
      // The first pair is asked before the second.
      [{ "If-Match": OTHER, "If-None-Match": TEN_ETAG }, 412],
      [{ "If-Match": TEN_ETAG, "If-None-Match": TEN_ETAG }, 304],
      [{ "If-Match": TEN_ETAG, "If-None-Match": OTHER }, 200],
      [{ "If-Unmodified-Since": -1000, "If-None-Match": TEN_ETAG }, 412],
      [{ "If-Unmodified-Since": -1000, "If-Modified-Since": 60_000 }, 412],
      [{ "If-Unmodified-Since": 0, "If-Modified-Since": 0 }, 304],
    ];
    for (const [conditions, status] of table) {
      it(`${JSON.stringify(conditions)} give ${status}`, async () => {
        const headers = Object.fromEntries(
          Object.entries(conditions).map(([name, value]) => [name, typeof value === "number" ? at(value) : value]),
        );
        for (const method of ["GET", "HEAD"]) {
          const answer = await get({ method, headers });
          assert.equal(answer.status, status);
          if (status === 200) {
            assert.equal(answer.headers["content-length"], "10");
          } else if (method === "GET" && status === 412) {
            assertRefused(answer, "PreconditionFailed");
          } else {
            assert.equal(answer.body.length, 0);
          }
        }
      });
    }

    it("are read in every form that a date of HTTP has", async () => {
      const iso = new Date(modified).toISOString();
      const [, day, month, year, time] = /^\w+, (\d+) (\w+) \d\d(\d\d) (\S+)/.exec(at(0)) as unknown as string[];
      const long = new Date(modified).toLocaleDateString("en", { weekday: "long", timeZone: "UTC" });
      const asctime = `${at(0).slice(0, 3)} ${month} ${String(Number(day)).padStart(2)} ${time} 20${year}`;
      for (const text of [
        at(0),
        iso,
        iso.replace(".000", ""),
        `${long}, ${day}-${month}-${year} ${time} GMT`,
        asctime,
      ]) {
        assert.equal((await get({ headers: { "If-Modified-Since": text } })).status, 304, text);
      }
    });

    it("a 304 tells ETag and CRC-64 and has no body, no length and no trace", async () => {
      const answer = await get({ headers: { "If-None-Match": TEN_ETAG } });
      assert.equal(answer.status, 304);
      assert.equal(answer.reason, "Not Modified");
      assert.equal(answer.body.length, 0);
      assert.equal(answer.headers["etag"], TEN_ETAG);
      assert.notEqual(answer.headers["x-cos-hash-crc64ecma"], undefined);
      assert.equal(answer.headers["x-cos-trace-id"], undefined);
      assert.notEqual(answer.headers["x-cos-request-id"], undefined);
      assert.equal(answer.headers["transfer-encoding"], undefined);
      const next = await get();
      assert.equal(next.text, TEN);
      assert.ok(next.reused);
    });

    it("PreconditionFailed: with the message that the service's page prints", async () => {
      const answer = await get({ headers: { "if-match": OTHER } });
      assertRefused(answer, "PreconditionFailed", { message: "Precondition not match." });
    });

    it("NoSuchKey: wins over every condition", async () => {
      for (const headers of [{ "if-match": "*" }, { "if-none-match": "*" }]) {
        assertRefused(await get({ path: "/missing", headers }), "NoSuchKey");
      }
    });

    it("are asked before the range", async () => {
      const beyond = "bytes=99-";
      assertRefused(await get({ headers: { range: beyond, "if-match": OTHER } }), "PreconditionFailed");
      assert.equal((await get({ headers: { range: beyond, "if-none-match": TEN_ETAG } })).status, 304);
      assert.equal((await get({ headers: { range: "bytes=1-1", "if-match": TEN_ETAG } })).status, 206);
    });
  });

  describe("response- overrides", () => {
    const overrides = {
      "response-content-type": "text/html",
      "response-cache-control": "no-store",
      "response-content-disposition": 'attachment; filename="x y.txt"',
      "response-content-encoding": "identity",
      "response-content-language": "de",
      "response-expires": "Thu, 01 Jan 1970 00:00:00 GMT",
    };

    for (const sign of [true, "query"] as const) {
      it(`replace the stored headers of a request signed in the ${sign === true ? "header" : "query"}`, async () => {
        const answer = await get({ query: overrides, sign });
        assert.equal(answer.status, 200, answer.text);
        for (const [name, value] of Object.entries(overrides)) {
          assert.equal(answer.headers[name.slice("response-".length)], value);
        }
        assert.equal(answer.text, TEN);
        assert.equal((await get()).headers["content-type"], "text/plain", "the object keeps its own");
      });
    }

    it("apply to a part as well", async () => {
      const answer = await get({ query: overrides, headers: { range: "bytes=0-1" } });
      assert.equal(answer.status, 206);
      assert.equal(answer.headers["content-type"], "text/html");
    });

    it("leave the stored header where they are empty", async () => {
      assert.equal((await get({ query: { "response-content-type": "" } })).headers["content-type"], "text/plain");
    });

    it("are sent as UTF-8", async () => {
      const answer = await get({ query: { "response-content-disposition": 'attachment; filename="报告.txt"' } });
      const raw = answer.headers["content-disposition"] as string;
      assert.equal(Buffer.from(raw, "latin1").toString("utf8"), 'attachment; filename="报告.txt"');
    });

    it("InvalidArgument: control characters split no answer", async () => {
      for (const value of ["a\r\nSet-Cookie: x=1", "a\nb", "a\rb", "a\u0001b", "a\u007fb"]) {
        const answer = await get({ query: { "response-content-type": value } });
        assertRefused(answer, "InvalidArgument", { message: /response-content-type/ });
        assert.equal(answer.headers["set-cookie"], undefined);
      }
    });

    it("InvalidArgument: one that is given twice", async () => {
      const query = { "response-expires": "0" };
      const url = new URL(server.presign({ path: "/ten", query }));
      const answer = await server.send({ target: `${url.pathname}${url.search}&Response-Expires=1`, sign: false });
      assert.equal(answer.status, 403, "the signature covers both values");
      const unsigned = server.presign({ path: "/ten" });
      const twice = new URL(`${unsigned}&response-expires=0&response-expires=1`);
      const refused = await server.send({ target: `${twice.pathname}${twice.search}`, sign: false });
      assertRefused(refused, "InvalidArgument", { message: /response-expires/ });
    });

    it("InvalidRequest: anonymous requests may not have them", async () => {
      for (const [name, value] of Object.entries(overrides)) {
        const answer = await get({ bucket: "open-1250000000", query: { [name]: value }, sign: false });
        assertRefused(answer, "InvalidRequest", { message: /signed/ });
      }
    });
  });
});
