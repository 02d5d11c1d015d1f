/** Temporary keys that somebody made up, changed or stretched. */

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, it, onTestFinished } from "vitest";
import { type AccessQuestion, authorise } from "../../src/access/authorise.ts";
import type { AccountCaller } from "../../src/access/caller.ts";
import { type Policy } from "../../src/access/policy/policy.ts";
import { readPolicy } from "../../src/access/policy/read-policy.ts";
import { createLog } from "../../src/log.ts";
import type { BucketRecord } from "../../src/store/records.ts";
import { ask } from "../fixtures/admin.ts";
import { allow, PEOPLE, ROLE_ARN, ROOT_UIN, WRITER } from "../fixtures/people.ts";
import { type Received, type TestServer, testServer } from "../fixtures/server.ts";
import { callSts, federated, pairIn, type TemporaryPair } from "../fixtures/sts.ts";

describe("temporary keys", () => {
  let server: TestServer;
  let pair: TemporaryPair;
  beforeAll(async () => {
    server = await testServer({ accounts: PEOPLE, admin: "127.0.0.1:0" });
    await server.send({ method: "PUT", path: "/a", body: "text" });
    pair = await federated(server, allow("*"));
  });
  afterAll(() => server.stop());

  const get = (sign: { secretId: string; secretKey: string }, token: string, on = server): Promise<Received> => {
    const { secretId, secretKey } = sign;
    return on.send({ path: "/a", headers: { "x-cos-security-token": token }, sign: { secretId, secretKey } });
  };

  it("sec_S-1.13, CVE-2025-30156: a token with any bit of any byte turned is nobody's", async () => {
    assert.equal((await get(pair, pair.token)).text, "text");
    const bytes = Buffer.from(pair.token, "base64url");
    for (let at = 0; at < bytes.length; at++) {
      const turned = Buffer.from(bytes);
      turned[at] = (turned[at] as number) ^ (1 << (at % 8));
      const answer = await get(pair, turned.toString("base64url"));
      assert.equal(answer.element("Code"), "InvalidAccessKeyId", `byte ${at}`);
    }
  });

  it("sec_S-1.12, CVE-2024-48916, CVE-2026-33322, GHSA-ccrv-v8v9-ch9q: a token that somebody else has made", async () => {
    const other = await testServer();
    onTestFinished(() => other.stop());
    const elsewhere = await federated(other, allow("*"));
    const { secretId, secretKey } = server.cosbox.credentials;
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = [pair.secretId, ROOT_UIN, secretId, "", "", "forged", Date.now() + 1e9];
    const jwt = (alg: string): string => `${encode({ alg, typ: "JWT" })}.${encode({ sub: ROOT_UIN, exp: 1e12 })}`;
    const hs256 = jwt("HS256");
    const forged = [
      encode(claims),
      `${jwt("none")}.`,
      `${hs256}.${createHmac("sha256", secretKey).update(hs256).digest("base64url")}`,
      ...[1, 12, 28, 40].map((bytes) => Buffer.from(pair.token, "base64url").subarray(0, bytes).toString("base64url")),
      pair.token.slice(1),
      `${pair.token}=`,
      pair.token + pair.token,
    ];
    for (const token of forged) {
      for (const sign of [pair, { secretId: pair.secretId, secretKey }, { secretId, secretKey }]) {
        assert.equal((await get(sign, token)).element("Code"), "InvalidAccessKeyId", token.slice(0, 60));
      }
    }
    assert.equal((await get(elsewhere, elsewhere.token)).element("Code"), "InvalidAccessKeyId", "of another server");
    assert.equal((await get({ ...pair, secretKey }, pair.token)).element("Code"), "SignatureDoesNotMatch");
  });

  it("sec_S-1.12: a token is worth nothing once its issuer's key is disabled", async () => {
    const own = await federated(server, allow("*"), WRITER);
    const set = (enabled: boolean) =>
      ask(server.cosbox.admin as string, "PUT", `/v1/keys/${WRITER.secretId}`, { body: { enabled } });
    assert.equal((await get(own, own.token)).status, 200);
    await set(false);
    assert.equal((await get(own, own.token)).element("Code"), "InvalidAccessKeyId");
    await set(true);
  });

  it("sec_S-2.8, CVE-2025-62506, CVE-2024-24747: a temporary key makes no other that reaches further or lasts longer", async () => {
    const narrow = await federated(server, allow("name/cos:HeadBucket"));
    const role = pairIn(
      await callSts(server, { action: "AssumeRole", parameters: { RoleArn: ROLE_ARN, RoleSessionName: "session" } }),
    );
    for (const caller of [narrow, role]) {
      for (const [action, parameters] of [
        ["GetFederationToken", { Name: "x", Policy: JSON.stringify(allow("*")), DurationSeconds: 7200 }],
        ["AssumeRole", { RoleArn: ROLE_ARN, RoleSessionName: "session", DurationSeconds: 7200 }],
      ] as const) {
        for (const signed of ["v1", "v3"] as const) {
          const answer = await callSts(server, { ...caller, action, parameters, signed });
          assert.equal(answer.code, "AuthFailure.UnauthorizedOperation");
        }
      }
    }
  });

  it("sec_S-11.1: neither the log, nor a record, nor a list has the secret of a stored or of a temporary key", async () => {
    let written = "";
    const log = createLog({ level: "debug", out: { write: (line: string) => (written += line) } });
    const own = await testServer({ accounts: PEOPLE, admin: "127.0.0.1:0", log });
    const admin = (method: string, path: string, body?: unknown) =>
      ask(own.cosbox.admin as string, method, path, body === undefined ? {} : { body });
    const made = (await admin("POST", `/v1/accounts/${ROOT_UIN}/keys`, {})).body as Record<string, string>;
    const temporary = await federated(own, allow("*"), WRITER);
    const seen: string[] = [];
    for (const path of ["/a", "/none"]) {
      for (const answer of [
        await get(temporary, temporary.token, own),
        await get(temporary, `${temporary.token}x`, own),
        await own.send({
          path,
          query: { "x-cos-security-token": temporary.token },
          sign: { ...temporary, via: "query" },
        }),
        await own.send({ path, sign: { ...WRITER, secretKey: "another" } }),
      ]) {
        seen.push(answer.text, answer.rawHeaders.join());
      }
    }
    await callSts(own, { ...temporary, signed: "v1-query", action: "GetCallerIdentity" });
    await callSts(own, { ...temporary, signed: "v3", action: "GetCallerIdentity" });
    for (const kind of ["users", "keys", "roles"]) {
      seen.push(JSON.stringify((await admin("GET", `/v1/accounts/${ROOT_UIN}/${kind}`)).body));
    }
    seen.push(JSON.stringify((await admin("GET", "/v1/requests?limit=100")).body), written);
    await own.stop();
    const all = seen.join("\n");
    assert.match(all, new RegExp(temporary.secretId), "the requests were seen");
    for (const secret of [made["secretKey"] as string, temporary.secretKey, temporary.token, WRITER.secretKey]) {
      assert.ok(!all.includes(secret), `${secret.slice(0, 6)}… is told`);
    }
  });
});

describe("sec_S-2.8: what a session may do", () => {
  const bucket = {
    ...{ name: "demo-1250000000", region: "ap-guangzhou", ownerAppid: "1250000000", ownerUin: ROOT_UIN },
  } as BucketRecord;
  const statement = fc.record({
    effect: fc.constantFrom("allow", "allow", "deny"),
    action: fc.constantFrom("*", "name/cos:Get*", "name/cos:GetObject", "name/cos:PutObject", "name/cos:*"),
    resource: fc.constantFrom("*", ...["*", "in/*", "in/a", "out/*"].map((key) => `qcs::cos:::demo-1250000000/${key}`)),
  });
  const policy = fc
    .array(statement, { minLength: 1, maxLength: 4 })
    .map((all) =>
      readPolicy(JSON.stringify({ version: "2.0", statement: all }), { principal: "refused", bytesMax: 9999 }),
    );
  const caller = (user: string, policies: readonly Policy[], session?: Policy): AccountCaller => ({
    ...{ kind: "account", via: "header", secretId: "AKIDcaller", uin: ROOT_UIN, user, appid: "1250000000" },
    published: false,
    policies,
    ...(session === undefined ? {} : { session: { policy: session, expiresMs: 0 } }),
  });
  const nothing = { bucketPolicy: undefined, grants: [], tags: [] };

  it("is always something that its issuer may do and that its policy allows", () => {
    const issuer = fc.constantFrom(ROOT_UIN, "100000000011");
    const asked = fc.record({
      action: fc.constantFrom("name/cos:GetObject", "name/cos:PutObject", "name/cos:GetBucket"),
      key: fc.constantFrom("in/a", "in/b", "out/a", undefined),
    });
    let allowed = 0;
    fc.assert(
      fc.property(
        issuer,
        fc.array(policy, { maxLength: 3 }),
        policy,
        asked,
        (user, policies, session, { action, key }) => {
          const may = (who: AccountCaller): boolean => {
            const question: AccessQuestion = {
              caller: who,
              action,
              permission: "owner",
              bucket,
              key,
              object: undefined,
            };
            return authorise(question, nothing, () => undefined).allowed;
          };
          if (!may(caller(user, policies, session))) return;
          allowed += 1;
          assert.ok(may(caller(user, policies)), "its issuer may");
          assert.ok(may(caller("100000000012", [session])), "its policy allows it");
        },
      ),
      { numRuns: 2_000 },
    );
    assert.ok(allowed > 100, `${allowed} were allowed`);
  });
});
