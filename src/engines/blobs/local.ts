/**
 * Blobs on the local disk: a file each, under `blobs/<incarnation>/<counter without its last three digits>/<id>`.
 *
 * Order is the promise: bytes written, the file synced, its folder synced, then the answer. Small blobs are to go into
 * shared segment files instead of files of their own; the first digit of an id's counter is kept 0 for that.
 */
import { opendir } from "node:fs/promises";
import { join } from "node:path";
import { BlobDamaged, type BlobEngine, type BlobId, StorageUnavailable } from "../../ports/blobs.ts";
import type { Random } from "../../ports/random.ts";
import { BlobFileWriter, readBlobFile } from "./blob-file.ts";
import { blobIds, drawIncarnation, isBlobId } from "./blob-ids.ts";
import { errorCode, makeFolder, openFile, removeFile, removeFolder, syncFolder, TO_CREATE } from "./disk.ts";
import { groupedSync } from "./grouped-sync.ts";
import { type Lease, OpenFiles } from "./open-files.ts";

export interface LocalBlobsOptions {
  /** The data folder, which must be there. Blobs lie in its `blobs`. */
  readonly folder: string;
  readonly random: Random;
  /** `group`: a put resolves when its bytes and its name are durable. `none`: nothing is ever synced. */
  readonly durability: "group" | "none";
}

const INCARNATION_DIGITS = 16;
/** What a folder's name leaves out of the counter: a folder holds 4,096 ids in a row. */
const FILE_DIGITS = 3;
/** Unlinks under way for one call of `remove`; more would keep readers from the thread pool. */
const REMOVALS_AT_ONCE = 8;
/** How often a folder may vanish between making it and making a file in it before that is an error. */
const FOLDER_ATTEMPTS = 3;
const INCARNATION_DRAWS = 16;

/**
 * Opens the blobs of a data folder. The folder of this incarnation is made with the first blob, so a start that writes
 * nothing leaves nothing. Rejects with what keeps the folder from being made (StorageUnavailable among it).
 */
export async function localBlobs({ folder, random, durability }: LocalBlobsOptions): Promise<BlobEngine> {
  const durable = durability === "group";
  const root = join(folder, "blobs");
  let stopped: StorageUnavailable | undefined;
  const refuseIfStopped = (): void => {
    if (stopped) throw stopped;
  };
  const sync = groupedSync(async (path) => {
    refuseIfStopped();
    if (durable) await syncFolder(path);
  });
  await makeFolder(root);
  await sync(folder);

  const incarnation = await newIncarnation(root, random);
  const nextId = blobIds(incarnation);
  const files = new OpenFiles(pathOf);

  function folderOf(id: BlobId): string {
    return join(root, id.slice(0, INCARNATION_DIGITS), id.slice(INCARNATION_DIGITS, -FILE_DIGITS));
  }

  function pathOf(id: BlobId): string {
    return join(folderOf(id), id);
  }

  // The folder that new blobs go into. Another process may have made it without having synced it, and so the parent is
  // synced here whoever made it.
  let open: { readonly path: string; readonly ready: Promise<void> } | undefined;

  function folderReady(path: string): Promise<void> {
    if (open?.path === path) return open.ready;
    const made = { path, ready: makeFolders(path) };
    made.ready.catch(() => {
      if (open === made) open = undefined;
    });
    open = made;
    return made.ready;
  }

  async function makeFolders(path: string): Promise<void> {
    const parent = join(root, incarnation);
    await makeFolder(parent);
    await Promise.all([sync(root), makeFolder(path)]);
    await sync(parent);
  }

  async function createFile(id: BlobId): Promise<number> {
    const path = folderOf(id);
    for (let attempt = 1; ; attempt++) {
      try {
        await folderReady(path);
        return await withDescriptors(() => openFile(pathOf(id), TO_CREATE));
      } catch (error) {
        // Another process that removes blobs may have taken the folder away while it was empty.
        if (errorCode(error) !== "ENOENT" || attempt === FOLDER_ATTEMPTS) throw error;
        if (open?.path === path) open = undefined;
      }
    }
  }

  /** Runs `work`, once more with the idle files closed when the process is out of descriptors. */
  async function withDescriptors<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StorageUnavailable) || error.trouble !== "too-many-files") throw error;
      await files.forgetAll();
      return work();
    }
  }

  async function leaseOf(id: BlobId): Promise<Lease> {
    if (!isBlobId(id)) throw new BlobDamaged(id, "this is not a blob id");
    try {
      return await withDescriptors(() => files.lease(id));
    } catch (error) {
      const code = errorCode(error);
      if (code === "ENOENT" || code === "ENOTDIR") throw new BlobDamaged(id, "it is not there");
      if (code === "EIO") throw new BlobDamaged(id, "the disk cannot open it (EIO)");
      throw error;
    }
  }

  return {
    incarnation,

    async put(body) {
      refuseIfStopped();
      const id = nextId();
      let created = false;
      const create = async (): Promise<number> => {
        const fd = await createFile(id);
        created = true;
        return fd;
      };
      const file = new BlobFileWriter(id, create, durable);
      try {
        for await (const chunk of body) {
          const sent = file.add(chunk);
          if (sent) await sent;
        }
        const size = await file.finish();
        await Promise.all([file.close(), sync(folderOf(id))]);
        // While this one waited, another sync may have failed that covered its folder or its journal.
        refuseIfStopped();
        return { id, size };
      } catch (error) {
        if (error instanceof StorageUnavailable && error.trouble === "sync-failed") stopped ??= error;
        await file.abandon();
        // A file that cannot be removed now is one that no row names; the collector finds it.
        if (created) await removeFile(pathOf(id)).catch(() => undefined);
        throw error;
      }
    },

    async *read(id, start, end) {
      const { file, release } = await leaseOf(id);
      try {
        if (end > file.size) throw new BlobDamaged(id, `it has ${file.size} bytes, not ${end}`);
        yield* readBlobFile(file, start, end);
      } finally {
        release();
      }
    },

    async remove(ids) {
      const waiting = ids.filter(isBlobId).values();
      const emptied = new Set<string>();
      const some = async (): Promise<void> => {
        for (const id of waiting) {
          await removeFile(pathOf(id));
          // After the unlink, so that nobody opens the file again in between.
          files.forget(id);
          emptied.add(folderOf(id));
        }
      };
      await Promise.all(Array.from({ length: REMOVALS_AT_ONCE }, some));
      // Removals are not synced: a blob that comes back with a crash is one that no row names.
      for (const path of emptied) {
        if (path === open?.path || !(await removeFolder(path))) continue;
        const parent = join(path, "..");
        if (parent !== join(root, incarnation)) await removeFolder(parent);
      }
    },

    async list(after = "", limit) {
      const found: BlobId[] = [];
      const from = after.slice(0, INCARNATION_DIGITS);
      for (const process of await namesIn(root, INCARNATION_DIGITS, from)) {
        const within = process === from ? after.slice(INCARNATION_DIGITS, -FILE_DIGITS) : "";
        const parent = join(root, process);
        for (const run of await namesIn(parent, 16 - FILE_DIGITS, within)) {
          for (const id of await namesIn(join(parent, run), 32, after)) {
            if (found.length >= limit) return found;
            if (id > after && id.startsWith(process + run)) found.push(id);
          }
        }
      }
      return found;
    },

    async close() {
      await files.close();
      // What holds no blob is not left behind. Neither is removed while anything is in it.
      if (open && (await removeFolder(open.path))) await removeFolder(join(root, incarnation));
    },
  };
}

/** Draws an incarnation that has no folder yet. */
async function newIncarnation(root: string, random: Random): Promise<string> {
  const taken = new Set(await namesIn(root, INCARNATION_DIGITS, ""));
  for (let draw = 0; draw < INCARNATION_DRAWS; draw++) {
    const incarnation = drawIncarnation(random);
    if (!taken.has(incarnation)) return incarnation;
  }
  throw new Error("the source of randomness repeats itself: no incarnation could be drawn that has no blobs yet");
}

/**
 * Names of `digits` hex digits in a folder, from `from` on, ascending; none when the folder is gone. The memory it
 * takes is that of one folder's names: process starts that left blobs, or runs of 4,096 of one start, or one such run.
 */
async function namesIn(path: string, digits: number, from: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of await opendir(path, { bufferSize: 256 })) {
      if (name.length === digits && name >= from && /^[0-9a-f]+$/.test(name)) names.push(name);
    }
  } catch (error) {
    if (errorCode(error) !== "ENOENT" && errorCode(error) !== "ENOTDIR") throw error;
  }
  return names.sort();
}
