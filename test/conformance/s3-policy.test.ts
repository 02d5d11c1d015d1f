import assert from "node:assert/strict";
import { TABLE } from "../../src/operations/table.ts";
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, it } from "vitest";
import { STRANGER } from "../fixtures/accounts.ts";
import { type S3Client, s3Client, type S3Request } from "../fixtures/s3.ts";
import { assertS3Refused } from "../fixtures/s3-refusal.ts";
import { type TestServer, testServer } from "../fixtures/server.ts";

const md5 = (text: string): string => createHash("md5").update(text).digest("base64");

describe("bucket policies in S3's grammar", () => {
  let server: TestServer;
  let s3: S3Client;

  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER] });
    s3 = s3Client(server);
    for (const key of ["open/a", "closed/b"]) await s3.send({ method: "PUT", path: `/${key}`, body: key });
  });
  afterAll(() => server.stop());

  const put = (policy: unknown) =>
    s3.send({
      method: "PUT",
      query: { policy: undefined },
      body: typeof policy === "string" ? policy : JSON.stringify(policy),
    });
  const statement = (more: object = {}) => ({
    Effect: "Allow",
    Principal: { AWS: `arn:aws:iam::${STRANGER.uin}:root` },
    Action: "s3:GetObject",
    Resource: `arn:aws:s3:::${s3.bucket}/open/*`,
    ...more,
  });
  const policy = (...statements: readonly object[]) => ({ Version: "2012-10-17", Statement: statements });
  const may = async (request: S3Request): Promise<boolean> => {
    const answer = await s3.send({ keys: STRANGER, ...request });
    assert.ok(answer.status < 300 || answer.status === 403 || answer.status === 404, answer.text);
    return answer.status !== 403;
  };

  it("allow and deny what they say, and read the same in both dialects", async () => {
    assert.equal(await may({ path: "/open/a" }), false);
    assert.equal((await put(policy(statement({ Sid: "one" })))).status, 204);
    assert.equal(await may({ path: "/open/a" }), true);
    assert.equal(await may({ path: "/closed/b" }), false);
    assert.equal(await may({ method: "PUT", path: "/open/a", body: "x" }), false);
    assert.equal(await may({ query: { prefix: "open/" } }), false, "an object's pattern is none for lists");

    const own = JSON.parse((await server.send({ query: { policy: undefined } })).text);
    assert.deepEqual(own.Statement[0].Action, ["name/cos:GetObject", "name/cos:HeadObject"]);
    assert.deepEqual(own.Statement[0].Principal, { qcs: [`qcs::cam::uin/${STRANGER.uin}:uin/${STRANGER.uin}`] });
    const back = JSON.parse((await s3.send({ query: { policy: undefined } })).text);
    assert.deepEqual(back, {
      Version: "2012-10-17",
      Statement: [
        {
          Sid: "one",
          Effect: "Allow",
          Principal: { AWS: [`arn:aws:iam::${STRANGER.uin}:root`] },
          Action: ["s3:GetObject"],
          Resource: [`arn:aws:s3:::${s3.bucket}/open/*`],
        },
      ],
    });
    assert.equal((await put(back)).status, 204, "what is answered can be put again");

    const list = statement({ Action: "s3:ListBucket", Resource: `arn:aws:s3:::${s3.bucket}` });
    const conditional = { ...list, Condition: { StringEquals: { "s3:prefix": "open/" } } };
    assert.equal((await put(policy(conditional))).status, 204);
    assert.equal(await may({ query: { prefix: "open/" } }), true);
    assert.equal(await may({ query: { prefix: "closed/" } }), false);
    assert.equal(await may({ path: "/open/a" }), false);

    const all = statement({ Action: "s3:*", Resource: [`arn:aws:s3:::${s3.bucket}`, `arn:aws:s3:::${s3.bucket}/*`] });
    const deny = statement({ Effect: "Deny", Resource: `arn:aws:s3:::${s3.bucket}/closed/*` });
    assert.equal((await put(policy(all, deny))).status, 204);
    assert.equal(await may({ path: "/open/a" }), true);
    assert.equal(await may({ path: "/closed/b" }), false);
    assert.equal(await may({ method: "PUT", path: "/open/c", body: "x" }), true);
    assert.equal(await may({}), true);

    assert.equal((await s3.send({ method: "DELETE", query: { policy: undefined } })).status, 204);
    assert.equal(await may({ path: "/open/a" }), false);
    assertS3Refused(await s3.send({ query: { policy: undefined } }), 404, "NoSuchBucketPolicy");
  });

  it("hold negative conditions of keys that a request does not have, as S3 does", async () => {
    const all = statement({ Action: "s3:*", Resource: `arn:aws:s3:::${s3.bucket}/*` });
    const deny = (condition: object) => statement({ Effect: "Deny", Action: "s3:PutObject", Condition: condition });
    const write = (headers: Record<string, string> = {}) => may({ method: "PUT", path: "/open/n", body: "x", headers });
    for (const operator of [
      "StringNotEquals",
      "StringNotEqualsIfExists",
      "StringNotLike",
      "StringNotEqualsIgnoreCase",
    ]) {
      const document = policy(all, deny({ [operator]: { "s3:x-amz-acl": "private" } }));
      assert.equal((await put(document)).status, 204, operator);
      assert.equal(await write(), false, `${operator} without the header`);
      assert.equal(await write({ "x-amz-acl": "private" }), true, operator);
      const back = JSON.parse((await s3.send({ query: { policy: undefined } })).text);
      const [name] = Object.keys(back.Statement[1].Condition);
      assert.equal(name, operator.replace("IfExists", ""));
      assert.equal((await put(back)).status, 204);
      assert.equal(await write(), false);
    }
    // What COS says of an absent key has no name in S3, and stays as it is.
    const own = {
      version: "2.0",
      Statement: [
        {
          Effect: "deny",
          Principal: { qcs: [`qcs::cam::uin/${STRANGER.uin}:uin/${STRANGER.uin}`] },
          Action: ["name/cos:PutObject"],
          Resource: [`qcs::cos:ap-guangzhou:uid/1250000000:${s3.bucket}/*`],
          Condition: { string_not_equal: { "cos:x-cos-acl": "private" } },
        },
      ],
    };
    assert.equal((await put(own)).status, 204);
    const back = JSON.parse((await s3.send({ query: { policy: undefined } })).text);
    assert.deepEqual(Object.keys(back.Statement[0].Condition), ["string_not_equal"]);
    assertS3Refused(await put(back), 400, "MalformedPolicy");
    await s3.send({ method: "DELETE", query: { policy: undefined } });
  });

  it("take truth values, dates and numbers as they are, and the actions on versions beside those on objects", async () => {
    const when = (condition: object) => statement({ Condition: condition });
    for (const [condition, allowed] of [
      [{ Bool: { "aws:SecureTransport": false } }, true],
      [{ Bool: { "aws:SecureTransport": "true" } }, false],
      [{ DateLessThan: { "aws:CurrentTime": "2000-01-01T00:00:00Z" } }, false],
      [{ DateGreaterThan: { "aws:CurrentTime": ["2000-01-01T00:00:00Z"] } }, true],
      [{ NumericLessThan: { "s3:TlsVersion": 1.2 } }, false],
      [{ NumericLessThanIfExists: { "s3:TlsVersion": 1.2 } }, true],
    ] as const) {
      const answer = await put(policy(when(condition)));
      assert.equal(answer.status, 204, answer.text);
      assert.equal(await may({ path: "/open/a" }), allowed, JSON.stringify(condition));
      const back = JSON.parse((await s3.send({ query: { policy: undefined } })).text);
      assert.deepEqual(Object.keys(back.Statement[0].Condition), Object.keys(condition));
    }
    const both = policy(statement({ Action: ["s3:GetObject", "s3:GetObjectVersion"] }));
    assert.equal((await put(both)).status, 204);
    const back = JSON.parse((await s3.send({ query: { policy: undefined } })).text);
    assert.equal(back.Statement.length, 1);
    assert.deepEqual(back.Statement[0].Action, ["s3:GetObject", "s3:GetObjectVersion"]);
    await s3.send({ method: "DELETE", query: { policy: undefined } });
  });

  it("tell actions on current versions from those on named ones", async () => {
    const versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assert.equal((await s3.send({ method: "PUT", query: { versioning: undefined }, body: versioning })).status, 200);
    const written = await s3.send({ method: "PUT", path: "/open/v", body: "v" });
    const versionId = written.headers["x-amz-version-id"] as string;
    const copied = (query: string) => ({
      method: "PUT",
      path: "/open/copy",
      headers: { "x-amz-copy-source": `/${s3.bucket}/open/v${query}` },
    });
    const listed = (id: string) => {
      const body = `<Delete><Object><Key>open/gone</Key>${id}</Object></Delete>`;
      return { method: "POST", query: { delete: undefined }, body, headers: { "content-md5": md5(body) } };
    };
    const reads = async () => [
      await may({ path: "/open/v" }),
      await may({ path: "/open/v", query: { versionId } }),
      await may(copied("")),
      await may(copied(`?versionId=${versionId}`)),
    ];
    const deletes = async () => [
      await may({ method: "DELETE", path: "/open/gone" }),
      await may({ method: "DELETE", path: "/open/gone", query: { versionId } }),
      await may(listed("")),
      await may(listed(`<VersionId>${versionId}</VersionId>`)),
    ];
    const write = statement({ Action: "s3:PutObject" });
    const all = statement({ Action: "s3:*" });
    const current = [true, false, true, false];
    const named = [false, true, false, true];
    const both = [true, true, true, true];
    const none = [false, false, false, false];
    for (const [asked, plain, version] of [
      [reads, "s3:GetObject", "s3:GetObjectVersion"],
      [deletes, "s3:DeleteObject", "s3:DeleteObjectVersion"],
    ] as const) {
      for (const [document, allowed] of [
        [policy(write, statement({ Action: plain })), current],
        [policy(write, statement({ Action: version })), named],
        [policy(write, statement({ Action: [plain, version] })), both],
        [policy(all, statement({ Effect: "Deny", Action: plain })), named],
        [policy(all, statement({ Effect: "Deny", Action: version })), current],
        [policy(all, statement({ Effect: "Deny", Action: [plain, version] })), none],
      ] as const) {
        const answer = await put(document);
        assert.equal(answer.status, 204, answer.text);
        assert.deepEqual(await asked(), allowed, JSON.stringify(document));
        const back = JSON.parse((await s3.send({ query: { policy: undefined } })).text);
        assert.equal((await put(back)).status, 204, "what is answered can be put again");
        assert.deepEqual(await asked(), allowed, JSON.stringify(back));
      }
    }

    const secure = { StringEquals: { "s3:x-amz-acl": "private" } };
    const mixed = policy(statement({ Action: ["s3:PutObject", "s3:GetObject"], Condition: secure }));
    assert.equal((await put(mixed)).status, 204);
    const own = JSON.parse((await server.send({ query: { policy: undefined } })).text);
    assert.deepEqual(own.Statement[1].Condition, {
      string_equal: { "cos:x-cos-acl": "private", "cos:versionid": "" },
    });
    const back = JSON.parse((await s3.send({ query: { policy: undefined } })).text);
    assert.deepEqual([back.Statement.length, back.Statement[0].Action], [1, ["s3:PutObject", "s3:GetObject"]]);
    assert.deepEqual(back.Statement[0].Condition, secure);

    // Where an action has no form for some versions alone, the condition is answered as it is.
    own.Statement = [{ ...own.Statement[1], Action: ["name/cos:GetObject"] }];
    assert.equal((await put(own)).status, 204);
    const kept = JSON.parse((await s3.send({ query: { policy: undefined } })).text);
    assert.deepEqual(kept.Statement[0].Action, ["name/cos:GetObject"]);
    assert.equal(kept.Statement[0].Condition.StringEquals["cos:versionid"], "");
    await s3.send({ method: "DELETE", query: { policy: undefined } });
  });

  it("mean every operation by s3:*", async () => {
    const bucket = `arn:aws:s3:::${s3.bucket}`;
    const every = statement({ Action: "s3:*", Resource: [bucket, `${bucket}/*`] });
    assert.equal(await may({ query: { referer: undefined } }), false);
    assert.equal((await put(policy(every))).status, 204);
    assert.equal(await may({ query: { referer: undefined } }), true);
    const own = JSON.parse((await server.send({ query: { policy: undefined } })).text);
    assert.deepEqual(own.Statement[0].Action, ["name/cos:*"]);
    const ofObjects: readonly string[] = own.Statement[1].Action;
    for (const { action, name, route } of TABLE) {
      if (route.on === "object") assert.ok(ofObjects.includes(action), `${name} is in no set of actions of S3's`);
    }
    assert.equal(new Set(ofObjects).size, ofObjects.length);
    const back = JSON.parse((await s3.send({ query: { policy: undefined } })).text);
    assert.deepEqual(
      back.Statement.map(({ Action, Resource }: { Action: unknown; Resource: unknown }) => [Action, Resource]),
      [
        [["s3:*"], [bucket]],
        [["s3:*"], [`${bucket}/*`]],
      ],
    );
    assert.equal((await put(back)).status, 204);
    const again = JSON.parse((await server.send({ query: { policy: undefined } })).text);
    assert.deepEqual(again, own, "what is answered says the same");

    // A pattern that goes on into keys is of both, and what is not folded can be put again.
    assert.equal((await put(policy(statement({ Action: "s3:*", Resource: `${bucket}*` })))).status, 204);
    const wide = await s3.send({ query: { policy: undefined } });
    assert.equal((await put(wide.text)).status, 204, wide.text);
    assert.equal(await may({ query: { referer: undefined } }), true);
    assert.equal(await may({ path: "/open/a" }), true);

    // Of objects alone it says nothing of the bucket.
    assert.equal((await put(policy(statement({ Action: "s3:*", Resource: `${bucket}/*` })))).status, 204);
    assert.equal(await may({ query: { referer: undefined } }), false);
    assert.equal(await may({}), false);
    assert.equal(await may({ path: "/open/a" }), true);
    await s3.send({ method: "DELETE", query: { policy: undefined } });
  });

  it("speak of intelligent tiering by S3's actions, which are on rules and on their list", async () => {
    const action = "s3:GetIntelligentTieringConfiguration";
    const onBucket = statement({ Action: action, Resource: `arn:aws:s3:::${s3.bucket}` });
    assert.equal((await put(policy(onBucket))).status, 204);
    assert.equal(await may({ query: { "intelligent-tiering": undefined } }), true);
    assert.equal(await may({ query: { "intelligent-tiering": undefined, id: "cold" } }), true);
    assert.equal(await may({ method: "DELETE", query: { "intelligent-tiering": undefined, id: "cold" } }), false);
    const back = JSON.parse((await s3.send({ query: { policy: undefined } })).text);
    assert.deepEqual(back.Statement[0].Action, [action]);
    await s3.send({ method: "DELETE", query: { policy: undefined } });
  });

  it("are public where they allow something to anyone, wherever from", async () => {
    const status = () => s3.send({ query: { policyStatus: undefined } });
    assertS3Refused(await status(), 404, "NoSuchBucketPolicy");
    const anyone = (more: object = {}) => statement({ Principal: "*", ...more });
    const from = (...ranges: readonly string[]) => anyone({ Condition: { IpAddress: { "aws:SourceIp": ranges } } });
    for (const [open, ...statements] of [
      ["true", anyone()],
      ["false", statement()],
      ["true", statement(), anyone()],
      ["false", from("10.0.0.0/8", "192.0.2.1", "2001:db8::/32")],
      ["true", from("192.0.2.1", "128.0.0.0/1")],
      ["true", from("2001::/16")],
      ["true", anyone({ Condition: { NotIpAddress: { "aws:SourceIp": "10.0.0.0/8" } } })],
      ["true", anyone({ Condition: { IpAddressIfExists: { "aws:SourceIp": "10.0.0.0/8" } } })],
      ["true", anyone({ Condition: { StringEquals: { "s3:x-amz-acl": "private" } } })],
    ] as const) {
      assert.equal((await put(policy(...statements))).status, 204);
      const answer = await status();
      assert.match(answer.text, /<PolicyStatus xmlns="http:\/\/s3.amazonaws.com\/doc\/2006-03-01\/"><IsPublic>/);
      assert.equal(answer.element("IsPublic"), open, JSON.stringify(statements));
    }
    assertS3Refused(await s3.send({ query: { policyStatus: undefined }, keys: STRANGER }), 403, "AccessDenied");
    await s3.send({ method: "DELETE", query: { policy: undefined } });
  });

  it("may be in COS's grammar as well", async () => {
    const own = {
      version: "2.0",
      Statement: [
        {
          Effect: "allow",
          Principal: { qcs: ["qcs::cam::anyone:anyone"] },
          Action: ["name/cos:GetObject"],
          Resource: [`qcs::cos:ap-guangzhou:uid/1250000000:${s3.bucket}/open/*`],
        },
      ],
    };
    assert.equal((await put(own)).status, 204);
    assert.equal(await may({ path: "/open/a" }), true);
    const back = JSON.parse((await s3.send({ query: { policy: undefined } })).text);
    assert.equal(back.Statement[0].Principal, "*");
    assert.deepEqual(back.Statement[0].Resource, [`arn:aws:s3:::${s3.bucket}/open/*`]);
    await s3.send({ method: "DELETE", query: { policy: undefined } });
  });

  it("MalformedPolicy: what has no exact counterpart, and what is no policy", async () => {
    const bad: readonly unknown[] = [
      "x",
      "[]",
      "null",
      "{}",
      policy(),
      { Version: "2020-01-01", Statement: [statement()] },
      { Version: "2012-10-17", Statement: [statement()], Other: 1 },
      policy(statement({ Action: "s3:Get*" })),
      policy(statement({ Action: "s3:Fly" })),
      policy(statement({ Action: "ec2:RunInstances" })),
      policy(statement({ Action: [] })),
      policy(statement({ Action: 5 })),
      policy(statement({ Effect: "Maybe" })),
      policy(statement({ Resource: "arn:aws:s3:::other-1250000000/*" })),
      policy(statement({ Resource: `arn:aws:s3:::${s3.bucket}/a?` })),
      policy(statement({ Resource: s3.bucket })),
      policy(statement({ Action: "s3:ListBucket" })),
      policy(statement({ Principal: { AWS: "arn:aws:iam::1:user/x" } })),
      policy(statement({ Principal: { Federated: "x" } })),
      policy(statement({ Principal: undefined })),
      policy(statement({ Effect: "Deny", Principal: "*" })),
      policy(statement({ NotPrincipal: "*" })),
      policy(statement({ NotAction: "s3:GetObject" })),
      policy(statement({ Condition: { StringEquals: { "aws:UserAgent": "x" } } })),
      policy(statement({ Condition: { ForAllValues: { "s3:prefix": "x" } } })),
      policy(statement({ Condition: [] })),
      policy(statement({ Condition: { StringLike: { "s3:prefix": "a?" } } })),
      policy(statement({ Condition: { StringEquals: { "s3:prefix": "${aws:username}" } } })),
      policy(
        statement({
          Condition: { StringNotEquals: { "s3:prefix": "a" }, StringNotEqualsIfExists: { "s3:prefix": "b" } },
        }),
      ),
      policy(statement({ Action: "s3:GetObjectVersionTorrent" })),
      policy(statement({ Condition: { StringEquals: { "s3:prefix": "a", "S3:PREFIX": "b" } } })),
      JSON.stringify(policy(statement())).replace('"Effect":"Allow"', '"Effect":"Deny","Effect":"Allow"'),
    ];
    for (const one of bad) assertS3Refused(await put(one), 400, "MalformedPolicy");
    assertS3Refused(await s3.send({ query: { policy: undefined } }), 404, "NoSuchBucketPolicy");
  });
});
