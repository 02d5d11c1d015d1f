/** Makes this process the only one that a data folder belongs to. */

import { join } from "node:path";
import { type FolderLock, lockFolder } from "./folder-lock.ts";
import { forgetCommitters } from "./metadata/open-gate.ts";

/**
 * Locks the data folder, as `lockFolder` does; whoever has committed to its metadata before is dead then.
 * @throws FolderLocked.
 */
export async function lockData(data: string): Promise<FolderLock> {
  const lock = await lockFolder(data);
  try {
    await forgetCommitters(join(data, "metadata"));
    return lock;
  } catch (error) {
    await lock.release();
    throw error;
  }
}
