import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { freshFolder } from "../contract/store-fixture.ts";
import { type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { begin, refused } from "../fixtures/uploads.ts";

const KEYS = ["a", "a", "a/b", "a/c", "a/c", "b", "dir/1", "dir/2", "dir/sub/3", "ö&", "z"];

describe("ListMultipartUploads", () => {
  let server: TestServer;
  /** Every upload as `key uploadId`, in the order of a list. */
  let all: string[];
  beforeAll(async () => {
    server = await testServer({ limits: { listUploadsMax: 8 } });
    all = [];
    for (const key of KEYS) all.push(`${key} ${await begin(server, key)}`);
    all.sort((x, y) => Buffer.compare(Buffer.from(x.replace(" ", "\0")), Buffer.from(y.replace(" ", "\0"))));
  });
  afterAll(() => server.stop());

  const list = (query: Sent["query"] = {}) => server.send({ query: { uploads: undefined, ...query } });

  it("writes the elements of the reference page in their order", async () => {
    const answer = await list({ prefix: "dir/", delimiter: "/", "max-uploads": 3, "key-marker": "dir/1" });
    assert.equal(answer.status, 200, answer.text);
    const { uin } = server.cosbox.credentials;
    const party = `<ID>qcs::cam::uin/${uin}:uin/${uin}</ID><DisplayName>${uin}</DisplayName>`;
    assert.equal(
      answer.text
        .replace(/^<\?xml [^>]*\?>\s*/, "")
        .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, "T")
        .replace(/\d{10}[0-9a-f]{64}/g, "U"),
      `<ListMultipartUploadsResult><Bucket>${server.bucket}</Bucket><KeyMarker>dir/1</KeyMarker><UploadIdMarker/>` +
        "<MaxUploads>3</MaxUploads><IsTruncated>false</IsTruncated><Prefix>dir/</Prefix><Delimiter>/</Delimiter>" +
        "<Upload><Key>dir/2</Key><UploadId>U</UploadId><StorageClass>STANDARD</StorageClass>" +
        `<Initiator>${party}</Initiator><Owner>${party}</Owner><Initiated>T</Initiated></Upload>` +
        "<CommonPrefixes><Prefix>dir/sub/</Prefix></CommonPrefixes></ListMultipartUploadsResult>",
    );
  });

  for (const size of [1, 2, 3, 8]) {
    it(`pages through every upload by key and id, ${size} at a time`, async () => {
      const seen: string[] = [];
      let markers = {};
      for (let page = 0; page < 20; page++) {
        const answer = await list({ "max-uploads": size, ...markers });
        const ids = answer.elements("UploadId");
        seen.push(...answer.elements("Key").map((key, at) => `${key} ${ids[at]}`));
        if (answer.element("IsTruncated") === "false") break;
        markers = {
          "key-marker": answer.element("NextKeyMarker"),
          "upload-id-marker": answer.element("NextUploadIdMarker"),
        };
      }
      assert.deepEqual(seen, all);
    });

    it(`pages through groups, ${size} at a time`, async () => {
      const seen: string[] = [];
      let markers = {};
      for (let page = 0; page < 20; page++) {
        const answer = await list({ delimiter: "/", "max-uploads": size, ...markers });
        const [, ...prefixes] = answer.elements("Prefix");
        seen.push(...answer.elements("Key"), ...prefixes);
        assert.ok(answer.elements("Key").length + prefixes.length <= size);
        if (answer.element("IsTruncated") === "false") break;
        markers = {
          "key-marker": answer.element("NextKeyMarker"),
          "upload-id-marker": answer.element("NextUploadIdMarker"),
        };
      }
      assert.deepEqual(seen.toSorted(), ["a", "a", "a/", "b", "dir/", "z", "ö&"]);
    });
  }

  it("passes over every upload of the key marker when no id marker is given", async () => {
    assert.deepEqual((await list({ "key-marker": "a", "max-uploads": 1 })).elements("Key"), ["a/b"]);
    assert.deepEqual((await list({ "key-marker": "a/c", "max-uploads": 1 })).elements("Key"), ["b"]);
  });

  it("does not take a part of an upload id for a delimiter", async () => {
    const answer = await list({ delimiter: "1" });
    assert.deepEqual(answer.elements("Prefix").slice(1), ["dir/1"]);
  });

  it("lowers max-uploads to the bound, and shows nothing for 0", async () => {
    const many = await list({ "max-uploads": 5_000 });
    assert.deepEqual([many.element("MaxUploads"), many.elements("Key").length], ["8", 8]);
    const none = await list({ "max-uploads": 0 });
    assert.deepEqual([none.elements("Key"), none.element("IsTruncated")], [[], "false"]);
  });

  it("encodes names when it is asked to, and tells it under both names that SDKs read", async () => {
    const answer = await list({ "encoding-type": "url", prefix: "ö", delimiter: "&", "key-marker": "é/" });
    assert.deepEqual(
      ["Encoding-Type", "EncodingType", "KeyMarker", "Delimiter"].map((name) => answer.element(name)),
      ["url", "url", "%C3%A9/", "%26"],
    );
    assert.deepEqual(answer.elements("Prefix"), ["%C3%B6", "%C3%B6%26"]);
  });

  it("InvalidDelimiter: more than one character", async () => {
    refused(await list({ delimiter: "//" }), 400, "InvalidDelimiter");
  });

  it("InvalidArgument: numbers and encodings that are none", async () => {
    for (const query of [{ "max-uploads": "x" }, { "max-uploads": -1 }, { "encoding-type": "gzip" }]) {
      refused(await list(query), 400, "InvalidArgument");
    }
  });

  it("AccessDenied: anonymous callers may not list a private bucket", async () => {
    refused(await server.send({ query: { uploads: undefined }, sign: false }), 403, "AccessDenied");
  });
});

describe("ListMultipartUploads with markers and prefixes longer than a key can be", () => {
  // A metadata engine on disk has a bound for its keys, which memory has not.
  for (const place of ["memory", "disk"] as const) {
    it(`answers as with any other: in ${place}`, async () => {
      const server = await testServer(place === "memory" ? {} : { memory: false, data: await freshFolder() });
      try {
        const list = async (query: Sent["query"]) => {
          const answer = await server.send({ query: { uploads: undefined, ...query } });
          assert.equal(answer.status, 200, answer.text);
          return answer.elements("Key");
        };
        for (const key of ["a", "b", "z"]) await begin(server, key);
        const long = "x".repeat(3_000);
        assert.deepEqual(await list({ "key-marker": long }), ["z"]);
        assert.deepEqual(await list({ "key-marker": `${long}/`, delimiter: "/" }), ["z"]);
        assert.deepEqual(await list({ "key-marker": "a", "upload-id-marker": long }), ["b", "z"]);
        assert.deepEqual(await list({ prefix: long }), []);
        assert.deepEqual(await list({ prefix: "b", "key-marker": long }), []);
        const objects = await server.send({ query: { prefix: long, marker: long } });
        assert.equal(objects.status, 200, objects.text);
      } finally {
        await server.stop();
      }
    });
  }
});
