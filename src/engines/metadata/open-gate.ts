/**
 * Lets a process open the database while nobody commits to it.
 *
 * When a process opens a database, LMDB (as lmdb 3.5.6 has it: `mdb_env_open2`) sets the number of the newest transaction, which all
 * processes share, to the one that it has read from the file a moment before. What another process has committed in that moment would
 * be invisible from then on, and the next commit would be written over it. So everybody who commits leaves a file that says so;
 * whoever opens asks them to pause, waits until each has answered, and opens. No lock of LMDB is held meanwhile: opening for
 * writing takes it.
 *
 * The files are in the folder `gate` beside the database. Each of the first three says who made it and is touched every second, and
 * counts for nothing when its process has died:
 *
 *     lock-<n>              one process opens at a time: see folder-lock.ts
 *     commits-<pid>-<n>     a process that commits
 *     opening-<pid>-<n>     the one that opens, and asks those who commit to pause
 *     <opening>.<commits>   the answer: it has paused
 */

import { type FSWatcher, watch } from "node:fs";
import { access, mkdir, readdir, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { FolderLocked, type FolderLock, isProcessAlive, lockFolder, readProcess, signProcess } from "../folder-lock.ts";

/** How long those who commit are asked at a time, ms. Then they go on, and are asked again. */
const ASK_MS_MAX = 1_000;
/** Between two times, ms. */
const ASK_AGAIN_MS = 100;
/** How long all of it may take by default, ms. A process that answers nothing for so long is stopped, or hangs. */
const OPEN_MS_MAX = 20_000;
/** How long a process pauses at most, ms: for one that is stopped while it opens. Longer than anybody is asked. */
const PAUSE_MS_MAX = 5_000;
/** Between two looks for what others have written, ms. */
const LOOK_MS = 2;
/** Between two looks at whether the others live, ms. */
const LIFE_LOOK_MS = 50;
/** Between two looks for somebody who opens, of which the system has told nothing, ms. */
const UNTOLD_LOOK_MS = 500;
/** Milliseconds without a heartbeat after which a process that cannot be looked at counts as dead. */
const DEAD_AFTER_MS = 5_000;

const COMMITS = /^commits-[0-9]+-[0-9]+$/;
const OPENING = /^opening-[0-9]+-[0-9]+$/;

/** What makes two files of one process different ones. */
let files = 0;

/** Raised when a process that commits does not pause. The message names it. */
export class GateShut extends Error {
  constructor(who: string) {
    super(`${who} has it open and does not answer; wait until that process goes on, or stop it, and try again`);
    this.name = "GateShut";
  }
}

/** What a process that commits shows the others. */
export interface Committer {
  /** Runs one transaction while no other process opens the database. One at a time. */
  run<T>(transaction: () => Promise<T>): Promise<T>;
  /** No transaction follows. */
  leave(): Promise<void>;
}

function gateOf(folder: string): string {
  return join(folder, "gate");
}

/** Forgets who has committed in `folder`, for whoever knows that none of them lives: it may take seconds to find that out. */
export async function forgetCommitters(folder: string): Promise<void> {
  const gate = gateOf(folder);
  for (const name of await namesIn(gate, COMMITS)) await removed(join(gate, name));
}

/**
 * Runs `open` while no process commits to the database in `folder`; none begins to before the result of `open` has resolved.
 * Where nothing can be written there, nobody can be asked, and it runs where there is nobody to ask.
 * @throws GateShut, and what `open` does.
 */
export async function whileNobodyCommits<T>(
  folder: string,
  open: () => T | Promise<T>,
  openMsMax = OPEN_MS_MAX,
): Promise<T> {
  const gate = gateOf(folder);
  const end = performance.now() + openMsMax;
  let lock: FolderLock | undefined;
  try {
    lock = await lockGate(gate, end);
  } catch (error) {
    if (error instanceof GateShut || (await committersIn(gate)).length > 0) throw error;
  }
  try {
    for (;;) {
      const committers = await committersIn(gate);
      if (committers.length === 0) return await open();
      const opening = join(gate, `opening-${process.pid}-${files++}`);
      const asked = await signProcess(opening);
      try {
        const silent = await unpaused(opening, committers);
        if (silent === undefined) return await open();
        if (performance.now() > end) throw new GateShut(await nameOf(join(gate, silent)));
      } finally {
        await asked.release();
      }
      await sleep(ASK_AGAIN_MS);
    }
  } finally {
    await lock?.release();
  }
}

/** Waits for its turn until `end`, on the process's own clock. */
async function lockGate(gate: string, end: number): Promise<FolderLock> {
  for (;;) {
    try {
      return await lockFolder(gate);
    } catch (error) {
      if (!(error instanceof FolderLocked)) throw error;
      if (performance.now() > end) throw new GateShut(`process ${error.pid}`);
      await sleep(LOOK_MS);
    }
  }
}

/** Waits until each of those who commit has answered; the first that has not in time, if there is one. */
async function unpaused(opening: string, committers: readonly string[]): Promise<string | undefined> {
  const end = performance.now() + ASK_MS_MAX;
  let left = committers;
  for (let lifeLook = performance.now() + LIFE_LOOK_MS; ; ) {
    left = await filtered(left, async (name) => !(await isThere(`${opening}.${name}`)));
    const now = performance.now();
    // Somebody who was asked long ago may have gone on by now.
    if (now > end) return left[0] ?? committers[0];
    if (left.length === 0) return undefined;
    if (now > lifeLook) {
      const gate = join(opening, "..");
      left = await filtered(left, (name) => isLiving(join(gate, name)));
      lifeLook = performance.now() + LIFE_LOOK_MS;
    }
    await sleep(LOOK_MS);
  }
}

/**
 * Makes this process known as one that commits to the database in `folder`, until it leaves. To be called while nobody else opens
 * it.
 */
export async function joinCommitters(folder: string): Promise<Committer> {
  const gate = gateOf(folder);
  await mkdir(gate, { recursive: true, mode: 0o700 });
  const own = `commits-${process.pid}-${files++}`;
  const mark = await signProcess(join(gate, own));
  let underWay: Promise<unknown> | undefined;
  let hasLeft = false;
  /** Resolves when this process may go on; undefined while it may. */
  let pause: Promise<void> | undefined;

  /** Pauses for whoever opens, until he has, or has died. */
  async function pauseFor(opening: string): Promise<void> {
    const end = performance.now() + PAUSE_MS_MAX;
    const answer = `${opening}.${own}`;
    await underWay?.catch(() => undefined);
    await writeFile(answer, "", { mode: 0o600 });
    let lifeLook = performance.now() + LIFE_LOOK_MS;
    while (!hasLeft && performance.now() < end && (await isThere(opening))) {
      await sleep(LOOK_MS);
      if (performance.now() < lifeLook) continue;
      if (!(await isLiving(opening))) break;
      lifeLook = performance.now() + LIFE_LOOK_MS;
    }
    await removed(answer);
  }

  /** Those for whom this process has paused, and who are not to be asked for again. */
  let known: readonly string[] = [];
  let looking: Promise<void> | undefined;
  let isLookDue = false;
  async function look(): Promise<void> {
    const names = await namesIn(gate, OPENING);
    known = known.filter((name) => names.includes(name));
    for (const name of names) {
      if (known.includes(name)) continue;
      known = [...known, name];
      const opening = join(gate, name);
      if (!(await isLiving(opening))) continue;
      // A folder that is gone, or a disk that fails: whoever asks finds no answer, and says so.
      const paused = pauseFor(opening).catch(() => undefined);
      pause = paused;
      await paused;
      pause = undefined;
    }
  }
  async function lookWhileDue(): Promise<void> {
    while (isLookDue && !hasLeft) {
      isLookDue = false;
      await look().catch(() => undefined);
    }
    looking = undefined;
  }
  function lookNow(): void {
    isLookDue = true;
    looking ??= lookWhileDue();
  }

  const timer = setInterval(lookNow, UNTOLD_LOOK_MS).unref();
  const watcher = watched(gate, (name) => {
    if (OPENING.test(name)) lookNow();
  });
  return {
    async run(transaction) {
      while (pause !== undefined) await pause;
      const running = transaction();
      underWay = running;
      try {
        return await running;
      } finally {
        underWay = undefined;
      }
    },
    async leave() {
      hasLeft = true;
      clearInterval(timer);
      watcher?.close();
      await mark.release();
      await looking;
    },
  };
}

/** Calls `onName` with the names of files that come or go; systems that cannot tell, or are out of watches, do not. */
function watched(folder: string, onName: (name: string) => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, { persistent: false }, (_, name) => {
      if (name !== null) onName(name);
    });
    return watcher.on("error", () => watcher.close());
  } catch {
    return undefined;
  }
}

/** Those who commit and live. What the dead have left is removed. */
async function committersIn(gate: string): Promise<readonly string[]> {
  return filtered(await namesIn(gate, COMMITS), async (name) => {
    const file = join(gate, name);
    if (await isLiving(file)) return true;
    await removed(file);
    return false;
  });
}

async function namesIn(folder: string, form: RegExp): Promise<readonly string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names.filter((name) => form.test(name));
}

async function filtered(
  names: readonly string[],
  isWanted: (name: string) => Promise<boolean>,
): Promise<readonly string[]> {
  const wanted = await Promise.all(names.map(isWanted));
  return names.filter((_, at) => wanted[at]);
}

async function isLiving(file: string): Promise<boolean> {
  const named = await readProcess(file);
  return named !== "gone" && (await isProcessAlive(file, named, DEAD_AFTER_MS));
}

async function nameOf(file: string): Promise<string> {
  const named = await readProcess(file);
  return named === undefined || named === "gone" ? "another process" : `process ${named.pid} on ${named.host}`;
}

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

async function removed(file: string): Promise<void> {
  await unlink(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
}
