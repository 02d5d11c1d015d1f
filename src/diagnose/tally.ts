/**
 * How often each operation came to which end, how long it took and how many bytes it moved: counters in memory, of which
 * a request costs two look-ups and a few additions. What is told survives JSON, and those of several processes add up.
 */

import type { ErrorId } from "../errors/catalogue.ts";
import type { CosError } from "../errors/cos-error.ts";
import type { Answer } from "../http/answer.ts";
import type { Outcome } from "../http/pipeline.ts";
import type { WireRequest } from "../http/request.ts";

/** Upper bounds of the steps of the histogram, seconds; what takes longer is in none. */
export const SECONDS_MAX = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const;

/** One end that requests of one operation came to. */
export interface Tallied {
  /** Empty where the request came to none. */
  readonly operation: string;
  readonly dialect: string;
  readonly status: number;
  /** Undefined for a success. */
  readonly error?: ErrorId;
  readonly count: number;
}

/** How one operation went, whatever it came to. */
export interface OperationTally {
  readonly operation: string;
  readonly count: number;
  readonly seconds: number;
  /** Requests that took no longer than the bound at the same place of `SECONDS_MAX`, and longer than the one before it. */
  readonly steps: readonly number[];
  /** Announced bytes of request bodies. */
  readonly bytesIn: number;
  /** Bytes of answers' bodies. */
  readonly bytesOut: number;
}

export interface TallyTold {
  readonly ends: readonly Tallied[];
  readonly operations: readonly OperationTally[];
}

export interface Tally {
  /** Takes what a request came to; `outcome` is undefined where the edge refused it. */
  take(request: WireRequest, answer: Answer, refusal: CosError | undefined, outcome: Outcome | undefined): void;
  told(): TallyTold;
  /** Begins anew. */
  clear(): void;
}

interface Counted {
  readonly end: Omit<Tallied, "count">;
  count: number;
}

interface Going {
  count: number;
  seconds: number;
  bytesIn: number;
  bytesOut: number;
  readonly steps: number[];
}

function lengthOf({ body }: Answer): number {
  if (body === undefined) return 0;
  return typeof body === "string" ? Buffer.byteLength(body) : body.length;
}

export function tally(): Tally {
  const ends = new Map<string, Counted>();
  const operations = new Map<string, Going>();

  return {
    take(request, answer, refusal, outcome) {
      const operation = outcome?.operation?.name ?? "";
      const dialect = outcome?.dialect ?? "";
      const error = refusal?.id;
      const label = `${operation} ${dialect} ${answer.status} ${error ?? ""}`;
      const counted = ends.get(label);
      if (counted !== undefined) counted.count += 1;
      else {
        const end = { operation, dialect, status: answer.status, ...(error === undefined ? {} : { error }) };
        ends.set(label, { end, count: 1 });
      }

      let going = operations.get(operation);
      if (going === undefined) {
        going = { count: 0, seconds: 0, bytesIn: 0, bytesOut: 0, steps: SECONDS_MAX.map(() => 0) };
        operations.set(operation, going);
      }
      going.count += 1;
      going.bytesIn += request.body.declaredLength ?? 0;
      if (request.method !== "HEAD") going.bytesOut += lengthOf(answer);
      const { times = [] } = outcome ?? {};
      const seconds = times.length < 2 ? 0 : ((times.at(-1) as number) - (times[0] as number)) / 1000;
      going.seconds += seconds;
      const step = SECONDS_MAX.findIndex((most) => seconds <= most);
      if (step >= 0) going.steps[step] = (going.steps[step] as number) + 1;
    },

    told: () => ({
      ends: Array.from(ends.values(), ({ end, count }) => ({ ...end, count })),
      operations: Array.from(operations, ([operation, { steps, ...rest }]) => ({
        operation,
        ...rest,
        steps: [...steps],
      })),
    }),

    clear() {
      ends.clear();
      operations.clear();
    },
  };
}

/** The counters of several processes as one. */
export function added(all: readonly TallyTold[]): TallyTold {
  const ends = new Map<string, Tallied>();
  const operations = new Map<string, OperationTally>();
  for (const told of all) {
    for (const end of told.ends) {
      const label = `${end.operation} ${end.dialect} ${end.status} ${end.error ?? ""}`;
      ends.set(label, { ...end, count: end.count + (ends.get(label)?.count ?? 0) });
    }
    for (const one of told.operations) {
      const before = operations.get(one.operation);
      operations.set(
        one.operation,
        before === undefined
          ? one
          : {
              operation: one.operation,
              count: one.count + before.count,
              seconds: one.seconds + before.seconds,
              bytesIn: one.bytesIn + before.bytesIn,
              bytesOut: one.bytesOut + before.bytesOut,
              steps: one.steps.map((count, at) => count + (before.steps[at] ?? 0)),
            },
      );
    }
  }
  return { ends: [...ends.values()], operations: [...operations.values()] };
}
