/** A data folder that no server uses, looked at from outside: whether it is whole, and whether anything is left over. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { localBlobs } from "../../src/engines/blobs/local.ts";
import { systemClock } from "../../src/engines/clock/system.ts";
import { lmdbMetadata } from "../../src/engines/metadata/lmdb.ts";
import { forgetCommitters } from "../../src/engines/metadata/open-gate.ts";
import { systemRandom } from "../../src/engines/random/system.ts";
import { checkStore } from "../../src/store/check.ts";
import { openStore } from "../../src/store/store.ts";

/**
 * Asserts that nothing in the folder is damaged. With `collect` the store is opened first as a start would, and its
 * collector given the time it needs; then nothing may be left over either.
 */
export async function assertSound(folder: string, { collect = false } = {}): Promise<void> {
  const random = systemRandom();
  // As whoever has the folder's lock does: a loss of power leaves files that do not say any more whose they were.
  await forgetCommitters(join(folder, "metadata"));
  const metadata = await lmdbMetadata({ folder: join(folder, "metadata"), random });
  const blobs = await localBlobs({ folder, random, durability: "none" });
  try {
    if (collect) {
      const report = (error: unknown): void => {
        throw error;
      };
      const store = await openStore({ metadata, blobs, clock: systemClock(), random, report });
      await store.collector.idle();
      await store.close();
    }
    const findings: string[] = [];
    const report = await checkStore(
      { rows: metadata, blobs, inUse: false },
      { onFinding: ({ kind, where, why }) => findings.push(`${kind}: ${where}: ${why}`) },
    );
    assert.equal(report.damage, 0, findings.join("\n"));
    if (collect) assert.equal(report.leftovers, 0, findings.join("\n"));
  } finally {
    await blobs.close();
    await metadata.close();
  }
}
