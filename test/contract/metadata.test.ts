import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { lmdbMetadata } from "../../src/engines/metadata/lmdb.ts";
import { memoryMetadata } from "../../src/engines/metadata/memory.ts";
import { systemRandom } from "../../src/engines/random/system.ts";
import { metadataEngineContract } from "./metadata-contract.ts";

const parent = await mkdtemp(join(tmpdir(), "cosbox-metadata-"));
afterAll(() => rm(parent, { recursive: true }));

let folders = 0;
const freshFolder = () => join(parent, `data-${folders++}`, "metadata");

metadataEngineContract("memory", async () => memoryMetadata());
metadataEngineContract("lmdb", () => lmdbMetadata({ folder: freshFolder(), random: systemRandom() }));
metadataEngineContract("lmdb, durability none", () =>
  lmdbMetadata({ folder: freshFolder(), random: systemRandom(), durability: "none" }),
);
