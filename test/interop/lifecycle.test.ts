/** Classes, restores and lifecycles through the official Node SDK and the one of AWS, as their users write them. */

import assert from "node:assert/strict";
import {
  GetBucketLifecycleConfigurationCommand,
  HeadObjectCommand,
  PutBucketLifecycleConfigurationCommand,
  PutObjectCommand,
  RestoreObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type TestServer, testServer } from "../fixtures/server.ts";

const Region = "ap-guangzhou";

describe("the Node SDK", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer();
  });
  afterAll(() => server.stop());

  it("gets the rules back that it has put, and none after it has deleted them", async () => {
    const Bucket = server.bucket;
    const rules = [
      {
        ID: "1",
        Filter: { Prefix: "test_" },
        Status: "Enabled" as const,
        Transition: { Date: "2018-07-30T00:00:00+08:00", StorageClass: "STANDARD_IA" },
      },
      {
        ID: "2",
        Filter: {
          And: {
            Prefix: "a",
            Tag: [
              { Key: "k1", Value: "v1" },
              { Key: "k2", Value: "v2" },
            ],
          },
        },
        Status: "Enabled" as const,
        Expiration: { Days: "5" },
      },
    ];
    await server.cos.putBucketLifecycle({ Bucket, Region, Rules: rules as never });
    const got = await server.cos.getBucketLifecycle({ Bucket, Region });
    assert.deepEqual(got.Rules, rules);
    await server.cos.deleteBucketLifecycle({ Bucket, Region });
    assert.deepEqual((await server.cos.getBucketLifecycle({ Bucket, Region })).Rules, []);
  });

  it("restores what it has archived", async () => {
    const Bucket = server.bucket;
    await server.cos.putObject({ Bucket, Region, Key: "k", Body: "archived", StorageClass: "ARCHIVE" });
    const read = () => server.cos.getObject({ Bucket, Region, Key: "k" });
    await assert.rejects(read(), { code: "InvalidObjectState", statusCode: 403 });
    const RestoreRequest = { Days: 1, CASJobParameters: { Tier: "Expedited" as const } };
    const restored = await server.cos.restoreObject({ Bucket, Region, Key: "k", RestoreRequest });
    assert.equal(restored.statusCode, 202);
    await server.cosbox.clock.advance("5m");
    assert.equal((await read()).Body.toString(), "archived");
  });
});

describe("the SDK of AWS", () => {
  it("puts and gets rules, and restores from GLACIER", async () => {
    const server = await testServer();
    const { secretId, secretKey } = server.cosbox.credentials;
    const s3 = new S3Client({
      region: Region,
      endpoint: server.endpoint,
      forcePathStyle: true,
      credentials: { accessKeyId: secretId, secretAccessKey: secretKey },
    });
    try {
      const Bucket = server.bucket;
      const Rules = [
        {
          ID: "a",
          Filter: { Prefix: "logs/" },
          Status: "Enabled" as const,
          Transitions: [{ Days: 30, StorageClass: "GLACIER" as const }],
          Expiration: { Days: 365 },
          NoncurrentVersionExpiration: { NoncurrentDays: 30 },
          AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
        },
      ];
      const LifecycleConfiguration = { Rules };
      await s3.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration }));
      const got = await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
      assert.deepEqual(got.Rules, Rules);

      await s3.send(new PutObjectCommand({ Bucket, Key: "logs/1", Body: "x", StorageClass: "GLACIER" }));
      const head = () => s3.send(new HeadObjectCommand({ Bucket, Key: "logs/1" }));
      const before = await head();
      assert.equal(before.StorageClass, "GLACIER");
      assert.match(before.Expiration ?? "", /rule-id="a"/);
      const RestoreRequest = { Days: 1, GlacierJobParameters: { Tier: "Bulk" as const } };
      await s3.send(new RestoreObjectCommand({ Bucket, Key: "logs/1", RestoreRequest }));
      assert.equal((await head()).Restore, 'ongoing-request="true"');
    } finally {
      s3.destroy();
      await server.stop();
    }
  });
});
