/** Which file an exported object goes into: one that its key names, where every system could have such a file. */

import { createHash } from "node:crypto";
import { IdTable } from "../store/id-table.ts";

/** What belongs to the export itself lies in this folder of it. */
export const EXPORT_FOLDER = ".cosbox-export";
/** One line of JSON for the bucket, one for each object, one for the end. */
export const SIDECAR = `${EXPORT_FOLDER}/objects.jsonl`;

const STEP_BYTES_MAX = 200;
const NAME_BYTES_MAX = 900;
/** Names that Windows keeps for devices, whatever follows a dot. */
const DEVICE = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$/i;
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const UNSAFE = /[\u0000-\u001f\u007f<>:"|?*\\]/;

const FILE = 1;
const FOLDER = 2;

/** Gives out names, no two of which any file system would take for one. */
export interface ExportNames {
  /** The name of the file for this key, relative to the export, with `/` between its steps. */
  nameOf(key: string): string;
}

/** It takes about 50 bytes for each name it has given out, and for each folder. */
export function exportNames(): ExportNames {
  const taken = new IdTable(32);

  function kindOf(name: string): number {
    const slot = taken.find(idOf(name));
    return slot < 0 ? 0 : (taken.marks[slot] as number);
  }

  function take(name: string, kind: number): void {
    taken.marks[taken.add(idOf(name))] = kind;
  }

  return {
    nameOf(key) {
      const steps = key.split("/");
      const folders = steps.slice(0, -1).map((_, at) => steps.slice(0, at + 1).join("/"));
      if (isPlain(key, steps) && kindOf(key) === 0 && folders.every((folder) => kindOf(folder) !== FILE)) {
        for (const folder of folders) take(folder, FOLDER);
        take(key, FILE);
        return key;
      }
      const hash = createHash("sha256").update(key).digest("hex");
      return `${EXPORT_FOLDER}/escaped/${hash.slice(0, 2)}/${hash}`;
    },
  };
}

/** Whether every system could have a file of this name, and none reads it as anything else. */
function isPlain(key: string, steps: readonly string[]): boolean {
  if (Buffer.byteLength(key) > NAME_BYTES_MAX || UNSAFE.test(key)) return false;
  if (foldedName(steps[0] ?? "") === EXPORT_FOLDER) return false;
  return steps.every(
    (step) =>
      // This rules out `.` and `..` as well.
      step !== "" && !/[. ]$/.test(step) && !DEVICE.test(step) && Buffer.byteLength(step) <= STEP_BYTES_MAX,
  );
}

/** Two names that a file system might take for one are the same text. */
function foldedName(name: string): string {
  return name.normalize("NFKC").toUpperCase().toLowerCase();
}

function idOf(name: string): string {
  return createHash("sha256").update(foldedName(name)).digest("hex").slice(0, 32);
}
