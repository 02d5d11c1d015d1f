/**
 * Namespaces: servers in memory that share the listener of another one, for tests that run at the same time. Each has an
 * account, buckets, a clock, faults, records and everything else of its own. A request belongs to the one whose SecretId
 * signed it; where that says nothing, to the one in whose APPID its bucket's name ends; and else to the server itself.
 */

import { KindFault } from "../errors/kind-fault.ts";
import type { Claims } from "../addressing/claims.ts";
import type { SdkOptions } from "../control/sdk-options.ts";
import type { ServerControl } from "../control/server-control.ts";
import type { Recorder } from "../diagnose/recorder.ts";
import type { CosError } from "../errors/cos-error.ts";
import type { Answer, Handler } from "../http/answer.ts";
import { heldUntilSent } from "../http/chunks.ts";
import { ReadRequest, type WireRequest } from "../http/request.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";

/** Why there is no such namespace, as a word and a sentence. */
export type NamespaceFaultKind =
  | "InvalidName"
  | "NamespaceExists"
  | "NotOnServers"
  | "SeveralProcesses"
  | "TooManyNamespaces";

/** Raised where no namespace is made. */
export class NamespaceFault extends KindFault<NamespaceFaultKind> {
  override readonly name = "NamespaceFault";
}

/** The root account of a namespace. */
export interface NamespaceRoot {
  readonly appid: string;
  readonly uin: string;
  readonly secretId: string;
  readonly secretKey: string;
}

/** What a namespace consists of, behind the listener. */
export interface NamespaceCore {
  readonly handler: Handler;
  writeError(error: CosError, request: WireRequest): Answer;
  readonly control: ServerControl;
  readonly records: Recorder;
  readonly clock: Clock;
  /** Whether the SecretId is one of this namespace's, also of a temporary key that has expired. */
  knows(secretId: string, token: string | undefined): Promise<boolean>;
  close(): Promise<void>;
}

export interface Namespace extends Pick<NamespaceCore, "control" | "records"> {
  readonly name: string;
  readonly root: NamespaceRoot;
  /** For the SDK. */
  readonly options: SdkOptions;
  /** Where the calls of the admin listener are that are about it; undefined without a listener. */
  readonly admin: string | undefined;
}

export interface NamespaceControl {
  /** In the order in which they were made. */
  list(): readonly Namespace[];
  find(name: string): Namespace | undefined;
  /**
   * Makes one, with a name of its own where none is asked for. `replace` removes the one that has the name.
   * @throws NamespaceFault
   */
  create(wanted?: { readonly name?: string | undefined; readonly replace?: boolean | undefined }): Promise<Namespace>;
  /**
   * Removes one with all that is in it. Requests under way are finished, and their answers sent, for as long as a server
   * that stops waits for its own; later ones are the server's own, which knows neither key nor bucket. False where there
   * is none of this name.
   */
  remove(name: string): Promise<boolean>;
}

/** A form that says in its body who signed it, read for that: from then on `request` stands for it. */
export interface SignedForm extends Pick<Claims, "secretId" | "token"> {
  readonly request: WireRequest;
}

export interface NamespacesOptions {
  /** How many there may be. */
  readonly namespacesMax: number;
  /** `server` has no namespaces. */
  readonly profile: "development" | "server";
  /** Serving processes: what one of them keeps in memory, the others do not have. */
  readonly processes: number;
  readonly random: Random;
  readonly clock: Clock;
  /** How long the requests under way have when a namespace is removed, ms. */
  readonly graceMs: number;
  readonly claimsOf: (request: WireRequest) => Claims;
  /** Reads the form of a request that is not signed elsewhere; undefined for one that is no such form. */
  readonly readForm: (request: WireRequest) => Promise<SignedForm> | undefined;
  /** Whether the SecretId is one of the server's settings. */
  readonly isOwn: (secretId: string) => boolean;
  /** Whether an account of the server has this APPID. */
  readonly isTaken: (appid: string) => Promise<boolean>;
  readonly newPair: () => { readonly secretId: string; readonly secretKey: string };
  readonly open: (name: string, root: NamespaceRoot) => Promise<NamespaceCore>;
  /** What those need who want to reach it. */
  readonly reach: (name: string, root: NamespaceRoot) => Pick<Namespace, "options" | "admin">;
}

/** A name stands in the path of the admin listener's calls. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** The first APPID and UIN of a namespace; none is given twice while the server runs. */
const FIRST_APPID = 1_900_000_001;
const FIRST_UIN = 200_000_000_001;
const NAME_BYTES = 6;

/** One that answers. */
class Open implements Namespace {
  readonly name: string;
  readonly root: NamespaceRoot;
  readonly options: SdkOptions;
  readonly admin: string | undefined;
  readonly core: NamespaceCore;
  /** Requests whose answers still need what is stored here. */
  #underWay = 0;
  #idle: (() => void) | undefined;

  constructor(name: string, root: NamespaceRoot, core: NamespaceCore, reach: Pick<Namespace, "options" | "admin">) {
    this.name = name;
    this.root = root;
    this.core = core;
    this.options = reach.options;
    this.admin = reach.admin;
  }

  get control(): ServerControl {
    return this.core.control;
  }

  get records(): Recorder {
    return this.core.records;
  }

  /** Answers by this namespace's own time. */
  async handle(request: WireRequest): Promise<Answer> {
    const { clock, handler } = this.core;
    this.#underWay += 1;
    try {
      const answer = await handler(new ReadRequest(request, { receivedAt: clock.now() }));
      return heldUntilSent({ ...answer, dateMs: clock.now() }, () => this.#done());
    } catch (error) {
      this.#done();
      throw error;
    }
  }

  #done(): void {
    this.#underWay -= 1;
    if (this.#underWay === 0) this.hurry();
  }

  /** Resolves when no request is under way, after `graceMs`, or when somebody is in a hurry. */
  async idle(clock: Clock, graceMs: number): Promise<void> {
    if (this.#underWay === 0) return;
    await new Promise<void>((resolve) => {
      const timer = clock.after(graceMs, resolve);
      this.#idle = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  /** Ends the wait for requests under way, where there is one. */
  hurry(): void {
    this.#idle?.();
  }
}

/** The namespaces of a server; at first there are none. */
export function namespaces(options: NamespacesOptions): NamespaceControl & {
  /** Whether there are any. Without, a request costs this look. */
  readonly any: boolean;
  /** Answers a request by the namespace it belongs to, or else by `otherwise`. */
  handle(sent: WireRequest, otherwise: Handler): Promise<Answer>;
  /** Writes a refusal of the edge for whoever signed the request or has its bucket, or else as `otherwise` does. */
  writeError(error: CosError, request: WireRequest, otherwise: Pick<NamespaceCore, "writeError">): Answer;
  hasAppid(appid: string): boolean;
  /** Removes all, once the listener has waited for the requests under way: it waits for none of them again. */
  close(): Promise<void>;
} {
  const { namespacesMax, profile, processes, random, clock, graceMs } = options;
  const byName = new Map<string, Open>();
  const byAppid = new Map<string, Open>();
  const bySecretId = new Map<string, Open>();
  /** Those that are being removed, and when they are. */
  const leaving = new Map<Open, Promise<void>>();
  /** Names of those that are being made. */
  const begun = new Set<string>();
  let made = 0;

  async function nextRoot(): Promise<NamespaceRoot> {
    for (;;) {
      const appid = String(FIRST_APPID + made);
      const uin = String(FIRST_UIN + made);
      made += 1;
      if (!(await options.isTaken(appid))) return { appid, uin, ...options.newPair() };
    }
  }

  /** The one a request belongs to; a promise only where its keys have to be looked for. */
  function ownerOf({ secretId, token, appid }: Claims): Open | undefined | Promise<Open | undefined> {
    const signer = secretId === undefined ? undefined : bySecretId.get(secretId);
    if (signer !== undefined) return signer;
    if (secretId !== undefined && options.isOwn(secretId)) return undefined;
    const addressed = appid === undefined ? undefined : byAppid.get(appid);
    // A bucket of a further account of a namespace, or no bucket: the key tells.
    return addressed !== undefined || secretId === undefined ? addressed : knowing(secretId, token);
  }

  /** The one that has given out this key: of a user, or a temporary one. */
  async function knowing(secretId: string, token: string | undefined): Promise<Open | undefined> {
    for (const one of byName.values()) if (await one.core.knows(secretId, token)) return one;
    return undefined;
  }

  async function close(one: Open, waitMs: number): Promise<void> {
    byName.delete(one.name);
    byAppid.delete(one.root.appid);
    bySecretId.delete(one.root.secretId);
    const left = one
      .idle(clock, waitMs)
      .then(() => one.core.close())
      .finally(() => leaving.delete(one));
    leaving.set(one, left);
    await left;
  }

  function refuseName(name: string, replaced: boolean): void {
    if (!NAME.test(name)) {
      throw new NamespaceFault("InvalidName", "a name has 1 to 64 letters, digits, dots, hyphens and underscores");
    }
    if (begun.has(name) || (byName.has(name) && !replaced)) {
      throw new NamespaceFault("NamespaceExists", `there is a namespace ${name} already; remove it, or replace it`);
    }
    if (!byName.has(name) && byName.size + begun.size >= namespacesMax) {
      const mend = "remove those that nobody needs any more, or raise the limit namespacesMax";
      throw new NamespaceFault("TooManyNamespaces", `there are ${namespacesMax} namespaces already; ${mend}`);
    }
  }

  return {
    get any() {
      return byName.size > 0;
    },
    hasAppid: (appid) => byAppid.has(appid),
    list: () => [...byName.values()],
    find: (name) => byName.get(name),
    async create({ name = `ns-${random.bytes(NAME_BYTES).toString("hex")}`, replace = false } = {}) {
      if (profile === "server") {
        throw new NamespaceFault("NotOnServers", "namespaces are for development, and this is --profile server");
      }
      if (processes > 1) {
        const told = `a namespace is kept in the memory of one process, and this server has ${processes}`;
        throw new NamespaceFault("SeveralProcesses", `${told}; start it with --workers 1 or with --memory`);
      }
      refuseName(name, replace);
      begun.add(name);
      try {
        const present = byName.get(name);
        if (present !== undefined) await close(present, graceMs);
        const root = await nextRoot();
        const core = await options.open(name, root);
        const one = new Open(name, root, core, options.reach(name, root));
        byName.set(name, one);
        byAppid.set(root.appid, one);
        bySecretId.set(root.secretId, one);
        return one;
      } finally {
        begun.delete(name);
      }
    },
    async remove(name) {
      const one = byName.get(name);
      if (one === undefined) return false;
      await close(one, graceMs);
      return true;
    },
    async handle(sent, otherwise) {
      const claims = options.claimsOf(sent);
      const form = claims.secretId === undefined ? await options.readForm(sent) : undefined;
      const { request = sent, ...signed } = form ?? {};
      const owner = ownerOf({ ...claims, ...signed });
      const one = owner instanceof Promise ? await owner : owner;
      return await (one === undefined ? otherwise(request) : one.handle(request));
    },
    writeError(error, request, otherwise) {
      const { secretId, appid } = options.claimsOf(request);
      const owner = bySecretId.get(secretId ?? "") ?? byAppid.get(appid ?? "");
      return (owner?.core ?? otherwise).writeError(error, request);
    },
    async close() {
      for (const one of leaving.keys()) one.hurry();
      await Promise.all([...leaving.values(), ...Array.from(byName.values(), (one) => close(one, 0))]);
    },
  };
}
