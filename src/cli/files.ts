/** Files and folders for commands that copy data: streams with a hash, durable writes, and no way out of a folder. */

import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, lstat, mkdir, open, readdir } from "node:fs/promises";
import path from "node:path";
import { SettingsError } from "../config/settings.ts";
import { syncFolder } from "../engines/blobs/disk.ts";

/** What one read takes. */
const CHUNK_BYTES = 256 * 1024;

/** Absent on Windows, where making a symbolic link takes special rights. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;

/** Opens an ordinary file for reading; a symbolic link in its last place is refused (ELOOP). */
export function openToRead(file: string): Promise<FileHandle> {
  return open(file, constants.O_RDONLY | NO_FOLLOW);
}

/** Makes a file that must not be there yet. */
export function openNew(file: string): Promise<FileHandle> {
  return open(file, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW, 0o600);
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

/** Writes all of `chunk` where the file's position is. */
export async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk, at, chunk.length - at)).bytesWritten;
}

export interface CopiedFile {
  /** SHA-256 of the bytes, in hex. */
  readonly sha256: string;
  readonly bytes: number;
}

/** Copies a file to one that is not there yet, hashes what it copies, and makes it durable. */
export async function copyFile(from: string, to: string, onBytes: (bytes: number) => void): Promise<CopiedFile> {
  const source = await openToRead(from);
  try {
    const target = await openNew(to);
    try {
      const hash = createHash("sha256");
      let bytes = 0;
      for await (const chunk of chunksOf(source)) {
        hash.update(chunk);
        await writeAll(target, chunk);
        bytes += chunk.length;
        onBytes(chunk.length);
      }
      await target.datasync();
      return { sha256: hash.digest("hex"), bytes };
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** Writes a small file that is not there yet, durably. */
export async function writeNewFile(file: string, text: string): Promise<void> {
  const handle = await openNew(file);
  try {
    await writeAll(handle, Buffer.from(text));
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

/** Makes the bytes of a file durable. */
export async function syncFile(file: string): Promise<void> {
  const handle = await open(file, "r+");
  try {
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

/** The SHA-256 of a file, in hex. */
export async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  const handle = await openToRead(file);
  try {
    for await (const chunk of chunksOf(handle)) hash.update(chunk);
  } finally {
    await handle.close();
  }
  return hash.digest("hex");
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

/** Makes the folder for something new. Throws SettingsError where there is something in it already. */
export async function makeEmptyFolder(folder: string, what: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if ((await readdir(folder)).length > 0) {
    throw new SettingsError(`${folder} is not empty; choose another folder for the ${what}`);
  }
}

/** Makes the names in a folder and in all folders below it durable. */
export async function syncFolders(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await syncFolders(path.join(folder, entry.name));
  }
  await syncFolder(folder);
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
