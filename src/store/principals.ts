/**
 * Who there is beside the root accounts of the settings: accounts, their users, groups, roles, policies and keys, one row
 * each. Every change of any of them rewrites one row, the revision: changes have an order, a change may depend on whatever
 * it has read, and whoever keeps something of this in memory knows by one look whether it still stands.
 */
import { LRUCache } from "lru-cache";
import { type MetadataEngine, pointRange } from "../ports/metadata.ts";
import { ByteReader, ByteWriter, RecordDamaged } from "./bytes.ts";
import {
  accountBucketsPrefix,
  accountKey,
  after,
  prefixRange,
  PRINCIPAL_KIND,
  principalKey,
  principalsPrefix,
} from "./keys.ts";
import { RecordFromNewerVersion } from "./records.ts";
import type { Transact, Transaction } from "./transact.ts";

interface Origin {
  /** True for what the settings name: it goes when they name it no longer. */
  readonly seeded: boolean;
  readonly createdMs: number;
}

/** A root account. */
export interface AccountRow extends Origin {
  readonly uin: string;
  readonly appid: string;
  readonly name: string;
}

/** A sub-user of an account. */
export interface UserRow extends Origin {
  /** Of the root account. */
  readonly uin: string;
  /** The user's own UIN. */
  readonly user: string;
  readonly name: string;
  /** Names of groups and policies of the account. */
  readonly groups: readonly string[];
  readonly policies: readonly string[];
}

export interface GroupRow extends Origin {
  readonly uin: string;
  readonly name: string;
  readonly policies: readonly string[];
}

export interface RoleRow extends Origin {
  readonly uin: string;
  readonly name: string;
  /** Who may take it on: a policy with principals and without resources. */
  readonly trust: string;
  readonly policies: readonly string[];
  readonly sessionSecondsMax: number;
}

export interface PolicyRow extends Origin {
  readonly uin: string;
  readonly name: string;
  /** JSON, as it was given. */
  readonly document: string;
}

export interface KeyRow extends Origin {
  readonly secretId: string;
  readonly uin: string;
  /** Who holds it: the account's own UIN, or one of its users'. */
  readonly user: string;
  /** The SecretKey, sealed for this SecretId; Base64. */
  readonly sealed: string;
  readonly enabled: boolean;
}

/** Every kind of row by its name. */
export interface PrincipalRows {
  readonly account: AccountRow;
  readonly user: UserRow;
  readonly group: GroupRow;
  readonly role: RoleRow;
  readonly policy: PolicyRow;
  readonly key: KeyRow;
}
export type PrincipalKind = keyof PrincipalRows;

type FieldForm = "text" | "texts" | "number" | "boolean";

const ORIGIN = { seeded: "boolean", createdMs: "number" } as const;

/** The fields of each kind, and which of them name its row. */
const KINDS: {
  readonly [Kind in PrincipalKind]: {
    readonly fields: { readonly [Field in keyof PrincipalRows[Kind]]: FieldForm };
    readonly names: (row: PrincipalRows[Kind]) => readonly string[];
  };
} = {
  account: { fields: { uin: "text", appid: "text", name: "text", ...ORIGIN }, names: ({ uin }) => [uin] },
  user: {
    fields: { uin: "text", user: "text", name: "text", groups: "texts", policies: "texts", ...ORIGIN },
    names: ({ uin, user }) => [uin, user],
  },
  group: { fields: { uin: "text", name: "text", policies: "texts", ...ORIGIN }, names: ({ uin, name }) => [uin, name] },
  role: {
    fields: { uin: "text", name: "text", trust: "text", policies: "texts", sessionSecondsMax: "number", ...ORIGIN },
    names: ({ uin, name }) => [uin, name],
  },
  policy: { fields: { uin: "text", name: "text", document: "text", ...ORIGIN }, names: ({ uin, name }) => [uin, name] },
  key: {
    fields: { secretId: "text", uin: "text", user: "text", sealed: "text", enabled: "boolean", ...ORIGIN },
    names: ({ secretId }) => [secretId],
  },
};

export const PRINCIPAL_KINDS = Object.keys(KINDS) as readonly PrincipalKind[];

const FORM = 1;

/** The document of a row behind the number of its form. */
function opened(value: Buffer, what: string): Buffer {
  const reader = new ByteReader(value);
  const form = reader.u8();
  if (form > FORM) throw new RecordFromNewerVersion(what);
  if (form !== FORM) throw new RecordDamaged(`${what} has form ${form}`);
  return reader.raw(reader.left);
}

function framed(document: Uint8Array): Buffer {
  return new ByteWriter(document.length + 1).u8(FORM).raw(document).finish();
}

function isOfForm(value: unknown, form: FieldForm): boolean {
  if (form === "texts") return Array.isArray(value) && value.every((one) => typeof one === "string");
  return typeof value === (form === "text" ? "string" : form);
}

/** Reads a row. Throws RecordDamaged, RecordFromNewerVersion. */
export function decodePrincipal<Kind extends PrincipalKind>(kind: Kind, value: Buffer): PrincipalRows[Kind] {
  const text = opened(value, `a row of the kind ${kind}`).toString("utf8");
  let row: unknown;
  try {
    row = JSON.parse(text);
  } catch {
    throw new RecordDamaged(`a row of the kind ${kind} is no JSON`);
  }
  if (typeof row !== "object" || row === null) throw new RecordDamaged(`a row of the kind ${kind} is no object`);
  for (const [field, form] of Object.entries(KINDS[kind].fields)) {
    if (!isOfForm((row as Record<string, unknown>)[field], form as FieldForm)) {
      throw new RecordDamaged(`a row of the kind ${kind} has no ${field}`);
    }
  }
  return row as PrincipalRows[Kind];
}

export function encodePrincipal(row: PrincipalRows[PrincipalKind]): Buffer {
  return framed(Buffer.from(JSON.stringify(row)));
}

/** The key of the row that holds this. */
export function principalRowKey<Kind extends PrincipalKind>(kind: Kind, row: PrincipalRows[Kind]): Buffer {
  return principalKey(kind, ...KINDS[kind].names(row));
}

/** What belongs to the keys that seal: which one it was that sealed the secrets. */
export interface SealRow {
  readonly kind: "file" | "passphrase";
  /** 16 bytes. */
  readonly salt: Buffer;
  /** 32 bytes that only the right key gives. */
  readonly check: Buffer;
}

const SEAL_KINDS = ["file", "passphrase"] as const;
const SALT_BYTES = 16;
const CHECK_BYTES = 32;

export function decodeSeal(value: Buffer): SealRow {
  const reader = new ByteReader(opened(value, "the seal"));
  const kind = SEAL_KINDS[reader.u8()];
  if (kind === undefined) throw new RecordDamaged("the seal has no kind");
  const seal = { kind, salt: reader.raw(SALT_BYTES), check: reader.raw(CHECK_BYTES) };
  reader.end();
  return seal;
}

function encodeSeal({ kind, salt, check }: SealRow): Buffer {
  return framed(new ByteWriter().u8(SEAL_KINDS.indexOf(kind)).raw(salt).raw(check).finish());
}

export function decodeRevision(value: Buffer): number {
  const reader = new ByteReader(opened(value, "the revision of the accounts"));
  const revision = reader.u64();
  reader.end();
  return revision;
}

function encodeRevision(revision: number): Buffer {
  return framed(new ByteWriter().u64(revision).finish());
}

/** The row of a revision that comes after both of these rows; undefined where there is neither. */
export function revisionAfter(...rows: readonly (Buffer | undefined)[]): Buffer | undefined {
  const revisions = rows.filter((row) => row !== undefined).map(decodeRevision);
  return revisions.length === 0 ? undefined : encodeRevision(Math.max(...revisions) + 1);
}

/** The bytes that tell which accounts of the settings were applied. */
export function decodeSeed(value: Buffer): Buffer {
  return opened(value, "the seed");
}

/** What a change may do. Everything it reads stands until its end. */
export interface PrincipalChange {
  find<Kind extends PrincipalKind>(kind: Kind, ...names: readonly string[]): Promise<PrincipalRows[Kind] | undefined>;
  /** Those of one account, or all where no account is named; without what this change has written. At most `limit`. */
  list<Kind extends PrincipalKind>(kind: Kind, uin: string | undefined, limit: number): Promise<PrincipalRows[Kind][]>;
  /** SecretIds of an account's keys; without what this change has written. At most `limit`. */
  keysOf(uin: string, limit: number): Promise<readonly string[]>;
  put<Kind extends PrincipalKind>(kind: Kind, row: PrincipalRows[Kind]): void;
  remove<Kind extends PrincipalKind>(kind: Kind, row: PrincipalRows[Kind]): void;
  /** Whether an account has buckets. Who creates one at the same moment is seen, or sees this change. */
  ownsBuckets(uin: string): Promise<boolean>;
  readonly tx: Transaction;
}

export interface Principals {
  /** Counts the changes of every row here; 0 where nothing was ever stored. */
  revision(): Promise<number>;
  find<Kind extends PrincipalKind>(kind: Kind, ...names: readonly string[]): Promise<PrincipalRows[Kind] | undefined>;
  findMany<Kind extends PrincipalKind>(
    kind: Kind,
    names: readonly (readonly string[])[],
  ): Promise<readonly (PrincipalRows[Kind] | undefined)[]>;
  /** In order of name, behind `marker` where one is given: a page of at most `limit`. */
  list<Kind extends PrincipalKind>(
    kind: Kind,
    uin: string | undefined,
    limit: number,
    marker?: readonly string[],
  ): Promise<PrincipalRows[Kind][]>;
  /** SecretIds of an account's keys. */
  keysOf(uin: string, limit: number): Promise<readonly string[]>;
  /** Runs a change as one step. */
  change<T>(body: (change: PrincipalChange) => Promise<T>): Promise<T>;
  seal(): Promise<SealRow | undefined>;
  /** Stores what tells the seal, unless there is one; gives the one that is stored. */
  putSeal(seal: SealRow): Promise<SealRow>;
  seed(): Promise<Buffer | undefined>;
  putSeed(change: PrincipalChange, seed: Buffer): void;
}

/** Decoded rows that are kept, by the bytes they were decoded from. */
const DECODED_MAX = 4096;

/** The rows on this engine. */
export function principals(metadata: MetadataEngine, transact: Transact): Principals {
  const revisionKey = principalKey("revision");
  const decodedRows = new LRUCache<string, { readonly bytes: Buffer; readonly row: unknown }>({ max: DECODED_MAX });

  /** The same object for the same bytes, so that what was made of it can be found again. */
  function decode<Kind extends PrincipalKind>(kind: Kind, key: Buffer, value: Buffer): PrincipalRows[Kind] {
    const name = key.toString("latin1");
    const known = decodedRows.get(name);
    if (known?.bytes.equals(value) === true) return known.row as PrincipalRows[Kind];
    const row = decodePrincipal(kind, value);
    decodedRows.set(name, { bytes: Buffer.from(value), row });
    return row;
  }

  async function one(key: Buffer): Promise<Buffer | undefined> {
    return (await metadata.read([pointRange(key)]))[0]?.[0]?.value;
  }

  const secretIdOf = (key: Buffer): string => key.toString("utf8", key.indexOf(0) + 1);

  return {
    async revision() {
      const value = await one(revisionKey);
      return value === undefined ? 0 : decodeRevision(value);
    },
    async find(kind, ...names) {
      const key = principalKey(kind, ...names);
      const value = await one(key);
      return value && decode(kind, key, value);
    },
    async findMany(kind, names) {
      if (names.length === 0) return [];
      const keys = names.map((parts) => principalKey(kind, ...parts));
      const found = await metadata.read(keys.map(pointRange));
      return keys.map((key, at) => {
        const value = found[at]?.[0]?.value;
        return value && decode(kind, key, value);
      });
    },
    async list(kind, uin, limit, marker) {
      const range = prefixRange(principalsPrefix(kind, uin), limit);
      const start = marker === undefined ? range.start : after(principalKey(kind, ...marker));
      const [rows = []] = await metadata.read([{ ...range, start }]);
      return rows.map(({ key, value }) => decode(kind, key, value));
    },
    async keysOf(uin, limit) {
      const [rows = []] = await metadata.read([prefixRange(principalsPrefix("holding", uin), limit)]);
      return rows.map(({ key }) => secretIdOf(key));
    },
    async change(body) {
      return await transact([revisionKey], async (tx) => {
        const value = await tx.get(revisionKey);
        const next = (value === undefined ? 0 : decodeRevision(value)) + 1;
        const result = await body({
          tx,
          async find(kind, ...names) {
            const row = await tx.get(principalKey(kind, ...names));
            return row && decodePrincipal(kind, row);
          },
          async list(kind, uin, limit) {
            const rows = await tx.peek(prefixRange(principalsPrefix(kind, uin), limit));
            return rows.map((row) => decodePrincipal(kind, row.value));
          },
          async ownsBuckets(uin) {
            await tx.get(accountKey(uin));
            return (await tx.peek(prefixRange(accountBucketsPrefix(uin), 1))).length > 0;
          },
          async keysOf(uin, limit) {
            const rows = await tx.peek(prefixRange(principalsPrefix("holding", uin), limit));
            return rows.map(({ key }) => secretIdOf(key));
          },
          put(kind, row) {
            tx.set(principalRowKey(kind, row), encodePrincipal(row));
            if (isKey(kind, row)) tx.set(principalKey("holding", row.uin, row.secretId), Buffer.alloc(0));
          },
          remove(kind, row) {
            tx.delete(principalRowKey(kind, row));
            if (isKey(kind, row)) tx.delete(principalKey("holding", row.uin, row.secretId));
          },
        });
        tx.set(revisionKey, encodeRevision(next));
        return result;
      });
    },
    async seal() {
      const value = await one(principalKey("seal"));
      return value && decodeSeal(value);
    },
    async putSeal(seal) {
      const key = principalKey("seal");
      return await transact([key], async (tx) => {
        const there = await tx.get(key);
        if (there !== undefined) return decodeSeal(there);
        tx.set(key, encodeSeal(seal));
        return seal;
      });
    },
    async seed() {
      const value = await one(principalKey("seed"));
      return value && decodeSeed(value);
    },
    putSeed({ tx }, seed) {
      tx.set(principalKey("seed"), framed(seed));
    },
  };
}

function isKey(kind: PrincipalKind, row: PrincipalRows[PrincipalKind]): row is KeyRow {
  return kind === "key" && "secretId" in row;
}

/**
 * Reads any row of the family `principal`, for whoever looks whether all of them can be read. Gives the key where the
 * record says it belongs, where it says so.
 * @throws RecordDamaged, RecordFromNewerVersion
 */
export function readPrincipalRow(
  key: Buffer,
  value: Buffer,
): { readonly home: Buffer | undefined; readonly row?: KeyRow } {
  const letter = String.fromCharCode(key[1] ?? 0);
  const [kind] = Object.entries(PRINCIPAL_KIND).find(([, mark]) => mark === letter) ?? [];
  switch (kind) {
    case "revision":
      decodeRevision(value);
      return { home: undefined };
    case "seal":
      decodeSeal(value);
      return { home: undefined };
    case "seed":
      decodeSeed(value);
      return { home: undefined };
    case "holding":
      return { home: undefined };
    case "account":
    case "user":
    case "group":
    case "role":
    case "policy":
      return { home: principalRowKey(kind, decodePrincipal(kind, value)) };
    case "key": {
      const row = decodePrincipal("key", value);
      return { home: principalRowKey("key", row), row };
    }
    default:
      throw new RecordDamaged("the row names no kind");
  }
}
