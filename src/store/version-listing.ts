/**
 * Pages of all versions of all keys. Current objects and older versions are rows of two families; every read takes the
 * same stretch of both from one snapshot and merges them, each current object in the place it would have among the older
 * versions. So the walk of listing.ts, with its seeks over common prefixes, serves for both, and a version that moves
 * from one family to the other between two reads is shown once.
 */
import { type MetadataEngine, pointRange, type Range, type Row } from "../ports/metadata.ts";
import {
  BUCKET_FAMILY_BYTES,
  bucketPrefix,
  FAMILY,
  invertedSequence,
  objectKey,
  prefixEnd,
  splitVersionKey,
  versionKey,
  versionsPrefix,
} from "./keys.ts";
import { listKeys, type ListQuery } from "./listing.ts";
import {
  decodeDeleteMarker,
  decodeObjectHead,
  type DeleteMarkerRecord,
  isDeleteMarker,
  type ObjectHead,
} from "./records.ts";
import { versionIdOf } from "./version-id.ts";

export interface VersionQuery extends ListQuery {
  /** Only versions of the marker's key that are older than this sequence; undefined passes over all of them. */
  readonly olderThan: number | undefined;
}

export interface ListedVersion {
  readonly key: string;
  readonly versionId: string;
  readonly isLatest: boolean;
  readonly version: ObjectHead | DeleteMarkerRecord;
}

export interface VersionPage {
  readonly versions: readonly ListedVersion[];
  readonly prefixes: readonly string[];
  readonly truncated: boolean;
  /** Markers of the next page; the second is undefined when the page ends on a common prefix. */
  readonly nextKeyMarker: string | undefined;
  readonly nextVersionIdMarker: string | undefined;
}

type RowReader = Pick<MetadataEngine, "read">;

export async function listVersions(metadata: RowReader, bucketId: string, query: VersionQuery): Promise<VersionPage> {
  const { reader, isCurrent } = merged(metadata, bucketId);
  const page = await listKeys(reader, {
    family: bucketPrefix("version", bucketId),
    rowsPerKey: "many",
    markerTail: query.olderThan === undefined ? undefined : invertedSequence(query.olderThan),
    ...query,
  });
  const versions: ListedVersion[] = [];
  for (const row of page.rows) {
    const { key, sequence } = splitVersionKey(row.key.subarray(BUCKET_FAMILY_BYTES));
    const version = isDeleteMarker(row.value) ? decodeDeleteMarker(row.value) : decodeObjectHead(row.value);
    let isLatest = isCurrent(row);
    if (!isLatest && versions.at(-1)?.key !== key) {
      isLatest = key !== query.marker || (await isNewest(metadata, bucketId, key, sequence));
    }
    versions.push({ key, versionId: versionIdOf(version), isLatest, version });
  }
  const last = page.lastRow && versions.at(-1);
  return {
    versions,
    prefixes: page.prefixes,
    truncated: page.truncated,
    nextKeyMarker: page.truncated ? page.lastItem : undefined,
    nextVersionIdMarker: page.truncated ? last?.versionId : undefined,
  };
}

/** Whether a key has no version that is newer; for the first one of a page that begins within the key. */
async function isNewest(metadata: RowReader, bucketId: string, key: string, sequence: number): Promise<boolean> {
  const newer = { start: versionsPrefix(bucketId, key), end: versionKey(bucketId, key, sequence), limit: 1 };
  const found = await metadata.read([pointRange(objectKey(bucketId, key)), newer]);
  return found.every((rows) => rows.length === 0);
}

/** Reads ranges of family `version` with the current objects among them, under the keys they would have there. */
function merged(metadata: RowReader, bucketId: string): { reader: RowReader; isCurrent: (row: Row) => boolean } {
  const current = new Set<Row>();
  const objects = bucketPrefix("object", bucketId);

  /** The stretch of family `object` with the same keys, and the object of the key that the range begins within. */
  function objectRange({ start, end, limit }: Range): Range {
    const nul = start.indexOf(0, BUCKET_FAMILY_BYTES);
    const from = start.subarray(BUCKET_FAMILY_BYTES, nul < 0 ? undefined : nul);
    // The end of the bucket's last key may be a key of the next bucket, or of the next family.
    const until = Buffer.concat([objects.subarray(0, 1), end.subarray(1)]);
    return {
      start: Buffer.concat([objects, from]),
      end: end[0] === FAMILY.version ? until : prefixEnd(objects),
      limit: limit + 1,
    };
  }

  function placed(row: Row): Row {
    const { sequence } = decodeObjectHead(row.value);
    const key = row.key.toString("utf8", BUCKET_FAMILY_BYTES);
    const moved = { ...row, key: versionKey(bucketId, key, sequence) };
    current.add(moved);
    return moved;
  }

  async function readOne(range: Range): Promise<readonly Row[]> {
    const [older = [], objectRows = []] = await metadata.read([range, objectRange(range)]);
    const newer = objectRows.map(placed).filter(({ key }) => key.compare(range.start) >= 0);
    const rows: Row[] = [];
    for (let at = 0, index = 0; rows.length < range.limit; ) {
      const [a, b] = [older[at], newer[index]];
      if (a === undefined && b === undefined) break;
      if (b === undefined || (a !== undefined && a.key.compare(b.key) < 0)) {
        rows.push(a as Row);
        at += 1;
      } else {
        rows.push(b);
        index += 1;
      }
    }
    return rows;
  }

  return {
    reader: { read: (ranges) => Promise.all(ranges.map(readOne)) },
    isCurrent: (row) => current.has(row),
  };
}
