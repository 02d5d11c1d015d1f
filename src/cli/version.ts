/** The version of this package, as package.json says it. */

import { readFileSync } from "node:fs";
import path from "node:path";

/** Looks upwards from this file, because it stands at another depth in the sources than in the built package. */
export function packageVersion(): string {
  for (let folder = import.meta.dirname; ; folder = path.dirname(folder)) {
    try {
      const { name, version } = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8")) as Record<
        string,
        unknown
      >;
      if (name === "cosbox") return String(version);
    } catch {
      // No package.json here: look one folder up.
    }
    if (folder === path.dirname(folder)) return "unknown";
  }
}
