/**
 * Transactions, written once above the two calls of a metadata engine. They are optimistic: the body runs against what
 * it reads, remembering the version of every row, and the commit holds only if none of them has changed. Otherwise
 * the body runs again, so it must have no effect of its own outside the transaction.
 */

import type { Clock } from "../ports/clock.ts";
import { type MetadataEngine, pointRange, type Range, type Row, type Seen, type Write } from "../ports/metadata.ts";

/** What a body may do. Buffers it hands in must not change until the transaction has ended. */
export interface Transaction {
  /**
   * The value of one row, or undefined where there is none. The row is validated: the transaction counts only if the
   * row is still the same at its end. A second read gives what the first gave, or what was written since.
   */
  get(key: Buffer): Promise<Buffer | undefined>;
  /** The same for several rows, in the order asked; those not read before come from one snapshot. */
  getMany(keys: readonly Buffer[]): Promise<readonly (Buffer | undefined)[]>;
  /**
   * Rows of a range as they are stored, without this transaction's own writes. They are not validated. Whoever depends
   * on them first reads, with `get`, a guard row that everyone who adds to the range sees and changes.
   */
  peek(range: Range): Promise<readonly Row[]>;
  set(key: Buffer, value: Buffer): void;
  delete(key: Buffer): void;
}

/**
 * Runs `body` until what it read and wrote counts as one step, and resolves to what it returned.
 *
 * Bodies of this process that name a common key in `queueOn` run one after the other, in the order they came: naming
 * the rows a body is going to change spares it most re-runs. A body must not start a transaction and wait for it.
 *
 * An error the body throws is thrown on, its writes forgotten, but only if what the body had read is consistent: a
 * refusal must not rest on two moments that never were one.
 * @throws TransactionContended when the rows kept changing.
 * @throws the engine's error when a commit failed; its outcome is unknown, so the body is not run again.
 */
export interface Transact {
  <T>(queueOn: readonly Buffer[], body: (tx: Transaction) => Promise<T>): Promise<T>;
}

export interface TransactOptions {
  /** Runs of one body before it is given up as contended; at least 1, by default 100. */
  readonly runsMax?: number;
  /** Told when a body begins (1) and ends (-1) to wait for those ahead of it. */
  readonly onQueue?: (change: 1 | -1) => void;
}

/** Raised when every permitted run of a body met rows that had changed meanwhile. Nothing was written. */
export class TransactionContended extends Error {
  constructor(runs: number) {
    super(`the rows of a transaction changed during each of its ${runs} runs`);
    this.name = "TransactionContended";
  }
}

const RUNS_MAX = 100;
/** Runs that follow each other at once; most conflicts are over by the first of them. */
const RUNS_WITHOUT_PAUSE = 5;
/** Longest pause between two runs, in monotonic milliseconds. It grows by one with each run until then. */
const PAUSE_MS_MAX = 10;

/** Transactions on `engine`; `clock` paces re-runs. Queues are per call of this function: make one per process. */
export function transactions(engine: MetadataEngine, clock: Clock, options: TransactOptions = {}): Transact {
  const runsMax = options.runsMax ?? RUNS_MAX;
  const queue = keyQueue();

  async function runs<T>(body: (tx: Transaction) => Promise<T>): Promise<T> {
    for (let run = 1; run <= runsMax; run++) {
      const result = await runOnce(engine, body);
      if (result.counts) return result.value;
      if (run > RUNS_WITHOUT_PAUSE) await pause(clock, Math.min(run - RUNS_WITHOUT_PAUSE, PAUSE_MS_MAX));
    }
    throw new TransactionContended(runsMax);
  }

  return async (queueOn, body) => {
    const turn = queue(queueOn);
    try {
      if (turn.ahead !== undefined) {
        options.onQueue?.(1);
        await turn.ahead;
        options.onQueue?.(-1);
      }
      return await runs(body);
    } finally {
      turn.end();
    }
  };
}

type RunResult<T> = { readonly counts: true; readonly value: T } | { readonly counts: false };

/** Runs the body once. It throws what the body threw, if that counts, and what a failed commit threw. */
async function runOnce<T>(engine: MetadataEngine, body: (tx: Transaction) => Promise<T>): Promise<RunResult<T>> {
  const run = newRun(engine);
  let value: T;
  try {
    value = await body(run.tx);
  } catch (error) {
    run.end();
    if (run.snapshots() < 2 || (await isCurrent(engine, run.seen()))) throw error;
    return { counts: false };
  }
  run.end();
  const writes = run.writes();
  if (writes.length > 0) {
    return (await engine.commit(run.seen(), writes)) ? { counts: true, value } : { counts: false };
  }
  if (run.snapshots() < 2 || (await isCurrent(engine, run.seen()))) return { counts: true, value };
  return { counts: false };
}

interface Run {
  readonly tx: Transaction;
  end(): void;
  /** How many snapshots the body has looked at. */
  snapshots(): number;
  seen(): Seen[];
  writes(): Write[];
}

/** The reads and writes of one run, kept by the key's latin1 text, which is unique for its bytes. */
function newRun(engine: MetadataEngine): Run {
  const seen = new Map<string, Seen & { readonly value: Buffer | undefined }>();
  const writes = new Map<string, Write>();
  let snapshots = 0;
  let ended = false;

  function checkRunning(): void {
    if (ended) throw new Error("the transaction has ended; every step of a body must be waited for in it");
  }

  async function look(ranges: readonly Range[]): Promise<readonly (readonly Row[])[]> {
    checkRunning();
    snapshots += 1;
    const found = await engine.read(ranges);
    checkRunning();
    return found;
  }

  async function get(key: Buffer): Promise<Buffer | undefined> {
    checkRunning();
    const name = key.toString("latin1");
    const written = writes.get(name);
    if (written !== undefined) return written.value;
    let row = seen.get(name);
    if (row === undefined) {
      const found = (await look([pointRange(key)]))[0]?.[0];
      // Two reads of one row may have been under way at once; the one that came back first is what was read.
      row = seen.get(name) ?? { key, version: found?.version, value: found?.value };
      seen.set(name, row);
    }
    const since = writes.get(name);
    return since === undefined ? row.value : since.value;
  }

  async function getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    checkRunning();
    const names = keys.map((key) => key.toString("latin1"));
    const missing = keys.filter((_, at) => !writes.has(names[at] as string) && !seen.has(names[at] as string));
    if (missing.length > 0) {
      const found = await look(missing.map(pointRange));
      for (const [at, key] of missing.entries()) {
        const name = key.toString("latin1");
        const row = found[at]?.[0];
        // Two reads of one row may have been under way at once; the one that came back first is what was read.
        if (!seen.has(name)) seen.set(name, { key, version: row?.version, value: row?.value });
      }
    }
    return names.map((name) => {
      const written = writes.get(name);
      return written === undefined ? seen.get(name)?.value : written.value;
    });
  }

  function write(key: Buffer, value: Buffer | undefined): void {
    checkRunning();
    writes.set(key.toString("latin1"), { key, value });
  }

  return {
    tx: {
      get,
      getMany,
      peek: async (range) => (await look([range]))[0] ?? [],
      set: (key, value) => write(key, value),
      delete: (key) => write(key, undefined),
    },
    end() {
      ended = true;
    },
    snapshots: () => snapshots,
    seen: () => Array.from(seen.values(), ({ key, version }) => ({ key, version })),
    writes: () => [...writes.values()],
  };
}

/** Whether every row still has the version it was seen at, all in one snapshot. */
async function isCurrent(engine: MetadataEngine, seen: readonly Seen[]): Promise<boolean> {
  const rows = await engine.read(seen.map(({ key }) => pointRange(key)));
  return seen.every(({ version }, at) => rows[at]?.[0]?.version === version);
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

interface Turn {
  /** Settles when everyone ahead has ended; undefined when nobody is ahead. */
  readonly ahead: Promise<unknown> | undefined;
  end(): void;
}

/**
 * A queue for each key. Whoever comes joins the queues of all its keys in one step, so that of any two that wait for
 * each other's keys one came first in every queue they share: there is no circle to wait in.
 */
function keyQueue(): (keys: readonly Buffer[]) => Turn {
  const last = new Map<string, Promise<void>>();

  return (keys) => {
    const names = new Set(keys.map((key) => key.toString("latin1")));
    const ahead: Promise<void>[] = [];
    let release: () => void = () => {};
    const ended = new Promise<void>((resolve) => {
      release = resolve;
    });
    for (const name of names) {
      const previous = last.get(name);
      if (previous !== undefined) ahead.push(previous);
      last.set(name, ended);
    }
    return {
      ahead: ahead.length === 0 ? undefined : Promise.all(ahead),
      end() {
        for (const name of names) if (last.get(name) === ended) last.delete(name);
        release();
      },
    };
  };
}
