/**
 * Does what the rules of all buckets want, once a day, at the midnight of GMT+8 that is the service's hour.
 *
 * A pass goes through every bucket that has rules, in pages of rows: objects, versions, unfinished uploads. Pages only
 * find candidates. Whatever is done is done in a transaction that has read the row again, the bucket with the revision
 * of its rules, and the lease; and decides anew from what it has read. So a writer who came in between wins, rules that
 * were changed meanwhile do nothing, and of two processes that both believe they have the task only one can store
 * anything. Where a pass was left off, it goes on from the place saved last: to look at a row twice does no harm.
 *
 * What cannot be read is passed over, so that one damaged row does not end the lifecycle of all the others.
 *
 * Passes that were missed are made up for by one, that of the last midnight: nothing has happened in between.
 */

import type { BackgroundTask } from "../../background.ts";
import { CosError } from "../../errors/cos-error.ts";
import { RowDamaged } from "../../ports/metadata.ts";
import { RecordDamaged } from "../../store/bytes.ts";
import { after, bucketKey, historyKey, objectKey, prefixRange, uploadKey, versionsPrefix } from "../../store/keys.ts";
import { isLocked } from "../../store/locks.ts";
import { type BucketRecord, decodeVersion, RecordFromNewerVersion } from "../../store/records.ts";
import { DAY_MS, inClass, midnightFrom } from "../../store/storage-class.ts";
import type { Store } from "../../store/store.ts";
import { type Lease, LeaseLost } from "../../store/tasks.ts";
import { type Transaction, TransactionContended } from "../../store/transact.ts";
import type { VersionId } from "../../store/version-id.ts";
import type { WalkedObject, WalkedUpload, WalkedVersion } from "../../store/walk.ts";
import {
  AT_START,
  decodeProgress,
  encodeProgress,
  type LifecycleCounts,
  type LifecycleProgress,
  NO_COUNTS,
  type Place,
  type Stage,
  STAGES,
} from "./progress.ts";
import {
  BUCKET_LIFECYCLE,
  currentAction,
  isMarkerDue,
  isUploadDue,
  type LifecycleAction,
  type LifecycleRule,
  noncurrentAction,
  rulesAt,
} from "./rules.ts";

const NAME = "lifecycle";
/** Rows of one page. */
const PAGE_ROWS = 1_000;
/** Buckets of one page. */
const PAGE_BUCKETS = 200;
/** Versions that one transaction removes, ten operations each at most, of the 1,000 that an engine takes. */
const REMOVALS_MAX = 80;
/** Rows that one transaction changes. */
const CHANGES_MAX = 200;
/** Pages after which the place is saved where nothing was done. */
const PAGES_UNSAVED_MAX = 16;

/** Raised inside where a bucket's rules have changed since they were read: the page is gone through again. */
class RulesChanged extends Error {}

type Counter = { -readonly [Name in keyof LifecycleCounts]: number };

/** What belongs to the page under way. */
interface Work {
  readonly lease: Lease;
  readonly bucket: BucketRecord;
  readonly rules: readonly LifecycleRule[];
  readonly midnightMs: number;
  readonly counts: Counter;
}

/** Whether any rule wants something of a stage; most want nothing of older versions. */
const IS_NEEDED: Readonly<Record<Stage, (rule: LifecycleRule) => boolean>> = {
  objects: ({ expiration, transitions }) => expiration !== undefined || transitions.length > 0,
  versions: ({ expiredMarkers, noncurrentExpirationDays, noncurrentTransitions }) =>
    expiredMarkers === true || noncurrentExpirationDays !== undefined || noncurrentTransitions.length > 0,
  uploads: ({ abortDays }) => abortDays !== undefined,
};

/** The last midnight at `ms` or before. */
function lastMidnight(ms: number): number {
  return midnightFrom(ms - DAY_MS + 1);
}

/** Whether the clock was set back behind what has been done. */
function isAhead({ doneMs, pass }: LifecycleProgress, nowMs: number): boolean {
  return doneMs > nowMs || (pass !== undefined && pass.midnightMs > nowMs);
}

/** Whether this is about stored data that nobody can read; it will not be otherwise when it is tried again. */
function isUnreadable(error: unknown): error is Error {
  return [RecordDamaged, RowDamaged, RecordFromNewerVersion].some((kind) => error instanceof kind);
}

export interface LifecycleOptions {
  /** Told of the first thing in a pass that cannot be read. */
  readonly report?: (error: unknown) => void;
}

/** The task. One for each process; they take turns. */
export function lifecycleTask(store: Store, { report = () => {} }: LifecycleOptions = {}): BackgroundTask {
  let stopping = false;
  let hasTold = false;
  let running: Promise<void> = Promise.resolve();

  /** Begins a transaction on the bucket of the page. Throws RulesChanged, LeaseLost, and NoSuchBucket where it has gone. */
  async function begin(tx: Transaction, { lease, bucket }: Work): Promise<BucketRecord> {
    await lease.hold(tx);
    const present = await store.buckets.requireSame(tx, bucket);
    const revisionOf = ({ configurations }: BucketRecord) => configurations.revisions.get(BUCKET_LIFECYCLE.name);
    if (revisionOf(present) !== revisionOf(bucket)) throw new RulesChanged();
    return present;
  }

  /** Counts as skipped what cannot be read, and tells of the first. Throws any other error. */
  function passOver(counts: Counter, bucketName: string, error: unknown): void {
    if (!isUnreadable(error)) throw error;
    counts.skipped += 1;
    if (hasTold) return;
    hasTold = true;
    report(new Error(`the lifecycle of ${bucketName} passes over what it cannot read`, { cause: error }));
  }

  /** What is decided of a row of a page; undefined where the row cannot be read. */
  function decided<T>({ bucket, counts }: Work, decide: () => T): T | undefined {
    try {
      return decide();
    } catch (error) {
      passOver(counts, bucket.name, error);
      return undefined;
    }
  }

  /**
   * Does something to all of `items`, as many at a time as a transaction takes; where they cannot be done together, each
   * by itself. What cannot be done at all is left for another day.
   */
  async function inBatches<T>(
    { bucket, counts }: Pick<Work, "bucket" | "counts">,
    items: readonly T[],
    most: number,
    act: (some: readonly T[]) => Promise<void>,
  ): Promise<void> {
    for (let at = 0; at < items.length; at += most) {
      const some = items.slice(at, at + most);
      try {
        await act(some);
      } catch (error) {
        const isRefused = error instanceof CosError && error.id !== "NoSuchBucket";
        const isOfSome = isRefused || error instanceof TransactionContended;
        if (!isOfSome && !isUnreadable(error)) throw error;
        if (some.length > 1) for (const one of some) await inBatches({ bucket, counts }, [one], 1, act);
        else if (isOfSome) counts.skipped += 1;
        else passOver(counts, bucket.name, error);
      }
    }
  }

  async function removeCurrent(work: Work, items: readonly WalkedObject[]): Promise<void> {
    const { bucket, counts, midnightMs, rules } = work;
    await inBatches(work, items, REMOVALS_MAX, async (some) => {
      const rows = some.map(({ key }) => objectKey(bucket.id, key));
      counts.expired += await store.transact(rows, async (tx) => {
        const present = await begin(tx, work);
        await tx.getMany(rows);
        const due: string[] = [];
        for (const { key } of some) {
          const object = await store.objects.findIn(tx, bucket.id, key);
          if (object === undefined || isLocked(object, present.lock, midnightMs)) continue;
          if (currentAction(rules, key, object, midnightMs)?.kind === "expire") due.push(key);
        }
        const removals = due.map((key) => ({ key, versions: [undefined] }));
        // However long after the midnight it comes: what is superseded now is as old as all that is superseded at it.
        const options = { atMs: midnightMs };
        const fates = (await store.objects.remove(tx, present, removals, present.ownerUin, options)).flat();
        return fates.filter(({ locked }) => !locked).length;
      });
    });
  }

  async function moveCurrent(work: Work, items: readonly WalkedObject[]): Promise<void> {
    const { bucket, counts, midnightMs, rules } = work;
    await inBatches(work, items, CHANGES_MAX, async (some) => {
      const rows = some.map(({ key }) => objectKey(bucket.id, key));
      counts.transitioned += await store.transact(rows, async (tx) => {
        const present = await begin(tx, work);
        await tx.getMany(rows);
        let moved = 0;
        for (const [at, { key }] of some.entries()) {
          const object = await store.objects.findIn(tx, bucket.id, key);
          if (object === undefined || isLocked(object, present.lock, midnightMs)) continue;
          const action = currentAction(rules, key, object, midnightMs);
          if (action?.kind !== "move") continue;
          store.objects.update(tx, rows[at] as Buffer, inClass(object, action.to, midnightMs));
          moved += 1;
        }
        return moved;
      });
    });
  }

  async function goThroughObjects(work: Work, from: Buffer | undefined): Promise<Buffer | undefined> {
    const { bucket, counts, midnightMs, rules } = work;
    const page = await store.walk.objects(bucket.id, from, PAGE_ROWS);
    const due = new Map<LifecycleAction["kind"], WalkedObject[]>();
    for (const item of page.items) {
      const found = decided(work, () => {
        const action = currentAction(rules, item.key, item.head, midnightMs);
        return action && { action, isHeld: isLocked(item.head, bucket.lock, midnightMs) };
      });
      if (found === undefined) continue;
      const { action, isHeld } = found;
      // What is locked is left alone until the lock ends, also where only its class would change. (lifecycle page)
      if (isHeld) {
        counts.skipped += 1;
        continue;
      }
      const others = due.get(action.kind);
      if (others === undefined) due.set(action.kind, [item]);
      else others.push(item);
    }
    counts.examined += page.items.length;
    counts.skipped += page.unreadable;
    await removeCurrent(work, due.get("expire") ?? []);
    await moveCurrent(work, due.get("move") ?? []);
    return page.next;
  }

  /**
   * What is wanted of a row of family `version`, in a transaction that has read the key's history. The newest row of a
   * key without a current object is a delete marker, and the only kind of version that is not an older one.
   */
  async function versionAction(
    tx: Transaction,
    { bucket, rules, midnightMs }: Work,
    key: string,
    row: Buffer,
  ): Promise<LifecycleAction | undefined> {
    const value = await tx.get(row);
    if (value === undefined) return undefined;
    const version = decodeVersion(value);
    if (version.type !== "delete-marker") {
      return noncurrentAction(rules, key, version, version.supersededMs ?? version.modifiedMs, midnightMs);
    }
    // Whoever adds or removes a version rewrites the history, so what is seen of its neighbours counts.
    const history = await tx.get(historyKey(bucket.id, key));
    if (history === undefined) return undefined;
    const prefix = versionsPrefix(bucket.id, key);
    const [newer] = await tx.peek({ start: prefix, end: row, limit: 1, reverse: true });
    const current = newer === undefined ? await store.objects.findIn(tx, bucket.id, key) : undefined;
    const successor = newer === undefined ? current : decodeVersion(newer.value);
    // Of a marker nobody notes when it was superseded; it was when what is newer came.
    if (successor !== undefined) return noncurrentAction(rules, key, undefined, successor.modifiedMs, midnightMs);
    const hidesNothing = (await tx.peek(prefixRange(prefix, 2))).length === 1;
    return hidesNothing && isMarkerDue(rules, key, version.modifiedMs, midnightMs) ? { kind: "expire" } : undefined;
  }

  async function actOnVersions(work: Work, items: readonly WalkedVersion[]): Promise<void> {
    const { bucket, counts } = work;
    await inBatches(work, items, REMOVALS_MAX, async (some) => {
      const rows = [...new Set(some.map(({ key }) => key))].map((key) => objectKey(bucket.id, key));
      const done = await store.transact(rows, async (tx) => {
        const present = await begin(tx, work);
        const removals = new Map<string, VersionId[]>();
        const done = { moved: 0, versions: 0, markers: 0 };
        await tx.getMany(some.map(({ row }) => row));
        for (const { key, row, version } of some) {
          const action = await versionAction(tx, work, key, row);
          if (action === undefined) continue;
          if (action.kind === "expire") {
            removals.set(key, [...(removals.get(key) ?? []), version.versioned ? version.sequence : "null"]);
            done[version.type === "delete-marker" ? "markers" : "versions"] += 1;
            continue;
          }
          const record = decodeVersion((await tx.get(row)) as Buffer);
          if (record.type === "delete-marker" || isLocked(record, present.lock, work.midnightMs)) continue;
          store.objects.update(tx, row, inClass(record, action.to, work.midnightMs));
          done.moved += 1;
        }
        const named = [...removals].map(([key, versions]) => ({ key, versions }));
        const fates = (await store.objects.remove(tx, present, named, present.ownerUin)).flat();
        done.versions -= fates.filter(({ locked }) => locked).length;
        return done;
      });
      counts.transitioned += done.moved;
      counts.versionsRemoved += done.versions;
      counts.markersRemoved += done.markers;
    });
  }

  async function goThroughVersions(work: Work, from: Buffer | undefined): Promise<Buffer | undefined> {
    const { bucket, counts, midnightMs, rules } = work;
    const page = await store.walk.versions(bucket.id, from, PAGE_ROWS);
    const isDue = ({ key, version }: WalkedVersion): boolean => {
      if (version.type !== "delete-marker") {
        const since = version.supersededMs ?? version.modifiedMs;
        if (noncurrentAction(rules, key, version, since, midnightMs) === undefined) return false;
        const isHeld = isLocked(version, bucket.lock, midnightMs);
        if (isHeld) counts.skipped += 1;
        return !isHeld;
      }
      // Whether it is the newest, and what it hides, is looked up where it could matter.
      return (
        noncurrentAction(rules, key, undefined, version.modifiedMs, midnightMs) !== undefined ||
        isMarkerDue(rules, key, version.modifiedMs, midnightMs)
      );
    };
    const due = page.items.filter((item) => decided(work, () => isDue(item)) === true);
    counts.examined += page.items.length;
    counts.skipped += page.unreadable;
    await actOnVersions(work, due);
    return page.next;
  }

  async function abortUploads(work: Work, items: readonly WalkedUpload[]): Promise<void> {
    const { bucket, counts, midnightMs, rules } = work;
    await inBatches(work, items, CHANGES_MAX, async (some) => {
      const rows = some.map(({ key, uploadId }) => uploadKey(bucket.id, key, uploadId));
      counts.uploadsAborted += await store.transact(rows, async (tx) => {
        await begin(tx, work);
        let aborted = 0;
        for (const { key, uploadId } of some) {
          const name = { bucketId: bucket.id, key, uploadId };
          const upload = await store.uploads.require(tx, name);
          if (upload === undefined || !isUploadDue(rules, key, upload, midnightMs)) continue;
          store.uploads.abort(tx, name);
          aborted += 1;
        }
        return aborted;
      });
    });
  }

  async function goThroughUploads(work: Work, from: Buffer | undefined): Promise<Buffer | undefined> {
    const { bucket, counts, midnightMs, rules } = work;
    const page = await store.walk.uploads(bucket.id, from, PAGE_ROWS);
    counts.examined += page.items.length;
    counts.skipped += page.unreadable;
    await abortUploads(
      work,
      page.items.filter(({ key, record }) => decided(work, () => isUploadDue(rules, key, record, midnightMs)) === true),
    );
    return page.next;
  }

  const GO_THROUGH = { objects: goThroughObjects, versions: goThroughVersions, uploads: goThroughUploads };

  /** The place of the next bucket that has rules; undefined when there is none. */
  async function nextBucket(place: Place): Promise<Place | undefined> {
    for (let from = place.bucketFrom; ; ) {
      const page = await store.walk.buckets(from, PAGE_BUCKETS);
      const found = page.items.find((bucket) => store.configurations.has(bucket, BUCKET_LIFECYCLE));
      if (found !== undefined) {
        const row = bucketKey(found.name);
        return { ...AT_START, bucketFrom: row, bucket: { name: found.name, id: found.id } };
      }
      if (page.next === undefined) return undefined;
      from = page.next;
    }
  }

  /** The place behind a bucket. */
  const behind = (name: string): Place => ({ ...AT_START, bucketFrom: after(bucketKey(name)) });

  /** A bucket that is still there, with its lifecycle; undefined where it has none, or either cannot be read. */
  async function held({ name, id }: NonNullable<Place["bucket"]>, counts: Counter) {
    try {
      const bucket = await store.buckets.find(name);
      if (bucket?.id !== id) return undefined;
      const lifecycle = await store.configurations.find(bucket, BUCKET_LIFECYCLE);
      return lifecycle && { bucket, lifecycle };
    } catch (error) {
      passOver(counts, name, error);
      return undefined;
    }
  }

  /** One unit: finds a bucket, or goes through one page of it. Undefined when the pass is complete. */
  async function unit(lease: Lease, midnightMs: number, place: Place, counts: Counter): Promise<Place | undefined> {
    if (place.bucket === undefined) return await nextBucket(place);
    const { name } = place.bucket;
    const found = await held(place.bucket, counts);
    if (found === undefined) return behind(name);
    const { bucket, lifecycle } = found;
    const rules = rulesAt(lifecycle, midnightMs);
    const at = STAGES.indexOf(place.stage);
    if (rules.length === 0) return behind(name);
    try {
      const work = { lease, bucket, rules, midnightMs, counts };
      const next = rules.some(IS_NEEDED[place.stage]) ? await GO_THROUGH[place.stage](work, place.from) : undefined;
      if (next !== undefined) return { ...place, from: next };
    } catch (error) {
      if (error instanceof RulesChanged) return place;
      if (error instanceof CosError && error.id === "NoSuchBucket") return behind(name);
      throw error;
    }
    const stage = STAGES[at + 1];
    return stage === undefined ? behind(name) : { ...place, stage, from: undefined };
  }

  /** Goes on with a pass until it is complete, or the work is to stop. */
  async function pass(lease: Lease, before: LifecycleProgress, midnightMs: number): Promise<LifecycleProgress> {
    const resumed = before.pass !== undefined;
    hasTold = false;
    const counts: Counter = { ...(resumed ? before.counts : NO_COUNTS) };
    let place: Place | undefined = before.pass?.place ?? AT_START;
    let unsaved = 0;
    const at = (now: Place): LifecycleProgress => ({
      doneMs: before.doneMs,
      pass: { midnightMs, place: now },
      counts: { ...counts },
    });
    while (place !== undefined && !stopping) {
      const acted = counts.examined;
      place = await unit(lease, midnightMs, place, counts);
      unsaved += acted === counts.examined ? 0 : 1;
      if (place !== undefined && unsaved >= PAGES_UNSAVED_MAX) {
        await lease.save(encodeProgress(at(place)));
        unsaved = 0;
      }
      // Requests go first: the next page waits for whoever came in.
      await new Promise((resolve) => void setImmediate(resolve));
    }
    return place === undefined ? { doneMs: midnightMs, pass: undefined, counts } : at(place);
  }

  async function run(nowMs: number): Promise<void> {
    if (stopping) return;
    const lease = await store.tasks.claim(NAME);
    if (lease === undefined) return;
    let reached: Buffer | undefined;
    try {
      let progress = decodeProgress(lease.progress);
      const today = lastMidnight(nowMs);
      if (progress === undefined || isAhead(progress, nowMs)) {
        // Nothing was ever done, or the clock was set back: the next midnight is the first one.
        progress = { doneMs: today, pass: undefined, counts: progress?.counts ?? NO_COUNTS };
      }
      if (progress.pass !== undefined) progress = await pass(lease, progress, progress.pass.midnightMs);
      if (progress.doneMs < today && !stopping) progress = await pass(lease, progress, today);
      reached = encodeProgress(progress);
    } catch (error) {
      // Whoever has it now goes on.
      if (!(error instanceof LeaseLost)) throw error;
    } finally {
      // A lease that cannot be given back is taken when this process has ended.
      await lease.release(reached).catch(() => undefined);
    }
  }

  /** Whether any bucket has rules. */
  const hasRules = async (): Promise<boolean> => (await nextBucket(AT_START)) !== undefined;

  return {
    name: NAME,

    async nextDue(nowMs) {
      const record = await store.tasks.find(NAME);
      const progress = record && decodeProgress(record.progress);
      if (progress === undefined || progress.pass !== undefined || isAhead(progress, nowMs)) return nowMs;
      // Rules that come later have their first midnight later, too.
      return (await hasRules()) ? progress.doneMs + DAY_MS : Number.POSITIVE_INFINITY;
    },

    async runDue(nowMs) {
      const mine = running.catch(() => undefined).then(() => run(nowMs));
      running = mine;
      await mine;
    },

    async statistics() {
      const record = await store.tasks.find(NAME);
      const progress = record && decodeProgress(record.progress);
      const { doneMs = 0, pass: current, counts = NO_COUNTS } = progress ?? {};
      return { ...counts, doneMs, midnightMs: current?.midnightMs ?? doneMs };
    },

    async stop() {
      stopping = true;
      await running.catch(() => undefined);
    },
  };
}
