/** PUT and GET ?acl of buckets and objects, ACLs that come along with objects, and what they let whom do. */

import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { NAMESAKE, STRANGER } from "../fixtures/accounts.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { partList, sendPart } from "../fixtures/uploads.ts";

const OWNER = "qcs::cam::uin/100000000001:uin/100000000001";
const STRANGER_ID = `qcs::cam::uin/${STRANGER.uin}:uin/${STRANGER.uin}`;
const ALL = "http://cam.qcloud.com/groups/global/AllUsers";
const XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';

const user = (id: string, type = "CanonicalUser") => `<Grantee ${XSI} xsi:type="${type}"><ID>${id}</ID></Grantee>`;
const group = (uri: string) => `<Grantee ${XSI} xsi:type="Group"><URI>${uri}</URI></Grantee>`;
const grant = (grantee: string, permission: string) =>
  `<Grant>${grantee}<Permission>${permission}</Permission></Grant>`;
const policy = (...grants: readonly string[]) =>
  `<AccessControlPolicy><Owner><ID>${OWNER}</ID></Owner><AccessControlList>${grants.join("")}</AccessControlList></AccessControlPolicy>`;

/** Each grant of an answer as `<id or uri> <permission>`. */
function grantsOf({ text }: Received): string[] {
  return [...text.matchAll(/<Grant>.*?<(?:ID|URI)>([^<]*)<.*?<Permission>([^<]*)</g)].map(
    ([, who, what]) => `${who} ${what}`,
  );
}

describe("ACLs", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({
      credentials: [STRANGER, NAMESAKE],
      limits: { aclGrantsMax: 3, attachmentsPerAccount: 4, partBytesMin: 1 },
    });
  });
  afterAll(() => server.stop());

  const status = async (sent: Sent): Promise<number> => (await server.send(sent)).status;
  const asStranger = (sent: Sent): Promise<number> => status({ ...sent, sign: STRANGER });
  const asNobody = (sent: Sent): Promise<number> => status({ ...sent, sign: false });
  const setBucket = (headers: Record<string, string>, body?: string) =>
    server.send({ method: "PUT", query: { acl: undefined }, headers, ...(body !== undefined && { body }) });
  const setObject = (path: string, headers: Record<string, string>, body?: string) =>
    server.send({ method: "PUT", path, query: { acl: undefined }, headers, ...(body !== undefined && { body }) });
  async function ok(answer: Promise<Received>): Promise<void> {
    const { status: got, text } = await answer;
    assert.equal(got, 200, text);
  }
  const put = (path: string, headers: Record<string, string> = {}) =>
    server.send({ method: "PUT", path, body: "x", headers });

  describe("of a bucket", () => {
    it("answers with the owner's grant, in the service's form, and names the canned ACL", async () => {
      await ok(setBucket({ "x-cos-acl": "private" }));
      const answer = await server.send({ query: { acl: undefined } });
      assert.equal(answer.headers["content-type"], "application/xml");
      assert.equal(answer.headers["x-cos-acl"], "private");
      assert.ok(
        answer.text.endsWith(
          `<AccessControlPolicy><Owner><ID>${OWNER}</ID><DisplayName>${OWNER}</DisplayName></Owner>` +
            `<AccessControlList><Grant><Grantee ${XSI} xsi:type="CanonicalUser"><ID>${OWNER}</ID>` +
            `<DisplayName>${OWNER}</DisplayName></Grantee><Permission>FULL_CONTROL</Permission></Grant>` +
            `</AccessControlList></AccessControlPolicy>`,
        ),
        answer.text,
      );
    });

    it.each([
      ["public-read", [`${ALL} READ`]],
      ["public-read-write", [`${ALL} READ`, `${ALL} WRITE`]],
      ["authenticated-read", ["http://cam.qcloud.com/groups/global/AuthenticatedUsers READ"]],
    ])("is the canned %s", async (canned, grants) => {
      await ok(setBucket({ "x-cos-acl": canned }));
      const answer = await server.send({ query: { acl: undefined } });
      assert.equal(answer.headers["x-cos-acl"], canned);
      assert.deepEqual(grantsOf(answer), [`${OWNER} FULL_CONTROL`, ...grants]);
    });

    it("takes grants in headers, in every form of an id, beside a canned one", async () => {
      const id = "qcs::cam::uin/100000000007:uin/100000000008";
      await ok(
        setBucket({
          "x-cos-acl": "public-read",
          "x-cos-grant-write": 'id="100000000002" , id="100000000007/100000000008"',
        }),
      );
      const answer = await server.send({ query: { acl: undefined } });
      assert.equal(answer.headers["x-cos-acl"], "public-read");
      assert.deepEqual(grantsOf(answer).slice(1), [`${ALL} READ`, `${STRANGER_ID} WRITE`, `${id} WRITE`]);
      await ok(setBucket({ "x-cos-grant-full-control": `id="${id}"`, "x-cos-grant-read": `uri="${ALL}"` }));
      // Whoever is named without a canned ACL is all who is listed.
      assert.deepEqual(grantsOf(await server.send({ query: { acl: undefined } })), [
        `${ALL} READ`,
        `${id} FULL_CONTROL`,
      ]);
    });

    it("takes a document, in the spellings of older clients as well, and tells it again", async () => {
      const grants = [
        grant(user(OWNER), "READ"),
        grant(user(STRANGER_ID, "RootAccount"), "READ_ACP"),
        grant(`<Grantee><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee>`, "READ"),
      ];
      await ok(setBucket({}, policy(...grants)));
      assert.deepEqual(grantsOf(await server.send({ query: { acl: undefined } })), [
        `${OWNER} READ`,
        `${STRANGER_ID} READ_ACP`,
        `${ALL} READ`,
      ]);
      // The owner is listed as he was put, and may do everything all the same.
      for (const own of [[], ["FULL_CONTROL"], ["READ_ACP", "WRITE"]]) {
        await ok(setBucket({}, policy(...own.map((permission) => grant(user(OWNER), permission)))));
        assert.deepEqual(
          grantsOf(await server.send({ query: { acl: undefined } })),
          own.map((permission) => `${OWNER} ${permission}`),
        );
      }
      await ok(setBucket({ "x-cos-acl": "private" }));
      assert.deepEqual(grantsOf(await server.send({ query: { acl: undefined } })), [`${OWNER} FULL_CONTROL`]);
      await ok(setBucket({ "x-cos-acl": "private" }, policy(grant(group(ALL), "READ"))));
      assert.equal((await server.send({ query: { acl: undefined } })).headers["x-cos-acl"], "private", "headers count");
    });

    it("refuses what is no ACL, and keeps the one before", async () => {
      await ok(setBucket({ "x-cos-acl": "private" }));
      for (const headers of [
        { "x-cos-acl": "default" },
        { "x-cos-acl": "open" },
        { "x-cos-grant-read": "100000000002" },
        { "x-cos-grant-read": 'id="somebody"' },
        { "x-cos-grant-read": 'uri="http://example.com/"' },
        { "x-cos-grant-read": 'id="1",' },
      ] as Record<string, string>[]) {
        assertRefused(await setBucket(headers), "InvalidArgument", { message: /^The argument x-cos-/ });
      }
      assertRefused(await setBucket({}), "MissingRequestBodyError");
      for (const body of [
        policy(grant(user(""), "READ")),
        policy(grant(user(STRANGER_ID), "DELETE")),
        policy(`<Grant>${user(STRANGER_ID)}</Grant>`),
        "<AccessControlPolicy/>",
      ]) {
        assertRefused(await setBucket({}, body), "MalformedXML");
      }
      assertRefused(await setBucket({}, policy(grant(user("nobody"), "READ"))), "InvalidArgument", { message: /id/ });
      assertRefused(await setBucket({}, policy().replace(OWNER, STRANGER_ID)), "AccessDenied", { message: /Owner/ });
      assert.equal(grantsOf(await server.send({ query: { acl: undefined } })).length, 1);
    });

    it("AttachmentFull: more grants than an ACL may hold, by headers and by document", async () => {
      const four = '"100000000011","100000000012","100000000013","100000000014"'.replaceAll('"1', 'id="1');
      assertRefused(await setBucket({ "x-cos-grant-read": four }), "AttachmentFull", { message: /3 grants/ });
      const grants = [1, 2, 3, 4].map((at) => grant(user(`qcs::cam::uin/${at}:uin/${at}`), "READ"));
      assertRefused(await setBucket({}, policy(...grants)), "AttachmentFull", { message: /3 grants/ });
    });

    it("comes with the creation of the bucket", async () => {
      const bucket = "granted-1250000000";
      const headers = { "x-cos-grant-read": `id="${STRANGER.uin}"` };
      await ok(server.send({ method: "PUT", bucket, headers }));
      assert.equal(await asStranger({ bucket }), 200);
      assert.equal(await asNobody({ bucket }), 403);
      assert.equal(await status({ method: "DELETE", bucket }), 204);
    });

    it("lets a grantee do what each permission stands for, and nothing else", async () => {
      const needs: readonly (readonly [string, Sent])[] = [
        ["READ", { method: "HEAD" }],
        ["READ", {}],
        ["READ", { query: { uploads: undefined } }],
        ["READ", { path: "/plain" }],
        ["WRITE", { method: "PUT", path: "/plain", body: "x" }],
        ["WRITE", { method: "POST", path: "/plain", query: { uploads: undefined } }],
        ["READ_ACP", { query: { acl: undefined } }],
        ["WRITE_ACP", { method: "PUT", query: { acl: undefined }, body: "no document" }],
      ];
      await put("/plain");
      for (const permission of ["READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"]) {
        await ok(setBucket({}, policy(grant(user(STRANGER_ID), permission))));
        for (const [needed, sent] of needs) {
          const expected = permission === needed || permission === "FULL_CONTROL";
          const what = `${permission} for ${JSON.stringify(sent)}`;
          assert.equal((await asStranger(sent)) !== 403, expected, what);
          assert.equal(await asNobody(sent), 403, what);
          assert.equal(await status({ ...sent, sign: NAMESAKE }), 403, what);
        }
      }
      assert.equal(await asStranger({ method: "DELETE" }), 403, "nobody but the owner deletes a bucket");
      await ok(setBucket({ "x-cos-acl": "private" }));
    });
  });

  describe("sec_S-2.12 (CVE-2016-7031): each canned ACL lets everybody do just this", () => {
    const WHO = { nobody: false, another: STRANGER, "another of the same APPID": NAMESAKE, owner: true } as const;
    const MAY: Readonly<Record<string, Readonly<Record<keyof typeof WHO, string>>>> = {
      private: { nobody: "", another: "", "another of the same APPID": "", owner: "list get put acl" },
      "public-read": {
        nobody: "list get",
        another: "list get",
        "another of the same APPID": "list get",
        owner: "list get put acl",
      },
      "public-read-write": {
        nobody: "list get put",
        another: "list get put",
        "another of the same APPID": "list get put",
        owner: "list get put acl",
      },
      "authenticated-read": {
        nobody: "",
        another: "list get",
        "another of the same APPID": "list get",
        owner: "list get put acl",
      },
    };
    const ASK: Readonly<Record<string, Sent>> = {
      list: {},
      get: { path: "/kept" },
      put: { method: "PUT", path: "/put", body: "x" },
      acl: { query: { acl: undefined } },
    };
    for (const [canned, cells] of Object.entries(MAY)) {
      it(`lets ${canned} be what it says`, async () => {
        await put("/kept");
        await ok(setBucket({ "x-cos-acl": canned }));
        for (const [who, allowed] of Object.entries(cells)) {
          for (const [what, sent] of Object.entries(ASK)) {
            const expected = allowed.split(" ").includes(what) ? 200 : 403;
            assert.equal(await status({ ...sent, sign: WHO[who as keyof typeof WHO] }), expected, `${who} ${what}`);
          }
        }
        await ok(setBucket({ "x-cos-acl": "private" }));
      });
    }
  });

  describe("of an object", () => {
    it("is its bucket's until it has one of its own, and again when that is taken away", async () => {
      await put("/a");
      const before = await server.send({ path: "/a", query: { acl: undefined } });
      assert.equal(before.headers["x-cos-acl"], "default");
      assert.deepEqual(grantsOf(before), [`${OWNER} FULL_CONTROL`]);
      assert.equal(await asNobody({ path: "/a" }), 403);
      await ok(setObject("/a", { "x-cos-acl": "public-read" }));
      assert.equal((await server.send({ path: "/a", query: { acl: undefined } })).headers["x-cos-acl"], "public-read");
      assert.equal(await asNobody({ path: "/a" }), 200);
      assert.equal(await asNobody({ method: "PUT", path: "/a", body: "x" }), 403);
      await ok(setObject("/a", { "x-cos-acl": "default" }));
      assert.equal(await asNobody({ path: "/a" }), 403);
    });

    it("closes an object in an open bucket", async () => {
      await ok(setBucket({ "x-cos-acl": "public-read-write" }));
      await put("/closed", { "x-cos-acl": "private" });
      await put("/open");
      assert.equal(await asNobody({ path: "/closed" }), 403);
      assert.equal(await asNobody({ path: "/open" }), 200);
      const copy = (path: string) =>
        asNobody({ method: "PUT", path: "/copied", headers: { "x-cos-copy-source": `${server.bucket}${path}` } });
      assert.equal(await copy("/closed"), 403);
      assert.equal(await copy("/open"), 200);
      await ok(setBucket({ "x-cos-acl": "private" }));
    });

    it("comes with a PUT, a copy, an append and an upload in parts, and goes with what replaces the object", async () => {
      const headers = { "x-cos-acl": "public-read" };
      const copied = { "x-cos-copy-source": `${server.bucket}/source` };
      await put("/source", headers);
      assert.equal(await asNobody({ path: "/source" }), 200);
      await ok(server.send({ method: "PUT", path: "/copy", headers: copied }));
      assert.equal(await asNobody({ path: "/copy" }), 403, "a copy does not carry the ACL");
      await ok(server.send({ method: "PUT", path: "/copy", headers: { ...copied, ...headers } }));
      assert.equal(await asNobody({ path: "/copy" }), 200);
      await put("/copy");
      assert.equal(await asNobody({ path: "/copy" }), 403, "it went with the object");

      const append = (position: number, more = {}) =>
        server.send({ method: "POST", path: "/log", query: { append: undefined, position }, body: "x", headers: more });
      await ok(append(0, headers));
      await ok(append(1));
      assert.equal(await asNobody({ path: "/log" }), 200);
      assert.equal(await status({ method: "DELETE", path: "/log" }), 204);

      const begun = await server.send({ method: "POST", path: "/parts", query: { uploads: undefined }, headers });
      const uploadId = begun.element("UploadId") as string;
      const etag = await sendPart(server, "parts", uploadId, 1, "x");
      await ok(server.send({ method: "POST", path: "/parts", query: { uploadId }, body: partList([[1, etag]]) }));
      assert.equal(await asNobody({ path: "/parts" }), 200);
      for (const path of ["/parts", "/source"]) assert.equal(await status({ method: "DELETE", path }), 204);
    });

    it("is the nearest folder's that has one", async () => {
      await ok(put("/docs/", { "x-cos-acl": "public-read" }));
      await ok(put("/docs/inner/", { "x-cos-acl": "private" }));
      for (const path of ["/docs/a", "/docs/deep/b", "/docs/inner/c", "/other/d"]) await put(path);
      assert.equal(await asNobody({ path: "/docs/a" }), 200);
      assert.equal(await asNobody({ path: "/docs/deep/b" }), 200);
      assert.equal(await asNobody({ path: "/docs/inner/c" }), 403);
      assert.equal(await asNobody({ path: "/other/d" }), 403);
      await ok(setObject("/docs/inner/c", { "x-cos-acl": "public-read" }));
      assert.equal(await asNobody({ path: "/docs/inner/c" }), 200);
      for (const path of ["/docs/", "/docs/inner/c"]) assert.equal(await status({ method: "DELETE", path }), 204);
      assert.equal(await asNobody({ path: "/docs/a" }), 403);
    });

    it("lets a grantee read and change it, each by its own permission", async () => {
      await put("/shared");
      const needs: readonly (readonly [string, Sent])[] = [
        ["READ", { path: "/shared" }],
        ["READ", { method: "HEAD", path: "/shared" }],
        ["READ_ACP", { path: "/shared", query: { acl: undefined } }],
        ["WRITE_ACP", { method: "PUT", path: "/shared", query: { acl: undefined }, body: "no document" }],
      ];
      for (const permission of ["READ", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"]) {
        await ok(setObject("/shared", {}, policy(grant(user(STRANGER_ID), permission))));
        for (const [needed, sent] of needs) {
          const expected = permission === needed || permission === "FULL_CONTROL";
          assert.equal((await asStranger(sent)) !== 403, expected, `${permission} for ${JSON.stringify(sent)}`);
        }
        assert.equal(await asStranger({ method: "DELETE", path: "/shared" }), 403);
      }
      assert.equal(await status({ method: "DELETE", path: "/shared" }), 204);
    });

    it("refuses what is no object's, and what is not there", async () => {
      await put("/a");
      assertRefused(await setObject("/a", { "x-cos-acl": "public-read-write" }), "InvalidArgument", {
        message: /^The argument x-cos-/,
      });
      assertRefused(await setObject("/a", { "x-cos-grant-write": 'id="1"' }), "InvalidArgument", {
        message: /^The argument x-cos-/,
      });
      assertRefused(await setObject("/a", {}, policy(grant(user(STRANGER_ID), "WRITE"))), "MalformedXML");
      assertRefused(await setObject("/none", { "x-cos-acl": "private" }), "NoSuchKey");
      assertRefused(await server.send({ path: "/none", query: { acl: undefined } }), "NoSuchKey");
      assertRefused(await put("/a", { "x-cos-acl": "open" }), "InvalidArgument", { message: /^The argument x-cos-/ });
      for (const canned of ["bucket-owner-read", "bucket-owner-full-control", "authenticated-read"]) {
        await ok(setObject("/a", { "x-cos-acl": canned }));
      }
      assert.equal(await status({ method: "DELETE", path: "/a" }), 204);
    });

    it("PolicyFull: the account has as many ACLs as it may; deleting and closing make room", async () => {
      for (const at of [1, 2, 3, 4]) await ok(put(`/full${at}`, { "x-cos-acl": "public-read" }));
      assertRefused(await put("/full5", { "x-cos-acl": "public-read" }), "PolicyFull");
      assertRefused(await setBucket({ "x-cos-acl": "public-read" }), "PolicyFull");
      await ok(put("/full4", { "x-cos-acl": "public-read" }));
      await ok(put("/full5", { "x-cos-acl": "private" }));
      assert.equal(await status({ method: "DELETE", path: "/full1" }), 204);
      await ok(put("/full5", { "x-cos-acl": "public-read" }));
      await ok(put("/full2"));
      await ok(setObject("/full3", { "x-cos-acl": "private" }));
      await ok(put("/full1", { "x-cos-acl": "public-read" }));
      await ok(setBucket({ "x-cos-acl": "public-read" }));
      assertRefused(await put("/full6", { "x-cos-acl": "public-read" }), "PolicyFull");
    });
  });
});
