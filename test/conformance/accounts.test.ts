import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it, onTestFinished } from "vitest";
import type { CosboxOptions } from "../../src/library.ts";
import {
  allow,
  DISABLED,
  NOBODY,
  OTHER_APPID,
  OTHER_ROOT,
  OTHER_UIN,
  OTHER_USER,
  pairOf,
  PEOPLE,
  READER,
  ROOT_UIN,
  WRITER,
} from "../fixtures/people.ts";
import { assertRefused } from "../fixtures/refusal.ts";
import { type TestServer, testServer } from "../fixtures/server.ts";

describe("accounts of the settings", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await testServer({ accounts: PEOPLE });
    assert.equal((await server.send({ method: "PUT", path: "/read", body: "text" })).status, 200);
  });
  afterAll(() => server.stop());

  it("let a user do what its own policies allow", async () => {
    assert.equal((await server.send({ method: "PUT", path: "/w", body: "x", sign: WRITER })).status, 200);
    const made = await server.send({ method: "PUT", bucket: "made-1250000000", sign: WRITER });
    assert.equal(made.status, 200, made.text);
    const listed = await server.send({ bucket: "" });
    assert.ok(listed.elements("Name").includes("made-1250000000"), "it belongs to the root account");
    assert.equal(listed.element("ID"), `qcs::cam::uin/${ROOT_UIN}:uin/${ROOT_UIN}`);
  });

  it("let a user do what the policies of its groups allow, and no more", async () => {
    assert.equal((await server.send({ path: "/read", sign: READER })).text, "text");
    assertRefused(await server.send({ method: "PUT", path: "/read", body: "x", sign: READER }), "AccessDenied");
    assertRefused(await server.send({ sign: READER }), "AccessDenied");
  });

  it("AccessDenied: a user without any policy", async () => {
    assertRefused(await server.send({ path: "/read", sign: NOBODY }), "AccessDenied");
    assertRefused(await server.send({ bucket: "", sign: NOBODY }), "AccessDenied");
  });

  it("InvalidAccessKeyId: a key that is disabled", async () => {
    for (const via of ["header", "query"] as const) {
      assertRefused(await server.send({ path: "/read", sign: { ...DISABLED, via } }), "InvalidAccessKeyId");
    }
  });

  it("SignatureDoesNotMatch: a stored key with the wrong secret", async () => {
    const sign = { ...WRITER, secretKey: READER.secretKey };
    assertRefused(await server.send({ path: "/read", sign }), "SignatureDoesNotMatch", {
      extras: ["StringToSign", "FormatString"],
    });
  });

  it("sec_S-2.13: own buckets under their own APPID, apart from those of others", async () => {
    const bucket = `theirs-${OTHER_APPID}`;
    assert.equal((await server.send({ method: "PUT", bucket, sign: OTHER_USER })).status, 200);
    const listed = await server.send({ bucket: "", sign: OTHER_ROOT });
    assert.deepEqual(listed.elements("Name"), [bucket]);
    assert.equal(listed.element("ID"), `qcs::cam::uin/${OTHER_UIN}:uin/${OTHER_UIN}`);
    assertRefused(await server.send({ bucket }), "AccessDenied");
    assertRefused(await server.send({ path: "/read", sign: OTHER_USER }), "AccessDenied");
    const foreign = await server.send({ method: "PUT", bucket: "theirs-1250000000", sign: OTHER_ROOT });
    assertRefused(foreign, "AccessDenied");
  });

  it("grant to users of other accounts only what their own account allows them as well", async () => {
    const policy = {
      version: "2.0",
      statement: {
        effect: "allow",
        principal: { qcs: [`qcs::cam::uin/${ROOT_UIN}:uin/${ROOT_UIN}`] },
        action: "name/cos:*",
        resource: `qcs::cos:ap-guangzhou:uid/${OTHER_APPID}:shared-${OTHER_APPID}/*`,
      },
    };
    const bucket = `shared-${OTHER_APPID}`;
    await server.send({ method: "PUT", bucket, sign: OTHER_ROOT });
    const put = await server.send({
      method: "PUT",
      bucket,
      query: { policy: "" },
      body: JSON.stringify(policy),
      sign: OTHER_ROOT,
    });
    assert.equal(put.status, 204, put.text);
    assert.equal((await server.send({ method: "PUT", bucket, path: "/a", body: "x", sign: WRITER })).status, 200);
    assert.equal((await server.send({ bucket, path: "/a", sign: READER })).status, 200);
    assertRefused(await server.send({ method: "PUT", bucket, path: "/a", body: "x", sign: READER }), "AccessDenied");
    assertRefused(await server.send({ bucket, path: "/a", sign: NOBODY }), "AccessDenied");
  });

  it("are told apart where the S3 dialect asks", async () => {
    const { S3Client, GetObjectCommand } = await import("@aws-sdk/client-s3");
    const client = (pair: typeof READER): InstanceType<typeof S3Client> =>
      new S3Client({
        endpoint: server.endpoint,
        region: "ap-guangzhou",
        forcePathStyle: true,
        credentials: { accessKeyId: pair.secretId, secretAccessKey: pair.secretKey },
      });
    const get = new GetObjectCommand({ Bucket: server.bucket, Key: "read" });
    assert.equal(await (await client(READER).send(get)).Body?.transformToString(), "text");
    await assert.rejects(client(NOBODY).send(get), { name: "AccessDenied" });
    await assert.rejects(client(DISABLED).send(get), { name: "InvalidAccessKeyId" });
  });
});

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "cosbox-accounts-"));
  onTestFinished(() => rm(made, { recursive: true }));
  return made;
}

describe("stored accounts", () => {
  async function disk(data: string, options: CosboxOptions = {}): Promise<TestServer> {
    return await testServer({ memory: false, data, durability: "none", createBucket: false, ...options });
  }

  const status = async (server: TestServer, sign: typeof READER): Promise<number> =>
    (await server.send({ bucket: "", sign })).status;

  it("outlive a restart, go when the settings name them no longer, and follow their changes", async () => {
    const data = join(await folder(), "data");
    const [ann, ben] = [pairOf("ann"), pairOf("ben")];
    const everything = { name: "everything", document: allow("*") };
    const user = (uin: string, key: typeof ann, policies: readonly string[]) => ({ uin, keys: [key], policies });
    const both = [
      {
        uin: ROOT_UIN,
        policies: [everything],
        users: [user("100000000021", ann, ["everything"]), user("100000000022", ben, [])],
      },
    ];
    let server = await disk(data, { accounts: both });
    assert.deepEqual([await status(server, ann), await status(server, ben)], [200, 403]);
    await server.stop();

    server = await disk(data, { accounts: both });
    assert.deepEqual([await status(server, ann), await status(server, ben)], [200, 403]);
    await server.stop();

    const benAlone = [{ uin: ROOT_UIN, policies: [everything], users: [user("100000000022", ben, ["everything"])] }];
    server = await disk(data, { accounts: benAlone });
    assert.equal(await status(server, ben), 200);
    assertRefused(await server.send({ bucket: "", sign: ann }), "InvalidAccessKeyId");
    await server.stop();

    server = await disk(data);
    assertRefused(await server.send({ bucket: "", sign: ben }), "InvalidAccessKeyId");
    await server.stop();
  });

  it("keep their secrets sealed, with a key outside of the data folder that only its owner may read", async () => {
    const parent = await folder();
    const data = join(parent, "data");
    const server = await disk(data, { accounts: PEOPLE });
    assert.equal(await status(server, WRITER), 200);
    await server.stop();

    let bytes = 0;
    const names = await readdir(data, { recursive: true, withFileTypes: true });
    for (const name of names.filter((one) => one.isFile())) {
      const content = await readFile(join(name.parentPath, name.name));
      bytes += content.length;
      for (const { secretKey } of [WRITER, READER, OTHER_ROOT]) {
        assert.ok(!content.includes(secretKey), `${name.name} holds a secret`);
      }
    }
    assert.ok(bytes > 10_000, "the data was looked at");
    const key = join(parent, "data.key");
    assert.equal((await stat(key)).mode & 0o777, 0o600);
    assert.match(await readFile(key, "utf8"), /^[0-9a-f]{64}\n$/);
  });

  it("need no key as long as nothing is sealed", async () => {
    const parent = await folder();
    const server = await disk(join(parent, "data"));
    await server.stop();
    assert.deepEqual(await readdir(parent), ["data"]);
  });

  it("are not opened without their key, nor with another: one clear line says so", async () => {
    const parent = await folder();
    const data = join(parent, "data");
    const key = `${data}.key`;
    await (await disk(data, { accounts: PEOPLE })).stop();
    const right = await readFile(key, "utf8");

    const line = async (options: CosboxOptions = {}): Promise<string> => {
      let told = "";
      await assert.rejects(disk(data, { accounts: PEOPLE, ...options }), (error: Error) => {
        told = error.message;
        return true;
      });
      assert.ok(!told.includes("\n"));
      return told;
    };
    await rm(key);
    assert.match(await line(), /their key is missing: put .*data\.key back, or name it with --seal-key$/);
    assert.deepEqual(await readdir(parent), ["data"], "no new key takes the place of the lost one");
    await writeFile(key, `${"0".repeat(64)}\n`, { mode: 0o600 });
    assert.match(await line(), /are sealed with another key than .*data\.key: name the right one with --seal-key$/);
    await writeFile(key, "something else\n");
    assert.match(await line(), /holds no key: expected 64 hex digits$/);
    await rm(key);
    await writeFile(key, right, { mode: 0o644 });
    assert.match(await line(), /may be read by other users; run chmod 600 /);
    assert.match(await line({ sealPassphrase: "a long enough one" }), /leave out the passphrase/);
    const elsewhere = join(parent, "elsewhere.key");
    await writeFile(elsewhere, right, { mode: 0o600 });
    const server = await disk(data, { accounts: PEOPLE, sealKey: elsewhere });
    assert.equal(await status(server, WRITER), 200);
    await server.stop();
  });

  it("can be sealed with a passphrase", async () => {
    const parent = await folder();
    const data = join(parent, "data");
    const passphrase = { accounts: PEOPLE, sealPassphrase: "correct horse battery" };
    for (const _ of ["made", "opened"]) {
      const server = await disk(data, passphrase);
      assert.equal(await status(server, WRITER), 200);
      await server.stop();
    }
    assert.deepEqual(await readdir(parent), ["data"], "no file is made");
    await assert.rejects(disk(data, { ...passphrase, sealPassphrase: "incorrect horse" }), {
      message: /set the right COSBOX_SEAL_PASSPHRASE$/,
    });
  });
});
