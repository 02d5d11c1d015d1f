/** Reads a seed: a YAML file, a folder, or a value of the library's. */

import { statSync } from "node:fs";
import path from "node:path";
import { nearestName } from "./nearest-name.ts";
import type { CheckedSeed, SeedDocument } from "./seed.ts";
import { readYaml } from "./settings-file.ts";
import { SettingsError } from "./settings.ts";
import { ACCOUNT_NAMES, dotted, show, valueAt } from "./told.ts";

type Place = CheckedSeed["place"];

/** @throws SettingsError that names the place, what was expected there and what was found. */
async function checked(values: unknown, place: Place): Promise<SeedDocument> {
  const { SEED, SEED_NAMES } = await import("./seed-shape.ts");
  const parsed = SEED.safeParse(values);
  if (parsed.success) return parsed.data as SeedDocument;
  // A name that nobody knows is the likeliest cause of one that is missing.
  const { issues } = parsed.error;
  const issue = issues.find(({ code }) => code === "unrecognized_keys") ?? issues[0];
  const where = issue?.path ?? [];
  if (issue?.code === "unrecognized_keys") {
    const wrong = issue.keys[0] ?? "";
    const near = nearestName(wrong, where[0] === "accounts" ? ACCOUNT_NAMES : SEED_NAMES);
    const mend = near === undefined ? "" : `; did you mean ${near}?`;
    throw new SettingsError(`${place([...where, wrong])}: unknown name ${JSON.stringify(wrong)}${mend}`);
  }
  throw new SettingsError(`${place(where)}: expected ${issue?.message}, found ${show(valueAt(values, where), where)}`);
}

/** The same with absolute paths. */
function absolute(document: SeedDocument, folder: string): SeedDocument {
  const at = (name: string): string => path.resolve(folder, name);
  return {
    ...document,
    ...(document.folder !== undefined && { folder: at(document.folder) }),
    ...(document.buckets !== undefined && {
      buckets: document.buckets.map((bucket) => ({
        ...bucket,
        ...(bucket.folder !== undefined && { folder: at(bucket.folder) }),
        ...(bucket.objects !== undefined && {
          objects: bucket.objects.map((one) => (one.file === undefined ? one : { ...one, file: at(one.file) })),
        }),
      })),
    }),
  };
}

/**
 * Reads the seed at a path, which starts at `cwd`: a folder of which each sub-folder is a bucket, or a YAML file.
 * @throws SettingsError that names the file and the line.
 */
export async function readSeed(given: string, cwd: string): Promise<CheckedSeed> {
  const whole = path.resolve(cwd, given);
  const found = statSync(whole, { throwIfNoEntry: false });
  if (found === undefined) throw new SettingsError(`seed: there is no folder or file ${whole}`);
  if (found.isDirectory()) return { document: { folder: whole }, place: () => given };
  const file = await readYaml(whole, given, "a seed");
  const place: Place = (where) =>
    where.length === 0 ? given : `${given}:${file?.lineOf(where) ?? 1}: ${dotted(where)}`;
  return { document: absolute(await checked(file?.values, place), path.dirname(whole)), place };
}

/** Checks a seed that came as a value; paths in it start at `cwd`. @throws SettingsError */
export async function checkSeed(values: unknown, cwd: string): Promise<CheckedSeed> {
  const place: Place = (where) => (where.length === 0 ? "seed" : `seed: ${dotted(where)}`);
  return { document: absolute(await checked(values, place), cwd), place };
}
