/** Who makes a request, once the signature has been checked. */

import type { Policy } from "./policy/policy.ts";

/** What a key pair stands for. */
export interface Credential {
  readonly secretId: string;
  readonly secretKey: string;
  /** UIN of the root account, decimal digits. */
  readonly uin: string;
  /** UIN of who holds the key: the root account's own, or that of a sub-user; `roleName/<name>` for a role. */
  readonly user: string;
  /** APPID of the root account, decimal digits; the suffix of its buckets' names. */
  readonly appid: string;
  /** True for the published development pair, which any web page knows. */
  readonly published: boolean;
  /** What is attached to the sub-user, its groups or its role. A root account needs none. */
  readonly policies: readonly Policy[];
  /** Set for a temporary pair. */
  readonly session?: Session;
}

/** What bounds a temporary pair. */
export interface Session {
  /** Allows no more than what it says, within what its issuer may do; undefined where it was made without one. */
  readonly policy: Policy | undefined;
  /** Milliseconds since 1970. */
  readonly expiresMs: number;
}

/** Where a signature came from: a header, the query or the fields of a form. */
export type SignedVia = "header" | "query" | "form";

export interface AccountCaller extends Omit<Credential, "secretKey"> {
  readonly kind: "account";
  readonly via: SignedVia;
}

export type Caller = { readonly kind: "anonymous" } | AccountCaller;

export const ANONYMOUS: Caller = { kind: "anonymous" };

/** A permanent pair of a root account. */
export function rootCredential(
  { secretId, secretKey, uin, appid }: Pick<Credential, "secretId" | "secretKey" | "uin" | "appid">,
  published = false,
): Credential {
  return { secretId, secretKey, uin, user: uin, appid, published, policies: [] };
}

/** Callers by their pair, made once for each way of signing: a pair signs many requests. */
const callers = new WeakMap<Credential, Map<SignedVia, AccountCaller>>();

/** A caller who has signed with this pair. */
export function callerWith(credential: Credential, via: SignedVia): AccountCaller {
  let known = callers.get(credential);
  if (known === undefined) callers.set(credential, (known = new Map()));
  let caller = known.get(via);
  if (caller === undefined) {
    const { secretKey: _secret, ...open } = credential;
    known.set(via, (caller = { kind: "account", via, ...open }));
  }
  return caller;
}

/** Whether this is a root account itself, by permanent or by temporary keys. */
export function isRoot(caller: AccountCaller): boolean {
  return caller.user === caller.uin;
}

/**
 * The id under which the wire names somebody: `qcs::cam::uin/<root>:uin/<user>`; a root account is its own user. Who has
 * taken a role on is that role: `qcs::cam::uin/<root>:roleName/<name>`.
 */
export function callerId(uin: string, user: string = uin): string {
  return `qcs::cam::uin/${uin}:${user.includes("/") ? user : `uin/${user}`}`;
}

/** An account, or one of its users or roles, as rows keep it: `<uin>`, or `<uin>/<user>`. */
export function storedParty({ uin, user }: Pick<AccountCaller, "uin" | "user">): string {
  return user === uin ? uin : `${uin}/${user}`;
}

/** How lists name who is stored so: the id, and what is shown as the name. */
export function partyNames(stored: string): { readonly id: string; readonly name: string } {
  const slash = stored.indexOf("/");
  const [uin, user] = slash < 0 ? [stored, stored] : [stored.slice(0, slash), stored.slice(slash + 1)];
  return { id: callerId(uin, user), name: user };
}
