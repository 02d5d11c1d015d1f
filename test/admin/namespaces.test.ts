/** Namespaces: servers in memory that share one listener, through the library and over the admin listener. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import COS from "cos-nodejs-sdk-v5";
import { afterAll, afterEach, beforeAll, describe, it, onTestFinished, vi } from "vitest";
import { type AdminClient, adminClient, type RemoteNamespace } from "../../src/admin/client.ts";
import { startServer } from "../../src/assembly/server.ts";
import { loadSettings } from "../../src/config/load-settings.ts";
import { type Cosbox, type CosboxNamespace, type CosboxOptions, startCosbox } from "../../src/library.ts";
import { ask } from "../fixtures/admin.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

async function start(options: CosboxOptions = {}): Promise<Cosbox> {
  const cosbox = await startCosbox({ admin: "127.0.0.1:0", ...options });
  onTestFinished(() => cosbox.stop());
  return cosbox;
}

interface User {
  readonly cos: COS;
  readonly place: { readonly Bucket: string; readonly Region: string };
}

/** Whoever uses a server or a namespace by the SDK, with a bucket `demo`. */
async function user(one: Pick<Cosbox, "options" | "bucket" | "region">): Promise<User> {
  const cos = new COS({ ...one.options });
  const place = { Bucket: one.bucket("demo"), Region: one.region };
  await cos.putBucket(place);
  return { cos, place };
}

/** Asks for a link of the real host, with the server as the proxy. */
function statusOf({ port }: Cosbox, url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", port, path: url, headers: { Host: new URL(url).host } });
    request.on("error", reject).on("response", (response) => resolve(response.resume().statusCode));
    request.end();
  });
}

async function bucketsOf(cos: COS): Promise<string[]> {
  return (await cos.getService()).Buckets.map(({ Name }) => Name);
}

describe("namespaces", () => {
  let cosbox: Cosbox;
  let one: CosboxNamespace;
  let two: CosboxNamespace;
  beforeAll(async () => {
    cosbox = await startCosbox({ admin: "127.0.0.1:0" });
  });
  afterAll(() => cosbox.stop());
  const make = async (): Promise<void> => {
    [one, two] = [await cosbox.namespace("one", { replace: true }), await cosbox.namespace("two", { replace: true })];
  };
  afterEach(async () => {
    await cosbox.reset();
    await cosbox.faults.clear();
  });

  it("have buckets, objects and lists of their own behind one endpoint", async () => {
    await make();
    assert.equal(one.endpoint, cosbox.endpoint);
    assert.equal(new Set([one.appid, two.appid, cosbox.credentials.appid]).size, 3);
    const users = await Promise.all([cosbox, one, two].map(user));
    for (const [at, { cos, place }] of users.entries()) await cos.putObject({ ...place, Key: "a", Body: `of ${at}` });
    for (const [at, { cos, place }] of users.entries()) {
      assert.deepEqual(await bucketsOf(cos), [place.Bucket]);
      assert.equal(String((await cos.getObject({ ...place, Key: "a" })).Body), `of ${at}`);
    }
  });

  it("do not let others see, change or copy what is theirs", async () => {
    await make();
    const [mine, theirs] = await Promise.all([user(one), user(two)]);
    await theirs.cos.putObject({ ...theirs.place, Key: "a", Body: "theirs", ACL: "public-read" });
    await assert.rejects(mine.cos.headBucket(theirs.place), { statusCode: 404 });
    await assert.rejects(mine.cos.putObject({ ...theirs.place, Key: "b", Body: "" }), { code: "NoSuchBucket" });
    const CopySource = `${theirs.place.Bucket}.cos.${one.region}.myqcloud.com/a`;
    await assert.rejects(mine.cos.putObjectCopy({ ...mine.place, Key: "b", CopySource }), {
      code: "NoSuchCopySource",
    });
    const main = new COS({ ...cosbox.options });
    await assert.rejects(main.getObject({ ...theirs.place, Key: "a" }), { code: "NoSuchBucket" });
    // Without a signature, the APPID of the bucket says whose it is.
    const url = `http://${cosbox.endpoint.slice(7)}/${theirs.place.Bucket}/a`;
    assert.equal(await (await fetch(url)).text(), "theirs");
  });

  it("have a clock of their own, and the SDK goes on working by it", async () => {
    await make();
    const [mine, theirs] = await Promise.all([user(one), user(two)]);
    await mine.cos.putObject({ ...mine.place, Key: "a", Body: "x" });
    const url = mine.cos.getObjectUrl({ ...mine.place, Key: "a", Expires: 3600 }, () => {});
    assert.equal(await statusOf(cosbox, url), 200);
    await one.clock.advance("30d");
    assert.ok(one.clock.now().getTime() - two.clock.now().getTime() > 29 * DAY_MS);
    assert.ok(Math.abs(cosbox.clock.now().getTime() - Date.now()) < DAY_MS);
    assert.equal(await statusOf(cosbox, url), 403, "a link of an earlier time has expired");
    const dates = await Promise.all(
      [mine, theirs].map(async ({ cos, place }) => {
        await cos.putObject({ ...place, Key: "later", Body: "x" });
        const { headers = {} } = await cos.headObject({ ...place, Key: "later" });
        return [headers["last-modified"], headers["date"]].map((date) => Date.parse(String(date)));
      }),
    );
    const [ahead = [], present = []] = dates;
    for (const at of ahead) assert.ok(Math.abs(at - one.clock.now().getTime()) < DAY_MS, String(at));
    for (const at of present) assert.ok(Math.abs(at - Date.now()) < DAY_MS, String(at));
  });

  it("have faults, states and records of their own", async () => {
    await make();
    const [mine, theirs] = await Promise.all([user(one), user(two)]);
    await one.faults.add({ error: "SlowDown", match: { operation: "PutObject" } });
    await two.states.set({ account: two.uin }, "suspended");
    const put = ({ cos, place }: User) => cos.putObject({ ...place, Key: "a", Body: "x" });
    await assert.rejects(put(mine), { code: "SlowDown" });
    const refused = await put(theirs).catch((error: { code: string; RequestId: string }) => error);
    assert.ok("code" in refused && refused.code !== "SlowDown");
    assert.deepEqual(await cosbox.faults.list(), []);
    assert.equal(one.requests.recent()[0]?.operation, "PutObject");
    assert.match(String(await two.requests.explain(refused.RequestId)), /suspended/);
    assert.equal(await one.requests.find(refused.RequestId), undefined);
    assert.ok(cosbox.requests.recent().every(({ bucket }) => bucket !== mine.place.Bucket));
  });

  it("are emptied alone, and stay when the server is emptied", async () => {
    await make();
    const users = await Promise.all([cosbox, one, two].map(user));
    await one.clock.advance("1d");
    await one.reset();
    const kept = async () => await Promise.all(users.map(async ({ cos }) => (await bucketsOf(cos)).length));
    assert.deepEqual(await kept(), [1, 0, 1]);
    assert.ok(one.clock.now().getTime() - Date.now() < DAY_MS / 2);
    await cosbox.reset();
    assert.deepEqual(await kept(), [0, 0, 1]);
  });

  it("are seeded, and go back to snapshots of their own", async () => {
    await make();
    await one.seed({ buckets: [{ name: "seeded" }] });
    const cos = new COS({ ...one.options });
    assert.deepEqual(await bucketsOf(cos), [one.bucket("seeded")]);
    const before = await one.snapshot("before");
    await user(one);
    const others = await Promise.all([cosbox, two].map(user));
    await one.restore(before);
    assert.deepEqual(await bucketsOf(cos), [one.bucket("seeded")]);
    for (const { cos: other, place } of others) assert.deepEqual(await bucketsOf(other), [place.Bucket]);
    assert.deepEqual(await two.snapshots(), []);
  });

  it("are counted by the server too, each by itself besides", async () => {
    await make();
    await user(one);
    const count = ({ operations }: Awaited<ReturnType<Cosbox["coverage"]>>) =>
      operations.find(({ operation }) => operation === "PutBucket")?.requests;
    assert.equal(count(await one.coverage()), 1);
    assert.equal(count(await two.coverage()), undefined);
    assert.equal(count(await cosbox.coverage()), 1);
  });

  it("are gone when they are removed, and what comes later does not reach another of the name", async () => {
    const gone = await cosbox.namespace("gone");
    const { cos, place } = await user(gone);
    await gone.remove();
    await assert.rejects(bucketsOf(cos), { code: "InvalidAccessKeyId" });
    const next = await cosbox.namespace("gone");
    assert.notEqual(next.appid, gone.appid);
    await assert.rejects(cos.headBucket(place), { statusCode: 403 });
    // Who removed an earlier one does not remove its successor.
    await gone.remove();
    assert.deepEqual(await bucketsOf((await user(next)).cos), [next.bucket("demo")]);
    await next.remove();
  });

  it("send the answers that are under way when they are removed to their ends", async () => {
    const space = await cosbox.namespace();
    const { cos, place } = await user(space);
    const object = { ...place, Key: "large" };
    const { UploadId } = await cos.multipartInit(object);
    const Parts: { PartNumber: number; ETag: string }[] = [];
    // More than what is between the server and a client that does not read.
    const part = Buffer.alloc(8 * 1024 * 1024, "x");
    for (const PartNumber of [1, 2, 3]) {
      const { ETag } = await cos.multipartUpload({ ...object, UploadId, PartNumber, Body: part });
      Parts.push({ PartNumber, ETag });
    }
    await cos.multipartComplete({ ...object, UploadId, Parts });
    const url = cos.getObjectUrl({ ...object, Sign: true }, () => {});
    const request = httpRequest({
      host: "127.0.0.1",
      port: cosbox.port,
      path: url,
      headers: { Host: new URL(url).host },
    });
    const [answer] = (await once(request.end(), "response")) as [IncomingMessage];
    const removed = space.remove();
    await vi.waitFor(() => assert.rejects(bucketsOf(cos), { code: "InvalidAccessKeyId" }));
    let bytes = 0;
    for await (const chunk of answer as AsyncIterable<Buffer>) bytes += chunk.length;
    assert.equal(bytes, 3 * part.length);
    await removed;
  });

  it("do not let a server that stops wait a second time for what it has waited for", async () => {
    const options = { memory: true, listen: "127.0.0.1:0", limits: { stopGraceMs: 3_600_000 } };
    const { settings } = await loadSettings({ file: false, cwd: tmpdir(), options });
    const server = await startServer(settings);
    const spaces = [await server.namespaces.create(), await server.namespaces.create()];
    for (const { control, options: ofSdk } of spaces) {
      await control.faults.set({ delayMs: 3_600_000, times: { first: 1 } });
      void new COS({ ...ofSdk }).getService().catch(() => {});
      await vi.waitFor(async () => assert.equal((await control.faults.list())[0]?.met, 1));
    }
    const removed = server.namespaces.remove(spaces[0]?.name ?? "");
    await server.stop(0);
    assert.equal(await removed, true);
  });

  it("take requests of keys that were made in them, temporary ones among them", async () => {
    await make();
    const admin = adminClient({ endpoint: one.admin as string });
    const { secretId, secretKey } = await admin.createKey(one.uin);
    const { place } = await user(one);
    const cos = new COS({ ...one.options, SecretId: secretId, SecretKey: secretKey });
    assert.deepEqual(await bucketsOf(cos), [place.Bucket]);
    await assert.rejects(bucketsOf(new COS({ ...one.options, SecretId: "AKIDnobody" })), {
      code: "InvalidAccessKeyId",
    });
  });

  it("have names of one kind, are bounded, and are not made twice", async () => {
    const small = await start({ limits: { namespacesMax: 2 } });
    assert.match((await small.namespace()).name, /^ns-[0-9a-f]{12}$/);
    for (const name of ["", "a/b", "..", "x".repeat(65)]) {
      await assert.rejects(small.namespace(name), { name: "NamespaceFault", kind: "InvalidName" });
    }
    await small.namespace("b");
    await assert.rejects(small.namespace("b"), { kind: "NamespaceExists" });
    await assert.rejects(small.namespace("c"), { kind: "TooManyNamespaces" });
    await small.namespace("b", { replace: true });
  });

  it("are none of a server that is no development server", async () => {
    const keys = { secretId: "AKIDown00000000000000000000000000000", secretKey: "own-secret-key-0000000000" };
    const server = await start({ ...keys, profile: "server", adminToken: "a-token-of-16-characters" });
    await assert.rejects(server.namespace(), { name: "NamespaceFault", kind: "NotOnServers" });
    const client = adminClient({ endpoint: server.admin as string, token: "a-token-of-16-characters" });
    await assert.rejects(client.createNamespace(), { status: 403, code: "NotOnServers" });
  });

  it("are reached over HTTPS alike", async () => {
    const folder = await mkdtemp(join(tmpdir(), "cosbox-namespaces-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const secure = await start({ tls: "dev", data: folder });
    const space = await secure.namespace();
    assert.equal(space.options.Protocol, "https:");
    const { cos, place } = await user(space);
    assert.deepEqual(await bucketsOf(cos), [place.Bucket]);
  });

  it("begin in memory whatever the server does, which then has none of it", async () => {
    const data = await mkdtemp(join(tmpdir(), "cosbox-namespaces-"));
    onTestFinished(() => rm(data, { recursive: true, force: true }));
    const disk = await startCosbox({ memory: false, data });
    try {
      const apart = await user(await disk.namespace("a"));
      await apart.cos.putObject({ ...apart.place, Key: "a", Body: "x".repeat(100_000) });
      await user(disk);
    } finally {
      await disk.stop();
    }
    const again = await startCosbox({ memory: false, data });
    try {
      assert.deepEqual(await bucketsOf(new COS({ ...again.options })), [again.bucket("demo")]);
    } finally {
      await again.stop();
    }
  });
});

describe("namespaces over the admin listener", () => {
  let cosbox: Cosbox;
  let admin: AdminClient;
  let told: RemoteNamespace;
  beforeAll(async () => {
    cosbox = await startCosbox({ admin: "127.0.0.1:0" });
    admin = adminClient({ endpoint: cosbox.admin as string });
    told = await admin.createNamespace({ name: "a" });
  });
  afterAll(() => cosbox.stop());

  it("tell all that a test needs: options for the SDK, and an address of calls of their own", async () => {
    const own = told.client;
    assert.deepEqual(
      (await admin.namespaces()).map(({ name, secretKey, options }) => ({ name, secretKey, options })),
      [{ name: "a", secretKey: told.secretKey, options: told.options }],
    );
    const cos = new COS({ ...told.options });
    await cos.putBucket({ Bucket: told.bucket("demo"), Region: told.region });
    await own.advanceClock("30d");
    assert.ok(Date.parse((await own.clock()).now) - Date.parse((await admin.clock()).now) > 29 * DAY_MS);
    await own.setFault({ error: "SlowDown" });
    assert.deepEqual(await admin.faults(), []);
    const refused = await cos.getService().catch((error: unknown) => error as Record<string, unknown>);
    assert.equal((refused as { code: string }).code, "SlowDown");
    const { headers = {}, RequestId } = refused as { headers?: Record<string, string>; RequestId: string };
    const explained = String(headers["x-cosbox-explain"]);
    assert.ok(explained.startsWith(`${told.admin}/v1/requests/`), explained);
    assert.match((await own.request(RequestId)).explanation, /SlowDown/);
    await own.reset();
    assert.deepEqual(await bucketsOf(cos), []);
  });

  it("take requests of further accounts of their own, for buckets of those as well", async () => {
    const [uin, appid] = ["100000000555", "1255555555"];
    await told.client.putAccount(uin, { appid });
    const { secretId, secretKey } = await told.client.createKey(uin);
    const cos = new COS({ ...told.options, SecretId: secretId, SecretKey: secretKey });
    await cos.putBucket({ Bucket: `theirs-${appid}`, Region: told.region });
    assert.deepEqual(await bucketsOf(cos), [`theirs-${appid}`]);
  });

  it("have an account whose APPID nobody else gets", async () => {
    await assert.rejects(admin.putAccount("100000000777", { appid: told.appid }), { status: 409, code: "InUse" });
  });

  it("refuse what cannot be, each by its name", async () => {
    await assert.rejects(admin.createNamespace({ name: "a" }), { status: 409, code: "NamespaceExists" });
    await assert.rejects(admin.createNamespace({ name: "a b" }), { status: 400, code: "InvalidName" });
    await assert.rejects(admin.removeNamespace("none"), { status: 404, code: "NoSuchNamespace" });
    const call = (path: string) => ask(cosbox.admin as string, "GET", path);
    assert.equal((await call("/namespaces/none/v1/clock")).status, 404);
    assert.equal((await call("/namespaces/a")).status, 404);
    assert.equal((await call("/namespaces/a/v1/namespaces")).status, 404);
    assert.equal((await call("/namespaces/%zz/v1/clock")).status, 404);
  });

  it("end by a call", async () => {
    await admin.removeNamespace("a");
    assert.deepEqual(await admin.namespaces(), []);
    assert.equal((await ask(cosbox.admin as string, "GET", "/namespaces/a/v1/clock")).status, 404);
  });
});
