import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { assertRefused, assertRefusedHead } from "../fixtures/refusal.ts";
import { type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";

interface Rules {
  readonly status?: string;
  readonly type?: string;
  readonly domains: readonly string[];
  readonly empty?: string;
  readonly urls?: string;
}

function document({ status = "Enabled", type = "White-List", domains, empty, urls }: Rules): string {
  const list = domains.map((domain) => `<Domain>${domain}</Domain>`).join("");
  const more = [
    empty === undefined ? "" : `<EmptyReferConfiguration>${empty}</EmptyReferConfiguration>`,
    urls === undefined ? "" : `<VerifySignatureURL>${urls}</VerifySignatureURL>`,
  ].join("");
  return `<RefererConfiguration><Status>${status}</Status><RefererType>${type}</RefererType><DomainList>${list}</DomainList>${more}</RefererConfiguration>`;
}

const DENIED = { message: "You are denied by bucket referer rule" };
const referer = { query: { referer: undefined } } as const;

describe("referer rules", () => {
  let server: TestServer;
  let serial = 0;
  beforeAll(async () => {
    server = await testServer();
  });
  afterAll(() => server.stop());

  /** A public bucket with an object `k` and these rules. */
  async function bucketWith(rules?: Rules, acl = "public-read"): Promise<string> {
    const bucket = `pages${++serial}-1250000000`;
    await server.send({ method: "PUT", bucket, headers: { "x-cos-acl": acl } });
    await server.send({ method: "PUT", bucket, path: "/k", body: "shown" });
    if (rules !== undefined) {
      const put = await server.send({ method: "PUT", bucket, ...referer, body: document(rules) });
      assert.deepEqual([put.status, put.text], [200, ""], put.text);
    }
    return bucket;
  }
  const read = (bucket: string, from?: string, more: Sent = {}): Promise<Received> =>
    server.send({ bucket, path: "/k", sign: false, headers: from === undefined ? {} : { referer: from }, ...more });

  describe("PutBucketReferer, GetBucketReferer", () => {
    it("keep the document, replace it whole, and take it away with an empty body", async () => {
      const bucket = await bucketWith();
      const get = async (): Promise<string> => {
        const answer = await server.send({ bucket, ...referer });
        assert.equal(answer.status, 200);
        return answer.text.split("\n")[1] ?? "";
      };
      assert.equal(await get(), "<RefererConfiguration/>");
      const first = document({ domains: ["*.qq.com", "192.168.1.2:8080", "www.qq.com/example"], empty: "Allow" });
      const second = document({ status: "Disabled", type: "Black-List", domains: ["a.example"], urls: "Enabled" });
      for (const body of [first, second]) {
        assert.equal((await server.send({ method: "PUT", bucket, ...referer, body })).status, 200);
        assert.equal(await get(), body);
      }
      for (let round = 0; round < 2; round++) {
        const headers = { "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==" };
        assert.equal((await server.send({ method: "PUT", bucket, ...referer, headers })).status, 200);
        assert.equal(await get(), "<RefererConfiguration/>");
      }
    });

    it.each([
      ["another root", "<Referer/>"],
      ["no status", document({ domains: ["a"] }).replace(/<Status>.*<\/Status>/, "")],
      ["another status", document({ status: "On", domains: ["a"] })],
      ["another type", document({ type: "Grey-List", domains: ["a"] })],
      ["no list", document({ domains: ["a"] }).replace(/<DomainList>.*<\/DomainList>/, "")],
      ["an empty list", document({ domains: [] })],
      ["an answer for no referer that is neither", document({ domains: ["a"], empty: "Perhaps" })],
      ["what is no XML", "<x"],
    ])("MalformedXML: %s", async (_, body) => {
      assertRefused(await server.send({ method: "PUT", ...referer, body }), "MalformedXML");
    });

    it.each([
      ["31 rules", document({ domains: Array.from({ length: 31 }, (_, at) => `a${at}.example`) })],
      ["an empty rule", document({ domains: [""] })],
      ["a rule without a host", document({ domains: ["/path"] })],
      ["a rule with a blank", document({ domains: ["a b"] })],
      ["a rule beyond ASCII", document({ domains: ["größe.example"] })],
    ])("InvalidArgument: %s", async (_, body) => {
      assertRefused(await server.send({ method: "PUT", ...referer, body }), "InvalidArgument", {
        message: /referer rule/,
      });
    });

    it("let a bucket be deleted, and begin anew with its name", async () => {
      const bucket = await bucketWith({ domains: ["a.example"] });
      await server.send({ method: "DELETE", bucket, path: "/k" });
      assert.equal((await server.send({ method: "DELETE", bucket })).status, 204);
      await server.send({ method: "PUT", bucket, headers: { "x-cos-acl": "public-read" } });
      await server.send({ method: "PUT", bucket, path: "/k", body: "shown" });
      assert.equal((await read(bucket, "https://b.example/")).status, 200);
    });
  });

  it.each([
    ["www.a.example", "https://www.a.example/page", true],
    ["www.a.example", "http://www.a.example", true],
    ["www.a.example", "http://WWW.A.example/x", true],
    ["www.a.example", "https://www.a.example:8080/x", true],
    ["www.a.example", "https://www.a.example.cn/x", true],
    ["www.a.example", "https://a.example/", false],
    ["www.a.example", "https://x.www.a.example/", false],
    ["www.a.example", "https://evil.example/www.a.example", false],
    ["www.a.example", "https://evil.example/?https://www.a.example/", false],
    ["www.a.example", "https://www.a.example@evil.example/", false],
    ["https://www.a.example", "http://www.a.example/", true],
    ["*.a.example", "https://x.a.example/", true],
    ["*.a.example", "https://x.y.a.example/", true],
    ["*.a.example", "https://a.example/", false],
    ["*.a.example", "https://evil.example/x.a.example", false],
    ["*.a.example", "https://evil.example#.a.example", false],
    ["192.168.1.2:8080", "http://192.168.1.2:8080/", true],
    ["192.168.1.2:8080", "http://192.168.1.2/", false],
    ["192.168.1.2:8080", "http://192.168.1.2:8081/", false],
    ["www.a.example/gallery", "https://www.a.example/gallery/1", true],
    ["www.a.example/gallery", "https://www.a.example/", false],
    ["www.a.example/gallery", "https://www.a.example.evil/gallery", false],
    ["*", "https://any.example/", true],
    ["*", "about:blank", true],
    ["a.example", "nonsense", false],
  ])("the rule %s and the page %s: %s", async (domain, from, covered) => {
    for (const [type, allowed] of [
      ["White-List", covered],
      ["Black-List", !covered],
    ] as const) {
      const bucket = await bucketWith({ type, domains: [domain] });
      const answer = await read(bucket, from);
      if (allowed) assert.deepEqual([answer.status, answer.text], [200, "shown"], type);
      else assertRefused(answer, "AccessDenied", DENIED);
      const head = await read(bucket, from, { method: "HEAD" });
      if (allowed) assert.equal(head.status, 200);
      else assertRefusedHead(head, "AccessDenied");
    }
  });

  it("AccessDenied: a request without a referer, unless the rules allow it", async () => {
    for (const type of ["White-List", "Black-List"]) {
      for (const [empty, status] of [
        [undefined, 403],
        ["Deny", 403],
        ["Allow", 200],
      ] as const) {
        const bucket = await bucketWith({ type, domains: ["a.example"], ...(empty === undefined ? {} : { empty }) });
        for (const from of [undefined, ""]) assert.equal((await read(bucket, from)).status, status, `${type} ${empty}`);
      }
    }
  });

  it("ask nobody while they are disabled", async () => {
    const bucket = await bucketWith({ status: "Disabled", domains: ["a.example"] });
    for (const from of [undefined, "https://b.example/"]) assert.equal((await read(bucket, from)).status, 200);
  });

  it("ask who has not signed, and signed URLs where VerifySignatureURL says so", async () => {
    for (const [urls, status] of [
      [undefined, 200],
      ["Disabled", 200],
      ["Enabled", 403],
    ] as const) {
      const bucket = await bucketWith({ domains: ["a.example"], ...(urls === undefined ? {} : { urls }) }, "private");
      for (const from of [undefined, "https://b.example/"]) {
        assert.equal((await read(bucket, from, { sign: true })).status, 200);
        const presigned = await read(bucket, from, { sign: "query" });
        assert.equal(presigned.status, status, presigned.text);
        if (status === 403) assertRefused(presigned, "AccessDenied", DENIED);
      }
      assert.equal((await read(bucket, "https://a.example/", { sign: "query" })).status, 200);
    }
  });

  it("are asked before the permission and after the signature", async () => {
    const bucket = await bucketWith({ domains: ["a.example"], urls: "Enabled" }, "private");
    assertRefused(await read(bucket, "https://b.example/"), "AccessDenied", DENIED);
    assertRefused(await read(bucket, "https://a.example/"), "AccessDenied");
    const bad = await read(bucket, "https://b.example/", { sign: { via: "query", secretKey: "x" } });
    assertRefused(bad, "SignatureDoesNotMatch", { extras: ["StringToSign", "FormatString"] });
    assertRefused(await read(bucket, "https://b.example/", { path: "/none" }), "AccessDenied", DENIED);
  });

  it("concern reads of objects alone", async () => {
    const bucket = await bucketWith({ domains: ["a.example"] }, "public-read-write");
    const from = { headers: { referer: "https://b.example/" }, sign: false } as const;
    assert.equal((await server.send({ bucket, ...from })).status, 200, "a listing");
    assert.equal((await server.send({ method: "PUT", bucket, path: "/new", body: "x", ...from })).status, 200);
    assert.equal((await server.send({ method: "DELETE", bucket, path: "/new", ...from })).status, 204);
  });

  it("are set, read and missed by the official SDK", async () => {
    const bucket = await bucketWith();
    const place = { Bucket: bucket, Region: server.cosbox.region };
    assert.deepEqual((await server.cos.getBucketReferer(place)).RefererConfiguration, {});
    const wanted = {
      Status: "Enabled" as const,
      RefererType: "White-List" as const,
      DomainList: { Domains: ["*.qq.com", "*.qcloud.com"] },
      EmptyReferConfiguration: "Allow" as const,
    };
    await server.cos.putBucketReferer({ ...place, RefererConfiguration: wanted });
    assert.deepEqual((await server.cos.getBucketReferer(place)).RefererConfiguration, wanted);
    assertRefused(await read(bucket, "https://b.example/"), "AccessDenied", DENIED);
  });

  it("tell in the decision record which rule refused which page", async () => {
    const cases: readonly [Rules, string | undefined, RegExp][] = [
      [{ domains: ["a.example"] }, "https://b.example/x", /Referer is "https:\/\/b\.example\/x"[\s\S]*none covers it/],
      [
        { type: "Black-List", domains: ["x.example", "*.b.example"] },
        "https://a.b.example/",
        /"\*\.b\.example" covers it/,
      ],
      [{ domains: ["a.example"] }, undefined, /has no Referer[\s\S]*EmptyReferConfiguration/],
    ];
    for (const [rules, from, told] of cases) {
      const refused = await read(await bucketWith(rules), from);
      const explained = await server.cosbox.requests.explain(refused.element("RequestId") ?? "");
      assert.match(explained ?? "", told);
    }
  });

  it("hold for S3 clients' URLs and unsigned reads as well", async () => {
    const bucket = await bucketWith({ domains: ["a.example"] });
    const headers = { "x-amz-request-payer": "requester" };
    const ask = (from: string) => read(bucket, from, { headers: { ...headers, referer: from } });
    const refused = await ask("https://b.example/");
    assert.deepEqual([refused.status, refused.element("Message")], [403, DENIED.message]);
    assert.notEqual(refused.headers["x-amz-request-id"] ?? "", "");
    assert.equal((await ask("https://a.example/")).status, 200);
  });
});
