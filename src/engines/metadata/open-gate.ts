/**
 * Lets a process open the database while nobody commits to it. LMDB 0.9.90, as the library has it, tells all processes,
 * when one opens the database, that the newest transaction is the one that it has read from the file a moment before
 * (`mdb_env_open2` sets `mti_txnid`). What another has committed in that moment would be invisible from then on, and the next
 * commit would be written over it. So whoever has the database open guards it: he holds LMDB's own lock of writers, which
 * bars all processes, while somebody who asks for it opens the database.
 *
 * A request is a file beside the database, `<pid>-<number>`, which goes when the database is open; the guard's answer is a file
 * of its name and `.granted`. A guard is known by `guard-<pid>`. Files of processes that have died count for nothing.
 */

import { existsSync, type FSWatcher, mkdirSync, readdirSync, rmSync, watch, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** How long somebody waits to be let in, ms. A guard that does not answer for so long commits nothing either. */
const WAIT_MS_MAX = 5_000;
const LOOK_MS = 2;
/** How often a guard looks without having been told that somebody came, ms. */
const GUARD_LOOK_MS = 200;
const REQUEST = /^(\d+)-\d+$/;
const GUARD = /^guard-(\d+)$/;

let requests = 0;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** The names of a folder that `form` takes, whose processes are alive; the others' files are removed. */
function living(folder: string, form: RegExp): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => {
    const pid = form.exec(name)?.[1];
    if (pid === undefined) return false;
    if (isAlive(Number(pid))) return true;
    for (const suffix of ["", ".granted"]) rmSync(join(folder, `${name}${suffix}`), { force: true });
    return false;
  });
}

/** Waits for `ms` without letting anything else of this process run. */
function stall(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Makes an empty file; false where it cannot be made. */
function isWritten(file: string): boolean {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, "", { mode: 0o600 });
    return true;
  } catch {
    return false;
  }
}

function gateOf(folder: string): string {
  return join(folder, "gate");
}

/**
 * Forgets who has guarded the database in `folder`, for whoever knows that none of them lives: in a container their numbers are
 * soon those of others.
 */
export function forgetGuards(folder: string): void {
  rmSync(gateOf(folder), { recursive: true, force: true });
}

/** Runs `open`, which waits for nothing, while no other process commits to the database in `folder`. */
export async function openThroughGate<T>(folder: string, open: () => T): Promise<T> {
  const gate = gateOf(folder);
  const guards = () => living(gate, GUARD).filter((name) => name !== `guard-${process.pid}`);
  if (guards().length === 0) return open();
  const request = join(gate, `${process.pid}-${requests++}`);
  // Who may not write here, or on a full disk, cannot ask.
  if (!isWritten(request)) return open();
  try {
    for (let waited = 0; waited < WAIT_MS_MAX && !existsSync(`${request}.granted`); waited += LOOK_MS) {
      await sleep(LOOK_MS);
      if (waited % 100 === 0 && guards().length === 0) break;
    }
    return open();
  } finally {
    rmSync(request, { force: true });
  }
}

/**
 * Guards the database in `folder`, which this process has open, until the result is called. `holding` runs what it is given
 * while it holds LMDB's lock of writers.
 */
export function guardGate(folder: string, holding: (work: () => void) => Promise<void>): () => void {
  const gate = gateOf(folder);
  const mark = join(gate, `guard-${process.pid}`);
  if (!isWritten(mark)) return () => {};

  function letIn(name: string): void {
    const request = join(gate, name);
    const granted = `${request}.granted`;
    // Another guard may have let it in meanwhile.
    if (!existsSync(request)) return;
    if (!isWritten(granted)) return;
    const pid = Number(REQUEST.exec(name)?.[1]);
    for (let waited = 0; waited < WAIT_MS_MAX && existsSync(request) && isAlive(pid); waited += 1) stall(1);
    rmSync(granted, { force: true });
  }

  let looking = false;
  async function look(): Promise<void> {
    if (looking) return;
    looking = true;
    try {
      for (const name of living(gate, REQUEST)) {
        if (existsSync(join(gate, `${name}.granted`)) || name.startsWith(`${process.pid}-`)) continue;
        await holding(() => letIn(name));
      }
    } catch {
      // A disk that fails, or a folder that is gone: whoever waits goes on by himself after a while.
    } finally {
      looking = false;
    }
  }

  const timer = setInterval(() => void look(), GUARD_LOOK_MS).unref();
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(gate, { persistent: false }, (event, name) => {
      if (event === "rename" && name !== null && REQUEST.test(name)) void look();
    }).on("error", () => watcher?.close());
  } catch {
    // Systems without notifications, or out of them: then the timer finds who waits.
  }
  void look();
  return () => {
    clearInterval(timer);
    watcher?.close();
    rmSync(mark, { force: true });
  };
}
