/** Faults that people ask for: which requests they meet, what happens to those, and how often. Pure. */

import { createHash } from "node:crypto";
import type { ErrorId } from "../errors/catalogue.ts";

/** Which requests a fault meets: those that agree with everything that is said. */
export interface FaultMatch {
  /** Name of an operation, such as `PutObject`. */
  readonly operation?: string;
  /** Whole name of a bucket. */
  readonly bucket?: string;
  /** What an object's key begins with. */
  readonly keyPrefix?: string;
  /** SecretId, UIN or sub-user's UIN of the caller, or `anonymous`. */
  readonly caller?: string;
}

/** How many of the requests it meets it happens to; without it, to all. */
export type FaultTimes =
  /** The first so many. */
  | { readonly first: number }
  /** Every so manieth. */
  | { readonly every: number }
  /** Each with this probability, from 0 to 1; the same seed gives the same sequence. */
  | { readonly probability: number; readonly seed: number };

/** What happens. At least one thing does. */
export interface FaultEffect {
  /** The request waits so long before anything is done, ms. */
  readonly delayMs?: number;
  /** It is refused with this row of the catalogue. */
  readonly error?: ErrorId;
  /**
   * `before` anything was done, by default; `during` the reading of its body, half way; or `after` everything was done,
   * so that what was asked for has happened although the answer says no.
   */
  readonly phase?: "before" | "during" | "after";
  /** The answer's body goes out no faster than this, bytes per second. */
  readonly bytesPerSecond?: number;
  /** The connection is cut when so many bytes of the answer's body are out; 0 for before its head. */
  readonly cutAfterBytes?: number;
}

export interface Fault extends FaultEffect {
  /** Letters, digits, - and _. */
  readonly id: string;
  readonly match: FaultMatch;
  readonly times?: FaultTimes;
}

/** A fault as people ask for it; without an id it is given one. */
export type FaultRequest = Omit<Fault, "id" | "match"> & { readonly id?: string; readonly match?: FaultMatch };

/** A fault, and how many requests it has met. Only those with `times` are counted. */
export interface CountedFault extends Fault {
  readonly met: number;
}

/** What a fault looks at of a request. */
export interface FaultSubject {
  readonly operation: string;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
  /** Every name that the caller goes by. */
  readonly callers: readonly string[];
}

export function meets({ operation, bucket, keyPrefix, caller }: FaultMatch, subject: FaultSubject): boolean {
  return (
    (operation === undefined || operation === subject.operation) &&
    (bucket === undefined || bucket === subject.bucket) &&
    (keyPrefix === undefined || subject.key?.startsWith(keyPrefix) === true) &&
    (caller === undefined || subject.callers.includes(caller))
  );
}

/** Whether the fault happens to the `met`th request that it meets, counted from 1. The same at any time and anywhere. */
export function happens(times: FaultTimes | undefined, met: number): boolean {
  if (times === undefined) return true;
  if ("first" in times) return met <= times.first;
  if ("every" in times) return met % times.every === 0;
  const drawn = createHash("sha256").update(`${times.seed} ${met}`).digest().readUIntBE(0, 6);
  return drawn / 2 ** 48 < times.probability;
}
