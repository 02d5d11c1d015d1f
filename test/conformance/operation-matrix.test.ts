import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { ambiguousRoutes } from "../../src/http/router.ts";
import type { Operation } from "../../src/operations/operation.ts";
import { TABLE } from "../../src/operations/table.ts";
import { CATALOGUE } from "../../src/errors/catalogue.ts";
import { STRANGER } from "../fixtures/accounts.ts";
import { cosboxOfParts } from "../fixtures/parts.ts";
import { pairOf, ROOT_UIN } from "../fixtures/people.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { contentMd5, type Sent, serverOf, type Signing, type TestServer, testServer } from "../fixtures/server.ts";
import { federated, type TemporaryPair } from "../fixtures/sts.ts";

// What a browser asks ahead is nobody's to sign; cors.test.ts has it. Forms are signed in their fields;
// test/security/forms.test.ts has them.
const BUILT = TABLE.filter(
  ({ authentication, handle, only, preflight }) =>
    handle !== undefined && only !== "s3" && preflight !== true && !authentication.includes("form"),
);
const LOCK = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
const RETENTION =
  "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2098-01-01T00:00:00Z</RetainUntilDate></Retention>";
const ENCRYPTION =
  "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>";
const CORS =
  "<CORSConfiguration><CORSRule><AllowedOrigin>https://a.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>";
const TAGGING = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
const REFERER =
  "<RefererConfiguration><Status>Enabled</Status><RefererType>White-List</RefererType><DomainList><Domain>*.a.example</Domain></DomainList><EmptyReferConfiguration>Allow</EmptyReferConfiguration></RefererConfiguration>";
const STRICT =
  "<StrictSignatureConfiguration><Rule><ID>host</ID><actionlist><action>*</action></actionlist><headerlist><header>Host</header></headerlist></Rule></StrictSignatureConfiguration>";
const DELETE_ONE = "<Delete><Object><Key>doomed</Key></Object></Delete>";

/** A request that each operation answers with success, and whatever has to be there for it. */
type Prepare = (server: TestServer, serial: number) => Promise<Sent>;

async function begin(server: TestServer, path: string): Promise<string> {
  const begun = await server.send({ method: "POST", path, query: { uploads: undefined } });
  return begun.element("UploadId") as string;
}

async function store(server: TestServer, path: string): Promise<void> {
  assert.equal((await server.send({ method: "PUT", path, body: "stored" })).status, 200);
}

const LIFECYCLE =
  "<LifecycleConfiguration><Rule><Filter/><Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>";
/** What locks a bucket of its own: it would stay locked for those who come after. */
async function locking(server: TestServer, serial: number): Promise<Sent & { readonly bucket: string }> {
  const bucket = `locked${serial}-1250000000`;
  await server.send({ method: "PUT", bucket });
  return { bucket, query: { "object-lock": "" }, body: LOCK };
}

const RESTORE = "<RestoreRequest><Days>1</Days></RestoreRequest>";
const TIERING =
  "<IntelligentTieringConfiguration><Status>Enabled</Status><Transition><Days>30</Days></Transition></IntelligentTieringConfiguration>";
const TIERING_RULE =
  "<IntelligentTieringConfiguration><Id>default</Id><Status>Enabled</Status><Tiering><AccessTier>INFREQUENT</AccessTier><Days>30</Days></Tiering></IntelligentTieringConfiguration>";

/** A policy that changes nothing for anybody who comes by here. */
const policyFor = (bucket: string): string =>
  JSON.stringify({
    version: "2.0",
    statement: {
      effect: "allow",
      principal: { qcs: ["qcs::cam::uin/100000000099:uin/100000000099"] },
      action: "name/cos:GetObject",
      resource: `qcs::cos:ap-guangzhou:uid/1250000000:${bucket}/*`,
    },
  });

const SAMPLES: ReadonlyMap<string, Prepare> = new Map<string, Prepare>([
  ["PutBucketCORS", async () => ({ method: "PUT", query: { cors: "" }, body: CORS })],
  [
    "GetBucketCORS",
    async (server) => {
      await server.send({ method: "PUT", query: { cors: "" }, body: CORS });
      return { query: { cors: "" } };
    },
  ],
  ["DeleteBucketCORS", async () => ({ method: "DELETE", query: { cors: "" } })],
  [
    "PutBucketObjectLockConfiguration",
    async (server, serial) => ({ method: "PUT", ...(await locking(server, serial)) }),
  ],
  [
    "GetBucketObjectLockConfiguration",
    async (server, serial) => {
      const request = await locking(server, serial);
      await server.send({ method: "PUT", ...request });
      return { bucket: request.bucket, query: { "object-lock": "" } };
    },
  ],
  [
    "PutObjectRetention",
    async (server, serial) => {
      const request = await locking(server, serial);
      await server.send({ method: "PUT", ...request });
      await server.send({ method: "PUT", bucket: request.bucket, path: "/kept", body: "x" });
      return { method: "PUT", bucket: request.bucket, path: "/kept", query: { retention: "" }, body: RETENTION };
    },
  ],
  [
    "GetObjectRetention",
    async (server, serial) => {
      const request = await locking(server, serial);
      const { bucket } = request;
      await server.send({ method: "PUT", ...request });
      await server.send({ method: "PUT", bucket, path: "/kept", body: "x" });
      await server.send({ method: "PUT", bucket, path: "/kept", query: { retention: "" }, body: RETENTION });
      return { bucket, path: "/kept", query: { retention: "" } };
    },
  ],
  ["PutBucketEncryption", async () => ({ method: "PUT", query: { encryption: "" }, body: ENCRYPTION })],
  [
    "GetBucketEncryption",
    async (server) => {
      await server.send({ method: "PUT", query: { encryption: "" }, body: ENCRYPTION });
      return { query: { encryption: "" } };
    },
  ],
  ["DeleteBucketEncryption", async () => ({ method: "DELETE", query: { encryption: "" } })],
  ["GetService", async () => ({ bucket: "" })],
  ["PutBucket", async (_, serial) => ({ method: "PUT", bucket: `made${serial}-1250000000` })],
  ["HeadBucket", async () => ({ method: "HEAD" })],
  [
    "DeleteBucket",
    async (server, serial) => {
      const bucket = `doomed${serial}-1250000000`;
      await server.send({ method: "PUT", bucket });
      return { method: "DELETE", bucket };
    },
  ],
  ["GetBucketLocation", async () => ({ query: { location: "" } })],
  ["GetBucket", async () => ({})],
  ["PutObject", async (_, serial) => ({ method: "PUT", path: `/put${serial}`, body: "x" })],
  [
    "GetObject",
    async (server) => {
      await store(server, "/read");
      return { path: "/read" };
    },
  ],
  [
    "HeadObject",
    async (server) => {
      await store(server, "/read");
      return { method: "HEAD", path: "/read" };
    },
  ],
  [
    "DeleteObject",
    async (server) => {
      await store(server, "/doomed");
      return { method: "DELETE", path: "/doomed" };
    },
  ],
  [
    "DeleteMultipleObjects",
    async (server) => {
      await store(server, "/doomed");
      const headers = { "content-md5": contentMd5(DELETE_ONE) };
      return { method: "POST", query: { delete: "" }, body: DELETE_ONE, headers };
    },
  ],
  [
    "PutObjectCopy",
    async (server, serial) => {
      await store(server, "/read");
      return { method: "PUT", path: `/copy${serial}`, headers: { "x-cos-copy-source": `${server.bucket}/read` } };
    },
  ],
  [
    "AppendObject",
    async (_, serial) => ({ method: "POST", path: `/log${serial}`, query: { append: "", position: 0 }, body: "x" }),
  ],
  ["InitiateMultipartUpload", async () => ({ method: "POST", path: "/begun", query: { uploads: "" } })],
  [
    "UploadPart",
    async (server) => {
      const uploadId = await begin(server, "/parts");
      return { method: "PUT", path: "/parts", query: { partNumber: 1, uploadId }, body: "part" };
    },
  ],
  [
    "UploadPartCopy",
    async (server) => {
      await store(server, "/read");
      const uploadId = await begin(server, "/parts");
      const headers = { "x-cos-copy-source": `${server.bucket}/read` };
      return { method: "PUT", path: "/parts", query: { partNumber: 1, uploadId }, headers };
    },
  ],
  [
    "CompleteMultipartUpload",
    async (server) => {
      const uploadId = await begin(server, "/whole");
      const part = await server.send({
        method: "PUT",
        path: "/whole",
        query: { partNumber: 1, uploadId },
        body: "part",
      });
      const listed = `<Part><PartNumber>1</PartNumber><ETag>${String(part.headers["etag"])}</ETag></Part>`;
      const body = `<CompleteMultipartUpload>${listed}</CompleteMultipartUpload>`;
      return { method: "POST", path: "/whole", query: { uploadId }, body };
    },
  ],
  [
    "AbortMultipartUpload",
    async (server) => ({ method: "DELETE", path: "/parts", query: { uploadId: await begin(server, "/parts") } }),
  ],
  ["ListParts", async (server) => ({ path: "/parts", query: { uploadId: await begin(server, "/parts") } })],
  ["ListMultipartUploads", async () => ({ query: { uploads: "" } })],
  ["PutBucketPolicy", async (server) => ({ method: "PUT", query: { policy: "" }, body: policyFor(server.bucket) })],
  [
    "GetBucketPolicy",
    async (server) => {
      await server.send({ method: "PUT", query: { policy: "" }, body: policyFor(server.bucket) });
      return { query: { policy: "" } };
    },
  ],
  ["PutBucketACL", async () => ({ method: "PUT", query: { acl: "" }, headers: { "x-cos-acl": "private" } })],
  ["GetBucketACL", async () => ({ query: { acl: "" } })],
  [
    "PutObjectACL",
    async (server) => {
      await store(server, "/read");
      return { method: "PUT", path: "/read", query: { acl: "" }, headers: { "x-cos-acl": "default" } };
    },
  ],
  [
    "GetObjectACL",
    async (server) => {
      await store(server, "/read");
      return { path: "/read", query: { acl: "" } };
    },
  ],
  ["DeleteBucketPolicy", async () => ({ method: "DELETE", query: { policy: "" } })],
  [
    "PutBucketVersioning",
    async (server, serial) => {
      const bucket = `versioned${serial}-1250000000`;
      await server.send({ method: "PUT", bucket });
      const body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
      return { method: "PUT", bucket, query: { versioning: "" }, body };
    },
  ],
  [
    "PostObjectRestore",
    async (server, serial) => {
      const path = `/frozen${serial}`;
      await server.send({ method: "PUT", path, body: "x", headers: { "x-cos-storage-class": "ARCHIVE" } });
      return { method: "POST", path, query: { restore: "" }, body: RESTORE };
    },
  ],
  ["PutBucketIntelligentTiering", async () => ({ method: "PUT", query: { intelligenttiering: "" }, body: TIERING })],
  ["GetBucketIntelligentTiering", async () => ({ query: { intelligenttiering: "" } })],
  [
    "PutBucketIntelligentTieringConfiguration",
    async () => ({ method: "PUT", query: { "intelligent-tiering": "", id: "default" }, body: TIERING_RULE }),
  ],
  ["GetBucketIntelligentTieringConfiguration", async () => ({ query: { "intelligent-tiering": "", id: "default" } })],
  ["ListBucketIntelligentTiering", async () => ({ query: { "intelligent-tiering": "" } })],
  [
    "DeleteBucketIntelligentTieringConfiguration",
    async () => ({ method: "DELETE", query: { "intelligent-tiering": "", id: "cold" } }),
  ],
  ["PutBucketLifecycle", async () => ({ method: "PUT", query: { lifecycle: "" }, body: LIFECYCLE })],
  [
    "GetBucketLifecycle",
    async (server) => {
      await server.send({ method: "PUT", query: { lifecycle: "" }, body: LIFECYCLE });
      return { query: { lifecycle: "" } };
    },
  ],
  ["DeleteBucketLifecycle", async () => ({ method: "DELETE", query: { lifecycle: "" } })],
  ["GetBucketVersioning", async () => ({ query: { versioning: "" } })],
  ["PutBucketTagging", async () => ({ method: "PUT", query: { tagging: "" }, body: TAGGING })],
  [
    "GetBucketTagging",
    async (server) => {
      await server.send({ method: "PUT", query: { tagging: "" }, body: TAGGING });
      return { query: { tagging: "" } };
    },
  ],
  ["DeleteBucketTagging", async () => ({ method: "DELETE", query: { tagging: "" } })],
  [
    "PutObjectTagging",
    async (server) => {
      await store(server, "/read");
      return { method: "PUT", path: "/read", query: { tagging: "" }, body: TAGGING };
    },
  ],
  [
    "GetObjectTagging",
    async (server) => {
      await store(server, "/read");
      return { path: "/read", query: { tagging: "" } };
    },
  ],
  [
    "DeleteObjectTagging",
    async (server) => {
      await store(server, "/read");
      return { method: "DELETE", path: "/read", query: { tagging: "" } };
    },
  ],
  ["PutBucketReferer", async () => ({ method: "PUT", query: { referer: "" }, body: REFERER })],
  [
    "GetBucketReferer",
    async (server) => {
      await server.send({ method: "PUT", query: { referer: "" }, body: REFERER });
      return { query: { referer: "" } };
    },
  ],
  ["PutBucketStrictSignature", async () => ({ method: "PUT", query: { "strict-signature": "" }, body: STRICT })],
  [
    "GetBucketStrictSignature",
    async (server) => {
      await server.send({ method: "PUT", query: { "strict-signature": "" }, body: STRICT });
      return { query: { "strict-signature": "" } };
    },
  ],
  ["DeleteBucketStrictSignature", async () => ({ method: "DELETE", query: { "strict-signature": "" } })],
  ["GetBucketObjectVersions", async () => ({ query: { versions: "" } })],
]);

/** A header and a parameter that every request here carries and signs, and that no operation looks at. */
const PROBES = { headers: { "x-probe": "1" }, query: { "x-probe": "1" } };

function probed(sent: Sent): Sent {
  return { ...sent, headers: { ...sent.headers, ...PROBES.headers }, query: { ...sent.query, ...PROBES.query } };
}

type Tampering = readonly [
  what: string,
  tamper: (sent: Sent, signed: Readonly<Record<string, string | number>>) => Signing | false,
];

const seconds = () => Math.floor(Date.now() / 1000);

/** Each says how the signature differs from the one that would hold. */
const TAMPERINGS: readonly Tampering[] = [
  ["another method", ({ method = "GET" }) => ({ instead: { method: method === "PUT" ? "GET" : "PUT" } })],
  ["HEAD for GET, GET for HEAD", ({ method = "GET" }) => ({ instead: { method: method === "HEAD" ? "GET" : "HEAD" } })],
  ["a longer path", ({ path = "/" }) => ({ instead: { path: `${path}x` } })],
  ["another path", () => ({ instead: { path: "/elsewhere" } })],
  ["another value of a parameter", ({ query }) => ({ instead: { query: { ...query, "x-probe": "2" } } })],
  ["a parameter that is not sent", ({ query }) => ({ instead: { query: { ...query, "x-gone": "1" } } })],
  ["an empty parameter that is not sent", ({ query }) => ({ instead: { query: { ...query, "x-gone": "" } } })],
  ["another value of a header", (_, headers) => ({ instead: { headers: { ...headers, "x-probe": "2" } } })],
  ["a header that is not sent", (_, headers) => ({ instead: { headers: { ...headers, "x-gone": "1" } } })],
  ["an empty header that is not sent", (_, headers) => ({ instead: { headers: { ...headers, "x-gone": "" } } })],
  [
    "another host",
    (_, headers) => ({ instead: { headers: { ...headers, host: "other-1250000000.cos.ap-guangzhou.myqcloud.com" } } }),
  ],
  [
    "the same host under another suffix",
    (_, headers) => ({
      instead: { headers: { ...headers, host: String(headers["host"]).replace("myqcloud.com", "tencentcos.cn") } },
    }),
  ],
  [
    "one digit of the signature",
    () => ({ alter: (text) => text.replace(/(?<=q-signature=.{7})./, (digit) => (digit === "a" ? "b" : "a")) }),
  ],
  ["no signature but its place", () => ({ alter: (text) => text.replace(/(?<=q-signature=).*/, "") })],
  ["another secret", () => ({ secretKey: "another" })],
  ["an empty secret", () => ({ secretKey: " " })],
  ["a SecretId that nobody has", () => ({ secretId: "AKIDnobody" })],
  ["somebody else's SecretId", () => ({ secretId: STRANGER.secretId })],
  ["somebody else's secret", () => ({ secretKey: STRANGER.secretKey })],
  [
    "a time that was moved afterwards",
    () => ({ alter: (text) => text.replace(/(?<=q-sign-time=\d+(;|%3B))\d+/, (end) => String(Number(end) - 1)) }),
  ],
  [
    "both times moved afterwards",
    () => ({ alter: (text) => text.replaceAll(/(?<=-time=\d+(?:;|%3B))\d+/g, (end) => String(Number(end) + 1)) }),
  ],
  ["a time that has passed", () => ({ signTime: `${seconds() - 600};${seconds() - 1}` })],
  ["a time to come", () => ({ signTime: `${seconds() + 1000};${seconds() + 2000}` })],
  ["names taken from the list", () => ({ alter: (text) => text.replace(/(?<=q-header-list=)[^&]*/, "") })],
  ["names added to the list", () => ({ alter: (text) => text.replace("q-url-param-list=", "q-url-param-list=a%3B") })],
  ["nothing at all", () => false],
];

/** All that a client can see of the account, without what differs from answer to answer. */
async function world(server: TestServer): Promise<string> {
  const look = async (request: Sent) => {
    const answer = await server.send(request);
    assert.equal(answer.status, 200, answer.text);
    return answer;
  };
  const all = await look({ bucket: "" });
  const contents = all.elements("Name").map(async (bucket) => {
    const [objects, uploads, versioning] = await Promise.all([
      look({ bucket, query: { versions: "" } }),
      look({ bucket, query: { uploads: "" } }),
      look({ bucket, query: { versioning: "" } }),
    ]);
    const keys = uploads.elements("Key");
    const parts = uploads
      .elements("UploadId")
      .map((uploadId, at) => look({ bucket, path: `/${keys[at]}`, query: { uploadId } }));
    return [objects, uploads, versioning, ...(await Promise.all(parts))].map(({ text }) => text);
  });
  return [all.text, ...(await Promise.all(contents)).flat()].join("\n");
}

describe("every operation that is built", () => {
  let server: TestServer;
  let serial = 0;
  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER], limits: { bucketsPerAccount: 1000 } });
  });
  afterAll(() => server.stop());

  it("has a sample request here", () => {
    assert.deepEqual(
      BUILT.map(({ name }) => name).filter((name) => !SAMPLES.has(name)),
      [],
    );
    assert.equal(SAMPLES.size, BUILT.length);
  });

  for (const operation of BUILT) {
    const prepare = SAMPLES.get(operation.name) as Prepare;
    describe(`${operation.name} over HTTP`, () => {
      for (const via of ["header", "query"] as const) {
        it(`is answered when it is signed in the ${via}, and refused after any tampering`, async () => {
          const control = await server.send({ ...probed(await prepare(server, serial++)), sign: { via } });
          assert.equal(control.status, operation.status, control.text);

          const sent = probed(await prepare(server, serial++));
          const name = sent.bucket ?? server.bucket;
          const host = name === "" ? "service.cos.myqcloud.com" : `${name}.cos.ap-guangzhou.myqcloud.com`;
          const before = await world(server);
          for (const [what, tamper] of TAMPERINGS) {
            const signing = tamper(sent, { host, ...sent.headers });
            const answer = await server.send({ ...sent, sign: signing === false ? false : { via, ...signing } });
            assert.equal(answer.status, 403, `${what}: ${answer.status} ${answer.text}`);
            assert.doesNotMatch(
              answer.text,
              /<(ListBucketResult|ListVersionsResult|ListAllMyBucketsResult|ListPartsResult)/,
            );
          }
          assert.equal(await world(server), before, "nothing was changed");
          const genuine = await server.send({ ...sent, sign: { via } });
          assert.equal(genuine.status, operation.status, "the very request that was refused in all other forms");
        });
      }

      it("AccessDenied for another account, with a signature that holds", async () => {
        const sent = probed(await prepare(server, serial++));
        const before = await world(server);
        for (const via of ["header", "query"] as const) {
          const answer = await server.send({ ...sent, sign: { ...STRANGER, via } });
          if (operation.name === "GetService") {
            assert.equal(answer.status, 200);
            assert.deepEqual(answer.elements("Name"), [], "its own buckets: none");
          } else if (operation.route.method === "HEAD") {
            assert.equal(answer.status, 403);
          } else {
            assertRefused(answer, "AccessDenied");
          }
        }
        assert.equal(await world(server), before);
      });

      it("InvalidRequest with credentials in two places", async () => {
        const sent = probed(await prepare(server, serial++));
        const before = await world(server);
        const url = new URL(server.presign(sent));
        const answer = await server.send({ ...sent, target: url.pathname + url.search, sign: true });
        assert.equal(answer.status, 400);
        if (operation.route.method !== "HEAD")
          assertRefused(answer, "InvalidRequest", { message: /more than one place/ });
        assert.equal(await world(server), before);
      });
    });
  }
});

/** What else a caller needs for the sample of an operation: copies read what they copy. */
const ALSO: ReadonlyMap<string, string> = new Map([
  ["PutObjectCopy", "name/cos:GetObject"],
  ["UploadPartCopy", "name/cos:GetObject"],
]);

const statement = (effect: "allow" | "deny", action: string | readonly string[]) => ({ effect, action, resource: "*" });
/** A policy that allows one operation, and one that allows all others. */
const only = ({ name, action }: Operation) => ({
  version: "2.0",
  statement: [statement("allow", [action, ALSO.get(name) ?? action])],
});
const allBut = ({ action }: Operation) => ({
  version: "2.0",
  statement: [statement("allow", "*"), statement("deny", action)],
});

describe("every operation that is built, by who asks", () => {
  let server: TestServer;
  let serial = 0;
  let expired: TemporaryPair;
  const user = (name: string) => pairOf(name.replace(/[^A-Za-z]/g, ""));
  const disabled = pairOf("switchedoff");
  beforeAll(async () => {
    const uin = ROOT_UIN;
    const kinds = [only, allBut] as const;
    const policies = BUILT.flatMap((operation) =>
      kinds.map((kind) => ({ name: `${kind.name}-${operation.name}`, document: kind(operation) })),
    );
    const users = policies.map(({ name }, at) => ({
      uin: String(200000000000 + at),
      policies: [name],
      keys: [user(name)],
    }));
    const off = { uin: "100000000099", policies: ["everything"], keys: [{ ...disabled, enabled: false }] };
    const everything = { name: "everything", document: { version: "2.0", statement: [statement("allow", "*")] } };
    server = await testServer({
      accounts: [{ uin, policies: [...policies, everything], users: [...users, off] }],
      limits: { bucketsPerAccount: 1000 },
    });
    expired = await federated(server, everything.document, { parameters: { DurationSeconds: 60 } });
    await server.cosbox.clock.advance("61s");
  });
  afterAll(() => server.stop());

  /** The request of a temporary key. */
  const by = ({ token, ...sign }: TemporaryPair, sent: Sent): Sent => ({
    ...sent,
    headers: { ...sent.headers, "x-cos-security-token": token },
    sign,
  });

  async function refused(sent: Sent, operation: Operation, id: "AccessDenied" | "InvalidAccessKeyId" | "ExpiredToken") {
    const answer = await server.send(sent);
    if (operation.route.method === "HEAD") assert.equal(answer.status, CATALOGUE[id].status);
    else assertRefused(answer, id);
  }

  for (const operation of BUILT) {
    const prepare = SAMPLES.get(operation.name) as Prepare;
    const fresh = async (): Promise<Sent> => await prepare(server, serial++);

    it(`${operation.name}: a user and a temporary key that may do this alone are answered`, async () => {
      const own = await server.send({ ...(await fresh()), sign: user(`only-${operation.name}`) });
      assert.equal(own.status, operation.status, own.text);
      const pair = await federated(server, only(operation));
      const temporary = await server.send(by(pair, await fresh()));
      assert.equal(temporary.status, operation.status, temporary.text);
    });

    it(`${operation.name}: nobody else is, and nothing changes`, async () => {
      const sent = await fresh();
      const { method = "GET" } = sent;
      const out = await federated(server, allBut(operation));
      const narrow = await federated(server, {
        version: "2.0",
        statement: [{ ...statement("allow", "*"), resource: "qcs::cos::uid/1250000000:elsewhere-1250000000/*" }],
      });
      const before = await world(server);
      await refused({ ...sent, sign: user(`allBut-${operation.name}`) }, operation, "AccessDenied");
      await refused(by(out, sent), operation, "AccessDenied");
      await refused(by(narrow, sent), operation, "AccessDenied");
      await refused({ ...sent, sign: disabled }, operation, "InvalidAccessKeyId");
      await refused(by(expired, sent), operation, "ExpiredToken");
      await refused({ ...sent, sign: { ...out, via: "header" } }, operation, "InvalidAccessKeyId");
      assert.equal(await world(server), before);
      const genuine = await server.send(sent);
      assert.equal(genuine.status, operation.status, `${method} ${genuine.text}`);
    });
  }
});

describe("the operation table", () => {
  it("leads no request to two operations", () => {
    assert.deepEqual(ambiguousRoutes(TABLE), []);
    const twice = TABLE.find(({ name }) => name === "GetBucket") as Operation;
    assert.equal(ambiguousRoutes([...TABLE, { ...twice, name: "Twin" }]).length, 1, "the check can fail");
  });

  it("sec_S-2.2: names an action, ways to sign and a status for each", () => {
    for (const { name, action, authentication, route, status, summary } of TABLE) {
      assert.match(action, /^name\/cos:[A-Z][A-Za-z]+$/, name);
      assert.ok(authentication.length > 0, name);
      assert.ok(status >= 200 && status < 600, name);
      assert.match(summary, /^[A-Z].*\.$/, name);
      for (const flag of route.query ?? []) assert.notEqual(flag, "", name);
    }
  });

  it("lets nobody come unsigned to what only an owner or an account may do", () => {
    for (const { name, authentication, permission } of BUILT) {
      if (permission === "owner" || permission === "signed") assert.ok(!authentication.includes("anonymous"), name);
    }
  });

  it("AccessDenied: an operation that lists no way to sign answers nobody", async () => {
    const closed = TABLE.map((operation) =>
      operation.name === "GetBucketLocation" ? { ...operation, authentication: [] } : operation,
    );
    const server = await serverOf(await cosboxOfParts({ table: closed }));
    try {
      for (const sign of [true, "query"] as const) {
        assertRefused(await server.send({ query: { location: "" }, sign }), "AccessDenied");
      }
      assertRefused(await server.send({ query: { location: "" }, sign: false }), "AccessDenied", {
        message: "Check auth failure because signature empty.",
        extras: ["ServerTime"],
      });
      assert.equal((await server.send({})).status, 200, "the others answer");
    } finally {
      await server.stop();
    }
  });

  it("AccessDenied: an operation answers only the ways to sign that it lists", async () => {
    const headerOnly = TABLE.map((operation) =>
      operation.name === "GetBucketLocation" ? { ...operation, authentication: ["header"] as const } : operation,
    );
    const server = await serverOf(await cosboxOfParts({ table: headerOnly }));
    try {
      assert.equal((await server.send({ query: { location: "" } })).status, 200);
      assertRefused(await server.send({ query: { location: "" }, sign: "query" }), "AccessDenied");
    } finally {
      await server.stop();
    }
  });
});
