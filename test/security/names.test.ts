/**
 * Names that mean something to a file system, a parser or a language, and here mean themselves. The tables of single
 * parsers stand elsewhere: hosts (sec_S-3.8) in src/dialects/cos/address.test.ts and test/conformance/addressing.test.ts,
 * copy sources (sec_S-3.3: CVE-2024-47866) in test/conformance/put-object-copy.test.ts and test/fuzz/parsers.test.ts,
 * targets in src/http/target.test.ts.
 */

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it } from "vitest";
import { assertRefused } from "../fixtures/refusal.ts";
import { contentMd5, type TestServer, testServer } from "../fixtures/server.ts";

/** Keys that other stores took for paths, as raw targets behind the slash, with the key each names. */
const STORED: readonly (readonly [raw: string, key: string])[] = [
  ["..", ".."],
  [".", "."],
  ["../x", "../x"],
  ["a/../../b", "a/../../b"],
  ["a/./b", "a/./b"],
  ["a//b", "a//b"],
  ["a/", "a/"],
  ["%2e%2e%2fx", "../x"],
  ["..%5cx", "..\\x"],
  ["a%5c..%5cb", "a\\..\\b"],
  ["%252e%252e%252fx", "%2e%2e%2fx"],
  ["..;/x", "..;/x"],
  ["%E2%88%95etc%E2%88%95passwd", "\u2215etc\u2215passwd"],
  ["%EF%BC%8E%EF%BC%8E/x", "\uff0e\uff0e/x"],
  ["CON", "CON"],
  ["NUL:", "NUL:"],
  ["C:/x", "C:/x"],
  ["a%20", "a "],
  ["a.", "a."],
  ["%20a", " a"],
  ["a%0D%0Ab", "a\r\nb"],
  ["a%09b", "a\tb"],
  ["%7F", "\u007f"],
  ["data/metadata/lock", "data/metadata/lock"],
  ["__proto__", "__proto__"],
  ["constructor/prototype", "constructor/prototype"],
  ["toString", "toString"],
  ["hasOwnProperty", "hasOwnProperty"],
  ["'%3B--", "';--"],
  ["$(id)", "$(id)"],
  ["%F0%9F%98%80", "😀"],
  ["x".repeat(850), "x".repeat(850)],
];

/** Targets that name no key at all, and the code each is told. */
const REFUSED: readonly (readonly [raw: string, id: "InvalidURI" | "InvalidObjectName" | "KeyTooLong"])[] = [
  ["%00", "InvalidURI"],
  ["a%00b", "InvalidURI"],
  ["%C0%AE%C0%AE/x", "InvalidURI"],
  ["%ED%A0%80", "InvalidURI"],
  ["%ED%B0%80", "InvalidURI"],
  ["%FF", "InvalidURI"],
  ["%", "InvalidURI"],
  ["%zz", "InvalidURI"],
  ["/a", "InvalidObjectName"],
  ["%2Fa", "InvalidObjectName"],
  ["%5Ca", "InvalidObjectName"],
  ["a%1Bb", "InvalidObjectName"],
  ["x".repeat(851), "KeyTooLong"],
  ["%E6%8A%A5".repeat(284), "KeyTooLong"],
];

describe("CVE-2026-54917, sec_S-3.1: keys", () => {
  let server: TestServer;
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "cosbox-test-"));
    await mkdir(join(folder, "beside"));
    await writeFile(join(folder, "beside", "canary"), "untouched");
    server = await testServer({
      memory: false,
      data: join(folder, "data"),
      durability: "none",
      limits: { inlineBytesMax: 1 },
    });
  });
  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true });
  });

  it("are stored, listed, copied and deleted as they are written, and no file is named after them", async () => {
    for (const [raw, key] of STORED) {
      const put = await server.send({ method: "PUT", target: `/${raw}`, path: `/${key}`, body: `of ${key}` });
      assert.equal(put.status, 200, `${raw}: ${put.text}`);
    }
    for (const [raw, key] of STORED) {
      assert.equal((await server.send({ target: `/${raw}`, path: `/${key}` })).text, `of ${key}`, raw);
    }
    const page = await server.send({ query: { "encoding-type": "url" } });
    const listed = page.elements("Key").map(decodeURIComponent);
    const wanted = [...new Set(STORED.map(([, key]) => key))].sort((a, b) =>
      Buffer.compare(Buffer.from(a), Buffer.from(b)),
    );
    assert.deepEqual(listed, wanted);

    const files = await readdir(folder, { recursive: true });
    for (const file of files) assert.match(file, /^(data|beside)([\\/][\w.-]+)*$/);
    assert.deepEqual(await readdir(join(folder, "beside")), ["canary"]);
    assert.equal(await readFile(join(folder, "beside", "canary"), "utf8"), "untouched");
    assert.deepEqual((await readdir(folder)).sort(), ["beside", "data"]);
  });

  it("CVE-2026-58372, sec_S-2.14: name the same objects in a document as in a target", async () => {
    await server.send({ method: "PUT", path: "/victim", body: "x" });
    const other = "other-1250000000";
    await server.send({ method: "PUT", bucket: other });
    const body = `<Delete>${["../demo-1250000000/victim", "/victim", "./victim", "a/../victim", "%76ictim"]
      .map((key) => `<Object><Key>${key}</Key></Object>`)
      .join("")}</Delete>`;
    for (const bucket of [other, server.bucket]) {
      const headers = { "content-md5": contentMd5(body) };
      assert.equal(
        (await server.send({ method: "POST", bucket, query: { delete: undefined }, body, headers })).status,
        200,
      );
    }
    assert.equal((await server.send({ path: "/victim" })).text, "x");
  });

  it.each(REFUSED)("CVE-2022-3854, sec_S-3.4: /%s is %s, stored nowhere, and the server lives", async (raw, id) => {
    const before = (await server.send({ query: { "encoding-type": "url" } })).text;
    const path = id === "InvalidURI" ? "/" : `/${decodeURIComponent(raw)}`;
    const answer = await server.send({ method: "PUT", target: `/${raw}`, path, body: "x" });
    assertRefused(answer, id, { message: /./ });
    assert.equal((await server.send({ query: { "encoding-type": "url" } })).text, before);
  });

  it("InvalidURI: an encoded NUL in a query's name or value", async () => {
    for (const target of ["/?prefix=%00", "/?%00=a", "/k?versionId=a%00", "/?marker=%C0%80"]) {
      assertRefused(await server.send({ target, path: "/", sign: false }), "InvalidURI", { message: /./ });
    }
  });
});

describe("sec_S-1.9: slashes and dots that other servers collapse to the bucket", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer();
  });
  afterAll(() => server.stop());

  it.each(["//", "///", "/./", "/a/..", "/.", "/..", "/%2F"])(
    "NoSuchKey: %s is a key, presigned or not, on both kinds of host",
    async (target) => {
      const key = decodeURIComponent(target);
      for (const sign of [true, "query"] as const) {
        assertRefused(await server.send({ target, path: key, sign }), "NoSuchKey");
        const host = `127.0.0.1:${server.port}`;
        const inPath = { host, target: `/${server.bucket}${target}`, path: `/${server.bucket}${key}` };
        assertRefused(await server.send({ ...inPath, sign }), "NoSuchKey");
      }
    },
  );
});

describe("sec_S-3.10, CVE-2026-21710 (sec_S-5.3): names that Object.prototype has", () => {
  const NAMES = ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf"];
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer();
  });
  afterAll(() => server.stop());

  it("are names like any other in metadata, queries, headers and documents, and no bucket's", async () => {
    const before = Object.getOwnPropertyNames(Object.prototype).join();
    for (const name of NAMES) {
      const lower = name.toLowerCase();
      const headers = { [`x-cos-meta-${name}`]: "meta", [name]: "header" };
      const put = await server.send({ method: "PUT", path: `/${name}`, headers, body: name });
      assert.equal(put.status, 200, put.text);
      const got = await server.send({ path: `/${name}`, query: { [name]: name } });
      assert.equal(got.text, name);
      const pairs = got.rawHeaders.map((field, at) => (at % 2 === 0 ? `${field}: ${got.rawHeaders[at + 1]}` : ""));
      assert.ok(pairs.includes(`x-cos-meta-${lower}: meta`), pairs.join());
      assert.equal((await server.send({ query: { prefix: name, marker: "", delimiter: "/" } })).element("Key"), name);
      const body = `<Delete><${name}>x</${name}><Object><Key>${name}</Key><${name}/></Object></Delete>`;
      const md5 = { "content-md5": contentMd5(body) };
      const deleted = await server.send({ method: "POST", query: { delete: undefined }, headers: md5, body });
      assert.equal(deleted.elements("Key")[0], name, deleted.text);
      assert.equal((await server.send({ path: `/${name}` })).status, 404);
      assert.ok([400].includes((await server.send({ host: "127.0.0.1", path: `/${name}/k` })).status));
    }
    assert.equal(Object.getOwnPropertyNames(Object.prototype).join(), before);
  });
});
