/** Damaged requests to a live server: whatever comes over the wire, it answers, and goes on answering. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, it } from "vitest";
import { signCos } from "../../src/dialects/cos/sign.ts";
import type { Log } from "../../src/log.ts";
import { encodePath, encodeQuery, type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { begin, partList, sendPart } from "../fixtures/uploads.ts";
import { readAnswers } from "../fixtures/edge.ts";
import { assertRefusal } from "./answers.ts";
import { type Chance, chanceOf, damaged, runsOf, SEED, timeoutOf } from "./chance.ts";

const RUNS = runsOf(4000);
/** Requests at once; each on a connection of its own. */
const BATCH = 20;
const HEAP_GROWTH_BYTES_MAX = 50 * 1024 * 1024;

const faults: unknown[] = [];
const log: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: (...line) => faults.push(line),
  error: (...line) => faults.push(line),
};

let server: TestServer;
let recorded: readonly Buffer[];

beforeAll(async () => {
  server = await testServer({ log, limits: { partBytesMin: 1 } });
  await server.send({ method: "PUT", path: "/object", body: "content" });
  const uploadId = await begin(server, "parted");
  const etag = await sendPart(server, "parted", uploadId, 1, "part");
  recorded = requests(uploadId, etag);
});
afterAll(() => server.stop());

/** A valid request as bytes. */
function bytesOf({
  method = "GET",
  path = "/",
  query,
  headers = {},
  body = "",
  bucket = server.bucket,
  sign,
}: Sent): Buffer {
  const { secretId, secretKey } = server.cosbox.credentials;
  const host = bucket === "" ? `127.0.0.1:${server.port}` : `${bucket}.cos.ap-guangzhou.myqcloud.com`;
  const now = Math.floor(Date.now() / 1000);
  const fields = Object.entries({ host, ...headers });
  const signature = signCos({
    secretId,
    secretKey,
    method,
    path,
    query: Object.entries(query ?? {}).map(([name, value]) => [name, String(value ?? "")] as const),
    headers: fields,
    signTime: `${now - 60};${now + 3600}`,
  });
  const search = [encodeQuery(query), sign === "query" ? signature.queryString : ""]
    .filter((part) => part !== "")
    .join("&");
  const lines = [
    `${method} ${encodePath(path)}${search === "" ? "" : `?${search}`} HTTP/1.1`,
    ...fields.map(([name, value]) => `${name}: ${value}`),
    ...(sign === "query" ? [] : [`Authorization: ${signature.authorization}`]),
  ];
  if (headers["transfer-encoding"] === undefined && (body !== "" || method === "PUT" || method === "POST")) {
    lines.push(`Content-Length: ${body.length}`);
  }
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${String(body)}`, "latin1");
}

/** One of each kind: every operation that is built, both ways to sign, both framings, a pipelined pair. */
function requests(uploadId: string, etag: string): Buffer[] {
  const deletion = "<Delete><Quiet>false</Quiet><Object><Key>a</Key></Object><Object><Key>b</Key></Object></Delete>";
  const md5 = createHash("md5").update(deletion).digest("base64");
  const source = `${server.bucket}.cos.ap-guangzhou.myqcloud.com/object`;
  const all: Buffer[] = [
    { bucket: "" },
    { bucket: "", query: { "max-keys": 10, region: "ap-guangzhou" } },
    { bucket: "", path: `/${server.bucket}/object` },
    { method: "HEAD" },
    { method: "PUT", headers: { "x-cos-acl": "private" } },
    { query: { prefix: "o", delimiter: "/", "max-keys": 5, marker: "a", "encoding-type": "url" } },
    { query: { location: "" } },
    { query: { uploads: "", "key-marker": "a" } },
    { method: "POST", query: { delete: "" }, headers: { "content-md5": md5 }, body: deletion },
    {
      method: "PUT",
      path: "/new",
      headers: { "x-cos-meta-a": "b", "content-type": "text/plain", expect: "100-continue" },
      body: "body",
    },
    {
      method: "PUT",
      path: "/chunked",
      headers: { "transfer-encoding": "chunked" },
      body: "4\r\nbody\r\n3;a=b\r\ntwo\r\n0\r\na: b\r\n\r\n",
    },
    { path: "/object", headers: { range: "bytes=1-3", "if-none-match": '"x"' } },
    { path: "/object", sign: "query" as const, query: { "response-content-type": "text/html" } },
    { method: "HEAD", path: "/object" },
    { method: "PUT", path: "/copy", headers: { "x-cos-copy-source": source, "x-cos-metadata-directive": "Replaced" } },
    { method: "POST", path: "/log", query: { append: "", position: 0 }, body: "line" },
    { method: "POST", path: "/parted", query: { uploads: "" } },
    { method: "PUT", path: "/parted", query: { partNumber: 2, uploadId }, body: "part" },
    { method: "PUT", path: "/parted", query: { partNumber: 3, uploadId }, headers: { "x-cos-copy-source": source } },
    { path: "/parted", query: { uploadId, "max-parts": 1 } },
    { method: "POST", path: "/other", query: { uploadId }, body: partList([[1, etag]]) },
    { method: "DELETE", path: "/other", query: { uploadId } },
    { method: "DELETE", path: "/gone" },
    { method: "OPTIONS", path: "/object", headers: { origin: "http://a" } },
  ].map((request: Sent) => bytesOf(request));
  all.push(Buffer.concat([all[0] as Buffer, all[13] as Buffer, all[9] as Buffer]));
  return all;
}

// biome-ignore format: a table of short texts
const HEADERS: readonly string[] = [
  "Host: a", "Host:", "Content-Length: 5", "Content-Length: -1", "Content-Length: 0x5", "Content-Length: 99999999999",
  "Transfer-Encoding: chunked", "Transfer-Encoding: identity", "Transfer-Encoding: chunked, identity", " folded: x", "a b: c",
  ": empty", "Expect: 100-continue", "Expect: 200-ok", "Connection: close", "Connection: upgrade\r\nUpgrade: h2c", "TE: trailers",
  "Authorization: ", "Authorization: q-sign-algorithm=sha1", "__proto__: x", "constructor: x", "Range: bytes=0-", "Origin: http://a",
  "x-cos-meta-a: \xff\x80", "x-cos-meta-\x01: a", `x-cos-meta-long: ${"x".repeat(3000)}`, `x: ${"y".repeat(17_000)}`,
  "Content-MD5: AAAA", "x-cos-copy-source: ", "x-cos-copy-source: ?", "Sec-Fetch-Site: cross-site",
];

/** Changes at the places where HTTP has its joints: the request line, a line of the head, the framing. */
function rearranged(bytes: Buffer, chance: Chance): Buffer {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return bytes;
  const [first = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const at = chance.below(lines.length + 1);
  let line = first;
  switch (chance.below(7)) {
    case 0:
      lines.splice(at, 0, chance.pick(HEADERS));
      break;
    case 1:
      lines.splice(at, 1);
      break;
    case 2:
      lines.splice(at, 0, ...lines.slice(at, at + 1));
      break;
    case 3:
      lines.splice(at, 1, chance.pick(HEADERS));
      break;
    case 4:
      line = first.replace(
        /^\S+/,
        chance.pick(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "get", "PRI", ""]),
      );
      break;
    case 5:
      line = first.replace(
        / HTTP\/1\.1$/,
        chance.pick([" HTTP/1.0", " HTTP/0.9", " HTTP/2.0", "", " http/1.1", " HTTP/1.1 "]),
      );
      break;
    default:
      line = first.replace(
        / \S+/,
        chance.pick([
          " *",
          " /",
          " //",
          " /%00",
          " /../..",
          " http://a/",
          " http://127.0.0.1/x",
          " a:1",
          " /#",
          ` /${"a".repeat(900)}`,
          ` /?${"a&".repeat(1200)}`,
        ]),
      );
  }
  return Buffer.concat([Buffer.from([line, ...lines].join("\r\n"), "latin1"), bytes.subarray(end)]);
}

function hostile(chance: Chance): Buffer {
  let bytes = chance.pick(recorded);
  if (chance.once(2)) bytes = rearranged(bytes, chance);
  if (chance.once(3)) bytes = rearranged(bytes, chance);
  if (chance.once(3)) bytes = damaged(bytes, chance);
  if (chance.once(20)) bytes = Buffer.concat([bytes, damaged(chance.pick(recorded), chance)]);
  return bytes;
}

/** What was answered in all: a check that the damage is not so great that everything is refused alike. */
const statuses = new Set<number>();

/** Holds what came back against what any answer must be. An empty answer is a closed connection, which is allowed. */
function check(received: string): void {
  assert.doesNotMatch(received, /^HTTP\/1\.1 500 |<Code>InternalError</m);
  if (received === "") return;
  assert.match(received, /^HTTP\/1\.1 \d{3} /);
  // Which of several answers belongs to a HEAD cannot be told any more; one alone can be read.
  if (received.split("HTTP/1.1 ").length > 2) return;
  const hasBody = !received.endsWith("\r\n\r\n");
  const [answer] = readAnswers(received, hasBody ? [] : [0]);
  if (answer === undefined) return;
  statuses.add(answer.status);
  assert.notEqual(answer.field("x-cos-request-id") ?? "", "");
  if (answer.status >= 300) assertRefusal(answer.status, answer.body, !hasBody);
}

const collectGarbage = (): number => {
  setFlagsFromString("--expose_gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().heapUsed;
};

it("damaged requests are answered without a fault, and the server goes on answering in the same memory", {
  timeout: timeoutOf(RUNS),
}, async () => {
  const chance = chanceOf("raw", RUNS);
  const heapBefore = collectGarbage();
  for (let run = 0; run < RUNS; run += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, RUNS - run) }, () => hostile(chance));
    await Promise.all(
      batch.map(async (bytes) => {
        try {
          check(await server.raw(bytes));
          assert.deepEqual(faults, []);
        } catch (error) {
          throw new Error(`SEED=${SEED}: ${JSON.stringify(bytes.toString("latin1"))}`, { cause: error });
        }
      }),
    );
    const alive = await server.send({ bucket: "" });
    assert.equal(alive.status, 200, `SEED=${SEED}: after ${run} requests ${alive.text}`);
  }
  assert.ok(statuses.size >= 8, `only ${[...statuses].join(", ")}`);
  const grown = collectGarbage() - heapBefore;
  assert.ok(grown < HEAP_GROWTH_BYTES_MAX, `the heap grew by ${grown} bytes`);
});
