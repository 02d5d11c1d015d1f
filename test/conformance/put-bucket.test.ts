import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { NAMESAKE, STRANGER } from "../fixtures/accounts.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type Sent, type TestServer, testServer } from "../fixtures/server.ts";

describe("PutBucket", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER, NAMESAKE] });
  });
  afterAll(() => server.stop());

  const create = (bucket: string, more: Sent = {}) => server.send({ method: "PUT", bucket, ...more });
  const exists = async (bucket: string) => (await server.send({ method: "HEAD", bucket })).status === 200;

  it("answers 200 with an empty body, and the bucket is there at once", async () => {
    const answer = await create("fresh-1250000000");
    assert.equal(answer.status, 200);
    assert.equal(answer.reason, "OK");
    assert.equal(answer.body.length, 0);
    assert.equal(answer.headers["content-length"], "0");
    assert.ok(await exists("fresh-1250000000"));
    assert.ok((await server.send({ bucket: "" })).elements("Name").includes("fresh-1250000000"));
  });

  it("creates the bucket in the region its host names", async () => {
    const host = "abroad-1250000000.cos.ap-singapore.myqcloud.com";
    assert.equal((await create("abroad-1250000000", { host })).status, 200);
    assert.equal(
      (await server.send({ host, query: { location: undefined } })).element("LocationConstraint"),
      "ap-singapore",
    );
    assertRefused(await server.send({ bucket: "abroad-1250000000" }), "NoSuchBucket");
  });

  it("creates a bucket by path style in the installation's region", async () => {
    const answer = await server.send({ method: "PUT", host: `127.0.0.1:${server.port}`, path: "/by-path-1250000000" });
    assert.equal(answer.status, 200);
    assert.ok(await exists("by-path-1250000000"));
  });

  for (const name of ["a-1250000000", "0-1250000000", "a--b-1250000000", "a-1-1250000000", "constructor-1250000000"]) {
    it(`takes the name ${name}`, async () => {
      assert.equal((await create(name)).status, 200);
      assert.ok(await exists(name));
    });
  }

  it("takes a name whose host has 60 characters", async () => {
    const name = `${"n".repeat(60 - ".cos.ap-guangzhou.myqcloud.com".length - "-1250000000".length)}-1250000000`;
    assert.equal(`${name}.cos.ap-guangzhou.myqcloud.com`.length, 60);
    assert.equal((await create(name)).status, 200);
  });

  it("BucketNameTooLong: a name whose host has 61 characters", async () => {
    const name = `${"n".repeat(61 - ".cos.ap-guangzhou.myqcloud.com".length - "-1250000000".length)}-1250000000`;
    assertRefused(await create(name), "BucketNameTooLong", { resource: `${name}.cos.ap-guangzhou.myqcloud.com` });
    assert.equal(await exists(name), false);
  });

  it("BucketNameTooLong: a name that no host label can hold, by path", async () => {
    const path = `/${"n".repeat(60)}-1250000000`;
    assertRefused(await create("", { host: "cos.ap-guangzhou.myqcloud.com", path }), "BucketNameTooLong");
  });

  it("InvalidBucketName: a hyphen at an end, a character that is not allowed, a dot", async () => {
    for (const name of ["-a-1250000000", "a_b-1250000000", "a--1250000000", "-1250000000"]) {
      assertRefused(await create(name), "InvalidBucketName");
    }
    const dotted = await create("a.b-1250000000");
    assertRefused(dotted, "InvalidBucketName", { message: "A bucket name may not contain a dot." });
  });

  it("InvalidBucketName: upper case in a path", async () => {
    const answer = await create("", { host: "cos.ap-guangzhou.myqcloud.com", path: "/Upper-1250000000" });
    assertRefused(answer, "InvalidBucketName");
  });

  it("InvalidRequest: a name without an APPID", async () => {
    assertRefused(await create("demo"), "InvalidRequest", {
      message: "Missing required header for this request: Appid, Bucket format should be <bucketname>-<appid>",
    });
  });

  it("InvalidRegionName: a region that is not configured", async () => {
    const host = "demo-1250000000.cos.xx-nowhere.myqcloud.com";
    assertRefused(await create("", { host }), "InvalidRegionName", { message: /xx-nowhere/ });
  });

  it("BucketAlreadyOwnedByYou: the caller has it in this region", async () => {
    assertRefused(await create(server.bucket), "BucketAlreadyOwnedByYou");
  });

  it("BucketAlreadyExists: the caller has it in another region", async () => {
    const host = `${server.bucket}.cos.ap-shanghai.myqcloud.com`;
    assertRefused(await create("", { host }), "BucketAlreadyExists", { resource: host });
  });

  it("BucketAlreadyExists: another identity of the same APPID has it", async () => {
    assertRefused(await create(server.bucket, { sign: NAMESAKE }), "BucketAlreadyExists");
    const own = await create("namesake-1250000000", { sign: NAMESAKE });
    assert.equal(own.status, 200);
    assertRefused(await create("namesake-1250000000"), "BucketAlreadyExists");
  });

  it("AccessDenied: a name that ends in another account's APPID", async () => {
    assertRefused(await create("mine-1250000002"), "AccessDenied");
    assertRefused(await create("theirs-1250000000", { sign: STRANGER }), "AccessDenied");
    assert.equal(await exists("theirs-1250000000"), false);
    assert.equal((await create("theirs-1250000002", { sign: STRANGER })).status, 200);
  });

  it("AccessDenied: an anonymous request, with the server's time", async () => {
    const answer = await create("anon-1250000000", { sign: false });
    assertRefused(answer, "AccessDenied", {
      message: "Check auth failure because signature empty.",
      extras: ["ServerTime"],
    });
    assert.equal(await exists("anon-1250000000"), false);
  });

  it("TooManyBuckets: one more than the account may have; other accounts have their own count", async () => {
    const small = await testServer({ limits: { bucketsPerAccount: 2 }, credentials: [STRANGER] });
    try {
      assert.equal((await small.send({ method: "PUT", bucket: "two-1250000000" })).status, 200);
      assertRefused(await small.send({ method: "PUT", bucket: "three-1250000000" }), "TooManyBuckets");
      assertRefused(await small.send({ bucket: "three-1250000000" }), "NoSuchBucket");
      assert.equal((await small.send({ method: "PUT", bucket: "one-1250000002", sign: STRANGER })).status, 200);
      const again = await small.send({ method: "PUT", bucket: "two-1250000000" });
      assertRefused(again, "BucketAlreadyOwnedByYou");
      assert.equal((await small.send({ method: "DELETE", bucket: "two-1250000000" })).status, 204);
      assert.equal((await small.send({ method: "PUT", bucket: "three-1250000000" })).status, 200);
    } finally {
      await small.stop();
    }
  });

  it("never has more buckets than it may when they are created at once", async () => {
    const small = await testServer({ limits: { bucketsPerAccount: 5 }, createBucket: false });
    try {
      const all = await Promise.all(
        Array.from({ length: 12 }, (_, n) => small.send({ method: "PUT", bucket: `b${n}-1250000000` })),
      );
      assert.equal(all.filter(({ status }) => status === 200).length, 5);
      for (const answer of all.filter(({ status }) => status !== 200)) assertRefused(answer, "TooManyBuckets");
      assert.equal((await small.send({ bucket: "" })).elements("Name").length, 5);
    } finally {
      await small.stop();
    }
  });

  it("gives a name to one of two who ask at once", async () => {
    const both = await Promise.all([create("race-1250000000"), create("race-1250000000")]);
    assert.deepEqual(both.map(({ status }) => status).toSorted(), [200, 409]);
    assertRefused(both.find(({ status }) => status === 409) as (typeof both)[0], "BucketAlreadyOwnedByYou");
  });

  describe("its ACL", () => {
    let made = 0;
    for (const [acl, anonymousGet, anonymousPut, strangerGet] of [
      ["private", 403, 403, 403],
      ["public-read", 200, 403, 200],
      ["public-read-write", 200, 200, 200],
      ["authenticated-read", 403, 403, 200],
      ["PUBLIC-READ", 200, 403, 200],
    ] as const) {
      it(`${acl} decides who may list and write`, async () => {
        const bucket = `acl${made++}-1250000000`;
        assert.equal((await create(bucket, { headers: { "x-cos-acl": acl } })).status, 200);
        assert.equal((await server.send({ bucket, sign: false })).status, anonymousGet);
        assert.equal((await server.send({ bucket, sign: STRANGER })).status, strangerGet);
        assert.equal(
          (await server.send({ method: "PUT", bucket, path: "/k", body: "x", sign: false })).status,
          anonymousPut,
        );
      });
    }

    it("is private when the header is empty", async () => {
      assert.equal((await create("acl-none-1250000000", { headers: { "x-cos-acl": "" } })).status, 200);
      assertRefused(await server.send({ bucket: "acl-none-1250000000", sign: false }), "AccessDenied");
    });

    it("InvalidArgument: an ACL that does not exist", async () => {
      const answer = await create("acl-odd-1250000000", { headers: { "x-cos-acl": "public" } });
      assertRefused(answer, "InvalidArgument", { message: /x-cos-acl/ });
      assert.equal(await exists("acl-odd-1250000000"), false);
    });
  });

  describe("its document", () => {
    const configuration = (inner: string) => `<CreateBucketConfiguration>${inner}</CreateBucketConfiguration>`;
    const withBody = (bucket: string, body: string) => create(bucket, { body });

    it("may be absent, empty, or say what holds anyway", async () => {
      for (const [at, body] of [
        "",
        configuration(""),
        configuration("<BucketAZConfig>OAZ</BucketAZConfig>"),
        configuration("<BucketAZConfig/><LocationConstraint>ap-guangzhou</LocationConstraint>"),
        configuration("<Unknown>1</Unknown>"),
      ].entries()) {
        assert.equal((await withBody(`doc${at}-1250000000`, body)).status, 200, body);
      }
    });

    it("InvalidLocationConstraint: another region than the host's", async () => {
      const answer = await withBody(
        "elsewhere-1250000000",
        configuration("<LocationConstraint>ap-shanghai</LocationConstraint>"),
      );
      assertRefused(answer, "InvalidLocationConstraint", { message: /makes buckets in ap-guangzhou\.$/ });
      assert.equal(await exists("elsewhere-1250000000"), false);
    });

    it("takes tags as S3 has them in the document, by the rules for tags, and not in the header as well", async () => {
      const tagged = (pairs: readonly string[]): string =>
        configuration(`<Tags>${pairs.map((key) => `<Tag><Key>${key}</Key><Value>v</Value></Tag>`).join("")}</Tags>`);
      const answer = await withBody("tagged-1250000000", tagged(["a", "b"]));
      assert.equal(answer.status, 200, answer.text);
      const tags = await server.send({ bucket: "tagged-1250000000", query: { tagging: undefined } });
      assert.deepEqual(
        [tags.elements("Key"), tags.elements("Value")],
        [
          ["a", "b"],
          ["v", "v"],
        ],
      );
      assertRefused(await withBody("twice-1250000000", tagged(["a", "a"])), "InvalidTag", { message: /another one/ });
      const headers = { "x-cos-tagging": "c=d" };
      const both = await server.send({ method: "PUT", bucket: "both-1250000000", headers, body: tagged(["a"]) });
      assertRefused(both, "InvalidRequest", { message: /both/ });
    });

    it("NotImplemented: a multi-AZ or OFS bucket, by its element", async () => {
      for (const [element, value] of [
        ["BucketAZConfig", "MAZ"],
        ["BucketArchConfig", "OFS"],
        ["BucketStorageClass", "ARCHIVE"],
        ["Location", ""],
        ["Bucket", ""],
      ]) {
        const answer = await withBody("special-1250000000", configuration(`<${element}>${value}</${element}>`));
        assertRefused(answer, "NotImplemented", { message: new RegExp(`^${element} `) });
      }
      assert.equal(await exists("special-1250000000"), false);
    });

    it("MalformedXML: not XML, another root, a document type, an element twice", async () => {
      for (const body of [
        "nonsense",
        "<CreateBucketConfiguration>",
        "<Other/>",
        `<!DOCTYPE x [<!ENTITY e "e">]>${configuration("")}`,
        configuration("<LocationConstraint>a</LocationConstraint><LocationConstraint>b</LocationConstraint>"),
        configuration("<LocationConstraint><deep/></LocationConstraint>"),
      ]) {
        assertRefused(await withBody("mal-1250000000", body), "MalformedXML");
      }
      assert.equal(await exists("mal-1250000000"), false);
    });

    it("XMLSizeLimit: a document over its bound", async () => {
      const small = await testServer({ limits: { xmlBytesMax: 100 } });
      try {
        const padded = (length: number) => configuration("").replace(/></, `>${" ".repeat(length - 55)}<`);
        assert.equal(padded(100).length, 100);
        assert.equal((await small.send({ method: "PUT", bucket: "fits-1250000000", body: padded(100) })).status, 200);
        assertRefused(await small.send({ method: "PUT", bucket: "big-1250000000", body: padded(101) }), "XMLSizeLimit");
        const chunked = { method: "PUT", bucket: "big-1250000000", body: padded(101), framing: "chunked" } as const;
        assertRefused(await small.send(chunked), "XMLSizeLimit");
        assertRefused(await small.send({ bucket: "big-1250000000" }), "NoSuchBucket");
      } finally {
        await small.stop();
      }
    });

    it("BadDigest: another Content-MD5 than the document's", async () => {
      const answer = await create("digest-1250000000", {
        body: configuration(""),
        headers: { "content-md5": "XrY7u+Ae7tCTyyK7j1rNww==" },
      });
      assertRefused(answer, "BadDigest");
      assert.equal(await exists("digest-1250000000"), false);
    });
  });
});
