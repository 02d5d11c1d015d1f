/** From a request to its operation: built once from the operation table, exact, and without regular expressions. */

import { refuse } from "../errors/cos-error.ts";
import type { Operation, Route, TargetKind } from "../operations/operation.ts";
import type { WireRequest } from "./request.ts";

/** One way to reach an operation, with its names in lower case. */
interface Candidate {
  readonly operation: Operation;
  readonly query: readonly string[];
  readonly anyQuery: readonly string[];
  readonly header: string | undefined;
  readonly weight: number;
}

const NONE: readonly string[] = [];

const lower = (names: readonly string[] | undefined): readonly string[] => (names ?? []).map((n) => n.toLowerCase());

function candidate(operation: Operation): Candidate {
  const { route } = operation;
  const query = lower(route.query);
  const anyQuery = lower(route.anyQuery);
  const header = route.header?.toLowerCase();
  // A query condition outweighs a header: `PUT ?partNumber` with a copy source is a part copy, never a whole copy.
  const weight = query.length * 4 + (anyQuery.length > 0 ? 4 : 0) + (header === undefined ? 0 : 1);
  return { operation, query, anyQuery, header, weight };
}

function matches(request: WireRequest, { query, anyQuery, header }: Candidate): boolean {
  const sent = request.target.query;
  return (
    query.every((name) => sent.has(name)) &&
    (anyQuery.length === 0 || anyQuery.some((name) => sent.has(name))) &&
    (header === undefined || request.headers.get(header) !== undefined)
  );
}

/** Names, as documented, what a parameter that was sent alone stands beside. */
function whatLacks(list: readonly Candidate[], lone: string): string {
  const names = list.find(({ query }) => query.includes(lone))?.operation.route.query ?? [];
  const others = names.filter((name) => name.toLowerCase() !== lone);
  const shown = names.find((name) => name.toLowerCase() === lone) ?? lone;
  return `The argument ${shown} is sent without ${others.join(" and ")}.`;
}

export interface Router {
  /**
   * The operation of a request. Raises MethodNotAllowed, with `Allow`, where the resource or sub-resource knows other
   * methods only: a sub-resource that exists is never passed over as an unknown parameter. Raises InvalidArgument for a
   * part of a sub-resource's names that makes none.
   */
  find(request: WireRequest, on: TargetKind): Operation;
}

/** Builds the router of a table; operations on the same target are tried from the most particular to the least. */
export function router(table: readonly Operation[]): Router {
  const byTarget = new Map<TargetKind, Candidate[]>();
  for (const operation of table) {
    const list = byTarget.get(operation.route.on) ?? [];
    list.push(candidate(operation));
    byTarget.set(operation.route.on, list);
  }
  const subresources = new Map<TargetKind, ReadonlySet<string>>();
  for (const [on, list] of byTarget) {
    list.sort((a, b) => b.weight - a.weight);
    subresources.set(on, new Set(list.flatMap(({ query, anyQuery }) => [...query, ...anyQuery])));
  }

  function subresourcesOf({ target }: WireRequest, on: TargetKind): readonly string[] {
    if (target.query.entries.length === 0) return NONE;
    const known = subresources.get(on);
    return [...target.query.names()].filter((name) => known?.has(name) === true);
  }

  return {
    find(request, on) {
      const list = byTarget.get(on) ?? [];
      const named = subresourcesOf(request, on);
      for (const entry of list) {
        if (entry.operation.route.method !== request.method || !matches(request, entry)) continue;
        // The plain operation of a method does not answer for a sub-resource that this method does not serve.
        // What a browser asks ahead has the address of the request to come, whatever that is.
        const whatever = entry.operation.preflight === true;
        if (!whatever && named.length > 0 && entry.query.length + entry.anyQuery.length === 0) break;
        return entry.operation;
      }
      const allowed = new Set(
        list
          .filter((entry) => matches(request, entry))
          .filter((entry) => named.length === 0 || entry.query.length + entry.anyQuery.length > 0)
          .map((entry) => entry.operation.route.method),
      );
      // A name that only stands beside others, such as partNumber without uploadId, must not be taken for a plain request.
      const [lone] = named;
      if (allowed.size === 0 && lone !== undefined) throw refuse("InvalidArgument", { message: whatLacks(list, lone) });
      throw refuse("MethodNotAllowed", { headers: { Allow: [...allowed].sort().join(", ") } });
    },
  };
}

const describeRoute = ({ method, on, query, anyQuery, header }: Route): string =>
  [method, on, ...lower(query).toSorted(), `any:${lower(anyQuery).toSorted().join("|")}`, header ?? ""].join(" ");

/** Names of operations that answer to the same request; empty for a sound table. */
export function ambiguousRoutes(table: readonly Operation[]): readonly string[] {
  const seen = new Map<string, string>();
  const faults: string[] = [];
  for (const { name, route } of table) {
    const text = describeRoute(route);
    const other = seen.get(text);
    if (other !== undefined) faults.push(`${other} and ${name}`);
    seen.set(text, name);
  }
  return faults;
}
