/** Holds policies against a request, one statement after the other. */

import type { AccountCaller } from "../caller.ts";
import type { RequestValues } from "./condition.ts";
import type { Policy, Principal, Statement } from "./policy.ts";
import { actionName } from "./read-policy.ts";
import { isNamed, namesOfResource, type Resource, type ResourceNames } from "./resource.ts";
import { fits } from "./wildcard.ts";

/** What somebody wants to do, as policies see it. */
export interface PolicyRequest {
  /** Such as `name/cos:GetObject`. */
  readonly action: string;
  /** Further names of the action. A statement on any of them speaks of it. */
  readonly aliases?: readonly string[] | undefined;
  readonly resource: Resource;
  readonly values: RequestValues;
}

/** Which principals a statement must name to count. */
export type Naming = (principal: Principal) => boolean;

/** The part of a statement that did not match, or `matched`. */
export type Mismatch = "principal" | "action" | "resource" | `condition ${string}` | "matched";

/** One statement that was tried. */
export interface TriedStatement {
  readonly label: string;
  readonly effect: "allow" | "deny";
  readonly outcome: Mismatch;
}

export interface Verdict {
  readonly effect: "allow" | "deny" | "none";
  /** The statement that decided. */
  readonly by: Statement | undefined;
}

const NOTHING: Verdict = { effect: "none", by: undefined };

/** Policies that are attached to somebody name nobody, and so speak of whoever has them. */
export const ATTACHED: Naming = () => true;

/** Statements that speak of requests nobody has signed. */
export const NAMES_ANYONE: Naming = (principal) => principal.kind === "anyone";

/**
 * Statements that name the caller: by the own UIN, or by the root account's where the caller comes from another account
 * than the owner's. Within one account the root's name means the root alone. (policy page: evaluation)
 */
export function namesCaller(caller: AccountCaller, ownerUin: string): Naming {
  return (principal) => {
    if (principal.kind !== "user" || principal.uin !== caller.uin) return false;
    if (principal.user === caller.user || principal.user === "*") return true;
    return principal.user === principal.uin && caller.uin !== ownerUin;
  };
}

/** A request as every statement is held against it. */
interface Asked {
  readonly actions: readonly string[];
  readonly names: ResourceNames | undefined;
  readonly values: RequestValues;
}

function asked({ action, aliases = [], resource, values }: PolicyRequest): Asked {
  return { actions: [action, ...aliases].map(actionName), names: namesOfResource(resource), values };
}

function mismatch(statement: Statement, { actions: wanted, names, values }: Asked, naming: Naming): Mismatch {
  const { principals, actions, resources, conditions } = statement;
  if (principals !== undefined && !principals.some(naming)) return "principal";
  if (!actions.some((pattern) => wanted.some((name) => fits(pattern, name)))) return "action";
  if (!resources.some((pattern) => isNamed(pattern, names))) return "resource";
  for (const { holds, key, operator } of conditions) {
    if (!holds(values)) return `condition ${operator} ${key}`;
  }
  return "matched";
}

/** The verdict of all policies together: a statement that denies wins wherever it stands. */
export function evaluate(policies: readonly Policy[], request: PolicyRequest, naming: Naming): Verdict {
  let allowed: Statement | undefined;
  const held = asked(request);
  for (const { statements } of policies) {
    for (const statement of statements) {
      if (allowed !== undefined && statement.effect === "allow") continue;
      if (mismatch(statement, held, naming) !== "matched") continue;
      if (statement.effect === "deny") return { effect: "deny", by: statement };
      allowed = statement;
    }
  }
  return allowed === undefined ? NOTHING : { effect: "allow", by: allowed };
}

/** What became of each statement, for those who ask why. */
export function trace(policies: readonly Policy[], request: PolicyRequest, naming: Naming): readonly TriedStatement[] {
  const held = asked(request);
  return policies.flatMap(({ statements }) =>
    statements.map((statement) => ({
      label: statement.label,
      effect: statement.effect,
      outcome: mismatch(statement, held, naming),
    })),
  );
}
