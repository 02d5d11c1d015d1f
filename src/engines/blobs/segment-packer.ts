/**
 * Gives the space of removed blobs back: a segment of which more than half is no longer in use is written anew with what
 * is, under its old name, and one that nothing is in use of is unlinked. It runs in the background, at a bounded pace.
 *
 * Nothing has to be undone after a crash: until the rename the old file is there, after it the new one, and both hold
 * every blob that is still wanted. Readers that have the old file open finish with it.
 */
import { dirname, join } from "node:path";
import type { BlobId } from "../../ports/blobs.ts";
import { BUFFER_BYTES, giveBuffer, takeBuffer } from "./buffers.ts";
import {
  closeFile,
  cutFile,
  entriesOf,
  errorCode,
  fileSize,
  isFileAt,
  openFile,
  readAt,
  removeFile,
  removeFolder,
  renameFile,
  syncData,
  TO_CHANGE,
  TO_CREATE,
  TO_READ,
  writeAllAt,
  writeAt,
} from "./disk.ts";
import type { OpenFiles } from "./open-files.ts";
import { type FoundRecord, isSealed, type OpenSegment, openSegment, walk } from "./segment-file.ts";
import {
  directoryPages,
  encodeDirectory,
  encodeSeal,
  MARK_AT,
  MARK_BYTES,
  markOf,
  PAGE_BYTES,
  type SegmentName,
  segmentFile,
  segmentPath,
} from "./segment-format.ts";

/** How long after the start, or after another process has died, it looks through the segments that are there, ms. */
const FIRST_LOOK_MS = 2_000;
/** After trouble with the disk, the next attempt, ms. */
const RETRY_MS = 30_000;
/** Pauses are not shorter than this, ms: a timer costs more than it waits. */
const PAUSE_MS_MIN = 20;

export interface SegmentPackerOptions {
  readonly root: string;
  readonly incarnation: string;
  readonly durable: boolean;
  readonly files: OpenFiles<OpenSegment>;
  /** Makes the names in a folder durable, to the engine's tier. */
  readonly syncFolder: (path: string) => Promise<void>;
  /** Whether what the process of this incarnation has left is looked after here; it has died then. */
  readonly inherits: ((incarnation: string) => boolean | Promise<boolean>) | undefined;
  /** Whether it looks for what the dead have left without being told to. */
  readonly looksAround: boolean;
  /** Throws when the engine takes no more writes. */
  readonly refuseIfStopped: () => void;
  readonly bytesPerSecond: number;
  /** The segment this process is writing. */
  readonly openSegment: () => { readonly segment: SegmentName; readonly used: number } | undefined;
  /** Asks for the open segment to be ended. */
  readonly retire: () => void;
  /** Pages of removed blobs from which on the open segment is ended, if that is more than half of what it holds. */
  readonly retirePages: number;
  /** Told about what goes wrong; it is tried again later. */
  readonly report: (error: unknown) => void;
}

interface Usage {
  /** Pages of the file that hold records, removed or not. */
  readonly used: number;
  removed: number;
}

/** Ends the work under way because the engine is closed. */
class Stopped extends Error {}

export class SegmentPacker {
  /** Removed blobs whose records could not be marked. */
  readonly unmarked = new Set<BlobId>();
  readonly #options: SegmentPackerOptions;
  /** Segments that were looked through. */
  readonly #usage = new Map<SegmentName, Usage>();
  /** Segments to look through. */
  readonly #suspects = new Set<SegmentName>();
  /** Segments that another process was packing when they were to be packed here. They become suspects again. */
  readonly #busy = new Set<SegmentName>();
  #busyTimer: NodeJS.Timeout | undefined;
  #removedFromOpen = { segment: "", pages: 0 };
  #lookedAround = true;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopping = false;
  #trouble: { readonly error: unknown } | undefined;
  #wake: () => void = () => {};
  /** When the pace allows the next byte, on the process's own clock, ms. */
  #freeAt = 0;

  constructor(options: SegmentPackerOptions) {
    this.#options = options;
    if (options.looksAround) this.lookAround();
  }

  /** Says that there may be processes that have died whose segments are to be looked after here. */
  lookAround(): void {
    this.#lookedAround = false;
    this.#startLater(FIRST_LOOK_MS);
  }

  /** Says that blobs that took `pages` pages have been removed from a segment. */
  removed(segment: SegmentName, pages: number): void {
    if (pages === 0) return;
    const { openSegment: openNow, retire, retirePages } = this.#options;
    const open = openNow();
    if (open?.segment === segment) {
      const before = this.#removedFromOpen.segment === segment ? this.#removedFromOpen.pages : 0;
      this.#removedFromOpen = { segment, pages: before + pages };
      if (before + pages >= retirePages && (before + pages) * 2 > open.used) retire();
      return;
    }
    const usage = this.#usage.get(segment);
    if (usage) usage.removed += pages;
    if (!usage || usage.removed * 2 > usage.used) this.suspect(segment);
  }

  /** Says that a segment may be worth packing. */
  suspect(segment: SegmentName): void {
    this.#suspects.add(segment);
    this.#startLater(0);
  }

  /** Resolves when no more space can be given back. Rejects with what keeps it from being given back. */
  async idle(): Promise<void> {
    do {
      const trouble = await this.#start();
      if (trouble) throw trouble.error;
    } while (this.#suspects.size > 0 && !this.#stopping);
  }

  /** Stops at once; a file half written is removed. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#busyTimer);
    this.#wake();
    await this.#running;
  }

  /** Removes segments of which nothing is in use, which takes no time. For a process that ends. */
  async unlinkEmpty(segments: Iterable<SegmentName>): Promise<void> {
    for (const segment of segments) await this.#look(segment, { pack: false }).catch(() => undefined);
  }

  #startLater(ms: number): void {
    if (this.#stopping || this.#running) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#start(), ms).unref();
  }

  async #start(): Promise<{ readonly error: unknown } | undefined> {
    clearTimeout(this.#timer);
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if ((this.#suspects.size > 0 || !this.#lookedAround) && !this.#trouble) this.#startLater(0);
    });
    await this.#running;
    return this.#trouble;
  }

  async #run(): Promise<void> {
    this.#trouble = undefined;
    // Those that could not be packed now are looked at again later.
    const later: SegmentName[] = [];
    try {
      if (!this.#lookedAround) {
        // Before the look: who dies while it goes on is looked for in another.
        this.#lookedAround = true;
        await this.#findLeft().catch((error: unknown) => {
          this.#lookedAround = false;
          throw error;
        });
      }
      for (let segment = this.#emptiest(); segment !== undefined && !this.#stopping; segment = this.#emptiest()) {
        this.#suspects.delete(segment);
        try {
          await this.#look(segment, { pack: true });
        } catch (error) {
          later.push(segment);
          this.#note(error);
        }
      }
    } catch (error) {
      this.#note(error);
    }
    for (const segment of later) this.#suspects.add(segment);
    if (this.#stopping || !this.#trouble) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#start(), RETRY_MS).unref();
  }

  #note(error: unknown): void {
    if (error instanceof Stopped) return;
    this.#trouble ??= { error };
    this.#options.report(error);
  }

  /** The suspect that needs the least space to be packed; one that was not looked through is unlikely to need much. */
  #emptiest(): SegmentName | undefined {
    let best: SegmentName | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const segment of this.#suspects) {
      const usage = this.#usage.get(segment);
      const inUse = usage ? usage.used - usage.removed : 0;
      if (inUse < least) {
        best = segment;
        least = inUse;
      }
    }
    return best;
  }

  /** Finds the segments that others have left, and what they were packing. */
  async #findLeft(): Promise<void> {
    const { root, incarnation } = this.#options;
    for (const folder of await entriesOf(root)) {
      if (!/^[0-9a-f]{16}$/.test(folder)) continue;
      for (const name of await entriesOf(join(root, folder))) {
        if (this.#stopping) return;
        const file = segmentFile(folder, name);
        if (!file) continue;
        const { segment, packer } = file;
        if (packer === undefined) this.#suspects.add(segment);
        else if (packer !== incarnation && (await this.#isInherited(packer)))
          await removeFile(join(root, folder, name));
      }
    }
  }

  async #isInherited(incarnation: string): Promise<boolean> {
    const { inherits, incarnation: own } = this.#options;
    return incarnation !== own && inherits !== undefined && (await inherits(incarnation));
  }

  /** Seals a segment that its process could not seal. Resolves with false when it may still be at work. */
  async #adopt(file: OpenSegment, path: string): Promise<boolean> {
    const { segment } = file;
    if (!(await this.#isInherited(segment.slice(0, this.#options.incarnation.length)))) return false;
    let end = 0;
    let settled = 0;
    for await (const found of walk(file)) {
      if (found.kind === "nothing") {
        // Nothing is cut off but zeros, whatever it looks like.
        if (found.what === "unreadable") throw new Error(`segment ${segment}: the disk cannot read page ${found.at}`);
        if (found.what !== "empty") end = found.at + found.pages;
      } else {
        if (found.kind === "record") end = found.at + found.location.pages;
        settled = Math.max(settled, found.settledPages);
      }
    }
    const fd = await openFile(path, TO_CHANGE);
    try {
      // It needs no space when there are zeros to be written over.
      await writeAllAt(fd, [encodeSeal(segment, settled)], end * PAGE_BYTES);
      await cutFile(fd, (end + 1) * PAGE_BYTES);
    } finally {
      await closeFile(fd);
    }
    return true;
  }

  /** Looks through a segment that is complete, and packs it or unlinks it when that is worth it. */
  async #look(segment: SegmentName, { pack }: { readonly pack: boolean }): Promise<void> {
    if (this.#options.openSegment()?.segment === segment) return;
    const path = segmentPath(this.#options.root, segment);
    let fd: number;
    try {
      fd = await openFile(path, TO_READ);
    } catch (error) {
      if (errorCode(error) !== "ENOENT") throw error;
      this.#usage.delete(segment);
      return;
    }
    try {
      const file = await openSegment(segment, fd);
      if (!(await isSealed(file)) && !(await this.#adopt(file, path))) return;
      const wanted: FoundRecord[] = [];
      const removed: BlobId[] = [];
      let unreadable = false;
      const lost: number[] = [];
      let settled = file.packed ? Number.POSITIVE_INFINITY : 0;
      let inUse = 0;
      for await (const found of walk(file)) {
        if (pack && this.#stopping) throw new Stopped();
        await this.#pace(PAGE_BYTES);
        if (found.kind === "nothing") {
          if (found.what === "unreadable") unreadable = true;
          else if (found.what !== "removed") lost.push(found.at);
          continue;
        }
        settled = Math.max(settled, found.settledPages);
        if (found.kind === "seal") continue;
        if (found.removed || this.unmarked.has(found.id)) {
          removed.push(found.id);
          continue;
        }
        wanted.push(found);
        inUse += found.location.pages;
      }
      const used = Math.ceil((await fileSize(fd)) / PAGE_BYTES) - file.firstPage;
      this.#usage.set(segment, { used, removed: used - inUse });
      // Headers that are damaged may belong to blobs that are wanted. Their bytes are kept until the blobs are removed.
      if (unreadable || lost.some((at) => at < settled)) return;
      if (wanted.length === 0) await this.#unlink(segment, path);
      else if (!pack || inUse * 2 >= used || !(await this.#pack(file, path, wanted, inUse))) return;
      for (const id of removed) this.unmarked.delete(id);
    } finally {
      await closeFile(fd);
    }
  }

  async #unlink(segment: SegmentName, path: string): Promise<void> {
    const { files, incarnation } = this.#options;
    await removeFile(path);
    files.forget(segment);
    this.#usage.delete(segment);
    if (!segment.startsWith(incarnation)) await removeFolder(dirname(path));
  }

  /**
   * Looks at a segment again that another process was packing. Two that met each other there must not come back at the
   * same moment, so each has a time of its own.
   */
  #lookAgain(segment: SegmentName): void {
    this.#busy.add(segment);
    const ms = RETRY_MS / 2 + (Number.parseInt(this.#options.incarnation.slice(0, 8), 16) % RETRY_MS);
    this.#busyTimer ??= setTimeout(() => {
      this.#busyTimer = undefined;
      for (const one of this.#busy) this.suspect(one);
      this.#busy.clear();
    }, ms).unref();
  }

  /** Whether another process that may be alive is packing the segment. */
  async #isPackedElsewhere(segment: SegmentName, path: string): Promise<boolean> {
    const { incarnation } = this.#options;
    const folder = dirname(path);
    for (const name of await entriesOf(folder)) {
      const file = segmentFile(segment.slice(0, incarnation.length), name);
      if (file?.segment !== segment || file.packer === undefined || file.packer === incarnation) continue;
      if (!(await this.#isInherited(file.packer))) return true;
      await removeFile(join(folder, name));
    }
    return false;
  }

  /** Resolves with false when another process was quicker. */
  async #pack(file: OpenSegment, path: string, wanted: readonly FoundRecord[], inUse: number): Promise<boolean> {
    const { durable, files, incarnation, refuseIfStopped, syncFolder } = this.#options;
    refuseIfStopped();
    const { segment } = file;
    const packedPath = `${path}.${incarnation}`;
    await removeFile(packedPath);
    const packed = await openFile(packedPath, TO_CREATE);
    try {
      try {
        // Of two that pack one segment the slower would put its file over the other's, and with it undo the marks made
        // there in between. Each says first that it packs and looks then, so that one of them at least sees the other.
        if (await this.#isPackedElsewhere(segment, path)) {
          await removeFile(packedPath);
          this.#lookAgain(segment);
          return false;
        }
        const directory = encodeDirectory(
          segment,
          wanted.map(({ location }) => location),
        );
        await writeAt(packed, directory, directory.length, 0);
        await this.#copy(file, wanted, packed, directory.length);
        if (durable) await syncData(packed);
        if (!(await isFileAt(path, file.fd))) {
          await removeFile(packedPath);
          return false;
        }
        await renameFile(packedPath, path);
      } catch (error) {
        await removeFile(packedPath).catch(() => undefined);
        throw error;
      }
      files.forget(segment);
      const usage: Usage = { used: inUse, removed: 0 };
      this.#usage.set(segment, usage);
      await this.#marksSince(file, wanted, packed, usage);
      if (usage.removed * 2 > usage.used) this.#suspects.add(segment);
      await syncFolder(dirname(path));
      return true;
    } finally {
      await closeFile(packed);
    }
  }

  /** Copies records as they are, so that what is damaged stays recognisable. */
  async #copy(file: OpenSegment, wanted: readonly FoundRecord[], packed: number, begin: number): Promise<void> {
    const buffer = takeBuffer();
    try {
      let to = begin;
      for (const { at, location } of wanted) {
        const end = (at + location.pages) * PAGE_BYTES;
        for (let from = at * PAGE_BYTES; from < end; ) {
          if (this.#stopping) throw new Stopped();
          const length = Math.min(BUFFER_BYTES, end - from);
          const got = await readAt(file.fd, buffer, length, from);
          if (got < length) throw new Error(`segment ${file.segment} became shorter while it was read`);
          await writeAt(packed, buffer, length, to);
          from += length;
          to += length;
          await this.#pace(2 * length);
        }
      }
    } finally {
      giveBuffer(buffer);
    }
  }

  /** Repeats the marks that the old file got after it was looked through. */
  async #marksSince(old: OpenSegment, wanted: readonly FoundRecord[], packed: number, usage: Usage): Promise<void> {
    const mark = Buffer.alloc(MARK_BYTES);
    let at = directoryPages(wanted.length);
    for (const { id, at: oldAt, location } of wanted) {
      const expected = markOf(id);
      const got = await readAt(old.fd, mark, MARK_BYTES, oldAt * PAGE_BYTES + MARK_AT);
      if (got === MARK_BYTES && mark.equals(expected)) {
        await writeAllAt(packed, [expected], at * PAGE_BYTES + MARK_AT);
        usage.removed += location.pages;
      }
      at += location.pages;
    }
  }

  /** Waits until `bytes` more may be read or written. */
  async #pace(bytes: number): Promise<void> {
    const now = performance.now();
    this.#freeAt = Math.max(this.#freeAt, now) + (bytes * 1000) / this.#options.bytesPerSecond;
    const wait = this.#freeAt - now;
    if (wait < PAUSE_MS_MIN || this.#stopping) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, wait);
      timer.unref();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
