/**
 * What an ACL grants to whom. ACLs only ever allow: whom no grant speaks of has nothing by them.
 * (ACL pages: groups, permissions and canned ACLs)
 */

import type { CannedAcl } from "../store/records.ts";
import type { Caller } from "./caller.ts";

export type AclPermission = "READ" | "WRITE" | "READ_ACP" | "WRITE_ACP" | "FULL_CONTROL";

/** `everyone` is anybody, signed or not; `signed` anybody with an account. */
export type Grantee =
  | { readonly kind: "everyone" }
  | { readonly kind: "signed" }
  /** A root account where `user` is its own UIN, and then its users as well. */
  | { readonly kind: "user"; readonly uin: string; readonly user: string };

export interface Grant {
  readonly grantee: Grantee;
  readonly permission: AclPermission;
}

const EVERYONE: Grantee = { kind: "everyone" };
const SIGNED: Grantee = { kind: "signed" };

/** The grants that a canned ACL stands for; the owner's own are not among them, since nobody can take those away. */
export const CANNED_GRANTS: Readonly<Record<CannedAcl, readonly Grant[]>> = {
  private: [],
  "public-read": [{ grantee: EVERYONE, permission: "READ" }],
  "public-read-write": [
    { grantee: EVERYONE, permission: "READ" },
    { grantee: EVERYONE, permission: "WRITE" },
  ],
  "authenticated-read": [{ grantee: SIGNED, permission: "READ" }],
};

/** Whom the grants speak of that give a permission to a caller, by kind; undefined where none of that kind does. */
export interface Granted {
  readonly everyone: Grantee | undefined;
  readonly signed: Grantee | undefined;
  readonly user: Grantee | undefined;
}

/** What the grants give to the caller. A root account's name means the root alone within the owner's own account. */
export function grantedBy(
  grants: readonly Grant[],
  permission: Exclude<AclPermission, "FULL_CONTROL">,
  caller: Caller,
  ownerUin: string,
): Granted {
  const granted: { -readonly [Kind in keyof Granted]: Granted[Kind] } = {
    everyone: undefined,
    signed: undefined,
    user: undefined,
  };
  for (const { grantee, permission: given } of grants) {
    if (given !== permission && given !== "FULL_CONTROL") continue;
    if (grantee.kind === "everyone") granted.everyone = grantee;
    else if (caller.kind === "anonymous") continue;
    else if (grantee.kind === "signed") granted.signed = grantee;
    else if (grantee.uin === caller.uin) {
      const byRoot = grantee.user === grantee.uin && caller.uin !== ownerUin;
      if (grantee.user === caller.user || byRoot) granted.user = grantee;
    }
  }
  return granted;
}
