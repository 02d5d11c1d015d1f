/**
 * Writes blobs to the open segment of this process: what queues up while one group is being synced makes up the next, so
 * that many puts share one sync.
 */
import type { BlobId } from "../../ports/blobs.ts";
import { StorageUnavailable } from "../../ports/blobs.ts";
import { BLOCK_BYTES, SUM_BYTES, sumOfBlock, sumOfId } from "./blob-file.ts";
import { BUFFER_BYTES, giveBuffer, takeBuffer } from "./buffers.ts";
import { closeFile, cutFile, removeFile, syncData, writeAllAt } from "./disk.ts";
import {
  blobIdAt,
  encodeHeader,
  encodeSeal,
  headBytes,
  HEADER_BYTES,
  PAGE_BYTES,
  recordPages,
  type SegmentName,
  segmentName,
  SEGMENTS_MAX,
} from "./segment-format.ts";

/** Bytes of one group, which is what one write and one sync take at most (or one record, if that is more). */
const GROUP_BYTES = 8 * 1024 * 1024;

/**
 * A sync is shorter when it finds no change of the file's length or blocks to write to the journal, and so the file is
 * filled with zeros ahead of the records, by this much. But every byte is written twice then: groups that are larger than
 * this do without, since for them it is the bytes that take the time. docs/decisions/0006-segments.md has the figures.
 */
const AHEAD_PAGES = (512 * 1024) / PAGE_BYTES;

const ZEROS = Buffer.alloc(BUFFER_BYTES);

/** A body that is collected until its end. */
export class HeldBody {
  readonly buffers: Buffer[] = [];
  size = 0;

  /** Takes a copy of `chunk`. */
  add(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const filled = this.size % BUFFER_BYTES;
      if (filled === 0) this.buffers.push(takeBuffer());
      const copied = chunk.copy(this.buffers.at(-1) as Buffer, filled, at);
      at += copied;
      this.size += copied;
    }
  }

  /** The bytes, in pieces of BUFFER_BYTES but for the last. */
  *pieces(): Generator<Buffer> {
    for (const [index, buffer] of this.buffers.entries()) {
      yield buffer.subarray(0, Math.min(BUFFER_BYTES, this.size - index * BUFFER_BYTES));
    }
  }

  /** Gives the buffers back; the body is gone. */
  release(): void {
    for (const buffer of this.buffers) giveBuffer(buffer);
    this.buffers.length = 0;
  }
}

export interface SegmentWriterOptions {
  readonly incarnation: string;
  /** Pages of a segment; a record that is longer gets a segment to itself. */
  readonly segmentPages: number;
  readonly durable: boolean;
  /** Makes the empty file of an open segment; resolves with its descriptor when its name is durable. */
  readonly create: (path: string) => Promise<number>;
  readonly pathOf: (segment: SegmentName) => string;
  /** Told of each segment that takes no more records and has some. */
  readonly onSealed: (segment: SegmentName) => void;
}

interface Waiting {
  readonly body: HeldBody;
  readonly pages: number;
  readonly resolve: (id: BlobId) => void;
  readonly reject: (error: unknown) => void;
}

interface Open {
  readonly segment: SegmentName;
  readonly fd: number;
  /** Pages that hold durable records. */
  used: number;
  /** Pages that the file has. */
  filled: number;
}

export class SegmentWriter {
  readonly #options: SegmentWriterOptions;
  readonly #queue: Waiting[] = [];
  #open: Open | undefined;
  #number = 0;
  #running: Promise<void> | undefined;
  #retiring = false;

  constructor(options: SegmentWriterOptions) {
    this.#options = options;
  }

  /** The segment being written, and the pages it holds. */
  get open(): { readonly segment: SegmentName; readonly used: number } | undefined {
    return this.#open;
  }

  /** Stores the body, whose buffers belong to the writer from now on, and resolves when it is durable. */
  put(body: HeldBody): Promise<BlobId> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ body, pages: recordPages(body.size), resolve, reject });
      this.#start();
    });
  }

  /** Ends the open segment, so that it can be packed. */
  retire(): void {
    this.#retiring = true;
    this.#start();
  }

  /** Ends the open segment. To be called when no put is under way. */
  async close(): Promise<void> {
    await this.#running;
    await this.#seal();
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  async #run(): Promise<void> {
    // Those who put in the same turn of the event loop are of the first group.
    await Promise.resolve();
    while (this.#queue.length > 0 || this.#retiring) {
      if (this.#retiring) {
        this.#retiring = false;
        await this.#seal();
      } else {
        await this.#writeGroup();
      }
    }
  }

  async #writeGroup(): Promise<void> {
    const { segmentPages } = this.#options;
    const first = this.#queue[0] as Waiting;
    if (this.#open && this.#open.used > 0 && this.#open.used + first.pages > segmentPages) await this.#seal();
    let group: Waiting[] = this.#queue;
    try {
      const open = (this.#open ??= await this.#create());
      group = this.#takeGroup(segmentPages - open.used);
      const ids = await this.#write(open, group);
      for (const [index, { resolve }] of group.entries()) resolve(ids[index] as BlobId);
    } catch (error) {
      // The queue as a whole, when there is no segment for it.
      const refused = group === this.#queue ? this.#queue.splice(0) : group;
      await this.#seal();
      for (const { body, reject } of refused) {
        body.release();
        reject(error);
      }
    }
  }

  /** The first of the queue, and those after it that fit. */
  #takeGroup(room: number): Waiting[] {
    let pages = 0;
    let count = 0;
    const most = Math.min(room, GROUP_BYTES / PAGE_BYTES);
    for (const waiting of this.#queue) {
      if (count > 0 && pages + waiting.pages > most) break;
      pages += waiting.pages;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  async #create(): Promise<Open> {
    const { incarnation, create, pathOf } = this.#options;
    if (this.#number === SEGMENTS_MAX) throw new Error("this process has written all the segments that ids can name");
    const segment = segmentName(incarnation, this.#number++);
    return { segment, fd: await create(pathOf(segment)), used: 0, filled: 0 };
  }

  async #write(open: Open, group: readonly Waiting[]): Promise<BlobId[]> {
    const { durable, segmentPages } = this.#options;
    const ids: BlobId[] = [];
    const parts: Buffer[] = [];
    let page = open.used;
    for (const { body, pages } of group) {
      const id = blobIdAt({ segment: open.segment, page, pages });
      ids.push(id);
      addRecord(parts, id, body, pages, open.used);
      page += pages;
    }
    await writeAllAt(open.fd, parts, open.used * PAGE_BYTES);
    // Nothing reads them any more; when the write has failed, that is known too.
    for (const { body } of group) body.release();
    if (page > open.filled) {
      const ahead = page - open.used > AHEAD_PAGES ? page : Math.min(page + AHEAD_PAGES, segmentPages);
      open.filled = await fillUpTo(open.fd, page, ahead);
    }
    if (durable) await syncData(open.fd);
    open.used = page;
    return ids;
  }

  /** Ends the open segment: a seal instead of its zeros. What fails here can be done by the next start. */
  async #seal(): Promise<void> {
    const open = this.#open;
    if (!open) return;
    this.#open = undefined;
    const end = open.used * PAGE_BYTES;
    try {
      // Also what a group wrote that failed afterwards.
      await cutFile(open.fd, end);
      if (end > 0) await writeAllAt(open.fd, [encodeSeal(open.segment, open.used)], end);
    } catch {
      // The puts that wait are told of the trouble when they meet it.
    }
    await closeFile(open.fd).catch(() => undefined);
    if (end === 0) await removeFile(this.#options.pathOf(open.segment)).catch(() => undefined);
    else this.#options.onSealed(open.segment);
  }
}

/** Adds what is to be written for one record: header, sums, the body, zeros to the end of the page. */
function addRecord(parts: Buffer[], id: BlobId, body: HeldBody, pages: number, settledPages: number): void {
  const head = Buffer.allocUnsafe(headBytes(body.size));
  encodeHeader(id, body.size, settledPages).copy(head);
  parts.push(head);
  const idSum = sumOfId(id);
  let index = 0;
  for (const piece of body.pieces()) {
    for (let at = 0; at < piece.length; at += BLOCK_BYTES, index++) {
      const block = piece.subarray(at, Math.min(at + BLOCK_BYTES, piece.length));
      head.writeUInt32LE(sumOfBlock(idSum, index, block), HEADER_BYTES + index * SUM_BYTES);
    }
    parts.push(piece);
  }
  const rest = pages * PAGE_BYTES - head.length - body.size;
  if (rest > 0) parts.push(ZEROS.subarray(0, rest));
}

/** Writes zeros from `page` up to `end`; resolves with the pages that the file has then. A full disk does without. */
async function fillUpTo(fd: number, page: number, end: number): Promise<number> {
  const zeros: Buffer[] = [];
  for (let left = (end - page) * PAGE_BYTES; left > 0; left -= BUFFER_BYTES) zeros.push(ZEROS.subarray(0, left));
  if (zeros.length === 0) return page;
  try {
    await writeAllAt(fd, zeros, page * PAGE_BYTES);
    return end;
  } catch (error) {
    if (error instanceof StorageUnavailable && error.trouble === "full") return page;
    throw error;
  }
}
