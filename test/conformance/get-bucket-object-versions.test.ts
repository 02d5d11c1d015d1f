import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { STRANGER } from "../fixtures/accounts.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { linesOf, setVersioning, versionedBucket } from "../fixtures/versioning.ts";

describe("GetBucketObjectVersions", () => {
  let server: TestServer;
  let bucket: string;
  let ids: { readonly b1: string; readonly b2: string; readonly marker: string };
  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER] });
    bucket = "versions-1250000000";
    await server.send({ method: "PUT", bucket });
    await server.send({ method: "PUT", bucket, path: "/a", body: "old" });
    await setVersioning(server, "Enabled", bucket);
    const put = async (path: string, body: string) =>
      String((await server.send({ method: "PUT", bucket, path, body })).headers["x-cos-version-id"]);
    const b1 = await put("/b/1", "one");
    const b2 = await put("/b/1", "four");
    const gone = await server.send({ method: "DELETE", bucket, path: "/b/1" });
    ids = { b1, b2, marker: String(gone.headers["x-cos-version-id"]) };
  });
  afterAll(() => server.stop());

  const list = (query: Sent["query"] = {}, more: Sent = {}) =>
    server.send({ bucket, query: { versions: undefined, ...query }, ...more });

  it("shows every version, the newest of a key first, delete markers among them", async () => {
    const answer = await list();
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-type"], "application/xml");
    assert.deepEqual(linesOf(answer), [
      "a null latest 3",
      `b/1 ${ids.marker} latest marker`,
      `b/1 ${ids.b2} 4`,
      `b/1 ${ids.b1} 3`,
    ]);
    const shape = answer.text
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, "TIME")
      .replaceAll(ids.marker, "MARKER")
      .replaceAll(ids.b1, "B1")
      .replaceAll(ids.b2, "B2");
    const owner = "<Owner><ID>1250000000</ID><DisplayName>1250000000</DisplayName></Owner>";
    const head = (key: string, id: string, latest: boolean) =>
      `<Key>${key}</Key><VersionId>${id}</VersionId><IsLatest>${latest}</IsLatest><LastModified>TIME</LastModified>`;
    const facts = (etag: string, size: number) =>
      `<ETag>&quot;${etag}&quot;</ETag><Size>${size}</Size><StorageClass>STANDARD</StorageClass>`;
    assert.equal(
      shape,
      "<?xml version='1.0' encoding='utf-8' ?>\n" +
        `<ListVersionsResult><Name>${bucket}</Name><Prefix/><KeyMarker/>` +
        "<VersionIdMarker/><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>" +
        `<Version>${head("a", "null", true)}${facts("149603e6c03516362a8da23f624db945", 3)}${owner}</Version>` +
        `<DeleteMarker>${head("b/1", "MARKER", true)}${owner}</DeleteMarker>` +
        `<Version>${head("b/1", "B2", false)}${facts("8cbad96aced40b3838dd9f07f6ef5772", 4)}${owner}</Version>` +
        `<Version>${head("b/1", "B1", false)}${facts("f97c5d29941bfb1b2fdab0874906ab82", 3)}${owner}</Version>` +
        "</ListVersionsResult>",
    );
  });

  it("goes on after the markers that a page ends with", async () => {
    const seen: string[] = [];
    let markers: Sent["query"] = {};
    for (let pages = 1; ; pages++) {
      const page = await list({ "max-keys": 1, ...markers });
      seen.push(...linesOf(page));
      if (page.element("IsTruncated") === "false") {
        assert.equal(pages, 4);
        assert.equal(page.element("NextKeyMarker"), undefined);
        break;
      }
      markers = {
        "key-marker": page.element("NextKeyMarker"),
        "version-id-marker": page.element("NextVersionIdMarker"),
      };
    }
    assert.deepEqual(seen, linesOf(await list()));
  });

  it("passes over all versions of a key whose marker stands alone", async () => {
    assert.deepEqual(linesOf(await list({ "key-marker": "a" })), linesOf(await list()).slice(1));
    assert.deepEqual(linesOf(await list({ "key-marker": "b/1", "version-id-marker": "" })), []);
    assert.deepEqual(linesOf(await list({ "key-marker": "b/1", "version-id-marker": ids.marker })).length, 2);
  });

  it("groups keys at a delimiter, and ends a page on a common prefix with an empty version marker", async () => {
    const answer = await list({ delimiter: "/", "max-keys": 2 });
    assert.deepEqual(linesOf(answer), ["a null latest 3"]);
    assert.deepEqual(answer.elements("Prefix"), ["", "b/"]);
    await server.send({ method: "PUT", bucket, path: "/c", body: "last" });
    const cut = await list({ delimiter: "/", "max-keys": 2 });
    assert.deepEqual([cut.element("NextKeyMarker"), cut.element("NextVersionIdMarker")], ["b/", ""]);
    const rest = await list({ delimiter: "/", "key-marker": "b/", "version-id-marker": "" });
    assert.match(linesOf(rest).join(), /^c \S+ latest 4$/);
    await server.send({ method: "DELETE", bucket, path: "/c", query: { versionId: linesOf(rest)[0]?.split(" ")[1] } });
  });

  it("percent-encodes names where it is asked to", async () => {
    const odd = await versionedBucket(server, "odd");
    await server.send({ method: "PUT", bucket: odd, path: "/ключ &<", body: "x" });
    const answer = await server.send({ bucket: odd, query: { versions: undefined, "encoding-type": "url" } });
    assert.deepEqual(
      [answer.element("Key"), answer.element("EncodingType")],
      ["%D0%BA%D0%BB%D1%8E%D1%87%20%26%3C", "url"],
    );
  });

  it("shows a bucket without versions as versions without ids", async () => {
    await server.send({ method: "PUT", path: "/plain", body: "x" });
    const answer = await server.send({ query: { versions: undefined } });
    assert.deepEqual(linesOf(answer), ["plain null latest 1"]);
  });

  it("shows nothing for a prefix or a page of nothing", async () => {
    for (const query of [{ prefix: "none" }, { "max-keys": 0 }]) {
      const answer = await list(query);
      assert.deepEqual([answer.status, linesOf(answer), answer.element("IsTruncated")], [200, [], "false"]);
    }
  });

  it("InvalidArgument: a version marker without a key, or of no form, and page sizes that are none", async () => {
    for (const query of [
      { "version-id-marker": ids.b1 },
      { "key-marker": "b/1", "version-id-marker": "x" },
      { "max-keys": "-1" },
      { "encoding-type": "base64" },
    ]) {
      assertRefused(await list(query), "InvalidArgument", { message: /argument/ });
    }
  });

  it("InvalidDelimiter: two characters", async () => {
    assertRefused(await list({ delimiter: "//" }), "InvalidDelimiter");
  });

  it("NoSuchBucket: a bucket that is not there", async () => {
    assertRefused(await list({}, { bucket: "nobody-1250000000" }), "NoSuchBucket");
  });

  it("AccessDenied: strangers and anonymous callers", async () => {
    assertRefused(await list({}, { sign: STRANGER }), "AccessDenied");
    assertRefused(await list({}, { sign: false }), "AccessDenied");
  });
});
