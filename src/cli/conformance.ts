/** `cosbox conformance`: how a COS endpoint answers to what clients do wrong, held against the error page. */

import { randomBytes } from "node:crypto";
import { formatListen } from "../config/listen-address.ts";
import type { LoadedSettings } from "../config/load-settings.ts";
import { SettingsError } from "../config/settings.ts";
import { type CaseResult, runSuite } from "../conformance/suite.ts";
import { systemClock } from "../engines/clock/system.ts";
import { EXIT_FAILED, type Shell } from "./shell.ts";

function line({ id, name, seen, faults }: CaseResult): string {
  const mark = faults.length === 0 ? "ok  " : "DIFF";
  const what = name === undefined ? id : `${id} (${name})`;
  const told = seen === undefined ? "" : `${seen.status} ${seen.code}`;
  return `${mark}  ${what.padEnd(40)}  ${faults.length === 0 ? told : faults.join("; ")}\n`;
}

/** Prints a line for each case; the result is the exit code. Throws SettingsError where the run cannot begin. */
export async function conformance(
  { settings }: LoadedSettings,
  flags: Readonly<Record<string, unknown>>,
  shell: Shell,
): Promise<number> {
  const { region, appid, secretId, secretKey, listen } = settings;
  const asked = flags["endpoint"];
  const endpoint = asked === undefined ? `http://${formatListen(listen)}` : (asked as string);
  if (endpoint !== "cloud" && !/^https?:\/\/[^/]+\/?$/.test(endpoint)) {
    throw new SettingsError(`--endpoint: expected a URL such as http://127.0.0.1:9000, or cloud, found ${endpoint}`);
  }
  const json = flags["json"] === true;
  const target = {
    endpoint: endpoint === "cloud" ? undefined : endpoint,
    region,
    appid,
    secretId,
    secretKey,
    now: () => systemClock().now(),
    insecure: flags["insecure"] === true,
  };
  let results: readonly CaseResult[];
  try {
    results = await runSuite(target, randomBytes(3).toString("hex"), (result) => {
      if (!json) shell.stdout.write(line(result));
    });
  } catch (error) {
    throw new SettingsError((error as Error).message);
  }
  const differing = results.filter(({ faults }) => faults.length > 0).length;
  if (json) shell.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  else shell.stdout.write(`${results.length - differing} as the error page says, ${differing} not\n`);
  return differing === 0 ? 0 : EXIT_FAILED;
}
