/**
 * Disks change what was written to them. Thousands of random injuries to the files of blobs and to the database of
 * rows: whatever is asked for afterwards is answered with the bytes that were stored, or with an error, a cut
 * connection or the end of the process, and never with others. `COSBOX_ROT_INJURIES` and `SEED` set how many and which.
 */

import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, it } from "vitest";
import { SEED } from "../fuzz/chance.ts";
import type { Round, Say } from "./rotting-process.ts";
import { BLOBS_AT_ONCE, type Contents, fillStore, type Tally } from "./rotting-store.ts";

const INJURIES = Number(process.env["COSBOX_ROT_INJURIES"] ?? 2_000);
/** One injury of ten is to the database: each takes a round of its own, and some end the process. */
const ROUNDS: Readonly<Record<Round["target"], number>> = {
  rows: Math.ceil(INJURIES / 10),
  blobs: Math.ceil((INJURIES * 9) / 10 / BLOBS_AT_ONCE),
};
const PROCESSES = 2;
/** A database whose pages point in a circle can keep its reader for ever. */
const ROUND_MS_MAX = 10_000;

/** In memory where the system has such a folder: nothing here asks what a disk keeps. */
const SHARED_MEMORY = "/dev/shm";
const parent = await mkdtemp(join(existsSync(SHARED_MEMORY) ? SHARED_MEMORY : tmpdir(), "cosbox-rot-"));
const children = new Set<ChildProcess>();
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await rm(parent, { recursive: true, force: true });
});

/** What a round came to: its tally, or how its process ended. */
type Outcome = Tally | { readonly injuries: Tally["injuries"]; readonly ended: string };

/** Plays rounds in a process, which is replaced when a round ends it. */
class Player {
  readonly #filled: string;
  readonly #work: string;
  readonly #contents: Contents;
  #child: ChildProcess | undefined;
  /** The end of what the process wrote on stderr. */
  #said = "";

  constructor(filled: string, work: string, contents: Contents) {
    this.#filled = filled;
    this.#work = work;
    this.#contents = contents;
  }

  #start(): ChildProcess {
    const path = fileURLToPath(new URL("rotting-process.ts", import.meta.url));
    const child = fork(path, [this.#filled, this.#work], { execArgv: ["--import", "tsx"], silent: true });
    child.stdout?.resume();
    this.#said = "";
    child.stderr?.on("data", (text: Buffer) => (this.#said = (this.#said + text.toString()).slice(-2_000)));
    children.add(child);
    child.send({ contents: this.#contents });
    return child;
  }

  async play(round: Round): Promise<Outcome> {
    this.#child ??= this.#start();
    const child = this.#child;
    return new Promise<Outcome>((resolve, reject) => {
      let injuries: Tally["injuries"] = [];
      const watchdog = setTimeout(() => child.kill("SIGKILL"), ROUND_MS_MAX);
      const done = (outcome: Outcome): void => {
        clearTimeout(watchdog);
        child.removeAllListeners();
        resolve(outcome);
      };
      child.on("message", (said: Say) => {
        if (said.kind === "injured") ({ injuries } = said);
        else done(said.tally);
      });
      child.once("exit", (code, signal) => {
        children.delete(child);
        this.#child = undefined;
        // Damage may end the process from within the database's code, but never by an error that nobody caught.
        if (signal === null || injuries.length === 0) reject(new Error(`exit ${code ?? signal}: ${this.#said}`));
        else done({ injuries, ended: signal });
      });
      child.send(round, (error) => {
        // An exit that has happened tells more.
        if (error) child.kill("SIGKILL");
      });
    });
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const exit = once(child, "exit");
    child.disconnect();
    await exit;
    children.delete(child);
  }
}

function count<K>(into: Map<K, number>, key: K, more = 1): void {
  into.set(key, (into.get(key) ?? 0) + more);
}

const written = (counts: ReadonlyMap<string, number>): string =>
  [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([what, times]) => `${what} ${times}`)
    .join(", ");

describe("bit rot", () => {
  it.each(["blobs", "rows"] as const)(
    "serves no wrong byte after injuries to %s",
    async (target) => {
      const filled = join(parent, `filled-${target}`);
      const contents = await fillStore(filled);
      const rounds = Array.from({ length: ROUNDS[target] }, (_, number) => ({
        number,
        seed: (SEED + number * 2 + (target === "rows" ? 1 : 0)) | 0,
        target,
      })).values();
      const answers = new Map<string, number>();
      const kinds = new Map<string, number>();
      const ends = new Map<string, number>();
      const wrong: string[] = [];
      const past: string[] = [];
      let noticed = 0;

      await Promise.all(
        Array.from({ length: PROCESSES }, async (_, at) => {
          const player = new Player(filled, join(parent, `${target}-${at}`), contents);
          for (const round of rounds) {
            const outcome = await player.play(round);
            for (const injury of outcome.injuries) count(kinds, injury);
            const where = `round ${round.number} (${outcome.injuries.join(", ")})`;
            if ("ended" in outcome) {
              count(ends, outcome.ended);
              noticed += 1;
              continue;
            }
            for (const name of ["right", "refused", "absent", "unopened", "listedShort"] as const) {
              count(answers, name, outcome[name]);
            }
            if (outcome.refused + outcome.unopened > 0) noticed += 1;
            wrong.push(...outcome.wrong.map((what) => `${where}: ${what}`));
            past.push(...outcome.past.map((what) => `${where}: ${what}`));
          }
          await player.stop();
        }),
      );
      process.stderr.write(
        `bit rot of ${target}: SEED=${SEED} COSBOX_ROT_INJURIES=${INJURIES}: ${written(kinds)}\n` +
          `  answers: ${written(answers)}, of the past ${past.length}, wrong ${wrong.length}; ` +
          `process ended: ${written(ends) || "never"}; ${noticed} of ${ROUNDS[target]} rounds met an error\n`,
      );
      assert.deepEqual(wrong, [], `SEED=${SEED}`);
      // A page of the database as it was a moment ago is whole in itself, rows, sums and all; nothing tells its age.
      const unexplained = past.filter((what) => target === "blobs" || !what.includes("an older block"));
      assert.deepEqual(unexplained, [], `SEED=${SEED}`);
      assert.ok(noticed > 0, "the injuries reach what is read");
    },
    60_000 + INJURIES * 60,
  );
});
