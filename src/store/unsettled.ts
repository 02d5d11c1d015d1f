/**
 * Waiting for work in several commits: a transaction that meets a bucket being deleted, or an upload being completed,
 * cannot tell yet whether it is there. It says so, lets go of its place in the queues, and runs again afterwards.
 */
import type { ErrorId } from "../errors/catalogue.ts";
import { refuse } from "../errors/cos-error.ts";
import type { Transact } from "./transact.ts";

/** Raised inside a transaction; `transact` of the store waits for `ended`, which never rejects. */
export class Unsettled extends Error {
  readonly ended: Promise<void>;
  /** What the transaction is refused with when there is no end to the waiting: the thing counts as gone. */
  readonly otherwise: ErrorId;
  constructor(what: string, ended: Promise<void>, otherwise: ErrorId) {
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
        await error.ended;
      }
    }
  };
}

/** Work that others may wait for, by its token. */
export interface UnderWay<Token> {
  /** Resolves when the work with this token has ended; undefined when this process does no such work. */
  ended(token: Token): Promise<void> | undefined;
  /** Runs `work`, and counts it as under way until it has ended, whatever came of it. */
  during<T>(token: Token, work: () => Promise<T>): Promise<T>;
}

export function underWay<Token>(): UnderWay<Token> {
  const running = new Map<Token, Promise<void>>();
  return {
    ended: (token) => running.get(token),
    async during(token, work) {
      let end: () => void = () => {};
      running.set(
        token,
        new Promise((resolve) => {
          end = resolve;
        }),
      );
      try {
        return await work();
      } finally {
        running.delete(token);
        end();
      }
    },
  };
}
