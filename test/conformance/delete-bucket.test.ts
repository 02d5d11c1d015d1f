import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { NAMESAKE, STRANGER } from "../fixtures/accounts.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type TestServer, testServer } from "../fixtures/server.ts";

describe("DeleteBucket", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER, NAMESAKE] });
  });
  afterAll(() => server.stop());

  let made = 0;
  async function freshBucket(acl = "private"): Promise<string> {
    const bucket = `gone${made++}-1250000000`;
    assert.equal((await server.send({ method: "PUT", bucket, headers: { "x-cos-acl": acl } })).status, 200);
    return bucket;
  }

  it("answers 204 without a body, and the bucket is gone", async () => {
    const bucket = await freshBucket();
    const answer = await server.send({ method: "DELETE", bucket });
    assert.equal(answer.status, 204);
    assert.equal(answer.reason, "No Content");
    assert.equal(answer.body.length, 0);
    assert.equal(answer.headers["content-length"], undefined);
    assert.equal(answer.headers["transfer-encoding"], undefined);
    assertRefused(await server.send({ bucket }), "NoSuchBucket");
    assert.ok(!(await server.send({ bucket: "" })).elements("Name").includes(bucket));
  });

  it("NoSuchBucket: never there, and gone already", async () => {
    assertRefused(await server.send({ method: "DELETE", bucket: "never-1250000000" }), "NoSuchBucket", {
      resource: "never-1250000000.cos.ap-guangzhou.myqcloud.com",
    });
    const bucket = await freshBucket();
    await server.send({ method: "DELETE", bucket });
    assertRefused(await server.send({ method: "DELETE", bucket }), "NoSuchBucket");
  });

  it("BucketNotEmpty: an object is in it; it stays as it was until that is deleted", async () => {
    const bucket = await freshBucket();
    await server.send({ method: "PUT", bucket, path: "/kept", body: "kept" });
    assertRefused(await server.send({ method: "DELETE", bucket }), "BucketNotEmpty");
    assert.equal((await server.send({ bucket, path: "/kept" })).text, "kept");
    assert.equal((await server.send({ method: "PUT", bucket, path: "/more", body: "" })).status, 200);
    await server.send({ method: "DELETE", bucket, path: "/kept" });
    assertRefused(await server.send({ method: "DELETE", bucket }), "BucketNotEmpty");
    await server.send({ method: "DELETE", bucket, path: "/more" });
    assert.equal((await server.send({ method: "DELETE", bucket })).status, 204);
  });

  it("BucketNotEmpty: an unfinished upload is in it", async () => {
    const bucket = await freshBucket();
    const begun = await server.send({ method: "POST", bucket, path: "/big", query: { uploads: undefined } });
    const uploadId = begun.element("UploadId") as string;
    assertRefused(await server.send({ method: "DELETE", bucket }), "BucketNotEmpty");
    await server.send({ method: "DELETE", bucket, path: "/big", query: { uploadId } });
    assert.equal((await server.send({ method: "DELETE", bucket })).status, 204);
  });

  it("AccessDenied: anybody but the owner, also on a bucket everyone may write to", async () => {
    const bucket = await freshBucket("public-read-write");
    assertRefused(await server.send({ method: "DELETE", bucket, sign: STRANGER }), "AccessDenied");
    assertRefused(await server.send({ method: "DELETE", bucket, sign: NAMESAKE }), "AccessDenied");
    assertRefused(await server.send({ method: "DELETE", bucket, sign: false }), "AccessDenied", {
      message: "Check auth failure because signature empty.",
      extras: ["ServerTime"],
    });
    assert.equal((await server.send({ method: "HEAD", bucket })).status, 200);
  });

  it("UnexpectedContent: a body", async () => {
    const bucket = await freshBucket();
    assertRefused(await server.send({ method: "DELETE", bucket, body: "x" }), "UnexpectedContent");
    assert.equal((await server.send({ method: "HEAD", bucket })).status, 200);
  });

  it("leaves nothing behind for a bucket that is made again under the name", async () => {
    const bucket = await freshBucket("public-read");
    await server.send({ method: "PUT", bucket, path: "/old", body: "old" });
    await server.send({ method: "DELETE", bucket, path: "/old" });
    await server.send({ method: "DELETE", bucket });
    await server.send({ method: "PUT", bucket });
    assert.deepEqual((await server.send({ bucket })).elements("Key"), []);
    assert.equal((await server.send({ bucket, sign: false })).status, 403, "nor does its ACL come back");
  });

  it("never wins together with a write: the object is there or the write is refused", async () => {
    for (let round = 0; round < 10; round++) {
      const bucket = await freshBucket();
      const [written, deleted] = await Promise.all([
        server.send({ method: "PUT", bucket, path: "/racer", body: "x" }),
        server.send({ method: "DELETE", bucket }),
      ]);
      if (deleted.status === 204) {
        assertRefused(written, "NoSuchBucket");
      } else {
        assertRefused(deleted, "BucketNotEmpty");
        assert.equal(written.status, 200);
        assert.equal((await server.send({ bucket, path: "/racer" })).text, "x");
      }
    }
  });
});
