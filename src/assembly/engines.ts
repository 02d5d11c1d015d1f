/** Chooses the engines that a store is kept by, as the settings say. */

import { join } from "node:path";
import type { Settings } from "../config/settings.ts";
import { localBlobs } from "../engines/blobs/local.ts";
import { type MemoryRoom, memoryBlobs } from "../engines/blobs/memory.ts";
import { isDataHeld } from "../engines/data-hold.ts";
import { lockData } from "../engines/data-lock.ts";
import { markWorker } from "../engines/folder-lock.ts";
import { memoryMetadata } from "../engines/metadata/memory.ts";
import type { BlobEngine } from "../ports/blobs.ts";
import type { MetadataEngine } from "../ports/metadata.ts";
import type { Peers } from "../ports/peers.ts";
import { openStore, type Store, type StoreOptions } from "../store/store.ts";
import type { Closers } from "./closers.ts";

type StoreParts = Omit<StoreOptions, "metadata" | "blobs">;

export async function openEngines(
  settings: Settings,
  parts: StoreParts,
  closers: Closers,
  room: MemoryRoom | undefined,
): Promise<Store> {
  const { peers, random, report } = parts;
  const keep = async (
    metadata: MetadataEngine,
    blobs: BlobEngine,
    extras: Pick<StoreOptions, "isHeld" | "peers" | "inMemory"> = {},
  ): Promise<Store> => {
    closers.add(() => blobs.close());
    closers.add(() => metadata.close());
    const store = await openStore({ ...parts, ...extras, metadata, blobs });
    closers.add(() => store.close());
    return store;
  };
  if (settings.memory) {
    const [rows, blobs] = [memoryMetadata(), memoryBlobs({ random, ...(room && { room }) })];
    return await keep(rows, blobs, { inMemory: { rows, blobs } });
  }

  const { data, durability, limits } = settings;
  const lock = peers === undefined ? await lockData(data) : await markWorker(data);
  closers.add(() => lock.release());
  // Its library is a quarter of what there is to load, and a server in memory has no use for it.
  const { lmdbMetadata } = await import("../engines/metadata/lmdb.ts");
  const metadata = await lmdbMetadata({ folder: join(data, "metadata"), random, durability });
  /** Whether this process, among several, is the one that collects. */
  let isTending = false;
  const blobs = await localBlobs({
    folder: data,
    random,
    durability,
    segmentBytesMax: limits.segmentBytesMax,
    packingBytesPerSecond: limits.packingBytesPerSecond,
    // Who has the lock is the only one who writes. Among several, the one that collects looks after the dead.
    inherits:
      peers === undefined ? () => true : async (incarnation) => isTending && !(await peers.isAlive(incarnation)),
    looksAround: peers === undefined,
    ...(report && { report }),
  });
  const isHeld = () => isDataHeld(data);
  if (peers === undefined) return await keep(metadata, blobs, { isHeld });
  const inheriting: Peers = {
    ...peers,
    register: (incarnation, here) =>
      peers.register(incarnation, {
        ...here,
        tend() {
          isTending = true;
          blobs.inherit();
          here.tend();
        },
      }),
  };
  return await keep(metadata, blobs, { isHeld, peers: inheriting });
}
