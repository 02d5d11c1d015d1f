/** How far the lifecycle has come, and what it has done: what its row in the store holds. */

import { ByteReader, ByteWriter } from "../../store/bytes.ts";

/** What the last pass did, or the one under way has done. */
export interface LifecycleCounts {
  /** Objects, versions and uploads that were looked at. */
  readonly examined: number;
  /** Current objects that were removed, or hidden by a delete marker. */
  readonly expired: number;
  /** Objects and versions that changed their class. */
  readonly transitioned: number;
  readonly versionsRemoved: number;
  readonly markersRemoved: number;
  readonly uploadsAborted: number;
  /** What was due and could not be done, such as to a locked object, or could not be read. */
  readonly skipped: number;
}

export const NO_COUNTS: LifecycleCounts = {
  examined: 0,
  expired: 0,
  transitioned: 0,
  versionsRemoved: 0,
  markersRemoved: 0,
  uploadsAborted: 0,
  skipped: 0,
};

/** The parts of a bucket in the order they are gone through. */
export const STAGES = ["objects", "versions", "uploads"] as const;
export type Stage = (typeof STAGES)[number];

/** Where a pass is. */
export interface Place {
  /** Where to look for the bucket among the rows of buckets; undefined from the first. */
  readonly bucketFrom: Buffer | undefined;
  /** The bucket that is gone through; undefined before the next one has been found. */
  readonly bucket: { readonly name: string; readonly id: string } | undefined;
  readonly stage: Stage;
  /** Where the next page begins; undefined from the first row. */
  readonly from: Buffer | undefined;
}

export const AT_START: Place = { bucketFrom: undefined, bucket: undefined, stage: "objects", from: undefined };

export interface LifecycleProgress {
  /** The last midnight that has been gone through, or the one before the task began; milliseconds since 1970. */
  readonly doneMs: number;
  /** The pass under way: its midnight and its place; undefined between two. */
  readonly pass: { readonly midnightMs: number; readonly place: Place } | undefined;
  readonly counts: LifecycleCounts;
}

const FORMAT = 1;
const NONE = Buffer.alloc(0);
const some = (bytes: Buffer): Buffer | undefined => (bytes.length === 0 ? undefined : Buffer.from(bytes));

export function encodeProgress({ doneMs, pass, counts }: LifecycleProgress): Buffer {
  const writer = new ByteWriter(256).u8(FORMAT).u48(doneMs);
  for (const name of Object.keys(NO_COUNTS) as (keyof LifecycleCounts)[]) writer.varint(counts[name]);
  if (pass === undefined) return writer.u8(0).finish();
  const { bucketFrom, bucket, stage, from } = pass.place;
  writer
    .u8(1)
    .u48(pass.midnightMs)
    .bytes(bucketFrom ?? NONE);
  writer.text(bucket?.name ?? "").text(bucket?.id ?? "");
  return writer
    .u8(STAGES.indexOf(stage))
    .bytes(from ?? NONE)
    .finish();
}

/** Undefined for the progress of a task that never began. Throws for one of a later version. */
export function decodeProgress(bytes: Buffer): LifecycleProgress | undefined {
  if (bytes.length === 0) return undefined;
  const reader = new ByteReader(bytes);
  const format = reader.u8();
  if (format !== FORMAT) throw new Error(`the progress of the lifecycle has format ${format}`);
  const doneMs = reader.u48();
  const counts: { -readonly [Name in keyof LifecycleCounts]: number } = { ...NO_COUNTS };
  for (const name of Object.keys(NO_COUNTS) as (keyof LifecycleCounts)[]) counts[name] = reader.varint();
  if (reader.u8() === 0) return { doneMs, counts, pass: undefined };
  const midnightMs = reader.u48();
  const bucketFrom = some(reader.bytes());
  const [name, id] = [reader.text(), reader.text()];
  const stage = STAGES[reader.u8()] ?? "objects";
  const place = { bucketFrom, bucket: id === "" ? undefined : { name, id }, stage, from: some(reader.bytes()) };
  return { doneMs, counts, pass: { midnightMs, place } };
}
