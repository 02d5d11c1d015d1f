/**
 * `cosbox backup`: a consistent copy of a data folder, of a running server too; and `cosbox restore`, its way back.
 *
 *     <backup>/data/metadata/data.mdb     the rows, as of one moment
 *     <backup>/data/blobs/…               every file that was there then, and some that came later
 *     <backup>/SHA256SUMS                 the form that `sha256sum -c` reads
 *     <backup>/backup.json                written last: a folder without it is no backup
 *
 * The order makes it consistent. A hold on the data comes first: from then on nothing that a row may name is removed.
 * Then the rows are copied as of one moment, which lies after the start of the backup, so everything acknowledged before
 * is in it. The files come last: what the rows name was written before them, and it is still there. At the end the copy
 * is checked like any data folder, before it is called a backup.
 */

import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, rmdir, stat } from "node:fs/promises";
import path from "node:path";
import type { LoadedSettings } from "../config/load-settings.ts";
import { SettingsError } from "../config/settings.ts";
import { syncFolder } from "../engines/blobs/disk.ts";
import { holdData } from "../engines/data-hold.ts";
import { eachAtOnce, filesBelow, pathInside } from "../folders/files.ts";
import { checkStore } from "../store/check.ts";
import { copyFile, makeEmptyFolder, sha256Of, syncFile, syncFolders, writeNewFile } from "./files.ts";
import { checkSources, findingPrinter } from "./fsck.ts";
import { metadataFolder, openData } from "./open-data.ts";
import { progress } from "./progress.ts";
import { bytesText, countOf, durationText } from "./quantities.ts";
import type { Shell } from "./shell.ts";
import { packageVersion } from "./version.ts";

const BACKUP_FORMAT = 1;
const DESCRIPTION = "backup.json";
const SUMS = "SHA256SUMS";
const DATA = "data";
const ROWS = "metadata/data.mdb";
const COPIES_AT_ONCE = 8;

/** What `backup.json` says. */
interface Description {
  readonly cosboxBackup: number;
  /** The version that made it. */
  readonly version: string;
  /** When the backup was begun, in ISO 8601. */
  readonly begun: string;
  readonly files: number;
  readonly bytes: number;
  /** SHA-256 of SHA256SUMS, in hex. */
  readonly sums: string;
}

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for await (const name of filesBelow(folder)) {
    bytes += (await stat(path.join(folder, name)).catch(() => undefined))?.size ?? 0;
  }
  return bytes;
}

/** Exit code 0 when the copy is complete, durable and whole; 1 when what it copied is damaged. */
export async function backup({ settings }: LoadedSettings, target: string, shell: Shell): Promise<number> {
  const begun = new Date().toISOString();
  const started = performance.now();
  const folder = path.resolve(shell.cwd(), target);
  if (isWithin(settings.data, folder)) {
    throw new SettingsError(`${folder} lies in the data folder; choose a place outside of it for the backup`);
  }
  const data = await openData(settings, "none");
  const copy = path.join(folder, DATA);
  const hold = await holdData(data.folder);
  const sums: { readonly name: string; readonly sha256: string }[] = [];
  let bytes = 0;
  try {
    await makeEmptyFolder(folder, "backup");
    await mkdir(path.join(copy, "blobs"), { recursive: true, mode: 0o700 });
    await data.metadata.copyTo(metadataFolder(copy));
    await syncFile(path.join(copy, ROWS));
    sums.push({ name: ROWS, sha256: await sha256Of(path.join(copy, ROWS)) });
    bytes += (await stat(path.join(copy, ROWS))).size;

    const blobs = path.join(data.folder, "blobs");
    const bar = progress(shell, { label: "copying", total: bytes + (await sizeOf(blobs)), unit: "bytes" });
    await eachAtOnce(filesBelow(blobs), COPIES_AT_ONCE, async (name) => {
      const to = path.join(copy, "blobs", name);
      await mkdir(path.dirname(to), { recursive: true, mode: 0o700 });
      try {
        const copied = await copyFile(path.join(blobs, name), to, (count) => {
          bytes += count;
          bar.update(bytes);
        });
        sums.push({ name: `blobs/${name}`, sha256: copied.sha256 });
      } catch (error) {
        // A body that was refused while it came: nothing ever named it.
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
    });
    bar.end();
  } finally {
    await hold.release();
    await data.close();
  }

  const damage = await damageIn(copy, shell);
  if (damage > 0) {
    shell.stderr.write(
      `cosbox: what was copied is damaged (${countOf(damage, "finding")}), so ${folder} is not called a backup; ` +
        "run cosbox fsck on the data folder\n",
    );
    return 1;
  }
  sums.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  await writeNewFile(path.join(folder, SUMS), sums.map(({ name, sha256 }) => `${sha256}  ${DATA}/${name}\n`).join(""));
  await syncFolders(folder);
  const description: Description = {
    cosboxBackup: BACKUP_FORMAT,
    version: packageVersion(),
    begun,
    files: sums.length,
    bytes,
    sums: await sha256Of(path.join(folder, SUMS)),
  };
  await writeNewFile(path.join(folder, DESCRIPTION), `${JSON.stringify(description, undefined, 2)}\n`);
  await syncFolder(folder);
  shell.stdout.write(
    `backed up ${countOf(sums.length, "file")}, ${bytesText(bytes)}, to ${folder} in ` +
      `${durationText(performance.now() - started)}\n`,
  );
  return 0;
}

/** Checks the copy as a data folder of its own, and leaves no file of the check in it. */
async function damageIn(copy: string, shell: Shell): Promise<number> {
  const data = await openData({ data: copy, memory: false }, "none");
  const bar = progress(shell, { label: "checking the copy", total: undefined, unit: "items" });
  try {
    // Nobody else has the copy, and processes that were at work are dead in it.
    const { sources, end } = checkSources({ ...data, inUse: false });
    try {
      const report = await checkStore(sources, {
        onFinding: findingPrinter(bar, false),
        onProgress: (done) => bar.update(done),
      });
      return report.damage;
    } finally {
      end();
    }
  } finally {
    bar.end();
    await data.close();
    for (const name of ["lock.mdb", "gate"]) {
      await rm(path.join(metadataFolder(copy), name), { recursive: true, force: true });
    }
  }
}

function isWithin(outer: string, inner: string): boolean {
  const relative = path.relative(outer, inner);
  return relative === "" || (!relative.startsWith("..") && !path.isAbsolute(relative));
}

async function readDescription(folder: string): Promise<Description> {
  const file = path.join(folder, DESCRIPTION);
  if (!existsSync(file)) {
    throw new SettingsError(`${folder} holds no complete backup: there is no ${DESCRIPTION} in it`);
  }
  let found: Partial<Description>;
  try {
    found = JSON.parse(await readFile(file, "utf8")) as Partial<Description>;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new SettingsError(`${file} is damaged: it is no JSON`);
  }
  if (typeof found.cosboxBackup === "number" && found.cosboxBackup > BACKUP_FORMAT) {
    throw new SettingsError(
      `the backup in ${folder} has format ${found.cosboxBackup}, and this version of cosbox knows formats up to ` +
        `${BACKUP_FORMAT}: restore it with the version that made it (${String(found.version)}), or a later one`,
    );
  }
  if (found.cosboxBackup !== BACKUP_FORMAT || typeof found.sums !== "string" || typeof found.files !== "number") {
    throw new SettingsError(`${file} is damaged, or does not belong to a backup`);
  }
  return found as Description;
}

/** The list of a backup's files, checked against its description. */
async function readSums(folder: string, { sums, files }: Description) {
  const file = path.join(folder, SUMS);
  if (!existsSync(file) || (await sha256Of(file)) !== sums) {
    throw new SettingsError(`the backup is damaged: ${file} does not match its checksum`);
  }
  const lines = (await readFile(file, "utf8")).split("\n").slice(0, -1);
  if (lines.length !== files) throw new SettingsError(`the backup is damaged: ${file} has ${lines.length} lines`);
  return lines.map((line) => ({ sha256: line.slice(0, 64), name: line.slice(66 + DATA.length + 1) }));
}

/**
 * Puts the data of a backup into a data folder that is empty or not there yet: all of it, or nothing. Exit code 0; what
 * is wrong with the backup is a SettingsError.
 */
export async function restore({ settings }: LoadedSettings, source: string, shell: Shell): Promise<number> {
  const started = performance.now();
  const folder = path.resolve(shell.cwd(), source);
  const target = settings.data;
  if (settings.memory) throw new SettingsError("--memory: a backup is restored to a folder; name one with --data");
  const description = await readDescription(folder);
  const files = await readSums(folder, description);
  if (existsSync(target) && (await readdir(target)).length > 0) {
    throw new SettingsError(`the data folder ${target} is not empty; name another with --data, or move this one away`);
  }

  // Beside the target, so that it takes its name in one step when everything is there.
  const staging = `${target}.restoring-${process.pid}`;
  await mkdir(path.join(staging, "blobs"), { recursive: true, mode: 0o700 });
  try {
    const bar = progress(shell, { label: "restoring", total: description.bytes, unit: "bytes" });
    let bytes = 0;
    await eachAtOnce(files.values(), COPIES_AT_ONCE, async (file) => {
      const from = await pathInside(path.join(folder, DATA), file.name);
      const to = await pathInside(staging, file.name);
      if (from === undefined || to === undefined) {
        throw new SettingsError(`the backup is damaged: it lists ${JSON.stringify(file.name)}`);
      }
      if (!existsSync(from)) throw new SettingsError(`the backup is damaged: ${from} is missing`);
      await mkdir(path.dirname(to), { recursive: true, mode: 0o700 });
      const { sha256 } = await copyFile(from, to, (count) => {
        bytes += count;
        bar.update(bytes);
      });
      if (sha256 !== file.sha256) {
        throw new SettingsError(`the backup is damaged: ${from} does not match its checksum; nothing was restored`);
      }
    });
    bar.end();
    await syncFolders(staging);
    if (existsSync(target)) await rmdir(target);
    await rename(staging, target);
    await syncFolder(path.dirname(target));
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    throw error;
  }
  shell.stdout.write(
    `restored ${countOf(files.length, "file")}, ${bytesText(description.bytes)}, to ${target} in ` +
      `${durationText(performance.now() - started)}; the data is as of ${description.begun}\n`,
  );
  return 0;
}
