/** Seeds: what a server begins with, or is filled with, from YAML, folders, values and other servers. */

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import COS from "cos-nodejs-sdk-v5";
import { afterAll, beforeAll, describe, it, onTestFinished } from "vitest";
import { adminClient } from "../../src/admin/client.ts";
import { type Cosbox, type CosboxOptions, startCosbox } from "../../src/library.ts";
import { ask } from "../fixtures/admin.ts";
import { command, told } from "../fixtures/command.ts";
import { type Sent, serverOf, type TestServer, testServer } from "../fixtures/server.ts";
import { complete, sendPart, begin } from "../fixtures/uploads.ts";

const ZEROS = Buffer.alloc(100_000);

function folderOf(files: Readonly<Record<string, string | Buffer>>): string {
  const folder = mkdtempSync(join(tmpdir(), "cosbox-seed-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

async function started(options: CosboxOptions): Promise<TestServer> {
  const server = await serverOf(await startCosbox(options), { createBucket: false });
  onTestFinished(() => server.stop());
  return server;
}

async function ok(server: TestServer, sent: Sent) {
  const answer = await server.send(sent);
  assert.ok(answer.status < 300, `${answer.status} ${answer.text}`);
  return answer;
}

const keysIn = async (server: TestServer, bucket: string, more: Sent = {}) =>
  (await ok(server, { bucket, ...more })).elements("Key");

const DOCUMENT = `
accounts:
  - uin: 100000000777
    appid: 1250000777
    keys: [{ secretId: AKIDsecondaccount, secretKey: secret-of-the-second }]
    policies:
      - name: reading
        document: { version: "2.0", statement: { effect: allow, action: "name/cos:Get*", resource: "*" } }
    users:
      - uin: 100000000778
        policies: [reading]
        keys: [{ secretId: AKIDreaderofsecond, secretKey: secret-of-the-reader }]
buckets:
  - name: demo
    region: ap-beijing
    acl: public-read
    versioning: Enabled
    tags: { team: a, year: 2026 }
    cors:
      - { origins: ["https://app.example"], methods: [GET, PUT], headers: ["*"], exposeHeaders: [ETag], maxAgeSeconds: 60 }
    documents:
      lifecycle: |
        <LifecycleConfiguration><Rule><ID>old</ID><Status>Enabled</Status><Filter><Prefix>tmp/</Prefix></Filter>
        <Expiration><Days>3</Days></Expiration></Rule></LifecycleConfiguration>
    policy:
      version: "2.0"
      Statement:
        - { Effect: deny, Principal: { qcs: ["qcs::cam::anyone:anyone"] }, Action: ["name/cos:DeleteObject"], Resource: ["*"] }
    objects:
      - { key: a.txt, text: first }
      - { key: a.txt, text: second, tags: { a: b c }, headers: { Cache-Control: no-store, x-cos-meta-name: Zoë } }
      - { key: b.bin, base64: AAEC, contentType: image/x-own, storageClass: STANDARD_IA }
      - { key: c.json, json: { n: [1, 2] }, acl: public-read }
      - { key: big/d.html, file: files/d.html }
      - { key: empty }
  - name: theirs
    owner: AKIDsecondaccount
    objects: [{ key: t, text: 1 }]
`;

describe("seeds", () => {
  it("in YAML make accounts, buckets with their configurations, and objects", async () => {
    const folder = folderOf({ "seed.yaml": DOCUMENT, "files/d.html": ZEROS });
    const server = await started({ seed: join(folder, "seed.yaml") });
    const bucket = "demo-1250000000";
    const host = `${bucket}.cos.ap-beijing.myqcloud.com`;
    const at = (path: string, more: Sent = {}) => server.send({ host, path, ...more });
    assert.equal((await server.send({ host, method: "HEAD" })).headers["x-cos-bucket-region"], "ap-beijing");
    assert.deepEqual(await keysIn(server, bucket, { host }), ["a.txt", "b.bin", "big/d.html", "c.json", "empty"]);
    const versions = await ok(server, { host, query: { versions: undefined, prefix: "a.txt" } });
    assert.equal(versions.elements("VersionId").length, 2);
    const a = await at("/a.txt", { sign: false });
    assert.equal(a.text, "second");
    assert.equal(a.headers["content-type"], "text/plain");
    assert.equal(a.headers["cache-control"], "no-store");
    assert.equal(Buffer.from(String(a.headers["x-cos-meta-name"]), "latin1").toString(), "Zoë");
    assert.match((await at("/a.txt", { query: { tagging: undefined } })).text, /<Value>b c</);
    const b = await at("/b.bin");
    assert.deepEqual([...b.body], [0, 1, 2]);
    assert.equal(b.headers["content-type"], "image/x-own");
    assert.equal(b.headers["x-cos-storage-class"], "STANDARD_IA");
    assert.equal((await at("/c.json")).text, '{"n":[1,2]}');
    assert.equal((await at("/c.json")).headers["content-type"], "application/json");
    assert.ok((await at("/big/d.html")).body.equals(ZEROS));
    assert.equal((await at("/big/d.html")).headers["content-type"], "text/html");
    for (const [name, expected] of [
      ["versioning", /Enabled/],
      ["tagging", /<Key>year<\/Key><Value>2026</],
      ["cors", /<AllowedOrigin>https:\/\/app\.example<.*<ExposeHeader>ETag<.*<MaxAgeSeconds>60</],
      ["lifecycle", /<Prefix>tmp\/</],
      ["policy", /DeleteObject/],
      ["acl", /AllUsers/],
    ] as const) {
      assert.match((await ok(server, { host, query: { [name]: undefined } })).text, expected, name);
    }
    const reader = { secretId: "AKIDreaderofsecond", secretKey: "secret-of-the-reader" };
    assert.deepEqual(await keysIn(server, "theirs-1250000777", { sign: reader }), ["t"]);
  });

  it("are what a new server goes back to, and neither count nor meet a fault, a state or a rate", async () => {
    const server = await started({
      seed: { buckets: [{ name: "demo", objects: [{ key: "a", text: "1" }] }] },
      faults: [{ error: "SlowDown" }],
      rates: [{ per: "server", perSecond: 0.1, burst: 1 }],
    });
    const { cosbox } = server;
    assert.deepEqual((await cosbox.coverage()).operations, []);
    assert.deepEqual(cosbox.requests.recent(), []);
    await cosbox.faults.clear();
    await cosbox.rates.set([]);
    assert.equal((await server.send({ method: "PUT", bucket: "demo-1250000000", path: "/b", body: "2" })).status, 200);
    await cosbox.restore("seed");
    const [fault] = await cosbox.faults.list();
    assert.equal(fault?.error, "SlowDown");
    await cosbox.faults.clear();
    await cosbox.rates.set([]);
    assert.deepEqual((await server.send({ bucket: "demo-1250000000" })).elements("Key"), ["a"]);
  });

  it("are no snapshot where they are larger than all of those may be", async () => {
    const seed = { buckets: [{ name: "demo", objects: [{ key: "a", text: "1" }] }] };
    const { cosbox } = await started({ seed, limits: { snapshotBytesMax: 10 } });
    assert.deepEqual(await cosbox.snapshots(), []);
    await assert.rejects(cosbox.restore("seed"), /there is no snapshot "seed"/);
  });

  it("add to what is there: a bucket is taken as it is, an object takes the place of the one before", async () => {
    const server = await started({
      seed: { buckets: [{ name: "demo", objects: [{ key: "a", text: "1" }] }] },
    });
    const { cosbox } = server;
    const bucket = cosbox.bucket("demo");
    await server.send({ method: "PUT", bucket, path: "/kept", body: "x" });
    await cosbox.clock.advance("400d");
    const told = await cosbox.seed({
      buckets: [{ name: bucket, acl: "public-read", objects: [{ key: "a", text: "22" }, { key: "n" }] }],
      accounts: [{ uin: "100000000001", policies: [] }],
    });
    assert.deepEqual(told, { buckets: 1, objects: 2, bytes: 2 });
    assert.deepEqual((await server.send({ bucket, sign: false })).elements("Key"), ["a", "kept", "n"]);
    assert.equal((await server.send({ bucket, path: "/a" })).text, "22");
  });

  it("put a key in place of the one before in one step, and leave that one where it cannot be", async () => {
    const [uin, first, second] = ["100000000777", "100000000778", "100000000779"];
    const [moved, held] = [
      { secretId: "AKIDgoesfromfirst", secretKey: "secret-of-the-first" },
      { secretId: "AKIDofthesecond", secretKey: "secret-of-the-second" },
    ];
    const policies = [
      { name: "all", document: { version: "2.0", statement: { effect: "allow", action: "*", resource: "*" } } },
    ];
    const seed = (...users: { uin: string; keys: (typeof moved & { enabled?: boolean })[] }[]) => ({
      accounts: [{ uin, appid: "1250000777", policies, users: users.map((user) => ({ policies: ["all"], ...user })) }],
    });
    const server = await started({
      limits: { identityKeysMax: 1 },
      seed: seed({ uin: first, keys: [moved] }, { uin: second, keys: [held] }),
    });
    const status = async (secretKey = moved.secretKey) =>
      (await server.send({ bucket: "", sign: { ...moved, secretKey } })).status;
    assert.equal(await status(), 200);
    await assert.rejects(server.cosbox.seed(seed({ uin: second, keys: [moved] })), /at most 1 keys/);
    assert.equal(await status(), 200);
    await server.cosbox.seed(seed({ uin: first, keys: [{ ...moved, secretKey: "another-secret" }] }));
    assert.deepEqual([await status(), await status("another-secret")], [403, 200]);
    await server.cosbox.seed(seed({ uin: first, keys: [{ ...moved, enabled: false }] }));
    assert.equal(await status(), 403);
  });

  it("are folders: each sub-folder a bucket, each file an object with the type of its name", async () => {
    const folder = folderOf({
      "fixtures/demo/index.html": "<p>",
      "fixtures/demo/deep/ü.txt": "deep",
      "fixtures/demo/.hidden": "h",
      "fixtures/empty/.gitkeep": "",
      "fixtures/.git/config": "no bucket",
      "seed.yaml": "buckets: [{ name: other, acl: public-read, folder: fixtures/demo }]",
    });
    const server = await started({ seed: join(folder, "fixtures") });
    const names = (await ok(server, { bucket: "" })).elements("Name");
    assert.deepEqual(names, ["demo-1250000000", "empty-1250000000"]);
    assert.deepEqual(await keysIn(server, "demo-1250000000"), [".hidden", "deep/ü.txt", "index.html"]);
    assert.deepEqual(await keysIn(server, "empty-1250000000"), []);
    const page = await ok(server, { bucket: "demo-1250000000", path: "/index.html" });
    assert.equal(page.headers["content-type"], "text/html");
    assert.equal((await ok(server, { bucket: "demo-1250000000", path: "/deep/ü.txt" })).text, "deep");
    // One folder into one bucket, which has what else is told of it.
    assert.equal((await server.cosbox.seed(join(folder, "seed.yaml"))).objects, 3);
    assert.deepEqual(await keysIn(server, "other-1250000000", { sign: false }), [
      ".hidden",
      "deep/ü.txt",
      "index.html",
    ]);
  });

  it("are exports of cosbox, and then what they were: ETags of parts, dates, metadata and grants", async () => {
    const folder = folderOf({});
    const data = join(folder, "data");
    const first = await testServer({ memory: false, data, durability: "none", limits: { partBytesMin: 1 } });
    const upload = await begin(first, "odd?name", { "x-cos-meta-colour": "red", "x-cos-acl": "public-read" });
    const parts = [
      [1, await sendPart(first, "odd?name", upload, 1, "one")],
      [2, await sendPart(first, "odd?name", upload, 2, "two")],
    ] as const;
    assert.equal((await complete(first, "odd?name", upload, parts)).status, 200);
    const before = await first.send({ path: "/odd?name" });
    await first.stop();
    const out = join(folder, "export");
    assert.equal((await told("export", first.bucket, out, "--data", data)).code, 0);

    // With another APPID, and so under another name; as a whole, and as the folder of a bucket.
    for (const seed of [out, { buckets: [{ name: "demo", folder: out }] }]) {
      const server = await started({ appid: "1257777777", seed });
      const after = await server.send({ bucket: "demo-1257777777", path: "/odd?name", sign: false });
      assert.equal(after.text, "onetwo");
      assert.match(String(after.headers.etag), /-2"$/);
      for (const name of ["etag", "last-modified", "x-cos-meta-colour", "x-cos-hash-crc64ecma"]) {
        assert.equal(after.headers[name], before.headers[name], name);
      }
    }
  });

  it("are other servers: buckets with what they are configured with, and their objects", {
    timeout: 60_000,
  }, async () => {
    const source = await started({
      appid: "1251111111",
      uin: "100000001111",
      limits: { listKeysMax: 20 },
      seed: {
        buckets: [
          {
            ...{ name: "demo", region: "ap-beijing", acl: "public-read", versioning: "Enabled", tags: { a: "b" } },
            cors: [{ origins: ["https://app.example"], methods: ["GET"] }],
            policy: {
              version: "2.0",
              Statement: [
                {
                  Effect: "deny",
                  Principal: { qcs: ["qcs::cam::anyone:anyone"] },
                  Action: ["name/cos:DeleteObject"],
                  Resource: ["qcs::cos:ap-beijing:uid/1251111111:demo-1251111111/*"],
                },
              ],
            },
            documents: {
              intelligenttiering:
                "<IntelligentTieringConfiguration><Status>Enabled</Status><Transition><Days>60</Days><RequestFrequent>1</RequestFrequent></Transition></IntelligentTieringConfiguration>",
              lifecycle:
                "<LifecycleConfiguration><Rule><ID>r</ID><Filter/><Status>Enabled</Status><Transition><Days>9</Days><StorageClass>INTELLIGENT_TIERING</StorageClass></Transition></Rule></LifecycleConfiguration>",
            },
            objects: [
              { key: "tiered", text: "t", storageClass: "INTELLIGENT_TIERING" },
              { key: "big", base64: ZEROS.toString("base64"), headers: { "x-cos-meta-name": "Zoë" } },
              { key: "tagged é+%2F &.txt", text: "t", tags: { "x y": "z=" }, storageClass: "STANDARD_IA" },
              { key: "dir/", text: "" },
              ...Array.from({ length: 45 }, (_, at) => ({ key: `many/${at}`, text: String(at) })),
            ],
          },
          { name: "second", objects: [{ key: "s" }] },
        ],
      },
    });
    const { credentials } = source.cosbox;
    const from = { endpoint: source.endpoint, secretId: credentials.secretId, secretKey: credentials.secretKey };
    const target = await started({ seed: { from: { ...from, buckets: ["demo-1251111111"] } } });
    const bucket = "demo-1250000000";
    const host = `${bucket}.cos.ap-beijing.myqcloud.com`;
    assert.deepEqual((await ok(target, { bucket: "" })).elements("Name"), [bucket]);
    assert.equal((await keysIn(target, bucket, { host, query: { prefix: "many/" } })).length, 45);
    const big = await ok(target, { host, path: "/big", sign: false });
    assert.ok(big.body.equals(ZEROS));
    assert.equal(Buffer.from(String(big.headers["x-cos-meta-name"]), "latin1").toString(), "Zoë");
    const tagged = { host, path: "/tagged é+%2F &.txt" };
    const one = await ok(target, tagged);
    assert.equal(one.text, "t");
    assert.equal(one.headers["content-type"], "text/plain");
    assert.equal(one.headers["x-cos-storage-class"], "STANDARD_IA");
    assert.match((await ok(target, { ...tagged, query: { tagging: undefined } })).text, /<Key>x y<\/Key><Value>z=</);
    assert.match((await ok(target, { host, query: { cors: undefined } })).text, /app\.example/);
    assert.match((await ok(target, { host, query: { intelligenttiering: undefined } })).text, /<Days>60</);
    assert.match((await ok(target, { host, query: { lifecycle: undefined } })).text, />INTELLIGENT_TIERING</);
    assert.equal((await ok(target, { host, path: "/tiered" })).headers["x-cos-storage-tier"], "FREQUENT");
    assert.match((await ok(target, { host, query: { versioning: undefined } })).text, /Enabled/);
    assert.match((await ok(target, { host, query: { policy: undefined } })).text, /uid\/1250000000:demo-1250000000/);
    // All of them, of a prefix.
    const told = await target.cosbox.seed({ from: { ...from, prefix: "s" } });
    assert.deepEqual(told, { buckets: 2, objects: 1, bytes: 0 });

    // A connection that ends early leaves no half of an object.
    await source.cosbox.faults.add({ match: { operation: "GetObject", keyPrefix: "big" }, cutAfterBytes: 1_000 });
    const cut = await started({});
    const half = cut.cosbox.seed({ from: { ...from, buckets: ["demo-1251111111"], prefix: "big" } });
    await assert.rejects(half, /^SettingsError: seed: from: .*demo-1250000000\/big/);
    assert.equal((await cut.send({ host, method: "HEAD", path: "/big" })).status, 404);
    await source.cosbox.faults.clear();

    const wrong = { ...from, secretKey: "not-the-secret" };
    await assert.rejects(target.cosbox.seed({ from: wrong }), (error: Error) => {
      assert.match(error.message, /^seed: from: http.* refuses its list of buckets: SignatureDoesNotMatch$/);
      return !error.message.includes("not-the-secret");
    });
    await assert.rejects(target.cosbox.seed({ from: { ...from, buckets: ["none-1"] } }), /lists no bucket none-1/);
    const closed = { ...from, endpoint: "http://127.0.0.1:1" };
    await assert.rejects(target.cosbox.seed({ from: closed }), /http:\/\/127\.0\.0\.1:1 does not answer/);
  });

  it("tell what is wrong with them by file, line and what was expected", async () => {
    const refusals: readonly (readonly [text: string, told: RegExp])[] = [
      ["bukets: []", /seed\.yaml:1: bukets: unknown name "bukets"; did you mean buckets\?/],
      ["buckets:\n  - name: Demo", /seed\.yaml:2: buckets\[0\]\.name: expected the name of a bucket, .*, found "Demo"/],
      [
        "buckets:\n - name: d\n   objects:\n    - { text: a }",
        /seed\.yaml:4: .*objects\[0\]\.key: expected the key of an/,
      ],
      [
        "buckets:\n - name: d\n   objects: [{ key: a, text: b,\n     json: 1 }]",
        /seed\.yaml:3: .*expected one body: text, base/,
      ],
      [
        "buckets:\n - name: d\n   objects: [{ key: a,\n     base64: '!' }]",
        /:4: buckets\[0\]\.objects\[0\]\.base64: expected Base64/,
      ],
      [
        "buckets:\n - name: d\n   objects: [{ key: a, headers:\n     { Host: x } }]",
        /seed\.yaml:3: .*expected headers of the object/,
      ],
      ["- a", /seed\.yaml: expected a seed with buckets, accounts, folder or from/],
      ["buckets: [", /seed\.yaml:1: expected YAML/],
      [
        "from: { endpoint: here, secretId: a, secretKey: bbbb }",
        /seed\.yaml:1: from\.endpoint: expected where to connect/,
      ],
      [
        "from: { endpoint: 'http://127.0.0.1:99999', secretId: a, secretKey: bbbb }",
        /seed\.yaml:1: from\.endpoint: expected where to connect/,
      ],
      // What the server refuses.
      [
        "buckets:\n - name: d\n   cors: [{ origins: ['*'], methods: [FETCH] }]",
        /seed\.yaml:3: buckets\[0\]\.cors: PUT d-1250000000\?cors was refused: MalformedXML: /,
      ],
      [
        "buckets:\n - name: d\n   region: moon",
        /seed\.yaml:3: buckets\[0\]\.region: expected a known region, found "moon"/,
      ],
      [
        "buckets:\n - name: d\n   owner: nobody",
        /seed\.yaml:3: buckets\[0\]\.owner: expected the SecretId of an enabled key/,
      ],
      [
        "buckets:\n - name: d\n   objects:\n    - { key: ok }\n    - { key: a, storageClass: FROZEN }",
        /seed\.yaml:5: buckets\[0\]\.objects\[1\]: PUT d-1250000000\/a was refused: NotSupportedStorageClass: /,
      ],
      [
        "buckets:\n - name: d\n   objects: [{ key: a, file: none.txt }]",
        /seed\.yaml:3: .*: .*none\.txt cannot be read \(ENOENT\)/,
      ],
      [
        "buckets:\n - name: d\n   documents: { website: <WebsiteConfiguration/> }",
        /:3: buckets\[0\]\.documents\.website: .* NotImplemented/,
      ],
      ["folder: .", /seed\.yaml:1: folder: expected folders, each of them a bucket, found seed\.yaml; put it into/],
      ["accounts: [{ uin: 100000000777 }]", /seed\.yaml:1: accounts\[0\]: account 100000000777 has no appid/],
    ];
    for (const [text, told] of refusals) {
      const folder = folderOf({ "seed.yaml": text });
      await assert.rejects(startCosbox({ seed: join(folder, "seed.yaml") }), told, text);
    }
    await assert.rejects(startCosbox({ seed: "/no/such/seed" }), /seed: there is no folder or file \/no\/such\/seed/);
    await assert.rejects(
      startCosbox({ seed: { buckets: [{ name: "A" }] } }),
      /^SettingsError: seed: buckets\[0\]\.name: expected/,
    );
    // Nothing of what is secret is told.
    const secret = { from: { endpoint: "cloud", secretId: "a", secretKey: 12345678 as unknown as string } };
    await assert.rejects(startCosbox({ seed: secret }), (error: Error) => !error.message.includes("12345678"));
  });
});

describe("seeds over the admin listener", () => {
  let cosbox: Cosbox;
  let server: TestServer;
  beforeAll(async () => {
    cosbox = await startCosbox({ admin: "127.0.0.1:0" });
    server = await serverOf(cosbox, { createBucket: false });
  });
  afterAll(() => server.stop());

  it("fill a server, or a namespace alone", async () => {
    const endpoint = cosbox.admin as string;
    const seed = { buckets: [{ name: "demo", objects: [{ key: "a", json: { b: 1 } }] }] };
    assert.deepEqual(await adminClient({ endpoint }).seed(seed), { buckets: 1, objects: 1, bytes: 7 });
    assert.equal((await ok(server, { bucket: "demo-1250000000", path: "/a" })).text, '{"b":1}');
    const space = await adminClient({ endpoint }).createNamespace();
    await space.client.seed({ buckets: [{ name: "inside", objects: [{ key: "n" }] }] });
    const sign = { secretId: space.secretId, secretKey: space.secretKey };
    assert.deepEqual(await keysIn(server, space.bucket("inside"), { sign }), ["n"]);
    assert.deepEqual((await ok(server, { bucket: "" })).elements("Name"), ["demo-1250000000"]);
  });

  it("read no file and call no other server, and tell the place of what is wrong", async () => {
    const endpoint = cosbox.admin as string;
    const refused = async (body: unknown) => {
      const { status, body: told } = await ask(endpoint, "POST", "/v1/seed", { body });
      return [status, (told["error"] as { message: string }).message] as const;
    };
    for (const [body, told] of [
      [{ folder: "/etc" }, /body\.folder: nothing: no folder of the server/],
      [
        { from: { endpoint: "http://127.0.0.1:1", secretId: "a", secretKey: "b" } },
        /body\.from: nothing: no other server is called/,
      ],
      [{ buckets: [{ name: "d", folder: "/etc" }] }, /body\.buckets\.0\.folder: nothing: no folder of the server/],
      [{ buckets: [{ name: "d", objects: [{ key: "a", file: "/etc/passwd" }] }] }, /no file of the server's is read/],
      [
        { buckets: [{ name: "d", acl: "mine" }] },
        /body\.buckets\[0\]\.name: PUT d-1250000000 was refused: InvalidArgument/,
      ],
    ] as const) {
      const [status, message] = await refused(body);
      assert.equal(status, 400);
      assert.match(message, told);
    }
  });
});

describe("cosbox serve --seed", () => {
  it("begins with it once, with several processes on disk, and says what is wrong", { timeout: 180_000 }, async () => {
    const folder = folderOf({
      "demo/a.txt": "a",
      "seed.yaml": "buckets: [{ name: demo, acl: public-read-write, folder: demo }]",
      "bad.yaml": "buckets:\n  - nam: x",
    });
    const flags = ["--data", join(folder, "data"), "--listen", "127.0.0.1:0", "--admin", "off", "--seed", "seed.yaml"];
    const bad = await told("serve", "--memory", "--seed", join(folder, "bad.yaml"), "--listen", "127.0.0.1:0");
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /^cosbox: .*bad\.yaml:2: buckets\[0\]\.nam: unknown name "nam"; did you mean name\?\n$/);
    for (const isFirst of [true, false]) {
      const server = command([...flags, "--workers", isFirst ? "2" : "1"], folder);
      const endpoint = /listens on (\S+)/.exec(await server.printed("Stop with"))?.[1];
      const list = await (await fetch(`${endpoint}/demo-1250000000/`)).text();
      assert.equal(list.includes("<Key>a.txt</Key>"), isFirst);
      if (isFirst) await fetch(`${endpoint}/demo-1250000000/a.txt`, { method: "DELETE" });
      server.child.kill("SIGTERM");
      const { code, stderr } = await server.ended;
      assert.equal(code, 0, stderr);
      assert.match(stderr, isFirst ? /begins with its seed/ : /is not seeded/);
    }
  });

  it("leaves a data folder alone that was in use without one", async () => {
    const data = join(folderOf({}), "in-use");
    const used = await startCosbox({ memory: false, data });
    await new COS(used.options).putBucket({ Bucket: used.bucket("kept"), Region: used.region });
    await used.stop();
    const seeded = await startCosbox({ memory: false, data, seed: { buckets: [{ name: "new" }] } });
    const { Buckets } = await new COS(seeded.options).getService();
    await seeded.stop();
    assert.deepEqual(
      Buckets.map(({ Name }) => Name),
      ["kept-1250000000"],
    );
  });

  it("puts a policy last, also one of the documents", async () => {
    const resource = "qcs::cos:ap-guangzhou:uid/1250000000:sealed-1250000000/*";
    const statement = {
      effect: "deny",
      principal: { qcs: ["qcs::cam::uin/100000000001:uin/100000000001"] },
      action: ["name/cos:PutObject"],
      resource: [resource],
    };
    const policy = JSON.stringify({ version: "2.0", statement: [statement] });
    const objects = [{ key: "a", text: "first" }];
    const cosbox = await startCosbox({ seed: { buckets: [{ name: "sealed", documents: { policy }, objects }] } });
    const place = { Bucket: cosbox.bucket("sealed"), Region: cosbox.region, Key: "a" };
    const cos = new COS(cosbox.options);
    assert.equal((await cos.getObject(place)).Body.toString(), "first");
    await assert.rejects(cos.putObject({ ...place, Body: "second" }), { code: "AccessDenied" });
    await cosbox.stop();
  });
});
