import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { STRANGER } from "../fixtures/accounts.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type TestServer, testServer } from "../fixtures/server.ts";

describe("GetBucketLocation", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER] });
  });
  afterAll(() => server.stop());

  const location = { query: { location: undefined } } as const;

  it("answers with the region alone", async () => {
    const answer = await server.send(location);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-type"], "application/xml");
    assert.equal(
      answer.text,
      "<?xml version='1.0' encoding='utf-8' ?>\n<LocationConstraint>ap-guangzhou</LocationConstraint>",
    );
  });

  it("takes the flag with an equals sign as well, and in any case", async () => {
    for (const query of [{ location: "" }, { Location: "" }]) {
      assert.equal((await server.send({ query })).element("LocationConstraint"), "ap-guangzhou");
    }
  });

  it("NoSuchBucket: a bucket that is not there", async () => {
    assertRefused(await server.send({ ...location, bucket: "nobody-1250000000" }), "NoSuchBucket");
  });

  it("AccessDenied: anybody but the owner, also where everyone may read", async () => {
    const bucket = "open-1250000000";
    await server.send({ method: "PUT", bucket, headers: { "x-cos-acl": "public-read-write" } });
    assertRefused(await server.send({ ...location, bucket, sign: STRANGER }), "AccessDenied");
    assertRefused(await server.send({ ...location, bucket, sign: false }), "AccessDenied", {
      message: "Check auth failure because signature empty.",
      extras: ["ServerTime"],
    });
  });

  it("MethodNotAllowed: the sub-resource is for reading only", async () => {
    for (const method of ["PUT", "POST", "DELETE"]) {
      const answer = await server.send({ ...location, method });
      assertRefused(answer, "MethodNotAllowed");
      assert.equal(answer.headers["allow"], "GET");
    }
    assert.equal((await server.send({ method: "HEAD" })).status, 200, "the bucket is still there");
  });

  it("UnexpectedContent: a body", async () => {
    assertRefused(await server.send({ ...location, body: "<x/>" }), "UnexpectedContent");
  });
});
