import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { S3_OPERATIONS } from "../../scripts/docs/s3-operations.ts";
import { CATALOGUE } from "../../src/errors/catalogue.ts";
import { S3_FORMS, S3_NARROWER } from "../../src/errors/s3-codes.ts";
import { ambiguousRoutes } from "../../src/http/router.ts";
import { TABLE } from "../../src/operations/table.ts";
import { NAMESAKE, STRANGER } from "../fixtures/accounts.ts";
import { type S3Client, s3Client, type S3Request } from "../fixtures/s3.ts";
import { assertS3Refused } from "../fixtures/s3-refusal.ts";
import { contentMd5, type TestServer, testServer } from "../fixtures/server.ts";

describe("the operations of S3", () => {
  let server: TestServer;
  let s3: S3Client;

  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER, NAMESAKE], limits: { partBytesMin: 1 } });
    s3 = s3Client(server);
    await s3.send({ method: "PUT", path: "/kept", body: "kept" });
  });
  afterAll(() => server.stop());

  it("are each an operation of the table, named once and in order", () => {
    const names = S3_OPERATIONS.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    const table = new Set(TABLE.map(({ name }) => name));
    assert.deepEqual(
      S3_OPERATIONS.filter(({ is }) => !table.has(is)).map(({ name }) => name),
      [],
    );
  });

  it("have routes of their own beside those of COS", () => {
    assert.deepEqual(ambiguousRoutes(TABLE.filter(({ only }) => only !== "cos")), []);
  });

  it("have codes of their own only for rows of the catalogue", () => {
    for (const [id, form] of Object.entries(S3_FORMS)) {
      const row = CATALOGUE[id as keyof typeof CATALOGUE];
      assert.ok(form.code !== row.code || form.status !== row.status || form.message !== row.message, id);
    }
    const codes = new Set(Object.values(CATALOGUE).map(({ code }) => code));
    for (const code of Object.keys(S3_NARROWER)) assert.ok(!codes.has(code), code);
  });

  const unbuilt = TABLE.filter(
    ({ handle, only, name }) => handle === undefined && only !== "cos" && name !== "OptionsObject",
  );
  it.each(unbuilt.map((operation) => [operation.name, operation] as const))(
    "NotImplemented: %s, by name",
    async (name, { route }) => {
      const query = Object.fromEntries((route.query ?? []).map((flag) => [flag, undefined]));
      const answer = await s3.send({ method: route.method, path: route.on === "object" ? "/kept" : "/", query });
      assertS3Refused(answer, 501, "NotImplemented", new RegExp(`\\b${name}\\b`));
    },
  );

  it.each([
    "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-website-redirect-location",
    "x-amz-bucket-namespace",
    "x-amz-object-lock-legal-hold",
    "x-amz-mfa",
    "x-amz-transition-default-minimum-object-size",
    "x-amz-write-offset-bytes",
  ])("NotImplemented: the header %s, by the name it was sent under", async (name) => {
    const answer = await s3.send({ method: "PUT", path: "/none", body: "x", headers: { [name]: "1" } });
    assertS3Refused(answer, 501, "NotImplemented", new RegExp(name));
    assert.equal((await s3.send({ method: "HEAD", path: "/none" })).status, 404);
  });

  it("InvalidStorageClass, NotImplemented: classes that nobody knows, or that are not built", async () => {
    const put = (name: string) =>
      s3.send({ method: "PUT", path: "/none", body: "x", headers: { "x-amz-storage-class": name } });
    assertS3Refused(await put("GOLD"), 400, "InvalidStorageClass");
    assertS3Refused(await put("COLD"), 501, "NotImplemented");
    assert.equal((await put("STANDARD")).status, 200);
  });

  it("tells the archive tier of intelligent tiering in HEAD and in the refusal of GET", async () => {
    const timed = await testServer();
    try {
      const client = s3Client(timed);
      const tier = (name: string, days: number) =>
        `<Tiering><AccessTier>${name}</AccessTier><Days>${days}</Days></Tiering>`;
      for (const [id, tiering] of [
        ["default", tier("INFREQUENT", 30)],
        ["archive", tier("ARCHIVE_ACCESS", 90)],
      ] as const) {
        const body = `<IntelligentTieringConfiguration><Id>${id}</Id><Status>Enabled</Status>${tiering}</IntelligentTieringConfiguration>`;
        const set = await client.send({ method: "PUT", query: { "intelligent-tiering": undefined, id }, body });
        assert.equal(set.status, 200, set.text);
      }
      const headers = { "x-amz-storage-class": "INTELLIGENT_TIERING" };
      await client.send({ method: "PUT", path: "/k", body: Buffer.alloc(64 * 1024), headers });
      const status = async () => (await client.send({ method: "HEAD", path: "/k" })).headers["x-amz-archive-status"];
      await timed.cosbox.clock.advance("31d");
      assert.equal(await status(), undefined);
      await timed.cosbox.clock.advance("60d");
      assert.equal(await status(), "ARCHIVE_ACCESS");
      const frozen = await client.send({ path: "/k" });
      assertS3Refused(frozen, 403, "InvalidObjectState");
      const told = [frozen.element("StorageClass"), frozen.element("AccessTier")];
      assert.deepEqual(told, ["INTELLIGENT_TIERING", "ARCHIVE_ACCESS"]);
    } finally {
      await timed.stop();
    }
  });

  it("InvalidArgument: a lock that ends in the past", async () => {
    const bucket = server.cosbox.bucket("past");
    await s3.send({ method: "PUT", bucket, headers: { "x-amz-bucket-object-lock-enabled": "true" } });
    const headers = {
      "x-amz-object-lock-mode": "COMPLIANCE",
      "x-amz-object-lock-retain-until-date": "2020-01-01T00:00:00Z",
    };
    const put = await s3.send({ method: "PUT", bucket, path: "/k", body: "x", headers });
    assertS3Refused(put, 400, "InvalidArgument", /lock time/);
  });

  it("knows the archive as GLACIER, in headers, lists, restores, refusals and policies", async () => {
    const bucket = "classes-1250000000";
    await s3.send({ method: "PUT", bucket });
    const headers = { "x-amz-storage-class": "GLACIER" };
    const put = await s3.send({ method: "PUT", bucket, path: "/k", body: "x", headers });
    assert.equal(put.headers["x-amz-storage-class"], "GLACIER");
    assert.equal((await s3.send({ method: "HEAD", bucket, path: "/k" })).headers["x-amz-storage-class"], "GLACIER");
    assert.equal((await server.send({ method: "HEAD", bucket, path: "/k" })).headers["x-cos-storage-class"], "ARCHIVE");
    for (const query of [{}, { "list-type": 2 }, { versions: undefined }]) {
      assert.equal((await s3.send({ bucket, query })).element("StorageClass"), "GLACIER");
    }
    const attributes = { "x-amz-object-attributes": "StorageClass" };
    const told = await s3.send({ bucket, path: "/k", query: { attributes: undefined }, headers: attributes });
    assert.equal(told.element("StorageClass"), "GLACIER");
    const frozen = await s3.send({ bucket, path: "/k" });
    assertS3Refused(frozen, 403, "InvalidObjectState");
    assert.equal(frozen.headers["x-amz-storage-class"], "GLACIER");
    assert.deepEqual([frozen.element("StorageClass"), frozen.element("AccessTier")], ["GLACIER", undefined]);
    const body =
      "<RestoreRequest><Days>1</Days><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters></RestoreRequest>";
    const restore = () => s3.send({ method: "POST", bucket, path: "/k", query: { restore: undefined }, body });
    assert.equal((await restore()).status, 202);
    assertS3Refused(await restore(), 409, "RestoreAlreadyInProgress");
    const state = async () => (await s3.send({ method: "HEAD", bucket, path: "/k" })).headers["x-amz-restore"];
    assert.equal(await state(), 'ongoing-request="true"');
    const asked = { "x-amz-optional-object-attributes": "RestoreStatus" };
    const lists = (headers: Readonly<Record<string, string>>) =>
      Promise.all(
        [{}, { "list-type": 2 }, { versions: undefined }].map((query) => s3.send({ bucket, query, headers })),
      );
    for (const list of await lists(asked)) {
      assert.match(list.text, /<RestoreStatus><IsRestoreInProgress>true<\/IsRestoreInProgress><\/RestoreStatus>/);
    }
    for (const list of await lists({})) assert.doesNotMatch(list.text, /RestoreStatus/);
    for (const list of await lists({ "x-amz-optional-object-attributes": "Color" })) {
      assertS3Refused(list, 400, "InvalidArgument");
    }
    await server.cosbox.clock.advance("1d");
    assert.match(String(await state()), /ongoing-request="false"/);
    const [done] = await lists(asked);
    assert.equal(done?.element("IsRestoreInProgress"), "false");
    const until = new Date(done?.element("RestoreExpiryDate") ?? "");
    assert.ok(String(await state()).includes(until.toUTCString()), until.toISOString());
    await server.cosbox.clock.reset();

    const rules =
      "<LifecycleConfiguration><Rule><ID>a</ID><Filter><Prefix>x</Prefix></Filter><Status>Enabled</Status>" +
      "<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition></Rule></LifecycleConfiguration>";
    const lifecycle = { bucket, query: { lifecycle: undefined } };
    assert.equal((await s3.send({ method: "PUT", ...lifecycle, body: rules })).status, 200);
    assert.equal((await s3.send(lifecycle)).element("StorageClass"), "GLACIER");
    assert.equal((await server.send(lifecycle)).element("StorageClass"), "ARCHIVE");

    const policy = (value: string) =>
      JSON.stringify({
        Version: "2012-10-17",
        Statement: [
          {
            Effect: "Deny",
            Principal: { AWS: STRANGER.uin },
            Action: ["s3:PutObject"],
            Resource: [`arn:aws:s3:::${bucket}/*`],
            Condition: { StringEquals: { "s3:x-amz-storage-class": value } },
          },
        ],
      });
    const set = await s3.send({ method: "PUT", bucket, query: { policy: undefined }, body: policy("GLACIER") });
    assert.equal(set.status, 204, set.text);
    assert.match((await server.send({ bucket, query: { policy: undefined } })).text, /"ARCHIVE"/);
    assert.match((await s3.send({ bucket, query: { policy: undefined } })).text, /"GLACIER"/);
  });

  it("MethodNotAllowed: a method that a resource does not know", async () => {
    const answer = await s3.send({ method: "POST", path: "/kept", query: {} });
    assertS3Refused(answer, 405, "MethodNotAllowed");
    assert.match(answer.headers.allow ?? "", /GET/);
  });

  describe("ask who calls", () => {
    const doomed = "<Delete><Object><Key>kept</Key></Object></Delete>";
    const REQUESTS: readonly (readonly [string, S3Request])[] = [
      ["ListObjects", {}],
      ["ListObjectsV2", { query: { "list-type": 2 } }],
      ["HeadBucket", { method: "HEAD" }],
      ["DeleteBucket", { method: "DELETE" }],
      ["GetBucketLocation", { query: { location: undefined } }],
      ["GetBucketPolicy", { query: { policy: undefined } }],
      ["PutBucketPolicy", { method: "PUT", query: { policy: undefined }, body: "{}" }],
      ["DeleteBucketPolicy", { method: "DELETE", query: { policy: undefined } }],
      ["ListMultipartUploads", { query: { uploads: undefined } }],
      [
        "DeleteObjects",
        { method: "POST", query: { delete: undefined }, body: doomed, headers: { "content-md5": contentMd5(doomed) } },
      ],
      ["PutObject", { method: "PUT", path: "/kept", body: "changed" }],
      ["GetObject", { path: "/kept" }],
      [
        "GetObjectAttributes",
        { path: "/kept", query: { attributes: undefined }, headers: { "x-amz-object-attributes": "ETag" } },
      ],
      ["HeadObject", { method: "HEAD", path: "/kept" }],
      ["DeleteObject", { method: "DELETE", path: "/kept" }],
      ["CreateMultipartUpload", { method: "POST", path: "/kept", query: { uploads: undefined } }],
      ["UploadPart", { method: "PUT", path: "/kept", query: { partNumber: 1, uploadId: "x" }, body: "x" }],
      ["ListParts", { path: "/kept", query: { uploadId: "x" } }],
      ["AbortMultipartUpload", { method: "DELETE", path: "/kept", query: { uploadId: "x" } }],
      ["CompleteMultipartUpload", { method: "POST", path: "/kept", query: { uploadId: "x" }, body: "x" }],
    ];

    it.each(REQUESTS)(
      "AccessDenied: %s, for other accounts and for nobody, however it is signed",
      async (_, request) => {
        const anonymous = { ...request, sign: false as const, headers: { ...request.headers, "x-amz-date": "x" } };
        const all: readonly S3Request[] = [
          anonymous,
          ...[STRANGER, NAMESAKE].flatMap((keys) =>
            (["v4", "v4-query", "v2", "v2-query"] as const)
              // Version 2 signs no parameter that only S3 knows.
              .filter((sign) => !sign.startsWith("v2") || !("attributes" in (request.query ?? {})))
              .map((sign) => {
                const amz = Object.fromEntries(
                  Object.entries(request.headers ?? {}).filter(([name]) => !name.startsWith("x-amz-")),
                );
                const headers = sign.endsWith("query") ? amz : request.headers;
                return { ...request, keys, sign, ...(headers === undefined ? {} : { headers }) };
              }),
          ),
        ];
        for (const one of all) {
          const answer = await s3.send(one);
          assert.equal(answer.status, 403, `${JSON.stringify(one)}: ${answer.status} ${answer.text}`);
          if (answer.body.length > 0) assert.equal(answer.element("Code"), "AccessDenied", answer.text);
        }
        assert.equal((await s3.send({ path: "/kept" })).text, "kept");
      },
    );
  });

  it("tells one failure in the words of each dialect", async () => {
    for (const [request, cos, own] of [
      [{ path: "/nothing" }, "404 NoSuchKey", "404 NoSuchKey"],
      [{ path: `/${"k".repeat(851)}` }, "400 KeyTooLong", "400 KeyTooLongError"],
      [{ bucket: "none-1250000000" }, "404 NoSuchBucket", "404 NoSuchBucket"],
      [{ query: { delimiter: "ab" } }, "400 InvalidDelimiter", "400 InvalidArgument"],
      [{ query: { "max-keys": "x" } }, "400 InvalidArgument", "400 InvalidArgument"],
      [{ query: { policy: undefined } }, "404 NoSuchPolicyVersion", "404 NoSuchBucketPolicy"],
      [{ path: "/kept", query: { uploadId: "" } }, "400 ListPartUploadIdIsEmpty", "404 NoSuchUpload"],
      [{ method: "PUT", bucket: `${"b".repeat(50)}-1250000000` }, "400 BucketNameTooLong", "400 InvalidBucketName"],
      [
        { method: "PUT", path: "/big", headers: { "x-amz-meta-a": "y".repeat(2048) } },
        "200 undefined",
        "400 MetadataTooLarge",
      ],
      [{ method: "PUT" }, "409 BucketAlreadyOwnedByYou", "409 BucketAlreadyOwnedByYou"],
      [{ method: "DELETE" }, "409 BucketNotEmpty", "409 BucketNotEmpty"],
    ] as const) {
      const seen = async (answer: Promise<{ status: number; element(name: string): string | undefined }>) => {
        const found = await answer;
        return `${found.status} ${found.element("Code")}`;
      };
      assert.equal(await seen(server.send(request)), cos);
      assert.equal(await seen(s3.send(request)), own);
    }
  });

  it("names the source of a copy that is missing, by its bucket or its key", async () => {
    const begun = await s3.send({ method: "POST", path: "/copied", query: { uploads: undefined } });
    const part = { partNumber: 1, uploadId: begun.element("UploadId") ?? "" };
    for (const query of [{}, part]) {
      const copy = (source: string) =>
        s3.send({ method: "PUT", path: "/copied", query, headers: { "x-amz-copy-source": source } });
      const noKey = await copy(`/${s3.bucket}/not%20there`);
      assertS3Refused(noKey, 404, "NoSuchKey", /^The specified key does not exist\.$/);
      assert.deepEqual(noKey.elements("Key"), ["not there"]);
      const noBucket = await copy("none-1250000000/kept");
      assertS3Refused(noBucket, 404, "NoSuchBucket", /^The specified bucket does not exist\.$/);
      assert.deepEqual(noBucket.elements("BucketName"), ["none-1250000000"]);
      assert.deepEqual(noBucket.elements("Key"), []);
    }
  });

  it("deletes a bucket with nothing but unfinished uploads, which COS does not", async () => {
    const bucket = "uploads-1250000000";
    await s3.send({ method: "PUT", bucket });
    for (const path of ["/a", "/b"]) {
      const begun = await s3.send({ method: "POST", bucket, path, query: { uploads: undefined } });
      const query = { partNumber: 1, uploadId: begun.element("UploadId") ?? "" };
      await s3.send({ method: "PUT", bucket, path, query, body: "part" });
    }
    await s3.send({ method: "PUT", bucket, path: "/object", body: "x" });
    assert.equal((await server.send({ method: "DELETE", bucket })).element("Code"), "BucketNotEmpty");
    assertS3Refused(await s3.send({ method: "DELETE", bucket }), 409, "BucketNotEmpty");
    assert.equal((await s3.send({ bucket, query: { uploads: undefined } })).elements("UploadId").length, 2);
    await s3.send({ method: "DELETE", bucket, path: "/object" });
    assert.equal((await server.send({ method: "DELETE", bucket })).element("Code"), "BucketNotEmpty");
    assert.equal((await s3.send({ method: "DELETE", bucket })).status, 204);
    assertS3Refused(await s3.send({ bucket }), 404, "NoSuchBucket");
  });

  it("takes grants with and without quotes, and answers ACLs in S3's form", async () => {
    const bucket = "granted-1250000000";
    const put = (value: string) => s3.send({ method: "PUT", bucket, headers: { "x-amz-grant-read": value } });
    assert.equal((await put(`id=${STRANGER.uin}, id="${NAMESAKE.uin}"`)).status, 200);
    const { text } = await s3.send({ bucket, query: { acl: undefined } });
    assert.match(text, /<AccessControlPolicy xmlns="http:\/\/s3.amazonaws.com\/doc\/2006-03-01\/"><Owner>/);
    assert.equal(text.split("<Permission>READ</Permission>").length, 3);
    await s3.send({ method: "PUT", bucket, query: { acl: undefined }, headers: { "x-amz-acl": "public-read" } });
    const open = await s3.send({ bucket, query: { acl: undefined } });
    assert.ok(open.text.includes("<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>"), open.text);
    assert.equal((await s3.send({ bucket, keys: STRANGER })).status, 200);
    assert.equal((await s3.send({ method: "PUT", bucket, query: { acl: undefined }, body: open.text })).status, 200);
  });

  it("names the bucket and the key in S3's elements", async () => {
    assert.equal((await s3.send({ path: "/a/b" })).element("Key"), "a/b");
    assert.equal((await s3.send({ bucket: "none-1250000000" })).element("BucketName"), "none-1250000000");
  });

  it("heeds the range and the overrides of a HEAD, as COS heeds no range there", async () => {
    const head = (request: S3Request) => s3.send({ method: "HEAD", path: "/kept", ...request });
    const part = await head({ headers: { range: "bytes=1-2" } });
    assert.deepEqual(
      [part.status, part.headers["content-range"], part.headers["content-length"]],
      [206, "bytes 1-2/4", "2"],
    );
    assert.equal((await head({ headers: { range: "bytes=9-" } })).status, 416);
    assert.equal((await head({ headers: { range: "bytes=0-0" }, query: { partNumber: 1 } })).status, 400);
    assert.equal((await head({ headers: { range: "lines=1" } })).status, 200);
    assert.equal((await server.send({ method: "HEAD", path: "/kept", headers: { range: "bytes=1-2" } })).status, 200);
    const query = { "response-content-type": "a/b", "response-expires": "never" };
    const named = await head({ query });
    assert.deepEqual([named.headers["content-type"], named.headers["expires"]], ["a/b", "never"]);
    const headers = { "x-amz-date": "x" };
    assert.equal((await head({ query, sign: false, headers })).status, 403);
    await s3.send({ method: "PUT", path: "/open", body: "x", headers: { "x-amz-acl": "public-read" } });
    assert.equal((await head({ path: "/open", query, sign: false, headers })).status, 400);
    assert.equal((await head({ path: "/open", sign: false, headers })).status, 200);
  });

  it("has S3's ids on every answer, and no body for HEAD", async () => {
    for (const request of [
      {},
      { path: "/kept" },
      { method: "HEAD", path: "/kept" },
      { method: "HEAD", path: "/none" },
    ]) {
      const { headers } = await s3.send(request);
      assert.match(String(headers["x-amz-request-id"]), /^N/);
      assert.notEqual(headers["x-amz-id-2"], undefined);
      assert.equal(headers["x-cos-hash-crc64ecma"], undefined);
    }
    const none = await s3.send({ method: "HEAD", path: "/nothing" });
    assert.equal(none.body.length, 0);
    assert.equal(none.headers["content-length"], "0");
  });
});
