/**
 * Releases in the background what rows no longer name. Its queue is rows, written in the same transaction as the
 * change that left something behind, and removed last: a crash at any point repeats a step, and every step may be
 * repeated.
 *
 * Why one look is enough to free a blob: every row that names a blob has a reference row, stored with it or before,
 * and removed only after it. A new reference is stored only by a transaction that has read, and so depends on, a row
 * that still names the blob (`share`). So once a snapshot shows no reference, no row names the blob, and none ever
 * will. A blob that has just been written and is named by nothing yet is in no queue, and the sweep leaves the blobs
 * of living processes alone.
 */
import type { BlobEngine } from "../ports/blobs.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { MetadataEngine, Row, Write } from "../ports/metadata.ts";
import type { Peers } from "../ports/peers.ts";
import { type BodyPins, namesOf } from "./body-pins.ts";
import { RecordDamaged } from "./bytes.ts";
import {
  after,
  familyRange,
  inlineKey,
  manifestPrefix,
  partNumberOf,
  partsPrefix,
  prefixRange,
  referenceKey,
  referencesPrefix,
} from "./keys.ts";
import {
  type Body,
  decodeChunk,
  decodeGarbage,
  decodePart,
  type GarbageRecord,
  type PartRange,
  type Piece,
  RecordFromNewerVersion,
} from "./records.ts";

export interface Collector {
  /** Says that there may be something to release. Returns at once; the work starts a moment later. */
  nudge(): void;
  /** Says that blobs of dead processes may be lying about: looks for them once. */
  sweep(): void;
  /**
   * Resolves when everything that can be released has been (bodies that are being read cannot, and no blob can while
   * they are held). Rejects with what stopped the work, if something did.
   */
  idle(): Promise<void>;
  /** Runs `work`, which does not wait, while nothing is being released: what is looked at then stays as it is. */
  between<T>(work: () => T): Promise<T>;
  /** Ends the work at the next safe point. What is left waits for the next start. */
  stop(): Promise<void>;
}

export interface CollectorOptions {
  readonly metadata: MetadataEngine;
  readonly blobs: BlobEngine;
  readonly clock: Clock;
  readonly pins: Pick<BodyPins, "hold" | "letGo">;
  /** Readers in other processes. */
  readonly peers: Pick<Peers, "hold" | "letGo">;
  /** Whether the process with this incarnation (16 hex digits) may still be writing. */
  readonly isAlive: (incarnation: string) => Promise<boolean>;
  /** Whether somebody copies the blobs just now, so that none may be removed. */
  readonly isHeld: () => Promise<boolean>;
  /** Told about what goes wrong; the work is tried again later. */
  readonly report: (error: unknown) => void;
}

/** Writes in one commit of the collector. */
const WRITES_MAX = 500;
/** Point reads in one call. */
const READS_MAX = 250;
/** Queue rows, or parts, that are read at a time. */
const ROWS_MAX = 100;
const BLOBS_PER_PAGE = 1_000;
/** How long the work waits for more of the same, in monotonic milliseconds. */
const GATHER_MS = 20;
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 60_000;
/** How soon the work is tried again while the blobs are held, or another process does not answer. */
const HELD_RETRY_MS = 1_000;

/** Raised inside when a reader needs what is to be freed: the row stays for later. */
class StillRead extends Error {}

/** Raised inside when the blobs are held, or nobody knows what is being read: everything stays for later. */
class StillHeld extends Error {}

export function collector(options: CollectorOptions): Collector {
  const { metadata, blobs, clock, pins, peers, isAlive, isHeld, report } = options;
  const state = { queueWanted: false, sweepWanted: false, held: false, stopping: false };
  let timer: Timer | undefined;
  let running: Promise<void> | undefined;
  let trouble: { readonly error: unknown } | undefined;
  let retryMs = RETRY_MS_MIN;

  async function write(writes: readonly Write[]): Promise<void> {
    for (let at = 0; at < writes.length; at += WRITES_MAX) await metadata.commit([], writes.slice(at, at + WRITES_MAX));
  }

  /** Removes those of the blobs that nothing refers to in one snapshot. */
  async function removeUnreferenced(ids: readonly string[]): Promise<void> {
    for (let at = 0; at < ids.length; at += READS_MAX) {
      const some = ids.slice(at, at + READS_MAX);
      const references = await metadata.read(some.map((id) => prefixRange(referencesPrefix(id), 1)));
      const free = some.filter((_, index) => references[index]?.length === 0);
      if (free.length === 0) continue;
      // Asked after the look at the references: what is free by then was free before a hold made later, and what the
      // copy of a hold made earlier needs is not touched.
      if (await isHeld()) throw new StillHeld();
      await blobs.remove(free);
    }
  }

  async function freePieces(pieces: readonly Piece[]): Promise<void> {
    const rows = new Map<string, Write>();
    const blobIds = new Set<string>();
    for (const piece of pieces) {
      const key = piece.kind === "inline" ? inlineKey(piece.id) : referenceKey(piece.id, piece.holder);
      rows.set(key.toString("latin1"), { key, value: undefined });
      if (piece.kind === "blob") blobIds.add(piece.id);
    }
    await write([...rows.values()]);
    await removeUnreferenced([...blobIds]);
  }

  /** Visits the rows of a manifest, from its first to its last, and removes each after its visit. */
  async function consumeManifest(id: string, visit: (pieces: readonly Piece[]) => Promise<void>): Promise<void> {
    for (;;) {
      const [rows] = await metadata.read([prefixRange(manifestPrefix(id), 1)]);
      const row = rows?.[0];
      if (!row) return;
      await visit(decodeChunk(row.value));
      await write([{ key: row.key, value: undefined }]);
    }
  }

  /** Which of the names are being read, in any process. No reader comes to the others until they are let go. */
  async function hold(names: readonly string[]): Promise<ReadonlySet<string>> {
    const readHere = pins.hold(names);
    const readElsewhere = await peers.hold(names);
    if (readElsewhere === undefined) {
      pins.letGo(names);
      throw new StillHeld();
    }
    return new Set([...readHere, ...readElsewhere]);
  }

  function letGo(names: readonly string[]): void {
    pins.letGo(names);
    peers.letGo(names);
  }

  /** Runs `work` while nobody reads any of these, nor begins to. */
  async function whileUnread(names: readonly string[], work: () => Promise<void>): Promise<void> {
    if (names.length === 0) return work();
    const read = await hold(names);
    try {
      if (read.size > 0) throw new StillRead();
      await work();
    } finally {
      letGo(names);
    }
  }

  async function freeBody({ manifest, pieces }: Body): Promise<void> {
    await whileUnread([...namesOf(manifest?.id, pieces)], async () => {
      if (manifest) {
        await consumeManifest(manifest.id, (chunk) =>
          // Among them may be pieces that were in the record itself when their reader came, and were moved since.
          whileUnread([...namesOf(undefined, chunk)], () => freePieces(chunk)),
        );
      }
      await freePieces(pieces);
    });
  }

  async function freeParts(bucketId: string, uploadId: string, taken: readonly PartRange[]): Promise<void> {
    for (;;) {
      const [rows = []] = await metadata.read([prefixRange(partsPrefix(bucketId, uploadId), ROWS_MAX)]);
      if (rows.length === 0) return;
      const loose: Piece[] = [];
      for (const { key, value } of rows) {
        const number = partNumberOf(key);
        const { body } = decodePart(value);
        const isTaken = taken.some(({ first, last }) => first <= number && number <= last);
        if (!isTaken && body.manifest) await freeBody(body);
        else if (!isTaken) loose.push(...body.pieces);
        // The object lists the pieces of a part it took over in its own manifest, so the part's is left over.
        else if (body.manifest) await consumeManifest(body.manifest.id, async () => {});
      }
      await whileUnread([...namesOf(undefined, loose)], () => freePieces(loose));
      await write(rows.map(({ key }) => ({ key, value: undefined })));
    }
  }

  async function free(garbage: GarbageRecord): Promise<void> {
    switch (garbage.kind) {
      case "body":
        return freeBody(garbage.body);
      case "parts":
        return freeParts(garbage.bucketId, garbage.uploadId, garbage.taken);
      case "manifest-rows":
        return consumeManifest(garbage.manifestId, async () => {});
    }
  }

  /** Most of the queue is bodies of a few pieces: they share commits. */
  async function freePage(rows: readonly Row[]): Promise<void> {
    const simple: { readonly key: Buffer; readonly pieces: readonly Piece[] }[] = [];
    for (const { key, value } of rows) {
      const garbage = decoded(value);
      if (garbage?.kind !== "body" || garbage.body.manifest !== undefined) continue;
      simple.push({ key, pieces: garbage.body.pieces });
    }
    if (simple.length > 0) {
      const names = simple.flatMap(({ pieces }) => [...namesOf(undefined, pieces)]);
      const read = await hold(names);
      try {
        const unread = simple.filter(({ pieces }) => ![...namesOf(undefined, pieces)].some((name) => read.has(name)));
        await freePieces(unread.flatMap(({ pieces }) => pieces));
        await write(unread.map(({ key }) => ({ key, value: undefined })));
      } finally {
        letGo(names);
      }
    }
    for (const { key, value } of rows) {
      if (state.stopping) return;
      const garbage = decoded(value);
      if (garbage === undefined || (garbage.kind === "body" && garbage.body.manifest === undefined)) continue;
      try {
        await free(garbage);
        await write([{ key, value: undefined }]);
      } catch (error) {
        if (error instanceof StillRead) continue;
        if (!isUnreadable(error)) throw error;
        report(error);
      }
    }
  }

  /** A row that cannot be read stays where it is and holds up no other. */
  function decoded(value: Buffer): GarbageRecord | undefined {
    try {
      return decodeGarbage(value);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      report(error);
      return undefined;
    }
  }

  async function freeQueue(): Promise<void> {
    let range = familyRange("garbage", ROWS_MAX);
    while (!state.stopping) {
      const [rows = []] = await metadata.read([range]);
      const last = rows.at(-1);
      if (!last) return;
      await freePage(rows);
      range = { ...range, start: after(last.key) };
    }
  }

  async function sweepDead(): Promise<void> {
    let at: string | undefined;
    while (!state.stopping) {
      const ids: readonly string[] = await blobs.list(at, BLOBS_PER_PAGE);
      const last = ids.at(-1);
      if (last === undefined) return;
      const living = new Set<string>();
      for (const incarnation of new Set(ids.map(incarnationOfBlob))) {
        if (await isAlive(incarnation)) living.add(incarnation);
      }
      await removeUnreferenced(ids.filter((id) => !living.has(incarnationOfBlob(id))));
      // What a living process writes is left alone, however much of it there is.
      at = living.has(incarnationOfBlob(last)) ? incarnationOfBlob(last) + "f".repeat(16) : last;
    }
  }

  async function work(): Promise<void> {
    state.held = false;
    try {
      while ((state.queueWanted || state.sweepWanted) && !state.stopping) {
        if (state.queueWanted) {
          state.queueWanted = false;
          await freeQueue();
        } else {
          await sweepDead();
          if (!state.stopping) state.sweepWanted = false;
        }
      }
      trouble = undefined;
      retryMs = RETRY_MS_MIN;
    } catch (error) {
      state.queueWanted = true;
      if (error instanceof StillHeld) {
        state.held = true;
        if (!state.stopping) schedule(HELD_RETRY_MS);
        return;
      }
      trouble = { error };
      if (!state.stopping) {
        report(error);
        schedule(retryMs);
        retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
      }
    } finally {
      running = undefined;
    }
  }

  function start(): Promise<void> {
    timer?.cancel();
    timer = undefined;
    running ??= work();
    return running;
  }

  function schedule(ms: number): void {
    timer ??= clock.after(ms, () => void start());
  }

  function ask(): void {
    if (running === undefined && !state.stopping) schedule(GATHER_MS);
  }

  return {
    nudge() {
      state.queueWanted = true;
      ask();
    },
    sweep() {
      state.sweepWanted = true;
      ask();
    },
    async idle() {
      while ((running || state.queueWanted || state.sweepWanted) && !state.stopping) {
        await start();
        if (trouble) throw trouble.error;
        if (state.held) return;
      }
    },
    async between(work) {
      while (running) await running;
      return work();
    },
    async stop() {
      state.stopping = true;
      timer?.cancel();
      await running;
    },
  };
}

function incarnationOfBlob(id: string): string {
  return id.slice(0, 16);
}

function isUnreadable(error: unknown): boolean {
  return error instanceof RecordDamaged || error instanceof RecordFromNewerVersion;
}
