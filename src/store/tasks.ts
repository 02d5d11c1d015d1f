/**
 * Tasks in the background that one process at a time does. A row says which, and how far it has come. Whoever has the
 * task names that row in every transaction that belongs to it: when another process takes the task over, because the
 * first one seems to be dead, nothing that the first one still tries can be stored.
 */
import { type MetadataEngine, pointRange } from "../ports/metadata.ts";
import { taskKey } from "./keys.ts";
import { decodeTask, encodeTask, type TaskRecord } from "./records.ts";
import type { Transact, Transaction } from "./transact.ts";

/** Raised in the transactions of a process that does not have its task any more. Nothing was written. */
export class LeaseLost extends Error {
  constructor(name: string) {
    super(`another process has taken over the task ${name}`);
    this.name = "LeaseLost";
  }
}

/** The right of this process to do a task. */
export interface Lease {
  /** As it was saved last; empty for a task that never began. */
  readonly progress: Buffer;
  /** Makes a transaction count only while this process has the task. Throws LeaseLost. */
  hold(tx: Transaction): Promise<void>;
  /** Saves how far the task has come. Throws LeaseLost. */
  save(progress: Buffer): Promise<void>;
  /** Gives the task back, with how far it has come where that is told, unless another process has it by now. */
  release(progress?: Buffer): Promise<void>;
}

export interface Tasks {
  /** The row of a task as it is now; undefined for one that never began. */
  find(name: string): Promise<TaskRecord | undefined>;
  /** Takes a task that nobody has, or whose process is dead; undefined while a living process has it. */
  claim(name: string): Promise<Lease | undefined>;
}

export interface TasksOptions {
  readonly metadata: MetadataEngine;
  readonly transact: Transact;
  /** The name of this process. */
  readonly incarnation: string;
  /** Whether the process with this incarnation (16 hex digits) may still be at work. */
  readonly isAlive: (incarnation: string) => Promise<boolean>;
}

export function tasks({ metadata, transact, incarnation, isAlive }: TasksOptions): Tasks {
  async function find(name: string): Promise<TaskRecord | undefined> {
    const [rows] = await metadata.read([pointRange(taskKey(name))]);
    const row = rows?.[0];
    return row && decodeTask(row.value);
  }

  function lease(name: string, fence: number, progress: Buffer): Lease {
    const key = taskKey(name);
    async function hold(tx: Transaction): Promise<void> {
      const value = await tx.get(key);
      const record = value && decodeTask(value);
      if (record?.holder !== incarnation || record.fence !== fence) throw new LeaseLost(name);
    }
    return {
      progress,
      hold,
      async save(next) {
        await transact([key], async (tx) => {
          await hold(tx);
          tx.set(key, encodeTask({ holder: incarnation, fence, progress: next }));
        });
      },
      async release(next) {
        await transact([key], async (tx) => {
          const value = await tx.get(key);
          const record = value && decodeTask(value);
          if (record === undefined || record.holder !== incarnation || record.fence !== fence) return;
          tx.set(key, encodeTask({ ...record, holder: undefined, progress: next ?? record.progress }));
        });
      },
    };
  }

  return {
    find,

    async claim(name) {
      const before = await find(name);
      const holder = before?.holder;
      if (holder !== undefined && holder !== incarnation && (await isAlive(holder))) return undefined;
      const key = taskKey(name);
      return transact([key], async (tx) => {
        const value = await tx.get(key);
        const present = value && decodeTask(value);
        // Somebody else was faster; who that is has to be asked for anew.
        if (present?.fence !== before?.fence || present?.holder !== before?.holder) return undefined;
        const fence = (present?.fence ?? 0) + 1;
        const progress = present?.progress ?? Buffer.alloc(0);
        tx.set(key, encodeTask({ holder: incarnation, fence, progress }));
        return lease(name, fence, progress);
      });
    },
  };
}
