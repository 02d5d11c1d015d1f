/**
 * A client of the admin listener, for the command and for programs: `adminClient({ endpoint: "http://127.0.0.1:9001" })`.
 * Every method throws AdminCallRefused for a refusal, and Error where nobody answers.
 */

import { request as httpRequest } from "node:http";
import { StringDecoder } from "node:string_decoder";
import type { SdkOptions } from "../control/sdk-options.ts";
import type { ClockState } from "../control/clock-control.ts";
import type { Coverage } from "../diagnose/coverage.ts";
import type { DecisionRecord } from "../diagnose/record.ts";
import type { SeedDocument } from "../config/seed.ts";
import type { Seeded } from "../seed/seed.ts";
import type { CountedFault, FaultRequest } from "../faults/fault.ts";
import type { RateRequest } from "../rates/rate-limit.ts";
import type { SetState, StateName, StateSubject } from "../states/state.ts";

export interface AdminClientOptions {
  /** Such as `http://127.0.0.1:9001`. */
  readonly endpoint: string;
  readonly token?: string;
  /** How long a call may take, ms; any time by default. What follows requests may take longer. */
  readonly timeoutMs?: number;
}

/** The clock as the listener tells it; times are ISO 8601. */
export interface ClockTold {
  readonly mode: ClockState["mode"];
  readonly now: string;
  readonly real: string;
  readonly offsetMs: number;
}

/** Which requests are listed. */
export interface RequestFilter {
  /** 100 unless told, 1,000 at most. */
  readonly limit?: number;
  readonly status?: number;
  readonly error?: string;
  readonly bucket?: string;
  readonly operation?: string;
  /** ISO 8601. */
  readonly since?: string;
}

/** What `PUT /v1/clock` takes. */
export type ClockWanted =
  | { readonly mode: "real" }
  | { readonly mode: "offset"; readonly offsetMs: number }
  | { readonly mode: "offset"; readonly at: string }
  | { readonly mode: "frozen"; readonly at?: string };

/** A state as the listener tells it; `since` is ISO 8601. */
export type StateTold = Omit<SetState, "sinceMs"> & { readonly since: string };

/** Work in the background as the listener tells it; `due` is ISO 8601, of virtual time, null where nothing waits. */
export interface WorkerTold {
  readonly name: string;
  readonly due: string | null;
  readonly statistics: Readonly<Record<string, number>>;
}

/** A snapshot as the listener tells it; `taken` is ISO 8601, of virtual time. */
export interface SnapshotAnswer {
  readonly name: string;
  readonly taken: string;
  /** Of everything in it; it takes less, since what has not changed is there once. */
  readonly bytes: number;
}

/** What belongs to an account, as it is in a path: `users`, with the user's UIN as its name, and so on. */
export type OwnedPlural = "users" | "groups" | "policies" | "roles";

/** A key as it is told when it is made: this once with its secret. */
export interface CreatedKey {
  readonly secretId: string;
  readonly secretKey: string;
  readonly uin: string;
  readonly user: string;
}

/** The limits in force, and whether they stand in place of those of the settings. */
export interface RatesTold {
  readonly rates: readonly RateRequest[];
  readonly changed: boolean;
}

export interface AdminClient {
  /** Makes a root account, or changes its name. */
  putAccount(uin: string, account: { readonly appid: string; readonly name?: string }): Promise<void>;
  removeAccount(uin: string): Promise<void>;
  /** Makes a user, a group, a policy or a role of an account, or puts it in place of the one of that name. */
  putOwned(uin: string, plural: OwnedPlural, name: string, owned: Readonly<Record<string, unknown>>): Promise<void>;
  removeOwned(uin: string, plural: OwnedPlural, name: string): Promise<void>;
  /** Makes a key of an account or, where `user` is told, of that user. */
  createKey(uin: string, user?: string): Promise<CreatedKey>;
  setKey(secretId: string, enabled: boolean): Promise<void>;
  removeKey(secretId: string): Promise<void>;
  clock(): Promise<ClockTold>;
  setClock(wanted: ClockWanted): Promise<ClockTold>;
  /** `by` is a duration such as `30d`. */
  advanceClock(by: string): Promise<ClockTold>;
  faults(): Promise<readonly CountedFault[]>;
  /** Gives the fault's id. */
  setFault(fault: FaultRequest): Promise<string>;
  removeFault(id: string): Promise<void>;
  clearFaults(): Promise<void>;
  /** What is in a state other than active. */
  states(): Promise<readonly StateTold[]>;
  rates(): Promise<RatesTold>;
  /** Puts limits in place of all others; `service` for the service's own. */
  setRates(rates: readonly RateRequest[] | "service"): Promise<RatesTold>;
  /** Lets those of the settings hold again. */
  resetRates(): Promise<RatesTold>;
  /** Puts an account, a bucket, an object or, where none is named, the server into a state; `active` takes it out. */
  setState(change: StateSubject & { readonly state: StateName | "active" }): Promise<void>;
  /** The newest first. */
  requests(filter?: RequestFilter): Promise<readonly DecisionRecord[]>;
  request(id: string): Promise<{
    readonly record: DecisionRecord;
    readonly explanation: string;
    /** The same request as a command, and as a call of the Node.js SDK. */
    readonly curl: string;
    readonly node?: string;
  }>;
  /** Requests as they are answered, until `signal` is aborted or the server ends. */
  follow(signal?: AbortSignal): AsyncIterable<DecisionRecord>;
  /** What is done in the background, when it is due next and what it did last. */
  workers(): Promise<readonly WorkerTold[]>;
  /** Does what is due at present; resolves when it is done. */
  runWorker(name: string): Promise<WorkerTold>;
  coverage(): Promise<Coverage>;
  namespaces(): Promise<readonly NamespaceTold[]>;
  /** Makes a namespace; `replace` removes the one that has the name. Without a name it gets one of its own. */
  createNamespace(wanted?: { readonly name?: string; readonly replace?: boolean }): Promise<RemoteNamespace>;
  removeNamespace(name: string): Promise<void>;
  /** While something is locked it is refused, unless it is forced. */
  reset(options?: { readonly force?: boolean }): Promise<void>;
  /** Fills the server with accounts, buckets and objects; a seed that names paths or another server is refused. */
  seed(seed: SeedDocument): Promise<Seeded>;
  /** Snapshots of a server in memory, the oldest first. */
  snapshots(): Promise<readonly SnapshotAnswer[]>;
  /** Takes one of everything as it is; one of the same name gives way. */
  takeSnapshot(name?: string): Promise<SnapshotAnswer>;
  /** Puts everything back. While something is locked that would go it is refused, unless it is forced. */
  restoreSnapshot(name: string, options?: { readonly force?: boolean }): Promise<void>;
  removeSnapshot(name: string): Promise<void>;
  ready(): Promise<{ readonly ready: boolean; readonly troubles: readonly string[] }>;
}

/** A namespace, and what a test needs to use it. */
export interface NamespaceTold {
  readonly name: string;
  /** What the names of its buckets end in. */
  readonly appid: string;
  readonly uin: string;
  readonly secretId: string;
  readonly secretKey: string;
  readonly region: string;
  /** The server's own. */
  readonly endpoint: string;
  /** For the SDK: `new COS({ ...namespace.options })`. */
  readonly options: SdkOptions;
  /** The endpoint of an `adminClient` that is about this namespace alone. */
  readonly admin: string;
}

/** A namespace in the hands of its maker. */
export interface RemoteNamespace extends NamespaceTold {
  /** The full name of a bucket of it. */
  bucket(name: string): string;
  /** Its own clock, faults, requests, reset and so on. */
  readonly client: AdminClient;
  remove(): Promise<void>;
}

/** A refusal of the listener. */
export class AdminCallRefused extends Error {
  override readonly name = "AdminCallRefused";
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

type Answered = { readonly status: number; readonly chunks: AsyncIterable<Buffer> };

export function adminClient({ endpoint, token = "", timeoutMs }: AdminClientOptions): AdminClient {
  const base = endpoint.replace(/\/$/, "");
  const authorization: Record<string, string> = token === "" ? {} : { Authorization: `Bearer ${token}` };

  function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Answered> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const type: Record<string, string> = text === undefined ? {} : { "Content-Type": "application/json" };
    return new Promise((resolve, reject) => {
      const options = { method, headers: { ...authorization, ...type }, ...(signal && { signal }) };
      const request = httpRequest(`${base}${path}`, options, (response) => {
        resolve({ status: response.statusCode ?? 0, chunks: response });
      });
      request.on("error", reject);
      request.end(text);
    });
  }

  async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const limit = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
    const { status, chunks } = await send(method, path, body, limit);
    return await read<T>(status, chunks);
  }

  async function read<T>(status: number, chunks: Answered["chunks"]): Promise<T> {
    const parts: Buffer[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    let told: T & { readonly error?: { readonly code: string; readonly message: string } };
    try {
      told = JSON.parse(Buffer.concat(parts).toString("utf8"));
    } catch {
      throw new AdminCallRefused(status, "NoAdminListener", `what answers at ${base} is no admin listener of cosbox`);
    }
    if (told.error !== undefined) throw new AdminCallRefused(status, told.error.code, told.error.message);
    return told;
  }

  async function* follow(signal?: AbortSignal): AsyncGenerator<DecisionRecord> {
    const { status, chunks } = await send("GET", "/v1/requests/stream", undefined, signal);
    if (status !== 200) await read(status, chunks);
    const decoder = new StringDecoder("utf8");
    let text = "";
    for await (const chunk of chunks) {
      text += decoder.write(chunk);
      const events = text.split("\n\n");
      text = events.pop() ?? "";
      for (const event of events) if (event.startsWith("data: ")) yield JSON.parse(event.slice(6)) as DecisionRecord;
    }
  }

  const ownedPath = (uin: string, plural: OwnedPlural, name: string): string =>
    `/v1/accounts/${encodeURIComponent(uin)}/${plural}/${encodeURIComponent(name)}`;

  async function removeNamespace(name: string): Promise<void> {
    await call("DELETE", `/v1/namespaces/${encodeURIComponent(name)}`);
  }

  return {
    async putAccount(uin, account) {
      await call("PUT", `/v1/accounts/${encodeURIComponent(uin)}`, account);
    },
    async removeAccount(uin) {
      await call("DELETE", `/v1/accounts/${encodeURIComponent(uin)}`);
    },
    async putOwned(uin, plural, name, owned) {
      await call("PUT", ownedPath(uin, plural, name), owned);
    },
    async removeOwned(uin, plural, name) {
      await call("DELETE", ownedPath(uin, plural, name));
    },
    createKey: (uin, user) =>
      call("POST", `/v1/accounts/${encodeURIComponent(uin)}/keys`, user === undefined ? {} : { user }),
    async setKey(secretId, enabled) {
      await call("PUT", `/v1/keys/${encodeURIComponent(secretId)}`, { enabled });
    },
    async removeKey(secretId) {
      await call("DELETE", `/v1/keys/${encodeURIComponent(secretId)}`);
    },
    clock: () => call("GET", "/v1/clock"),
    setClock: (wanted) => call("PUT", "/v1/clock", wanted),
    advanceClock: (by) => call("POST", "/v1/clock/advance", { by }),
    faults: async () => (await call<{ faults: CountedFault[] }>("GET", "/v1/faults")).faults,
    setFault: async (fault) => (await call<{ id: string }>("POST", "/v1/faults", fault)).id,
    async removeFault(id) {
      await call("DELETE", `/v1/faults/${encodeURIComponent(id)}`);
    },
    async clearFaults() {
      await call("DELETE", "/v1/faults");
    },
    rates: () => call("GET", "/v1/rates"),
    setRates: (rates) => call("PUT", "/v1/rates", { rates }),
    resetRates: () => call("DELETE", "/v1/rates"),
    states: async () => (await call<{ states: StateTold[] }>("GET", "/v1/states")).states,
    async setState(change) {
      await call("PUT", "/v1/states", change);
    },
    async requests(filter = {}) {
      const query = new URLSearchParams(
        Object.entries(filter).map(([name, value]): [string, string] => [name, String(value)]),
      );
      return (await call<{ requests: DecisionRecord[] }>("GET", `/v1/requests?${query.toString()}`)).requests;
    },
    request: (id) => call("GET", `/v1/requests/${encodeURIComponent(id)}`),
    follow,
    workers: async () => (await call<{ workers: WorkerTold[] }>("GET", "/v1/workers")).workers,
    runWorker: (name) => call("POST", `/v1/workers/${encodeURIComponent(name)}/run`),
    coverage: () => call("GET", "/v1/coverage"),
    async reset({ force = false } = {}) {
      await call("POST", "/v1/reset", { force });
    },
    seed: (seed) => call("POST", "/v1/seed", seed),
    snapshots: async () => (await call<{ snapshots: SnapshotAnswer[] }>("GET", "/v1/snapshots")).snapshots,
    takeSnapshot: (name) => call("POST", "/v1/snapshots", name === undefined ? {} : { name }),
    async restoreSnapshot(name, { force = false } = {}) {
      await call("POST", `/v1/snapshots/${encodeURIComponent(name)}/restore`, { force });
    },
    async removeSnapshot(name) {
      await call("DELETE", `/v1/snapshots/${encodeURIComponent(name)}`);
    },
    namespaces: async () => (await call<{ namespaces: NamespaceTold[] }>("GET", "/v1/namespaces")).namespaces,
    async createNamespace(wanted = {}) {
      const told = await call<NamespaceTold>("POST", "/v1/namespaces", wanted);
      return {
        ...told,
        bucket: (name) => `${name}-${told.appid}`,
        client: adminClient({ endpoint: told.admin, token, ...(timeoutMs !== undefined && { timeoutMs }) }),
        remove: () => removeNamespace(told.name),
      };
    },
    removeNamespace,
    ready: () => call("GET", "/readyz"),
  };
}
