/**
 * Programs of Debian's that speak S3, unmodified: rclone, s3cmd, the AWS command line, s3fs on a real mount, restic. Each
 * test is skipped, with the reason, where its program is not on the machine.
 */

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { accessSync, constants } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, describe, it, type TestContext } from "vitest";
import { type TestServer, testServer } from "../fixtures/server.ts";

/** The first of these that can be run and says its version. */
function found(...commands: readonly string[]): string | undefined {
  return commands.find((command) => {
    const { error, status } = spawnSync(command, ["--version"], { stdio: "ignore" });
    if (error === undefined && status === 0) return true;
    return spawnSync(command, ["version"], { stdio: "ignore" }).status === 0;
  });
}

function canMount(): boolean {
  try {
    accessSync("/dev/fuse", constants.R_OK | constants.W_OK);
    return process.getuid?.() === 0 || found("fusermount3") !== undefined;
  } catch {
    return false;
  }
}

const SIZES: Readonly<Record<string, number>> = {
  "empty.txt": 0,
  "small.txt": 10,
  "folder/ü x+y&z.bin": 20_000,
  "folder/deeper/large.bin": 13_000_000,
};

/** SHA-256 of every file below a folder, by its path. */
async function hashes(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found[relative(folder, path)] = createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
  }
  return found;
}

describe("S3 tools", () => {
  let server: TestServer;
  let folder: string;
  let source: string;
  let expected: Readonly<Record<string, string>>;

  beforeAll(async () => {
    server = await testServer({ createBucket: false });
    folder = await mkdtemp(join(tmpdir(), "cosbox-s3-tools-"));
    source = join(folder, "source");
    await mkdir(join(source, "folder/deeper"), { recursive: true });
    for (const [name, size] of Object.entries(SIZES)) await writeFile(join(source, name), randomBytes(size));
    expected = await hashes(source);
  });
  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Runs a program to its end and gives what it wrote; rejects, with all of that, when it fails. */
  function run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
    const { secretId, secretKey } = server.cosbox.credentials;
    const { AWS_CA_BUNDLE: _unused, ...inherited } = process.env;
    return new Promise((resolve, reject) => {
      const child = spawn(command, args, {
        cwd: folder,
        env: {
          ...inherited,
          HOME: folder,
          AWS_ACCESS_KEY_ID: secretId,
          AWS_SECRET_ACCESS_KEY: secretKey,
          AWS_DEFAULT_REGION: server.cosbox.region,
          AWS_EC2_METADATA_DISABLED: "true",
          ...env,
        },
      });
      let written = "";
      child.stdout.on("data", (chunk: Buffer) => (written += chunk.toString()));
      child.stderr.on("data", (chunk: Buffer) => (written += chunk.toString()));
      child.on("error", reject);
      child.on("close", (code) =>
        code === 0
          ? resolve(written)
          : reject(new Error(`${command} ${args.join(" ")} ended with ${code}: ${written}`)),
      );
    });
  }

  function needed(context: TestContext, command: string | undefined, name: string): string {
    if (command === undefined) context.skip(`${name} is not on this machine`);
    return command as string;
  }

  async function cleared(name: string): Promise<string> {
    const path = join(folder, name);
    await rm(path, { recursive: true, force: true });
    return path;
  }

  it("aws: makes a bucket, copies, syncs, lists, presigns, moves and removes", {
    timeout: 300_000,
  }, async (context) => {
    const aws = needed(context, found("/usr/bin/aws", "aws"), "aws");
    const bucket = server.cosbox.bucket("aws");
    const s3 = (...args: readonly string[]) => run(aws, ["--endpoint-url", server.endpoint, "s3", ...args]);
    await s3("mb", `s3://${bucket}`);
    await s3("sync", source, `s3://${bucket}/tree`, "--no-progress");
    const listed = await s3("ls", "--recursive", `s3://${bucket}/tree/`);
    for (const name of Object.keys(expected)) assert.ok(listed.includes(`tree/${name}`), listed);
    const back = await cleared("aws-back");
    await s3("sync", `s3://${bucket}/tree`, back, "--no-progress");
    assert.deepEqual(await hashes(back), expected);
    assert.equal(await s3("sync", source, `s3://${bucket}/tree`, "--no-progress"), "", "nothing is left to do");
    const url = (await s3("presign", `s3://${bucket}/tree/small.txt`)).trim();
    const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
    assert.equal(createHash("sha256").update(bytes).digest("hex"), expected["small.txt"]);
    const large = `s3://${bucket}/tree/folder/deeper/large.bin`;
    await run(aws, [
      ...["--endpoint-url", server.endpoint, "s3api", "put-object-tagging", "--bucket", bucket],
      ...["--key", "tree/folder/deeper/large.bin", "--tagging", "TagSet=[{Key=k,Value=v}]"],
    ]);
    await s3("mv", large, `s3://${bucket}/moved`, "--no-progress");
    const tags = await server.send({ bucket, path: "/moved", query: { tagging: undefined } });
    assert.deepEqual([tags.element("Key"), tags.element("Value")], ["k", "v"], "a copy in parts brings its tags along");
    await s3("cp", `s3://${bucket}/moved`, join(back, "moved"), "--no-progress");
    assert.equal((await hashes(back))["moved"], expected["folder/deeper/large.bin"]);
    const head = await run(aws, [
      ...["--endpoint-url", server.endpoint, "s3api", "head-object", "--bucket", bucket, "--key", "moved"],
      ...["--output", "text", "--query", "ContentLength"],
    ]);
    assert.equal(head.trim(), "13000000");
    await s3("rb", "--force", `s3://${bucket}`);
    assert.doesNotMatch(await s3("ls"), /aws-/);
  });

  it.for([
    // Debian's rclone always puts the bucket into the host name for this provider, so it comes by proxy.
    ["TencentCOS", "http://cos.ap-guangzhou.myqcloud.com", true],
    ["Other", undefined, false],
  ] as const)(
    "rclone: copies, checks, lists, copies within, syncs and purges, as provider %s",
    { timeout: 300_000 },
    async ([provider, endpoint, byProxy], context) => {
      const program = needed(context, found("rclone"), "rclone");
      const { secretId, secretKey } = server.cosbox.credentials;
      const env = {
        RCLONE_CONFIG: "/dev/null",
        RCLONE_CONFIG_C_TYPE: "s3",
        RCLONE_CONFIG_C_PROVIDER: provider,
        RCLONE_CONFIG_C_ENDPOINT: endpoint ?? server.endpoint,
        RCLONE_CONFIG_C_ACCESS_KEY_ID: secretId,
        RCLONE_CONFIG_C_SECRET_ACCESS_KEY: secretKey,
        RCLONE_CONFIG_C_REGION: server.cosbox.region,
        RCLONE_CONFIG_C_LOCATION_CONSTRAINT: server.cosbox.region,
        RCLONE_S3_UPLOAD_CUTOFF: "5M",
        RCLONE_S3_COPY_CUTOFF: "5M",
        ...(byProxy ? { http_proxy: server.endpoint, HTTP_PROXY: server.endpoint } : { no_proxy: "127.0.0.1" }),
      };
      const rclone = (...args: readonly string[]) => run(program, args, env);
      const bucket = server.cosbox.bucket(`rclone-${provider.toLowerCase()}`);
      await rclone("mkdir", `c:${bucket}`);
      await rclone("copy", source, `c:${bucket}/tree`);
      assert.match(await rclone("check", "--download", source, `c:${bucket}/tree`), /0 differences found/);
      const listed = await rclone("lsf", "-R", "--files-only", `c:${bucket}/tree`);
      assert.deepEqual(listed.trim().split("\n").toSorted(), Object.keys(expected).toSorted());
      await rclone("copy", `c:${bucket}/tree`, `c:${bucket}/copy`);
      const back = await cleared(`rclone-${provider}`);
      await rclone("sync", `c:${bucket}/copy`, back);
      assert.deepEqual(await hashes(back), expected);
      await rclone("deletefile", `c:${bucket}/tree/small.txt`);
      await rclone("sync", source, `c:${bucket}/tree`);
      assert.match(await rclone("check", source, `c:${bucket}/tree`), /0 differences found/);
      await rclone("purge", `c:${bucket}`);
      assert.doesNotMatch(await rclone("lsd", "c:"), /rclone/);
    },
  );

  it("s3cmd: makes a bucket, puts in parts, syncs, gets, copies and deletes", { timeout: 300_000 }, async (context) => {
    const s3cmd = needed(context, found("s3cmd"), "s3cmd");
    const { secretId, secretKey } = server.cosbox.credentials;
    const config = join(folder, "s3cfg");
    const host = `127.0.0.1:${server.port}`;
    await writeFile(
      config,
      `[default]\naccess_key = ${secretId}\nsecret_key = ${secretKey}\nhost_base = ${host}\nhost_bucket = ${host}\nuse_https = False\nbucket_location = ${server.cosbox.region}\n`,
    );
    const bucket = `s3://${server.cosbox.bucket("cmd")}`;
    const cmd = (...args: readonly string[]) => run(s3cmd, ["-c", config, "--no-progress", ...args]);
    await cmd("mb", bucket);
    await cmd("put", "--multipart-chunk-size-mb=5", join(source, "folder/deeper/large.bin"), `${bucket}/parts`);
    await cmd("sync", `${source}/`, `${bucket}/tree/`);
    const listed = await cmd("ls", "-r", bucket);
    for (const name of Object.keys(expected)) assert.ok(listed.includes(`tree/${name}`), listed);
    const back = await cleared("cmd-back");
    await mkdir(back);
    await cmd("sync", `${bucket}/tree/`, `${back}/`);
    assert.deepEqual(await hashes(back), expected);
    await cmd("cp", `${bucket}/parts`, `${bucket}/copy`);
    await cmd("get", `${bucket}/copy`, join(back, "copy"));
    assert.equal((await hashes(back))["copy"], expected["folder/deeper/large.bin"]);
    assert.match(await cmd("info", `${bucket}/parts`), /File size: 13000000/);
    await cmd("del", "-r", "-f", bucket);
    await cmd("rb", bucket);
    assert.doesNotMatch(await cmd("ls"), /cmd-/);
  });

  it("restic: keeps a backup, checks every byte of it and restores it", { timeout: 300_000 }, async (context) => {
    const program = needed(context, found("restic"), "restic");
    const bucket = server.cosbox.bucket("restic");
    const env = { RESTIC_PASSWORD: "secret", RESTIC_REPOSITORY: `s3:${server.endpoint}/${bucket}/repository` };
    const restic = (...args: readonly string[]) => run(program, args, env);
    await restic("init");
    await restic("backup", source);
    await restic("backup", source);
    assert.match(await restic("check", "--read-data"), /no errors were found/);
    const back = await cleared("restic-back");
    await restic("restore", "latest", "--target", back);
    assert.deepEqual(await hashes(join(back, source)), expected);
    await restic("forget", "--keep-last", "1", "--prune");
    assert.match(await restic("check"), /no errors were found/);
  });

  it("s3fs: reads, writes, renames and removes on a mount", { timeout: 300_000 }, async (context) => {
    const s3fs = needed(context, canMount() ? found("s3fs") : undefined, "s3fs, or a FUSE that it may use,");
    const { secretId, secretKey } = server.cosbox.credentials;
    const bucket = server.cosbox.bucket("fs");
    await server.send({ method: "PUT", bucket });
    const passwords = join(folder, "passwd");
    await writeFile(passwords, `${secretId}:${secretKey}`, { mode: 0o600 });
    const mount = join(folder, "mount");
    await mkdir(mount);
    const options = `passwd_file=${passwords},url=${server.endpoint},use_path_request_style,endpoint=${server.cosbox.region},multipart_size=5`;
    await run(s3fs, [bucket, mount, "-o", options]);
    try {
      await run("cp", ["-r", source, join(mount, "tree")]);
      assert.deepEqual(await hashes(join(mount, "tree")), expected);
      await run("mv", [join(mount, "tree/folder/deeper/large.bin"), join(mount, "moved")]);
      await run("sh", ["-c", `printf one > "${mount}/log" && printf two >> "${mount}/log"`]);
      assert.equal(await readFile(join(mount, "log"), "utf8"), "onetwo");
      await run("rm", ["-r", join(mount, "tree")]);
      assert.deepEqual((await readdir(mount)).toSorted(), ["log", "moved"]);
      const moved = await server.send({ bucket, path: "/moved" });
      assert.equal(
        createHash("sha256").update(moved.body).digest("hex"),
        expected["folder/deeper/large.bin"],
        "the same object in the other dialect",
      );
    } finally {
      await run("umount", [mount]);
    }
  });
});
