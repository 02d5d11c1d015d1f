import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { TABLE } from "../../src/operations/table.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { contentMd5, type Sent, type TestServer, testServer } from "../fixtures/server.ts";

const HEADERS = [
  "pic-operations",
  "x-ci-security-token",
  "x-cos-callback",
  "x-cos-callback-var",
  "x-cos-forbid-overwrite",
  "x-cos-object-lock-legal-hold",
  "x-cos-object-retention",
  "x-cos-return-body",
  "x-cos-symlink-target",
  "x-cos-website-redirect-location",
];
const PARAMETERS = [
  "ci-process",
  "exif",
  "imageAve",
  "imageInfo",
  "imageMogr2/thumbnail/100x",
  "imageView2/1/w/100",
  "recursive",
  "watermark/1/image/x",
];
const CLASSES = ["COLD", "cold"];

const named = (kind: "header" | "parameter", name: string) => ({
  message: `The ${kind} ${name.toLowerCase()} belongs to a feature that is not implemented yet.`,
});

describe("what is not built yet", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer();
    await server.send({ method: "PUT", path: "/kept", body: "kept" });
  });
  afterAll(() => server.stop());

  /** Asserts that no request of the test has changed anything. */
  async function assertUnchanged(): Promise<void> {
    assert.deepEqual((await server.send({})).elements("Key"), ["kept"]);
    assert.equal((await server.send({ path: "/kept" })).text, "kept");
    assert.deepEqual((await server.send({ query: { uploads: undefined } })).elements("Upload"), []);
    assert.equal((await server.send({ bucket: "" })).elements("Name").length, 1);
  }

  it("NotImplemented: every recognised operation, by its name", async () => {
    const unbuilt = TABLE.filter(({ handle, only }) => handle === undefined && only !== "s3");
    assert.ok(unbuilt.length > 20);
    for (const { name, route } of unbuilt) {
      const query = Object.fromEntries(
        [...(route.query ?? []), ...(route.anyQuery ?? []).slice(0, 1)].map((flag) => [flag, ""]),
      );
      const path = route.on === "object" ? "/kept" : "/";
      for (const sign of [true, "query", false] as const) {
        const answer = await server.send({ method: route.method, path, query, sign });
        assertRefused(answer, "NotImplemented", { message: `The operation ${name} is not implemented yet.` });
      }
    }
    await assertUnchanged();
  });

  for (const header of HEADERS) {
    it(`the header ${header} is named back by every operation that would pass it over`, async () => {
      const headers = { [header]: "1" };
      const requests: readonly Sent[] = [
        { method: "PUT", path: "/new", body: "x" },
        { method: "PUT", path: "/new", headers: { "x-cos-copy-source": `${server.bucket}/kept` } },
        { method: "POST", path: "/new", query: { uploads: undefined } },
        { method: "POST", path: "/new", query: { append: undefined, position: 0 }, body: "x" },
        { path: "/kept" },
        { method: "DELETE", path: "/kept" },
        ...(header === "x-cos-acl" ? [] : [{ method: "PUT", bucket: "new-1250000000" }]),
      ];
      for (const request of requests) {
        const answer = await server.send({ ...request, headers: { ...request.headers, ...headers } });
        assertRefused(answer, "NotImplemented", named("header", header));
      }
      await assertUnchanged();
    });
  }

  it("NotImplemented: a header, in whatever case it is sent", async () => {
    const answer = await server.send({
      method: "PUT",
      path: "/new",
      headers: { "X-Cos-Return-Body": "1" },
    });
    assertRefused(answer, "NotImplemented", named("header", "x-cos-return-body"));
  });

  it("an empty header of such a feature is absent", async () => {
    const headers = Object.fromEntries(HEADERS.map((name) => [name, ""]));
    assert.equal((await server.send({ path: "/kept", headers })).text, "kept");
  });

  it("a header that merely begins alike is none of theirs", async () => {
    for (const name of [
      "x-cos-sdk-retry",
      "x-cos-unknown",
      "x-cos-meta-x-cos-tagging",
      "x-cos-meta-acl",
      "x-amz-acl",
      "x-cos-date",
    ]) {
      assert.equal((await server.send({ path: "/kept", headers: { [name]: "true" } })).status, 200, name);
    }
  });

  for (const parameter of PARAMETERS) {
    it(`the parameter ${parameter} is named back`, async () => {
      const query = { [parameter]: "1" };
      for (const request of [{}, { method: "DELETE" }, { method: "PUT", body: "x" }]) {
        assertRefused(
          await server.send({ ...request, path: "/kept", query }),
          "NotImplemented",
          named("parameter", parameter),
        );
      }
      await assertUnchanged();
    });
  }

  it("NotImplemented: a parameter in whatever case, signed in either way", async () => {
    for (const name of ["Recursive", "IMAGEMOGR2/x"]) {
      for (const sign of [true, "query"] as const) {
        const answer = await server.send({ path: "/kept", query: { [name]: "x" }, sign });
        assertRefused(answer, "NotImplemented", named("parameter", name));
      }
    }
  });

  for (const storageClass of CLASSES) {
    it(`the storage class ${storageClass} is named back`, async () => {
      const headers = { "x-cos-storage-class": storageClass };
      for (const request of [
        { method: "PUT", path: "/new", body: "x" },
        { method: "POST", path: "/new", query: { uploads: undefined } },
        { method: "PUT", path: "/new", headers: { "x-cos-copy-source": `${server.bucket}/kept` } },
        { method: "POST", path: "/new", query: { append: undefined, position: 0 }, body: "x" },
      ]) {
        const answer = await server.send({ ...request, headers: { ...request.headers, ...headers } });
        assertRefused(answer, "NotImplemented", {
          message: new RegExp(`x-cos-storage-class .*${storageClass.toUpperCase()}`),
        });
      }
      await assertUnchanged();
    });
  }

  it("NotImplemented: the body of such an operation is not waited for", async () => {
    const body = Buffer.alloc(300_000, "<x>");
    const answer = await server.send({
      method: "PUT",
      query: { website: undefined },
      body,
      headers: { "content-md5": contentMd5("other") },
    });
    assertRefused(answer, "NotImplemented", { message: /PutBucketWebsite/ });
    assert.equal((await server.send({ method: "HEAD" })).status, 200);
  });
});
