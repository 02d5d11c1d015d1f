/** What is counted against rates and bounds, in one place: the only process of a server, or the first of several. */

import { LRUCache } from "lru-cache";
import type { Clock } from "../../ports/clock.ts";
import type { Meter, Rate } from "../../ports/meter.ts";

/** Names whose rates are remembered. One that gives way to others may happen as after a pause. */
const NAMES_MAX = 10_000;
/** Sums of fractions that come to a whole number may be a little less. */
const ROUNDING = 1e-9;

interface Bucket {
  tokens: number;
  /** Monotonic ms. */
  at: number;
}

/** Token buckets: each fills at its rate up to its burst, and what happens takes from it. */
export class TokenBuckets {
  readonly #buckets = new LRUCache<string, Bucket>({ max: NAMES_MAX });
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many of `wanted` may happen now; those count. */
  take(name: string, { perSecond, burst }: Rate, wanted: number): number {
    const now = this.#clock.monotonic();
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) this.#buckets.set(name, (bucket = { tokens: burst, at: now }));
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond);
    bucket.at = now;
    const granted = Math.min(wanted, Math.floor(bucket.tokens + ROUNDING));
    bucket.tokens -= granted;
    return granted;
  }
}

/** How many of each name are under way, by who has them under way. */
export class UnderWay<Who> {
  readonly #counts = new Map<string, Map<Who, number>>();

  enter(name: string, most: number, who: Who): boolean {
    let counts = this.#counts.get(name);
    let sum = 0;
    for (const count of counts?.values() ?? []) sum += count;
    if (sum >= most) return false;
    if (counts === undefined) this.#counts.set(name, (counts = new Map()));
    counts.set(who, (counts.get(who) ?? 0) + 1);
    return true;
  }

  leave(name: string, who: Who): void {
    const counts = this.#counts.get(name);
    const left = (counts?.get(who) ?? 0) - 1;
    if (left > 0) counts?.set(who, left);
    else counts?.delete(who);
    if (counts?.size === 0) this.#counts.delete(name);
  }

  /** Nothing of theirs is under way any more. */
  gone(who: Who): void {
    for (const [name, counts] of this.#counts) {
      counts.delete(who);
      if (counts.size === 0) this.#counts.delete(name);
    }
  }
}

/** The meter of a process that is alone. */
export function ownMeter(clock: Clock): Meter {
  const buckets = new TokenBuckets(clock);
  const underWay = new UnderWay<null>();
  return {
    take: (name, rate) => buckets.take(name, rate, 1) === 1,
    enter: (name, most) => underWay.enter(name, most, null),
    leave: (name) => underWay.leave(name, null),
  };
}
