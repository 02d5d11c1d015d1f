/**
 * What an ACL grants to whom. ACLs only ever allow: whom no grant speaks of has nothing by them.
 * (ACL pages: groups, permissions and canned ACLs)
 */

import { type CannedAcl, OBJECT_ACL_TAG, type Section } from "../store/records.ts";
import { RecordDamaged } from "../store/bytes.ts";
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

/** Canned ACLs of objects. Objects belong to the owner of their bucket, whom `bucket-owner-…` gives nothing new. */
export const OBJECT_CANNED_ACLS = [
  "private",
  "public-read",
  "authenticated-read",
  "bucket-owner-read",
  "bucket-owner-full-control",
] as const;
export type ObjectCannedAcl = (typeof OBJECT_CANNED_ACLS)[number];

/** An ACL of its own, of a bucket or of an object: a canned one, and grants to go with it. */
export interface Acl<Canned extends CannedAcl | ObjectCannedAcl = CannedAcl | ObjectCannedAcl> {
  readonly canned: Canned;
  readonly grants: readonly Grant[];
  /**
   * What a document grants the owner: told again, while he may do everything all the same. Undefined for full control, which
   * is what ACLs say of him that came otherwise.
   */
  readonly owner?: readonly AclPermission[] | undefined;
}

/** All that an ACL grants. */
export function allGrants({ canned, grants }: Acl): readonly Grant[] {
  const named = canned === "bucket-owner-read" || canned === "bucket-owner-full-control" ? "private" : canned;
  const given = CANNED_GRANTS[named];
  return grants.length === 0 ? given : [...given, ...grants];
}

/** Whether an ACL takes one of the places an account has for them: a private one grants nothing. */
export function takesPlace(acl: Acl): boolean {
  return allGrants(acl).length > 0;
}

/**
 * A grant as it is stored: `*` everyone, `+` everyone signed, `=` the owner where a document says other than full control of
 * him, with an empty permission where it grants him nothing; else `<root>/<user>`.
 */
export type StoredGrant = readonly [grantee: string, permission: AclPermission | ""];

/** What of an ACL stands beside its canned one. */
export type AclGrants = Pick<Acl, "grants" | "owner">;

export function encodeGrants({ grants, owner }: AclGrants): readonly StoredGrant[] {
  const own = (owner?.length === 0 ? [""] : (owner ?? [])) as readonly (AclPermission | "")[];
  return [
    ...own.map((permission): StoredGrant => ["=", permission]),
    ...grants.map(({ grantee, permission }): StoredGrant => {
      if (grantee.kind === "user") return [`${grantee.uin}/${grantee.user}`, permission];
      return [grantee.kind === "everyone" ? "*" : "+", permission];
    }),
  ];
}

export function decodeGrants(stored: readonly StoredGrant[]): AclGrants {
  const grants: Grant[] = [];
  let owner: AclPermission[] | undefined;
  for (const [text, permission] of stored) {
    if (text === "=") {
      owner ??= [];
      if (permission !== "") owner.push(permission);
      continue;
    }
    if (permission === "") throw new RecordDamaged("a grant gives nothing");
    grants.push({ grantee: granteeOf(text), permission });
  }
  return { grants, owner };
}

function granteeOf(text: string): Grantee {
  if (text === "*") return EVERYONE;
  if (text === "+") return SIGNED;
  const [uin = "", user = ""] = text.split("/");
  if (uin === "" || user === "") throw new RecordDamaged("a grant names nobody");
  return { kind: "user", uin, user };
}

/** The ACL of an object as a section of its record; none where it has none of its own. */
export function aclSections(acl: Acl<ObjectCannedAcl> | undefined): readonly Section[] {
  if (acl === undefined) return [];
  const bytes = Buffer.from(JSON.stringify([acl.canned, ...encodeGrants(acl)]));
  return [{ tag: OBJECT_ACL_TAG, bytes }];
}

/** The ACL that an object has of its own; undefined where its bucket's counts for it. */
export function ownAcl(sections: readonly Section[]): Acl<ObjectCannedAcl> | undefined {
  if (sections.length === 0) return undefined;
  const section = sections.find(({ tag }) => tag === OBJECT_ACL_TAG);
  if (section === undefined) return undefined;
  const [canned, ...grants] = JSON.parse(section.bytes.toString("utf8")) as [ObjectCannedAcl, ...StoredGrant[]];
  return { canned, ...decodeGrants(grants) };
}

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
