/**
 * Random sequences of every operation against the model in model.ts, with the clock as one of them, and restarts and
 * deaths in the middle of a midnight's work among them: each answer is what the model says, and when the collector has
 * come to rest the store holds the rows and blobs that the model's contents need, and no others. `COSBOX_MODEL_RUNS`
 * sets how many sequences each engine gets, `SEED` which.
 */

import assert from "node:assert/strict";
import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, it, onTestFinished } from "vitest";
import { familyRange, inlineKey, referenceKey } from "../../src/store/keys.ts";
import { type Cleanup, DISKS, type Engines, memoryDisk } from "../contract/store-fixture.ts";
import { SEED } from "../fuzz/chance.ts";
import { BUCKETS, KEYS, type Model, type Step } from "./model.ts";
import { CLASSES, type Facts, type Rule, type When } from "./model-state.ts";
import { expectExactly, modelled } from "./modelled-server.ts";

const RUNS: Readonly<Record<string, number>> = { memory: 20, "LMDB and local files": 5 };
const runsOf = (engine: string): number => Number(process.env["COSBOX_MODEL_RUNS"] ?? RUNS[engine] ?? 50);
const STEPS_MAX = 60;
const TIMED_STEPS_MAX = 100;
const EMPTY = Buffer.alloc(0);

/** Around the bound of small bodies (64 here), and above a block of 64 KiB. */
const length = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(0, 1, 7, 8, 20, 63, 64, 65, 200) },
  { weight: 2, arbitrary: fc.constantFrom(5_000, 65_536, 65_537, 140_000) },
);
const seed = fc.nat(30);
const content = fc.record({ length, seed });
const bucket = fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(1) });
/** Most things happen to few keys, so that much happens to each. */
const key = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(0, 2, 8) },
  { weight: 1, arbitrary: fc.nat(KEYS.length - 1) },
);
const name = { bucket, key };
const from = fc.record(name);
/** Which version of a key; most keys have few. */
const nth = fc.constantFrom(0, 0, 0, 1, 1, 2, 3);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const often = <T>(usual: T, arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary });
const mostly = <T>(usual: T, arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 7, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary });
/** Archives above all: more goes on with them than with the others. */
const storageClass = fc.constantFrom(...CLASSES, "ARCHIVE", "ARCHIVE", "ARCHIVE");
const facts: fc.Arbitrary<Facts | undefined> = maybe(
  fc.record({
    storageClass: fc.oneof(fc.constant("STANDARD" as const), storageClass),
    tagged: often(false, fc.constant(true)),
    lockDays: often(undefined, fc.constantFrom(-1, 1, 7, 400)),
  }),
);
const days = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 1, max: 5 }) },
  { weight: 1, arbitrary: fc.integer({ min: 20, max: 200 }) },
);
const when: fc.Arbitrary<When> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ days }) },
  { weight: 1, arbitrary: fc.record({ onDay: fc.integer({ min: 0, max: 400 }) }) },
);
const colder = fc.constantFrom(...CLASSES.slice(1), "DEEP_ARCHIVE");
const anyRule: fc.Arbitrary<Rule> = fc.record({
  enabled: mostly(true, fc.constant(false)),
  prefix: fc.constantFrom("", "", "", "a", "a/", "b/", "z", "中"),
  notPrefix: mostly(undefined, fc.constantFrom("a/b", "z")),
  tagged: often(false, fc.constant(true)),
  above: mostly(undefined, fc.constantFrom(0, 64, 65_536)),
  below: mostly(undefined, fc.constantFrom(64, 65_536)),
  expire: often(undefined, when),
  move: maybe(fc.record({ when, to: colder })),
  markers: fc.boolean(),
  noncurrentDays: maybe(days),
  moveNoncurrent: maybe(fc.record({ days: fc.oneof(fc.constant(0), days), to: colder })),
  abortDays: maybe(days),
});
/**
 * As a rule may be: with one kind of time, one way to expire, a filter that something can pass, and neither tags nor a size
 * where uploads are ended and markers go.
 */
function allowed(rule: Rule): Rule {
  const { above, below, expire, move, prefix, notPrefix = "-" } = rule;
  const isEmpty = above !== undefined && below !== undefined && below <= above + 1;
  const ofObjects = rule.tagged || (above !== undefined && !isEmpty);
  const mixed = expire !== undefined && move !== undefined && "days" in expire !== "days" in move.when;
  return {
    ...rule,
    notPrefix: prefix.startsWith(notPrefix) ? undefined : rule.notPrefix,
    above: isEmpty ? undefined : above,
    move: mixed ? undefined : move,
    markers: rule.markers && expire === undefined && !ofObjects,
    abortDays: ofObjects ? undefined : rule.abortDays,
  };
}
const doesSomething = ({ expire, move, markers, noncurrentDays, moveNoncurrent, abortDays }: Rule): boolean =>
  markers || [expire, move, noncurrentDays, moveNoncurrent, abortDays].some((action) => action !== undefined);
const filterOf = ({ prefix, notPrefix, tagged, above, below }: Rule): string =>
  JSON.stringify({ prefix, notPrefix, tagged, above, below });
/** Rules of one filter may say otherwise about one thing, which is refused. */
const rules = fc.uniqueArray(anyRule.map(allowed).filter(doesSomething), { maxLength: 4, selector: filterOf });
const FOR_ALL: Rule = {
  enabled: true,
  prefix: "",
  notPrefix: undefined,
  tagged: false,
  above: undefined,
  below: undefined,
  expire: undefined,
  move: undefined,
  markers: false,
  noncurrentDays: undefined,
  moveNoncurrent: undefined,
  abortDays: undefined,
};
/** Rules that leave little as it is. */
const BUSY: readonly (readonly Rule[])[] = [
  [
    { ...FOR_ALL, move: { when: { days: 2 }, to: "DEEP_ARCHIVE" }, noncurrentDays: 3, abortDays: 2 },
    { ...FOR_ALL, tagged: true, expire: { days: 2 } },
  ],
  [
    { ...FOR_ALL, move: { when: { days: 1 }, to: "STANDARD_IA" }, moveNoncurrent: { days: 0, to: "ARCHIVE" } },
    { ...FOR_ALL, prefix: "a", expire: { days: 4 }, noncurrentDays: 1 },
    { ...FOR_ALL, prefix: "z", markers: true, abortDays: 1 },
  ],
  [
    { ...FOR_ALL, move: { when: { days: 1 }, to: "STANDARD_IA" } },
    { ...FOR_ALL, prefix: "a", move: { when: { days: 2 }, to: "INTELLIGENT_TIERING" } },
  ],
];
const note = fc.option(fc.constantFrom("one", "two words"), { nil: undefined });
const upload = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(5) });
const part = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 1, max: 5 }) },
  { weight: 1, arbitrary: fc.constant(10_000) },
);
const range = fc.oneof(
  fc.record({ first: fc.nat(80), last: fc.constant(undefined) }),
  fc.tuple(fc.nat(200), fc.nat(70_000)).map(([first, more]) => ({ first, last: first + more })),
  fc.record({ suffix: fc.nat(100) }),
);
const page = {
  bucket,
  prefix: fc.constantFrom("", "", "a", "a/", "a/b", "b", "中", "none"),
  delimiter: fc.constantFrom("", "/", "b"),
  marker: fc.constantFrom("", "", "a", "a/", "a/b", "a/b/", "b/1", "z", "中/"),
  max: fc.constantFrom(undefined, undefined, 0, 1, 2, 3),
};
const kind = <K extends Step["kind"]>(...names: K[]) => fc.constantFrom(...names);

type Weighed = readonly (readonly [weight: number, step: fc.Arbitrary<Step>])[];
const oneOf = (weighed: Weighed): fc.Arbitrary<Step> =>
  fc.oneof(...weighed.map(([weight, arbitrary]) => ({ weight, arbitrary })));
/** Most requests change what is stored once or twice. */
const dying = (weighed: Weighed): fc.Arbitrary<Step> =>
  fc.record({
    kind: kind("dying"),
    changes: fc.constantFrom(1, 1, 1, 2, 2, 3, 4),
    changed: fc.boolean(),
    step: oneOf(weighed),
  });

const requests: Weighed = [
  [8, fc.record({ kind: kind("put"), ...name, content, note, facts })],
  [6, fc.record({ kind: kind("get"), ...name, range: fc.option(range, { nil: undefined }) })],
  [2, fc.record({ kind: kind("head"), ...name })],
  [3, fc.record({ kind: kind("delete"), ...name })],
  [
    2,
    fc.record({
      kind: kind("deleteMany"),
      bucket,
      keys: fc.array(name.key, { minLength: 1, maxLength: 8 }),
      quiet: fc.boolean(),
    }),
  ],
  [
    2,
    fc.record({
      kind: kind("deleteMany"),
      bucket,
      keys: fc.array(fc.nat(2), { minLength: 8, maxLength: 8 }),
      nths: fc.array(fc.option(nth, { nil: undefined }), { minLength: 8, maxLength: 8 }),
      quiet: fc.boolean(),
    }),
  ],
  [3, fc.record({ kind: kind("setVersioning"), bucket, state: fc.constantFrom("Enabled", "Suspended") })],
  [4, fc.record({ kind: kind("getVersion", "deleteVersion"), ...name, nth })],
  [
    3,
    fc.record({
      kind: kind("listVersions"),
      bucket,
      prefix: page.prefix,
      delimiter: page.delimiter,
      after: fc.option(fc.record({ key: name.key, nth: fc.option(nth, { nil: undefined }) }), { nil: undefined }),
      max: page.max,
    }),
  ],
  [4, fc.record({ kind: kind("copy"), ...name, from, nth: maybe(nth), replaced: fc.boolean(), facts })],
  [6, fc.record({ kind: kind("append"), ...name, content, off: fc.constantFrom(0, 0, 0, 0, 1, 7), facts })],
  [
    2,
    fc.record({
      kind: kind("appendMany"),
      ...name,
      lengths: fc.array(fc.constantFrom(1, 10, 60, 65), { minLength: 2, maxLength: 45 }),
      seed,
    }),
  ],
  [4, fc.record({ kind: kind("initiate"), ...name, note, facts })],
  [6, fc.record({ kind: kind("part"), upload, number: part, content })],
  [2, fc.record({ kind: kind("manyParts"), upload, count: fc.integer({ min: 2, max: 40 }), seed })],
  [
    4,
    fc.record({
      kind: kind("partCopy"),
      upload,
      number: part,
      from,
      nth: fc.option(nth, { nil: undefined }),
      range: fc.option(fc.record({ first: fc.nat(80), length: fc.integer({ min: 1, max: 66_000 }) }), {
        nil: undefined,
      }),
    }),
  ],
  [
    5,
    fc.record({
      kind: kind("complete"),
      upload,
      how: fc.constantFrom("all", "all", "all", "some", "reversed", "wrong", "elsewhere"),
    }),
  ],
  [2, fc.record({ kind: kind("abort"), upload })],
  [4, fc.record({ kind: kind("list"), ...page })],
  [2, fc.record({ kind: kind("listUploads"), ...page })],
  [2, fc.record({ kind: kind("listParts"), upload, marker: fc.constantFrom(0, 0, 1, 3, 9_999), max: page.max })],
  [2, fc.record({ kind: kind("createBucket", "deleteBucket", "headBucket"), bucket: fc.nat(BUCKETS.length - 1) })],
  [3, fc.record({ kind: kind("setLifecycle"), bucket, rules })],
  [1, fc.record({ kind: kind("setLock"), bucket, days: maybe(fc.constantFrom(0, 1, 3, 20, 100)) })],
  [1, fc.record({ kind: kind("setTiering"), bucket, days: fc.constantFrom(30, 30, 60) })],
  [2, fc.record({ kind: kind("retain"), ...name, nth: maybe(nth), days: fc.constantFrom(-1, 1, 2, 30, 500) })],
  [2, fc.record({ kind: kind("tag"), ...name, nth: maybe(nth), tagged: fc.boolean() })],
  [
    3,
    fc.record({
      kind: kind("restore"),
      ...name,
      nth: maybe(nth),
      days: fc.constantFrom(1, 2, 30),
      tier: fc.constantFrom("Expedited", "Standard", "Bulk"),
    }),
  ],
];

const death = { changes: fc.integer({ min: 1, max: 8 }), changed: fc.boolean() };
const happenings: Weighed = [
  [2, fc.record({ kind: kind("restart"), clean: fc.boolean() })],
  [4, fc.record({ kind: kind("advance"), hours: fc.integer({ min: 1, max: 60 }) })],
  [2, fc.record({ kind: kind("advance"), hours: fc.integer({ min: 60, max: 40 * 24 }) })],
  [2, fc.record({ kind: kind("dyingMidnight"), ...death })],
  [3, dying(requests)],
];

const few = { bucket: fc.constant(0), key: fc.constantFrom(0, 2, 8) };
const fewContent = fc.record({ length: fc.constantFrom(8, 65, 65_536, 65_537, 100_000), seed });
const fewFrom = fc.record(few);
/** Of what goes with time, and little else, to few keys of one bucket. */
const timedRequests: Weighed = [
  [10, fc.record({ kind: kind("put"), ...few, content: fewContent, facts })],
  [4, fc.record({ kind: kind("copy"), ...few, from: fewFrom, nth: maybe(nth), replaced: fc.boolean(), facts })],
  [2, fc.record({ kind: kind("append"), ...few, content: fewContent, off: fc.constant(0), facts })],
  [4, fc.record({ kind: kind("initiate"), ...few, facts })],
  [5, fc.record({ kind: kind("part"), upload, number: fc.integer({ min: 1, max: 2 }), content: fewContent })],
  [2, fc.record({ kind: kind("partCopy"), upload, number: fc.constant(3), from: fewFrom, nth: maybe(nth) })],
  [5, fc.record({ kind: kind("complete"), upload, how: fc.constantFrom("all", "some") })],
  [
    5,
    fc.record({
      kind: kind("uploadWhole"),
      ...few,
      contents: fc.array(fewContent, { minLength: 1, maxLength: 2 }),
      hours: fc.constantFrom(0, 0, 1, 30, 200),
      facts,
    }),
  ],
  [4, fc.record({ kind: kind("delete"), ...few })],
  [3, fc.record({ kind: kind("deleteVersion"), ...few, nth })],
  [
    2,
    fc.record({
      kind: kind("deleteMany"),
      bucket: few.bucket,
      keys: fc.array(few.key, { minLength: 4, maxLength: 4 }),
      nths: fc.array(maybe(nth), { minLength: 4, maxLength: 4 }),
      quiet: fc.boolean(),
    }),
  ],
  [5, fc.record({ kind: kind("get"), ...few })],
  [3, fc.record({ kind: kind("getVersion"), ...few, nth })],
  [2, fc.record({ kind: kind("head"), ...few })],
  [1, fc.record({ kind: kind("setVersioning"), bucket: few.bucket, state: fc.constantFrom("Enabled", "Suspended") })],
  [2, fc.record({ kind: kind("setLifecycle"), bucket: few.bucket, rules })],
  [1, fc.record({ kind: kind("setLock"), bucket: few.bucket, days: maybe(fc.constantFrom(1, 3, 20)) })],
  [1, fc.record({ kind: kind("setTiering"), bucket: few.bucket, days: fc.constantFrom(30, 60) })],
  [2, fc.record({ kind: kind("retain"), ...few, nth: maybe(nth), days: fc.constantFrom(-1, 1, 2, 30) })],
  [2, fc.record({ kind: kind("tag"), ...few, nth: maybe(nth), tagged: fc.boolean() })],
  [
    6,
    fc.record({
      kind: kind("restore"),
      ...few,
      nth: maybe(nth),
      days: fc.constantFrom(1, 2, 30),
      tier: fc.constantFrom("Expedited", "Standard", "Bulk"),
    }),
  ],
  [2, fc.record({ kind: kind("listVersions"), ...page, bucket: few.bucket, after: fc.constant(undefined) })],
];

const timedHappenings: Weighed = [
  [1, fc.record({ kind: kind("restart"), clean: fc.boolean() })],
  [8, fc.record({ kind: kind("advance"), hours: fc.integer({ min: 1, max: 60 }) })],
  [2, fc.record({ kind: kind("advance"), hours: fc.integer({ min: 60, max: 40 * 24 }) })],
  [1, fc.record({ kind: kind("advance"), hours: fc.integer({ min: 40 * 24, max: 300 * 24 }) })],
  [3, fc.record({ kind: kind("dyingMidnight"), ...death })],
  [7, dying(timedRequests)],
];

const versioned: Step = { kind: "setVersioning", bucket: 0, state: "Enabled" };
const suspended: Step = { kind: "setVersioning", bucket: 0, state: "Suspended" };
const locked: Step = { kind: "setLock", bucket: 0, days: 2 };
const lockable: Step = { kind: "setLock", bucket: 0, days: undefined };
const tiered: Step = { kind: "setTiering", bucket: 0, days: 30 };
/** What a bucket can be, which chance alone would seldom make of it before much has happened in it. */
const OPENINGS: readonly (readonly Step[])[] = [
  [],
  [versioned],
  [suspended],
  [tiered],
  [tiered],
  [tiered, versioned],
  [locked],
  [locked],
  [versioned, locked],
  [versioned, locked],
  [versioned, lockable],
];

const one = { bucket: 0, key: 0 };
const big = { length: 70_000, seed: 1 };
const hours = (count: number): Step => ({ kind: "advance", hours: count });
const of = (storageClass: Facts["storageClass"], lockDays?: number): Facts => ({
  storageClass,
  lockDays,
  tagged: false,
});
/** What takes several steps in one order. */
const SCRIPTS: Readonly<Record<string, readonly Step[]>> = {
  "a restored copy keeps an archived object in its class": [
    { kind: "setLifecycle", bucket: 0, rules: [{ ...FOR_ALL, move: { when: { days: 2 }, to: "DEEP_ARCHIVE" } }] },
    { kind: "put", ...one, content: big, facts: of("ARCHIVE") },
    { kind: "restore", ...one, nth: undefined, days: 30, tier: "Expedited" },
    hours(100),
    { kind: "get", ...one },
    hours(40 * 24),
    { kind: "get", ...one },
  ],
  "what comes from the infrequent class was not read of late": [
    tiered,
    {
      kind: "setLifecycle",
      bucket: 0,
      rules: [{ ...FOR_ALL, move: { when: { days: 1 }, to: "INTELLIGENT_TIERING" } }],
    },
    { kind: "put", ...one, content: big, facts: of("STANDARD_IA") },
    { kind: "put", bucket: 0, key: 2, content: big },
    hours(60),
    { kind: "get", ...one },
    hours(1),
  ],
  "a copy is a read of its source": [
    tiered,
    { kind: "put", ...one, content: big, facts: of("INTELLIGENT_TIERING") },
    { kind: "put", bucket: 0, key: 2, content: big, facts: of("INTELLIGENT_TIERING") },
    hours(20 * 24),
    { kind: "copy", bucket: 0, key: 1, from: one, replaced: false },
    { kind: "initiate", bucket: 0, key: 3 },
    { kind: "partCopy", upload: 0, number: 1, from: { bucket: 0, key: 2 } },
    hours(20 * 24),
    { kind: "get", ...one },
    { kind: "get", bucket: 0, key: 2 },
  ],
  "a read that dies is noted or not": ([1, 2, 3, 4] as const).flatMap((changes): Step[] => [
    ...(changes === 1 ? [tiered] : []),
    { kind: "put", ...one, content: big, facts: of("INTELLIGENT_TIERING") },
    hours(20 * 24),
    { kind: "dying", changes, changed: false, step: { kind: "copy", bucket: 0, key: 1, from: one, replaced: false } },
    hours(20 * 24),
    { kind: "get", ...one },
    hours(20 * 24),
    { kind: "dying", changes, changed: false, step: { kind: "get", ...one } },
    hours(20 * 24),
    { kind: "get", ...one },
  ]),
  "an upload is locked by what it was begun with, where that is not over": [
    versioned,
    { kind: "setLock", bucket: 0, days: 1 },
    { kind: "uploadWhole", ...one, contents: [big], hours: 30, facts: of("STANDARD", 7) },
    { kind: "uploadWhole", ...one, contents: [big], hours: 200, facts: of("STANDARD", 7) },
    { kind: "deleteVersion", ...one, nth: 0 },
    { kind: "deleteVersion", ...one, nth: 1 },
    hours(30),
    { kind: "deleteVersion", ...one, nth: 0 },
  ],
};

type Real = Awaited<ReturnType<typeof modelled>>;

/** A step as fast-check runs it, and prints it when it fails. */
class Command implements fc.AsyncCommand<Model, Real> {
  readonly #step: Step;
  constructor(step: Step) {
    this.#step = step;
  }
  check(): boolean {
    return true;
  }
  async run(_model: Model, real: Real): Promise<void> {
    await real.play(this.#step);
  }
  toString(): string {
    return JSON.stringify(this.#step);
  }
}

describe("every operation against a model in memory", () => {
  it("is not blind: a row or a blob too many, or one too few, is found", async () => {
    const plants: readonly ((engines: Engines) => Promise<unknown>)[] = [
      ({ blobs }) => blobs.put(Readable.from([Buffer.from("nobody's")])),
      ({ metadata }) => metadata.commit([], [{ key: inlineKey("ab".repeat(16)), value: Buffer.from("nobody's") }]),
      ({ metadata }) => metadata.commit([], [{ key: referenceKey("ab".repeat(16), "cd".repeat(16)), value: EMPTY }]),
      async ({ blobs }) => blobs.remove(await blobs.list(undefined, 1)),
      async ({ metadata }) => {
        const [rows = []] = await metadata.read([familyRange("inline", 1)]);
        await metadata.commit(
          [],
          rows.map(({ key }) => ({ key, value: undefined })),
        );
      },
    ];
    for (const plant of [undefined, ...plants]) {
      const real = await modelled(memoryDisk(), onTestFinished);
      const { model } = real;
      for (const [key, length] of [10, 1_000].entries()) {
        await real.play({ kind: "put", bucket: 0, key, content: { length, seed: 1 } });
      }
      if (plant === undefined) {
        await expectExactly(model, real.engines());
        continue;
      }
      await plant(real.engines());
      await assert.rejects(expectExactly(model, real.engines()), assert.AssertionError);
    }
  });

  for (const [engine, make] of DISKS) {
    it.each(Object.entries(SCRIPTS))(`agrees on what chance seldom comes to, on ${engine}: %s`, async (_, script) => {
      const real = await modelled(await make(), onTestFinished);
      for (const step of script) await real.play(step);
      await real.walk();
      await expectExactly(real.model, real.engines());
    });

    const runs = runsOf(engine);
    it(
      `answers as the model does, and keeps nothing else, on ${engine}`,
      async () => {
        process.stderr.write(`model on ${engine}: SEED=${SEED} COSBOX_MODEL_RUNS=${runs}\n`);
        const told = { sequences: 0, steps: 0, kinds: new Map<string, number>(), refusals: new Map<string, number>() };
        const commandsOf = (weighed: Weighed, maxCommands: number) =>
          fc.commands([oneOf(weighed).map((one) => new Command(one))], { maxCommands, size: "max" });
        const ruled = fc
          .oneof(rules, fc.constantFrom(...BUSY))
          .map((all): Step => ({ kind: "setLifecycle", bucket: 0, rules: all }));
        const sequences = fc.oneof(
          fc.record({
            first: fc.constantFrom(...OPENINGS),
            commands: commandsOf([...requests, ...happenings], STEPS_MAX),
          }),
          fc.record({
            first: fc.tuple(fc.constantFrom(...OPENINGS), ruled).map(([opening, rule]) => [...opening, rule]),
            commands: commandsOf([...timedRequests, ...timedHappenings], TIMED_STEPS_MAX),
          }),
        );
        await fc.assert(
          fc.asyncProperty(sequences, fc.constantFrom(2, 2, 2, 1), async ({ first, commands }, lockGeneration) => {
            const tasks: (() => Promise<void>)[] = [];
            const cleanup: Cleanup = (task) => void tasks.push(task);
            try {
              const real = await modelled(await make(cleanup), cleanup, { lockGeneration });
              for (const step of first) await real.play(step);
              await fc.asyncModelRun(() => ({ model: real.model, real }), commands);
              await real.walk();
              await expectExactly(real.model, real.engines());
              told.sequences += 1;
              for (const [step, times] of real.played) {
                told.steps += times;
                told.kinds.set(step, (told.kinds.get(step) ?? 0) + times);
              }
              for (const [code, times] of real.refusals) {
                told.refusals.set(code, (told.refusals.get(code) ?? 0) + times);
              }
            } finally {
              for (const task of tasks.reverse()) await task();
            }
          }),
          { numRuns: runs, seed: SEED },
        );
        const counted = (counts: ReadonlyMap<string, number>): string =>
          [...counts]
            .sort()
            .map(([name, times]) => `${name} ${times}`)
            .join(", ");
        process.stderr.write(`  ${told.sequences} sequences, ${told.steps} steps: ${counted(told.kinds)}\n`);
        process.stderr.write(`  refusals and what midnights did: ${counted(told.refusals)}\n`);
      },
      120_000 + runs * 5_000,
    );
  }
});
