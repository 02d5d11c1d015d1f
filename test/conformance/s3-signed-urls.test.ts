import assert from "node:assert/strict";
import { CopyObjectCommand, HeadObjectCommand, PutObjectCommand, S3Client as Aws } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type S3Client, s3Client, type S3Request } from "../fixtures/s3.ts";
import { assertS3Refused } from "../fixtures/s3-refusal.ts";
import { type TestServer, testServer } from "../fixtures/server.ts";

describe("headers in the query of a signed URL", () => {
  let server: TestServer;
  let s3: S3Client;
  let aws: Aws;
  const signed = (request: S3Request) => s3.send({ sign: "v4-query", ...request });

  beforeAll(async () => {
    server = await testServer();
    s3 = s3Client(server);
    aws = new Aws({
      endpoint: server.endpoint,
      region: "ap-guangzhou",
      forcePathStyle: true,
      credentials: {
        accessKeyId: server.cosbox.credentials.secretId,
        secretAccessKey: server.cosbox.credentials.secretKey,
      },
    });
    await server.send({
      method: "PUT",
      query: { "object-lock": undefined },
      body: "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>",
    });
  });
  afterAll(async () => {
    aws.destroy();
    await server.stop();
  });

  it("say of the object what the command of the official presigner says", async () => {
    const until = new Date(Date.now() + 3_600_000);
    const place = { Bucket: server.bucket, Key: "presigned" };
    const url = await getSignedUrl(
      aws,
      new PutObjectCommand({
        ...place,
        StorageClass: "GLACIER",
        ACL: "public-read",
        Metadata: { note: "one two" },
        Tagging: "a=b&c=d%20e",
        ObjectLockMode: "COMPLIANCE",
        ObjectLockRetainUntilDate: until,
      }),
    );
    assert.match(url, /x-amz-checksum-crc32=AAAAAA/, "of a body that is not there yet");
    assert.equal((await fetch(url, { method: "PUT", body: "hello" })).status, 200);
    const head = await aws.send(new HeadObjectCommand(place));
    assert.equal(head.StorageClass, "GLACIER");
    assert.deepEqual(head.Metadata, { note: "one two" });
    assert.equal(head.ObjectLockMode, "COMPLIANCE");
    assert.deepEqual(head.ObjectLockRetainUntilDate, until);
    const tags = await s3.send({ path: "/presigned", query: { tagging: undefined } });
    assert.deepEqual(
      [tags.elements("Key"), tags.elements("Value")],
      [
        ["a", "c"],
        ["b", "d e"],
      ],
    );
    const anonymous = await server.send({ method: "HEAD", path: "/presigned", sign: false });
    assert.equal(anonymous.status, 200);
    assertS3Refused(await s3.send({ method: "DELETE", path: "/presigned" }), 403, "AccessDenied");
  });

  it("copy, where they name a source", async () => {
    await s3.send({ method: "PUT", path: "/source", body: "source" });
    const place = { Bucket: server.bucket, Key: "copied" };
    const url = await getSignedUrl(aws, new CopyObjectCommand({ ...place, CopySource: `${server.bucket}/source` }));
    assert.match(await (await fetch(url, { method: "PUT" })).text(), /<CopyObjectResult /);
    assert.equal((await s3.send({ path: "/copied" })).text, "source");
  });

  it("are told in any case, encrypt, and carry text beyond ASCII as its bytes", async () => {
    const query = { "X-Amz-Meta-Note": "é", "x-amz-server-side-encryption": "AES256" };
    const put = await signed({ method: "PUT", path: "/cased", body: "x", query });
    assert.equal(put.headers["x-amz-server-side-encryption"], "AES256");
    const { headers } = await s3.send({ method: "HEAD", path: "/cased" });
    assert.equal(Buffer.from(String(headers["x-amz-meta-note"]), "latin1").toString("utf8"), "é");
  });

  it("give way to the same header where that is signed", async () => {
    const request = {
      method: "PUT",
      path: "/both",
      body: "x",
      query: { "x-amz-meta-note": "query" },
      headers: { "x-amz-meta-note": "header" },
    };
    assert.equal((await signed({ ...request, signedHeaders: ["host", "x-amz-meta-note"] })).status, 200);
    assert.equal((await s3.send({ path: "/both" })).headers["x-amz-meta-note"], "header");
    assertS3Refused(await signed({ ...request, signedHeaders: ["host"] }), 403, "AccessDenied");
  });

  it("NotImplemented and AccessDenied: as by headers", async () => {
    const held = await signed({
      method: "PUT",
      path: "/x",
      body: "x",
      query: { "x-amz-object-lock-legal-hold": "ON" },
    });
    assertS3Refused(held, 501, "NotImplemented");
    const other = await signed({ path: "/both", query: { "x-amz-expected-bucket-owner": "1" } });
    assertS3Refused(other, 403, "AccessDenied");
  });

  it("InvalidArgument: what no header can hold, and two of one name", async () => {
    const of = (query: S3Request["query"]) => signed({ method: "PUT", path: "/bad", body: "x", query });
    assertS3Refused(await of({ "x-amz-meta-note": "a\r\nSet-Cookie: b" }), 400, "InvalidArgument");
    assertS3Refused(await of({ "x-amz-meta-a b": "x" }), 400, "InvalidArgument");
    assertS3Refused(await of({ "x-amz-meta-a": "x", "X-Amz-Meta-A": "y" }), 400, "InvalidArgument");
  });

  it("count for nothing beside other signatures", async () => {
    const put = await s3.send({ method: "PUT", path: "/plain", body: "x", query: { "x-amz-meta-note": "query" } });
    assert.equal(put.status, 200);
    assert.equal((await s3.send({ path: "/plain" })).headers["x-amz-meta-note"], undefined);
  });

  it("are signed for the strict signature mode", async () => {
    const bucket = server.cosbox.bucket("strict");
    await server.send({ method: "PUT", bucket });
    const rule =
      "<ID>r</ID><actionlist><action>PutObject</action></actionlist><headerlist><header>x-cos-acl</header></headerlist>";
    const set = await server.send({
      method: "PUT",
      bucket,
      query: { "strict-signature": undefined },
      body: `<StrictSignatureConfiguration><Rule>${rule}</Rule></StrictSignatureConfiguration>`,
    });
    assert.equal(set.status, 200);
    const put = await signed({ method: "PUT", bucket, path: "/a", body: "x", query: { "x-amz-acl": "public-read" } });
    assert.equal(put.status, 200);
  });
});
