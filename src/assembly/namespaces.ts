/** Gives a server its namespaces: each a core of its own, in memory. */

import { newSecretId, newSecretKey } from "../accounts/session-token.ts";
import type { Settings } from "../config/settings.ts";
import { claimsOf } from "../addressing/claims.ts";
import type { MemoryRoom } from "../engines/blobs/memory.ts";
import { sdkOptions } from "../control/sdk-options.ts";
import type { Log } from "../log.ts";
import { type NamespaceRoot, namespaces } from "../namespaces/namespaces.ts";
import { Closers } from "./closers.ts";
import { type Core, openCore, type Place } from "./core.ts";

/** The settings of a namespace: those of its server, but in memory and with an account of its own. */
function namespaceSettings(settings: Settings, root: NamespaceRoot): Settings {
  const own = { memory: true, sealKey: "", sealPassphrase: "", credentials: [], accounts: [], workers: 1 };
  return { ...settings, ...own, ...root };
}

/** The namespaces of a server that is reached at `place`. */
export function openNamespaces(settings: Settings, log: Log, core: Core, place: Place) {
  const { limits } = settings;
  const { random, clock } = core;
  const room: MemoryRoom = { taken: 0, bytesMax: limits.namespaceBytesMax };
  const adminOf = (name: string): string | undefined =>
    place.admin === undefined ? undefined : `${place.admin}/namespaces/${encodeURIComponent(name)}`;
  return namespaces({
    namespacesMax: limits.namespacesMax,
    profile: settings.profile,
    processes: settings.workers,
    random,
    clock,
    graceMs: limits.stopGraceMs,
    claimsOf: (request) => claimsOf(request, core.rules),
    readForm: (request) => (core.sts.claims(request) ? core.sts.signer(request) : undefined),
    isOwn: (secretId) => core.fixedKeys.has(secretId),
    isTaken: async (appid) => (await core.control.accounts.accounts()).some((one) => one.appid === appid),
    newPair: () => ({ secretId: newSecretId(random), secretKey: newSecretKey(random) }),
    async open(name, root) {
      const closers = new Closers();
      try {
        const { endpoint = "" } = place;
        const admin = adminOf(name);
        const there = { endpoint, ...(admin === undefined ? {} : { admin }) };
        const options = { log, alsoCounted: core.counted, room };
        const inside = await openCore(namespaceSettings(settings, root), options, there, closers);
        return { ...inside, close: () => closers.run() };
      } catch (error) {
        await closers.run();
        throw error;
      }
    },
    reach: (name, root) => ({
      options: sdkOptions(place.endpoint ?? "", root, settings.tls === "dev"),
      admin: adminOf(name),
    }),
  });
}
