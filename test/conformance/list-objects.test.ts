import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { STRANGER } from "../fixtures/accounts.ts";
import { assertRefused, headerNames } from "../fixtures/refusal.ts";
import { type Sent, type TestServer, testServer } from "../fixtures/server.ts";

const KEYS = [
  "A.txt",
  "a",
  "a.txt",
  "a/",
  "a/1",
  "a/2",
  "a/b/1",
  "a/b/2",
  "a0",
  "b/1",
  "b|1",
  "c",
  "c//d",
  "é",
  "\u{1f600}",
].toSorted((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));

interface Page {
  readonly keys: readonly string[];
  readonly prefixes: readonly string[];
  readonly nextMarker: string | undefined;
}

/** The page that the rules of the protocol give for the keys above. */
function expectedPage({ prefix = "", delimiter = "", marker = "", maxKeys = 1000 }): Page {
  const after = (item: string) => Buffer.compare(Buffer.from(item), Buffer.from(marker)) > 0;
  const items: { readonly text: string; readonly common: boolean }[] = [];
  for (const key of KEYS) {
    if (!key.startsWith(prefix)) continue;
    const at = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
    const text = at < 0 ? key : key.slice(0, at + delimiter.length);
    if (after(text) && items.at(-1)?.text !== text) items.push({ text, common: at >= 0 });
  }
  const shown = items.slice(0, maxKeys);
  return {
    keys: shown.filter(({ common }) => !common).map(({ text }) => text),
    prefixes: shown.filter(({ common }) => common).map(({ text }) => text),
    nextMarker: maxKeys > 0 && items.length > maxKeys ? shown.at(-1)?.text : undefined,
  };
}

describe("GetBucket", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER] });
    for (const key of KEYS) await server.send({ method: "PUT", path: `/${key}`, body: key });
    const bucket = "docs-1250000000";
    await server.send({ method: "PUT", bucket, headers: { "x-cos-acl": "public-read" } });
    for (const key of ["docs/a/1.txt", "docs/a/2.txt", "docs/b.txt", "docs/c.txt", "other"]) {
      await server.send({ method: "PUT", bucket, path: `/${key}`, body: "hello world" });
    }
  });
  afterAll(() => server.stop());

  const list = (query: Sent["query"] = {}, more: Sent = {}) => server.send({ query, ...more });
  const inside = (text: string, container: string) =>
    [...text.matchAll(new RegExp(`<${container}><[A-Za-z]+>([^<]*)</`, "g"))].map(([, inner]) => inner as string);
  async function page(query: Sent["query"]): Promise<Page> {
    const answer = await list(query);
    assert.equal(answer.status, 200, answer.text);
    const truncated = answer.element("IsTruncated");
    assert.equal(truncated, answer.element("NextMarker") === undefined ? "false" : "true");
    return {
      keys: inside(answer.text, "Contents"),
      prefixes: inside(answer.text, "CommonPrefixes"),
      nextMarker: answer.element("NextMarker"),
    };
  }

  it("writes the document as the service does", async () => {
    const answer = await list({ prefix: "docs/", delimiter: "/", "max-keys": 2 }, { bucket: "docs-1250000000" });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-type"], "application/xml");
    assert.equal(answer.headers["x-cos-bucket-region"], "ap-guangzhou");
    assert.ok(headerNames(answer).includes("x-cos-bucket-region"));
    assert.match(answer.element("LastModified") as string, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.equal(
      answer.text.replace(/<LastModified>[^<]*/, "<LastModified>WHEN"),
      "<?xml version='1.0' encoding='utf-8' ?>\n<ListBucketResult><Name>docs-1250000000</Name><Prefix>docs/</Prefix>" +
        "<Marker/><MaxKeys>2</MaxKeys><Delimiter>/</Delimiter><IsTruncated>true</IsTruncated>" +
        "<NextMarker>docs/b.txt</NextMarker><CommonPrefixes><Prefix>docs/a/</Prefix></CommonPrefixes>" +
        "<Contents><Key>docs/b.txt</Key><LastModified>WHEN</LastModified>" +
        "<ETag>&quot;5eb63bbbe01eeed093cb22bb8f5acdc3&quot;</ETag><Size>11</Size>" +
        "<Owner><ID>1250000000</ID><DisplayName>1250000000</DisplayName></Owner>" +
        "<StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>",
    );
  });

  it("an empty bucket has an empty list", async () => {
    const bucket = "empty-1250000000";
    await server.send({ method: "PUT", bucket });
    assert.equal(
      (await list({}, { bucket })).text,
      "<?xml version='1.0' encoding='utf-8' ?>\n<ListBucketResult><Name>empty-1250000000</Name><Prefix/><Marker/>" +
        "<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>",
    );
  });

  it("tells the same moment, ETag and size as the object does", async () => {
    const listed = await list({ prefix: "a/1" });
    const { headers } = await server.send({ method: "HEAD", path: "/a/1" });
    const told = Date.parse(listed.element("LastModified") as string);
    assert.equal(Math.floor(told / 1000) * 1000, Date.parse(headers["last-modified"] as string));
    assert.equal(listed.element("ETag"), headers["etag"]);
    assert.equal(listed.element("Size"), headers["content-length"]);
  });

  const PREFIXES = ["", "a", "a/", "a/b/", "a0", "c//", "é", "missing", "/", "__proto__"];
  const DELIMITERS = ["", "/", "|", "b", "\u{1f600}"];
  for (const prefix of PREFIXES) {
    it(`lists ${JSON.stringify(prefix)} with every delimiter and page size as the rules say, page by page`, async () => {
      for (const delimiter of DELIMITERS) {
        for (const maxKeys of [1, 2, 3, 7, 15, 1000]) {
          let marker = "";
          for (let pages = 0; ; pages++) {
            assert.ok(pages <= KEYS.length, "the listing ends");
            const query = { prefix, delimiter, marker, "max-keys": maxKeys };
            const expected = expectedPage({ prefix, delimiter, marker, maxKeys });
            const found = await page(query);
            assert.deepEqual(found, expected, JSON.stringify(query));
            if (found.nextMarker === undefined) break;
            marker = found.nextMarker;
          }
        }
      }
    });
  }

  it("starts behind any marker, whether or not it is a key or a prefix", async () => {
    for (const marker of [...KEYS, "a/b/", "b/", "0", "zz", "a/b", "a/\u{10ffff}", "__proto__"]) {
      for (const delimiter of ["", "/"]) {
        assert.deepEqual(
          await page({ marker, delimiter }),
          expectedPage({ marker, delimiter }),
          `${marker} ${delimiter}`,
        );
      }
    }
  });

  it("passes over all that is under a common prefix it has shown", async () => {
    assert.deepEqual((await page({ delimiter: "/", marker: "a/", prefix: "a" })).prefixes, []);
    assert.deepEqual((await page({ delimiter: "/", marker: "a/b/1" })).prefixes, ["b/", "c/"]);
  });

  it("tells NextMarker with and without a delimiter, a key or a common prefix", async () => {
    assert.equal((await page({ "max-keys": 2 })).nextMarker, "a");
    assert.equal((await page({ "max-keys": 4, delimiter: "/" })).nextMarker, "a/");
    assert.equal((await page({ "max-keys": KEYS.length })).nextMarker, undefined);
  });

  describe("max-keys", () => {
    it("0 gives an empty page that is not truncated", async () => {
      const answer = await list({ "max-keys": 0 });
      assert.match(answer.text, /<MaxKeys>0<\/MaxKeys><IsTruncated>false<\/IsTruncated><\/ListBucketResult>$/);
    });

    it("1000 is the default, and more is lowered to it", async () => {
      for (const query of [{}, { "max-keys": 1000 }, { "max-keys": 1001 }, { "max-keys": 2 ** 31 - 1 }]) {
        const answer = await list(query);
        assert.equal(answer.element("MaxKeys"), "1000");
        assert.equal(answer.elements("Key").length, KEYS.length);
      }
    });

    it("is lowered to the page that the setting allows", async () => {
      const small = await testServer({ limits: { listKeysMax: 2 } });
      try {
        for (const key of ["x", "y", "z"]) await small.send({ method: "PUT", path: `/${key}`, body: "" });
        for (const query of [{}, { "max-keys": 1000 }]) {
          const answer = await small.send({ query });
          assert.deepEqual(answer.elements("Key"), ["x", "y"]);
          assert.equal(answer.element("MaxKeys"), "2");
          assert.equal(answer.element("NextMarker"), "y");
        }
      } finally {
        await small.stop();
      }
    });

    it("InvalidArgument: what is no size of a page", async () => {
      for (const value of [
        "-1",
        String(2 ** 31),
        "abc",
        "",
        "1.5",
        "1e3",
        "0x10",
        " 1",
        "９",
        "99999999999999999999",
      ]) {
        assertRefused(await list({ "max-keys": value }), "InvalidArgument", { message: /max-keys/ });
      }
    });
  });

  it("InvalidDelimiter: more than one character", async () => {
    for (const delimiter of ["//", "ab", "/a", "e\u0301"]) {
      assertRefused(await list({ delimiter }), "InvalidDelimiter");
    }
  });

  it("InvalidArgument: an encoding-type other than url", async () => {
    for (const value of ["base64", "", "urlx"]) {
      assertRefused(await list({ "encoding-type": value }), "InvalidArgument", { message: /encoding-type/ });
    }
  });

  it("InvalidArgument: a parameter that is given twice, in whatever case", async () => {
    for (const [name, target] of [
      ["prefix", "/?prefix=a&prefix=b"],
      ["marker", "/?marker=a&Marker=b"],
      ["delimiter", "/?delimiter=/&delimiter=/"],
    ] as const) {
      assertRefused(await server.send({ target, path: "/" }), "InvalidArgument", { message: new RegExp(name) });
    }
  });

  describe("encoding-type=url", () => {
    it("encodes every name, with slashes left and blanks as %20", async () => {
      const bucket = "names-1250000000";
      await server.send({ method: "PUT", bucket });
      for (const key of ["p q/a+b&c<d>", "p q/x/1", "p q/报告(v1)!*'.txt", "p q/~-_."]) {
        await server.send({ method: "PUT", bucket, path: `/${key}`, body: "" });
      }
      const answer = await list(
        { prefix: "p q/", delimiter: "/", marker: "p q/a", "max-keys": 2, "encoding-type": "URL" },
        { bucket },
      );
      const text = answer.text.replace(/<LastModified>.*?<\/StorageClass>/gs, "");
      assert.equal(
        text,
        "<?xml version='1.0' encoding='utf-8' ?>\n<ListBucketResult><Name>names-1250000000</Name>" +
          "<EncodingType>url</EncodingType><Prefix>p%20q/</Prefix><Marker>p%20q/a</Marker><MaxKeys>2</MaxKeys>" +
          "<Delimiter>/</Delimiter><IsTruncated>true</IsTruncated><NextMarker>p%20q/x/</NextMarker>" +
          "<CommonPrefixes><Prefix>p%20q/x/</Prefix></CommonPrefixes>" +
          "<Contents><Key>p%20q/a%2Bb%26c%3Cd%3E</Key></Contents></ListBucketResult>",
      );
      const rest = await list({ marker: "p q/x/", delimiter: "/", prefix: "p q/", "encoding-type": "url" }, { bucket });
      assert.deepEqual(rest.elements("Key"), ["p%20q/~-_.", "p%20q/%E6%8A%A5%E5%91%8A%28v1%29%21%2A%27.txt"]);
    });

    it("encodes a delimiter that needs it", async () => {
      const answer = await list({ delimiter: "|", "encoding-type": "url" });
      assert.equal(answer.element("Delimiter"), "%7C");
      assert.ok(answer.elements("Prefix").includes("b%7C"));
    });

    it("is taken by itself for a page with a name that XML cannot carry, which then says so", async () => {
      const bucket = "control-1250000000";
      await server.send({ method: "PUT", bucket });
      for (const key of ["a&b", "c\u0001d", "e\rf", "g\ufffeh"]) {
        await server.send({ method: "PUT", bucket, path: `/${key}`, body: "" });
      }
      const plain = await list({ "max-keys": 1 }, { bucket });
      assert.equal(plain.element("EncodingType"), undefined);
      assert.deepEqual(plain.elements("Key"), ["a&b"]);
      const all = await list({}, { bucket });
      assert.equal(all.element("EncodingType"), "url");
      assert.deepEqual(all.elements("Key"), ["a%26b", "c%01d", "e%0Df", "g%EF%BF%BEh"]);
      const marked = await list({ marker: "z\u0002" }, { bucket });
      assert.equal(marked.element("EncodingType"), "url");
      assert.equal(marked.element("Marker"), "z%02");
      const grouped = await list({ delimiter: "\u0001" }, { bucket });
      assert.deepEqual(grouped.elements("Prefix"), ["", "c%01"]);
    });

    it("escapes markup in names where it is not asked for", async () => {
      const bucket = "markup-1250000000";
      await server.send({ method: "PUT", bucket });
      const keys = ["a\"b'c", "a]]>b", "a<b>&c", "t\tn\n"];
      for (const key of keys) await server.send({ method: "PUT", bucket, path: `/${key}`, body: "" });
      const answer = await list({}, { bucket });
      assert.equal(answer.element("EncodingType"), undefined);
      assert.deepEqual(answer.elements("Key"), keys.toSorted());
    });
  });

  it("shows every acknowledged write and deletion at once", async () => {
    const bucket = "fresh-1250000000";
    await server.send({ method: "PUT", bucket });
    for (let n = 0; n < 5; n++) {
      await server.send({ method: "PUT", bucket, path: `/k${n}`, body: "" });
      assert.equal((await list({}, { bucket })).elements("Key").length, n + 1);
    }
    for (let n = 0; n < 5; n++) {
      await server.send({ method: "DELETE", bucket, path: `/k${n}` });
      assert.equal((await list({}, { bucket })).elements("Key").length, 4 - n);
    }
  });

  it("reads plus and %20 in a parameter as a blank", async () => {
    const bucket = "names-1250000000";
    for (const target of ["/?prefix=p+q%2Fx", "/?prefix=p%20q/x"]) {
      const answer = await server.send({
        bucket,
        target,
        path: "/",
        sign: { instead: { query: { prefix: "p q/x" } } },
      });
      assert.deepEqual(answer.elements("Key"), ["p q/x/1"], answer.text);
    }
  });

  it("NoSuchBucket: a bucket that is not there", async () => {
    assertRefused(await list({}, { bucket: "nobody-1250000000" }), "NoSuchBucket", {
      resource: "nobody-1250000000.cos.ap-guangzhou.myqcloud.com",
    });
  });

  it("AccessDenied: a private bucket, for strangers and anonymous callers", async () => {
    assertRefused(await list({}, { sign: STRANGER }), "AccessDenied");
    assertRefused(await list({}, { sign: false }), "AccessDenied");
  });

  it("lets everyone list what everyone may read", async () => {
    assert.equal((await list({}, { bucket: "docs-1250000000", sign: false })).elements("Key").length, 5);
  });

  it("UnexpectedContent: a body", async () => {
    assertRefused(await list({}, { body: "x" }), "UnexpectedContent");
  });

  it("is what the SDK's getBucket resolves with", async () => {
    const params = { Bucket: server.bucket, Region: "ap-guangzhou" };
    const { Contents, IsTruncated } = await server.cos.getBucket(params);
    assert.deepEqual(
      Contents.map(({ Key }) => Key),
      KEYS,
    );
    assert.equal(IsTruncated, "false");
    const { CommonPrefixes, NextMarker } = await server.cos.getBucket({ ...params, Delimiter: "/", MaxKeys: 4 });
    assert.deepEqual(CommonPrefixes, [{ Prefix: "a/" }]);
    assert.equal(NextMarker, "a/");
  });
});
