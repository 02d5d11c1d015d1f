import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { STRANGER } from "../fixtures/accounts.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type Received, type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { linesOf, versionedBucket } from "../fixtures/versioning.ts";

type Pairs = readonly (readonly [string, string])[];

const document = (tags: Pairs): string =>
  `<Tagging><TagSet>${tags.map(([key, value]) => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`).join("")}</TagSet></Tagging>`;
const many = (count: number): Pairs => Array.from({ length: count }, (_, at) => [`key-${at}`, String(at)]);
const queryOf = (tags: Pairs): string =>
  tags.map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`).join("&");

/** Tags that hold everything a tag may, and such as may not be. */
const ODD: Pairs = [
  ["a b+c-d=e.f_g:h/i@j", "Größe 大小 ٣"],
  ["empty", ""],
  ["k".repeat(128), "v".repeat(256)],
  ["Case", "1"],
  ["case", "2"],
];
const BAD: Readonly<Record<string, Pairs>> = {
  "no key": [["", "v"]],
  "a key of 129 characters": [["k".repeat(129), ""]],
  "a value of 257 characters": [["k", "v".repeat(257)]],
  "a character that none may have": [["k", "semi;colon"]],
  "a line break": [["k", "a\nb"]],
  "a key twice": [
    ["k", "1"],
    ["k", "2"],
  ],
  "a reserved key": [["qcs:k", ""]],
  "a key that begins as the service's do": [["project1", ""]],
};

describe("tags", () => {
  let server: TestServer;
  let serial = 0;
  beforeAll(async () => {
    server = await testServer({ credentials: [STRANGER], limits: { partBytesMin: 1 } });
  });
  afterAll(() => server.stop());

  const fresh = () => `/tagged-${++serial}`;
  const tagging = { query: { tagging: undefined } } as const;
  const send = (method: string, path: string, more: Sent = {}) => server.send({ method, path, ...more });
  const put = (path: string, more: Sent = {}) => send("PUT", path, { body: "x", ...more });
  const setTags = (path: string, tags: Pairs, more: Sent = {}) =>
    send("PUT", path, { body: document(tags), ...more, query: { ...more.query, tagging: undefined } });
  const pairsOf = (answer: Received): Pairs => {
    assert.equal(answer.status, 200, answer.text);
    const values = answer.elements("Value");
    return answer.elements("Key").map((key, at) => [key, values[at] as string]);
  };
  const tagsOf = async (path: string, more: Sent = {}) =>
    pairsOf(await send("GET", path, { ...more, query: { ...more.query, tagging: undefined } }));
  const bucketOf = async (headers: Sent["headers"] = {}): Promise<string> => {
    const bucket = `tags${++serial}-1250000000`;
    assert.equal((await server.send({ method: "PUT", bucket, headers })).status, 200);
    return bucket;
  };

  describe("of objects", () => {
    it("are set, told and taken away, and change neither time nor ETag", async () => {
      const path = fresh();
      await put(path);
      const before = await send("HEAD", path);
      const empty = await send("GET", path, tagging);
      assert.equal(empty.text, "<?xml version='1.0' encoding='utf-8' ?>\n<Tagging><TagSet/></Tagging>");
      const set = await setTags(path, ODD);
      assert.deepEqual([set.status, set.text], [200, ""]);
      assert.deepEqual(await tagsOf(path), ODD);
      const after = await send("HEAD", path);
      assert.equal(after.headers["x-cos-tagging-count"], "5");
      for (const name of ["etag", "last-modified", "x-cos-hash-crc64ecma"]) {
        assert.equal(after.headers[name], before.headers[name], name);
      }
      await setTags(path, [["other", "1"]]);
      assert.deepEqual(await tagsOf(path), [["other", "1"]]);
      for (let times = 0; times < 2; times++) {
        const gone = await send("DELETE", path, tagging);
        assert.deepEqual([gone.status, gone.text], [204, ""]);
        assert.deepEqual(await tagsOf(path), []);
      }
      assert.equal((await send("HEAD", path)).headers["x-cos-tagging-count"], undefined);
      assert.equal((await send("GET", path)).text, "x");
    });

    it("come with every way of storing, and go with the object", async () => {
      const headers = { "x-cos-tagging": queryOf(ODD) };
      const path = fresh();
      await put(path, { headers });
      assert.deepEqual(await tagsOf(path), ODD);
      await put(path);
      assert.deepEqual(await tagsOf(path), [], "another object");

      const log = fresh();
      await send("POST", log, { query: { append: undefined, position: 0 }, body: "a", headers });
      await send("POST", log, { query: { append: undefined, position: 1 }, body: "b" });
      assert.deepEqual(await tagsOf(log), ODD, "a later append keeps them");

      const whole = fresh();
      const begun = await send("POST", whole, { query: { uploads: undefined }, headers });
      const uploadId = begun.element("UploadId");
      const part = await put(whole, { query: { partNumber: 1, uploadId } });
      const list = `<Part><PartNumber>1</PartNumber><ETag>${String(part.headers.etag)}</ETag></Part>`;
      const body = `<CompleteMultipartUpload>${list}</CompleteMultipartUpload>`;
      assert.equal((await send("POST", whole, { query: { uploadId }, body })).status, 200);
      assert.deepEqual(await tagsOf(whole), ODD);
    });

    it("are taken by copies unless others are sent with the directive", async () => {
      const [from, to] = [fresh(), fresh()];
      await put(from, { headers: { "x-cos-tagging": "a=1" } });
      const source = { "x-cos-copy-source": `${server.bucket}${from}` };
      const copy = async (headers: Record<string, string>) => {
        const answer = await send("PUT", to, { headers: { ...source, ...headers } });
        assert.equal(answer.status, 200, answer.text);
        return tagsOf(to);
      };
      assert.deepEqual(await copy({}), [["a", "1"]]);
      assert.deepEqual(await copy({ "x-cos-tagging": "b=2" }), [["a", "1"]]);
      assert.deepEqual(await copy({ "x-cos-tagging": "b=2", "x-cos-tagging-directive": "Copy" }), [["a", "1"]]);
      assert.deepEqual(await copy({ "x-cos-tagging": "b=2", "x-cos-tagging-directive": "Replaced" }), [["b", "2"]]);
      assert.deepEqual(await copy({ "x-cos-tagging-directive": "replaced" }), []);
      const onto = { "x-cos-copy-source": `${server.bucket}${to}`, "x-cos-tagging-directive": "Replaced" };
      assert.equal((await send("PUT", to, { headers: { ...onto, "x-cos-tagging": "c=3" } })).status, 200);
      assert.deepEqual(await tagsOf(to), [["c", "3"]]);
      const odd = await send("PUT", to, { headers: { ...source, "x-cos-tagging-directive": "Move" } });
      assertRefused(odd, "InvalidArgument", { message: /x-cos-tagging-directive/ });
    });

    it("belong to one version", async () => {
      const bucket = await versionedBucket(server, "tagged");
      const made: string[] = [];
      for (const tag of ["one=1", "two=2"]) {
        const answer = await put("/k", { bucket, headers: { "x-cos-tagging": tag } });
        made.push(String(answer.headers["x-cos-version-id"]));
      }
      const [old, last] = made;
      const set = await setTags("/k", [["old", "x"]], { bucket, query: { versionId: old } });
      assert.equal(set.headers["x-cos-version-id"], old);
      assert.deepEqual(await tagsOf("/k", { bucket }), [["two", "2"]]);
      assert.deepEqual(await tagsOf("/k", { bucket, query: { versionId: old } }), [["old", "x"]]);
      await send("DELETE", "/k", { bucket, query: { tagging: undefined, VersionId: last } });
      assert.deepEqual(await tagsOf("/k", { bucket }), []);
      const list = await server.send({ bucket, query: { versions: undefined } });
      assert.equal(linesOf(list).length, 2, "no version came of it");
      await send("DELETE", "/k", { bucket, query: { versionId: last } });
      assert.deepEqual(await tagsOf("/k", { bucket }), [["old", "x"]], "the older one is current, with its tags");
    });

    it.each(Object.keys(BAD))("InvalidTag for %s, in the document and in the header; nothing changes", async (what) => {
      const tags = BAD[what] as Pairs;
      const path = fresh();
      await put(path, { headers: { "x-cos-tagging": "kept=1" } });
      assertRefused(await setTags(path, tags), "InvalidTag", { message: /^Tag number [12] / });
      assertRefused(await put(path, { headers: { "x-cos-tagging": queryOf(tags) } }), "InvalidTag", {
        message: /^Tag /,
      });
      assert.deepEqual(await tagsOf(path), [["kept", "1"]]);
    });

    it("InvalidTag: a header that cannot be decoded", async () => {
      assertRefused(await put(fresh(), { headers: { "x-cos-tagging": "a=%zz" } }), "InvalidTag", {
        message: "The header x-cos-tagging is not percent-encoded UTF-8.",
      });
    });

    it("BadRquest: an eleventh tag", async () => {
      const path = fresh();
      await put(path, { headers: { "x-cos-tagging": queryOf(many(10)) } });
      assert.equal((await tagsOf(path)).length, 10);
      assertRefused(await setTags(path, many(11)), "BadRquest", { message: "At most 10 tags are allowed." });
      const answer = await put(path, { headers: { "x-cos-tagging": queryOf(many(11)) } });
      assertRefused(answer, "BadRquest", { message: "At most 10 tags are allowed." });
    });

    it("MalformedXML: no TagSet, or a tag with two keys", async () => {
      const path = fresh();
      await put(path);
      for (const body of [
        "<Tagging/>",
        "<Tagging><TagSet><Tag><Key>a</Key><Key>b</Key></Tag></TagSet></Tagging>",
        "<Tags><TagSet/></Tags>",
      ]) {
        assertRefused(await send("PUT", path, { ...tagging, body }), "MalformedXML");
      }
    });

    it("MissingRequestBodyError: no body", async () => {
      assertRefused(await send("PUT", "/k", { ...tagging, body: "" }), "MissingRequestBodyError");
    });

    it("NoSuchKey: an object that is not there", async () => {
      assertRefused(await setTags("/never", [["a", "1"]]), "NoSuchKey");
      for (const method of ["GET", "DELETE"]) assertRefused(await send(method, "/never", tagging), "NoSuchKey");
    });

    it("NoSuchVersion: a version that is not there", async () => {
      const path = fresh();
      await put(path);
      const query = { tagging: undefined, versionId: "MTg0NDUxMzY2NDIxNTAwOTk4NzA" };
      assertRefused(await setTags(path, [["a", "1"]], { query }), "NoSuchVersion");
      for (const method of ["GET", "DELETE"]) assertRefused(await send(method, path, { query }), "NoSuchVersion");
    });

    it("MethodNotAllowed: a delete marker", async () => {
      const bucket = await versionedBucket(server, "marked");
      const marker = String((await send("DELETE", "/k", { bucket })).headers["x-cos-version-id"]);
      const query = { tagging: undefined, versionId: marker };
      assertRefused(await setTags("/k", [["a", "1"]], { bucket, query }), "MethodNotAllowed", {
        message: /delete marker/,
      });
      assertRefused(await send("GET", "/k", { bucket, query }), "MethodNotAllowed", { message: /delete marker/ });
      const newest = await setTags("/k", [["a", "1"]], { bucket });
      assertRefused(newest, "NoSuchKey");
      assert.equal(newest.headers["x-cos-delete-marker"], "true");
    });

    it("AccessDenied: anybody but the owner, also where everyone may write", async () => {
      const bucket = await bucketOf({ "x-cos-acl": "public-read-write" });
      await put("/k", { bucket });
      for (const method of ["GET", "DELETE"]) {
        assertRefused(await send(method, "/k", { bucket, ...tagging, sign: STRANGER }), "AccessDenied");
      }
      assertRefused(await setTags("/k", [["a", "1"]], { bucket, sign: STRANGER }), "AccessDenied");
    });
  });

  describe("of buckets", () => {
    it("are set, told, found by and taken away", async () => {
      const bucket = await bucketOf();
      const set = await setTags("/", ODD, { bucket });
      assert.deepEqual([set.status, set.text], [204, ""]);
      assert.deepEqual(await tagsOf("/", { bucket }), ODD);
      const found = async (query: Readonly<Record<string, string>>) =>
        (await server.send({ bucket: "", query })).elements("Name");
      assert.deepEqual(await found({ tagkey: "Case" }), [bucket]);
      assert.deepEqual(await found({ tagkey: "Case", tagvalue: "1" }), [bucket]);
      assert.deepEqual(await found({ tagkey: "Case", tagvalue: "2" }), []);
      assert.deepEqual(await found({ tagkey: "none" }), []);
      assertRefused(await server.send({ bucket: "", query: { tagvalue: "1" } }), "InvalidArgument", {
        message: /tagkey/,
      });
      const gone = await send("DELETE", "/", { bucket, ...tagging });
      assert.equal(gone.status, 204);
      assertRefused(await send("GET", "/", { bucket, ...tagging }), "NoSuchTagSet");
    });

    it("come with the bucket, and go with it", async () => {
      const bucket = await bucketOf({ "x-cos-tagging": "made=with%20it" });
      assert.deepEqual(await tagsOf("/", { bucket }), [["made", "with it"]]);
      await server.send({ method: "DELETE", bucket });
      await server.send({ method: "PUT", bucket });
      assertRefused(await send("GET", "/", { bucket, ...tagging }), "NoSuchTagSet");
    });

    it("NoSuchTagSet: a bucket without tags, or whose tags were set to none", async () => {
      const bucket = await bucketOf();
      assertRefused(await send("GET", "/", { bucket, ...tagging }), "NoSuchTagSet");
      await setTags("/", [["a", "1"]], { bucket });
      await setTags("/", [], { bucket });
      assertRefused(await send("GET", "/", { bucket, ...tagging }), "NoSuchTagSet");
    });

    it("InvalidTag: a reserved key, also when the bucket is made", async () => {
      const bucket = await bucketOf();
      assertRefused(await setTags("/", [["qcs:x", "1"]], { bucket }), "InvalidTag", { message: /reserved/ });
      const made = { method: "PUT", bucket: "never-1250000000", headers: { "x-cos-tagging": "project=1" } };
      assertRefused(await server.send(made), "InvalidTag", { message: /reserved/ });
      assertRefused(await server.send({ bucket: "never-1250000000" }), "NoSuchBucket");
    });

    it("BadRquest: a fifty-first tag", async () => {
      const bucket = await bucketOf();
      assert.equal((await setTags("/", many(50), { bucket })).status, 204);
      assertRefused(await setTags("/", many(51), { bucket }), "BadRquest", { message: "At most 50 tags are allowed." });
      assert.equal((await tagsOf("/", { bucket })).length, 50);
    });
  });

  describe("in conditions of policies", () => {
    it("decide by the tags of the object, as they are now, and by those of the bucket", async () => {
      const bucket = await bucketOf();
      const statement = {
        effect: "allow",
        principal: { qcs: [`qcs::cam::uin/${STRANGER.uin}:uin/${STRANGER.uin}`] },
        action: ["name/cos:GetObject"],
        resource: "*",
        condition: { string_equal: { "qcs:resource_tag": ["team&red"] } },
      };
      const policy = JSON.stringify({ version: "2.0", statement: [statement] });
      const set = await server.send({ method: "PUT", bucket, query: { policy: undefined }, body: policy });
      assert.equal(set.status, 204, set.text);
      await put("/k", { bucket });
      const read = () => send("GET", "/k", { bucket, sign: STRANGER });
      assertRefused(await read(), "AccessDenied");
      await setTags("/k", [["team", "blue"]], { bucket });
      assertRefused(await read(), "AccessDenied");
      await setTags("/k", [["team", "red"]], { bucket });
      assert.equal((await read()).text, "x");
      await send("DELETE", "/k", { bucket, ...tagging });
      assertRefused(await read(), "AccessDenied");
      await setTags("/", [["team", "red"]], { bucket });
      assert.equal((await read()).text, "x");
    });
  });
});
