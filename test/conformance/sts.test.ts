import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it, onTestFinished } from "vitest";
import { form, type Part, s3SignedFields, signedFields } from "../fixtures/forms.ts";
import {
  allow,
  DISABLED,
  NOBODY,
  OTHER_ROOT,
  OTHER_UIN,
  OTHER_USER,
  PEOPLE,
  pairOf,
  READER,
  ROLE_ARN,
  ROOT_UIN,
  WRITER,
} from "../fixtures/people.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { callSts, federated, pairIn, type StsCall, type TemporaryPair } from "../fixtures/sts.ts";

const POLICY = allow("*");
const federation = (policy: unknown = POLICY): Record<string, string> => ({
  Name: "somebody",
  Policy: encodeURIComponent(JSON.stringify(policy)),
});
const role = (arn = ROLE_ARN): Record<string, string> => ({ RoleArn: arn, RoleSessionName: "session" });

/** Sends a request signed with a temporary key, its token in the header or beside the signature in the query. */
function by(
  server: TestServer,
  pair: TemporaryPair,
  sent: Sent = {},
  via: "header" | "query" = "header",
): Promise<Received> {
  const token = { "x-cos-security-token": pair.token };
  return server.send({
    ...sent,
    ...(via === "header" ? { headers: { ...sent.headers, ...token } } : { query: { ...sent.query, ...token } }),
    sign: { secretId: pair.secretId, secretKey: pair.secretKey, via },
  });
}

describe("the STS", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ accounts: PEOPLE });
    await server.send({ method: "PUT", path: "/in/a", body: "inside" });
    await server.send({ method: "PUT", path: "/out/a", body: "outside" });
  });
  afterAll(() => server.stop());

  const call = (more: StsCall) => callSts(server, more);

  for (const signed of ["v1", "v1-sha256", "v1-query", "v3"] as const) {
    it(`answers in the service's form when it is asked with a signature of ${signed}`, async () => {
      const before = Math.floor(Date.now() / 1000);
      const answer = await call({ signed, parameters: { ...federation(), DurationSeconds: 600 } });
      assert.deepEqual([answer.status, answer.type, answer.code], [200, "application/json", undefined]);
      const pair = pairIn(answer);
      assert.match(pair.secretId, /^AKID[A-Za-z0-9]{32}$/);
      assert.equal(pair.secretKey.length, 32);
      assert.ok(pair.token.length <= 4096);
      assert.ok(pair.expiredTime - before >= 600 && pair.expiredTime - before <= 660);
      assert.equal(answer.response["Expiration"], new Date(pair.expiredTime * 1000).toISOString().replace(".000", ""));
      assert.match(answer.requestId, /^N/);
      assert.equal((await by(server, pair, { path: "/in/a" })).text, "inside");
    });
  }

  it("takes the official host for the signed one, and answers under it", async () => {
    const signedHost = "sts.tencentcloudapi.com";
    for (const more of [{ signedHost }, { host: signedHost }, { host: "sts.ap-guangzhou.tencentcloudapi.com" }]) {
      for (const signed of ["v1", "v3"] as const) {
        pairIn(await call({ ...more, signed, parameters: federation() }));
      }
    }
    const port = `127.0.0.1:${server.port}`;
    pairIn(await call({ host: port, signedHost: "127.0.0.1", parameters: federation() }));
  });

  it("takes the name of the service from the host, as the SDKs do, and no other", async () => {
    const port = String(server.port);
    for (const [host, service] of [
      [`127.0.0.1:${port}`, "127"],
      [`localhost:${port}`, `localhost:${port}`],
      ["sts.tencentcloudapi.com", "sts"],
    ] as const) {
      pairIn(await call({ signed: "v3", host, service, parameters: federation() }));
      const other = await call({ signed: "v3", host, service: "cvm", parameters: federation() });
      assert.equal(other.code, "AuthFailure.InvalidAuthorization");
    }
  });

  it("takes a policy that is encoded once more, and one that is not", async () => {
    const plain = { ...federation(), Policy: JSON.stringify(POLICY) };
    for (const signed of ["v1", "v3"] as const) {
      pairIn(await call({ signed, parameters: plain }));
      pairIn(await call({ signed, parameters: federation() }));
    }
  });

  const refusals: readonly (readonly [code: string, what: string, call: StsCall])[] = [
    ["AuthFailure.SecretIdNotFound", "an unknown key", { secretId: "AKIDnobody" }],
    ["AuthFailure.SecretIdNotFound", "a disabled key", DISABLED],
    ["AuthFailure.SignatureFailure", "another secret", { secretKey: "another" }],
    ["AuthFailure.SignatureFailure", "another host", { signedHost: "sts.example.com" }],
    ["AuthFailure.SignatureFailure", "a changed parameter", { alter: (all) => void (all["DurationSeconds"] = 60) }],
    ["AuthFailure.SignatureExpire", "a time that is past", { late: -400 }],
    ["AuthFailure.SignatureExpire", "a time to come", { late: 400 }],
    ["AuthFailure.TokenFailure", "a token that nobody has", { token: "token" }],
    ["AuthFailure.UnauthorizedOperation", "a user who may not", NOBODY],
    ["InvalidAction", "an action that is not there", { action: "GetEverything" }],
    ["NoSuchVersion", "another version", { version: "2017-03-12" }],
  ];
  for (const [code, what, more] of refusals) {
    it(`${code}: ${what}, told with status 200`, async () => {
      for (const signed of more.alter === undefined ? (["v1", "v1-query", "v3"] as const) : (["v1"] as const)) {
        const answer = await call({ signed, parameters: federation(), ...more });
        assert.deepEqual([answer.status, answer.code], [200, code], answer.message);
        assert.match(answer.requestId, /^N/);
      }
    });
  }

  it("MissingParameter, InvalidParameterValue and InvalidParameter: what is asked in the wrong way", async () => {
    const asks: readonly (readonly [code: string, parameters: Record<string, string | number>, action?: string])[] = [
      ["MissingParameter", { Policy: "{}" }],
      ["MissingParameter", { Name: "x" }],
      ["InvalidParameterValue", { ...federation(), Name: "a b" }],
      ["InvalidParameterValue", { ...federation(), DurationSeconds: 0 }],
      ["InvalidParameterValue", { ...federation(), DurationSeconds: 7201 }],
      ["InvalidParameterValue", { ...federation(), DurationSeconds: "soon" }],
      ["InvalidParameter.StrategyFormatError", { Name: "x", Policy: "{}" }],
      ["InvalidParameter.StrategyFormatError", { Name: "x", Policy: "%" }],
      ["InvalidParameter.StrategyFormatError", federation(allow("*", "x".repeat(7000)))],
      ["MissingParameter", { RoleSessionName: "session" }, "AssumeRole"],
      ["InvalidParameterValue", role("guest"), "AssumeRole"],
      ["InvalidParameterValue", { ...role(), RoleSessionName: "x" }, "AssumeRole"],
      ["ResourceNotFound.RoleNotFound", role(ROLE_ARN.replace("guest", "ghost")), "AssumeRole"],
    ];
    for (const [code, parameters, action] of asks) {
      for (const signed of ["v1", "v3"] as const) {
        const answer = await call({ signed, parameters, ...(action && { action }) });
        assert.equal(answer.code, code, `${JSON.stringify(parameters)}: ${answer.message}`);
      }
    }
  });

  it("RequestSizeLimitExceeded: a request that is too long, and InvalidParameter for one that cannot be read", async () => {
    assert.equal((await call({ parameters: { Name: "x".repeat(70_000) } })).code, "RequestSizeLimitExceeded");
    const twice: StsCall = { alter: (all) => void (all["Name=x&Name"] = "y") };
    assert.equal((await call({ ...twice, parameters: { Policy: "{}" } })).code, "InvalidParameter");
  });

  it("makes keys that reach no further than their policy", async () => {
    const [region, appid, name] = ["ap-guangzhou", "1250000000", server.bucket.slice(0, -11)];
    for (const resource of [
      `qcs::cos:${region}:uid/${appid}:${server.bucket}/in/*`,
      `qcs::cos:${region}:uid/${appid}:prefix//${appid}/${name}/in/*`,
    ]) {
      const pair = await federated(server, allow(["name/cos:GetObject", "name/cos:PutObject"], resource));
      for (const via of ["header", "query"] as const) {
        assert.equal((await by(server, pair, { path: "/in/a" }, via)).text, "inside");
        assert.equal((await by(server, pair, { method: "PUT", path: "/in/b", body: "x" }, via)).status, 200);
        assertRefused(await by(server, pair, { path: "/out/a" }, via), "AccessDenied");
        assertRefused(await by(server, pair, { method: "DELETE", path: "/in/a" }, via), "AccessDenied");
        assertRefused(await by(server, pair, {}, via), "AccessDenied");
        assertRefused(await by(server, pair, { bucket: "" }, via), "AccessDenied");
      }
    }
  });

  it("makes keys that sign forms, with their token as a field", async () => {
    const inside = `qcs::cos:ap-guangzhou:uid/1250000000:${server.bucket}/in/*`;
    const [pair, other] = [
      await federated(server, allow("name/cos:PostObject", inside)),
      await federated(server, POLICY),
    ];
    const file: Part = ["file", { name: "a.txt", bytes: "by form" }];
    const cos = (key: string, token?: string): Promise<Received> => {
      const fields = signedFields({ ...pair, conditions: [["starts-with", "$key", ""]] });
      const held: Part[] = token === undefined ? [] : [["x-cos-security-token", token]];
      return server.send(form([["key", key], ...fields, ...held, file]));
    };
    const s3 =
      (version: 2 | 4) =>
      (key: string, token?: string): Promise<Received> => {
        const conditions = ["key", "x-amz-security-token"].map((name) => ["starts-with", `$${name}`, ""]);
        const fields = s3SignedFields({ ...pair, conditions, version });
        const held: Part[] = token === undefined ? [] : [["x-amz-security-token", token]];
        return server.send(form([["key", key], ...fields, ...held, file]));
      };
    for (const post of [cos, s3(2), s3(4)]) {
      const answer = await post("in/form", pair.token);
      assert.equal(answer.status, 204, answer.text);
      assert.equal((await post("out/form", pair.token)).element("Code"), "AccessDenied");
      for (const token of [undefined, other.token, "garbage"]) {
        assert.equal((await post("in/form", token)).element("Code"), "InvalidAccessKeyId");
      }
    }
    assert.equal((await server.send({ path: "/in/form" })).text, "by form");
  });

  it("makes keys that reach no further than their issuer", async () => {
    const parameters = { Name: "x", Policy: JSON.stringify(POLICY) };
    const pair = pairIn(await call({ ...WRITER, parameters: { ...parameters, DurationSeconds: 129_600 } }));
    assert.equal((await by(server, pair, { path: "/in/a" })).text, "inside");
    assertRefused(await by(server, pair, { bucket: `none-1250000005`, method: "PUT" }), "AccessDenied");
    const denied = await call({ ...READER, parameters });
    assert.equal(denied.code, "AuthFailure.UnauthorizedOperation");
    assert.match(denied.message ?? "", /sts:GetFederationToken/);
  });

  it("lets those take a role on whom it trusts, with what the role may do", async () => {
    for (const caller of [{}, WRITER, OTHER_ROOT, OTHER_USER]) {
      const pair = pairIn(await call({ ...caller, action: "AssumeRole", parameters: role() }));
      assert.equal((await by(server, pair, { path: "/in/a" })).text, "inside");
      assertRefused(await by(server, pair, { method: "PUT", path: "/in/a", body: "x" }), "AccessDenied");
    }
    const narrow = { ...role(), Policy: JSON.stringify(allow("*", `qcs::cos::uid/1250000000:${server.bucket}/in/*`)) };
    const pair = pairIn(await call({ action: "AssumeRole", signed: "v3", parameters: narrow }));
    assert.equal((await by(server, pair, { path: "/in/a" })).text, "inside");
    assertRefused(await by(server, pair, { path: "/out/a" }), "AccessDenied");
  });

  it("makes keys that bucket policies know by the role, and uploads that are begun by it", async () => {
    const bucket = "roles-1250000000";
    await server.send({ method: "PUT", bucket });
    const guest = pairIn(await call({ action: "AssumeRole", parameters: role() }));
    const write = { method: "POST", bucket, path: "/a", query: { uploads: "" } };
    assertRefused(await by(server, guest, write), "AccessDenied");
    const policy = {
      version: "2.0",
      statement: {
        effect: "allow",
        principal: { qcs: [ROLE_ARN] },
        action: "name/cos:InitiateMultipartUpload",
        resource: `qcs::cos:ap-guangzhou:uid/1250000000:${bucket}/*`,
      },
    };
    await server.send({ method: "PUT", bucket, query: { policy: "" }, body: JSON.stringify(policy) });
    assert.equal((await by(server, guest, write)).status, 200);
    assertRefused(await server.send({ ...write, sign: READER }), "AccessDenied");
    assert.equal((await server.send({ ...write, path: "/b", sign: WRITER })).status, 200);
    const listed = await server.send({ bucket, query: { uploads: "" } });
    const writer = "qcs::cam::uin/100000000001:uin/100000000011";
    for (const [id, name] of [
      [ROLE_ARN, "roleName/guest"],
      [writer, "100000000011"],
    ]) {
      const initiator = `<Initiator><ID>${id}</ID><DisplayName>${name}</DisplayName></Initiator>`;
      assert.ok(listed.text.includes(initiator), listed.text);
    }
  });

  it("AuthFailure.UnauthorizedOperation: a role whose trust does not name the caller, and temporary keys", async () => {
    const stranger = { secretId: "AKIDstranger00", secretKey: "a-secret-of-a-stranger" };
    const roles = [{ ...PEOPLE[0], roles: [{ name: "guest", trust: trustOf(OTHER_UIN), policies: [] }] }];
    const own = await testServer({
      accounts: [...roles, PEOPLE[1]] as typeof PEOPLE,
      credentials: [{ ...stranger, appid: "1250000009", uin: "100000000009" }],
    });
    onTestFinished(() => own.stop());
    for (const caller of [{}, WRITER, stranger]) {
      const answer = await callSts(own, { ...caller, action: "AssumeRole", parameters: role() });
      assert.equal(answer.code, "AuthFailure.UnauthorizedOperation", answer.message);
    }
    pairIn(await callSts(own, { ...OTHER_ROOT, action: "AssumeRole", parameters: role() }));
    const pair = await federated(own, POLICY);
    for (const action of ["GetFederationToken", "AssumeRole"]) {
      const answer = await callSts(own, { ...pair, action, parameters: { ...federation(), ...role() } });
      assert.equal(answer.code, "AuthFailure.UnauthorizedOperation");
    }
  });

  it("tells everybody who they are", async () => {
    const who = async (more: StsCall) => {
      const { response } = await call({ ...more, action: "GetCallerIdentity" });
      return [response["Type"], response["AccountId"], response["UserId"], response["Arn"]];
    };
    const root = `qcs::cam::uin/${ROOT_UIN}:uin/${ROOT_UIN}`;
    assert.deepEqual(await who({}), ["CAMRoot", ROOT_UIN, ROOT_UIN, root]);
    const nobody = `qcs::cam::uin/${ROOT_UIN}:uin/100000000013`;
    assert.deepEqual(await who({ ...NOBODY, signed: "v3" }), ["CAMUser", ROOT_UIN, "100000000013", nobody]);
    assert.deepEqual(await who(await federated(server, POLICY)), ["CAMRoot", ROOT_UIN, ROOT_UIN, root]);
    const guest = pairIn(await call({ action: "AssumeRole", parameters: role() }));
    assert.equal((await who({ ...guest, signed: "v3" }))[0], "CAMRole");
  });

  it("InvalidAccessKeyId: a temporary key without its token, with another's, or with a changed one", async () => {
    const [one, other] = [await federated(server, POLICY), await federated(server, POLICY)];
    assertRefused(await server.send({ path: "/in/a", sign: one }), "InvalidAccessKeyId");
    const middle = one.token.length / 2;
    const changed = one.token.slice(0, middle) + (one.token[middle] === "A" ? "B" : "A") + one.token.slice(middle + 1);
    for (const token of [other.token, changed, `${one.token}A`, "garbage", "x".repeat(5000)]) {
      for (const via of ["header", "query"] as const) {
        const answer = await by(server, { ...one, token }, { path: "/in/a" }, via);
        assertRefused(answer, "InvalidAccessKeyId");
      }
    }
    const permanent = { ...server.cosbox.credentials, token: one.token, expiredTime: 0 };
    assertRefused(await by(server, permanent, { path: "/in/a" }), "InvalidAccessKeyId");
    const sign = { ...one, secretKey: other.secretKey };
    assertRefused(await by(server, sign, { path: "/in/a" }), "SignatureDoesNotMatch", {
      extras: ["StringToSign", "FormatString"],
    });
    assert.equal((await by(server, one, { path: "/in/a" })).status, 200);
  });

  it("ExpiredToken: a temporary key past its end, while its signature is still in time", async () => {
    const pair = await federated(server, POLICY, { parameters: { DurationSeconds: 600 } });
    onTestFinished(async () => void (await server.cosbox.clock.reset()));
    await server.cosbox.clock.advance("590s");
    assert.equal((await by(server, pair, { path: "/in/a" })).status, 200);
    await server.cosbox.clock.advance("11s");
    assertRefused(await by(server, pair, { path: "/in/a" }), "ExpiredToken");
    // A link that was made before, for longer than its token lasts.
    const start = Math.floor(Date.now() / 1000) - 60;
    const { token, ...sign } = { ...pair, via: "query" as const, signTime: `${start};${start + 7200}` };
    const link = await server.send({ path: "/in/a", query: { "x-cos-security-token": token }, sign });
    assertRefused(link, "ExpiredToken");
    assert.equal((await call({ ...pair, action: "GetCallerIdentity" })).code, "AuthFailure.TokenFailure");
  });

  it("AuthFailure.UnauthorizedOperation: a web page that uses the published development keys", async () => {
    for (const headers of [{ origin: "https://page.example" }, { "sec-fetch-site": "cross-site" }] as const) {
      for (const signed of ["v1", "v1-query", "v3"] as const) {
        const answer = await call({ signed, parameters: federation(), headers: headers as Record<string, string> });
        assert.equal(answer.code, "AuthFailure.UnauthorizedOperation");
      }
    }
    const own = await call({ ...WRITER, parameters: federation(), headers: { origin: "https://page.example" } });
    assert.equal(own.code, undefined, "keys of one's own prove that their owner means it");
    const rebound = await call({ host: "sts.evil.example", parameters: federation() });
    assert.equal(rebound.status, 400, "a name that was pointed at this machine is none of the STS's");
  });

  it("leaves its requests in the records, without signatures and tokens", async () => {
    const pair = await federated(server, POLICY);
    for (const signed of ["v1-query", "v3"] as const) {
      const { requestId } = await call({ ...pair, signed, action: "GetCallerIdentity" });
      const record = await server.cosbox.requests.find(requestId);
      assert.equal(record?.dialect, "sts");
      assert.match(record?.caller ?? "", new RegExp(`^${pair.secretId} `));
      const text = JSON.stringify(record);
      assert.ok(!text.includes(pair.token.slice(0, 30)) && !/Signature=(?!\(removed\)|%28removed)/.test(text), text);
    }
  });
});

describe("statements that deny a role", () => {
  it("count by the role that they name, and by their conditions", async () => {
    const deny = (more: object) => ({
      version: "2.0",
      statement: [
        { effect: "allow", action: "name/sts:AssumeRole", resource: "*" },
        { effect: "deny", action: "name/sts:AssumeRole", resource: "*", ...more },
      ],
    });
    const users = [
      ["this", deny({ resource: ROLE_ARN }), false],
      ["others", deny({ resource: ROLE_ARN.replace("guest", "other*") }), true],
      ["here", deny({ condition: { ip_equal: { "qcs:ip": "127.0.0.0/8" } } }), false],
      ["there", deny({ condition: { ip_equal: { "qcs:ip": "10.0.0.0/8" } } }), true],
    ] as const;
    const [root] = PEOPLE;
    assert.ok(root);
    const server = await testServer({
      accounts: [
        {
          ...root,
          policies: [...(root.policies ?? []), ...users.map(([name, document]) => ({ name, document }))],
          users: users.map(([name], at) => ({ uin: `10000000008${at}`, policies: [name], keys: [pairOf(name)] })),
        },
      ],
    });
    onTestFinished(() => server.stop());
    for (const [name, , may] of users) {
      const answer = await callSts(server, { ...pairOf(name), action: "AssumeRole", parameters: role() });
      assert.equal(JSON.stringify(answer).includes("UnauthorizedOperation"), !may, name);
      if (may) pairIn(answer);
    }
  });
});

const trustOf = (uin: string) => ({
  version: "2.0",
  statement: {
    effect: "allow",
    action: "name/sts:AssumeRole",
    principal: { qcs: [`qcs::cam::uin/${uin}:root`] },
  },
});

describe("temporary keys on disk", () => {
  it("outlive a restart, and end with the key or the role that they came from", async () => {
    const parent = await mkdtemp(join(tmpdir(), "cosbox-sts-"));
    onTestFinished(() => rm(parent, { recursive: true }));
    const start = (accounts: typeof PEOPLE): Promise<TestServer> =>
      testServer({ memory: false, data: join(parent, "data"), durability: "none", accounts, createBucket: false });
    let server = await start(PEOPLE);
    await server.send({ method: "PUT" });
    await server.send({ method: "PUT", path: "/a", body: "text" });
    const ofRoot = await federated(server, POLICY);
    const ofUser = await federated(server, POLICY, WRITER);
    const ofRole = pairIn(await callSts(server, { action: "AssumeRole", parameters: role() }));
    await server.stop();

    server = await start(PEOPLE);
    for (const pair of [ofRoot, ofUser, ofRole]) assert.equal((await by(server, pair, { path: "/a" })).text, "text");
    await server.stop();

    const [own, other] = PEOPLE as [(typeof PEOPLE)[0], (typeof PEOPLE)[0]];
    server = await start([
      {
        ...own,
        roles: [],
        users: (own?.users ?? []).map((user) =>
          user.name === "writer" ? { ...user, keys: [{ ...WRITER, enabled: false }] } : user,
        ),
      } as NonNullable<typeof own>,
      other as NonNullable<typeof other>,
    ]);
    assert.equal((await by(server, ofRoot, { path: "/a" })).text, "text");
    for (const pair of [ofUser, ofRole]) assertRefused(await by(server, pair, { path: "/a" }), "InvalidAccessKeyId");
    await server.stop();
  });
});
