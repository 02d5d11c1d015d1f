/** Which request somebody waits for. */

import type { ErrorId } from "../errors/catalogue.ts";
import type { DecisionRecord } from "./record.ts";

/** Everything that is told has to be so. */
export interface RequestPattern {
  /** Such as `PutObject`. */
  readonly operation?: string;
  readonly method?: string;
  /** Whole name. */
  readonly bucket?: string;
  readonly key?: string;
  readonly status?: number;
  /** Id of a row of the catalogue. */
  readonly error?: ErrorId;
  /** Id of the fault that happened to it. */
  readonly fault?: string;
}

/** Whether a request is one that was waited for. */
export function fitsPattern(record: DecisionRecord, { error, ...others }: RequestPattern): boolean {
  if (error !== undefined && record.errorId !== error) return false;
  const names = Object.keys(others) as (keyof typeof others)[];
  return names.every((name) => others[name] === undefined || record[name] === others[name]);
}

/** Requests that are told of when another one is waited for in vain. */
const TOLD_MAX = 5;

/** What came in place of a request that was waited for. */
export function cameInstead(records: readonly DecisionRecord[]): string {
  if (records.length === 0) return "none came at all";
  const told = records
    .slice(-TOLD_MAX)
    .map(({ operation, method, status, errorId }) => `${operation ?? method} ${errorId ?? status}`);
  return `what came was ${records.length > TOLD_MAX ? "…, " : ""}${told.join(", ")}`;
}
