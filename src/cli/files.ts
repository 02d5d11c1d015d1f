/** Files and folders for commands that copy data: streams with a hash, and durable writes. */

import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir } from "node:fs/promises";
import path from "node:path";
import { SettingsError } from "../config/settings.ts";
import { syncFolder } from "../engines/blobs/disk.ts";
import { chunksOf, openToRead } from "../folders/files.ts";

/** Absent on Windows, where making a symbolic link takes special rights. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;

/** Makes a file that must not be there yet. */
export function openNew(file: string): Promise<FileHandle> {
  return open(file, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW, 0o600);
}

/** Does something with an open file, and names the file in what the system says against it, which does not. */
async function naming<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error && "syscall" in error && !("path" in error)) Object.assign(error, { path: file });
    throw error;
  }
}

/** Writes all of `chunk` where the position of the open file is; `file` is its name. */
export async function writeAll(handle: FileHandle, chunk: Uint8Array, file: string): Promise<void> {
  await naming(file, async () => {
    for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk, at, chunk.length - at)).bytesWritten;
  });
}

/** Makes the bytes of an open file durable; `file` is its name. */
export async function syncOpen(handle: FileHandle, file: string): Promise<void> {
  await naming(file, () => handle.datasync());
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
      await naming(from, async () => {
        for await (const chunk of chunksOf(source)) {
          hash.update(chunk);
          await writeAll(target, chunk, to);
          bytes += chunk.length;
          onBytes(chunk.length);
        }
      });
      await syncOpen(target, to);
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
    await writeAll(handle, Buffer.from(text), file);
    await syncOpen(handle, file);
  } finally {
    await handle.close();
  }
}

/** Makes the bytes of a file durable. */
export async function syncFile(file: string): Promise<void> {
  const handle = await open(file, "r+");
  try {
    await syncOpen(handle, file);
  } finally {
    await handle.close();
  }
}

/** The SHA-256 of a file, in hex. */
export async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  const handle = await openToRead(file);
  try {
    await naming(file, async () => {
      for await (const chunk of chunksOf(handle)) hash.update(chunk);
    });
  } finally {
    await handle.close();
  }
  return hash.digest("hex");
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
