/**
 * The official Node SDK, as it comes from npm, does a day's work on cosbox in each of the ways that it can be pointed
 * at a server. Content is compared by hash.
 */

import assert from "node:assert/strict";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import COS from "cos-nodejs-sdk-v5";
import { afterAll, beforeAll, describe, it } from "vitest";
import { startCosbox } from "../../src/library.ts";
import { type TestServer, testServer } from "../fixtures/server.ts";
import { bytes, crc64ecma, md5, sha256 } from "./content.ts";
import { fetchUrl, removeSdkFolder, resolveLocalhostNames, sdk, WAYS } from "./ways.ts";

const MiB = 1024 * 1024;

/** Keys that break a client or a server that encodes, decodes or normalises once too often. */
const KEYS = [
  "plain.txt",
  "folder/",
  "folder/sub folder/with spaces.txt",
  " leading and trailing ",
  "a+b=c&d",
  "100%",
  "%25 %2F %zz",
  "question?mark#hash",
  `quotes'"and<tags>`,
  "(!'*)~;:@,$[]{}|\\^`",
  "报告（终稿）.txt",
  "emoji 😀👩‍👩‍👧.png",
  "e\u0301 is not \u00e9",
  "\u00e9",
  "double//slash///here",
  "dots/../not/./folders/...",
  "trailing.",
  "tab\tand\u00a0spaces",
  "?acl",
  "uploads",
  `long-${"ü".repeat(400)}`,
];

/** What the SDK rejects with. */
async function refusal(promise: Promise<unknown>): Promise<COS.CosSdkError & { error: { Code: string } }> {
  try {
    await promise;
  } catch (error) {
    return error as COS.CosSdkError & { error: { Code: string } };
  }
  throw new assert.AssertionError({ message: "the request was not refused" });
}

function signedUrl(cos: COS, params: COS.GetObjectUrlParams): Promise<string> {
  return new Promise((resolve, reject) => {
    cos.getObjectUrl(params, (error, data) => (error === null ? resolve(data.Url) : reject(error)));
  });
}

/** The parser of the SDK gives one element where there is one, and an array where there are several. */
function listed<T>(some: T | readonly T[] | undefined): readonly T[] {
  return some === undefined ? [] : Array.isArray(some) ? some : [some as T];
}

describe.each(WAYS)("the official Node SDK through $name", (way) => {
  let restoreResolver: () => void;
  let server: TestServer;
  let folder: string;
  let cos: COS;
  let at: { Bucket: string; Region: string };
  let source: (key: string) => string;

  beforeAll(async () => {
    restoreResolver = resolveLocalhostNames();
    server = await testServer();
    folder = await mkdtemp(join(tmpdir(), "cosbox-sdk-"));
    cos = sdk(way, server.cosbox, folder);
    at = { Bucket: server.bucket, Region: server.cosbox.region };
    source = (key) => `${at.Bucket}.cos.${at.Region}.myqcloud.com/${encodeURIComponent(key)}`;
  });
  afterAll(async () => {
    await server.stop();
    await removeSdkFolder(folder);
    restoreResolver();
  });

  async function put(key: string, body: Buffer | string, more: Partial<COS.PutObjectParams> = {}) {
    return await cos.putObject({ ...at, Key: key, Body: body, ...more } as COS.PutObjectParams);
  }
  async function contentOf(key: string): Promise<Buffer> {
    return (await cos.getObject({ ...at, Key: key })).Body;
  }
  async function fileOf(name: string, content: Buffer): Promise<string> {
    const path = join(folder, name);
    await writeFile(path, content);
    return path;
  }
  async function multipart(key: string, parts: readonly Buffer[], headers: COS.Headers = {}) {
    const { UploadId } = await cos.multipartInit({ ...at, Key: key, Headers: headers });
    const Parts: { PartNumber: number; ETag: string }[] = [];
    for (const [index, Body] of parts.entries()) {
      const PartNumber = index + 1;
      const { ETag } = await cos.multipartUpload({ ...at, Key: key, UploadId, PartNumber, Body });
      Parts.push({ PartNumber, ETag });
    }
    return await cos.multipartComplete({ ...at, Key: key, UploadId, Parts });
  }

  describe("buckets", () => {
    it("are created, found, listed and deleted", async () => {
      const Bucket = server.cosbox.bucket("second");
      const created = await cos.putBucket({ Bucket, Region: at.Region });
      assert.equal(created.statusCode, 200);
      assert.match(created.Location, /second-1250000000/);

      const head = await cos.headBucket({ Bucket, Region: at.Region });
      assert.equal(head.statusCode, 200);
      assert.equal(head.headers?.["x-cos-bucket-region"], at.Region);

      const { Buckets, Owner } = await cos.getService();
      assert.deepEqual(
        Buckets.map(({ Name, Location }) => [Name, Location]),
        [
          [server.bucket, at.Region],
          [Bucket, at.Region],
        ],
      );
      assert.match(Owner.ID, /^qcs::cam::uin\/\d+:uin\/\d+$/);

      assert.equal((await cos.deleteBucket({ Bucket, Region: at.Region })).statusCode, 204);
      assert.equal((await refusal(cos.headBucket({ Bucket, Region: at.Region }))).statusCode, 404);
    });

    it("tell their region", async () => {
      const { LocationConstraint } = await cos.getBucketLocation(at);
      assert.equal(LocationConstraint, at.Region);
    });
  });

  describe("an object", () => {
    it("comes back as it went, with its MD5 as ETag and its CRC-64", async () => {
      const body = bytes(300_001);
      const stored = await put("whole.bin", body, { ContentType: "application/x-thing" });
      assert.equal(stored.statusCode, 200);
      assert.equal(stored.ETag, `"${md5(body)}"`);
      assert.equal(stored.headers?.["x-cos-hash-crc64ecma"], await crc64ecma(body));

      const found = await cos.getObject({ ...at, Key: "whole.bin" });
      assert.equal(sha256(found.Body), sha256(body));
      assert.equal(found.ETag, stored.ETag);
      assert.equal(found.headers?.["content-type"], "application/x-thing");
      assert.ok(found.RequestId);

      const head = await cos.headObject({ ...at, Key: "whole.bin" });
      assert.equal(head.headers?.["content-length"], "300001");
      assert.equal(head.headers?.["x-cos-hash-crc64ecma"], await crc64ecma(body));
      assert.ok(Date.parse(String(head.headers?.["last-modified"])) > Date.now() - 60_000);
    });

    it("has the type of its key's extension where none is given", async () => {
      await put("typed/1.zip", "x");
      await put("typed/1", "x");
      await multipart("typed/parts.json", [bytes(MiB), bytes(1)]);
      const types = await Promise.all(
        ["typed/1.zip", "typed/1", "typed/parts.json"].map((Key) => cos.headObject({ ...at, Key })),
      );
      assert.deepEqual(
        types.map(({ headers }) => headers?.["content-type"]),
        ["application/zip", "application/octet-stream", "application/json"],
      );
    });

    it("may be empty", async () => {
      const { ETag } = await put("empty", "");
      assert.equal(ETag, '"d41d8cd98f00b204e9800998ecf8427e"');
      const found = await cos.getObject({ ...at, Key: "empty" });
      assert.equal(found.Body.length, 0);
      assert.equal(found.headers?.["content-length"], "0");
    });

    it("is replaced by a later one, and gone once deleted", async () => {
      await put("replaced", "one");
      await put("replaced", "two");
      assert.equal(String(await contentOf("replaced")), "two");
      assert.equal((await cos.deleteObject({ ...at, Key: "replaced" })).statusCode, 204);
      assert.equal((await refusal(cos.getObject({ ...at, Key: "replaced" }))).code, "NoSuchKey");
      assert.equal((await cos.deleteObject({ ...at, Key: "replaced" })).statusCode, 204);
    });

    it("keeps its headers and metadata", async () => {
      await put("described", "x", {
        CacheControl: "max-age=60",
        ContentDisposition: 'attachment; filename="a b.txt"',
        ContentEncoding: "identity",
        ContentType: "text/plain; charset=utf-8",
        Expires: "Wed, 21 Oct 2099 07:28:00 GMT",
        "x-cos-meta-colour": "deep blue",
        "x-cos-meta-percent": "%E4%BD%A0+1",
      });
      const { headers = {} } = await cos.headObject({ ...at, Key: "described" });
      assert.equal(headers["cache-control"], "max-age=60");
      assert.equal(headers["content-disposition"], 'attachment; filename="a b.txt"');
      assert.equal(headers["content-encoding"], "identity");
      assert.equal(headers["content-type"], "text/plain; charset=utf-8");
      assert.equal(headers["expires"], "Wed, 21 Oct 2099 07:28:00 GMT");
      assert.equal(headers["x-cos-meta-colour"], "deep blue");
      assert.equal(headers["x-cos-meta-percent"], "%E4%BD%A0+1");
    });

    it("goes in from a stream and out into one", async () => {
      const body = bytes(2 * MiB + 7, "stream");
      const path = await fileOf("stream.bin", body);
      await put("streamed", createReadStream(path) as never, { ContentLength: body.length });
      const out = join(folder, "stream.out");
      await cos.getObject({ ...at, Key: "streamed", Output: createWriteStream(out) });
      assert.equal(sha256(await readFile(out)), sha256(body));

      const chunks: Buffer[] = [];
      await new Promise<void>((resolve, reject) => {
        const stream = cos.getObjectStream({ ...at, Key: "streamed" }, (error) => {
          if (error) reject(error);
        });
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.on("end", resolve);
      });
      assert.equal(sha256(Buffer.concat(chunks)), sha256(body));
    });

    it("goes in from a stream whose length is not told", async () => {
      const body = bytes(MiB + 1, "chunked");
      const path = await fileOf("chunked.bin", body);
      await put("chunked", createReadStream(path) as never);
      assert.equal(sha256(await contentOf("chunked")), sha256(body));
    });

    it("is stored together with 99 others at once", async () => {
      const bodies = Array.from({ length: 100 }, (_, index) => bytes(1000 + index * 97, `parallel ${index}`));
      await Promise.all(bodies.map((body, index) => put(`parallel/${index}`, body)));
      const found = await Promise.all(bodies.map((_, index) => contentOf(`parallel/${index}`)));
      assert.deepEqual(found.map(sha256), bodies.map(sha256));
    });
  });

  describe("parts of an object", () => {
    const body = bytes(10_000, "ranges");
    beforeAll(() => put("ranged", body));

    it.each([
      ["bytes=0-0", 0, 1],
      ["bytes=100-199", 100, 200],
      ["bytes=9990-", 9990, 10_000],
      ["bytes=-10", 9990, 10_000],
      ["bytes=9000-99999", 9000, 10_000],
    ])("come with 206 for Range: %s", async (Range, start, end) => {
      const found = await cos.getObject({ ...at, Key: "ranged", Range });
      assert.equal(found.statusCode, 206);
      assert.equal(found.headers?.["content-range"], `bytes ${start}-${end - 1}/10000`);
      assert.equal(sha256(found.Body), sha256(body.subarray(start, end)));
    });

    it("InvalidRange: behind the end there is nothing", async () => {
      const refused = await refusal(cos.getObject({ ...at, Key: "ranged", Range: "bytes=10000-" }));
      assert.equal(refused.statusCode, 416);
      assert.equal(refused.code, "InvalidRange");
    });
  });

  describe("conditions", () => {
    let etag: string;
    beforeAll(async () => {
      etag = (await put("conditional", "content")).ETag;
    });

    it("that hold let the object through", async () => {
      const found = await cos.getObject({ ...at, Key: "conditional", IfMatch: etag, IfNoneMatch: '"other"' });
      assert.equal(String(found.Body), "content");
    });

    it("PreconditionFailed: an ETag that does not match", async () => {
      const refused = await refusal(cos.getObject({ ...at, Key: "conditional", IfMatch: '"other"' }));
      assert.equal(refused.statusCode, 412);
      assert.equal(refused.code, "PreconditionFailed");
    });

    it("that find nothing new give 304 without a body", async () => {
      const refused = await refusal(cos.getObject({ ...at, Key: "conditional", IfNoneMatch: etag }));
      assert.equal(refused.statusCode, 304);
      const later = new Date(Date.now() + 1000).toUTCString();
      const head = await cos.headObject({ ...at, Key: "conditional", Headers: { "If-Modified-Since": later } });
      assert.equal(head.statusCode, 304);
    });
  });

  describe("a key", () => {
    it.each(KEYS.map((key) => [key.length > 60 ? `${key.slice(0, 30)}…` : JSON.stringify(key), key] as const))(
      "%s is the same in and out",
      async (_, Key) => {
        const body = bytes(64, Key);
        await put(Key, body);
        assert.equal(sha256(await contentOf(Key)), sha256(body));
        assert.equal((await cos.headObject({ ...at, Key })).statusCode, 200);
        const { Contents } = await cos.getBucket({ ...at, Prefix: Key });
        assert.ok(Contents.some((found) => found.Key === Key));
        const encoded = await cos.getBucket({ ...at, Prefix: Key, EncodingType: "url" });
        assert.ok(encoded.Contents.some((found) => decodeURIComponent(found.Key) === Key));
        const url = await signedUrl(cos, { ...at, Key, Sign: true });
        assert.equal(sha256((await fetchUrl(way, server.cosbox, url)).body), sha256(body));
        await cos.putObjectCopy({ ...at, Key: "copy of a key", CopySource: source(Key) });
        assert.equal(sha256(await contentOf("copy of a key")), sha256(body));
        const { Deleted, Error } = await cos.deleteMultipleObject({ ...at, Objects: [{ Key }] });
        assert.deepEqual([Deleted.map((one) => one.Key), Error], [[Key], []]);
        assert.equal((await refusal(cos.headObject({ ...at, Key }))).statusCode, 404);
      },
    );

    it("InvalidObjectName: does not begin with a slash, which the SDK drops unless told otherwise", async () => {
      await cos.putObject({ ...at, Key: "/rooted", Body: "dropped" });
      assert.equal(String(await contentOf("rooted")), "dropped");
      const raw = sdk(way, server.cosbox, folder, { UseRawKey: true });
      const refused = await refusal(raw.putObject({ ...at, Key: "/rooted", Body: "kept" }));
      assert.deepEqual([refused.statusCode, refused.code], [400, "InvalidObjectName"]);
    });
  });

  describe("a list", () => {
    const names = [
      ...Array.from({ length: 25 }, (_, n) => `year/2023/${String(n).padStart(2, "0")}.log`),
      ...Array.from({ length: 5 }, (_, n) => `year/2024/${n}.log`),
      "year/index",
      "year/中文/一",
      "z",
    ];
    let listing: { Bucket: string; Region: string };
    beforeAll(async () => {
      listing = { Bucket: server.cosbox.bucket("listing"), Region: at.Region };
      await cos.putBucket(listing);
      await Promise.all(names.map((Key) => cos.putObject({ ...listing, Key, Body: Key })));
    });

    it("shows every key once, in byte order, over pages", async () => {
      const found: string[] = [];
      let Marker = "";
      for (let page = 0; page < 20; page++) {
        const answer = await cos.getBucket({ ...listing, MaxKeys: 7, Marker });
        assert.ok(answer.Contents.length <= 7);
        found.push(...answer.Contents.map((one) => one.Key));
        if (answer.IsTruncated === "false") break;
        Marker = answer.NextMarker ?? "";
        assert.notEqual(Marker, "");
      }
      assert.deepEqual(found, names);
    });

    it("shows folders with a delimiter", async () => {
      const answer = await cos.getBucket({ ...listing, Prefix: "year/", Delimiter: "/" });
      assert.deepEqual(
        answer.CommonPrefixes.map((one) => one.Prefix),
        ["year/2023/", "year/2024/", "year/中文/"],
      );
      assert.deepEqual(
        answer.Contents.map(({ Key, Size, StorageClass, ETag }) => [Key, Size, StorageClass, ETag]),
        [["year/index", "10", "STANDARD", `"${md5("year/index")}"`]],
      );
      assert.equal(answer.IsTruncated, "false");
    });

    it("pages over folders and keys together", async () => {
      const found: string[] = [];
      let Marker = "";
      for (let page = 0; page < 10; page++) {
        const answer = await cos.getBucket({ ...listing, Delimiter: "/", Prefix: "year/", MaxKeys: 1, Marker });
        found.push(...answer.CommonPrefixes.map((one) => one.Prefix), ...answer.Contents.map((one) => one.Key));
        if (answer.IsTruncated === "false") break;
        Marker = answer.NextMarker ?? "";
      }
      assert.deepEqual(found, ["year/2023/", "year/2024/", "year/index", "year/中文/"]);
    });

    it("is percent-encoded on demand", async () => {
      const answer = await cos.getBucket({ ...listing, Prefix: "year/中", EncodingType: "url" });
      assert.equal(answer.EncodingType, "url");
      assert.deepEqual(
        answer.Contents.map((one) => one.Key),
        [encodeURIComponent("year/中文/一").replaceAll("%2F", "/")],
      );
    });

    it("is empty where nothing matches", async () => {
      const answer = await cos.getBucket({ ...listing, Prefix: "nothing" });
      assert.deepEqual([answer.Contents, answer.CommonPrefixes, answer.IsTruncated], [[], [], "false"]);
    });

    it("takes signed parameters of any form", async () => {
      const Prefix = `aksj hdl!@#$%^&*()_+=-[]{}';:"/.<>?.,??sa#/.,/~\``;
      const answer = await cos.getBucket({ ...listing, Prefix, Headers: { "x-cos-test": Prefix } });
      assert.equal(answer.Prefix, Prefix);
    });
  });

  describe("many deletions", () => {
    it("in one request tell each key", async () => {
      const keys = ["many/1", "many/2 & 3", "many/一"];
      await Promise.all(keys.map((key) => put(key, key)));
      const Objects = [...keys, "many/never there"].map((Key) => ({ Key }));
      const { Deleted, Error } = await cos.deleteMultipleObject({ ...at, Objects });
      assert.deepEqual(Deleted.map((one) => one.Key).sort(), Objects.map((one) => one.Key).sort());
      assert.deepEqual(Error, []);
      assert.deepEqual((await cos.getBucket({ ...at, Prefix: "many/" })).Contents, []);
    });

    it("are silent where that is asked for", async () => {
      await put("quiet", "x");
      const { Deleted } = await cos.deleteMultipleObject({ ...at, Objects: [{ Key: "quiet" }], Quiet: true });
      assert.deepEqual(Deleted, []);
      assert.equal((await refusal(cos.headObject({ ...at, Key: "quiet" }))).statusCode, 404);
    });
  });

  describe("an upload in parts", () => {
    it("by hand becomes one object, with the CRC-64 of the whole", async () => {
      const parts = [bytes(MiB, "1"), bytes(MiB + 1, "2"), bytes(17, "3")];
      const whole = Buffer.concat(parts);
      const done = await multipart("by hand", parts, { "x-cos-meta-kind": "parts" });
      assert.match(done.ETag, /^"[0-9a-f]{32}-3"$/);
      const found = await cos.getObject({ ...at, Key: "by hand" });
      assert.equal(sha256(found.Body), sha256(whole));
      assert.equal(found.ETag, done.ETag);
      assert.equal(found.headers?.["x-cos-hash-crc64ecma"], await crc64ecma(whole));
      assert.equal(found.headers?.["x-cos-meta-kind"], "parts");
    });

    it("lists its parts and itself until it is aborted", async () => {
      const Key = "unfinished/ä";
      const { UploadId } = await cos.multipartInit({ ...at, Key });
      for (const PartNumber of [1, 2, 3]) {
        await cos.multipartUpload({ ...at, Key, UploadId, PartNumber, Body: bytes(MiB, `part ${PartNumber}`) });
      }
      const first = await cos.multipartListPart({ ...at, Key, UploadId, MaxParts: 2 });
      assert.deepEqual(
        first.Part.map(({ PartNumber, ETag, Size }) => [String(PartNumber), ETag, String(Size)]),
        ["1", "2"].map((number) => [number, `"${md5(bytes(MiB, `part ${number}`))}"`, String(MiB)]),
      );
      assert.equal(first.IsTruncated, "true");
      const second = await cos.multipartListPart({
        ...at,
        Key,
        UploadId,
        PartNumberMarker: String(first.NextPartNumberMarker),
      });
      assert.deepEqual(
        second.Part.map((part) => String(part.PartNumber)),
        ["3"],
      );

      const { Upload } = await cos.multipartList({ ...at, Prefix: "unfinished/", Delimiter: "" });
      assert.deepEqual(
        listed(Upload).map((upload) => [upload.Key, upload.UploadId]),
        [[Key, UploadId]],
      );
      assert.equal((await cos.multipartAbort({ ...at, Key, UploadId })).statusCode, 204);
      assert.deepEqual(listed((await cos.multipartList({ ...at, Prefix: "unfinished/", Delimiter: "" })).Upload), []);
      const refused = await refusal(cos.multipartListPart({ ...at, Key, UploadId }));
      assert.equal(refused.code, "NoSuchUpload");
    });

    it("is done by sliceUploadFile", async () => {
      const body = bytes(3 * MiB + 11, "slices");
      const FilePath = await fileOf("slices.bin", body);
      let progress = 0;
      const done = await cos.sliceUploadFile({
        ...at,
        Key: "sliced",
        FilePath,
        onProgress: ({ percent }) => {
          progress = percent;
        },
      });
      assert.equal(done.statusCode, 200);
      assert.match(done.Location, /\/sliced$/);
      assert.equal(progress, 1);
      assert.equal(sha256(await contentOf("sliced")), sha256(body));
    });

    it("goes on where an interrupted sliceUploadFile stopped", async () => {
      const body = bytes(5 * MiB, "resumed");
      const FilePath = await fileOf("resumed.bin", body);
      const Key = "resumed";
      const { UploadId } = await cos.multipartInit({ ...at, Key });
      await cos.multipartUpload({ ...at, Key, UploadId, PartNumber: 2, Body: body.subarray(MiB, 2 * MiB) });
      const sent: string[] = [];
      const watched = sdk(way, server.cosbox, folder);
      watched.on("before-send", (options: { method: string; qs?: { partNumber?: number } }) => {
        if (options.qs?.partNumber !== undefined) sent.push(`${options.method} ${options.qs.partNumber}`);
      });
      await watched.sliceUploadFile({ ...at, Key, FilePath });
      assert.equal(sha256(await contentOf(Key)), sha256(body));
      assert.deepEqual(sent.sort(), ["PUT 1", "PUT 3", "PUT 4", "PUT 5"]);
    });

    it("is chosen by uploadFile for a large file only", async () => {
      const small = bytes(1000, "small");
      const large = bytes(2 * MiB + 1, "large");
      const one = await cos.uploadFile({
        ...at,
        Key: "uploaded small",
        FilePath: await fileOf("small.bin", small),
        SliceSize: MiB,
      } as COS.UploadFileParams);
      assert.equal(one.ETag, `"${md5(small)}"`);
      const two = await cos.uploadFile({
        ...at,
        Key: "uploaded large",
        FilePath: await fileOf("large.bin", large),
        SliceSize: MiB,
      } as COS.UploadFileParams);
      assert.match(two.ETag, /-3"$/);
      assert.equal(sha256(await contentOf("uploaded small")), sha256(small));
      assert.equal(sha256(await contentOf("uploaded large")), sha256(large));
    });

    it("is done for many files by uploadFiles", async () => {
      const bodies = [100, 5000, 2 * MiB + 5, MiB].map((size) => bytes(size, `files ${size}`));
      const files = await Promise.all(
        bodies.map(async (body, index) => ({
          ...at,
          Key: `files/${index}.bin`,
          FilePath: await fileOf(`files-${index}.bin`, body),
        })),
      );
      const done = await cos.uploadFiles({ files: files as COS.UploadFileItemParams[], SliceSize: MiB });
      assert.deepEqual(
        done.files.map((one) => one.error ?? one.data.statusCode),
        [200, 200, 200, 200],
      );
      const found = await Promise.all(files.map(({ Key }) => contentOf(Key)));
      assert.deepEqual(found.map(sha256), bodies.map(sha256));
    });

    it("is thrown away by abortUploadTask", async () => {
      const Key = "task";
      await cos.multipartInit({ ...at, Key });
      await cos.multipartInit({ ...at, Key });
      await cos.abortUploadTask({ ...at, Key, Level: "file" });
      assert.deepEqual(listed((await cos.multipartList({ ...at, Prefix: Key, Delimiter: "" })).Upload), []);
    });
  });

  describe("a download", () => {
    it("in ranges by downloadFile gives the file", async () => {
      const body = bytes(3 * MiB + 5, "download");
      await put("download", body);
      const FilePath = join(folder, "download.out");
      await cos.downloadFile({ ...at, Key: "download", FilePath, ChunkSize: MiB, ParallelLimit: 3 });
      assert.equal(sha256(await readFile(FilePath)), sha256(body));
    });

    it("by downloadFile of a small object gives the file", async () => {
      await put("download small", "little");
      const FilePath = join(folder, "download-small.out");
      await cos.downloadFile({ ...at, Key: "download small", FilePath });
      assert.equal(await readFile(FilePath, "utf8"), "little");
    });
  });

  describe("a copy", () => {
    it("has the bytes and the metadata of its source", async () => {
      const body = bytes(50_000, "copied");
      const { ETag } = await put("source/原", body, { ContentType: "text/x", "x-cos-meta-a": "1" });
      const copied = await cos.putObjectCopy({ ...at, Key: "copied", CopySource: source("source/原") });
      assert.equal(copied.ETag, ETag);
      const found = await cos.getObject({ ...at, Key: "copied" });
      assert.equal(sha256(found.Body), sha256(body));
      assert.equal(found.headers?.["content-type"], "text/x");
      assert.equal(found.headers?.["x-cos-meta-a"], "1");
    });

    it("replaces the metadata on demand, also onto itself", async () => {
      await put("retouched", "x", { "x-cos-meta-a": "1" });
      await cos.putObjectCopy({
        ...at,
        Key: "retouched",
        CopySource: source("retouched"),
        MetadataDirective: "Replaced",
        Headers: { "x-cos-meta-b": "2", "Content-Type": "text/new" },
      });
      const { headers = {} } = await cos.headObject({ ...at, Key: "retouched" });
      assert.deepEqual(
        [headers["x-cos-meta-a"], headers["x-cos-meta-b"], headers["content-type"]],
        [undefined, "2", "text/new"],
      );
    });

    it("goes from one bucket to another", async () => {
      const other = { Bucket: server.cosbox.bucket("copies"), Region: at.Region };
      await cos.putBucket(other);
      await put("across", "content");
      await cos.putObjectCopy({ ...other, Key: "across", CopySource: source("across") });
      assert.equal(String((await cos.getObject({ ...other, Key: "across" })).Body), "content");
    });

    it("in parts by sliceCopyFile has bytes and metadata of its source", async () => {
      const body = bytes(4 * MiB + 3, "slice copy");
      await multipart("slice source", [body.subarray(0, 2 * MiB), body.subarray(2 * MiB)], {
        "x-cos-meta-a": "1",
        "Content-Type": "text/x",
      });
      const done = await cos.sliceCopyFile({
        ...at,
        Key: "slice copy",
        CopySource: source("slice source"),
        CopySliceSize: MiB,
        CopyChunkSize: MiB,
      });
      assert.equal(done.statusCode, 200);
      const found = await cos.getObject({ ...at, Key: "slice copy" });
      assert.match(found.ETag, /-5"$/);
      assert.equal(sha256(found.Body), sha256(body));
      assert.equal(found.headers?.["x-cos-meta-a"], "1");
      assert.equal(found.headers?.["content-type"], "text/x");
      assert.equal(found.headers?.["x-cos-hash-crc64ecma"], await crc64ecma(body));
    });

    it("NoSuchCopySource: nothing is there to copy", async () => {
      const refused = await refusal(cos.putObjectCopy({ ...at, Key: "x", CopySource: source("not there") }));
      assert.deepEqual([refused.statusCode, refused.code], [404, "NoSuchCopySource"]);
    });

    it("PreconditionFailed: the source is another one by now", async () => {
      await put("source", "x");
      const refused = await refusal(
        cos.putObjectCopy({ ...at, Key: "x", CopySource: source("source"), CopySourceIfMatch: '"other"' }),
      );
      assert.deepEqual([refused.statusCode, refused.code], [412, "PreconditionFailed"]);
    });
  });

  describe("an appendable object", () => {
    it("grows by each append", async () => {
      const Key = "log/日志";
      const first = await cos.appendObject({ ...at, Key, Body: "one\n", Position: 0 });
      assert.equal(first.headers?.["x-cos-next-append-position"], "4");
      await cos.appendObject({ ...at, Key, Body: bytes(100_000, "appended"), Position: 4 });
      const expected = Buffer.concat([Buffer.from("one\n"), bytes(100_000, "appended")]);
      const found = await cos.getObject({ ...at, Key });
      assert.equal(sha256(found.Body), sha256(expected));
      assert.equal(found.headers?.["x-cos-object-type"], "appendable");
      assert.equal(found.headers?.["x-cos-hash-crc64ecma"], await crc64ecma(expected));
    });

    it("AppendPositionErr: appends only at its end", async () => {
      await cos.appendObject({ ...at, Key: "end", Body: "12345", Position: 0 });
      const refused = await refusal(cos.appendObject({ ...at, Key: "end", Body: "x", Position: 3 }));
      assert.deepEqual([refused.statusCode, refused.code], [409, "AppendPositionErr"]);
      assert.equal(String(await contentOf("end")), "12345");
    });
  });

  describe("a signed URL", () => {
    it("gives the object to anyone who has it, under the headers it names", async () => {
      await put("signed/文 件.txt", "shared");
      const url = await signedUrl(cos, {
        ...at,
        Key: "signed/文 件.txt",
        Sign: true,
        Query: { "response-content-type": "text/x-shared", "response-content-disposition": "attachment" },
      });
      const found = await fetchUrl(way, server.cosbox, url);
      assert.equal(found.status, 200);
      assert.equal(String(found.body), "shared");
      assert.equal(found.headers["content-type"], "text/x-shared");
      assert.equal(found.headers["content-disposition"], "attachment");
    });

    it("takes an object where it is signed for PUT", async () => {
      const url = await signedUrl(cos, { ...at, Key: "signed/in", Sign: true, Method: "PUT" });
      const body = bytes(10_000, "signed");
      assert.equal((await fetchUrl(way, server.cosbox, url, { method: "PUT", body })).status, 200);
      assert.equal(sha256(await contentOf("signed/in")), sha256(body));
    });

    it("SignatureDoesNotMatch: is for that method and key only", async () => {
      await put("signed/one", "1");
      await put("signed/two", "2");
      const url = await signedUrl(cos, { ...at, Key: "signed/one", Sign: true });
      const other = await fetchUrl(way, server.cosbox, url.replace("signed/one", "signed/two"));
      assert.equal(other.status, 403);
      assert.match(String(other.body), /<Code>SignatureDoesNotMatch<\/Code>/);
      assert.equal((await fetchUrl(way, server.cosbox, url, { method: "DELETE" })).status, 403);
    });

    it("AccessDenied: without the signature there is nothing to see", async () => {
      const url = await signedUrl(cos, { ...at, Key: "signed/one", Sign: false });
      const found = await fetchUrl(way, server.cosbox, url);
      assert.equal(found.status, 403);
      assert.match(String(found.body), /<Code>AccessDenied<\/Code>/);
    });
  });

  describe("a refusal", () => {
    it("has code, status, message and the request's id", async () => {
      const refused = await refusal(cos.getObject({ ...at, Key: "not there" }));
      assert.deepEqual(
        [refused.statusCode, refused.code, refused.message, refused.error.Code],
        [404, "NoSuchKey", "The specified key does not exist.", "NoSuchKey"],
      );
      assert.ok(refused.RequestId);
      assert.equal(refused.RequestId, refused.headers?.["x-cos-request-id"]);
    });

    it("of a HEAD is its status and the request's id", async () => {
      const refused = await refusal(cos.headObject({ ...at, Key: "not there" }));
      assert.deepEqual([refused.statusCode, refused.code, refused.message], [404, "404", "Not Found"]);
      assert.ok(refused.RequestId);
    });

    it("NoSuchBucket: there is no such bucket", async () => {
      const nowhere = { Bucket: server.cosbox.bucket("nowhere"), Region: at.Region };
      for (const request of [
        cos.getBucket(nowhere),
        cos.getObject({ ...nowhere, Key: "x" }),
        cos.putObject({ ...nowhere, Key: "x", Body: "x" }),
        cos.multipartInit({ ...nowhere, Key: "x" }),
        cos.deleteBucket(nowhere),
      ]) {
        const refused = await refusal(request);
        assert.deepEqual([refused.statusCode, refused.code], [404, "NoSuchBucket"]);
      }
    });

    it("BucketAlreadyOwnedByYou: the bucket is there already", async () => {
      const refused = await refusal(cos.putBucket(at));
      assert.deepEqual([refused.statusCode, refused.code], [409, "BucketAlreadyOwnedByYou"]);
    });

    it("BucketNotEmpty: a bucket with content stays", async () => {
      await put("content", "x");
      const refused = await refusal(cos.deleteBucket(at));
      assert.deepEqual([refused.statusCode, refused.code], [409, "BucketNotEmpty"]);
    });

    it("SignatureDoesNotMatch: the secret key is another", async () => {
      const wrong = sdk(way, server.cosbox, folder, { SecretKey: "anothersecretkey0000" });
      const refused = await refusal(wrong.getObject({ ...at, Key: "content" }));
      assert.deepEqual([refused.statusCode, refused.code], [403, "SignatureDoesNotMatch"]);
    });

    it("InvalidAccessKeyId: nobody has that key", async () => {
      const wrong = sdk(way, server.cosbox, folder, { SecretId: "AKIDnobodyhasthiskeyatall0000000" });
      const refused = await refusal(wrong.putObject({ ...at, Key: "content", Body: bytes(MiB) }));
      assert.deepEqual([refused.statusCode, refused.code], [403, "InvalidAccessKeyId"]);
    });

    it("BadDigest: the body is not the one that was meant", async () => {
      const refused = await refusal(
        put("digest", "body", { Headers: { "Content-MD5": Buffer.alloc(16).toString("base64") } }),
      );
      assert.deepEqual([refused.statusCode, refused.code], [400, "BadDigest"]);
      assert.equal((await refusal(cos.headObject({ ...at, Key: "digest" }))).statusCode, 404);
    });

    it("NoSuchUpload: that upload is not there", async () => {
      const UploadId = `1700000000${"0".repeat(64)}`;
      const refused = await refusal(
        cos.multipartUpload({ ...at, Key: "x", UploadId, PartNumber: 1, Body: bytes(1000) }),
      );
      assert.deepEqual([refused.statusCode, refused.code], [404, "NoSuchUpload"]);
    });

    it("KeyTooLong: a key has 850 bytes at most", async () => {
      const refused = await refusal(put("k".repeat(851), "x"));
      assert.deepEqual([refused.statusCode, refused.code], [400, "KeyTooLong"]);
    });

    it("of a clock that is fast is mended by the SDK, which reads the Date header", async () => {
      const fast = sdk(way, server.cosbox, folder, { SystemClockOffset: 3_600_000 });
      const stored = await fast.putObject({ ...at, Key: "fast", Body: "fast" });
      assert.equal(stored.statusCode, 200);
    });

    it("RequestTimeTooSkewed: of a clock that is fast and stays so", async () => {
      const fast = sdk(way, server.cosbox, folder, { SystemClockOffset: 3_600_000, CorrectClockSkew: false });
      const refused = await refusal(fast.getObject({ ...at, Key: "content" }));
      assert.deepEqual([refused.statusCode, refused.code], [403, "RequestTimeTooSkewed"]);
    });

    it("Request has expired: of a clock that is slow", async () => {
      const slow = sdk(way, server.cosbox, folder, { SystemClockOffset: -3_600_000 });
      const refused = await refusal(slow.getObject({ ...at, Key: "content" }));
      assert.deepEqual([refused.statusCode, refused.code], [403, "Request has expired"]);
    });
  });

  describe("tags", () => {
    const Tags = [
      { Key: "team", Value: "red" },
      { Key: "a b", Value: "c+d" },
    ];
    it("of an object are set, told and taken away", async () => {
      const one = { ...at, Key: "tagged" };
      await put("tagged", "x", { Headers: { "x-cos-tagging": "first=1" } });
      assert.deepEqual((await cos.getObjectTagging(one)).Tags, [{ Key: "first", Value: "1" }]);
      await cos.putObjectTagging({ ...one, Tags });
      assert.deepEqual((await cos.getObjectTagging(one)).Tags, Tags);
      await cos.deleteObjectTagging(one);
      assert.deepEqual((await cos.getObjectTagging(one)).Tags, []);
    });

    it("of a bucket are set, told and taken away", async () => {
      await cos.putBucketTagging({ ...at, Tags });
      assert.deepEqual((await cos.getBucketTagging(at)).Tags, Tags);
      await cos.deleteBucketTagging(at);
      // The SDK makes an empty list of NoSuchTagSet.
      assert.deepEqual((await cos.getBucketTagging(at)).Tags, []);
    });
  });

  describe("CORS", () => {
    it("is set, told, asked for and taken away", async () => {
      const there = { Bucket: server.cosbox.bucket("cors"), Region: at.Region };
      await cos.putBucket(there);
      assert.deepEqual((await cos.getBucketCors(there)).CORSRules, []);
      const CORSRules = [
        {
          AllowedOrigins: ["https://*.page.example"],
          AllowedMethods: ["GET", "PUT"],
          AllowedHeaders: ["*"],
          ExposeHeaders: ["ETag"],
          MaxAgeSeconds: "5",
        },
      ];
      // Its types know the singular names alone, its code takes both.
      await cos.putBucketCors({ ...there, CORSRules: CORSRules as never });
      assert.deepEqual((await cos.getBucketCors(there)).CORSRules as unknown, CORSRules);
      const asked = { ...there, Key: "k", AccessControlRequestMethod: "PUT", AccessControlRequestHeaders: "x-a" };
      const options = (Origin: string) => cos.optionsObject({ ...asked, Origin } as never);
      const told = await options("https://a.page.example");
      assert.equal(told.AccessControlAllowOrigin, "https://a.page.example");
      assert.equal(told.AccessControlAllowMethods, "GET,PUT");
      assert.equal(told.AccessControlAllowHeaders, "x-a");
      assert.equal(told.AccessControlMaxAge, "5");
      await cos.deleteBucketCors(there);
      assert.deepEqual((await cos.getBucketCors(there)).CORSRules, []);
      // The SDK makes an empty answer of a refusal.
      assert.equal((await options("https://a.page.example")).AccessControlAllowOrigin, undefined);
    });
  });

  describe("versions", () => {
    it("are kept, listed, read, copied, brought back and deleted one by one", async () => {
      const Bucket = server.cosbox.bucket("versions");
      const there = { Bucket, Region: at.Region };
      await cos.putBucket(there);
      const unset = await cos.getBucketVersioning(there);
      assert.equal(unset.VersioningConfiguration.Status, undefined);
      await cos.putBucketVersioning({ ...there, VersioningConfiguration: { Status: "Enabled" } });
      assert.equal((await cos.getBucketVersioning(there)).VersioningConfiguration.Status, "Enabled");

      const Key = "folder/k";
      const ids: string[] = [];
      for (const Body of ["first", "second"]) {
        const { headers } = await cos.putObject({ ...there, Key, Body });
        ids.push(String(headers?.["x-cos-version-id"]));
      }
      const [first = "", second = ""] = ids;
      assert.equal((await cos.getObject({ ...there, Key, VersionId: first })).Body.toString(), "first");
      // Its types do not know that both of them take a version.
      const old = { ...there, Key, VersionId: first };
      const head: { headers?: COS.Headers } = await cos.headObject(old);
      assert.equal(head.headers?.["x-cos-version-id"], first);
      const CopySource = `${Bucket}.cos.${at.Region}.myqcloud.com/${encodeURIComponent(Key)}?versionId=${first}`;
      await cos.putObjectCopy({ ...there, Key: "copy", CopySource });
      assert.equal((await cos.getObject({ ...there, Key: "copy" })).Body.toString(), "first");

      const deleted = await cos.deleteObject({ ...there, Key });
      const marker = String(deleted.headers?.["x-cos-version-id"]);
      assert.equal(deleted.headers?.["x-cos-delete-marker"], "true");
      const missing = await refusal(cos.getObject({ ...there, Key }));
      assert.deepEqual([missing.statusCode, missing.code], [404, "NoSuchKey"]);

      const page = await cos.listObjectVersions({ ...there, Prefix: "folder/" });
      assert.deepEqual(
        listed(page.Versions).map(({ VersionId, IsLatest }) => [VersionId, IsLatest]),
        [
          [second, "false"],
          [first, "false"],
        ],
      );
      assert.deepEqual(
        listed(page.DeleteMarkers).map(({ VersionId, IsLatest }) => [VersionId, IsLatest]),
        [[marker, "true"]],
      );
      const marked = { ...there, Key, VersionId: marker };
      await cos.deleteObject(marked);
      assert.equal((await cos.getObject({ ...there, Key })).Body.toString(), "second");
      const all = await cos.listObjectVersions(there);
      await cos.deleteMultipleObject({
        ...there,
        Objects: listed(all.Versions).map((version) => ({ Key: version.Key, VersionId: version.VersionId })),
      });
      await cos.deleteBucket(there);
    });
  });

  it("checks every body that the SDK sends with its MD5", async () => {
    const careful = sdk(way, server.cosbox, folder, { UploadCheckContentMd5: true });
    const body = bytes(2 * MiB + 9, "careful");
    await mkdir(join(folder, "careful"), { recursive: true });
    await careful.sliceUploadFile({ ...at, Key: "careful", FilePath: await fileOf("careful/c.bin", body) });
    assert.equal(sha256(await contentOf("careful")), sha256(body));
  });
});

describe("the official Node SDK with errors: observed", () => {
  it("mends a slow clock, because an expired signature is told as the service tells it", async () => {
    const server = await testServer({ errors: "observed" });
    try {
      const slow = new COS({ ...server.cosbox.options, SystemClockOffset: -3_600_000 });
      const at = { Bucket: server.bucket, Region: server.cosbox.region, Key: "slow" };
      assert.equal((await slow.putObject({ ...at, Body: "slow" })).statusCode, 200);
      const stubborn = new COS({
        ...server.cosbox.options,
        SystemClockOffset: -3_600_000,
        CorrectClockSkew: false,
      });
      const refused = await refusal(stubborn.getObject(at));
      assert.deepEqual(
        [refused.statusCode, refused.code, refused.message],
        [403, "AccessDenied", "Request has expired"],
      );
    } finally {
      await server.stop();
    }
  });
});

describe("the official Node SDK over HTTPS", () => {
  it("stores whole and in parts, and reads, by the options that the library gives", async () => {
    const folder = await mkdtemp(join(tmpdir(), "cosbox-sdk-tls-"));
    const cosbox = await startCosbox({ tls: "dev", data: join(folder, "data") });
    try {
      const cos = new COS({ ...cosbox.options, ConfCwd: folder });
      const at = { Bucket: cosbox.bucket("secure"), Region: cosbox.region };
      await cos.putBucket(at);
      const body = bytes(3 * MiB + 1, "secure");
      await cos.putObject({ ...at, Key: "whole", Body: body });
      const FilePath = join(folder, "secure.bin");
      await writeFile(FilePath, body);
      await cos.sliceUploadFile({ ...at, Key: "parts", FilePath });
      for (const Key of ["whole", "parts"]) {
        assert.equal(sha256((await cos.getObject({ ...at, Key })).Body), sha256(body));
      }
    } finally {
      await cosbox.stop();
      await removeSdkFolder(folder);
    }
  });
});
