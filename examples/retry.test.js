import COS from "cos-nodejs-sdk-v5";
import { startCosbox } from "cosbox";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";

// The code under test: it tries again while the service is busy, three times in all.
async function store(cos, object, tries = 3) {
  try {
    return await cos.putObject(object);
  } catch (error) {
    if (tries === 1 || error.statusCode !== 503) throw error;
    return await store(cos, object, tries - 1);
  }
}

let cosbox, cos, object;
beforeAll(async () => {
  cosbox = await startCosbox();
  cos = new COS(cosbox.options);
  object = { Bucket: cosbox.bucket("demo"), Region: cosbox.region, Key: "report.txt", Body: "42" };
  await cos.putBucket(object);
});
afterEach(() => cosbox.faults.clear());
afterAll(() => cosbox.stop());

it("survives two moments in which the service is busy", async () => {
  await cosbox.faults.add({ error: "SlowDown", match: { operation: "PutObject" }, times: { first: 2 } });
  await store(cos, object);
});

it("gives up when it stays busy, and does not insist where it is refused", async () => {
  await cosbox.faults.add({ id: "busy", error: "SlowDown" });
  await expect(store(cos, object)).rejects.toMatchObject({ code: "SlowDown" });
  await cosbox.faults.add({ id: "busy", error: "AccessDenied", times: { first: 1 } });
  await expect(store(cos, object)).rejects.toMatchObject({ code: "AccessDenied" });
});

it("dates what it stores by the server's clock", async () => {
  await cosbox.clock.freeze("2030-01-01T00:00:00Z");
  await store(cos, object);
  const { headers } = await cos.headObject(object);
  expect(headers["last-modified"]).toBe("Tue, 01 Jan 2030 00:00:00 GMT");
});
