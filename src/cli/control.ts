/** The commands that speak to a running server over its admin listener: its clock, faults, states, rates, snapshots, requests, coverage. */

import {
  AdminCallRefused,
  type AdminClient,
  adminClient,
  type ClockTold,
  type NamespaceTold,
  type SnapshotAnswer,
} from "../admin/client.ts";
import { formatListen } from "../config/listen-address.ts";
import type { LoadedSettings } from "../config/load-settings.ts";
import { SettingsError, type Settings } from "../config/settings.ts";
import { coverageText } from "../diagnose/coverage.ts";
import type { DecisionRecord } from "../diagnose/record.ts";
import type { FaultRequest } from "../faults/fault.ts";
import type { Shell } from "./shell.ts";

type Flags = Readonly<Record<string, unknown>>;

/** Where the admin listener of the settings is. @throws SettingsError where they have none. */
export function endpointOf({ admin, listen }: Settings): string {
  if (admin === "off") throw new SettingsError("admin: it is off, and this command asks a running server; see --admin");
  return `http://${formatListen(admin === "auto" ? { host: "127.0.0.1", port: listen.port + 1 } : admin)}`;
}

/** A client of the server that the settings describe. */
export function serverClient(settings: Settings, timeoutMs?: number): AdminClient {
  const options = timeoutMs === undefined ? {} : { timeoutMs };
  return adminClient({ endpoint: endpointOf(settings), token: settings.adminToken, ...options });
}

/** Calls the server; what is refused, and that nobody is there, is told in a line. */
export async function calling(settings: Settings, work: (client: AdminClient) => Promise<void>): Promise<number> {
  const endpoint = endpointOf(settings);
  try {
    await work(serverClient(settings));
    return 0;
  } catch (error) {
    if (error instanceof AdminCallRefused) throw new SettingsError(error.message);
    const { code = "" } = error as NodeJS.ErrnoException;
    if (UNREACHED.has(code)) {
      throw new SettingsError(`nobody answers at ${endpoint}; start the server, or say --admin host:port`);
    }
    if (!LOST.has(code) && !code.startsWith("HPE_")) throw error;
    throw new SettingsError(
      `the connection to ${endpoint} broke off; the server has ended, or it is no admin listener`,
    );
  }
}

/** What the system says of a server that is not there, and of one that is there no more. */
const UNREACHED: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "ETIMEDOUT",
]);
const LOST: ReadonlySet<string> = new Set(["ECONNRESET", "EPIPE"]);

function clockLine({ mode, now, real, offsetMs }: ClockTold): string {
  if (mode === "real") return `${now}  the machine's time\n`;
  const ahead = Math.round(offsetMs / 1000);
  const apart = ahead >= 0 ? `${ahead} s ahead of` : `${-ahead} s behind`;
  return `${now}  ${mode === "frozen" ? "standing still, " : ""}${apart} the machine's ${real}\n`;
}

/** `cosbox clock [real|advance <by>|set <time>|freeze [time]]` */
export function clock(
  { settings }: LoadedSettings,
  verb: string | undefined,
  value: string | undefined,
  shell: Shell,
): Promise<number> {
  const needed = (what: string): string => {
    if (value !== undefined) return value;
    throw new SettingsError(`clock ${verb}: say ${what}`);
  };
  return calling(settings, async (client) => {
    const told = await (() => {
      switch (verb) {
        case undefined:
          return client.clock();
        case "real":
          return client.setClock({ mode: "real" });
        case "advance":
          return client.advanceClock(needed("by how much, such as 30d"));
        case "set":
          return client.setClock({ mode: "offset", at: needed("a time, such as 2030-01-01T00:00:00Z") });
        case "freeze":
          return client.setClock({ mode: "frozen", ...(value === undefined ? {} : { at: value }) });
        default:
          throw new SettingsError(`clock: expected advance, set, freeze or real, found ${JSON.stringify(verb)}`);
      }
    })();
    shell.stdout.write(clockLine(told));
  });
}

function jsonOf(text: string, told: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new SettingsError(told);
  }
}

function faultOf(text: string): FaultRequest {
  return jsonOf(text, `faults add: expected JSON such as '{"error":"SlowDown","times":{"first":3}}'`) as FaultRequest;
}

/** `cosbox rates [set <json>|reset]` */
export function rates(
  { settings }: LoadedSettings,
  verb: string | undefined,
  value: string | undefined,
  shell: Shell,
): Promise<number> {
  return calling(settings, async (client) => {
    const told = await (() => {
      switch (verb) {
        case undefined:
          return client.rates();
        case "set": {
          const expected = `rates set: expected service, or JSON such as '[{"per":"bucket","perSecond":100}]'`;
          const wanted = value === "service" ? value : jsonOf(value ?? "", expected);
          return client.setRates(wanted as Parameters<AdminClient["setRates"]>[0]);
        }
        case "reset":
          return client.resetRates();
        default:
          throw new SettingsError(`rates: expected set or reset, found ${JSON.stringify(verb)}`);
      }
    })();
    for (const rate of told.rates) shell.stdout.write(`${JSON.stringify(rate)}\n`);
  });
}

type StateChange = Parameters<AdminClient["setState"]>[0];

/** `cosbox states [set <json>]` */
export function states(
  { settings }: LoadedSettings,
  verb: string | undefined,
  value: string | undefined,
  shell: Shell,
): Promise<number> {
  return calling(settings, async (client) => {
    switch (verb) {
      case undefined:
        for (const state of await client.states()) shell.stdout.write(`${JSON.stringify(state)}\n`);
        return;
      case "set": {
        const told = `states set: expected JSON such as '{"account":"100000000001","state":"suspended"}'`;
        return await client.setState(jsonOf(value ?? "", told) as StateChange);
      }
      default:
        throw new SettingsError(`states: expected set, found ${JSON.stringify(verb)}`);
    }
  });
}

/** `cosbox namespaces [add [name]|replace <name>|remove <name>]` */
export function namespaces(
  { settings }: LoadedSettings,
  verb: string | undefined,
  value: string | undefined,
  shell: Shell,
): Promise<number> {
  const needed = (): string => {
    if (value !== undefined) return value;
    throw new SettingsError(`namespaces ${verb}: say the name of one`);
  };
  const told = ({ name, appid, uin, secretId, secretKey, region, endpoint, admin }: NamespaceTold): void =>
    void shell.stdout.write(`${JSON.stringify({ name, appid, uin, secretId, secretKey, region, endpoint, admin })}\n`);
  return calling(settings, async (client) => {
    switch (verb) {
      case undefined:
        for (const one of await client.namespaces()) told(one);
        return;
      case "add":
        return told(await client.createNamespace(value === undefined ? {} : { name: value }));
      case "replace":
        return told(await client.createNamespace({ name: needed(), replace: true }));
      case "remove":
        return await client.removeNamespace(needed());
      default:
        throw new SettingsError(`namespaces: expected add, replace or remove, found ${JSON.stringify(verb)}`);
    }
  });
}

/** `cosbox faults [add <json>|remove <id>|clear]` */
export function faults(
  { settings }: LoadedSettings,
  verb: string | undefined,
  value: string | undefined,
  shell: Shell,
): Promise<number> {
  return calling(settings, async (client) => {
    switch (verb) {
      case undefined:
        for (const fault of await client.faults()) shell.stdout.write(`${JSON.stringify(fault)}\n`);
        return;
      case "add":
        shell.stdout.write(`${await client.setFault(faultOf(value ?? ""))}\n`);
        return;
      case "remove":
        return await client.removeFault(value ?? "");
      case "clear":
        return await client.clearFaults();
      default:
        throw new SettingsError(`faults: expected add, remove or clear, found ${JSON.stringify(verb)}`);
    }
  });
}

function snapshotLine({ name, taken, bytes }: SnapshotAnswer): string {
  return `${name}  ${taken}  ${bytes} bytes\n`;
}

/** `cosbox snapshots [take [name]|restore <name> [--force]|remove <name>]` */
export function snapshots(
  { settings }: LoadedSettings,
  verb: string | undefined,
  name: string | undefined,
  flags: Flags,
  shell: Shell,
): Promise<number> {
  const named = (): string => {
    if (name !== undefined) return name;
    throw new SettingsError(`snapshots ${verb}: say which; cosbox snapshots lists them`);
  };
  return calling(settings, async (client) => {
    switch (verb) {
      case undefined:
        for (const snapshot of await client.snapshots()) shell.stdout.write(snapshotLine(snapshot));
        return;
      case "take":
        shell.stdout.write(snapshotLine(await client.takeSnapshot(name)));
        return;
      case "restore":
        return await client.restoreSnapshot(named(), { force: flags["force"] === true });
      case "remove":
        return await client.removeSnapshot(named());
      default:
        throw new SettingsError(`snapshots: expected take, restore or remove, found ${JSON.stringify(verb)}`);
    }
  });
}

function requestLine(record: DecisionRecord): string {
  const { at, status, errorId, operation, method, bucket, key, target, requestId } = record;
  const what = bucket === undefined ? target : `${bucket}/${key ?? ""}`;
  const line = [new Date(at).toISOString(), status, operation ?? method, what, errorId ?? "", requestId];
  // A key may hold what moves a terminal's cursor.
  return `${line
    .filter((part) => part !== "")
    .join("  ")
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?")}\n`;
}

/** `cosbox coverage [--json]` */
export function coverage({ settings }: LoadedSettings, flags: Flags, shell: Shell): Promise<number> {
  return calling(settings, async (client) => {
    const told = await client.coverage();
    shell.stdout.write(flags["json"] === true ? `${JSON.stringify(told)}\n` : coverageText(told));
  });
}

/** `cosbox requests [--follow] [--json]` */
export function requests({ settings }: LoadedSettings, flags: Flags, shell: Shell): Promise<number> {
  const write = (record: DecisionRecord) =>
    shell.stdout.write(flags["json"] === true ? `${JSON.stringify(record)}\n` : requestLine(record));
  return calling(settings, async (client) => {
    for (const record of (await client.requests()).toReversed()) write(record);
    if (flags["follow"] !== true) return;
    for await (const record of client.follow()) write(record);
  });
}
