/**
 * Keeps a second server off a data folder.
 *
 * Node has no file locks, so the lock is a chain of numbered files, `lock-1`, `lock-2`, … The file with the greatest
 * number is the lock, and says who holds it. Taking it over from a process that has died means making the next number,
 * which `link` does for one process only. The greatest file is never removed, not even by its owner (it writes into it
 * that it has left), so a slow starter that looked long ago cannot make a number that counts: after making one, everybody
 * looks again whether it is the greatest.
 *
 * Whether the holder lives is told exactly by its process id, the time that process was started and the boot it
 * belongs to. Where these say nothing (another container, another machine, a system without /proc), by its heartbeat:
 * the holder touches its file every second.
 *
 * A server of several processes has one holder. The others leave a file `worker-<pid>` of the same form.
 */
import {
  chown,
  link,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  stat,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";

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

/** What a lock file says: which process made it. */
export interface Holder {
  readonly pid: number;
  readonly host: string;
  /** Changes with each boot of the machine; empty where it cannot be told. */
  readonly boot: string;
  /** Which numbering of processes `pid` belongs to: containers have their own. Empty where it cannot be told. */
  readonly pidSpace: string;
  /** When the process was started, in ticks since boot; empty where it cannot be told. */
  readonly started: string;
  /** True when the holder has left. */
  readonly released: boolean;
}

const BEAT_MS = 1_000;
const DEAD_AFTER_MS = 5_000;
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
export function markWorker(folder: string): Promise<FolderLock> {
  // One that is there is of an earlier process with this number.
  return signProcess(join(folder, `worker-${process.pid}`));
}

/**
 * Makes a file that names this process, or writes over it, and touches it every so often until it is released.
 * @throws what the system says of the file; then there is none.
 */
export async function signProcess(file: string, beatMs = BEAT_MS): Promise<FolderLock> {
  try {
    await writeFile(file, JSON.stringify(await processHere()), { mode: 0o600 });
    await giveToOwner(file);
  } catch (error) {
    await unlink(file).catch(() => undefined);
    throw error;
  }
  const stopBeating = beatOn(file, beatMs);
  let released: Promise<void> | undefined;
  return {
    release() {
      released ??= (async () => {
        stopBeating();
        await unlink(file).catch(ignoreMissing);
      })();
      return released;
    },
  };
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

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
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

/** What the system's administrator makes in somebody's folder becomes theirs: their server has to read it. */
export async function giveToOwner(file: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = await stat(dirname(file));
  if (uid !== 0) await chown(file, uid, gid);
}

let drafts = 0;

function draftName(folder: string): string {
  return join(folder, `.lock-draft-${process.pid}-${process.hrtime.bigint()}-${drafts++}`);
}

/** Touches the file every so often. The result ends it. */
function beatOn(file: string, beatMs: number): () => void {
  const beat = setInterval(() => {
    const now = new Date();
    // A beat that fails is made up for by the next; a folder that is gone has nothing left to guard.
    utimes(file, now, now).catch(() => {});
  }, beatMs);
  beat.unref();
  return () => clearInterval(beat);
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

/** What the file says; undefined when that is nothing sensible (a crash of the machine), "gone" when there is no file. */
export async function readProcess(file: string): Promise<Holder | undefined | "gone"> {
  try {
    const text = await readFile(file, "utf8");
    const { pid, host, boot, pidSpace, started, released } = JSON.parse(text) as Partial<Holder>;
    if (typeof pid !== "number" || typeof host !== "string") return undefined;
    return {
      pid,
      host,
      boot: boot ?? "",
      pidSpace: pidSpace ?? "",
      started: started ?? "",
      released: released === true,
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "gone";
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/**
 * Whether the process that a file names is alive; one that names none counts as alive while it is young, since its
 * maker may not have written it yet.
 */
export async function isProcessAlive(file: string, holder: Holder | undefined, deadAfterMs: number): Promise<boolean> {
  if (holder) return isAlive(file, holder, await processHere(), deadAfterMs);
  const touched = await touchedAt(file);
  return touched !== undefined && Date.now() - touched < deadAfterMs;
}

/**
 * The same, told at once: a process that cannot be looked at from here counts as alive for `deadAfterMs` after it touched its
 * file, and so does one whose file cannot be read, since the system has no files left to open, perhaps. One that names nobody is
 * being written, or was when the machine lost its power.
 */
export async function seemsAlive(file: string, deadAfterMs: number): Promise<boolean> {
  const named = await readProcess(file).catch(() => "unreadable" as const);
  if (named === "gone") return false;
  if (named === undefined) return isYoung(file, DEAD_AFTER_MS);
  const life = named === "unreadable" ? undefined : await lifeHere(named, await processHere());
  return life ?? (await isYoung(file, deadAfterMs));
}

/** Whether the process that a file names has ended, or the file is gone; false where that is not certain. */
export async function hasDied(file: string): Promise<boolean> {
  const named = await readProcess(file).catch(() => undefined);
  return named === "gone" || (named !== undefined && (await lifeHere(named, await processHere())) === false);
}

function isYoung(file: string, ageMs: number): Promise<boolean> {
  return stat(file).then(
    ({ mtimeMs }) => Date.now() - mtimeMs < ageMs,
    (error: NodeJS.ErrnoException) => error.code !== "ENOENT",
  );
}

async function isAlive(file: string, holder: Holder, self: Holder, deadAfterMs: number): Promise<boolean> {
  return (await lifeHere(holder, self)) ?? (await beats(file, deadAfterMs));
}

/** Whether the process lives; undefined where it cannot be looked at from here. */
async function lifeHere(holder: Holder, self: Holder): Promise<boolean | undefined> {
  const sameMachine = holder.host === self.host && holder.boot === self.boot;
  if (!sameMachine || holder.pidSpace !== self.pidSpace) return undefined;
  if (!processExists(holder.pid)) return false;
  if (holder.started === "") return undefined;
  const { started, isOver } = await lifeOf(holder.pid);
  // It has ended a moment ago, or the system does not show it to this user.
  if (started === "") return processExists(holder.pid) ? undefined : false;
  return started === holder.started && !isOver;
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Any other refusal means that there is such a process, which belongs to somebody else.
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** Watches for a heartbeat. One that is long overdue already is not waited for. */
async function beats(file: string, deadAfterMs: number): Promise<boolean> {
  const first = await touchedAt(file);
  if (first === undefined || Date.now() - first > deadAfterMs * 6) return false;
  for (let waited = 0; waited < deadAfterMs; waited += deadAfterMs / 10) {
    await new Promise((resolve) => setTimeout(resolve, deadAfterMs / 10));
    const now = await touchedAt(file);
    if (now === undefined) return false;
    if (now !== first) return true;
  }
  return false;
}

async function touchedAt(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).mtimeMs;
  } catch {
    return undefined;
  }
}

/** What this process writes into a file that names it. */
async function processHere(): Promise<Holder> {
  return {
    pid: process.pid,
    host: hostname(),
    boot: (await readOr("/proc/sys/kernel/random/boot_id")).trim(),
    pidSpace: await readlink("/proc/self/ns/pid").catch(() => ""),
    started: (await lifeOf(process.pid)).started,
    released: false,
  };
}

interface Life {
  /** When the process was started, in ticks since boot; empty where the system does not tell. */
  readonly started: string;
  /** It has ended, and only waits for its parent to hear of it; an init that listens rarely lets it wait for seconds. */
  readonly isOver: boolean;
}

async function lifeOf(pid: number): Promise<Life> {
  const text = await readOr(`/proc/${pid}/stat`);
  // The program's name stands in parentheses and may hold anything. Behind it the first field is the state, the 18th
  // the number of threads, the 20th the start. While a thread is left, it may be in the middle of a write.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return {
    started: fields[19] ?? "",
    isOver: (fields[0] === "Z" || fields[0] === "X") && Number(fields[17]) <= 1,
  };
}

async function readOr(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch {
    return "";
  }
}
