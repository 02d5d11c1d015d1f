import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { localBlobs } from "../../src/engines/blobs/local.ts";
import { memoryBlobs } from "../../src/engines/blobs/memory.ts";
import { blobEngineContract } from "./blobs-contract.ts";

const random = { bytes: (count: number): Buffer => randomBytes(count) };

blobEngineContract("memory", async () => {
  const engine = memoryBlobs({ random });
  return { engine, shut: () => engine.close() };
});

/** Where the bodies of the suite, from none to some 640 KiB, come to lie. */
const WAYS = {
  "as they are by default, in segments": {},
  "in files": { segmentBytesMax: 0 },
  "in segments that hold few of them, and in files": { segmentBytesMax: 256 * 1024 - 68, segmentFileBytes: 600_000 },
};

for (const [durability, [way, options]] of [
  ...Object.entries(WAYS).map((entry) => ["group", entry] as const),
  ["none", Object.entries(WAYS)[0] as [string, object]] as const,
]) {
  blobEngineContract(`local, durability ${durability}, ${way}`, async () => {
    const folder = await mkdtemp(join(tmpdir(), "cosbox-blobs-"));
    const engine = await localBlobs({ folder, random, durability, ...options });
    return {
      engine,
      shut: async () => {
        await engine.close();
        await rm(folder, { recursive: true });
      },
    };
  });
}
