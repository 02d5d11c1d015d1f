/**
 * Fills a server with what a seed says: accounts, buckets with their configurations, and objects, by the same requests
 * that clients make; folders as `cosbox import` does it. A seed adds to what is there: a bucket that its owner has already
 * is taken as it is, and an object takes the place of the one that has its key. What is refused ends it, and stands in the
 * message with its place; what was done before stays.
 */

import { AccountFault, type Administration } from "../accounts/administration.ts";
import type { CheckedSeed, SeedBucket, SeedDocument, SeedObject } from "../config/seed.ts";
import { SettingsError } from "../config/settings.ts";
import { eachAtOnce, openToRead, chunksOf, subfoldersOf } from "../folders/files.ts";
import { bucketFor, importInto, listOf } from "../folders/import-folder.ts";
import type { Sidecar } from "../folders/sidecar.ts";
import type { Limits } from "../limits.ts";
import type { BucketRecord } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import { el, leaf, nodes, optional, xmlDocument } from "../xml/write.ts";
import type { Asked, Keys, Told } from "./ask.ts";
import { copyFrom } from "./copy-from.ts";

export { asker } from "./ask.ts";

/** An account with keys. */
export interface SeedAccount extends Keys {
  readonly uin: string;
  readonly appid: string;
}

export interface SeederParts {
  readonly ask: (asked: Asked) => Promise<Told>;
  readonly store: Store;
  readonly accounts: Administration;
  /** The root account of the settings. */
  readonly root: SeedAccount;
  /** The region of buckets that name none. */
  readonly region: string;
  /** Whether buckets can be in a region. */
  readonly isRegion: (region: string) => boolean;
  readonly limits: Limits;
  /** Whoever a SecretId stands for; undefined for nobody. */
  readonly accountOf: (secretId: string) => Promise<SeedAccount | undefined>;
  /** Time to sign with, of the machine, ms since 1970. */
  readonly now: () => number;
}

/** What a seed came to. */
export interface Seeded {
  readonly buckets: number;
  readonly objects: number;
  /** Of all these objects. */
  readonly bytes: number;
}

/** Fills the server. @throws SettingsError for what is refused. */
export type Seeder = (seed: CheckedSeed) => Promise<Seeded>;

/** Objects under way at once; those of one key follow each other. */
const OBJECTS_AT_ONCE = 16;
/** Files that keep a folder in a repository, or that a system leaves in it. */
const NO_OBJECTS = new Set([".gitkeep", ".DS_Store", "Thumbs.db"]);

type Where = readonly PropertyKey[];
type Place = (where: Where) => string;

const tagsDocument = (tags: Readonly<Record<string, string>>): string =>
  xmlDocument(
    el(
      "Tagging",
      el(
        "TagSet",
        nodes(Object.entries(tags).map(([key, value]) => el("Tag", leaf("Key", key), leaf("Value", value)))),
      ),
    ),
  );

const corsDocument = (rules: NonNullable<SeedBucket["cors"]>): string =>
  xmlDocument(
    el(
      "CORSConfiguration",
      nodes(
        rules.map(({ origins, methods, headers = [], exposeHeaders = [], maxAgeSeconds }) =>
          el(
            "CORSRule",
            nodes(origins.map((one) => leaf("AllowedOrigin", one))),
            nodes(methods.map((one) => leaf("AllowedMethod", one))),
            nodes(headers.map((one) => leaf("AllowedHeader", one))),
            nodes(exposeHeaders.map((one) => leaf("ExposeHeader", one))),
            optional("MaxAgeSeconds", maxAgeSeconds),
          ),
        ),
      ),
    ),
  );

/** The headers of an object, by their names. */
function headersOf({ headers = {}, contentType, tags, acl, storageClass }: SeedObject): Record<string, string> {
  const tagging = new URLSearchParams(tags).toString();
  return {
    ...headers,
    ...(contentType !== undefined && { "Content-Type": contentType }),
    ...(tagging !== "" && { "x-cos-tagging": tagging }),
    ...(acl !== undefined && { "x-cos-acl": acl }),
    ...(storageClass !== undefined && { "x-cos-storage-class": storageClass }),
  };
}

/** The seeder of one server. */
export function seeder(parts: SeederParts): Seeder {
  const { ask, store, root, limits } = parts;

  async function asked(place: string, request: Asked, allowed: readonly string[] = []): Promise<Told> {
    const told = await ask(request);
    if (told.code === undefined || allowed.includes(told.code)) return told;
    const { method, bucket, key, parameter } = request;
    const what = `${method} ${bucket}${key === undefined ? "" : `/${key}`}${parameter === undefined ? "" : `?${parameter}`}`;
    throw new SettingsError(`${place}: ${what} was refused: ${told.code}: ${told.message}`);
  }

  async function putAccounts(accounts: NonNullable<SeedDocument["accounts"]>, place: Place): Promise<void> {
    const { accounts: administration } = parts;
    const present = await administration.accounts();
    for (const [at, account] of accounts.entries()) {
      const { uin, name, keys, policies, groups, roles, users } = account;
      try {
        const known = present.find((one) => one.uin === uin);
        const appid = account.appid ?? known?.appid;
        if (appid === undefined) throw new AccountFault("Invalid", `account ${uin} has no appid`);
        if (known?.fixed !== true) await administration.putAccount({ uin, appid, name });
        else if (appid !== known.appid) {
          throw new AccountFault("InUse", `account ${uin} has APPID ${known.appid}, by the settings`);
        }
        for (const policy of policies) await administration.putPolicy({ uin, ...policy });
        for (const group of groups) await administration.putGroup({ uin, ...group });
        for (const role of roles) await administration.putRole({ uin, ...role });
        for (const { uin: user, keys: _keys, ...rest } of users) await administration.putUser({ uin, user, ...rest });
        for (const holder of [{ uin, keys }, ...users]) {
          for (const key of holder.keys) await administration.putKey({ uin, user: holder.uin, ...key });
        }
      } catch (error) {
        if (!(error instanceof AccountFault)) throw error;
        throw new SettingsError(`${place(["accounts", at])}: ${error.message}`);
      }
    }
  }

  async function ownerOf({ owner }: SeedBucket, place: string): Promise<SeedAccount> {
    if (owner === undefined) return root;
    const found = await parts.accountOf(owner);
    if (found === undefined) throw new SettingsError(`${place}: expected the SecretId of an enabled key`);
    return found;
  }

  /** Makes a bucket, or takes the one that is there. */
  async function makeBucket(
    place: Place,
    where: Where,
    wanted: Pick<SeedBucket, "name" | "region" | "acl">,
    owner: SeedAccount,
  ): Promise<{ readonly target: Pick<Asked, "bucket" | "region" | "keys">; readonly record: BucketRecord }> {
    const bucket = wanted.name.endsWith(`-${owner.appid}`) ? wanted.name : `${wanted.name}-${owner.appid}`;
    const keys = { secretId: owner.secretId, secretKey: owner.secretKey };
    const present = await store.buckets.find(bucket);
    const region = wanted.region ?? present?.region ?? parts.region;
    if (!parts.isRegion(region)) {
      throw new SettingsError(
        `${place([...where, "region"])}: expected a known region, found ${JSON.stringify(region)}`,
      );
    }
    const target = { bucket, region, keys };
    const acl: Record<string, string> = wanted.acl === undefined ? {} : { "x-cos-acl": wanted.acl };
    const request = { ...target, method: "PUT", headers: acl } as const;
    const { code } = await asked(place([...where, "name"]), request, ["BucketAlreadyOwnedByYou"]);
    if (code !== undefined && wanted.acl !== undefined) {
      await asked(place([...where, "acl"]), { ...request, parameter: "acl" });
    }
    const record = await store.buckets.find(bucket);
    if (record === undefined) throw new SettingsError(`${place(where)}: bucket ${bucket} has gone`);
    return { target, record };
  }

  async function putObject(
    target: Pick<Asked, "bucket" | "region" | "keys">,
    object: SeedObject,
    place: string,
  ): Promise<number> {
    const { key, text, base64, json, file } = object;
    const request = { ...target, method: "PUT", key, headers: headersOf(object) } as const;
    if (file === undefined) {
      const body = Buffer.from(
        base64 ?? text ?? (json === undefined ? "" : JSON.stringify(json)),
        base64 === undefined ? "utf8" : "base64",
      );
      await asked(place, { ...request, body });
      return body.length;
    }
    const handle = await openToRead(file).catch((error: NodeJS.ErrnoException) => {
      throw new SettingsError(`${place}: ${file} cannot be read (${error.code ?? error.message})`);
    });
    try {
      const { size } = await handle.stat();
      await asked(place, { ...request, body: { length: size, chunks: chunksOf(handle, size) } });
      return size;
    } finally {
      await handle.close();
    }
  }

  async function seeded({ document, place }: CheckedSeed): Promise<Seeded> {
    const totals = { buckets: 0, objects: 0, bytes: 0 };
    const stored = (bytes: number): void => {
      totals.objects += 1;
      totals.bytes += bytes;
    };

    async function fromFolder(
      record: BucketRecord,
      folder: string,
      list: Sidecar | undefined,
      at: string,
    ): Promise<void> {
      await importInto(store, record, folder, list, {
        limits,
        onStored: stored,
        isLeftOut: (name) => NO_OBJECTS.has(name.slice(name.lastIndexOf("/") + 1)),
        onRefused(name, why) {
          throw new SettingsError(`${at}: ${folder}/${name}: ${why}`);
        },
      });
    }

    async function putBucket(wanted: SeedBucket, at: number): Promise<void> {
      const where = ["buckets", at];
      const told = (...steps: PropertyKey[]): string => place([...where, ...steps]);
      const owner = await ownerOf(wanted, told("owner"));
      const { target, record } = await makeBucket(place, where, wanted, owner);
      totals.buckets += 1;
      const configure = (parameter: string, body: string, ...steps: PropertyKey[]): Promise<Told> =>
        asked(told(...steps), { ...target, method: "PUT", parameter, body });
      const {
        versioning,
        tags,
        cors,
        documents: { policy: policyDocument, ...documents } = {},
        folder,
        objects = [],
      } = wanted;
      if (versioning !== undefined) {
        const body = xmlDocument(el("VersioningConfiguration", leaf("Status", versioning)));
        await configure("versioning", body, "versioning");
      }
      for (const [name, text] of Object.entries(documents)) await configure(name, text, "documents", name);
      if (cors !== undefined) await configure("cors", corsDocument(cors), "cors");
      if (tags !== undefined) await configure("tagging", tagsDocument(tags), "tags");
      if (folder !== undefined) await fromFolder(record, folder, await listOf(folder), told("folder"));
      const once = new Set(objects.map(({ key }) => key)).size === objects.length;
      await eachAtOnce(objects.entries(), once ? OBJECTS_AT_ONCE : 1, async ([number, object]) => {
        stored(await putObject(target, object, told("objects", number)));
      });
      // Last, since it may deny what came before.
      if (policyDocument !== undefined) await configure("policy", policyDocument, "documents", "policy");
      const { policy } = wanted;
      if (policy !== undefined) {
        await configure("policy", typeof policy === "string" ? policy : JSON.stringify(policy), "policy");
      }
    }

    /** A folder of folders, each a bucket; or an export, which is one. */
    async function putFolder(folder: string): Promise<void> {
      const at = place(["folder"]);
      const whole = await listOf(folder);
      for (const name of whole === undefined ? await subfoldersOf(folder, at) : [""]) {
        const path = name === "" ? folder : `${folder}/${name}`;
        const list = whole ?? (await listOf(path));
        const exported = list?.bucket;
        const called = name === "" ? (exported?.bucket.replace(/-\d+$/, "") ?? "") : name;
        const bucket = called.endsWith(`-${root.appid}`) ? called : `${called}-${root.appid}`;
        const region = exported !== undefined && parts.isRegion(exported.region) ? exported.region : parts.region;
        const settings = { ...root, limits, region };
        const record = await bucketFor(store, bucket, settings, exported && { ...exported, region }).catch(
          (error: unknown) => {
            throw error instanceof SettingsError ? new SettingsError(`${at}: ${path}: ${error.message}`) : error;
          },
        );
        totals.buckets += 1;
        await fromFolder(record, path, list, at);
      }
    }

    const { accounts, buckets, folder, from } = document;
    if (accounts !== undefined) await putAccounts(accounts, place);
    if (folder !== undefined) await putFolder(folder);
    for (const [at, bucket] of (buckets ?? []).entries()) await putBucket(bucket, at);
    if (from !== undefined) {
      const at = place(["from"]);
      await copyFrom(from, {
        now: parts.now,
        at,
        async bucket(found) {
          const region = parts.isRegion(found.region) ? found.region : undefined;
          const { target } = await makeBucket(() => at, [], { name: found.name, region, acl: found.acl }, root);
          totals.buckets += 1;
          return {
            name: target.bucket,
            configure: async (parameter, body) => {
              await asked(at, { ...target, method: "PUT", parameter, body });
            },
            store: async (key, headers, body) => {
              const told = await asked(at, { ...target, method: "PUT", key, headers, body });
              stored(body.length);
              return told.header("x-cos-hash-crc64ecma");
            },
          };
        },
      });
    }
    return totals;
  }
  return seeded;
}
