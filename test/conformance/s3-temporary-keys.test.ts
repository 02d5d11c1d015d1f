import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { allow } from "../fixtures/people.ts";
import { type S3Client, type S3Request, s3Client } from "../fixtures/s3.ts";
import { assertS3Refused } from "../fixtures/s3-refusal.ts";
import { type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { federated, type TemporaryPair } from "../fixtures/sts.ts";

describe("temporary keys of S3 clients", () => {
  let server: TestServer;
  let s3: S3Client;
  let pair: TemporaryPair;
  let other: TemporaryPair;
  beforeAll(async () => {
    server = await testServer();
    s3 = s3Client(server);
    await server.send({ method: "PUT", path: "/in/a", body: "inside" });
    await server.send({ method: "PUT", path: "/out/a", body: "outside" });
    const inside = `qcs::cos:ap-guangzhou:uid/1250000000:${server.bucket}/in/*`;
    pair = await federated(server, allow(["name/cos:GetObject", "name/cos:PutObject"], inside));
    other = await federated(server, allow("*"));
  });
  afterAll(() => server.stop());

  const token = (value: string) => ({ "x-amz-security-token": value });

  /** Version 2 signs the token as a header, also where clients then put it into the query. */
  function moved(sent: Sent): Sent {
    const { "x-amz-security-token": value, ...headers } = sent.headers ?? {};
    return { ...sent, headers, target: `${sent.target}&x-amz-security-token=${value}` };
  }

  const ways: readonly (readonly [way: string, send: (request: S3Request, value: string) => Promise<Received>])[] = [
    ["version 4 in the header", (request, value) => s3.send({ ...request, headers: token(value) })],
    ["version 4 in the query", (request, value) => s3.send({ ...request, sign: "v4-query", query: token(value) })],
    ["version 2 in the header", (request, value) => s3.send({ ...request, sign: "v2", headers: token(value) })],
    [
      "version 2 in the query",
      (request, value) => server.send(moved(s3.compose({ ...request, sign: "v2-query", headers: token(value) }))),
    ],
  ];

  for (const [way, send] of ways) {
    it(`reach as far as their policy, signed by ${way}`, async () => {
      assert.equal((await send({ keys: pair, path: "/in/a" }, pair.token)).text, "inside");
      const put = { keys: pair, method: "PUT", path: "/in/b", body: "x" };
      assert.equal((await send(put, pair.token)).status, 200);
      assertS3Refused(await send({ keys: pair, path: "/out/a" }, pair.token), 403, "AccessDenied");
      assertS3Refused(await send({ ...put, path: "/out/b" }, pair.token), 403, "AccessDenied");
    });

    it(`InvalidAccessKeyId: with another's token, or one of nobody's, signed by ${way}`, async () => {
      for (const value of [other.token, "garbage"]) {
        assertS3Refused(await send({ keys: pair, path: "/in/a" }, value), 403, "InvalidAccessKeyId");
      }
    });
  }

  it("InvalidAccessKeyId: without a token", async () => {
    for (const sign of ["v4", "v4-query", "v2", "v2-query"] as const) {
      assertS3Refused(await s3.send({ keys: pair, path: "/in/a", sign }), 403, "InvalidAccessKeyId");
    }
  });

  it("SignatureDoesNotMatch: a token that was added to a signature in the query", async () => {
    const sent = s3.compose({ sign: "v4-query", path: "/in/a", keys: pair, query: { "x-id": "GetObject" } });
    const answer = await server.send({ ...sent, target: `${sent.target}&x-amz-security-token=${pair.token}` });
    assert.equal(answer.element("Code"), "SignatureDoesNotMatch");
    const old = s3.compose({ sign: "v2-query", path: "/in/a", keys: pair });
    const unsigned = await server.send({ ...old, target: `${old.target}&x-amz-security-token=${pair.token}` });
    assert.equal(unsigned.element("Code"), "SignatureDoesNotMatch");
  });

  it("AccessDenied: a token in a header that version 4 does not sign", async () => {
    const answer = await s3.send({ keys: pair, path: "/in/a", unsigned: token(pair.token) });
    assert.equal(answer.element("Code"), "AccessDenied");
  });

  it("InvalidRequest: two tokens that differ", async () => {
    const answer = await s3.send({ keys: pair, path: "/in/a", headers: token(pair.token), query: token(other.token) });
    assert.equal(answer.element("Code"), "InvalidRequest");
  });
});
