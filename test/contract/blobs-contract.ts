/** What every blob engine must do. An engine has no tests of these rules; it passes this suite. */
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, it } from "vitest";
import { BlobDamaged, type BlobEngine, type BlobId } from "../../src/ports/blobs.ts";

const KIB = 1024;
const BLOCK = 64 * KIB;
const BUFFER = 256 * KIB;

/** Bytes that differ from place to place and repeat nowhere near a block's length. */
export function someBytes(length: number, seed = 1): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let state = seed * 2654435761 + 1;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** A body of the pieces given, all through one buffer that is overwritten as soon as the next is asked for. */
export async function* throughOneBuffer(pieces: Iterable<Buffer>): AsyncGenerator<Buffer> {
  let shared = Buffer.alloc(0);
  for (const piece of pieces) {
    if (shared.length < piece.length) shared = Buffer.alloc(piece.length);
    piece.copy(shared);
    yield shared.subarray(0, piece.length);
    shared.fill(0xee);
  }
}

export function* pieces(bytes: Buffer, length: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

/** What a reader collects: copies, since a chunk is valid only until the next. */
export async function readAll(engine: BlobEngine, id: BlobId, start: number, end: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of engine.read(id, start, end)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

export function put(engine: BlobEngine, bytes: Buffer, pieceLength = BLOCK): ReturnType<BlobEngine["put"]> {
  return engine.put(throughOneBuffer(pieces(bytes, pieceLength)), bytes.length);
}

async function everyId(engine: BlobEngine, limit: number): Promise<BlobId[]> {
  const ids: BlobId[] = [];
  for (;;) {
    const page = await engine.list(ids.at(-1), limit);
    assert.ok(page.length <= limit);
    ids.push(...page);
    if (page.length === 0) return ids;
  }
}

function sameBytes(actual: Buffer, expected: Buffer): void {
  // Comparing first: a difference printed byte by byte would take minutes.
  assert.ok(actual.equals(expected), `read ${actual.length} bytes that are not the ${expected.length} put`);
}

/** `open` makes an engine that holds no blob; `shut` cleans up after it. */
export function blobEngineContract(
  name: string,
  open: () => Promise<{ engine: BlobEngine; shut: () => Promise<void> }>,
): void {
  describe(`blob engine ${name}`, () => {
    let engine: BlobEngine;
    let shut: () => Promise<void>;
    beforeAll(async () => {
      ({ engine, shut } = await open());
    });
    afterAll(() => shut());

    it("names blobs with 32 hex digits that begin with the incarnation and ascend", async () => {
      assert.match(engine.incarnation, /^[0-9a-f]{16}$/);
      const first = await put(engine, someBytes(10));
      const second = await put(engine, someBytes(10));
      for (const { id } of [first, second]) {
        assert.match(id, /^[0-9a-f]{32}$/);
        assert.equal(id.slice(0, 16), engine.incarnation);
      }
      assert.ok(first.id < second.id);
    });

    const sizes = [
      0,
      1,
      4 * KIB,
      BLOCK - 1,
      BLOCK,
      BLOCK + 1,
      BUFFER - 68,
      BUFFER - 64,
      BUFFER - 1,
      BUFFER,
      BUFFER + 1,
    ];
    sizes.push(2 * BUFFER - 1, 2 * BUFFER, 2 * BUFFER + BLOCK + 7);
    for (const size of sizes) {
      it(`gives back ${size} bytes, whole and every kind of range`, async () => {
        const bytes = someBytes(size, size);
        const blob = await put(engine, bytes, 50_000);
        assert.equal(blob.size, size);
        sameBytes(await readAll(engine, blob.id, 0, size), bytes);
        const cuts = [0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1, BUFFER - 1, BUFFER, BUFFER + 1, size - 1, size];
        const places = [...new Set(cuts.filter((cut) => cut >= 0 && cut <= size))];
        for (const start of places) {
          for (const end of places.filter((place) => place >= start)) {
            sameBytes(await readAll(engine, blob.id, start, end), bytes.subarray(start, end));
          }
        }
      });
    }

    it("takes a body in any pieces and gives any range of it", async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.oneof(fc.nat(300), fc.nat(3 * BLOCK), fc.constantFrom(0, BLOCK, BUFFER)), { maxLength: 12 }),
          fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 4 }),
          async (lengths, ranges) => {
            const bytes = someBytes(
              lengths.reduce((sum, length) => sum + length, 0),
              lengths.length + 1,
            );
            let at = 0;
            const parts = lengths.map((length) => bytes.subarray(at, (at += length)));
            const blob = await engine.put(throughOneBuffer(parts));
            assert.equal(blob.size, bytes.length);
            for (const range of [...ranges, [0, bytes.length] as const]) {
              const [start, end] = range.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b);
              sameBytes(await readAll(engine, blob.id, start ?? 0, end ?? 0), bytes.subarray(start, end));
            }
            await engine.remove([blob.id]);
          },
        ),
        { numRuns: 60 },
      );
    });

    it("does not believe the size hint", async () => {
      for (const hint of [0, 5, 10_000_000]) {
        const bytes = someBytes(300_000, hint + 1);
        const blob = await engine.put(throughOneBuffer([bytes]), hint);
        assert.equal(blob.size, bytes.length);
        sameBytes(await readAll(engine, blob.id, 0, bytes.length), bytes);
      }
    });

    it("keeps nothing of a body that fails on its way, and throws the body's own error", async () => {
      const before = await everyId(engine, 1000);
      for (const sent of [0, 10, BLOCK, BUFFER, 3 * BUFFER + 5]) {
        const failure = new Error(`the client left after ${sent} bytes`);
        const body = async function* (): AsyncGenerator<Buffer> {
          yield* throughOneBuffer(pieces(someBytes(sent), BLOCK));
          throw failure;
        };
        await assert.rejects(engine.put(body()), (error) => error === failure);
      }
      assert.deepEqual(await everyId(engine, 1000), before);
    });

    it("BlobDamaged: a blob that is not there, that was removed, or that ends before the range", async () => {
      const { id } = await put(engine, someBytes(1000));
      await assert.rejects(readAll(engine, id, 0, 1001), BlobDamaged);
      await engine.remove([id]);
      await assert.rejects(readAll(engine, id, 0, 1000), BlobDamaged);
      await assert.rejects(readAll(engine, id, 0, 0), BlobDamaged);
      await assert.rejects(readAll(engine, `${engine.incarnation}ffffffffffffffff`, 0, 0), BlobDamaged);
      await assert.rejects(readAll(engine, "../../../../../../../etc/passwd", 0, 1), BlobDamaged);
    });

    it("forgets blobs, and passes over those that are not there", async () => {
      const kept = await put(engine, someBytes(10));
      const gone = await put(engine, someBytes(10));
      await engine.remove([gone.id, "0".repeat(32), gone.id, "no id"]);
      await engine.remove([gone.id]);
      await engine.remove([]);
      const ids = await everyId(engine, 1000);
      assert.ok(ids.includes(kept.id) && !ids.includes(gone.id));
    });

    it("lets a reader finish, or says BlobDamaged, when the blob is removed under it", async () => {
      const bytes = someBytes(5 * BUFFER, 9);
      const { id } = await put(engine, bytes);
      const chunks: Buffer[] = [];
      try {
        for await (const chunk of engine.read(id, 0, bytes.length)) {
          chunks.push(Buffer.from(chunk));
          if (chunks.length === 1) await engine.remove([id]);
        }
        sameBytes(Buffer.concat(chunks), bytes);
      } catch (error) {
        assert.ok(error instanceof BlobDamaged);
        const read = Buffer.concat(chunks);
        sameBytes(read, bytes.subarray(0, read.length));
      }
      await assert.rejects(readAll(engine, id, 0, 1), BlobDamaged);
    });

    it("keeps bodies apart that are put and read at the same time", async () => {
      const bodies = Array.from({ length: 60 }, (_, index) => someBytes(index * 9_973, index + 1));
      const blobs = await Promise.all(bodies.map((bytes, index) => put(engine, bytes, 1 + index * 2_111)));
      assert.equal(new Set(blobs.map(({ id }) => id)).size, bodies.length);
      const twice = [...blobs.entries(), ...blobs.entries()];
      await Promise.all(
        twice.map(async ([index, { id, size }]) => {
          sameBytes(await readAll(engine, id, 0, size), bodies[index] as Buffer);
        }),
      );
      await engine.remove(blobs.map(({ id }) => id));
    });

    it("keeps the buffers of readers that leave early apart from the next reader's", async () => {
      const bytes = someBytes(6 * BUFFER, 4);
      const { id } = await put(engine, bytes);
      const readUntil = async (enough: number): Promise<Buffer> => {
        const chunks: Buffer[] = [];
        for await (const chunk of engine.read(id, 0, bytes.length)) {
          chunks.push(Buffer.from(chunk));
          if (chunks.length === enough) break;
        }
        return Buffer.concat(chunks);
      };
      const enough = [Number.POSITIVE_INFINITY, 1, 2, 3];
      const reads = await Promise.all(Array.from({ length: 40 }, (_, index) => readUntil(enough[index % 4] as number)));
      for (const read of reads) assert.ok(read.equals(bytes.subarray(0, read.length)));
      for (const whole of reads.filter((_, index) => index % 4 === 0)) assert.equal(whole.length, bytes.length);
    });

    it("lists ids in ascending pages of any size, each id once", async () => {
      await engine.remove(await everyId(engine, 1000));
      const blobs = await Promise.all(Array.from({ length: 57 }, (_, index) => put(engine, someBytes(index))));
      const expected = blobs.map(({ id }) => id).sort();
      for (const limit of [1, 7, 56, 57, 58, 1000]) assert.deepEqual(await everyId(engine, limit), expected);
      await engine.remove(expected.filter((_, index) => index % 3 > 0));
      const left = expected.filter((_, index) => index % 3 === 0);
      for (const limit of [1, 10, 1000]) assert.deepEqual(await everyId(engine, limit), left);
      assert.deepEqual(await engine.list(left.at(-1), 10), []);
      // A page may begin after an id that is no longer there.
      assert.deepEqual(await engine.list(expected[1], 2), left.slice(1, 3));
    });
  });
}
