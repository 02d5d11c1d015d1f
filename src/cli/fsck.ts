/** `cosbox fsck`: whether everything in a data folder is there and fits together. */

import type { LoadedSettings } from "../config/load-settings.ts";
import { systemClock } from "../engines/clock/system.ts";
import { isDataHeld } from "../engines/data-hold.ts";
import { lockData } from "../engines/data-lock.ts";
import { lmdbMetadata } from "../engines/metadata/lmdb.ts";
import { systemRandom } from "../engines/random/system.ts";
import { type CheckReport, type CheckSources, checkStore, removeStrays } from "../store/check.ts";
import { type Finding, FINDINGS, type FindingKind } from "../store/findings.ts";
import { openStore } from "../store/store.ts";
import { metadataFolder, openBlobs, openData, type OpenData, requireData } from "./open-data.ts";
import { progress, type Progress } from "./progress.ts";
import { bytesText, countOf, countText, durationText, printable } from "./quantities.ts";
import type { Shell } from "./shell.ts";

export interface FsckFlags {
  /** Frees what nothing needs. */
  readonly repair?: boolean;
  /** Prints leftovers one by one as well. */
  readonly verbose?: boolean;
}

/** Findings of one severity that are printed one by one. */
const LINES_MAX = 1_000;
/** How long a finding that may be a change on its way is given. */
const AGAIN_MS = 300;

/** Sources of a check for a folder that is open, and what ends them. */
export function checkSources(data: OpenData): { readonly sources: CheckSources; readonly end: () => void } {
  const { blobs, folder, inUse, metadata } = data;
  const snapshot = metadata.snapshot();
  const sources: CheckSources = {
    rows: snapshot,
    blobs,
    inUse,
    async again(look) {
      if (!inUse) return look(metadata.current, blobs);
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      const present = await openBlobs(folder);
      try {
        return await look(metadata.current, present);
      } finally {
        await present.close();
      }
    },
  };
  return { sources, end: () => snapshot.end() };
}

/** Prints findings as they come, the first thousand of each severity. */
export function findingPrinter(bar: Progress, verbose: boolean): (finding: Finding) => void {
  const printed = { damage: 0, leftover: 0 };
  return ({ kind, where, why }) => {
    const { severity } = FINDINGS[kind];
    if (severity === "leftover" && !verbose) return;
    printed[severity] += 1;
    if (printed[severity] === LINES_MAX + 1) bar.line(`${severity}: more than ${LINES_MAX}; the rest is counted only`);
    if (printed[severity] > LINES_MAX) return;
    bar.line(`${severity}: ${kind}: ${printable(where)}${why === "" ? "" : `: ${printable(why)}`}`);
  };
}

/** The counts of a report, in lines. */
export function summary(report: CheckReport, ms: number): string {
  const { buckets, objects, objectBytes, versions, uploads, parts, rows, blobs, found } = report;
  const kinds = (severity: "damage" | "leftover"): string => {
    const some = [...found].filter(([kind]) => FINDINGS[kind].severity === severity);
    if (some.length === 0) return "none";
    return some.map(([kind, count]) => `${countText(count)} ${FINDINGS[kind].about}`).join("; ");
  };
  const speed = objects > 0 && ms > 0 ? ` (${countText((objects / ms) * 1_000)} objects/s)` : "";
  return [
    `checked ${countOf(buckets, "bucket")}, ${countOf(objects, "object")} of ${bytesText(objectBytes)}, ` +
      `${versions === 0 ? "" : `${countOf(versions, "older version")}, `}${countOf(uploads, "upload")}, ${countOf(parts, "part")}, ${countOf(rows, "row")} and ` +
      `${countOf(blobs, "blob")} in ${durationText(ms)}${speed}`,
    `damage: ${kinds("damage")}`,
    `leftovers: ${kinds("leftover")}`,
  ].join("\n");
}

/** Exit code 0 where nothing is damaged, whatever is left over; 1 otherwise. */
export async function fsck({ settings }: LoadedSettings, flags: FsckFlags, shell: Shell): Promise<number> {
  const data = await openData(settings, flags.repair === true ? "required" : "wanted");
  if (data.inUse) shell.stderr.write("cosbox: a server uses this folder; it is checked as of this moment\n");
  const bar = progress(shell, { label: "checking", total: undefined, unit: "items" });
  const started = performance.now();
  let report: CheckReport;
  try {
    const { sources, end } = checkSources(data);
    try {
      report = await checkStore(sources, {
        onFinding: findingPrinter(bar, flags.verbose === true),
        onProgress: (done) => bar.update(done),
      });
    } finally {
      end();
      bar.end();
    }
  } finally {
    await data.close();
  }
  shell.stdout.write(`${summary(report, performance.now() - started)}\n`);
  if (flags.repair === true) {
    if (report.damage === 0) await repair(settings, report, shell);
    else shell.stdout.write("nothing was freed: what cannot be read may need what seems to be left over\n");
  }
  return report.damage === 0 ? 0 : 1;
}

/** Leftovers that the collector frees. What else only takes room is of rows that it would never find. */
const COLLECTED: ReadonlySet<FindingKind> = new Set(["garbage", "unfinished", "blob-unreferenced"]);

/** Removes rows that no collector would find, and then does what the next start would do. */
async function repair(settings: LoadedSettings["settings"], { found }: CheckReport, shell: Shell): Promise<void> {
  const folder = requireData(settings);
  const lock = await lockData(folder);
  try {
    const random = systemRandom();
    const metadata = await lmdbMetadata({ folder: metadataFolder(folder), random });
    const blobs = await openBlobs(folder);
    try {
      let removed = 0;
      if ([...found.keys()].some((kind) => !COLLECTED.has(kind))) {
        removed = await removeStrays({ rows: metadata, blobs, inUse: false });
      }
      const isHeld = (): Promise<boolean> => isDataHeld(folder);
      const store = await openStore({ metadata, blobs, clock: systemClock(), random, isHeld });
      await store.collector.idle();
      await store.close();
      shell.stdout.write(`freed: ${countOf(removed, "row")} that nothing needs, and what waited for the collector\n`);
    } finally {
      await blobs.close();
      await metadata.close();
    }
  } finally {
    await lock.release();
  }
}
