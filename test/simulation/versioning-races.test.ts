/**
 * Writers of a few keys while others switch versioning on and off, over HTTP, against one server process and against
 * several workers on one folder, one of which is killed now and then. Every version that a client was told of must be of
 * a kind that the bucket could have had while the request ran, must be there in the end where it was not deleted, and
 * in order; and the `null` version must be the last one that was written. `COSBOX_VERSION_RACES` sets how many buckets
 * that makes, `SEED` what the clients ask for.
 */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, it } from "vitest";
import type { Received } from "../fixtures/server.ts";
import { partList } from "../fixtures/uploads.ts";
import { type Chance, chanceFrom, SEED } from "../fuzz/chance.ts";
import { md5 } from "../interop/content.ts";
import { ServerProcess } from "./server-process.ts";

const RACES = Number(process.env["COSBOX_VERSION_RACES"] ?? 6);
const WRITERS = 6;
const SWITCHERS = 2;
const KEYS = 2;
const CALLS_EACH = 10;
/** Every so many buckets have a kill in the middle. */
const KILL_EVERY = 4;

const parent = await mkdtemp(join(tmpdir(), "cosbox-version-races-"));
const boxes: ServerProcess[] = [];
afterAll(async () => {
  for (const box of boxes) await box.kill();
  await rm(parent, { recursive: true, force: true });
});

type State = "Enabled" | "Suspended";

/** A span between two moments that nobody else had. One of unknown outcome has no end. */
interface Span {
  readonly begun: number;
  readonly ended: number;
}

interface Switch extends Span {
  readonly state: State;
}

interface Written extends Span {
  readonly key: number;
  /** MD5 of its bytes, which no other write has; undefined for a deletion. */
  readonly etag: string | undefined;
  /** The version that the client was told of; undefined where the outcome is unknown. */
  readonly id: string | undefined;
}

interface Removed extends Span {
  readonly id: string;
  readonly known: boolean;
}

const isBefore = (one: Span, other: Span): boolean => one.ended < other.begun;

/** Whether a request could have met the bucket in a state: some switch to it was not certainly undone before. */
function couldBe(state: State, span: Span, switches: readonly Switch[]): boolean {
  return switches.some(
    (one) =>
      one.state === state &&
      one.begun < span.ended &&
      !switches.some((other) => other.state !== state && isBefore(one, other) && isBefore(other, span)),
  );
}

interface Listed {
  readonly id: string;
  readonly etag: string | undefined;
}

/** The versions of a key as a list shows them, the newest first. */
function listedIn({ text }: Received): Listed[] {
  return [...text.matchAll(/<(Version|DeleteMarker)>(.*?)<\/\1>/gs)].map(([, , inner = ""]) => {
    const of = (name: string): string | undefined => new RegExp(`<${name}>([^<]*)<`).exec(inner)?.[1];
    return { id: of("VersionId") ?? "", etag: of("ETag")?.replaceAll(/"|&quot;/g, "") };
  });
}

interface Seen {
  readonly written: readonly Written[];
  readonly removed: readonly Removed[];
  readonly switches: readonly Switch[];
}

/** Raises an AssertionError for a list of one key's versions that nobody can have made. */
function expectPossible(listed: readonly Listed[], { written, removed, switches }: Seen): void {
  const ids = listed.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length, `a version twice: ${ids.join(" ")}`);
  const isGone = (id: string): boolean => removed.some((one) => one.id === id);
  for (const { id, etag } of removed
    .filter(({ known }) => known)
    .flatMap((one) => listed.filter(({ id }) => id === one.id))) {
    assert.fail(`${id} ${etag} was deleted and is there`);
  }
  for (const one of written) {
    if (one.id === undefined) continue;
    const state = one.id === "null" ? "Suspended" : "Enabled";
    assert.ok(couldBe(state, one, switches), `${one.id} was made while versioning was not ${state}`);
    if (one.id !== "null" && !isGone(one.id)) assert.ok(ids.includes(one.id), `${one.id} is lost`);
  }
  /** Which write made each of the versions: the one that was told its id, or whose bytes it has. */
  const makers = listed.map(({ id, etag }) => {
    const [maker] = written.filter((one) =>
      etag === undefined ? one.etag === undefined && one.id === id && id !== "null" : one.etag === etag,
    );
    if (etag !== undefined) assert.ok(maker, `nobody wrote ${id} ${etag}`);
    if (maker?.id !== undefined) assert.equal(maker.id, id);
    if (maker !== undefined) {
      assert.ok(couldBe(id === "null" ? "Suspended" : "Enabled", maker, switches), `${id} of a state that never was`);
    }
    return maker;
  });
  const unknownMarkers = listed.filter(
    ({ etag, id }, at) => etag === undefined && id !== "null" && makers[at] === undefined,
  );
  const unknownDeletions = written.filter(({ etag, id }) => etag === undefined && id === undefined);
  assert.ok(unknownMarkers.length <= unknownDeletions.length, "delete markers that nobody has made");
  for (const [at, maker] of makers.entries()) {
    for (const older of makers.slice(at + 1)) {
      if (maker && older) assert.ok(!isBefore(maker, older), `${ids.join(" ")} is not in order`);
    }
  }
  expectNull(listed, written);
}

/** The `null` version is one that no other was certainly written after. */
function expectNull(listed: readonly Listed[], written: readonly Written[]): void {
  const nulls = written.filter(({ id }) => id === "null");
  const candidates = written.filter(
    (one) => (one.id === "null" || one.id === undefined) && !nulls.some((later) => isBefore(one, later)),
  );
  const found = listed.find(({ id }) => id === "null");
  if (nulls.length > 0) assert.ok(found, "the null version is lost");
  if (found) {
    assert.ok(
      candidates.some(({ etag }) => etag === found.etag),
      `the null version ${found.etag ?? "marker"} was overwritten`,
    );
  }
}

interface Counts {
  kept: number;
  nulls: number;
  unknown: number;
}

async function race(box: ServerProcess, name: string, chance: Chance, kill: boolean, counts: Counts): Promise<void> {
  let ticks = 0;
  let values = 0;
  const bucket = `${name}-1250000000`;
  const switches: Switch[] = [];
  const keys = Array.from({ length: KEYS }, () => ({ written: [] as Written[], removed: [] as Removed[] }));
  let killing: Promise<unknown> | undefined;
  let asked = 0;
  const killAt = kill ? (WRITERS * CALLS_EACH) / 3 : Number.POSITIVE_INFINITY;

  /** A request, and when it was under way; the answer is undefined where the outcome is unknown. */
  async function ask(request: Parameters<ServerProcess["send"]>[0]) {
    const begun = ++ticks;
    const answer = await box.send({ bucket, ...request }).catch(() => undefined);
    const isKnown = answer !== undefined && answer.status < 500 && answer.element("Code") !== "PathConflict";
    if (isKnown) assert.ok(answer.status < 300, `${request.method} ${request.path}: ${answer.status} ${answer.text}`);
    return { begun, ended: isKnown ? ++ticks : Number.POSITIVE_INFINITY, answer: isKnown ? answer : undefined };
  }

  /** The answer to a request that changes nothing, or may be sent twice, from a server that may just be starting again. */
  async function answerTo(request: Parameters<ServerProcess["send"]>[0]): Promise<Received> {
    for (let attempts = 1; ; attempts++) {
      const answer = await box.send({ bucket, ...request }).catch(() => undefined);
      if (answer !== undefined && answer.status < 500) return answer;
      assert.ok(attempts < 200, `no answer to ${request.method ?? "GET"} ${request.path ?? "/"}`);
      await sleep(50);
    }
  }

  async function switchTo(state: State): Promise<void> {
    const body = `<VersioningConfiguration><Status>${state}</Status></VersioningConfiguration>`;
    const { begun, ended } = await ask({ method: "PUT", path: "/", query: { versioning: undefined }, body });
    switches.push({ begun, ended, state });
  }

  async function upload(path: string, body: Buffer) {
    const begun = await ask({ method: "POST", path, query: { uploads: undefined } });
    const uploadId = begun.answer?.element("UploadId");
    if (uploadId === undefined) return undefined;
    const part = await ask({ method: "PUT", path, query: { partNumber: 1, uploadId }, body });
    if (part.answer === undefined) return undefined;
    return await ask({ method: "POST", path, query: { uploadId }, body: partList([[1, md5(body)]]) });
  }

  async function write(client: number): Promise<void> {
    const key = chance.below(KEYS);
    const { written, removed } = keys[key] as (typeof keys)[number];
    const path = `/${key}`;
    const which = chance.below(10);
    const body = Buffer.from(`${client} ${values++}`);
    if (which < 7) {
      const uploaded = which === 6;
      const etag = uploaded ? `${md5(Buffer.from(md5(body), "hex"))}-1` : md5(body);
      const told = uploaded ? await upload(path, body) : await ask({ method: "PUT", path, body });
      // An upload that did not come to its completion wrote nothing.
      if (told)
        written.push({ ...told, key, etag, id: told.answer && String(told.answer.headers["x-cos-version-id"]) });
    } else if (which < 9) {
      const told = await ask({ method: "DELETE", path });
      written.push({
        ...told,
        key,
        etag: undefined,
        id: told.answer && String(told.answer.headers["x-cos-version-id"]),
      });
    } else {
      const known = written.filter(
        ({ id }) => id !== undefined && id !== "null" && !removed.some((one) => one.id === id),
      );
      const { id } = known[chance.below(Math.max(1, known.length))] ?? {};
      if (id === undefined) return;
      const removal = { begun: 0, ended: Number.POSITIVE_INFINITY, id, known: false };
      removed.push(removal);
      const { answer } = await ask({ method: "DELETE", path, query: { versionId: id } });
      if (answer) removed.splice(removed.indexOf(removal), 1, { ...removal, known: true });
    }
  }

  await answerTo({ method: "PUT" });
  await switchTo("Enabled");
  await Promise.all([
    ...Array.from({ length: WRITERS }, async (_, client) => {
      for (let n = 0; n < CALLS_EACH; n++) {
        if (++asked === killAt && !box.killWorker()) killing = box.kill().then(() => box.start());
        await write(client);
        if (killing) await killing;
      }
    }),
    ...Array.from({ length: SWITCHERS }, async (_, at) => {
      for (let n = 0; n < CALLS_EACH; n++) {
        await switchTo((n + at) % 2 === 0 ? "Suspended" : "Enabled");
        if (killing) await killing;
      }
    }),
  ]);
  for (const [key, seen] of keys.entries()) {
    const page = await answerTo({ query: { versions: undefined, prefix: String(key) } });
    assert.equal(page.status, 200, page.text);
    const listed = listedIn(page);
    expectPossible(listed, { ...seen, switches });
    const current = await answerTo({ path: `/${key}` });
    const [top] = listed;
    assert.equal(current.status, top?.etag === undefined ? 404 : 200);
    if (top?.etag !== undefined) assert.equal(current.headers.etag, `"${top.etag}"`);
  }
  for (const { written } of keys) {
    counts.kept += written.filter(({ id }) => id !== undefined && id !== "null").length;
    counts.nulls += written.filter(({ id }) => id === "null").length;
    counts.unknown += written.filter(({ id }) => id === undefined).length;
  }
}

describe("the judge of versions", () => {
  const write = (begun: number, ended: number, id: string | undefined, etag?: string): Written => ({
    begun,
    ended,
    key: 0,
    id,
    etag,
  });
  const on: Switch = { begun: 1, ended: 2, state: "Enabled" };
  const off: Switch = { begun: 5, ended: 6, state: "Suspended" };
  const judge =
    (listed: readonly Listed[], written: readonly Written[], removed: readonly Removed[] = []) =>
    () =>
      expectPossible(listed, { written, removed, switches: [on, off] });

  it("accepts what can be", () => {
    judge([{ id: "v1", etag: "a" }], [write(3, 4, "v1", "a")])();
    judge([{ id: "null", etag: "b" }], [write(3, 9, "null", "b")])();
    judge(
      [
        { id: "null", etag: "c" },
        { id: "v1", etag: "a" },
      ],
      [write(3, 4, "v1", "a"), write(7, 8, "null", "b"), write(9, 10, "null", "c")],
    )();
    judge(
      [
        { id: "v2", etag: undefined },
        { id: "v1", etag: "a" },
      ],
      [write(3, 4, "v1", "a"), write(3, 9, undefined)],
    )();
    judge([], [write(3, 4, "v1", "a")], [{ begun: 5, ended: 6, id: "v1", known: true }])();
  });

  const wrong: Readonly<Record<string, () => void>> = {
    "a version that is lost": judge([], [write(3, 4, "v1", "a")]),
    "a version of a state that was over": judge([{ id: "v1", etag: "a" }], [write(7, 8, "v1", "a")]),
    "a null version before versioning was suspended": judge([{ id: "null", etag: "a" }], [write(3, 4, "null", "a")]),
    "a null version that was overwritten": judge(
      [{ id: "null", etag: "a" }],
      [write(7, 8, "null", "a"), write(9, 10, "null", "b")],
    ),
    "two null versions": judge(
      [
        { id: "null", etag: "a" },
        { id: "null", etag: "b" },
      ],
      [write(7, 8, "null", "a"), write(9, 10, "null", "b")],
    ),
    "a null version that is lost": judge([], [write(7, 8, "null", "a")]),
    "the wrong order": judge(
      [
        { id: "v1", etag: "a" },
        { id: "v2", etag: "b" },
      ],
      [write(3, 3.5, "v1", "a"), write(4, 4.5, "v2", "b")],
    ),
    "bytes of nobody": judge([{ id: "v1", etag: "x" }], [write(3, 4, "v1", "a")]),
    "a marker of nobody": judge([{ id: "v2", etag: undefined }], []),
    "a version that was deleted": judge(
      [{ id: "v1", etag: "a" }],
      [write(3, 4, "v1", "a")],
      [{ begun: 5, ended: 6, id: "v1", known: true }],
    ),
  };
  it.each(Object.entries(wrong))("rejects %s", (_, judged) => assert.throws(judged, assert.AssertionError));
});

describe.each([1, 2])("writers against switches of versioning, on %d processes", (workers) => {
  it("make versions of the state that the bucket is in, and lose none", {
    timeout: 60_000 + RACES * 10_000,
  }, async () => {
    const box = new ServerProcess(join(parent, `workers-${workers}`), workers);
    boxes.push(box);
    await box.start();
    const chance = chanceFrom(SEED + workers);
    const began = performance.now();
    const counts: Counts = { kept: 0, nulls: 0, unknown: 0 };
    for (let n = 0; n < RACES; n++) await race(box, `race${n}`, chance, n % KILL_EVERY === 1, counts);
    process.stderr.write(
      `versioning races, ${workers} processes: SEED=${SEED} COSBOX_VERSION_RACES=${RACES}: ` +
        `${counts.kept} versions, ${counts.nulls} null versions, ${counts.unknown} of unknown outcome, ` +
        `${Math.round(performance.now() - began)} ms\n`,
    );
  });
});
