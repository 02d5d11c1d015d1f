import { request } from "node:http";
import COS from "cos-nodejs-sdk-v5";
import { adminClient } from "cosbox/admin";
import { afterAll, expect, inject, it } from "vitest";

// This file's own account, buckets, clock and faults, on the server that all files share.
const space = await adminClient({ endpoint: inject("cosbox") }).createNamespace();
afterAll(() => space.remove());

const cos = new COS(space.options);
const object = { Bucket: space.bucket("demo"), Region: space.region, Key: "report.txt", Body: "42" };

const statusOf = (url) =>
  new Promise((resolve) => {
    const { hostname: host, port } = new URL(space.endpoint);
    request({ host, port, path: url, headers: { Host: new URL(url).host } }, ({ statusCode }) =>
      resolve(statusCode),
    ).end();
  });

it("gives out links that hold for an hour", async () => {
  await cos.putBucket(object);
  await cos.putObject(object);
  const link = cos.getObjectUrl({ ...object, Sign: true, Expires: 3600 }, () => {});
  expect(await statusOf(link)).toBe(200);
  await space.client.advanceClock("2h"); // for this file alone
  expect(await statusOf(link)).toBe(403);
  expect((await cos.getBucket(object)).Contents).toHaveLength(1);
});
