/** `cosbox scrub`: reads every stored byte and holds it against its checksums, no faster than it may. */

import type { LoadedSettings } from "../config/load-settings.ts";
import { scrubSize, scrubStore } from "../store/scrub.ts";
import { openData } from "./open-data.ts";
import { progress } from "./progress.ts";
import { bytesText, countOf, durationText, printable, rateOf } from "./quantities.ts";
import type { Shell } from "./shell.ts";

export interface ScrubFlags {
  /** Most bytes per second, as text. */
  readonly rate?: string;
}

const PAUSE_MS = 300;
/** A pause shorter than this is saved up: timers are no finer. */
const PACE_MS_MIN = 5;

/** Holds whoever calls it to `rate` bytes per second, from the first call on. */
export function pacer(rate: number): (bytes: number) => Promise<void> | undefined {
  let due: number | undefined;
  return (bytes) => {
    const now = performance.now();
    // Time in which nothing was read is not made up for by a burst.
    due = Math.max(due ?? now, now - 100) + (bytes / rate) * 1_000;
    const wait = due - now;
    return wait < PACE_MS_MIN ? undefined : new Promise((resolve) => void setTimeout(resolve, wait));
  };
}

/** Exit code 0 where every byte is as it was stored, 1 otherwise. */
export async function scrub({ settings }: LoadedSettings, flags: ScrubFlags, shell: Shell): Promise<number> {
  const pace = flags.rate === undefined ? undefined : pacer(rateOf(flags.rate, "--rate"));
  const data = await openData(settings);
  try {
    const sources = { metadata: data.metadata.current, blobs: data.blobs };
    const size = await scrubSize(sources);
    const bar = progress(shell, { label: "reading", total: size.bytes, unit: "bytes" });
    const started = performance.now();
    const damagedBlobs = new Set<string>();
    const { bodies, bytes, damaged } = await scrubStore(sources, {
      ...(pace === undefined ? {} : { pace }),
      pause: () => new Promise((resolve) => void setTimeout(resolve, PAUSE_MS)),
      onProgress: (so) => bar.update(so.bytes),
      onDamage({ where, why, blob }) {
        if (blob !== undefined) damagedBlobs.add(blob);
        bar.line(`damage: ${printable(where)}: ${printable(why)}`);
      },
    });
    bar.end();
    const ms = performance.now() - started;
    shell.stdout.write(
      `read ${countOf(bodies, "object")} and parts, ${bytesText(bytes)} in ${durationText(ms)}\n` +
        `damage: ${damaged === 0 ? "none" : `${countOf(damaged, "object")} and parts, ${countOf(damagedBlobs.size, "blob")}`}\n`,
    );
    return damaged === 0 ? 0 : 1;
  } finally {
    await data.close();
  }
}
