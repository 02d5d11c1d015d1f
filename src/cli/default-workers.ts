/** How many processes serve when nobody has said. */

import { availableParallelism, totalmem } from "node:os";
import { WORKERS_MAX } from "../config/settings.ts";

/** Memory that a process is given at least, bytes: idle it takes a third of that, under load all of it. */
const BYTES_EACH = 256 * 1024 ** 2;

/** One for each core, but no more than the memory is enough for: a container may see all cores and little memory. */
export function defaultWorkers(cores = availableParallelism(), memoryBytes = memoryHere()): number {
  return Math.max(1, Math.min(cores, Math.floor(memoryBytes / BYTES_EACH), WORKERS_MAX));
}

/** Bytes that this process may use, by the limit of its container where it has one. */
function memoryHere(): number {
  // Without a limit it is 0, or more than any machine has.
  const limit = process.constrainedMemory() ?? 0;
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
