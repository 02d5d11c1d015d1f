/** Counters of servers that ran in tests, kept in a folder until the run is over: a file each. */

import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Keeps the text in the folder; does nothing where none is named. */
export async function keepTally(folder: string | undefined, text: string): Promise<void> {
  if (folder === undefined) return;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${randomUUID()}.json`), text);
}

/** A folder of its own, for one run. */
export function tallyFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "cosbox-coverage-"));
}

/** Every text that was kept; the folder is gone afterwards. */
export async function takeTallies(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
  await rm(folder, { recursive: true, force: true });
  return texts;
}
