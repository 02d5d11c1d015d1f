/**
 * How much a crash test does, and with which seed. `SEED=<number>` repeats a plan (the moments at which things happen
 * are the machine's own), `COSBOX_CRASH_ROUNDS=<count>` sets the rounds of every test that has rounds, and
 * `COSBOX_CRASH_MINUTES=<minutes>` how long each of them may take.
 */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { seededRandom } from "../../src/engines/random/seeded.ts";

export interface Chance {
  /** A whole number from 0 to `count - 1`. */
  below(count: number): number;
  /** True once in `of` times. */
  once(of: number): boolean;
  pick<T>(items: readonly T[]): T;
}

export const SEED = Number(process.env["SEED"] ?? randomInt(2 ** 31));

/** Chance of its own for everything that has a name, so that one thing's draws do not move another's. */
export function chanceOf(name: string): Chance {
  let seed = SEED | 0;
  for (const character of name) seed = (Math.imul(seed, 31) + (character.codePointAt(0) ?? 0)) | 0;
  const random = seededRandom(seed);
  const below = (count: number): number => (count < 1 ? 0 : random.bytes(4).readUInt32LE() % count);
  return {
    below,
    once: (of) => below(of) === 0,
    pick: <T>(items: readonly T[]): T => items[below(items.length)] as T,
  };
}

export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

export interface Rounds {
  readonly planned: number;
  /** How long vitest is to give the test, ms. */
  readonly timeoutMs: number;
  /**
   * Runs `round` until the plan is done or its time is over. Too few rounds fail, so that a slow machine cannot pass
   * by testing nothing. Ends with a line that says how many were done.
   */
  run(round: (number: number) => Promise<void>): Promise<void>;
}

/** A plan of so many rounds in so many minutes, unless the environment sets others. */
export function rounds(name: string, everyday: number, minutes: number): Rounds {
  const planned = Number(process.env["COSBOX_CRASH_ROUNDS"] ?? everyday);
  const limitMs = Number(process.env["COSBOX_CRASH_MINUTES"] ?? minutes) * 60_000;
  return {
    planned,
    timeoutMs: limitMs + 60_000,
    async run(round) {
      say(`${name}: SEED=${SEED} COSBOX_CRASH_ROUNDS=${planned}`);
      const started = performance.now();
      let done = 0;
      while (done < planned && performance.now() - started < limitMs) {
        try {
          await round(done);
        } catch (error) {
          throw new Error(`${name}: round ${done}, SEED=${SEED}: ${(error as Error).message}`, { cause: error });
        }
        done += 1;
      }
      const seconds = ((performance.now() - started) / 1000).toFixed(0);
      say(`${name}: ${done} of ${planned} rounds in ${seconds} s, SEED=${SEED}`);
      assert.ok(done >= planned * 0.7, `only ${done} of ${planned} rounds in ${seconds} s`);
    },
  };
}
