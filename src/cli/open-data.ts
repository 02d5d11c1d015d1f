/** Opens a data folder for commands that look at it, whether or not a server uses it. */

import { existsSync } from "node:fs";
import path from "node:path";
import type { Settings } from "../config/settings.ts";
import { SettingsError } from "../config/settings.ts";
import { localBlobs } from "../engines/blobs/local.ts";
import { lockData } from "../engines/data-lock.ts";
import { FolderLocked, type FolderLock } from "../engines/folder-lock.ts";
import { lmdbBeside, type MetadataBeside } from "../engines/metadata/lmdb-beside.ts";
import { systemRandom } from "../engines/random/system.ts";
import type { BlobEngine } from "../ports/blobs.ts";
import { pointRange } from "../ports/metadata.ts";
import { formatKey } from "../store/keys.ts";
import { decodeFormat } from "../store/records.ts";
import { DATA_FORMAT, DataFromNewerVersion } from "../store/store.ts";

/** A data folder, open for reading. */
export interface OpenData {
  /** Absolute. */
  readonly folder: string;
  /** Whether a server uses it; otherwise it is locked, and nothing changes. */
  readonly inUse: boolean;
  readonly metadata: MetadataBeside;
  readonly blobs: BlobEngine;
  close(): Promise<void>;
}

/** Where the metadata of a data folder lies. */
export function metadataFolder(folder: string): string {
  return path.join(folder, "metadata");
}

/** The blobs of a data folder, for reading; another process may use them. */
export function openBlobs(folder: string): Promise<BlobEngine> {
  return localBlobs({ folder, random: systemRandom(), durability: "none" });
}

/** Throws SettingsError where there is no data to work on. */
export function requireData({ data, memory }: Pick<Settings, "data" | "memory">): string {
  if (memory) throw new SettingsError("--memory: what is in memory is gone with its server; name a folder with --data");
  if (!existsSync(path.join(metadataFolder(data), "data.mdb"))) {
    throw new SettingsError(`there is no data in ${data}; name the data folder with --data`);
  }
  return data;
}

/**
 * Opens the data folder of the settings. `lock: "required"` refuses a folder in use, `"none"` leaves the lock alone.
 * @throws SettingsError, FolderLocked, MetadataUnusable, DataFromNewerVersion.
 */
export async function openData(
  settings: Pick<Settings, "data" | "memory">,
  lock: "wanted" | "required" | "none" = "wanted",
): Promise<OpenData> {
  const folder = requireData(settings);
  let held: FolderLock | undefined;
  try {
    if (lock !== "none") held = await lockData(folder);
  } catch (error) {
    if (lock === "required" || !(error instanceof FolderLocked)) throw error;
  }
  try {
    const metadata = await lmdbBeside(metadataFolder(folder));
    const [rows] = await metadata.current.read([pointRange(formatKey())]);
    const format = rows?.[0] && decodeFormat(rows[0].value).format;
    if (format !== undefined && format > DATA_FORMAT) {
      await metadata.close();
      throw new DataFromNewerVersion(format);
    }
    const blobs = await openBlobs(folder);
    return {
      folder,
      inUse: held === undefined,
      metadata,
      blobs,
      async close() {
        await blobs.close();
        await metadata.close();
        await held?.release();
      },
    };
  } catch (error) {
    await held?.release();
    throw error;
  }
}
