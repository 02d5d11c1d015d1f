/** PUT, GET and DELETE ?policy, and what a policy does. */

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { get, globalAgent } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SecureVersion } from "node:tls";
import COS from "cos-nodejs-sdk-v5";
import { afterAll, beforeAll, describe, it } from "vitest";
import { rootCredential } from "../../src/access/caller.ts";
import { readPolicy } from "../../src/access/policy/read-policy.ts";
import { signCos } from "../../src/dialects/cos/sign.ts";
import { startCosbox } from "../../src/library.ts";
import { memoryDisk, openOn } from "../contract/store-fixture.ts";
import { STRANGER } from "../fixtures/accounts.ts";
import { inProcess } from "../fixtures/in-process.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { contentMd5, type Sent, type TestServer, testServer } from "../fixtures/server.ts";

const ANYONE = "qcs::cam::anyone:anyone";
const STRANGER_ID = `qcs::cam::uin/${STRANGER.uin}:uin/${STRANGER.uin}`;
const OWNER_ID = "qcs::cam::uin/100000000001:uin/100000000001";

interface Rule {
  readonly effect?: "allow" | "deny";
  readonly who?: string;
  readonly action?: string | readonly string[];
  /** What follows the bucket's name. */
  readonly path?: string;
  readonly condition?: object;
}

describe("a bucket's policy", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({
      credentials: [STRANGER],
      limits: { attachmentsPerAccount: 2, policyVersionsMax: 2, policyVersionsRollover: 0 },
    });
    for (const path of ["/a/1", "/a/2", "/b/1"]) await server.send({ method: "PUT", path, body: "stored" });
  });
  afterAll(() => server.stop());

  const documentOf = (rules: readonly Rule[]): string =>
    JSON.stringify({
      version: "2.0",
      Statement: rules.map(
        ({ effect = "allow", who = STRANGER_ID, action = "name/cos:*", path = "/*", condition }) => ({
          Effect: effect,
          Principal: { qcs: [who] },
          Action: action,
          Resource: [`qcs::cos:ap-guangzhou:uid/1250000000:${server.bucket}${path}`],
          ...(condition && { Condition: condition }),
        }),
      ),
    });

  const put = (body: string, more: Partial<Sent> = {}) =>
    server.send({ method: "PUT", query: { policy: undefined }, body, ...more });
  const remove = () => server.send({ method: "DELETE", query: { policy: undefined } });

  /** Sets a policy alone: no versions of an earlier one are left. */
  async function set(...rules: readonly Rule[]): Promise<void> {
    assert.equal((await remove()).status, 204);
    const answer = await put(documentOf(rules));
    assert.equal(answer.status, 204, answer.text);
    assert.equal(answer.body.length, 0);
  }
  const status = async (sent: Sent): Promise<number> => (await server.send(sent)).status;
  const asStranger = (sent: Sent): Promise<number> => status({ ...sent, sign: STRANGER });
  const asNobody = (sent: Sent): Promise<number> => status({ ...sent, sign: false });

  describe("as a document", () => {
    it("comes back in the service's form, whatever the spelling of its elements", async () => {
      await remove();
      const written = {
        VERSION: "2.0",
        principal: { qcs: STRANGER_ID },
        statement: { effect: "Allow", ACTION: "name/cos:GetObject", resource: "*", Sid: "readers" },
      };
      const headers = { "content-md5": contentMd5(JSON.stringify(written)) };
      assert.equal((await put(JSON.stringify(written), { headers })).status, 204);
      const answer = await server.send({ query: { policy: undefined } });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers["content-type"], "application/json");
      assert.deepEqual(JSON.parse(answer.text), {
        Statement: [
          {
            Sid: "readers",
            Principal: { qcs: [STRANGER_ID] },
            Effect: "allow",
            Action: ["name/cos:GetObject"],
            Resource: ["*"],
          },
        ],
        version: "2.0",
      });
    });

    it("NoSuchPolicyVersion: a bucket has none; deleting none is no fault", async () => {
      await remove();
      assert.equal((await remove()).status, 204);
      assertRefused(await server.send({ query: { policy: undefined } }), "NoSuchPolicyVersion");
    });

    it("MalformedPolicy: tells the place, and keeps the policy before", async () => {
      await set({});
      const before = (await server.send({ query: { policy: undefined } })).text;
      for (const [body, message] of [
        ["{", /JSON/],
        ["[]", /object/],
        [documentOf([{ condition: { ip_same: { "qcs:ip": "10.0.0.1" } } }]), /Statement\[0\]\.Condition\.ip_same/],
        [
          documentOf([{}, {}]).replace("uid/1250000000", "uid/1250000009"),
          /Statement\[0\]\.Resource\[0\].*not in the bucket/,
        ],
        [documentOf([{ path: "x/*" }]), /not in the bucket/],
        [`${documentOf([{}])}${" ".repeat(21_000)}`, /more than 20480 bytes/],
        // JSON.parse would keep the last of them, and let in whom the first keeps out.
        [documentOf([{}]).replace('"Effect":', '"Effect":"deny","Effect":'), /the element "Effect" is there twice/],
      ] as const) {
        assertRefused(await put(body), "MalformedPolicy", { message });
      }
      assertRefused(await put(""), "MissingRequestBodyError");
      assertRefused(await put("{}", { headers: { "content-md5": contentMd5("other") } }), "BadDigest");
      assert.equal((await server.send({ query: { policy: undefined } })).text, before);
    });

    it("PolicyVersionFull: as many documents are kept as may be, and the oldest must not give way", async () => {
      await set({ path: "/1" });
      assert.equal((await put(documentOf([{ path: "/2" }]))).status, 204);
      assert.equal((await put(documentOf([{ path: "/2" }]))).status, 204, "the same again is no version");
      assertRefused(await put(documentOf([{ path: "/3" }])), "PolicyVersionFull");
    });

    it("PolicyFull: the account has as many ACLs and policies as it may", async () => {
      const buckets = [1, 2, 3].map((at) => `full${at}-1250000000`);
      const document = JSON.stringify({
        version: "2.0",
        statement: [{ effect: "allow", principal: { qcs: [STRANGER_ID] }, action: "*", resource: "*" }],
      });
      await remove();
      for (const bucket of buckets) await server.send({ method: "PUT", bucket });
      const [one = "", other = "", third = ""] = buckets;
      assert.equal((await put(document, { bucket: one })).status, 204);
      assert.equal((await put(document, { bucket: other })).status, 204);
      assertRefused(await put(document, { bucket: third }), "PolicyFull", {
        message: "your policy or acl has reached the limit",
      });
      assert.equal((await put(document, { bucket: other })).status, 204, "what it has may be put again");
      assert.equal(await status({ method: "DELETE", bucket: one }), 204);
      assert.equal((await put(document, { bucket: third })).status, 204, "a deleted bucket makes room");
      for (const bucket of [other, third]) assert.equal(await status({ method: "DELETE", bucket }), 204);
    });
  });

  describe("for another account", () => {
    it("sec_S-2.1: allows the resources it names and no others, for each operation", async () => {
      await set({ path: "/a/*" });
      const upload = { method: "POST", query: { uploads: undefined } };
      for (const sent of [{}, { method: "HEAD" }, { method: "PUT", body: "x" }, upload, { method: "DELETE" }]) {
        assert.ok((await asStranger({ ...sent, path: "/a/2" })) < 300, JSON.stringify(sent));
        assert.equal(await asStranger({ ...sent, path: "/b/1" }), 403, JSON.stringify(sent));
      }
      assert.equal(await asStranger({}), 403, "the list of all is not among them");
      assert.equal(await asStranger({ query: { prefix: "b/" } }), 403);
      for (const list of [{}, { versions: undefined }, { uploads: undefined }]) {
        const told = `a list of what it names is: ${Object.keys(list).join()}`;
        assert.equal(await asStranger({ query: { prefix: "a/", ...list } }), 200, told);
        assert.equal(await asStranger({ query: { prefix: "b/", ...list } }), 403, told);
      }
      assert.equal(await asNobody({ path: "/a/1" }), 403, "nobody else is named");
    });

    it("allows the actions it names and no others", async () => {
      await set({ action: ["name/cos:GetObject", "cos:headobject"] });
      assert.equal(await asStranger({ path: "/a/1" }), 200);
      assert.equal(await asStranger({ method: "HEAD", path: "/a/1" }), 200);
      assert.equal(await asStranger({ method: "PUT", path: "/a/1", body: "x" }), 403);
      assert.equal(await asStranger({ query: { policy: undefined } }), 403);
      assert.equal(await asStranger({ method: "DELETE", query: { policy: undefined } }), 403);
    });

    it("denies, wherever the statement stands", async () => {
      await set({}, { effect: "deny", path: "/b/*" });
      assert.equal(await asStranger({ path: "/a/1" }), 200);
      assert.equal(await asStranger({ path: "/b/1" }), 403);
      await set({ effect: "deny", path: "/b/*" }, {});
      assert.equal(await asStranger({ path: "/b/1" }), 403);
    });

    it("holds conditions against the request", async () => {
      await set({ condition: { ip_equal: { "qcs:ip": ["127.0.0.0/8"] } } });
      assert.equal(await asStranger({ path: "/a/1" }), 200);
      await set({ condition: { ip_not_equal: { "qcs:ip": ["127.0.0.0/8", "::1"] } } });
      assert.equal(await asStranger({ path: "/a/1" }), 403);
      await set({ action: "name/cos:GetBucket", condition: { string_equal: { "cos:prefix": "a%2F" } } });
      assert.equal(await asStranger({ query: { prefix: "a/" } }), 200);
      assert.equal(await asStranger({ query: { prefix: "b/" } }), 403);
      assert.equal(await asStranger({}), 403);
      await set({ condition: { bool_equal: { "cos:secure-transport": true } } });
      assert.equal(await asStranger({ path: "/a/1" }), 403);
      await set({ action: "name/cos:PutObject", condition: { numeric_less_than: { "cos:content-length": 5 } } });
      assert.equal(await asStranger({ method: "PUT", path: "/a/9", body: "1234" }), 200);
      assert.equal(await asStranger({ method: "PUT", path: "/a/9", body: "12345" }), 403);
    });

    it("holds conditions against what the operation will understand, however a client spells it", async () => {
      const raw = Buffer.from("stage=生产").toString("latin1");
      const stored = { method: "PUT", path: "/a/9", body: "x" };
      for (const [key, value, name, ...spellings] of [
        ["cos:x-cos-acl", "public-read", "x-cos-acl", "public-read", "Public-Read"],
        ["cos:x-cos-storage-class", "STANDARD_IA", "x-cos-storage-class", "STANDARD_IA", "Standard_IA"],
        ["qcs:request_tag", "stage&生产", "x-cos-tagging", `stage=${encodeURIComponent("生产")}`, raw],
      ] as const) {
        await set({}, { effect: "deny", condition: { string_equal: { [key]: value } } });
        for (const spelt of spellings) {
          assert.equal(await asStranger({ ...stored, headers: { [name]: spelt } }), 403, `${name}: ${spelt}`);
        }
        assert.equal(await asStranger(stored), 200, `without ${name}`);
      }
      // A copy that takes the tags of its source brings none.
      await set({ action: "name/cos:GetObject" }, { condition: { string_equal: { "qcs:request_tag": "team&red" } } });
      const source = `${server.bucket}.cos.ap-guangzhou.myqcloud.com/a/1`;
      const headers = { "x-cos-copy-source": source, "x-cos-tagging": "team=red" };
      assert.equal(await asStranger({ method: "PUT", path: "/a/9", headers }), 403);
      const replacing = { ...headers, "x-cos-tagging-directive": "Replaced" };
      assert.equal(await asStranger({ method: "PUT", path: "/a/9", headers: replacing }), 200);
    });

    it("finds the tags that a document sets, and no header in their place", async () => {
      const tags = (value: string) =>
        `<Tagging><TagSet><Tag><Key>team</Key><Value>${value}</Value></Tag></TagSet></Tagging>`;
      await set({
        action: ["name/cos:PutBucketTagging", "name/cos:PutObjectTagging"],
        condition: { string_equal: { "qcs:request_tag": "team&red" } },
      });
      for (const path of ["/", "/a/1"]) {
        const put = { method: "PUT", path, query: { tagging: undefined }, sign: STRANGER };
        assert.ok((await status({ ...put, body: tags("red") })) < 300, path);
        const headers = { "x-cos-tagging": "team=red" };
        assert.equal(await status({ ...put, body: tags("blue"), headers }), 403, path);
        // Who may set none is not told what is wrong with the document.
        assertRefused(await server.send({ ...put, body: "<Tagging>", headers }), "AccessDenied");
        assert.equal((await server.send({ path, query: { tagging: undefined } })).element("Value"), "red");
      }
      await set({}, { effect: "deny", condition: { string_equal: { "qcs:request_tag": "team&blue" } } });
      const broken = { method: "PUT", query: { tagging: undefined }, body: "<Tagging>", sign: STRANGER };
      assertRefused(await server.send(broken), "MalformedXML");
      await server.send({ method: "DELETE", query: { tagging: undefined } });
    });

    it("finds the tags of an object also where a request does not read it", async () => {
      const store = { method: "PUT", path: "/a/kept", body: "x", headers: { "x-cos-tagging": "keep=yes" } };
      assert.equal(await status(store), 200);
      await set({}, { effect: "deny", condition: { string_equal: { "qcs:resource_tag": "keep&yes" } } });
      const body = "<Delete><Object><Key>a/kept</Key></Object><Object><Key>a/2</Key></Object></Delete>";
      const headers = { "content-md5": contentMd5(body) };
      const many = await server.send({ method: "POST", query: { delete: undefined }, body, headers, sign: STRANGER });
      assert.deepEqual(many.elements("Code"), ["AccessDenied"]);
      for (const sent of [{}, { method: "DELETE" }, { method: "PUT", body: "y" }]) {
        assert.equal(await asStranger({ ...sent, path: "/a/kept" }), 403, JSON.stringify(sent));
      }
      assert.equal(await asStranger({ method: "DELETE", path: "/a/2" }), 204);
      assert.equal(await status({ method: "HEAD", path: "/a/kept" }), 200);
      assert.equal(await status({ method: "PUT", path: "/a/2", body: "stored" }), 200);
    });

    it("sec_S-2.4, GHSA-3ppv-fx5m-m749: tells a version that is named from the current one, whatever is done with it", async () => {
      const bucket = "versions-1250000000";
      const own = { bucket };
      await server.send({ ...own, method: "PUT" });
      const enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
      await server.send({ ...own, method: "PUT", query: { versioning: undefined }, body: enabled });
      const ids: string[] = [];
      for (const body of ["one", "two"]) {
        ids.push(String((await server.send({ ...own, method: "PUT", path: "/v", body })).headers["x-cos-version-id"]));
      }
      const [first = ""] = ids;
      await remove();
      const statement = {
        effect: "allow",
        principal: { qcs: [STRANGER_ID] },
        action: "*",
        resource: "*",
        condition: { string_equal_if_exist: { "cos:versionid": "" } },
      };
      const policy = JSON.stringify({ version: "2.0", statement });
      assert.equal((await put(policy, own)).status, 204);
      const source = `${bucket}.cos.ap-guangzhou.myqcloud.com/v`;
      const versionId = { versionId: first };
      const acl = { acl: undefined };
      const tagging = { tagging: undefined };
      for (const [what, sent, asks = versionId] of [
        ["GET", {}],
        ["HEAD", { method: "HEAD" }],
        ["a range", { headers: { range: "bytes=0-1" } }],
        ["the version null", {}, { versionId: "null" }],
        ["its ACL", { query: acl }],
        ["its tags", { query: tagging }],
        ["DELETE", { method: "DELETE" }],
      ] as readonly [string, Sent, Record<string, string>?][]) {
        const named = { ...own, path: "/v", ...sent, query: { ...sent.query, ...asks } };
        assert.equal(await asStranger(named), 403, what);
        if (what !== "DELETE") assert.ok((await asStranger({ ...named, query: sent.query ?? {} })) < 300, what);
      }
      const copy = { ...own, method: "PUT", path: "/copy" };
      assert.equal(await asStranger({ ...copy, headers: { "x-cos-copy-source": source } }), 200);
      const named = { "x-cos-copy-source": `${source}?versionId=${encodeURIComponent(first)}` };
      assert.equal(await asStranger({ ...copy, headers: named }), 403);
      const body = `<Delete><Object><Key>v</Key><VersionId>${first}</VersionId></Object></Delete>`;
      const headers = { "content-md5": contentMd5(body) };
      assert.equal(await asStranger({ ...own, method: "POST", query: { delete: undefined }, body, headers }), 403);
      assert.equal(await status({ ...own, path: "/v", query: versionId }), 200);
    });

    it("sec_S-2.10, sec_S-2.11: no header stands in for what the server knows", async () => {
      await set({ condition: { ip_equal: { "qcs:ip": ["10.1.2.3"] }, bool_equal: { "cos:secure-transport": true } } });
      const names = [
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        "x-forwarded-proto",
        "qcs-ip",
        "x-cos-secure-transport",
      ];
      for (const name of names) {
        for (const value of ["10.1.2.3", "for=10.1.2.3;proto=https", "https", "true"]) {
          assert.equal(await asStranger({ path: "/a/1", headers: { [name]: value } }), 403, `${name}: ${value}`);
        }
      }
    });

    it("sec_S-2.3: a copy needs its source and its target, in part copies as well", async () => {
      const headers = { "x-cos-copy-source": `${server.bucket}.cos.ap-guangzhou.myqcloud.com/b/1` };
      const copy = { method: "PUT", path: "/a/copy", headers };
      await set({ path: "/a/*" });
      assert.equal(await asStranger(copy), 403);
      const begun = await server.send({
        method: "POST",
        path: "/a/parts",
        query: { uploads: undefined },
        sign: STRANGER,
      });
      const part = { ...copy, path: "/a/parts", query: { partNumber: 1, uploadId: begun.element("UploadId") } };
      assert.equal(await asStranger(part), 403);
      await set({ path: "/a/*" }, { path: "/b/*", action: "name/cos:GetObject" });
      assert.equal(await asStranger(copy), 200);
      assert.equal(await asStranger(part), 200);
    });

    it("sec_S-2.14: each key of a multiple delete is held against it", async () => {
      await set({ path: "/a/*" });
      for (const path of ["/a/x", "/b/x"]) await server.send({ method: "PUT", path, body: "x" });
      const body = "<Delete><Object><Key>a/x</Key></Object><Object><Key>b/x</Key></Object></Delete>";
      const headers = { "content-md5": contentMd5(body) };
      const sent = { method: "POST", query: { delete: undefined }, body, headers, sign: STRANGER };
      const answer = await server.send(sent);
      assert.equal(answer.status, 200);
      assert.deepEqual(answer.elements("Key"), ["a/x", "b/x"]);
      assert.deepEqual(answer.elements("Code"), ["AccessDenied"]);
      assert.equal(await status({ method: "HEAD", path: "/a/x" }), 404);
      assert.equal(await status({ method: "HEAD", path: "/b/x" }), 200);
      await set({ path: "/c/*" });
      assertRefused(await server.send(sent), "AccessDenied");
      // Who may not delete an object may not delete it among others.
      await set({}, { effect: "deny", path: "/b/*", action: "name/cos:DeleteObject" });
      assert.deepEqual((await server.send(sent)).elements("Code"), ["AccessDenied"]);
      assert.equal(await status({ method: "HEAD", path: "/b/x" }), 200);
      await set({ path: "/b/*", action: "name/cos:DeleteObject" });
      assert.deepEqual((await server.send(sent)).elements("Code"), ["AccessDenied"]);
      assert.equal(await status({ method: "HEAD", path: "/b/x" }), 404);
    });

    it("sec_S-2.5: whom it does not allow is told the same whether or not the object exists", async () => {
      await set({ path: "/c/*" });
      const told = async (path: string, headers: Record<string, string>, sign: Sent["sign"]) => {
        const answer = await server.send({ path, headers, ...(sign === undefined ? {} : { sign }) });
        return [answer.status, answer.element("Code"), Object.keys(answer.headers).sort().join()];
      };
      for (const sign of [STRANGER, false]) {
        for (const headers of [{}, { "if-none-match": "*" }, { "if-match": '"no"' }, { range: "bytes=99-" }]) {
          assert.deepEqual(await told("/a/1", headers, sign), await told("/a/0", headers, sign));
        }
      }
    });
  });

  describe("for anyone", () => {
    it("opens a private bucket to requests that nobody signed, and to those that somebody did", async () => {
      await set({ who: ANYONE, action: "name/cos:GetObject" });
      assert.equal(await asNobody({ path: "/a/1" }), 200);
      assert.equal(await asStranger({ path: "/a/1" }), 200);
      assert.equal(await asNobody({ method: "DELETE", path: "/a/1" }), 403);
    });

    it("denies unsigned requests alone, and not who is named", async () => {
      await set({ who: ANYONE, effect: "deny" }, {});
      assert.equal(await asNobody({ path: "/a/1" }), 403);
      assert.equal(await asStranger({ path: "/a/1" }), 200);
    });
  });

  describe("for its owner", () => {
    it("denies what it says, but for the policy itself", async () => {
      await set({ who: OWNER_ID, effect: "deny" });
      assert.equal(await status({ path: "/a/1" }), 403);
      assert.equal(await status({ method: "HEAD" }), 403);
      assert.equal(await status({ query: { policy: undefined } }), 200);
      assert.equal((await remove()).status, 204);
      assert.equal(await status({ path: "/a/1" }), 200);
    });
  });
});

describe("conditions on how a request came", () => {
  it("hold over HTTPS: cos:secure-transport, and the version of TLS", async () => {
    const folder = await mkdtemp(join(tmpdir(), "cosbox-policy-"));
    const cosbox = await startCosbox({ tls: "dev", data: join(folder, "data") });
    const trusted = globalAgent.options.ca;
    try {
      const ca = await readFile(join(folder, "data", "tls", "ca.pem"));
      globalAgent.options.ca = ca;
      const cos = new COS({ ...cosbox.options });
      const place = { Bucket: cosbox.bucket("demo"), Region: cosbox.region };
      await cos.putBucket(place);
      await cos.putObject({ ...place, Key: "a", Body: "x" });
      const headers = { host: `${place.Bucket}.cos.${place.Region}.myqcloud.com` };
      const asNobody = (maxVersion: SecureVersion): Promise<number> =>
        new Promise((resolve, reject) => {
          const { port } = cosbox;
          const told = { host: "127.0.0.1", port, path: "/a", headers, ca, servername: "localhost", maxVersion };
          get({ ...told, agent: false }, (incoming) => {
            incoming.resume();
            resolve(incoming.statusCode ?? 0);
          }).on("error", reject);
        });
      const told: number[][] = [];
      for (const condition of [
        { bool_equal: { "cos:secure-transport": "true" } },
        { bool_equal: { "cos:secure-transport": "false" } },
        { numeric_greater_than_equal: { "cos:tls-version": 1.3 } },
        { numeric_less_than: { "cos:tls-version": 1.2 } },
      ]) {
        const statement = { effect: "allow", principal: "*", action: "name/cos:GetObject", resource: "*", condition };
        await cos.putBucketPolicy({ ...place, Policy: { version: "2.0", statement } });
        told.push([await asNobody("TLSv1.3"), await asNobody("TLSv1.2")]);
      }
      assert.deepEqual(told, [
        [200, 200],
        [403, 403],
        [200, 403],
        [403, 403],
      ]);
    } finally {
      globalAgent.options.ca = trusted;
      await cosbox.stop();
      await rm(folder, { recursive: true });
    }
  });
});

/** Keys of a user of the root account, and of a user of the other one, with the policies attached to each. */
const userOf = (root: { uin: string; appid: string }, ...documents: readonly object[]) => ({
  ...rootCredential({ ...root, secretId: `AKIDuser${root.uin}`, secretKey: "usersecretkey" }),
  user: `${root.uin.slice(0, -2)}77`,
  policies: documents.map((statement) =>
    readPolicy(JSON.stringify({ version: "2.0", statement }), { principal: "refused", bytesMax: 6_144 }),
  ),
});

describe("a user of an account", () => {
  const ROOT = { uin: "100000000001", appid: "1250000000", secretId: "AKIDroot", secretKey: "rootsecretkey" };
  const READ = { effect: "allow", action: "name/cos:GetObject", resource: "*" };

  async function fixture(user: ReturnType<typeof userOf>, policy?: object) {
    const server = await inProcess(
      await openOn(await memoryDisk().open()),
      {},
      [rootCredential(ROOT), user],
      "private",
    );
    const ask =
      (key: { secretId: string; secretKey: string }) =>
      async (method: string, target: string, body?: string, host?: string, headers?: Record<string, string>) => {
        const now = Math.floor(Date.now() / 1000);
        const [path = "/", query = ""] = target.split("?");
        const parameters = [...new URLSearchParams(query)];
        const { authorization } = signCos({
          ...key,
          method,
          path,
          query: parameters,
          signTime: `${now - 60};${now + 600}`,
        });
        return (
          await server.ask({
            method,
            target,
            headers: { ...headers, authorization },
            ...(body && { body }),
            ...(host && { host }),
          })
        ).code;
      };
    const asRoot = ask(ROOT);
    assert.equal(await asRoot("PUT", "/key", "stored"), "ok");
    if (policy)
      assert.equal(await asRoot("PUT", "/?policy", JSON.stringify({ version: "2.0", statement: policy })), "ok");
    return ask(user);
  }

  it("of the owner has nothing until something is given", async () => {
    const asUser = await fixture(userOf(ROOT));
    for (const method of ["GET", "PUT", "DELETE"]) assert.equal(await asUser(method, "/key"), "AccessDenied");
    assert.equal(await asUser("GET", "/"), "AccessDenied");
  });

  it("of the owner has what a policy of its own gives, and loses what one denies", async () => {
    const asUser = await fixture(
      userOf(ROOT, READ, { ...READ, effect: "deny", resource: "qcs::cos:::demo-1250000000/secret" }),
    );
    assert.equal(await asUser("GET", "/key"), "ok");
    assert.equal(await asUser("GET", "/secret"), "AccessDenied");
    assert.equal(await asUser("PUT", "/key", "x"), "AccessDenied");
  });

  it("of the owner has what the bucket's policy gives to its own name, not what it gives to the root's", async () => {
    const user = userOf(ROOT);
    const named = (id: string) => ({ ...READ, principal: { qcs: [`qcs::cam::uin/${ROOT.uin}:uin/${id}`] } });
    assert.equal(await (await fixture(user, named(user.user)))("GET", "/key"), "ok");
    assert.equal(await (await fixture(user, named(ROOT.uin)))("GET", "/key"), "AccessDenied");
  });

  it("of another account needs both sides", async () => {
    const toStranger = { ...READ, principal: { qcs: [STRANGER_ID] } };
    assert.equal(await (await fixture(userOf(STRANGER, READ), toStranger))("GET", "/key"), "ok");
    assert.equal(await (await fixture(userOf(STRANGER), toStranger))("GET", "/key"), "AccessDenied");
    assert.equal(await (await fixture(userOf(STRANGER, READ)))("GET", "/key"), "AccessDenied");
  });

  it("makes the buckets that a policy of its own names, and none that one denies", async () => {
    const make = (resource: string, effect = "allow") => ({ effect, action: "name/cos:PutBucket", resource });
    const named = make("qcs::cos:ap-guangzhou:uid/1250000000:mine-1250000000/");
    const all = make("qcs::cos:*:uid/1250000000:*");
    const elsewhere = make("qcs::cos:ap-shanghai:uid/1250000000:mine-1250000000/*");
    const hostOf = (name: string) => `${name}-1250000000.cos.ap-guangzhou.myqcloud.com`;
    for (const [policies, host, expected] of [
      [[named], hostOf("mine"), "ok"],
      [[named], hostOf("other"), "AccessDenied"],
      [[elsewhere], hostOf("mine"), "AccessDenied"],
      [[all], hostOf("other"), "ok"],
      [[all, make("qcs::cos:*:uid/1250000000:prod-*", "deny")], hostOf("prod-a"), "AccessDenied"],
      [[all, make("qcs::cos:*:uid/1250000000:prod-*", "deny")], hostOf("other"), "ok"],
    ] as const) {
      const ask = await fixture(userOf(ROOT, ...policies));
      assert.equal(await ask("PUT", "/", undefined, host), expected, `${JSON.stringify(policies)} ${host}`);
    }
  });

  it("makes buckets with the tags that a policy asks for, in a header or in the document", async () => {
    const host = "tagged-1250000000.cos.ap-guangzhou.myqcloud.com";
    const inDocument = (tags: readonly string[]) =>
      `<CreateBucketConfiguration><Tags>${tags
        .map((tag) => `<Tag><Key>${tag[0]}</Key><Value>${tag[2]}</Value></Tag>`)
        .join("")}</Tags></CreateBucketConfiguration>`;
    for (const [operator, tags, expected] of [
      ["for_any_value:string_equal", ["a=b", "c=d", "e=f"], "ok"],
      ["for_any_value:string_equal", ["e=f"], "AccessDenied"],
      ["for_any_value:string_equal", [], "AccessDenied"],
      ["for_all_value:string_equal", ["a=b"], "ok"],
      ["for_all_value:string_equal", ["a=b", "c=d", "e=f"], "AccessDenied"],
    ] as const) {
      const condition = { [operator]: { "qcs:request_tag": ["a&b", "c&d"] } };
      const policy = { effect: "allow", action: "name/cos:PutBucket", resource: "*", condition };
      for (const [body, headers] of [
        [undefined, { "x-cos-tagging": tags.join("&") }],
        [inDocument(tags), {}],
      ] as const) {
        const ask = await fixture(userOf(ROOT, policy));
        assert.equal(await ask("PUT", "/", body, host, headers), expected, `${operator} ${tags.join()} ${body}`);
      }
    }
  });

  it("lists buckets where a policy of its own says so, for the resource *", async () => {
    const service = "service.cos.myqcloud.com";
    const rule = { effect: "allow", action: "name/cos:GetService", resource: "*" };
    assert.equal(await (await fixture(userOf(ROOT)))("GET", "/", undefined, service), "AccessDenied");
    assert.equal(await (await fixture(userOf(ROOT, rule)))("GET", "/", undefined, service), "ok");
    const bucketOnly = { ...rule, resource: "qcs::cos:::demo-1250000000/*" };
    assert.equal(await (await fixture(userOf(ROOT, bucketOnly)))("GET", "/", undefined, service), "AccessDenied");
  });
});
