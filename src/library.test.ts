import assert from "node:assert/strict";
import COS from "cos-nodejs-sdk-v5";
import { afterEach, describe, it } from "vitest";
import { type Cosbox, type CosboxOptions, startCosbox } from "./library.ts";

const started: Cosbox[] = [];
async function start(options?: CosboxOptions): Promise<Cosbox> {
  const cosbox = await startCosbox(options);
  started.push(cosbox);
  return cosbox;
}
afterEach(async () => {
  await Promise.all(started.splice(0).map((cosbox) => cosbox.stop()));
});

describe("startCosbox", () => {
  it("gives options with which the official SDK stores and reads an object", async () => {
    const cosbox = await start();
    const cos = new COS({ ...cosbox.options });
    const target = { Bucket: cosbox.bucket("demo"), Region: cosbox.region };
    await cos.putBucket(target);
    await cos.putObject({ ...target, Key: "a.txt", Body: "hello" });
    assert.equal(String((await cos.getObject({ ...target, Key: "a.txt" })).Body), "hello");
  });

  it("runs several at once, on ports of their own, that do not see each other's buckets", async () => {
    const [one, two] = [await start(), await start({ appid: "1250000055", region: "ap-shanghai" })];
    assert.notEqual(one.port, two.port);
    assert.equal(two.bucket("demo"), "demo-1250000055");
    await new COS({ ...one.options }).putBucket({ Bucket: one.bucket("demo"), Region: one.region });
    assert.equal((await new COS({ ...one.options }).getService()).Buckets.length, 1);
    assert.equal((await new COS({ ...two.options }).getService()).Buckets.length, 0);
  });

  it("stops listening, and can be started again", async () => {
    const cosbox = await start();
    assert.equal((await fetch(cosbox.endpoint)).status, 403);
    await cosbox.stop();
    await assert.rejects(fetch(cosbox.endpoint));
    started.length = 0;
    assert.equal((await fetch((await start({ listen: `127.0.0.1:${cosbox.port}` })).endpoint)).status, 403);
  });

  it("refuses an option that cannot stand, in one line", async () => {
    await assert.rejects(startCosbox({ region: "ap-nowhere-at-all" }), {
      name: "SettingsError",
      message: /^option region: /,
    });
    await assert.rejects(startCosbox({ listen: "9000" }), {
      name: "SettingsError",
      message: /^option listen: expected host:port/,
    });
    await assert.rejects(startCosbox({ limits: { partsMax: 0 } }), {
      name: "SettingsError",
      message: /^option limits\.partsMax: /,
    });
    await assert.rejects(startCosbox({ memory: false, data: "/nowhere", workers: 2 }), {
      name: "SettingsError",
      message: /^option workers: /,
    });
  });
});
