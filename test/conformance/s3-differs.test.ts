import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { form, type Part, s3SignedFields } from "../fixtures/forms.ts";
import { type S3Client, s3Client, type S3Request } from "../fixtures/s3.ts";
import { assertS3Refused } from "../fixtures/s3-refusal.ts";
import { contentMd5, type Received, type TestServer, testServer } from "../fixtures/server.ts";
import { versionedBucket } from "../fixtures/versioning.ts";

/** What both dialects do, and where their services differ: each answers as its own does. */
describe("what S3 answers otherwise than COS", () => {
  let server: TestServer;
  let s3: S3Client;

  beforeAll(async () => {
    server = await testServer({ bareBuckets: true, limits: { partBytesMin: 1 } });
    s3 = s3Client(server);
  });
  afterAll(() => server.stop());

  /** An upload of two parts, and the request that completes it. */
  async function upload(
    path: string,
    begin: S3Request["headers"] = {},
    part: S3Request["headers"] = {},
    bucket?: string,
  ) {
    const place = { path, ...(bucket === undefined ? {} : { bucket }) };
    const begun = await s3.send({ ...place, method: "POST", query: { uploads: undefined }, headers: begin });
    const uploadId = begun.element("UploadId") ?? "";
    const parts: string[] = [];
    for (const [at, body] of ["first", "last"].entries()) {
      const query = { partNumber: at + 1, uploadId };
      const { headers } = await s3.send({ ...place, method: "PUT", query, body, headers: part });
      parts.push(`<Part><PartNumber>${at + 1}</PartNumber><ETag>${headers.etag}</ETag></Part>`);
    }
    const request = (some = parts): S3Request => ({
      ...place,
      method: "POST",
      query: { uploadId },
      body: `<CompleteMultipartUpload>${some.join("")}</CompleteMultipartUpload>`,
    });
    return { request, parts, uploadId };
  }

  describe("completing an upload once more", () => {
    const facts = ({ status, text, headers }: Received) => [
      status,
      text,
      headers["x-amz-version-id"],
      headers["x-amz-server-side-encryption"],
    ];

    it("answers as the first time while the object stands, and stores nothing", async () => {
      const bucket = await versionedBucket(server, "again");
      const { request, parts, uploadId } = await upload(
        "/made",
        { "x-amz-checksum-algorithm": "CRC32", "x-amz-server-side-encryption": "AES256" },
        {},
        bucket,
      );
      const first = await s3.send(request());
      assert.equal(first.status, 200, first.text);
      assert.deepEqual(facts(await s3.send(request())), facts(first));
      assert.deepEqual(facts(await s3.send({ ...request(), headers: { "if-none-match": "*" } })), facts(first));
      const listed = await s3.send({ bucket, query: { versions: undefined } });
      assert.equal(listed.elements("VersionId").length, 1, listed.text);
      // Other parts, another upload, another key: none of them is what has made the object.
      assertS3Refused(await s3.send(request(parts.slice(1))), 404, "NoSuchUpload");
      assertS3Refused(
        await s3.send(request([parts[0] ?? "", "<Part><PartNumber>2</PartNumber><ETag>x</ETag></Part>"])),
        404,
        "NoSuchUpload",
      );
      const other = `${uploadId.slice(0, -1)}${uploadId.endsWith("0") ? "1" : "0"}`;
      assertS3Refused(await s3.send({ ...request(), query: { uploadId: other } }), 404, "NoSuchUpload");
      assertS3Refused(await s3.send({ ...request(), path: "/other" }), 404, "NoSuchUpload");
      await s3.send({ method: "PUT", bucket, path: "/made", body: "another" });
      assertS3Refused(await s3.send(request()), 404, "NoSuchUpload");
    });

    it("NoSuchUpload: in COS, and once the object is gone", async () => {
      const { request } = await upload("/once");
      assert.equal((await s3.send(request())).status, 200);
      const { method = "", path = "", query = {}, body = "" } = request();
      assert.equal((await server.send({ method, path, query, body })).element("Code"), "NoSuchUpload");
      await s3.send({ method: "DELETE", path: "/once" });
      assertS3Refused(await s3.send(request()), 404, "NoSuchUpload");
    });

    it("of many at once, all are told of the same object", async () => {
      const { request } = await upload("/raced");
      const answers = await Promise.all(Array.from({ length: 8 }, () => s3.send(request())));
      assert.deepEqual(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size, 1);
      assert.equal(answers[0]?.status, 200, answers[0]?.text);
    });
  });

  describe("deleting a version that is gone", () => {
    it("is no fault, alone or with others, and NoSuchVersion to COS", async () => {
      const bucket = await versionedBucket(server, "gone");
      const versionId = String(
        (await s3.send({ method: "PUT", bucket, path: "/k", body: "x" })).headers["x-amz-version-id"],
      );
      const remove = { method: "DELETE", bucket, path: "/k", query: { versionId } };
      for (const headers of [{}, {}, { "if-match": '"other"' }]) {
        const answer = await s3.send({ ...remove, headers });
        assert.equal(answer.status, 204, answer.text);
        assert.equal(answer.headers["x-amz-version-id"], versionId);
      }
      assert.equal((await server.send(remove)).element("Code"), "NoSuchVersion");
      assertS3Refused(await s3.send({ ...remove, query: { versionId: "none" } }), 404, "NoSuchVersion");
      const entry = (id: string) => `<Object><Key>k</Key><VersionId>${id}</VersionId></Object>`;
      const body = `<Delete>${entry(versionId)}${entry("none")}</Delete>`;
      const many = {
        method: "POST",
        bucket,
        query: { delete: undefined },
        body,
        headers: { "content-md5": contentMd5(body) },
      };
      const answer = await s3.send(many);
      assert.ok(
        answer.text.includes(`<Deleted><Key>k</Key><VersionId>${versionId}</VersionId></Deleted>`),
        answer.text,
      );
      assert.match(answer.text, /<Error><Key>k<\/Key><VersionId>none<\/VersionId><Code>NoSuchVersion</);
      assert.equal((await server.send(many)).text.includes("<Deleted>"), false);
    });

    it("PreconditionFailed: a delete marker has no ETag that a condition could ask for", async () => {
      const bucket = await versionedBucket(server, "marked");
      const path = "/k";
      const { etag } = (await s3.send({ method: "PUT", bucket, path, body: "x" })).headers;
      const remove = (tag: string) => s3.send({ method: "DELETE", bucket, path, headers: { "if-match": tag } });
      assert.equal((await remove(String(etag))).headers["x-amz-delete-marker"], "true");
      assertS3Refused(await remove(String(etag)), 412, "PreconditionFailed");
      const body = `<Delete><Object><Key>k</Key><ETag>${etag}</ETag></Object></Delete>`;
      const headers = { "content-md5": contentMd5(body) };
      const many = await s3.send({ method: "POST", bucket, query: { delete: undefined }, body, headers });
      assert.match(many.text, /<Code>PreconditionFailed</);
      assert.equal((await remove("*")).status, 204);
    });
  });

  it("takes origins of CORS rules without a scheme, and heeds them for both", async () => {
    const rule = (origin: string) =>
      `<CORSConfiguration><CORSRule><AllowedOrigin>${origin}</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>`;
    const put = { method: "PUT", query: { cors: undefined } };
    const signed = (body: string) => ({ ...put, body, headers: { "content-md5": contentMd5(body) } });
    const refused = await server.send(signed(rule("example.com")));
    assert.equal(refused.element("Code"), "InvalidArgument", refused.text);
    assert.equal((await s3.send(signed(rule("start*end")))).status, 200);
    const asked = (origin: string) => server.send({ path: "/none", headers: { origin } });
    assert.equal((await asked("start-end")).headers["access-control-allow-origin"], "start-end");
    assert.equal((await asked("end")).headers["access-control-allow-origin"], undefined);
    assert.equal((await server.send({ query: { cors: undefined } })).element("AllowedOrigin"), "start*end");
    for (const origin of ["a*b*c", "a b", ""]) {
      assertS3Refused(await s3.send(signed(rule(origin))), 400, "InvalidArgument");
    }
  });

  it("NoSuchConfiguration: a rule of intelligent tiering that is not there, told by COS as an empty document", async () => {
    const rule = (id: string) => ({ query: { "intelligent-tiering": undefined, id } });
    const set = (id: string, tier: string, days: number) => ({
      ...rule(id),
      method: "PUT",
      body: `<IntelligentTieringConfiguration><Id>${id}</Id><Status>Enabled</Status><Tiering><AccessTier>${tier}</AccessTier><Days>${days}</Days></Tiering></IntelligentTieringConfiguration>`,
    });
    assertS3Refused(await s3.send(rule("default")), 404, "NoSuchConfiguration");
    assert.equal((await server.send(set("default", "INFREQUENT", 30))).status, 200);
    assert.equal((await s3.send(rule("default"))).element("Id"), "default");
    assertS3Refused(await s3.send(rule("cold")), 404, "NoSuchConfiguration");
    assert.equal((await server.send(set("cold", "ARCHIVE_ACCESS", 90))).status, 200);
    assert.equal((await s3.send(rule("cold"))).element("Id"), "cold");
    assert.equal((await s3.send({ ...rule("cold"), method: "DELETE" })).status, 204);
    assertS3Refused(await s3.send(rule("cold")), 404, "NoSuchConfiguration");
    assert.match((await server.send(rule("cold"))).text, /<IntelligentTieringConfiguration\/>$/);
    assert.equal((await s3.send({ query: { "intelligent-tiering": undefined } })).element("Id"), "default");
  });

  it("tells a page the bare name of its bucket where the client knows that one", async () => {
    const ANY = ["key", "success_action_redirect"].map((name) => ["starts-with", `$${name}`, ""]);
    const file: Part = ["file", { name: "a", bytes: "hello" }];
    const signed = s3SignedFields({ ...server.cosbox.credentials, conditions: ANY });
    const fields: Part[] = [
      ["key", "k"],
      ["success_action_redirect", "http://page.example/done"],
    ];
    const { headers } = await server.send(form([...fields, ...signed, file], { host: "127.0.0.1", target: "/demo" }));
    assert.match(String(headers.location), /^http:\/\/page\.example\/done\?bucket=demo&key=k&/);
  });

  it("InvalidPolicyDocument: a condition of a form that names no field", async () => {
    const signed = s3SignedFields({ ...server.cosbox.credentials, conditions: [["starts-with", "$key", ""], {}] });
    const answer = await server.send(form([["key", "k"], ...signed, ["file", { name: "a", bytes: "x" }]]));
    assertS3Refused(answer, 400, "InvalidPolicyDocument");
  });

  it("InvalidArgument: a grant for an id that is none", async () => {
    const owner = "<Owner><ID>100000000001</ID></Owner>";
    const grant = "<Grant><Grantee><ID>_foo</ID></Grantee><Permission>READ</Permission></Grant>";
    const body = `<AccessControlPolicy>${owner}<AccessControlList>${grant}</AccessControlList></AccessControlPolicy>`;
    assertS3Refused(await s3.send({ method: "PUT", query: { acl: undefined }, body }), 400, "InvalidArgument", /id/);
  });
});
