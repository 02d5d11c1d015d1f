/** What the machine can do by itself: the figures that the rows are held against. Each takes about a second. */

import { createHash, randomBytes } from "node:crypto";
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type Database, open } from "lmdb";
import { lmdbSettings } from "../src/engines/metadata/lmdb.ts";
import { bucketKey, inlineKey, objectKey } from "../src/store/keys.ts";
import { bodyOf, encodeObject } from "../src/store/records.ts";
import { listedKey } from "./listed-keys.ts";

/** GB/s of MD5 in one stream of 64 KiB chunks. */
export function md5GbPerSecond(seconds: number): number {
  const chunk = randomBytes(64 * 1024);
  const hash = createHash("md5");
  const began = performance.now();
  let bytes = 0;
  while (performance.now() - began < seconds * 1000) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  hash.digest();
  return bytes / (performance.now() - began) / 1e6;
}

/** Overwrites of 4 KiB, each followed by fdatasync, per second. */
export function syncsPerSecond(folder: string, seconds: number): number {
  const file = openSync(join(folder, "sync-probe"), "w");
  try {
    const block = randomBytes(4096);
    writeSync(file, Buffer.alloc(1 << 20));
    fdatasyncSync(file);
    const began = performance.now();
    let count = 0;
    while (performance.now() - began < seconds * 1000) {
      writeSync(file, block, 0, block.length, (count % 256) * 4096);
      fdatasyncSync(file);
      count += 1;
    }
    return count / ((performance.now() - began) / 1000);
  } finally {
    closeSync(file);
  }
}

/** Bare LMDB with rows in it. */
export interface CommitProbe {
  /** Commits per second, so many at a time. */
  measure(concurrency: number, seconds: number): Promise<number>;
  close(): Promise<void>;
}

/**
 * Commits of bare LMDB: the rows of a PUT of `size` bytes under a random key among `keys`, under the same conditions and
 * settings, and nothing else.
 */
export async function commitProbe(
  folder: string,
  { size, keys }: { size: number; keys: number },
): Promise<CommitProbe> {
  const database: Database<Buffer, Buffer> = open<Buffer, Buffer>(join(folder, `lmdb-${keys}`), lmdbSettings("group"));
  const bucketId = "0123456789abcdef";
  const bucket = bucketKey("bench-1250000000");
  const body = randomBytes(size);
  const row = probeRow(size);
  await database.put(bucket, Buffer.alloc(64), 1);
  for (let index = 0; index < keys; ) {
    let last: Promise<unknown> | undefined;
    for (const until = Math.min(keys, index + 1000); index < until; index++) {
      last = database.put(objectKey(bucketId, listedKey(index)), row, 1);
    }
    await last;
  }
  let version = 2;

  async function measure(concurrency: number, seconds: number): Promise<number> {
    const began = performance.now();
    let count = 0;
    async function client(): Promise<void> {
      while (performance.now() - began < seconds * 1000) {
        const id = randomBytes(16).toString("hex");
        const key = objectKey(
          bucketId,
          `${listedKey(Math.floor(Math.random() * Math.max(1, keys)))}-${id.slice(0, 8)}`,
        );
        version += 1;
        await database.ifVersion(bucket, 1, () => {
          void database.ifNoExists(key, () => {
            void database.put(inlineKey(id), body, version);
            void database.put(key, row, version);
          });
        });
        count += 1;
      }
    }
    await Promise.all(Array.from({ length: concurrency }, client));
    return count / ((performance.now() - began) / 1000);
  }

  return { measure, close: () => database.close() };
}

function probeRow(size: number): Buffer {
  const id = randomBytes(16).toString("hex");
  return encodeObject({
    size,
    modifiedMs: Date.now(),
    versioned: false,
    supersededMs: undefined,
    sequence: Date.now() * 1000,
    etag: randomBytes(16).toString("hex"),
    crc64: 1n,
    type: "normal",
    storageClass: "STANDARD",
    ownerUin: "100000000001",
    sections: [],
    headers: { contentType: "application/octet-stream" },
    metadata: [],
    body: bodyOf(undefined, [{ kind: "inline", id, offset: 0, length: size }]),
  });
}
