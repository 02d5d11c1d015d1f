import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { STRANGER } from "../fixtures/accounts.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { setVersioning } from "../fixtures/versioning.ts";

describe("PutBucketVersioning and GetBucketVersioning", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER] });
  });
  afterAll(() => server.stop());

  const put = (body: string, more: Sent = {}) =>
    server.send({ method: "PUT", query: { versioning: undefined }, body, ...more });
  const status = async () => (await server.send({ query: { versioning: undefined } })).element("Status");

  it("tells an empty document until it is configured, and then what was set last", async () => {
    const first = await server.send({ query: { versioning: undefined } });
    assert.equal(first.status, 200);
    assert.equal(first.text, "<?xml version='1.0' encoding='utf-8' ?>\n<VersioningConfiguration/>");
    for (const wanted of ["Suspended", "Enabled", "Enabled", "Suspended"]) {
      const answer = await setVersioning(server, wanted);
      assert.deepEqual([answer.status, answer.text], [200, ""]);
      assert.equal(await status(), wanted);
    }
  });

  it("InvalidArgument: a status that is none of the two, or none at all; nothing changes", async () => {
    await setVersioning(server, "Suspended");
    for (const body of ["Disabled", "enabled", "", " Enabled"]) {
      assertRefused(await setVersioning(server, body), "InvalidArgument", {
        message: "The element Status must be one of: Enabled, Suspended.",
      });
    }
    assertRefused(await put("<VersioningConfiguration/>"), "InvalidArgument", { message: /Status/ });
    assert.equal(await status(), "Suspended");
  });

  it("NotImplemented: MfaDelete, which S3 clients may switch on", async () => {
    const mfa = (state: string) =>
      put(`<VersioningConfiguration><Status>Enabled</Status><MfaDelete>${state}</MfaDelete></VersioningConfiguration>`);
    assertRefused(await mfa("Enabled"), "NotImplemented", { message: /MfaDelete/ });
    assert.equal((await mfa("Disabled")).status, 200);
  });

  it("MalformedXML: another root, two statuses, no XML", async () => {
    for (const body of [
      "<Versioning><Status>Enabled</Status></Versioning>",
      "<VersioningConfiguration><Status>Enabled</Status><Status>Enabled</Status></VersioningConfiguration>",
      "<VersioningConfiguration>",
      "Enabled",
    ]) {
      assertRefused(await put(body), "MalformedXML");
    }
  });

  it("MissingRequestBodyError: no body", async () => {
    assertRefused(await put(""), "MissingRequestBodyError");
  });

  it("XMLSizeLimit: 64 KB and a byte", async () => {
    assertRefused(await put(`<VersioningConfiguration>${" ".repeat(65_536)}`), "XMLSizeLimit");
  });

  it("BadDigest: a body that differs from its Content-MD5", async () => {
    const body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assertRefused(await put(body, { headers: { "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==" } }), "BadDigest");
  });

  it("NoSuchBucket: a bucket that is not there", async () => {
    assertRefused(await setVersioning(server, "Enabled", "nobody-1250000000"), "NoSuchBucket");
    const get = { bucket: "nobody-1250000000", query: { versioning: undefined } };
    assertRefused(await server.send(get), "NoSuchBucket");
  });

  it("AccessDenied: anybody but the owner, also where everyone may read and write", async () => {
    const bucket = "open-1250000000";
    await server.send({ method: "PUT", bucket, headers: { "x-cos-acl": "public-read-write" } });
    const body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    for (const sign of [STRANGER, false] as const) {
      const more = { bucket, sign, query: { versioning: undefined } };
      const message = sign === false ? { message: /signature empty/, extras: ["ServerTime"] } : {};
      assertRefused(await put(body, more), "AccessDenied", message);
      assertRefused(await server.send(more), "AccessDenied", message);
    }
  });

  it("MethodNotAllowed: it cannot be unconfigured", async () => {
    const answer = await server.send({ method: "DELETE", query: { versioning: undefined } });
    assertRefused(answer, "MethodNotAllowed");
    assert.deepEqual(answer.headers.allow?.split(", ").sort(), ["GET", "PUT"]);
  });

  it("outlives a bucket's name, not the bucket", async () => {
    const bucket = "again-1250000000";
    await server.send({ method: "PUT", bucket });
    await setVersioning(server, "Enabled", bucket);
    await server.send({ method: "DELETE", bucket });
    await server.send({ method: "PUT", bucket });
    const answer = await server.send({ bucket, query: { versioning: undefined } });
    assert.equal(answer.element("Status"), undefined);
  });
});
