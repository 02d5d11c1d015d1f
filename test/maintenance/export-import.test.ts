import assert from "node:assert/strict";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { describe, it } from "vitest";
import { exportNames } from "../../src/folders/export-names.ts";
import { freshFolder, pattern } from "../contract/store-fixture.ts";
import { run } from "../fixtures/command.ts";
import { contentsOf } from "../fixtures/contents.ts";
import { appendTo, copyTo, mixedLoad, putObject, putParts, serverOn, sha256 } from "../fixtures/data-folder.ts";

const TIMEOUT_MS = 60_000;
const LIST = path.join(".cosbox-export", "objects.jsonl");
const STRICT_SIGNATURE =
  "<StrictSignatureConfiguration><Rule><ID>rule</ID><actionlist><action>name/cos:DeleteObject</action></actionlist><headerlist><header>host</header></headerlist></Rule></StrictSignatureConfiguration>";

/** Keys that no file may have as its name, that mean something else as one, or that a file system takes for another. */
const HOSTILE = [
  "..",
  "../../outside",
  "a/../../outside",
  "a/./b",
  ".",
  "folder/",
  "double//slash",
  "up",
  "up/down",
  "UP",
  "Up/down",
  ".cosbox-export/objects.jsonl",
  ".COSBOX-EXPORT/x",
  "con",
  "aux.txt",
  "LPT1",
  "trailing dot.",
  "trailing space ",
  "C:\\Windows",
  "back\\slash",
  "a:b",
  'quote"s<and>|?*',
  "new\nline",
  "tab\t",
  "ünï/cödé/文件",
  "é",
  "e\u0301",
  "ﬁle",
  "file",
  "emoji 🙂/x",
  "x".repeat(255),
  `${"long/".repeat(160)}end`,
  "-rf",
  "$HOME",
  "%2e%2e/%2f",
  "~/.bashrc",
];

describe("names of exported files", () => {
  it("gives every key a name of its own, on file systems of all kinds, that stays inside", () => {
    const names = exportNames();
    const given = [...HOSTILE].sort().map((key) => [key, names.nameOf(key)] as const);
    const folded = new Set<string>();
    const folders = new Set<string>();
    for (const [key, name] of given) {
      const steps = name.split("/");
      assert.ok(
        steps.every((step) => step !== "" && step !== "." && step !== ".." && Buffer.byteLength(step) <= 200),
        `${key}: ${name}`,
      );
      if (name !== key) assert.match(name, /^\.cosbox-export\/escaped\/[0-9a-f]{2}\/[0-9a-f]{64}$/);
      const fold = name.normalize("NFKC").toLowerCase();
      assert.ok(!folded.has(fold), `${key} has a name of its own`);
      folded.add(fold);
      steps.slice(0, -1).reduce((before, step) => {
        folders.add(`${before}${step}`.normalize("NFKC").toLowerCase());
        return `${before}${step}/`;
      }, "");
    }
    for (const folder of folders) assert.ok(!folded.has(folder), `${folder} is no file as well`);
    const plain = given.filter(([key, name]) => key === name).map(([key]) => key);
    for (const key of ["file", "-rf", "$HOME", "ünï/cödé/文件", "%2e%2e/%2f"]) assert.ok(plain.includes(key), key);
  });
});

describe("cosbox export and import", { timeout: TIMEOUT_MS }, () => {
  it("bring every object back as it was, whatever its key, form and headers", async () => {
    const folder = await freshFolder();
    const server = await serverOn(path.join(folder, "data"));
    for (const [at, key] of HOSTILE.entries()) {
      if (key === "C:\\Windows") continue;
      await putObject(server, key, pattern(at * 61, at), { "x-cos-meta-number": String(at) });
    }
    await putObject(server, "typed", pattern(3_000, 50), {
      "content-type": "text/x-odd; charset=utf-8",
      "cache-control": "max-age=9",
      "content-disposition": 'attachment; filename="x"',
      "content-encoding": "identity",
      "content-language": "de",
      expires: "Thu, 01 Jan 2032 00:00:00 GMT",
      "x-cos-meta-a": "1",
      "x-cos-meta-b": "",
    });
    await putParts(server, "film", [pattern(5_000, 2), pattern(300, 3)]);
    await appendTo(server, "log", 0, pattern(100, 5));
    await appendTo(server, "log", 100, pattern(2_000, 6));
    await copyTo(server, "film", "film-copy");
    const before = await contentsOf(server);
    assert.equal(Object.keys(before).length, HOSTILE.length + 3);
    const grants = { "x-cos-acl": "public-read", "x-cos-grant-write": 'id="100000000002"' };
    const acls = async (of: Pick<typeof server, "send">, bucket: string) =>
      await Promise.all(
        ["/", "/folder/", "/film"].map(
          async (path) => (await of.send({ bucket, path, query: { acl: undefined } })).text,
        ),
      );
    await server.send({ method: "PUT", query: { acl: undefined }, headers: grants });
    for (const path of ["/folder/", "/film"]) {
      await server.send({ method: "PUT", path, query: { acl: undefined }, headers: { "x-cos-acl": "private" } });
    }
    await putObject(server, "folder/inner", pattern(10, 1));
    const aclsBefore = await acls(server, server.bucket);
    assert.match(aclsBefore[0] ?? "", /WRITE</);

    const exported = await run(["export", server.bucket, "out", "--data", "data"], folder);
    assert.equal(exported.code, 0, exported.stderr);
    assert.match(
      exported.stdout,
      new RegExp(`^exported ${HOSTILE.length + 4} objects of .* under an escaped name to `),
    );
    assert.deepEqual(readdirSync(folder).sort(), ["data", "out"], "nothing was written outside");
    assert.equal(sha256(readFileSync(path.join(folder, "out", "typed"))), sha256(pattern(3_000, 50)), "a plain file");

    const busy = await run(["import", "out", "copy-1250000000", "--data", "data"], folder);
    assert.equal(busy.code, 1);
    assert.match(busy.stderr, /^cosbox: the data folder .* is in use by another server .*\n$/);
    await server.stop();

    const imported = await run(["import", "out", "copy-1250000000", "--data", "fresh"], folder);
    assert.equal(imported.code, 0, imported.stdout + imported.stderr);
    const next = await serverOn(path.join(folder, "fresh"), false);
    const { "folder/inner": inner, ...rest } = await contentsOf(next, "copy-1250000000");
    assert.deepEqual(rest, before);
    assert.ok(inner);
    assert.deepEqual(await acls(next, "copy-1250000000"), aclsBefore);
    const inherited = await next.send({ bucket: "copy-1250000000", path: "/folder/inner", sign: false });
    assert.equal(inherited.status, 403, "what its folder's ACL says");
    await next.stop();
    const checked = await run(["fsck", "--data", "fresh"], folder);
    assert.match(checked.stdout, /damage: none\nleftovers: none\n/);
  });

  it("bring back what is configured for the bucket, for the bucket that it becomes", async () => {
    const folder = await freshFolder();
    const server = await serverOn(path.join(folder, "data"));
    const kmsKey = await server.send({
      method: "PUT",
      path: "/sealed",
      headers: { "x-cos-server-side-encryption": "cos/kms" },
      body: "sealed",
    });
    const keyId = String(kmsKey.headers["x-cos-server-side-encryption-cos-kms-key-id"]);
    assert.match(keyId, /^[0-9a-f-]{36}$/);
    const policy = JSON.stringify({
      version: "2.0",
      Statement: [
        {
          Effect: "allow",
          Principal: { qcs: ["qcs::cam::anyone:anyone"] },
          Action: ["name/cos:GetObject"],
          Resource: [`qcs::cos:${server.cosbox.region}:uid/1250000000:${server.bucket}/open/*`],
        },
      ],
    });
    const documents = {
      versioning: "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>",
      cors: "<CORSConfiguration><CORSRule><AllowedOrigin>https://a.example</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>",
      tagging: "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
      referer:
        "<RefererConfiguration><Status>Enabled</Status><RefererType>Black-List</RefererType><DomainList><Domain>b.example</Domain></DomainList></RefererConfiguration>",
      lifecycle:
        "<LifecycleConfiguration><Rule><ID>old</ID><Filter><Prefix>logs/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>",
      intelligenttiering:
        "<IntelligentTieringConfiguration><Status>Enabled</Status><Transition><Days>60</Days><RequestFrequent>1</RequestFrequent></Transition></IntelligentTieringConfiguration>",
      encryption: `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>KMS</SSEAlgorithm><KMSMasterKeyID>${keyId}</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>`,
      "strict-signature": STRICT_SIGNATURE,
      policy,
    };
    for (const [parameter, body] of Object.entries(documents)) {
      const set = await server.send({ method: "PUT", query: { [parameter]: undefined }, body });
      assert.ok(set.status < 300, `${parameter}: ${set.text}`);
    }
    const told = async (of: typeof server, bucket: string): Promise<Record<string, string>> => {
      const all = Object.keys(documents).map(async (name) => {
        const { status, text } = await of.send({ bucket, query: { [name]: undefined } });
        assert.equal(status, 200, name);
        return [name, text] as const;
      });
      return Object.fromEntries(await Promise.all(all));
    };
    const before = await told(server, server.bucket);
    await putObject(server, "open/a", pattern(20_000, 1));
    await server.send({ method: "PUT", bucket: "locked-1250000000", path: "/" });
    const lock =
      "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>9</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
    const locking = { query: { "object-lock": undefined }, bucket: "locked-1250000000" };
    assert.equal((await server.send({ ...locking, method: "PUT", body: lock })).status, 200);
    const lockBefore = (await server.send(locking)).text;
    assert.match(lockBefore, /<Days>9</);

    for (const bucket of [server.bucket, "locked-1250000000"]) {
      const exported = await run(["export", bucket, bucket, "--data", "data"], folder);
      assert.equal(exported.code, 0, exported.stdout + exported.stderr);
      const imported = await run(["import", bucket, `new-${bucket}`, "--data", "fresh"], folder);
      assert.equal(imported.code, 0, imported.stdout + imported.stderr);
    }
    const next = await serverOn(path.join(folder, "fresh"), false);
    const bucket = `new-${server.bucket}`;
    const { policy: allowed = "", encryption = "", ...rest } = await told(next, bucket);
    const { policy: wasAllowed = "", encryption: was = "", ...others } = before;
    assert.deepEqual(rest, others);
    assert.deepEqual(JSON.parse(allowed), JSON.parse(wasAllowed.replaceAll(server.bucket, bucket)));
    assert.match(was, /<SSEAlgorithm>KMS<.*<KMSMasterKeyID>/);
    assert.match(encryption, /<SSEAlgorithm>KMS</);
    assert.doesNotMatch(encryption, /KMSMasterKeyID/, "that key is not there");
    const plain = { "x-cos-server-side-encryption": "AES256" };
    await next.send({ method: "PUT", bucket, path: "/open/b", headers: plain, body: pattern(10) });
    const visited = async (referer: string): Promise<number> =>
      (await next.send({ bucket, path: "/open/b", sign: false, headers: { referer } })).status;
    assert.equal(await visited("https://c.example/"), 200, "the policy allows it");
    assert.equal(await visited("https://b.example/"), 403, "the referer rule does not");
    assert.equal((await next.send({ ...locking, bucket: "new-locked-1250000000" })).text, lockBefore);
    await next.stop();
    const checked = await run(["fsck", "--data", "fresh"], folder);
    assert.match(checked.stdout, /damage: none\nleftovers: none\n/);

    const list = path.join(folder, "locked-1250000000", LIST);
    const lines = readFileSync(list, "utf8");
    for (const [from, to, says] of [
      ['"configurations":[]', '"configurations":[["website","AA=="]]', /no "website" of a bucket/],
      ['"configurations":[]', '"configurations":[["policy","e30="]]', /list is damaged: policy: /],
      ['"days":9', '"days":-9', /list is damaged: its bucket has a lock that none can have/],
    ] as const) {
      writeFileSync(list, lines.replace(from, to));
      const refused = await run(["import", "locked-1250000000", "other-1250000000", "--data", "fresh"], folder);
      assert.deepEqual([refused.code, refused.stdout], [1, ""]);
      assert.match(refused.stderr, says);
    }
  });

  it("bring what can be appended to back as the version without an id, beside versions that have one", async () => {
    const folder = await freshFolder();
    const server = await serverOn(path.join(folder, "data"));
    const enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    await server.send({ method: "PUT", query: { versioning: undefined }, body: enabled });
    await appendTo(server, "log", 0, pattern(100, 1));
    await putObject(server, "plain", pattern(100, 2));
    await server.stop();
    assert.equal((await run(["export", server.bucket, "out", "--data", "data"], folder)).code, 0);
    for (const data of ["fresh", "fresh", "data"]) {
      const { code, stdout } = await run(["import", "out", server.bucket, "--data", data], folder);
      assert.equal(code, 0, stdout);
    }
    for (const data of ["fresh", "data"]) {
      const next = await serverOn(path.join(folder, data), false);
      await appendTo(next, "log", 100, pattern(50, 3));
      const listed = await next.send({ query: { versions: undefined } });
      assert.deepEqual(listed.elements("Key"), ["log", "plain", "plain"]);
      assert.deepEqual(
        listed.elements("VersionId").map((id) => id === "null"),
        [true, false, false],
      );
      await next.stop();
      const checked = await run(["fsck", "--data", data], folder);
      assert.match(checked.stdout, /damage: none\n/);
    }
  });

  it("export beside a server that is written to: each object is whole", async () => {
    const folder = await freshFolder();
    const server = await serverOn(path.join(folder, "data"));
    const load = mixedLoad(server);
    for (let round = 0; round < 2; round++) {
      const { code, stdout } = await run(["export", server.bucket, `out${round}`, "--data", "data"], folder);
      // Every file was held against its object's checksum on the way.
      assert.deepEqual([code, /damage/.test(stdout)], [0, false], stdout);
    }
    await load.stop();
  });

  it("import a plain folder: keys are paths, types come from their ends, symbolic links are passed over", async () => {
    const folder = await freshFolder();
    const plain = path.join(folder, "plain");
    mkdirSync(path.join(plain, "sub", "deeper"), { recursive: true });
    writeFileSync(path.join(plain, "page.html"), "<p>");
    writeFileSync(path.join(plain, "sub", "deeper", "data"), pattern(9_000, 1));
    writeFileSync(path.join(folder, "secret"), "not to be had");
    symlinkSync(path.join(folder, "secret"), path.join(plain, "link"));
    symlinkSync(folder, path.join(plain, "sub", "way-out"));
    const { code, stdout } = await run(["import", "plain", "new-1250000000", "--data", "data"], folder);
    assert.equal(code, 0);
    assert.match(stdout, /^passed over: link: /m);
    assert.match(stdout, /^passed over: sub\/way-out: /m);
    const server = await serverOn(path.join(folder, "data"), false);
    const contents = await contentsOf(server, "new-1250000000");
    assert.deepEqual(Object.keys(contents), ["page.html", "sub/deeper/data"]);
    assert.equal(contents["page.html"]?.["content-type"], "text/html");
    assert.equal(contents["sub/deeper/data"]?.["content-type"], "application/octet-stream");
    assert.equal(contents["sub/deeper/data"]?.["sha256"], sha256(pattern(9_000, 1)));
  });

  it("import nothing that is not what was exported, and say which file it is", async () => {
    const folder = await freshFolder();
    const server = await serverOn(path.join(folder, "data"));
    for (const key of ["same", "changed", "longer", "missing", "linked"])
      await putObject(server, key, pattern(2_000, 7));
    await server.stop();
    const out = path.join(folder, "out");
    await run(["export", server.bucket, "out", "--data", "data"], folder);
    writeFileSync(path.join(out, "changed"), pattern(2_000, 8));
    appendFileSync(path.join(out, "longer"), "x");
    for (const name of ["missing", "linked"]) unlinkSync(path.join(out, name));
    symlinkSync("/etc/hostname", path.join(out, "linked"));
    const list = readFileSync(path.join(out, LIST), "utf8");
    const [line = ""] = list.split("\n").filter((text) => text.includes('"key":"same"'));
    const outside = line.replace('"key":"same"', '"key":"outside"').replace('"file":"same"', '"file":"../data/lock-1"');
    const withOne = list.replace(line, `${line}\n${outside}`).replace('"objects":5', '"objects":6');
    writeFileSync(path.join(out, LIST), withOne);

    const { code, stdout } = await run(["import", "out", "copy-1250000000", "--data", "fresh"], folder);
    assert.equal(code, 1);
    for (const [key, why] of [
      ["changed", /has other bytes, not those of its checksum/],
      ["longer", /has 2001 bytes, not 2000/],
      ["missing", /its file is missing/],
      ["linked", /this is no file that can be read/],
      ["outside", /outside of the folder/],
    ] as const) {
      const told = stdout.split("\n").find((text) => text.startsWith(`not imported: ${key}: `)) ?? stdout;
      assert.match(told, why);
    }
    assert.match(stdout, /^imported 1 object of 2\.0 kB into copy-1250000000 in .*; 5 files not imported$/m);
    const checked = await run(["fsck", "--data", "fresh"], folder);
    assert.match(checked.stdout, /1 object of 2\.0 kB.*\ndamage: none\nleftovers: none\n/);

    truncateSync(path.join(out, LIST), withOne.length - 30);
    const cut = await run(["import", "out", "copy-1250000000", "--data", "fresh"], folder);
    assert.equal(cut.code, 1);
    assert.match(cut.stderr, /^cosbox: .*objects\.jsonl:\d+: (this line is damaged|the list is cut short)\n$/);
  });

  it("import what they can where the store refuses a file", async () => {
    const folder = await freshFolder();
    const server = await serverOn(path.join(folder, "data"));
    await server.send({
      method: "PUT",
      query: { "object-lock": undefined },
      body: "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>",
    });
    await putObject(server, "locked", pattern(100, 1), {
      "x-cos-object-lock-mode": "COMPLIANCE",
      "x-cos-object-lock-retain-until-date": new Date(Date.now() + 3_600_000).toISOString(),
    });
    await server.stop();
    mkdirSync(path.join(folder, "site"));
    for (const name of ["a", "locked", "z"]) writeFileSync(path.join(folder, "site", name), pattern(200, 2));
    const { code, stdout } = await run(["import", "site", server.bucket, "--data", "data"], folder);
    assert.equal(code, 1);
    assert.match(stdout, /^not imported: locked: The object is locked\.$/m);
    assert.match(stdout, /^imported 2 objects of .*; 1 file not imported$/m);
  });

  it("export into a folder that is empty only, and refuse a bucket that is not there or cannot be", async () => {
    const folder = await freshFolder();
    const server = await serverOn(path.join(folder, "data"));
    mkdirSync(path.join(folder, "full"));
    writeFileSync(path.join(folder, "full", "mine"), "");
    const [full, absent, name] = await Promise.all([
      run(["export", server.bucket, "full", "--data", "data"], folder),
      run(["export", "other-1250000000", "out", "--data", "data"], folder),
      run(["import", "full", "Bad_Name", "--data", "fresh"], folder),
    ]);
    assert.deepEqual([full.code, absent.code, name.code], [1, 1, 1]);
    assert.match(full.stderr, /^cosbox: .*full is not empty; choose another folder for the export\n$/);
    assert.match(absent.stderr, /^cosbox: there is no bucket "other-1250000000" in .*\n$/);
    assert.match(name.stderr, /^cosbox: a bucket cannot be called "Bad_Name"; .*-1250000000\n$/);
    assert.ok(!existsSync(path.join(folder, "out")));
  });
});
