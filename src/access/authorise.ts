/**
 * Decides whether a caller may do what an operation does. Pure: (caller, permission, bucket) to a decision with its
 * reason. ACL documents and policies join the decision here when their features arrive; until then the canned ACL of
 * the bucket and its ownership decide.
 */

import type { BucketRecord } from "../store/records.ts";
import type { Caller } from "./caller.ts";

/**
 * What an operation needs of the addressed resource: `signed` any known caller (no resource yet), `read` and `write`
 * what a canned ACL can grant, `owner` only the account the bucket belongs to.
 */
export type Permission = "signed" | "read" | "write" | "owner";

export interface Decision {
  readonly allowed: boolean;
  /** One sentence for the decision record; never sent. */
  readonly why: string;
}

const allow = (why: string): Decision => ({ allowed: true, why });
const deny = (why: string): Decision => ({ allowed: false, why });

/** The decision for one resource; `bucket` is undefined only for permission `signed`. */
export function authorise(caller: Caller, permission: Permission, bucket: BucketRecord | undefined): Decision {
  if (permission === "signed") {
    return caller.kind === "account" ? allow("the caller is a known account") : deny("the request is not signed");
  }
  if (bucket === undefined) return deny("there is no bucket to hold the permission against");
  if (caller.kind === "account" && caller.uin === bucket.ownerUin) return allow("the caller owns the bucket");
  if (permission === "owner") return deny("only the bucket's owner may do this");
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
