/**
 * Decides whether a caller may do what an operation does. Pure: (question, documents) to a decision with its reason.
 *
 * The order is the service's: nothing is allowed unless something allows it; whatever denies wins; temporary keys never
 * reach beyond the policy they were made with; the account that owns a bucket may do everything in it that nothing
 * denies, and may always mend the policy that denies; of all others one allowing source is enough, be it a policy of
 * the caller, the policy of the bucket or an ACL. Who comes from another account as a user needs both sides: the owner's
 * grant and the permission of the own root account. (policy page: evaluation; docs/decisions/0010)
 */

import type { BucketRecord, ObjectRecord } from "../store/records.ts";
import { type Grant, type Grantee, grantedBy } from "./acl.ts";
import { type AccountCaller, type Caller, callerId, isRoot } from "./caller.ts";
import type { RequestValues } from "./policy/condition.ts";
import {
  ATTACHED,
  evaluate,
  NAMES_ANYONE,
  type Naming,
  namesCaller,
  type PolicyRequest,
  trace,
  type TriedStatement,
  type Verdict,
} from "./policy/evaluate.ts";
import type { Policy, Statement } from "./policy/policy.ts";
import type { Resource } from "./policy/resource.ts";

/**
 * What an ACL would have to grant: `signed` nothing, since any root account may (there is no resource yet); `owner` what
 * no ACL grants, only a policy or the bucket's ownership. Of an object operation `write` is asked of the bucket's ACL,
 * and the others of the object's.
 */
export type Permission = "signed" | "read" | "write" | "read-acp" | "write-acp" | "owner";

/** One thing that a caller wants to do. */
export interface AccessQuestion {
  readonly caller: Caller;
  /** Such as `name/cos:GetObject`. */
  readonly action: string;
  /** Further names under which policies speak of the action. */
  readonly aliases?: readonly string[] | undefined;
  readonly permission: Permission;
  /** The bucket's record; undefined where there is none, for permission `signed` alone. */
  readonly bucket: BucketRecord | undefined;
  /** The bucket that is to be made, as policies name it. */
  readonly made?: Resource["bucket"] | undefined;
  /** The addressed object's key; undefined for the bucket itself. */
  readonly key: string | undefined;
  /** The version that is meant, as it was named; "" for the current one, undefined where that does not matter. */
  readonly versionId?: string | undefined;
  /** The beginning of the keys a listing asks for. */
  readonly prefix?: string | undefined;
  /** The object's row, where it was read; the handler acts on the same. */
  readonly object: ObjectRecord | undefined;
}

/** What is attached to the resource. */
export interface AccessDocuments {
  readonly bucketPolicy: Policy | undefined;
  /** The grants that count for the question: the bucket's, or the object's where it has some of its own. */
  readonly grants: readonly Grant[];
  /** Tags of the bucket and of the object: what `qcs:resource_tag` speaks of. */
  readonly tags: readonly (readonly [key: string, value: string])[];
}

/** What decided. */
export type DecidedBy =
  | "owner"
  | "signature"
  | "session policy"
  | "user policy"
  | "bucket policy"
  | "ACL"
  | "nothing allows it";

export interface Decision {
  readonly allowed: boolean;
  readonly by: DecidedBy;
  /** The statement that decided, where one did. */
  readonly statement: Statement | undefined;
  /** Whom the grant speaks of that decided, where one did. */
  readonly grantee: Grantee | undefined;
}

type AclAsked = "READ" | "WRITE" | "READ_ACP" | "WRITE_ACP";

const ASKED: Readonly<Record<Permission, AclAsked | undefined>> = {
  signed: undefined,
  owner: undefined,
  read: "READ",
  write: "WRITE",
  "read-acp": "READ_ACP",
  "write-acp": "WRITE_ACP",
};

/** What the owner may do whatever its policy says, so that nobody is locked out for good. (policy page) */
const POLICY_ACTIONS: ReadonlySet<string> = new Set([
  "name/cos:PutBucketPolicy",
  "name/cos:GetBucketPolicy",
  "name/cos:DeleteBucketPolicy",
]);

function decided(allowed: boolean, by: DecidedBy, statement?: Statement, grantee?: Grantee): Decision {
  return { allowed, by, statement, grantee };
}

const NO_VERDICT: Verdict = { effect: "none", by: undefined };

function asPolicyRequest(
  { action, aliases, bucket, made, key, prefix }: AccessQuestion,
  { tags }: AccessDocuments,
  values: RequestValues,
): PolicyRequest {
  const ofResource = tags.length === 0 ? undefined : tags.map(([name, value]) => `${name}&${value}`);
  const all: RequestValues = (name) => (RESOURCE_TAGS.includes(name) ? ofResource : values(name));
  return { action, aliases, resource: { bucket: bucket ?? made, key, prefix }, values: all };
}

/** Keys of conditions that speak of the tags of what is asked for. (condition keys of the policy page) */
export const RESOURCE_TAGS: readonly string[] = ["qcs:resource_tag", "qcs:tag"];

/** Whether a policy that counts for a caller's requests asks for one of these keys in its conditions. */
export function asksFor(keys: readonly string[], caller: Caller, bucketPolicy: Policy | undefined): boolean {
  const asks = (policy: Policy | undefined): boolean =>
    policy !== undefined && keys.some((key) => policy.asks.has(key));
  if (asks(bucketPolicy)) return true;
  return caller.kind === "account" && (asks(caller.session?.policy) || caller.policies.some(asks));
}

/** The decision for one question. `values` are those of the request, read when a condition asks for them. */
export function authorise(question: AccessQuestion, documents: AccessDocuments, values: RequestValues): Decision {
  const { caller, bucket, permission } = question;
  const request = asPolicyRequest(question, documents, values);
  const bucketPolicies = documents.bucketPolicy === undefined ? [] : [documents.bucketPolicy];
  const inBucket = (naming: Naming): Verdict =>
    bucketPolicies.length === 0 ? NO_VERDICT : evaluate(bucketPolicies, request, naming);
  const asked = ASKED[permission];

  if (caller.kind === "anonymous") {
    if (bucket === undefined) return decided(false, "nothing allows it");
    const verdict = inBucket(NAMES_ANYONE);
    if (verdict.effect !== "none") return decided(verdict.effect === "allow", "bucket policy", verdict.by);
    const grantee = asked && grantedBy(documents.grants, asked, caller, bucket.ownerUin).everyone;
    if (grantee !== undefined) return decided(true, "ACL", undefined, grantee);
    return decided(false, "nothing allows it");
  }

  const session = caller.session?.policy;
  if (session !== undefined) {
    const verdict = evaluate([session], request, ATTACHED);
    if (verdict.effect !== "allow") return decided(false, "session policy", verdict.by);
  }
  const own = caller.policies.length === 0 ? NO_VERDICT : evaluate(caller.policies, request, ATTACHED);
  if (own.effect === "deny") return decided(false, "user policy", own.by);
  // A root account, by its own keys or by temporary ones, needs no policy for what is its own.
  const root = isRoot(caller);
  if (bucket === undefined) {
    if (root && permission === "signed") return decided(true, "signature");
    return own.effect === "allow" ? decided(true, "user policy", own.by) : decided(false, "nothing allows it");
  }

  const owns = caller.uin === bucket.ownerUin;
  const named = inBucket(namesCaller(caller, bucket.ownerUin));
  if (named.effect === "deny" && !(owns && root && POLICY_ACTIONS.has(question.action))) {
    return decided(false, "bucket policy", named.by);
  }
  if (owns && root) return decided(true, "owner");
  if (owns && own.effect === "allow") return decided(true, "user policy", own.by);
  // The side of the caller's own account: its users bring no more than it has given them.
  const sent = owns || root || own.effect === "allow";
  if (named.effect === "allow" && sent) return decided(true, "bucket policy", named.by);
  const granted = asked && grantedBy(documents.grants, asked, caller, bucket.ownerUin);
  const grantee = (sent ? granted?.user : undefined) ?? granted?.signed;
  if (grantee !== undefined) return decided(true, "ACL", undefined, grantee);
  // Who signs may also do what anybody may, and no more of it than anybody.
  const anyone = inBucket(NAMES_ANYONE);
  if (anyone.effect === "allow") return decided(true, "bucket policy", anyone.by);
  if (anyone.effect === "none" && granted?.everyone) return decided(true, "ACL", undefined, granted.everyone);
  return decided(false, "nothing allows it", anyone.by);
}

/** One policy that was held against a question, and what became of its statements. */
export interface TracedPolicy {
  readonly of: "session policy" | "user policy" | "bucket policy";
  readonly statements: readonly TriedStatement[];
}

/** What every statement made of a question: the same as `authorise` goes by, for those who ask why. */
export function explainAccess(
  question: AccessQuestion,
  documents: AccessDocuments,
  values: RequestValues,
): readonly TracedPolicy[] {
  const { caller, bucket } = question;
  const request = asPolicyRequest(question, documents, values);
  const traced: TracedPolicy[] = [];
  const add = (of: TracedPolicy["of"], policies: readonly Policy[], naming: Naming): void => {
    if (policies.length > 0) traced.push({ of, statements: trace(policies, request, naming) });
  };
  if (caller.kind === "account") {
    if (caller.session?.policy !== undefined) add("session policy", [caller.session.policy], ATTACHED);
    add("user policy", caller.policies, ATTACHED);
  }
  if (documents.bucketPolicy !== undefined) {
    const naming = caller.kind === "anonymous" || bucket === undefined ? NAMES_ANYONE : namesOf(caller, bucket);
    add("bucket policy", [documents.bucketPolicy], naming);
  }
  return traced;
}

/** What an ACL was asked for, and what it grants, as texts. */
export interface TracedAcl {
  readonly asked: string;
  readonly grants: readonly string[];
}

/** The ACL that was held against a question; undefined where no ACL could allow it. */
export function explainAcl({ permission }: AccessQuestion, { grants }: AccessDocuments): TracedAcl | undefined {
  const asked = ASKED[permission];
  return asked && { asked, grants: grants.map((one) => `${one.permission} to ${describeGrantee(one.grantee)}`) };
}

/**
 * The policies that would have to allow what nothing allows, as things stand: of a user of another account the own and the
 * bucket's both, and of temporary keys also the one they were made with.
 */
export function wouldHaveToAllow(
  question: AccessQuestion,
  documents: AccessDocuments,
  values: RequestValues,
): readonly TracedPolicy["of"][] {
  const { caller, bucket } = question;
  if (caller.kind === "anonymous") return ["bucket policy"];
  const { session, ...permanent } = caller;
  const request = asPolicyRequest(question, documents, values);
  const inSession: readonly TracedPolicy["of"][] =
    session?.policy === undefined || evaluate([session.policy], request, ATTACHED).effect === "allow"
      ? []
      : ["session policy"];
  if (authorise({ ...question, caller: permanent }, documents, values).allowed) return inSession;
  if (bucket === undefined) return [...inSession, "user policy"];
  const own = evaluate(caller.policies, request, ATTACHED).effect === "allow";
  const needsOwn = caller.uin !== bucket.ownerUin && !isRoot(caller) && !own;
  return [...inSession, ...(needsOwn ? (["user policy"] as const) : []), "bucket policy"];
}

function namesOf(caller: AccountCaller, { ownerUin }: BucketRecord): Naming {
  const naming = namesCaller(caller, ownerUin);
  return (principal) => naming(principal) || NAMES_ANYONE(principal);
}

/** A decision in one sentence, for the decision record; never sent. */
export function describeDecision({ allowed, by, statement, grantee }: Decision): string {
  const verb = allowed ? "allowed" : "refused";
  if (statement !== undefined) return `${verb} by ${statement.label} of the ${by}`;
  if (grantee !== undefined) return `${verb} by a grant of the ACL to ${describeGrantee(grantee)}`;
  if (by === "session policy") return "refused, since the policy of the temporary keys does not allow it";
  if (by === "nothing allows it") return "refused, since no policy and no ACL allows it";
  return by === "owner" ? "allowed, since the caller owns the bucket" : "allowed to every root account";
}

function describeGrantee(grantee: Grantee): string {
  if (grantee.kind === "user") return callerId(grantee.uin, grantee.user);
  return grantee.kind === "everyone" ? "everyone" : "every signed caller";
}
