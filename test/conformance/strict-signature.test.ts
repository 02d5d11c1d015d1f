import assert from "node:assert/strict";
import COS from "cos-nodejs-sdk-v5";
import { afterAll, beforeAll, describe, it } from "vitest";
import { form, signedFields } from "../fixtures/forms.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { s3Client } from "../fixtures/s3.ts";
import { type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { federated } from "../fixtures/sts.ts";

const strict = { query: { "strict-signature": undefined } } as const;
const HEADER = { message: "Strict signature missing header that must be signed" };
const PARAM = { message: "Strict signature missing param that must be signed" };

/** The official client with a temporary key, whose token it sends without a signature. */
async function withTemporaryKeys(server: TestServer): Promise<COS> {
  const everything = { version: "2.0", statement: { effect: "allow", action: "*", resource: "*" } };
  const { secretId, secretKey, token } = await federated(server, everything);
  return new COS({ ...server.cosbox.options, SecretId: secretId, SecretKey: secretKey, SecurityToken: token });
}

interface Rule {
  readonly id?: string;
  readonly actions?: readonly string[];
  readonly headers?: readonly string[];
  readonly params?: readonly string[];
}

const list = (parent: string, name: string, texts: readonly string[] = []): string =>
  texts.length === 0 ? "" : `<${parent}>${texts.map((text) => `<${name}>${text}</${name}>`).join("")}</${parent}>`;
const document = (...rules: readonly Rule[]): string =>
  `<StrictSignatureConfiguration>${rules
    .map(({ id = "rule", actions = ["*"], headers, params }) =>
      [
        "<Rule>",
        `<ID>${id}</ID>`,
        list("actionlist", "action", actions),
        list("headerlist", "header", headers),
        list("paramlist", "param", params),
        "</Rule>",
      ].join(""),
    )
    .join("")}</StrictSignatureConfiguration>`;

describe("strict signature mode", () => {
  let server: TestServer;
  let serial = 0;
  beforeAll(async () => {
    server = await testServer();
  });
  afterAll(() => server.stop());

  async function bucketWith(...rules: readonly Rule[]): Promise<string> {
    const bucket = `strict${++serial}-1250000000`;
    await server.send({ method: "PUT", bucket });
    await server.send({ method: "PUT", bucket, path: "/k", body: "kept" });
    if (rules.length > 0) {
      const put = await server.send({ method: "PUT", bucket, ...strict, body: document(...rules) });
      assert.deepEqual([put.status, put.text], [200, ""], put.text);
    }
    return bucket;
  }
  /** A request of which only these parts are signed. */
  const ask = (bucket: string, request: Sent, signed: Pick<Sent, "headers" | "query"> = {}): Promise<Received> => {
    const { headers = {}, query = {} } = signed;
    return server.send({ bucket, path: "/k", ...request, sign: { instead: { headers, query } } });
  };
  const hostOf = (bucket: string) => ({ host: `${bucket}.cos.ap-guangzhou.myqcloud.com` });

  describe("PutBucketStrictSignature, GetBucketStrictSignature, DeleteBucketStrictSignature", () => {
    it("keep the document, replace it whole and take it away", async () => {
      const bucket = await bucketWith();
      const get = async (): Promise<string> => (await server.send({ bucket, ...strict })).text.split("\n")[1] ?? "";
      assert.equal(await get(), "<StrictSignatureConfiguration/>");
      const first = document(
        { id: "limit_acl", actions: ["PutObjectACL", "PutBucketACL"], headers: ["Host"], params: ["acl"] },
        { id: "test", actions: ["Put*"], headers: ["Host", "x-cos-*"], params: ["all"] },
      );
      for (const body of [first, document({ params: ["versionId"] })]) {
        assert.equal((await server.send({ method: "PUT", bucket, ...strict, body })).status, 200);
        assert.equal(await get(), body);
      }
      for (let round = 0; round < 2; round++) {
        assert.equal((await server.send({ method: "DELETE", bucket, ...strict })).status, 204);
        assert.equal(await get(), "<StrictSignatureConfiguration/>");
      }
    });

    it.each([
      ["no rule", document()],
      ["a rule without an ID", document({}).replace(/<ID>.*<\/ID>/, "")],
      ["another root", "<Strict/>"],
    ])("MalformedXML: %s", async (_, body) => {
      assertRefused(await server.send({ method: "PUT", ...strict, body }), "MalformedXML");
    });

    it.each([
      ["eleven rules", document(...Array.from({ length: 11 }, (_, at) => ({ id: `r${at}` })))],
      ["two rules of one ID", document({}, {})],
      ["an ID with a blank", document({ id: "a b" })],
      ["an ID of 256 characters", document({ id: "x".repeat(256) })],
      ["201 actions", document({ actions: Array.from({ length: 201 }, () => "GetObject") })],
      ["21 headers", document({ headers: Array.from({ length: 21 }, () => "Host") })],
      ["21 parameters", document({ params: Array.from({ length: 21 }, () => "acl") })],
      ["PostObject by name", document({ actions: ["PostObject"] })],
      ["GetService by name", document({ actions: ["name/cos:GetService"] })],
      ["a batch operation by name", document({ actions: ["CreateJob"] })],
      ["an action with a star within", document({ actions: ["Get*Object"] })],
      ["User-Agent", document({ headers: ["User-Agent"] })],
      ["a header of one's own", document({ headers: ["x-mine"] })],
      ["a parameter with a blank", document({ params: ["a b"] })],
    ])("InvalidArgument: %s", async (_, body) => {
      assertRefused(await server.send({ method: "PUT", ...strict, body }), "InvalidArgument", {
        message: /strict signature rule/,
      });
    });

    it("MissingRequestBodyError: no document", async () => {
      assertRefused(await server.send({ method: "PUT", ...strict }), "MissingRequestBodyError");
    });
  });

  it("AccessDenied: a header that is sent and listed and not signed", async () => {
    const bucket = await bucketWith({ headers: ["Host", "Range", "x-cos-acl"] });
    const host = hostOf(bucket);
    assertRefused(await ask(bucket, {}), "AccessDenied", HEADER);
    assert.equal((await ask(bucket, {}, { headers: host })).status, 200);
    const ranged = { headers: { range: "bytes=0-1" } };
    assertRefused(await ask(bucket, ranged, { headers: host }), "AccessDenied", HEADER);
    assert.equal((await ask(bucket, ranged, { headers: { ...host, ...ranged.headers } })).status, 206);
    const put = { method: "PUT", body: "x", headers: { "x-cos-meta-a": "b" } };
    assert.equal((await ask(bucket, put, { headers: host })).status, 200, "not listed");
  });

  it("AccessDenied: any x-cos- header that is not signed, for x-cos-*", async () => {
    const bucket = await bucketWith({ headers: ["x-cos-*"] });
    const put = { method: "PUT", body: "x", headers: { "x-cos-meta-a": "b" } };
    assertRefused(await ask(bucket, put), "AccessDenied", HEADER);
    assert.equal((await ask(bucket, put, { headers: put.headers })).status, 200);
    assert.equal((await ask(bucket, { method: "PUT", body: "x" })).status, 200);
  });

  it("AccessDenied: a parameter that is sent and listed and not signed, and every one for all", async () => {
    const named = await bucketWith({ actions: ["DeleteObject"], params: ["versionid"] });
    const deletion = { method: "DELETE", query: { versionId: "null" } };
    assertRefused(await ask(named, deletion), "AccessDenied", PARAM);
    assert.equal((await ask(named, { query: { versionId: "null" } })).status, 200, "another action");
    assert.equal((await ask(named, deletion, { query: deletion.query })).status, 204);
    const all = await bucketWith({ params: ["all"] });
    assertRefused(await ask(all, { query: { "x-mine": "1" } }), "AccessDenied", PARAM);
    assert.equal((await ask(all, { query: { "x-mine": "1" } }, { query: { "x-mine": "1" } })).status, 200);
    assert.equal((await ask(all, {})).status, 200);
  });

  it("goes by the action, with stars at its end and in any case", async () => {
    const bucket = await bucketWith({ actions: ["putbucket*", "name/cos:GetObject"], headers: ["Host"] });
    assertRefused(
      await ask(
        bucket,
        { path: "/", method: "PUT", query: { acl: "" }, headers: { "x-cos-acl": "private" } },
        { query: { acl: "" } },
      ),
      "AccessDenied",
      HEADER,
    );
    assertRefused(await ask(bucket, {}), "AccessDenied", HEADER);
    assert.equal((await ask(bucket, { method: "HEAD" })).status, 200);
    assert.equal((await ask(bucket, { method: "PUT", body: "x" })).status, 200);
  });

  it("holds for presigned links, whose own parameters count as signed", async () => {
    const bucket = await bucketWith({ headers: ["Host"], params: ["all"] });
    const presigned = (signed: Sent["headers"], query?: Sent["query"]): Promise<Received> =>
      server.send({
        bucket,
        path: "/k",
        ...(query && { query }),
        sign: { via: "query", instead: { headers: signed ?? {}, query: {} } },
      });
    assert.equal((await presigned(hostOf(bucket))).status, 200);
    assertRefused(await presigned({}), "AccessDenied", HEADER);
    assertRefused(await presigned(hostOf(bucket), { "response-content-type": "text/html" }), "AccessDenied", PARAM);
  });

  it("asks nothing of who has not signed, nor of forms", async () => {
    const bucket = await bucketWith({ headers: ["Host"], params: ["all"] });
    await server.send({ method: "PUT", bucket, query: { acl: "" }, headers: { "x-cos-acl": "public-read" } });
    assert.equal((await server.send({ bucket, path: "/k", query: { "x-mine": "1" }, sign: false })).status, 200);
    const signed = signedFields(server.cosbox.credentials);
    assert.equal(
      (await server.send(form([["key", "f"], ...signed, ["file", { bytes: "x" }]], { bucket }))).status,
      204,
    );
  });

  it("takes what official clients sign, and holds for S3 clients", async () => {
    const bucket = await bucketWith({ headers: ["Host", "x-cos-*", "Content-Type"], params: ["all"] });
    const place = { Bucket: bucket, Region: server.cosbox.region };
    for (const cos of [server.cos, await withTemporaryKeys(server)]) {
      await cos.putObject({ ...place, Key: "sdk", Body: "x" });
      assert.equal(String((await cos.getObject({ ...place, Key: "sdk" })).Body), "x");
    }
    const s3 = s3Client(server);
    const put = {
      method: "PUT",
      path: "/s3",
      body: "x",
      bucket,
      headers: { "content-type": "text/plain", "x-amz-meta-a": "b" },
    };
    const loose = await s3.send({
      ...put,
      signedHeaders: ["host", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-a"],
    });
    assert.deepEqual([loose.status, loose.element("Message")], [403, HEADER.message]);
    const tight = await s3.send({
      ...put,
      signedHeaders: ["content-type", "host", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-a"],
    });
    assert.equal(tight.status, 200, tight.text);
    assert.equal((await s3.send({ ...put, sign: "v2" })).status, 200);
    const paged = await s3.send({ path: "/", bucket, query: { prefix: "s" }, sign: "v2" });
    assert.deepEqual([paged.status, paged.element("Message")], [403, PARAM.message]);
  });

  it("tells in the decision record what was not signed, and which rule wants it", async () => {
    const bucket = await bucketWith({ id: "the-rule", params: ["all"] });
    const refused = await ask(bucket, { query: { "x-mine": "1" } });
    const explained = await server.cosbox.requests.explain(refused.element("RequestId") ?? "");
    assert.match(explained ?? "", /parameter "x-mine" is not signed; the rule "the-rule" wants it/);
  });
});

describe("sec_S-1.7, CVE-2020-11012, sec_S-1.8: what the holder of a signature may add", () => {
  let loose: TestServer;
  let strictly: TestServer;
  beforeAll(async () => {
    [loose, strictly] = await Promise.all([testServer(), testServer({ strictSigning: true })]);
    for (const server of [loose, strictly]) await server.send({ method: "PUT", path: "/k", body: "kept" });
  });
  afterAll(() => Promise.all([loose.stop(), strictly.stop()]));

  const host = "demo-1250000000.cos.ap-guangzhou.myqcloud.com";
  const CASES: readonly (readonly [string, Sent, RegExp])[] = [
    ["a host that is not signed", { path: "/k", sign: { instead: { headers: {} } } }, /header that must be signed/],
    [
      "x-cos- headers",
      {
        method: "PUT",
        path: "/k",
        body: "x",
        headers: { "x-cos-acl": "private", "x-cos-meta-a": "b" },
        sign: { instead: { headers: { host } } },
      },
      /header that must be signed/,
    ],
    [
      "parameters",
      { path: "/k", query: { "response-content-type": "text/html" }, sign: { instead: { query: {} } } },
      /param that must be signed/,
    ],
    [
      "parameters to a link",
      {
        path: "/k",
        query: { "response-content-type": "text/html" },
        sign: { via: "query", instead: { headers: { host }, query: {} } },
      },
      /param that must be signed/,
    ],
  ];
  it.each(CASES)(
    "AccessDenied: %s, with strictSigning; taken as the service does without",
    async (_, request, message) => {
      assert.equal((await loose.send(request)).status, 200);
      assertRefused(await strictly.send(request), "AccessDenied", { message });
    },
  );

  it("AccessDenied: fields of a form that its policy does not cover, with strictSigning", async () => {
    const parts = (server: TestServer, ...conditions: unknown[]) =>
      form([
        ["key", "f"],
        ["acl", "private"],
        ...signedFields({ ...server.cosbox.credentials, conditions }),
        ["file", { bytes: "x" }],
      ]);
    assert.equal((await loose.send(parts(loose))).status, 204);
    assertRefused(await strictly.send(parts(strictly, { key: "f" })), "AccessDenied", {
      message: /Extra input fields: acl/,
    });
    assert.equal((await strictly.send(parts(strictly, { key: "f" }, { acl: "private" }))).status, 204);
  });

  it("takes what the official client sends, with strictSigning", async () => {
    const place = { Bucket: strictly.bucket, Region: strictly.cosbox.region };
    for (const cos of [strictly.cos, await withTemporaryKeys(strictly)]) {
      await cos.putObject({ ...place, Key: "sdk", Body: "x", Headers: { "x-cos-meta-a": "b" } });
      assert.equal(String((await cos.getObject({ ...place, Key: "sdk" })).Body), "x");
      await cos.getBucket({ ...place, Prefix: "s" });
    }
  });
});
