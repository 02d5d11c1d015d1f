/**
 * Lets a process open the database while nobody commits to it.
 *
 * When a process opens a database, LMDB (as lmdb 3.5.6 has it: `mdb_env_open2`) sets the number of the newest transaction,
 * which all processes share, to the one that it has read from the file a moment before. What another process has committed
 * in that moment would be invisible from then on, and the next commit would be written over it. So everybody who commits
 * leaves a file that says so; whoever opens asks them to pause, waits until each has answered, and opens. No lock of LMDB is
 * held meanwhile: opening for writing takes it.
 *
 * The files are in the folder `gate` beside the database:
 *
 *     lock-<n>               one process opens at a time: see folder-lock.ts
 *     commits-<place>-<id>   a process that commits; `place` is the folder's inode, so that nobody commits to a copy
 *     opening-<id>           the one that opens, and asks those who commit to pause
 *     <opening>.<commits>    the answer to it: no transaction is under way, and none begins
 *
 * The first three say which process made them, which touches them every second; they count for nothing when it has died. No
 * name comes twice, so an answer that is left behind answers nobody.
 */

import { type FSWatcher, watch } from "node:fs";
import { access, mkdir, readdir, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { FolderLocked, type FolderLock, lockFolder } from "../folder-lock.ts";
import { giveToOwner, hasDied, ignoreMissing, readProcess, seemsAlive, signProcess } from "../process-file.ts";

/**
 * How long those who commit are asked at a time, ms: at first, and at most; twice as long each time. In between they go on, so
 * that one that does not answer keeps nobody else from it for long.
 */
const ASK_MS_MIN = 1_000;
const ASK_MS_MAX = 4_000;
/** Between two times, ms. */
const ASK_AGAIN_MS = 100;
/** How long all of it may take by default, ms. A process that answers nothing for so long is stopped, or hangs. */
const OPEN_MS_MAX = 20_000;
/** How long a process pauses at most, ms: for one that is stopped while it opens. Longer than anybody is asked. */
const PAUSE_MS_MAX = 10_000;
/** Between two looks for what others have written, ms. */
const LOOK_MS = 2;
/** Between two looks at whether the others live, ms. */
const LIFE_LOOK_MS = 50;
/** Between two looks for somebody who opens, of which the system has told nothing, ms. */
const UNTOLD_LOOK_MS = 500;
/**
 * Milliseconds without a touch after which a process that cannot be looked at, in another container perhaps, counts as dead. A
 * server that is started forgets those before it, so this is long.
 */
const DEAD_AFTER_MS = 30_000;
/** How often, and how long apart in ms, the gate's lock is given back where the system lacks the files or the room for it. */
const RELEASES_MAX = 10;
const RELEASE_AGAIN_MS = 100;

const LOCK = /^\.?lock-/;
const OPENING = /^opening-[0-9]+-[0-9]+-[0-9]+$/;

let files = 0;

/** What no other file is called by, also none of an earlier process with this number. */
function freshId(): string {
  return `${process.pid}-${process.hrtime.bigint()}-${files++}`;
}

/** Raised when a process that commits, or one that opens, keeps others from it. The message names it. */
export class GateShut extends Error {
  constructor(who: string) {
    super(`${who} has it open and does not answer; wait until that process goes on, or stop it, and try again`);
    this.name = "GateShut";
  }
}

/** What a process that commits shows the others. */
export interface Committer {
  /** Runs one transaction while no other process opens the database. One at a time. @throws what the transaction does. */
  run<T>(transaction: () => Promise<T>): Promise<T>;
  /** No transaction follows. Does not throw. */
  leave(): Promise<void>;
}

function gateOf(folder: string): string {
  return join(folder, "gate");
}

/**
 * Forgets who has committed to the database in `folder`, or opened it, for whoever knows that none of them lives: it may take a
 * while to find that out.
 * @throws what the system says of the folder.
 */
export async function forgetCommitters(folder: string): Promise<void> {
  const gate = gateOf(folder);
  for (const name of await namesIn(gate)) if (!LOCK.test(name)) await unlink(join(gate, name)).catch(ignoreMissing);
}

/**
 * Runs `open` while no process commits to the database in `folder`; none begins to before the result of `open` has resolved. On a
 * file system that takes no writes it runs at once: there LMDB changes nothing either.
 * @param openMsMax how long the others are asked and waited for, ms.
 * @throws GateShut; what the system says of the gate's files, where somebody commits who would have to be asked; and what
 *   `open` does.
 */
export async function whileNobodyCommits<T>(
  folder: string,
  open: () => T | Promise<T>,
  openMsMax = OPEN_MS_MAX,
): Promise<T> {
  const gate = gateOf(folder);
  const end = performance.now() + openMsMax;
  let lock: FolderLock;
  try {
    await makeGate(gate);
    lock = await lockGate(gate, end);
  } catch (error) {
    if (error instanceof GateShut) throw error;
    const { code = "" } = error as NodeJS.ErrnoException;
    // Where this user may not write, the library says so.
    if (["EROFS", "EACCES", "EPERM"].includes(code) || (await committersIn(gate)).length === 0) return await open();
    throw error;
  }
  try {
    await clear(gate);
    for (let askMs = ASK_MS_MIN; ; askMs = Math.min(2 * askMs, ASK_MS_MAX)) {
      const committers = await committersIn(gate);
      if (committers.length === 0) return await open();
      const opening = join(gate, `opening-${freshId()}`);
      const asked = await signProcess(opening);
      try {
        const silent = await silentAfter(askMs, opening, committers);
        if (silent === undefined) return await open();
        if (performance.now() > end) throw new GateShut(await nameOf(join(gate, silent)));
      } finally {
        // If it stays, it is not waited for longer than the others pause, and is removed by whoever opens next.
        await asked.release();
      }
      await sleep(ASK_AGAIN_MS);
    }
  } finally {
    await releaseGate(lock);
  }
}

async function makeGate(gate: string): Promise<void> {
  if ((await mkdir(gate, { recursive: true, mode: 0o700 })) !== undefined) await giveToOwner(gate);
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

/** What was opened stays open whatever comes of this; others are kept from it for as long as it fails. */
async function releaseGate(lock: FolderLock): Promise<void> {
  for (let tried = 0; tried < RELEASES_MAX; tried++) {
    try {
      return await lock.release();
    } catch {
      await sleep(RELEASE_AGAIN_MS);
    }
  }
}

/** Removes what those have left who held the lock before, and who have died. */
async function clear(gate: string): Promise<void> {
  for (const name of await namesIn(gate)) {
    if (LOCK.test(name)) continue;
    const file = join(gate, name);
    if (name.startsWith("opening-") || (await hasDied(file))) await unlink(file).catch(ignoreMissing);
  }
}

/** Waits for `askMs` until each of those who commit has answered; the first that has not, if there is one. */
async function silentAfter(askMs: number, opening: string, committers: readonly string[]): Promise<string | undefined> {
  const end = performance.now() + askMs;
  const gate = join(opening, "..");
  let left = committers;
  for (let lifeLook = performance.now() + LIFE_LOOK_MS; ; ) {
    left = await filtered(left, async (name) => !(await isThere(`${opening}.${name}`)));
    const now = performance.now();
    // Somebody who was asked long ago may have gone on by now.
    if (now > end) return left[0] ?? committers[0];
    if (left.length === 0) return undefined;
    if (now > lifeLook) {
      left = await filtered(left, (name) => seemsAlive(join(gate, name), DEAD_AFTER_MS));
      lifeLook = performance.now() + LIFE_LOOK_MS;
    }
    await sleep(LOOK_MS);
  }
}

/**
 * Makes this process known as one that commits to the database in `folder`, until it leaves. To be called while nobody else opens
 * it, by `whileNobodyCommits`.
 * @throws what the system says of the file that this takes.
 */
export async function joinCommitters(folder: string): Promise<Committer> {
  const gate = gateOf(folder);
  await makeGate(gate);
  const own = `commits-${await placeOf(gate)}-${freshId()}`;
  const mark = await signProcess(join(gate, own));
  let underWay: Promise<unknown> | undefined;
  let hasLeft = false;
  /** Resolves when this process may go on; undefined while it may. */
  let pause: Promise<void> | undefined;

  /** Pauses for whoever opens, until he has, or has died. */
  async function pauseFor(opening: string): Promise<void> {
    const answer = `${opening}.${own}`;
    await underWay?.catch(() => undefined);
    try {
      await writeFile(answer, "", { mode: 0o600 });
      const end = performance.now() + PAUSE_MS_MAX;
      let lifeLook = performance.now() + LIFE_LOOK_MS;
      while (!hasLeft && performance.now() < end && !(await isGone(opening))) {
        await sleep(LOOK_MS);
        if (performance.now() < lifeLook) continue;
        if (!(await seemsAlive(opening, DEAD_AFTER_MS))) break;
        lifeLook = performance.now() + LIFE_LOOK_MS;
      }
    } finally {
      await unlink(answer).catch(() => undefined);
    }
  }

  /** Those for whom this process has paused, and who are not to be paused for again. */
  let known: readonly string[] = [];
  let looking: Promise<void> | undefined;
  let isLookDue = false;
  async function look(): Promise<void> {
    const names = (await namesIn(gate)).filter((name) => OPENING.test(name));
    known = known.filter((name) => names.includes(name));
    for (const name of names) {
      if (known.includes(name)) continue;
      known = [...known, name];
      const opening = join(gate, name);
      if (!(await seemsAlive(opening, DEAD_AFTER_MS))) continue;
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

/** Those who commit and live. */
async function committersIn(gate: string): Promise<readonly string[]> {
  const names = await namesIn(gate);
  if (names.length === 0) return [];
  const start = `commits-${await placeOf(gate)}-`;
  return filtered(names, async (name) => name.startsWith(start) && (await seemsAlive(join(gate, name), DEAD_AFTER_MS)));
}

async function placeOf(folder: string): Promise<string> {
  const { ino } = await stat(folder, { bigint: true });
  return String(ino);
}

/** The names in a folder; none where there is none. */
async function namesIn(folder: string): Promise<readonly string[]> {
  return await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    ignoreMissing(error);
    return [];
  });
}

async function filtered(
  names: readonly string[],
  isWanted: (name: string) => Promise<boolean>,
): Promise<readonly string[]> {
  const wanted = await Promise.all(names.map(isWanted));
  return names.filter((_, at) => wanted[at]);
}

async function nameOf(file: string): Promise<string> {
  const named = await readProcess(file).catch(() => undefined);
  return named === undefined || named === "gone" ? "another process" : `process ${named.pid} on ${named.host}`;
}

/** Certain that it is. */
async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/** Certain that it is. */
async function isGone(file: string): Promise<boolean> {
  return access(file).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === "ENOENT",
  );
}
