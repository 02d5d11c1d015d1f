/**
 * Requests that are signed as they should be and hostile in everything else, through the real pipeline: so they reach
 * the handlers, which a damaged signature would keep them from.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { rootCredential } from "../../src/access/caller.ts";
import { signCos } from "../../src/dialects/cos/sign.ts";
import { CosError } from "../../src/errors/cos-error.ts";
import { parseTarget } from "../../src/http/target.ts";
import { isHeaderText } from "../../src/operations/output-fields.ts";
import { memoryDisk, openOn } from "../contract/store-fixture.ts";
import { STRANGER } from "../fixtures/accounts.ts";
import { type Asked, type InProcess, inProcess, type Told } from "../fixtures/in-process.ts";
import { assertRefusal, readDocument } from "./answers.ts";
import { type Chance, chanceOf, damaged, runsOf, SEED, timeoutOf } from "./chance.ts";

const BUCKET = "demo-1250000000";
const HOSTS = [`${BUCKET}.cos.ap-guangzhou.myqcloud.com`, "127.0.0.1:9000", "service.cos.myqcloud.com"] as const;
const ROOT = {
  secretId: "AKIDroot0000000000000000000000000000",
  secretKey: "rootsecretkey0000000000000000000",
  uin: "100000000001",
  appid: "1250000000",
  published: false,
};
const STRANGER_KEYS = rootCredential(STRANGER);

/** Values that a client may put anywhere. */
// biome-ignore format: a table of short texts
const TEXTS: readonly string[] = [
  "", " ", "0", "1", "-1", "2", "1000", "1001", "10000", "10001", "65535", "65536", "2147483647", "2147483648",
  "9007199254740991", "9007199254740993", "99999999999999999999", "1e3", "0x10", "NaN", "Infinity", "null", "true",
  "undefined", "*", "/", "//", ".", "..", "a", "a/", "a/b", "ä", "报告", "😀", "\u2028", "\ufeff", "\ufffe", "\t", "\r\n",
  "\u0001", "\u0085", "\u001b[31m", "__proto__", "constructor", "toString", "<a>&]]>\"'", "%00", "%2F", "+", "url", "?acl",
  "x".repeat(200), "ü".repeat(450), "~".repeat(2000), "bytes=0-", "bytes=-1", "bytes=5-2", "bytes=0-0,2-3",
  "bytes=99999999999999999999-", "Fri, 10 Apr 2020 09:35:05 GMT", "Fri, 31 Feb 2020 25:61:61 GMT", "0001-01-01T00:00:00Z",
  "+275760-09-13T00:00:00Z", '"d41d8cd98f00b204e9800998ecf8427e"', 'W/"x", *', "1B2M2Y8AsgTpgAmY7PhCfg==",
  "da39a3ee5e6b4b0d3255bfef95601890afd80709", "STANDARD", "ARCHIVE", "public-read", "Replaced", "Copy", "gte",
  `1700000000${"0".repeat(64)}`,
];

// biome-ignore format: a table of short texts
const KEYS: readonly string[] = [
  "normal", "appendable", "parted", "inline", "fresh", "/", "//", "/a", "a//b", ".", "..", "../x", "a/../../b", "a/./b",
  "\\", "a\\..\\b", "%2e%2e%2f", "CON", "NUL:", "a ", "a.", " a", "__proto__", "constructor", "报告 (v1).txt", "😀/😀",
  "\u0001", "\u0018", "\u001b", "\t\r\n", "\u007f", "\u0085", "\u2028", "\ufeff", "\uffff", "<b>&\"']]>", "k".repeat(850),
  "k".repeat(851), "报".repeat(283), "报".repeat(284), "a+b c", "?acl", "#", "x/".repeat(400),
];

// biome-ignore format: a table of short texts
const QUERY_NAMES: readonly string[] = [
  "prefix", "delimiter", "marker", "max-keys", "encoding-type", "key-marker", "upload-id-marker", "max-uploads",
  "part-number-marker", "max-parts", "uploadId", "partNumber", "position", "region", "create-time", "range", "versionId",
  "response-content-type", "response-cache-control", "response-content-disposition", "response-expires", "PREFIX", "acl",
  "x-cos-traffic-limit", "imageMogr2/thumbnail/1x", "__proto__", "constructor", "",
];

// biome-ignore format: a table of short texts
const HEADER_NAMES: readonly string[] = [
  "content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires", "range",
  "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range", "content-md5", "x-cos-content-sha1",
  "x-cos-storage-class", "x-cos-acl", "x-cos-meta-a", "x-cos-meta-__proto__", "x-cos-meta-", "x-cos-metadata-directive",
  "x-cos-copy-source", "x-cos-copy-source-range", "x-cos-copy-source-if-match", "x-cos-copy-source-if-none-match",
  "x-cos-copy-source-if-modified-since", "x-cos-copy-source-if-unmodified-since", "x-cos-tagging", "origin", "constructor",
  "x-cos-server-side-encryption", "x-cos-forbid-overwrite", "accept-encoding", "x-forwarded-host",
];

/** Methods, what they address, and the parameters and headers that lead to an operation and take its input. */
const OPERATIONS: readonly (readonly [
  method: string,
  on: "service" | "bucket" | "object",
  query: string,
  headers: string,
])[] = [
  ["GET", "service", "", ""],
  ["GET", "service", "region create-time range marker max-keys", ""],
  ["PUT", "bucket", "", "x-cos-acl"],
  ["HEAD", "bucket", "", ""],
  ["DELETE", "bucket", "", ""],
  ["GET", "bucket", "prefix delimiter marker max-keys encoding-type", ""],
  ["GET", "bucket", "location", ""],
  ["GET", "bucket", "uploads prefix delimiter key-marker upload-id-marker max-uploads encoding-type", ""],
  ["POST", "bucket", "delete", "content-md5"],
  ["PUT", "object", "", "content-type content-md5 x-cos-content-sha1 x-cos-storage-class x-cos-meta-a"],
  ["PUT", "object", "", "x-cos-copy-source x-cos-metadata-directive x-cos-copy-source-if-match expires"],
  ["GET", "object", "", "range if-match if-none-match if-modified-since if-range"],
  ["GET", "object", "response-content-type response-content-disposition response-expires", "range"],
  ["HEAD", "object", "", "if-unmodified-since if-none-match range"],
  ["DELETE", "object", "", ""],
  ["POST", "object", "append position", "content-md5 content-type"],
  ["POST", "object", "uploads", "content-type x-cos-meta-a"],
  ["PUT", "object", "partNumber uploadId", "content-md5"],
  ["PUT", "object", "partNumber uploadId", "x-cos-copy-source x-cos-copy-source-range"],
  ["GET", "object", "uploadId part-number-marker max-parts encoding-type", ""],
  ["POST", "object", "uploadId", ""],
  ["DELETE", "object", "uploadId", ""],
  ["OPTIONS", "object", "", "origin"],
  ["PATCH", "object", "acl", ""],
];

interface Fixture {
  readonly server: InProcess;
  /** Keys by the ids of their uploads. */
  readonly uploads: ReadonlyMap<string, string>;
}

const escaped = (text: string): string =>
  text.replace(/[&<]/g, (c) => (c === "&" ? "&amp;" : "&lt;")).replace(/[^\t\n\r\x20-\ufffd]/g, " ");

/** The document of an operation with elements left out, doubled, emptied, renamed and put into each other. */
function documentOf(method: string, query: string, chance: Chance): string {
  /** Every so often nothing is wrong. */
  const wild = chance.once(2) ? 3 : 40;
  const element = (name: string, ...content: string[]): string => {
    const inner = content.join("");
    switch (chance.below(wild * 4)) {
      case 0:
        return "";
      case 1:
        return `<${name}>${inner}</${name}><${name}>${inner}</${name}>`;
      case 2:
        return `<${name}/>`;
      case 3:
        return `<${name}>${inner}<${name}>${inner}</${name}></${name}>`;
      case 4:
        return `<x:${chance.pick(["constructor", "__proto__", name.toLowerCase(), "Other"])}>${inner}</x:${name}>`;
      case 5:
        return `<${name} a="1" xmlns="u" b='${escaped(chance.pick(TEXTS))}'> ${inner}<!-- -- ></${name}>`;
      default:
        return `<${name}>${inner}</${name}>`;
    }
  };
  const text = (often: readonly string[]): string => escaped(chance.pick(chance.once(wild) ? TEXTS : often));
  const many = (make: () => string): string[] => Array.from({ length: chance.below(4) }, make);
  if (query.startsWith("delete")) {
    const objects = many(() =>
      element("Object", element("Key", text(KEYS)), chance.once(4) ? element("VersionId", text([""])) : ""),
    );
    return element("Delete", element("Quiet", text(["true", "false"])), ...objects);
  }
  if (method === "PUT") {
    return element(
      "CreateBucketConfiguration",
      element("LocationConstraint", text(["ap-guangzhou"])),
      element("BucketAZConfig", text(["OAZ", "MAZ"])),
    );
  }
  let number = 0;
  const parts = many(() =>
    element("Part", element("PartNumber", text([String(++number)])), element("ETag", text([PART_ETAG]))),
  );
  return element("CompleteMultipartUpload", ...parts);
}

const PART = Buffer.alloc(64, "p");
const PART_ETAG = createHash("md5").update(PART).digest("hex");

const encoded = (text: string): string => encodeURIComponent(text);
/** As a header field carries it: its UTF-8 bytes, one character each, without what the edge never lets through. */
const headerText = (text: string): string =>
  Buffer.from(text, "utf8")
    .toString("latin1")
    .replace(/[^\t\x20-\x7e\x80-\xff]/g, "");

/** What a signer has in mind who sends those bytes; not trim(), which takes more than HTTP's blanks. */
const utf8Of = (header: string): string =>
  Buffer.from(header, "latin1")
    .toString("utf8")
    .replace(/^[ \t]+|[ \t]+$/g, "");

function valueOf(name: string, { uploads }: Fixture, chance: Chance): string {
  if (name === "uploadId" && !chance.once(8)) return chance.pick([...uploads.keys()]);
  if (chance.once(2)) {
    if (name === "partNumber") return String(chance.below(12));
    if (name === "position") return chance.pick(["0", "6", "12"]);
    if (/prefix|marker/.test(name)) return chance.pick(KEYS);
  }
  return chance.pick(TEXTS);
}

function copySource(chance: Chance): string {
  const host = chance.pick([
    HOSTS[0],
    `/${BUCKET}`,
    BUCKET,
    "http://x",
    "",
    "nobody-125.cos.ap-guangzhou.myqcloud.com",
  ]);
  const key = chance.pick([...KEYS, "normal", "parted", "appendable"]);
  return `${host}/${chance.once(3) ? key : encoded(key)}${chance.once(5) ? `?versionId=${encoded(chance.pick(TEXTS))}` : ""}`;
}

function requestOf(fixture: Fixture, chance: Chance): Asked {
  const [method, on, query, headerNames] = chance.pick(OPERATIONS);
  const host = on === "service" ? HOSTS[chance.once(2) ? 2 : 1] : chance.pick(HOSTS.slice(0, 2));
  const upload = query.includes("uploadId") && !chance.once(8) ? chance.pick([...fixture.uploads]) : undefined;
  const key =
    upload?.[1] ?? chance.pick(chance.once(2) ? ["normal", "appendable", "inline", "big"] : [...KEYS, ...TEXTS]);
  const bucketPath = host === HOSTS[0] ? "" : `/${chance.once(20) ? encoded(chance.pick(TEXTS)) : BUCKET}`;
  const path = on === "service" ? "/" : on === "bucket" ? `${bucketPath}/` : `${bucketPath}/${encoded(key)}`;

  const flags = new Set(["uploads", "location", "delete", "append", "acl"]);
  const parameters = query.split(" ").filter((name) => name !== "" && (flags.has(name) || !chance.once(4)));
  if (chance.once(5)) parameters.push(chance.pick(QUERY_NAMES));
  if (chance.once(20) && parameters[0] !== undefined) parameters.push(parameters[0].toUpperCase());
  const search = parameters
    .map((name) => {
      if (flags.has(name)) return name;
      const value = name === "uploadId" && upload !== undefined ? upload[0] : valueOf(name, fixture, chance);
      return `${encoded(name)}=${encoded(value)}`;
    })
    .join("&");

  const headers: Record<string, string> = { host };
  for (const name of headerNames.split(" ")) {
    if (name === "" || (chance.once(2) && name !== "x-cos-copy-source")) continue;
    headers[name] = headerText(
      name === "x-cos-copy-source" && !chance.once(10) ? copySource(chance) : chance.pick(TEXTS),
    );
  }
  if (chance.once(4)) headers[chance.pick(HEADER_NAMES)] = headerText(chance.pick(TEXTS));

  let body: Buffer | undefined;
  if (method === "PUT" || method === "POST" || chance.once(30)) {
    const document = /^(delete|uploadId)$/.test(query) || (method === "PUT" && on === "bucket" && chance.once(2));
    if (document) body = Buffer.from(documentOf(method, query, chance));
    else if (on === "object" && headers["x-cos-copy-source"] === undefined && query !== "uploads") body = PART;
    if (chance.once(8) && body !== undefined) body = damaged(body, chance);
    if (chance.once(20)) body = Buffer.from(chance.pick(TEXTS));
    if (body !== undefined) headers["content-length"] = String(body.length);
    if (query === "delete" && body !== undefined && !chance.once(10)) {
      headers["content-md5"] = createHash("md5").update(body).digest("base64");
    }
  }
  const asked: Asked = { method, target: search === "" ? path : `${path}?${search}`, host, headers };
  return signed(body === undefined ? asked : { ...asked, body }, chance);
}

/** Signs all of the request, for the owner mostly; some are a stranger's, and some nobody's. */
function signed(asked: Asked, chance: Chance): Asked {
  if (chance.once(6)) return asked;
  const { secretId, secretKey } = chance.once(6) ? STRANGER_KEYS : ROOT;
  const { method, target, host, headers = {} } = asked;
  const { path, query } = parseTarget(method, target, host);
  const now = Math.floor(Date.now() / 1000);
  const signature = signCos({
    secretId,
    secretKey,
    method,
    path,
    query: query.entries,
    headers: Object.entries(headers).map(([name, value]) => [name, utf8Of(value)]),
    signTime: `${now - 60};${now + 600}`,
  });
  if (!chance.once(4)) return { ...asked, headers: { ...headers, authorization: signature.authorization } };
  return { ...asked, target: `${target}${target.includes("?") ? "&" : "?"}${signature.queryString}` };
}

function check({ method }: Asked, told: Told): void {
  for (const [name, value] of told.headers) {
    assert.match(name, /^[\w!#$%&'*+.^`|~-]+$/);
    assert.ok(isHeaderText(value), `the value of ${name} cannot be sent: ${JSON.stringify(value)}`);
  }
  if (told.status >= 300) {
    assertRefusal(told.status, told.text, method === "HEAD" || told.status === 304);
  } else if (told.text.startsWith("<?xml") && told.headers.get("ETag") === undefined) {
    assert.match(
      readDocument(told.text).root,
      /(Result|Configuration)$|^(LocationConstraint|AccessControlPolicy|Tagging)$/,
    );
  }
}

async function fixtureOf(): Promise<Fixture> {
  const store = await openOn(await memoryDisk().open());
  const server = await inProcess(store, { partBytesMin: 1, inlineBytesMax: 32 }, [rootCredential(ROOT), STRANGER_KEYS]);
  const ask = async (asked: Asked): Promise<Told> => {
    const told = await server.ask(asked);
    assert.ok(told.status < 300, told.text);
    return told;
  };
  await ask({ method: "PUT", target: "/normal", body: PART });
  await ask({ method: "PUT", target: "/inline", body: "small" });
  await ask({ method: "POST", target: "/appendable?append&position=0", body: "append" });
  const uploads = new Map<string, string>();
  for (const key of ["parted", "normal", "target"]) {
    const id = /<UploadId>(\w+)</.exec((await ask({ method: "POST", target: `/${key}?uploads` })).text)?.[1] ?? "";
    for (const part of [1, 2])
      await ask({ method: "PUT", target: `/${key}?partNumber=${part}&uploadId=${id}`, body: PART });
    uploads.set(id, key);
  }
  return { server, uploads };
}

it("signed hostile requests are answered by rows of the error page, in documents that parse, and never by a fault", {
  timeout: timeoutOf(runsOf(6000)),
}, async () => {
  const runs = runsOf(6000);
  const chance = chanceOf("pipeline", runs);
  const prototype = Object.getOwnPropertyNames(Object.prototype).join();
  const seen = new Map<string, number>();
  let fixture = await fixtureOf();
  for (let run = 0; run < runs; run++) {
    // Deletions and copies wear a bucket out; a new one now and then keeps there something to find.
    if (run % 500 === 499) fixture = await fixtureOf();
    let asked: Asked | undefined;
    try {
      asked = requestOf(fixture, chance);
      const told = await fixture.server.ask(asked);
      assert.deepEqual(fixture.server.faults, []);
      check(asked, told);
      const outcome = `${told.status} ${told.code}`;
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    } catch (error) {
      // The edge would answer these before the pipeline saw them.
      if (error instanceof CosError && error.status === 400) continue;
      throw new Error(
        `SEED=${SEED}, run ${run}: ${JSON.stringify(asked, (_, value) => (value?.type === "Buffer" ? Buffer.from(value).toString("latin1") : value))}`,
        { cause: error },
      );
    }
  }
  if (process.env["COSBOX_FUZZ_RUNS"] !== undefined)
    process.stderr.write(
      `${[...seen]
        .sort((a, b) => b[1] - a[1])
        .map(([o, n]) => `${n} ${o}`)
        .join("\n")}\n`,
    );
  expect(seen.size).toBeGreaterThan(20);
  assert.equal(Object.getOwnPropertyNames(Object.prototype).join(), prototype);
});
