/** `cosbox import`: a folder becomes objects of a bucket, exactly those of an export where it is one. */

import { existsSync, statSync } from "node:fs";
import path from "node:path";
import { sealing } from "../accounts/seal.ts";
import type { LoadedSettings } from "../config/load-settings.ts";
import { type Settings, SettingsError } from "../config/settings.ts";
import { localBlobs } from "../engines/blobs/local.ts";
import { systemClock } from "../engines/clock/system.ts";
import { isDataHeld } from "../engines/data-hold.ts";
import { lockData } from "../engines/data-lock.ts";
import { kmsOf } from "../engines/kms/kms-of.ts";
import { lmdbMetadata } from "../engines/metadata/lmdb.ts";
import { systemRandom } from "../engines/random/system.ts";
import { sealKeyOf } from "../engines/seal-key/seal-key-of.ts";
import { bucketFor, importInto, listOf } from "../folders/import-folder.ts";
import { openStore, type Store } from "../store/store.ts";
import { metadataFolder } from "./open-data.ts";
import { progress } from "./progress.ts";
import { bytesText, countOf, durationText, printable } from "./quantities.ts";
import type { Shell } from "./shell.ts";
import { prepareDataFolder } from "./start-fault.ts";

/** Exit code 0 when every file has become an object; 1 otherwise, with a line for each that has not. */
export async function importFolder(
  { settings }: LoadedSettings,
  source: string,
  bucketName: string,
  shell: Shell,
): Promise<number> {
  const folder = path.resolve(shell.cwd(), source);
  if (!existsSync(folder) || !statSync(folder).isDirectory()) throw new SettingsError(`there is no folder ${folder}`);
  if (settings.memory) throw new SettingsError("--memory: an import needs a data folder; name one with --data");
  const started = performance.now();
  const list = await listOf(folder);

  prepareDataFolder(settings.data);
  const lock = await lockData(settings.data);
  const closers: (() => Promise<void>)[] = [() => lock.release()];
  const totals = { objects: 0, bytes: 0, failed: 0 };
  const bar = progress(shell, { label: "importing", total: undefined, unit: "bytes" });
  try {
    const store = await openWritable(settings, closers);
    const bucket = await bucketFor(store, bucketName, settings, list?.bucket);
    await importInto(store, bucket, folder, list, {
      limits: settings.limits,
      onStored(bytes) {
        totals.objects += 1;
        bar.update((totals.bytes += bytes));
      },
      onRefused(name, why) {
        totals.failed += 1;
        bar.line(`not imported: ${printable(name)}: ${printable(why)}`);
      },
      onSpecial(name) {
        bar.line(`passed over: ${printable(name)}: it is neither a file nor a folder`);
      },
    });
  } finally {
    bar.end();
    for (const close of closers.reverse()) await close();
  }
  shell.stdout.write(
    `imported ${countOf(totals.objects, "object")} of ${bytesText(totals.bytes)} into ${bucketName} in ` +
      `${durationText(performance.now() - started)}${totals.failed > 0 ? `; ${countOf(totals.failed, "file")} not imported` : ""}\n`,
  );
  return totals.failed === 0 ? 0 : 1;
}

async function openWritable(settings: Settings, closers: (() => Promise<void>)[]): Promise<Store> {
  const { data, durability, limits } = settings;
  const random = systemRandom();
  const metadata = await lmdbMetadata({ folder: metadataFolder(data), random, durability });
  closers.push(() => metadata.close());
  const { segmentBytesMax } = limits;
  const blobs = await localBlobs({ folder: data, random, durability, segmentBytesMax });
  closers.push(() => blobs.close());
  const sealKey = sealKeyOf(settings, random);
  const clock = systemClock();
  const store = await openStore({
    metadata,
    blobs,
    clock,
    random,
    inlineMax: limits.inlineBytesMax,
    sealKey,
    kms: await kmsOf(settings, clock),
    isHeld: () => isDataHeld(data),
  });
  closers.push(() => store.close());
  // Where secrets are sealed already, their key is not made anew for what is encrypted.
  await sealing({ rows: store.principals, key: sealKey, masterKey: store.masterKey, random }).existing();
  return store;
}
