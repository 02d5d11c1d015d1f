import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { afterAll, beforeAll, describe, it } from "vitest";
import { STRANGER } from "../fixtures/accounts.ts";
import { amzNow, type Payload, type S3Client, s3Client, type S3Request } from "../fixtures/s3.ts";
import { assertS3Refused } from "../fixtures/s3-refusal.ts";
import { contentMd5, type Sent, testServer, type TestServer } from "../fixtures/server.ts";

const PAYLOADS: readonly Payload[] = [
  "hash",
  "UNSIGNED-PAYLOAD",
  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
  "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
];
const CRC32_OF_BODY = Buffer.from(crc32("the body").toString(16).padStart(8, "0"), "hex").toString("base64");

describe("S3 signatures", () => {
  let server: TestServer;
  let s3: S3Client;
  let serial = 0;
  const fresh = (): string => `/fresh-${++serial}`;

  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER], limits: { partBytesMin: 1 } });
    s3 = s3Client(server);
  });
  afterAll(() => server.stop());

  async function gone(path: string): Promise<void> {
    assert.equal((await server.send({ method: "HEAD", path })).status, 404, path);
  }

  async function begin(path: string): Promise<string> {
    const answer = await s3.send({ method: "POST", path, query: { uploads: undefined } });
    return answer.element("UploadId") ?? assert.fail(answer.text);
  }

  const flip = (text: string): string =>
    text.replace(/(Signature=)([0-9a-f])/, (_, name: string, digit: string) => name + (digit === "0" ? "1" : "0"));

  it.each(PAYLOADS)(
    "sec_S-1.1, CVE-2025-31489: a known key and a wrong signature store nothing with %s",
    async (payload) => {
      const trailers = payload.endsWith("TRAILER") ? { "x-amz-checksum-crc32": CRC32_OF_BODY } : undefined;
      const request: S3Request = {
        method: "PUT",
        payload,
        body: "the body",
        chunkBytes: 3,
        ...(trailers === undefined ? {} : { trailers }),
      };
      const good = fresh();
      const stored = await s3.send({ ...request, path: good });
      assert.equal(stored.status, 200, stored.text);
      assert.equal((await s3.send({ path: good })).text, "the body");
      const path = fresh();
      const uploadId = await begin(path);
      for (const query of [{}, { partNumber: 1, uploadId }]) {
        assertS3Refused(await s3.send({ ...request, path, query, alter: flip }), 403, "SignatureDoesNotMatch");
        const keys = { ...server.cosbox.credentials, secretKey: "another00000000000000000" };
        assertS3Refused(await s3.send({ ...request, path, query, keys }), 403, "SignatureDoesNotMatch");
      }
      await gone(path);
      assert.deepEqual((await s3.send({ path, query: { uploadId } })).elements("PartNumber"), []);
    },
  );

  describe("sec_S-1.2, CVE-2026-40344", () => {
    it("InvalidRequest: credentials in more than one place, on every way to write", async () => {
      const path = fresh();
      const uploadId = await begin(path);
      await s3.send({ method: "PUT", path: "/source", body: "x" });
      const body = "<Delete><Object><Key>source</Key></Object></Delete>";
      const writes: readonly S3Request[] = [
        { method: "PUT", path, body: "x" },
        { method: "PUT", path, query: { partNumber: 1, uploadId }, body: "x" },
        {
          method: "PUT",
          path,
          query: { partNumber: 1, uploadId },
          headers: { "x-amz-copy-source": `${s3.bucket}/source` },
        },
        { method: "PUT", path, headers: { "x-amz-copy-source": `${s3.bucket}/source` } },
        { method: "POST", path, query: { append: undefined, position: 0 }, body: "x" },
        { method: "POST", path: "/", query: { delete: undefined }, headers: { "content-md5": contentMd5(body) }, body },
        { method: "DELETE", path: "/source" },
        { method: "PUT", bucket: "twice-1250000000" },
      ];
      for (const write of writes) {
        const header = s3.compose(write);
        const query = s3.compose({ ...write, sign: "v4-query" });
        const old = s3.compose({ ...write, sign: "v2-query" });
        const cos = new URL(server.presign({ method: write.method ?? "GET", path: write.path ?? "/" })).search.slice(1);
        const mixes: readonly Sent[] = [
          { ...header, target: query.target ?? "" },
          { ...header, target: old.target ?? "" },
          { ...query, target: `${query.target}&${(old.target ?? "").split("?")[1]}` },
          { ...header, target: `${header.target}${header.target?.includes("?") === true ? "&" : "?"}${cos}` },
        ];
        for (const mix of mixes) {
          const answer = await server.send(mix);
          assert.equal(`${answer.status} ${answer.element("Code")}`, "400 InvalidRequest", answer.text);
        }
        const both = await server.send({ ...query, target: `${query.target}&${cos}` });
        assert.equal(`${both.status} ${both.element("Code")}`, "400 InvalidRequest", both.text);
      }
      await gone(path);
      assert.equal((await s3.send({ path: "/source" })).text, "x");
      assert.deepEqual((await s3.send({ bucket: "" })).elements("Name"), [s3.bucket]);
    });

    it("InvalidRequest: a parameter of the signature twice", async () => {
      const { target = "" } = s3.compose({ path: "/source", sign: "v4-query" });
      for (const name of ["X-Amz-Signature", "x-amz-signature", "X-Amz-Date", "X-Amz-Credential", "X-Amz-Expires"]) {
        const answer = await server.send({ sign: false, host: hostOf(), target: `${target}&${name}=x` });
        assertS3Refused(answer, 400, "InvalidRequest", /more than one place/);
      }
    });
  });

  const hostOf = (): string => `${s3.bucket}.cos.${server.cosbox.region}.myqcloud.com`;

  it("sec_S-1.3: the type of a form is no signature", async () => {
    for (const type of ["multipart/form-data; boundary=x", "multipart/form-datax", "MULTIPART/FORM-DATA"]) {
      for (const query of [{ delete: undefined }, { uploads: undefined }]) {
        const path = "uploads" in query ? "/k" : "/";
        const headers = { "content-type": type, "x-amz-acl": "private" };
        const answer = await s3.send({ method: "POST", path, query, headers, sign: false });
        assert.equal(answer.status, 403, answer.text);
      }
    }
  });

  describe("sec_S-1.5, CVE-2021-21390: chunks", () => {
    const request: S3Request = {
      method: "PUT",
      payload: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
      body: Buffer.alloc(100_000, "abcdefghij"),
      chunkBytes: 30_000,
    };
    const text = (change: (framed: string) => string) => (framed: Buffer) =>
      Buffer.from(change(framed.toString("latin1")), "latin1");
    const chunksOf = (framed: string): string[] => framed.split(/(?=\b[0-9a-f]{1,5};chunk-signature=)/);

    it.each<readonly [string, (framed: Buffer) => Buffer]>([
      [
        "its last byte changed",
        (framed) => {
          const copy = Buffer.from(framed);
          const at = copy.indexOf("\r\n", 20_000) - 1;
          copy[at] = (copy[at] as number) ^ 1;
          return copy;
        },
      ],
      [
        "two of them exchanged",
        text((framed) => {
          const [a = "", b = "", ...rest] = chunksOf(framed);
          return [b, a, ...rest].join("");
        }),
      ],
      [
        "one of them twice",
        text((framed) => {
          const [a = "", ...rest] = chunksOf(framed);
          return [a, a, ...rest].join("");
        }),
      ],
      ["one of them left out", text((framed) => chunksOf(framed).toSpliced(1, 1).join(""))],
      ["no last chunk", text((framed) => chunksOf(framed).slice(0, -1).join(""))],
      [
        "a signature of zeros",
        text((framed) => framed.replace(/signature=[0-9a-f]{64}/, `signature=${"0".repeat(64)}`)),
      ],
      ["no signatures", text((framed) => framed.replace(/;chunk-signature=[0-9a-f]{64}/g, ""))],
      ["bytes after the end", (framed) => Buffer.concat([framed, Buffer.from("more")])],
      ["no framing", () => Buffer.alloc(100_000, "x")],
    ])("refuses a body with %s, and stores nothing", async (_, frame) => {
      const path = fresh();
      const answer = await s3.send({ ...request, path, frame });
      assert.match(
        `${answer.status} ${answer.element("Code")}`,
        /^(403 SignatureDoesNotMatch|400 (IncompleteBody|InvalidRequest))$/,
      );
      await gone(path);
    });

    it("refuses a signed chunk that would have to be held whole beyond 16 MiB", async () => {
      const path = fresh();
      const frame = () => Buffer.from(`1000001;chunk-signature=${"0".repeat(64)}\r\n`);
      const headers = { "x-amz-decoded-content-length": 20_000_000 };
      assertS3Refused(await s3.send({ ...request, path, frame, headers }), 400, "InvalidRequest", /16777216/);
      await gone(path);
    });

    it("takes fields after the last chunk only as they were announced, and signed where chunks are", async () => {
      const trailers = { "x-amz-checksum-crc32": CRC32_OF_BODY };
      for (const payload of PAYLOADS.slice(3)) {
        const one: S3Request = { method: "PUT", payload, body: "the body", trailers };
        assert.equal((await s3.send({ ...one, path: fresh() })).status, 200);
        const changed: readonly ((framed: string) => string)[] = [
          (framed) => framed.replace("x-amz-checksum-crc32:", "x-amz-meta-added:1\r\nx-amz-checksum-crc32:"),
          (framed) => framed.replace("x-amz-checksum-crc32", "x-amz-checksum-crc32c"),
          (framed) => framed.replace(/x-amz-checksum-crc32:[^\r]*\r\n/, ""),
          (framed) => framed.replace(/(x-amz-checksum-crc32:[^\r]*\r\n)/, "$1$1"),
          ...(payload.includes("HMAC")
            ? [
                (framed: string) => framed.replace(/x-amz-trailer-signature:[^\r]*\r\n/, ""),
                (framed: string) => framed.replace(/x-amz-trailer-signature:./, "x-amz-trailer-signature:x"),
              ]
            : []),
        ];
        for (const change of changed) {
          const path = fresh();
          const answer = await s3.send({ ...one, path, frame: text(change) });
          assert.match(String(answer.element("Code")), /^(MalformedTrailerError|SignatureDoesNotMatch)$/, answer.text);
          await gone(path);
        }
      }
    });
  });

  it("XAmzContentSHA256Mismatch: a body other than the one that was signed, in a row or in a blob", async () => {
    for (const size of [5, 100_000]) {
      const path = fresh();
      const frame = (body: Buffer) => Buffer.from(body).fill("y", size - 1);
      const answer = await s3.send({ method: "PUT", path, body: Buffer.alloc(size, "x"), frame });
      assertS3Refused(answer, 400, "XAmzContentSHA256Mismatch");
      await gone(path);
    }
    const body = "<Delete><Object><Key>source</Key></Object></Delete>";
    const headers = { "content-md5": contentMd5(body.replace("source", "soured")) };
    const frame = () => Buffer.from(body.replace("source", "soured"));
    const answer = await s3.send({ method: "POST", query: { delete: undefined }, headers, body, frame });
    assertS3Refused(answer, 400, "XAmzContentSHA256Mismatch");
  });

  describe("sec_S-1.7: whoever holds a signature cannot add to it", () => {
    it.each(["v4", "v4-query"] as const)(
      "AccessDenied: headers that are not among the signed ones, %s",
      async (sign) => {
        const path = fresh();
        for (const name of [
          "x-amz-acl",
          "x-amz-meta-a",
          "x-amz-tagging",
          "x-amz-copy-source",
          "x-cos-acl",
          "x-cos-meta-a",
        ]) {
          const answer = await s3.send({ method: "PUT", path, body: "x", sign, unsigned: { [name]: "public-read" } });
          assertS3Refused(answer, 403, "AccessDenied", /not signed/);
        }
        await gone(path);
      },
    );

    it("AccessDenied: version 2 serves no parameter that it does not sign", async () => {
      const path = fresh();
      for (const [method, added] of [
        ["POST", "append=&position=0"],
        ["PUT", "rename="],
        ["GET", "x-extra=1"],
      ] as const) {
        const { target = "" } = s3.compose({ method, path, sign: "v2-query" });
        const request = { method, sign: false, host: hostOf(), target: `${target}&${added}`, body: "x" } as const;
        assertS3Refused(await server.send(request), 403, "AccessDenied", /does not sign the parameter/);
      }
      const acl = { "x-cos-acl": "public-read" };
      assertS3Refused(
        await s3.send({ method: "PUT", path, sign: "v2", body: "x", unsigned: acl }),
        403,
        "AccessDenied",
      );
      await gone(path);
    });
  });

  it("sec_S-1.8: the host has to be signed, and be the one that is asked", async () => {
    const without = { path: "/source", signedHeaders: ["x-amz-content-sha256", "x-amz-date"] };
    assertS3Refused(await s3.send(without), 403, "AccessDenied", /host/);
    const composed = s3.compose({ path: "/source" });
    const host = `other-1250000000.cos.${server.cosbox.region}.myqcloud.com`;
    const answer = await server.send({ ...composed, host, headers: { ...composed.headers, host } });
    assertS3Refused(answer, 403, "SignatureDoesNotMatch");
  });

  it("sec_S-1.9: no key collapses into a listing", async () => {
    for (const path of ["//", "///", "/./", "/a/..", "/%2F"]) {
      const answer = await s3.send({ path });
      assertS3Refused(answer, 404, "NoSuchKey");
    }
  });

  it("sec_S-1.10: the same request comes to the same, however it is signed", async () => {
    const etag = (await s3.send({ method: "PUT", path: "/same", body: "same" })).headers.etag;
    for (const request of [
      { path: "/same" },
      { path: "/none" },
      { method: "HEAD", path: "/same" },
      { query: { "list-type": 2 } },
      { query: { location: undefined } },
      { method: "POST", path: "/same", query: { uploads: undefined } },
      { method: "PUT", path: "/same", body: "same" },
    ] as const satisfies readonly S3Request[]) {
      const seen = [];
      for (const sign of ["v4", "v4-query", "v2", "v2-query"] as const) {
        const answer = await s3.send({ ...request, sign });
        seen.push(`${answer.status} ${answer.headers.etag ?? ""} ${answer.element("Code") ?? ""}`);
      }
      assert.equal(new Set(seen).size, 1, `${JSON.stringify(request)}: ${seen.join(" | ")}`);
    }
    assert.equal(etag, '"51037a4a37730f52c8732586d3aaa316"');
  });

  it("sec_S-1.11: times and scopes around their limits", async () => {
    const soon = (ms: number): string => amzNow(ms);
    const header = (request: S3Request) => s3.send({ path: "/same", ...request });
    const cases: readonly (readonly [S3Request, number, string])[] = [
      [{ dateTime: soon(-16 * 60_000) }, 403, "RequestTimeTooSkewed"],
      [{ dateTime: soon(16 * 60_000) }, 403, "RequestTimeTooSkewed"],
      [{ dateTime: "20130524T000000Z" }, 403, "RequestTimeTooSkewed"],
      [{ dateTime: "99991231T235959Z" }, 403, "RequestTimeTooSkewed"],
      [{ dateTime: "20261301T000000Z" }, 403, "AccessDenied"],
      [{ dateTime: "yesterday", scopeDate: "20260101" }, 403, "AccessDenied"],
      [{ scopeDate: "20130524" }, 400, "AuthorizationHeaderMalformed"],
      [{ scopeDate: "2013052" }, 400, "AuthorizationHeaderMalformed"],
      [{ service: "sts" }, 400, "AuthorizationHeaderMalformed"],
      [{ region: "a/b" }, 400, "AuthorizationHeaderMalformed"],
      [{ sign: "v4-query", expires: 604_801 }, 400, "AuthorizationQueryParametersError"],
      [{ sign: "v4-query", expires: -1 }, 400, "AuthorizationQueryParametersError"],
      [{ sign: "v4-query", expires: "1e3" }, 400, "AuthorizationQueryParametersError"],
      [{ sign: "v4-query", expires: "9".repeat(30) }, 400, "AuthorizationQueryParametersError"],
      [{ sign: "v4-query", dateTime: soon(-700_000) }, 403, "AccessDenied"],
      [{ sign: "v4-query", dateTime: soon(16 * 60_000) }, 403, "RequestTimeTooSkewed"],
      [{ sign: "v4-query", scopeDate: "20130524" }, 400, "AuthorizationQueryParametersError"],
      [{ sign: "v2-query", expires: 1 }, 403, "AccessDenied"],
      [{ sign: "v2-query", expires: "soon" }, 403, "AccessDenied"],
      [{ sign: "v2", headers: { date: "Tue, 27 Mar 2007 19:36:42 +0000" } }, 403, "RequestTimeTooSkewed"],
      [{ sign: "v2", headers: { date: "x" } }, 403, "AccessDenied"],
    ];
    for (const [request, status, code] of cases) assertS3Refused(await header(request), status, code);
    for (const request of [
      { dateTime: soon(-14 * 60_000) },
      { dateTime: soon(14 * 60_000) },
      { region: "cn-any-where-9" },
      { sign: "v4-query", expires: 604_800, dateTime: soon(-14 * 60_000) },
    ] as const satisfies readonly S3Request[]) {
      assert.equal((await header(request)).status, 200);
    }
  });

  it("sec_S-1.15: no access key id is more than a text", async () => {
    for (const secretId of ["AKIDnobody", "__proto__", "*()'\\0", "constructor"]) {
      const answer = await s3.send({ keys: { secretId, secretKey: "x".repeat(32) } });
      assertS3Refused(answer, 403, "InvalidAccessKeyId");
    }
  });
});
