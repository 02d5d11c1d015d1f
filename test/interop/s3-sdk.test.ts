/** `@aws-sdk/client-s3` with `lib-storage` and the presigner, and the `minio` client, unmodified. */

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import {
  AbortMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteBucketIntelligentTieringConfigurationCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectAttributesCommand,
  GetBucketIntelligentTieringConfigurationCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  type IntelligentTieringConfiguration,
  ListBucketIntelligentTieringConfigurationsCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectsCommand,
  ListPartsCommand,
  paginateListObjectsV2,
  PutBucketIntelligentTieringConfigurationCommand,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
  UploadPartCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { Client as MinioClient } from "minio";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type TestServer, testServer } from "../fixtures/server.ts";

const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof S3ServiceException) return `${error.$metadata.httpStatusCode} ${error.name}`;
    throw error;
  }
  return "no refusal";
}

describe("@aws-sdk/client-s3", () => {
  let server: TestServer;
  let s3: S3Client;
  let Bucket: string;

  beforeAll(async () => {
    server = await testServer();
    Bucket = server.bucket;
    s3 = client();
  });
  afterAll(async () => {
    s3.destroy();
    await server.stop();
  });

  function client(more: object = {}): S3Client {
    const { secretId, secretKey } = server.cosbox.credentials;
    return new S3Client({
      endpoint: server.endpoint,
      region: "us-east-1",
      forcePathStyle: true,
      credentials: { accessKeyId: secretId, secretAccessKey: secretKey },
      ...more,
    });
  }

  async function read(Key: string): Promise<string> {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
    return hashOf((await Body?.transformToByteArray()) ?? new Uint8Array());
  }

  it("creates, finds, lists, locates and deletes buckets", async () => {
    const other = server.cosbox.bucket("other");
    await s3.send(new CreateBucketCommand({ Bucket: other }));
    assert.equal(await refusal(s3.send(new CreateBucketCommand({ Bucket: other }))), "409 BucketAlreadyOwnedByYou");
    const { Buckets = [] } = await s3.send(new ListBucketsCommand({}));
    assert.deepEqual(
      Buckets.map(({ Name }) => Name),
      [Bucket, other],
    );
    assert.ok((Buckets[0]?.CreationDate?.getTime() ?? 0) > Date.now() - 60_000);
    assert.equal((await s3.send(new HeadBucketCommand({ Bucket: other }))).BucketRegion, "ap-guangzhou");
    const { LocationConstraint } = await s3.send(new GetBucketLocationCommand({ Bucket: other }));
    assert.equal(LocationConstraint, "ap-guangzhou");
    await s3.send(new DeleteBucketCommand({ Bucket: other }));
    assert.equal(await refusal(s3.send(new HeadBucketCommand({ Bucket: other }))), "404 NotFound");
  });

  it("keeps bytes and headers of objects of any size and name", async () => {
    for (const [at, size] of [0, 1, 16_384, 16_385, 1_000_000].entries()) {
      const Key = `dir ${at}/a+b&c=d%20é報🔑 (1)!*'.bin`;
      const body = randomBytes(size);
      const { ETag } = await s3.send(
        new PutObjectCommand({ Bucket, Key, Body: body, ContentType: "a/b", Metadata: { n: String(at) } }),
      );
      assert.equal(ETag, `"${createHash("md5").update(body).digest("hex")}"`);
      assert.equal(await read(Key), hashOf(body));
      const head = await s3.send(new HeadObjectCommand({ Bucket, Key }));
      assert.deepEqual([head.ContentLength, head.ContentType, head.Metadata], [size, "a/b", { n: String(at) }]);
      await s3.send(new DeleteObjectCommand({ Bucket, Key }));
      assert.equal(await refusal(s3.send(new HeadObjectCommand({ Bucket, Key }))), "404 NotFound");
      assert.equal(await refusal(s3.send(new GetObjectCommand({ Bucket, Key }))), "404 NoSuchKey");
    }
  });

  it("streams bodies in chunks, with their checksum after them", async () => {
    const body = randomBytes(300_000);
    const chunks = [body.subarray(0, 100_000), body.subarray(100_000, 100_001), body.subarray(100_001)];
    await s3.send(
      new PutObjectCommand({ Bucket, Key: "stream", Body: Readable.from(chunks), ContentLength: body.length }),
    );
    assert.equal(await read("stream"), hashOf(body));
  });

  it("reads ranges and heeds conditions", async () => {
    const { ETag } = await s3.send(new PutObjectCommand({ Bucket, Key: "range", Body: "0123456789" }));
    const { Body, ContentRange } = await s3.send(new GetObjectCommand({ Bucket, Key: "range", Range: "bytes=2-4" }));
    assert.deepEqual([await Body?.transformToString(), ContentRange], ["234", "bytes 2-4/10"]);
    const ask = (more: object) => refusal(s3.send(new GetObjectCommand({ Bucket, Key: "range", ...more })));
    assert.equal(await ask({ Range: "bytes=20-" }), "416 InvalidRange");
    assert.equal(await ask({ IfMatch: '"other"' }), "412 PreconditionFailed");
    assert.match(await ask({ IfNoneMatch: ETag }), /^304 /);
  });

  it("lists in pages, both versions, with folders and encoded names", async () => {
    const keys = ["l/a", "l/b/1", "l/b/2", "l/c d", "l/x&y", "l/é"];
    for (const Key of keys) await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
    const seen: (string | undefined)[] = [];
    for await (const page of paginateListObjectsV2({ client: s3, pageSize: 2 }, { Bucket, Prefix: "l/" })) {
      assert.equal(page.KeyCount, page.Contents?.length);
      seen.push(...(page.Contents ?? []).map(({ Key }) => Key));
    }
    assert.deepEqual(seen, keys);
    const folders = await s3.send(
      new ListObjectsCommand({ Bucket, Prefix: "l/", Delimiter: "/", EncodingType: "url" }),
    );
    assert.deepEqual(
      folders.CommonPrefixes?.map(({ Prefix }) => Prefix),
      ["l/b/"],
    );
    assert.deepEqual(
      folders.Contents?.map(({ Key = "" }) => decodeURIComponent(Key)),
      ["l/a", "l/c d", "l/x&y", "l/é"],
    );
  });

  it("copies objects, and parts of them", async () => {
    const body = randomBytes(3_000_000);
    await s3.send(new PutObjectCommand({ Bucket, Key: "from é+1", Body: body, Metadata: { kept: "yes" } }));
    const CopySource = `${Bucket}/${encodeURIComponent("from é+1")}`;
    await s3.send(new CopyObjectCommand({ Bucket, Key: "copy", CopySource }));
    assert.equal(await read("copy"), hashOf(body));
    assert.deepEqual((await s3.send(new HeadObjectCommand({ Bucket, Key: "copy" }))).Metadata, { kept: "yes" });
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "of parts" }));
    const part = { Bucket, Key: "of parts", UploadId, PartNumber: 1, CopySource };
    const { CopyPartResult } = await s3.send(new UploadPartCopyCommand({ ...part, CopySourceRange: "bytes=10-1999" }));
    assert.equal(CopyPartResult?.ETag, `"${createHash("md5").update(body.subarray(10, 2000)).digest("hex")}"`);
    await s3.send(new AbortMultipartUploadCommand({ Bucket, Key: "of parts", UploadId }));
  });

  it("uploads in parts, by hand and with lib-storage", async () => {
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "by hand" }));
    const Body = randomBytes(5000);
    await s3.send(new UploadPartCommand({ Bucket, Key: "by hand", UploadId, PartNumber: 3, Body }));
    const { Parts } = await s3.send(new ListPartsCommand({ Bucket, Key: "by hand", UploadId }));
    assert.deepEqual(
      Parts?.map(({ PartNumber, Size }) => [PartNumber, Size]),
      [[3, 5000]],
    );
    const { Uploads } = await s3.send(new ListMultipartUploadsCommand({ Bucket }));
    assert.deepEqual(
      Uploads?.map(({ Key }) => Key),
      ["by hand"],
    );
    await s3.send(new AbortMultipartUploadCommand({ Bucket, Key: "by hand", UploadId }));

    const body = randomBytes(12_000_000);
    const upload = new Upload({ client: s3, params: { Bucket, Key: "large", Body: Readable.from([body]) } });
    const { ETag } = await upload.done();
    assert.match(ETag ?? "", /^"[0-9a-f]{32}-3"$/);
    assert.equal(await read("large"), hashOf(body));
  });

  it("deletes many objects at once", async () => {
    const keys = ["d/1", "d/2 é", "d/3&<>"];
    for (const Key of keys) await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
    const Objects = [...keys, "d/none"].map((Key) => ({ Key }));
    const { Deleted } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    assert.deepEqual(Deleted?.map(({ Key }) => Key).toSorted(), [...keys, "d/none"].toSorted());
    for (const Key of keys)
      assert.equal(await refusal(s3.send(new HeadObjectCommand({ Bucket, Key }))), "404 NotFound");
  });

  it.each(["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const)("sends and checks %s", async (algorithm) => {
    const body = randomBytes(100_000);
    const params = { Bucket, Key: `sum ${algorithm}`, ChecksumAlgorithm: algorithm };
    await s3.send(new PutObjectCommand({ ...params, Body: body }));
    const head = await s3.send(new HeadObjectCommand({ ...params, ChecksumMode: "ENABLED" }));
    assert.notEqual(head[`Checksum${algorithm}`], undefined);
    // The SDK holds the bytes against the checksum of the answer itself.
    assert.equal(await read(`sum ${algorithm}`), hashOf(body));
    const large = randomBytes(6_000_000);
    await new Upload({ client: s3, params: { ...params, Body: large } }).done();
    assert.equal(await read(`sum ${algorithm}`), hashOf(large));
    const attributes = await s3.send(
      new GetObjectAttributesCommand({ ...params, ObjectAttributes: ["Checksum", "ObjectSize", "ObjectParts"] }),
    );
    assert.equal(attributes.ObjectSize, large.length);
    assert.equal(attributes.ObjectParts?.TotalPartsCount, 2);
    assert.notEqual(attributes.Checksum?.[`Checksum${algorithm}`], undefined);
  });

  it("writes on conditions", async () => {
    const first = new PutObjectCommand({ Bucket, Key: "once", Body: "1", IfNoneMatch: "*" });
    const { ETag } = await s3.send(first);
    assert.equal(await refusal(s3.send(first)), "412 PreconditionFailed");
    await s3.send(new PutObjectCommand({ Bucket, Key: "once", Body: "2", IfMatch: ETag }));
    const again = new PutObjectCommand({ Bucket, Key: "once", Body: "3", IfMatch: ETag });
    assert.equal(await refusal(s3.send(again)), "412 PreconditionFailed");
  });

  it("signs URLs to read and to write", async () => {
    const body = randomBytes(2000);
    const put = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: "by url +" }), { expiresIn: 60 });
    assert.equal((await fetch(put, { method: "PUT", body })).status, 200);
    const get = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: "by url +" }), { expiresIn: 60 });
    assert.equal(hashOf(new Uint8Array(await (await fetch(get)).arrayBuffer())), hashOf(body));
    assert.equal((await fetch(get.replace("by%20url", "by%20uri"))).status, 403);
  });

  it("sets, tells, lists and removes rules of intelligent tiering", async () => {
    const enabled = "<Status>Enabled</Status><Transition><Days>30</Days></Transition>";
    const body = `<IntelligentTieringConfiguration>${enabled}</IntelligentTieringConfiguration>`;
    await server.send({ method: "PUT", query: { intelligenttiering: undefined }, body });
    const Id = "cold";
    const rule: IntelligentTieringConfiguration = {
      Id,
      Status: "Enabled",
      Filter: { And: { Prefix: "a/", Tags: [{ Key: "k", Value: "v" }] } },
      Tierings: [
        { AccessTier: "ARCHIVE_ACCESS", Days: 90 },
        { AccessTier: "DEEP_ARCHIVE_ACCESS", Days: 180 },
      ],
    };
    const setting = { Bucket, Id, IntelligentTieringConfiguration: rule };
    await s3.send(new PutBucketIntelligentTieringConfigurationCommand(setting));
    const told = await s3.send(new GetBucketIntelligentTieringConfigurationCommand({ Bucket, Id }));
    assert.deepEqual(told.IntelligentTieringConfiguration, rule);
    const ids = async () => {
      const listed = await s3.send(new ListBucketIntelligentTieringConfigurationsCommand({ Bucket }));
      return listed.IntelligentTieringConfigurationList?.map((one) => one.Id);
    };
    assert.deepEqual(await ids(), ["default", "cold"]);
    await s3.send(new DeleteBucketIntelligentTieringConfigurationCommand({ Bucket, Id }));
    assert.deepEqual(await ids(), ["default"]);
    const gone = s3.send(new GetBucketIntelligentTieringConfigurationCommand({ Bucket, Id }));
    assert.equal(await refusal(gone), "404 NoSuchConfiguration");
  });

  it("is refused with keys that are not known, or wrong", async () => {
    const { secretId, secretKey } = server.cosbox.credentials;
    const wrong = client({ credentials: { accessKeyId: secretId, secretAccessKey: `${secretKey}x` } });
    assert.equal(await refusal(wrong.send(new ListBucketsCommand({}))), "403 SignatureDoesNotMatch");
    const unknown = client({ credentials: { accessKeyId: "AKIDnobody", secretAccessKey: secretKey } });
    assert.equal(await refusal(unknown.send(new ListBucketsCommand({}))), "403 InvalidAccessKeyId");
    wrong.destroy();
    unknown.destroy();
  });
});

describe("the minio client", () => {
  it("stores, lists, copies, reads and removes objects", async () => {
    const server = await testServer();
    const { secretId, secretKey } = server.cosbox.credentials;
    const minio = new MinioClient({
      endPoint: "127.0.0.1",
      port: server.port,
      useSSL: false,
      accessKey: secretId,
      secretKey,
      region: server.cosbox.region,
    });
    const { bucket } = server;
    const read = async (key: string): Promise<string> => {
      const chunks: Buffer[] = [];
      for await (const chunk of await minio.getObject(bucket, key)) chunks.push(chunk as Buffer);
      return hashOf(Buffer.concat(chunks));
    };
    const small = randomBytes(1000);
    const large = randomBytes(8_000_000);
    await minio.putObject(bucket, "small é", small, small.length, { "x-amz-meta-a": "1" });
    await minio.putObject(bucket, "large", Readable.from([large]), large.length);
    assert.equal(await read("small é"), hashOf(small));
    assert.equal(await read("large"), hashOf(large));
    const { size, metaData } = await minio.statObject(bucket, "small é");
    assert.deepEqual([size, metaData["a"]], [1000, "1"]);
    const listed: (string | undefined)[] = [];
    for await (const item of minio.listObjectsV2(bucket, "", true)) listed.push((item as { name?: string }).name);
    assert.deepEqual(listed, ["large", "small é"]);
    const url = await minio.presignedGetObject(bucket, "small é", 60);
    assert.equal(hashOf(new Uint8Array(await (await fetch(url)).arrayBuffer())), hashOf(small));
    await minio.removeObjects(bucket, ["large"]);
    await assert.rejects(minio.statObject(bucket, "large"), { code: "NotFound" });
    await minio.makeBucket(server.cosbox.bucket("made"), server.cosbox.region);
    assert.equal(await minio.bucketExists(server.cosbox.bucket("made")), true);
    await server.stop();
  });
});
