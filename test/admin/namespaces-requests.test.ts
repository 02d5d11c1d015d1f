/** Each way in which a request says whose it is, asked of namespaces that share a listener. */

import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type Cosbox, type CosboxNamespace, startCosbox } from "../../src/library.ts";
import { toldIn } from "../fixtures/command.ts";
import { allow } from "../fixtures/people.ts";
import { form, s3SignedFields, signedFields } from "../fixtures/forms.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { s3Client } from "../fixtures/s3.ts";
import { serverOf, type TestServer } from "../fixtures/server.ts";
import { callSts, federated } from "../fixtures/sts.ts";

const RULES =
  "<LifecycleConfiguration><Rule><Filter/><Status>Enabled</Status><Expiration><Days>30</Days></Expiration></Rule>" +
  "</LifecycleConfiguration>";

describe("requests of namespaces", () => {
  let cosbox: Cosbox;
  let main: TestServer;
  let one: TestServer;
  let two: TestServer;
  const spaces: CosboxNamespace[] = [];
  beforeAll(async () => {
    cosbox = await startCosbox({ bareBuckets: true, limits: { namespaceBytesMax: 1_000_000 } });
    main = await serverOf(cosbox);
    for (const name of ["one", "two"]) spaces.push(await cosbox.namespace(name));
    const [first, second] = (await Promise.all(spaces.map((space) => serverOf({ ...cosbox, ...space })))) as [
      TestServer,
      TestServer,
    ];
    [one, two] = [first, second];
  });
  afterAll(() => cosbox.stop());
  const namesIn = async (server: TestServer, more: object = {}) =>
    (await server.send({ bucket: "", ...more })).elements("Name");

  it("by a COS signature in the header, in the query, or in the single parameter", async () => {
    for (const via of ["header", "query", "merged"] as const) {
      assert.deepEqual(await namesIn(one, { sign: { via } }), [one.bucket]);
      assert.deepEqual(await namesIn(two, { sign: { via } }), [two.bucket]);
      assert.deepEqual(await namesIn(main, { sign: { via } }), [main.bucket]);
    }
  });

  it("by an S3 signature of either version, also where the bucket's name has no APPID", async () => {
    for (const server of [one, two, main]) {
      for (const sign of ["v4", "v2"] as const) {
        const s3 = s3Client(server);
        const listed = await s3.send({ bucket: "", sign });
        // With bare names, as it is told to S3 clients of any account.
        assert.deepEqual(listed.elements("Name"), ["demo"], sign);
      }
      const put = await s3Client(server).send({
        method: "PUT",
        bucket: "demo",
        style: "path",
        path: "/bare",
        body: "x",
      });
      assert.equal(put.status, 200, put.text);
      assert.equal((await server.send({ path: "/bare" })).text, "x");
    }
  });

  it("by the bucket of a form, whose signature is in its body", async () => {
    for (const server of [one, main]) {
      const { secretId, secretKey } = server.cosbox.credentials;
      const pair = { secretId, secretKey };
      const cos = form([["key", "by-form"], ...signedFields(pair), ["file", { bytes: "cos" }]]);
      assert.equal((await server.send(cos)).status, 204);
      assert.equal((await server.send({ path: "/by-form" })).text, "cos");
      const s3 = form([
        ["key", "by-s3-form"],
        ...s3SignedFields({ ...pair, conditions: [["starts-with", "$key", ""]] }),
        ["file", { bytes: "s3" }],
      ]);
      assert.equal((await server.send(s3)).status, 204);
      assert.equal((await server.send({ path: "/by-s3-form" })).text, "s3");
    }
  });

  it("by the bucket alone, without a signature", async () => {
    await one.send({ method: "PUT", path: "/open", headers: { "x-cos-acl": "public-read" }, body: "one" });
    assert.equal((await main.send({ bucket: one.bucket, path: "/open", sign: false })).text, "one");
    const preflight = {
      method: "OPTIONS",
      sign: false,
      headers: { origin: "http://a", "access-control-request-method": "GET" },
    };
    assertRefused(await main.send({ ...preflight, bucket: one.bucket }), "AccessForbidden");
  });

  for (const signed of ["v1", "v1-sha256", "v1-query", "v3"] as const) {
    it(`by the signature of a call to the STS (${signed}), and then by the temporary key`, async () => {
      const pair = await federated(one, allow("*"), { signed });
      const token = { "x-cos-security-token": pair.token };
      const { secretId, secretKey } = pair;
      assert.deepEqual(await namesIn(one, { headers: token, sign: { secretId, secretKey } }), [one.bucket]);
      assert.deepEqual(await namesIn(main, { query: token, sign: { secretId, secretKey, via: "query" } }), [
        one.bucket,
      ]);
      const here = await one.send({ path: "/bare", headers: token, sign: { secretId, secretKey } });
      assert.equal(here.text, "x");
      const there = await two.send({ path: "/bare", headers: token, sign: { secretId, secretKey } });
      assertRefused(there, "InvalidAccessKeyId");
    });
  }

  it("AuthFailure: a form to the STS that nobody signed, that is too long, or that ends early", async () => {
    const nobody = await callSts(one, { secretId: "AKIDnobody0000000000000000000000000" });
    assert.equal(nobody.code, "AuthFailure.SecretIdNotFound");
    const long = await callSts(one, { parameters: { Name: "x".repeat(70_000) } });
    assert.equal(long.code, "RequestSizeLimitExceeded");
    const cut = await main.raw(
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 50\r\n\r\nAction=x",
    );
    assert.match(cut, /"Code":"InvalidParameter"/);
  });

  it("by its own clock: a temporary key of one expires when that one's clock passes its end", async () => {
    const pair = await federated(one, allow("*"));
    const sign = { secretId: pair.secretId, secretKey: pair.secretKey };
    const headers = { "x-cos-security-token": pair.token };
    await two.cosbox.clock.advance("30d");
    assert.deepEqual(await namesIn(one, { headers, sign }), [one.bucket]);
    await one.cosbox.clock.advance("30d");
    assertRefused(await one.send({ bucket: "", headers, sign }), "ExpiredToken");
    await Promise.all([one, two].map((server) => server.cosbox.clock.reset()));
  });

  it("never let a signature of one open what is another's, whatever the request names besides", async () => {
    const { secretId, secretKey } = one.cosbox.credentials;
    const own = { secretId, secretKey };
    await two.send({ method: "PUT", path: "/secret", body: "of two" });
    for (const asked of [
      { sign: own },
      { sign: { ...own, via: "query" as const } },
      { sign: { ...own, secretId: two.cosbox.credentials.secretId } },
      { sign: own, query: { "q-ak": two.cosbox.credentials.secretId } },
      { sign: own, query: { secretid: two.cosbox.credentials.secretId } },
      { sign: own, headers: { "x-cos-security-token": "of-nobody" } },
      { sign: false, headers: { authorization: `q-ak=${two.cosbox.credentials.secretId}` } },
      { sign: false, headers: { authorization: `AWS ${two.cosbox.credentials.secretId}:x` } },
    ]) {
      const answer = await main.send({ bucket: two.bucket, path: "/secret", ...asked });
      assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status} ${JSON.stringify(asked)}`);
      assert.doesNotMatch(answer.text, /of two/);
    }
  });

  it("have lifecycles of their own, done by an advance of their own clock", async () => {
    for (const server of [one, two]) {
      await server.send({ method: "PUT", path: "/old", body: "x" });
      await server.send({ method: "PUT", query: { lifecycle: undefined }, body: RULES });
    }
    await one.cosbox.clock.advance("32d");
    assert.equal((await one.send({ method: "HEAD", path: "/old" })).status, 404);
    assert.equal((await two.send({ method: "HEAD", path: "/old" })).status, 200);
    await one.cosbox.clock.reset();
  });

  it("ServiceUnavailable: more bytes than all namespaces together may hold; the server itself has room", async () => {
    const put = (server: TestServer, path: string, bytes: number) =>
      server.send({ method: "PUT", path, body: Buffer.alloc(bytes) });
    assert.equal((await put(one, "/large", 600_000)).status, 200);
    assertRefused(await put(two, "/large", 600_000), "ServiceUnavailable");
    assert.equal((await put(main, "/large", 1_200_000)).status, 200);
    assert.equal((await put(two, "/small", 300_000)).status, 200);
    await spaces[0]?.remove();
    assert.equal((await put(two, "/large", 600_000)).status, 200);
  });
});

describe("the conformance suite in a namespace", () => {
  it("finds everything as the error page says", { timeout: 60_000 }, async () => {
    const cosbox = await startCosbox();
    try {
      const space = await cosbox.namespace();
      const { secretId, secretKey } = space.credentials;
      const flags = ["--endpoint", space.endpoint, "--secret-id", secretId, "--appid", space.appid];
      const env = { COSBOX_SECRET_KEY: secretKey };
      const { code, stdout, stderr } = await toldIn({ env }, "conformance", ...flags);
      assert.equal(code, 0, stdout + stderr);
      const [, right, wrong] = /(\d+) as the error page says, (\d+) not\n$/.exec(stdout) ?? [];
      assert.ok(Number(right) >= 50 && wrong === "0", stdout);
      assert.ok(space.requests.recent().length > 50);
      assert.deepEqual(cosbox.requests.recent(), []);
    } finally {
      await cosbox.stop();
    }
  });
});
