/**
 * How many objects the lifecycle examines in a minute of one core, and how many it removes:
 * `npx tsx bench/lifecycle.ts --keys=1000000`. It prints the time of the processor too, which others on the machine
 * change less than the time on the wall. The store is on disk, in a folder of its own that is removed at the end.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { localBlobs } from "../src/engines/blobs/local.ts";
import { manualClock } from "../src/engines/clock/manual.ts";
import { lmdbMetadata } from "../src/engines/metadata/lmdb.ts";
import { systemRandom } from "../src/engines/random/system.ts";
import { lifecycleTask } from "../src/features/lifecycle/index.ts";
import type { BucketRecord } from "../src/store/records.ts";
import { EMPTY_BODY } from "../src/store/records.ts";
import { openStore } from "../src/store/store.ts";
import { listedKey } from "./listed-keys.ts";

const { values: flags } = parseArgs({
  options: {
    keys: { type: "string", default: "1000000" },
    /** Of the keys, how many are removed. */
    due: { type: "string", default: "50000" },
    data: { type: "string", default: tmpdir() },
  },
});
const keys = Number(flags.keys);
const due = Math.min(Number(flags.due), keys);
const DAY_MS = 24 * 60 * 60 * 1000;
const START = Date.UTC(2026, 0, 1, 17);
/** Objects of one transaction, whose bound is a thousand rows, read or written. */
const BATCH = 400;

const folder = mkdtempSync(join(flags.data, "cosbox-lifecycle-"));
const random = systemRandom();
const clock = manualClock(START);
const metadata = await lmdbMetadata({ folder: join(folder, "metadata"), random, durability: "none" });
const blobs = await localBlobs({ folder, random, durability: "none" });
const store = await openStore({ metadata, blobs, clock, random });

const rule = (prefix: string, actions: object) => ({
  id: prefix,
  enabled: true,
  filter: { prefix, tags: [], notPrefixes: [], sizeAbove: undefined, sizeBelow: undefined },
  transitions: [],
  noncurrentTransitions: [],
  ...actions,
});

async function fill(bucket: BucketRecord): Promise<void> {
  for (let from = 0; from < keys; from += BATCH) {
    await store.transact([], async (tx) => {
      for (let index = from; index < Math.min(keys, from + BATCH); index++) {
        await store.objects.put(tx, bucket, `${index < due ? "due/" : "kept/"}${listedKey(index)}`, {
          size: 0,
          modifiedMs: clock.now(),
          etag: "d41d8cd98f00b204e9800998ecf8427e",
          crc64: 0n,
          type: "normal",
          storageClass: "STANDARD",
          ownerUin: bucket.ownerUin,
          sections: [],
          headers: { contentType: "application/octet-stream" },
          metadata: [],
          body: EMPTY_BODY,
        });
      }
    });
  }
}

/** The rate of the pass of one midnight. */
async function pass(label: string, midnightMs: number, count: string): Promise<void> {
  clock.set(midnightMs);
  const cpu = process.cpuUsage();
  const began = performance.now();
  await task.runDue(midnightMs);
  const wallMs = performance.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  const cpuMs = (user + system) / 1000;
  const done = (await task.statistics())[count] ?? 0;
  const rate = (ms: number): string => Math.round((done / ms) * 60_000).toLocaleString("en");
  process.stdout.write(
    `${label}: ${done.toLocaleString("en")} in ${Math.round(wallMs)} ms, ${rate(wallMs)} a minute; ` +
      `${Math.round(cpuMs)} ms of the processor, ${rate(cpuMs)} a minute of one core\n`,
  );
}

const made = await store.buckets.create(
  {
    name: "lifecycle-1250000000",
    ownerUin: "100000000001",
    ownerAppid: "1250000000",
    region: "ap-guangzhou",
    acl: "private",
  },
  1,
  [
    [
      "lifecycle",
      Buffer.from(
        JSON.stringify({
          setMs: START,
          rules: [
            rule("due/", { expiration: { days: 3 } }),
            rule("kept/", { expiration: { days: 3650 }, transitions: [{ when: { days: 365 }, to: "ARCHIVE" }] }),
            rule("other/", { expiration: { days: 1 } }),
          ],
        }),
      ),
    ],
  ],
);
if (made.kind !== "created") throw new Error(made.kind);
const task = lifecycleTask(store);
await task.runDue(START);
await fill(made.bucket);

const midnight = Date.UTC(2026, 0, 1, 16);
await pass("examined, nothing due", midnight + 2 * DAY_MS, "examined");
await pass("examined, nothing due", midnight + 3 * DAY_MS, "examined");
await pass("removed", midnight + 4 * DAY_MS, "expired");
await task.stop();
await store.close();
await metadata.close();
await blobs.close();
rmSync(folder, { recursive: true });
