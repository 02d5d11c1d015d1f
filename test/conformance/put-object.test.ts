import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, it } from "vitest";
import { STRANGER } from "../fixtures/accounts.ts";
import { assertRefused, headerNames } from "../fixtures/refusal.ts";
import { contentMd5, type Sent, type TestServer, testServer } from "../fixtures/server.ts";

const HELLO = "hello world";
const HELLO_MD5 = "5eb63bbbe01eeed093cb22bb8f5acdc3";

/** Text as a client sends it in a header: its UTF-8 bytes, one character each. */
const asHeader = (text: string) => Buffer.from(text, "utf8").toString("latin1");

describe("PutObject", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER] });
  });
  afterAll(() => server.stop());

  const put = (path: string, more: Sent = {}) => server.send({ method: "PUT", path, body: HELLO, ...more });
  const get = (path: string, more: Sent = {}) => server.send({ path, ...more });

  /** Asserts that nothing is stored there. */
  async function assertAbsent(path: string): Promise<void> {
    assertRefused(await get(path), "NoSuchKey");
  }

  it("answers with the MD5 as quoted ETag and the CRC-64, and no body", async () => {
    const answer = await put("/plain");
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["etag"], `"${HELLO_MD5}"`);
    assert.equal(answer.headers["x-cos-hash-crc64ecma"], "5981764153023615706");
    assert.equal(answer.headers["content-length"], "0");
    assert.equal(answer.body.length, 0);
    assert.equal(answer.headers["x-cos-version-id"], undefined);
    assert.equal(answer.headers["x-cos-storage-class"], undefined);
    for (const name of ["ETag", "x-cos-hash-crc64ecma", "x-cos-request-id", "Date", "Server"]) {
      assert.ok(headerNames(answer).includes(name), name);
    }
    assert.equal((await get("/plain")).text, HELLO);
  });

  for (const [text, crc] of [
    ["123456789", "11051210869376104954"],
    ["[Object Content]", "16749565679157681890"],
    ["", "0"],
  ]) {
    it(`sums ${JSON.stringify(text)} to the CRC-64 of the reference`, async () => {
      assert.equal((await put("/crc", { body: text as string })).headers["x-cos-hash-crc64ecma"], crc);
    });
  }

  it("stores an empty object", async () => {
    const answer = await put("/folder/", { body: "" });
    assert.equal(answer.headers["etag"], '"d41d8cd98f00b204e9800998ecf8427e"');
    const read = await get("/folder/");
    assert.equal(read.status, 200);
    assert.equal(read.headers["content-length"], "0");
    assert.equal(read.body.length, 0);
  });

  for (const size of [1, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 64 * 1024, 3 * 1024 * 1024 + 7]) {
    it(`gives back ${size} bytes as they came, told by length or in chunks`, async () => {
      const body = Buffer.alloc(size, "0123456789abcdefghijklmnopq");
      const etag = `"${createHash("md5").update(body).digest("hex")}"`;
      for (const framing of [{}, { framing: "chunked" }] as const) {
        const path = `/size-${size}-${framing.framing ?? "length"}`;
        const answer = await put(path, { body, ...framing });
        assert.equal(answer.status, 200, answer.text);
        assert.equal(answer.headers["etag"], etag);
        const read = await get(path);
        assert.ok(read.body.equals(body));
        assert.equal(read.headers["content-length"], String(size));
        assert.equal(read.headers["x-cos-hash-crc64ecma"], answer.headers["x-cos-hash-crc64ecma"]);
      }
    });
  }

  it("replaces what was there, its headers included", async () => {
    await put("/twice", {
      headers: { "cache-control": "no-cache", "x-cos-meta-a": "1", "content-type": "text/plain" },
    });
    await put("/twice", { body: "second" });
    const read = await get("/twice");
    assert.equal(read.text, "second");
    assert.equal(read.headers["cache-control"], undefined);
    assert.equal(read.headers["x-cos-meta-a"], undefined);
    assert.equal(read.headers["content-type"], "application/octet-stream");
  });

  it("stores the headers of the content and gives them back under their own names", async () => {
    const stored = {
      "content-type": "text/html; charset=utf-8",
      "cache-control": "max-age=60, public",
      "content-disposition": 'attachment; filename="a b.txt"',
      "content-encoding": "gzip",
      "content-language": "zh-CN",
      expires: "Wed, 21 Oct 2099 07:28:00 GMT",
    };
    assert.equal((await put("/headers", { headers: stored })).status, 200);
    for (const method of ["GET", "HEAD"]) {
      const read = await get("/headers", { method });
      for (const [name, value] of Object.entries(stored)) assert.equal(read.headers[name], value, name);
      for (const name of ["Content-Type", "Cache-Control", "Content-Disposition", "Content-Encoding", "Expires"]) {
        assert.ok(headerNames(read).includes(name), name);
      }
    }
  });

  it("takes the type from the end of the key where no header names one", async () => {
    for (const [path, type] of [
      ["/a.txt", "text/plain"],
      ["/a.b.ZIP", "application/zip"],
      ["/a.__proto__", "application/octet-stream"],
      ["/dir.txt/a", "application/octet-stream"],
    ] as const) {
      await put(path);
      assert.equal((await get(path)).headers["content-type"], type, path);
    }
  });

  it("keeps an Expires that is no date, as it came", async () => {
    await put("/expires", { headers: { expires: "0" } });
    assert.equal((await get("/expires")).headers["expires"], "0");
  });

  it("counts empty headers as absent", async () => {
    const empty = {
      "cache-control": "",
      "content-type": "",
      "content-disposition": "",
      "content-encoding": "",
      "content-md5": "",
      "x-cos-content-sha1": "",
      "x-cos-storage-class": "",
      "x-cos-acl": "",
      "x-cos-server-side-encryption": "",
      "x-cos-tagging": "",
      "x-cos-copy-source": "",
    };
    const answer = await put("/empty-headers", { headers: empty });
    assert.equal(answer.status, 200, answer.text);
    const read = await get("/empty-headers");
    assert.equal(read.text, HELLO);
    assert.equal(read.headers["content-type"], "application/octet-stream");
    assert.equal(read.headers["cache-control"], undefined);
  });

  describe("its metadata", () => {
    it("comes back under lower-case names, in order, with its bytes untouched", async () => {
      const answer = await put("/meta", {
        headers: {
          "x-cos-meta-Author": "O'Neil*",
          "X-Cos-Meta-Title": asHeader("报告 café"),
          "x-cos-meta-z-1": "mid  dle",
        },
      });
      assert.equal(answer.status, 200, answer.text);
      for (const method of ["GET", "HEAD"]) {
        const read = await get("/meta", { method });
        assert.equal(read.headers["x-cos-meta-author"], "O'Neil*");
        assert.equal(read.headers["x-cos-meta-title"], asHeader("报告 café"));
        assert.equal(read.headers["x-cos-meta-z-1"], "mid  dle");
        const names = headerNames(read).filter((name) => name.startsWith("x-cos-meta-"));
        assert.deepEqual(names, ["x-cos-meta-author", "x-cos-meta-title", "x-cos-meta-z-1"]);
      }
    });

    it("may be named like anything that objects inherit", async () => {
      const names = ["__proto__", "constructor", "toString", "hasOwnProperty"];
      const headers = Object.fromEntries(names.map((name) => [`x-cos-meta-${name}`, name]));
      assert.equal((await put("/meta-proto", { headers })).status, 200);
      const read = await get("/meta-proto");
      for (const name of names) assert.equal(read.headers[`x-cos-meta-${name.toLowerCase()}`], name);
      assert.equal(Object.keys(Object.prototype).length, 0);
    });

    it("keeps an empty value", async () => {
      await put("/meta-empty", { headers: { "x-cos-meta-empty": "", "x-cos-meta-a": "1" } });
      const read = await get("/meta-empty");
      assert.equal(read.headers["x-cos-meta-empty"], "");
      assert.equal(read.headers["x-cos-meta-a"], "1");
    });

    it("may take 2 KB of names and values together", async () => {
      const headers = { "x-cos-meta-ab": "v".repeat(1000), "x-cos-meta-cd": "w".repeat(2048 - 1004) };
      assert.equal((await put("/meta-2k", { headers })).status, 200);
      assert.equal((await get("/meta-2k")).headers["x-cos-meta-cd"], "w".repeat(1044));
    });

    it("InvalidArgument: one byte more", async () => {
      const headers = { "x-cos-meta-ab": "v".repeat(1000), "x-cos-meta-cd": "w".repeat(2049 - 1004) };
      assertRefused(await put("/meta-2k1", { headers }), "InvalidArgument", { message: /2049 bytes; at most 2048/ });
      await assertAbsent("/meta-2k1");
    });

    for (const value of ["1", ""]) {
      it(`InvalidArgument: a header without a name after the prefix, valued ${JSON.stringify(value)}`, async () => {
        const answer = await put("/meta-nameless", { headers: { "x-cos-meta-": value, "x-cos-meta-a": "1" } });
        assertRefused(answer, "InvalidArgument", { message: "The header x-cos-meta- has no name after its prefix." });
        await assertAbsent("/meta-nameless");
      });
    }

    it("is not made of headers that no page knows, which are ignored", async () => {
      const headers = { "x-cos-metadata-color": "red", "x-cos-of-tomorrow": "1" };
      assert.equal((await put("/meta-unknown", { headers })).status, 200);
      const names = headerNames(await get("/meta-unknown")).map((name) => name.toLowerCase());
      for (const name of Object.keys(headers)) assert.ok(!names.includes(name), name);
    });
  });

  describe("its digests", () => {
    const sha1 = (text: string) => createHash("sha1").update(text).digest("hex");

    it("accepts the right ones", async () => {
      const headers = { "content-md5": contentMd5(HELLO), "x-cos-content-sha1": sha1(HELLO) };
      assert.equal((await put("/digests", { headers })).status, 200);
      const upper = { "x-cos-content-sha1": sha1(HELLO).toUpperCase() };
      assert.equal((await put("/digests-upper", { headers: upper })).status, 200);
      assert.equal((await put("/digests-chunked", { headers, framing: "chunked" })).status, 200);
      assert.equal((await put("/digests-empty", { body: "", headers: { "content-md5": contentMd5("") } })).status, 200);
    });

    it("BadDigest: another MD5; the object that was there stays", async () => {
      await put("/digest-kept", { body: "before" });
      for (const path of ["/digest-kept", "/digest-new"]) {
        for (const framing of [{}, { framing: "chunked" }] as const) {
          const answer = await put(path, { headers: { "content-md5": contentMd5("other") }, ...framing });
          assertRefused(answer, "BadDigest");
        }
      }
      assert.equal((await get("/digest-kept")).text, "before");
      await assertAbsent("/digest-new");
    });

    it("BadDigest: large bodies are not kept either", async () => {
      const body = Buffer.alloc(2 * 1024 * 1024, 7);
      assertRefused(await put("/digest-large", { body, headers: { "content-md5": contentMd5("other") } }), "BadDigest");
      await assertAbsent("/digest-large");
      assert.ok((await put("/after")).reused, "the connection serves on");
    });

    it("InvalidDigest: a Content-MD5 that is not Base64 of 16 bytes", async () => {
      for (const text of [
        "abc",
        HELLO_MD5,
        "XrY7u+Ae7tCTyyK7j1rNww=",
        "XrY7u+Ae7tCTyyK7j1rNww",
        "XrY7u-Ae7tCTyyK7j1rNww==",
        "*",
      ]) {
        assertRefused(await put("/digest-bad", { headers: { "content-md5": text } }), "InvalidDigest");
      }
      await assertAbsent("/digest-bad");
    });

    it("InvalidSHA1Digest: another SHA-1, and one that is no SHA-1", async () => {
      await put("/sha1", { body: "before" });
      for (const text of [sha1("other"), "abc", contentMd5(HELLO), sha1(HELLO).slice(1)]) {
        assertRefused(await put("/sha1", { headers: { "x-cos-content-sha1": text } }), "InvalidSHA1Digest");
      }
      assert.equal((await get("/sha1")).text, "before");
    });

    it("BadDigest: wins over a wrong SHA-1", async () => {
      const headers = { "content-md5": contentMd5("other"), "x-cos-content-sha1": sha1("other") };
      assertRefused(await put("/both", { headers }), "BadDigest");
    });
  });

  describe("keys", () => {
    for (const key of [
      "../x",
      "a/../../b",
      ".",
      "..",
      "./",
      "a//b",
      "a/",
      "a/./b",
      "..\\x",
      "%2e%2e%2f",
      "%252e",
      "a\u2215b",
      "trailing dot.",
      "trailing blank ",
      " leading blank",
      "CON",
      "NUL:",
      "a\r\nb",
      "a\tb",
      "\u0001\u007f",
      "a?b&c=d#e",
      "a+b c",
      "报告 (v1).txt",
      "emoji \u{1f600}",
      "café",
      "cafe\u0301",
      "!'()*~-_.",
      "<&>\"']]>",
      "\ufffe\uffff",
      "__proto__",
      "constructor",
      "a".repeat(850),
      `${"€".repeat(283)}x`,
    ]) {
      it(`${JSON.stringify(key.length > 40 ? `${key.slice(0, 40)}…` : key)} is stored, read, listed and deleted verbatim`, async () => {
        const path = `/${key}`;
        const stored = await put(path, { body: key });
        assert.equal(stored.status, 200, stored.text);
        assert.equal((await get(path)).text, key);
        const listed = await server.send({ query: { prefix: key, "max-keys": 1, "encoding-type": "url" } });
        assert.equal(decodeURIComponent(listed.element("Key") as string), key);
        assert.equal((await server.send({ method: "DELETE", path })).status, 204);
        await assertAbsent(path);
      });
    }

    it("are not mixed up by letters or forms that look alike", async () => {
      const keys = ["Case", "case", "caf\u00e9", "cafe\u0301", "a/b", "a\u2215b", "a%2Fb"];
      for (const key of keys) await put(`/alike-${key}`, { body: key });
      for (const key of keys) assert.equal((await get(`/alike-${key}`)).text, key);
    });

    it("take an encoded slash for a slash", async () => {
      assert.equal(
        (await server.send({ method: "PUT", target: "/dir%2Ffile", path: "/dir/file", body: "x" })).status,
        200,
      );
      assert.equal((await get("/dir/file")).text, "x");
    });

    it("KeyTooLong: 851 bytes", async () => {
      for (const key of ["a".repeat(851), `${"€".repeat(283)}xy`]) {
        assertRefused(await put(`/${key}`), "KeyTooLong");
        assertRefused(await get(`/${key}`), "KeyTooLong");
      }
    });

    it("InvalidObjectName: a leading slash or backslash, and the bytes 24 to 27", async () => {
      for (const key of ["/", "//", "/x", "\\", "\\x", "a\u0018", "\u0019", "\u001ab", "a\u001bb"]) {
        assertRefused(await put(`/${key}`), "InvalidObjectName");
        assertRefused(await get(`/${key}`), "NoSuchKey");
      }
    });

    it("InvalidURI: NUL, escapes that are no UTF-8, broken escapes", async () => {
      for (const target of [
        "/%00",
        "/a%00b",
        "/%ff",
        "/%c0%ae",
        "/%ed%a0%80",
        "/%",
        "/%2",
        "/%zz",
        "/a?x=%ff",
        "/a?%00",
      ]) {
        assertRefused(await server.send({ method: "PUT", target, sign: false, body: "x" }), "InvalidURI", {
          message: /URI/,
        });
      }
    });
  });

  describe("its refusals", () => {
    it("NoSuchBucket: nothing is stored for later", async () => {
      const bucket = "later-1250000000";
      assertRefused(await put("/early", { bucket }), "NoSuchBucket", {
        resource: "later-1250000000.cos.ap-guangzhou.myqcloud.com/early",
      });
      await server.send({ method: "PUT", bucket });
      assertRefused(await get("/early", { bucket }), "NoSuchKey");
    });

    it("AccessDenied: a stranger and an anonymous caller, unless the ACL lets everyone write", async () => {
      assertRefused(await put("/denied", { sign: STRANGER }), "AccessDenied");
      assertRefused(await put("/denied", { sign: false }), "AccessDenied");
      await assertAbsent("/denied");
      const bucket = "open-1250000000";
      await server.send({ method: "PUT", bucket, headers: { "x-cos-acl": "public-read-write" } });
      assert.equal((await put("/granted", { bucket, sign: STRANGER })).status, 200);
      assert.equal((await put("/granted", { bucket, sign: false })).status, 200);
      assert.equal(
        (await server.send({ method: "PUT", bucket: "read-1250000000", headers: { "x-cos-acl": "public-read" } }))
          .status,
        200,
      );
      assertRefused(await put("/denied", { bucket: "read-1250000000", sign: STRANGER }), "AccessDenied");
    });

    it("MissingContentLength: neither a length nor chunks", async () => {
      const url = new URL(server.presign({ method: "PUT", path: "/no-length" }));
      const text = await server.raw(
        `PUT ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: close\r\n\r\n`,
      );
      assert.match(text, /^HTTP\/1\.1 411 Length Required\r\n/);
      assert.match(
        text,
        /<Code>MissingContentLength<\/Code><Message>You must provide the Content-Length HTTP header\.</,
      );
      await assertAbsent("/no-length");
    });

    it("NotSupportedStorageClass: a class nobody knows", async () => {
      assertRefused(await put("/class", { headers: { "x-cos-storage-class": "SHINY" } }), "NotSupportedStorageClass");
      await assertAbsent("/class");
    });

    it("takes the storage class STANDARD in any case, and does not echo it", async () => {
      for (const value of ["STANDARD", "standard"]) {
        assert.equal((await put("/standard", { headers: { "x-cos-storage-class": value } })).status, 200);
      }
      assert.equal(
        (await server.send({ method: "HEAD", path: "/standard" })).headers["x-cos-storage-class"],
        undefined,
      );
    });

    it("EntityTooLarge: one byte over the bound, told or in chunks; the bound itself passes", async () => {
      const small = await testServer({ limits: { singleUploadBytesMax: 40_000 } });
      try {
        const send = (path: string, size: number, framing?: "chunked") =>
          small.send({
            method: "PUT",
            path,
            body: Buffer.alloc(size, 1),
            ...(framing === undefined ? {} : { framing }),
          });
        assert.equal((await send("/fits", 40_000)).status, 200);
        assert.equal((await send("/fits-chunked", 40_000, "chunked")).status, 200);
        assertRefused(await send("/over", 40_001), "EntityTooLarge");
        assertRefused(await send("/over", 40_001, "chunked"), "EntityTooLarge");
        assertRefused(await small.send({ path: "/over" }), "NoSuchKey");
      } finally {
        await small.stop();
      }
    });

    it("EntityTooLarge: is told before a body of 5 GB and one byte, without 100 Continue", async () => {
      const url = new URL(server.presign({ method: "PUT", path: "/huge" }));
      const text = await server.raw(
        `PUT ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nContent-Length: ${5 * 1024 ** 3 + 1}\r\n` +
          "Expect: 100-continue\r\nConnection: close\r\n\r\n",
      );
      assert.match(text, /^HTTP\/1\.1 400 Bad Request\r\n/, "no 100 Continue came first");
      assert.match(text, /<Code>EntityTooLarge<\/Code>/);
    });

    it("EntitySizeNotMatch: another size than x-amz-decoded-content-length tells, by length or in chunks", async () => {
      const size = (value: number | string) => ({ headers: { "x-amz-decoded-content-length": value } });
      for (const framing of [{}, { framing: "chunked" }] as const) {
        assert.equal((await put("/sized", { ...size(HELLO.length), ...framing })).status, 200);
        for (const wrong of [0, HELLO.length - 1, HELLO.length + 1]) {
          assertRefused(await put("/mis-sized", { ...size(wrong), ...framing }), "EntitySizeNotMatch");
        }
      }
      assertRefused(await put("/mis-sized", size("-1")), "InvalidArgument", {
        message: /x-amz-decoded-content-length/,
      });
      await assertAbsent("/mis-sized");
    });

    /** Begins a PUT of 1,000 bytes on a server of its own, and sends ten of them. */
    async function stalled(limits: object, end: boolean): Promise<string> {
      const impatient = await testServer({ limits });
      try {
        const url = new URL(impatient.presign({ method: "PUT", path: "/part" }));
        const head = `PUT ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nContent-Length: 1000\r\n\r\n`;
        const text = await impatient.raw(`${head}0123456789`, { end });
        assertRefused(await impatient.send({ path: "/part" }), "NoSuchKey");
        return text;
      } finally {
        await impatient.stop();
      }
    }

    it("IncompleteBody: the client ends before Content-Length bytes have come; nothing is stored", async () => {
      assert.match(await stalled({}, true), /^HTTP\/1\.1 400 [^]*<Code>IncompleteBody<\/Code>/);
    });

    it("RequestTimeout: the body stops; nothing is stored and the connection is closed", async () => {
      const text = await stalled({ bodyIdleMs: 100, discardMs: 100 }, false);
      assert.match(text, /^HTTP\/1\.1 400 [^]*<Code>RequestTimeout<\/Code>/);
    });

    it("UserNetworkTooSlow: the body comes below the rate floor; nothing is stored", async () => {
      const text = await stalled({ bodyRateFloor: 1_000_000, bodyRateWindowMs: 100, discardMs: 100 }, false);
      assert.match(text, /^HTTP\/1\.1 400 [^]*<Code>UserNetworkTooSlow<\/Code>/);
    });

    for (const [what, code, headers] of [
      ["a signature", "SignatureDoesNotMatch", {}],
      ["a digest", "InvalidDigest", { "Content-MD5": "abc" }],
      ["a storage class", "NotSupportedStorageClass", { "x-cos-storage-class": "SHINY" }],
      ["an encryption header", "SSEContentNotSupported", { "x-cos-server-side-encryption": "AES128" }],
      ["a header of what is not built", "NotImplemented", { "x-cos-return-body": "1" }],
      ["metadata", "InvalidArgument", { "x-cos-meta-a": "m".repeat(2048) }],
    ] as const) {
      it(`refuses ${what} before the body, without 100 Continue`, async () => {
        const presigned = server.presign({ method: "PUT", path: "/early" });
        const url = new URL(code === "SignatureDoesNotMatch" ? presigned.replace(/.$/, "g") : presigned);
        const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
        const text = await server.raw(
          `PUT ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\nContent-Length: 1000000\r\n${fields.join("")}` +
            "Expect: 100-continue\r\nConnection: close\r\n\r\n",
        );
        assert.doesNotMatch(text, /100 Continue/);
        assert.match(text, new RegExp(`<Code>${code}</Code>`));
        await assertAbsent("/early");
      });
    }

    it("leaves the connection usable after each of them", async () => {
      for (const refused of [
        { bucket: "nobody-1250000000" },
        { sign: false },
        { headers: { "content-md5": "abc" } },
        { headers: { "content-md5": contentMd5("other") } },
        { headers: { "x-cos-storage-class": "SHINY" } },
      ] as const) {
        assert.notEqual((await put("/refused", refused)).status, 200);
        const next = await get("/plain");
        assert.equal(next.text, HELLO);
        assert.ok(next.reused, JSON.stringify(refused));
      }
    });
  });

  it("gives a key to the last of many writers, whole", async () => {
    const bodies = Array.from({ length: 20 }, (_, n) => Buffer.alloc(30_000, String(n)));
    const answers = await Promise.all(bodies.map((body) => put("/contended", { body })));
    for (const { status } of answers) assert.equal(status, 200);
    const read = await get("/contended");
    const winner = bodies.find((body) => body.equals(read.body));
    assert.ok(winner, "the object is one of the bodies, not a mix");
    assert.equal(read.headers["etag"], `"${createHash("md5").update(winner).digest("hex")}"`);
  });
});
