/**
 * Buckets and their owners' lists of them.
 *
 * Deleting takes three steps, since no transaction can hold a range of keys: mark the bucket `deleting`, look whether
 * anything is in it, then remove it or take the mark back. Every writer reads the bucket's row in its transaction, so
 * a write either committed before the mark, and the look finds it, or it meets the mark and waits for the outcome.
 * A deletion that a crash cut short is undone, by the next start or by the first writer who meets it.
 */
import { refuse } from "../errors/cos-error.ts";
import type { Clock } from "../ports/clock.ts";
import { type MetadataEngine, pointRange } from "../ports/metadata.ts";
import type { Random } from "../ports/random.ts";
import type { Identities } from "./identities.ts";
import {
  accountBucketKey,
  accountBucketsPrefix,
  accountKey,
  after,
  attachmentKey,
  BUCKET_ID_BYTES,
  bucketKey,
  bucketPrefix,
  canName,
  configurationKey,
  familyRange,
  intentKey,
  prefixEnd,
  prefixRange,
} from "./keys.ts";
import {
  type BucketRecord,
  type CannedAcl,
  decodeBucket,
  encodeBucket,
  encodeConfiguration,
  encodeIntent,
  NO_CONFIGURATIONS,
} from "./records.ts";
import type { Transact, Transaction } from "./transact.ts";
import { type Elsewhere, type UnderWay, Unsettled } from "./unsettled.ts";

export interface NewBucket {
  readonly name: string;
  readonly ownerUin: string;
  readonly ownerAppid: string;
  readonly region: string;
  readonly acl: CannedAcl;
}

/** Configurations by name, encoded as their kind does it (configurations.ts). */
export type NewDocuments = readonly (readonly [name: string, document: Buffer])[];

/** What came of a creation: refusing is for the feature, which knows the words. */
export type BucketCreation =
  | { readonly kind: "created"; readonly bucket: BucketRecord }
  /** The name is taken, by whoever owns `bucket`. */
  | { readonly kind: "exists"; readonly bucket: BucketRecord }
  /** The account has as many buckets as it may have. */
  | { readonly kind: "full" };

export type BucketDeletion = "deleted" | "absent" | "not-empty";

export interface BucketPage {
  readonly buckets: readonly BucketRecord[];
  /** Whether there are more. */
  readonly truncated: boolean;
}

export interface Buckets {
  /** The bucket, also while somebody finds out whether it can be deleted; undefined when there is none. */
  find(name: string): Promise<BucketRecord | undefined>;
  /** Several at once, in the order asked. */
  findMany(names: readonly string[]): Promise<readonly (BucketRecord | undefined)[]>;
  /**
   * Makes a bucket, unless the name is taken or the account then had more than `bucketsMax`. `documents` are the
   * configurations it begins with; `complete` adds what else belongs to it in the same transaction, and may refuse.
   */
  create(
    bucket: NewBucket,
    bucketsMax: number,
    documents?: NewDocuments,
    complete?: (tx: Transaction, bucket: BucketRecord) => Promise<void>,
  ): Promise<BucketCreation>;
  /**
   * Deletes the bucket if it has no object, no version and no unfinished upload. `check` sees the record in the
   * transaction that begins the deletion, and may refuse.
   */
  remove(name: string, check?: (bucket: BucketRecord) => void): Promise<BucketDeletion>;
  /** Buckets of all accounts in byte order of their names, after `marker` (exclusive), at most `limit`. */
  listAll(marker: string | undefined, limit: number): Promise<readonly BucketRecord[]>;
  /** The account's buckets in byte order of their names, after `marker` (exclusive), at most `limit`. */
  list(uin: string, marker: string | undefined, limit: number): Promise<BucketPage>;
  /**
   * The bucket, for a transaction that changes something in it: the row becomes part of what the transaction depends
   * on. Undefined when there is no such bucket. A deletion under way makes the transaction wait for its outcome.
   */
  require(tx: Transaction, name: string): Promise<BucketRecord | undefined>;
  /**
   * The same for the bucket that a request was authorised for. Raises NoSuchBucket when that is gone, also where another
   * has its name by now.
   */
  requireSame(tx: Transaction, authorised: BucketRecord): Promise<BucketRecord>;
  /** Changes the record in a transaction that has just required it. */
  put(tx: Transaction, bucket: BucketRecord): void;
}

export interface BucketsOptions {
  readonly metadata: MetadataEngine;
  readonly transact: Transact;
  readonly clock: Clock;
  readonly random: Random;
  readonly identities: Identities;
  /** Where deletions of this process are noted. */
  readonly underWay: UnderWay;
  readonly elsewhere: Elsewhere;
}

function deletionNamed(token: number): string {
  return `deletion ${token}`;
}

/** Records that are kept decoded. */
const DECODED_MAX = 256;

/** Decodes buckets, and keeps the last ones: every request reads its bucket's row, which hardly ever changes. */
function decoder(): (value: Buffer) => BucketRecord {
  const last = new Map<string, { readonly value: Buffer; readonly bucket: BucketRecord }>();
  return (value) => {
    const id = value.toString("latin1", 0, DECODED_BY_BYTES);
    const known = last.get(id);
    if (known?.value.equals(value)) return known.bucket;
    const bucket = decodeBucket(value);
    if (known === undefined && last.size >= DECODED_MAX) last.clear();
    last.set(id, { value, bucket });
    return bucket;
  };
}

/** The beginning of a bucket's row, with its id. */
const DECODED_BY_BYTES = 9;

/** Names read at a time when buckets are listed. */
const NAMES_MAX = 1_000;

export function buckets(options: BucketsOptions): Buckets {
  const { metadata, transact, clock, random, identities, underWay, elsewhere } = options;
  const decoded = decoder();

  async function findMany(names: readonly string[]): Promise<readonly (BucketRecord | undefined)[]> {
    if (names.length === 0) return [];
    const possible = names.filter(canName);
    const found = await metadata.read(possible.map((name) => pointRange(bucketKey(name))));
    const records = new Map(possible.map((name, at) => [name, found[at]?.[0]]));
    return names.map((name) => {
      const row = records.get(name);
      return row && decoded(row.value);
    });
  }

  async function require(tx: Transaction, name: string): Promise<BucketRecord | undefined> {
    const value = await tx.get(bucketKey(name));
    if (value === undefined) return undefined;
    const bucket = decoded(value);
    if (bucket.state.kind === "normal") return bucket;
    const { incarnation, token } = bucket.state;
    const work = deletionNamed(token);
    // What nobody is at any more was begun by a process that has died, or could not be ended.
    const ended =
      incarnation === identities.incarnation
        ? underWay.ended(work)
        : await elsewhere.ended({ key: bucketKey(name), value, incarnation, work });
    if (ended) throw new Unsettled(`bucket ${name}`, ended, "NoSuchBucket");
    const reverted: BucketRecord = { ...bucket, state: { kind: "normal" } };
    put(tx, reverted);
    return reverted;
  }

  async function requireSame(tx: Transaction, { name, id }: BucketRecord): Promise<BucketRecord> {
    const present = await require(tx, name);
    if (present?.id !== id) throw refuse("NoSuchBucket");
    return present;
  }

  function put(tx: Transaction, bucket: BucketRecord): void {
    tx.set(bucketKey(bucket.name), encodeBucket(bucket));
  }

  async function create(
    bucket: NewBucket,
    bucketsMax: number,
    documents: NewDocuments = [],
    complete?: (tx: Transaction, bucket: BucketRecord) => Promise<void>,
  ): Promise<BucketCreation> {
    const account = accountKey(bucket.ownerUin);
    return transact([account, bucketKey(bucket.name)], async (tx) => {
      const existing = await require(tx, bucket.name);
      if (existing) return { kind: "exists", bucket: existing };
      // Every creation rewrites the account's row, so of two that count at the same time one counts again. A deletion
      // does not: it can only make room that this one does not use.
      await tx.get(account);
      const others = await tx.peek(prefixRange(accountBucketsPrefix(bucket.ownerUin), Math.max(1, bucketsMax)));
      if (others.length >= bucketsMax) return { kind: "full" };
      const id = random.bytes(BUCKET_ID_BYTES).toString("hex");
      const revisions = new Map(documents.map(([name], at) => [name, at + 1]));
      for (const [at, [name, document]] of documents.entries()) {
        tx.set(configurationKey(id, name), encodeConfiguration({ revision: at + 1, document }));
      }
      const created: BucketRecord = {
        ...bucket,
        id,
        createdMs: clock.now(),
        state: { kind: "normal" },
        configurations: documents.length === 0 ? NO_CONFIGURATIONS : { last: documents.length, revisions },
        versioning: undefined,
        lock: undefined,
        sections: [],
      };
      put(tx, created);
      tx.set(account, Buffer.alloc(0));
      tx.set(accountBucketKey(bucket.ownerUin, bucket.name), Buffer.alloc(0));
      if (complete) await complete(tx, created);
      return { kind: "created", bucket: created };
    });
  }

  async function remove(name: string, check: (bucket: BucketRecord) => void = () => {}): Promise<BucketDeletion> {
    const token = identities.number();
    const intent = intentKey(identities.incarnation, token);
    return underWay.during(deletionNamed(token), async () => {
      const marked = await transact([bucketKey(name)], async (tx) => {
        const bucket = await require(tx, name);
        if (!bucket) return undefined;
        check(bucket);
        put(tx, { ...bucket, state: { kind: "deleting", incarnation: identities.incarnation, token } });
        tx.set(intent, encodeIntent({ kind: "bucket-deletion", bucketName: name }));
        return bucket;
      });
      if (!marked) return "absent";
      const empty = await isEmpty(marked.id);
      await transact([bucketKey(name)], async (tx) => {
        const value = await tx.get(bucketKey(name));
        const bucket = value && decodeBucket(value);
        if (bucket?.state.kind !== "deleting" || bucket.state.token !== token) {
          throw new Error(`the mark on bucket ${name} was taken away during its deletion`);
        }
        tx.delete(intent);
        if (empty) {
          tx.delete(bucketKey(name));
          for (const own of [{ of: "policy" }, { of: "acl" }] as const) {
            tx.delete(attachmentKey(bucket.ownerUin, bucket.id, own));
          }
          for (const configured of bucket.configurations.revisions.keys()) {
            tx.delete(configurationKey(bucket.id, configured));
          }
          tx.delete(accountBucketKey(bucket.ownerUin, name));
        } else {
          put(tx, { ...bucket, state: { kind: "normal" } });
        }
      });
      return empty ? "deleted" : "not-empty";
    });
  }

  async function isEmpty(bucketId: string): Promise<boolean> {
    const families = ["object", "version", "upload"] as const;
    const found = await metadata.read(families.map((name) => prefixRange(bucketPrefix(name, bucketId), 1)));
    return found.every((rows) => rows.length === 0);
  }

  return {
    findMany,
    create,
    remove,
    require,
    requireSame,
    put,

    async find(name) {
      if (!canName(name)) return undefined;
      const [rows] = await metadata.read([pointRange(bucketKey(name))]);
      const row = rows?.[0];
      return row && decoded(row.value);
    },

    async listAll(marker, limit) {
      const all = familyRange("bucket", limit);
      const [rows = []] = await metadata.read([
        marker === undefined ? all : { ...all, start: after(bucketKey(marker)) },
      ]);
      return rows.map(({ value }) => decodeBucket(value));
    },

    async list(uin, marker, limit) {
      const prefix = accountBucketsPrefix(uin);
      let start = prefix;
      // No name is as long as a marker that has no room in a key, so its beginning stands between the same names.
      if (marker !== undefined) start = after(accountBucketKey(uin, canName(marker) ? marker : marker.slice(0, 500)));
      const found: BucketRecord[] = [];
      for (;;) {
        const wanted = Math.min(NAMES_MAX, limit - found.length + 1);
        const [rows = []] = await metadata.read([{ start, end: prefixEnd(prefix), limit: wanted }]);
        const records = await findMany(rows.map(({ key }) => key.toString("utf8", prefix.length)));
        for (const record of records) {
          // One that is gone was deleted between the two reads.
          if (!record) continue;
          if (found.length === limit) return { buckets: found, truncated: true };
          found.push(record);
        }
        const last = rows.at(-1);
        if (!last || rows.length < wanted) return { buckets: found, truncated: false };
        start = after(last.key);
      }
    },
  };
}
