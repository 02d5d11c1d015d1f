/**
 * States that an operator puts accounts, buckets and objects in, and what is refused because of them. Pure.
 *
 * States and codes are those of the service's error-code and arrears pages. That a state is looked at after the signature
 * and before permission, and that it counts for whoever asks for something of the account, is how they are read here; the
 * pages do not say it.
 */

import type { Caller } from "../access/caller.ts";
import type { ErrorId } from "../errors/catalogue.ts";
import { type CosError, refuse } from "../errors/cos-error.ts";

export const ACCOUNT_STATES = ["arrears", "suspended", "quota-exhausted", "blocked", "closed", "maintenance"] as const;
export const BUCKET_STATES = ["blocked", "maintenance"] as const;
export const OBJECT_STATES = ["blocked"] as const;
export const SERVER_STATES = ["maintenance"] as const;

export type StateName = (typeof ACCOUNT_STATES)[number];

/** What is in a state: the whole server where nothing is named, an account by its UIN, a bucket, or an object in it. */
export interface StateSubject {
  readonly account?: string;
  readonly bucket?: string;
  readonly key?: string;
}

export interface SetState extends StateSubject {
  readonly state: StateName;
  /** Since when, ms since 1970 of virtual time. */
  readonly sinceMs: number;
}

/** What a request is about, as far as states go. */
export interface StateQuestion {
  readonly caller: Caller;
  readonly bucket: { readonly name: string; readonly ownerUin: string } | undefined;
  readonly key: string | undefined;
  /** Whether it reads the object: what is blocked can still be written over and deleted. */
  readonly reads: boolean;
  readonly nowMs: number;
}

/** An account in arrears is served so long, ms: a day; then it is suspended. (arrears page) */
export const ARREARS_MS = 24 * 60 * 60 * 1000;

/** The name of a subject, unique. */
export function subjectName({ account, bucket, key }: StateSubject): string {
  if (account !== undefined) return `account/${account}`;
  if (key !== undefined) return `object/${bucket}/${key}`;
  return bucket === undefined ? "server" : `bucket/${bucket}`;
}

const REFUSALS: Readonly<Record<Exclude<StateName, "arrears">, ErrorId>> = {
  suspended: "UnavailableForLegalReasons",
  "quota-exhausted": "PaymentRequired",
  blocked: "UnavailableForLegalReasons",
  closed: "UnavailableForLegalReasons",
  maintenance: "ServiceUnavailable",
};

const BLOCKED_MESSAGES = {
  bucket: "The bucket is unavailable for legal reasons.",
  object: "The object is unavailable for legal reasons.",
} as const;

function refusalFor(set: SetState, nowMs: number, of: "caller" | "owner" | "else"): CosError | undefined {
  const overdue = set.state === "arrears" && nowMs >= set.sinceMs + ARREARS_MS;
  const state = overdue ? "suspended" : set.state;
  if (state === "arrears") return undefined;
  const id = state === "closed" && of === "caller" ? "InvalidAccessKeyId" : REFUSALS[state];
  const kind = set.key !== undefined ? "object" : "bucket";
  return refuse(id, {
    ...(set.account === undefined && state === "blocked" ? { message: BLOCKED_MESSAGES[kind] } : {}),
    cause: `the state of ${subjectName(set)}`,
    evidence: () => ({ kind: "state", of: subjectName(set), state: set.state, sinceMs: set.sinceMs, nowMs, overdue }),
  });
}

/**
 * The refusal that the states of a server, of the caller's account, of the bucket's owner, of the bucket and of the
 * object come to, the first of them; undefined where none stands in the way. `find` gives what is set for a name.
 */
export function refusalByState(
  { caller, bucket, key, reads, nowMs }: StateQuestion,
  find: (name: string) => SetState | undefined,
): CosError | undefined {
  const look = (subject: StateSubject, of: "caller" | "owner" | "else"): CosError | undefined => {
    const set = find(subjectName(subject));
    return set === undefined ? undefined : refusalFor(set, nowMs, of);
  };
  const own = caller.kind === "anonymous" ? undefined : caller.uin;
  return (
    look({}, "else") ??
    (own === undefined ? undefined : look({ account: own }, "caller")) ??
    (bucket === undefined || bucket.ownerUin === own ? undefined : look({ account: bucket.ownerUin }, "owner")) ??
    (bucket === undefined ? undefined : look({ bucket: bucket.name }, "else")) ??
    (bucket === undefined || key === undefined || !reads ? undefined : look({ bucket: bucket.name, key }, "else"))
  );
}

/** What the pipeline asks of states. */
export interface StateFinder {
  /** Whether any state is set; without one nothing else is asked. */
  readonly any: boolean;
  refusal(question: StateQuestion): CosError | undefined;
}
