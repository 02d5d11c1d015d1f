/**
 * Random sequences of every operation, restarts among them, against the model in model.ts: each answer is what the model
 * says, and when the collector has come to rest the store holds the rows and blobs that the model's contents need, and
 * no others. `COSBOX_MODEL_RUNS` sets how many sequences each engine gets, `SEED` which.
 */

import assert from "node:assert/strict";
import { Readable } from "node:stream";
import fc from "fast-check";
import { describe, it, onTestFinished } from "vitest";
import { familyRange, inlineKey, referenceKey } from "../../src/store/keys.ts";
import { type Cleanup, DISKS, type Engines, memoryDisk } from "../contract/store-fixture.ts";
import { SEED } from "../fuzz/chance.ts";
import { BUCKETS, KEYS, Model, type Step } from "./model.ts";
import { expectExactly, modelled } from "./modelled-server.ts";

const RUNS: Readonly<Record<string, number>> = { memory: 100, "LMDB and local files": 30 };
const runsOf = (engine: string): number => Number(process.env["COSBOX_MODEL_RUNS"] ?? RUNS[engine] ?? 50);
const STEPS_MAX = 60;
const EMPTY = Buffer.alloc(0);

/** Around the bound of small bodies (64 here), and above a block of 64 KiB. */
const length = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(0, 1, 7, 8, 20, 63, 64, 65, 200) },
  { weight: 1, arbitrary: fc.constantFrom(5_000, 65_536, 65_537, 140_000) },
);
const seed = fc.nat(30);
const content = fc.record({ length, seed });
const bucket = fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(1) });
const name = { bucket, key: fc.nat(KEYS.length - 1) };
const from = fc.record(name);
/** Which version of a key; most keys have few. */
const nth = fc.nat(3);
const note = fc.option(fc.constantFrom("one", "two words"), { nil: undefined });
const upload = fc.nat(5);
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

const steps: readonly (readonly [weight: number, step: fc.Arbitrary<Step>])[] = [
  [8, fc.record({ kind: kind("put"), ...name, content, note })],
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
  [
    4,
    fc.record({ kind: kind("copy"), ...name, from, nth: fc.option(nth, { nil: undefined }), replaced: fc.boolean() }),
  ],
  [6, fc.record({ kind: kind("append"), ...name, content, off: fc.constantFrom(0, 0, 0, 0, 1, 7) })],
  [
    2,
    fc.record({
      kind: kind("appendMany"),
      ...name,
      lengths: fc.array(fc.constantFrom(1, 10, 60, 65), { minLength: 2, maxLength: 45 }),
      seed,
    }),
  ],
  [4, fc.record({ kind: kind("initiate"), ...name, note })],
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
  [2, fc.record({ kind: kind("restart"), clean: fc.boolean() })],
];

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
  async run(model: Model, real: Real): Promise<void> {
    await real.play(model, this.#step);
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
      const [model, real] = [new Model(), await modelled(memoryDisk(), onTestFinished)];
      for (const [key, length] of [10, 1_000].entries()) {
        await real.play(model, { kind: "put", bucket: 0, key, content: { length, seed: 1 } });
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
    const runs = runsOf(engine);
    it(
      `answers as the model does, and keeps nothing else, on ${engine}`,
      async () => {
        process.stderr.write(`model on ${engine}: SEED=${SEED} COSBOX_MODEL_RUNS=${runs}\n`);
        const told = { sequences: 0, steps: 0, kinds: new Map<string, number>() };
        const commands = fc.commands(
          [fc.oneof(...steps.map(([weight, arbitrary]) => ({ weight, arbitrary }))).map((step) => new Command(step))],
          { maxCommands: STEPS_MAX, size: "max" },
        );
        await fc.assert(
          fc.asyncProperty(commands, async (sequence) => {
            const tasks: (() => Promise<void>)[] = [];
            const cleanup: Cleanup = (task) => void tasks.push(task);
            try {
              const real = await modelled(await make(cleanup), cleanup);
              const model = new Model();
              await fc.asyncModelRun(() => ({ model, real }), sequence);
              await real.walk(model);
              await expectExactly(model, real.engines());
              told.sequences += 1;
              for (const [step, times] of real.played) {
                told.steps += times;
                told.kinds.set(step, (told.kinds.get(step) ?? 0) + times);
              }
            } finally {
              for (const task of tasks.reverse()) await task();
            }
          }),
          { numRuns: runs, seed: SEED },
        );
        const kinds = [...told.kinds].sort().map(([step, times]) => `${step} ${times}`);
        process.stderr.write(`  ${told.sequences} sequences, ${told.steps} steps: ${kinds.join(", ")}\n`);
      },
      60_000 + runs * 1_000,
    );
  }
});
