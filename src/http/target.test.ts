import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, it } from "vitest";
import { CosError } from "../errors/cos-error.ts";
import { parseTarget, QUERY_BYTES_MAX, QUERY_PARAMETERS_MAX, Query } from "./target.ts";

const HOST = "demo-1250000000.cos.ap-guangzhou.myqcloud.com";
const get = (target: string, host: string | undefined = HOST) => parseTarget("GET", target, host);

describe("a path", () => {
  const rows: [raw: string, decoded: string][] = [
    ["/", "/"],
    ["/a.txt", "/a.txt"],
    ["//", "//"],
    ["///", "///"],
    ["//a//b/", "//a//b/"],
    ["/./", "/./"],
    ["/a/..", "/a/.."],
    ["/a/../../b", "/a/../../b"],
    ["/%2e%2e%2f", "/../"],
    ["/..%5c", "/..\\"],
    ["/%252e", "/%2e"],
    ["/dir%2Ffile", "/dir/file"],
    ["/dir%2ffile", "/dir/file"],
    ["/a+b", "/a+b"],
    ["/a%2Bb", "/a+b"],
    ["/a%20b", "/a b"],
    ["/%E6%8A%A5%E5%91%8A%20%28v1%29.txt", "/报告 (v1).txt"],
    ["/%F0%9F%98%80", "/😀"],
    ["/%EF%BB%BFbom", "/\ufeffbom"],
    ["/%0D%0A", "/\r\n"],
    ["/%E2%88%95", "/\u2215"],
    ["/CON", "/CON"],
    ["/a.%20", "/a. "],
    ["/__proto__", "/__proto__"],
    ["/a;b=c", "/a;b=c"],
    ["/a'()*!~", "/a'()*!~"],
  ];
  it.each(rows)("%s is decoded once and never normalised", (raw, decoded) => {
    assert.equal(get(raw).path, decoded);
    assert.equal(get(raw).rawPath, raw);
    assert.equal(get(`${raw}?x`).path, decoded);
  });

  it.each([
    "/%",
    "/%2",
    "/%zz",
    "/%FF",
    "/%C0%AF",
    "/%ED%A0%80",
    "/%F4%90%80%80",
    "/%E6%8A",
    "/%00",
    "/a%00b",
    "/é",
    "/a b",
    "/a\tb",
  ])("InvalidURI: %s", (raw) => assert.throws(() => get(raw), { id: "InvalidURI", status: 400 }));

  it("comes back whatever text it encodes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
        fc.pre(!/[\ud800-\udfff\0]/u.test(text));
        assert.equal(get(`/${encodeURIComponent(text)}`).path, `/${text}`);
        assert.equal(get(`/?k=${encodeURIComponent(text)}`).query.get("k"), text);
      }),
    );
  });
});

describe("a target", () => {
  it.each([
    ["http://demo-1250000000.cos.ap-guangzhou.myqcloud.com/a?b=c", "/a", "absolute"],
    ["HTTP://DEMO-1250000000.COS.AP-GUANGZHOU.MYQCLOUD.COM/a", "/a", "absolute"],
    ["http://demo-1250000000.cos.ap-guangzhou.myqcloud.com:80/", "/", "absolute"],
    ["http://demo-1250000000.cos.ap-guangzhou.myqcloud.com./", "/", "absolute"],
    ["https://demo-1250000000.cos.ap-guangzhou.myqcloud.com:443//x", "//x", "absolute"],
    ["http://demo-1250000000.cos.ap-guangzhou.myqcloud.com", "/", "absolute"],
    ["http://demo-1250000000.cos.ap-guangzhou.myqcloud.com?acl", "/", "absolute"],
    ["/http://evil.tld/", "/http://evil.tld/", "origin"],
    ["//evil.tld/x", "//evil.tld/x", "origin"],
  ])("%s keeps the host that Host names", (raw, path, form) => {
    const target = get(raw);
    assert.deepEqual([target.path, target.form, target.authority.host], [path, form, HOST]);
  });

  it.each([
    "http://evil.tld/a",
    "http://demo-1250000000.cos.ap-guangzhou.myqcloud.com:9000/",
    "http://demo-1250000000.cos.ap-guangzhou.myqcloud.com.evil.tld/",
    "http://user@demo-1250000000.cos.ap-guangzhou.myqcloud.com/",
    "http:///a",
    "ftp://demo-1250000000.cos.ap-guangzhou.myqcloud.com/a",
    "demo-1250000000.cos.ap-guangzhou.myqcloud.com:80",
    "a",
    "?a",
    "*",
    "/a#b",
    "/a?b#c",
  ])("BadRquest: %s", (raw) => assert.throws(() => get(raw), { id: "BadRquest", status: 400 }));

  it("of OPTIONS may be an asterisk", () => assert.equal(parseTarget("OPTIONS", "*", HOST).form, "asterisk"));

  it("takes its host from the absolute form where HTTP/1.0 sends no Host", () => {
    assert.equal(parseTarget("GET", "http://Box.local:9000/a", undefined).authority.host, "box.local");
    assert.deepEqual(parseTarget("GET", "/a", undefined).authority, {
      host: "",
      port: undefined,
      text: "",
      spellings: [],
    });
    assert.equal(parseTarget("GET", "/a", "").authority.host, "");
  });
});

describe("an authority", () => {
  it.each([
    ["LocalHost:9000", "localhost", 9000],
    ["localhost:", "localhost", undefined],
    ["localhost.", "localhost", undefined],
    ["127.0.0.1:80", "127.0.0.1", 80],
    ["[::1]:9000", "[::1]", 9000],
    ["[::FFFF:1.2.3.4]", "[::ffff:1.2.3.4]", undefined],
    ["my_box:65535", "my_box", 65_535],
  ])("%s is split", (text, host, port) => {
    const { authority } = get("/", text);
    assert.deepEqual([authority.host, authority.port, authority.text], [host, port, text]);
  });

  it.each([
    "a b",
    "a/b",
    "a:b",
    "a:99999",
    "a:1:2",
    "[::1",
    "::1",
    "a\0b",
    "é.tld",
    "a@b",
    "[fe80::1%25eth0]",
    ":80",
    "a,b",
    "x".repeat(256),
  ])("BadRquest: Host %s", (text) => assert.throws(() => get("/", text), { id: "BadRquest" }));

  it("lists what the client may have signed, the Host field first", () => {
    assert.deepEqual(get("/", "Box:9000").authority.spellings, ["Box:9000", "Box"]);
    assert.deepEqual(get("/", "box").authority.spellings, ["box"]);
    assert.deepEqual(get("http://box:80/", "box").authority.spellings, ["box", "box:80"]);
  });
});

describe("a query", () => {
  it("keeps order and reads names in any case", () => {
    const { query } = get("/?VersionId=1&acl&x=a+b%2Bc&acl=&=v&&y=1=2");
    assert.deepEqual(query.entries, [
      ["VersionId", "1"],
      ["acl", ""],
      ["x", "a b+c"],
      ["acl", ""],
      ["", "v"],
      ["y", "1=2"],
    ]);
    assert.equal(query.get("versionid"), "1");
    assert.equal(query.get("versionId"), "1");
    assert.deepEqual([query.has("ACL"), query.has("cors"), query.get("cors")], [true, false, undefined]);
    assert.deepEqual([query.repeated("acl"), query.repeated("x"), query.repeated("cors")], [true, false, false]);
    assert.deepEqual([...query.names()], ["versionid", "acl", "x", "", "y"]);
  });

  it("tells a repetition that differs in case", () => {
    const { query } = get("/?versionId=1&versionid=2");
    assert.equal(query.repeated("versionId"), true);
    assert.deepEqual(query.all("VERSIONID"), ["1", "2"]);
  });

  it("knows nothing of Object.prototype", () => {
    const { query } = get("/?__proto__=1&constructor=2");
    assert.deepEqual([query.get("__proto__"), query.get("constructor"), query.get("toString")], ["1", "2", undefined]);
    assert.equal(Reflect.get({}, "1"), undefined);
  });

  it("is empty for /? as for /", () => assert.equal(get("/?").query, Query.EMPTY));

  it.each(["%", "a=%zz", "a=%FF", "%00", "a=%00"])("InvalidURI: ?%s", (raw) => {
    assert.throws(() => get(`/?${raw}`), { id: "InvalidURI" });
  });

  it("InvalidURI: more parameters or bytes than the bounds", () => {
    const many = (count: number) => Array.from({ length: count }, (_, i) => `p${i}`).join("&");
    assert.equal(get(`/?${many(QUERY_PARAMETERS_MAX)}`).query.entries.length, QUERY_PARAMETERS_MAX);
    assert.throws(() => get(`/?${many(QUERY_PARAMETERS_MAX + 1)}`), { id: "InvalidURI" });
    assert.equal(parseTarget("GET", `/?${many(3)}`, HOST, 3).query.entries.length, 3);
    assert.throws(() => parseTarget("GET", `/?${many(4)}`, HOST, 3), { id: "InvalidURI" });
    assert.equal(get(`/?${"a".repeat(QUERY_BYTES_MAX)}`).query.entries.length, 1);
    assert.throws(() => get(`/?${"a".repeat(QUERY_BYTES_MAX + 1)}`), { id: "InvalidURI" });
  });
});

describe("any target and host", () => {
  it("are read or refused with a CosError, never anything else", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({ unit: fc.constantFrom(...Array.from("/%?&=#+:.@[]*h2Fa")) }),
    );
    fc.assert(
      fc.property(text, fc.option(text, { nil: undefined }), (raw, host) => {
        try {
          assert.ok(get(`/${raw}`, host).path.startsWith("/"));
          get(raw, host);
        } catch (error) {
          assert.ok(error instanceof CosError && error.status === 400, String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });
});
