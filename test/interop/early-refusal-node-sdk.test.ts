/**
 * A refusal that is ready before the body has come must reach the SDK, which sends on regardless. The SDK repeats a
 * request whose connection was reset, so the requests are counted as well: a lost answer cannot hide behind a retry.
 */

import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type COS from "cos-nodejs-sdk-v5";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type TestServer, testServer } from "../fixtures/server.ts";
import { bytes } from "./content.ts";
import { removeSdkFolder, sdk, WAYS } from "./ways.ts";

const TIMES = 20;
const BODY = bytes(32 * 1024 * 1024, "early refusal");

// The way makes no difference to a connection; the first will do.
describe.each(WAYS.slice(0, 1))("a 32 MiB PUT by the Node SDK through $name that is refused at once", (way) => {
  let server: TestServer;
  let folder: string;
  let path: string;
  let at: { Bucket: string; Region: string; Key: string };

  beforeAll(async () => {
    server = await testServer();
    folder = await mkdtemp(join(tmpdir(), "cosbox-refusal-"));
    path = join(folder, "body");
    await writeFile(path, BODY);
    at = { Bucket: server.bucket, Region: server.cosbox.region, Key: "refused" };
  });
  afterAll(async () => {
    await server.stop();
    await removeSdkFolder(folder);
  });

  async function outcomes(cos: COS, body: () => COS.UploadBody, params = at) {
    let sent = 0;
    cos.on("before-send", () => {
      sent++;
    });
    const seen = new Map<string, number>();
    for (let time = 0; time < TIMES; time++) {
      const outcome = await cos
        .putObject({ ...params, Body: body(), ContentLength: BODY.length })
        .then(() => "stored")
        .catch((error: COS.CosSdkError) => `${error.statusCode} ${error.code}`);
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    }
    return { sent, seen: Object.fromEntries(seen) };
  }
  const stranger = () => sdk(way, server.cosbox, folder, { SecretId: "AKIDnobodyhasthiskeyatall0000000" });

  it(`InvalidAccessKeyId: is read ${TIMES} times of ${TIMES}, sent from memory`, async () => {
    assert.deepEqual(await outcomes(stranger(), () => BODY), {
      sent: TIMES,
      seen: { "403 InvalidAccessKeyId": TIMES },
    });
  });

  it(`InvalidAccessKeyId: is read ${TIMES} times of ${TIMES}, sent as a stream`, async () => {
    assert.deepEqual(await outcomes(stranger(), () => createReadStream(path) as COS.UploadBody), {
      sent: TIMES,
      seen: { "403 InvalidAccessKeyId": TIMES },
    });
  });

  it(`NoSuchBucket: is read ${TIMES} times of ${TIMES}`, async () => {
    const nowhere = { ...at, Bucket: server.cosbox.bucket("nowhere") };
    assert.deepEqual(await outcomes(sdk(way, server.cosbox, folder), () => BODY, nowhere), {
      sent: TIMES,
      seen: { "404 NoSuchBucket": TIMES },
    });
  });

  it("leaves the SDK able to store right after", async () => {
    const stored = await sdk(way, server.cosbox, folder).putObject({ ...at, Body: BODY });
    assert.equal(stored.statusCode, 200);
  });
});
