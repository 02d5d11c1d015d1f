/**
 * Blobs of a middle size, many to a file: the open segment of this process, reading from all segments, marks on removed
 * blobs. What removals leave unused is given back by segment-packer.ts.
 *
 * A segment is called `1<number>` and lies beside the folders of its incarnation's blob files.
 */
import { BlobDamaged, type BlobId, StorageUnavailable } from "../../ports/blobs.ts";
import { closeFile, errorCode, isFileAt, openFile, readAt, TO_CHANGE, writeAllAt } from "./disk.ts";
import { type Lease, OpenFiles } from "./open-files.ts";
import { type OpenSegment, openSegment, placeOf, readRecord, walk } from "./segment-file.ts";
import {
  decodeHeader,
  HEADER_BYTES,
  type Location,
  locationOf,
  MARK_AT,
  markOf,
  PAGE_BYTES,
  type SegmentName,
  segmentPath,
} from "./segment-format.ts";
import type { SegmentPacker } from "./segment-packer.ts";

/** How often a segment may be replaced while one of its blobs is being marked, before that is an error. */
const MARK_ATTEMPTS = 10;

/** Segments kept open for reading. */
export function openSegments(root: string): OpenFiles<OpenSegment> {
  return new OpenFiles({
    pathOf: (segment) => segmentPath(root, segment),
    inspect: openSegment,
    renew: false,
  });
}

export interface SegmentBlobsOptions {
  readonly root: string;
  readonly files: OpenFiles<OpenSegment>;
  readonly lease: (segment: SegmentName, id: BlobId) => Promise<Lease<OpenSegment>>;
  readonly packer: SegmentPacker;
}

export interface SegmentBlobs {
  read(id: BlobId, location: Location, start: number, end: number): AsyncGenerator<Buffer>;
  /** Marks blobs of one segment as removed. It needs no space on the disk. */
  remove(segment: SegmentName, ids: readonly BlobId[]): Promise<void>;
  /** The ids in a segment, ascending, after `after`. */
  ids(segment: SegmentName, after: BlobId): AsyncGenerator<BlobId>;
}

export function segmentBlobs({ root, files, lease, packer }: SegmentBlobsOptions): SegmentBlobs {
  /**
   * Removed blobs that could not be marked, because the file system needs space even to change bytes that are there.
   * After a crash the sweep of the next start finds them.
   */
  const { unmarked } = packer;

  async function openToMark(path: string): Promise<number | undefined> {
    try {
      return await openFile(path, TO_CHANGE);
    } catch (error) {
      if (errorCode(error) !== "ENOENT" && errorCode(error) !== "ENOTDIR") throw error;
      return undefined;
    }
  }

  /** Marks the blob; resolves with the pages that are no longer in use. */
  async function mark(file: OpenSegment, id: BlobId, { page, pages }: Location): Promise<number> {
    if (unmarked.has(id)) return 0;
    const at = placeOf(file, page);
    const head = Buffer.alloc(HEADER_BYTES);
    await readAt(file.fd, head, HEADER_BYTES, at * PAGE_BYTES);
    const header = decodeHeader(head);
    if (header?.id === id ? header.removed : !(await isLostRecord(file, at))) return 0;
    try {
      await writeAllAt(file.fd, [markOf(id)], at * PAGE_BYTES + MARK_AT);
    } catch (error) {
      if (!(error instanceof StorageUnavailable) || error.trouble !== "full") throw error;
      unmarked.add(id);
    }
    return pages;
  }

  /**
   * Whether a record that was acknowledged stood on the page and its header is damaged. Nothing else may be written
   * over: an id that was never given out can point into the middle of a body.
   */
  async function isLostRecord(file: OpenSegment, at: number): Promise<boolean> {
    let lost = false;
    let settled = file.packed ? Number.POSITIVE_INFINITY : 0;
    for await (const found of walk(file)) {
      if (found.kind !== "nothing") settled = Math.max(settled, found.settledPages);
      else if (found.at === at && found.what !== "removed") lost = true;
    }
    return lost && at < settled;
  }

  return {
    async *read(id, location, start, end) {
      for (let again = false; ; again = true) {
        const { file, release } = await lease(location.segment, id);
        let begun = false;
        try {
          if (unmarked.has(id)) throw new BlobDamaged(id, "it was removed");
          for await (const chunk of readRecord(file, id, location, start, end)) {
            begun = true;
            yield chunk;
          }
          return;
        } catch (error) {
          // The open file may be one that was replaced since: once more, from the one that is there now.
          if (begun || again || !(error instanceof BlobDamaged)) throw error;
          files.forget(location.segment);
        } finally {
          release();
        }
      }
    },

    async remove(segment, ids) {
      const path = segmentPath(root, segment);
      for (let attempt = 1; ; attempt++) {
        const fd = await openToMark(path);
        if (fd === undefined) return;
        try {
          const file = await openSegment(segment, fd);
          let pages = 0;
          for (const id of ids) pages += await mark(file, id, locationOf(id) as Location);
          // Whoever packs the segment looks for marks once more after replacing the file, so a mark is lost only when
          // it was made later than that; and then the file is seen here to have been replaced.
          if (await isFileAt(path, fd)) {
            packer.removed(segment, pages);
            return;
          }
        } finally {
          await closeFile(fd);
        }
        if (attempt === MARK_ATTEMPTS) throw new Error(`segment ${segment} was replaced again and again`);
      }
    },

    async *ids(segment, after) {
      let leased: Lease<OpenSegment>;
      try {
        leased = await lease(segment, after);
      } catch (error) {
        if (error instanceof BlobDamaged) return;
        throw error;
      }
      const { file, release } = leased;
      try {
        for await (const found of walk(file, pageAfter(file, after))) {
          if (found.kind === "record" && !found.removed && !unmarked.has(found.id) && found.id > after) yield found.id;
        }
      } finally {
        release();
      }
    },
  };
}

/** The page of the file from which on records may have greater ids than `after`. */
function pageAfter(file: OpenSegment, after: BlobId): number | undefined {
  const location = after.startsWith(file.segment) ? locationOf(after) : undefined;
  if (!location) return undefined;
  if (!file.places) return location.page + Math.max(1, location.pages);
  for (const [page, at] of file.places) if (page > location.page) return at;
  return Number.POSITIVE_INFINITY;
}
