/**
 * The file operations of the local blob engine: positional, whole, and with the disk's own troubles put in the port's
 * words. Descriptors are plain numbers and calls take callbacks, since that is the fastest road Node has.
 */
import {
  close,
  constants,
  fdatasync,
  fstat,
  fsync,
  ftruncate,
  mkdir,
  open,
  read,
  rename,
  rmdir,
  stat,
  unlink,
  write,
  writev,
} from "node:fs";
import { opendir } from "node:fs/promises";
import { type StorageTrouble, StorageUnavailable } from "../../ports/blobs.ts";

const TROUBLES = new Map<string, readonly [StorageTrouble, string]>([
  ["ENOSPC", ["full", "the disk is full: free some space in the data folder's file system"]],
  ["EDQUOT", ["full", "the disk quota is used up: raise it or free some space"]],
  ["EROFS", ["read-only", "the data folder's file system is read-only: mount it for writing"]],
  ["EMFILE", ["too-many-files", "the process has no file descriptor left: raise its limit (ulimit -n)"]],
  ["ENFILE", ["too-many-files", "the machine has no file descriptor left"]],
]);

/** The system's name for an error (`ENOENT`), or undefined. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

function inWords(error: Error): Error {
  const trouble = TROUBLES.get(errorCode(error) ?? "");
  return trouble ? new StorageUnavailable(trouble[0], trouble[1], error) : error;
}

function done(resolve: () => void, reject: (error: Error) => void): (error: Error | null) => void {
  return (error) => (error ? reject(inWords(error)) : resolve());
}

export const TO_READ = constants.O_RDONLY;
/** A file that must not be there yet: no blob is ever written over. */
export const TO_CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;

/** A file that is there, to change bytes that it has. */
export const TO_CHANGE = constants.O_RDWR;

export function openFile(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, flags, 0o600, (error, fd) => (error ? reject(inWords(error)) : resolve(fd)));
  });
}

export function closeFile(fd: number): Promise<void> {
  return new Promise((resolve, reject) => close(fd, done(resolve, reject)));
}

/** Bytes in the file. */
export function fileSize(fd: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fstat(fd, (error, stats) => (error ? reject(inWords(error)) : resolve(stats.size)));
  });
}

/** Reads `length` bytes from `position` to the beginning of `buffer`; resolves with fewer only at the file's end. */
export function readAt(fd: number, buffer: Buffer, length: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let got = 0;
    const next = (): void => {
      read(fd, buffer, got, length - got, position + got, (error, count) => {
        if (error) return reject(inWords(error));
        got += count;
        if (count === 0 || got === length) return resolve(got);
        next();
      });
    };
    next();
  });
}

/** Writes the first `length` bytes of `buffer` at `position`, all of them. */
export function writeAt(fd: number, buffer: Buffer, length: number, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let put = 0;
    const next = (): void => {
      write(fd, buffer, put, length - put, position + put, (error, count) => {
        if (error) return reject(inWords(error));
        put += count;
        if (put === length) return resolve();
        next();
      });
    };
    next();
  });
}

/** Writes the buffers one after another, from `position` on, all of them. */
export function writeAllAt(fd: number, buffers: readonly Buffer[], position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = buffers;
    let at = position;
    const next = (): void => {
      writev(fd, left, at, (error, count) => {
        if (error) return reject(inWords(error));
        at += count;
        left = without(left, count);
        if (left.length === 0) return resolve();
        next();
      });
    };
    next();
  });
}

/** The buffers without their first `count` bytes. */
function without(buffers: readonly Buffer[], count: number): readonly Buffer[] {
  let gone = count;
  for (const [index, buffer] of buffers.entries()) {
    if (gone < buffer.length) return [buffer.subarray(gone), ...buffers.slice(index + 1)];
    gone -= buffer.length;
  }
  return [];
}

/** Cuts the file to `length` bytes. */
export function cutFile(fd: number, length: number): Promise<void> {
  return new Promise((resolve, reject) => ftruncate(fd, length, done(resolve, reject)));
}

/** Gives a file another name, in place of whatever has that name. */
export function renameFile(from: string, to: string): Promise<void> {
  return new Promise((resolve, reject) => rename(from, to, done(resolve, reject)));
}

/** Whether `path` still leads to the open file. */
export async function isFileAt(path: string, fd: number): Promise<boolean> {
  const open = await identity((done) => fstat(fd, { bigint: true }, done));
  const named = await identity((done) => stat(path, { bigint: true }, done));
  return named !== undefined && named === open;
}

function identity(
  ask: (done: (error: Error | null, stats: { dev: bigint; ino: bigint }) => void) => void,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    ask((error, stats) => {
      if (!error) resolve(`${stats.dev}.${stats.ino}`);
      else if (errorCode(error) === "ENOENT") resolve(undefined);
      else reject(inWords(error));
    });
  });
}

function syncFailed(error: Error): StorageUnavailable {
  return new StorageUnavailable(
    "sync-failed",
    `the disk did not take what was written (${errorCode(error) ?? error.message}); ` +
      "check the disk and its file system, then start again",
    error,
  );
}

/**
 * Makes the file's bytes and its length durable. A file system that finds the space only now may say that there is
 * none; that concerns this file alone. Any other failure is "sync-failed".
 */
export function syncData(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fdatasync(fd, (error) => {
      if (!error) return resolve();
      const code = errorCode(error);
      reject(code === "ENOSPC" || code === "EDQUOT" ? inWords(error) : syncFailed(error));
    });
  });
}

/** Makes the names in a folder durable. Windows cannot be asked for this and keeps them in its journal itself. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const fd = await openFile(path, TO_READ);
  try {
    await new Promise<void>((resolve, reject) => fsync(fd, (error) => (error ? reject(syncFailed(error)) : resolve())));
  } finally {
    await closeFile(fd);
  }
}

/** Makes one folder; false when it was there already. */
export function makeFolder(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    mkdir(path, 0o700, (error) => {
      if (!error) resolve(true);
      else if (errorCode(error) === "EEXIST") resolve(false);
      else reject(inWords(error));
    });
  });
}

/** Removes a folder if it is empty; true when it was removed. Anything that stands in the way leaves it there. */
export function removeFolder(path: string): Promise<boolean> {
  return new Promise((resolve) => rmdir(path, (error) => resolve(!error)));
}

/** Removes a file; one that is not there is no error. */
export function removeFile(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    unlink(path, (error) => (error && errorCode(error) !== "ENOENT" ? reject(inWords(error)) : resolve()));
  });
}

/** The names in a folder; none when there is no such folder. */
export async function entriesOf(path: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of await opendir(path, { bufferSize: 256 })) names.push(name);
  } catch (error) {
    if (errorCode(error) !== "ENOENT" && errorCode(error) !== "ENOTDIR") throw error;
  }
  return names;
}
