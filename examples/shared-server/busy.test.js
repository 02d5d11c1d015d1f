import COS from "cos-nodejs-sdk-v5";
import { adminClient } from "cosbox/admin";
import { afterAll, afterEach, expect, inject, it } from "vitest";

const space = await adminClient({ endpoint: inject("cosbox") }).createNamespace();
afterEach(() => space.client.reset());
afterAll(() => space.remove());

const cos = new COS(space.options);
const place = { Bucket: space.bucket("demo"), Region: space.region };

it("sees its own buckets alone", async () => {
  await cos.putBucket(place);
  const { Buckets } = await cos.getService();
  expect(Buckets.map(({ Name }) => Name)).toEqual([place.Bucket]);
  expect(Math.abs(Date.parse((await space.client.clock()).now) - Date.now())).toBeLessThan(60_000);
});

it("is told when the service is busy, and why", async () => {
  await space.client.setFault({ error: "SlowDown", match: { operation: "GetService" } });
  const refused = await cos.getService().catch((error) => error);
  expect(refused.code).toBe("SlowDown");
  const { explanation } = await space.client.request(refused.RequestId);
  expect(explanation).toMatch(/fault/);
});
