/**
 * Limits on how often requests may come. Those of the settings hold until somebody sets others, which are kept in the
 * store and are the same in every process.
 */

import { nearestName } from "../config/nearest-name.ts";
import type { CosError } from "../errors/cos-error.ts";
import type { Meter } from "../ports/meter.ts";
import {
  countedAs,
  type RateGate,
  type RateLimit,
  rateLimit,
  type RateRequest,
  type RateSubject,
  slowDown,
} from "../rates/rate-limit.ts";
import type { Controls } from "../store/controls.ts";

export interface RateControl extends RateGate {
  /** The limits in force, and whether somebody has set them in place of those of the settings. */
  list(): { readonly rates: readonly RateRequest[]; readonly changed: boolean };
  /**
   * Puts these limits in place of all others, or those of the settings again where there are none given; they hold in
   * every process when this resolves. @throws RangeError for an operation that there is not.
   */
  set(rates: readonly RateRequest[] | undefined): Promise<void>;
  /** Reads anew what another process has stored. */
  refresh(): Promise<void>;
}

export interface RateControlOptions {
  readonly controls: Controls;
  readonly meter: Meter;
  /** The limits of the settings. */
  readonly configured: readonly RateRequest[];
  /** Names of all operations. */
  readonly operations: ReadonlySet<string>;
  /** Has every other process refresh; resolves when they have. */
  readonly announce: () => Promise<void>;
}

/** The name of the control that holds the limits. */
export const RATES_CONTROL = "rates";

/** What is stored. Without limits of its own it is kept as well, for its revision. */
interface Stored {
  readonly revision: number;
  readonly rates: readonly RateRequest[] | null;
}

const encode = (stored: Stored): Buffer => Buffer.from(JSON.stringify(stored));

function decode(document: Buffer | undefined): Stored {
  return document === undefined ? { revision: 0, rates: null } : (JSON.parse(document.toString("utf8")) as Stored);
}

/** @throws RangeError for a limit on an operation that there is not. */
export function checkOperations(rates: readonly RateRequest[], operations: ReadonlySet<string>): void {
  const unknown = rates.flatMap((rate) => rate.operations ?? []).find((name) => !operations.has(name));
  if (unknown !== undefined) throw new RangeError(noOperation(unknown, operations));
}

/** That an operation is not there, and which one was probably meant. */
export function noOperation(name: string, operations: ReadonlySet<string>): string {
  const near = nearestName(name, [...operations]);
  return `there is no operation ${JSON.stringify(name)}${near === undefined ? "" : `; did you mean ${near}?`}`;
}

export function rateControl({ controls, meter, configured, operations, announce }: RateControlOptions): RateControl {
  let changed = false;
  let written: readonly RateRequest[] = [];
  let limits: readonly RateLimit[] = [];

  function follow(rates: readonly RateRequest[], revision: number): void {
    written = rates;
    limits = rates.map((rate, at) => rateLimit(rate, at, revision));
  }

  async function refresh(): Promise<void> {
    const stored = (await controls.list(RATES_CONTROL)).find(({ name }) => name === RATES_CONTROL);
    const { revision, rates } = decode(stored?.document);
    changed = rates !== null;
    follow(rates ?? configured, revision);
  }

  /** Counts the request for the limits from `first` on. */
  function admit(subject: RateSubject, all: readonly RateLimit[], first = 0): ReturnType<RateGate["admit"]> {
    for (let at = first; at < all.length; at++) {
      const limit = all[at] as RateLimit;
      const name = countedAs(limit, subject);
      if (name === undefined) continue;
      const taken = meter.take(name, limit.rate);
      if (taken instanceof Promise) {
        return taken.then((may): Promise<CosError | undefined> | CosError | undefined =>
          may ? admit(subject, all, at + 1) : slowDown(limit, subject),
        );
      }
      if (!taken) return slowDown(limit, subject);
    }
    return undefined;
  }

  follow(configured, 0);
  return {
    get any() {
      return limits.length > 0;
    },
    admit: (subject) => admit(subject, limits),
    list: () => ({ rates: written, changed }),
    async set(rates) {
      if (rates !== undefined) checkOperations(rates, operations);
      await controls.change(RATES_CONTROL, (previous) =>
        encode({ revision: decode(previous).revision + 1, rates: rates ?? null }),
      );
      await refresh();
      await announce();
    },
    refresh,
  };
}
