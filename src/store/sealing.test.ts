import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "vitest";
import { BLOCK_BYTES, openedChunks, SealBroken, sealBytes, sealedChunks, sealedLength } from "./sealing.ts";

const ID = "0123456789abcdef0123456789abcdef";
const KEY = Buffer.alloc(32, 7);

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  const reused = Buffer.alloc(size);
  for (let at = 0; at < bytes.length; at += size) {
    const copied = bytes.copy(reused, 0, at, at + size);
    yield reused.subarray(0, copied);
    // A producer may overwrite its chunk once the next one is asked for.
    reused.fill(0);
  }
}

async function collected(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(Buffer.from(chunk));
  return Buffer.concat(all);
}

function opened(stored: Buffer, size: number, start: number, end: number, chunk: number, key = KEY): Promise<Buffer> {
  const seal = { id: ID, size };
  return collected(openedChunks(key, seal, start, end, (from, to) => inChunks(stored.subarray(from, to), chunk)));
}

describe("sealed bytes", () => {
  const sizes = [1, 15, 16, 17, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES];

  it("are the same in one piece and in chunks, and open in chunks of any size", async () => {
    for (const size of sizes) {
      const bytes = randomBytes(size);
      const stored = sealBytes(KEY, ID, bytes);
      assert.equal(stored.length, sealedLength(size));
      for (const chunk of [7_001, BLOCK_BYTES, BLOCK_BYTES + 16, 4 * BLOCK_BYTES]) {
        assert.ok((await collected(sealedChunks(KEY, ID, inChunks(bytes, chunk)))).equals(stored), `${size} ${chunk}`);
        assert.ok((await opened(stored, size, 0, size, chunk)).equals(bytes), `${size} ${chunk}`);
        const [from, to] = [Math.floor(size / 3), Math.max(Math.floor(size / 3) + 1, size - 1)];
        assert.ok((await opened(stored, size, from, to, chunk)).equals(bytes.subarray(from, to)), `${size} ${chunk}`);
      }
    }
  });

  it("do not open where a byte turned, a block is missing or moved, or the key is another", async () => {
    const size = 3 * BLOCK_BYTES;
    const stored = sealBytes(KEY, ID, randomBytes(size));
    const block = BLOCK_BYTES + 16;
    for (const at of [0, block - 1, block, stored.length - 1]) {
      const turned = Buffer.from(stored);
      turned[at] = (turned[at] as number) ^ 1;
      await assert.rejects(opened(turned, size, 0, size, 7_001), SealBroken);
    }
    const moved = Buffer.concat([
      stored.subarray(block, 2 * block),
      stored.subarray(0, block),
      stored.subarray(2 * block),
    ]);
    await assert.rejects(opened(moved, size, 0, size, BLOCK_BYTES), SealBroken);
    await assert.rejects(opened(stored.subarray(0, 2 * block), 2 * BLOCK_BYTES, 0, 2 * BLOCK_BYTES, 7_001), SealBroken);
    await assert.rejects(opened(stored.subarray(0, stored.length - 1), size, 0, size, 7_001), SealBroken);
    await assert.rejects(opened(stored, size, 0, size, 7_001, Buffer.alloc(32, 8)), SealBroken);
  });

  it("have a key of their own: no two seals make the same of the same bytes", () => {
    const bytes = randomBytes(100);
    assert.ok(!sealBytes(KEY, ID, bytes).equals(sealBytes(KEY, ID.replace("0", "f"), bytes)));
  });
});
