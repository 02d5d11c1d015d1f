/**
 * Files that say which process made them, and whether that one lives.
 *
 * It is told exactly by its process id, the time that process was started and the boot it belongs to. Where these say nothing
 * (another container, another machine, a system without /proc), by its heartbeat: a process touches its files every second.
 */
import { chown, readFile, readlink, stat, unlink, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";

/** What such a file says. */
export interface Holder {
  readonly pid: number;
  readonly host: string;
  /** Changes with each boot of the machine; empty where it cannot be told. */
  readonly boot: string;
  /** Which numbering of processes `pid` belongs to: containers have their own. Empty where it cannot be told. */
  readonly pidSpace: string;
  /** When the process was started, in ticks since boot; empty where it cannot be told. */
  readonly started: string;
  /** True when the holder of a lock has left. */
  readonly released: boolean;
}

/** Milliseconds between two heartbeats, and without one after which a process that cannot be looked at counts as dead. */
export const BEAT_MS = 1_000;
export const DEAD_AFTER_MS = 5_000;

/** A file that names this process. */
export interface SignedFile {
  /** Removes it. Does not throw: one that stays counts for nothing when this process has ended. */
  release(): Promise<void>;
}

/**
 * Makes a file that names this process, or writes over it, and touches it every so often until it is released.
 * @throws what the system says of the file; then there is none.
 */
export async function signProcess(file: string): Promise<SignedFile> {
  try {
    await writeFile(file, JSON.stringify(await processHere()), { mode: 0o600 });
    await giveToOwner(file);
  } catch (error) {
    await unlink(file).catch(() => undefined);
    throw error;
  }
  const stopBeating = beatOn(file, BEAT_MS);
  return {
    async release() {
      stopBeating();
      await unlink(file).catch(() => undefined);
    },
  };
}

/** Touches the file every so often. The result ends it. */
export function beatOn(file: string, beatMs: number): () => void {
  const beat = setInterval(() => {
    const now = new Date();
    // A beat that fails is made up for by the next; a folder that is gone has nothing left to guard.
    utimes(file, now, now).catch(() => {});
  }, beatMs);
  beat.unref();
  return () => clearInterval(beat);
}

/** What the system's administrator makes in somebody's folder becomes theirs: their server has to read it. */
export async function giveToOwner(file: string): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = await stat(dirname(file));
  if (uid !== 0) await chown(file, uid, gid);
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

/** Whether the holder lives, watching for its heartbeat where it cannot be looked at. */
export async function isAlive(file: string, holder: Holder, self: Holder, deadAfterMs: number): Promise<boolean> {
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
export async function processHere(): Promise<Holder> {
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

/** For `catch`: a file that is gone is no fault. */
export function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
