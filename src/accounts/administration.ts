/**
 * Changes of accounts and of what belongs to them, for whoever administers a server. What names something names what is
 * there: a user's groups and policies exist, and nothing goes that is still named or has something of its own.
 */

import { KindFault } from "../errors/kind-fault.ts";
import { PolicyFault, readPolicy } from "../access/policy/read-policy.ts";
import type { Limits } from "../limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import {
  type AccountRow,
  type GroupRow,
  type KeyRow,
  type PolicyRow,
  PRINCIPAL_KINDS,
  type PrincipalChange,
  type PrincipalKind,
  principalRowKey,
  type PrincipalRows,
  type Principals,
  type RoleRow,
  type UserRow,
} from "../store/principals.ts";
import type { Sealing } from "./seal.ts";
import { applySeed, type SeedAccount } from "./seed.ts";
import { newSecretId, newSecretKey } from "./session-token.ts";

/** Why nothing was changed. */
export type AccountFaultKind = "NotFound" | "InUse" | "Invalid" | "Fixed" | "LimitExceeded";

export class AccountFault extends KindFault<AccountFaultKind> {
  override readonly name = "AccountFault";
}

/** What belongs to an account, by its kind. */
export type OwnedKind = "user" | "group" | "role" | "policy";

/** A key without its secret. */
export type KeyTold = Omit<KeyRow, "sealed">;

/** What is put: the row without what the store keeps of it. */
type Wanted<Row> = Omit<Row, "seeded" | "createdMs">;

/** A root account; `fixed` for those that keys of the settings stand for. */
export type AccountTold = Wanted<AccountRow> & { readonly fixed: boolean };

/** A key pair and whose it is. */
interface HeldPair {
  readonly uin: string;
  readonly user: string;
  readonly secretId: string;
  readonly secretKey: string;
}

export interface Administration {
  /** In order of UIN, those of the settings' keys first. */
  accounts(): Promise<readonly AccountTold[]>;
  account(uin: string): Promise<AccountTold>;
  /** Makes the account, or changes its name and, while it has no bucket, its APPID. */
  putAccount(account: Wanted<AccountRow>): Promise<void>;
  /** Only one that has nothing left: no buckets, users, groups, roles, policies and keys. */
  removeAccount(uin: string): Promise<void>;

  list<Kind extends OwnedKind>(kind: Kind, uin: string): Promise<readonly PrincipalRows[Kind][]>;
  find<Kind extends OwnedKind>(kind: Kind, uin: string, name: string): Promise<PrincipalRows[Kind]>;
  putUser(user: Wanted<UserRow>): Promise<void>;
  putGroup(group: Wanted<GroupRow>): Promise<void>;
  putRole(role: Wanted<RoleRow>): Promise<void>;
  putPolicy(policy: Wanted<PolicyRow>): Promise<void>;
  remove(kind: OwnedKind, uin: string, name: string): Promise<void>;

  keys(uin: string): Promise<readonly KeyTold[]>;
  key(secretId: string): Promise<KeyTold>;
  /** Makes a key of the account or of one of its users. Its secret is told once, here. */
  createKey(wanted: {
    readonly uin: string;
    readonly user: string;
    /** A pair of one's own; drawn where it is undefined. */
    readonly pair: { readonly secretId: string; readonly secretKey: string } | undefined;
  }): Promise<KeyTold & { readonly secretKey: string }>;
  /** Makes a key of this pair, enabled unless told, or puts it in place of the key that the account has of it already. */
  putKey(wanted: HeldPair & { readonly enabled?: boolean | undefined }): Promise<void>;
  setKey(secretId: string, enabled: boolean): Promise<KeyTold>;
  removeKey(secretId: string): Promise<void>;

  /** Everything as the settings have it; what was made since is gone. */
  restore(): Promise<void>;
}

export interface AdministrationParts {
  readonly rows: Principals;
  readonly sealing: Sealing;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Pick<
    Limits,
    | "accountsMax"
    | "accountUsersMax"
    | "accountGroupsMax"
    | "accountRolesMax"
    | "accountPoliciesMax"
    | "accountPolicyBytesMax"
    | "identityKeysMax"
  >;
  /** The root accounts that keys of the settings stand for, with their APPIDs. */
  readonly fixed: ReadonlyMap<string, string>;
  readonly fixedKeys: ReadonlySet<string>;
  /** Whether an APPID is somebody's who has no account here. */
  readonly isReserved?: (appid: string) => boolean;
  /** The two halves of the published pair, which nobody is to have besides. */
  readonly published: ReadonlySet<string>;
  /** The accounts of the settings. */
  readonly seed: readonly SeedAccount[];
}

/** Rows of one page. */
const PAGE_ROWS = 500;
/** Rows that one step removes. */
const STEP_ROWS = 200;

function withoutSecret({ sealed: _sealed, ...open }: KeyRow): KeyTold {
  return open;
}

/** The administration of one server. Every call rejects with AccountFault for what cannot stand. */
export function administration(parts: AdministrationParts): Administration {
  const { rows, sealing, clock, random, limits, fixed, fixedKeys, published, seed, isReserved } = parts;
  const mostOf: Readonly<Record<OwnedKind, number>> = {
    user: limits.accountUsersMax,
    group: limits.accountGroupsMax,
    role: limits.accountRolesMax,
    policy: limits.accountPoliciesMax,
  };

  async function all<Kind extends PrincipalKind>(kind: Kind, uin: string | undefined): Promise<PrincipalRows[Kind][]> {
    const found: PrincipalRows[Kind][] = [];
    for (let marker: readonly string[] | undefined; ; ) {
      const page = await rows.list(kind, uin, PAGE_ROWS, marker);
      found.push(...page);
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE_ROWS) return found;
      marker = principalRowKey(kind, last).toString("utf8", 2).split("\0");
    }
  }

  const missing = (what: string): AccountFault => new AccountFault("NotFound", `there is no ${what}`);

  /** Whatever a change reads outside of its transaction stands as well: nobody changes any of it without the revision. */
  async function requireAccount(change: PrincipalChange, uin: string): Promise<void> {
    if (!fixed.has(uin) && (await change.find("account", uin)) === undefined) throw missing(`account ${uin}`);
  }

  async function requireNamed(kind: "group" | "policy", uin: string, names: readonly string[]): Promise<void> {
    const found = await rows.findMany(
      kind,
      names.map((name) => [uin, name]),
    );
    const at = found.indexOf(undefined);
    if (at >= 0) throw missing(`${kind} ${names[at]} of account ${uin}`);
  }

  function checkPolicy(document: string, trust: boolean): void {
    const bytesMax = limits.accountPolicyBytesMax;
    try {
      readPolicy(
        document,
        trust ? { principal: "required", resource: "refused", bytesMax } : { principal: "refused", bytesMax },
      );
    } catch (error) {
      if (error instanceof PolicyFault) throw new AccountFault("Invalid", error.message);
      throw error;
    }
  }

  /** Puts what belongs to an account, unless it has as many of the kind as it may have. */
  async function put<Kind extends OwnedKind>(
    kind: Kind,
    row: Wanted<PrincipalRows[Kind]> & { readonly uin: string },
    name: string,
    policies: readonly string[],
    groups: readonly string[] = [],
  ): Promise<void> {
    await rows.change(async (change) => {
      await requireAccount(change, row.uin);
      await requireNamed("policy", row.uin, policies);
      await requireNamed("group", row.uin, groups);
      const there = await change.find(kind, row.uin, name);
      if (there === undefined && (await all(kind, row.uin)).length >= mostOf[kind]) {
        throw new AccountFault("LimitExceeded", `an account has at most ${mostOf[kind]} of the kind ${kind}`);
      }
      const { seeded = false, createdMs = clock.now() } = there ?? {};
      change.put(kind, { ...row, seeded, createdMs } as unknown as PrincipalRows[Kind]);
    });
  }

  async function keysOf(uin: string): Promise<readonly KeyRow[]> {
    const ids = await rows.keysOf(uin, limits.identityKeysMax * (limits.accountUsersMax + 1));
    const found: KeyRow[] = [];
    for (let at = 0; at < ids.length; at += PAGE_ROWS) {
      const page = await rows.findMany(
        "key",
        ids.slice(at, at + PAGE_ROWS).map((id) => [id]),
      );
      found.push(...page.filter((row) => row !== undefined));
    }
    return found;
  }

  /** Who still names something of an account, or has something of it; undefined where nobody does. */
  async function userOf(kind: OwnedKind, uin: string, name: string): Promise<string | undefined> {
    if (kind === "role") return undefined;
    if (kind === "user") {
      const key = (await keysOf(uin)).find(({ user }) => user === name);
      return key && `the user still has the key ${key.secretId}`;
    }
    const users = await all("user", uin);
    const of = kind === "group" ? "groups" : "policies";
    const user = users.find((one) => one[of].includes(name));
    if (user !== undefined) return `user ${user.user} still has it`;
    if (kind === "group") return undefined;
    const group = (await all("group", uin)).find(({ policies }) => policies.includes(name));
    if (group !== undefined) return `group ${group.name} still has it`;
    const role = (await all("role", uin)).find(({ policies }) => policies.includes(name));
    return role && `role ${role.name} still has it`;
  }

  const told = ({ uin, appid, name }: AccountRow): AccountTold => ({ uin, appid, name, fixed: false });

  async function account(uin: string): Promise<AccountTold> {
    const row = await rows.find("account", uin);
    const appid = fixed.get(uin);
    if (appid !== undefined) return { uin, appid, name: row?.name ?? "", fixed: true };
    if (row === undefined) throw missing(`account ${uin}`);
    return told(row);
  }

  async function find<Kind extends OwnedKind>(kind: Kind, uin: string, name: string): Promise<PrincipalRows[Kind]> {
    const row = await rows.find(kind, uin, name);
    if (row === undefined) throw missing(`${kind} ${name} of account ${uin}`);
    return row;
  }

  async function requireKey(change: PrincipalChange, secretId: string): Promise<KeyRow> {
    if (fixedKeys.has(secretId)) throw new AccountFault("Fixed", `the key ${secretId} is the settings' own`);
    const row = await change.find("key", secretId);
    if (row === undefined) throw missing(`key ${secretId}`);
    return row;
  }

  async function storeKey(
    { uin, user, secretId, secretKey }: HeldPair,
    { enabled, mayReplace }: { readonly enabled: boolean; readonly mayReplace: boolean },
  ): Promise<KeyRow> {
    if (published.has(secretId) || published.has(secretKey)) {
      throw new AccountFault("InUse", "everybody knows the published pair");
    }
    const seal = await sealing.needed();
    const sealed = seal.seal("key", secretId, Buffer.from(secretKey)).toString("base64");
    return await rows.change(async (change) => {
      await requireAccount(change, uin);
      if (user !== uin && (await change.find("user", uin, user)) === undefined) {
        throw missing(`user ${user} of account ${uin}`);
      }
      const there = await change.find("key", secretId);
      if (fixedKeys.has(secretId) || (there !== undefined && !(mayReplace && there.uin === uin))) {
        throw new AccountFault("InUse", `there is a key ${secretId} already`);
      }
      const most = limits.identityKeysMax;
      const held = (await keysOf(uin)).filter((key) => key.user === user && key.secretId !== secretId);
      if (held.length >= most) {
        throw new AccountFault("LimitExceeded", `an account or user has at most ${most} keys`);
      }
      const row: KeyRow = { secretId, uin, user, sealed, enabled, seeded: false, createdMs: clock.now() };
      change.put("key", row);
      return row;
    });
  }

  return {
    account,
    find,
    async accounts() {
      const stored = (await all("account", undefined)).filter(({ uin }) => !fixed.has(uin)).map(told);
      return [...(await Promise.all([...fixed.keys()].map(account))), ...stored];
    },
    async putAccount(wanted) {
      const { uin, appid } = wanted;
      if (fixed.has(uin)) throw new AccountFault("Fixed", `the account ${uin} is the settings' own`);
      await rows.change(async (change) => {
        const there = await change.find("account", uin);
        const others = await all("account", undefined);
        const rival = others.find((one) => one.appid === appid && one.uin !== uin)?.uin;
        const fixedRival = [...fixed].find(([, one]) => one === appid)?.[0];
        const taken = rival ?? fixedRival;
        if (taken !== undefined) throw new AccountFault("InUse", `APPID ${appid} is that of account ${taken}`);
        if (isReserved?.(appid) === true) throw new AccountFault("InUse", `APPID ${appid} is that of a namespace`);
        const stored = others.filter((one) => !fixed.has(one.uin)).length;
        if (there === undefined && stored >= limits.accountsMax) {
          throw new AccountFault("LimitExceeded", `there are at most ${limits.accountsMax} accounts`);
        }
        if (there !== undefined && there.appid !== appid && (await change.ownsBuckets(uin))) {
          throw new AccountFault("InUse", `the account ${uin} has buckets whose names end in its APPID`);
        }
        const { seeded = false, createdMs = clock.now() } = there ?? {};
        change.put("account", { ...wanted, seeded, createdMs });
      });
    },
    async removeAccount(uin) {
      if (fixed.has(uin)) throw new AccountFault("Fixed", `the account ${uin} is the settings' own`);
      await rows.change(async (change) => {
        const row = await change.find("account", uin);
        if (row === undefined) throw missing(`account ${uin}`);
        if (await change.ownsBuckets(uin)) throw new AccountFault("InUse", `the account ${uin} still has buckets`);
        for (const kind of ["user", "group", "role", "policy"] as const) {
          const [one] = await rows.list(kind, uin, 1);
          if (one !== undefined) throw new AccountFault("InUse", `the account ${uin} still has something: a ${kind}`);
        }
        const [key] = await rows.keysOf(uin, 1);
        if (key !== undefined) throw new AccountFault("InUse", `the account ${uin} still has the key ${key}`);
        change.remove("account", row);
      });
    },
    async list(kind, uin) {
      await account(uin);
      return await all(kind, uin);
    },
    async putUser(user) {
      // A key of the account's own UIN is the root's, whatever is attached to a user of that name.
      if (user.user === user.uin || (await rows.find("account", user.user)) !== undefined) {
        throw new AccountFault("InUse", `${user.user} is the UIN of an account`);
      }
      await put("user", user, user.user, user.policies, user.groups);
    },
    putGroup: (group) => put("group", group, group.name, group.policies),
    async putRole(role) {
      checkPolicy(role.trust, true);
      await put("role", role, role.name, role.policies);
    },
    async putPolicy(policy) {
      checkPolicy(policy.document, false);
      await put("policy", policy, policy.name, []);
    },
    async remove(kind, uin, name) {
      await rows.change(async (change) => {
        const row = await change.find(kind, uin, name);
        if (row === undefined) throw missing(`${kind} ${name} of account ${uin}`);
        const why = await userOf(kind, uin, name);
        if (why !== undefined) throw new AccountFault("InUse", why);
        change.remove(kind, row as never);
      });
    },
    async keys(uin) {
      await account(uin);
      return (await keysOf(uin)).map(withoutSecret);
    },
    async key(secretId) {
      const row = await rows.find("key", secretId);
      if (row === undefined) throw missing(`key ${secretId}`);
      return withoutSecret(row);
    },
    async createKey({ uin, user, pair }) {
      const { secretId, secretKey } = pair ?? { secretId: newSecretId(random), secretKey: newSecretKey(random) };
      const row = await storeKey({ uin, user, secretId, secretKey }, { enabled: true, mayReplace: false });
      return { ...withoutSecret(row), secretKey };
    },
    async putKey({ enabled = true, ...pair }) {
      await storeKey(pair, { enabled, mayReplace: true });
    },
    async setKey(secretId, enabled) {
      return await rows.change(async (change) => {
        const row = { ...(await requireKey(change, secretId)), enabled };
        change.put("key", row);
        return withoutSecret(row);
      });
    },
    async removeKey(secretId) {
      await rows.change(async (change) => change.remove("key", await requireKey(change, secretId)));
    },
    async restore() {
      for (const kind of PRINCIPAL_KINDS.toReversed()) {
        for (;;) {
          const some = await rows.list(kind, undefined, STEP_ROWS);
          if (some.length === 0) break;
          await rows.change(async (change) => {
            for (const row of some) change.remove(kind, row);
          });
        }
      }
      await applySeed({ rows, sealing, clock }, seed, true);
    },
  };
}
