import assert from "node:assert/strict";
import { afterAll, beforeAll, beforeEach, describe, it } from "vitest";
import fc from "fast-check";
import { assertRefused } from "../fixtures/refusal.ts";
import { type S3Client, s3Client } from "../fixtures/s3.ts";
import { contentMd5, type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { begin, complete } from "../fixtures/uploads.ts";
import { setVersioning } from "../fixtures/versioning.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const MODE = "x-cos-object-lock-mode";
const UNTIL = "x-cos-object-lock-retain-until-date";
const TIERING =
  "<IntelligentTieringConfiguration><Status>Enabled</Status><Transition><Days>30</Days></Transition></IntelligentTieringConfiguration>";

const lockDocument = (rule = ""): string =>
  `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>${rule}</ObjectLockConfiguration>`;
const days = (count: number | string, mode = "<Mode>COMPLIANCE</Mode>"): string =>
  `<Rule><DefaultRetention>${mode}<Days>${count}</Days></DefaultRetention></Rule>`;
const retention = (ms: number, mode = "COMPLIANCE"): string =>
  `<Retention><Mode>${mode}</Mode><RetainUntilDate>${new Date(ms).toISOString()}</RetainUntilDate></Retention>`;

describe("object lock", () => {
  let server: TestServer;
  let s3: S3Client;
  let serial = 0;
  let bucket = "";
  beforeAll(async () => {
    server = await testServer({ limits: { partBytesMin: 1 } });
    s3 = s3Client(server);
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    await server.cosbox.clock.reset();
  });

  const send = (method: string, path: string, more: Sent = {}): Promise<Received> =>
    server.send({ method, bucket, path, ...more });
  const put = (path: string, body: string, headers: Record<string, string> = {}): Promise<Received> =>
    send("PUT", path, { body, headers });
  const ok = async (answer: Promise<Received>): Promise<Received> => {
    const found = await answer;
    assert.ok(found.status < 300, `${found.status} ${found.text}`);
    return found;
  };
  const now = (): number => server.cosbox.clock.now().getTime();
  const lock = (rule = "", on = bucket): Promise<Received> =>
    server.send({ method: "PUT", bucket: on, query: { "object-lock": undefined }, body: lockDocument(rule) });
  const retain = (path: string, ms: number, more: Sent = {}): Promise<Received> =>
    send("PUT", path, { ...more, query: { ...more.query, retention: undefined }, body: retention(ms) });
  const freshBucket = async (options: { lock?: string; versioning?: string } = {}): Promise<string> => {
    bucket = `locked-${++serial}-1250000000`;
    await ok(server.send({ method: "PUT", bucket }));
    if (options.versioning !== undefined) await ok(setVersioning(server, options.versioning, bucket));
    if (options.lock !== undefined) await ok(lock(options.lock));
    return bucket;
  };
  const body = async (path: string): Promise<string> => (await send("GET", path)).text;

  /** Everything that would destroy or change an object, and how it is asked for. */
  const DESTROYING: Readonly<Record<string, (path: string) => Promise<Received>>> = {
    "PUT over it": (path) => put(path, "other"),
    "a copy onto it": async (path) => {
      await ok(put("/source", `source ${path}`));
      return send("PUT", path, { headers: { "x-cos-copy-source": `${bucket}.cos.ap-guangzhou.myqcloud.com/source` } });
    },
    "a copy of it onto itself": (path) =>
      send("PUT", path, {
        headers: {
          "x-cos-copy-source": `${bucket}.cos.ap-guangzhou.myqcloud.com${path}`,
          "x-cos-metadata-directive": "Replaced",
          "x-cos-storage-class": "STANDARD_IA",
        },
      }),
    "the completion of an upload": async (path) => {
      const there = { ...server, send: (request: Sent) => server.send({ bucket, ...request }) };
      const uploadId = await begin(there, path.slice(1));
      const part = await ok(send("PUT", path, { query: { partNumber: 1, uploadId }, body: "part" }));
      return complete(there, path.slice(1), uploadId, [[1, (part.headers.etag as string).replaceAll('"', "")]]);
    },
    DELETE: (path) => send("DELETE", path),
    "PUT of its tags": (path) =>
      send("PUT", path, {
        query: { tagging: undefined },
        body: "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
      }),
    "DELETE of its tags": (path) => send("DELETE", path, { query: { tagging: undefined } }),
  };

  describe("ObjectLocked: without versions nothing destroys or changes a locked object", () => {
    it.each(Object.keys(DESTROYING))("%s", async (name) => {
      await freshBucket({ lock: "" });
      await ok(put("/kept", "kept", { "x-cos-meta-note": "kept" }));
      await ok(retain("/kept", now() + DAY_MS));
      const before = await send("HEAD", "/kept");
      assertRefused(await (DESTROYING[name] as (path: string) => Promise<Received>)("/kept"), "ObjectLocked");
      const after = await send("HEAD", "/kept");
      for (const field of ["etag", "last-modified", "x-cos-meta-note", UNTIL]) {
        assert.equal(after.headers[field], before.headers[field], field);
      }
      assert.equal(await body("/kept"), "kept");
      // When its day has come, it is an object like others.
      await server.cosbox.clock.advance(DAY_MS + 1000);
      await ok((DESTROYING[name] as (path: string) => Promise<Received>)("/kept"));
    });

    it("ObjectLocked: an append, and another one among many deletes", async () => {
      await freshBucket({ lock: days(1) });
      await ok(send("POST", "/log", { query: { append: undefined, position: 0 }, body: "one" }));
      const again = await send("POST", "/log", { query: { append: undefined, position: 3 }, body: "two" });
      assertRefused(again, "ObjectLocked");
      await ok(put("/kept", "kept"));
      await lock("");
      await ok(put("/free", "free"));
      const doomed =
        "<Delete><Object><Key>kept</Key></Object><Object><Key>free</Key></Object><Object><Key>log</Key></Object></Delete>";
      const deletion = await ok(
        server.send({
          method: "POST",
          bucket,
          query: { delete: undefined },
          body: doomed,
          headers: { "Content-MD5": contentMd5(doomed) },
        }),
      );
      assert.deepEqual(deletion.elements("Code"), ["ObjectLocked", "ObjectLocked"], deletion.text);
      assert.deepEqual([await body("/kept"), await body("/log")], ["kept", "one"]);
      assert.equal((await send("GET", "/free")).status, 404);
      await server.cosbox.clock.advance(DAY_MS + 1000);
      await ok(send("POST", "/log", { query: { append: undefined, position: 3 }, body: "two" }));
      assert.equal(await body("/log"), "onetwo");
    });

    it("a form of a page", async () => {
      await freshBucket({ lock: days(1) });
      await ok(put("/kept", "kept"));
      const answer = await server.send({
        method: "POST",
        bucket,
        headers: { "content-type": "multipart/form-data; boundary=x" },
        body: '--x\r\nContent-Disposition: form-data; name="key"\r\n\r\nkept\r\n--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nother\r\n--x--\r\n',
        sign: false,
      });
      assert.ok(answer.status >= 400);
      assert.equal(await body("/kept"), "kept");
    });
  });

  it("an ACL may be changed, and a bucket with something locked is not deleted", async () => {
    await freshBucket({ lock: days(1) });
    await ok(put("/kept", "kept"));
    await ok(send("PUT", "/kept", { query: { acl: undefined }, headers: { "x-cos-acl": "public-read" } }));
    assertRefused(await server.send({ method: "DELETE", bucket }), "BucketNotEmpty");
    await server.cosbox.clock.advance(DAY_MS + 1000);
    await ok(send("DELETE", "/kept"));
    await ok(server.send({ method: "DELETE", bucket }));
  });

  describe("ObjectLocked: with versions each of them is locked by itself", () => {
    it("new versions and delete markers come on top; the locked one stays until its day", async () => {
      await freshBucket({ lock: "", versioning: "Enabled" });
      const first = (await ok(put("/a", "first"))).headers["x-cos-version-id"] as string;
      await ok(retain("/a", now() + DAY_MS));
      const second = (await ok(put("/a", "second"))).headers["x-cos-version-id"] as string;
      await ok(send("DELETE", "/a"));
      const byVersion = (versionId: string) => send("DELETE", "/a", { query: { versionId } });
      assertRefused(await byVersion(first), "ObjectLocked");
      await ok(byVersion(second));
      const doomed = `<Delete><Object><Key>a</Key><VersionId>${first}</VersionId></Object></Delete>`;
      const many = await ok(
        server.send({
          method: "POST",
          bucket,
          query: { delete: undefined },
          body: doomed,
          headers: { "Content-MD5": contentMd5(doomed) },
        }),
      );
      assert.deepEqual(many.elements("Code"), ["ObjectLocked"]);
      const tags = { query: { tagging: undefined, versionId: first } };
      assertRefused(await send("DELETE", "/a", tags), "ObjectLocked");
      assert.equal((await send("GET", "/a", { query: { versionId: first } })).text, "first");
      const told = await ok(send("GET", "/a", { query: { retention: undefined, versionId: first } }));
      assert.equal(told.element("Mode"), "COMPLIANCE");
      await server.cosbox.clock.advance(DAY_MS + 1000);
      await ok(byVersion(first));
    });

    it("the null version of before is not replaced, where it would be", async () => {
      await freshBucket({ lock: "" });
      await ok(put("/a", "null version"));
      await ok(retain("/a", now() + DAY_MS));
      await ok(setVersioning(server, "Enabled", bucket));
      await ok(put("/a", "another"));
      assertRefused(await send("DELETE", "/a", { query: { versionId: "null" } }), "ObjectLocked");
      assert.equal((await send("GET", "/a", { query: { versionId: "null" } })).text, "null version");
    });

    it("InvalidBucketState: versioning is not suspended any more, and a suspended bucket is not locked", async () => {
      await freshBucket({ lock: "", versioning: "Enabled" });
      assertRefused(await setVersioning(server, "Suspended", bucket), "InvalidBucketState", { message: /versioning/ });
      await freshBucket({ versioning: "Suspended" });
      assertRefused(await lock(""), "InvalidBucketState", { message: /versioning/ });
      await freshBucket();
      await ok(server.send({ method: "PUT", bucket, query: { intelligenttiering: undefined }, body: TIERING }));
      assertRefused(await lock(""), "InvalidBucketState", { message: /tiering/ });
      await freshBucket({ lock: "" });
      const tiering = await server.send({
        method: "PUT",
        bucket,
        query: { intelligenttiering: undefined },
        body: TIERING,
      });
      assertRefused(tiering, "InvalidBucketState", { message: /lock/ });
    });
  });

  describe("of a bucket by default", () => {
    it("is told as it was set, may be changed and taken away, and never disabled", async () => {
      await freshBucket();
      const get = () => server.send({ bucket, query: { "object-lock": undefined } });
      for (const rule of [days(30), days(1), ""]) {
        await ok(lock(rule));
        assert.equal((await ok(get())).text, `<?xml version='1.0' encoding='utf-8' ?>\n${lockDocument(rule)}`);
      }
      assert.equal((await server.send({ method: "DELETE", bucket, query: { "object-lock": undefined } })).status, 405);
    });

    it("locks what is stored from then on, in every way, and nothing else", async () => {
      await freshBucket();
      await ok(put("/before", "x"));
      await ok(lock(days(2)));
      await ok(put("/put", "x"));
      await ok(
        send("PUT", "/copy", { headers: { "x-cos-copy-source": `${bucket}.cos.ap-guangzhou.myqcloud.com/before` } }),
      );
      await ok(send("POST", "/log", { query: { append: undefined, position: 0 }, body: "x" }));
      await ok((DESTROYING["the completion of an upload"] as (path: string) => Promise<Received>)("/parts"));
      for (const path of ["/put", "/copy", "/log", "/parts"]) {
        const head = await ok(send("HEAD", path));
        assert.equal(head.headers[MODE], "COMPLIANCE", path);
        const until = Date.parse(head.headers[UNTIL] as string);
        assert.ok(Math.abs(until - now() - 2 * DAY_MS) < 60_000, path);
        assertRefused(await send("DELETE", path), "ObjectLocked");
      }
      assert.equal((await send("HEAD", "/before")).headers[MODE], undefined);
      await ok(send("DELETE", "/before"));
      // The default may change; what is locked stays so.
      await ok(lock(""));
      assertRefused(await send("DELETE", "/put"), "ObjectLocked");
      await ok(put("/after", "x"));
      await ok(send("DELETE", "/after"));
    });

    it("InvalidLockedTime: days that may not be, dates in the past, and dates before the present one", async () => {
      await freshBucket({ lock: "" });
      for (const count of [0, -1, 36_501, 10_000_000]) assertRefused(await lock(days(count)), "InvalidLockedTime");
      await ok(put("/a", "x"));
      assertRefused(await retain("/a", now() - 1000), "InvalidLockedTime");
      await ok(retain("/a", now() + 2 * DAY_MS));
      assertRefused(await retain("/a", now() + DAY_MS), "InvalidLockedTime");
      await ok(retain("/a", now() + 3 * DAY_MS));
      assertRefused(await retain("/a", now() + 40_000 * DAY_MS), "InvalidLockedTime");
      const past = { [MODE]: "COMPLIANCE", [UNTIL]: new Date(now() - 1000).toISOString() };
      assertRefused(await put("/b", "x", past), "InvalidLockedTime");
    });

    it("MalformedXML: what is no such document; NotImplemented: the mode GOVERNANCE", async () => {
      await freshBucket({ lock: "" });
      for (const bad of [
        "<ObjectLockConfiguration></ObjectLockConfiguration>",
        lockDocument("<Rule></Rule>"),
        lockDocument(days("x")),
        lockDocument(days(1) + days(1)),
        lockDocument(days(1)).replace("Enabled<", "Disabled<"),
      ]) {
        const answer = await server.send({ method: "PUT", bucket, query: { "object-lock": undefined }, body: bad });
        assertRefused(answer, "MalformedXML", { message: /./ });
      }
      assertRefused(await lock(days(1, "<Mode>GOVERNANCE</Mode>")), "NotImplemented", { message: /GOVERNANCE/ });
      await ok(put("/a", "x"));
      const governed = await send("PUT", "/a", {
        query: { retention: undefined },
        body: retention(now() + DAY_MS, "GOVERNANCE"),
      });
      assertRefused(governed, "NotImplemented", { message: /GOVERNANCE/ });
    });
  });

  it("NoSuchObjectLockConfiguration: a bucket that never had one, an object that is not locked", async () => {
    await freshBucket();
    assertRefused(await server.send({ bucket, query: { "object-lock": undefined } }), "NoSuchObjectLockConfiguration");
    await ok(put("/a", "x"));
    assertRefused(await send("GET", "/a", { query: { retention: undefined } }), "NoSuchObjectLockConfiguration");
    assertRefused(await send("GET", "/none", { query: { retention: undefined } }), "NoSuchKey");
  });

  describe("by headers", () => {
    const headersFor = (ms: number) => ({ [MODE]: "COMPLIANCE", [UNTIL]: new Date(ms).toISOString() });

    it("locks what PUT, copy, append and an upload in parts store", async () => {
      await freshBucket({ lock: "" });
      const headers = headersFor(now() + DAY_MS);
      await ok(put("/source", "x"));
      await ok(put("/put", "x", headers));
      const source = { "x-cos-copy-source": `${bucket}.cos.ap-guangzhou.myqcloud.com/source` };
      await ok(send("PUT", "/copy", { headers: { ...source, ...headers } }));
      await ok(send("POST", "/log", { query: { append: undefined, position: 0 }, body: "x", headers }));
      const there = { ...server, send: (request: Sent) => server.send({ bucket, ...request }) };
      const uploadId = await begin(there, "parts", headers);
      const part = await ok(send("PUT", "/parts", { query: { partNumber: 1, uploadId }, body: "part" }));
      await ok(complete(there, "parts", uploadId, [[1, (part.headers.etag as string).replaceAll('"', "")]]));
      for (const path of ["/put", "/copy", "/log", "/parts"]) {
        assert.equal((await send("HEAD", path)).headers[UNTIL], headers[UNTIL], path);
        assertRefused(await send("DELETE", path), "ObjectLocked");
      }
      // An upload that is not complete is not locked.
      const open = await begin(there, "open", headers);
      await ok(send("DELETE", "/open", { query: { uploadId: open } }));
    });

    it("leaves an upload whose lock ended before its completion to the bucket's default", async () => {
      await freshBucket({ lock: days(1) });
      const there = { ...server, send: (request: Sent) => server.send({ bucket, ...request }) };
      const uploadId = await begin(there, "parts", headersFor(now() + 60_000));
      const part = await ok(send("PUT", "/parts", { query: { partNumber: 1, uploadId }, body: "part" }));
      await server.cosbox.clock.advance(120_000);
      await ok(complete(there, "parts", uploadId, [[1, (part.headers.etag as string).replaceAll('"', "")]]));
      const until = Date.parse((await send("HEAD", "/parts")).headers[UNTIL] as string);
      assert.ok(until > now() + DAY_MS / 2, new Date(until).toISOString());
      assertRefused(await send("DELETE", "/parts"), "ObjectLocked");
    });

    it("InvalidRequest: an append to an object that is there, which would not be locked", async () => {
      await freshBucket({ lock: "" });
      const append = (position: number, headers = {}): Promise<Received> =>
        send("POST", "/log", { query: { append: undefined, position }, body: "x", headers });
      await ok(append(0));
      const late = await append(1, headersFor(now() + DAY_MS));
      assertRefused(late, "InvalidRequest", { message: /the append that makes an object/ });
      assert.equal(await body("/log"), "x");
      await ok(append(1));
    });

    it("InvalidRequest: where the bucket has no lock", async () => {
      await freshBucket();
      assertRefused(await put("/a", "x", headersFor(now() + DAY_MS)), "InvalidRequest", { message: /no object lock/ });
      await ok(put("/a", "x"));
      assertRefused(await retain("/a", now() + DAY_MS), "InvalidRequest", { message: /no object lock/ });
    });

    it("InvalidArgument: one without the other, a date that is none, and where nothing is stored", async () => {
      await freshBucket({ lock: "" });
      const headers = headersFor(now() + DAY_MS);
      for (const bad of [
        { [MODE]: "COMPLIANCE" },
        { [UNTIL]: headers[UNTIL] as string },
        { ...headers, [MODE]: "SOFT" },
        { ...headers, [UNTIL]: "soon" },
      ]) {
        assertRefused(await put("/a", "x", bad), "InvalidArgument", { message: /./ });
      }
      assertRefused(await send("GET", "/a", { headers }), "InvalidArgument", { message: /does not take the header/ });
    });
  });

  describe("of the first generation", () => {
    let first: TestServer;
    beforeAll(async () => {
      first = await testServer({ limits: { objectLockGeneration: 1 } });
    });
    afterAll(() => first.stop());

    it("BucketLocked: it takes no lifecycle rules; the days only grow; every object is locked, older ones too", async () => {
      const ask = (request: Sent) => first.send(request);
      const set = (rule: string) =>
        ask({ method: "PUT", query: { "object-lock": undefined }, body: lockDocument(rule) });
      await ask({ method: "PUT", path: "/older", body: "x" });
      assertRefused(await set(""), "MalformedXML", { message: /Rule/ });
      await ok(set(days(10, "")));
      assertRefused(await ask({ method: "DELETE", path: "/older" }), "ObjectLocked");
      assertRefused(await ask({ method: "PUT", path: "/older", body: "y" }), "ObjectLocked");
      assertRefused(await set(days(9, "")), "InvalidLockedTime");
      await ok(set(days(11, "")));
      const told = await ok(ask({ path: "/older", query: { retention: undefined } }));
      assert.equal(told.element("Mode"), undefined);
      const until = Date.parse(told.element("RetainUntilDate") ?? "");
      assert.ok(Math.abs(until - Date.now() - 11 * DAY_MS) < 60_000);
      const later = retention(Date.now() + 20 * DAY_MS);
      const own = await ask({ method: "PUT", path: "/older", query: { retention: undefined }, body: later });
      assertRefused(own, "InvalidRequest", { message: /rule alone/ });
      assertRefused(await setVersioning(first, "Enabled"), "InvalidBucketState", { message: /versioning/ });
      const rules =
        "<LifecycleConfiguration><Rule><ID>a</ID><Filter><Prefix/></Filter><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>";
      assertRefused(await ask({ method: "PUT", query: { lifecycle: undefined }, body: rules }), "BucketLocked");
      const headers = { "x-amz-bucket-object-lock-enabled": "true" };
      const born = await s3Client(first).send({ method: "PUT", bucket: "born-1250000000", headers });
      assert.deepEqual([born.status, born.element("Code")], [501, "NotImplemented"]);
      await first.cosbox.clock.advance(12 * DAY_MS);
      await ok(ask({ method: "DELETE", path: "/older" }));
    });
  });

  it("sec_S-10.2: no sequence of calls brings the end of a retention forward (CLDSRV-480, S3C-4245)", async () => {
    await freshBucket({ lock: "" });
    const step = fc.record({
      call: fc.constantFrom("retain", "default", "tag", "acl", "overwrite", "delete"),
      days: fc.integer({ min: -3, max: 40 }),
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        const path = `/p${++run}`;
        await ok(lock(""));
        await ok(put(path, "kept"));
        await ok(retain(path, now() + 5 * DAY_MS));
        let end = 0;
        for (const { call, days: count } of steps) {
          if (call === "retain") await retain(path, now() + count * DAY_MS);
          if (call === "default") await lock(days(count));
          if (call === "tag") await (DESTROYING["PUT of its tags"] as (path: string) => Promise<Received>)(path);
          if (call === "acl")
            await send("PUT", path, { query: { acl: undefined }, headers: { "x-cos-acl": "private" } });
          if (call === "overwrite") await put(path, "other");
          if (call === "delete") await send("DELETE", path);
          const told = await ok(send("GET", path, { query: { retention: undefined } }));
          const until = Date.parse(told.element("RetainUntilDate") ?? "");
          assert.ok(until >= end, `${call} ${count}`);
          end = until;
        }
        assert.equal(await body(path), "kept");
      }),
      { numRuns: 20 },
    );
  });

  it("a lifecycle rule leaves what is locked alone until its day has come", async () => {
    await freshBucket({ lock: days(10) });
    await ok(put("/kept", "kept"));
    await lock("");
    await ok(put("/free", "free"));
    const rules =
      "<LifecycleConfiguration><Rule><ID>a</ID><Filter><Prefix/></Filter><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>";
    await ok(server.send({ method: "PUT", bucket, query: { lifecycle: undefined }, body: rules }));
    await server.cosbox.clock.advance(5 * DAY_MS);
    assert.deepEqual([(await send("HEAD", "/kept")).status, (await send("HEAD", "/free")).status], [200, 404]);
    await server.cosbox.clock.advance(10 * DAY_MS);
    assert.equal((await send("HEAD", "/kept")).status, 404);
  });

  it("a reset keeps everything while something is locked, unless it is forced", async () => {
    const own = await testServer();
    try {
      await ok(own.send({ method: "PUT", query: { "object-lock": undefined }, body: lockDocument(days(1)) }));
      await ok(own.send({ method: "PUT", path: "/kept", body: "x" }));
      await assert.rejects(own.cosbox.reset(), { name: "LockedObjects" });
      assert.equal((await own.send({ path: "/kept" })).text, "x");
      await own.cosbox.reset({ force: true });
      assert.equal((await own.send({ bucket: "" })).elements("Name").length, 0);
    } finally {
      await own.stop();
    }
  });

  it("speaks to S3 clients in S3's words", async () => {
    const there = await freshBucket();
    const ask = (request: Parameters<S3Client["send"]>[0]) => s3.send({ bucket: there, ...request });
    const none = await ask({ query: { "object-lock": "" } });
    assert.deepEqual([none.status, none.element("Code")], [404, "ObjectLockConfigurationNotFoundError"]);
    const years =
      '<ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Years>1</Years></DefaultRetention></Rule></ObjectLockConfiguration>';
    await ok(ask({ method: "PUT", query: { "object-lock": "" }, body: years }));
    assert.equal((await ask({ query: { "object-lock": "" } })).element("Days"), "365");
    const until = new Date(now() + 400 * DAY_MS).toISOString();
    const headers = { "x-amz-object-lock-mode": "COMPLIANCE", "x-amz-object-lock-retain-until-date": until };
    await ok(ask({ method: "PUT", path: "/a", body: "x", headers }));
    const head = await ask({ method: "HEAD", path: "/a" });
    assert.deepEqual(
      [head.headers["x-amz-object-lock-mode"], head.headers["x-amz-object-lock-retain-until-date"]],
      ["COMPLIANCE", until],
    );
    await ok(ask({ method: "PUT", bucket: server.bucket, path: "/never-locked", body: "x" }));
    const free = await ask({ bucket: server.bucket, path: "/never-locked", query: { retention: "" } });
    assert.deepEqual([free.status, free.element("Code")], [404, "NoSuchObjectLockConfiguration"]);
    const refused = await ask({ method: "DELETE", path: "/a" });
    assert.deepEqual([refused.status, refused.element("Code")], [403, "AccessDenied"]);
    assert.equal((await ask({ path: "/a", query: { retention: "" } })).element("RetainUntilDate"), until);
    const held = await ask({ method: "PUT", path: "/b", body: "x", headers: { "x-amz-object-lock-legal-hold": "ON" } });
    assert.equal(held.status, 501);
  });

  it("is enabled by S3 clients with the bucket, together with its versions and its ACL", async () => {
    const bucket = "born-locked-1250000000";
    const headers = { "x-amz-bucket-object-lock-enabled": "True", "x-amz-grant-read": 'id="100000000099"' };
    await ok(s3.send({ method: "PUT", bucket, headers }));
    const lock = await ok(s3.send({ bucket, query: { "object-lock": "" } }));
    assert.deepEqual([lock.element("ObjectLockEnabled"), lock.element("Rule")], ["Enabled", undefined]);
    assert.equal((await s3.send({ bucket, query: { versioning: "" } })).element("Status"), "Enabled");
    assert.match((await s3.send({ bucket, query: { acl: "" } })).text, /100000000099/);
    const until = {
      "x-amz-object-lock-mode": "COMPLIANCE",
      "x-amz-object-lock-retain-until-date": "2099-01-01T00:00:00Z",
    };
    const put = await ok(s3.send({ method: "PUT", bucket, path: "/a", body: "x", headers: until }));
    const versionId = String(put.headers["x-amz-version-id"]);
    assert.equal((await s3.send({ method: "DELETE", bucket, path: "/a", query: { versionId } })).status, 403);
    const plain = { "x-amz-bucket-object-lock-enabled": "false" };
    await ok(s3.send({ method: "PUT", bucket: "born-open-1250000000", headers: plain }));
    assert.equal((await s3.send({ bucket: "born-open-1250000000", query: { "object-lock": "" } })).status, 404);
    const bad = await s3.send({
      method: "PUT",
      bucket: "born-bad-1250000000",
      headers: { ...plain, "x-amz-bucket-object-lock-enabled": "maybe" },
    });
    assert.deepEqual([bad.status, bad.element("Code")], [400, "InvalidArgument"]);
  });
});
