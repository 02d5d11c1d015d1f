import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it, onTestFinished } from "vitest";
import { adminClient } from "../../src/admin/client.ts";
import { ask, type Told } from "../fixtures/admin.ts";
import { allow, PEOPLE, READER, ROLE_ARN, ROOT_UIN, WRITER } from "../fixtures/people.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type KeyPair, type TestServer, testServer } from "../fixtures/server.ts";
import { callSts, federated, pairIn } from "../fixtures/sts.ts";

const LIMITS = { identityKeysMax: 3, accountGroupsMax: 3, accountsMax: 3 };

describe("accounts on the admin listener", () => {
  let server: TestServer;
  let endpoint: string;
  beforeAll(async () => {
    server = await testServer({ admin: "127.0.0.1:0", accounts: PEOPLE, limits: LIMITS });
    endpoint = server.cosbox.admin as string;
    await server.send({ method: "PUT", path: "/a", body: "text" });
  });
  afterAll(() => server.stop());

  const call = (method: string, path: string, body?: unknown): Promise<Told> =>
    ask(endpoint, method, `/v1${path}`, body === undefined ? {} : { body });
  const done = async (method: string, path: string, body?: unknown): Promise<Told["body"]> => {
    const told = await call(method, path, body);
    assert.equal(told.status, 200, JSON.stringify(told.body));
    return told.body;
  };
  const refusal = async (method: string, path: string, body?: unknown): Promise<string> => {
    const told = await call(method, path, body);
    const { code, message } = told.body["error"] as { code: string; message: string };
    assert.notEqual(message, "");
    return `${told.status} ${code}`;
  };
  const status = async (sign: KeyPair): Promise<number> => (await server.send({ path: "/a", sign })).status;
  const own = `/accounts/${ROOT_UIN}`;

  it("refuse a user that has the UIN of an account, and the published pair as a key", async () => {
    const named = { name: "root again" };
    assert.equal(await refusal("PUT", `${own}/users/${ROOT_UIN}`, named), "409 InUse");
    await done("PUT", `${own}/users/100000000079`, { name: "own" });
    for (const pair of [
      { secretId: "AKIDcosboxdevelopment000000000000000", secretKey: "another-secret-key-00000000000000" },
      { secretId: "AKIDanother0000000000000000000000000", secretKey: "cosboxdevelopmentsecretkey000000" },
    ]) {
      assert.equal(await refusal("POST", `${own}/keys`, { user: "100000000079", pair }), "409 InUse");
    }
    await done("DELETE", `${own}/users/100000000079`);
  });

  it("make a user with its key, whose policies count for the next request, and take them away again", async () => {
    await done("PUT", `${own}/policies/seeing`, { document: allow("name/cos:GetObject") });
    await done("PUT", `${own}/groups/seers`, { policies: ["seeing"] });
    await done("PUT", `${own}/users/100000000071`, { name: "ida" });
    const key = await done("POST", `${own}/keys`, { user: "100000000071" });
    assert.match(String(key["secretId"]), /^AKID[A-Za-z0-9]{32}$/);
    assert.match(String(key["secretKey"]), /^[A-Za-z0-9]{32}$/);
    const ida = { secretId: String(key["secretId"]), secretKey: String(key["secretKey"]) };
    assertRefused(await server.send({ path: "/a", sign: ida }), "AccessDenied");

    await done("PUT", `${own}/users/100000000071`, { name: "ida", groups: ["seers"] });
    assert.equal(await status(ida), 200);
    await done("PUT", `${own}/policies/seeing`, { document: JSON.stringify(allow("name/cos:PutObject")) });
    assert.equal(await status(ida), 403);
    await done("PUT", `${own}/policies/seeing`, { document: allow("name/cos:GetObject") });
    assert.equal(await status(ida), 200);

    for (const path of ["/groups/seers", "/policies/seeing", "/users/100000000071"]) {
      assert.equal(await refusal("DELETE", `${own}${path}`), "409 InUse", path);
    }
    await done("DELETE", `/keys/${ida.secretId}`);
    assertRefused(await server.send({ path: "/a", sign: ida }), "InvalidAccessKeyId");
    for (const path of ["/users/100000000071", "/groups/seers", "/policies/seeing"]) {
      await done("DELETE", `${own}${path}`);
      assert.equal(await refusal("GET", `${own}${path}`), "404 NotFound");
    }
  });

  it("disable a key and enable it again; its temporary keys follow it", async () => {
    const { token, ...pair } = await federated(server, allow("*"), WRITER);
    const temporary = async (): Promise<number> =>
      (await server.send({ path: "/a", headers: { "x-cos-security-token": token }, sign: pair })).status;
    assert.deepEqual([await status(WRITER), await temporary()], [200, 200]);
    assert.equal((await done("PUT", `/keys/${WRITER.secretId}`, { enabled: false }))["enabled"], false);
    assertRefused(await server.send({ path: "/a", sign: WRITER }), "InvalidAccessKeyId");
    assert.equal(await temporary(), 403);
    assert.equal(
      (await callSts(server, { ...WRITER, action: "GetCallerIdentity" })).code,
      "AuthFailure.SecretIdNotFound",
    );
    await done("PUT", `/keys/${WRITER.secretId}`, { enabled: true });
    assert.deepEqual([await status(WRITER), await temporary()], [200, 200]);
  });

  it("make an account with its own APPID, and remove it once it has nothing left", async () => {
    const theirs = "/accounts/100000000081";
    await done("PUT", theirs, { appid: "1250000081", name: "theirs" });
    const made = await done("POST", `${theirs}/keys`, {
      pair: { secretId: "AKIDoftheirs", secretKey: "a-secret-of-theirs" },
    });
    assert.deepEqual([made["secretId"], made["user"]], ["AKIDoftheirs", "100000000081"]);
    const sign = { secretId: "AKIDoftheirs", secretKey: "a-secret-of-theirs" };
    const bucket = "box-1250000081";
    assert.equal((await server.send({ method: "PUT", bucket, sign })).status, 200);
    assert.equal(await refusal("PUT", theirs, { appid: "1250000082" }), "409 InUse");
    assert.equal(await refusal("DELETE", theirs), "409 InUse");
    await server.send({ method: "DELETE", bucket, sign });
    assert.equal(await refusal("DELETE", theirs), "409 InUse", "its key is still there");
    await done("DELETE", "/keys/AKIDoftheirs");
    await done("PUT", theirs, { appid: "1250000082" });
    await done("DELETE", theirs);
    assert.equal(await refusal("GET", theirs), "404 NotFound");
  });

  it("make a role that can be taken on at once", async () => {
    const guest = await done("GET", `${own}/roles/guest`);
    assert.equal(guest["arn"], ROLE_ARN);
    await done("PUT", `${own}/roles/helper`, {
      trust: guest["trust"],
      policies: ["everything"],
      sessionSecondsMax: 900,
    });
    const parameters = { RoleArn: ROLE_ARN.replace("guest", "helper"), RoleSessionName: "session" };
    pairIn(await callSts(server, { action: "AssumeRole", parameters }));
    const longer = { ...parameters, DurationSeconds: 901 };
    assert.equal((await callSts(server, { action: "AssumeRole", parameters: longer })).code, "InvalidParameterValue");
    await done("DELETE", `${own}/roles/helper`);
  });

  it("make a role under the name of one that was removed, of which the temporary keys of that one are not", async () => {
    const guest = await done("GET", `${own}/roles/guest`);
    const helper = { trust: guest["trust"], policies: ["everything"] };
    const parameters = { RoleArn: ROLE_ARN.replace("guest", "helper"), RoleSessionName: "session" };
    const take = async () => pairIn(await callSts(server, { action: "AssumeRole", parameters }));
    const sent = async ({ token, ...sign }: Awaited<ReturnType<typeof take>>) =>
      await server.send({ path: "/a", sign, headers: { "x-cos-security-token": token } });
    await done("PUT", `${own}/roles/helper`, helper);
    const before = await take();
    await done("PUT", `${own}/roles/helper`, { ...helper, sessionSecondsMax: 900 });
    assert.equal((await sent(before)).status, 200, "a role that was changed is the same");
    await done("DELETE", `${own}/roles/helper`);
    assertRefused(await sent(before), "InvalidAccessKeyId");
    await done("PUT", `${own}/roles/helper`, helper);
    assertRefused(await sent(before), "InvalidAccessKeyId");
    assert.equal((await sent(await take())).status, 200);
    await done("DELETE", `${own}/roles/helper`);
  });

  it("list what there is, and never a secret", async () => {
    const { accounts } = (await done("GET", "/accounts")) as { accounts: { uin: string; fixed: boolean }[] };
    assert.deepEqual(
      accounts.map(({ uin, fixed }) => [uin, fixed]),
      [
        [ROOT_UIN, true],
        ["100000000005", false],
      ],
    );
    const { users } = (await done("GET", `${own}/users`)) as { users: { uin: string; seeded: boolean }[] };
    assert.equal(users.length, 4);
    const lists = await Promise.all(
      ["users", "groups", "policies", "roles", "keys"].map(async (kind) => [kind, await done("GET", `${own}/${kind}`)]),
    );
    const text = JSON.stringify(lists);
    assert.match(text, new RegExp(READER.secretId));
    assert.doesNotMatch(text, /sealed|secretKey|secret-of-/);
    assert.equal((await done("GET", `/keys/${READER.secretId}`))["user"], "100000000012");
  });

  it("sec_S-2.7, CVE-2024-55949: are refused what cannot stand, each in its own words", async () => {
    const cases: readonly (readonly [expected: string, method: string, path: string, body?: unknown])[] = [
      ["404 NotFound", "GET", "/accounts/100000000099"],
      ["404 NotFound", "GET", "/accounts/100000000099/users"],
      ["404 NotFound", "PUT", "/accounts/100000000099/groups/x", {}],
      ["404 NotFound", "PUT", `${own}/users/100000000072`, { groups: ["nothing"] }],
      ["404 NotFound", "PUT", `${own}/users/100000000072`, { policies: ["nothing"] }],
      ["404 NotFound", "POST", `${own}/keys`, { user: "100000000099" }],
      ["404 NotFound", "PUT", "/keys/AKIDnobody", { enabled: true }],
      ["404 NotFound", "DELETE", "/keys/AKIDnobody"],
      ["400 Invalid", "PUT", `${own}/policies/x`, { document: "{}" }],
      ["400 Invalid", "PUT", `${own}/policies/x`, { document: allow("*", "x".repeat(7000)) }],
      ["400 Invalid", "PUT", `${own}/roles/x`, { trust: allow("*") }],
      ["400 InvalidInput", "PUT", `${own}/users/ida`, {}],
      ["400 InvalidInput", "PUT", `${own}/groups/a%20b`, {}],
      ["400 InvalidInput", "PUT", `${own}/groups/x`, { policy: [] }],
      ["400 InvalidInput", "PUT", "/accounts/100000000081", { appid: "x" }],
      ["409 Fixed", "PUT", own, { appid: "1250000081" }],
      ["409 Fixed", "DELETE", own],
      ["409 Fixed", "PUT", `/keys/${server.cosbox.credentials.secretId}`, { enabled: false }],
      ["409 InUse", "PUT", "/accounts/100000000081", { appid: "1250000000" }],
      ["409 InUse", "PUT", "/accounts/100000000081", { appid: "1250000005" }],
      ["409 InUse", "POST", `${own}/keys`, { pair: { secretId: READER.secretId, secretKey: "another-secret" } }],
    ];
    for (const [expected, method, path, body] of cases) {
      assert.equal(await refusal(method, path, body), expected, `${method} ${path}`);
    }
  });

  it("are bounded", async () => {
    const groups = ["one", "two"];
    for (const group of groups) await done("PUT", `${own}/groups/${group}`, {});
    assert.equal(await refusal("PUT", `${own}/groups/three`, {}), "409 LimitExceeded");
    for (const group of groups) await done("DELETE", `${own}/groups/${group}`);
    const keys = [];
    for (let at = 0; at < 3; at++) keys.push((await done("POST", `${own}/keys`, {}))["secretId"]);
    assert.equal(await refusal("POST", `${own}/keys`, {}), "409 LimitExceeded");
    for (const key of keys) await done("DELETE", `/keys/${String(key)}`);
    for (const at of [1, 2]) await done("PUT", `/accounts/10000000009${at}`, { appid: `125000009${at}` });
    assert.equal(await refusal("PUT", "/accounts/100000000093", { appid: "1250000093" }), "409 LimitExceeded");
    for (const at of [1, 2]) await done("DELETE", `/accounts/10000000009${at}`);
  });

  it("become those of the settings again with a reset", async () => {
    const own2 = await testServer({ admin: "127.0.0.1:0", accounts: PEOPLE });
    onTestFinished(() => own2.stop());
    const client = adminClient({ endpoint: own2.cosbox.admin as string });
    await client.putOwned(ROOT_UIN, "users", "100000000071", { policies: ["everything"] });
    const { secretId, secretKey } = await client.createKey(ROOT_UIN, "100000000071");
    await client.setKey(READER.secretId, false);
    assert.equal((await own2.send({ bucket: "", sign: { secretId, secretKey } })).status, 200);
    await own2.cosbox.reset();
    assertRefused(await own2.send({ bucket: "", sign: { secretId, secretKey } }), "InvalidAccessKeyId");
    assertRefused(await own2.send({ bucket: "", sign: READER }), "AccessDenied");
    assert.equal((await own2.send({ bucket: "", sign: WRITER })).status, 200);
  });
});
