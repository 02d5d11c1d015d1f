/**
 * Every operation that is built, crossed with every way to sign it badly and with everybody who might ask. A new
 * operation fails here until it has a sample: one that forgot to ask who calls is how most object stores were opened
 * (sec_S-1.2: CVE-2026-40344; sec_S-1.3; sec_S-1.10; sec_S-2.6; sec_S-2.12: CVE-2016-7031; sec_S-2.15).
 */

import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { TABLE } from "../../src/operations/table.ts";
import { STRANGER } from "../fixtures/accounts.ts";
import { BOUNDARY, formBody, s3SignedFields, signedFields } from "../fixtures/forms.ts";
import { contentMd5, type Received, type Sent, type Signing, type TestServer, testServer } from "../fixtures/server.ts";
import { allow } from "../fixtures/people.ts";
import { federated, type TemporaryPair } from "../fixtures/sts.ts";
import { begin, partList, sendPart } from "../fixtures/uploads.ts";

type Need = "read" | "write" | "owner" | "signed";
const ACLS = ["private", "public-read", "public-read-write", "authenticated-read"] as const;
type Acl = (typeof ACLS)[number];

interface Upload {
  readonly uploadId: string;
  readonly etag: string;
}

const bucketOf = (acl: Acl): string => `${acl}-1250000000`;
const DELETION = "<Delete><Object><Key>kept</Key></Object></Delete>";

const VERSIONING = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
const LOCK = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
const RETENTION =
  "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2098-01-01T00:00:00Z</RetainUntilDate></Retention>";
const ENCRYPTION =
  "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
const CORS =
  "<CORSConfiguration><CORSRule><AllowedOrigin>https://a.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>";
const REFERER =
  "<RefererConfiguration><Status>Enabled</Status><RefererType>White-List</RefererType><DomainList><Domain>*.a.example</Domain></DomainList><EmptyReferConfiguration>Allow</EmptyReferConfiguration></RefererConfiguration>";
const STRICT =
  "<StrictSignatureConfiguration><Rule><ID>host</ID><actionlist><action>*</action></actionlist><headerlist><header>Host</header></headerlist></Rule></StrictSignatureConfiguration>";
const TAGGING = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
const LIFECYCLE =
  "<LifecycleConfiguration><Rule><Filter/><Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>";
const RESTORE = "<RestoreRequest><Days>1</Days></RestoreRequest>";
const TIERING =
  "<IntelligentTieringConfiguration><Status>Enabled</Status><Transition><Days>30</Days></Transition></IntelligentTieringConfiguration>";
const TIERING_RULE =
  "<IntelligentTieringConfiguration><Id>default</Id><Status>Enabled</Status><Tiering><AccessTier>INFREQUENT</AccessTier><Days>30</Days></Tiering></IntelligentTieringConfiguration>";
const POLICY = JSON.stringify({
  version: "2.0",
  statement: { effect: "allow", principal: { qcs: "qcs::cam::uin/1:uin/1" }, action: "*", resource: "*" },
});

/** What an operation needs of the bucket, and a request for it that would succeed. */
const SAMPLES: Readonly<Record<string, readonly [Need, (bucket: string, upload: Upload) => Sent]>> = {
  GetService: ["signed", () => ({ bucket: "" })],
  PutBucket: ["signed", () => ({ method: "PUT", bucket: "new-1250000000" })],
  HeadBucket: ["read", (bucket) => ({ method: "HEAD", bucket })],
  GetBucketLocation: ["owner", (bucket) => ({ bucket, query: { location: undefined } })],
  GetBucket: ["read", (bucket) => ({ bucket })],
  PutObject: ["write", (bucket) => ({ method: "PUT", bucket, path: "/put", body: "x" })],
  GetObject: ["read", (bucket) => ({ bucket, path: "/kept" })],
  HeadObject: ["read", (bucket) => ({ method: "HEAD", bucket, path: "/kept" })],
  PutObjectCopy: [
    "write",
    (bucket) => ({
      method: "PUT",
      bucket,
      path: "/copy",
      headers: { "x-cos-copy-source": `${bucketOf("public-read")}/kept` },
    }),
  ],
  AppendObject: [
    "write",
    (bucket) => ({ method: "POST", bucket, path: "/log", query: { append: undefined, position: 0 }, body: "x" }),
  ],
  InitiateMultipartUpload: [
    "write",
    (bucket) => ({ method: "POST", bucket, path: "/begun", query: { uploads: undefined } }),
  ],
  UploadPart: [
    "write",
    (bucket, { uploadId }) => ({
      method: "PUT",
      bucket,
      path: "/parted",
      query: { partNumber: 2, uploadId },
      body: "x",
    }),
  ],
  UploadPartCopy: [
    "write",
    (bucket, { uploadId }) => ({
      method: "PUT",
      bucket,
      path: "/parted",
      query: { partNumber: 3, uploadId },
      headers: { "x-cos-copy-source": `${bucketOf("public-read")}/kept` },
    }),
  ],
  ListParts: ["write", (bucket, { uploadId }) => ({ bucket, path: "/parted", query: { uploadId } })],
  ListMultipartUploads: ["read", (bucket) => ({ bucket, query: { uploads: undefined } })],
  CompleteMultipartUpload: [
    "write",
    (bucket, { uploadId, etag }) => ({
      method: "POST",
      bucket,
      path: "/parted",
      query: { uploadId },
      body: partList([[1, etag]]),
    }),
  ],
  AbortMultipartUpload: [
    "write",
    (bucket, { uploadId }) => ({ method: "DELETE", bucket, path: "/parted", query: { uploadId } }),
  ],
  DeleteObject: ["write", (bucket) => ({ method: "DELETE", bucket, path: "/kept" })],
  DeleteMultipleObjects: [
    "write",
    (bucket) => ({
      method: "POST",
      bucket,
      query: { delete: undefined },
      headers: { "content-md5": contentMd5(DELETION) },
      body: DELETION,
    }),
  ],
  // To restore what is not archived is refused, but not for want of permission.
  PostObjectRestore: [
    "owner",
    (bucket) => ({ method: "POST", bucket, path: "/kept", query: { restore: undefined }, body: RESTORE }),
  ],
  PutBucketIntelligentTiering: [
    "owner",
    (bucket) => ({ method: "PUT", bucket, query: { intelligenttiering: undefined }, body: TIERING }),
  ],
  GetBucketIntelligentTiering: ["owner", (bucket) => ({ bucket, query: { intelligenttiering: undefined } })],
  PutBucketIntelligentTieringConfiguration: [
    "owner",
    (bucket) => ({
      method: "PUT",
      bucket,
      query: { "intelligent-tiering": undefined, id: "default" },
      body: TIERING_RULE,
    }),
  ],
  GetBucketIntelligentTieringConfiguration: [
    "owner",
    (bucket) => ({ bucket, query: { "intelligent-tiering": undefined, id: "default" } }),
  ],
  ListBucketIntelligentTiering: ["owner", (bucket) => ({ bucket, query: { "intelligent-tiering": undefined } })],
  DeleteBucketIntelligentTieringConfiguration: [
    "owner",
    (bucket) => ({ method: "DELETE", bucket, query: { "intelligent-tiering": undefined, id: "cold" } }),
  ],
  PutBucketLifecycle: [
    "owner",
    (bucket) => ({ method: "PUT", bucket, query: { lifecycle: undefined }, body: LIFECYCLE }),
  ],
  GetBucketLifecycle: ["owner", (bucket) => ({ bucket, query: { lifecycle: undefined } })],
  DeleteBucketLifecycle: ["owner", (bucket) => ({ method: "DELETE", bucket, query: { lifecycle: undefined } })],
  GetBucketPolicy: ["owner", (bucket) => ({ bucket, query: { policy: undefined } })],
  PutBucketPolicy: ["owner", (bucket) => ({ method: "PUT", bucket, query: { policy: undefined }, body: POLICY })],
  GetBucketACL: ["owner", (bucket) => ({ bucket, query: { acl: undefined } })],
  PutBucketACL: [
    "owner",
    (bucket) => ({
      method: "PUT",
      bucket,
      query: { acl: undefined },
      headers: { "x-cos-acl": bucket.replace(/-\d+$/, "") },
    }),
  ],
  GetObjectACL: ["owner", (bucket) => ({ bucket, path: "/kept", query: { acl: undefined } })],
  PutObjectACL: [
    "owner",
    (bucket) => ({
      method: "PUT",
      bucket,
      path: "/kept",
      query: { acl: undefined },
      headers: { "x-cos-acl": "default" },
    }),
  ],
  DeleteBucketPolicy: ["owner", (bucket) => ({ method: "DELETE", bucket, query: { policy: undefined } })],
  GetBucketObjectVersions: ["read", (bucket) => ({ bucket, query: { versions: undefined } })],
  GetBucketVersioning: ["owner", (bucket) => ({ bucket, query: { versioning: undefined } })],
  PutBucketVersioning: [
    "owner",
    (bucket) => ({ method: "PUT", bucket, query: { versioning: undefined }, body: VERSIONING }),
  ],
  PutObjectRetention: [
    "owner",
    (bucket) => ({ method: "PUT", bucket, path: "/kept", query: { retention: undefined }, body: RETENTION }),
  ],
  GetObjectRetention: ["owner", (bucket) => ({ bucket, path: "/kept", query: { retention: undefined } })],
  PutBucketObjectLockConfiguration: [
    "owner",
    (bucket) => ({ method: "PUT", bucket, query: { "object-lock": undefined }, body: LOCK }),
  ],
  GetBucketObjectLockConfiguration: ["owner", (bucket) => ({ bucket, query: { "object-lock": undefined } })],
  GetBucketEncryption: ["owner", (bucket) => ({ bucket, query: { encryption: undefined } })],
  PutBucketEncryption: [
    "owner",
    (bucket) => ({ method: "PUT", bucket, query: { encryption: undefined }, body: ENCRYPTION }),
  ],
  DeleteBucketEncryption: ["owner", (bucket) => ({ method: "DELETE", bucket, query: { encryption: undefined } })],
  GetBucketCORS: ["owner", (bucket) => ({ bucket, query: { cors: undefined } })],
  PutBucketCORS: ["owner", (bucket) => ({ method: "PUT", bucket, query: { cors: undefined }, body: CORS })],
  DeleteBucketCORS: ["owner", (bucket) => ({ method: "DELETE", bucket, query: { cors: undefined } })],
  GetBucketReferer: ["owner", (bucket) => ({ bucket, query: { referer: undefined } })],
  PutBucketReferer: ["owner", (bucket) => ({ method: "PUT", bucket, query: { referer: undefined }, body: REFERER })],
  GetBucketStrictSignature: ["owner", (bucket) => ({ bucket, query: { "strict-signature": undefined } })],
  PutBucketStrictSignature: [
    "owner",
    (bucket) => ({ method: "PUT", bucket, query: { "strict-signature": undefined }, body: STRICT }),
  ],
  DeleteBucketStrictSignature: [
    "owner",
    (bucket) => ({ method: "DELETE", bucket, query: { "strict-signature": undefined } }),
  ],
  GetBucketTagging: ["owner", (bucket) => ({ bucket, query: { tagging: undefined } })],
  PutBucketTagging: ["owner", (bucket) => ({ method: "PUT", bucket, query: { tagging: undefined }, body: TAGGING })],
  DeleteBucketTagging: ["owner", (bucket) => ({ method: "DELETE", bucket, query: { tagging: undefined } })],
  GetObjectTagging: ["owner", (bucket) => ({ bucket, path: "/kept", query: { tagging: undefined } })],
  PutObjectTagging: [
    "owner",
    (bucket) => ({ method: "PUT", bucket, path: "/kept", query: { tagging: undefined }, body: TAGGING }),
  ],
  DeleteObjectTagging: [
    "owner",
    (bucket) => ({ method: "DELETE", bucket, path: "/kept", query: { tagging: undefined } }),
  ],
  DeleteBucket: ["owner", (bucket) => ({ method: "DELETE", bucket })],
};
const NAMES = Object.keys(SAMPLES);

/** Requests that carry a signature which must not count, and the code each is told. */
const TAMPERED: readonly (readonly [what: string, code: string, signing: (server: TestServer) => Signing])[] = [
  ["another secret", "SignatureDoesNotMatch", () => ({ secretKey: "another00000000000000000" })],
  ["a stranger's secret", "SignatureDoesNotMatch", () => ({ secretKey: STRANGER.secretKey })],
  ["an unknown id", "InvalidAccessKeyId", () => ({ secretId: "AKIDnobody" })],
  ["a hostile id", "InvalidAccessKeyId", () => ({ secretId: "__proto__" })],
  [
    "no signature behind the id",
    "AccessDenied",
    () => ({ alter: (text) => text.replace(/q-signature=\w+/, "q-signature=") }),
  ],
  ["a signature cut short", "SignatureDoesNotMatch", () => ({ alter: (text) => text.slice(0, -1) })],
  ["the signature of another method", "SignatureDoesNotMatch", () => ({ instead: { method: "PATCH" } })],
  ["the signature of another path", "SignatureDoesNotMatch", () => ({ instead: { path: "/elsewhere" } })],
  [
    "the signature of another bucket",
    "SignatureDoesNotMatch",
    () => ({ instead: { headers: { host: "other-1250000000.cos.ap-guangzhou.myqcloud.com" } } }),
  ],
  ["the signature of another query", "SignatureDoesNotMatch", () => ({ instead: { query: { other: "1" } } })],
  ["an expired signature", "Request has expired", () => ({ signTime: "1600000000;1600000600" })],
  ["another algorithm", "VerifyAlgorithmNotSupported", () => ({ alter: (text) => text.replace("=sha1", "=none") })],
];

/** Status and code; for an answer without a body, its type. */
function asSeen(answer: Received): string {
  const { status, body, headers, text } = answer;
  return body.length === 0
    ? `${status} ${headers["content-type"] ?? ""}`
    : `${status} ${answer.element("Code") ?? text}`;
}

describe("sec_S-1.2, sec_S-2.6: every operation", () => {
  let server: TestServer;
  let uploads: ReadonlyMap<Acl, Upload>;

  async function fill(): Promise<void> {
    const made = new Map<Acl, Upload>();
    for (const acl of ACLS) {
      const bucket = bucketOf(acl);
      await server.send({ method: "PUT", bucket, headers: { "x-cos-acl": acl } });
      await server.send({ method: "PUT", bucket, path: "/kept", body: "kept" });
      const inBucket: TestServer = { ...server, send: (request) => server.send({ bucket, ...request }) };
      const uploadId = await begin(inBucket, "parted");
      made.set(acl, { uploadId, etag: await sendPart(inBucket, "parted", uploadId, 1, "x") });
    }
    uploads = made;
  }
  const sample = (name: string, acl: Acl): Sent =>
    (SAMPLES[name] as (typeof SAMPLES)[string])[1](bucketOf(acl), uploads.get(acl) as Upload);

  /** All that there is in the buckets, for comparison. */
  async function contents(): Promise<string> {
    const seen: string[] = [(await server.send({ bucket: "" })).elements("Name").join()];
    for (const acl of ACLS) {
      const bucket = bucketOf(acl);
      const { uploadId } = uploads.get(acl) as Upload;
      for (const request of [
        { query: { versions: undefined } },
        { query: { versioning: undefined } },
        { query: { uploads: undefined } },
        { path: "/parted", query: { uploadId } },
        { path: "/kept" },
        { path: "/kept", query: { tagging: undefined } },
      ]) {
        seen.push((await server.send({ bucket, ...request })).text);
      }
    }
    return seen.join("\n");
  }

  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER], createBucket: false, limits: { partBytesMin: 1 } });
    await fill();
  });
  afterAll(() => server.stop());

  it("has a sample here", () => {
    // What a browser asks ahead is nobody's to sign; cors.test.ts has it. forms.test.ts has what is signed in a form.
    const built = TABLE.filter(
      ({ authentication, handle, only, preflight }) =>
        handle !== undefined && only !== "s3" && preflight !== true && !authentication.includes("form"),
    ).map(({ name }) => name);
    assert.deepEqual([...new Set(built)].sort(), [...NAMES].sort());
  });

  it("names the ways it may be signed, and whom it serves", () => {
    for (const { name, authentication, permission, action } of TABLE) {
      assert.ok(authentication.length > 0 && permission !== undefined && action.startsWith("name/cos:"), name);
    }
  });

  for (const via of ["header", "query", "merged"] as const) {
    it.each(TAMPERED)(`refuses %s: %s, signed in the ${via}, and does nothing`, async (_, code, signing) => {
      const before = await contents();
      for (const name of NAMES) {
        const answer = await server.send({ ...sample(name, "public-read-write"), sign: { ...signing(server), via } });
        if (answer.body.length > 0) assert.equal(answer.element("Code"), code, `${name}: ${answer.text}`);
        else assert.ok(answer.status === 403 || answer.status === 400, `${name}: ${answer.status}`);
      }
      assert.equal(await contents(), before);
    });
  }

  describe("signed with a temporary key", () => {
    let pair: TemporaryPair;
    let other: TemporaryPair;
    beforeAll(async () => {
      pair = await federated(server, allow("*"));
      other = await federated(server, allow("*"));
    });
    const token = (value: string) => ({ "x-cos-security-token": value });

    for (const via of ["header", "query", "merged"] as const) {
      it.each(TAMPERED)(`refuses %s: %s, signed in the ${via}, and does nothing`, async (_, code, signing) => {
        const before = await contents();
        for (const name of NAMES) {
          const request = sample(name, "public-read-write");
          const { secretId, secretKey } = pair;
          const headers = { ...request.headers, ...token(pair.token) };
          const sign = { secretId, secretKey, ...signing(server), via };
          const answer = await server.send({ ...request, headers, sign });
          if (answer.body.length > 0) assert.equal(answer.element("Code"), code, `${name}: ${answer.text}`);
          else assert.ok(answer.status === 403 || answer.status === 400, `${name}: ${answer.status}`);
        }
        assert.equal(await contents(), before);
      });

      it.each<readonly [string, () => string]>([
        ["no token", () => ""],
        ["somebody else's token", () => other.token],
        ["half of its token", () => pair.token.slice(0, pair.token.length / 2)],
        ["its token and more", () => `${pair.token}AAAA`],
        ["a token with one bit changed", () => `${pair.token[0] === "A" ? "B" : "A"}${pair.token.slice(1)}`],
        ["a token of its own making", () => Buffer.from(JSON.stringify([pair.secretId])).toString("base64url")],
      ])(`InvalidAccessKeyId: %s, signed in the ${via}, in a header or a parameter`, async (_, made) => {
        const before = await contents();
        for (const name of NAMES) {
          const request = sample(name, "public-read-write");
          const { secretId, secretKey } = pair;
          const value = token(made());
          for (const held of [
            { headers: { ...request.headers, ...value } },
            { query: { ...request.query, ...value } },
          ]) {
            const answer = await server.send({ ...request, ...held, sign: { secretId, secretKey, via } });
            assert.match(asSeen(answer), /^403 (InvalidAccessKeyId|application\/xml)$/, name);
          }
        }
        assert.equal(await contents(), before);
      });
    }
  });

  it("sec_S-1.3, CVE-2023-28434: a signed form signs nothing but an upload", async () => {
    const before = await contents();
    for (const fields of [signedFields, s3SignedFields]) {
      const signed = fields(server.cosbox.credentials);
      for (const name of NAMES) {
        const request = sample(name, "private");
        const method = request.method ?? "GET";
        const body = formBody([["key", "kept"], ...signed, ["file", { name: "f", bytes: "x" }]]);
        const answer = await server.send({
          ...request,
          ...(method === "PUT" || method === "POST" ? { body } : {}),
          sign: false,
          headers: { ...request.headers, "content-type": `multipart/form-data; boundary=${BOUNDARY}` },
        });
        assert.match(asSeen(answer), /^403 (AccessDenied|application\/xml)$/, name);
      }
    }
    assert.equal(await contents(), before);
  });

  it("InvalidRequest: credentials in the header and in the query, although both are good", async () => {
    const before = await contents();
    for (const name of NAMES) {
      const request = sample(name, "private");
      const presigned = new URL(server.presign(request)).search.slice(1);
      const target = `${request.path ?? "/"}?${presigned}`;
      const answer = await server.send({ ...request, target, sign: { via: "header" } });
      assert.match(asSeen(answer), /^400 (InvalidRequest|application\/xml)$/, name);
    }
    assert.equal(await contents(), before);
  });

  describe("asks who calls", () => {
    const allowed = (need: Need, acl: Acl, who: "owner" | "stranger" | "nobody"): boolean => {
      if (who === "owner") return true;
      if (need === "signed") return who === "stranger";
      if (need === "owner") return false;
      if (acl === "public-read-write") return true;
      if (acl === "public-read") return need === "read";
      return acl === "authenticated-read" && need === "read" && who === "stranger";
    };

    it.each(NAMES)("AccessDenied: %s, to whom the bucket's ACL does not grant it, and to nobody else", async (name) => {
      const [need] = SAMPLES[name] as (typeof SAMPLES)[string];
      for (const acl of ACLS) {
        for (const who of ["nobody", "stranger", "owner"] as const) {
          const sign = who === "owner" ? true : who === "stranger" ? STRANGER : false;
          const answer = await server.send({ ...sample(name, acl), sign });
          // A bucket's name ends in its owner's APPID, so this one is not the stranger's to make.
          const may = allowed(need, acl, who) && !(name === "PutBucket" && who === "stranger");
          assert.equal(answer.status === 403, !may, `${name} ${acl} ${who}: ${asSeen(answer)}`);
          if (!may && answer.body.length > 0) assert.equal(answer.element("Code"), "AccessDenied");
        }
      }
      await fill();
    });
  });

  it("CVE-2024-36107, sec_S-2.5: conditions tell somebody without permission nothing of what is there", async () => {
    const shape = ({ status, headers, text }: Received): string => {
      const own = Object.keys(headers).join();
      return `${status} ${own} ${text.replace(/<(Resource|RequestId|TraceId|ServerTime)>[^<]*/g, "<$1>")}`;
    };
    const etag = (await server.send({ method: "HEAD", bucket: bucketOf("private"), path: "/kept" })).headers.etag ?? "";
    for (const sign of [false, STRANGER]) {
      for (const method of ["GET", "HEAD"]) {
        for (const headers of [
          { "if-match": etag },
          { "if-match": '"other"' },
          { "if-none-match": etag },
          { "if-none-match": "*" },
          { "if-modified-since": new Date().toUTCString() },
          { "if-unmodified-since": "Sat, 01 Jan 2000 00:00:00 GMT" },
          { range: "bytes=9999-" },
        ] as Record<string, string>[]) {
          const ask = (path: string): Promise<Received> =>
            server.send({ method, bucket: bucketOf("private"), path, headers, sign });
          assert.equal(shape(await ask("/kept")), shape(await ask("/none")));
        }
      }
    }
  });

  it("sec_S-2.3: a copy takes nothing that its caller may not read, not even whether it is there", async () => {
    const { uploadId } = uploads.get("public-read-write") as Upload;
    for (const key of ["kept", "none"]) {
      for (const query of [{}, { partNumber: 5, uploadId }]) {
        for (const sign of [false, STRANGER]) {
          const headers = {
            "x-cos-copy-source": `${bucketOf("private")}/${key}`,
            "x-cos-copy-source-if-none-match": "*",
          };
          const request = {
            method: "PUT",
            bucket: bucketOf("public-read-write"),
            path: "/parted",
            query,
            headers,
            sign,
          };
          assert.equal(asSeen(await server.send(request)), "403 AccessDenied");
        }
      }
    }
  });
});
