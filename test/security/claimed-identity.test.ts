/** Header fields, parameters and fields of forms by which somebody might claim to be somebody else. */

import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { form } from "../fixtures/forms.ts";
import { type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";

/** Names that servers have used among themselves to tell who asks, or to have passed a check. */
// biome-ignore format: a table of names
const NAMES: readonly string[] = [
  "x-forwarded-user", "x-forwarded-email", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip",
  "x-client-ip", "true-client-ip", "forwarded", "x-remote-user", "remote-user", "x-user", "x-user-id", "x-username",
  "x-auth-user", "x-authenticated-user", "x-authenticated-userid", "x-auth-request-user", "x-auth-token", "x-principal",
  "x-seaweedfs-principal", "x-seaweedfs-session-token", "x-minio-internal-user", "x-minio-source-replication-request",
  "x-rustfs-internal", "x-internal-user", "x-internal-request", "x-internal-auth", "x-internal-token", "x-cos-internal",
  "x-cos-internal-user", "x-cos-internal-uin", "x-cos-internal-appid", "x-cos-uin", "x-cos-appid", "x-cos-owner",
  "x-cos-requester", "x-cos-caller", "x-cos-authenticated", "x-cos-role", "x-amz-internal-user", "x-amz-principal",
  "x-amz-owner", "x-amz-account-id", "x-uin", "x-appid", "x-admin", "x-root", "x-role", "x-debug", "x-cosbox-user",
  "x-cosbox-internal",
];
const VALUES = ["100000000001", "root", "true", "1", "127.0.0.1", "qcs::cam::uin/100000000001:uin/100000000001"];

describe("sec_S-1.16: who somebody claims to be without signing", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({
      secretId: "AKIDclaimed000000000000000000000000",
      secretKey: "claimedsecretkey0000000000000000",
    });
    await server.send({ method: "PUT", path: "/k", body: "kept" });
  });
  afterAll(() => server.stop());

  const refused = (answer: Received, what: string): void =>
    assert.match(`${answer.status} ${answer.element("Code")}`, /^(403 AccessDenied|400 InvalidRequest)$/, what);

  it("changes nothing in a header, a parameter or a field of a form", async () => {
    assert.ok(NAMES.length >= 50);
    for (const name of NAMES) {
      for (const value of VALUES) {
        const claims: Sent[] = [
          { headers: { [name]: value } },
          { query: { [name]: value } },
          { method: "PUT", body: "x", headers: { [name]: value } },
          { method: "DELETE", headers: { [name]: value } },
        ];
        for (const claim of claims)
          refused(await server.send({ path: "/k", sign: false, ...claim }), `${name}: ${value}`);
      }
      const [value = ""] = VALUES;
      const parts = [
        ["key", "k"],
        [name, value],
        ["file", { bytes: "x" }],
      ] as const;
      refused(await server.send(form(parts, { headers: { [name]: value } })), `${name} in a form`);
    }
    assert.equal((await server.send({ path: "/k" })).text, "kept");
  });
});
