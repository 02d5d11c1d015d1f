/**
 * Documents, numbers and texts that other servers choked on or passed on. The parser's own table is in
 * src/xml/parse.test.ts (sec_S-4.1, sec_S-4.2), the framing of requests in test/conformance/http-edge.test.ts
 * (sec_S-5.1: CVE-2022-32213, CVE-2022-32214, CVE-2022-32215, CVE-2026-1525; sec_S-5.2: CVE-2024-22019; sec_S-5.3:
 * CVE-2026-21710), times of signatures in src/dialects/cos/signature.test.ts (sec_S-1.11).
 */

import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { LIMITS } from "../../src/limits.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { contentMd5, type Received, type TestServer, testServer } from "../fixtures/server.ts";
import { begin, sendPart } from "../fixtures/uploads.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer({ limits: { listKeysMax: 5, listPartsMax: 5, listUploadsMax: 5, listBucketsMax: 5 } });
});
afterAll(() => server.stop());

const post = (body: string, on = server): Promise<Received> =>
  on.send({ method: "POST", query: { delete: undefined }, headers: { "content-md5": contentMd5(body) }, body });

describe("CVE-2026-26278, CVE-2026-33036, CVE-2026-33349, CVE-2026-73569, sec_S-4.1: entities", () => {
  const inside = (text: string): string => `<Delete><Object><Key>${text}</Key></Object></Delete>`;
  const rows: readonly (readonly [what: string, body: string])[] = [
    [
      "entities made of entities",
      `<!DOCTYPE Delete [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>${inside("&b;")}`,
    ],
    ["an external entity", `<!DOCTYPE Delete [<!ENTITY a SYSTEM "file:///etc/passwd">]>${inside("&a;")}`],
    ["a parameter entity", `<!DOCTYPE Delete [<!ENTITY % a SYSTEM "http://127.0.0.1:1/"> %a;]>${inside("k")}`],
    ["an external document type", `<!DOCTYPE Delete SYSTEM "http://127.0.0.1:1/x.dtd">${inside("k")}`],
    ["an empty document type", `<!DOCTYPE Delete>${inside("k")}`],
    ["many document types", `${"<!DOCTYPE Delete [<!ENTITY a 'b'>]>".repeat(1000)}${inside("&a;")}`],
    ["an entity nobody declared", inside("&a;")],
    ["an entity outside a document type", `<!ENTITY a "b">${inside("&a;")}`],
    ["a processing instruction", `<?xml-stylesheet href="http://127.0.0.1:1/"?>${inside("k")}`],
  ];

  it.each(rows)("MalformedXML: %s", async (_, body) => {
    const answer = await post(body);
    assertRefused(answer, "MalformedXML");
    assert.doesNotMatch(answer.text, /root:|passwd/);
  });

  it("takes a body full of numeric references, in bounded memory and time", async () => {
    const body = inside("&#97;".repeat((LIMITS.xmlDeleteBytesMax - 100) / 5));
    const heapBefore = process.memoryUsage().heapUsed;
    const beganMs = performance.now();
    const answer = await post(body);
    const tookMs = performance.now() - beganMs;
    assert.equal(answer.status, 200);
    assert.equal(answer.element("Code"), "KeyTooLong");
    assert.ok(tookMs < 5000, `${tookMs} ms`);
    const grown = process.memoryUsage().heapUsed - heapBefore;
    assert.ok(grown < 200 * 1024 * 1024, `${grown} bytes`);
  });

  it("MalformedXML: deeper or more than the settings say", async () => {
    const small = await testServer({ limits: { xmlDepthMax: 3, xmlElementsMax: 6 } });
    const object = "<Object><Key>k</Key></Object>";
    assert.equal((await post(`<Delete>${object.repeat(2)}</Delete>`, small)).status, 200);
    assertRefused(await post(`<Delete>${object.repeat(3)}</Delete>`, small), "MalformedXML");
    assertRefused(await post("<Delete><Object><Key>k<a/></Key></Object></Delete>", small), "MalformedXML");
    await small.stop();
  });
});

describe("CVE-2018-16846, sec_S-12.3: sizes of pages", () => {
  it("are lowered to the bound, or InvalidArgument where they are no sizes", async () => {
    const uploadId = await begin(server, "k");
    for (let part = 1; part <= 6; part++) await sendPart(server, "k", uploadId, part, "x");
    const lists = [
      [{}, "max-keys", "MaxKeys"],
      [{ query: { uploads: "" } }, "max-uploads", "MaxUploads"],
      [{ path: "/k", query: { uploadId } }, "max-parts", "MaxParts"],
      [{ bucket: "" }, "max-keys", undefined],
    ] as const;
    for (const [request, name, told] of lists) {
      const ask = (value: string): Promise<Received> =>
        server.send({ ...request, query: { ...("query" in request ? request.query : {}), [name]: value } });
      for (const value of ["6", "1001", "2147483647"]) {
        const answer = await ask(value);
        assert.equal(answer.status, 200, answer.text);
        if (told !== undefined) assert.equal(answer.element(told), "5");
        assert.ok(answer.elements("PartNumber").length <= 5);
      }
      for (const value of [
        "-1",
        "2147483648",
        "99999999999999999999",
        "NaN",
        "Infinity",
        "1e2",
        "0x10",
        " 1",
        "1.5",
        "",
      ]) {
        assertRefused(await ask(value), "InvalidArgument", { message: new RegExp(name) });
      }
    }
  });
});

describe("CVE-2020-1760, CVE-2020-10753, CVE-2021-3524, CVE-2015-5245, sec_S-5.6: texts that become headers", () => {
  const OVERRIDES = [
    "response-content-type",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-expires",
  ];
  const HOSTILE = [
    "\r\nSet-Cookie: a=b",
    "\nSet-Cookie: a=b",
    "\rSet-Cookie: a=b",
    "a\r\n\r\n<script>",
    "\u0001",
    "\u007f",
    "\u001b[2J",
  ];

  it("InvalidArgument: CR, LF and other controls in an override, whatever it overrides", async () => {
    await server.send({ method: "PUT", path: "/plain", body: "x" });
    for (const name of OVERRIDES) {
      for (const value of HOSTILE) {
        const answer = await server.send({ path: "/plain", query: { [name]: `a${value}` } });
        assertRefused(answer, "InvalidArgument", { message: new RegExp(name) });
        assert.equal(answer.headers["set-cookie"], undefined);
      }
    }
  });

  it("passes characters beyond ASCII on as their UTF-8 bytes, which end no line", async () => {
    for (const value of ["\u0085", "\u2028", "é", "报告", "\ud83d\ude00"]) {
      const answer = await server.send({ path: "/plain", query: { "response-content-type": `a${value}b` } });
      assert.equal(answer.status, 200, answer.text);
      assert.equal(Buffer.from(answer.headers["content-type"] ?? "", "latin1").toString("utf8"), `a${value}b`);
      assert.equal(answer.text, "x");
    }
  });

  it("InvalidRequest: an anonymous caller overrides nothing, also where it may read", async () => {
    const open = "open-1250000000";
    await server.send({ method: "PUT", bucket: open, headers: { "x-cos-acl": "public-read" } });
    await server.send({ method: "PUT", bucket: open, path: "/k", body: "x" });
    for (const name of OVERRIDES) {
      const answer = await server.send({ bucket: open, path: "/k", query: { [name]: "text/html" }, sign: false });
      assertRefused(answer, "InvalidRequest", { message: /response-/ });
    }
  });

  it("InvalidBucketName: a bucket whose name would end a line", async () => {
    for (const name of ["a%0D%0Ab-1250000000", "a%0Ab-1250000000", "a%00-1250000000", "%0D%0A-1"]) {
      const answer = await server.send({
        method: "PUT",
        host: "127.0.0.1",
        target: `/${name}`,
        path: "/",
        sign: false,
      });
      assert.equal(answer.status, 400);
      assert.match(answer.element("Code") ?? "", /^(InvalidBucketName|InvalidURI)$/);
      assert.equal(answer.headers["set-cookie"], undefined);
    }
  });
});

describe("sec_S-11.4: what an answer to a fault of the client tells", () => {
  it("no stack, no path, no secret", async () => {
    const { secretKey } = server.cosbox.credentials;
    const answers = [
      await server.send({ path: "/none" }),
      await server.send({ sign: { alter: (text) => `${text}0` } }),
      await post("<Delete><"),
      await server.send({ method: "PUT", path: "/k", body: "x", headers: { "content-md5": "!" } }),
      await server.send({ target: "/%", path: "/" }),
      await server.send({ path: "/k", query: { uploadId: "../.." } }),
    ];
    for (const { status, text, rawHeaders } of answers) {
      assert.ok(status >= 400);
      const all = `${text}\n${rawHeaders.join("\n")}`;
      assert.ok(!all.includes(secretKey) && !/\bat .+:\d+|node_modules|\.ts\b|\/src\//.test(all), all);
    }
  });
});
