/** States of accounts, buckets and objects, and what is refused because of them. */

import assert from "node:assert/strict";
import { afterAll, afterEach, beforeAll, describe, it } from "vitest";
import { OTHER_ROOT, OTHER_UIN, PEOPLE, ROOT_UIN, WRITER } from "../fixtures/people.ts";
import { assertRefused, assertRefusedHead } from "../fixtures/refusal.ts";
import { s3Client } from "../fixtures/s3.ts";
import { assertS3Refused } from "../fixtures/s3-refusal.ts";
import { contentMd5, type Sent, type TestServer, testServer } from "../fixtures/server.ts";

const SUSPENDED = { message: "The appid is unavailable for legal reasons." };

describe("states", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ accounts: PEOPLE });
    const headers = { "x-cos-acl": "public-read" };
    await server.send({ method: "PUT", path: "/open", body: "text", headers });
    await server.send({ method: "PUT", path: "/other", body: "text", headers });
    assert.equal((await server.send({ method: "PUT", bucket: "theirs-1250000005", sign: OTHER_ROOT })).status, 200);
  });
  afterAll(() => server.stop());
  afterEach(async () => {
    await server.cosbox.states.clear();
    await server.cosbox.clock.reset();
  });

  it("UnavailableForLegalReasons: every request of a suspended account, and every one to its buckets", async () => {
    await server.cosbox.states.set({ account: ROOT_UIN }, "suspended");
    const requests: Sent[] = [
      { bucket: "" },
      { path: "/open" },
      { path: "/none" },
      { path: "/open", sign: false },
      { path: "/open", sign: WRITER },
      { path: "/open", sign: OTHER_ROOT },
      { path: "/open", sign: "query" },
      { bucket: "none-1250000000" },
      { method: "PUT", bucket: "new-1250000000" },
      { method: "PUT", path: "/new", body: "x".repeat(100_000) },
      { method: "DELETE", path: "/open" },
      {
        method: "OPTIONS",
        path: "/open",
        sign: false,
        headers: { origin: "http://a.b", "access-control-request-method": "GET" },
      },
    ];
    for (const request of requests) assertRefused(await server.send(request), "UnavailableForLegalReasons", SUSPENDED);
    assertRefusedHead(await server.send({ method: "HEAD", path: "/open" }), "UnavailableForLegalReasons");
    assert.equal((await server.send({ bucket: "theirs-1250000005", sign: OTHER_ROOT })).status, 200);
    assertRefused(
      await server.send({ path: "/open", sign: { ...WRITER, secretKey: "wrong-wrong" } }),
      "SignatureDoesNotMatch",
      { extras: ["StringToSign", "FormatString"] },
    );
    await server.cosbox.states.set({ account: ROOT_UIN }, "active");
    assert.equal((await server.send({ path: "/open" })).text, "text");
    assertRefused(await server.send({ path: "/new" }), "NoSuchKey");
  });

  it("UnavailableForLegalReasons: arrears are served for a day, by the server's clock", async () => {
    await server.cosbox.states.set({ account: ROOT_UIN }, "arrears");
    assert.equal((await server.send({ path: "/open" })).status, 200);
    await server.cosbox.clock.advance("23h");
    assert.equal((await server.send({ path: "/open" })).status, 200);
    await server.cosbox.clock.advance("1h");
    const refused = await server.send({ path: "/open" });
    assertRefused(refused, "UnavailableForLegalReasons");
    const told = await server.cosbox.requests.explain(String(refused.headers["x-cos-request-id"]));
    assert.match(told ?? "", /set the account 100000000001 to arrears, at .*\n.*after a day in arrears/);
    assert.match(told ?? "", /What to do\n {2}Set it to active/);
  });

  it("UnavailableForLegalReasons: an object that is blocked is not read, in any way", async () => {
    await server.cosbox.states.set({ bucket: server.bucket, key: "open" }, "blocked");
    const blocked = { message: "The object is unavailable for legal reasons." };
    assertRefused(await server.send({ path: "/open" }), "UnavailableForLegalReasons", blocked);
    assertRefused(await server.send({ path: "/open", sign: false }), "UnavailableForLegalReasons", blocked);
    assertRefusedHead(await server.send({ method: "HEAD", path: "/open" }), "UnavailableForLegalReasons");
    const source = `${server.bucket}.cos.ap-guangzhou.myqcloud.com/open`;
    const copy = await server.send({ method: "PUT", path: "/copy", headers: { "x-cos-copy-source": source } });
    assertRefused(copy, "UnavailableForLegalReasons", blocked);
    assert.equal((await server.send({ path: "/other" })).status, 200);
    const body = "<Delete><Quiet>true</Quiet><Object><Key>none</Key></Object></Delete>";
    const headers = { "content-md5": contentMd5(body) };
    assert.equal((await server.send({ method: "POST", query: { delete: "" }, body, headers })).status, 200);
    assert.equal((await server.send({ method: "PUT", path: "/open", body: "text" })).status, 200);
  });

  it("UnavailableForLegalReasons: a bucket that is blocked, as the target and as the source of a copy", async () => {
    await server.cosbox.states.set({ bucket: server.bucket }, "blocked");
    const blocked = { message: "The bucket is unavailable for legal reasons." };
    assertRefused(await server.send({ path: "/open" }), "UnavailableForLegalReasons", blocked);
    assertRefused(await server.send({}), "UnavailableForLegalReasons", blocked);
    assert.equal((await server.send({ bucket: "" })).status, 200);
    const source = `${server.bucket}.cos.ap-guangzhou.myqcloud.com/open`;
    const headers = { "x-cos-copy-source": source };
    const bucket = "theirs-1250000005";
    const copy = await server.send({ method: "PUT", path: "/copy", bucket, headers, sign: OTHER_ROOT });
    assertRefused(copy, "UnavailableForLegalReasons", blocked);
  });

  it("PaymentRequired: an account that has used up its quota, by itself and in its buckets", async () => {
    await server.cosbox.states.set({ account: OTHER_UIN }, "quota-exhausted");
    assertRefused(await server.send({ bucket: "theirs-1250000005", sign: OTHER_ROOT }), "PaymentRequired");
    assertRefused(await server.send({ bucket: "theirs-1250000005", sign: false }), "PaymentRequired");
    assertRefused(await server.send({ path: "/open", sign: OTHER_ROOT }), "PaymentRequired");
    assert.equal((await server.send({ path: "/open" })).status, 200);
  });

  it("InvalidAccessKeyId: the keys of an account that is closed", async () => {
    await server.cosbox.states.set({ account: ROOT_UIN }, "closed");
    assertRefused(await server.send({ path: "/open" }), "InvalidAccessKeyId");
    assertRefused(await server.send({ path: "/open", sign: false }), "UnavailableForLegalReasons");
  });

  it("ServiceUnavailable: maintenance of a bucket, an account, or the server", async () => {
    for (const subject of [{}, { account: ROOT_UIN }, { bucket: server.bucket }]) {
      await server.cosbox.states.set(subject, "maintenance");
      assertRefused(await server.send({ path: "/open" }), "ServiceUnavailable");
      assertRefused(await server.send({ method: "PUT", path: "/new", body: "x" }), "ServiceUnavailable");
      await server.cosbox.states.set(subject, "active");
    }
    assert.equal((await server.send({ path: "/open" })).status, 200);
  });

  it("hold for S3's clients as well", async () => {
    const s3 = s3Client(server);
    await server.cosbox.states.set({ account: ROOT_UIN }, "suspended");
    assertS3Refused(await s3.send({ path: "/open" }), 451, "UnavailableForLegalReasons");
    await server.cosbox.states.set({ account: ROOT_UIN }, "maintenance");
    assertS3Refused(await s3.send({ path: "/open" }), 503, "ServiceUnavailable");
  });

  it("are refused where the subject cannot be in them", async () => {
    await assert.rejects(server.cosbox.states.set({ bucket: "b" }, "suspended"), /states: account with one of/);
    await assert.rejects(server.cosbox.states.set({ account: "me" }, "suspended"), /states/);
    await assert.rejects(server.cosbox.states.set({ account: ROOT_UIN }, "nonsense" as never), /states/);
    assert.deepEqual(await server.cosbox.states.list(), []);
  });
});
