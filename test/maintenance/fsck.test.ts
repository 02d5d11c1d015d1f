import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, it } from "vitest";
import { localBlobs } from "../../src/engines/blobs/local.ts";
import { lmdbMetadata } from "../../src/engines/metadata/lmdb.ts";
import { systemRandom } from "../../src/engines/random/system.ts";
import { BlobDamaged, type BlobEngine } from "../../src/ports/blobs.ts";
import { pointRange } from "../../src/ports/metadata.ts";
import { attachmentKey, bucketKey } from "../../src/store/keys.ts";
import { decodeBucket } from "../../src/store/records.ts";
import { freshFolder, pattern } from "../contract/store-fixture.ts";
import { run } from "../fixtures/command.ts";
import { appendTo, copyTo, mixedLoad, putObject, putParts, serverOn } from "../fixtures/data-folder.ts";

const TIMEOUT_MS = 60_000;

const FINISHED = "leftovers: (none|\\d+ entries that wait for the collector)\n";

/** A data folder with objects of all forms; `big` and `big-copy` share a blob. */
async function filled(): Promise<{ folder: string; data: string }> {
  const folder = await freshFolder();
  const data = path.join(folder, "data");
  const server = await serverOn(data);
  for (let at = 0; at < 10; at++) await putObject(server, `small-${at}`, pattern(at * 90, at + 100));
  await putObject(server, "big", pattern(200_000, 1));
  await copyTo(server, "big", "big-copy");
  await putParts(server, "film", [pattern(5_000, 2), pattern(300, 3), pattern(70_000, 4)]);
  await appendTo(server, "log", 0, pattern(100, 5));
  await appendTo(server, "log", 100, pattern(2_000, 6));
  await server.stop();
  return { folder, data };
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => path.join(folder, name))
    .filter((file) => statSync(file).isFile());
}

/** Does something to the blobs of a folder that nobody uses. */
async function onBlobs(data: string, work: (blobs: BlobEngine) => Promise<unknown>): Promise<void> {
  const blobs = await localBlobs({ folder: data, random: systemRandom(), durability: "none" });
  await work(blobs);
  await blobs.close();
}

/** The blobs of at least so many bytes. */
async function blobsOf(blobs: BlobEngine, bytes: number): Promise<string[]> {
  const found: string[] = [];
  for (const id of await blobs.list(undefined, 1_000)) {
    try {
      for await (const chunk of blobs.read(id, bytes, bytes)) void chunk;
      found.push(id);
    } catch (error) {
      assert.ok(error instanceof BlobDamaged, "it is shorter");
    }
  }
  return found;
}

/** Turns one bit of `bytes` wherever they are in the files of a folder: a database keeps old pages beside the one in use. */
function flipIn(folder: string, bytes: Buffer): void {
  let turned = 0;
  for (const file of filesIn(folder)) {
    const content = readFileSync(file);
    for (let at = content.indexOf(bytes); at >= 0; at = content.indexOf(bytes, at + 1)) {
      content[at + 1] = (content[at + 1] as number) ^ 4;
      turned += 1;
    }
    writeFileSync(file, content);
  }
  assert.ok(turned > 0, "the bytes are in one of the files");
}

describe("cosbox fsck", { timeout: TIMEOUT_MS }, () => {
  it("says what it checked, and ends with 0 when everything fits together", async () => {
    const { folder } = await filled();
    const { code, stdout, stderr } = await run(["fsck", "--data", "data"], folder);
    assert.equal(stderr, "");
    assert.match(
      stdout,
      new RegExp(
        `^checked 1 bucket, 14 objects of [\\d.]+ kB, 0 uploads, \\d+ parts, \\d+ rows and \\d+ blobs in .*\ndamage: none\n${FINISHED}$`,
      ),
    );
    assert.equal(code, 0);
  });

  it("raises no false alarm beside a server that is written to and collects", async () => {
    const folder = await freshFolder();
    const server = await serverOn(path.join(folder, "data"));
    const load = mixedLoad(server);
    await sleep(300);
    for (let round = 0; round < 4; round++) {
      const before = load.done();
      const { code, stdout, stderr } = await run(["fsck", "--data", "data", "--verbose"], folder);
      assert.equal(code, 0, stdout);
      assert.match(stdout, /damage: none\n/);
      assert.match(stderr, /^cosbox: a server uses this folder; it is checked as of this moment\n/);
      assert.doesNotMatch(stdout, /unneeded|unreferenced|unfinished/, "what is on its way is not left over");
      assert.ok(load.done() > before, "the server went on");
    }
    const scrubbed = await run(["scrub", "--data", "data"], folder);
    assert.deepEqual([scrubbed.code, /damage: none/.test(scrubbed.stdout)], [0, true], scrubbed.stdout);
    await load.stop();
    await server.stop();
    const after = await run(["fsck", "--data", "data"], folder);
    assert.match(after.stdout, /damage: none\nleftovers: /);
  });

  it("names every object that misses a blob, and ends with 1", async () => {
    const { folder, data } = await filled();
    await onBlobs(data, async (blobs) => blobs.remove(await blobsOf(blobs, 200_000)));
    const { code, stdout } = await run(["fsck", "--data", "data"], folder);
    assert.equal(code, 1);
    for (const key of ["big", "big-copy"]) {
      assert.match(stdout, new RegExp(`^damage: blob-damaged: object demo-1250000000/${key}: blob `, "m"));
    }
    assert.match(stdout, /^damage: 2 uses of blobs that are missing, cut short or broken$/m);
  });

  it("finds a bit that has turned in a row", async () => {
    const { folder, data } = await filled();
    flipIn(path.join(data, "metadata"), pattern(540, 106));
    const { code, stdout } = await run(["fsck", "--data", "data"], folder);
    assert.equal(code, 1);
    assert.match(stdout, /^damage: bytes-damaged: object demo-1250000000\/small-6: /m);
  });

  it("frees what a crash left over, when it is asked to and nobody else uses the folder", async () => {
    const { folder, data } = await filled();
    async function* body() {
      yield pattern(5_000, 9);
    }
    const server = await serverOn(data, false);
    const refused = await run(["fsck", "--repair", "--data", "data"], folder);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /^cosbox: the data folder .* is in use by another server .*\n$/);
    await server.stop();

    await onBlobs(data, (blobs) => blobs.put(body()));
    const before = await run(["fsck", "--data", "data"], folder);
    assert.deepEqual(
      [before.code, /^leftovers: .*1 blobs that no row names/m.test(before.stdout)],
      [0, true],
      before.stdout,
    );
    const repaired = await run(["fsck", "--repair", "--data", "data"], folder);
    assert.equal(repaired.code, 0, repaired.stderr);
    assert.match(repaired.stdout, /^freed: /m);
    const after = await run(["fsck", "--data", "data"], folder);
    assert.match(after.stdout, /damage: none\nleftovers: none\n/);
  });

  it("takes no ACL that is there for one that is only counted, and frees the place of one that is not there", async () => {
    const { folder, data } = await filled();
    const server = await serverOn(data, false);
    const headers = { "x-cos-acl": "public-read" };
    const send = async (options: Parameters<typeof server.send>[0]) =>
      assert.ok((await server.send(options)).status < 300, JSON.stringify(options));
    const versions = async (status: string) =>
      await send({
        ...{ method: "PUT", query: { versioning: undefined } },
        body: `<VersioningConfiguration><Status>${status}</Status></VersioningConfiguration>`,
      });
    await send({ method: "PUT", bucket: "shared-1250000000", path: "/", headers });
    await putObject(server, "plain", pattern(10), headers);
    await putObject(server, "replaced", pattern(10), headers);
    await putObject(server, "replaced", pattern(11));
    await versions("Enabled");
    for (const key of ["plain", "many", "many", "marked"]) await putObject(server, key, pattern(20), headers);
    await send({ method: "DELETE", path: "/marked" });
    await versions("Suspended");
    for (const key of ["plain", "many", "nulled"]) await putObject(server, key, pattern(30), headers);
    await send({ method: "DELETE", path: "/nulled" });
    await send({ method: "PUT", path: "/", query: { acl: undefined }, headers });
    await server.stop();
    const whole = await run(["fsck", "--data", "data", "--verbose"], folder);
    assert.deepEqual([whole.code, /^leftovers: .*counted/m.test(whole.stdout)], [0, false], whole.stdout);

    const metadata = await lmdbMetadata({ folder: path.join(data, "metadata"), random: systemRandom() });
    const [[bucket] = []] = await metadata.read([pointRange(bucketKey("shared-1250000000"))]);
    const { id, ownerUin } = decodeBucket(bucket?.value ?? Buffer.alloc(0));
    for (const sequence of [0, 7]) {
      const key = attachmentKey(ownerUin, id, { of: "object", key: "plain", sequence });
      await metadata.commit([], [{ key, value: Buffer.alloc(0) }]);
    }
    await metadata.close();
    const planted = await run(["fsck", "--data", "data"], folder);
    assert.match(planted.stdout, /^leftovers: .*\b2 ACLs and policies that are counted and do not exist/m);
    const repaired = await run(["fsck", "--repair", "--data", "data"], folder);
    assert.match(repaired.stdout, /^freed: 2 rows that nothing needs/m);
    const after = await run(["fsck", "--data", "data"], folder);
    assert.match(after.stdout, /damage: none\nleftovers: none\n/);
  });

  it("refuses a folder without data, and makes nothing in it", async () => {
    const folder = await freshFolder();
    for (const args of [["fsck"], ["scrub"], ["export", "b", "f"], ["backup", "f"]]) {
      const { code, stderr, stdout } = await run(args, folder);
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, /^cosbox: there is no data in .*\.cosbox; name the data folder with --data\n$/);
    }
    assert.deepEqual(readdirSync(folder), []);
  });
});

describe("cosbox scrub", { timeout: TIMEOUT_MS }, () => {
  it("reads every byte, no faster than it may", async () => {
    const { folder } = await filled();
    const started = performance.now();
    const { code, stdout } = await run(["scrub", "--data", "data", "--rate", "250kB/s"], folder);
    assert.equal(code, 0);
    assert.match(stdout, /^read 14 objects and parts, 481\.4 kB in .*\ndamage: none\n$/);
    assert.ok(performance.now() - started > 1_700, "481 kB at 250 kB/s");
  });

  it("finds a bit that has turned in a blob, and names every object that uses it", async () => {
    const { folder, data } = await filled();
    flipIn(path.join(data, "blobs"), pattern(200_000, 1).subarray(150_000, 150_100));
    const { code, stdout } = await run(["scrub", "--data", "data"], folder);
    assert.equal(code, 1);
    for (const key of ["big", "big-copy"]) {
      assert.match(stdout, new RegExp(`^damage: object demo-1250000000/${key}: blob [0-9a-f]{32}: block 2 `, "m"));
    }
    assert.match(stdout, /^damage: 2 objects and parts, 1 blob$/m);
  });

  it("refuses a rate that is none, in one line", async () => {
    const { folder } = await filled();
    const { code, stderr } = await run(["scrub", "--data", "data", "--rate", "fast"], folder);
    assert.deepEqual([code, stderr], [1, 'cosbox: --rate: expected a rate such as 100MB/s, found "fast"\n']);
  });
});
