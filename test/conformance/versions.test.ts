import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { assertRefused, assertRefusedHead } from "../fixtures/refusal.ts";
import { contentMd5, type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { linesOf, setVersioning, versionedBucket } from "../fixtures/versioning.ts";

const VERSION_ID = /^MTg0[A-Za-z0-9+/]{23}$/;
/** In the service's form, and of no version. */
const UNKNOWN = "MTg0NDUxMzY2NDIxNTAwOTk4NzA";

describe("versions of objects", () => {
  let server: TestServer;
  let bucket: string;
  let serial = 0;
  beforeAll(async () => {
    server = await testServer({ limits: { partBytesMin: 1 } });
    bucket = await versionedBucket(server, "kept");
  });
  afterAll(() => server.stop());

  const fresh = () => `/key-${++serial}`;
  const send = (method: string, path: string, more: Sent = {}) => server.send({ method, bucket, path, ...more });
  const put = (path: string, body: string, more: Sent = {}) => send("PUT", path, { body, ...more });
  const idOf = (answer: Received) => String(answer.headers["x-cos-version-id"]);
  const versions = async (path: string, where = bucket) =>
    linesOf(await server.send({ bucket: where, query: { versions: undefined, prefix: path.slice(1) } })).map((line) =>
      line.replace(`${path.slice(1)} `, ""),
    );

  describe("PutObject", () => {
    it("tells the id of the version it has made, each greater in time and none alike", async () => {
      const path = fresh();
      const made = [];
      for (const body of ["one", "two", "three"]) made.push(idOf(await put(path, body)));
      for (const id of made) assert.match(id, VERSION_ID);
      assert.deepEqual(made.toSorted().reverse(), made, "newer ones sort first");
      assert.deepEqual(await versions(path), [`${made[2]} latest 5`, `${made[1]} 3`, `${made[0]} 3`]);
    });

    it("tells none where versioning was never configured, and null while it is suspended", async () => {
      const plain = await server.send({ method: "PUT", path: "/plain", body: "x" });
      assert.equal(plain.headers["x-cos-version-id"], undefined);
      const suspended = await versionedBucket(server, "suspended", "Suspended");
      const answer = await put("/k", "x", { bucket: suspended });
      assert.equal(answer.headers["x-cos-version-id"], "null");
      await put("/k", "second", { bucket: suspended });
      assert.deepEqual(await versions("/k", suspended), ["null latest 6"]);
    });

    it("replaces the null version alone while versioning is suspended", async () => {
      const where = await versionedBucket(server, "paused");
      const id = idOf(await put("/k", "kept", { bucket: where }));
      await setVersioning(server, "Suspended", where);
      await put("/k", "first", { bucket: where });
      await put("/k", "second", { bucket: where });
      assert.deepEqual(await versions("/k", where), ["null latest 6", `${id} 4`]);
      await setVersioning(server, "Enabled", where);
      const last = idOf(await put("/k", "l", { bucket: where }));
      assert.deepEqual(await versions("/k", where), [`${last} latest 1`, "null 6", `${id} 4`]);
      assert.equal((await send("GET", "/k", { bucket: where, query: { versionId: "null" } })).text, "second");
    });

    it("InvalidArgument: a version, since a write makes its own", async () => {
      assertRefused(await put(fresh(), "x", { query: { versionId: "null" } }), "InvalidArgument", {
        message: "The operation takes no versionId.",
      });
    });
  });

  describe("GetObject and HeadObject", () => {
    it("answer with the version that is named, and with the newest without one", async () => {
      const path = fresh();
      const old = idOf(await put(path, "old bytes", { headers: { "x-cos-meta-note": "old" } }));
      const last = idOf(await put(path, "new"));
      for (const [query, id, body] of [
        [{}, last, "new"],
        [{ versionId: "" }, last, "new"],
        [{ versionId: last }, last, "new"],
        [{ versionId: old }, old, "old bytes"],
        [{ VersionId: old }, old, "old bytes"],
        [{ versionid: old }, old, "old bytes"],
      ] as const) {
        const got = await send("GET", path, { query });
        assert.deepEqual([got.status, got.text, idOf(got)], [200, body, id]);
        assert.equal(got.headers["x-cos-meta-note"], body === "new" ? undefined : "old");
        const head = await send("HEAD", path, { query });
        assert.deepEqual([head.status, head.headers["content-length"], idOf(head)], [200, `${body.length}`, id]);
      }
      const part = await send("GET", path, { query: { versionId: old }, headers: { range: "bytes=4-" } });
      assert.deepEqual([part.status, part.text], [206, "bytes"]);
      const unchanged = await send("GET", path, {
        query: { versionId: old },
        headers: { "if-none-match": String(part.headers.etag) },
      });
      assert.equal(unchanged.status, 304);
    });

    it("show an object of before as version null, and no id where there are no versions", async () => {
      const where = "before-1250000000";
      await server.send({ method: "PUT", bucket: where });
      await put("/k", "before", { bucket: where });
      assert.equal((await send("GET", "/k", { bucket: where })).headers["x-cos-version-id"], undefined);
      assert.equal((await send("GET", "/k", { bucket: where, query: { versionId: "null" } })).text, "before");
      await setVersioning(server, "Enabled", where);
      assert.equal((await send("HEAD", "/k", { bucket: where })).headers["x-cos-version-id"], "null");
    });

    it("NoSuchVersion: an id of no version, of another key, or of no form", async () => {
      const path = fresh();
      const other = idOf(await put(fresh(), "other"));
      await put(path, "x");
      for (const versionId of [UNKNOWN, other, "null", "x", "M".repeat(5_000)]) {
        assertRefused(await send("GET", path, { query: { versionId } }), "NoSuchVersion");
        assertRefusedHead(await send("HEAD", path, { query: { versionId } }), "NoSuchVersion");
        assertRefused(await send("GET", "/never", { query: { versionId } }), "NoSuchVersion");
      }
      const plain = await server.send({ path: "/never", query: { versionId: "null" } });
      assertRefused(plain, "NoSuchVersion");
    });

    it("NoSuchKey: a key whose newest version is a delete marker, which the headers tell", async () => {
      const path = fresh();
      const old = idOf(await put(path, "old"));
      const marker = idOf(await send("DELETE", path));
      for (const method of ["GET", "HEAD"]) {
        const answer = await send(method, path);
        if (method === "GET") assertRefused(answer, "NoSuchKey");
        else assertRefusedHead(answer, "NoSuchKey");
        assert.deepEqual([answer.headers["x-cos-delete-marker"], idOf(answer)], ["true", marker]);
      }
      assert.equal((await send("GET", path, { query: { versionId: old } })).text, "old");
      const never = await send("GET", "/never-was");
      assertRefused(never, "NoSuchKey");
      assert.equal(never.headers["x-cos-delete-marker"], undefined);
    });

    it("MethodNotAllowed: the version of a delete marker", async () => {
      const path = fresh();
      const versionId = idOf(await send("DELETE", path));
      const answer = await send("GET", path, { query: { versionId } });
      assertRefused(answer, "MethodNotAllowed", {
        message: "The version is a delete marker, which can only be deleted.",
      });
      assert.deepEqual(
        [answer.headers["x-cos-delete-marker"], answer.headers.allow, idOf(answer)],
        ["true", "DELETE", versionId],
      );
      const [listed = ""] = (
        await send("GET", "/", { query: { versions: undefined, prefix: path.slice(1) } })
      ).elements("LastModified");
      assert.equal(Date.parse(String(answer.headers["last-modified"])), Math.floor(Date.parse(listed) / 1000) * 1000);
      assertRefusedHead(await send("HEAD", path, { query: { versionId } }), "MethodNotAllowed");
    });

    it("InvalidArgument: two versions at once", async () => {
      const path = fresh();
      await put(path, "x");
      const answer = await server.send({
        bucket,
        path,
        target: `${path}?versionId=null&versionId=${UNKNOWN}`,
        query: { versionId: "null" },
        sign: false,
      });
      assertRefused(answer, "InvalidArgument", { message: "The argument versionId is given more than once." });
    });
  });

  describe("DeleteObject", () => {
    it("adds a delete marker, also where there is none or nothing", async () => {
      const path = fresh();
      const id = idOf(await put(path, "x"));
      const markers = [];
      for (let times = 0; times < 2; times++) {
        const answer = await send("DELETE", path);
        assert.deepEqual([answer.status, answer.headers["x-cos-delete-marker"]], [204, "true"]);
        markers.push(idOf(answer));
      }
      assert.deepEqual(await versions(path), [`${markers[1]} latest marker`, `${markers[0]} marker`, `${id} 1`]);
      const never = fresh();
      assert.match(idOf(await send("DELETE", never)), VERSION_ID);
      assert.equal((await versions(never)).length, 1);
      assert.ok(!(await server.send({ bucket })).elements("Key").includes(path.slice(1)), "LIST shows neither");
    });

    it("removes a version for good, and the one before is current again", async () => {
      const path = fresh();
      const first = idOf(await put(path, "first"));
      const second = idOf(await put(path, "second"));
      const marker = idOf(await send("DELETE", path));
      const unmarked = await send("DELETE", path, { query: { versionId: marker } });
      assert.deepEqual(
        [unmarked.status, unmarked.headers["x-cos-delete-marker"], idOf(unmarked)],
        [204, "true", marker],
      );
      assert.equal((await send("GET", path)).text, "second");
      const removed = await send("DELETE", path, { query: { versionId: second } });
      assert.deepEqual(
        [removed.status, removed.headers["x-cos-delete-marker"], idOf(removed)],
        [204, undefined, second],
      );
      assert.equal((await send("GET", path)).text, "first");
      await send("DELETE", path, { query: { versionId: first } });
      assert.deepEqual(await versions(path), []);
      assertRefused(await send("GET", path), "NoSuchKey");
    });

    it("puts a null marker in place of the null version while versioning is suspended", async () => {
      const where = await versionedBucket(server, "halted");
      const id = idOf(await put("/k", "kept", { bucket: where }));
      await setVersioning(server, "Suspended", where);
      await put("/k", "replaced", { bucket: where });
      const answer = await send("DELETE", "/k", { bucket: where });
      assert.deepEqual([answer.headers["x-cos-delete-marker"], idOf(answer)], ["true", "null"]);
      assert.deepEqual(await versions("/k", where), ["null latest marker", `${id} 4`]);
      await send("DELETE", "/k", { bucket: where, query: { versionId: "null" } });
      assert.equal((await send("GET", "/k", { bucket: where })).text, "kept");
    });

    it("NoSuchVersion: an id of no version; but without versions, null is the object itself", async () => {
      const path = fresh();
      await put(path, "x");
      for (const versionId of [UNKNOWN, "null", "x"]) {
        assertRefused(await send("DELETE", path, { query: { versionId } }), "NoSuchVersion");
      }
      assert.equal((await send("GET", path)).text, "x");
      await server.send({ method: "PUT", path: "/plain", body: "x" });
      assertRefused(
        await server.send({ method: "DELETE", path: "/plain", query: { versionId: UNKNOWN } }),
        "NoSuchVersion",
      );
      for (let times = 0; times < 2; times++) {
        const answer = await server.send({ method: "DELETE", path: "/plain", query: { versionId: "null" } });
        assert.equal(answer.status, 204);
      }
      assertRefused(await server.send({ path: "/plain" }), "NoSuchKey");
    });
  });

  describe("DeleteMultipleObjects", () => {
    const remove = (body: string, where = bucket) =>
      server.send({
        method: "POST",
        bucket: where,
        query: { delete: undefined },
        body,
        headers: { "content-md5": contentMd5(body) },
      });
    const named = (path: string, id?: string) =>
      `<Object><Key>${path.slice(1)}</Key>${id === undefined ? "" : `<VersionId>${id}</VersionId>`}</Object>`;

    it("tells of markers that were added, of versions and of markers that were removed, in the order asked", async () => {
      const [one, two, three] = [fresh(), fresh(), fresh()];
      const id = idOf(await put(one, "1"));
      await put(two, "2");
      const marker = idOf(await send("DELETE", three));
      const answer = await remove(
        `<Delete>${named(one, id)}${named(two)}${named(three, marker)}${named(three, UNKNOWN)}</Delete>`,
      );
      const added = (await versions(two))[0]?.split(" ")[0];
      assert.equal(
        answer.text.split("\n")[1],
        `<DeleteResult><Deleted><Key>${one.slice(1)}</Key><VersionId>${id}</VersionId></Deleted>` +
          `<Deleted><Key>${two.slice(1)}</Key><DeleteMarker>true</DeleteMarker>` +
          `<DeleteMarkerVersionId>${added}</DeleteMarkerVersionId></Deleted>` +
          `<Deleted><Key>${three.slice(1)}</Key><DeleteMarker>true</DeleteMarker>` +
          `<DeleteMarkerVersionId>${marker}</DeleteMarkerVersionId><VersionId>${marker}</VersionId></Deleted>` +
          `<Error><Key>${three.slice(1)}</Key><VersionId>${UNKNOWN}</VersionId><Code>NoSuchVersion</Code>` +
          "<Message>The specified version does not exist.</Message></Error></DeleteResult>",
      );
      const quiet = await remove(`<Delete><Quiet>true</Quiet>${named(two, added)}${named(two, UNKNOWN)}</Delete>`);
      assert.deepEqual(quiet.elements("Code"), ["NoSuchVersion"]);
      assert.doesNotMatch(quiet.text, /<Deleted>/);
    });

    it("empties a bucket of hundreds of versions of few keys, page by page, until it can be deleted", async () => {
      const where = await versionedBucket(server, "crowded");
      for (let at = 0; at < 240; at++) await put(`/k${at % 3}`, "x".repeat(at), { bucket: where });
      for (let at = 0; at < 3; at++) await send("DELETE", `/k${at}`, { bucket: where });
      assertRefused(await server.send({ method: "DELETE", bucket: where }), "BucketNotEmpty");
      let markers: Sent["query"] = {};
      let removed = 0;
      for (;;) {
        const page = await server.send({ bucket: where, query: { versions: undefined, "max-keys": 100, ...markers } });
        const lines = linesOf(page).map((line) => line.split(" "));
        const answer = await remove(
          `<Delete>${lines.map(([key, id]) => named(`/${key}`, id)).join("")}</Delete>`,
          where,
        );
        assert.deepEqual(answer.elements("Code"), []);
        removed += answer.elements("VersionId").length;
        if (page.element("IsTruncated") === "false") break;
        markers = {
          "key-marker": page.element("NextKeyMarker"),
          "version-id-marker": page.element("NextVersionIdMarker"),
        };
      }
      assert.equal(removed, 243);
      assert.equal((await server.send({ method: "DELETE", bucket: where })).status, 204);
    });
  });

  describe("PutObjectCopy and UploadPartCopy", () => {
    const copy = (path: string, source: string, more: Sent = {}) =>
      send("PUT", path, { ...more, headers: { "x-cos-copy-source": `${bucket}${source}`, ...more.headers } });

    it("take the version that is named, and tell both", async () => {
      const [from, to] = [fresh(), fresh()];
      const old = idOf(await put(from, "old", { headers: { "x-cos-meta-a": "1" } }));
      await put(from, "new");
      const answer = await copy(to, `${from}?versionId=${old}`);
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.headers["x-cos-copy-source-version-id"], old);
      assert.equal(answer.element("VersionId"), idOf(answer));
      const got = await send("GET", to);
      assert.deepEqual([got.text, got.headers["x-cos-meta-a"], idOf(got)], ["old", "1", idOf(answer)]);

      const begun = await send("POST", to, { query: { uploads: undefined } });
      const uploadId = begun.element("UploadId");
      const part = await copy(to, `${from}?versionId=${old}`, { query: { partNumber: 1, uploadId } });
      assert.equal(part.headers["x-cos-copy-source-version-id"], old);
      const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.element("ETag")}</ETag></Part></CompleteMultipartUpload>`;
      const done = await send("POST", to, { query: { uploadId }, body });
      assert.match(idOf(done), VERSION_ID);
      assert.equal((await send("GET", to, { query: { versionId: idOf(done) } })).text, "old");
      assert.equal((await versions(to)).length, 2);
    });

    it("bring a version back by copying it onto its own key", async () => {
      const path = fresh();
      const old = idOf(await put(path, "old"));
      await put(path, "new");
      assertRefused(await copy(path, path), "InvalidRequest", { message: /onto itself/ });
      assert.equal((await copy(path, `${path}?versionId=${old}`)).status, 200);
      assert.equal((await send("GET", path)).text, "old");
      assert.equal((await versions(path)).length, 3);
    });

    it("NoSuchCopySource: a version that is not there, or a key that was deleted", async () => {
      const path = fresh();
      await put(path, "x");
      assertRefused(await copy(fresh(), `${path}?versionId=${UNKNOWN}`), "NoSuchCopySource");
      await send("DELETE", path);
      assertRefused(await copy(fresh(), path), "NoSuchCopySource");
    });

    it("InvalidCopySource: a version that is a delete marker", async () => {
      const path = fresh();
      const marker = idOf(await send("DELETE", path));
      assertRefused(await copy(fresh(), `${path}?versionId=${marker}`), "InvalidCopySource", {
        message: /delete marker/,
      });
    });
  });

  describe("CompleteMultipartUpload", () => {
    it("makes a version, null while versioning is suspended", async () => {
      const complete = async (where: string) => {
        const begun = await send("POST", "/whole", { bucket: where, query: { uploads: undefined } });
        const uploadId = begun.element("UploadId");
        const part = await put("/whole", "part", { bucket: where, query: { partNumber: 1, uploadId } });
        const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${String(part.headers.etag)}</ETag></Part></CompleteMultipartUpload>`;
        return send("POST", "/whole", { bucket: where, query: { uploadId }, body });
      };
      assert.match(idOf(await complete(bucket)), VERSION_ID);
      assert.equal(idOf(await complete(await versionedBucket(server, "resting", "Suspended"))), "null");
      assert.equal((await complete(server.bucket)).headers["x-cos-version-id"], undefined);
    });
  });

  describe("AppendObject", () => {
    const append = (path: string, position: number, body: string) =>
      send("POST", path, { query: { append: undefined, position }, body });

    it("makes no versions: the object is version null and grows in place", async () => {
      const path = fresh();
      assert.equal((await append(path, 0, "one")).status, 200);
      assert.equal((await append(path, 3, "two")).status, 200);
      assert.deepEqual(await versions(path), ["null latest 6"]);
      const id = idOf(await put(path, "over"));
      assert.deepEqual(await versions(path), [`${id} latest 4`, "null 6"]);
      assert.equal((await send("GET", path, { query: { versionId: "null" } })).text, "onetwo");
    });

    it("ObjectNotAppendable: where it would take the place of an older null version", async () => {
      const path = fresh();
      await append(path, 0, "kept");
      await send("DELETE", path);
      assertRefused(await append(path, 0, "x"), "ObjectNotAppendable");
      assert.equal((await send("GET", path, { query: { versionId: "null" } })).text, "kept");
    });
  });
});
