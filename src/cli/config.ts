/** `cosbox config`: the effective settings in the form of cosbox.yaml, each with where it came from. */

import { formatListen } from "../config/listen-address.ts";
import type { LoadedSettings } from "../config/load-settings.ts";
import { DEVELOPMENT_SECRET_KEY, SETTING_NAMES, type SettingName, type Settings } from "../config/settings.ts";
import type { LimitName } from "../limits.ts";

const COMMENT_COLUMN = 48;

/** A YAML scalar: bare where that cannot be read as anything else, quoted otherwise. */
function scalar(value: unknown): string {
  if (typeof value !== "string") return String(value);
  const plain = /^[A-Za-z0-9/.][A-Za-z0-9/._-]*(:[0-9]+)?$/.test(value) && Number.isNaN(Number(value));
  return plain && !/^(true|false|null|yes|no|on|off)$/i.test(value) ? value : JSON.stringify(value);
}

function mask(secretKey: string): string {
  return secretKey === DEVELOPMENT_SECRET_KEY ? secretKey : "********";
}

function shown(name: SettingName, settings: Settings): string {
  if (name === "listen") return scalar(formatListen(settings.listen));
  if (name === "admin")
    return scalar(typeof settings.admin === "string" ? settings.admin : formatListen(settings.admin));
  // A YAML flow, which JSON is.
  if (name === "faults") return JSON.stringify(settings.faults);
  if (name === "adminToken") return settings.adminToken === "" ? '""' : "********";
  if (name === "secretKey") return scalar(mask(settings.secretKey));
  if (name === "sealPassphrase" || name === "kmsSecretKey") return settings[name] === "" ? '""' : "********";
  // JSON is YAML as well, and fits on a line.
  if (name === "accounts") {
    return JSON.stringify(settings.accounts, (key, value) => (key === "secretKey" ? "********" : value));
  }
  if (name === "rates") return JSON.stringify(settings.rates);
  const value = settings[name];
  return Array.isArray(value) ? `[${value.map(scalar).join(", ")}]` : scalar(value);
}

/** One line for each setting and limit, ending in a newline. Secret keys are masked, but for the published one. */
export function effectiveSettings({ settings, sources }: LoadedSettings): string {
  const lines: string[] = [];
  const line = (text: string, source: string | undefined) => {
    lines.push(source === undefined ? text : `${text.padEnd(COMMENT_COLUMN)} # ${source}`);
  };
  for (const name of SETTING_NAMES) {
    if (name === "limits") {
      line("limits:", undefined);
      for (const limit of Object.keys(settings.limits) as LimitName[]) {
        line(`  ${limit}: ${settings.limits[limit]}`, sources.get(`limits.${limit}`) ?? "default");
      }
    } else if (name === "credentials" && settings.credentials.length > 0) {
      line("credentials:", sources.get(name));
      for (const { secretId, secretKey, appid, uin } of settings.credentials) {
        const pair = `secretId: ${scalar(secretId)}, secretKey: ${scalar(mask(secretKey))}`;
        line(`  - { ${pair}, appid: ${scalar(appid)}, uin: ${scalar(uin)} }`, undefined);
      }
    } else {
      line(`${name}: ${shown(name, settings)}`, sources.get(name));
    }
  }
  return `${lines.join("\n")}\n`;
}
