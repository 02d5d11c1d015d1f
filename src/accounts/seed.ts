/**
 * Brings the accounts of the settings into the store. They are applied when they differ from those that were applied last,
 * so that what has been changed since over other ways stays until the settings change. What they name is as they say;
 * what came from them and is named no longer goes; whatever else there is stays. A key is enabled unless it has been
 * disabled, or the settings say which.
 */

import type { Clock } from "../ports/clock.ts";
import {
  PRINCIPAL_KINDS,
  type PrincipalChange,
  type PrincipalKind,
  principalRowKey,
  type PrincipalRows,
  type Principals,
} from "../store/principals.ts";
import type { Seal, Sealing } from "./seal.ts";

/** A key pair as the settings give it. */
export interface SeedKey {
  readonly secretId: string;
  readonly secretKey: string;
  readonly enabled?: boolean | undefined;
}

/** An account as the settings give it, complete. Documents are JSON. */
export interface SeedAccount {
  readonly uin: string;
  readonly appid: string;
  readonly name: string;
  readonly keys: readonly SeedKey[];
  readonly policies: readonly { readonly name: string; readonly document: string }[];
  readonly groups: readonly { readonly name: string; readonly policies: readonly string[] }[];
  readonly users: readonly {
    readonly uin: string;
    readonly name: string;
    readonly groups: readonly string[];
    readonly policies: readonly string[];
    readonly keys: readonly SeedKey[];
  }[];
  readonly roles: readonly {
    readonly name: string;
    readonly trust: string;
    readonly policies: readonly string[];
    readonly sessionSecondsMax: number;
  }[];
}

export interface SeedParts {
  readonly rows: Principals;
  readonly sealing: Sealing;
  readonly clock: Clock;
}

/** Rows of one step, each read and written: a commit has room for 1,000 of these in all. */
const ROWS_PER_STEP = 200;
/** Rows that are looked at together. */
const PAGE_ROWS = 500;

type SeedRow = {
  [Kind in PrincipalKind]: {
    readonly kind: Kind;
    readonly row: Omit<PrincipalRows[Kind], "seeded" | "createdMs" | "sealed" | "enabled"> & Partial<SeedKey>;
  };
}[PrincipalKind];

function keyRows(uin: string, user: string, keys: readonly SeedKey[]): SeedRow[] {
  return keys.map((key) => ({ kind: "key", row: { uin, user, ...key } }));
}

/** What belongs to others after what it belongs to, so that a start that ends in between leaves nothing without it. */
function rowsOf({ uin, appid, name, keys, policies, groups, users, roles }: SeedAccount): SeedRow[] {
  return [
    { kind: "account", row: { uin, appid, name } },
    ...policies.map((policy): SeedRow => ({ kind: "policy", row: { uin, ...policy } })),
    ...groups.map((group): SeedRow => ({ kind: "group", row: { uin, ...group } })),
    ...roles.map((role): SeedRow => ({ kind: "role", row: { uin, ...role } })),
    ...users.map((one): SeedRow => {
      const { keys: _keys, uin: user, ...rest } = one;
      return { kind: "user", row: { ...rest, uin, user } };
    }),
    ...keyRows(uin, uin, keys),
    ...users.flatMap((user) => keyRows(uin, user.uin, user.keys)),
  ];
}

async function put(change: PrincipalChange, seal: Seal, createdMs: number, { kind, row }: SeedRow): Promise<void> {
  const origin = { seeded: true, createdMs };
  switch (kind) {
    case "account": {
      const there = await change.find(kind, row.uin);
      const others = await change.list(kind, undefined, PAGE_ROWS);
      const rival = others.find(({ appid, seeded }) => appid === row.appid && !seeded);
      if (rival !== undefined && rival.uin !== row.uin) {
        throw new Error(`accounts: APPID ${row.appid} is that of the stored account ${rival.uin} already`);
      }
      change.put(kind, { ...row, ...origin, ...(there && { createdMs: there.createdMs }) });
      return;
    }
    case "user": {
      const there = await change.find(kind, row.uin, row.user);
      change.put(kind, { ...row, ...origin, ...(there && { createdMs: there.createdMs }) });
      return;
    }
    case "group":
    case "role":
    case "policy": {
      const there = await change.find(kind, row.uin, row.name);
      change.put(kind, { ...row, ...origin, ...(there && { createdMs: there.createdMs }) } as never);
      return;
    }
    case "key": {
      const { secretId, uin, user, secretKey = "", enabled } = row;
      const there = await change.find(kind, secretId);
      if (there !== undefined) change.remove(kind, there);
      change.put(kind, {
        secretId,
        uin,
        user,
        sealed: seal.seal("key", secretId, Buffer.from(secretKey)).toString("base64"),
        enabled: enabled ?? there?.enabled ?? true,
        seeded: true,
        createdMs: there?.createdMs ?? createdMs,
      });
    }
  }
}

function inSteps<T>(all: readonly T[]): (readonly T[])[] {
  return Array.from({ length: Math.ceil(all.length / ROWS_PER_STEP) }, (_, at) =>
    all.slice(at * ROWS_PER_STEP, (at + 1) * ROWS_PER_STEP),
  );
}

/** Rows that came from settings that name them no longer. */
async function forgotten<Kind extends PrincipalKind>(
  rows: Principals,
  kind: Kind,
  named: ReadonlySet<string>,
): Promise<PrincipalRows[Kind][]> {
  const found: PrincipalRows[Kind][] = [];
  for (let marker: readonly string[] | undefined; ; ) {
    const page = await rows.list(kind, undefined, PAGE_ROWS, marker);
    for (const row of page) {
      if (row.seeded && !named.has(principalRowKey(kind, row).toString("latin1"))) found.push(row);
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE_ROWS) return found;
    marker = namesOf(kind, last);
  }
}

function namesOf(kind: PrincipalKind, row: PrincipalRows[PrincipalKind]): readonly string[] {
  return principalRowKey(kind, row as never)
    .toString("utf8", 2)
    .split("\0");
}

/**
 * Applies the accounts of the settings where they differ from those applied last, or `anew`. Several processes that do so
 * at once come to the same.
 */
export async function applySeed(
  { rows, sealing, clock }: SeedParts,
  accounts: readonly SeedAccount[],
  anew = false,
): Promise<void> {
  const applied = await rows.seed();
  if (accounts.length === 0 && applied === undefined) return;
  const seal = await sealing.needed();
  const seed = seal.mac("seed", JSON.stringify(accounts));
  if (applied?.equals(seed) === true && !anew) return;

  const wanted = accounts.flatMap(rowsOf);
  const named = new Set(wanted.map(({ kind, row }) => principalRowKey(kind, row as never).toString("latin1")));
  const now = clock.now();
  for (const step of inSteps(wanted)) {
    await rows.change(async (change) => {
      for (const one of step) await put(change, seal, now, one);
    });
  }
  for (const kind of PRINCIPAL_KINDS.toReversed()) {
    for (const step of inSteps(await forgotten(rows, kind, named))) {
      await rows.change(async (change) => {
        for (const row of step) change.remove(kind, row);
      });
    }
  }
  await rows.change(async (change) => rows.putSeed(change, seed));
}
