/**
 * The embedded metadata engine: LMDB, which several processes may open at once.
 *
 * Six facts of the library shape this file; each was measured, and each has a test.
 * - A transaction callback would hold the database's one write lock while JavaScript runs. Conditions are therefore
 *   native instructions, nested in each other, which the library's own thread checks.
 * - A read transaction outlives the turn it was made in, and then misses what other processes have committed since.
 *   Every read begins a new one, and is finished before anything else can run.
 * - Its list of free pages is inserted into in linear time. Long lists, from large transactions or from loading all
 *   of them after a restart, hold every commit up by 40 to 130 ms. Both are bounded.
 * - A condition that asks for absence says "met" even inside one that has failed. The rows stay right, but the answer
 *   of the innermost condition alone would not be: every condition is asked.
 * - When one transaction fails while the next is being handed over, the library may answer "done" for both. One
 *   transaction is under way at a time here, and what comes meanwhile makes up the next.
 * - When the system refuses a write, the library formats a message into 100 bytes that do not hold it, and may end the
 *   process. Nothing acknowledged is lost by that, but commits are refused before the disk is quite full.
 */

import { constants, statfsSync } from "node:fs";
import { access, type FileHandle, mkdir, open as openFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { getLastVersion, open, type RootDatabase, type RootDatabaseOptions, type Transaction } from "lmdb";
import { StorageUnavailable } from "../../ports/blobs.ts";
import {
  COMMIT_GROUPS,
  type MetadataEngine,
  type Range,
  type Row,
  type Seen,
  type Write,
} from "../../ports/metadata.ts";
import type { Random } from "../../ports/random.ts";
import { giveToOwner } from "../process-file.ts";
import { checkCommit } from "./bounds.ts";
import { sealed, unsealed } from "./checked-rows.ts";
import { type DiskReserve, diskReserve } from "./disk-reserve.ts";
import { type Committer, joinCommitters, whileNobodyCommits } from "./open-gate.ts";

export interface LmdbMetadataOptions {
  /** Where `data.mdb` and `lock.mdb` live; made when missing. A local file system: LMDB needs shared memory maps. */
  readonly folder: string;
  readonly random: Random;
  /**
   * `group`, the default: a commit is on the disk before it is visible or acknowledged. `none`: it is acknowledged
   * when visible, and a crash of the machine can lose the last of them; the database stays sound, and a crash of the
   * process loses nothing. Every process on one folder names the same tier.
   */
  readonly durability?: "group" | "none";
  /** Bytes this user may still store on the folder's disk. By default the file system is asked. */
  readonly freeBytes?: () => number;
  /** How often readers of other processes are looked for that have died, ms. By default once a minute. */
  readonly readersLookMs?: number;
}

/** Most writes in one transaction: its list of free pages stays short. A commit of the port is never larger. */
const TRANSACTION_WRITES_MAX = 1_000;

/** Room that commits leave on the disk: more than the pages one transaction can touch, at 20 KiB for a write. */
const DISK_RESERVE_BYTES = 32 * 1_048_576;

/** What is left for commits that remove rows, which is how room is made. */
const DISK_RESERVE_BYTES_FOR_REMOVAL = 8 * 1_048_576;

/** How old an answer about the room may be: others write to the same disk, at a gigabyte a second perhaps. */
const DISK_LOOK_MS = 20;

/** What a reader saw that was killed, such as a check beside the server, cannot be written over until somebody looks. */
const READERS_LOOK_MS = 60_000;

/** A read that took longer had to wait, for the disk perhaps. Rows in memory take some microseconds. */
const COLD_READ_MS = 1;
/** How long after such a read others are expected to have to wait as well. */
const COLD_MS = 1_000;

/** Free pages the library loads, and keeps, at a time. Its defaults (50,000 and 75,000) make small commits crawl. */
const FREE_PAGES_MAX = 1_000;

/** How long the library is waited for after a failed transaction: for its cause, and for its end when it closes. */
const FAILURE_WAIT_MS = 1_000;

/** Settings that the native code reads and the library's types leave out. */
interface NativeOptions extends RootDatabaseOptions {
  readonly maxFreeSpaceToLoad: number;
  readonly maxFreeSpaceToRetain: number;
  /** Mode of the files it makes. */
  readonly permissionsMode: number;
  /** Whether a page that is missing is read alone, and not with those around it. */
  readonly noReadAhead: boolean;
  readonly eventTurnBatching: boolean;
  /** Instructions of one block after which the native thread starts, and holds the lock until the block has ended. */
  readonly batchStartThreshold: number;
}

/** An open database of ours. The library's types leave out the second argument. */
export type Database = RootDatabase<Buffer, Buffer> & {
  getBinaryFast(key: Buffer, held: Held): Buffer | undefined;
};

/** A snapshot that was taken earlier and is still held; without one, reads see the latest that this turn has seen. */
interface Held {
  readonly transaction?: Transaction;
}

/** Raised when a folder's metadata cannot be opened; the message names the folder and what is wrong with it. */
export class MetadataUnusable extends Error {
  constructor(folder: string, why: string, cause: unknown) {
    super(`cannot open the metadata store in ${folder}: ${why}`, { cause });
    this.name = "MetadataUnusable";
  }
}

/** The settings a database is opened with. They are apart so that a test can hold them against the measured ones. */
export function lmdbSettings(durability: "group" | "none"): NativeOptions {
  return {
    // A folder whose name has a dot is still a folder.
    noSubdir: false,
    keyEncoding: "binary",
    encoding: "binary",
    useVersions: true,
    maxDbs: 1,
    // Off: visible implies durable, in other processes too. On, for tier none: acknowledged when visible, flushed
    // behind it. Never `noSync`, which a crash of the machine can leave unreadable.
    overlappingSync: durability === "none",
    maxFreeSpaceToLoad: FREE_PAGES_MAX,
    maxFreeSpaceToRetain: FREE_PAGES_MAX,
    permissionsMode: 0o600,
    // Rows that are near in the file are not near in any other way, and reading them ahead drives others out of memory.
    noReadAhead: true,
    // Off: on, the library wraps each turn in a promise that nobody holds, and a full disk, which rejects it, would
    // end the process. Commits are grouped here.
    eventTurnBatching: false,
    // Never: a commit is handed over when it is written out, so the lock waits for no JavaScript.
    batchStartThreshold: Number.MAX_SAFE_INTEGER,
  };
}

/**
 * Opens the metadata database in `options.folder`, making it when there is none.
 * @throws MetadataUnusable: not a folder, no permission, not a database, damaged.
 */
export async function lmdbMetadata(options: LmdbMetadataOptions): Promise<MetadataEngine> {
  const { folder, random, durability = "group", freeBytes = () => freeBytesOf(folder) } = options;
  const { readersLookMs = READERS_LOOK_MS } = options;
  const { database, committer } = await openDatabase(folder, durability);
  const nextVersion = versions(random);
  const reserve = durability === "group" ? diskReserve(folder) : undefined;
  const checkRoom = roomCheck(folder, freeBytes, reserve);

  const readersLook = setInterval(() => database.readerCheck(), readersLookMs).unref();
  /** Until when, on the process's own clock, rows are taken to be on the disk rather than in memory. */
  let coldUntil = Number.NEGATIVE_INFINITY;
  const hasWaitedForDisk = faultCounter();
  let closing: Promise<void> | undefined;
  /** Commits that wait for the next transaction, oldest first. */
  let waiting: Commit[] = [];
  /** Bytes of the commits that are not settled. */
  let bytesUnderWay = 0;
  /** The transactions under way or about to begin; undefined while there is nothing to commit. */
  let working: Promise<void> | undefined;
  let commitsUnderWay = 0;
  let commits = 0;
  const groups = Array.from({ length: COMMIT_GROUPS }, () => 0);
  /** Why this process commits no more. */
  let failure: Error | undefined;

  function checkOpen(): void {
    if (closing !== undefined) throw new Error("the metadata store is closed");
  }

  /** Commits what waits, one transaction after the other, until nothing does. */
  async function work(): Promise<void> {
    // Whatever else this turn of the event loop brings shares the first transaction.
    await turnEnd();
    while (waiting.length > 0) {
      const group = nextGroup(waiting);
      waiting = waiting.slice(group.length);
      if (failure === undefined) {
        try {
          await committer.run(() => commitGroup(database, group));
          const place = Math.min(Math.ceil(Math.log2(group.length)), COMMIT_GROUPS - 1);
          groups[place] = (groups[place] as number) + 1;
          commits += group.length;
        } catch (error) {
          failure = error as Error;
        }
      }
      // After a failed write or flush nobody knows which pages are on the disk, and a second try that succeeds proves
      // nothing. Reads go on; whoever opens the folder again finds everything that was acknowledged.
      if (failure !== undefined) for (const commit of group) commit.reject(failure);
      // Those who were just answered may have more to commit.
      await turnEnd();
    }
    working = undefined;
  }

  return {
    async read(ranges) {
      checkOpen();
      // While the database is larger than memory, pages are read by another thread, so that nobody else waits for them.
      if (performance.now() < coldUntil) await database.prefetch(ranges.filter(isPoint).map(({ start }) => start));
      checkOpen();
      // A new snapshot: the one of an earlier read in this turn would miss what was acknowledged since.
      database.resetReadTxn();
      // Nothing below waits, so all of it is one snapshot, and the snapshot holds up no writer's free pages.
      const began = performance.now();
      const rows = readRanges(database, ranges);
      const ended = performance.now();
      if (ended - began > COLD_READ_MS && hasWaitedForDisk()) coldUntil = ended + COLD_MS;
      return rows;
    },

    async commit(seen, writes) {
      checkOpen();
      checkCommit(seen, writes);
      if (writes.length === 0) {
        // What is visible is committed, so a snapshot answers for it, and the write lock is left alone.
        database.resetReadTxn();
        return seen.every(({ key, version }) => currentVersion(database, key) === version);
      }
      const size = writes.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0);
      checkRoom(bytesUnderWay + size, isRemoval(writes));
      if (failure !== undefined) throw failure;
      bytesUnderWay += size;
      commitsUnderWay += 1;
      try {
        return await new Promise<boolean>((resolve, reject) => {
          // The caller may change its buffers when this call has returned, so they are copied now.
          waiting.push({
            seen: absentFirst(seen),
            writes: writes.map(copyOf),
            version: nextVersion(),
            resolve,
            reject,
          });
          working ??= work();
        });
      } finally {
        bytesUnderWay -= size;
        commitsUnderWay -= 1;
      }
    },

    figures: () => ({ underWay: commitsUnderWay, commits, groups: [...groups] }),

    close() {
      closing ??= (async () => {
        clearInterval(readersLook);
        await working;
        await committer.leave();
        await reserve?.close();
        const closed = database.close();
        // In tier none the library waits for a flush that a failed transaction never gets; the end of the process
        // closes what it leaves open.
        await (failure === undefined ? closed : Promise.race([closed, failureWait()]));
      })();
      return closing;
    },
  };
}

/**
 * Versions for the commits of one process: a count that begins at a random number below 2^53. Within a process none
 * repeats; another process, or a later one, would have to begin at the one number among 9 * 10^15 that gives the same
 * row the same version again. A count kept in the database could not do better without a row that every commit writes,
 * and a count kept in the row would begin again when the row is removed and re-created.
 */
function versions(random: Random): () => number {
  const bytes = random.bytes(7);
  let version = bytes.readUIntBE(0, 6) * 32 + ((bytes[6] as number) & 31);
  return () => {
    version = version >= Number.MAX_SAFE_INTEGER ? 1 : version + 1;
    return version;
  };
}

/**
 * Tells whether this process has waited for pages from the disk since it was asked last. A busy machine also makes a read
 * slow, and then another thread would only cost more.
 */
function faultCounter(): () => boolean {
  let last = process.resourceUsage().majorPageFault;
  return () => {
    const before = last;
    last = process.resourceUsage().majorPageFault;
    return last > before;
  };
}

/** Whether a commit takes away at least as much as it adds. One that replaces a row by two does not. */
function isRemoval(writes: readonly Write[]): boolean {
  let removed = 0;
  for (const { value } of writes) if (value === undefined) removed += 1;
  return removed > 0 && removed * 2 >= writes.length;
}

/** Makes the check that a commit passes before anything of it is handed over. */
function roomCheck(
  folder: string,
  freeBytes: () => number,
  reserve: DiskReserve | undefined,
): (bytes: number, removes: boolean) => void {
  let free = 0;
  let lookedAt = Number.NEGATIVE_INFINITY;
  const look = (now: number): void => {
    free = freeBytes();
    lookedAt = now;
    reserve?.restore(free);
  };
  return (bytes, removes) => {
    const now = performance.now();
    const needed = removes ? DISK_RESERVE_BYTES_FOR_REMOVAL : DISK_RESERVE_BYTES;
    if (now - lookedAt > DISK_LOOK_MS) look(now);
    if (free - bytes >= needed) return;
    // Nothing is refused for what was so a moment ago: somebody may have made room since.
    look(now);
    if (free - bytes >= needed) return;
    if (removes && reserve !== undefined) {
      // Another process may have released it a moment ago, so the disk is asked again whatever this one finds.
      reserve.release();
      look(now);
      if (free - bytes >= needed) return;
    }
    throw new StorageUnavailable("full", `the disk of ${folder} is full: ${free} bytes are left`);
  };
}

function freeBytesOf(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    // A file system that does not say is not refused for it.
    return Number.POSITIVE_INFINITY;
  }
}

function absentFirst(seen: readonly Seen[]): Seen[] {
  const copies = seen.map(({ key, version }) => ({ key: Buffer.from(key), version }));
  return [
    ...copies.filter(({ version }) => version === undefined),
    ...copies.filter(({ version }) => version !== undefined),
  ];
}

function copyOf({ key, value }: Write): Write {
  return { key: Buffer.from(key), value: value === undefined ? undefined : sealed(key, value) };
}

/** A commit that waits for its transaction. */
interface Commit {
  /** Rows seen absent first. */
  readonly seen: readonly Seen[];
  readonly writes: readonly Write[];
  readonly version: number;
  readonly resolve: (applied: boolean) => void;
  readonly reject: (error: Error) => void;
}

/** The oldest commits that fit into one transaction; at least one. */
function nextGroup(waiting: readonly Commit[]): Commit[] {
  let writes = 0;
  const end = waiting.findIndex((commit, at) => {
    writes += commit.writes.length;
    return at > 0 && writes > TRANSACTION_WRITES_MAX;
  });
  return waiting.slice(0, end < 0 ? waiting.length : end);
}

/**
 * Commits a group in one transaction and answers each of it, in the order they came: a later one sees what an earlier
 * one wrote. When the transaction fails nobody has been answered.
 */
async function commitGroup(database: Database, group: readonly Commit[]): Promise<void> {
  const answers: Promise<boolean>[][] = [];
  // The block around everything makes it one transaction. It is handed over when the last instruction is written.
  const done = database.batch(() => {
    for (const commit of group) answers.push(submit(database, commit));
  });
  try {
    const [, ...met] = await Promise.all([done, ...answers.map((conditions) => Promise.all(conditions))]);
    for (const [at, commit] of group.entries()) commit.resolve((met[at] as boolean[]).every((answer) => answer));
  } catch (error) {
    throw await commitFailure(error);
  }
}

/** Writes the instructions of one commit, and gives the answers of its conditions. */
function submit(database: Database, { seen, writes, version }: Commit): Promise<boolean>[] {
  const answers: Promise<boolean>[] = [];

  function nest(depth: number): void {
    const condition = seen[depth];
    if (condition !== undefined) {
      const inner = () => nest(depth + 1);
      answers.push(
        condition.version === undefined
          ? database.ifNoExists(condition.key, inner)
          : database.ifVersion(condition.key, condition.version, inner),
      );
      return;
    }
    for (const { key, value } of writes) {
      // Inside a block these answer at once, and say nothing: the answers of the blocks do.
      if (value === undefined) void database.remove(key);
      else void database.put(key, value, version);
    }
  }

  nest(0);
  return answers;
}

/**
 * The error of a failed transaction, with the reason that the library reports on the side. Whatever the reason, it is
 * unknown what is on the disk.
 */
async function commitFailure(raised: unknown): Promise<StorageUnavailable> {
  const { commitError } = raised as { readonly commitError?: Promise<never> };
  const cause: unknown = await Promise.race([
    (commitError ?? Promise.reject(raised)).catch((reason: unknown) => reason),
    failureWait().then(() => raised),
  ]);
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `the metadata transaction failed: ${reason}; check the disk and its file system, then start again`;
  return new StorageUnavailable("sync-failed", message, cause);
}

function turnEnd(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

function failureWait(): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, FAILURE_WAIT_MS).unref());
}

/** Whether the range can hold no key but its start. Such reads need no cursor, and run twice as fast without. */
function isPoint({ start, end, limit }: Range): boolean {
  const size = start.length;
  return (
    limit > 0 && size > 0 && end.length === size + 1 && end[size] === 0 && end.compare(start, 0, size, 0, size) === 0
  );
}

/** The rows of every range. It waits for nothing, so all of it is one snapshot. */
export function readRanges(
  database: Database,
  ranges: readonly Range[],
  transaction?: Transaction,
): readonly (readonly Row[])[] {
  const held = transaction === undefined ? NOT_HELD : { transaction };
  return ranges.map((range) =>
    isPoint(range) ? readPoint(database, range.start, held) : readRange(database, range, held),
  );
}

const NOT_HELD: Held = {};

function readPoint(database: Database, key: Buffer, held: Held): readonly Row[] {
  const value = readValue(database, key, held);
  return value === undefined ? [] : [{ key: Buffer.from(key), value, version: getLastVersion() }];
}

function readRange(database: Database, { start, end, limit, reverse }: Range, held: Held): readonly Row[] {
  if (limit < 1 || start.compare(end) >= 0) return [];
  // Keys first and then value by value: nearly twice as fast as the library's own walk over both.
  const keys = reverse
    ? database.getKeys({
        start: end,
        exclusiveStart: true,
        end: start,
        inclusiveEnd: true,
        reverse: true,
        limit,
        ...held,
      })
    : database.getKeys({ start, end, limit, ...held });
  const rows: Row[] = [];
  for (const key of Array.from(keys)) {
    const value = readValue(database, key, held);
    if (value !== undefined) rows.push({ key, value, version: getLastVersion() });
  }
  return rows;
}

/** A copy of the row's value, checked; its version is `getLastVersion()` until the next read. */
function readValue(database: Database, key: Buffer, held: Held): Buffer | undefined {
  const shared = database.getBinaryFast(key, held);
  // The library's buffer is longer than its `length`, which is a property of its own.
  return shared === undefined ? undefined : unsealed(key, shared, shared.length);
}

function currentVersion(database: Database, key: Buffer): number | undefined {
  return database.getBinaryFast(key) === undefined ? undefined : getLastVersion();
}

async function openDatabase(
  folder: string,
  durability: "group" | "none",
): Promise<{ readonly database: Database; readonly committer: Committer }> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if (!(await stat(folder)).isDirectory()) throw new Error("it is not a folder");
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    await checkDataFile(join(folder, "data.mdb"));
    return await whileNobodyCommits(folder, async () => {
      const database = open<Buffer, Buffer>(folder, lmdbSettings(durability)) as Database;
      try {
        await giveLockToOwner(folder);
        return { database, committer: await joinCommitters(folder) };
      } catch (error) {
        await database.close();
        throw error;
      }
    });
  } catch (error) {
    throw new MetadataUnusable(folder, explain(error), error);
  }
}

/**
 * Opens the database that is in `folder` for reading, beside whoever writes it. Nothing is made, and no row can be
 * changed. To be closed by the caller.
 * @throws MetadataUnusable, also when there is none.
 */
export async function openDatabaseToRead(folder: string): Promise<Database> {
  try {
    const file = join(folder, "data.mdb");
    if (!(await stat(file)).isFile()) throw new Error("data.mdb is not a file");
    await checkDataFile(file, constants.R_OK);
    const settings = { ...lmdbSettings("group"), readOnly: true };
    const database = await whileNobodyCommits(folder, () => open<Buffer, Buffer>(folder, settings) as Database);
    // On a file system that takes no writes there is nothing to give.
    await giveLockToOwner(folder).catch(() => undefined);
    return database;
  } catch (error) {
    throw new MetadataUnusable(folder, explain(error), error);
  }
}

/** LMDB makes this file when the first process opens the database, whoever that is. */
function giveLockToOwner(folder: string): Promise<void> {
  return giveToOwner(join(folder, "lock.mdb"));
}

/** Where LMDB's meta page (format 2, 64-bit) keeps what is looked at here; byte offsets from the page's start. */
const META = { magic: 24, format: 28, pageSize: 48, freeRoot: 88, mainRoot: 136, transaction: 152, size: 168 } as const;
const META_MAGIC = 0xbeefc0de;
const META_FORMAT = 2;
/** The root of a tree without pages. */
const NO_PAGE = 0xffff_ffff_ffff_ffffn;

/**
 * Looks at the file before the library does: it ends the process with a segmentation fault when a file is no
 * database, and with a bus error when a page it follows lies beyond the end of the file.
 * @throws Error when the file is there, is not empty, and is no database or has lost the roots of its trees.
 */
async function checkDataFile(path: string, mode = constants.R_OK | constants.W_OK): Promise<void> {
  const known = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  // An empty file is what a crash leaves of a database before its first byte.
  if (known === undefined || known.size === 0) return;
  if (!known.isFile()) throw new Error("data.mdb is not a file");
  await access(path, mode);
  const file = await openFile(path, "r");
  try {
    const first = await readMeta(file, 0);
    const second = await readMeta(file, first.readUInt32LE(META.pageSize));
    const newest = first.readBigUInt64LE(META.transaction) >= second.readBigUInt64LE(META.transaction) ? first : second;
    const pages = BigInt(Math.floor((await file.stat()).size / newest.readUInt32LE(META.pageSize)));
    for (const root of [newest.readBigUInt64LE(META.freeRoot), newest.readBigUInt64LE(META.mainRoot)]) {
      if (root !== NO_PAGE && root >= pages) throw new Error("data.mdb is damaged: its end is missing");
    }
  } finally {
    await file.close();
  }
}

async function readMeta(file: FileHandle, position: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(META.size), 0, META.size, position);
  if (
    bytesRead < META.size ||
    buffer.readUInt32LE(META.magic) !== META_MAGIC ||
    (buffer.readUInt32LE(META.format) & 0xffff) !== META_FORMAT ||
    buffer.readUInt32LE(META.pageSize) < 512
  ) {
    throw new Error("data.mdb is not a metadata database, or it is damaged");
  }
  return buffer;
}

function explain(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return "there is none";
  if (code === "EEXIST" || code === "ENOTDIR") return "there is a file where a folder should be";
  if (code === "EACCES" || code === "EPERM") return "this user may not read and write there";
  if (code === "EROFS") return "the file system is read-only";
  if (code === "ENOSPC") return "the disk is full";
  return message;
}
