/** cosbox inside a program, such as a test: `const cosbox = await startCosbox()`. */

import { startServer } from "./assemble.ts";
import { formatListen, type ListenAddress } from "./config/listen-address.ts";
import { loadSettings } from "./config/load-settings.ts";
import { type Settings, SettingsError } from "./config/settings.ts";
import { explanation } from "./diagnose/explain.ts";
import type { DecisionRecord } from "./diagnose/record.ts";
import type { Limits } from "./limits.ts";
import { createLog, type Log, SILENT } from "./log.ts";

export { SettingsError } from "./config/settings.ts";
export type { DecisionRecord } from "./diagnose/record.ts";
export type { Limits } from "./limits.ts";
export type { Log } from "./log.ts";

/** A policy in CAM's grammar, or its JSON. */
export type CosboxPolicy = string | Readonly<Record<string, unknown>>;

/** A key pair of an account or of one of its users. */
export interface CosboxKey {
  readonly secretId: string;
  readonly secretKey: string;
  readonly enabled?: boolean;
}

/** An account and what belongs to it, as `accounts` in cosbox.yaml takes it. */
export interface CosboxAccount {
  readonly uin: string;
  /** May be left out for the root account and those of `credentials`. */
  readonly appid?: string;
  readonly name?: string;
  readonly keys?: readonly CosboxKey[];
  readonly policies?: readonly { readonly name: string; readonly document: CosboxPolicy }[];
  readonly groups?: readonly { readonly name: string; readonly policies?: readonly string[] }[];
  readonly users?: readonly {
    readonly uin: string;
    readonly name?: string;
    readonly groups?: readonly string[];
    readonly policies?: readonly string[];
    readonly keys?: readonly CosboxKey[];
  }[];
  readonly roles?: readonly {
    readonly name: string;
    /** Who may take it on: a policy with principals and without resources. */
    readonly trust: CosboxPolicy;
    readonly policies?: readonly string[];
    readonly sessionSecondsMax?: number;
  }[];
}

/** Any setting of the command, as cosbox.yaml takes it. Neither that file nor the environment is read. */
export interface CosboxOptions extends Partial<Omit<Settings, "listen" | "credentials" | "accounts" | "limits">> {
  /** Default `127.0.0.1:0`: a free port of loopback. */
  readonly listen?: string | ListenAddress;
  readonly credentials?: readonly {
    readonly secretId: string;
    readonly secretKey: string;
    readonly appid?: string;
    readonly uin?: string;
  }[];
  readonly accounts?: readonly CosboxAccount[];
  readonly limits?: Partial<Limits>;
  /** Where the log goes. Without it there is none, unless `logLevel` asks for it on stderr. */
  readonly log?: Log;
}

/** The root account of a running cosbox. */
export interface CosboxCredentials {
  readonly secretId: string;
  readonly secretKey: string;
  readonly appid: string;
  readonly uin: string;
}

/** What `new COS(…)` of cos-nodejs-sdk-v5 needs to reach a running cosbox. */
export interface SdkOptions {
  readonly SecretId: string;
  readonly SecretKey: string;
  readonly Protocol: "http:" | "https:";
  /** Plain HTTP: the SDK keeps the real host names and sends everything here. */
  readonly Proxy?: string;
  /** HTTPS: the SDK connects here and keeps the real `Host`. */
  readonly Ip?: string;
  /** False with `tls: "dev"`, because the SDK has no setting for an authority to trust. */
  readonly StrictSsl?: boolean;
}

/** What a running cosbox has kept of the requests made to it. */
export interface CosboxRequests {
  /** The requests answered last, the newest first, at most `limits.recordsInMemory`. */
  recent(): readonly DecisionRecord[];
  /** The record of a RequestId, or of the TraceId of a refusal. */
  find(id: string): Promise<DecisionRecord | undefined>;
  /** What happened, why, and what to do about it, as text; undefined for an id that is not kept. */
  explain(id: string): Promise<string | undefined>;
}

export interface Cosbox {
  /** `http://127.0.0.1:54321`. */
  readonly endpoint: string;
  readonly port: number;
  readonly region: string;
  readonly credentials: CosboxCredentials;
  /** For the SDK: `new COS({ ...cosbox.options })`. */
  readonly options: SdkOptions;
  readonly requests: CosboxRequests;
  /** The full name of a bucket, which ends in the APPID: `demo` is `demo-1250000000`. */
  bucket(name: string): string;
  /** Finishes the requests under way, within `limits.stopGraceMs`, and forgets everything kept in memory. */
  stop(): Promise<void>;
}

/**
 * Starts a server of its own: in memory, on a free port of loopback, unless `options` say otherwise. Several run at
 * once without seeing each other. Throws SettingsError for an option that cannot stand.
 */
export async function startCosbox(options: CosboxOptions = {}): Promise<Cosbox> {
  const { log, ...given } = options;
  const { settings } = await loadSettings({
    cwd: process.cwd(),
    file: false,
    defaults: { memory: true, listen: { host: "127.0.0.1", port: 0 } },
    options: given,
  });
  if (settings.workers > 1) {
    throw new SettingsError("option workers: a library serves in its own process; several are for cosbox serve");
  }
  const fallback = given.logLevel === undefined ? SILENT : createLog({ level: given.logLevel, out: process.stderr });
  const server = await startServer(settings, { log: log ?? fallback });

  const { appid, region, secretId, secretKey, uin } = settings;
  const secure = settings.tls === "dev" || settings.tlsCert !== "";
  const { endpoint, host, port } = server;
  const sdk = { SecretId: secretId, SecretKey: secretKey };
  const trust = settings.tls === "dev" ? { StrictSsl: false } : {};
  return {
    endpoint,
    port,
    region,
    credentials: { secretId, secretKey, appid, uin },
    options: secure
      ? { ...sdk, Protocol: "https:", Ip: formatListen({ host, port }), ...trust }
      : { ...sdk, Protocol: "http:", Proxy: endpoint },
    requests: {
      recent: () => server.records.recent(),
      find: (id) => server.records.find(id),
      async explain(id) {
        const record = await server.records.find(id);
        return record === undefined ? undefined : explanation(record);
      },
    },
    bucket: (name) => `${name}-${appid}`,
    stop: () => server.stop(settings.limits.stopGraceMs),
  };
}
