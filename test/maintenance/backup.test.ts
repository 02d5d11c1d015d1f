import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, it } from "vitest";
import { explainFileFault } from "../../src/cli/start-fault.ts";
import { SettingsError } from "../../src/config/settings.ts";
import { holdData, isDataHeld } from "../../src/engines/data-hold.ts";
import { lmdbBeside } from "../../src/engines/metadata/lmdb-beside.ts";
import { freshFolder, pattern } from "../contract/store-fixture.ts";
import { command, run } from "../fixtures/command.ts";
import { copyTo, mixedLoad, putObject, putParts, serverOn, sha256 } from "../fixtures/data-folder.ts";
import type { TestServer } from "../fixtures/server.ts";

const TIMEOUT_MS = 90_000;

async function get(server: TestServer, key: string): Promise<Buffer | undefined> {
  const { status, body } = await server.send({ path: `/${key}` });
  return status === 200 ? body : undefined;
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => path.join(folder, name))
    .filter((file) => statSync(file).isFile());
}

const BULK = 300;

/** The bodies of a round: their sizes make them small bodies, blobs, and blobs that replace each other. */
const bodyOf = (round: number, which: number): Buffer => pattern(which === 0 ? 300 : 4_000 + which, round * 3 + which);

describe("cosbox backup and restore", { timeout: TIMEOUT_MS }, () => {
  it("copy a server under load as of one moment: everything acknowledged before is in it, and all of it is whole", async () => {
    const folder = await freshFolder();
    const server = await serverOn(path.join(folder, "data"));
    // Copying takes a while, and what is copied last is replaced first.
    for (let at = 0; at < BULK; at++) await putObject(server, `bulk/${at}`, pattern(1_100, at));
    const load = mixedLoad(server, 3);
    // One writer whose writes follow each other: whatever moment the copy shows, it shows a beginning of them.
    let acknowledged = 0;
    let stopping = false;
    const writer = (async () => {
      for (let round = 1; !stopping; round++) {
        await putObject(server, `first/${round}`, bodyOf(round, 0));
        await putObject(server, `second/${round}`, bodyOf(round, 1));
        // A blob that loses its name with the next round, for the collector to remove while it is copied.
        await putObject(server, "latest", bodyOf(round, 2));
        await server.send({ method: "DELETE", path: `/second/${round - 20}` });
        acknowledged = round;
        await putObject(server, `bulk/${BULK - (round % BULK) - 1}`, pattern(1_100, round));
      }
    })();
    writer.catch(() => undefined);
    await sleep(500);

    const backups: { name: string; before: number; after: number }[] = [];
    for (let turn = 0; turn < 2; turn++) {
      const before = acknowledged;
      const name = `backup-${turn}`;
      const { code, stdout, stderr } = await run(["backup", name, "--data", "data"], folder);
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, /^backed up \d+ files, .* to .* in .*\n$/);
      backups.push({ name, before, after: acknowledged + 1 });
    }
    stopping = true;
    await writer;
    await load.stop();
    await server.cosbox.stop();

    for (const { name, before, after } of backups) {
      const restored = await run(["restore", name, "--data", `${name}-data`], folder);
      assert.equal(restored.code, 0, restored.stderr);
      assert.match(restored.stdout, /^restored \d+ files, .*; the data is as of \d{4}-\d\d-\d\dT.*Z\n$/);
      const checked = await run(["fsck", "--data", `${name}-data`], folder);
      assert.match(checked.stdout, /damage: none\n/);
      const scrubbed = await run(["scrub", "--data", `${name}-data`], folder);
      assert.match(scrubbed.stdout, /damage: none\n/);

      const copy = await serverOn(path.join(folder, `${name}-data`), false);
      let last = 0;
      while ((await get(copy, `first/${last + 1}`)) !== undefined) last += 1;
      assert.ok(before <= last && last <= after, `${before} <= ${last} <= ${after}`);
      for (const round of [last + 1, last + 2]) assert.equal(await get(copy, `first/${round}`), undefined);
      for (let round = 1; round <= last; round++) {
        assert.equal(sha256((await get(copy, `first/${round}`)) ?? ""), sha256(bodyOf(round, 0)), `first/${round}`);
      }
      // The steps of a round are a beginning of its steps; those before it are complete.
      const second = await get(copy, `second/${last}`);
      const latest = sha256((await get(copy, "latest")) ?? "");
      if (second !== undefined) assert.equal(sha256(second), sha256(bodyOf(last, 1)));
      const expected = [last - 1, ...(second === undefined ? [] : [last])];
      assert.ok(
        expected.some((round) => latest === sha256(bodyOf(round, 2))),
        "the latest is of this round or the one before",
      );
      for (let round = Math.max(1, last - 19); round < last; round++) {
        const found = await get(copy, `second/${round}`);
        assert.equal(sha256(found ?? ""), sha256(bodyOf(round, 1)), `second/${round}`);
      }
      await copy.stop();
    }
  });

  it("hold removals up while they copy, and no longer: what was deleted meanwhile is gone afterwards", async () => {
    const folder = await freshFolder();
    const data = path.join(folder, "data");
    const server = await serverOn(data);
    const bytes = () => filesIn(path.join(data, "blobs")).reduce((sum, file) => sum + statSync(file).size, 0);
    const hold = await holdData(data);
    for (let at = 0; at < 10; at++) await putObject(server, "one", pattern(50_000, at));
    await sleep(200);
    assert.ok(bytes() >= 500_000, "every version is still there");
    await hold.release();
    for (let waited = 0; bytes() >= 100_000 && waited < 10_000; waited += 100) await sleep(100);
    assert.ok(bytes() < 100_000, "the last version is left");
  });

  it("leave no hold behind that counts when they are killed", async () => {
    const folder = await freshFolder();
    const data = path.join(folder, "data");
    const server = await serverOn(data);
    for (let at = 0; at < 40; at++) await putObject(server, `big/${at}`, pattern(400_000, at));
    const { child, ended } = command(["backup", "out", "--data", "data"], folder);
    // One that is still empty says nothing yet, and counts for some seconds whoever made it.
    const holds = () =>
      readdirSync(data).some((name) => name.startsWith("hold-") && statSync(path.join(data, name)).size > 0);
    for (let waited = 0; !holds() && child.exitCode === null && waited < 20_000; waited += 5) await sleep(5);
    child.kill("SIGKILL");
    await ended;
    assert.equal(await isDataHeld(data), false);
    assert.deepEqual(
      readdirSync(data).filter((name) => name.startsWith("hold-")),
      [],
    );
    const half = await run(["restore", "out", "--data", "restored"], folder);
    assert.equal(half.code, 1);
    assert.match(half.stderr, /^cosbox: .*out holds no complete backup: there is no backup\.json in it\n$/);
    assert.ok(!existsSync(path.join(folder, "restored")));
  });

  it("work without a server as well, and give back the same objects", async () => {
    const folder = await freshFolder();
    const server = await serverOn(path.join(folder, "data"));
    await putObject(server, "small", pattern(200, 1));
    await putParts(server, "film", [pattern(50_000, 2), pattern(300, 3)]);
    await copyTo(server, "film", "film-copy");
    await server.stop();
    assert.equal((await run(["backup", "out", "--data", "data"], folder)).code, 0);
    mkdirSync(path.join(folder, "empty"));
    assert.equal((await run(["restore", "out", "--data", "empty"], folder)).code, 0);
    const copy = await serverOn(path.join(folder, "empty"), false);
    const film = sha256(Buffer.concat([pattern(50_000, 2), pattern(300, 3)]));
    assert.equal(sha256((await get(copy, "small")) ?? ""), sha256(pattern(200, 1)));
    assert.equal(sha256((await get(copy, "film")) ?? ""), film);
    assert.equal(sha256((await get(copy, "film-copy")) ?? ""), film);
  });

  it("fail loudly, and restore nothing, when any file of the backup has changed", async () => {
    const folder = await freshFolder();
    const server = await serverOn(path.join(folder, "data"));
    await putObject(server, "key", pattern(20_000, 1));
    await server.stop();
    await run(["backup", "out", "--data", "data"], folder);
    const files = filesIn(path.join(folder, "out"));
    assert.ok(files.length >= 4, files.join());
    for (const file of files) {
      const sound = readFileSync(file);
      const injured = Buffer.from(sound);
      const at = injured.length >> 1;
      injured[at] = (injured[at] as number) ^ 1;
      writeFileSync(file, injured);
      const { code, stderr } = await run(["restore", "out", "--data", "restored"], folder);
      // A bit of the description may be one of its words: the version, the moment.
      if (path.basename(file) !== "backup.json") {
        assert.equal(code, 1, file);
        assert.match(stderr, /^cosbox: the backup is damaged: [^\n]* does not match its checksum[^\n]*\n$/);
        assert.deepEqual(readdirSync(folder).sort(), ["data", "out"], "nothing is left of it");
      }
      writeFileSync(file, sound);
    }
    const [blob = ""] = files.filter((file) => file.includes(`${path.sep}blobs${path.sep}`));
    unlinkSync(blob);
    const { code, stderr } = await run(["restore", "out", "--data", "other"], folder);
    assert.equal(code, 1);
    assert.match(stderr, /^cosbox: the backup is damaged: .* is missing\n$/);
  });

  it("refuse a data folder that is not empty, a backup inside the data, and a backup of a newer form", async () => {
    const folder = await freshFolder();
    const server = await serverOn(path.join(folder, "data"));
    await server.stop();
    await run(["backup", "out", "--data", "data"], folder);
    const [full, inside, again] = await Promise.all([
      run(["restore", "out", "--data", "data"], folder),
      run(["backup", "data/backup", "--data", "data"], folder),
      run(["backup", "out", "--data", "data"], folder),
    ]);
    assert.deepEqual([full.code, inside.code, again.code], [1, 1, 1]);
    assert.match(full.stderr, /^cosbox: the data folder .*data is not empty; .*\n$/);
    assert.match(inside.stderr, /^cosbox: .* lies in the data folder; .*\n$/);
    assert.match(again.stderr, /^cosbox: .*out is not empty; choose another folder for the backup\n$/);
    const description = path.join(folder, "out", "backup.json");
    writeFileSync(description, readFileSync(description, "utf8").replace('"cosboxBackup": 1', '"cosboxBackup": 2'));
    const newer = await run(["restore", "out", "--data", "restored"], folder);
    assert.equal(newer.code, 1);
    assert.match(
      newer.stderr,
      /^cosbox: the backup in .* has format 2, and this version of cosbox knows formats up to 1: .*\n$/,
    );
  });

  it("say where the metadata could not be copied to, and why", async () => {
    const folder = await freshFolder();
    await (await serverOn(path.join(folder, "data"))).stop();
    const beside = await lmdbBeside(path.join(folder, "data", "metadata"));
    const target = path.join(folder, "copy");
    await beside.copyTo(target);
    const error = await beside.copyTo(target).catch((fault: unknown) => fault);
    await beside.close();
    const told = explainFileFault(error);
    assert.ok(told instanceof SettingsError, String(error));
    assert.equal(told.message, `the metadata cannot be copied to ${target}: File exists`);
  });
});
