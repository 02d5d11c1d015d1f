/**
 * Decides whether a caller may do what an operation does. Pure: (question, documents) to a decision with its reason.
 * Policies and ACL documents join the decision here; until then the canned ACL of the bucket and its ownership decide.
 */

import type { BucketRecord, ObjectRecord } from "../store/records.ts";
import { type Caller, isRoot } from "./caller.ts";

/**
 * What an ACL would have to grant: `signed` nothing, since any known caller may (there is no resource yet); `owner`
 * what no ACL grants, only a policy or the bucket's ownership. Of an object operation `write` is asked of the bucket's
 * ACL, and the others of the object's.
 */
export type Permission = "signed" | "read" | "write" | "read-acp" | "write-acp" | "owner";

/** One thing that a caller wants to do. */
export interface AccessQuestion {
  readonly caller: Caller;
  /** Such as `name/cos:GetObject`. */
  readonly action: string;
  readonly permission: Permission;
  /** The bucket's record; undefined where there is none, for permission `signed` alone. */
  readonly bucket: BucketRecord | undefined;
  /** The addressed object's key; undefined for the bucket itself. */
  readonly key: string | undefined;
  /** The object's row, where it was read; the handler acts on the same. */
  readonly object: ObjectRecord | undefined;
}

export interface Decision {
  readonly allowed: boolean;
  /** One sentence for the decision record; never sent. */
  readonly why: string;
}

const allow = (why: string): Decision => ({ allowed: true, why });
const deny = (why: string): Decision => ({ allowed: false, why });

/** The decision for one question. */
export function authorise({ caller, permission, bucket }: AccessQuestion): Decision {
  if (permission === "signed") {
    return caller.kind === "account" ? allow("the caller is a known account") : deny("the request is not signed");
  }
  if (bucket === undefined) return deny("there is no bucket to hold the permission against");
  if (caller.kind === "account" && caller.uin === bucket.ownerUin && isRoot(caller)) {
    return allow("the caller owns the bucket");
  }
  if (permission !== "read" && permission !== "write") return deny("only the bucket's owner may do this");
  switch (bucket.acl) {
    case "public-read-write":
      return allow("the bucket's ACL grants reading and writing to everyone");
    case "public-read":
      return permission === "read"
        ? allow("the bucket's ACL grants reading to everyone")
        : deny("the bucket's ACL grants everyone reading, not writing");
    case "authenticated-read":
      return permission === "read" && caller.kind === "account"
        ? allow("the bucket's ACL grants reading to every signed caller")
        : deny("the bucket's ACL grants signed callers reading only");
    default:
      return deny("the bucket is private and the caller does not own it");
  }
}
