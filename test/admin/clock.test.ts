/** The virtual clock through the library: what untouched clients see of it. */

import assert from "node:assert/strict";
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { afterAll, afterEach, beforeAll, describe, it } from "vitest";
import { type TestServer, testServer } from "../fixtures/server.ts";

const DAY_MS = 86_400_000;

describe("the virtual clock", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer();
    await server.send({ method: "PUT", path: "/a", body: "x" });
  });
  afterAll(() => server.stop());
  afterEach(() => server.cosbox.clock.reset());

  /** A link as a browser follows it whose names lead here. */
  const follow = (link: string) => {
    const { host, pathname, search } = new URL(link);
    return server.send({ target: pathname + search, host, sign: false });
  };
  const dateOf = async () => Date.parse((await server.send({ method: "HEAD", path: "/a" })).headers.date ?? "");

  it("moves every date of the server, and an untouched SDK keeps working", async () => {
    const before = Date.now();
    const shown = await server.cosbox.clock.advance("30d");
    assert.ok(Math.abs(shown.getTime() - before - 30 * DAY_MS) < 60_000);
    assert.ok(Math.abs((await dateOf()) - before - 30 * DAY_MS) < 60_000);
    await server.cos.putObject({ Bucket: server.bucket, Region: "ap-guangzhou", Key: "later", Body: "x" });
    const head = await server.cos.headObject({ Bucket: server.bucket, Region: "ap-guangzhou", Key: "later" });
    const modified = Date.parse(head.headers?.["last-modified"] ?? "");
    assert.ok(Math.abs(modified - before - 30 * DAY_MS) < 60_000);
  });

  it("lets links expire that were made before, and takes those made after", async () => {
    const link = server.presign({ path: "/a" });
    assert.equal((await follow(link)).status, 200);
    await server.cosbox.clock.advance("11m");
    const after = await follow(link);
    assert.equal(after.status, 403);
    assert.match(after.text, /<Code>Request has expired<\/Code>/);
    // A link tells the second it was made in, so those of one second cannot be told apart.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const now = Math.floor(Date.now() / 1000);
    const made = await server.send({ path: "/a", sign: { via: "query", signTime: `${now};${now + 600}` } });
    assert.equal(made.status, 200);
  });

  it("does the same for clients of S3", async () => {
    const { endpoint, credentials, region } = server.cosbox;
    const s3 = new S3Client({
      endpoint,
      region,
      forcePathStyle: true,
      credentials: { accessKeyId: credentials.secretId, secretAccessKey: credentials.secretKey },
    });
    const Bucket = server.bucket;
    await s3.send(new PutObjectCommand({ Bucket, Key: "s3", Body: "x" }));
    const link = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: "s3" }), { expiresIn: 60 });
    assert.equal((await fetch(link)).status, 200);
    await server.cosbox.clock.advance("2h");
    assert.equal((await fetch(link)).status, 403);
    await s3.send(new HeadObjectCommand({ Bucket, Key: "s3" }));
    s3.destroy();
  });

  it("stands still when it is frozen, and advances from there", async () => {
    const at = Date.parse("2031-05-06T07:08:09Z");
    await server.cosbox.clock.freeze("2031-05-06T07:08:09Z");
    assert.equal(await dateOf(), at);
    assert.equal((await server.cosbox.clock.advance("1h")).getTime(), at + 3_600_000);
    assert.equal(await dateOf(), at + 3_600_000);
    assert.equal((await server.send({ path: "/a" })).status, 200);
  });

  it("goes back as well, and does not take a request for fresh that was signed long ago", async () => {
    await server.cosbox.clock.set("2020-01-01T00:00:00Z");
    assert.ok((await dateOf()) < Date.parse("2020-01-01T00:01:00Z"));
    assert.equal((await server.send({ path: "/a" })).status, 200);
    const long = Math.floor(Date.now() / 1000) - 7_200;
    const old = await server.send({ path: "/a", sign: { signTime: `${long};${long + 3_600}` } });
    assert.equal(old.element("Code"), "RequestTimeTooSkewed");
  });

  it("refuses what is no time, and no duration", async () => {
    await assert.rejects(server.cosbox.clock.advance("soon"), /expected ms, or text such as "30d"/);
    await assert.rejects(server.cosbox.clock.advance(-1), RangeError);
    await assert.rejects(server.cosbox.clock.freeze("never"), /expected a time/);
    await assert.rejects(server.cosbox.clock.advance("9999y"), RangeError);
    await assert.rejects(server.cosbox.clock.freeze("2255-01-01T00:00:00Z"), RangeError);
    await server.cosbox.clock.freeze("2254-12-31T00:00:00Z");
    assert.equal((await server.send({ method: "PUT", path: "/late", body: "x" })).status, 200);
  });
});
