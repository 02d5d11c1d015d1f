import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, it } from "vitest";
import { STRANGER } from "../fixtures/accounts.ts";
import { type S3Client, s3Client } from "../fixtures/s3.ts";
import { assertS3Refused } from "../fixtures/s3-refusal.ts";
import { contentMd5, type TestServer, testServer } from "../fixtures/server.ts";
import { versionedBucket } from "../fixtures/versioning.ts";

const crc32 = "x-amz-checksum-crc32";

describe("where S3 requests point", () => {
  let server: TestServer;
  let s3: S3Client;

  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER] });
    s3 = s3Client(server);
    await s3.send({ method: "PUT", path: "/a b/c+d", body: "x" });
  });
  afterAll(() => server.stop());

  it("is the same in path style and in virtual-host style, with keys of any form", async () => {
    for (const style of ["path", "host"] as const) {
      for (const sign of ["v4", "v4-query", "v2", "v2-query"] as const) {
        assert.equal((await s3.send({ path: "/a b/c+d", style, sign })).text, "x", `${style} ${sign}`);
        for (const path of ["/é", "/a//b", "/a/../b", "/~!*'()$&,:;=@", "/報告 🔑"]) {
          assert.equal((await s3.send({ method: "PUT", path, style, sign, body: path })).status, 200, path);
          assert.equal((await s3.send({ path, style, sign })).text, path);
        }
      }
    }
  });

  it("is the server's own address too", async () => {
    const host = `127.0.0.1:${server.port}`;
    assert.equal((await s3.send({ path: "/a b/c+d", style: "path", host })).text, "x");
    assert.deepEqual((await s3.send({ bucket: "", host })).elements("Name"), [s3.bucket]);
  });

  it("InvalidRequest, InvalidBucketName: names that no bucket has", async () => {
    assertS3Refused(await s3.send({ bucket: "bare", style: "path" }), 400, "InvalidRequest");
    assertS3Refused(await s3.send({ bucket: "Upper-1250000000", style: "path" }), 400, "InvalidBucketName");
    assertS3Refused(
      await s3.send({ method: "PUT", bucket: "a_b-1250000000", style: "path" }),
      400,
      "InvalidBucketName",
    );
  });

  it("reads a copy source with and without a leading slash, encoded or not", async () => {
    for (const source of [
      `/${s3.bucket}/a%20b/c%2Bd`,
      `${s3.bucket}/a%20b/c%2Bd`,
      `${s3.bucket}/a%20b%2Fc%2Bd`,
      `/${s3.bucket}/a b/c+d`,
    ]) {
      const answer = await s3.send({ method: "PUT", path: "/copy", headers: { "x-amz-copy-source": source } });
      assert.equal(answer.status, 200, `${source}: ${answer.text}`);
    }
    for (const source of ["x", "/", s3.bucket, `${s3.bucket}/`, "%zz/y"]) {
      const answer = await s3.send({ method: "PUT", path: "/copy", headers: { "x-amz-copy-source": source } });
      assertS3Refused(answer, 400, "InvalidArgument");
    }
    const none = await s3.send({ method: "PUT", path: "/copy", headers: { "x-amz-copy-source": `${s3.bucket}/none` } });
    assertS3Refused(none, 404, "NoSuchKey");
  });

  it("InvalidRequest: one header under both of its names", async () => {
    const headers = { "x-amz-meta-a": "1", "x-cos-meta-a": "2" };
    const signedHeaders = ["host", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-a", "x-cos-meta-a"];
    const answer = await s3.send({ method: "PUT", path: "/two", body: "x", headers, signedHeaders });
    assertS3Refused(answer, 400, "InvalidRequest", /two names/);
  });

  it("AccessDenied: a bucket of another owner than the client expects", async () => {
    const ask = (owner: string) => s3.send({ headers: { "x-amz-expected-bucket-owner": owner } });
    assert.equal((await ask("100000000001")).status, 200);
    assert.equal((await ask("1250000000")).status, 200);
    assertS3Refused(await ask("100000000002"), 403, "AccessDenied");
  });

  it("AccessDenied: a copy from a bucket of another owner than the client expects, whole or in part", async () => {
    await s3.send({ method: "PUT", path: "/source", body: "copied" });
    const begun = await s3.send({ method: "POST", path: "/copies", query: { uploads: undefined } });
    const part = { partNumber: 1, uploadId: begun.element("UploadId") ?? "" };
    for (const query of [{}, part]) {
      const copy = (owner: string) => {
        const headers = { "x-amz-copy-source": `${s3.bucket}/source`, "x-amz-source-expected-bucket-owner": owner };
        return s3.send({ method: "PUT", path: "/copies", query, headers });
      };
      assertS3Refused(await copy("100000000002"), 403, "AccessDenied");
      for (const owner of ["100000000001", "1250000000"]) {
        const answer = await copy(owner);
        assert.equal(answer.status, 200, answer.text);
      }
    }
  });

  it("LocationConstraint: the endpoint's region, or none", async () => {
    let serial = 0;
    const make = (body: string) => s3.send({ method: "PUT", bucket: `made-${++serial}-1250000000`, body });
    const document = (region: string) =>
      `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>${region}</LocationConstraint></CreateBucketConfiguration>`;
    for (const body of ["", document("ap-guangzhou"), document("")]) {
      const answer = await make(body);
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.headers.location, `/made-${serial}-1250000000`);
    }
    assertS3Refused(
      await make(document("eu-west-1")),
      400,
      "InvalidLocationConstraint",
      /makes buckets in ap-guangzhou/,
    );
    assertS3Refused(await make("<CreateBucketConfiguration>"), 400, "MalformedXML");
    assertS3Refused(await make("<Other/>"), 400, "MalformedXML");
    const location = await s3.send({ query: { location: undefined } });
    assert.match(location.text, /<LocationConstraint xmlns="[^"]+">ap-guangzhou<\/LocationConstraint>$/);
  });

  it("pages the list of buckets", async () => {
    const all = await s3.send({ bucket: "" });
    const names = all.elements("Name");
    assert.ok(names.length >= 4);
    const seen: string[] = [];
    let token: string | undefined;
    do {
      const query = { "max-buckets": 2, ...(token === undefined ? {} : { "continuation-token": token }) };
      const page = await s3.send({ bucket: "", query });
      seen.push(...page.elements("Name"));
      token = page.element("ContinuationToken");
    } while (token !== undefined);
    assert.deepEqual(seen, names);
    for (const most of [0, 10_001, "x"]) {
      assertS3Refused(await s3.send({ bucket: "", query: { "max-buckets": most } }), 400, "InvalidArgument");
    }
    const made = await s3.send({ bucket: "", query: { prefix: "made-" } });
    assert.equal(made.element("Prefix"), "made-");
    assert.deepEqual(
      made.elements("Name"),
      names.filter((name) => name.startsWith("made-")),
    );
    assert.deepEqual((await s3.send({ bucket: "", query: { "bucket-region": "eu-west-1" } })).elements("Name"), []);
  });
});

describe("bare names of buckets", () => {
  let server: TestServer;
  let s3: S3Client;

  beforeAll(async () => {
    server = await testServer({ bareBuckets: true, credentials: [STRANGER], s3Hosts: ["127.0.0.1"] });
    s3 = s3Client(server);
  });
  afterAll(() => server.stop());

  it("stand for the caller's own bucket, and are what S3 clients are told", async () => {
    assert.equal((await s3.send({ method: "PUT", bucket: "photos", style: "path" })).headers.location, "/photos");
    assert.equal((await s3.send({ method: "PUT", bucket: "photos", style: "path", keys: STRANGER })).status, 200);
    await s3.send({ method: "PUT", bucket: "photos", style: "path", path: "/k", body: "mine" });
    assert.equal((await server.send({ bucket: "photos-1250000000", path: "/k" })).text, "mine");
    assertS3Refused(await s3.send({ bucket: "photos", style: "path", path: "/k", keys: STRANGER }), 404, "NoSuchKey");
    for (const bucket of ["photos", "photos-1250000000"]) {
      const list = await s3.send({ bucket, style: "path" });
      assert.equal(list.element("Name"), "photos");
      assert.deepEqual(list.elements("Key"), ["k"]);
    }
    assert.deepEqual((await s3.send({ bucket: "" })).elements("Name"), ["demo", "photos"]);
    const missing = { "x-amz-copy-source": "/pictures/k" };
    const refused = await s3.send({ method: "PUT", bucket: "photos", style: "path", path: "/copy", headers: missing });
    assertS3Refused(refused, 404, "NoSuchBucket");
    assert.equal(refused.element("BucketName"), "pictures");
    const headers = { "x-amz-copy-source": "/photos/k" };
    assert.equal(
      (await s3.send({ method: "PUT", bucket: "photos", style: "path", path: "/copy", headers })).status,
      200,
    );
    assert.equal((await s3.send({ bucket: "photos", style: "host", path: "/copy" })).text, "mine");
  });

  it("are whole names to COS clients", async () => {
    assert.equal((await server.send({ bucket: "photos" })).element("Code"), "InvalidRequest");
    assert.deepEqual((await server.send({ bucket: "" })).elements("Name"), ["demo-1250000000", "photos-1250000000"]);
  });

  it("stand for the root account's bucket where nobody signs", async () => {
    await s3.send({ method: "PUT", bucket: "open", style: "path", headers: { "x-amz-acl": "public-read" } });
    await s3.send({ method: "PUT", bucket: "open", style: "path", path: "/k", body: "for all" });
    const host = `127.0.0.1:${server.port}`;
    assert.equal((await s3.send({ bucket: "open", style: "path", path: "/k", host, sign: false })).text, "for all");
    const refused = await s3.send({ bucket: "demo", style: "path", path: "/k", host, sign: false });
    assertS3Refused(refused, 403, "AccessDenied");
    const cos = await server.send({ bucket: "demo-1250000000", path: "/k", sign: false });
    assert.notEqual(cos.element("TraceId"), undefined, "other hosts speak COS");
  });

  it("InvalidBucketName: what no APPID would make a name of", async () => {
    for (const bucket of ["Upper", "a_b", "ab", "-abc", "abc-", "a.b.c"]) {
      assertS3Refused(await s3.send({ method: "PUT", bucket, style: "path" }), 400, "InvalidBucketName");
    }
  });
});

describe("strict S3", () => {
  let server: TestServer;
  let s3: S3Client;

  beforeAll(async () => {
    server = await testServer({ strictS3: true });
    s3 = s3Client(server);
  });
  afterAll(() => server.stop());

  it("NoSuchUpload, NoSuchVersion, InvalidArgument, BucketNotEmpty: what only S3 takes", async () => {
    const begun = await s3.send({ method: "POST", path: "/parts", query: { uploads: undefined } });
    const uploadId = begun.element("UploadId") ?? "";
    const part = await s3.send({ method: "PUT", path: "/parts", query: { partNumber: 1, uploadId }, body: "x" });
    const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part.headers.etag}</ETag></Part></CompleteMultipartUpload>`;
    const complete = () => s3.send({ method: "POST", path: "/parts", query: { uploadId }, body });
    assert.equal((await complete()).status, 200);
    assertS3Refused(await complete(), 404, "NoSuchUpload");
    const bucket = await versionedBucket(server, "strict");
    const put = await s3.send({ method: "PUT", bucket, path: "/k", body: "x" });
    const versionId = String(put.headers["x-amz-version-id"]);
    const remove = { method: "DELETE", bucket, path: "/k", query: { versionId } };
    assert.equal((await s3.send(remove)).status, 204);
    assertS3Refused(await s3.send(remove), 404, "NoSuchVersion");
    const cors =
      "<CORSConfiguration><CORSRule><AllowedOrigin>example.com</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>";
    const headers = { "content-md5": contentMd5(cors) };
    const rules = await s3.send({ method: "PUT", query: { cors: undefined }, body: cors, headers });
    assertS3Refused(rules, 400, "InvalidArgument");
    await s3.send({ method: "POST", bucket, path: "/open", query: { uploads: undefined } });
    assertS3Refused(await s3.send({ method: "DELETE", bucket }), 409, "BucketNotEmpty");
  });

  it("NotImplemented: bodies in aws-chunked encoding, as on the live service", async () => {
    for (const payload of [
      "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
      "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
      "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    ] as const) {
      const trailers = payload.endsWith("TRAILER") ? { trailers: { [crc32]: "AAAAAA==" } } : {};
      assertS3Refused(
        await s3.send({ method: "PUT", path: "/k", body: "x", payload, ...trailers }),
        501,
        "NotImplemented",
      );
    }
    for (const payload of ["hash", "UNSIGNED-PAYLOAD"] as const) {
      assert.equal((await s3.send({ method: "PUT", path: "/k", body: "x", payload })).status, 200);
    }
  });

  it("passes over checksums of S3's, so that DeleteObjects needs an MD5", async () => {
    const put = await s3.send({ method: "PUT", path: "/k", body: "x", headers: { [crc32]: "AAAAAA==" } });
    assert.equal(put.status, 200);
    assert.equal(put.headers[crc32], undefined);
    const body = "<Delete><Object><Key>k</Key></Object></Delete>";
    const sha256 = createHash("sha256").update(body).digest("base64");
    const send = (headers: Record<string, string>) =>
      s3.send({ method: "POST", query: { delete: undefined }, body, headers });
    assertS3Refused(await send({ "x-amz-checksum-sha256": sha256 }), 400, "InvalidRequest", /Content-MD5/);
    assert.equal((await send({ "content-md5": contentMd5(body) })).status, 200);
  });
});

describe("S3 hosts", () => {
  it("speak S3 to anonymous requests, and others speak COS", async () => {
    const server = await testServer({ s3Hosts: ["s3.localhost"] });
    const ask = async (host: string, headers = {}) => {
      const answer = await server.send({ path: `/${server.bucket}/k`, host, headers, sign: false });
      return answer.element("HostId") === undefined ? "cos" : "s3";
    };
    assert.equal(await ask("s3.localhost"), "s3");
    assert.equal(await ask("a.s3.localhost"), "s3");
    assert.equal(await ask("xs3.localhost"), "cos");
    assert.equal(await ask("localhost"), "cos");
    assert.equal(await ask("localhost", { "x-amz-date": "x" }), "s3");
    assert.equal(await ask("s3.localhost", { authorization: "q-sign-algorithm=sha1" }), "cos");
    await server.stop();
    const every = await testServer({ s3Hosts: ["*"] });
    assert.notEqual((await every.send({ path: "/k", sign: false })).element("HostId"), undefined);
    assert.notEqual((await every.send({ target: "/%zz", path: "/", sign: false })).element("HostId"), undefined);
    await every.stop();
  });
});
