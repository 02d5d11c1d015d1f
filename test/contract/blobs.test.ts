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

for (const durability of ["group", "none"] as const) {
  blobEngineContract(`local, durability ${durability}`, async () => {
    const folder = await mkdtemp(join(tmpdir(), "cosbox-blobs-"));
    const engine = await localBlobs({ folder, random, durability });
    return {
      engine,
      shut: async () => {
        await engine.close();
        await rm(folder, { recursive: true });
      },
    };
  });
}
