/** Puts many keys into a data folder through the store itself, without HTTP. Arguments: data folder, bucket, keys. */

import { join } from "node:path";
import { localBlobs } from "../src/engines/blobs/local.ts";
import { systemClock } from "../src/engines/clock/system.ts";
import { lockFolder } from "../src/engines/folder-lock.ts";
import { lmdbMetadata } from "../src/engines/metadata/lmdb.ts";
import { systemRandom } from "../src/engines/random/system.ts";
import { EMPTY_BODY } from "../src/store/records.ts";
import { openStore } from "../src/store/store.ts";
import { listedKey } from "./listed-keys.ts";

/** Objects of one transaction, whose bound is a thousand rows, read or written. */
const BATCH = 400;
const UNDER_WAY_MAX = 4;

const [, , folder = "", bucketName = "", count = "0"] = process.argv;
const random = systemRandom();
const clock = systemClock();
const lock = await lockFolder(folder);
const metadata = await lmdbMetadata({ folder: join(folder, "metadata"), random, durability: "none" });
const blobs = await localBlobs({ folder, random, durability: "none" });
const store = await openStore({ metadata, blobs, clock, random });
const bucket = await store.buckets.find(bucketName);
if (bucket === undefined) throw new Error(`there is no bucket ${bucketName}`);

async function load(from: number, to: number): Promise<void> {
  await store.transact([], async (tx) => {
    for (let index = from; index < to; index++) {
      const record = {
        size: 0,
        modifiedMs: clock.now(),
        etag: "d41d8cd98f00b204e9800998ecf8427e",
        crc64: 0n,
        type: "normal" as const,
        storageClass: "STANDARD",
        ownerUin: "100000000001",
        sections: [],
        headers: { contentType: "application/octet-stream" },
        metadata: [],
        body: EMPTY_BODY,
      };
      await store.objects.put(tx, bucket as NonNullable<typeof bucket>, listedKey(index), record);
    }
  });
}

const underWay = new Set<Promise<void>>();
for (let from = 0; from < Number(count); from += BATCH) {
  const work = load(from, Math.min(Number(count), from + BATCH)).finally(() => underWay.delete(work));
  underWay.add(work);
  if (underWay.size >= UNDER_WAY_MAX) await Promise.race(underWay);
}
await Promise.all(underWay);
await store.close();
await metadata.close();
await blobs.close();
await lock.release();
