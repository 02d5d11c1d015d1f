/** What a refusal's record says: to whoever has one of its ids. */

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it } from "vitest";
import { run } from "../fixtures/command.ts";
import { form, signedFields } from "../fixtures/forms.ts";
import { allow, NOBODY, OTHER_APPID, OTHER_UIN, pairOf, PEOPLE, ROOT_UIN } from "../fixtures/people.ts";
import { amzNow, s3Client, type S3Request } from "../fixtures/s3.ts";
import { federated } from "../fixtures/sts.ts";
import { contentMd5, type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";

/** For tests that run the command several times, on a machine that has much else to do. */
const COMMAND_MS = 120_000;

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

/** What explain says of an answer, found by its RequestId and by its TraceId alike. */
async function explained(answer: Received, from: TestServer = server): Promise<string> {
  const byRequest = await from.cosbox.requests.explain(String(answer.headers["x-cos-request-id"]));
  const byTrace = await from.cosbox.requests.explain(answer.element("TraceId") ?? "none");
  assert.equal(byTrace, byRequest);
  assert.ok(byRequest !== undefined, "nothing is kept of it");
  return byRequest;
}

const KEY = "/docs/a b.txt";
const secretKey = () => server.cosbox.credentials.secretKey;

const hmac = (key: string | Buffer, text: string) => createHmac("sha1", key).update(text).digest("hex");
const sha1 = (text: string) => createHash("sha1").update(text).digest("hex");

/** The same credentials, signed with these parameters as they stand. */
function resigned(credentials: string, parameters: string): string {
  const [, time = ""] = /q-sign-time=([0-9;]+)/.exec(credentials) ?? [];
  const host = `host=${server.bucket}.cos.ap-guangzhou.myqcloud.com`;
  const text = `get\n${KEY}\n${parameters}\n${host}\n`;
  return credentials.replace(/[0-9a-f]{40}$/, hmac(hmac(secretKey(), time), `sha1\n${time}\n${sha1(text)}\n`));
}

/** Mistakes of clients, each made on purpose, with a word of what must be said of it. */
const MISTAKES: readonly (readonly [name: string, request: () => Sent, told: RegExp])[] = [
  ["path-encoded", () => ({ sign: { instead: { path: "/docs/a%20b.txt" } } }), /signed the path percent-encoded\./],
  ["path-encoded-twice", () => ({ sign: { instead: { path: "/docs/a%2520b.txt" } } }), /percent-encoded twice/],
  ["slash-doubled", () => ({ sign: { instead: { path: `/${KEY}` } } }), /doubled leading slash/],
  ["slash-missing", () => ({ sign: { instead: { path: KEY.slice(1) } } }), /without its leading slash/],
  ["bucket-in-path", () => ({ sign: { instead: { path: `/${server.bucket}${KEY}` } } }), /bucket as part of the path/],
  ["method-changed", () => ({ sign: { instead: { method: "PUT" } } }), /signed PUT and the request is GET/],
  [
    "host-changed",
    () => ({ sign: { instead: { headers: { host: "127.0.0.1:9000" } } } }),
    /signed the host 127\.0\.0\.1:9000/,
  ],
  [
    "listed-not-sent",
    () => ({ sign: { alter: (text) => text.replace("q-header-list=host", "q-header-list=host;x-cos-meta-a") } }),
    /lists x-cos-meta-a, which the request does not have/,
  ],
  [
    "header-changed",
    () => ({
      headers: { "content-type": "text/plain; charset=utf-8" },
      sign: {
        instead: { headers: { host: `${server.bucket}.cos.ap-guangzhou.myqcloud.com`, "content-type": "text/plain" } },
      },
    }),
    /signed content-type without its parameters/,
  ],
  [
    "not-lower-case",
    () => ({
      query: { Prefix: "a" },
      sign: { alter: (text) => resigned(text, "Prefix=a") },
    }),
    /signed the names of parameters with capitals/,
  ],
  ["secret-key", () => ({ sign: { secretKey: `${secretKey()}\n` } }), /SecretKey with a line break at its end/],
  [
    "upper-case",
    () => ({ sign: { alter: (text) => text.replace(/[0-9a-f]{40}$/, (hex) => hex.toUpperCase()) } }),
    /in upper case/,
  ],
];

describe("explain of SignatureDoesNotMatch", () => {
  for (const [name, request, told] of MISTAKES) {
    it(`names the mistake: ${name}`, async () => {
      const answer = await server.send({ path: KEY, ...request() });
      assert.deepEqual([answer.status, answer.element("Code")], [403, "SignatureDoesNotMatch"]);
      assert.match(await explained(answer), told);
      const record = await server.cosbox.requests.find(answer.element("RequestId") ?? "");
      assert.equal(record?.evidence?.kind === "signature" ? record.evidence.mistake?.name : undefined, name);
    });
  }

  /** Of forms: the signature that each mistake gives, of the policy's text, its Base64, the key of the period. */
  const FORM_MISTAKES: readonly (readonly [
    string,
    (parts: { text: string; encoded: string; key: string; keyTime: string }) => string,
  ])[] = [
    ["policy-encoded", ({ encoded, key }) => hmac(key, sha1(encoded))],
    ["policy-encoded", ({ encoded, key }) => hmac(key, encoded)],
    ["not-hashed", ({ text, key }) => hmac(key, text)],
    ["policy-changed", ({ text, key }) => hmac(key, sha1(`${text}\n`))],
    ["signed-as-request", ({ text, key, keyTime }) => hmac(key, `sha1\n${keyTime}\n${sha1(text)}\n`)],
    ["key-not-made", ({ text }) => hmac(secretKey(), sha1(text))],
    ["key-as-bytes", ({ text, key }) => hmac(Buffer.from(key, "hex"), sha1(text))],
    ["secret-key", ({ text, keyTime }) => hmac(hmac(`${secretKey()}\n`, keyTime), sha1(text))],
    ["upper-case", ({ text, key }) => hmac(key, sha1(text)).toUpperCase()],
  ];
  it.each(FORM_MISTAKES)("names the mistake of a form: %s", async (name, signature) => {
    const fields = new Map(signedFields({ ...server.cosbox.credentials, conditions: [{ "x-cos-meta-a": "hidden" }] }));
    const encoded = fields.get("policy") ?? "";
    const keyTime = fields.get("q-key-time") ?? "";
    const text = Buffer.from(encoded, "base64").toString();
    fields.set("q-signature", signature({ text, encoded, key: hmac(secretKey(), keyTime), keyTime }));
    const answer = await server.send(form([["key", "k"], ...fields, ["file", { bytes: "x" }]]));
    assert.equal(answer.element("Code"), "SignatureDoesNotMatch");
    const record = await server.cosbox.requests.find(answer.element("RequestId") ?? "");
    assert.equal(record?.evidence?.kind === "signature" ? record.evidence.mistake?.name : undefined, name);
    assert.doesNotMatch(JSON.stringify(record), /hidden/, "the policy is not kept");
    assert.match(await explained(answer), /What to do/);
  });

  /** Of S3 clients: what is signed in place of what is sent, and what must be said of it. */
  const S3_MISTAKES: readonly (readonly [string, theirs: () => S3Request, told: RegExp, ours?: S3Request])[] = [
    ["path-encoded-twice", () => ({ path: "/docs/a%20b.txt" }), /percent-encoded twice/],
    ["slash-doubled", () => ({ path: `/${KEY}` }), /doubled leading slash/],
    ["bucket-in-path", () => ({ path: `/${server.bucket}${KEY}` }), /bucket as part of the path/],
    ["bucket-not-in-path", () => ({ bucket: "", style: "path" }), /path without the bucket/, { style: "path" }],
    ["method-changed", () => ({ method: "HEAD" }), /signed HEAD and the request is GET/],
    ["host-changed", () => ({ host: "127.0.0.1:9000" }), /signed the host 127\.0\.0\.1:9000/],
    [
      "header-changed",
      () => ({ headers: { "x-amz-meta-a": "text/plain" } }),
      /signed x-amz-meta-a without its parameters/,
      { headers: { "x-amz-meta-a": "text/plain; q=1" } },
    ],
    ["payload-hash", () => ({ payload: "UNSIGNED-PAYLOAD" }), /signed the payload UNSIGNED-PAYLOAD/],
    ["parameters-not-signed", () => ({}), /did not sign the parameters/, { query: { versionId: "null" } }],
    [
      "secret-key",
      () => ({ keys: { ...server.cosbox.credentials, secretKey: `${secretKey()}\n` } }),
      /with a line break/,
    ],
    [
      "secret-key",
      () => ({ sign: "v2", keys: { ...server.cosbox.credentials, secretKey: ` ${secretKey()}` } }),
      /with a blank before it/,
      { sign: "v2" },
    ],
  ];
  it.each(S3_MISTAKES.map(([name, theirs, told, ours = {}]) => ({ name, theirs, told, ours })))(
    "names the mistake of an S3 client: $name",
    async ({ name, theirs, told, ours }) => {
      const s3 = s3Client(server);
      const both = { path: KEY, dateTime: amzNow(), ...ours };
      const [sent, signed] = [s3.compose(both), s3.compose({ ...both, query: {}, ...theirs() })];
      const authorization = signed.headers?.["authorization"] ?? "";
      const answer = await server.send({ ...sent, headers: { ...sent.headers, authorization } });
      assert.equal(answer.element("Code"), "SignatureDoesNotMatch", answer.text);
      const record = await server.cosbox.requests.find(String(answer.headers["x-cos-request-id"]));
      assert.equal(record?.evidence?.kind === "signature" ? record.evidence.mistake?.name : undefined, name);
      const text = await server.cosbox.requests.explain(String(answer.headers["x-cos-request-id"]));
      assert.match(text ?? "", told);
    },
  );

  it("keeps no token of an S3 client with the text that was to be signed", async () => {
    const headers = { "x-amz-security-token": "canary-1=canary-2" };
    const s3 = s3Client(server);
    for (const request of [
      { headers },
      { sign: "v2", headers },
      { sign: "v4-query", query: { "X-Amz-Security-Token": "canary-3" } },
    ] as const) {
      const answer = await s3.send({
        path: KEY,
        keys: { ...server.cosbox.credentials, secretKey: "wrong-secret-key" },
        ...request,
      });
      const record = await server.cosbox.requests.find(String(answer.headers["x-cos-request-id"]));
      assert.ok(record !== undefined && record.status === 403);
      assert.doesNotMatch(JSON.stringify(record), /canary/);
    }
  });

  it("tells an S3 client both times", async () => {
    const s3 = s3Client(server);
    const early = await s3.send({ path: KEY, dateTime: amzNow(-3_600_000) });
    assert.equal(early.element("Code"), "RequestTimeTooSkewed");
    const text = await server.cosbox.requests.explain(String(early.headers["x-cos-request-id"]));
    assert.match(text ?? "", /It ended 270\d s earlier/);
  });

  it("shows the first character in which the signed texts differ", async () => {
    const text = await explained(await server.send({ path: KEY, sign: { instead: { path: "/docs/a%20b.txt" } } }));
    assert.match(text, /They part at character 12, in line 2: the server has ".*\/docs\/a b/);
  });

  it("says so when no single mistake fits", async () => {
    const answer = await server.send({ path: KEY, sign: { secretKey: "quite-another-secret-key" } });
    assert.match(await explained(answer), /None of \d+ known mistakes .*\n[\s\S]*another SecretKey/);
  });
});

describe("explain of other refusals", () => {
  it("tells both times of an expired signature", async () => {
    const text = await explained(await server.send({ path: KEY, sign: { signTime: "1700000000;1700003600" } }));
    assert.match(text, /holds from 2023-11-14T22:13:20.000Z to 2023-11-14T23:13:20.000Z/);
  });

  it("names the region that a bucket is really in", async () => {
    const host = `${server.bucket}.cos.ap-beijing.myqcloud.com`;
    const answer = await server.send({ host });
    assert.equal(answer.element("Code"), "NoSuchBucket");
    assert.match(await explained(answer), /Set the client's region to ap-guangzhou\./);
  });

  it("names the host of the object service, where another one was addressed", async () => {
    const at = async (host: string) => await explained(await server.send({ host }));
    const website = await at(`${server.bucket}.cos-website.ap-guangzhou.myqcloud.com`);
    assert.match(
      website,
      /not built: static website\.\n[^]*Send the request to demo-\d+\.cos\.ap-guangzhou\.myqcloud\.com\./,
    );
    const accelerated = await at(`${server.bucket}.cos.accelerate.myqcloud.com`);
    assert.match(accelerated, /Send the request to demo-\d+\.cos\.<region>\.myqcloud\.com\./);
    const misspelt = await at(`${server.bucket}.cos.ap-gaungzhou.myqcloud.com`);
    assert.match(misspelt, /did you mean ap-guangzhou\?\n[^]*Send the request to demo-\d+\.cos\.ap-guangzhou\./);
    assert.match(await at(`${server.bucket}.cos.q.myqcloud.com`), /No region is called "q" here\.\n[^]*--regions/);
  });

  it("tells what there is, where that is not what was asked for", async () => {
    await server.send({ method: "PUT", path: "/facts", body: "abc" });
    const told = async (request: Sent) => {
      const answer = await server.send({ path: "/facts", ...request });
      const text = (await server.cosbox.requests.explain(String(answer.headers["x-cos-request-id"]))) ?? "";
      assert.match(text, /\nWhat to do\n {2}\S/);
      return text;
    };
    assert.match(await told({ headers: { range: "bytes=50-60" } }), /has 3 bytes, and the range is "bytes=50-60"/);
    for (const method of ["GET", "HEAD"]) {
      const text = await told({ method, headers: { "if-match": '"x"' } });
      assert.match(text, /ETag is "900150983cd24fb0d6963f7d28e17f72", and it was last modified at \d{4}-/);
    }
    const md5 = { "content-md5": contentMd5("abc") };
    assert.match(await told({ method: "PUT", headers: md5, body: "abd" }), /3 bytes that came have the MD5 \S+==\./);
    const tags = "<Tagging><TagSet/></Tagging>";
    const tagging = { method: "PUT", query: { tagging: undefined }, headers: md5, body: tags };
    assert.match(await told(tagging), /28 bytes that came have the MD5/);
    assert.match(
      await told({ path: `/${"k".repeat(851)}`, method: "PUT", body: "" }),
      /The key has 851 bytes\.\n.*keyBytesMax is 850/,
    );
    const append = { method: "POST", path: "/appended", query: { append: undefined, position: 7 }, body: "x" };
    assert.match(await told(append), /has 0 bytes, and the position is 7/);

    const begun = await server.send({ method: "POST", path: "/parts", query: { uploads: undefined } });
    const uploadId = begun.element("UploadId");
    const etags: string[] = [];
    for (const partNumber of [1, 2]) {
      const part = await server.send({ method: "PUT", path: "/parts", query: { partNumber, uploadId }, body: "x" });
      etags.push(String(part.headers["etag"]));
    }
    const complete = async (parts: readonly (readonly [number, string | undefined])[]) => {
      const list = parts.map(([at, etag]) => `<Part><PartNumber>${at}</PartNumber><ETag>${etag}</ETag></Part>`);
      const body = `<CompleteMultipartUpload>${list.join("")}</CompleteMultipartUpload>`;
      return await told({ method: "POST", path: "/parts", query: { uploadId }, body });
    };
    assert.match(await complete([[3, etags[0]]]), /Found: part 3 is not there\./);
    assert.match(await complete([[1, '"00000000000000000000000000000000"']]), /Found: part 1 has the ETag "/);
    assert.match(
      await complete([
        [1, etags[0]],
        [2, etags[1]],
      ]),
      /Part 1 has 1 bytes, and it is not the last one\./,
    );
  });

  it("names the CORS rule that comes nearest, and what of it stops the page", async () => {
    const page = "https://a.example";
    const ask = async (origin: string, method: string, headers = "") =>
      await explained(
        await server.send({
          method: "OPTIONS",
          path: KEY,
          sign: false,
          headers: {
            origin,
            "access-control-request-method": method,
            ...(headers === "" ? {} : { "access-control-request-headers": headers }),
          },
        }),
      );
    assert.match(await ask(page, "GET"), /The bucket has no CORS rules/);
    const rule = (id: string, origin: string, method: string) =>
      `<CORSRule><ID>${id}</ID><AllowedOrigin>${origin}</AllowedOrigin><AllowedMethod>${method}</AllowedMethod><AllowedHeader>x-a</AllowedHeader></CORSRule>`;
    const body = `<CORSConfiguration>${rule("one", "https://b.example", "PUT")}${rule("two", page, "GET")}</CORSConfiguration>`;
    assert.equal((await server.send({ method: "PUT", query: { cors: undefined }, body })).status, 200);
    try {
      assert.match(
        await ask("https://c.example", "GET"),
        /Rule 1 \("one"\) comes nearest; the origin "https:\/\/c\.example" stops it: it admits "https:\/\/b\.example"\./,
      );
      assert.match(
        await ask(page, "PUT"),
        /Rule 2 \("two"\) comes nearest; the method "PUT" stops it: it admits "GET"\./,
      );
      const text = await ask(page, "GET", "X-A, x-b");
      assert.match(text, /Rule 2 \("two"\) comes nearest; the header "x-b" stops it: it admits "x-a"\./);
      assert.match(
        text,
        /AllowedOrigin https:\/\/a\.example, AllowedMethod GET, AllowedHeader x-a, AllowedHeader x-b\./,
      );
      const signed = await server.send({ path: KEY, headers: { origin: "https://c.example" } });
      assert.equal(signed.element("Code"), "AccessForbidden");
      assert.match(
        await explained(signed),
        /signed it with the development keys[^]*Rule 1 \("one"\)[^]*keys of your own/,
      );
      const site = await server.send({ path: KEY, headers: { "sec-fetch-site": "cross-site" } });
      assert.match(await explained(site), /tells no origin of the page/);
      const many = await ask(page, "GET", Array.from({ length: 1_000 }, (_, at) => `x-${at}`).join(","));
      assert.match(many, /asks for 1000 headers\.\n.*corsRequestHeadersMax/);
    } finally {
      await server.send({ method: "DELETE", query: { cors: undefined } });
    }
  });

  it("gives the smallest statement that would allow it, and that statement does", async () => {
    const denied = await server.send({ path: KEY, sign: false });
    assert.equal(denied.element("Code"), "AccessDenied");
    const record = await server.cosbox.requests.find(denied.element("RequestId") ?? "");
    const body = JSON.stringify({ version: "2.0", Statement: [record?.access?.wouldAllow] });
    const put = await server.send({ method: "PUT", query: { policy: undefined }, body });
    assert.equal(put.status, 204, put.text);
    // Allowed now, it finds that there is no such object.
    assert.equal((await server.send({ path: KEY, sign: false })).element("Code"), "NoSuchKey");
    await server.send({ method: "DELETE", query: { policy: undefined } });
  });

  it("says in which policies that statement has to stand, and there it allows", async () => {
    const stranger = pairOf("stranger");
    const strangers = { uin: OTHER_UIN, appid: OTHER_APPID, users: [{ uin: "100000000066", keys: [stranger] }] };
    const own = await testServer({ accounts: [...PEOPLE.filter(({ uin }) => uin !== OTHER_UIN), strangers] });
    try {
      const accessTold = async (request: Sent) => {
        const denied = await own.send(request);
        assert.equal(denied.element("Code"), "AccessDenied");
        const { access } = (await own.cosbox.requests.find(denied.element("RequestId") ?? "")) ?? {};
        return { text: await explained(denied, own), access };
      };
      const policy = (statement: unknown) => ({ version: "2.0", statement: [statement] });
      const attach = async (account: object, user: string, statement: unknown) =>
        await own.cosbox.seed({
          accounts: [
            {
              ...account,
              policies: [{ name: "told", document: policy(statement) }],
              users: [{ uin: user, policies: ["told"] }],
            } as never,
          ],
        });
      const statementAfter = (text: string, words: string): unknown => {
        const lines = text.split("\n").map((line) => line.trim());
        return JSON.parse(lines[lines.findIndex((line) => line.endsWith(words)) + 1] ?? "") as unknown;
      };

      const services = await accessTold({ bucket: "", sign: NOBODY });
      assert.deepEqual(services.access?.wouldAllowIn, ["user policy"]);
      await attach({ uin: ROOT_UIN }, "100000000013", statementAfter(services.text, "in a policy of the user:"));
      assert.equal((await own.send({ bucket: "", sign: NOBODY })).status, 200);

      const abroad = await accessTold({ sign: stranger });
      assert.deepEqual(abroad.access?.wouldAllowIn, ["user policy", "bucket policy"]);
      const body = JSON.stringify(policy(statementAfter(abroad.text, "in the policy of the bucket:")));
      assert.equal((await own.send({ method: "PUT", query: { policy: undefined }, body })).status, 204);
      const half = await accessTold({ sign: stranger });
      assert.match(half.text, /bucket policy, .*: it matches\./);
      await attach(
        { uin: OTHER_UIN, appid: OTHER_APPID },
        "100000000066",
        statementAfter(half.text, "in a policy of the user:"),
      );
      assert.equal((await own.send({ sign: stranger })).status, 200);

      const narrow = await federated(own, allow("name/cos:PutObject"));
      const by = ({ token, ...sign }: typeof narrow): Sent => ({
        path: KEY,
        headers: { "x-cos-security-token": token },
        sign,
      });
      const temporary = await accessTold(by(narrow));
      assert.deepEqual(temporary.access?.wouldAllowIn, ["session policy"]);
      const wide = statementAfter(temporary.text, "in the policy that the temporary keys are made with:");
      assert.equal((await own.send(by(await federated(own, policy(wide))))).element("Code"), "NoSuchKey");
    } finally {
      await own.stop();
    }
  });

  it("tells what the ACL grants that was asked", async () => {
    await server.send({ method: "PUT", path: "/listed", body: "x", headers: { "x-cos-acl": "authenticated-read" } });
    const text = await explained(await server.send({ path: "/listed", sign: false }));
    assert.match(text, /ACL: it would have to grant READ or FULL_CONTROL; it grants READ to every signed caller\./);
    assert.match(await explained(await server.send({ sign: false })), /it grants nothing to anybody but the owner\./);
  });

  it("tells the state of an object that it does not fit: its lock, its class, its restored copy", async () => {
    const own = await testServer();
    try {
      const done = async (request: Sent) => {
        const answer = await own.send(request);
        assert.ok(answer.status < 300, answer.text);
      };
      const told = async (request: Sent) => await explained(await own.send(request), own);
      const headers = { "x-cos-storage-class": "ARCHIVE" };
      await done({ method: "PUT", path: "/cold", body: "x", headers });
      const frozen = await told({ path: "/cold" });
      assert.match(frozen, /The version is null, of the class ARCHIVE\. It is \d{4}-/);
      assert.match(frozen, /No restored copy is there\./);
      assert.match(frozen, /Restore it first/);
      const body = "<RestoreRequest><Days>1</Days></RestoreRequest>";
      await done({ method: "POST", path: "/cold", query: { restore: undefined }, body });
      assert.match(
        await told({ method: "POST", path: "/cold", query: { restore: undefined }, body }),
        /A restored copy is there from \d{4}-.* until \d{4}-/,
      );
      const rule = "<Rule><DefaultRetention><Days>9</Days></DefaultRetention></Rule>";
      const lock = `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>${rule}</ObjectLockConfiguration>`;
      await done({ method: "PUT", query: { "object-lock": undefined }, body: lock });
      await done({ method: "PUT", path: "/kept", body: "x" });
      const until = String(
        (await own.send({ method: "HEAD", path: "/kept" })).headers["x-cos-object-lock-retain-until-date"],
      );
      for (const request of [{ method: "DELETE" }, { method: "PUT", body: "y" }]) {
        assert.ok((await told({ path: "/kept", ...request })).includes(`It is locked until ${until}.`));
      }
      const suspend = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>";
      const state = await told({ method: "PUT", query: { versioning: undefined }, body: suspend });
      assert.match(
        state,
        /versioning: never configured\. Its objects can be locked \(generation 2, for 9 days by default\)/,
      );
    } finally {
      await own.stop();
    }
  });

  it("names the statement that denies", async () => {
    const Resource = [`qcs::cos:ap-guangzhou:uid/1250000000:${server.bucket}/*`];
    const Principal = { qcs: ["qcs::cam::anyone:anyone"] };
    const Statement = [{ Sid: "closed", Effect: "Deny", Principal, Action: ["name/cos:GetObject"], Resource }];
    const body = JSON.stringify({ version: "2.0", Statement });
    assert.equal((await server.send({ method: "PUT", query: { policy: undefined }, body })).status, 204);
    const answer = await server.send({ path: KEY, sign: false });
    assert.match(await explained(answer), /bucket policy, closed \(deny\): it matches/);
    await server.send({ method: "DELETE", query: { policy: undefined } });
  });

  it("tells line, column and what was expected of a malformed document", async () => {
    const body = "<Delete>\n<Wrong></Delete>";
    const headers = { "content-md5": contentMd5(body) };
    const answer = await server.send({ method: "POST", query: { delete: undefined }, headers, body });
    assert.equal(answer.element("Code"), "MalformedXML");
    assert.match(await explained(answer), /line 2, column \d+/);
  });

  it("has a record of what the edge refuses before it is a request", async () => {
    const answer = await server.send({ target: "/%ff", sign: false });
    assert.equal(answer.element("Code"), "InvalidURI");
    assert.match(await explained(answer), /Refused with 400 InvalidURI/);
  });

  it("tells the tier in which an object of the tiering class is archived", async () => {
    const rule = (id: string, tier: string, days: number) => ({
      method: "PUT",
      query: { "intelligent-tiering": undefined, id },
      body: `<IntelligentTieringConfiguration><Id>${id}</Id><Status>Enabled</Status><Tiering><AccessTier>${tier}</AccessTier><Days>${days}</Days></Tiering></IntelligentTieringConfiguration>`,
    });
    for (const request of [rule("default", "INFREQUENT", 30), rule("cold", "ARCHIVE_ACCESS", 90)]) {
      assert.equal((await server.send(request)).status, 200);
    }
    const headers = { "x-cos-storage-class": "INTELLIGENT_TIERING" };
    await server.send({ method: "PUT", path: "/tiered", body: Buffer.alloc(64 * 1024), headers });
    await server.cosbox.clock.advance("90d");
    try {
      const text = await explained(await server.send({ path: "/tiered" }));
      assert.match(text, /of the class INTELLIGENT_TIERING, in the tier ARCHIVE_ACCESS[^]*Restore it first/);
    } finally {
      await server.cosbox.clock.reset();
    }
  });

  it("tells the state of a key, and which key of a client was missing", async () => {
    const key = await server.cosbox.keys.create();
    const headers = {
      "x-cos-server-side-encryption": "cos/kms",
      "x-cos-server-side-encryption-cos-kms-key-id": key.id,
    };
    await server.send({ method: "PUT", path: "/sealed", body: "x", headers });
    await server.cosbox.keys.disable(key.id);
    const answer = await server.send({ path: "/sealed" });
    assert.equal(answer.element("Code"), "KmsKeyDisabled");
    assert.ok((await explained(answer)).includes(`Found: key ${key.id} is disabled.`));

    const customer = (bytes: Buffer): Record<string, string> => ({
      "x-cos-server-side-encryption-customer-algorithm": "AES256",
      "x-cos-server-side-encryption-customer-key": bytes.toString("base64"),
      "x-cos-server-side-encryption-customer-key-MD5": createHash("md5").update(bytes).digest("base64"),
    });
    await server.send({ method: "PUT", path: "/own", body: "x", headers: customer(Buffer.alloc(32, 1)) });
    const none = await server.send({ path: "/own" });
    assert.match(await explained(none), /encrypted with a client's key, and none was sent\./);
    const other = await server.send({ path: "/own", headers: customer(Buffer.alloc(32, 2)) });
    assert.match(await explained(other), /encrypted with a client's key, and another one was sent\./);
  });

  it("shows a terminal no control characters of a client's", async () => {
    const text = await explained(
      await server.send({ path: "/a\u001b[31m\u202eb", sign: { secretKey: "wrong-secret-key" } }),
    );
    assert.ok(!text.includes("\u001b") && !text.includes("\u202e"));
  });
});

describe("decision records", () => {
  it("are kept of successes, with their caller, operation and steps", async () => {
    const answer = await server.send({ method: "PUT", path: "/kept", body: "hello" });
    const record = await server.cosbox.requests.find(String(answer.headers["x-cos-request-id"]));
    assert.deepEqual(
      [record?.status, record?.operation, record?.bucket, record?.key, record?.steps.map(({ name }) => name)],
      [200, "PutObject", server.bucket, "kept", ["address", "authenticate", "bucket", "authorise", "input", "handle"]],
    );
    assert.equal(server.cosbox.requests.recent()[0]?.requestId, record?.requestId);
  });

  it("are bounded in number", async () => {
    const small = await testServer({ limits: { recordsInMemory: 3 } });
    for (let at = 0; at < 5; at++) await small.send({ path: `/${at}` });
    assert.deepEqual(
      small.cosbox.requests.recent().map(({ key }) => key),
      ["4", "3", "2"],
    );
    await small.stop();
  });

  it("hold no reason beyond the rate that is set, and the request itself all the same", async () => {
    const slow = await testServer({ limits: { refusalRecordsPerSecond: 1 } });
    const answers = await Promise.all(Array.from({ length: 20 }, () => slow.send({ path: "/no" })));
    const records = slow.cosbox.requests.recent();
    assert.equal(records.length, answers.length + 1);
    assert.equal(records.filter(({ errorId }) => errorId === "NoSuchKey").length, answers.length);
    const brief = records.filter((record) => record.brief);
    assert.ok(brief.length >= 1 && brief.length < 20, String(brief.length));
    assert.match((await slow.cosbox.requests.explain(brief[0]?.requestId ?? "")) ?? "", /Not kept: more was refused/);
    await slow.stop();
  });

  it("S-11.1: hold no signature, token, key or cookie that could be used again", async () => {
    const data = await mkdtemp(join(tmpdir(), "cosbox-"));
    const disk = await testServer({ memory: false, data });
    const signature = "0123456789abcdef0123456789abcdef01234567";
    const credentials = (text: string) => text.replace(/[0-9a-f]{40}$/, signature);
    const headers = {
      cookie: "canary-1",
      referer: `http://a/?q-signature=${signature}&sign=canary-5`,
      authorization: "",
    };
    await disk.send({ path: "/a", sign: { alter: credentials }, headers: { cookie: "canary-1" } });
    await disk.send({ path: "/a", sign: { via: "query", alter: credentials } });
    await disk.send({ path: "/a", sign: { via: "merged", alter: credentials } });
    await disk.send({ path: "/a", sign: false, headers });
    await disk.send({ path: "/a", headers: { "x-cos-security-token": "canary-2" } });
    await disk.send({ path: "/a", query: { "x-cos-security-token": "canary-3" } });
    await disk.send({ path: "/a", headers: { "x-cos-server-side-encryption-customer-key": "canary-4" } });
    await disk.send({ path: "/a", sign: false, headers: { authorization: "Bearer canary-6" } });
    const kept = JSON.stringify(disk.cosbox.requests.recent());
    await disk.stop();
    const folder = join(data, "refusals");
    const files = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), "utf8")));
    const text = kept + files.join("");
    assert.ok(text.includes("SignatureDoesNotMatch"));
    for (const secret of [signature, disk.cosbox.credentials.secretKey, "canary"])
      assert.ok(!text.includes(secret), secret);
    await rm(data, { recursive: true });
  });

  it(
    "are found on disk by the command, beside the server and after it, past a line that was cut short",
    async () => {
      const data = await mkdtemp(join(tmpdir(), "cosbox-"));
      const disk = await testServer({ memory: false, data });
      const answer = await disk.send({ path: "/a", sign: { instead: { path: "//a" } } });
      const id = answer.element("TraceId") ?? "";
      await disk.cosbox.requests.find("nobody");
      const beside = await run(["explain", id, "--data", data], data);
      assert.match(beside.stdout, /doubled leading slash/, beside.stderr);
      await disk.stop();
      const { appendFile } = await import("node:fs/promises");
      const folder = join(data, "refusals");
      const [name = ""] = await readdir(folder);
      await appendFile(join(folder, name), `{"requestId":"x","traceId":"${id}`);
      const after = await run(["explain", answer.element("RequestId") ?? "", "--data", data, "--json"], data);
      assert.equal((JSON.parse(after.stdout) as { traceId: string }).traceId, id);
      const unknown = await run(["explain", "nobody", "--data", data], data);
      assert.deepEqual([unknown.code, unknown.stdout], [1, ""]);
      await rm(data, { recursive: true });
    },
    COMMAND_MS,
  );
});
