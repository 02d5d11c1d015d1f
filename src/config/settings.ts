/**
 * The settings of a server: their names, defaults and ways in. This file holds plain data and imports no library,
 * so that a start without any setting does not pay for checking some; the checks are in settings-schema.ts.
 */

import { LIMITS, type Limits } from "../limits.ts";
import type { ListenAddress } from "./listen-address.ts";

/** The keys of an account besides the root keys. */
export interface ConfiguredCredential {
  readonly secretId: string;
  readonly secretKey: string;
  readonly appid: string;
  readonly uin: string;
}

/** A key pair of an account or of one of its users. */
export interface ConfiguredKey {
  readonly secretId: string;
  readonly secretKey: string;
  /** As it was left where it is undefined; at first a key is enabled. */
  readonly enabled?: boolean | undefined;
}

/** A limit on how often requests may come; `src/rates/rate-limit.ts` says what its fields mean. */
export interface ConfiguredRate {
  readonly id?: string | undefined;
  readonly per: "bucket" | "account" | "server";
  readonly operations?: readonly string[] | undefined;
  readonly bucket?: string | undefined;
  readonly account?: string | undefined;
  readonly perSecond: number;
  readonly burst?: number | undefined;
}

/** A root account with what belongs to it. Documents are JSON; names are those of the same account. */
export interface ConfiguredAccount {
  readonly uin: string;
  readonly appid: string;
  readonly name: string;
  readonly keys: readonly ConfiguredKey[];
  readonly policies: readonly { readonly name: string; readonly document: string }[];
  readonly groups: readonly { readonly name: string; readonly policies: readonly string[] }[];
  readonly users: readonly {
    readonly uin: string;
    readonly name: string;
    readonly groups: readonly string[];
    readonly policies: readonly string[];
    readonly keys: readonly ConfiguredKey[];
  }[];
  readonly roles: readonly {
    readonly name: string;
    readonly trust: string;
    readonly policies: readonly string[];
    readonly sessionSecondsMax: number;
  }[];
}

/** LMDB has room for 126 readers at a time; each process is one, and commands that look at the data are others. */
export const WORKERS_MAX = 100;

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** Everything a person can set, checked and complete. */
export interface Settings {
  readonly listen: ListenAddress;
  /** Absolute path of the folder that holds everything the server keeps. */
  readonly data: string;
  /** Objects and metadata are kept in memory, and gone when the server stops. */
  readonly memory: boolean;
  /** The region that hosts without a region stand for. One of `places.ts`, or of `regions`. */
  readonly region: string;
  /** Regions besides those of `places.ts`. */
  readonly regions: readonly string[];
  /** Domains besides those of `places.ts` under which host names are read; lower case, no leading dot. */
  readonly suffix: readonly string[];
  /** APPID of the root account, decimal digits: the suffix of its buckets' names. */
  readonly appid: string;
  /** UIN of the root account, decimal digits. */
  readonly uin: string;
  readonly secretId: string;
  readonly secretKey: string;
  readonly credentials: readonly ConfiguredCredential[];
  /** Accounts with their users, groups, roles and policies. The root account's own UIN may be among them. */
  readonly accounts: readonly ConfiguredAccount[];
  /** How often requests may come; none by default, so that nobody is slowed who has not asked for it. */
  readonly rates: readonly ConfiguredRate[];
  /** Absolute path of the file with the key that seals stored secrets; "" for `<data>.key`, beside the data folder. */
  readonly sealKey: string;
  /** Makes the key that seals stored secrets in place of the file; "" for none. */
  readonly sealPassphrase: string;
  /** The URL of a key management service that is used in place of the store's own keys; "" for none. */
  readonly kmsEndpoint: string;
  /** The region that is told to it; "" for the server's own. */
  readonly kmsRegion: string;
  /** The key pair it knows this server by; "" for none. */
  readonly kmsSecretId: string;
  readonly kmsSecretKey: string;
  /** The key of it that is used where a client names none; "" for none, and then such requests are refused. */
  readonly kmsKeyId: string;
  readonly errors: "documented" | "observed";
  /** Hosts, and domains above hosts, whose anonymous requests speak S3; lower case, or `*` for all. */
  readonly s3Hosts: readonly string[];
  /** In the S3 dialect, a bucket's name without an APPID stands for the caller's bucket of that name. */
  readonly bareBuckets: boolean;
  /** The S3 dialect refuses what the live service refuses. */
  readonly strictS3: boolean;
  /** Refuses requests of COS clients that leave something unsigned which the protocol lets them. */
  readonly strictSigning: boolean;
  /** Processes that serve, sharing the data folder. 1 serves in the process itself; more only from the command. */
  readonly workers: number;
  readonly profile: "development" | "server";
  /** Allows a listener beyond loopback outside the server profile, where anyone who reaches it knows the keys. */
  readonly allowPublic: boolean;
  /** `group`: an answer means the bytes are on the disk. `none`: the system writes them when it likes. */
  readonly durability: "group" | "none";
  /** Absolute path of a PEM file, the server's certificate first; "" for none. Comes with `tlsKey`. */
  readonly tlsCert: string;
  /** Absolute path of a PEM file with the private key; "" for none. */
  readonly tlsKey: string;
  /** `dev`: HTTPS with a certificate of a local authority, kept in `<data>/tls`. */
  readonly tls: "off" | "dev";
  /** Where the admin listener is; `auto` is the port after `listen`'s, on loopback. */
  readonly admin: ListenAddress | "auto" | "off";
  /** What callers of the admin listener show; "" for nothing, on loopback alone. */
  readonly adminToken: string;
  /** Whether refusals carry `x-cosbox-explain`; `auto` is where the server and its admin listener are on loopback. */
  readonly explainHeader: "auto" | "on" | "off";
  /** Faults as `POST /v1/faults` of the admin listener takes them; checked where they are put in place. */
  readonly faults: readonly Readonly<Record<string, unknown>>[];
  /** Absolute path of a folder or YAML file that a new server begins with; "" for none. */
  readonly seed: string;
  readonly logLevel: LogLevel;
  readonly limits: Limits;
}

export type SettingName = keyof Settings;

/** How a setting is written as text, on the command line or in the environment. */
type TextForm = "text" | "path" | "switch" | "number" | "list" | "pairs";

interface SettingRow<T> {
  readonly default: T;
  readonly form: TextForm;
  /** The flag as the help prints it; absent where a value on a command line would be seen by other users. */
  readonly flag?: string;
  /** The variable; absent where a value does not fit on one line. */
  readonly env?: string;
  /** Completes the help. */
  readonly about: string;
}

/** The published key pair of a development server. Its shape is the real one: 36 and 32 characters. */
export const DEVELOPMENT_SECRET_ID = "AKIDcosboxdevelopment000000000000000";
export const DEVELOPMENT_SECRET_KEY = "cosboxdevelopmentsecretkey000000";

export const SETTINGS: { readonly [Name in SettingName]: SettingRow<Settings[Name]> } = {
  listen: {
    default: { host: "127.0.0.1", port: 9000 },
    form: "text",
    flag: "--listen <host:port>",
    env: "COSBOX_LISTEN",
    about: "where to listen",
  },
  data: { default: ".cosbox", form: "path", flag: "--data <folder>", env: "COSBOX_DATA", about: "where to keep data" },
  memory: {
    default: false,
    form: "switch",
    flag: "--memory",
    env: "COSBOX_MEMORY",
    about: "keep everything in memory; it is gone when the server stops",
  },
  region: {
    default: "ap-guangzhou",
    form: "text",
    flag: "--region <name>",
    env: "COSBOX_REGION",
    about: "the region that hosts without a region stand for",
  },
  regions: {
    default: [],
    form: "list",
    flag: "--regions <names>",
    env: "COSBOX_REGIONS",
    about: "region names besides the service's own, separated by commas",
  },
  suffix: {
    default: [],
    form: "list",
    flag: "--suffix <domains>",
    env: "COSBOX_SUFFIX",
    about: "domains besides myqcloud.com, tencentcos.cn and localhost, separated by commas",
  },
  appid: {
    default: "1250000000",
    form: "text",
    flag: "--appid <digits>",
    env: "COSBOX_APPID",
    about: "APPID of the root account",
  },
  uin: {
    default: "100000000001",
    form: "text",
    flag: "--uin <digits>",
    env: "COSBOX_UIN",
    about: "UIN of the root account",
  },
  secretId: {
    default: DEVELOPMENT_SECRET_ID,
    form: "text",
    env: "COSBOX_SECRET_ID",
    about: "SecretId of the root account",
  },
  secretKey: {
    default: DEVELOPMENT_SECRET_KEY,
    form: "text",
    env: "COSBOX_SECRET_KEY",
    about: "SecretKey of the root account",
  },
  credentials: {
    default: [],
    form: "list",
    about: "more key pairs, each with secretId, secretKey and, if another, appid and uin",
  },
  accounts: {
    default: [],
    form: "list",
    about: "accounts with their users, groups, roles, policies and keys",
  },
  rates: {
    default: [],
    form: "list",
    about: "how often requests may come, each with per (bucket, account, server) and perSecond; or service",
  },
  sealKey: {
    default: "",
    form: "path",
    flag: "--seal-key <file>",
    env: "COSBOX_SEAL_KEY",
    about: "file with the key that seals stored secrets, outside of the data folder; <data>.key unless told",
  },
  sealPassphrase: {
    default: "",
    form: "text",
    env: "COSBOX_SEAL_PASSPHRASE",
    about: "seals stored secrets in place of a key file",
  },
  kmsEndpoint: {
    default: "",
    form: "text",
    flag: "--kms-endpoint <url>",
    env: "COSBOX_KMS_ENDPOINT",
    about: "a KMS for SSE-KMS in place of the local keys, such as https://kms.tencentcloudapi.com",
  },
  kmsRegion: {
    default: "",
    form: "text",
    flag: "--kms-region <name>",
    env: "COSBOX_KMS_REGION",
    about: "region of that KMS; the server's own unless told",
  },
  kmsSecretId: { default: "", form: "text", env: "COSBOX_KMS_SECRET_ID", about: "SecretId for that KMS" },
  kmsSecretKey: { default: "", form: "text", env: "COSBOX_KMS_SECRET_KEY", about: "SecretKey for that KMS" },
  kmsKeyId: {
    default: "",
    form: "text",
    flag: "--kms-key-id <id>",
    env: "COSBOX_KMS_KEY_ID",
    about: "key of that KMS where a client names none; without it those requests are KmsKeyNotExist",
  },
  errors: {
    default: "documented",
    form: "text",
    flag: "--errors <face>",
    env: "COSBOX_ERRORS",
    about: "answer as the error page says (documented) or as the live service is seen to (observed)",
  },
  s3Hosts: {
    default: [],
    form: "list",
    flag: "--s3-hosts <hosts>",
    env: "COSBOX_S3_HOSTS",
    about: "hosts, or domains above them, whose anonymous requests speak S3, separated by commas; * for all",
  },
  bareBuckets: {
    default: false,
    form: "switch",
    flag: "--bare-buckets",
    env: "COSBOX_BARE_BUCKETS",
    about: "for S3 clients, take demo for demo-<APPID of the caller>",
  },
  strictS3: {
    default: false,
    form: "switch",
    flag: "--strict-s3",
    env: "COSBOX_STRICT_S3",
    about: "refuse S3 clients what the live service refuses, such as aws-chunked bodies",
  },
  strictSigning: {
    default: false,
    form: "switch",
    flag: "--strict-signing",
    env: "COSBOX_STRICT_SIGNING",
    about: "refuse COS signatures that leave out the host, an x-cos- header, a parameter or a field of a form",
  },
  workers: {
    default: 1,
    form: "number",
    flag: "--workers <count>",
    env: "COSBOX_WORKERS",
    about: "server processes that share the data folder; one per core unless told, always 1 with --memory",
  },
  profile: {
    default: "development",
    form: "text",
    flag: "--profile <name>",
    env: "COSBOX_PROFILE",
    about: "development, or server: no published keys, may listen beyond this machine",
  },
  allowPublic: {
    default: false,
    form: "switch",
    flag: "--allow-public",
    env: "COSBOX_ALLOW_PUBLIC",
    about: "listen beyond this machine without the server profile",
  },
  durability: {
    default: "group",
    form: "text",
    flag: "--durability <tier>",
    env: "COSBOX_DURABILITY",
    about: "group: on the disk before the answer; none: faster, a power cut loses the latest",
  },
  tlsCert: {
    default: "",
    form: "path",
    flag: "--tls-cert <file>",
    env: "COSBOX_TLS_CERT",
    about: "certificate for HTTPS, PEM; read again when it changes",
  },
  tlsKey: {
    default: "",
    form: "path",
    flag: "--tls-key <file>",
    env: "COSBOX_TLS_KEY",
    about: "private key for HTTPS, PEM",
  },
  tls: {
    default: "off",
    form: "text",
    flag: "--tls <kind>",
    env: "COSBOX_TLS",
    about: "dev: HTTPS with a certificate of a local authority; off",
  },
  admin: {
    default: "auto",
    form: "text",
    flag: "--admin <host:port>",
    env: "COSBOX_ADMIN",
    about: "where the admin listener is; auto is 127.0.0.1 and the port after --listen's; off",
  },
  adminToken: {
    default: "",
    form: "text",
    env: "COSBOX_ADMIN_TOKEN",
    about: "what callers of the admin listener send as Authorization: Bearer; needed beyond loopback",
  },
  explainHeader: {
    default: "auto",
    form: "text",
    flag: "--explain-header <when>",
    env: "COSBOX_EXPLAIN_HEADER",
    about: "whether refusals tell where they are explained: on, off, or auto for on loopback",
  },
  faults: {
    default: [],
    form: "list",
    about: "faults from the start on, each as the admin listener takes them",
  },
  seed: {
    default: "",
    form: "path",
    flag: "--seed <folder or file>",
    env: "COSBOX_SEED",
    about: "what a new server begins with: a folder whose sub-folders are buckets, or a YAML file",
  },
  logLevel: {
    default: "info",
    form: "text",
    flag: "--log-level <level>",
    env: "COSBOX_LOG_LEVEL",
    about: "debug, info, warn, error or silent",
  },
  limits: {
    default: LIMITS,
    form: "pairs",
    flag: "--limit <name=value>",
    env: "COSBOX_LIMITS",
    about: "bounds to change, separated by commas, such as partBytesMin=1024",
  },
};

export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/** The name by which commander, and the flag layer, know a setting's flag: `--tls-cert <file>` is `tlsCert`. */
export function flagKey(flag: string): string {
  const words = flag.split(" ", 1)[0]?.slice(2).split("-") ?? [];
  return words.map((word, at) => (at === 0 ? word : word.charAt(0).toUpperCase() + word.slice(1))).join("");
}

/** A setting that cannot stand. The message is one line: where it was set, what was expected, what was found. */
export class SettingsError extends Error {
  override readonly name = "SettingsError";
}
