/**
 * Multipart uploads and their parts.
 *
 * An upload's row guards its parts: whoever stores a part reads it, so that nothing can be added once somebody has
 * begun to complete the upload. Completing takes three steps: fence the upload, write the manifest (which may be more
 * than one commit), publish the object and remove the upload in one small commit. The parts' rows go in the
 * background. A completion that fails, or that a crash cut short, opens the upload again.
 */
import { type MetadataEngine, pointRange } from "../ports/metadata.ts";
import type { Random } from "../ports/random.ts";
import type { Bodies } from "./bodies.ts";
import { ByteWriter } from "./bytes.ts";
import type { Identities } from "./identities.ts";
import {
  after,
  BUCKET_FAMILY_BYTES,
  bucketPrefix,
  canName,
  intentKey,
  partKey,
  partNumberOf,
  partsPrefix,
  prefixEnd,
  splitUploadKey,
  uploadKey,
} from "./keys.ts";
import { type ListQuery, listKeys } from "./listing.ts";
import {
  decodePart,
  decodeUpload,
  encodeIntent,
  encodePart,
  encodeUpload,
  type PartRange,
  type PartRecord,
  type Section,
  type UploadRecord,
} from "./records.ts";
import type { Transact, Transaction } from "./transact.ts";
import { type Elsewhere, type UnderWay, Unsettled } from "./unsettled.ts";

/** Which upload is meant. */
export interface UploadName {
  readonly bucketId: string;
  readonly key: string;
  readonly uploadId: string;
}

export interface NumberedPart extends PartRecord {
  readonly number: number;
}

export interface PartPage {
  readonly parts: readonly NumberedPart[];
  /** Whether there are more. */
  readonly truncated: boolean;
}

export interface ListedUpload {
  readonly key: string;
  readonly uploadId: string;
  readonly record: UploadRecord;
}

export interface UploadPage {
  readonly uploads: readonly ListedUpload[];
  readonly prefixes: readonly string[];
  readonly truncated: boolean;
  /** Markers of the next page; the second is undefined when the page ends on a common prefix. */
  readonly nextKeyMarker: string | undefined;
  readonly nextUploadIdMarker: string | undefined;
}

/** An upload that nobody else can change until it is published or given up. */
export interface Completion {
  readonly upload: UploadRecord;
  /** The name for the manifest: what `bodies.assemble` wants. */
  readonly manifestId: string;
  /** Every part, ascending; the same however often they are read. */
  parts(): AsyncIterable<NumberedPart>;
  /**
   * Ends the upload in the transaction that stores the object. `taken` are the numbers, ascending, of the parts whose
   * bodies the object has; the others are released. That transaction must not `require` the upload: it would wait for
   * itself.
   */
  publish(tx: Transaction, taken: readonly number[]): Promise<void>;
}

export interface Uploads {
  /** Stores a new upload. */
  create(tx: Transaction, name: UploadName, record: Omit<UploadRecord, "state">): void;
  /** The upload, also while it is being completed; undefined when there is none. */
  find(name: UploadName): Promise<UploadRecord | undefined>;
  /**
   * The upload, for a transaction that changes it or its parts, which then depends on it. Undefined when there is none.
   * A completion under way makes the transaction wait for its outcome.
   */
  require(tx: Transaction, name: UploadName): Promise<UploadRecord | undefined>;
  /** Stores a part of an upload that this transaction has required; releases the part it replaces. */
  putPart(tx: Transaction, name: UploadName, part: NumberedPart): Promise<void>;
  /** Parts by number, after `afterNumber` (0 from the first), at most `limit`. */
  listParts(name: UploadName, afterNumber: number, limit: number): Promise<PartPage>;
  /** `uploadIdMarker` counts only together with a marker. */
  list(bucketId: string, query: ListQuery, uploadIdMarker?: string): Promise<UploadPage>;
  /** Ends an upload that this transaction has required, and releases its parts. */
  abort(tx: Transaction, name: UploadName): void;
  /**
   * Runs `work` on the fenced upload. If it throws without having published, the upload is open again. Resolves to
   * undefined when there is no such upload; a completion that is under way is waited for.
   */
  complete<T>(name: UploadName, work: (completion: Completion) => Promise<T>): Promise<{ value: T } | undefined>;
}

/** 10-digit unix seconds and 64 lower-case hex digits: the form the service gives out. */
export function makeUploadId(nowMs: number, random: Random): string {
  return Math.floor(nowMs / 1_000)
    .toString()
    .padStart(10, "0")
    .concat(random.bytes(32).toString("hex"));
}

const UPLOAD_ID = /^[0-9]{10}[0-9a-f]{64}$/;

/** Whether a client's text can be an upload id of ours. Others name no upload, and must not become part of a key. */
export function isUploadId(text: string): boolean {
  return UPLOAD_ID.test(text);
}

/** Section of objects that an upload has made: an old version keeps it without knowing what it says. */
const MADE_BY_TAG = 20;
const SECONDS_DIGITS = 10;

/** The section that names the upload by which an object is made. */
export function madeBySections(uploadId: string): readonly Section[] {
  const seconds = Number(uploadId.slice(0, SECONDS_DIGITS));
  const rest = Buffer.from(uploadId.slice(SECONDS_DIGITS), "hex");
  return [{ tag: MADE_BY_TAG, bytes: Buffer.concat([new ByteWriter(6).u48(seconds).finish(), rest]) }];
}

/** Whether an object was made by this upload; false for those that were made before this was kept. */
export function isMadeBy(sections: readonly Section[], uploadId: string): boolean {
  const section = sections.find(({ tag }) => tag === MADE_BY_TAG);
  const [wanted] = isUploadId(uploadId) ? madeBySections(uploadId) : [];
  return section !== undefined && wanted?.bytes.equals(section.bytes) === true;
}

function mayBeThere({ key, uploadId }: UploadName): boolean {
  return isUploadId(uploadId) && canName(key);
}

/** Parts read at a time; a part with many pieces has them in its record. */
const PARTS_MAX = 500;

export interface UploadsOptions {
  readonly metadata: MetadataEngine;
  readonly transact: Transact;
  readonly identities: Identities;
  readonly bodies: Bodies;
  /** Where completions of this process are noted. */
  readonly underWay: UnderWay;
  readonly elsewhere: Elsewhere;
}

function completionNamed(manifestId: string): string {
  return `completion ${manifestId}`;
}

export function uploads(options: UploadsOptions): Uploads {
  const { metadata, transact, identities, bodies, underWay, elsewhere } = options;

  function rowOf({ bucketId, key, uploadId }: UploadName): Buffer {
    if (!isUploadId(uploadId)) throw new RangeError("not an upload id");
    return uploadKey(bucketId, key, uploadId);
  }

  async function require(tx: Transaction, name: UploadName): Promise<UploadRecord | undefined> {
    if (!mayBeThere(name)) return undefined;
    const row = rowOf(name);
    const value = await tx.get(row);
    if (value === undefined) return undefined;
    const upload = decodeUpload(value);
    if (upload.state.kind === "open") return upload;
    const { incarnation, token } = upload.state;
    const work = completionNamed(token);
    const ended =
      incarnation === identities.incarnation
        ? underWay.ended(work)
        : await elsewhere.ended({ key: row, value, incarnation, work });
    if (ended) throw new Unsettled(`upload ${name.uploadId}`, ended, "NoSuchUpload");
    // Nobody is at it any more; its manifest is left to the intent, which whoever undoes the work of the dead finds.
    const reopened: UploadRecord = { ...upload, state: { kind: "open" } };
    tx.set(row, encodeUpload(reopened));
    return reopened;
  }

  async function listParts({ bucketId, uploadId }: UploadName, afterNumber: number, limit: number): Promise<PartPage> {
    const prefix = partsPrefix(bucketId, uploadId);
    const start = afterNumber < 1 ? prefix : after(partKey(bucketId, uploadId, Math.min(afterNumber, 0xffff)));
    const [rows = []] = await metadata.read([{ start, end: prefixEnd(prefix), limit: limit + 1 }]);
    const parts = rows.slice(0, limit).map(({ key, value }) => ({ number: partNumberOf(key), ...decodePart(value) }));
    return { parts, truncated: rows.length > limit };
  }

  async function* allParts(name: UploadName): AsyncGenerator<NumberedPart> {
    for (let at = 0; ; ) {
      const { parts, truncated } = await listParts(name, at, PARTS_MAX);
      yield* parts;
      at = parts.at(-1)?.number ?? at;
      if (!truncated) return;
    }
  }

  function end(tx: Transaction, name: UploadName, taken: readonly PartRange[]): void {
    tx.delete(rowOf(name));
    bodies.leave(tx, { kind: "parts", bucketId: name.bucketId, uploadId: name.uploadId, taken });
  }

  /** Undoes the fence, unless the upload was published. */
  async function reopen(name: UploadName, intent: Buffer, manifestId: string): Promise<void> {
    const row = rowOf(name);
    await transact([row], async (tx) => {
      const [unfinished, value] = await tx.getMany([intent, row]);
      if (unfinished === undefined) return;
      reopenIn(tx, row, value, manifestId, bodies);
      tx.delete(intent);
    });
  }

  return {
    require,
    listParts,

    create(tx, name, record) {
      tx.set(rowOf(name), encodeUpload({ ...record, state: { kind: "open" } }));
    },

    async find(name) {
      if (!mayBeThere(name)) return undefined;
      const [rows] = await metadata.read([pointRange(rowOf(name))]);
      const value = rows?.[0]?.value;
      return value && decodeUpload(value);
    },

    async putPart(tx, { bucketId, uploadId }, part) {
      const key = partKey(bucketId, uploadId, part.number);
      const previous = await tx.get(key);
      tx.set(key, encodePart(part));
      if (previous) bodies.release(tx, decodePart(previous).body);
    },

    async list(bucketId, query, uploadIdMarker) {
      const page = await listKeys(metadata, {
        family: bucketPrefix("upload", bucketId),
        rowsPerKey: "many",
        markerTail: uploadIdMarker,
        ...query,
      });
      const last = page.lastRow && splitUploadKey(page.lastRow.key.subarray(BUCKET_FAMILY_BYTES));
      return {
        uploads: page.rows.map(({ key, value }) => ({
          ...splitUploadKey(key.subarray(BUCKET_FAMILY_BYTES)),
          record: decodeUpload(value),
        })),
        prefixes: page.prefixes,
        truncated: page.truncated,
        nextKeyMarker: page.truncated ? page.lastItem : undefined,
        nextUploadIdMarker: page.truncated ? last?.uploadId : undefined,
      };
    },

    abort(tx, name) {
      end(tx, name, []);
    },

    async complete(name, work) {
      if (!mayBeThere(name)) return undefined;
      const manifestId = identities.next();
      const intent = intentKey(identities.incarnation, identities.number());
      const row = rowOf(name);
      return underWay.during(completionNamed(manifestId), async () => {
        const upload = await transact([row], async (tx) => {
          const found = await require(tx, name);
          if (!found) return undefined;
          const { incarnation } = identities;
          tx.set(row, encodeUpload({ ...found, state: { kind: "completing", incarnation, token: manifestId } }));
          tx.set(intent, encodeIntent({ kind: "completion", ...name, manifestId }));
          return found;
        });
        if (!upload) return undefined;
        const completion: Completion = {
          upload,
          manifestId,
          parts: () => allParts(name),
          async publish(tx, taken) {
            const value = await tx.get(row);
            const state = value && decodeUpload(value).state;
            if (state?.kind !== "completing" || state.token !== manifestId) throw new Error("the fence is gone");
            end(tx, name, rangesOf(taken));
            tx.delete(intent);
          },
        };
        try {
          return { value: await work(completion) };
        } catch (error) {
          // Where this fails too, the first who meets the upload opens it again.
          await reopen(name, intent, manifestId).catch(() => {});
          throw error;
        }
      });
    },
  };
}

/** Opens an upload whose completion came to nothing, if it still is at that completion, and forgets the manifest. */
export function reopenIn(
  tx: Transaction,
  row: Buffer,
  value: Buffer | undefined,
  manifestId: string,
  bodies: Pick<Bodies, "leave">,
): void {
  bodies.leave(tx, { kind: "manifest-rows", manifestId });
  const upload = value && decodeUpload(value);
  if (upload?.state.kind === "completing" && upload.state.token === manifestId) {
    tx.set(row, encodeUpload({ ...upload, state: { kind: "open" } }));
  }
}

/** Ascending numbers as ranges. */
function rangesOf(numbers: readonly number[]): PartRange[] {
  const ranges: { first: number; last: number }[] = [];
  for (const number of numbers) {
    const range = ranges.at(-1);
    if (range && number === range.last + 1) range.last = number;
    else ranges.push({ first: number, last: number });
  }
  return ranges;
}
