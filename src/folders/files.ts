/** Reading files and folders: streams, walks, and no way out of a folder. */

import { constants } from "node:fs";
import { type FileHandle, lstat, open, readdir } from "node:fs/promises";
import path from "node:path";
import { SettingsError } from "../config/settings.ts";

/** What one read takes. */
const CHUNK_BYTES = 256 * 1024;

/** Absent on Windows, where making a symbolic link takes special rights. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;

/** Opens an ordinary file for reading; a symbolic link in its last place is refused (ELOOP). */
export function openToRead(file: string): Promise<FileHandle> {
  return open(file, constants.O_RDONLY | NO_FOLLOW);
}

/**
 * The bytes of an open file from its start; each chunk is valid until the next one is asked for. `sizeHint` keeps the
 * buffer for a small file small.
 */
export async function* chunksOf(handle: FileHandle, sizeHint = CHUNK_BYTES): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, Math.max(sizeHint, 1)));
  for (let at = 0; ; ) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/**
 * The name of every ordinary file below a folder, relative to it and with `/` between its steps, in byte order within
 * each folder. Symbolic links are not followed: they, and whatever else is neither file nor folder, go to `special`. A
 * folder that goes away meanwhile is passed over.
 */
export async function* filesBelow(
  folder: string,
  special: (name: string) => void = () => undefined,
  prefix = "",
): AsyncGenerator<string> {
  const entries = await readdir(path.join(folder, prefix), { withFileTypes: true }).catch((error: unknown) => {
    if (prefix !== "" && (error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  });
  entries.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  for (const entry of entries) {
    const name = prefix === "" ? entry.name : `${prefix}/${entry.name}`;
    if (entry.isDirectory()) yield* filesBelow(folder, special, name);
    else if (entry.isFile()) yield name;
    else special(name);
  }
}

/**
 * The folders in a folder, in order of name; those whose names begin with a dot are passed over.
 * @throws SettingsError, which begins with `place`, where a file lies beside them, or the folder cannot be read.
 */
export async function subfoldersOf(folder: string, place: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    throw new SettingsError(`${place}: ${folder} cannot be read (${error.code ?? error.message})`);
  });
  const seen = entries.filter(({ name }) => !name.startsWith("."));
  const file = seen.find((entry) => !entry.isDirectory());
  if (file !== undefined) {
    throw new SettingsError(
      `${place}: expected folders, each of them a bucket, found ${file.name}; put it into the folder of its bucket`,
    );
  }
  return seen.map(({ name }) => name).sort();
}

/**
 * The path of a file in a folder, by a relative name that came from outside. Undefined for a name that could lead out
 * of the folder, or that passes through a symbolic link.
 */
export async function pathInside(folder: string, name: string): Promise<string | undefined> {
  const steps = name.split("/");
  if (steps.some((step) => step === "" || step === "." || step === ".." || /[\\\0]|^[A-Za-z]:$/.test(step))) {
    return undefined;
  }
  let at = folder;
  for (const step of steps.slice(0, -1)) {
    at = path.join(at, step);
    const found = await lstat(at).catch(() => undefined);
    if (found && !found.isDirectory()) return undefined;
  }
  return path.join(folder, ...steps);
}

/** Runs `work` on everything that `items` gives, a few at once; the first failure ends it. */
export async function eachAtOnce<T>(
  items: AsyncIterator<T> | Iterator<T>,
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let failed = false;
  // An asynchronous generator queues the calls of `next`, so several may wait for it.
  const some = async (): Promise<void> => {
    for (let next = await items.next(); !next.done && !failed; next = await items.next()) {
      try {
        await work(next.value);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: atOnce }, some));
  const failure = outcomes.find((outcome) => outcome.status === "rejected");
  if (failure) throw failure.reason;
}
