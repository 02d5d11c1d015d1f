/**
 * The configurations of buckets: one document each, in a row of its own, under a name that its feature chooses.
 *
 * A bucket's record tells which it has and at which revision, so that a request that needs one which is not there reads
 * nothing, and one that is kept in memory serves as long as the record names its revision. Whoever changes one changes
 * the bucket's row, which every write into the bucket depends on: a write and a change of policy have an order.
 */
import { LRUCache } from "lru-cache";
import { type MetadataEngine, pointRange } from "../ports/metadata.ts";
import type { Buckets } from "./buckets.ts";
import { RecordDamaged } from "./bytes.ts";
import { bucketKey, configurationKey } from "./keys.ts";
import { type BucketRecord, decodeBucket, decodeConfiguration, encodeConfiguration } from "./records.ts";
import type { Transact, Transaction } from "./transact.ts";

/** One kind of configuration. */
export interface ConfigurationKind<T> {
  /** What its rows are named by, such as `policy`; never changes once data has been written. */
  readonly name: string;
  /** From the bytes as `encode` made them; what it throws is damage of the store. */
  decode(document: Buffer): T;
  encode(value: T): Buffer;
}

export interface Configurations {
  /** Whether the bucket, as its record was read, has this configuration. */
  has(bucket: BucketRecord, kind: Pick<ConfigurationKind<unknown>, "name">): boolean;
  /**
   * The configuration at the time the record was read or later; undefined when there is none. A promise only where the
   * row has to be read. The value is shared: nobody changes it.
   */
  find<T>(bucket: BucketRecord, kind: ConfigurationKind<T>): T | undefined | Promise<T | undefined>;
  /**
   * Puts a configuration, or removes it where `value` is undefined, in a transaction that has required the bucket, and
   * stores the bucket's record. Gives the record as it is then: what else changes in it goes in with it.
   */
  put<T>(tx: Transaction, bucket: BucketRecord, kind: ConfigurationKind<T>, value: T | undefined): BucketRecord;
  /**
   * Puts in place of what is there what `next` makes of it, or removes it where that is undefined. `next` runs in the
   * transaction and may refuse and write. Raises NoSuchBucket when the bucket was deleted since it was authorised.
   */
  change<T>(
    authorised: BucketRecord,
    kind: ConfigurationKind<T>,
    next: (tx: Transaction, bucket: BucketRecord, previous: T | undefined) => MaybePromise<T | undefined>,
  ): Promise<void>;
  /** Forgets what is kept in memory: the rows have been put back to what they were, and their revisions go on from there. */
  forget(): void;
}

type MaybePromise<T> = T | Promise<T>;

export interface ConfigurationsOptions {
  readonly metadata: MetadataEngine;
  readonly transact: Transact;
  readonly buckets: Buckets;
}

/** Bytes of documents kept decoded, by their stored size. */
const CACHED_BYTES_MAX = 16 * 1024 * 1024;

interface Cached {
  readonly revision: number;
  readonly value: unknown;
  readonly bytes: number;
}

export function configurations({ metadata, transact, buckets }: ConfigurationsOptions): Configurations {
  const cache = new LRUCache<string, Cached>({
    maxSize: CACHED_BYTES_MAX,
    sizeCalculation: ({ bytes }) => bytes + 256,
  });

  /** How often everything was forgotten: what was read before is not kept after. */
  let forgotten = 0;

  async function read<T>(bucket: BucketRecord, kind: ConfigurationKind<T>, label: string): Promise<T | undefined> {
    const before = forgotten;
    const ranges = [pointRange(configurationKey(bucket.id, kind.name)), pointRange(bucketKey(bucket.name))];
    const [[row] = [], [holder] = []] = await metadata.read(ranges);
    if (row === undefined) {
      const now = holder && decodeBucket(holder.value);
      // It was removed since the record was read, unless the record of now still names it: a policy that denies must
      // not be lost in silence.
      if (now?.id === bucket.id && now.configurations.revisions.has(kind.name)) {
        throw new RecordDamaged(`bucket ${bucket.name} has lost its ${kind.name}`);
      }
      return undefined;
    }
    const { revision, document } = decodeConfiguration(row.value);
    const value = kind.decode(document);
    if (before === forgotten) cache.set(label, { revision, value, bytes: document.length });
    return value;
  }

  function put<T>(
    tx: Transaction,
    bucket: BucketRecord,
    kind: ConfigurationKind<T>,
    value: T | undefined,
  ): BucketRecord {
    const row = configurationKey(bucket.id, kind.name);
    const revisions = new Map(bucket.configurations.revisions);
    const last = bucket.configurations.last + 1;
    if (value === undefined) {
      revisions.delete(kind.name);
      tx.delete(row);
    } else {
      revisions.set(kind.name, last);
      tx.set(row, encodeConfiguration({ revision: last, document: kind.encode(value) }));
    }
    const changed: BucketRecord = { ...bucket, configurations: { last, revisions } };
    buckets.put(tx, changed);
    return changed;
  }

  return {
    has: (bucket, kind) => bucket.configurations.revisions.has(kind.name),

    find<T>(bucket: BucketRecord, kind: ConfigurationKind<T>) {
      const revision = bucket.configurations.revisions.get(kind.name);
      if (revision === undefined) return undefined;
      const label = `${bucket.id} ${kind.name}`;
      const cached = cache.get(label);
      if (cached?.revision === revision) return cached.value as T;
      return read(bucket, kind, label);
    },

    put,

    async change(authorised, kind, next) {
      await transact([bucketKey(authorised.name)], async (tx) => {
        const bucket = await buckets.requireSame(tx, authorised);
        const stored = await tx.get(configurationKey(bucket.id, kind.name));
        const value = await next(tx, bucket, stored && kind.decode(decodeConfiguration(stored).document));
        if (stored !== undefined || value !== undefined) put(tx, bucket, kind, value);
      });
    },

    forget() {
      forgotten += 1;
      cache.clear();
    },
  };
}
