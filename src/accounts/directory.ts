/**
 * Finds what a SecretId stands for: a pair of the settings, a stored one, or a temporary one with its token. A stored pair
 * costs a request one look at the revision of the accounts; one of the settings costs nothing.
 */

import { LRUCache } from "lru-cache";
import { type Credential, rootCredential, type Session } from "../access/caller.ts";
import type { Policy } from "../access/policy/policy.ts";
import { readPolicy } from "../access/policy/read-policy.ts";
import { refuse } from "../errors/cos-error.ts";
import type { Clock } from "../ports/clock.ts";
import { RecordDamaged } from "../store/bytes.ts";
import type { PolicyRow, Principals, RoleRow } from "../store/principals.ts";
import type { Sealing } from "./seal.ts";
import { openSession, type SessionContent, sessionKeyOf } from "./session-token.ts";

export interface DirectoryParts {
  /** The pairs of the settings, by SecretId: they are always there. */
  readonly fixed: ReadonlyMap<string, Credential>;
  readonly rows: Principals;
  readonly sealing: Sealing;
  readonly clock: Clock;
}

export interface Directory {
  /**
   * The credential of a SecretId, with the token that came along; undefined for one that is unknown or disabled, and for
   * a token that is not the SecretId's own. A promise only where something has to be read.
   * @throws CosError ExpiredToken
   */
  find(secretId: string, token: string | undefined): Found;
  /** The credential of a permanent pair alone. */
  permanent(secretId: string): Found;
  /** A role as it can be taken on; undefined where there is none. */
  role(uin: string, name: string): Promise<Role | undefined>;
  /** The APPID of a root account; undefined where there is none. */
  appidOf(uin: string): Promise<string | undefined>;
}

type Found = Credential | undefined | Promise<Credential | undefined>;

export interface Role {
  readonly row: RoleRow;
  /** When it was made, ms since 1970; undefined where the settings make it, each time the same. */
  readonly madeMs: number | undefined;
  /** What its sessions stand for, before they have keys of their own. */
  readonly base: Credential;
}

/** The form of every SecretId. What has another is nobody's, and never looked for. */
const SECRET_ID = /^[A-Za-z0-9_-]{4,128}$/;

const CREDENTIALS_MAX = 4096;
const SESSIONS_MAX = 4096;
/** Times that rows are read anew because they changed meanwhile; the last reading counts. */
const READINGS_MAX = 5;

interface Kept<T> {
  readonly revision: number;
  readonly value: T;
}

interface OpenSession {
  readonly content: SessionContent;
  readonly secretKey: string;
  readonly session: Session;
  /** The credential that was made of `base`: the same for as long as that is. */
  made: { readonly base: Credential; readonly credential: Credential } | undefined;
}

/** Stands in place of a policy or group that is named and not there: what it may have denied is unknown. */
function missing(what: string): Policy {
  const statement = { sid: `missing ${what}`, effect: "deny", action: "*", resource: "*" };
  return readPolicy(JSON.stringify({ version: "2.0", statement }), ATTACHED_RULES);
}

const ATTACHED_RULES = { principal: "refused", bytesMax: Number.MAX_SAFE_INTEGER, kept: true } as const;
const SESSION_RULES = { principal: "ignored", bytesMax: Number.MAX_SAFE_INTEGER, kept: true } as const;

/** Policies by the row they were read from, which is the same object for as long as it stays as it is. */
const parsed = new WeakMap<PolicyRow, Policy>();

function policyOf(row: PolicyRow): Policy {
  let policy = parsed.get(row);
  if (policy === undefined) parsed.set(row, (policy = readPolicy(row.document, ATTACHED_RULES)));
  return policy;
}

/** The directory of a server. */
export function directory({ fixed, rows, sealing, clock }: DirectoryParts): Directory {
  const credentials = new LRUCache<string, Kept<Credential>>({ max: CREDENTIALS_MAX });
  const roles = new LRUCache<string, Kept<Role>>({ max: CREDENTIALS_MAX });
  const sessions = new LRUCache<string, OpenSession>({ max: SESSIONS_MAX });
  const fixedAppids = new Map([...fixed.values()].map(({ uin, appid }) => [uin, appid] as const));

  /** What `read` gives of one moment. */
  async function kept<T extends object>(
    cache: LRUCache<string, Kept<T>>,
    name: string,
    read: () => Promise<T | undefined>,
  ): Promise<T | undefined> {
    let revision = await rows.revision();
    if (revision === 0) return undefined;
    const known = cache.get(name);
    if (known?.revision === revision) return known.value;
    for (let reading = 1; ; reading++) {
      const value = await read();
      const since = await rows.revision();
      if (since === revision || reading === READINGS_MAX) {
        if (value === undefined) cache.delete(name);
        else if (since === revision) cache.set(name, { revision, value });
        return value;
      }
      revision = since;
    }
  }

  async function appidOf(uin: string): Promise<string | undefined> {
    return fixedAppids.get(uin) ?? (await rows.find("account", uin))?.appid;
  }

  async function policiesOf(uin: string, names: Iterable<string>): Promise<readonly Policy[]> {
    const all = [...new Set(names)];
    const found = await rows.findMany(
      "policy",
      all.map((name) => [uin, name]),
    );
    return all.map((name, at) => {
      const row = found[at];
      return row === undefined ? missing(`policy ${name}`) : policyOf(row);
    });
  }

  async function readKey(secretId: string): Promise<Credential | undefined> {
    const row = await rows.find("key", secretId);
    if (row?.enabled !== true) return undefined;
    const { uin, user } = row;
    const appid = await appidOf(uin);
    if (appid === undefined) return undefined;
    const seal = await sealing.existing();
    const secret = seal?.open("key", secretId, Buffer.from(row.sealed, "base64"));
    if (secret === undefined)
      throw new RecordDamaged(`the secret of key ${secretId} is not sealed with the key at hand`);
    const secretKey = secret.toString("utf8");
    if (user === uin) return rootCredential({ secretId, secretKey, uin, appid });
    const holder = await rows.find("user", uin, user);
    if (holder === undefined) return undefined;
    const groups = await rows.findMany(
      "group",
      holder.groups.map((name) => [uin, name]),
    );
    const lost = holder.groups.filter((_, at) => groups[at] === undefined).map((name) => missing(`group ${name}`));
    const names = [...holder.policies, ...groups.flatMap((group) => group?.policies ?? [])];
    const policies = [...lost, ...(await policiesOf(uin, names))];
    return { secretId, secretKey, uin, user, appid, published: false, policies };
  }

  function permanent(secretId: string): Found {
    const known = fixed.get(secretId);
    if (known !== undefined) return known;
    return SECRET_ID.test(secretId) ? kept(credentials, secretId, () => readKey(secretId)) : undefined;
  }

  async function readRole(uin: string, name: string): Promise<Role | undefined> {
    const row = await rows.find("role", uin, name);
    const appid = row && (await appidOf(uin));
    if (row === undefined || appid === undefined) return undefined;
    const policies = await policiesOf(uin, row.policies);
    const user = `roleName/${name}`;
    const madeMs = row.seeded ? undefined : row.createdMs;
    return { row, madeMs, base: { secretId: "", secretKey: "", uin, user, appid, published: false, policies } };
  }

  const role = (uin: string, name: string): Promise<Role | undefined> =>
    kept(roles, `${uin}/${name}`, () => readRole(uin, name));

  function credentialOf(open: OpenSession, base: Credential | undefined): Credential | undefined {
    if (base === undefined) return undefined;
    if (open.made?.base !== base) {
      const { content, secretKey, session } = open;
      open.made = { base, credential: { ...base, secretId: content.keyId, secretKey, published: false, session } };
    }
    return open.made.credential;
  }

  /** The base of a session as it is now; a promise only where something has to be read. */
  function fromBase(open: OpenSession): Found {
    const { issuer, uin, role: name, roleMadeMs } = open.content;
    if (name !== undefined) {
      const base = (found: Role | undefined) => (found?.madeMs === roleMadeMs ? found?.base : undefined);
      return role(uin, name).then((found) => credentialOf(open, base(found)));
    }
    const base = issuer === undefined ? undefined : permanent(issuer);
    if (base instanceof Promise) return base.then((found) => credentialOf(open, found));
    return credentialOf(open, base);
  }

  function alive(open: OpenSession, keyId: string): Found {
    if (open.content.keyId !== keyId) return undefined;
    if (clock.now() > open.content.expiresMs) throw refuse("ExpiredToken");
    return fromBase(open);
  }

  async function session(secretId: string, token: string): Promise<Credential | undefined> {
    const seal = await sealing.existing();
    const content = seal && openSession(seal, token);
    if (seal === undefined || content === undefined) return undefined;
    const policy = content.policy === undefined ? undefined : readPolicy(content.policy, SESSION_RULES);
    const open: OpenSession = {
      content,
      secretKey: sessionKeyOf(seal, content.keyId),
      session: { policy, expiresMs: content.expiresMs },
      made: undefined,
    };
    sessions.set(token, open);
    return await alive(open, secretId);
  }

  return {
    permanent,
    role,
    appidOf,
    find(secretId, token) {
      if (token === undefined) return permanent(secretId);
      const open = sessions.get(token);
      return open === undefined ? session(secretId, token) : alive(open, secretId);
    },
  };
}
