/**
 * How much each bucket holds, counted in the background for whoever watches a server. Rows keep no sums: a counter that
 * every write of a bucket changes would make its writers wait for each other. So all rows are read, a page at a time and
 * with pauses, and what is told is as old as the last count.
 */
import type { Clock } from "../ports/clock.ts";
import type { Walk } from "./walk.ts";

/** Objects and their bytes; delete markers and the parts of unfinished uploads are none. */
export interface Held {
  readonly objects: number;
  readonly bytes: number;
}

export interface BucketUsage {
  /** Undefined for all the others together. */
  readonly bucket: string | undefined;
  readonly current: Held;
  /** Of versions that are not the current one of their key. */
  readonly older: Held;
}

export interface UsageTold {
  /** When the count ended, ms since 1970 by the machine's clock. */
  readonly countedMs: number;
  /** How long it took, ms. */
  readonly tookMs: number;
  /** The largest first. */
  readonly buckets: readonly BucketUsage[];
}

export interface Usage {
  /** The last count that ended; undefined before there is one. */
  last(): UsageTold | undefined;
  isCounting(): boolean;
  /** Begins a count, unless one is under way. At most `bucketsMax` buckets are told by name, the largest. */
  begin(bucketsMax: number): void;
  /** Ends a count after the page under way. */
  stop(): Promise<void>;
}

export interface UsageOptions {
  readonly walk: Walk;
  readonly clock: Clock;
  /** Told what ended a count early; the next one begins anew. */
  readonly report: (error: unknown) => void;
}

const ROWS_MAX = 500;
/** For each ms of reading so many of pause: a count takes a tenth of a processor at most. */
const PAUSE_FACTOR = 9;

type Sum = { objects: number; bytes: number };

const NONE: Held = { objects: 0, bytes: 0 };

function sizeOf({ current, older }: BucketUsage): number {
  return current.bytes + older.bytes;
}

function plus(a: Held, b: Held): Held {
  return { objects: a.objects + b.objects, bytes: a.bytes + b.bytes };
}

/** The `most` largest buckets; the others, where there are any, as one. */
function largest(all: readonly BucketUsage[], most: number): BucketUsage[] {
  const named = all.filter(({ bucket }) => bucket !== undefined).toSorted((a, b) => sizeOf(b) - sizeOf(a));
  const others = [...named.slice(most), ...all.filter(({ bucket }) => bucket === undefined)];
  if (others.length === 0) return named;
  const sum = others.reduce(
    (whole, one) => ({
      bucket: undefined,
      current: plus(whole.current, one.current),
      older: plus(whole.older, one.older),
    }),
    { bucket: undefined, current: NONE, older: NONE },
  );
  return [...named.slice(0, most), sum];
}

export function usage({ walk, clock, report }: UsageOptions): Usage {
  let last: UsageTold | undefined;
  let counting: Promise<void> | undefined;
  let stopped = false;
  /** Ends the pause between two pages. Its timer alone keeps no process alive that waits for the count to end. */
  let endPause: (() => void) | undefined;

  /** Goes through all pages; false where it was stopped. */
  async function each<T>(
    page: (from: Buffer | undefined) => Promise<{ readonly items: readonly T[]; readonly next: Buffer | undefined }>,
    take: (items: readonly T[]) => void | Promise<void>,
  ): Promise<void> {
    for (let from: Buffer | undefined; !stopped; ) {
      const began = clock.monotonic();
      const { items, next } = await page(from);
      const readMs = clock.monotonic() - began;
      await take(items);
      if (next === undefined) return;
      from = next;
      await new Promise<void>((resolve) => {
        const pause = clock.after(readMs * PAUSE_FACTOR, resolve);
        endPause = () => {
          pause.cancel();
          resolve();
        };
      });
    }
  }

  function add(sum: Sum, size: number): void {
    sum.objects += 1;
    sum.bytes += size;
  }

  async function bucketUsage(bucket: string, id: string): Promise<BucketUsage> {
    const current = { objects: 0, bytes: 0 };
    const older = { objects: 0, bytes: 0 };
    await each(
      (from) => walk.objects(id, from, ROWS_MAX),
      (items) => {
        for (const { head } of items) add(current, head.size);
      },
    );
    await each(
      (from) => walk.versions(id, from, ROWS_MAX),
      (items) => {
        for (const { version } of items) if ("size" in version) add(older, version.size);
      },
    );
    return { bucket, current, older };
  }

  async function count(bucketsMax: number): Promise<void> {
    const began = clock.monotonic();
    let counted: BucketUsage[] = [];
    await each(
      (from) => walk.buckets(from, ROWS_MAX),
      async (buckets) => {
        for (const { name, id } of buckets) {
          if (stopped) return;
          counted.push(await bucketUsage(name, id));
          // However many buckets there are, the sums of few are kept.
          if (counted.length > 2 * bucketsMax) counted = largest(counted, bucketsMax);
        }
      },
    );
    if (stopped) return;
    const buckets = largest(counted, bucketsMax);
    last = { countedMs: clock.real(), tookMs: clock.monotonic() - began, buckets };
  }

  return {
    last: () => last,
    isCounting: () => counting !== undefined,
    begin(bucketsMax) {
      if (stopped || counting !== undefined) return;
      counting = count(bucketsMax)
        .catch(report)
        .finally(() => {
          counting = undefined;
        });
    },
    async stop() {
      stopped = true;
      endPause?.();
      await counting;
    },
  };
}
