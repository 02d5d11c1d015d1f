/**
 * The lifecycle against a plain model: random rules, and random things done to a bucket with versions on the days of a
 * year. After every day the bucket has to show exactly what the model has left. The model knows nothing of rows, pages
 * and transactions; each version is an entry of a list.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import { lifecycleTask } from "../../src/features/lifecycle/index.ts";
import { type Disk, DISKS } from "../contract/store-fixture.ts";
import { SEED } from "../fuzz/chance.ts";
import { DAY_MS, elementOf, HOUR_MS, type TimedServer, timedServer, walkTo } from "../fixtures/timed-server.ts";

/** 00:00 of GMT+8. */
const FIRST_MIDNIGHT = Date.UTC(2025, 11, 31, 16);
const DAYS = 365;
const CLASSES = ["STANDARD", "STANDARD_IA", "ARCHIVE", "DEEP_ARCHIVE"] as const;
const KEYS = ["a/1", "a/2", "b/1", "c"] as const;
const BIG = Buffer.alloc(64 * 1024, "b");

interface Rule {
  readonly prefix: string;
  readonly tagged: boolean;
  readonly expireDays: number | undefined;
  readonly markers: boolean;
  readonly move: { readonly days: number; readonly to: (typeof CLASSES)[number] } | undefined;
  readonly noncurrentDays: number | undefined;
  readonly moveNoncurrent: { readonly days: number; readonly to: (typeof CLASSES)[number] } | undefined;
}

type Command =
  | {
      readonly kind: "put";
      readonly key: string;
      readonly big: boolean;
      readonly tagged: boolean;
      readonly storageClass: string;
    }
  | { readonly kind: "copy"; readonly from: string; readonly key: string }
  /** The process dies; another one opens what it has left. */
  | { readonly kind: "crash" }
  | { readonly kind: "delete"; readonly key: string }
  | { readonly kind: "delete-newest"; readonly key: string }
  | { readonly kind: "versioning"; readonly on: boolean };

interface Version {
  readonly marker: boolean;
  readonly size: number;
  readonly tagged: boolean;
  readonly isNull: boolean;
  readonly modifiedMs: number;
  supersededMs: number | undefined;
  storageClass: string;
}

const days = fc.integer({ min: 1, max: 90 });
const colder = fc.constantFrom(...CLASSES.slice(1));
const rule: fc.Arbitrary<Rule> = fc.record({
  prefix: fc.constantFrom("", "a/", "b/", "c"),
  tagged: fc.boolean(),
  expireDays: fc.option(days, { nil: undefined }),
  markers: fc.boolean(),
  move: fc.option(fc.record({ days, to: colder }), { nil: undefined }),
  noncurrentDays: fc.option(days, { nil: undefined }),
  moveNoncurrent: fc.option(fc.record({ days, to: colder }), { nil: undefined }),
});
const key = fc.constantFrom(...KEYS);
const storageClass = fc.constantFrom("STANDARD", "STANDARD", "STANDARD_IA", "ARCHIVE");
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    arbitrary: fc.record({
      kind: fc.constant("put" as const),
      key,
      big: fc.boolean(),
      tagged: fc.boolean(),
      storageClass,
    }),
    weight: 6,
  },
  { arbitrary: fc.record({ kind: fc.constant("copy" as const), from: key, key }), weight: 2 },
  { arbitrary: fc.record({ kind: fc.constant("crash" as const) }), weight: 1 },
  { arbitrary: fc.record({ kind: fc.constant("delete" as const), key }), weight: 2 },
  { arbitrary: fc.record({ kind: fc.constant("delete-newest" as const), key }), weight: 1 },
  { arbitrary: fc.record({ kind: fc.constant("versioning" as const), on: fc.boolean() }), weight: 1 },
);
/** When things are done: the day of the year, and the time of the day. */
const year = fc.array(fc.tuple(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: DAY_MS - 1 }), command), {
  minLength: 5,
  maxLength: 25,
});

function xmlOf(rules: readonly Rule[]): string | undefined {
  const all: string[] = [];
  for (const one of rules) {
    const parts: string[] = [];
    if (one.move) {
      parts.push(`<Transition><Days>${one.move.days}</Days><StorageClass>${one.move.to}</StorageClass></Transition>`);
    }
    if (one.expireDays !== undefined) parts.push(`<Expiration><Days>${one.expireDays}</Days></Expiration>`);
    else if (one.markers)
      parts.push("<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>");
    if (one.moveNoncurrent) {
      const { days: after, to } = one.moveNoncurrent;
      parts.push(
        `<NoncurrentVersionTransition><NoncurrentDays>${after}</NoncurrentDays><StorageClass>${to}</StorageClass></NoncurrentVersionTransition>`,
      );
    }
    if (one.noncurrentDays !== undefined) {
      parts.push(
        `<NoncurrentVersionExpiration><NoncurrentDays>${one.noncurrentDays}</NoncurrentDays></NoncurrentVersionExpiration>`,
      );
    }
    if (parts.length === 0) continue;
    const tag = one.tagged ? "<Tag><Key>k</Key><Value>v</Value></Tag>" : "";
    const filter = `<Filter><And><Prefix>${one.prefix}</Prefix>${tag}</And></Filter>`;
    all.push(`<Rule>${filter}<Status>Enabled</Status>${parts.join("")}</Rule>`);
  }
  return all.length === 0 ? undefined : `<LifecycleConfiguration>${all.join("")}</LifecycleConfiguration>`;
}

/** The bucket as it has to be: versions of each key, the newest first. */
class Model {
  readonly keys = new Map<string, Version[]>(KEYS.map((one) => [one, []]));
  versioning: "never" | "Enabled" | "Suspended" = "never";
  readonly #rules: readonly Rule[];

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
  }

  #versions(name: string): Version[] {
    return this.keys.get(name) as Version[];
  }

  /** Makes room for a version on top, which is the null version unless versioning is enabled. */
  #push(name: string, version: Version, nowMs: number): void {
    let versions = this.#versions(name);
    if (version.isNull) versions = versions.filter(({ isNull }) => !isNull);
    const [top] = versions;
    if (top) top.supersededMs ??= nowMs;
    this.keys.set(name, [version, ...versions]);
  }

  /** Whatever is on top is superseded no more. */
  #uncover(name: string): void {
    const [top] = this.#versions(name);
    if (top) top.supersededMs = undefined;
  }

  #expire(name: string, nowMs: number): void {
    if (this.versioning === "never") this.keys.set(name, []);
    else {
      const isNull = this.versioning === "Suspended";
      const marker = { marker: true, size: 0, tagged: false, isNull, modifiedMs: nowMs, supersededMs: undefined };
      this.#push(name, { ...marker, storageClass: "STANDARD" }, nowMs);
    }
  }

  apply(what: Command, nowMs: number): void {
    if (what.kind === "versioning") this.versioning = what.on ? "Enabled" : "Suspended";
    else if (what.kind === "put") {
      const isNull = this.versioning !== "Enabled";
      const size = what.big ? BIG.length : 1;
      const version = { marker: false, size, tagged: what.tagged, isNull, modifiedMs: nowMs, supersededMs: undefined };
      this.#push(what.key, { ...version, storageClass: what.storageClass }, nowMs);
    } else if (what.kind === "copy") {
      const [source] = this.#versions(what.from);
      // A copy is a new object of the standard class; it cannot be made of what is archived, or of itself unchanged.
      if (source === undefined || source.marker || source.storageClass.endsWith("ARCHIVE")) return;
      if (what.from === what.key && source.storageClass === "STANDARD") return;
      const { size, tagged } = source;
      const isNull = this.versioning !== "Enabled";
      const copied = { marker: false, size, tagged, isNull, modifiedMs: nowMs, supersededMs: undefined };
      this.#push(what.key, { ...copied, storageClass: "STANDARD" }, nowMs);
    } else if (what.kind === "crash") {
      return;
    } else if (what.kind === "delete") {
      this.#expire(what.key, nowMs);
    } else {
      this.#versions(what.key).shift();
      this.#uncover(what.key);
    }
  }

  #of(name: string, version: Version): readonly Rule[] {
    return this.#rules.filter(({ prefix, tagged }) => name.startsWith(prefix) && (!tagged || version.tagged));
  }

  midnight(nowMs: number): void {
    const isPast = (fromMs: number, after: number | undefined): boolean =>
      after !== undefined && fromMs + after * DAY_MS <= nowMs;
    const move = (version: Version, due: readonly string[]): void => {
      const rank = (name: string): number => CLASSES.findIndex((one) => one === name);
      for (const to of due) {
        if (version.size >= BIG.length && rank(to) > rank(version.storageClass)) version.storageClass = to;
      }
    };
    for (const name of KEYS) {
      const before = [...this.#versions(name)];
      const [top] = before;
      if (top && !top.marker) {
        const rules = this.#of(name, top);
        const due = rules.flatMap(({ move: m }) => (m && isPast(top.modifiedMs, m.days) ? [m.to] : []));
        if (rules.some(({ expireDays }) => isPast(top.modifiedMs, expireDays))) this.#expire(name, nowMs);
        else move(top, due);
      }
      const gone = new Set<Version>();
      for (const [at, version] of before.entries()) {
        if (at === 0) continue;
        const since = version.supersededMs as number;
        const rules = this.#of(name, version);
        if (rules.some(({ noncurrentDays }) => isPast(since, noncurrentDays))) gone.add(version);
        else if (!version.marker) {
          move(
            version,
            rules.flatMap(({ moveNoncurrent: m }) => (m && isPast(since, m.days) ? [m.to] : [])),
          );
        }
      }
      // A marker is looked at before what it hides, so it goes on the day after.
      if (top?.marker && before.length === 1) {
        const due = this.#of(name, top).some(
          ({ markers, expireDays, noncurrentDays }) =>
            (markers && expireDays === undefined) || isPast(top.modifiedMs, noncurrentDays),
        );
        if (due) gone.add(top);
      }
      this.keys.set(
        name,
        this.#versions(name).filter((version) => !gone.has(version)),
      );
    }
  }

  lines(): string[] {
    return [...KEYS].sort().flatMap((name) =>
      this.#versions(name).map(({ marker, size, storageClass, isNull }) => {
        const what = marker ? "marker" : `${size} ${storageClass}`;
        return `${name} ${isNull ? "null " : ""}${what}`;
      }),
    );
  }
}

async function shown({ done }: TimedServer): Promise<string[]> {
  const { text } = await done({ method: "GET", target: "/?versions" });
  return [...text.matchAll(/<(Version|DeleteMarker)>(.*?)<\/\1>/gs)].map(([, kind, inner = ""]) => {
    const of = (name: string): string => new RegExp(`<${name}>([^<]*)<`).exec(inner)?.[1] ?? "";
    const what = kind === "DeleteMarker" ? "marker" : `${of("Size")} ${of("StorageClass")}`;
    return `${of("Key")} ${of("VersionId") === "null" ? "null " : ""}${what}`;
  });
}

async function act(server: TimedServer, what: Command): Promise<void> {
  switch (what.kind) {
    case "versioning": {
      const body = `<VersioningConfiguration><Status>${what.on ? "Enabled" : "Suspended"}</Status></VersioningConfiguration>`;
      await server.done({ method: "PUT", target: "/?versioning", body });
      return;
    }
    case "put": {
      const headers: Record<string, string> = { "x-cos-storage-class": what.storageClass };
      if (what.tagged) headers["x-cos-tagging"] = "k=v";
      await server.done({ method: "PUT", target: `/${what.key}`, body: what.big ? BIG : "x", headers });
      return;
    }
    case "copy": {
      const source = `demo-1250000000.cos.ap-guangzhou.myqcloud.com/${what.from}`;
      // What cannot be copied is refused, and the model leaves everything as it is.
      await server.send({ method: "PUT", target: `/${what.key}`, headers: { "x-cos-copy-source": source } });
      return;
    }
    case "crash":
      return;
    case "delete":
      await server.done({ method: "DELETE", target: `/${what.key}` });
      return;
    case "delete-newest": {
      const page = await server.done({ method: "GET", target: `/?versions&prefix=${what.key}` });
      const id = elementOf(page, "VersionId");
      if (id !== undefined) await server.done({ method: "DELETE", target: `/${what.key}?versionId=${id}` });
      return;
    }
  }
}

/** A process that serves the bucket, and two that take turns at the lifecycle: neither knows more than the store. */
async function start(disk: Disk, nowMs: number) {
  const server = await timedServer(nowMs, { disk, cleanup: () => undefined });
  return { ...server, tasks: [lifecycleTask(server.store), lifecycleTask(server.store)] as const };
}

async function walkYear(
  disk: Disk,
  rules: readonly Rule[],
  commands: readonly (readonly [day: number, ms: number, command: Command])[],
): Promise<void> {
  let server = await start(disk, FIRST_MIDNIGHT + HOUR_MS);
  await server.tasks[0].runDue(server.clock.now());
  const model = new Model(rules);
  const body = xmlOf(rules);
  if (body !== undefined && (await server.send({ method: "PUT", target: "/?lifecycle", body })).status !== 200) return;
  const timeline = commands
    .map(([day, ms, what]) => [FIRST_MIDNIGHT + DAY_MS + day * DAY_MS + ms, what] as const)
    .toSorted(([a], [b]) => a - b);
  let next = 0;
  for (let day = 1; day <= DAYS; day++) {
    const midnight = FIRST_MIDNIGHT + day * DAY_MS;
    await walkTo(server.tasks[(day % 2) as 0 | 1], server.clock, midnight);
    model.midnight(midnight);
    for (let one = timeline[next]; one !== undefined && one[0] < midnight + DAY_MS; one = timeline[++next]) {
      server.clock.set(one[0]);
      if (one[1].kind === "crash") {
        await server.store.collector.stop();
        server = await start(disk, one[0]);
      }
      await act(server, one[1]);
      model.apply(one[1], one[0]);
    }
    assert.deepEqual(await shown(server), model.lines(), `day ${day}`);
  }
  assert.deepEqual(server.faults, []);
  await server.store.collector.stop();
}

describe.each(DISKS)("the lifecycle of a year on %s", (name, makeDisk) => {
  it("sec_S-10.5: leaves after each day what a plain model leaves", { timeout: 1_200_000 }, async () => {
    const years = fc.array(rule, { minLength: 1, maxLength: 4 });
    const property = fc.asyncProperty(years, year, async (rules, commands) => {
      const cleanups: (() => Promise<void>)[] = [];
      try {
        await walkYear(await makeDisk((task) => cleanups.unshift(task)), rules, commands);
      } finally {
        for (const cleanup of cleanups) await cleanup();
      }
    });
    await fc.assert(property, {
      numRuns: Number(process.env["COSBOX_LIFECYCLE_YEARS"] ?? (name === "memory" ? 3 : 1)),
      seed: SEED,
      // A year takes a while, and the history of one that failed is short enough to be read.
      endOnFailure: true,
    });
  });
});
