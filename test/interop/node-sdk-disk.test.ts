/** What the official Node SDK has stored on disk is there after a restart, to the bit, and can be gone on with. */

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type COS from "cos-nodejs-sdk-v5";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type TestServer, testServer } from "../fixtures/server.ts";
import { bytes, md5, sha256 } from "./content.ts";
import { removeSdkFolder, sdk, WAYS } from "./ways.ts";

const MiB = 1024 * 1024;
const SLICED = bytes(3 * MiB + 1, "sliced");
const SMALL = new Map([
  ["empty", Buffer.alloc(0)],
  ["a b+/%25/报告 😀.txt", bytes(10, "small")],
  ["folder//file", bytes(70_000, "medium")],
  ["one", bytes(MiB, "large")],
]);

describe.each(WAYS.slice(0, 2))("data on disk, stored by the Node SDK through $name", (way) => {
  let folder: string;
  let server: TestServer;
  let cos: COS;
  let at: { Bucket: string; Region: string };
  let UploadId: string;
  let firstPart: string;
  let modified: string | undefined;

  async function start(createBucket: boolean): Promise<void> {
    server = await testServer({ memory: false, data: join(folder, "data"), createBucket });
    cos = sdk(way, server.cosbox, folder);
    at = { Bucket: server.bucket, Region: server.cosbox.region };
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "cosbox-disk-"));
    await start(true);
    for (const [Key, Body] of SMALL) {
      await cos.putObject({ ...at, Key, Body, Headers: { "x-cos-meta-md5": md5(Body) }, ContentType: "text/x" });
    }
    await writeFile(join(folder, "sliced.bin"), SLICED);
    await cos.sliceUploadFile({ ...at, Key: "sliced", FilePath: join(folder, "sliced.bin") });
    await cos.putObjectCopy({
      ...at,
      Key: "copy",
      CopySource: `${at.Bucket}.cos.${at.Region}.myqcloud.com/sliced`,
    });
    await cos.deleteObject({ ...at, Key: "sliced" });
    await cos.appendObject({ ...at, Key: "log", Body: "before\n", Position: 0 });
    ({ UploadId } = await cos.multipartInit({ ...at, Key: "unfinished" }));
    const part = { ...at, Key: "unfinished", UploadId, PartNumber: 1, Body: bytes(MiB, "part 1") };
    firstPart = (await cos.multipartUpload(part)).ETag;
    modified = (await cos.headObject({ ...at, Key: "one" })).headers?.["last-modified"];

    await server.stop();
    await start(false);
  });
  afterAll(async () => {
    await server.stop();
    await rm(join(folder, "data"), { recursive: true });
    await removeSdkFolder(folder);
  });

  it("is listed as it was", async () => {
    const { Buckets } = await cos.getService();
    assert.deepEqual(
      Buckets.map((bucket) => bucket.Name),
      [at.Bucket],
    );
    const { Contents } = await cos.getBucket(at);
    assert.deepEqual(
      Contents.map(({ Key, Size }) => [Key, Number(Size)]),
      [...[...SMALL].map(([key, body]) => [key, body.length]), ["copy", SLICED.length], ["log", 7]].sort((a, b) =>
        Buffer.compare(Buffer.from(String(a[0])), Buffer.from(String(b[0]))),
      ),
    );
  });

  it("has its bytes, headers and times", async () => {
    for (const [Key, body] of SMALL) {
      const found = await cos.getObject({ ...at, Key });
      assert.equal(sha256(found.Body), sha256(body));
      assert.equal(found.ETag, `"${md5(body)}"`);
      assert.equal(found.headers?.["x-cos-meta-md5"], md5(body));
      assert.equal(found.headers?.["content-type"], "text/x");
    }
    assert.equal((await cos.headObject({ ...at, Key: "one" })).headers?.["last-modified"], modified);
  });

  it("has the copy, whose source was deleted", async () => {
    assert.equal(sha256((await cos.getObject({ ...at, Key: "copy" })).Body), sha256(SLICED));
    await assert.rejects(cos.headObject({ ...at, Key: "sliced" }), { statusCode: 404 });
  });

  it("takes further appends", async () => {
    await cos.appendObject({ ...at, Key: "log", Body: "after\n", Position: 7 });
    assert.equal(String((await cos.getObject({ ...at, Key: "log" })).Body), "before\nafter\n");
  });

  it("takes the rest of an upload", async () => {
    const upload = { ...at, Key: "unfinished", UploadId };
    const { Part } = await cos.multipartListPart(upload);
    assert.deepEqual(
      Part.map(({ PartNumber, ETag }) => [String(PartNumber), ETag]),
      [["1", firstPart]],
    );
    const { ETag } = await cos.multipartUpload({ ...upload, PartNumber: 2, Body: bytes(5, "part 2") });
    await cos.multipartComplete({
      ...upload,
      Parts: [
        { PartNumber: 1, ETag: firstPart },
        { PartNumber: 2, ETag },
      ],
    });
    const whole = Buffer.concat([bytes(MiB, "part 1"), bytes(5, "part 2")]);
    assert.equal(sha256((await cos.getObject({ ...at, Key: "unfinished" })).Body), sha256(whole));
  });
});
