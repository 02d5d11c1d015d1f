import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { STRANGER } from "../fixtures/accounts.ts";
import { assertRefusedHead, headerNames } from "../fixtures/refusal.ts";
import { type TestServer, testServer } from "../fixtures/server.ts";

describe("HeadBucket", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER] });
    for (const acl of ["public-read", "authenticated-read"]) {
      await server.send({ method: "PUT", bucket: `${acl}-1250000000`, headers: { "x-cos-acl": acl } });
    }
  });
  afterAll(() => server.stop());

  it("tells the region, without a body", async () => {
    const answer = await server.send({ method: "HEAD" });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["x-cos-bucket-region"], "ap-guangzhou");
    assert.equal(answer.body.length, 0);
    assert.ok(headerNames(answer).includes("x-cos-bucket-region"));
    assert.ok(!headerNames(answer).some((name) => /az-type|arch/.test(name)), "the bucket is neither MAZ nor OFS");
  });

  it("NoSuchBucket: 404 without a body", async () => {
    assertRefusedHead(await server.send({ method: "HEAD", bucket: "nobody-1250000000" }), "NoSuchBucket");
  });

  it("NoSuchBucket: the bucket lives in another region", async () => {
    const host = `${server.bucket}.cos.ap-beijing.myqcloud.com`;
    assertRefusedHead(await server.send({ method: "HEAD", host }), "NoSuchBucket");
  });

  it("AccessDenied: a stranger and an anonymous caller on a private bucket", async () => {
    assertRefusedHead(await server.send({ method: "HEAD", sign: STRANGER }), "AccessDenied");
    assertRefusedHead(await server.send({ method: "HEAD", sign: false }), "AccessDenied");
  });

  it("answers those whom the ACL lets read", async () => {
    const status = async (bucket: string, sign: false | typeof STRANGER) =>
      (await server.send({ method: "HEAD", bucket, sign })).status;
    assert.equal(await status("public-read-1250000000", false), 200);
    assert.equal(await status("public-read-1250000000", STRANGER), 200);
    assert.equal(await status("authenticated-read-1250000000", STRANGER), 200);
    assert.equal(await status("authenticated-read-1250000000", false), 403);
  });

  it("leaves the connection usable after a refusal", async () => {
    await server.send({ method: "HEAD", bucket: "nobody-1250000000" });
    const next = await server.send({ method: "HEAD" });
    assert.equal(next.status, 200);
    assert.ok(next.reused);
  });

  it("is what the SDK's headBucket resolves with", async () => {
    const params = { Bucket: server.bucket, Region: "ap-guangzhou" };
    assert.equal((await server.cos.headBucket(params)).statusCode, 200);
    await assert.rejects(server.cos.headBucket({ ...params, Bucket: "nobody-1250000000" }), { statusCode: 404 });
  });
});
