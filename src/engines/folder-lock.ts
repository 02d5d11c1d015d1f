/**
 * Keeps a second server off a data folder.
 *
 * Node has no file locks, so the lock is a chain of numbered files, `lock-1`, `lock-2`, … The file with the greatest
 * number is the lock, and says who holds it. Taking it over from a process that has died means making the next number,
 * which `link` does for one process only. The greatest file is never removed, not even by its owner (it writes into it
 * that it has left), so a slow starter that looked long ago cannot make a number that counts: after making one, everybody
 * looks again whether it is the greatest.
 *
 * Whether the holder lives: see process-file.ts.
 *
 * A server of several processes has one holder. The others leave a file `worker-<pid>` of the same form.
 */
import { link, mkdir, readdir, rename, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  BEAT_MS,
  beatOn,
  DEAD_AFTER_MS,
  giveToOwner,
  type Holder,
  ignoreMissing,
  isAlive,
  isProcessAlive,
  processHere,
  readProcess,
  type SignedFile,
  signProcess,
} from "./process-file.ts";

/** Raised when another process uses the folder. The message names the process and the mend. */
export class FolderLocked extends Error {
  /** Process id of the holder, in its own numbering. */
  readonly pid: number;
  constructor(folder: string, holder: Holder, file: string) {
    super(
      `the data folder ${folder} is in use by another server (process ${holder.pid} on ${holder.host}): ` +
        `stop that one or choose another folder with --data; if no such process exists, remove ${file}`,
    );
    this.name = "FolderLocked";
    this.pid = holder.pid;
  }
}

export interface FolderLock {
  /** Gives the folder back. Later calls do nothing, but for one that follows a failure. */
  release(): Promise<void>;
}

export interface LockTiming {
  /** Milliseconds between two heartbeats. */
  readonly beatMs?: number;
  /** Milliseconds without a heartbeat after which a holder that cannot be looked at counts as dead. */
  readonly deadAfterMs?: number;
}

/** Between two looks at a worker that is about to end. */
const WORKER_LOOK_MS = 50;
/** Attempts to make a number of one's own; each failed one means that somebody else has just made theirs. */
const ATTEMPTS_MAX = 20;

/**
 * Locks `folder` for this process, making the folder when there is none. A lock whose holder has died is taken over.
 * @throws FolderLocked when another process, or another lock of this one, holds it.
 */
export async function lockFolder(folder: string, timing: LockTiming = {}): Promise<FolderLock> {
  const { beatMs = BEAT_MS, deadAfterMs = DEAD_AFTER_MS } = timing;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const self = await processHere();
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const greatest = await greatestNumber(folder);
    if (greatest > 0) {
      const file = join(folder, lockName(greatest));
      const holder = await readProcess(file);
      if (holder === "gone") continue;
      if (holder && !holder.released && (await isAlive(file, holder, self, deadAfterMs))) {
        throw new FolderLocked(folder, holder, file);
      }
    }
    const file = await claim(folder, greatest + 1, self);
    if (file === undefined) continue;
    if ((await greatestNumber(folder)) !== greatest + 1) {
      await unlink(file);
      continue;
    }
    await forgetOlder(folder, greatest);
    const lock = held(folder, file, self, beatMs);
    try {
      await workersGone(folder, deadAfterMs);
    } catch (error) {
      await lock.release();
      throw error;
    }
    return lock;
  }
  throw new Error(`the data folder ${folder} could not be locked: other servers keep starting on it`);
}

const WORKER_NAME = /^worker-[0-9]+$/;

/**
 * Says in `folder` that this process works there for the one that holds the lock, until it is released. A process that
 * has lost its first process ends at once, but if that one died while this one was busy, somebody else could lock the
 * folder before: whoever locks it waits for the end of every process that says so.
 */
export function markWorker(folder: string): Promise<SignedFile> {
  // One that is there is of an earlier process with this number.
  return signProcess(join(folder, `worker-${process.pid}`));
}

/** Waits until no worker of an earlier holder is alive, and removes what they said. */
async function workersGone(folder: string, waitMs: number): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!WORKER_NAME.test(name)) continue;
    const file = join(folder, name);
    for (let waited = 0; ; waited += WORKER_LOOK_MS) {
      const worker = await readProcess(file);
      if (worker === "gone" || !(await isProcessAlive(file, worker, waitMs))) break;
      if (waited >= waitMs && worker) throw new FolderLocked(folder, worker, file);
      await new Promise((resolve) => setTimeout(resolve, WORKER_LOOK_MS));
    }
    await unlink(file).catch(ignoreMissing);
  }
}

function lockName(number: number): string {
  return `lock-${number}`;
}

async function lockNumbers(folder: string): Promise<number[]> {
  const names = await readdir(folder);
  return names.filter((name) => /^lock-[1-9][0-9]{0,14}$/.test(name)).map((name) => Number(name.slice(5)));
}

async function greatestNumber(folder: string): Promise<number> {
  return Math.max(0, ...(await lockNumbers(folder)));
}

/** Files of holders before the last one. The last but one stays, for a reader that lists the folder right now. */
async function forgetOlder(folder: string, previous: number): Promise<void> {
  for (const number of await lockNumbers(folder)) {
    if (number < previous) await unlink(join(folder, lockName(number))).catch(ignoreMissing);
  }
}

/** Makes the lock file whole and at once; undefined when somebody else has made this number. */
async function claim(folder: string, number: number, self: Holder): Promise<string | undefined> {
  const file = join(folder, lockName(number));
  const draft = draftName(folder);
  try {
    await writeFile(draft, JSON.stringify(self), { mode: 0o600, flag: "wx" });
    await giveToOwner(draft);
    await link(draft, file);
    return file;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined;
    throw error;
  } finally {
    await unlink(draft).catch(ignoreMissing);
  }
}

let drafts = 0;

function draftName(folder: string): string {
  return join(folder, `.lock-draft-${process.pid}-${process.hrtime.bigint()}-${drafts++}`);
}

function held(folder: string, file: string, self: Holder, beatMs: number): FolderLock {
  const stopBeating = beatOn(file, beatMs);
  let released: Promise<void> | undefined;
  return {
    release() {
      released ??= (async () => {
        stopBeating();
        const draft = draftName(folder);
        await writeFile(draft, JSON.stringify({ ...self, released: true }), { mode: 0o600 });
        await giveToOwner(draft);
        await rename(draft, file);
      })().catch((error: unknown) => {
        released = undefined;
        throw error;
      });
      return released;
    },
  };
}
