import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "vitest";
import { put, readAll, someBytes } from "../../../test/contract/blobs-contract.ts";
import { StorageUnavailable } from "../../ports/blobs.ts";
import { memoryBlobs } from "./memory.ts";

const random = { bytes: (count: number): Buffer => randomBytes(count) };

describe("memory blobs", () => {
  it("refuses what goes beyond the ceiling as full, keeps the rest, and takes more when space returns", async () => {
    const engine = memoryBlobs({ random, bytesMax: 1_000_000 });
    const first = await put(engine, someBytes(600_000));
    const tooMuch = put(engine, someBytes(400_001));
    await assert.rejects(tooMuch, (error) => error instanceof StorageUnavailable && error.trouble === "full");
    assert.deepEqual(await engine.list(undefined, 10), [first.id]);
    const second = await put(engine, someBytes(400_000));
    assert.equal((await readAll(engine, second.id, 0, second.size)).length, 400_000);

    await engine.remove([first.id]);
    await put(engine, someBytes(600_000));
    await assert.rejects(put(engine, someBytes(1)), StorageUnavailable);
  });

  it("counts bytes once when a removal is repeated, and none for a body that fails", async () => {
    const engine = memoryBlobs({ random, bytesMax: 100 });
    const { id } = await put(engine, someBytes(100));
    await Promise.all([engine.remove([id, id]), engine.remove([id])]);
    const body = async function* (): AsyncGenerator<Buffer> {
      yield someBytes(100);
      throw new Error("gone");
    };
    await assert.rejects(engine.put(body()), /gone/);
    await put(engine, someBytes(100));
    await assert.rejects(put(engine, someBytes(1)), StorageUnavailable);
  });

  it("keeps blobs past their removal, counts them for as long, and puts them back where they stood", async () => {
    const engine = memoryBlobs({ random, bytesMax: 300 });
    const [first, second] = [await put(engine, someBytes(100)), await put(engine, someBytes(100))];
    const [kept, again] = [engine.keep([first.id, "not there"]), engine.keep([first.id, first.id])];
    assert.deepEqual([kept.bytes, again.bytes], [100, 100]);
    await engine.remove([first.id]);
    await assert.rejects(readAll(engine, first.id, 0, 1), /not there/);
    const third = await put(engine, someBytes(100));
    await assert.rejects(put(engine, someBytes(1)), StorageUnavailable);
    again.letGo();
    again.letGo();
    await assert.rejects(put(engine, someBytes(1)), StorageUnavailable);

    kept.putBack();
    assert.deepEqual(await engine.list(undefined, 10), [first.id, second.id, third.id]);
    assert.deepEqual(await readAll(engine, first.id, 0, 100), someBytes(100));
    kept.letGo();
    await assert.rejects(put(engine, someBytes(1)), StorageUnavailable);
    await engine.remove([first.id]);
    await put(engine, someBytes(100));
  });
});
