/** Limits on how often requests may come: which requests one counts, and together with which others. Pure. */

import { type CosError, refuse } from "../errors/cos-error.ts";
import type { Rate } from "../ports/meter.ts";

/** A limit as people write it. */
export interface RateRequest {
  /** `rate-1` and so on, by its place, where it is left out. */
  readonly id?: string | undefined;
  /** Requests are counted for each bucket, for each account that asks, or all together. */
  readonly per: "bucket" | "account" | "server";
  /** Only requests for these operations, which are counted together; by default for any. */
  readonly operations?: readonly string[] | undefined;
  /** Only requests to this bucket. */
  readonly bucket?: string | undefined;
  /** Only requests of this account, by its UIN. */
  readonly account?: string | undefined;
  readonly perSecond: number;
  /** How many may come at once; what comes in a second unless told. */
  readonly burst?: number | undefined;
}

export interface RateLimit extends Omit<RateRequest, "operations" | "burst"> {
  readonly id: string;
  readonly revision: number;
  readonly operations: ReadonlySet<string> | undefined;
  readonly rate: Rate;
}

/** What a limit looks at of a request. */
export interface RateSubject {
  readonly operation: string;
  readonly bucket: string | undefined;
  /** UIN of the account that asks; undefined for anonymous callers. */
  readonly account: string | undefined;
}

export interface RateGate {
  /** Whether there is any limit; without one nothing else is asked. */
  readonly any: boolean;
  /** Counts a request; SlowDown for one too many. */
  admit(subject: RateSubject): Promise<CosError | undefined> | CosError | undefined;
}

/** @param revision Of the list it stands in at the place `at`: each time limits are set, all of them begin anew. */
export function rateLimit({ id, operations, burst, ...request }: RateRequest, at: number, revision: number): RateLimit {
  const { perSecond } = request;
  return {
    ...request,
    id: id ?? `rate-${at + 1}`,
    revision,
    operations: operations && new Set(operations),
    rate: { perSecond, burst: burst ?? Math.max(1, Math.ceil(perSecond)) },
  };
}

/** The name under which a request counts for a limit; undefined for one that does not. */
export function countedAs(limit: RateLimit, { operation, bucket, account }: RateSubject): string | undefined {
  if (limit.operations?.has(operation) === false) return undefined;
  if (limit.bucket !== undefined && limit.bucket !== bucket) return undefined;
  if (limit.account !== undefined && limit.account !== account) return undefined;
  const whose = { bucket, account, server: "server" }[limit.per];
  if (whose === undefined) return undefined;
  return `${limit.revision} ${limit.id} ${whose}`;
}

/** The refusal of one request too many. When there is room again is told, as far as that is known. */
export function slowDown({ id, per, operations, rate }: RateLimit, { bucket, account }: RateSubject): CosError {
  return refuse("SlowDown", {
    headers: { "Retry-After": String(Math.max(1, Math.ceil(1 / rate.perSecond))) },
    evidence: () => ({
      kind: "rate",
      id,
      of: per === "server" ? "the server" : `the ${per} ${(per === "bucket" ? bucket : account) ?? ""}`,
      operations: operations === undefined ? [] : [...operations],
      ...rate,
    }),
  });
}
