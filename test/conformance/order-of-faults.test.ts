import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import type { ErrorId } from "../../src/errors/catalogue.ts";
import { STRANGER } from "../fixtures/accounts.ts";
import { contentMd5, type Sent, type Signing, type TestServer, testServer } from "../fixtures/server.ts";
import { CATALOGUE } from "../../src/errors/catalogue.ts";

const NOBODY = "nobody-1250000000";
const WRONG: Signing = { secretKey: "wrong" };
const EXPIRED: Signing = { signTime: "1;2" };
const AHEAD: Signing = { signTime: "99999999990;99999999999" };
const UNKNOWN: Signing = { secretId: "AKIDnobody" };
const UNBUILT = { "x-cos-return-body": "1" };
const LONG = `/${"k".repeat(851)}`;
const DELETE = { method: "POST", query: { delete: undefined } } as const;

/** Two faults in one request, and the one that is told. Each row also holds with every fault that comes later. */
const TABLE: readonly (readonly [faults: string, request: Sent, winner: ErrorId])[] = [
  // Reading the request comes before everything.
  [
    "a broken escape before a host of no region",
    { target: "/%", host: "x.cos.nowhere.myqcloud.com", sign: false },
    "InvalidURI",
  ],
  ["a broken escape before a bad signature", { target: "/%", path: "/", sign: WRONG }, "InvalidURI"],
  // Then where it points.
  [
    "a region that is none before a method that is none",
    { host: "x-1.cos.nowhere.myqcloud.com", method: "PATCH" },
    "InvalidRegionName",
  ],
  [
    "a region that is none before a bad signature",
    { host: "x-1.cos.nowhere.myqcloud.com", sign: WRONG },
    "InvalidRegionName",
  ],
  ["a name that is none before a bad signature", { bucket: "-x-1250000000", sign: WRONG }, "InvalidBucketName"],
  [
    "a host that is not built before a bad signature",
    { host: "x-1.ci.ap-guangzhou.myqcloud.com", sign: WRONG },
    "NotImplemented",
  ],
  // Then which operation it asks for.
  ["a method that is none before a bad signature", { method: "PATCH", sign: WRONG }, "MethodNotAllowed"],
  ["a method that is none before a missing bucket", { method: "PATCH", bucket: NOBODY }, "MethodNotAllowed"],
  // Then who asks.
  ["credentials twice before a bad one", { target: "/k?q-ak=x", path: "/k", sign: WRONG }, "InvalidRequest"],
  [
    "another algorithm before an expired signature",
    { sign: { ...EXPIRED, alter: (t) => t.replace("=sha1", "=md5") } },
    "VerifyAlgorithmNotSupported",
  ],
  [
    "a malformed signature before an expired one",
    { sign: { ...EXPIRED, alter: (t) => t.replace(/q-ak=[^&]*/, "q-ak=") } },
    "AccessDenied",
  ],
  ["an expired signature before an unknown key", { sign: { ...UNKNOWN, ...EXPIRED } }, "RequestHasExpired"],
  ["a signature of the future before an unknown key", { sign: { ...UNKNOWN, ...AHEAD } }, "RequestTimeTooSkewed"],
  ["an unknown key before a wrong signature", { sign: { ...UNKNOWN, ...WRONG } }, "InvalidAccessKeyId"],
  [
    "a wrong signature before a page's origin",
    { sign: WRONG, headers: { origin: "https://x" } },
    "SignatureDoesNotMatch",
  ],
  [
    "a wrong signature before an operation that is not built",
    { query: { lifecycle: undefined }, sign: WRONG },
    "SignatureDoesNotMatch",
  ],
  ["a wrong signature before a key that is too long", { path: LONG, sign: WRONG }, "SignatureDoesNotMatch"],
  ["a wrong signature before a missing bucket", { bucket: NOBODY, sign: WRONG }, "SignatureDoesNotMatch"],
  [
    "a wrong signature before a header that is not built",
    { path: "/k", sign: WRONG, headers: UNBUILT },
    "SignatureDoesNotMatch",
  ],
  [
    "an unsigned request before a missing bucket, where nobody may come unsigned",
    { method: "DELETE", bucket: NOBODY, sign: false },
    "AccessDenied",
  ],
  ["a page's origin before a missing bucket", { bucket: NOBODY, headers: { origin: "https://x" } }, "AccessForbidden"],
  // Then what cosbox can do.
  [
    "an operation that is not built before a missing bucket",
    { bucket: NOBODY, query: { replication: undefined } },
    "NotImplemented",
  ],
  [
    "an operation that is not built before a stranger",
    { query: { replication: undefined }, sign: STRANGER },
    "NotImplemented",
  ],
  ["a key that is too long before a missing bucket", { path: LONG, bucket: NOBODY }, "KeyTooLong"],
  [
    "a key that may not be before a missing bucket",
    { method: "PUT", path: "//x", bucket: NOBODY },
    "InvalidObjectName",
  ],
  ["a key that may not be before a stranger", { method: "PUT", path: "//x", sign: STRANGER }, "InvalidObjectName"],
  // Then whether the bucket is there, and whether the caller may.
  ["a missing bucket before a stranger", { bucket: NOBODY, sign: STRANGER }, "NoSuchBucket"],
  [
    "a missing bucket before a header that is not built",
    { method: "PUT", path: "/k", bucket: NOBODY, headers: UNBUILT },
    "NoSuchBucket",
  ],
  ["a missing bucket before a bad argument", { bucket: NOBODY, query: { "max-keys": "x" } }, "NoSuchBucket"],
  [
    "a stranger before a header that is not built",
    { method: "PUT", path: "/k", sign: STRANGER, headers: UNBUILT },
    "AccessDenied",
  ],
  ["a stranger before a bad argument", { query: { "max-keys": "x" }, sign: STRANGER }, "AccessDenied"],
  ["a stranger before a missing key", { path: "/missing", sign: STRANGER }, "AccessDenied"],
  [
    "a stranger before a condition that fails",
    { path: "/k", sign: STRANGER, headers: { "if-match": "x" } },
    "AccessDenied",
  ],
  ["a stranger before a body that may not be", { path: "/k", sign: STRANGER, body: "x" }, "AccessDenied"],
  ["a stranger before a bucket that is not empty", { method: "DELETE", sign: STRANGER }, "AccessDenied"],
  [
    "a stranger before a digest that is none",
    { method: "PUT", path: "/k", sign: STRANGER, headers: { "content-md5": "x" } },
    "AccessDenied",
  ],
  [
    "a stranger before a copy source that is none",
    { method: "PUT", path: "/k", sign: STRANGER, headers: { "x-cos-copy-source": "x" } },
    "AccessDenied",
  ],
  // Then headers and parameters.
  [
    "a header that is not built before a body that may not be",
    { path: "/k", headers: UNBUILT, body: "x" },
    "NotImplemented",
  ],
  [
    "a header that is not built before a digest that is none",
    { method: "PUT", path: "/k", headers: { ...UNBUILT, "content-md5": "x" } },
    "NotImplemented",
  ],
  ["a body that may not be before a bad argument", { query: { "max-keys": "x" }, body: "x" }, "UnexpectedContent"],
  ["a body that may not be before a missing key", { path: "/missing", body: "x" }, "UnexpectedContent"],
  ["a bad argument before a missing key", { path: "/missing", query: { "response-expires": "\n" } }, "InvalidArgument"],
  [
    "too much metadata before a wrong digest",
    {
      method: "PUT",
      path: "/k",
      body: "x",
      headers: { "x-cos-meta-a": "m".repeat(3000), "content-md5": contentMd5("y") },
    },
    "InvalidArgument",
  ],
  [
    "a digest that is none before a body that is too large",
    { method: "PUT", path: "/k", body: "x".repeat(2001), headers: { "content-md5": "x" } },
    "InvalidDigest",
  ],
  ["a missing Content-MD5 before a missing body", { ...DELETE, body: "" }, "InvalidRequest"],
  // Then the state of the object.
  ["a missing key before a condition that fails", { path: "/missing", headers: { "if-match": "x" } }, "NoSuchKey"],
  ["a missing key before a range beyond the end", { path: "/missing", headers: { range: "bytes=9-" } }, "NoSuchKey"],
  [
    "a condition that fails before a range beyond the end",
    { path: "/k", headers: { "if-match": "x", range: "bytes=9-" } },
    "PreconditionFailed",
  ],
  [
    "a missing source before a copy onto itself",
    { method: "PUT", path: "/missing", headers: { "x-cos-copy-source": "demo-1250000000/missing" } },
    "NoSuchCopySource",
  ],
  [
    "a condition on the source before a copy onto itself",
    {
      method: "PUT",
      path: "/k",
      headers: { "x-cos-copy-source": "demo-1250000000/k", "x-cos-copy-source-if-match": "x" },
    },
    "PreconditionFailed",
  ],
  // Then the body.
  [
    "a body that is too large before a wrong digest",
    { method: "PUT", path: "/k", body: "x".repeat(2001), headers: { "content-md5": contentMd5("y") } },
    "EntityTooLarge",
  ],
  [
    "a wrong MD5 before a wrong SHA-1",
    {
      method: "PUT",
      path: "/k",
      body: "x",
      headers: { "content-md5": contentMd5("y"), "x-cos-content-sha1": "0".repeat(40) },
    },
    "BadDigest",
  ],
  [
    "a document that is too large before a wrong digest",
    { ...DELETE, body: "x".repeat(501), headers: { "content-md5": contentMd5("y") } },
    "XMLSizeLimit",
  ],
  [
    "a wrong digest before a document that is none",
    { ...DELETE, body: "x", headers: { "content-md5": contentMd5("y") } },
    "BadDigest",
  ],
  // A bucket to be made: its document, its name, its owner, its conflicts.
  [
    "a document that is none before a name that is too long",
    { method: "PUT", bucket: `${"n".repeat(40)}-1250000000`, body: "x" },
    "MalformedXML",
  ],
  [
    "a name that is too long before another's APPID",
    { method: "PUT", bucket: `${"n".repeat(40)}-1250000002` },
    "BucketNameTooLong",
  ],
  ["another's APPID before a name that is taken", { method: "PUT", sign: STRANGER }, "AccessDenied"],
  ["a name that is taken before a full account", { method: "PUT" }, "BucketAlreadyOwnedByYou"],
];

describe("of two faults in one request", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({
      credentials: [STRANGER],
      limits: { singleUploadBytesMax: 2000, xmlDeleteBytesMax: 500, bucketsPerAccount: 1 },
    });
    await server.send({ method: "PUT", path: "/k", body: "x" });
  });
  afterAll(() => server.stop());

  for (const [faults, request, winner] of TABLE) {
    it(`${faults}: ${winner}`, async () => {
      const answer = await server.send(request);
      assert.equal(answer.element("Code"), CATALOGUE[winner].code, answer.text);
      assert.equal(answer.status, CATALOGUE[winner].status);
      assert.equal((await server.send({ path: "/k" })).text, "x", "nothing was changed");
    });
  }
});
