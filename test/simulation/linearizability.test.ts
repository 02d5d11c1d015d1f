/**
 * Concurrent clients of a few objects, over HTTP, against one server process and against several workers on one folder,
 * some of which are killed in the middle and started again: what every client was told must fit one order of single
 * steps, for each object. `COSBOX_HISTORIES` sets how many objects that makes, `SEED` what the clients ask for.
 */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, it } from "vitest";
import type { Received } from "../fixtures/server.ts";
import { linesOf } from "../fixtures/versioning.ts";
import { type Chance, chanceFrom, SEED } from "../fuzz/chance.ts";
import { bytesOfValue, type Call, etagOf, isLinearizable, type Operation, stateOf, stateOfBytes } from "./history.ts";
import { ServerProcess } from "./server-process.ts";

const HISTORIES = Number(process.env["COSBOX_HISTORIES"] ?? 120);
const CLIENTS = 8;
/** Objects of one run. The last of them is mostly appended to. */
const KEYS = 3;
const RUNS = Math.ceil(HISTORIES / KEYS);
/** Every so many runs have a kill in the middle. */
const KILL_EVERY = 20;
const CALLS_EACH = 10;

const parent = await mkdtemp(join(tmpdir(), "cosbox-histories-"));
const boxes: ServerProcess[] = [];
afterAll(async () => {
  for (const box of boxes) await box.kill();
  await rm(parent, { recursive: true, force: true });
});

describe("the checker of histories", () => {
  const put = (value: string): Call => ({ kind: "put", value });
  const get = (...values: string[]): Call => ({
    kind: "get",
    state: values.length === 0 ? undefined : stateOf(false, values),
  });
  const log = (...values: string[]): Call => ({ kind: "get", state: stateOf(true, values) });
  const append = (value: string, position: number, told: (Call & { kind: "append" })["told"] = "stored"): Call => ({
    kind: "append",
    value,
    position,
    told,
  });
  /** Operations as `[begun, ended, call]`. */
  const history = (...rows: readonly (readonly [number, number | undefined, Call])[]): Operation[] =>
    rows.map(([begun, ended, call], client) => ({ client, begun, ended, call }));

  const good: Readonly<Record<string, Operation[]>> = {
    "one after the other": history([1, 2, put("a.9")], [3, 4, get("a.9")], [5, 6, { kind: "delete" }], [7, 8, get()]),
    "a read beside a write sees either": history([1, 10, put("a.9")], [2, 3, get()], [4, 5, get("a.9")]),
    "writes at once, in an order that only the reads tell": history(
      [1, 9, put("a.9")],
      [2, 8, put("b.9")],
      [10, 11, get("a.9")],
    ),
    "an unknown write that happened later": history(
      [1, 2, put("a.9")],
      [3, undefined, put("b.9")],
      [4, 5, get("a.9")],
      [6, 7, get("b.9")],
    ),
    "an unknown write that never happened": history([1, 2, put("a.9")], [3, undefined, put("b.9")], [4, 5, get("a.9")]),
    "appends, one refused": history(
      [1, 2, append("a.9", 0)],
      [3, 6, append("b.9", 9)],
      [4, 7, append("c.9", 9, { next: 18 })],
      [8, 9, log("a.9", "b.9")],
    ),
    "an unknown append that was told off in secret": history(
      [1, 2, append("a.9", 0)],
      [3, undefined, append("b.9", 5, undefined)],
      [4, 5, log("a.9")],
    ),
    "an append to another kind of object": history([1, 2, put("a.9")], [3, 4, append("b.9", 9, "not appendable")]),
    "a description": history([1, 2, put("a.9")], [3, 4, { kind: "head", etag: etagOf(stateOf(false, ["a.9"])) }]),
  };
  const bad: Readonly<Record<string, Operation[]>> = {
    "a stale read": history([1, 2, put("a.9")], [3, 4, put("b.9")], [5, 6, get("a.9")]),
    "a stale read after another client has seen the write": history(
      [1, 2, put("a.9")],
      [3, 20, put("b.9")],
      [4, 5, get("b.9")],
      [6, 7, get("a.9")],
    ),
    "a lost write": history([1, 2, put("a.9")], [3, 4, get()]),
    "a lost append": history(
      [1, 2, append("a.9", 0)],
      [3, 8, append("b.9", 9)],
      [4, 7, append("c.9", 9)],
      [9, 10, log("a.9", "c.9")],
    ),
    "a read of what was never written": history([1, 2, put("a.9")], [3, 4, get("x.9")]),
    "a deleted object that comes back": history([1, 2, put("a.9")], [3, 4, { kind: "delete" }], [5, 6, get("a.9")]),
    "an unknown write that came and went": history(
      [1, 2, put("a.9")],
      [3, undefined, put("b.9")],
      [4, 5, get("b.9")],
      [6, 7, get("a.9")],
    ),
    "a position that never was": history([1, 2, append("a.9", 0)], [3, 4, append("b.9", 5, { next: 14 })]),
    "a stale description": history(
      [1, 2, put("a.9")],
      [3, 4, put("b.9")],
      [5, 6, { kind: "head", etag: etagOf(stateOf(false, ["a.9"])) }],
    ),
  };
  it.each(Object.entries(good))("accepts %s", (_, operations) => assert.equal(isLinearizable(operations), true));
  it.each(Object.entries(bad))("rejects %s", (_, operations) => assert.equal(isLinearizable(operations), false));

  it("takes no other bytes for a value", () => {
    const bytes = Buffer.concat([bytesOfValue("1-2.30"), bytesOfValue("3-4.9")]);
    assert.equal(stateOfBytes(true, bytes), "a:1-2.30+3-4.9");
    bytes[20] = 0;
    assert.throws(() => stateOfBytes(true, bytes), /nobody wrote/);
    assert.throws(() => stateOfBytes(true, bytesOfValue("1-2.30").subarray(0, 29)), /nobody wrote/);
  });
});

interface Counts {
  operations: number;
  unknown: number;
  kills: number;
  told: Map<string, number>;
}

/** Lets clients loose on `KEYS` fresh objects, and returns what each of them was asked and told. */
async function play(
  box: ServerProcess,
  name: string,
  chance: Chance,
  kill: "all" | "a worker" | undefined,
  counts: Counts,
  versioned = false,
) {
  let ticks = 0;
  let values = 0;
  const tick = (): number => ++ticks;
  const histories = Array.from({ length: KEYS }, (): Operation[] => []);
  /** The versions that clients were told of, of each object. */
  const made = Array.from({ length: KEYS }, (): Made[] => []);
  /** Where an append would probably have to begin. */
  const sizes = Array.from({ length: KEYS }, () => 0);

  const stateIn = ({ status, headers, body }: Received): string | undefined => {
    if (status === 404) return undefined;
    const state = stateOfBytes(headers["x-cos-object-type"] === "appendable", body);
    assert.equal(headers.etag, `"${etagOf(state)}"`, "the ETag is that of the bytes beside it");
    return state;
  };

  /** What the client was told, or undefined where the outcome is unknown. */
  function understand(call: Call, key: number, answer: Received): Call | undefined {
    const { status, headers } = answer;
    if (status >= 500 || answer.element("Code") === "PathConflict") return undefined;
    switch (call.kind) {
      case "get":
        assert.ok(status === 200 || status === 404, answer.text);
        return { kind: "get", state: stateIn(answer) };
      case "head":
        assert.ok(status === 200 || status === 404);
        if (status === 200) sizes[key] = Number(headers["content-length"]);
        return { kind: "head", etag: status === 404 ? undefined : headers.etag?.replaceAll('"', "") };
      case "append": {
        const next = Number(headers["x-cos-next-append-position"]);
        if (status === 200 || answer.element("Code") === "AppendPositionErr") sizes[key] = next;
        if (status === 200) return { ...call, told: "stored" };
        if (answer.element("Code") === "ObjectNotAppendable") return { ...call, told: "not appendable" };
        assert.equal(answer.element("Code"), "AppendPositionErr", answer.text);
        return { ...call, told: { next } };
      }
      default:
        assert.ok(status === 200 || status === 204, answer.text);
        if (call.kind === "delete") sizes[key] = 0;
        return call;
    }
  }

  function choose(
    client: number,
    key: number,
  ): { call: Call; method: string; body?: Buffer; query?: Record<string, string | number | undefined> } {
    const value = `${client}-${values++}.${chance.once(6) ? 17_000 + chance.below(60_000) : 20 + chance.below(200)}`;
    const which = chance.below(10);
    if (which < 3) return { call: { kind: "get", state: undefined }, method: "GET" };
    if (which < 4) return { call: { kind: "head", etag: undefined }, method: "HEAD" };
    if (which < 5) return { call: { kind: "delete" }, method: "DELETE" };
    if (versioned || which < (key === KEYS - 1 ? 5 : 8))
      return { call: { kind: "put", value }, method: "PUT", body: bytesOfValue(value) };
    const position = sizes[key] as number;
    const call: Call = { kind: "append", value, position, told: undefined };
    return { call, method: "POST", body: bytesOfValue(value), query: { append: undefined, position } };
  }

  async function ask(client: number, key: number, { call, ...request }: ReturnType<typeof choose>): Promise<void> {
    const begun = tick();
    const path = `/${name}/${key}`;
    // A server that is gone, or goes while it works, leaves the outcome open.
    const answer = await box.send({ ...request, path }).catch(() => undefined);
    const told = answer && understand(call, key, answer);
    counts.operations += 1;
    const outcome = `${call.kind} ${answer?.status ?? "cut off"}`;
    counts.told.set(outcome, (counts.told.get(outcome) ?? 0) + 1);
    const ended = tick();
    if (told) histories[key]?.push({ client, call: told, begun, ended });
    else counts.unknown += 1;
    if (versioned && (call.kind === "put" || call.kind === "delete")) {
      const id = told && answer ? String(answer.headers["x-cos-version-id"]) : undefined;
      made[key]?.push({ id, kind: call.kind, begun, ended });
    }
    if (!told && call.kind !== "get" && call.kind !== "head") {
      histories[key]?.push({ client, call, begun, ended: undefined });
    }
  }

  const killAt = kill ? CLIENTS * 2 + chance.below((CLIENTS * CALLS_EACH) / 2) : Number.POSITIVE_INFINITY;
  let asked = 0;
  let killing: Promise<unknown> | undefined;
  await Promise.all(
    Array.from({ length: CLIENTS }, async (_, client) => {
      for (let n = 0; n < CALLS_EACH; n++) {
        if (++asked === killAt) {
          counts.kills += 1;
          if (kill === "all" || !box.killWorker()) killing = box.kill().then(() => box.start());
        }
        const key = chance.below(KEYS);
        await ask(client, key, choose(client, key));
        if (killing) await killing;
      }
    }),
  );
  // What is there in the end must be what the writes left.
  for (let key = 0; key < KEYS; key++)
    await ask(CLIENTS, key, { call: { kind: "get", state: undefined }, method: "GET" });
  if (versioned) for (let key = 0; key < KEYS; key++) await expectVersions(box, `${name}/${key}`, made[key] as Made[]);
  return histories;
}

/** A version that a client made; the id is undefined where it was not told. */
interface Made {
  readonly id: string | undefined;
  readonly kind: "put" | "delete";
  readonly begun: number;
  readonly ended: number;
}

/** Every version that was told is listed, once, behind those that were begun after it had ended; and no others are. */
async function expectVersions(box: ServerProcess, key: string, made: readonly Made[]): Promise<void> {
  const page = await box.send({ query: { versions: undefined, prefix: key } });
  const listed = linesOf(page).map((line) => line.split(" "));
  const ids = listed.map(([, id = ""]) => id);
  assert.equal(new Set(ids).size, ids.length, page.text);
  const places = new Map(ids.map((id, at) => [id, at]));
  const known = made.filter(({ id }) => id !== undefined);
  assert.ok(ids.length >= known.length && ids.length <= made.length, `${ids.length} of ${made.length}: ${page.text}`);
  for (const { id = "", kind, ended } of known) {
    const at = places.get(id);
    assert.ok(at !== undefined, `${key} has lost ${id}`);
    assert.equal(listed[at]?.at(-1) === "marker", kind === "delete");
    for (const later of known) {
      if (later.begun > ended)
        assert.ok((places.get(later.id as string) as number) < at, `${id} is not behind ${later.id}`);
    }
  }
}

describe.each([
  [1, false],
  [2, false],
  [2, true],
])("objects under concurrent clients of %d processes, with versions: %s", (workers, versioned) => {
  it(
    "change in single steps, which every client sees in one order",
    async () => {
      const box = new ServerProcess(join(parent, `workers-${workers}-${versioned}`), workers);
      boxes.push(box);
      await box.start();
      if (versioned) {
        const body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        assert.equal((await box.send({ method: "PUT", query: { versioning: undefined }, body })).status, 200);
      }
      const chance = chanceFrom(SEED + workers);
      const counts: Counts = { operations: 0, unknown: 0, kills: 0, told: new Map() };
      const began = performance.now();
      for (let n = 0; n < RUNS; n++) {
        const kill =
          n % KILL_EVERY !== KILL_EVERY / 2
            ? undefined
            : workers > 1 && n % (2 * KILL_EVERY) < KILL_EVERY
              ? "a worker"
              : "all";
        const histories = await play(box, `run-${n}`, chance, kill, counts, versioned);
        for (const [key, history] of histories.entries()) {
          if (isLinearizable(history)) continue;
          const rows = history.toSorted((a, b) => a.begun - b.begun).map((one) => JSON.stringify(one));
          assert.fail(`SEED=${SEED}, run ${n}, object ${key} has no order:\n${rows.join("\n")}`);
        }
      }
      const told = [...counts.told].sort().map(([what, times]) => `${what} ${times}`);
      process.stderr.write(
        `linearizability, ${workers} processes${versioned ? ", versions" : ""}: SEED=${SEED} COSBOX_HISTORIES=${HISTORIES}: ` +
          `${RUNS * KEYS} objects, ${counts.operations} operations, ${counts.unknown} of unknown outcome, ` +
          `${counts.kills} kills, ${Math.round(performance.now() - began)} ms\n  ${told.join(", ")}\n`,
      );
    },
    60_000 + RUNS * 2_000,
  );
});
