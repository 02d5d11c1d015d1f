/**
 * Blobs on the local disk: large ones in a file each, under `blobs/<incarnation>/<counter without its last three
 * digits>/<id>`, others in segments that they share, `blobs/<incarnation>/1<number>`. The first digit of an id's counter
 * says which: 0 or 1.
 *
 * Order is the promise: bytes written, the file synced, its folder synced when its name is new, then the answer.
 */
import { join } from "node:path";
import { BlobDamaged, type BlobEngine, type BlobId, StorageUnavailable, type StoredBlob } from "../../ports/blobs.ts";
import type { Random } from "../../ports/random.ts";
import { BlobFileWriter, type OpenBlobFile, openBlobFile, readBlobFile } from "./blob-file.ts";
import { blobIds, drawIncarnation, isBlobId } from "./blob-ids.ts";
import { entriesOf, errorCode, makeFolder, openFile, removeFile, removeFolder, syncFolder, TO_CREATE } from "./disk.ts";
import { groupedSync } from "./grouped-sync.ts";
import { type Lease, OpenFiles } from "./open-files.ts";
import {
  locationOf,
  PAGE_BYTES,
  recordPages,
  SEGMENT_BODY_MAX,
  SEGMENT_PAGES_MAX,
  type SegmentName,
  segmentFile,
  segmentPath,
} from "./segment-format.ts";
import { SegmentPacker } from "./segment-packer.ts";
import { HeldBody, SegmentWriter } from "./segment-writer.ts";
import { openSegments, segmentBlobs } from "./segments.ts";

export interface LocalBlobsOptions {
  /** The data folder, which must be there. Blobs lie in its `blobs`. */
  readonly folder: string;
  readonly random: Random;
  /** `group`: a put resolves when its bytes and its name are durable. `none`: nothing is ever synced. */
  readonly durability: "group" | "none";
  /** Bytes up to which a blob goes into a segment: 512 KiB unless told, 16 MiB at most, 0 for none. */
  readonly segmentBytesMax?: number;
  /** Bytes that a segment may grow to: 64 MiB unless told. */
  readonly segmentFileBytes?: number;
  /** Bytes per second that giving back the space of removed blobs may read and write: 32 MiB unless told. */
  readonly packingBytesPerSecond?: number;
  /**
   * Whether this process looks after what the process of that incarnation has left: true only for one that has died,
   * and in one process of those that share a folder. Unless told, nothing of others is touched but to remove blobs and
   * to give their space back.
   */
  readonly inherits?: (incarnation: string) => boolean | Promise<boolean>;
  /** Whether it begins with looking for what it inherits, which is what it does unless told; or waits for `inherit`. */
  readonly looksAround?: boolean;
  /** Told about trouble in the background, which is tried again later. */
  readonly report?: (error: unknown) => void;
}

/** Blobs on the local disk; beyond the port, it can be asked to give space back now. */
export interface LocalBlobs extends BlobEngine {
  /**
   * Gives back all the space of removed blobs that can be given back now, and resolves then. It happens in the
   * background anyway. Rejects with what stands in the way.
   */
  pack(): Promise<void>;
  /** Says that there may be more to inherit: another process has died. Returns at once. */
  inherit(): void;
}

const SEGMENT_BYTES_MAX = 512 * 1024;
const SEGMENT_FILE_BYTES = 64 * 1024 * 1024;
const PACKING_BYTES_PER_SECOND = 32 * 1024 * 1024;

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
export async function localBlobs(options: LocalBlobsOptions): Promise<LocalBlobs> {
  const { folder, random, durability, inherits, report = () => {} } = options;
  const { packingBytesPerSecond = PACKING_BYTES_PER_SECOND, segmentFileBytes = SEGMENT_FILE_BYTES } = options;
  const segmentBytesMax = Math.min(options.segmentBytesMax ?? SEGMENT_BYTES_MAX, SEGMENT_BODY_MAX);
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
  const files = new OpenFiles<OpenBlobFile>({ pathOf, inspect: openBlobFile, renew: true });
  const segmentFiles = openSegments(root);

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

  /** Makes an empty file, once `ready` has made its folder. */
  async function createFile(path: string, ready: () => Promise<void>): Promise<number> {
    for (let attempt = 1; ; attempt++) {
      try {
        await ready();
        return await withDescriptors(() => openFile(path, TO_CREATE));
      } catch (error) {
        // Another process that removes blobs may have taken the folder away while it was empty.
        if (errorCode(error) !== "ENOENT" || attempt === FOLDER_ATTEMPTS) throw error;
        open = undefined;
      }
    }
  }

  async function createSegment(path: string): Promise<number> {
    refuseIfStopped();
    const parent = join(root, incarnation);
    const fd = await createFile(path, async () => {
      await makeFolder(parent);
      await sync(root);
    });
    await sync(parent);
    return fd;
  }

  /** Runs `work`, once more with the idle files closed when the process is out of descriptors. */
  async function withDescriptors<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StorageUnavailable) || error.trouble !== "too-many-files") throw error;
      await Promise.all([files.forgetAll(), segmentFiles.forgetAll()]);
      return work();
    }
  }

  /** Opens what the blob is in, or says BlobDamaged. */
  async function leaseOf<File extends { readonly fd: number }>(
    among: OpenFiles<File>,
    name: string,
    id: BlobId,
  ): Promise<Lease<File>> {
    try {
      return await withDescriptors(() => among.lease(name));
    } catch (error) {
      const code = errorCode(error);
      if (code === "ENOENT" || code === "ENOTDIR") throw new BlobDamaged(id, "it is not there");
      if (code === "EIO") throw new BlobDamaged(id, "the disk cannot open it (EIO)");
      throw error;
    }
  }

  function noteSyncFailure(error: unknown): void {
    if (error instanceof StorageUnavailable && error.trouble === "sync-failed") stopped ??= error;
  }

  const packer = new SegmentPacker({
    root,
    incarnation,
    durable,
    files: segmentFiles,
    syncFolder: sync,
    inherits,
    looksAround: options.looksAround ?? inherits !== undefined,
    refuseIfStopped,
    bytesPerSecond: packingBytesPerSecond,
    openSegment: () => writer.open,
    retire: () => writer.retire(),
    retirePages: Math.ceil(segmentFileBytes / PAGE_BYTES / 8),
    report(error) {
      noteSyncFailure(error);
      report(error);
    },
  });
  const leaseSegment = (segment: SegmentName, id: BlobId) => leaseOf(segmentFiles, segment, id);
  const segments = segmentBlobs({ root, files: segmentFiles, lease: leaseSegment, packer });
  const writer = new SegmentWriter({
    incarnation,
    durable,
    segmentPages: Math.min(
      Math.max(Math.ceil(segmentFileBytes / PAGE_BYTES), recordPages(segmentBytesMax)),
      SEGMENT_PAGES_MAX,
    ),
    create: createSegment,
    pathOf: (segment) => segmentPath(root, segment),
    onSealed: (segment) => packer.suspect(segment),
  });

  async function putFile(begun: HeldBody | undefined, body: AsyncIterator<Buffer>): Promise<StoredBlob> {
    const id = nextId();
    let created = false;
    const create = async (): Promise<number> => {
      const fd = await createFile(pathOf(id), () => folderReady(folderOf(id)));
      created = true;
      return fd;
    };
    const file = new BlobFileWriter(id, create, durable);
    try {
      for (const piece of begun?.pieces() ?? []) await file.add(piece);
      begun?.release();
      for (let next = await body.next(); !next.done; next = await body.next()) {
        const sent = file.add(next.value);
        if (sent) await sent;
      }
      const size = await file.finish();
      await Promise.all([file.close(), sync(folderOf(id))]);
      // While this one waited, another sync may have failed that covered its folder or its journal.
      refuseIfStopped();
      return { id, size };
    } catch (error) {
      noteSyncFailure(error);
      begun?.release();
      await file.abandon();
      // A file that cannot be removed now is one that no row names; the collector finds it.
      if (created) await removeFile(pathOf(id)).catch(() => undefined);
      throw error;
    }
  }

  async function putRecord(body: HeldBody): Promise<StoredBlob> {
    const { size } = body;
    try {
      const id = await writer.put(body);
      refuseIfStopped();
      return { id, size };
    } catch (error) {
      noteSyncFailure(error);
      throw error;
    }
  }

  async function putAny(body: AsyncIterator<Buffer>, sizeHint: number | undefined): Promise<StoredBlob> {
    if (segmentBytesMax === 0 || (sizeHint !== undefined && sizeHint > segmentBytesMax))
      return putFile(undefined, body);
    const held = new HeldBody();
    try {
      for (let next = await body.next(); !next.done; next = await body.next()) {
        held.add(next.value);
        if (held.size > segmentBytesMax) return await putFile(held, body);
      }
    } catch (error) {
      held.release();
      throw error;
    }
    return putRecord(held);
  }

  async function removeFiles(ids: readonly BlobId[]): Promise<void> {
    const waiting = ids.values();
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
  }

  async function removeRecords(bySegment: ReadonlyMap<SegmentName, readonly BlobId[]>): Promise<void> {
    const waiting = bySegment.entries();
    const some = async (): Promise<void> => {
      for (const [segment, ids] of waiting) await withDescriptors(() => segments.remove(segment, ids));
    };
    await Promise.all(Array.from({ length: REMOVALS_AT_ONCE }, some));
  }

  return {
    incarnation,

    async put(body, sizeHint) {
      refuseIfStopped();
      const chunks = body[Symbol.asyncIterator]();
      try {
        return await putAny(chunks, sizeHint);
      } catch (error) {
        // A body that has failed itself has ended already. What it says of being left matters less than why it was.
        await Promise.resolve(chunks.return?.()).catch(() => undefined);
        throw error;
      }
    },

    async *read(id, start, end) {
      if (!isBlobId(id)) throw new BlobDamaged(id, "this is not a blob id");
      const location = locationOf(id);
      if (location) {
        yield* segments.read(id, location, start, end);
        return;
      }
      const { file, release } = await leaseOf(files, id, id);
      try {
        if (end > file.size) throw new BlobDamaged(id, `it has ${file.size} bytes, not ${end}`);
        yield* readBlobFile(file, start, end);
      } finally {
        release();
      }
    },

    async remove(ids) {
      const inFiles: BlobId[] = [];
      const bySegment = new Map<SegmentName, BlobId[]>();
      for (const id of ids) {
        if (!isBlobId(id)) continue;
        const location = locationOf(id);
        if (!location) inFiles.push(id);
        else if (bySegment.has(location.segment)) bySegment.get(location.segment)?.push(id);
        else bySegment.set(location.segment, [id]);
      }
      await removeFiles(inFiles);
      await removeRecords(bySegment);
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
        // The ids of segments come after those of files.
        for (const segment of await segmentsIn(parent, process)) {
          if (segment < after.slice(0, segment.length)) continue;
          for await (const id of segments.ids(segment, after)) {
            if (found.length >= limit) return found;
            found.push(id);
          }
        }
      }
      return found;
    },

    pack: () => packer.idle(),
    inherit: () => packer.lookAround(),

    async close() {
      await packer.stop();
      const last = writer.open?.segment;
      await writer.close();
      if (last !== undefined) await packer.unlinkEmpty([last]);
      await Promise.all([files.close(), segmentFiles.close()]);
      // What holds no blob is not left behind. Neither is removed while anything is in it.
      if (open) await removeFolder(open.path);
      await removeFolder(join(root, incarnation));
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
  const names = (await entriesOf(path)).filter((name) => name.length === digits && name >= from);
  return names.filter((name) => /^[0-9a-f]+$/.test(name)).sort();
}

/** The segments in the folder of an incarnation, ascending. */
async function segmentsIn(path: string, process: string): Promise<SegmentName[]> {
  const found = new Set<SegmentName>();
  for (const name of await entriesOf(path)) {
    const file = segmentFile(process, name);
    if (file && file.packer === undefined) found.add(file.segment);
  }
  return [...found].sort();
}
