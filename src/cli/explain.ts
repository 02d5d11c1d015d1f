/** `cosbox explain`: why a request was refused, from the records in the data folder, beside a server or without one. */

import type { LoadedSettings } from "../config/load-settings.ts";
import { explanation } from "../diagnose/explain.ts";
import { recordInLine } from "../diagnose/recorder.ts";
import { recordFiles } from "../engines/record-log/files.ts";
import { refusalFolder } from "../engines/record-log/folder.ts";
import { requireData } from "./open-data.ts";
import { EXIT_FAILED, type Shell } from "./run.ts";

/** Prints the explanation; the result is the exit code, 1 for an id that is not kept. */
export async function explain(
  { settings }: LoadedSettings,
  id: string,
  flags: Readonly<Record<string, unknown>>,
  shell: Shell,
): Promise<number> {
  const { refusalRecordsMax, refusalRecordsMs } = settings.limits;
  const folder = refusalFolder(requireData(settings));
  const log = recordFiles({ folder, incarnation: "0", linesMax: refusalRecordsMax, ageMsMax: refusalRecordsMs });
  for await (const line of log.lines()) {
    const record = recordInLine(line, id);
    if (record === undefined) continue;
    shell.stdout.write(flags["json"] === true ? `${JSON.stringify(record, null, 2)}\n` : explanation(record));
    return 0;
  }
  shell.stderr.write(
    `cosbox: no refusal with this RequestId or TraceId is kept in ${settings.data}; ` +
      "requests that succeeded are kept in the server's memory alone\n",
  );
  return EXIT_FAILED;
}
