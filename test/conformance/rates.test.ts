/** Limits on how often requests may come. The rates are so low that no pause of a test fills a bucket. */

import assert from "node:assert/strict";
import { afterAll, afterEach, beforeAll, describe, it } from "vitest";
import { type RateRequest, startCosbox } from "../../src/library.ts";
import { OTHER_ROOT, OTHER_UIN, PEOPLE, ROOT_UIN, WRITER } from "../fixtures/people.ts";
import { assertRefused, assertRefusedHead } from "../fixtures/refusal.ts";
import { s3Client } from "../fixtures/s3.ts";
import { assertS3Refused } from "../fixtures/s3-refusal.ts";
import { type Sent, type TestServer, testServer } from "../fixtures/server.ts";

const SELDOM = { perSecond: 0.001 };
const OTHER_BUCKET = "other-1250000000";

describe("rates", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ accounts: PEOPLE, limits: { refusalRecordsPerSecond: 1_000_000 } });
    await server.send({ method: "PUT", bucket: OTHER_BUCKET });
    await server.send({ method: "PUT", path: "/k", body: "text", headers: { "x-cos-acl": "public-read" } });
  });
  afterAll(() => server.stop());
  afterEach(() => server.cosbox.rates.reset());

  const set = (...rates: readonly RateRequest[]) => server.cosbox.rates.set(rates);
  const get = (more: Sent = {}) => server.send({ path: "/k", ...more });
  async function statuses(count: number, more: Sent = {}): Promise<number[]> {
    const all: number[] = [];
    for (let at = 0; at < count; at++) all.push((await get(more)).status);
    return all;
  }

  it("SlowDown: more requests to a bucket than its rate allows, whoever asks; other buckets are not concerned", async () => {
    await set({ id: "b", per: "bucket", ...SELDOM, burst: 3 });
    assert.deepEqual(await statuses(1), [200]);
    assert.deepEqual(await statuses(1, { sign: false }), [200]);
    assert.deepEqual(await statuses(1, { sign: WRITER }), [200]);
    const refused = await get();
    assertRefused(refused, "SlowDown");
    assert.equal(refused.headers["retry-after"], "1000");
    assertRefused(await get({ sign: false }), "SlowDown");
    assertRefusedHead(await get({ method: "HEAD" }), "SlowDown");
    const preflight = { origin: "http://a.b", "access-control-request-method": "GET" };
    assertRefused(await get({ method: "OPTIONS", sign: false, headers: preflight }), "SlowDown");
    assert.deepEqual(await statuses(3, { bucket: OTHER_BUCKET, path: "/" }), [200, 200, 200]);
    assert.equal((await server.send({ bucket: "" })).status, 200);
  });

  it("SlowDown: nothing of a refused request is done, and its connection goes on", async () => {
    await set({ per: "bucket", operations: ["PutObject"], ...SELDOM, burst: 1 });
    assert.equal((await server.send({ method: "PUT", path: "/one", body: "x" })).status, 200);
    assertRefused(await server.send({ method: "PUT", path: "/two", body: "x".repeat(100_000) }), "SlowDown");
    const next = await server.send({ path: "/two" });
    assertRefused(next, "NoSuchKey");
    assert.ok(next.reused);
  });

  it("SlowDown: more requests of an account, by any of its keys, than its rate allows", async () => {
    await set({ per: "account", ...SELDOM, burst: 2 });
    assert.deepEqual(await statuses(1), [200]);
    assert.deepEqual(await statuses(1, { sign: WRITER }), [200]);
    assertRefused(await get({ sign: WRITER }), "SlowDown");
    assert.deepEqual(await statuses(2, { sign: OTHER_ROOT }), [200, 200]);
    assertRefused(await get({ sign: OTHER_ROOT }), "SlowDown");
    assert.deepEqual(await statuses(4, { sign: false }), [200, 200, 200, 200]);
    assertRefused(await server.send({ bucket: "" }), "SlowDown");
  });

  it("SlowDown: the operations that a limit names are counted together, others not at all", async () => {
    await set({ per: "account", operations: ["GetService", "PutBucket"], account: ROOT_UIN, ...SELDOM, burst: 2 });
    assert.equal((await server.send({ method: "PUT", bucket: "made-1250000000" })).status, 200);
    assert.equal((await server.send({ bucket: "" })).status, 200);
    assertRefused(await server.send({ bucket: "" }), "SlowDown");
    assertRefused(await server.send({ method: "PUT", bucket: "more-1250000000" }), "SlowDown");
    assert.deepEqual(await statuses(3), [200, 200, 200]);
    assert.equal((await server.send({ bucket: "", sign: OTHER_ROOT })).status, 200, OTHER_UIN);
  });

  it("SlowDown: of several limits each holds", async () => {
    await set(
      { per: "server", ...SELDOM, burst: 5 },
      { per: "bucket", bucket: server.bucket, ...SELDOM, burst: 2 },
      { per: "bucket", bucket: "else-1250000000", ...SELDOM, burst: 1 },
    );
    assert.deepEqual(await statuses(4), [200, 200, 503, 503]);
    assert.deepEqual(await statuses(2, { bucket: OTHER_BUCKET, path: "/" }), [200, 503]);
  });

  it("lets requests come again as time passes", async () => {
    await set({ per: "bucket", perSecond: 50, burst: 1 });
    const before = performance.now();
    let passed = 0;
    while (passed < 6) if ((await get()).status === 200) passed += 1;
    assert.ok(performance.now() - before >= 99, "five more at 50 in a second take a tenth of one");
  });

  it("SlowDown: S3's clients read S3's code", async () => {
    await set({ per: "bucket", ...SELDOM, burst: 1 });
    const s3 = s3Client(server);
    assert.equal((await s3.send({ path: "/k" })).status, 200);
    assertS3Refused(await s3.send({ path: "/k" }), 503, "SlowDown");
  });

  it("tells in the explanation which limit it was, and how high it is", async () => {
    await set({ id: "mine", per: "bucket", operations: ["GetObject"], perSecond: 0.5, burst: 1 });
    await get();
    const id = String((await get()).headers["x-cos-request-id"]);
    const told = (await server.cosbox.requests.explain(id)) ?? "";
    assert.match(
      told,
      /The limit mine allows 0\.5 requests for GetObject in a second, 1 at once; the bucket demo-\d+ went/,
    );
  });

  it("a request with a signature that does not match does not count", async () => {
    await set({ per: "bucket", ...SELDOM, burst: 1 });
    const sign = { ...WRITER, secretKey: "not-the-right-one" };
    for (let at = 0; at < 3; at++) assert.equal((await get({ sign })).status, 403);
    assert.deepEqual(await statuses(2), [200, 503]);
  });

  it("are refused where they cannot stand", async () => {
    for (const [rate, told] of [
      [{ per: "key", perSecond: 1 }, /expected bucket, account or server/],
      [{ per: "bucket", perSecond: 0 }, /expected more than 0/],
      [{ per: "bucket", perSecond: 1, burst: 0 }, /expected 1 request at once or more/],
      [{ per: "bucket", perSecond: 1, operations: ["GetNothing"] }, /there is no operation "GetNothing"/],
      [{ per: "bucket", perSecond: 1, key: "x" }, /./],
    ] as const) {
      await assert.rejects(set(rate as never), told);
    }
    assert.deepEqual(server.cosbox.rates.list(), []);
    await assert.rejects(
      startCosbox({ rates: [{ per: "bucket", perSecond: 1, operations: ["X"] }] }),
      /rates: there is no/,
    );
  });
});

describe("rates of the settings", () => {
  it("hold from the start, give way to others, and come back", async () => {
    const server = await testServer({ rates: [{ per: "bucket", operations: ["HeadBucket"], ...SELDOM, burst: 1 }] });
    try {
      const head = async () => (await server.send({ method: "HEAD" })).status;
      assert.deepEqual([await head(), await head()], [200, 503]);
      await server.cosbox.rates.set("service");
      assert.equal(server.cosbox.rates.list().find(({ id }) => id === "buckets")?.perSecond, 50);
      assert.deepEqual([await head(), await head()], [200, 200]);
      await server.cosbox.reset();
      assert.deepEqual(server.cosbox.rates.list()[0]?.operations, ["HeadBucket"]);
    } finally {
      await server.stop();
    }
  });

  it("SlowDown: the service's own, for the 51st bucket that an account makes or lists in one go", async () => {
    const server = await testServer({ rates: "service" as never, createBucket: false });
    try {
      const answers = await Promise.all(Array.from({ length: 200 }, () => server.send({ bucket: "" })));
      const passed = answers.filter(({ status }) => status === 200).length;
      assert.ok(passed >= 50 && passed < 200, `${passed}`);
      assertRefused(answers.find(({ status }) => status !== 200) ?? (answers[0] as never), "SlowDown");
    } finally {
      await server.stop();
    }
  });
});
