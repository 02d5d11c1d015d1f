/** Segments that are open: finding a record, reading it, and walking over all of them. */
import { BlobDamaged, type BlobId } from "../../ports/blobs.ts";
import { BLOCK_BYTES, checkBlocks, type OpenBlobFile, readBlobFile, reading, sumOfId } from "./blob-file.ts";
import { BUFFER_BYTES, giveBuffer, takeBuffer } from "./buffers.ts";
import { errorCode, fileSize, readAt } from "./disk.ts";
import {
  blocksOf,
  decodeDirectory,
  decodeHeader,
  decodeSeal,
  directoryEntries,
  directoryPages,
  headBytes,
  HEADER_BYTES,
  type Location,
  locationOf,
  markIn,
  NewerRecord,
  PAGE_BYTES,
  type RecordHeader,
  recordPages,
  type SegmentName,
} from "./segment-format.ts";

export interface OpenSegment {
  readonly segment: SegmentName;
  readonly fd: number;
  readonly packed: boolean;
  /** The first page that may hold a record. */
  readonly firstPage: number;
  /** Where the records lie now, if that may be elsewhere than where they were written. */
  readonly places: ReadonlyMap<number, number> | undefined;
}

const EMPTY_PAGE = Buffer.alloc(PAGE_BYTES);

/** The page of the file where a record lies that was written to `page`. */
export function placeOf({ places }: OpenSegment, page: number): number {
  return places?.get(page) ?? page;
}

/**
 * Learns from the beginning of the file whether it was packed. A file whose beginning is damaged may be either, and so
 * the records are looked for. The descriptor stays the caller's.
 */
export async function openSegment(segment: SegmentName, fd: number): Promise<OpenSegment> {
  const buffer = takeBuffer();
  try {
    const got = await sound(readAt(fd, buffer, PAGE_BYTES, 0));
    const head = buffer.subarray(0, got);
    const entries = directoryEntries(segment, head);
    if (entries === undefined) {
      const plain: OpenSegment = { segment, fd, packed: false, firstPage: 0, places: undefined };
      // An empty page is what a process finds that reads while the first record is on its way.
      if (head.every((byte) => byte === 0) || beginsRecord(plain, head)) return plain;
      return { ...plain, places: await foundPlaces(plain) };
    }
    const firstPage = directoryPages(entries);
    const directory = Buffer.alloc(firstPage * PAGE_BYTES);
    const all = await sound(readAt(fd, directory, directory.length, 0));
    const places = all === directory.length ? decodeDirectory(directory) : undefined;
    const packed = { segment, fd, packed: true, firstPage, places };
    return places ? packed : { ...packed, places: await foundPlaces(packed) };
  } finally {
    giveBuffer(buffer);
  }
}

function beginsRecord(file: OpenSegment, head: Buffer): boolean {
  try {
    return headerIn(file, head) !== undefined;
  } catch (error) {
    if (error instanceof NewerRecord) return true;
    throw error;
  }
}

/** What a disk cannot read counts as not there: whoever needs it finds out that it is damaged. */
function sound(reads: Promise<number>): Promise<number> {
  return reads.catch((error: unknown) => {
    if (errorCode(error) === "EIO") return 0;
    throw error;
  });
}

async function foundPlaces(file: OpenSegment): Promise<Map<number, number>> {
  const places = new Map<number, number>();
  for await (const found of walk(file)) {
    if (found.kind === "record") places.set(found.location.page, found.at);
  }
  return places;
}

/** Whether the segment takes no more records. */
export async function isSealed({ segment, fd, packed }: OpenSegment): Promise<boolean> {
  if (packed) return true;
  const page = Buffer.alloc(PAGE_BYTES);
  const got = await readAt(fd, page, PAGE_BYTES, Math.max(0, (await fileSize(fd)) - PAGE_BYTES));
  return got === PAGE_BYTES && decodeSeal(segment, page) !== undefined;
}

/** The header at the beginning of `page`, if it is one of this segment's. */
function headerIn({ segment }: OpenSegment, page: Buffer): (RecordHeader & { location: Location }) | undefined {
  const header = decodeHeader(page);
  const location = header && locationOf(header.id);
  if (!location || location.segment !== segment || location.pages !== recordPages(header.size)) return undefined;
  return { ...header, location };
}

export interface FoundRecord extends RecordHeader {
  readonly kind: "record";
  readonly location: Location;
  /** The page of the file that it begins on. */
  readonly at: number;
}

/** The end of a segment that takes no more records. */
export interface FoundSeal {
  readonly kind: "seal";
  /** What lies before this page was durable, and acknowledged perhaps. */
  readonly settledPages: number;
}

/** A place where a record could begin and none does. */
export interface FoundNothing {
  readonly kind: "nothing";
  readonly at: number;
  /** Pages; more than one where a removed blob had them. */
  readonly pages: number;
  /**
   * `empty`: zeros. `removed`: a blob whose header is damaged, and which is not wanted any more. `unknown`: anything else.
   * `unreadable`: the disk does not say.
   */
  readonly what: "empty" | "removed" | "unknown" | "unreadable";
}

/**
 * Every record from page `from` on, in the order of their pages, and every page that is part of none. It goes from
 * header to header and reads no bodies, except where a damaged header leaves no choice. It ends at the file's end.
 */
export async function* walk(
  file: OpenSegment,
  from = file.firstPage,
): AsyncGenerator<FoundRecord | FoundNothing | FoundSeal> {
  const end = Math.floor((await fileSize(file.fd)) / PAGE_BYTES);
  const buffer = takeBuffer();
  let window = { from: 0, to: 0 };
  let lost = false;
  try {
    for (let at = from; at < end; ) {
      if (at < window.from || at >= window.to) {
        const wanted = lost ? Math.min(BUFFER_BYTES, (end - at) * PAGE_BYTES) : PAGE_BYTES;
        const got = await sound(readAt(file.fd, buffer, wanted, at * PAGE_BYTES));
        if (got < PAGE_BYTES) {
          yield { kind: "nothing", at, pages: 1, what: "unreadable" };
          at++;
          continue;
        }
        window = { from: at, to: at + Math.floor(got / PAGE_BYTES) };
      }
      const offset = (at - window.from) * PAGE_BYTES;
      const page = buffer.subarray(offset, offset + PAGE_BYTES);
      const settledPages = at === end - 1 ? decodeSeal(file.segment, page) : undefined;
      if (settledPages !== undefined) {
        yield { kind: "seal", settledPages };
        return;
      }
      const found = foundIn(file, page, at, end);
      lost = found.kind === "nothing";
      at += found.kind === "record" ? found.location.pages : found.pages;
      yield found;
    }
  } finally {
    giveBuffer(buffer);
  }
}

function foundIn(file: OpenSegment, page: Buffer, at: number, end: number): FoundRecord | FoundNothing {
  try {
    const header = headerIn(file, page);
    if (header && at + header.location.pages <= end) return { kind: "record", at, ...header };
  } catch (error) {
    if (!(error instanceof NewerRecord)) throw error;
  }
  const mark = markIn(page);
  const marked = mark.startsWith(file.segment) ? locationOf(mark) : undefined;
  if (marked && placeOf(file, marked.page) === at) {
    return { kind: "nothing", at, pages: Math.max(1, marked.pages), what: "removed" };
  }
  return { kind: "nothing", at, pages: 1, what: page.equals(EMPTY_PAGE) ? "empty" : "unknown" };
}

/**
 * The bytes of the blob from `start` to `end`, every block checked before it is handed out. Up to 256 KiB come with one
 * read, header and all; of more, the header is read first.
 * @throws BlobDamaged, before the first chunk when the blob is not there.
 */
export async function* readRecord(
  file: OpenSegment,
  id: BlobId,
  location: Location,
  start: number,
  end: number,
): AsyncGenerator<Buffer> {
  const buffer = takeBuffer();
  let more: OpenBlobFile;
  try {
    const at = placeOf(file, location.page) * PAGE_BYTES;
    const whole = location.pages * PAGE_BYTES;
    // As if the body had the most blocks that these pages have room for, since its size is not known yet.
    const needed = headBytes(whole) + Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES;
    const wanted = Math.min(needed, whole) <= BUFFER_BYTES ? Math.min(needed, whole) : PAGE_BYTES;
    const got = await reading(id, readAt(file.fd, buffer, wanted, at));
    const header = decodeHeader(buffer.subarray(0, got));
    if (header?.id !== id) throw new BlobDamaged(id, "it is not where it was put");
    if (header.removed) throw new BlobDamaged(id, "it was removed");
    const { size } = header;
    if (end > size) throw new BlobDamaged(id, `it has ${size} bytes, not ${end}`);
    if (got < wanted) throw new BlobDamaged(id, "its segment is cut short");
    if (start === end) return;

    const head = headBytes(size);
    const sums = { first: 0, entries: Buffer.from(buffer.subarray(HEADER_BYTES, head)) };
    const idSum = sumOfId(id);
    const first = Math.floor(start / BLOCK_BYTES);
    const stop = Math.min(size, blocksOf(end) * BLOCK_BYTES);
    if (head + stop <= got) {
      checkBlocks({ id, idSum }, sums, first, buffer.subarray(head + first * BLOCK_BYTES, head + stop));
      yield buffer.subarray(head + start, head + end);
      return;
    }
    more = { id, fd: file.fd, base: at + head, size, idSum, sums };
  } finally {
    giveBuffer(buffer);
  }
  yield* readBlobFile(more, start, end);
}
