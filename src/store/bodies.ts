/**
 * The one place where the bytes of objects and parts get in and out.
 *
 * The order is always: bytes durable, then the row that names them, then the answer. A crash in between leaves bytes
 * without a row, which the collector finds, and never a row without its bytes. Small bodies are rows themselves and
 * commit together with the row that names them.
 */
import type { ErrorId } from "../errors/catalogue.ts";
import { CosError, refuse } from "../errors/cos-error.ts";
import { BlobDamaged, type BlobEngine, StorageUnavailable } from "../ports/blobs.ts";
import { type MetadataEngine, pointRange, type Write } from "../ports/metadata.ts";
import type { BodyPins } from "./body-pins.ts";
import { RecordDamaged } from "./bytes.ts";
import { bodyDigests, type Digests, digestsOf } from "./digests.ts";
import type { Identities } from "./identities.ts";
import {
  after,
  garbageKey,
  inlineKey,
  intentKey,
  manifestKey,
  manifestOffsetOf,
  manifestPrefix,
  prefixEnd,
  referenceKey,
} from "./keys.ts";
import {
  type BlobPiece,
  type Body,
  bodyOf,
  decodeChunk,
  EMPTY_BODY,
  encodeChunk,
  encodeGarbage,
  encodeIntent,
  type GarbageRecord,
  type InlinePiece,
  type Manifest,
  type Piece,
  PIECES_IN_CHUNK_MAX,
  PIECES_IN_RECORD_MAX,
} from "./records.ts";
import { openedChunks, sealBytes, sealedChunks, sealedLength } from "./sealing.ts";
import { type Transact, type Transaction, TransactionContended } from "./transact.ts";

/** Raised when the bytes of a body were released since its row was read: look the row up again, once. */
export class BodyVanished extends Error {
  constructor() {
    super("the body was released after its row was read");
    this.name = "BodyVanished";
  }
}

/** The part of a request's body that is needed here. */
export interface BodySource {
  /** Bytes, when the client told. */
  readonly declaredLength: number | undefined;
  stream(): AsyncIterable<Buffer>;
  collect(bytesMax: number, over: ErrorId): Promise<Buffer>;
}

/** A body whose bytes are durable, or wait in memory for the transaction that stores them. */
export interface PendingBody {
  readonly body: Body;
  /**
   * Adds to a transaction what makes the body last. It may be called again when the transaction's body runs again.
   * @throws BodyVanished for a shared body whose source has changed meanwhile.
   */
  addTo(tx: Transaction): Promise<void>;
  /**
   * Gives the bytes back. Only for a body that certainly no transaction has stored: after a refusal, never after a
   * commit whose outcome is unknown. Does not throw: what cannot be given back now is found by the next start.
   */
  discard(): Promise<void>;
}

/** A body that came from outside, with its digests. */
export interface IngestedBody extends PendingBody, Digests {
  /** The bytes themselves, when they are to become a row. */
  readonly bytes: Buffer | undefined;
}

export interface IngestOptions {
  /** Most bytes the body may have. */
  readonly bytesMax: number;
  /** What one more byte raises. */
  readonly over: ErrorId;
  /** Whether the SHA-1 is wanted too. */
  readonly sha1?: boolean;
  /** The data key to seal the bytes with; without one they are stored as they are. */
  readonly dataKey?: Buffer | undefined;
}

/** The row that keeps a body in existence, as it was read: its key and its exact bytes. */
export interface SourceRow {
  readonly key: Buffer;
  readonly value: Buffer;
}

export interface Bodies {
  /**
   * Takes a body in. Up to `inlineMax` bytes it becomes a row; more goes to the blob store while it is hashed.
   * Nothing is kept when it throws.
   * @throws CosError `over`; whatever the source throws.
   */
  ingest(source: BodySource, options: IngestOptions): Promise<IngestedBody>;
  /**
   * The bytes from `start` up to, not including, `end` (0 <= start <= end <= size). The first chunk is at hand when
   * this resolves, and bytes that lie in one row come as one buffer; what is not a buffer must be iterated, or its
   * iterator's `return` called. A chunk is valid until the next one is asked for. `dataKey` is what the bytes were
   * sealed with, if they were.
   * @throws BodyVanished, BlobDamaged, RecordDamaged, SealBroken: here, or while iterating.
   */
  open(body: Body, start: number, end: number, dataKey?: Buffer): Promise<Buffer | AsyncIterable<Buffer>>;
  /** The same without waiting: everything is thrown while iterating. */
  read(body: Body, start: number, end: number, dataKey?: Buffer): AsyncIterable<Buffer>;
  /** Every byte that is stored of the body, sealed where it is sealed: for whoever looks for damage. */
  readStored(body: Body): AsyncIterable<Buffer>;
  /**
   * The bytes from `start` to `end` of a stored body as a body of its own. Blobs are shared, small rows are copied.
   * `source` is the row that names the body (or, for a piece of an object, the object's row).
   *
   * The collector frees a blob when nobody refers to it any more, so a new reference may only come from a row that
   * still names the blob when the reference is stored. That is why every transaction here reads the source row and
   * gives up when it has changed.
   * @throws BodyVanished when the source has changed: look it up again.
   */
  share(body: Body, start: number, end: number, source: SourceRow): Promise<PendingBody>;
  /**
   * One body of many, which are taken over with their references: the rows that named them must go, or must not
   * release them, in the transaction that publishes the result. Writes a manifest called `manifestId` ahead of that
   * transaction when there are many pieces; the caller has stored an intent that removes it if nothing comes of it.
   */
  assemble(bodies: AsyncIterable<Body> | Iterable<Body>, manifestId: string): Promise<Body>;
  /**
   * `body` (of a row that `tx` has read) with the new bytes at its end. Small bytes join the small row they follow, so
   * that ten-byte appends do not make a piece each; the row keeps its name, and whoever reads the shorter body still
   * finds its bytes there. Sealed bytes stay as they are: no seal is used twice.
   */
  extend(tx: Transaction, body: Body | undefined, added: IngestedBody): Promise<Body>;
  /** Releases the body of a row that the same transaction replaces or removes. Adds one write at most. */
  release(tx: Transaction, body: Body): void;
  /** Leaves other work for the collector; adds one write. */
  leave(tx: Transaction, garbage: GarbageRecord): void;
  /** Every piece of the body within the range, in order, cut to it; manifests are read as they are needed. */
  pieces(body: Body, start: number, end: number): AsyncIterable<Piece>;
}

/** Runs `work` and gives the body back if it was refused. An unknown outcome keeps it: the rows may name it. */
export async function keeping<T>(pending: PendingBody, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isCertain(error)) await pending.discard();
    throw error;
  }
}

/** Whether the error means that the transaction certainly stored nothing. */
function isCertain(error: unknown): boolean {
  // A full disk would otherwise be filled up by what is refused.
  if (error instanceof StorageUnavailable) return error.trouble === "full";
  return error instanceof CosError || error instanceof BodyVanished || error instanceof TransactionContended;
}

export interface BodiesOptions {
  readonly metadata: MetadataEngine;
  readonly blobs: BlobEngine;
  readonly transact: Transact;
  readonly identities: Identities;
  readonly pins: BodyPins;
  /** Most bytes of a body that becomes a row. */
  readonly inlineMax: number;
  /** Told of each transaction that leaves work for the collector, should it be stored. */
  readonly onLeft: (tx: Transaction) => void;
}

/** Rows of a shared body's manifest and their references that one commit stores; an engine takes 1,000 operations. */
const PIECES_IN_SHARED_CHUNK_MAX = 400;

export function bodies(options: BodiesOptions): Bodies {
  const { metadata, blobs, transact, identities, pins, inlineMax, onLeft } = options;

  async function inlineBytes({ id, offset, length }: InlinePiece): Promise<Buffer> {
    const [rows] = await metadata.read([pointRange(inlineKey(id))]);
    const value = rows?.[0]?.value;
    if (!value) throw new BodyVanished();
    if (value.length < offset + length) throw new RecordDamaged(`a small body has ${value.length} bytes`);
    return value.subarray(offset, offset + length);
  }

  async function* blobBytes({ id, holder }: BlobPiece, start: number, end: number): AsyncGenerator<Buffer> {
    try {
      yield* blobs.read(id, start, end);
    } catch (error) {
      // The collector deletes the reference first. A blob that is gone while it is referred to is a damage.
      if (error instanceof BlobDamaged) {
        const [rows] = await metadata.read([pointRange(referenceKey(id, holder))]);
        if (rows?.length === 0) throw new BodyVanished();
      }
      throw error;
    }
  }

  async function* pieces(body: Body, start: number, end: number): AsyncGenerator<Piece> {
    const { manifest } = body;
    let at = manifest?.size ?? 0;
    if (manifest && start < manifest.size) yield* manifestPieces(manifest, start, Math.min(end, manifest.size));
    for (const piece of body.pieces) {
      if (at >= end) return;
      const cut = cutTo(piece, at, start, end);
      if (cut) yield cut;
      at += piece.length;
    }
  }

  async function* manifestPieces({ id }: Manifest, start: number, end: number): AsyncGenerator<Piece> {
    // The chunk that holds `start` is the last one that begins at or before it.
    let range = { start: manifestKey(id, 0), end: after(manifestKey(id, start)), limit: 1, reverse: true };
    for (let at = start; at < end; ) {
      const [rows] = await metadata.read([range]);
      const row = rows?.[0];
      if (!row) throw new BodyVanished();
      at = manifestOffsetOf(row.key);
      for (const piece of decodeChunk(row.value)) {
        if (at >= end) return;
        const cut = cutTo(piece, at, start, end);
        if (cut) yield cut;
        at += piece.length;
      }
      range = { start: after(row.key), end: prefixEnd(manifestPrefix(id)), limit: 1, reverse: false };
    }
  }

  /** Stored bytes of a piece, from one place in its row or blob up to another. */
  async function* storedBytes(piece: Piece, from: number, to: number): AsyncGenerator<Buffer> {
    if (piece.kind === "blob") yield* blobBytes(piece, from, to);
    else yield await inlineBytes({ ...piece, offset: from, length: to - from });
  }

  async function* pieceBytes(piece: Piece, dataKey: Buffer | undefined): AsyncGenerator<Buffer> {
    const { offset, length, seal } = piece;
    if (seal === undefined) {
      yield* storedBytes(piece, offset, offset + length);
      return;
    }
    if (dataKey === undefined) throw new Error("sealed bytes are read without their data key");
    yield* openedChunks(dataKey, seal, offset, offset + length, (from, to) => storedBytes(piece, from, to));
  }

  async function* read(body: Body, start: number, end: number, dataKey?: Buffer): AsyncGenerator<Buffer> {
    if (start >= end) return;
    if (!pins.pin(body)) throw new BodyVanished();
    try {
      for await (const piece of pieces(body, start, end)) {
        if (piece.kind === "inline" && piece.seal === undefined) yield await inlineBytes(piece);
        else yield* pieceBytes(piece, dataKey);
      }
    } finally {
      pins.unpin(body);
    }
  }

  async function* readStored(body: Body): AsyncGenerator<Buffer> {
    if (!pins.pin(body)) throw new BodyVanished();
    try {
      for await (const piece of pieces(body, 0, body.size)) {
        const { offset, length, seal } = piece;
        if (seal === undefined) yield* storedBytes(piece, offset, offset + length);
        else yield* storedBytes(piece, 0, sealedLength(seal.size));
      }
    } finally {
      pins.unpin(body);
    }
  }

  function inlineBody(bytes: Buffer, dataKey: Buffer | undefined): { body: Body; writes: readonly Write[] } {
    if (bytes.length === 0) return { body: EMPTY_BODY, writes: [] };
    const id = identities.next();
    const plain: Piece = { kind: "inline", id, offset: 0, length: bytes.length };
    if (dataKey === undefined)
      return { body: bodyOf(undefined, [plain]), writes: [{ key: inlineKey(id), value: bytes }] };
    // The row may be copied under another id later, and its bytes then keep their seal.
    const seal = { id: identities.next(), size: bytes.length };
    const value = sealBytes(dataKey, seal.id, bytes);
    return { body: bodyOf(undefined, [{ ...plain, seal }]), writes: [{ key: inlineKey(id), value }] };
  }

  function ingestedRow(plain: Buffer, digests: Digests, dataKey: Buffer | undefined): IngestedBody {
    const { body, writes } = inlineBody(plain, dataKey);
    const bytes = dataKey === undefined ? plain : undefined;
    const addTo = async (tx: Transaction): Promise<void> => add(tx, writes);
    const discard = nothingToDiscard;
    const { crc64, md5, sha1, size } = digests;
    // Field by field: a spread costs more than the row.
    return sha1 === undefined
      ? { md5, crc64, size, bytes, body, addTo, discard }
      : { md5, crc64, size, sha1, bytes, body, addTo, discard };
  }

  async function ingestedBlob(
    first: readonly Buffer[],
    rest: AsyncIterator<Buffer>,
    declaredLength: number | undefined,
    { bytesMax, over, sha1 = false, dataKey }: IngestOptions,
  ): Promise<IngestedBody> {
    const hash = bodyDigests({ sha1 });
    let size = 0;
    async function* measured(): AsyncGenerator<Buffer> {
      try {
        for (const chunk of first) {
          size += chunk.length;
          if (size > bytesMax) throw refuse(over);
          hash.update(chunk);
          yield chunk;
        }
        for (let next = await rest.next(); !next.done; next = await rest.next()) {
          size += next.value.length;
          if (size > bytesMax) throw refuse(over);
          hash.update(next.value);
          yield next.value;
        }
      } finally {
        await rest.return?.();
      }
    }
    const sealId = dataKey && identities.next();
    const stored = dataKey && sealId ? sealedChunks(dataKey, sealId, measured()) : measured();
    const hint = dataKey && declaredLength !== undefined ? sealedLength(declaredLength) : declaredLength;
    const blob = await blobs.put(stored, hint);
    const digests = hash.finish();
    const length = digests.size;
    const wanted = sealId ? sealedLength(length) : length;
    if (blob.size !== wanted) throw new Error(`the blob store kept ${blob.size} of ${wanted} bytes`);
    const holder = identities.next();
    const whole: Piece = { kind: "blob", id: blob.id, holder, offset: 0, length };
    const piece: Piece = sealId ? { ...whole, seal: { id: sealId, size: length } } : whole;
    return {
      ...digests,
      bytes: undefined,
      body: bodyOf(undefined, [piece]),
      addTo: async (tx) => tx.set(referenceKey(blob.id, holder), NOTHING),
      async discard() {
        try {
          await blobs.remove([blob.id]);
        } catch {
          // No row names it, so the sweep of the next start removes it.
        }
      },
    };
  }

  /** Writes a manifest in chunks, each in one call of `store`. */
  async function writeManifest(
    id: string,
    from: AsyncIterable<Piece> | Iterable<Piece>,
    chunkMax: number,
    store: (key: Buffer, chunk: readonly Piece[]) => Promise<void>,
  ): Promise<Manifest> {
    let size = 0;
    let count = 0;
    let chunk: Piece[] = [];
    let begins = 0;
    for await (const piece of from) {
      chunk.push(piece);
      size += piece.length;
      count += 1;
      if (chunk.length === chunkMax) {
        await store(manifestKey(id, begins), chunk);
        chunk = [];
        begins = size;
      }
    }
    if (chunk.length > 0) await store(manifestKey(id, begins), chunk);
    return { id, size, pieces: count };
  }

  async function checkSource(tx: Transaction, source: SourceRow): Promise<void> {
    const present = await tx.get(source.key);
    if (!present?.equals(source.value)) throw new BodyVanished();
  }

  /** The piece for another holder, and what stores it. */
  async function copied(piece: Piece, holder: string): Promise<{ piece: Piece; write: Write }> {
    if (piece.kind === "blob") {
      return { piece: { ...piece, holder }, write: { key: referenceKey(piece.id, holder), value: NOTHING } };
    }
    const id = identities.next();
    const { seal } = piece;
    if (seal !== undefined) {
      const value = Buffer.from(await inlineBytes({ ...piece, offset: 0, length: sealedLength(seal.size) }));
      return { piece: { ...piece, id }, write: { key: inlineKey(id), value } };
    }
    const bytes = Buffer.from(await inlineBytes(piece));
    return {
      piece: { kind: "inline", id, offset: 0, length: bytes.length },
      write: { key: inlineKey(id), value: bytes },
    };
  }

  async function shareMany(from: AsyncIterable<Piece>, source: SourceRow): Promise<PendingBody> {
    const manifestId = identities.next();
    const holder = identities.next();
    const intent = intentKey(identities.incarnation, identities.number());
    async function abandon(): Promise<void> {
      try {
        await transact([], async (tx) => {
          if ((await tx.get(intent)) === undefined) return;
          tx.delete(intent);
          release(tx, { size: 0, manifest: { id: manifestId, size: 0, pieces: 0 }, pieces: [] });
        });
      } catch {
        // The intent is still there, and the next start acts on it.
      }
    }
    await transact([], async (tx) => {
      await checkSource(tx, source);
      tx.set(intent, encodeIntent({ kind: "body", manifestId }));
    });
    let manifest: Manifest;
    try {
      manifest = await writeManifest(manifestId, from, PIECES_IN_SHARED_CHUNK_MAX, async (key, chunk) => {
        const copies: { piece: Piece; write: Write }[] = [];
        for (const piece of chunk) copies.push(await copied(piece, holder));
        await transact([], async (tx) => {
          await checkSource(tx, source);
          tx.set(key, encodeChunk(copies.map(({ piece }) => piece)));
          for (const { write } of copies) add(tx, [write]);
        });
      });
    } catch (error) {
      if (isCertain(error)) await abandon();
      throw error;
    }
    return {
      body: bodyOf(manifest, []),
      async addTo(tx) {
        // The references were stored while the source was there; from then on the bytes are ours, for as long as nobody
        // has undone this work, as going back to a snapshot does.
        if ((await tx.get(intent)) === undefined) throw new BodyVanished();
        tx.delete(intent);
      },
      discard: abandon,
    };
  }

  function release(tx: Transaction, body: Body): void {
    if (body.manifest === undefined) {
      const [only, ...others] = body.pieces;
      if (only === undefined) return;
      if (only.kind === "inline" && others.length === 0) {
        // Nobody else has this row, and its readers take it in one go: it can leave with the row that named it.
        tx.delete(inlineKey(only.id));
        return;
      }
    }
    leave(tx, { kind: "body", body });
  }

  function leave(tx: Transaction, garbage: GarbageRecord): void {
    onLeft(tx);
    tx.set(garbageKey(identities.next()), encodeGarbage(garbage));
  }

  return {
    read,
    readStored,
    pieces,
    release,
    leave,

    async ingest(source, ingestOptions) {
      const { bytesMax, over, sha1 = false, dataKey } = ingestOptions;
      const { declaredLength } = source;
      if (declaredLength !== undefined && declaredLength > bytesMax) throw refuse(over);
      if (declaredLength !== undefined && declaredLength <= inlineMax) {
        const bytes = await source.collect(Math.min(inlineMax, bytesMax), over);
        return ingestedRow(bytes, digestsOf(bytes, { sha1 }), dataKey);
      }
      const chunks = source.stream()[Symbol.asyncIterator]();
      if (declaredLength !== undefined) return ingestedBlob([], chunks, declaredLength, ingestOptions);

      // The length is known when the end has come, so the first bytes wait until it is clear where they belong.
      const first: Buffer[] = [];
      let size = 0;
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) {
        first.push(Buffer.from(next.value));
        size += next.value.length;
        if (size > inlineMax || size > bytesMax) return ingestedBlob(first, chunks, undefined, ingestOptions);
      }
      const bytes = Buffer.concat(first, size);
      return ingestedRow(bytes, digestsOf(bytes, { sha1 }), dataKey);
    },

    async open(body, start, end, dataKey) {
      if (start >= end) return NOTHING;
      const [only, ...others] = body.pieces;
      if (body.manifest === undefined && only?.kind === "inline" && others.length === 0) {
        const piece = { ...only, offset: only.offset + start, length: end - start };
        return only.seal === undefined ? inlineBytes(piece) : collected(pieceBytes(piece, dataKey));
      }
      return begun(read(body, start, end, dataKey));
    },

    async share(body, start, end, source) {
      if (start < 0 || end > body.size || start > end) throw new RangeError(`no bytes ${start} to ${end}`);
      const holder = identities.next();
      const first: Piece[] = [];
      const rest = pieces(body, start, end);
      for (let next = await rest.next(); !next.done; next = await rest.next()) {
        first.push(next.value);
        if (first.length > PIECES_IN_RECORD_MAX) return shareMany(chain(first, rest), source);
      }
      const copies: { piece: Piece; write: Write }[] = [];
      for (const piece of first) copies.push(await copied(piece, holder));
      return {
        body: bodyOf(
          undefined,
          copies.map(({ piece }) => piece),
        ),
        async addTo(tx) {
          await checkSource(tx, source);
          add(
            tx,
            copies.map(({ write }) => write),
          );
        },
        discard: async () => {},
      };
    },

    async assemble(parts, manifestId) {
      const first: Piece[] = [];
      async function* all(): AsyncGenerator<Piece> {
        for await (const part of parts) yield* pieces(part, 0, part.size);
      }
      const rest = all();
      for (let next = await rest.next(); !next.done; next = await rest.next()) {
        first.push(next.value);
        if (first.length > PIECES_IN_RECORD_MAX) {
          const from = chain(first, rest);
          const manifest = await writeManifest(manifestId, from, PIECES_IN_CHUNK_MAX, (key, chunk) =>
            transact([], async (tx) => tx.set(key, encodeChunk(chunk))),
          );
          return bodyOf(manifest, []);
        }
      }
      return bodyOf(undefined, first);
    },

    async extend(tx, body, added) {
      const [addedPiece] = added.body.pieces;
      if (addedPiece === undefined) return body ?? EMPTY_BODY;
      const last = body?.pieces.at(-1);
      if (
        body &&
        last?.kind === "inline" &&
        last.seal === undefined &&
        last.offset === 0 &&
        added.bytes !== undefined &&
        last.length + added.bytes.length <= inlineMax
      ) {
        const key = inlineKey(last.id);
        const present = await tx.get(key);
        if (present === undefined || present.length < last.length) throw new RecordDamaged("a small body is missing");
        tx.set(key, Buffer.concat([present.subarray(0, last.length), added.bytes]));
        const grown: Piece = { ...last, length: last.length + addedPiece.length };
        return bodyOf(body.manifest, [...body.pieces.slice(0, -1), grown]);
      }
      await added.addTo(tx);
      const all = [...(body?.pieces ?? []), addedPiece];
      if (all.length <= PIECES_IN_RECORD_MAX) return bodyOf(body?.manifest, all);
      // A new chunk behind those there are: none is ever written again, however many appends follow. The last piece
      // stays in the record, where it can still grow.
      const moved = all.slice(0, -1);
      const { id, size, pieces: count } = body?.manifest ?? { id: identities.next(), size: 0, pieces: 0 };
      tx.set(manifestKey(id, size), encodeChunk(moved));
      return bodyOf({ id, size: size + bodyOf(undefined, moved).size, pieces: count + moved.length }, [addedPiece]);
    },
  };
}

const NOTHING = Buffer.alloc(0);

async function collected(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(Buffer.from(chunk));
  return all.length === 1 ? (all[0] as Buffer) : Buffer.concat(all);
}

const nothingToDiscard = async (): Promise<void> => {};

function add(tx: Transaction, writes: readonly Write[]): void {
  for (const { key, value } of writes) if (value !== undefined) tx.set(key, value);
}

/** The part of a piece that begins at `at` of its body which lies within `start` to `end`, if there is one. */
function cutTo(piece: Piece, at: number, start: number, end: number): Piece | undefined {
  const from = Math.max(start, at) - at;
  const to = Math.min(end, at + piece.length) - at;
  if (from >= to) return undefined;
  if (from === 0 && to === piece.length) return piece;
  return { ...piece, offset: piece.offset + from, length: to - from };
}

async function* chain(first: readonly Piece[], rest: AsyncIterable<Piece>): AsyncGenerator<Piece> {
  yield* first;
  yield* rest;
}

/** The same chunks, the first of which has come: what fails at once fails here. */
async function begun(chunks: AsyncGenerator<Buffer>): Promise<AsyncIterable<Buffer>> {
  let first: IteratorResult<Buffer> | undefined = await chunks.next();
  const iterator: AsyncIterator<Buffer> = {
    next() {
      if (first === undefined) return chunks.next();
      const next = Promise.resolve(first);
      first = undefined;
      return next;
    },
    return: () => chunks.return(undefined),
  };
  return { [Symbol.asyncIterator]: () => iterator };
}
