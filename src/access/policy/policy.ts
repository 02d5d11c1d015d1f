/** What a policy says, once it has been read. */

import type { Condition } from "./condition.ts";
import type { ResourcePattern } from "./resource.ts";
import type { Wildcard } from "./wildcard.ts";

export interface Policy {
  /** The document in one normal form, which reads as the same policy. */
  readonly text: string;
  readonly statements: readonly Statement[];
  /** The keys that its conditions ask for, such as `qcs:ip`. */
  readonly asks: ReadonlySet<string>;
}

/** One rule: it counts for a request that every one of its parts matches. */
export interface Statement {
  /** Its name in traces: its `Sid`, or its place such as `Statement[0]`. */
  readonly label: string;
  readonly effect: "allow" | "deny";
  /** Whom it speaks of; undefined in policies that are attached to somebody. */
  readonly principals: readonly Principal[] | undefined;
  /** Lower case, without `name/`. */
  readonly actions: readonly Wildcard[];
  readonly resources: readonly ResourcePattern[];
  readonly conditions: readonly Condition[];
}

export type Principal =
  | { readonly kind: "anyone" }
  /** A root account where `user` is its own UIN; `*` is each of its users. */
  | { readonly kind: "user"; readonly uin: string; readonly user: string }
  /** A service, which is never the caller of a request here. */
  | { readonly kind: "service"; readonly name: string };
