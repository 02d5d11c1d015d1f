import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { STRANGER } from "../fixtures/accounts.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";

const OWN_KEYS = { secretId: "AKIDown000000000000", secretKey: "ownsecretkey00000000" };
const PAGE = "https://page.example";

type Part = readonly [name: string, text: string | number];

const rule = (...parts: readonly Part[]): string =>
  `<CORSRule>${parts.map(([name, text]) => `<${name}>${text}</${name}>`).join("")}</CORSRule>`;
const document = (...rules: readonly string[]): string => `<CORSConfiguration>${rules.join("")}</CORSConfiguration>`;
const simple = (origin: string, method = "GET", ...more: readonly Part[]): string =>
  rule(["AllowedOrigin", origin], ["AllowedMethod", method], ...more);

const FULL = document(
  rule(
    ["ID", "first &amp; foremost"],
    ["AllowedOrigin", PAGE],
    ["AllowedOrigin", "http://*.page.example:8080"],
    ["AllowedMethod", "PUT"],
    ["AllowedMethod", "GET"],
    ["AllowedHeader", "x-cos-meta-a"],
    ["AllowedHeader", "content-type"],
    ["ExposeHeader", "ETag"],
    ["ExposeHeader", "x-cos-request-id"],
    ["MaxAgeSeconds", 600],
  ),
  simple("*", "GET", ["AllowedHeader", "*"]),
);

const FIELDS = [
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "access-control-allow-methods",
  "access-control-allow-headers",
  "access-control-expose-headers",
  "access-control-max-age",
  "vary",
];
const corsOf = ({ headers }: Received): Record<string, string> =>
  Object.fromEntries(FIELDS.filter((name) => headers[name] !== undefined).map((name) => [name, String(headers[name])]));

describe("CORS", () => {
  let server: TestServer;
  let serial = 0;
  beforeAll(async () => {
    server = await testServer({ ...OWN_KEYS, credentials: [STRANGER], limits: { corsRequestHeadersMax: 3 } });
  });
  afterAll(() => server.stop());

  const cors = { query: { cors: undefined } } as const;
  async function bucketWith(configuration?: string): Promise<string> {
    const bucket = `cors${++serial}-1250000000`;
    assert.equal((await server.send({ method: "PUT", bucket })).status, 200);
    if (configuration !== undefined) {
      const put = await server.send({ method: "PUT", bucket, ...cors, body: configuration });
      assert.equal(put.status, 200, put.text);
    }
    return bucket;
  }
  const preflight = (bucket: string, headers: Sent["headers"] = {}, more: Sent = {}): Promise<Received> =>
    server.send({
      method: "OPTIONS",
      bucket,
      path: "/k",
      sign: false,
      headers: { origin: PAGE, "access-control-request-method": "GET", ...headers },
      ...more,
    });

  describe("PutBucketCORS, GetBucketCORS, DeleteBucketCORS", () => {
    it("NoSuchCORSConfiguration: before a document is put and when it is taken away; it is replaced whole", async () => {
      const bucket = await bucketWith();
      assertRefused(await server.send({ bucket, ...cors }), "NoSuchCORSConfiguration");
      const put = await server.send({ method: "PUT", bucket, ...cors, body: FULL });
      assert.deepEqual([put.status, put.text], [200, ""]);
      const got = await server.send({ bucket, ...cors });
      assert.equal(got.text, `<?xml version='1.0' encoding='utf-8' ?>\n${FULL}`);
      const other = document(simple("*"), "<ResponseVary>true</ResponseVary>");
      await server.send({ method: "PUT", bucket, ...cors, body: other });
      assert.equal((await server.send({ bucket, ...cors })).text.split("\n")[1], other);
      for (let round = 0; round < 2; round++) {
        assert.equal((await server.send({ method: "DELETE", bucket, ...cors })).status, 204);
      }
      assertRefused(await server.send({ bucket, ...cors }), "NoSuchCORSConfiguration");
    });

    it.each([
      ["no rule", document()],
      ["another root", "<Cors/>"],
      ["an unknown element", document(rule(["AllowedOrigin", "*"], ["AllowedMethod", "GET"], ["Allowed", "x"]))],
      ["a rule without an origin", document(rule(["AllowedMethod", "GET"]))],
      ["a rule without a method", document(rule(["AllowedOrigin", "*"]))],
      ["a method that no page may use", document(simple("*", "PATCH"))],
      ["a method in lower case", document(simple("*", "get"))],
      ["an age that is no number", document(simple("*", "GET", ["MaxAgeSeconds", "long"]))],
      ["two ages", document(simple("*", "GET", ["MaxAgeSeconds", 1], ["MaxAgeSeconds", 2]))],
      ["a ResponseVary that is neither", document(simple("*"), "<ResponseVary>yes</ResponseVary>")],
      ["what is no XML", "<x"],
    ])("MalformedXML: %s", async (_, body) => {
      assertRefused(await server.send({ method: "PUT", ...cors, body }), "MalformedXML");
      assertRefused(await server.send({ ...cors }), "NoSuchCORSConfiguration");
    });

    it.each([
      ["two * in an origin", document(simple("http://*.*"))],
      ["an origin with a slash behind it", document(simple("https://page.example/"))],
      ["an origin without a scheme", document(simple("page.example"))],
      ["an empty origin", document(simple(""))],
      ["an origin beyond ASCII", document(simple("https://größe.example"))],
      ["a negative age", document(simple("*", "GET", ["MaxAgeSeconds", -1]))],
      ["an exposed *", document(simple("*", "GET", ["ExposeHeader", "*"]))],
      ["an exposed header that would split the answer", document(simple("*", "GET", ["ExposeHeader", "a\nb: c"]))],
      ["an allowed header with two *", document(simple("*", "GET", ["AllowedHeader", "*-*"]))],
      ["an allowed header that no header is called", document(simple("*", "GET", ["AllowedHeader", "a b"]))],
      ["101 rules", document(...Array.from({ length: 101 }, () => simple("*")))],
    ])("InvalidArgument: %s", async (_, body) => {
      const { message } = { message: /CORS rule/ };
      assertRefused(await server.send({ method: "PUT", ...cors, body }), "InvalidArgument", { message });
      assertRefused(await server.send({ ...cors }), "NoSuchCORSConfiguration");
    });

    it("takes 100 rules, and empty AllowedHeaders for none", async () => {
      const rules = Array.from({ length: 100 }, () => simple("*", "GET", ["AllowedHeader", ""]));
      await bucketWith(document(...rules));
    });

    it("MissingRequestBodyError and XMLSizeLimit", async () => {
      assertRefused(await server.send({ method: "PUT", ...cors, body: "" }), "MissingRequestBodyError");
      const body = document(simple("*", "GET", ["ID", "x".repeat(64 * 1024)]));
      assertRefused(await server.send({ method: "PUT", ...cors, body }), "XMLSizeLimit");
    });
  });

  describe("OptionsObject", () => {
    it("tells what the first rule that matches allows, unsigned, whether the object is there or not", async () => {
      const bucket = await bucketWith(FULL);
      const asked = { "access-control-request-method": "PUT", "access-control-request-headers": "Content-Type" };
      const answer = await preflight(bucket, asked);
      assert.deepEqual([answer.status, answer.text], [200, ""]);
      assert.deepEqual(corsOf(answer), {
        "access-control-allow-origin": PAGE,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "PUT,GET",
        "access-control-allow-headers": "x-cos-meta-a,content-type",
        "access-control-expose-headers": "ETag,x-cos-request-id",
        "access-control-max-age": "600",
        vary: "Origin",
      });
    });

    it("tells the asked names where every header is allowed, and neither credentials nor Vary for every origin", async () => {
      const bucket = await bucketWith(FULL);
      const headers = { origin: "null", "access-control-request-headers": "authorization, X-Other" };
      assert.deepEqual(corsOf(await preflight(bucket, headers)), {
        "access-control-allow-origin": "*",
        "access-control-allow-methods": "GET",
        "access-control-allow-headers": "authorization,x-other",
      });
    });

    it("answers for every resource and sub-resource alike, signed badly or not at all", async () => {
      const bucket = await bucketWith(FULL);
      for (const more of [
        { path: "/" },
        { query: { cors: "" } },
        { query: { uploadId: "x", partNumber: 1 } },
        { query: { versionId: "x", "ci-process": "y" } },
        { path: "//a/../b" },
        { sign: { secretKey: "wrong" } },
        { sign: { ...STRANGER, via: "query" } },
      ] as Sent[]) {
        assert.equal((await preflight(bucket, {}, more)).status, 200, JSON.stringify(more));
      }
    });

    it.each([
      ["http://a.page.example:8080", true],
      ["http://.page.example:8080", true],
      ["http://A.PAGE.example:8080", true],
      ["http://a.b.page.example:8080", true],
      ["http://a.page.example", false],
      ["https://a.page.example:8080", false],
      ["http://page.example:8080", false],
      ["http://a.page.example:8080.evil", false],
      ["https://page.example.evil", false],
      ["https://page.example:443", false],
      ["null", false],
    ])("the origin %s: %s", async (origin, admitted) => {
      const bucket = await bucketWith(FULL);
      const answer = await preflight(bucket, { origin, "access-control-request-method": "PUT" });
      if (admitted) assert.equal(answer.headers["access-control-allow-origin"], origin);
      else {
        assertRefused(answer, "AccessForbidden");
        assert.deepEqual(corsOf(answer), {});
      }
    });

    it("AccessForbidden: no rules, another method, another header, too many headers", async () => {
      assertRefused(await preflight(await bucketWith()), "AccessForbidden");
      const bucket = await bucketWith(FULL);
      assertRefused(await preflight(bucket, { "access-control-request-method": "DELETE" }), "AccessForbidden");
      const put = { "access-control-request-method": "PUT" };
      const headers = { ...put, "access-control-request-headers": "x-cos-meta-a,x-cos-meta-b" };
      assertRefused(await preflight(bucket, headers), "AccessForbidden");
      assert.equal((await preflight(bucket, { "access-control-request-headers": "a,b,c" })).status, 200);
      assertRefused(await preflight(bucket, { "access-control-request-headers": "a,b,c,d" }), "AccessForbidden");
    });

    it("InvalidRequest without an origin or a method, NoSuchBucket without a bucket", async () => {
      const bucket = await bucketWith(FULL);
      assertRefused(await preflight(bucket, { origin: "" }), "InvalidRequest", { message: /no Origin/ });
      const unnamed = { "access-control-request-method": "" };
      assertRefused(await preflight(bucket, unnamed), "InvalidRequest", { message: /Request-Method/ });
      assertRefused(await preflight("never-1250000000"), "NoSuchBucket");
    });
  });

  describe("on every answer", () => {
    const admitted = {
      "access-control-allow-origin": PAGE,
      "access-control-allow-credentials": "true",
      "access-control-allow-methods": "PUT,GET",
      "access-control-expose-headers": "ETag,x-cos-request-id",
      "access-control-max-age": "600",
      vary: "Origin",
    };
    const headers = { origin: PAGE };

    it("tells the page that it may read it: documents, streams, 304 and refusals of every kind", async () => {
      const bucket = await bucketWith(FULL);
      const put = await server.send({ method: "PUT", bucket, path: "/k", body: Buffer.alloc(300_000), headers });
      const etag = String(put.headers.etag);
      const seen: [number, Received][] = [
        [200, put],
        [200, await server.send({ bucket, headers })],
        [200, await server.send({ bucket, path: "/k", headers })],
        [206, await server.send({ bucket, path: "/k", headers: { ...headers, range: "bytes=1-2" } })],
        [304, await server.send({ bucket, path: "/k", headers: { ...headers, "if-none-match": etag } })],
        [404, await server.send({ bucket, path: "/none", headers })],
        [403, await server.send({ bucket, path: "/k", headers, sign: false })],
        [403, await server.send({ bucket, path: "/k", headers, sign: { secretKey: "wrong" } })],
        [403, await server.send({ bucket, path: "/k", headers, sign: STRANGER })],
        [501, await server.send({ bucket, query: { website: undefined }, headers })],
        [400, await server.send({ bucket, query: { "max-keys": "x" }, headers })],
      ];
      for (const [status, answer] of seen) {
        assert.equal(answer.status, status, answer.text);
        assert.deepEqual(corsOf(answer), admitted, String(status));
      }
    });

    it("says nothing to pages that no rule admits, nor without an origin, nor for methods without a rule", async () => {
      const bucket = await bucketWith(document(simple(PAGE)));
      const other = { origin: "https://other.example" };
      for (const request of [{ headers: other }, {}, { method: "HEAD", headers }] as Sent[]) {
        const answer = await server.send({ bucket, ...request });
        assert.equal(answer.status, 200);
        assert.deepEqual(corsOf(answer), {});
      }
    });

    it("says Vary: Origin on every answer with ResponseVary, with an origin and without, refusals as well", async () => {
      const bucket = await bucketWith(document(simple("*"), "<ResponseVary>true</ResponseVary>"));
      for (const request of [
        {},
        { headers },
        { path: "/none" },
        { sign: { secretKey: "wrong" } },
        { method: "OPTIONS", headers: { ...headers, "access-control-request-method": "GET" } },
        { method: "OPTIONS", headers: { ...headers, "access-control-request-method": "PUT" } },
        { method: "PATCH" },
      ] as Sent[]) {
        const answer = await server.send({ bucket, ...request });
        assert.equal(answer.headers.vary, "Origin", `${JSON.stringify(request)} ${answer.text}`);
      }
    });

    it("goes by the rules from before the request, which the page has asked for", async () => {
      const bucket = await bucketWith(document(simple(PAGE, "PUT"), simple(PAGE, "DELETE")));
      const other = document(simple(PAGE, "DELETE"));
      const put = await server.send({ method: "PUT", bucket, ...cors, body: other, headers });
      assert.equal(put.headers["access-control-allow-origin"], PAGE);
      const gone = await server.send({ method: "DELETE", bucket, ...cors, headers });
      assert.equal(gone.headers["access-control-allow-origin"], PAGE);
      assert.deepEqual(corsOf(await server.send({ method: "DELETE", bucket, ...cors, headers })), {});
    });
  });
});

describe("with the published development keys", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer();
  });
  afterAll(() => server.stop());

  it("AccessForbidden for a page until a rule of the bucket admits it, then only in that bucket", async () => {
    const headers = { origin: PAGE, "sec-fetch-site": "cross-site", "sec-fetch-dest": "empty" };
    const put: Sent = { method: "PUT", path: "/k", body: "x", headers };
    assertRefused(await server.send(put), "AccessForbidden", { message: /^CORSResponse: / });
    await server.send({ method: "PUT", query: { cors: undefined }, body: document(simple(PAGE, "PUT")) });
    assert.equal((await server.send(put)).status, 200);
    const other = { ...headers, origin: "https://other.example" };
    assertRefused(await server.send({ ...put, headers: other }), "AccessForbidden", { message: /^CORSResponse: / });
    assertRefused(await server.send({ path: "/k", headers }), "AccessForbidden", { message: /^CORSResponse: / });
    assertRefused(await server.send({ bucket: "", headers }), "AccessForbidden", { message: /^CORSResponse: / });
    const made: Sent = { method: "PUT", bucket: "by-page-1250000000", headers };
    assertRefused(await server.send(made), "AccessForbidden", { message: /^CORSResponse: / });
  });
});
