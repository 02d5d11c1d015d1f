/** Which refusals a client's tests have met, of those that the operations it used can answer with. Pure. */

import { CATALOGUE, type ErrorId } from "../errors/catalogue.ts";
import type { Operation } from "../operations/operation.ts";
import type { TallyTold } from "./tally.ts";

/** One operation that was used. */
export interface OperationCoverage {
  readonly operation: string;
  readonly requests: number;
  /** Ids of rows of the catalogue. */
  readonly met: readonly ErrorId[];
  /** What it can answer with as well, and never did. */
  readonly unmet: readonly ErrorId[];
}

export interface Coverage {
  readonly operations: readonly OperationCoverage[];
  /** Different pairs of an operation and an error that could have been met, and that were. */
  readonly possible: number;
  readonly met: number;
}

/** What any operation can answer with, whatever it does: the service's state, and the client's right to ask. */
const COMMON: readonly ErrorId[] = ["AccessDenied", "InternalError", "ServiceUnavailable", "SlowDown"];

function possibleOf({ errors, input }: Operation): ReadonlySet<ErrorId> {
  const all = [...COMMON, ...errors, ...Object.values(input).flatMap((field) => field.errors)];
  return new Set(all.filter((id) => !("notYet" in CATALOGUE[id])));
}

/** @param table every operation there is; those that were not used are left out. */
export function coverageOf(table: readonly Operation[], { ends }: TallyTold): Coverage {
  const byName = new Map(table.map((operation) => [operation.name, operation]));
  const used = new Map<string, { requests: number; met: Set<ErrorId> }>();
  for (const { operation, count, error } of ends) {
    if (!byName.has(operation)) continue;
    const one = used.get(operation) ?? { requests: 0, met: new Set<ErrorId>() };
    one.requests += count;
    // A 304 says that nothing is wrong.
    if (error !== undefined && CATALOGUE[error].status >= 400) one.met.add(error);
    used.set(operation, one);
  }
  const operations = Array.from(used, ([operation, { requests, met }]) => {
    const possible = possibleOf(byName.get(operation) as Operation);
    return {
      operation,
      requests,
      met: [...met].toSorted(),
      unmet: [...possible].filter((id) => !met.has(id)).toSorted(),
    };
  }).toSorted((a, b) => (a.operation < b.operation ? -1 : 1));
  const met = operations.reduce((sum, one) => sum + one.met.length, 0);
  return { operations, met, possible: met + operations.reduce((sum, one) => sum + one.unmet.length, 0) };
}

/** The coverage as lines for people, ending in a newline. */
export function coverageText({ operations, met, possible }: Coverage): string {
  const lines = operations.flatMap((one) => [
    `${one.operation}: ${one.requests} requests, ${one.met.length} of ${one.met.length + one.unmet.length} errors met`,
    ...(one.met.length === 0 ? [] : [`  met      ${one.met.join(", ")}`]),
    ...(one.unmet.length === 0 ? [] : [`  not met  ${one.unmet.join(", ")}`]),
  ]);
  const percent = possible === 0 ? 100 : Math.floor((met / possible) * 100);
  return `${[...lines, `${met} of ${possible} errors met (${percent} %)`].join("\n")}\n`;
}
