/** Turns what the system says when a server cannot start into one line that names the mend. */

import { accessSync, constants, statSync } from "node:fs";
import { formatListen } from "../config/listen-address.ts";
import { makeFolder } from "../config/make-folder.ts";
import { type Settings, SettingsError } from "../config/settings.ts";

interface SystemFault {
  readonly code: string;
  readonly syscall: string;
}

function systemFault(error: unknown): SystemFault | undefined {
  if (!(error instanceof Error) || !("code" in error) || !("syscall" in error)) return undefined;
  return { code: String(error.code), syscall: String(error.syscall) };
}

/**
 * Makes the data folder where it is missing, and throws SettingsError where the server could not work in it, so that
 * no storage engine has to explain itself.
 */
export function prepareDataFolder(folder: string): void {
  const elsewhere = "choose another with --data, or keep everything in memory with --memory";
  const refuse = (why: string) => new SettingsError(`the data folder ${folder} ${why}; ${elsewhere}`);
  try {
    makeFolder(folder);
    if (!statSync(folder).isDirectory()) throw refuse("is a file");
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const fault = systemFault(error);
    if (fault === undefined) throw error;
    if (fault.code === "ENOTDIR") throw refuse("lies below a file");
    if (fault.code === "EACCES" || fault.code === "EPERM") throw refuse("may not be read or written by this user");
    if (fault.code === "EROFS") throw refuse("is on a read-only file system");
    if (fault.code === "ENOSPC") throw refuse("is on a full file system");
    throw refuse(`cannot be used (${fault.code})`);
  }
}

/** Faults of the data folder that the storage tells in one line with its mend; told by name, to load none of it here. */
const TOLD_BY_STORAGE: ReadonlySet<string> = new Set([
  "FolderLocked",
  "DataFromNewerVersion",
  "MetadataUncopied",
  "MetadataUnusable",
  "RecordFromNewerVersion",
  "RowDamaged",
  "SealUnusable",
  "StorageUnavailable",
  // Of another process: there it was one, here it has only its name.
  "SettingsError",
]);

const FILE_FAULTS: ReadonlyMap<string, string> = new Map([
  ["ENOSPC", "the disk is full"],
  ["EDQUOT", "the disk quota is used up"],
  ["EROFS", "the file system is read-only"],
  ["EACCES", "this user may not read or write it"],
  ["EPERM", "this user may not read or write it"],
  ["ENOENT", "it is not there"],
  ["ENOTDIR", "there is a file where a folder should be"],
  ["EISDIR", "there is a folder where a file should be"],
  ["EEXIST", "it is there already"],
  ["EIO", "the disk cannot read or write it"],
]);

/**
 * The line for what keeps a command from working on files: data that it cannot use, a disk that is full, a folder that
 * it may not touch. Any other error as it is.
 */
export function explainFileFault(error: unknown): unknown {
  if (error instanceof Error && TOLD_BY_STORAGE.has(error.name)) return new SettingsError(error.message);
  const fault = systemFault(error);
  const line = fault && FILE_FAULTS.get(fault.code);
  return line === undefined ? error : new SettingsError(`${(error as { path?: string }).path ?? "a file"}: ${line}`);
}

/** Calls that a listener makes; `bind` is what processes that share one are told. */
const LISTENING: ReadonlySet<string> = new Set(["listen", "bind", "getaddrinfo"]);

/** The line for a fault of `listen` or of the data folder, as a SettingsError; any other error as it is. */
export function explainStartFault(error: unknown, { listen }: Settings): unknown {
  if (error instanceof Error && (TOLD_BY_STORAGE.has(error.name) || isPlain(error))) {
    return new SettingsError(error.message);
  }
  const fault = systemFault(error);
  if (fault === undefined || !LISTENING.has(fault.syscall)) return error;
  const { host, port } = listen;
  // What holds a port is most often another cosbox, whose admin listener has the one after it.
  const next = formatListen({ host, port: port > 65_532 ? 9000 : port + 2 });
  const line = new Map([
    ["EADDRINUSE", `port ${port} on ${host} is in use; stop what holds it, or choose another: --listen ${next}`],
    [
      "EACCES",
      `this user may not listen on port ${port}; choose one above 1023: --listen ${formatListen({ host, port: 9000 })}`,
    ],
    ["EADDRNOTAVAIL", `${host} is not an address of this machine; listen on one that is: --listen 127.0.0.1:${port}`],
    ["EAFNOSUPPORT", `this machine has no addresses like ${host}; choose another: --listen 127.0.0.1:${port}`],
    ["ENOTFOUND", `the name ${host} does not resolve; listen on an address: --listen 127.0.0.1:${port}`],
    ["EAI_AGAIN", `the name ${host} does not resolve; listen on an address: --listen 127.0.0.1:${port}`],
  ]).get(fault.code);
  return line === undefined ? error : new SettingsError(line);
}

/** An engine that cannot open what it finds says so in a plain Error; a mistake of ours has a class of its own. */
function isPlain(error: Error): boolean {
  return error.constructor === Error && !("code" in error);
}
