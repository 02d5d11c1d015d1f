/**
 * Waiting for work in several commits: a transaction that meets a bucket being deleted, or an upload being completed,
 * cannot tell yet whether it is there. It says so, lets go of its place in the queues, and runs again afterwards.
 */
import type { ErrorId } from "../errors/catalogue.ts";
import { refuse } from "../errors/cos-error.ts";
import type { Clock } from "../ports/clock.ts";
import { type MetadataEngine, pointRange } from "../ports/metadata.ts";
import type { Peers } from "../ports/peers.ts";
import type { Transact } from "./transact.ts";

/** Raised inside a transaction; `transact` of the store waits until `ended` resolves. */
export class Unsettled extends Error {
  /** Waits for the end of the work that was met. Throws a CosError when that takes too long. */
  readonly ended: () => Promise<void>;
  /** What the transaction is refused with when there is no end to the waiting: the thing counts as gone. */
  readonly otherwise: ErrorId;
  constructor(what: string, ended: () => Promise<void>, otherwise: ErrorId) {
    super(`${what} is changing`);
    this.name = "Unsettled";
    this.ended = ended;
    this.otherwise = otherwise;
  }
}

/** How often one transaction waits. Each time somebody else was quicker to begin the same work again. */
const WAITS_MAX = 50;

/** The same transactions, run again when what they met is settled. */
export function waiting(transact: Transact): Transact {
  return async (queueOn, body) => {
    for (let waits = 0; ; waits++) {
      try {
        return await transact(queueOn, body);
      } catch (error) {
        if (!(error instanceof Unsettled)) throw error;
        if (waits === WAITS_MAX) throw refuse(error.otherwise, { cause: error });
        await error.ended();
      }
    }
  };
}

/** Work of this process that others may wait for, by its name. */
export interface UnderWay {
  /** What waits for the end of this work; undefined when this process does no such work. */
  ended(work: string): (() => Promise<void>) | undefined;
  /** Runs `work`, and counts it as under way until it has ended, whatever came of it. */
  during<T>(name: string, work: () => Promise<T>): Promise<T>;
}

export function underWay(): UnderWay {
  const running = new Map<string, Promise<void>>();
  return {
    ended(work) {
      const ended = running.get(work);
      return ended && (() => ended);
    },
    async during(name, work) {
      let end: () => void = () => {};
      running.set(
        name,
        new Promise((resolve) => {
          end = resolve;
        }),
      );
      try {
        return await work();
      } finally {
        running.delete(name);
        end();
      }
    },
  };
}

/** A row that work under way has marked, as a transaction read it. */
export interface Mark {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly incarnation: string;
  /** The work, as `Peers.isUnderWay` knows it. */
  readonly work: string;
}

/** Finds out about work of other processes. */
export interface Elsewhere {
  /**
   * What waits for the end of the work that has marked a row; undefined when nobody is at it any more. Then the mark may
   * be taken away, by a transaction that has read it.
   */
  ended(mark: Mark): Promise<(() => Promise<void>) | undefined>;
}

export interface ElsewhereOptions {
  readonly metadata: MetadataEngine;
  readonly clock: Clock;
  readonly peers: Pick<Peers, "isUnderWay">;
}

/** Pauses between two looks at a marked row, in monotonic milliseconds: each is one longer than the one before. */
const LOOK_MS_MIN = 2;
const LOOK_MS_MAX = 50;
/** How long a mark is looked at. The longest such work writes a manifest of 10,000 pieces in a dozen commits. */
const WAIT_MS_MAX = 30_000;

/**
 * Another process cannot be listened to, so its mark is looked at until it changes, and in every look the process is
 * asked whether it is still at it: a mark that it gave up, or died over, is left to whoever meets it.
 */
export function elsewhere({ metadata, clock, peers }: ElsewhereOptions): Elsewhere {
  async function watch({ key, value, incarnation, work }: Mark): Promise<void> {
    const since = clock.monotonic();
    for (let pauseMs = LOOK_MS_MIN; ; pauseMs = Math.min(pauseMs + 1, LOOK_MS_MAX)) {
      await new Promise<void>((resolve) => void clock.after(pauseMs, resolve));
      const [rows] = await metadata.read([pointRange(key)]);
      if (!rows?.[0]?.value.equals(value)) return;
      if (!(await peers.isUnderWay(incarnation, work))) return;
      if (clock.monotonic() - since > WAIT_MS_MAX) throw refuse("ServiceUnavailable");
    }
  }
  return {
    async ended(mark) {
      return (await peers.isUnderWay(mark.incarnation, mark.work)) ? () => watch(mark) : undefined;
    },
  };
}
