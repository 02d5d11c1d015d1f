/** Snapshots: everything that was there is there again, whatever was done since. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, it, onTestFinished } from "vitest";
import { adminClient } from "../../src/admin/client.ts";
import { ask } from "../fixtures/admin.ts";
import { told } from "../fixtures/command.ts";
import { type Sent, type TestServer, testServer } from "../fixtures/server.ts";
import { begin } from "../fixtures/uploads.ts";
import { setVersioning } from "../fixtures/versioning.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const BIG = Buffer.alloc(300_000, "big");
const OTHER = Buffer.alloc(300_000, "other");
const LOCK = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
const POLICY = (effect: string): string =>
  JSON.stringify({
    version: "2.0",
    Statement: [
      {
        Effect: effect,
        Principal: { qcs: ["qcs::cam::anyone:anyone"] },
        Action: ["name/cos:GetObject"],
        Resource: ["*"],
      },
    ],
  });
const CORS = (origin: string): string =>
  `<CORSConfiguration><CORSRule><AllowedOrigin>${origin}</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>`;

/** Begins to put BIG, and gives what sends its other half and tells the status, once the server takes the first. */
async function halfPut(server: TestServer, path: string): Promise<() => Promise<number>> {
  const url = new URL(server.presign({ method: "PUT", path }));
  const upload = request({
    port: server.port,
    method: "PUT",
    path: url.pathname + url.search,
    headers: { Host: url.host, "Content-Length": BIG.length, Expect: "100-continue" },
  });
  const answered = new Promise<number>((resolve, reject) => {
    upload.on("response", (response) => {
      response.resume().on("end", () => resolve(response.statusCode ?? 0));
    });
    upload.on("error", reject);
  });
  upload.flushHeaders();
  await Promise.race([once(upload, "continue"), answered]);
  await new Promise((resolve) => upload.write(BIG.subarray(0, 200_000), resolve));
  return () => {
    upload.end(BIG.subarray(200_000));
    return answered;
  };
}

describe("snapshots", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({
      admin: "127.0.0.1:0",
      limits: { partBytesMin: 1 },
      accounts: [{ uin: "100000000777", appid: "1250000777", name: "first" }],
    });
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    await server.cosbox.reset({ force: true });
    for (const snapshot of await server.cosbox.snapshots()) await snapshot.remove();
    await ok({ method: "PUT" });
  });

  const send = (sent: Sent) => server.send(sent);
  async function ok(sent: Sent) {
    const answer = await server.send(sent);
    assert.ok(answer.status < 300, `${answer.status} ${answer.text}`);
    return answer;
  }
  const put = (path: string, body: string | Buffer, more: Sent = {}) => ok({ method: "PUT", path, body, ...more });

  /** All that clients can see of a bucket. */
  async function seen(bucket = server.bucket): Promise<unknown> {
    const list = await ok({ bucket, query: { versions: undefined } });
    const versions = [];
    const [keys, ids] = [list.elements("Key"), list.elements("VersionId")];
    for (const [at, key] of keys.entries()) {
      const query = { versionId: ids[at] as string };
      const got = await send({ bucket, path: `/${key}`, query });
      const { date: _date, "x-cos-request-id": _id, connection: _kept, ...headers } = got.headers;
      const body = createHash("sha256").update(got.body).digest("hex");
      versions.push([key, ids[at], got.status, ...(got.status === 200 ? [headers, body] : [])]);
    }
    const configurations = [];
    for (const name of ["acl", "cors", "policy", "tagging", "versioning", "lifecycle", "object-lock"]) {
      const { status, text } = await send({ bucket, query: { [name]: undefined } });
      configurations.push([name, status, status === 200 ? text : ""]);
    }
    const uploads = (await ok({ bucket, query: { uploads: undefined } })).elements("UploadId");
    return { versions, configurations, uploads };
  }

  it("bring back objects, versions, uploads and configurations, as often as one likes", async () => {
    const { cosbox, bucket } = server;
    await setVersioning(server, "Enabled");
    await put("/small", "one");
    await put("/small", "two");
    await put("/big", BIG, { headers: { "x-cos-meta-colour": "red", "x-cos-tagging": "a=1" } });
    await put("/gone", "x");
    await ok({ method: "DELETE", path: "/gone" });
    const upload = await begin(server, "parts");
    await ok({ method: "PUT", path: "/parts", query: { partNumber: 1, uploadId: upload }, body: BIG });
    await ok({ method: "PUT", query: { policy: undefined }, body: POLICY("allow") });
    await ok({ method: "PUT", query: { cors: undefined }, body: CORS("https://one.example") });
    const before = await seen();
    const snapshot = await cosbox.snapshot("seeded");
    assert.equal(snapshot.name, "seeded");
    assert.ok(snapshot.bytes > 2 * BIG.length);

    for (let round = 0; round < 3; round++) {
      await put("/small", `round ${round}`);
      await put("/big", OTHER);
      await put("/new", OTHER);
      const bigs = await ok({ query: { versions: undefined, prefix: "big" } });
      for (const id of bigs.elements("VersionId")) {
        await ok({ method: "DELETE", path: "/big", query: { versionId: id } });
      }
      await ok({ method: "DELETE", path: "/parts", query: { uploadId: upload } });
      await ok({ method: "PUT", query: { policy: undefined }, body: POLICY("deny") });
      await ok({ method: "PUT", query: { cors: undefined }, body: CORS("https://two.example") });
      await ok({ method: "PUT", bucket: `other-${round}-1250000000` });
      if (round === 1) await cosbox.reset();
      await cosbox.restore(round === 0 ? snapshot : "seeded");
      assert.deepEqual(await seen(), before, `round ${round}`);
      assert.deepEqual((await ok({ bucket: "" })).elements("Name"), [bucket]);
    }
    // The upload goes on where it was.
    const part = (await ok({ path: "/parts", query: { uploadId: upload } })).element("ETag") as string;
    const body = `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${part}</ETag></Part></CompleteMultipartUpload>`;
    await ok({ method: "POST", path: "/parts", query: { uploadId: upload }, body });
    assert.ok((await ok({ path: "/parts" })).body.equals(BIG));
  });

  it("go by what is stored, where something else has had the same number since", async () => {
    // Configurations, accounts and rates are remembered by a number that goes back.
    const { cosbox } = server;
    const origin = async (origin: string) =>
      (
        await send({
          method: "OPTIONS",
          path: "/a",
          headers: { Origin: origin, "Access-Control-Request-Method": "GET" },
        })
      ).status;
    const admin = adminClient({ endpoint: cosbox.admin as string });
    const taken = await cosbox.snapshot();
    const keyOf = async (): Promise<string> => {
      await admin.putAccount("100000000888", { appid: "1250000888" });
      const { secretId, secretKey } = await admin.createKey("100000000888");
      assert.equal((await send({ bucket: "", sign: { secretId, secretKey } })).status, 200);
      return secretId;
    };
    const first = await keyOf();
    await ok({ method: "PUT", query: { cors: undefined }, body: CORS("https://one.example") });
    assert.equal(await origin("https://one.example"), 200);
    await cosbox.restore(taken);
    assert.equal(await origin("https://one.example"), 403);
    await ok({ method: "PUT", query: { cors: undefined }, body: CORS("https://two.example") });
    assert.equal(await origin("https://one.example"), 403);
    assert.equal(await origin("https://two.example"), 200);
    await keyOf();
    assert.equal(
      (await send({ bucket: "", sign: { secretId: first, secretKey: "any" } })).element("Code"),
      "InvalidAccessKeyId",
    );
  });

  it("bring back accounts, keys, faults with their counts, states, rates and the clock", async () => {
    const { cosbox } = server;
    const admin = adminClient({ endpoint: cosbox.admin as string });
    await admin.putAccount("100000000888", { appid: "1250000888", name: "second" });
    const pair = await admin.createKey("100000000888");
    const key = await cosbox.keys.create("mine");
    await cosbox.faults.add({ id: "busy", error: "SlowDown", match: { operation: "HeadBucket" }, times: { first: 2 } });
    await cosbox.states.set({ bucket: "other-1250000000" }, "blocked");
    await cosbox.rates.set([{ per: "bucket", perSecond: 1000 }]);
    await cosbox.clock.freeze("2031-01-01T00:00:00Z");
    assert.equal((await send({ method: "HEAD" })).status, 503);
    const before = [
      await cosbox.faults.list(),
      await cosbox.states.list(),
      cosbox.rates.list(),
      await cosbox.keys.list(),
    ];
    const snapshot = await cosbox.snapshot();
    assert.equal(snapshot.takenAt.toISOString(), "2031-01-01T00:00:00.000Z");

    const change = async (): Promise<void> => {
      await send({ method: "HEAD" });
      await cosbox.faults.add({ error: "InternalError", match: { operation: "GetBucket" } });
      await cosbox.states.clear();
      await cosbox.rates.set([]);
      await cosbox.clock.advance("40d");
      await cosbox.keys.disable(key.id);
      await admin.removeKey(pair.secretId);
    };
    for (const step of [change, () => cosbox.reset(), () => cosbox.clock.set("2020-01-01T00:00:00Z")]) {
      await step();
      await cosbox.restore(snapshot);
      const now = [
        await cosbox.faults.list(),
        await cosbox.states.list(),
        cosbox.rates.list(),
        await cosbox.keys.list(),
      ];
      assert.deepEqual(now, before);
      assert.equal(cosbox.clock.now().toISOString(), "2031-01-01T00:00:00.000Z");
    }
    assert.equal((await send({ method: "HEAD" })).status, 503);
    assert.equal((await send({ method: "HEAD" })).status, 200);
    const { secretId, secretKey } = pair;
    assert.equal((await send({ bucket: "", sign: { secretId, secretKey } })).status, 200);
    await cosbox.clock.reset();
    const real = await cosbox.snapshot();
    await cosbox.clock.advance("10d");
    const ahead = await cosbox.snapshot();
    await cosbox.restore(real);
    assert.ok(Math.abs(cosbox.clock.now().getTime() - Date.now()) < 60_000);
    await cosbox.restore(ahead);
    assert.ok(Math.abs(cosbox.clock.now().getTime() - Date.now() - 10 * DAY_MS) < 60_000);
    assert.equal((await send({})).status, 200);
  });

  it("keep what is locked, unless they are forced", async () => {
    const { cosbox } = server;
    const until = (days: number) => new Date(cosbox.clock.now().getTime() + days * DAY_MS).toISOString();
    const retain = (path: string, days: number) =>
      ok({
        method: "PUT",
        path,
        query: { retention: undefined },
        body: `<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>${until(days)}</RetainUntilDate></Retention>`,
      });
    await setVersioning(server, "Enabled");
    const empty = await cosbox.snapshot();
    await ok({ method: "PUT", query: { "object-lock": undefined }, body: LOCK });
    await put("/kept", "kept");
    await retain("/kept", 1);
    const locked = await cosbox.snapshot();
    // What the snapshot has too may stay locked or be superseded: nothing of it goes.
    await put("/kept", "newer");
    await cosbox.restore(locked);
    assert.equal((await ok({ path: "/kept" })).text, "kept");
    // A lock that holds longer now would end early.
    await retain("/kept", 2);
    await assert.rejects(cosbox.restore(locked), /demo-1250000000\/kept is locked; force the restore/);
    await assert.rejects(cosbox.restore(empty), /kept is locked/);
    assert.equal((await ok({ path: "/kept" })).text, "kept");
    const refused = await ask(cosbox.admin as string, "POST", `/v1/snapshots/${empty.name}/restore`, { body: {} });
    assert.equal(refused.status, 409);
    assert.equal((refused.body["error"] as { code: string }).code, "ObjectsLocked");
    await cosbox.restore(empty, { force: true });
    assert.equal((await send({ path: "/kept" })).status, 404);
    // Once the lock is over it keeps nothing.
    await ok({ method: "PUT", query: { "object-lock": undefined }, body: LOCK });
    await put("/kept", "kept");
    await retain("/kept", 1);
    await assert.rejects(cosbox.restore(empty), /is locked/);
    await cosbox.clock.advance("2d");
    await cosbox.restore(empty);
  });

  it("leave a request that is under way whole: it counts before or after, and nothing is half there", async () => {
    const { cosbox, bucket } = server;
    await put("/there", BIG);
    const snapshot = await cosbox.snapshot();
    const finish = await halfPut(server, "/late");
    await put("/more", BIG);
    await cosbox.restore(snapshot);
    assert.equal((await send({ path: "/more" })).status, 404);
    assert.equal(await finish(), 200);
    assert.ok((await ok({ path: "/late" })).body.equals(BIG));
    await cosbox.restore(snapshot);
    assert.deepEqual((await ok({ bucket })).elements("Key"), ["there"]);
  });

  it("leave what a request under way is sealed under, also where nothing was sealed before", async () => {
    const own = await testServer();
    onTestFinished(() => own.stop());
    const rule =
      "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>";
    const body = `<ServerSideEncryptionConfiguration><Rule>${rule}</Rule></ServerSideEncryptionConfiguration>`;
    assert.equal((await own.send({ method: "PUT", query: { encryption: undefined }, body })).status, 200);
    for (const path of ["/first", "/rotated"]) {
      const snapshot = await own.cosbox.snapshot();
      if (path === "/rotated") await own.cosbox.keys.rotate();
      const finish = await halfPut(own, path);
      await own.cosbox.restore(snapshot);
      assert.equal(await finish(), 200);
      const { status, headers, body: got } = await own.send({ path });
      assert.deepEqual([status, headers["x-cos-server-side-encryption"], got.equals(BIG)], [200, "AES256", true]);
    }
    assert.equal((await own.send({ path: "/first" })).status, 200);
  });

  it("hold while clients go on: whatever is there afterwards can be read, and is what it says", async () => {
    const { cosbox } = server;
    await setVersioning(server, "Enabled");
    for (let at = 0; at < 8; at++) await put(`/base-${at}`, at % 2 === 0 ? BIG : `small ${at}`);
    const snapshot = await cosbox.snapshot();
    let ended = false;
    const statuses = new Set<number>();
    const client = async (own: number): Promise<void> => {
      for (let turn = 0; !ended; turn++) {
        const path = `/base-${(own + turn) % 10}`;
        const copied = { "x-cos-copy-source": `demo-1250000000.cos.ap-guangzhou.myqcloud.com/base-${turn % 4}` };
        const requests: Sent[] = [
          { method: "PUT", path, body: turn % 3 === 0 ? OTHER : `turn ${turn}` },
          { method: "PUT", path: `${path}-copy`, headers: copied },
          { method: "DELETE", path },
          { path: `/base-${turn % 8}` },
          { method: "POST", path: "/log", query: { append: undefined, position: 0 }, body: "line" },
        ];
        statuses.add((await send(requests[turn % requests.length] as Sent)).status);
      }
    };
    const clients = Array.from({ length: 6 }, (_, own) => client(own));
    for (let round = 0; round < 30; round++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      await cosbox.restore(snapshot);
    }
    ended = true;
    await Promise.all(clients);
    assert.deepEqual(
      [...statuses].filter((status) => status >= 500),
      [],
    );
    const list = await ok({ query: { versions: undefined } });
    const ids = list.elements("VersionId");
    for (const [at, key] of list.elements("Key").entries()) {
      const got = await send({ path: `/${key}`, query: { versionId: ids[at] as string } });
      if (got.status === 405) continue;
      assert.equal(got.status, 200);
      assert.equal(String(got.headers.etag), `"${createHash("md5").update(got.body).digest("hex")}"`);
    }
    await cosbox.restore(snapshot);
    for (let at = 0; at < 8; at += 2) assert.ok((await ok({ path: `/base-${at}` })).body.equals(BIG));
  });

  it("are bounded in number and bytes, and tell what there is", async () => {
    const bounded = await testServer({ limits: { snapshotsMax: 2, snapshotBytesMax: 1_000_000 } });
    onTestFinished(() => bounded.stop());
    const { cosbox } = bounded;
    await bounded.send({ method: "PUT", path: "/big", body: BIG });
    const first = await cosbox.snapshot("first");
    const second = await cosbox.snapshot();
    assert.deepEqual(
      (await cosbox.snapshots()).map(({ name }) => name),
      ["first", second.name],
    );
    await assert.rejects(cosbox.snapshot(), /there are 2 snapshots \(snapshotsMax\); remove one/);
    // One of the same name gives way.
    await cosbox.snapshot("first");
    await first.remove();
    await assert.rejects(first.remove(), /there is no snapshot "first"/);
    await assert.rejects(cosbox.restore("first"), /there is no snapshot "first"/);
    for (const path of ["/b", "/c"]) await bounded.send({ method: "PUT", path, body: BIG });
    await assert.rejects(cosbox.snapshot(), /bytes, and 1000000 is the most \(snapshotBytesMax\)/);
    await second.remove();
    await cosbox.snapshot();
    assert.equal((await cosbox.snapshots()).length, 1);
  });

  it("are there over HTTP, and as a command", async () => {
    const endpoint = server.cosbox.admin as string;
    const admin = adminClient({ endpoint });
    const at = endpoint.replace("http://", "");
    await put("/a", "one");
    const { name, taken, bytes } = await admin.takeSnapshot("mine");
    assert.equal(name, "mine");
    assert.ok(bytes > 0 && Date.parse(taken) > 0);
    await put("/a", "two");
    await admin.restoreSnapshot("mine");
    assert.equal((await ok({ path: "/a" })).text, "one");
    assert.equal((await told("snapshots", "take", "other", "--admin", at)).code, 0);
    assert.match((await told("snapshots", "--admin", at)).stdout, /^mine {2}.* bytes\nother {2}/);
    await put("/a", "two");
    assert.equal((await told("snapshots", "restore", "other", "--admin", at)).code, 0);
    assert.equal((await ok({ path: "/a" })).text, "one");
    assert.equal((await told("snapshots", "remove", "other", "--admin", at)).code, 0);
    assert.match((await told("snapshots", "restore", "other", "--admin", at)).stderr, /there is no snapshot "other"/);
    assert.match((await told("snapshots", "restore", "--admin", at)).stderr, /say which/);
    assert.match((await told("snapshots", "undo", "--admin", at)).stderr, /expected take, restore or remove/);
    await admin.removeSnapshot("mine");
    assert.deepEqual(await admin.snapshots(), []);
    assert.equal((await ask(endpoint, "POST", "/v1/snapshots", { body: { name: "../x" } })).status, 400);
    assert.equal((await ask(endpoint, "DELETE", "/v1/snapshots/none")).status, 404);
  });

  it("are gone back to one after the other, and the last one wins whole", async () => {
    const { cosbox } = server;
    for (const [name, perSecond, time] of [
      ["one", 1000, "2031-01-01T00:00:00.000Z"],
      ["two", 2000, "2032-01-01T00:00:00.000Z"],
    ] as const) {
      await put("/which", name);
      await cosbox.rates.set([{ per: "bucket", perSecond }]);
      await cosbox.clock.freeze(time);
      await cosbox.snapshot(name);
    }
    const gone = assert.rejects(cosbox.restore("none"), /no snapshot "none"/);
    await Promise.all([cosbox.restore("one"), gone, cosbox.restore("two")]);
    assert.deepEqual(cosbox.rates.list(), [{ per: "bucket", perSecond: 2000 }]);
    assert.equal(cosbox.clock.now().toISOString(), "2032-01-01T00:00:00.000Z");
    assert.equal((await ok({ path: "/which" })).text, "two");
    // One that is taken meanwhile is of the moment when that is done, and not of the middle of it.
    const [, after] = await Promise.all([cosbox.restore("one"), cosbox.snapshot("after")]);
    await cosbox.restore("two");
    await cosbox.restore(after);
    assert.deepEqual(cosbox.rates.list(), [{ per: "bucket", perSecond: 1000 }]);
    assert.equal(cosbox.clock.now().toISOString(), "2031-01-01T00:00:00.000Z");
    assert.equal((await ok({ path: "/which" })).text, "one");
  });

  it("cannot be gone back to while one is being removed", async () => {
    const own = await testServer();
    onTestFinished(() => own.stop());
    await own.send({ method: "PUT", path: "/big", body: BIG });
    const taken = await own.cosbox.snapshot("going");
    await own.send({ method: "DELETE", path: "/big" });
    const back = own.cosbox.restore("going");
    await Promise.allSettled([back, taken.remove()]);
    const outcome = await back.then(
      () => "restored",
      (error: Error) => error.message,
    );
    const { status } = await own.send({ path: "/big" });
    assert.deepEqual(
      [outcome, status],
      outcome === "restored" ? ["restored", 200] : [`there is no snapshot "going"`, 404],
    );
  });

  it("are refused on disk, with the way to copy a folder, and are there for its namespaces", async () => {
    const folder = mkdtempSync(join(tmpdir(), "cosbox-snapshots-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const onDisk = await testServer({ memory: false, data: join(folder, "data"), durability: "none" });
    onTestFinished(() => onDisk.stop());
    await assert.rejects(onDisk.cosbox.snapshot(), /in memory: .*; a data folder is copied with cosbox backup/);
    assert.deepEqual(await onDisk.cosbox.snapshots(), []);
    // A namespace of it is in memory, and goes back alone.
    const space = await onDisk.cosbox.namespace();
    const sign = space.credentials;
    const make = (name: string) => onDisk.send({ method: "PUT", bucket: space.bucket(name), sign });
    assert.equal((await make("first")).status, 200);
    const taken = await space.snapshot();
    await space.clock.advance("1h");
    assert.equal((await make("second")).status, 200);
    await space.restore(taken);
    const owned = await onDisk.send({ bucket: "", sign });
    assert.deepEqual(owned.elements("Name"), [space.bucket("first")]);
    assert.equal((await onDisk.send({ method: "HEAD" })).status, 200);
  });
});
