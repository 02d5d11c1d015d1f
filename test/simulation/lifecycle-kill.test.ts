/**
 * The lifecycle of a server of two processes whose clock is advanced over HTTP, and which is killed in the middle: first
 * one process, then all. When the clock has come to where it was to go, everything that was due is done, once, and nothing
 * else is. `COSBOX_LIFECYCLE_KILLS` sets how often all of it is killed, `SEED` when.
 */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, it } from "vitest";
import { ask } from "../fixtures/admin.ts";
import { run } from "../fixtures/command.ts";
import { linesOf } from "../fixtures/versioning.ts";
import { chanceFrom, SEED } from "../fuzz/chance.ts";
import { ServerProcess } from "./server-process.ts";

const EXPIRING = 250;
const OLDER = 100;
const MOVING = 40;
const UPLOADS = 40;
const CLIENTS = 16;
const DAYS = 4;
const DAY_MS = 24 * 60 * 60 * 1000;
/** How often the whole server is killed before it is let be. */
const KILLS = Number(process.env["COSBOX_LIFECYCLE_KILLS"] ?? 2);
/** Milliseconds within which a kill comes, after the clock was told to move. */
const KILL_WITHIN_MS = 400;

const rule = (prefix: string, action: string): string =>
  `<Rule><Filter><Prefix>${prefix}</Prefix></Filter><Status>Enabled</Status>${action}</Rule>`;
const RULES = `<LifecycleConfiguration>${[
  rule("expiring/", "<Expiration><Days>2</Days></Expiration>"),
  rule("moving/", "<Transition><Days>2</Days><StorageClass>ARCHIVE</StorageClass></Transition>"),
  rule("older/", "<NoncurrentVersionExpiration><NoncurrentDays>2</NoncurrentDays></NoncurrentVersionExpiration>"),
  rule(
    "",
    "<AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload>",
  ),
].join("")}</LifecycleConfiguration>`;

const folder = await mkdtemp(join(tmpdir(), "cosbox-lifecycle-kill-"));
const box = new ServerProcess(join(folder, "data"), 2, ["--admin", "127.0.0.1:0"]);
afterAll(async () => {
  await box.kill();
  await rm(folder, { recursive: true, force: true });
});

/** Asks the admin listener until it answers: after a kill it takes its time. */
async function control(method: string, path: string, body?: unknown) {
  for (let attempts = 1; ; attempts++) {
    const told = await ask(box.admin ?? "", method, path, { body }).catch(() => undefined);
    if (told?.status === 200) return told.body;
    assert.ok(attempts < 600, `no answer to ${method} ${path}: ${JSON.stringify(told)}`);
    await sleep(50);
  }
}

async function done(request: Parameters<ServerProcess["send"]>[0]) {
  const answer = await box.send(request);
  assert.ok(answer.status < 300, `${request.method} ${request.path}: ${answer.text}`);
  return answer;
}

async function eachOf(count: number, act: (at: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) await act(next++);
  };
  await Promise.all(Array.from({ length: CLIENTS }, work));
}

/** All versions of the bucket, a line each. */
async function versions(): Promise<string[]> {
  const lines: string[] = [];
  let markers: { "key-marker"?: string; "version-id-marker"?: string } = {};
  for (;;) {
    const page = await done({ query: { versions: undefined, ...markers } });
    lines.push(...linesOf(page));
    if (page.element("IsTruncated") !== "true") return lines;
    markers = {
      "key-marker": page.element("NextKeyMarker") ?? "",
      "version-id-marker": page.element("NextVersionIdMarker") ?? "",
    };
  }
}

it("sec_S-10.5: does all that was due, once, whoever is killed in between", { timeout: 240_000 }, async () => {
  await box.start();
  const body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
  await done({ method: "PUT", query: { versioning: undefined }, body });
  await done({ method: "PUT", query: { lifecycle: undefined }, body: RULES });
  const big = Buffer.alloc(64 * 1024);
  await eachOf(EXPIRING, (at) => done({ method: "PUT", path: `/expiring/${at}`, body: "x" }));
  await eachOf(OLDER, async (at) => {
    for (const text of ["one", "two", "three!"]) await done({ method: "PUT", path: `/older/${at}`, body: text });
  });
  await eachOf(MOVING, (at) => done({ method: "PUT", path: `/moving/${at}`, body: big }));
  await eachOf(UPLOADS, (at) => done({ method: "POST", path: `/upload/${at}`, query: { uploads: undefined } }));
  await done({ method: "PUT", path: "/kept", body: "kept" });

  const chance = chanceFrom(SEED);
  const { now } = await control("GET", "/v1/clock");
  const target = Date.parse(String(now)) + DAYS * DAY_MS;
  for (let kills = 0; kills <= KILLS; kills++) {
    const shown = Date.parse(String((await control("GET", "/v1/clock"))["now"]));
    const by = `${Math.max(0, Math.ceil((target - shown) / 1000))}s`;
    if (kills === KILLS) {
      await control("POST", "/v1/clock/advance", { by });
      await control("POST", "/v1/workers/lifecycle/run");
      continue;
    }
    const moving = ask(box.admin ?? "", "POST", "/v1/clock/advance", { body: { by } }).catch(() => undefined);
    await sleep(chance.below(KILL_WITHIN_MS));
    if (kills === 0 && box.killWorker()) await moving;
    else {
      await box.kill();
      await moving;
      await box.start();
    }
  }

  const lines = await versions();
  const of = (prefix: string): string[] => lines.filter((line) => line.startsWith(prefix));
  const expired = of("expiring/");
  assert.equal(expired.length, 2 * EXPIRING);
  assert.equal(expired.filter((line) => line.endsWith(" latest marker")).length, EXPIRING);
  assert.deepEqual(
    [of("older/").length, of("older/").filter((line) => line.endsWith(" latest 6")).length],
    [OLDER, OLDER],
  );
  assert.deepEqual([of("moving/").length, of("kept").length], [MOVING, 1]);
  await eachOf(MOVING, async (at) => {
    const { headers } = await box.send({ method: "HEAD", path: `/moving/${at}` });
    assert.equal(headers["x-cos-storage-class"], "ARCHIVE");
  });
  assert.doesNotMatch((await done({ query: { uploads: undefined } })).text, /<Upload>/);
  await box.kill();
  const { code, stdout, stderr } = await run(["fsck", "--data", join(folder, "data")], folder);
  assert.equal(code, 0, stdout + stderr);
});
