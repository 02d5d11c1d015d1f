/** Forms (POST Object) that are signed badly, say more than was signed, or come from somebody who may not write. */

import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { STRANGER } from "../fixtures/accounts.ts";
import { allow, DISABLED, NOBODY, OTHER_ROOT, OTHER_USER, pairOf, PEOPLE, READER, WRITER } from "../fixtures/people.ts";
import { federated, type TemporaryPair } from "../fixtures/sts.ts";
import { form, type Part, s3SignedFields, signedFields } from "../fixtures/forms.ts";
import { type KeyPair, type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import type { CosboxAccount } from "../../src/library.ts";

type Fields = readonly (readonly [name: string, value: string])[];
type Sign = (more?: Readonly<Record<string, unknown>>) => Fields;

const FILE: Part = ["file", { name: "f", bytes: "hello" }];
const CONDITIONS = [["starts-with", "$key", "up/"], { bucket: "demo-1250000000" }, ["content-length-range", 0, 1000]];

const change = (fields: Fields, name: string, alter: (value: string) => string): Fields =>
  fields.map(([field, value]) => [field, field.toLowerCase() === name ? alter(value) : value]);
const without = (fields: Fields, name: string): Fields => fields.filter(([field]) => field.toLowerCase() !== name);
const unpacked = (policy: string): string => Buffer.from(policy, "base64").toString();
const packed = (policy: string): string => Buffer.from(policy).toString("base64");

/** How each protocol signs a form, and the fields that hold its id, its time and its signature. */
const WAYS = [
  { way: "COS", id: "q-ak", time: "q-key-time", signature: "q-signature", make: signedFields },
  {
    way: "S3, version 4",
    id: "x-amz-credential",
    time: "x-amz-date",
    signature: "x-amz-signature",
    make: s3SignedFields,
  },
  {
    way: "S3, version 2",
    id: "awsaccesskeyid",
    time: undefined,
    signature: "signature",
    make: (signing: Parameters<typeof s3SignedFields>[0]) => s3SignedFields({ ...signing, version: 2 }),
  },
] as const;

/** What is done to a form after it was signed, or while it is; and what it is told. */
function tamperings(way: (typeof WAYS)[number], sign: Sign): readonly (readonly [string, RegExp, Fields, Sent?])[] {
  const { id, time, signature } = way;
  const good = sign();
  const shifted = (text: string): string => text.replace(/\d(?=\D*$)/, (digit) => String((Number(digit) + 1) % 10));
  return [
    ["another secret", /^403 SignatureDoesNotMatch$/, sign({ secretKey: "another" })],
    ["somebody else's secret", /^403 SignatureDoesNotMatch$/, sign({ secretKey: STRANGER.secretKey })],
    ["an id that nobody has", /^403 InvalidAccessKeyId$/, sign({ secretId: "AKIDnobody" })],
    ["a hostile id", /^403 InvalidAccessKeyId$/, sign({ secretId: "__proto__" })],
    ["somebody else's id", /^403 /, change(good, id, (text) => text.replace(/AKID[^/]*/, STRANGER.secretId))],
    ["no id", /^40[03] /, without(good, id)],
    ["an empty id", /^40[03] /, change(good, id, () => "")],
    ["no signature", /^40[03] /, without(good, signature)],
    ["an empty signature", /^40[03] /, change(good, signature, () => "")],
    ["a signature cut short", /^403 SignatureDoesNotMatch$/, change(good, signature, (text) => text.slice(0, -1))],
    ["a signature with more behind it", /^403 SignatureDoesNotMatch$/, change(good, signature, (text) => `${text}0`)],
    [
      "one digit of the signature",
      /^403 SignatureDoesNotMatch$/,
      change(good, signature, (text) => (text.startsWith("a") ? "b" : "a") + text.slice(1)),
    ],
    ["no policy", /^40[03] /, without(good, "policy")],
    ["an empty policy", /^40[03] /, change(good, "policy", () => "")],
    [
      "a policy of another time",
      /^403 SignatureDoesNotMatch$/,
      change(good, "policy", (text) => packed(unpacked(text).replace(/"expiration":"\d+/, '"expiration":"2999'))),
    ],
    [
      "a wider policy",
      /^403 SignatureDoesNotMatch$/,
      change(good, "policy", (text) => packed(unpacked(text).replace("up/", ""))),
    ],
    [
      "a blank in the policy",
      /^403 SignatureDoesNotMatch$/,
      change(good, "policy", (text) => packed(`${unpacked(text)} `)),
    ],
    ["a policy that has passed", /^403 AccessDenied$/, sign({ expiration: "2020-01-01T00:00:00Z" })],
    ["a key outside of the policy", /^403 AccessDenied$/, [["key", "elsewhere/k"], ...sign()]],
    [
      "a policy for another bucket",
      /^403 AccessDenied$/,
      sign({ conditions: [["starts-with", "$key", ""], { bucket: "other-1250000000" }] }),
    ],
    ["another bucket", /^403 AccessDenied$/, good, { bucket: "second-1250000000" }],
    [
      "another bucket that a field denies",
      /^403 AccessDenied$/,
      [...good, ["bucket", "demo-1250000000"]],
      { bucket: "second-1250000000" },
    ],
    [
      "too large a file",
      /^400 EntityTooLarge$/,
      sign({
        conditions: [
          ["starts-with", "$key", ""],
          ["content-length-range", 0, 4],
        ],
      }),
    ],
    [
      "too small a file",
      /^400 EntityTooSmall$/,
      sign({
        conditions: [
          ["starts-with", "$key", ""],
          ["content-length-range", 6, 9],
        ],
      }),
    ],
    ["a policy twice", /^400 MalformedPOSTRequest$/, [...good, ...good.filter(([name]) => name === "policy")]],
    ["a key twice", /^400 MalformedPOSTRequest$/, [["Key", "up/x"], ...good]],
    ["a signature twice", /^400 MalformedPOSTRequest$/, [...good, ...good.filter(([name]) => name === signature)]],
    ["credentials in the header as well", /^400 InvalidRequest$/, good, { sign: true }],
    ["credentials in the query as well", /^400 InvalidRequest$/, good, { sign: "query" }],
    [
      "the fields of another protocol as well",
      /^400 InvalidRequest$/,
      [...good, way.way === "COS" ? ["AWSAccessKeyId", "x"] : ["q-ak", "x"]],
    ],
    ["nothing but a signed header", /^403 AccessDenied$/, [], { sign: true }],
    ["nothing but a signed query", /^403 AccessDenied$/, [], { sign: "query" }],
    ["nothing at all", /^403 AccessDenied$/, []],
    ...(time === undefined
      ? []
      : ([
          ["a time that was moved", /^40[03] /, change(good, time, shifted)],
          ["no time", /^40[03] /, without(good, time)],
          ["a time that is none", /^40[03] /, change(good, time, () => "soon")],
        ] as const)),
  ];
}

const asSeen = (answer: Received): string => `${answer.status} ${answer.element("Code") ?? answer.text}`;

describe("forms", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER] });
    await server.send({ method: "PUT", bucket: "second-1250000000" });
  });
  afterAll(() => server.stop());

  const keys = async (): Promise<string> => {
    const lists = ["demo-1250000000", "second-1250000000"].map((bucket) => server.send({ bucket }));
    return (await Promise.all(lists)).map(({ text }) => text).join("\n");
  };

  for (const way of WAYS) {
    const sign: Sign = (more = {}) => way.make({ ...server.cosbox.credentials, conditions: CONDITIONS, ...more });
    const send = (fields: Fields, more: Sent = {}): Promise<Received> => {
      const named = fields.some(([name]) => name === "key") ? [] : ([["key", "up/k"]] as const);
      return server.send(form([...named, ...fields, FILE], more));
    };

    it(`sec_S-1.2, CVE-2026-40344: a form signed for ${way.way} is taken, and refused after any tampering`, async () => {
      const before = await keys();
      const rows = tamperings(way, sign);
      assert.ok(rows.length > 30);
      for (const [what, told, fields, more] of rows) {
        assert.match(asSeen(await send(fields, more)), told, what);
      }
      assert.equal(await keys(), before, "nothing was stored");
      assert.equal((await send(sign())).status, 204);
      assert.equal((await server.send({ path: "/up/k" })).text, "hello");
      await server.send({ method: "DELETE", path: "/up/k" });
    });

    it(`sec_S-2.16, GHSA-w5fh-f8xh-5x3p: ${way.way}: every kind of condition holds for every field it may name`, async () => {
      const fields: Fields = [
        ["acl", "private"],
        ["content-type", "image/png"],
        ["cache-control", "no-cache"],
        ["x-cos-meta-a", "b"],
        ["success_action_status", "200"],
      ];
      const open = [["starts-with", "$key", ""]];
      const rest = (name: string) =>
        fields.filter(([field]) => field !== name).map(([field]) => ["starts-with", `$${field}`, ""]);
      for (const [name, value] of fields) {
        for (const condition of [
          { [name]: value },
          ["eq", `$${name}`, value],
          ["starts-with", `$${name}`, value.slice(0, 2)],
        ]) {
          const signed = sign({ conditions: [...open, ...rest(name), condition] });
          const answer = await send([...fields, ...signed]);
          assert.ok(answer.status < 300, `${JSON.stringify(condition)} ${answer.text}`);
          for (const broken of [change(fields, name, () => "other"), without(fields, name)]) {
            assert.equal(asSeen(await send([...broken, ...signed])), "403 AccessDenied", JSON.stringify(condition));
          }
        }
      }
      for (const [length, code] of [
        [4, "400 EntityTooLarge"],
        [5, undefined],
        [6, undefined],
      ] as const) {
        const answer = await send(sign({ conditions: [...open, ["content-length-range", 1, length]] }));
        if (code === undefined) assert.equal(answer.status, 204, answer.text);
        else assert.equal(asSeen(answer), code);
      }
    });

    it(`AccessDenied: ${way.way}: a stranger's form, unless everybody may write`, async () => {
      const strangers = way.make({ ...STRANGER, conditions: [["starts-with", "$key", ""]] });
      for (const acl of ["private", "public-read", "authenticated-read", "public-read-write"]) {
        const bucket = `${acl}-1250000000`;
        await server.send({ method: "PUT", bucket, headers: { "x-cos-acl": acl } });
        for (const fields of [strangers, []]) {
          const seen = asSeen(await send(fields, { bucket }));
          assert.match(seen, acl === "public-read-write" ? /^204/ : /^403 AccessDenied$/, acl);
        }
      }
    });
  }

  for (const way of WAYS) {
    describe(`signed for ${way.way}, by who asks`, () => {
      const token = way.way === "COS" ? "x-cos-security-token" : "x-amz-security-token";
      const only = pairOf("posts");
      const allBut = pairOf("postsnot");
      const denies = (action: string) => ({
        version: "2.0",
        statement: [...allow("*").statement, { effect: "deny", action, resource: "*" }],
      });
      let asked: TestServer;
      let pairs: Readonly<Record<string, TemporaryPair>>;
      beforeAll(async () => {
        const [root, ...others] = PEOPLE as [CosboxAccount, ...CosboxAccount[]];
        const more = [
          { name: "posts", document: allow("name/cos:PostObject") },
          { name: "postsnot", document: denies("name/cos:PostObject") },
        ];
        const users = [
          { uin: "100000000021", policies: ["posts"], keys: [only] },
          { uin: "100000000022", policies: ["postsnot"], keys: [allBut] },
        ];
        asked = await testServer({
          accounts: [
            { ...root, policies: [...(root.policies ?? []), ...more], users: [...(root.users ?? []), ...users] },
            ...others,
          ],
        });
        const expired = await federated(asked, allow("*"), { parameters: { DurationSeconds: 60 } });
        await asked.cosbox.clock.advance("61s");
        pairs = {
          expired,
          inScope: await federated(
            asked,
            allow("name/cos:PostObject", `qcs::cos::uid/1250000000:${asked.bucket}/up/*`),
          ),
          elsewhere: await federated(asked, allow("*", "qcs::cos::uid/1250000000:elsewhere-1250000000/*")),
          otherKeys: await federated(asked, allow("*", `qcs::cos::uid/1250000000:${asked.bucket}/other/*`)),
          otherAction: await federated(asked, denies("name/cos:PostObject")),
          another: await federated(asked, allow("*")),
        };
      });
      afterAll(() => asked.stop());

      const post = (pair: KeyPair & { readonly token?: string | undefined }): Promise<Received> => {
        const conditions = [...CONDITIONS, ...(pair.token === undefined ? [] : [{ [token]: pair.token }])];
        const held: Fields = pair.token === undefined ? [] : [[token, pair.token]];
        return asked.send(form([["key", "up/k"], ...held, ...way.make({ ...pair, conditions }), FILE]));
      };
      const PERMANENT: readonly (readonly [string, KeyPair, string])[] = [
        ["a user who may do everything", WRITER, "204"],
        ["a user who may post alone", only, "204"],
        ["a user who may do everything but that", allBut, "403 AccessDenied"],
        ["a user who may read", READER, "403 AccessDenied"],
        ["a user who may do nothing", NOBODY, "403 AccessDenied"],
        ["a disabled key", DISABLED, "403 InvalidAccessKeyId"],
        ["another account", OTHER_ROOT, "403 AccessDenied"],
        ["a user of another account", OTHER_USER, "403 AccessDenied"],
      ];
      it.each(PERMANENT)("%s", async (_, pair, told) => {
        assert.equal(asSeen(await post(pair)).trim(), told);
      });

      it.each([
        ["inScope", "204"],
        ["elsewhere", "403 AccessDenied"],
        ["otherKeys", "403 AccessDenied"],
        ["otherAction", "403 AccessDenied"],
        ["expired", "400 ExpiredToken"],
      ])("a temporary key: %s", async (name, told) => {
        assert.equal(asSeen(await post(pairs[name] as TemporaryPair)).trim(), told);
      });

      it("InvalidAccessKeyId: a temporary key without its token, or with another's, or one that was changed", async () => {
        const { another, inScope } = pairs as { another: TemporaryPair; inScope: TemporaryPair };
        const broken = inScope.token.slice(0, -1);
        for (const held of [undefined, another.token, broken, `${inScope.token}A`]) {
          assert.equal(asSeen(await post({ ...inScope, token: held })), "403 InvalidAccessKeyId");
        }
        // A header of the request is no part of the form.
        const signed = way.make({ ...inScope, conditions: CONDITIONS });
        const headers = { [token]: inScope.token };
        const answer = await asked.send(form([["key", "up/k"], ...signed, FILE], { headers }));
        assert.match(asSeen(answer), /^40[03] /);
      });
    });
  }

  it("sec_S-2.16: AccessDenied: a field of S3's form that its policy does not speak of", async () => {
    for (const version of [2, 4] as const) {
      const signed = s3SignedFields({ ...server.cosbox.credentials, conditions: CONDITIONS, version });
      const parts = (...more: Part[]): Part[] => [["key", "up/k"], ...more, ...signed, FILE];
      for (const name of ["acl", "x-amz-meta-a", "x-amz-tagging", "tagging", "success_action_redirect", "x-cos-acl"]) {
        const answer = await server.send(form(parts([name, "public-read"])));
        assert.equal(asSeen(answer), "403 AccessDenied");
        assert.match(answer.element("Message") ?? "", /^Invalid according to Policy: Extra input fields: /);
      }
      assert.equal((await server.send(form(parts(["x-ignore-me", "x"])))).status, 204);
    }
  });

  it("sec_S-1.4, CVE-2023-28434: no bucket of an odd name is reached by a form", async () => {
    const signed = signedFields(server.cosbox.credentials);
    for (const name of [".minio.sys", ".cosbox", "..", "%2e%2e", "a/../..", "demo-1250000000/../second-1250000000"]) {
      const answer = await server.send(
        form([["key", "k"], ...signed, FILE], { host: "127.0.0.1", target: `/${name}` }),
      );
      assert.match(asSeen(answer), /^(400|403|404|405) /, `${name} ${answer.text}`);
    }
  });

  it("keys of forms are names of rows and nothing else", async () => {
    const signed = signedFields(server.cosbox.credentials);
    for (const key of ["../../etc/passwd", "a/../b", "up/./k", "\\..\\x"]) {
      const answer = await server.send(form([["key", key], ...signed, FILE]));
      if (answer.status !== 204) continue;
      const listed = await server.send({ query: { prefix: key } });
      assert.deepEqual(listed.elements("Key"), [key]);
    }
  });
});
