/**
 * Keeps decision records: every request in a ring in memory, refusals with their whole reason in memory and in a log of
 * their own, at a rate that no client can raise. What a record costs an allowed request is one small object.
 */

import type { Answer } from "../http/answer.ts";
import type { CosError } from "../errors/cos-error.ts";
import type { Outcome } from "../http/pipeline.ts";
import type { WireRequest } from "../http/request.ts";
import type { Clock } from "../ports/clock.ts";
import type { RecordLog } from "../ports/record-log.ts";
import { type DecisionRecord, type Kept, keep, recordOf, refusalRecord } from "./record.ts";

export interface RecorderOptions {
  readonly clock: Clock;
  /** Where refusals are kept beyond this process; undefined for a server in memory. */
  readonly log: RecordLog | undefined;
  /** Requests, and refusals besides, that are kept in memory. */
  readonly recentMax: number;
  /** Refusals in one second of which the whole reason is kept. */
  readonly refusalsPerSecond: number;
}

export interface Recorder {
  /** Takes what a request came to; `outcome` is undefined where the edge refused it. Does not throw. */
  take(request: WireRequest, answer: Answer, refusal: CosError | undefined, outcome: Outcome | undefined): void;
  /** The requests answered last, the newest first. */
  recent(): readonly DecisionRecord[];
  /** The record of a RequestId or TraceId; undefined when it is not kept, or not any more. */
  find(id: string): Promise<DecisionRecord | undefined>;
  /** Calls `listener` with each record from now on, until what is given back is called. A listener does not throw. */
  watch(listener: (record: DecisionRecord) => void): () => void;
  /** Resolves when others can read what was kept. */
  flush(): Promise<void>;
}

/** A ring of the latest things. */
class Ring<T> {
  readonly #places: (T | undefined)[];
  #next = 0;

  constructor(size: number) {
    this.#places = Array.from({ length: size }, () => undefined);
  }

  add(one: T): void {
    this.#places[this.#next] = one;
    this.#next = (this.#next + 1) % this.#places.length;
  }

  newestFirst(): T[] {
    const { length } = this.#places;
    const ordered = Array.from({ length }, (_, at) => this.#places[(this.#next - 1 - at + 2 * length) % length]);
    return ordered.filter((one) => one !== undefined);
  }
}

/** The record in a line of the log that has this id; undefined for other lines and for one that was cut short. */
export function recordInLine(line: string, id: string): DecisionRecord | undefined {
  if (!line.includes(id)) return undefined;
  try {
    const record = JSON.parse(line) as DecisionRecord;
    return record.requestId === id || record.traceId === id ? record : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export function recorder({ clock, log, recentMax, refusalsPerSecond }: RecorderOptions): Recorder {
  const requests = new Ring<Kept>(recentMax);
  const refusals = new Ring<DecisionRecord>(recentMax);
  const listeners = new Set<(record: DecisionRecord) => void>();
  let second = Number.NaN;
  let inSecond = 0;

  function mayKeep(): boolean {
    const now = Math.floor(clock.monotonic() / 1000);
    if (now !== second) {
      second = now;
      inSecond = 0;
    }
    inSecond += 1;
    return inSecond <= refusalsPerSecond;
  }

  function tell(record: () => DecisionRecord): void {
    if (listeners.size === 0) return;
    const told = record();
    for (const listener of listeners) listener(told);
  }

  return {
    take(request, answer, refusal, outcome) {
      // A 304 says that nothing is wrong.
      const wrong = refusal?.status === 304 ? undefined : refusal;
      const kept = keep(request, answer, wrong, outcome);
      requests.add(kept);
      if (wrong === undefined || !mayKeep()) return tell(() => recordOf(kept));
      try {
        const record = refusalRecord(kept, request, wrong, outcome);
        refusals.add(record);
        log?.append(JSON.stringify(record));
        tell(() => record);
      } catch {
        // A record that cannot be made must not change an answer; the request itself is in the ring.
      }
    },
    watch(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    recent() {
      const whole = new Map(refusals.newestFirst().map((record) => [record.requestId, record]));
      return requests.newestFirst().map((kept) => whole.get(kept.requestId) ?? recordOf(kept));
    },
    async find(id) {
      const refused = refusals.newestFirst().find(({ requestId, traceId }) => requestId === id || traceId === id);
      if (refused !== undefined) return refused;
      const kept = requests.newestFirst().find(({ requestId }) => requestId === id);
      if (kept !== undefined) return recordOf(kept);
      if (log === undefined) return undefined;
      await log.flush();
      for await (const line of log.lines()) {
        const record = recordInLine(line, id);
        if (record !== undefined) return record;
      }
      return undefined;
    },
    flush: async () => log?.flush(),
  };
}
