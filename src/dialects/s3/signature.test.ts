/** Against the examples that AWS publishes with its signature pages: key AKIAIOSFODNN7EXAMPLE, 24 May 2013. */

import assert from "node:assert/strict";
import { describe, it } from "vitest";
import type { CosError } from "../../errors/cos-error.ts";
import { readHeaders } from "../../http/headers.ts";
import { parseTarget } from "../../http/target.ts";
import { authenticateS3, type S3Evidence } from "./signature.ts";
import { decodedChunks } from "./chunks.ts";

const KEYS = { secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
const NOW = Date.UTC(2013, 4, 24, 0, 0, 5);
const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const DATE = "20130524T000000Z";
const HOST = "examplebucket.s3.amazonaws.com";

function evidence(
  method: string,
  rawTarget: string,
  headers: Readonly<Record<string, string>>,
  nowMs = NOW,
  hostBucket?: string,
): S3Evidence<typeof KEYS> {
  const host = headers["host"] ?? HOST;
  return authenticateS3(
    {
      method,
      target: parseTarget(method, rawTarget, host),
      headers: readHeaders(Object.entries({ host, ...headers }).flat(), 100),
    },
    (id) => (id === "AKIAIOSFODNN7EXAMPLE" || id === "AKIDEXAMPLE" ? KEYS : undefined),
    nowMs,
    { skewMs: 15 * 60 * 1000, hostBucket },
  );
}

const authorization = (names: string, signature: string): string =>
  `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=${names},Signature=${signature}`;

describe("signature version 4, by the examples of its pages", () => {
  it("GET Object with a range", () => {
    const headers = {
      range: "bytes=0-9",
      "x-amz-content-sha256": EMPTY,
      "x-amz-date": DATE,
      authorization: authorization(
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
      ),
    };
    assert.equal(evidence("GET", "/test.txt", headers).kind, "signed");
  });

  it("PUT Object with a key that needs escapes", () => {
    const headers = {
      date: "Fri, 24 May 2013 00:00:00 GMT",
      "x-amz-content-sha256": "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
      "x-amz-date": DATE,
      "x-amz-storage-class": "REDUCED_REDUNDANCY",
      authorization: authorization(
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
      ),
    };
    assert.equal(evidence("PUT", "/test%24file.text", headers).kind, "signed");
    assert.equal(evidence("PUT", "/test$file.text", headers).kind, "signed");
  });

  it("GET Bucket lifecycle: a flag without a value", () => {
    const headers = {
      "x-amz-content-sha256": EMPTY,
      "x-amz-date": DATE,
      authorization: authorization(
        "host;x-amz-content-sha256;x-amz-date",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
      ),
    };
    assert.equal(evidence("GET", "/?lifecycle", headers).kind, "signed");
  });

  it("GET Bucket: parameters in any order", () => {
    const headers = {
      "x-amz-content-sha256": EMPTY,
      "x-amz-date": DATE,
      authorization: authorization(
        "host;x-amz-content-sha256;x-amz-date",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
      ),
    };
    assert.equal(evidence("GET", "/?max-keys=2&prefix=J", headers).kind, "signed");
    assert.equal(evidence("GET", "/?prefix=J&max-keys=2", headers).kind, "signed");
  });

  it("a signed URL of a day", () => {
    const query =
      "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
      "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
      "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    assert.equal(evidence("GET", `/test.txt?${query}`, {}).kind, "signed");
    assert.equal(evidence("GET", `/test.txt?${query}`, {}, NOW + 86_394_000).kind, "signed");
    assert.throws(() => evidence("GET", `/test.txt?${query}`, {}, NOW + 86_401_000), { id: "RequestHasExpired" });
    assert.throws(() => evidence("GET", `/test.txt?${query}&versionId=1`, {}), { id: "SignatureDoesNotMatch" });
    assert.throws(() => evidence("GET", `/other.txt?${query}`, {}), { id: "SignatureDoesNotMatch" });
  });

  it("PUT Object in chunks, each signed over the one before", async () => {
    const headers = {
      "content-encoding": "aws-chunked",
      "content-length": "66824",
      "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
      "x-amz-date": DATE,
      "x-amz-decoded-content-length": "66560",
      "x-amz-storage-class": "REDUCED_REDUNDANCY",
      authorization: authorization(
        "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
      ),
      host: "s3.amazonaws.com",
    };
    const found = evidence("PUT", "/examplebucket/chunkObject.txt", headers);
    assert.ok(found.kind === "signed" && found.seed !== undefined);
    const body = Buffer.from(
      `10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n${"a".repeat(65_536)}\r\n` +
        `400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n${"a".repeat(1024)}\r\n` +
        "0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n",
    );
    for (const size of [1000, 65_536, body.length]) {
      async function* source() {
        for (let at = 0; at < body.length; at += size) yield body.subarray(at, at + size);
      }
      const chunks: Buffer[] = [];
      for await (const chunk of decodedChunks(source(), {
        seed: found.seed,
        trailers: undefined,
        decodedLength: 66_560,
        onTrailers: () => assert.fail("no field follows"),
      })) {
        chunks.push(chunk);
      }
      assert.equal(Buffer.concat(chunks).toString(), "a".repeat(66_560));
    }
  });

  it("PUT Object in chunks with trailing fields, which are signed as well", async () => {
    const headers = {
      "content-encoding": "aws-chunked",
      "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
      "x-amz-date": DATE,
      "x-amz-decoded-content-length": "66560",
      "x-amz-storage-class": "REDUCED_REDUNDANCY",
      "x-amz-trailer": "x-amz-checksum-crc32c",
      authorization: authorization(
        "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
      ),
      host: "s3.amazonaws.com",
    };
    const found = evidence("PUT", "/examplebucket/chunkObject.txt", headers);
    assert.ok(found.kind === "signed" && found.seed !== undefined);
    const seed = found.seed;
    const framed = (trailer: string) =>
      Buffer.from(
        `10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n${"a".repeat(65_536)}\r\n` +
          `400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n${"a".repeat(1024)}\r\n` +
          "0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n" +
          `x-amz-checksum-crc32c:${trailer}\r\n` +
          "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
      );
    const read = async (trailer: string): Promise<readonly [number, ReadonlyMap<string, string>]> => {
      let fields: ReadonlyMap<string, string> = new Map();
      let size = 0;
      async function* source() {
        yield framed(trailer);
      }
      const options = {
        seed,
        trailers: ["x-amz-checksum-crc32c"],
        decodedLength: 66_560,
        onTrailers: (found: ReadonlyMap<string, string>) => {
          fields = found;
        },
      };
      for await (const chunk of decodedChunks(source(), options)) size += chunk.length;
      return [size, fields];
    };
    assert.deepEqual(await read("sOO8/Q=="), [66_560, new Map([["x-amz-checksum-crc32c", "sOO8/Q=="]])]);
    await assert.rejects(read("sOO8/A=="), (error: CosError) => error.id === "SignatureDoesNotMatch");
  });
});

describe("signature version 2, by the examples of its page", () => {
  const keys = "AKIAIOSFODNN7EXAMPLE";
  const host = "awsexamplebucket1.us-west-1.s3.amazonaws.com";
  const at = (date: string) => Date.parse(date);
  it.each([
    ["GET", "/photos/puppy.jpg", { date: "Tue, 27 Mar 2007 19:36:42 +0000" }, "qgk2+6Sv9/oM7G3qLEjTH1a1l1g="],
    [
      "PUT",
      "/photos/puppy.jpg",
      { "content-type": "image/jpeg", "content-length": "94328", date: "Tue, 27 Mar 2007 21:15:45 +0000" },
      "iqRzw+ileNPu1fhspnRs8nOjjIA=",
    ],
    [
      "GET",
      "/?prefix=photos&max-keys=50&marker=puppy",
      { "user-agent": "Mozilla/5.0", date: "Tue, 27 Mar 2007 19:42:41 +0000" },
      "m0WP8eCtspQl5Ahe6L1SozdX9YA=",
    ],
    ["GET", "/?acl", { date: "Tue, 27 Mar 2007 19:44:46 +0000" }, "82ZHiFIjc+WbcwFKGUVEQspPn+0="],
  ] as const)("%s %s", (method, target, headers, signature) => {
    const signed = { ...headers, host, authorization: `AWS ${keys}:${signature}` };
    assert.equal(evidence(method, target, signed, at(headers.date), "awsexamplebucket1").kind, "signed");
    assert.throws(() => evidence("DELETE", target, signed, at(headers.date), "awsexamplebucket1"), {
      id: "SignatureDoesNotMatch",
    });
  });
});
