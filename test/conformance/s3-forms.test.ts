import assert from "node:assert/strict";
import { Client as MinioClient } from "minio";
import { afterAll, beforeAll, describe, it } from "vitest";
import { form, type Part, s3SignedFields } from "../fixtures/forms.ts";
import { assertS3Refused } from "../fixtures/s3-refusal.ts";
import { type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";

const FILE: Part = ["file", { name: "a.png", bytes: "hello" }];
const ANY = (...names: string[]): unknown[] => ["key", ...names].map((name) => ["starts-with", `$${name}`, ""]);

describe("forms of S3", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ bareBuckets: true });
  });
  afterAll(() => server.stop());

  const post = (fields: readonly Part[], more: Sent = {}, version: 2 | 4 = 4): Promise<Received> => {
    const conditions = ANY(...fields.map(([name]) => name.toLowerCase()));
    const signed = s3SignedFields({ ...server.cosbox.credentials, conditions, version });
    return server.send(form([["key", "k"], ...fields, ...signed, FILE], more));
  };

  it("store what their fields say, in both versions, and answer in S3's names", async () => {
    for (const version of [2, 4] as const) {
      const answer = await post(
        [
          ["Content-Type", "image/png"],
          ["x-amz-meta-Color", "blue"],
          ["x-amz-storage-class", "STANDARD"],
          ["x-amz-checksum-crc32", "NhCmhg=="],
          ["acl", "public-read"],
          ["tagging", "<Tagging><TagSet><Tag><Key>a=b</Key><Value>c d</Value></Tag></TagSet></Tagging>"],
          ["success_action_status", "201"],
        ],
        {},
        version,
      );
      assert.equal(answer.status, 201, answer.text);
      assert.match(
        answer.text,
        /<PostResponse><Location>http:\/\/.*\/k<\/Location><Bucket>demo<\/Bucket><Key>k<\/Key><ETag>.*<\/ETag><\/PostResponse>$/,
      );
      assert.equal(answer.headers["x-amz-checksum-crc32"], "NhCmhg==");
      assert.notEqual(answer.headers["x-amz-request-id"] ?? "", "");
      const got = await server.send({ path: "/k", sign: false });
      assert.deepEqual(
        [got.text, got.headers["content-type"], got.headers["x-cos-meta-color"]],
        ["hello", "image/png", "blue"],
      );
      const tags = await server.send({ path: "/k", query: { tagging: undefined } });
      assert.deepEqual([tags.element("Key"), tags.element("Value")], ["a=b", "c d"]);
      await server.send({ method: "DELETE", path: "/k" });
    }
  });

  it("take a bucket by its bare name, in the address and in the policy", async () => {
    const more = { host: "127.0.0.1", target: "/demo" };
    for (const bucket of ["demo", "demo-1250000000"]) {
      const signed = s3SignedFields({ ...server.cosbox.credentials, conditions: [...ANY(), { bucket }] });
      const answer = await server.send(form([["key", "bare"], ["bucket", bucket], ...signed, FILE], more));
      assert.equal(answer.status, 204, answer.text);
    }
    const signed = s3SignedFields({ ...server.cosbox.credentials, conditions: [...ANY(), { bucket: "other" }] });
    assertS3Refused(await server.send(form([["key", "bare"], ...signed, FILE], more)), 403, "AccessDenied");
  });

  it("are refused in S3's codes", async () => {
    const wrong = s3SignedFields({ ...server.cosbox.credentials, secretKey: "x", conditions: ANY() });
    assertS3Refused(await server.send(form([["key", "k"], ...wrong, FILE])), 403, "SignatureDoesNotMatch");
    const right = s3SignedFields({ ...server.cosbox.credentials, conditions: ANY() });
    const noFile = await server.send(form([["key", "k"], ...right]));
    assertS3Refused(noFile, 400, "MalformedPOSTRequest", /no field named file/);
    const twice = await server.send(form([["key", "k"], ...right, ["key", "k"], FILE]));
    assertS3Refused(twice, 400, "MalformedPOSTRequest", /key more than once/);
    assertS3Refused(await post([["tagging", "<x"]]), 400, "MalformedXML");
    assertS3Refused(await post([["acl", "everybody"]]), 400, "InvalidArgument");
    assertS3Refused(await post([["x-amz-checksum-crc32", "AAAAAA=="]]), 400, "BadDigest");
    assertS3Refused(
      await post([
        ["x-cos-acl", "private"],
        ["acl", "private"],
      ]),
      400,
      "InvalidRequest",
    );
    assertS3Refused(await post([["x-amz-website-redirect-location", "/a"]]), 501, "NotImplemented");
    const ahead = `${new Date(Date.now() + 3_600_000).toISOString().replace(/[-:]/g, "").slice(0, 15)}Z`;
    const early = s3SignedFields({ ...server.cosbox.credentials, conditions: ANY(), dateTime: ahead });
    assertS3Refused(await server.send(form([["key", "k"], ...early, FILE])), 403, "RequestTimeTooSkewed");
    const other = s3SignedFields({ ...server.cosbox.credentials, conditions: ANY(), date: "20200101" });
    assertS3Refused(await server.send(form([["key", "k"], ...other, FILE])), 400, "InvalidArgument");
    const late = s3SignedFields({
      ...server.cosbox.credentials,
      conditions: ANY(),
      expiration: "2020-01-01T00:00:00Z",
    });
    assertS3Refused(await server.send(form([["key", "k"], ...late, FILE])), 403, "AccessDenied", /expired/);
  });

  it("are what the minio client makes", async () => {
    const { secretId: accessKey, secretKey } = server.cosbox.credentials;
    const client = new MinioClient({
      endPoint: "127.0.0.1",
      port: server.port,
      useSSL: false,
      accessKey,
      secretKey,
      region: "us-east-1",
    });
    const policy = client.newPostPolicy();
    policy.setBucket(server.bucket);
    policy.setKeyStartsWith("from-minio/");
    policy.setContentType("text/plain");
    policy.setContentLengthRange(1, 5);
    policy.setExpires(new Date(Date.now() + 600_000));
    policy.setUserMetaData({ colour: "red" });
    const { postURL, formData } = await client.presignedPostPolicy(policy);
    const upload = async (key: string, text: string): Promise<Response> => {
      const page = new FormData();
      for (const [name, value] of Object.entries({ ...formData, key })) page.append(name, value);
      page.append("file", new Blob([text]), "a.txt");
      return await fetch(postURL, { method: "POST", body: page });
    };
    assert.equal((await upload("from-minio/a", "hello")).status, 204);
    assert.equal((await server.send({ path: "/from-minio/a" })).text, "hello");
    assert.match(await (await upload("elsewhere/a", "hello")).text(), /<Code>AccessDenied</);
    assert.match(await (await upload("from-minio/b", "hello!")).text(), /<Code>EntityTooLarge</);
    assert.equal((await server.send({ path: "/from-minio/b" })).status, 404);
  });
});
