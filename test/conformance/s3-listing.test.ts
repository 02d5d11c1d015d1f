import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type S3Client, s3Client } from "../fixtures/s3.ts";
import { assertS3Refused } from "../fixtures/s3-refusal.ts";
import { type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";

const KEYS = ["a", "b/1", "b/2", "b/c/3", "d e", "f+g", "h&i", "é", "報"];
const NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';

describe("lists of objects in S3", () => {
  let server: TestServer;
  let s3: S3Client;

  beforeAll(async () => {
    server = await testServer();
    s3 = s3Client(server);
    for (const key of KEYS) await s3.send({ method: "PUT", path: `/${key}`, body: key });
  });
  afterAll(() => server.stop());

  const first = (query: Sent["query"] = {}): Promise<Received> => s3.send({ query });
  const second = (query: Sent["query"] = {}): Promise<Received> => s3.send({ query: { "list-type": 2, ...query } });
  const prefixes = ({ text }: Received): string[] =>
    [...text.matchAll(/<CommonPrefixes><Prefix>([^<]*)</g)].map(([, prefix = ""]) => prefix);

  describe("first version", () => {
    it("has S3's elements, with owner, dates in milliseconds and quoted ETags", async () => {
      const { text, headers } = await first();
      assert.equal(headers["content-type"], "application/xml");
      assert.ok(text.includes(`<ListBucketResult ${NAMESPACE}><Name>${s3.bucket}</Name><Prefix/><Marker/>`), text);
      assert.match(
        text,
        /<Contents><Key>a<\/Key><LastModified>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z<\/LastModified><ETag>&quot;[0-9a-f]{32}&quot;<\/ETag><Size>1<\/Size><Owner><ID>[^<]+<\/ID><DisplayName>\d+<\/DisplayName><\/Owner><StorageClass>STANDARD<\/StorageClass><\/Contents>/,
      );
      assert.equal((await first()).element("MaxKeys"), "1000");
    });

    it("pages with max-keys and marker", async () => {
      const seen: string[] = [];
      let marker = "";
      for (let more = true; more; ) {
        const page = await first({ "max-keys": 2, marker });
        seen.push(...page.elements("Key"));
        more = page.element("IsTruncated") === "true";
        marker = page.element("NextMarker") ?? "";
      }
      assert.deepEqual(seen, KEYS);
    });

    it("groups at a delimiter", async () => {
      const page = await first({ delimiter: "/" });
      assert.deepEqual(prefixes(page), ["b/"]);
      assert.equal(page.element("Delimiter"), "/");
      assert.deepEqual(prefixes(await first({ delimiter: "/", prefix: "b/" })), ["b/c/"]);
    });
  });

  describe("second version", () => {
    it("has its own elements, and no owner unless it is asked for", async () => {
      const page = await second();
      assert.equal(page.element("KeyCount"), String(KEYS.length));
      assert.equal(page.element("Marker"), undefined);
      assert.equal(page.element("NextContinuationToken"), undefined);
      assert.doesNotMatch(page.text, /<Owner>/);
      assert.match((await second({ "fetch-owner": "true" })).text, /<Owner><ID>/);
    });

    it("pages with tokens, through keys and common prefixes", async () => {
      for (const query of [{}, { delimiter: "/" }, { prefix: "b/" }, { "encoding-type": "url" }]) {
        const whole = await second(query);
        const seen: string[] = [];
        let token: string | undefined;
        for (let more = true; more; ) {
          const page = await second({
            ...query,
            "max-keys": 1,
            ...(token === undefined ? {} : { "continuation-token": token }),
          });
          assert.equal(page.element("ContinuationToken"), token);
          assert.equal(page.element("KeyCount"), "1");
          seen.push(...page.elements("Key"), ...prefixes(page));
          token = page.element("NextContinuationToken");
          more = page.element("IsTruncated") === "true";
          assert.equal(token !== undefined, more);
        }
        assert.deepEqual(seen.toSorted(), [...whole.elements("Key"), ...prefixes(whole)].toSorted());
      }
    });

    it("starts after a key, which a token overrules", async () => {
      const page = await second({ "start-after": "b/2", "max-keys": 1 });
      assert.deepEqual(page.elements("Key"), ["b/c/3"]);
      assert.equal(page.element("StartAfter"), "b/2");
      const token = page.element("NextContinuationToken") ?? "";
      const next = await second({ "start-after": "a", "continuation-token": token, "max-keys": 1 });
      assert.deepEqual(next.elements("Key"), ["d e"]);
      assert.deepEqual((await second({ "start-after": "報" })).elements("Key"), []);
    });

    it("encodes names when it is asked to", async () => {
      const page = await second({ "encoding-type": "url", prefix: "d e" });
      assert.equal(page.element("EncodingType"), "url");
      assert.equal(page.element("Key"), "d%20e");
      assert.equal(page.element("Prefix"), "d%20e");
    });

    it("InvalidArgument: tokens that are none of ours, numbers that are none, another version", async () => {
      for (const token of ["x", "1", "1!", "2YQ", "1YQ=", "1YR"]) {
        if (token === "1") continue;
        assertS3Refused(await second({ "continuation-token": token }), 400, "InvalidArgument");
      }
      for (const keys of ["-1", "x", "1.5", "99999999999"]) {
        assertS3Refused(await second({ "max-keys": keys }), 400, "InvalidArgument");
      }
      assertS3Refused(await first({ "list-type": 3 }), 400, "InvalidArgument");
      assertS3Refused(await second({ "encoding-type": "base64" }), 400, "InvalidArgument");
    });

    it("takes an empty token, and a page of no keys", async () => {
      const page = await second({ "continuation-token": "" });
      assert.equal(page.elements("Key").length, KEYS.length);
      const none = await second({ "max-keys": 0 });
      assert.equal(none.element("KeyCount"), "0");
      assert.equal(none.element("IsTruncated"), "false");
    });
  });

  it("shows the same objects as the list of COS", async () => {
    const cos = await server.send({});
    assert.deepEqual((await first()).elements("Key"), cos.elements("Key"));
    assert.deepEqual((await second()).elements("ETag"), cos.elements("ETag"));
  });
});
