/**
 * `cosbox explain`: why a request was refused, from the records in the data folder, beside a server or without one; and what
 * became of any request that a running server still has in memory, those of its namespaces included.
 */

import { AdminCallRefused } from "../admin/client.ts";
import type { LoadedSettings } from "../config/load-settings.ts";
import { type Settings, SettingsError } from "../config/settings.ts";
import { explanation } from "../diagnose/explain.ts";
import type { DecisionRecord } from "../diagnose/record.ts";
import { recordInLine } from "../diagnose/recorder.ts";
import { recordFiles } from "../engines/record-log/files.ts";
import { refusalFolder } from "../engines/record-log/folder.ts";
import { endpointOf, serverClient } from "./control.ts";
import { requireData } from "./open-data.ts";
import { EXIT_FAILED, type Shell } from "./shell.ts";

async function inFolder(data: string, { limits }: Settings, id: string): Promise<DecisionRecord | undefined> {
  const { refusalRecordsMax, refusalRecordsMs } = limits;
  const folder = refusalFolder(data);
  const log = recordFiles({ folder, incarnation: "0", linesMax: refusalRecordsMax, ageMsMax: refusalRecordsMs });
  for await (const line of log.lines()) {
    const record = recordInLine(line, id);
    if (record !== undefined) return record;
  }
  return undefined;
}

/** Whoever has the port may be anybody. */
const ANSWER_MS_MAX = 5_000;

/** What the server has of it; "nobody" where none answers. */
async function atServer(settings: Settings, id: string): Promise<DecisionRecord | "nobody" | undefined> {
  if (settings.admin === "off") return "nobody";
  try {
    return (await serverClient(settings, ANSWER_MS_MAX).request(id)).record;
  } catch (error) {
    if (error instanceof AdminCallRefused && error.status === 404) return undefined;
    if (error instanceof AdminCallRefused) throw new SettingsError(error.message);
    // Whoever is at that port without being a cosbox has no records either.
    return "nobody";
  }
}

/** Prints the explanation; the result is the exit code, 1 for an id that is not kept. */
export async function explain(
  { settings }: LoadedSettings,
  id: string,
  flags: Readonly<Record<string, unknown>>,
  shell: Shell,
): Promise<number> {
  let data: string | undefined;
  let without: unknown;
  try {
    data = requireData(settings);
  } catch (error) {
    without = error;
  }
  const stored = data === undefined ? undefined : await inFolder(data, settings, id);
  const found = stored ?? (await atServer(settings, id));
  if (found !== undefined && found !== "nobody") {
    shell.stdout.write(flags["json"] === true ? `${JSON.stringify(found, null, 2)}\n` : explanation(found));
    return 0;
  }
  if (found === "nobody" && data === undefined) throw without;
  const asked =
    found === "nobody" ? "no server runs that could know more" : `nor by the server of ${endpointOf(settings)}`;
  const there = data === undefined ? "" : ` in ${data}`;
  shell.stderr.write(`cosbox: no request with this RequestId or TraceId is kept${there}, ${asked}\n`);
  return EXIT_FAILED;
}
