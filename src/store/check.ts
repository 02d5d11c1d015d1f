/**
 * Looks whether a store is whole: reads every row, decodes it, and holds what rows name against what is there, in both
 * directions. It changes nothing.
 *
 * Rows that hold bytes or keep blobs (`i`, `m`, `r`) are named by bodies in rows of other families, in no order. So
 * their ids are loaded into tables, as many as fit; one walk over everything that names them marks what it finds; and
 * what is left unmarked belongs to nobody. A store with more ids than fit is walked several times. The memory it takes
 * is bounded by `CheckOptions.windowRows`, whatever the store holds.
 */
import { BlobDamaged, type BlobEngine } from "../ports/blobs.ts";
import { type MetadataEngine, pointRange, type Range, type Row } from "../ports/metadata.ts";
import { RecordDamaged } from "./bytes.ts";
import { FINDINGS, type Finding, type FindingKind } from "./findings.ts";
import { IdTable, uploadTableId } from "./id-table.ts";
import {
  accountBucketKey,
  after,
  BUCKET_FAMILY_BYTES,
  configurationKey,
  FAMILY,
  type Family,
  familyRange,
  formatKey,
  historyKey,
  incarnationOf,
  inlineKey,
  keyRingNameOf,
  manifestOffsetOf,
  manifestPrefix,
  objectKey,
  partNumberOf,
  referenceKey,
  referencesPrefix,
  PRINCIPAL_KIND,
  prefixRange,
  principalKey,
  splitAttachmentKey,
  splitUploadKey,
  splitVersionKey,
  versionKey,
  versionsPrefix,
} from "./keys.ts";
import { checkKeyRow } from "./key-ring.ts";
import { readPrincipalRow } from "./principals.ts";
import { eachRowIn, readRows } from "./read-rows.ts";
import {
  type Body,
  decodeBucket,
  decodeConfiguration,
  decodeChunk,
  decodeFormat,
  decodeGarbage,
  decodeHistory,
  decodeIncarnation,
  decodeTask,
  decodeIntent,
  decodeObject,
  decodePart,
  decodeUpload,
  decodeVersion,
  type HistoryRecord,
  type Manifest,
  OBJECT_ACL_TAG,
  type Piece,
  RecordFromNewerVersion,
  type VersionRecord,
} from "./records.ts";
import { DATA_FORMAT, DataFromNewerVersion } from "./store.ts";
import { sealedLength } from "./sealing.ts";
import { isUploadId } from "./uploads.ts";
import { versionIdOf } from "./version-id.ts";

type RowReader = Pick<MetadataEngine, "read">;
type BlobReader = Pick<BlobEngine, "read" | "list">;

/** What is checked. */
export interface CheckSources {
  /** Every read must see one and the same moment: a snapshot, or a store that nobody writes to. */
  readonly rows: RowReader;
  readonly blobs: BlobReader;
  /** Whether processes that have a row of their own may be at work; otherwise every process counts as dead. */
  readonly inUse: boolean;
  /**
   * Waits a moment and looks again at what is there by then; undefined where nothing changes meanwhile. A blob may be
   * gone because what named it has been removed since the snapshot: that is no damage.
   */
  readonly again?: (look: (rows: RowReader, blobs: BlobReader) => Promise<boolean>) => Promise<boolean>;
}

/** Rows that nothing needs and that no collector will ever find. */
export type Stray = Pick<Range, "start" | "end">;

export interface CheckOptions {
  /** Told about each finding as it comes. */
  readonly onFinding?: (finding: Finding) => void;
  /** Told about rows that may be removed, one after the other; waited for. Only if the store has no damage. */
  readonly onStray?: (stray: Stray) => Promise<void>;
  /** Told from time to time how many rows and blobs have been looked at so far. */
  readonly onProgress?: (done: number) => void;
  /** Most ids of one family that are held at a time, by default a million (some 100 MiB in all). */
  readonly windowRows?: number;
}

export interface CheckReport {
  readonly buckets: number;
  readonly objects: number;
  /** Bytes of all objects and older versions, each in its full size. */
  readonly objectBytes: number;
  /** Versions that are not current, delete markers among them. */
  readonly versions: number;
  readonly uploads: number;
  readonly parts: number;
  /** Rows of every family. */
  readonly rows: number;
  readonly blobs: number;
  /** How many of each kind were found; kinds without any are absent. */
  readonly found: ReadonlyMap<FindingKind, number>;
  /** Findings that mean that something stored is lost or will be. */
  readonly damage: number;
  /** Findings that only take room. */
  readonly leftovers: number;
}

const WINDOW_ROWS = 1_000_000;
/** Rows read at a time; small bodies are up to 16 KiB each, and rows of manifests 45 KB. */
const PAGE_ROWS = 500;
const PAGE_CHUNKS = 20;
const BLOBS_PER_PAGE = 1_000;
/** Blobs that are opened at once. */
const PROBES_AT_ONCE = 16;
/** Damaged references whose users are looked up. */
const DAMAGED_MAX = 100_000;

/** The mark of an id that only garbage or unfinished work names: it may be gone, and nobody misses it. */
const LOOSELY = 0xffff_ffff;
/** Stands for the length of a row that does not match its checksum. */
const DAMAGED = -1;

function ignore(): void {}

/** Something that names bytes. */
interface Owner {
  /** From 1; differs between owners of one walk. */
  readonly number: number;
  /** Whether what it names must be there. */
  readonly strict: boolean;
  readonly label: () => string;
}

/** A run of the ids of one family, as many as fit into a table. */
interface Window {
  readonly family: "inline" | "manifest" | "reference";
  readonly digits: number;
  table: IdTable | undefined;
  /** The first id that is covered, and the first after them that is not; undefined without an end. */
  low: string;
  high: string | undefined;
  /** Where the next window begins; undefined when there is none. */
  next: Buffer | undefined;
}

/**
 * Checks a store.
 * @throws DataFromNewerVersion for a format that this version does not know; what the engines throw.
 */
export async function checkStore(sources: CheckSources, options: CheckOptions = {}): Promise<CheckReport> {
  const { rows, blobs, inUse, again } = sources;
  const { onFinding, onStray, onProgress, windowRows = WINDOW_ROWS } = options;

  const found = new Map<FindingKind, number>();
  const counts = { buckets: 0, objects: 0, objectBytes: 0, versions: 0, uploads: 0, parts: 0, rows: 0, blobs: 0 };
  let done = 0;
  function step(count: number): void {
    done += count;
    onProgress?.(done);
  }
  function find(kind: FindingKind, where: string, why = ""): void {
    found.set(kind, (found.get(kind) ?? 0) + 1);
    onFinding?.({ kind, where, why });
  }
  function sumOf(severity: "damage" | "leftover"): number {
    let sum = 0;
    for (const [kind, count] of found) if (FINDINGS[kind].severity === severity) sum += count;
    return sum;
  }

  const bucketNames = new Map<string, string>();
  const living = new Set<string>();
  /** Uploads that take parts, and such as have ended and whose parts wait for the collector. */
  const uploads = new IdTable(32);
  const ended = new IdTable(32);
  /** Blobs' references (blob and holder) behind which bytes are missing, and why. */
  const damaged = new Map<string, string>();
  /** Whether this walk is the first: what is no matter of ids is looked at once. */
  let first = true;

  const windows: readonly Window[] = [
    { family: "inline", digits: 32, table: undefined, low: "", high: undefined, next: undefined },
    { family: "manifest", digits: 32, table: undefined, low: "", high: undefined, next: undefined },
    { family: "reference", digits: 64, table: undefined, low: "", high: undefined, next: undefined },
  ];
  const [inlines, manifests, references] = windows as [Window, Window, Window];

  /** Decodes a row; what cannot be decoded is found, once, and undefined. */
  function decoded<T>(decode: () => T, where: () => string, quiet = !first): T | undefined {
    try {
      return decode();
    } catch (error) {
      if (!(error instanceof RecordDamaged) && !(error instanceof RecordFromNewerVersion)) throw error;
      if (!quiet) {
        find(error instanceof RecordDamaged ? "row-unreadable" : "row-from-newer", where(), error.message);
      }
      return undefined;
    }
  }

  async function eachRow(family: Family, visit: (row: Row) => void | Promise<void>): Promise<void> {
    await eachRowIn(rows, familyRange(family, PAGE_ROWS), first ? damagedRow : ignore, visit, (count) => {
      step(count);
      if (first) counts.rows += count;
    });
  }

  function damagedRow(key: Buffer): void {
    find("row-unreadable", whoseRow(key), "it does not match its checksum");
  }

  /** The object, version or bucket of a row, or the row itself. */
  function whoseRow(key: Buffer): string {
    if (key[0] === FAMILY.object) return `object ${inBucket(key)}${key.toString("utf8", BUCKET_FAMILY_BYTES)}`;
    if (key[0] === FAMILY.version) {
      const named = decoded(() => splitVersionKey(key.subarray(BUCKET_FAMILY_BYTES)), String, true);
      if (named) return versionLabel(key, named);
    }
    if (key[0] === FAMILY.bucket) return `bucket ${key.toString("utf8", 1)}`;
    return nameOf(key);
  }

  // Ids that are there.

  function covers({ table, low, high }: Window, id: string): boolean {
    return table !== undefined && id >= low && (high === undefined || id < high);
  }

  async function load(window: Window): Promise<void> {
    const { family, digits } = window;
    window.table = undefined;
    const all = familyRange(family, family === "manifest" ? PAGE_CHUNKS : PAGE_ROWS);
    const start = first ? all.start : window.next;
    if (start === undefined) return;
    const table = new IdTable(digits);
    Object.assign(window, { table, low: first ? "" : start.toString("hex", 1, 1 + digits / 2), high: undefined });
    window.next = undefined;
    const idOf = (key: Buffer): string => key.toString("hex", 1, 1 + digits / 2);
    for (let range = { ...all, start }; ; ) {
      const spoilt: Buffer[] = [];
      const some = await readRows(rows, range, (key) => spoilt.push(key));
      // What is damaged is there all the same: whoever needs it is told that it is damaged, not that it is missing.
      for (const key of spoilt) {
        damagedRow(key);
        table.add(idOf(key), DAMAGED);
      }
      for (const [at, row] of some.entries()) {
        const id = idOf(row.key);
        if (table.size >= windowRows && !table.has(id)) {
          window.high = id;
          window.next = row.key;
          counts.rows += at;
          step(at);
          return;
        }
        if (row.key.length !== (family === "manifest" ? 25 : 1 + digits / 2)) {
          find("row-unreadable", nameOf(row.key), "its key has another length");
          continue;
        }
        table.add(id, family === "inline" ? row.value.length : 0);
        if (family === "manifest")
          decoded(
            () => decodeChunk(row.value),
            () => nameOf(row.key),
            false,
          );
      }
      counts.rows += some.length;
      step(some.length);
      const last = some.at(-1);
      if (!last || some.length < range.limit) return;
      range = { ...range, start: after(last.key) };
    }
  }

  // What names them.

  let owners = 0;
  function owner(strict: boolean, label: () => string): Owner {
    owners += 1;
    return { number: owners, strict, label };
  }

  function mark({ table }: Window, slot: number, { number, strict, label }: Owner, what: string): void {
    const marks = (table as IdTable).marks;
    const before = marks[slot] as number;
    if (!strict) {
      if (before === 0) marks[slot] = LOOSELY;
      return;
    }
    if (before !== 0 && before !== LOOSELY && before !== number) {
      find("shared", label(), `${what} belongs to something else as well`);
    }
    marks[slot] = number;
  }

  function namePiece(by: Owner, piece: Piece): void {
    const { seal } = piece;
    const end = seal === undefined ? piece.offset + piece.length : sealedLength(seal.size);
    if (piece.kind === "inline") {
      if (!covers(inlines, piece.id)) return;
      const table = inlines.table as IdTable;
      const slot = table.find(piece.id);
      if (slot < 0) {
        if (by.strict) find("bytes-missing", by.label(), `the row of small body ${piece.id} is missing`);
        return;
      }
      const length = table.values[slot] as number;
      if (by.strict && length === DAMAGED) {
        find("bytes-damaged", by.label(), `the row of small body ${piece.id} does not match its checksum`);
      } else if (by.strict && length < end) {
        find("bytes-short", by.label(), `the row of small body ${piece.id} has ${length} bytes, not ${end}`);
      }
      mark(inlines, slot, by, `small body ${piece.id}`);
      return;
    }
    const id = piece.id + piece.holder;
    if (!covers(references, id)) return;
    const table = references.table as IdTable;
    const slot = table.find(id);
    if (slot < 0) {
      if (by.strict) find("reference-missing", by.label(), `nothing keeps blob ${piece.id} for it`);
      return;
    }
    if (by.strict && (table.values[slot] as number) < end) table.values[slot] = end;
    mark(references, slot, by, `the reference to blob ${piece.id}`);
  }

  /** Every row of a manifest, in order. */
  async function eachChunk(id: string, visit: (row: Row) => void): Promise<void> {
    await eachRowIn(rows, prefixRange(manifestPrefix(id), PAGE_CHUNKS), ignore, visit);
  }

  async function nameManifest(by: Owner, { id, size, pieces }: Manifest): Promise<void> {
    if (covers(manifests, id)) {
      const slot = (manifests.table as IdTable).find(id);
      if (slot >= 0) mark(manifests, slot, by, `manifest ${id}`);
    }
    let at = 0;
    let count = 0;
    let gap = false;
    await eachChunk(id, (row) => {
      const chunk = decoded(() => decodeChunk(row.value), String, true);
      const offset = decoded(() => manifestOffsetOf(row.key), String, true);
      if (chunk === undefined || offset !== at) gap = true;
      for (const piece of chunk ?? []) {
        namePiece(by, piece);
        at += piece.length;
        count += 1;
      }
    });
    if (first && by.strict && (gap || at !== size || count !== pieces)) {
      const why = `manifest ${id} has ${count} pieces with ${at} bytes where ${pieces} with ${size} belong`;
      find("manifest-broken", by.label(), why);
    }
  }

  async function nameBody(by: Owner, body: Body): Promise<void> {
    if (body.manifest) await nameManifest(by, body.manifest);
    for (const piece of body.pieces) namePiece(by, piece);
  }

  /** Visits every body of an object or a part, and whatever else names bytes. */
  async function walkOwners(name: (by: Owner, body: Body) => Promise<void> | void): Promise<void> {
    owners = 0;
    const nothing = { size: 0, manifest: undefined, pieces: [] };
    const rowsOf = (id: string): Body => ({ ...nothing, manifest: { id, size: 0, pieces: 0 } });

    await eachRow("garbage", async ({ key, value }) => {
      const garbage = decoded(
        () => decodeGarbage(value),
        () => nameOf(key),
      );
      if (!garbage) return;
      if (first) find("garbage", nameOf(key), garbage.kind);
      if (garbage.kind === "parts") {
        if (isUploadId(garbage.uploadId)) ended.add(uploadTableId(garbage.uploadId));
        return;
      }
      const body = garbage.kind === "body" ? garbage.body : rowsOf(garbage.manifestId);
      await name(
        owner(false, () => nameOf(key)),
        body,
      );
    });

    await eachRow("intent", async ({ key, value }) => {
      const intent = decoded(
        () => decodeIntent(value),
        () => nameOf(key),
      );
      if (!intent) return;
      if (first && !living.has(incarnationOf(key))) find("unfinished", nameOf(key), intent.kind);
      if (intent.kind !== "bucket-deletion")
        await name(
          owner(false, () => nameOf(key)),
          rowsOf(intent.manifestId),
        );
    });

    await eachRow("object", (row) => {
      const label = (): string => `object ${inBucket(row.key)}${row.key.toString("utf8", BUCKET_FAMILY_BYTES)}`;
      if (first) {
        counts.objects += 1;
        checkBucketOf(row.key, label);
      }
      const record = decoded(() => decodeObject(row.value), label);
      if (!record) return;
      if (first) counts.objectBytes += record.size;
      return name(owner(true, label), record.body);
    });

    const histories = historyChecker();
    await eachRow("version", async (row) => {
      const named = decoded(
        () => splitVersionKey(row.key.subarray(BUCKET_FAMILY_BYTES)),
        () => nameOf(row.key),
      );
      if (!named) return;
      const label = (): string => versionLabel(row.key, named);
      const record = decoded(() => decodeVersion(row.value), label);
      if (first) {
        counts.versions += 1;
        checkBucketOf(row.key, label);
        await histories.visit(row.key, named, record, label);
      }
      if (!record || record.type === "delete-marker") return;
      if (first) counts.objectBytes += record.size;
      await name(owner(true, label), record.body);
    });
    await histories.end();

    await eachRow("part", (row) => {
      const uploadId = row.key.toString("latin1", BUCKET_FAMILY_BYTES, row.key.length - 3);
      const label = (): string =>
        `part ${decoded(() => partNumberOf(row.key), String, true)} of upload ${uploadId} in ${inBucket(row.key)}`;
      if (first) counts.parts += 1;
      if (!isUploadId(uploadId)) {
        if (first) find("row-unreadable", nameOf(row.key), "its key names no upload");
        return;
      }
      const open = uploads.has(uploadTableId(uploadId));
      if (first && !open && !ended.has(uploadTableId(uploadId))) find("upload-missing", label());
      const record = decoded(() => decodePart(row.value), label);
      return record && name(owner(open, label), record.body);
    });
  }

  function versionLabel(row: Buffer, { key, sequence }: { key: string; sequence: number }): string {
    return `version ${versionIdOf({ sequence, versioned: true })} of object ${inBucket(row)}${key}`;
  }

  /**
   * Holds the versions of each key against its current object and its history. Rows of a key come one after the other,
   * the newest first.
   */
  function historyChecker() {
    interface KeyRows {
      readonly bucketId: string;
      readonly key: string;
      readonly newest: { readonly sequence: number; readonly record: VersionRecord | undefined };
      readonly label: () => string;
      nullSequence: number | undefined;
    }
    let open: KeyRows | undefined;

    async function end(): Promise<void> {
      if (!open) return;
      const { bucketId, key, newest, label, nullSequence } = open;
      open = undefined;
      const current = await readSound(objectKey(bucketId, key), decodeObject);
      const history = await readSound(historyKey(bucketId, key), decodeHistory);
      const wrong = (why: string): void => find("version-misplaced", label(), why);
      if (history === "none") wrong("its key has no history");
      else if (typeof history === "object" && history.nullSequence !== nullSequence) {
        wrong("the history of its key names another version as the one without an id");
      }
      if (current === "none") {
        if (newest.record && newest.record.type !== "delete-marker") wrong("it is the newest, and not the current one");
      } else if (typeof current === "object" && current.sequence <= newest.sequence) {
        wrong("it is newer than the current one");
      }
    }

    return {
      end,
      async visit(
        row: Buffer,
        { key, sequence }: { readonly key: string; readonly sequence: number },
        record: VersionRecord | undefined,
        label: () => string,
      ): Promise<void> {
        const bucketId = row.toString("hex", 1, BUCKET_FAMILY_BYTES);
        if (open && (open.key !== key || open.bucketId !== bucketId)) await end();
        open ??= { bucketId, key, newest: { sequence, record }, label, nullSequence: undefined };
        if (record && record.sequence !== sequence) find("version-misplaced", label(), "its row has another sequence");
        if (record && !record.versioned) open.nullSequence = sequence;
      },
    };
  }

  /** A row's record; `none` where there is no row, `unreadable` where that is found elsewhere. */
  async function readSound<T extends object>(
    key: Buffer,
    decode: (value: Buffer) => T,
  ): Promise<T | "none" | "unreadable"> {
    let spoilt = false;
    const [row] = await readRows(rows, pointRange(key), () => {
      spoilt = true;
    });
    if (!row) return spoilt ? "unreadable" : "none";
    return decoded(() => decode(row.value), String, true) ?? "unreadable";
  }

  async function checkHistories(): Promise<void> {
    await eachRow("history", async ({ key, value }) => {
      const name = key.toString("utf8", BUCKET_FAMILY_BYTES);
      const label = (): string => `history of object ${inBucket(key)}${name}`;
      const record: HistoryRecord | undefined = decoded(() => decodeHistory(value), label);
      if (!record) return;
      const versions = prefixRange(versionsPrefix(key.toString("hex", 1, BUCKET_FAMILY_BYTES), name), 1);
      if (await isThere(rows, versions)) return;
      if (record.nullSequence !== undefined) {
        find("version-misplaced", label(), "the version without an id, which it names, is missing");
        return;
      }
      find("history-unneeded", label());
      await onStray?.(pointRange(key));
    });
  }

  function inBucket(key: Buffer): string {
    const id = key.toString("hex", 1, BUCKET_FAMILY_BYTES);
    return `${bucketNames.get(id) ?? `(bucket id ${id})`}/`;
  }

  function checkBucketOf(key: Buffer, label: () => string): void {
    const id = key.toString("hex", 1, BUCKET_FAMILY_BYTES);
    if (!bucketNames.has(id)) find("bucket-missing", label(), `no bucket has the id ${id}`);
  }

  // Rows that name no bytes.

  async function checkFormat(): Promise<void> {
    let spoilt = false;
    const [row] = await readRows(rows, pointRange(formatKey()), (key) => {
      spoilt = true;
      damagedRow(key);
    });
    if (!row) {
      if (!spoilt) find("format-missing", "the row of the data format");
      return;
    }
    counts.rows += 1;
    const format = decoded(
      () => decodeFormat(row.value),
      () => "the row of the data format",
    );
    if (format && format.format > DATA_FORMAT) throw new DataFromNewerVersion(format.format);
  }

  async function checkBuckets(): Promise<void> {
    const listed = new Set<string>();
    const configured = new Map<string, number>();
    /** Ids of buckets whose canned ACL grants something, which stands in their record alone. */
    const shared = new Set<string>();
    await eachRow("accountBucket", ({ key }) => void listed.add(key.toString("latin1")));
    await eachRow("account", () => {});
    await eachRow("bucket", ({ key, value }) => {
      counts.buckets += 1;
      const name = key.toString("utf8", 1);
      const bucket = decoded(
        () => decodeBucket(value),
        () => `bucket ${name}`,
      );
      if (!bucket) return;
      if (bucket.name !== name) find("row-unreadable", `bucket ${name}`, `it holds the record of ${bucket.name}`);
      const other = bucketNames.get(bucket.id);
      if (other !== undefined) find("shared", `bucket ${name}`, `its id is that of bucket ${other}`);
      bucketNames.set(bucket.id, name);
      if (bucket.acl !== "private") shared.add(bucket.id);
      for (const [kind, revision] of bucket.configurations.revisions) {
        configured.set(configurationKey(bucket.id, kind).toString("latin1"), revision);
      }
      if (!listed.delete(accountBucketKey(bucket.ownerUin, name).toString("latin1"))) {
        find("bucket-unlisted", `bucket ${name}`, `account ${bucket.ownerUin} does not list it`);
      }
    });
    for (const text of listed) {
      const key = Buffer.from(text, "latin1");
      find("account-row-unneeded", nameOf(key));
      await onStray?.(pointRange(key));
    }
    const kinds = new Set(configured.keys());
    await checkConfigurations(configured);
    await eachRow("attachment", async ({ key }) => {
      const label = (): string => nameOf(key);
      const split = decoded(() => splitAttachmentKey(key), label);
      if (split === undefined) return;
      const { attached, bucketId } = split;
      const has =
        attached.of === "object"
          ? await hasAcl(bucketId, attached.key, attached.sequence)
          : kinds.has(configurationKey(bucketId, attached.of).toString("latin1")) ||
            (attached.of === "acl" && shared.has(bucketId));
      if (has) return;
      find("attachment-unneeded", label());
      await onStray?.(pointRange(key));
    });
  }

  /** Whether the version of this sequence, or the `null` one for 0, has an ACL of its own, or may have. */
  async function hasAcl(bucketId: string, key: string, sequence: number): Promise<boolean> {
    const current = await readSound(objectKey(bucketId, key), decodeObject);
    if (current === "unreadable") return true;
    let version: VersionRecord | "none" | "unreadable" = current;
    if (current === "none" || (current.versioned ? current.sequence : 0) !== sequence) {
      const history = sequence > 0 ? "none" : await readSound(historyKey(bucketId, key), decodeHistory);
      if (history === "unreadable") return true;
      const at = history === "none" ? sequence : (history.nullSequence ?? 0);
      version = await readSound(versionKey(bucketId, key, at), decodeVersion);
    }
    if (version === "unreadable") return true;
    return version !== "none" && version.sections.some(({ tag }) => tag === OBJECT_ACL_TAG);
  }

  /** `named`: the revision of each configuration that a bucket names, by the text of its row's key. */
  async function checkConfigurations(named: Map<string, number>): Promise<void> {
    await eachRow("configuration", async ({ key, value }) => {
      const label = (): string => `configuration ${key.toString("utf8", BUCKET_FAMILY_BYTES)} of ${inBucket(key)}`;
      const text = key.toString("latin1");
      const revision = named.get(text);
      named.delete(text);
      if (revision === undefined) {
        find("configuration-unneeded", label());
        await onStray?.(pointRange(key));
        return;
      }
      const record = decoded(() => decodeConfiguration(value), label);
      if (record && record.revision !== revision) {
        find("row-unreadable", label(), `its revision is ${record.revision} where ${revision} belongs`);
      }
    });
    for (const text of named.keys()) {
      const key = Buffer.from(text, "latin1");
      find("configuration-missing", `configuration ${key.toString("utf8", BUCKET_FAMILY_BYTES)} of ${inBucket(key)}`);
    }
  }

  /** Rows of accounts and of what belongs to them; a key's row and the list of its account's have to name each other. */
  async function checkPrincipals(): Promise<void> {
    const held = new Set<string>();
    const label = (key: Buffer): string => `account row ${key.toString("utf8", 1).replaceAll("\0", " ")}`;
    const holding = PRINCIPAL_KIND.holding.charCodeAt(0);
    await eachRow("principal", async ({ key, value }) => {
      if (key[1] === holding) {
        held.add(key.toString("latin1"));
        return;
      }
      const read = decoded(
        () => readPrincipalRow(key, value),
        () => label(key),
      );
      if (read?.home !== undefined && !read.home.equals(key)) {
        find("row-unreadable", label(key), `it holds the record of ${label(read.home)}`);
      }
      const { row } = read ?? {};
      // Rows of this kind come first, since their letter does.
      if (row && !held.delete(principalKey("holding", row.uin, row.secretId).toString("latin1"))) {
        find("key-unlisted", label(key), `account ${row.uin} does not list it`);
      }
    });
    for (const text of held) {
      const key = Buffer.from(text, "latin1");
      find("key-row-unneeded", label(key));
      await onStray?.(pointRange(key));
    }
  }

  async function checkUploads(): Promise<void> {
    await eachRow("upload", ({ key, value }) => {
      counts.uploads += 1;
      const named = decoded(
        () => splitUploadKey(key.subarray(BUCKET_FAMILY_BYTES)),
        () => nameOf(key),
      );
      if (!named) return;
      const label = (): string => `upload ${named.uploadId} of ${inBucket(key)}${named.key}`;
      checkBucketOf(key, label);
      // Its parts are known as an open upload's even where its own record cannot be read.
      if (isUploadId(named.uploadId)) uploads.add(uploadTableId(named.uploadId));
      else find("row-unreadable", label(), "its key names no upload");
      decoded(() => decodeUpload(value), label);
    });
  }

  async function checkKeyRing(): Promise<void> {
    await eachRow("keyRing", ({ key, value }) => {
      decoded(
        () => checkKeyRow(keyRingNameOf(key), value),
        () => nameOf(key),
      );
    });
  }

  async function checkTasks(): Promise<void> {
    await eachRow("task", ({ key, value }) => {
      decoded(
        () => decodeTask(value),
        () => nameOf(key),
      );
    });
  }

  /** Rows whose family nothing here knows, from one known family to the next. */
  async function checkUnknown(): Promise<void> {
    const known = Object.values(FAMILY).toSorted((a, b) => a - b);
    let start = Buffer.from([0]);
    for (const byte of [...known, 0xff]) {
      if ((start[0] as number) >= byte) {
        start = Buffer.from([byte + 1]);
        continue;
      }
      const some = await readRows(rows, { start, end: Buffer.from([byte]), limit: PAGE_ROWS }, damagedRow);
      for (const { key } of some) find("row-unknown", nameOf(key));
      counts.rows += some.length;
      start = Buffer.from([Math.min(byte + 1, 0xff)]);
    }
  }

  // From what is there back to what names it.

  async function findUnnamed(): Promise<void> {
    for (const window of [inlines, manifests]) {
      if (!window.table) continue;
      const inline = window === inlines;
      for (const [slot, id] of window.table.entries()) {
        if (window.table.marks[slot] !== 0) continue;
        find(inline ? "bytes-unneeded" : "manifest-unneeded", `${inline ? "small body" : "manifest"} ${id}`);
        await onStray?.(inline ? pointRange(inlineKey(id)) : prefixRange(manifestPrefix(id), 1));
      }
    }
  }

  /** Whether the blob has `end` bytes: the reason why it seems not to. */
  async function probe(from: BlobReader, id: string, end: number): Promise<string | undefined> {
    try {
      for await (const chunk of from.read(id, end, end)) void chunk;
      return undefined;
    } catch (error) {
      if (error instanceof BlobDamaged) return error.message;
      throw error;
    }
  }

  async function checkReference(id: string, end: number): Promise<void> {
    const blob = id.slice(0, 32);
    const why = await probe(blobs, blob, end);
    if (why === undefined || damaged.size >= DAMAGED_MAX) return;
    const isDamage = async (nowRows: RowReader, nowBlobs: BlobReader): Promise<boolean> => {
      // The collector removes the reference first, so a blob that is gone while it is referred to is damage.
      const still = (): Promise<boolean> => isThere(nowRows, pointRange(referenceKey(blob, id.slice(32))));
      if (!(await still())) return false;
      return (await probe(nowBlobs, blob, end)) !== undefined && (await still());
    };
    if (again === undefined || (await again(isDamage))) damaged.set(id, why);
  }

  async function checkReferences(): Promise<void> {
    const { table } = references;
    if (!table) return;
    const entries = table.entries()[Symbol.iterator]();
    const some = async (): Promise<void> => {
      for (let next = entries.next(); !next.done; next = entries.next()) {
        const [slot, id] = next.value;
        const by = table.marks[slot] as number;
        if (by === 0) {
          find("reference-unneeded", `blob ${id.slice(0, 32)}`, `holder ${id.slice(32)}`);
          await onStray?.(pointRange(referenceKey(id.slice(0, 32), id.slice(32))));
        } else if (by !== LOOSELY) {
          await checkReference(id, table.values[slot] as number);
          step(1);
        }
      }
    };
    await Promise.all(Array.from({ length: PROBES_AT_ONCE }, some));
  }

  /** Says which objects and parts the damaged blobs are missed by. */
  async function findUsers(): Promise<void> {
    if (damaged.size === 0) return;
    const check = (by: Owner, piece: Piece): void => {
      const why = piece.kind === "blob" ? damaged.get(piece.id + piece.holder) : undefined;
      if (by.strict && why !== undefined) find("blob-damaged", by.label(), why);
    };
    await walkOwners(async (by, body) => {
      if (by.strict && body.manifest) {
        await eachChunk(body.manifest.id, ({ value }) => {
          for (const piece of decoded(() => decodeChunk(value), String, true) ?? []) check(by, piece);
        });
      }
      for (const piece of body.pieces) check(by, piece);
    });
  }

  async function checkBlobs(): Promise<void> {
    for (let at: string | undefined; ; ) {
      const ids: readonly string[] = await blobs.list(at, BLOBS_PER_PAGE);
      const last = ids.at(-1);
      if (last === undefined) return;
      // The blobs of a process at work may be on their way to a row.
      const dead = ids.filter((id) => !living.has(id.slice(0, 16)));
      for (const id of dead) {
        if (!(await isThere(rows, prefixRange(referencesPrefix(id), 1)))) find("blob-unreferenced", `blob ${id}`);
      }
      counts.blobs += ids.length;
      step(ids.length);
      at = last;
    }
  }

  await checkFormat();
  await checkUnknown();
  await checkTasks();
  await eachRow("incarnation", ({ key, value }) => {
    const record = decoded(
      () => decodeIncarnation(value),
      () => nameOf(key),
    );
    if (record && inUse) living.add(incarnationOf(key));
  });
  await checkBuckets();
  await checkPrincipals();
  await checkUploads();
  await checkKeyRing();
  await checkHistories();
  do {
    for (const window of windows) await load(window);
    await walkOwners(nameBody);
    first = false;
    await findUnnamed();
    await checkReferences();
  } while (windows.some(({ next }) => next !== undefined));
  await findUsers();
  await checkBlobs();

  return { ...counts, found, damage: sumOf("damage"), leftovers: sumOf("leftover") };
}

/**
 * Removes what a check has found to be needed by nothing, where no collector would find it; nobody else may use the
 * store. Give it the result of a check that found no damage: rows that cannot be read may be what names the rest.
 * Resolves with the number of rows removed.
 */
export async function removeStrays(
  sources: Omit<CheckSources, "rows"> & { readonly rows: MetadataEngine },
  options: Pick<CheckOptions, "onProgress" | "windowRows"> = {},
): Promise<number> {
  const { rows } = sources;
  let removed = 0;
  await checkStore(sources, {
    ...options,
    async onStray({ start, end }) {
      for (;;) {
        const [some = []] = await rows.read([{ start, end, limit: PAGE_CHUNKS }]);
        if (some.length === 0) return;
        await rows.commit(
          [],
          some.map(({ key }) => ({ key, value: undefined })),
        );
        removed += some.length;
        if (some.length < PAGE_CHUNKS) return;
      }
    },
  });
  return removed;
}

/** Whether the range holds a row, sound or not. */
async function isThere(rows: RowReader, range: Range): Promise<boolean> {
  let spoilt = false;
  const found = await readRows(rows, range, () => {
    spoilt = true;
  });
  return spoilt || found.length > 0;
}

function nameOf(key: Buffer): string {
  const [name] = Object.entries(FAMILY).find(([, byte]) => byte === key[0]) ?? ["unknown"];
  return `${name} row ${key.toString("hex", 1)}`;
}
