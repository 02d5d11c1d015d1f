/** Brings the settings together: flags before environment before cosbox.yaml before defaults. */

import path from "node:path";
import { formatListen, isLoopback } from "./listen-address.ts";
import { parseEndpoint } from "./endpoint.ts";
import { nearestName } from "./nearest-name.ts";
import { REGIONS } from "./places.ts";
import {
  DEVELOPMENT_SECRET_ID,
  DEVELOPMENT_SECRET_KEY,
  flagKey,
  SETTING_NAMES,
  SETTINGS,
  type SettingName,
  type Settings,
  SettingsError,
} from "./settings.ts";
import { readSettingsFile } from "./settings-file.ts";
import type { LayerValues } from "./settings-schema.ts";
import { ACCOUNT_NAMES, dotted, show, valueAt } from "./told.ts";

/** Where a value came from: `flag --listen`, `environment COSBOX_LISTEN`, `cosbox.yaml:12`, `option listen`, `default`. */
export type Source = string;

export interface LoadedSettings {
  readonly settings: Settings;
  /** By the name of the setting, and `limits.<name>` for each limit that is not at its default. */
  readonly sources: ReadonlyMap<string, Source>;
  /** Things that are allowed but probably not meant, one line each. */
  readonly warnings: readonly string[];
}

export interface SettingsOrigin {
  /** By `flagKey`; as commander gives them. */
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Absolute. Relative paths start here, but those of a file start at its folder. */
  readonly cwd: string;
  /** The settings file; without it `cosbox.yaml` in `cwd`, which may be absent. `false` reads none. */
  readonly file?: string | false;
  /** What stands in place of the defaults; not checked. */
  readonly defaults?: Partial<Settings>;
  /** Typed values that stand above all others, as the library takes them. */
  readonly options?: Readonly<Record<string, unknown>>;
}

interface Layer {
  readonly values: unknown;
  /** What relative paths start from. */
  readonly folder: string;
  /** The place of a value, as messages begin: `--listen`, `COSBOX_LISTEN`, `cosbox.yaml:12: listen`. */
  place(where: readonly PropertyKey[]): string;
  source(name: SettingName): Source;
}

/** `listen`, or `limits.partsMax`: what stands behind a flag or a variable that carries several values. */
function behind(name: string, where: readonly PropertyKey[]): string {
  return where.length > 1 ? `${name} (${dotted(where.slice(1))})` : name;
}

function flagLayer(flags: Readonly<Record<string, unknown>>, cwd: string): Layer {
  const values: Record<string, unknown> = {};
  for (const name of SETTING_NAMES) {
    const { flag } = SETTINGS[name];
    const value = flag === undefined ? undefined : flags[flagKey(flag)];
    if (value !== undefined) values[name] = value;
  }
  const nameOf = (name: SettingName) => SETTINGS[name].flag?.split(" ", 1)[0] ?? name;
  return {
    values,
    folder: cwd,
    place: (where) => behind(nameOf(where[0] as SettingName), where),
    source: (name) => `flag ${nameOf(name)}`,
  };
}

function environmentLayer(env: Readonly<Record<string, string | undefined>>, cwd: string): Layer {
  const values: Record<string, unknown> = {};
  for (const name of SETTING_NAMES) {
    const variable = SETTINGS[name].env;
    // An empty variable is how compose files and CI systems write "not set".
    const value = variable === undefined ? undefined : env[variable];
    if (value !== undefined && value !== "") values[name] = value;
  }
  const nameOf = (name: SettingName) => SETTINGS[name].env ?? name;
  return {
    values,
    folder: cwd,
    place: (where) => behind(nameOf(where[0] as SettingName), where),
    source: (name) => `environment ${nameOf(name)}`,
  };
}

/** Variables that look like a misspelt setting. Others are left alone: Kubernetes sets `COSBOX_SERVICE_HOST` itself. */
function misspeltVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  const known = [...SETTING_NAMES.flatMap((name) => SETTINGS[name].env ?? []), "COSBOX_CONFIG"];
  return Object.keys(env).flatMap((variable) => {
    if (!variable.startsWith("COSBOX_") || known.includes(variable)) return [];
    const bare = (name: string) => name.slice("COSBOX_".length);
    const near = nearestName(bare(variable), known.map(bare));
    return near === undefined ? [] : [`${variable} is not a setting; did you mean COSBOX_${near}?`];
  });
}

async function check(layer: Layer): Promise<LayerValues> {
  if (typeof layer.values === "object" && layer.values !== null && Object.keys(layer.values).length === 0) return {};
  const { LAYER } = await import("./settings-schema.ts");
  const parsed = LAYER.safeParse(layer.values);
  if (parsed.success) return parsed.data;

  const { issues } = parsed.error;
  const issue = issues[0];
  if (issue === undefined) throw new SettingsError("the settings do not stand");
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : "";
  if (issue.code === "unrecognized_keys") {
    const wrong = issue.keys[0] ?? "";
    const { LIMITS } = await import("../limits.ts");
    const inside = issue.path[0];
    const known =
      inside === undefined
        ? SETTING_NAMES
        : inside === "limits"
          ? Object.keys(LIMITS)
          : inside === "accounts"
            ? ACCOUNT_NAMES
            : inside === "rates"
              ? ["id", "per", "operations", "bucket", "account", "perSecond", "burst"]
              : ["secretId", "secretKey", "appid", "uin"];
    const near = nearestName(wrong, known);
    const place = layer.place([...issue.path, wrong]);
    throw new SettingsError(
      `${place}: unknown setting ${JSON.stringify(wrong)}${near === undefined ? "" : `; did you mean ${near}?`}${more}`,
    );
  }
  // A value inside a list that came as one text has no place of its own: then the whole text is what was found.
  const whole = issue.path.slice(0, 1);
  const found = typeof valueAt(layer.values, whole) === "string" ? whole : issue.path;
  const shown = show(valueAt(layer.values, found), issue.path);
  throw new SettingsError(`${layer.place(issue.path)}: expected ${issue.message}, found ${shown}${more}`);
}

function absolute(layer: Layer, values: LayerValues): LayerValues {
  const resolved: Record<string, unknown> = { ...values };
  for (const name of SETTING_NAMES) {
    const value = resolved[name];
    if (SETTINGS[name].form === "path" && typeof value === "string" && value !== "") {
      resolved[name] = path.resolve(layer.folder, value);
    }
  }
  return resolved;
}

/** What of the accounts cannot stand together; `seen` are the SecretIds that are taken. */
function checkAccounts(settings: Settings, seen: Set<string>, refuse: (why: string) => void): void {
  const appids = new Map([[settings.uin, settings.appid]]);
  for (const { uin, appid } of settings.credentials) appids.set(uin, appid);
  const uins = new Set<string>();
  for (const account of settings.accounts) {
    const { uin, appid } = account;
    if (appid === undefined)
      refuse(`account ${uin} has no appid; only an account that keys stand for may leave it out`);
    const known = appids.get(uin);
    if (known !== undefined && known !== appid) {
      refuse(`account ${uin} has APPID ${appid} here and ${known} elsewhere in the settings`);
    }
    for (const [other, taken] of appids) {
      if (taken === appid && other !== uin) refuse(`APPID ${appid} is that of account ${other} and of ${uin}`);
    }
    appids.set(uin, appid);
    const users = account.users.map((user) => user.uin);
    for (const one of [uin, ...users]) {
      if (uins.has(one)) refuse(`UIN ${one} is there twice; each account and user needs its own`);
      uins.add(one);
    }
    for (const { secretId, secretKey } of [...account.keys, ...account.users.flatMap(({ keys }) => keys)]) {
      if (secretId === DEVELOPMENT_SECRET_ID || secretKey === DEVELOPMENT_SECRET_KEY) {
        refuse("the published development keys are the root account's alone");
      }
      if (seen.has(secretId)) refuse(`SecretId ${secretId} is there twice; each key pair needs its own`);
      seen.add(secretId);
    }
  }
}

/** What of the settings for a key management service cannot stand. */
function checkKms(
  { kmsEndpoint, kmsRegion, kmsSecretId, kmsSecretKey, kmsKeyId, profile }: Settings,
  placeOf: (name: SettingName) => string,
  refuse: (message: string) => void,
): void {
  const others = { kmsRegion, kmsSecretId, kmsSecretKey, kmsKeyId };
  if (kmsEndpoint === "") {
    for (const [name, value] of Object.entries(others)) {
      if (value === "") continue;
      refuse(`${placeOf(name as SettingName)}: there is no KMS to use it with; set COSBOX_KMS_ENDPOINT as well`);
    }
    return;
  }
  if (kmsSecretId === "" || kmsSecretKey === "") {
    refuse(
      `${placeOf("kmsEndpoint")}: a KMS knows its callers by a key pair; set COSBOX_KMS_SECRET_ID and COSBOX_KMS_SECRET_KEY`,
    );
  }
  const endpoint = parseEndpoint(kmsEndpoint);
  if (profile === "server" && endpoint?.isSecure === false && !isLoopback(endpoint.host)) {
    refuse(`${placeOf("kmsEndpoint")}: with --profile server keys do not cross a network in the clear; use https`);
  }
}

/**
 * Throws SettingsError where settings that are right one by one cannot stand together. `places` has the place of every
 * setting that was set.
 */
function checkTogether(settings: Settings, places: ReadonlyMap<SettingName, string>): void {
  const placeOf = (name: SettingName) => places.get(name) ?? name;
  const refuse = (message: string) => {
    throw new SettingsError(message);
  };
  const { listen, profile, region, secretId, secretKey, tls, tlsCert, tlsKey } = settings;

  const regions = [...REGIONS, ...settings.regions];
  if (!regions.includes(region)) {
    const near = nearestName(region, regions);
    const mend = near === undefined ? "" : `did you mean ${near}? Otherwise `;
    refuse(
      `${placeOf("region")}: ${JSON.stringify(region)} is not a known region; ${mend}add it with --regions ${region}`,
    );
  }
  if ((secretId === DEVELOPMENT_SECRET_ID) !== (secretKey === DEVELOPMENT_SECRET_KEY)) {
    const [own, published] =
      secretId === DEVELOPMENT_SECRET_ID ? (["secretKey", "secretId"] as const) : (["secretId", "secretKey"] as const);
    const pair = "the root keys come as a pair";
    if (places.has(published)) {
      refuse(`${placeOf(published)}: ${pair}; this one must not be the published one while the other is your own`);
    }
    refuse(`${placeOf(own)}: ${pair}; set ${SETTINGS[published].env} as well`);
  }
  if (profile === "server" && secretId === DEVELOPMENT_SECRET_ID) {
    refuse("the server profile has no published keys: set your own with COSBOX_SECRET_ID and COSBOX_SECRET_KEY");
  }
  if (settings.memory && settings.workers > 1) {
    refuse(
      `${placeOf("workers")}: ${settings.workers} processes cannot share what --memory keeps in one; ` +
        "leave out either of the two",
    );
  }
  const seen = new Set([secretId]);
  for (const credential of settings.credentials) {
    const published = credential.secretId === DEVELOPMENT_SECRET_ID || credential.secretKey === DEVELOPMENT_SECRET_KEY;
    if (profile === "server" && published) {
      refuse(`${placeOf("credentials")}: the server profile does not accept the published development keys`);
    }
    if (seen.has(credential.secretId)) {
      refuse(`${placeOf("credentials")}: SecretId ${credential.secretId} is there twice; each key pair needs its own`);
    }
    seen.add(credential.secretId);
  }
  checkAccounts(settings, seen, (why) => refuse(`${placeOf("accounts")}: ${why}`));
  if (settings.sealPassphrase !== "" && settings.sealKey !== "") {
    refuse(`${placeOf("sealKey")}: stored secrets are sealed with a file or with a passphrase; leave out either`);
  }
  const inside = path.relative(settings.data, settings.sealKey);
  if (settings.sealKey !== "" && !inside.startsWith("..") && !path.isAbsolute(inside)) {
    refuse(`${placeOf("sealKey")}: ${settings.sealKey} lies in the data folder; keep it apart from what it seals`);
  }
  checkKms(settings, placeOf, refuse);
  if (!isLoopback(listen.host) && profile !== "server" && !settings.allowPublic) {
    refuse(
      `${placeOf("listen")}: ${formatListen(listen)} can be reached from other machines; ` +
        "use --profile server with keys of your own, or --allow-public to accept that",
    );
  }
  if ((tlsCert === "") !== (tlsKey === "")) {
    const [given, missing] = tlsKey === "" ? (["tlsCert", "--tls-key"] as const) : (["tlsKey", "--tls-cert"] as const);
    refuse(`${placeOf(given)}: a certificate and its key come together; give ${missing} as well`);
  }
  if (tls === "dev" && tlsCert !== "") {
    refuse(`${placeOf("tls")}: dev makes its own certificate; leave out either --tls dev or --tls-cert and --tls-key`);
  }
}

/**
 * The settings, checked and complete, and where each came from. Throws SettingsError, whose message is one line that
 * names the place, the value expected and the value found.
 */
export async function loadSettings(origin: SettingsOrigin): Promise<LoadedSettings> {
  const { cwd, env = {}, flags = {}, options = {} } = origin;
  const file = origin.file === false ? undefined : await readSettingsFile(origin.file, cwd);

  // From the weakest to the strongest.
  const layers: Layer[] = [environmentLayer(env, cwd), flagLayer(flags, cwd)];
  if (file !== undefined) {
    layers.unshift({
      values: file.values,
      folder: file.folder,
      place: (where) => (where.length === 0 ? file.name : `${file.name}:${file.lineOf(where)}: ${dotted(where)}`),
      source: (name) => `${file.name}:${file.lineOf([name])}`,
    });
  }
  layers.push({
    values: options,
    folder: cwd,
    place: (where) => `option ${dotted(where)}`,
    source: (name) => `option ${name}`,
  });

  const merged: Record<string, unknown> = {};
  const sources = new Map<string, Source>();
  const places = new Map<SettingName, string>();
  for (const name of SETTING_NAMES) {
    merged[name] = origin.defaults?.[name] ?? SETTINGS[name].default;
    sources.set(name, "default");
  }
  merged["data"] = path.resolve(cwd, String(merged["data"]));

  for (const layer of layers) {
    const values = absolute(layer, await check(layer));
    for (const name of SETTING_NAMES) {
      const value = values[name];
      if (value === undefined) continue;
      if (name === "limits") {
        merged[name] = { ...(merged[name] as object), ...(value as object) };
        for (const limit of Object.keys(value)) sources.set(`limits.${limit}`, layer.source(name));
      } else {
        merged[name] = value;
      }
      sources.set(name, layer.source(name));
      places.set(name, layer.place([name]));
    }
  }
  merged["credentials"] = (merged["credentials"] as object[]).map((credential) => ({
    appid: merged["appid"],
    uin: merged["uin"],
    ...credential,
  }));

  const appids = new Map([[merged["uin"], merged["appid"]]]);
  for (const { uin, appid } of merged["credentials"] as { uin: string; appid: string }[]) appids.set(uin, appid);
  merged["accounts"] = (merged["accounts"] as { uin: string }[]).map((account) => ({
    appid: appids.get(account.uin),
    ...account,
  }));

  // Memory is not shared between processes, so whoever does not ask for several gets one.
  if (merged["memory"] === true && sources.get("workers") === "default") merged["workers"] = 1;
  const settings = merged as unknown as Settings;
  checkTogether(settings, places);
  return { settings, sources, warnings: misspeltVariables(env) };
}
