import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { derivedChunks } from "./chunks.ts";

describe("chunks made of others", () => {
  function source() {
    const ended: string[] = [];
    async function* chunks(): AsyncGenerator<Buffer> {
      try {
        yield Buffer.from("a");
        yield Buffer.from("b");
      } finally {
        ended.push("ended");
      }
    }
    return { chunks: chunks(), ended };
  }
  async function* doubled(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) yield Buffer.concat([chunk, chunk]);
  }

  it("are what is made of each", async () => {
    const texts: string[] = [];
    for await (const chunk of derivedChunks(source().chunks, doubled)) texts.push(chunk.toString());
    assert.deepEqual(texts, ["aa", "bb"]);
  });

  it("end their source when they are ended, before the first and after it", async () => {
    for (const asked of [0, 1]) {
      const { chunks, ended } = source();
      // As a body that is open already: its first chunk was read ahead.
      await chunks.next();
      const iterator = derivedChunks(chunks, doubled)[Symbol.asyncIterator]();
      for (let count = 0; count < asked; count++) await iterator.next();
      await iterator.return?.();
      assert.deepEqual(ended, ["ended"]);
    }
  });
});
