/**
 * Keeps the files of a data folder where they are while a backup copies them.
 *
 * A hold is a file `hold-<pid>-<number>` in the data folder that says who made it, like a lock; several may be there at
 * once. Whoever removes bytes for good looks for holds after it has made sure that nothing names them any more, and
 * leaves them for later when there is one. So what a row named at the moment of the look, or later, is still there:
 * if the remover saw no hold, it had its proof before the hold was made, and so before the backup's snapshot.
 *
 * A hold whose process has died counts for nothing and is cleared away by whoever meets it.
 */
import { readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { isProcessAlive, readProcess, type SignedFile, signProcess } from "./process-file.ts";

/** Milliseconds without a heartbeat after which a holder that cannot be looked at counts as dead. */
const DEAD_AFTER_MS = 10_000;
const HOLD_NAME = /^hold-[0-9]+-[0-9]+$/;

let holds = 0;

/** Holds what is in `folder` until it is released. It takes effect before this resolves. */
export function holdData(folder: string): Promise<SignedFile> {
  return signProcess(join(folder, `hold-${process.pid}-${holds++}`));
}

/** Whether a process that is alive holds the data in `folder`. */
export async function isDataHeld(folder: string): Promise<boolean> {
  for (const name of await readdir(folder)) {
    if (!HOLD_NAME.test(name)) continue;
    const file = join(folder, name);
    const holder = await readProcess(file);
    if (holder === "gone") continue;
    // A file without its text is one that is being made right now, or one of a crash: its age tells.
    if (await isProcessAlive(file, holder, DEAD_AFTER_MS)) return true;
    await unlink(file).catch(() => undefined);
  }
  return false;
}
