/** What a process that serves loads once it has begun. */

import { createRequire } from "node:module";

/** Packages that are loaded when they are first needed, so that a start does not wait for them. */
const LATE_PACKAGES = ["mime-types", "pino", "saxes"];
const LOAD_AHEAD_MS = 300;

/** Loads, in a moment, what will be needed: a process that has run out of descriptors can load nothing any more. */
export function loadAhead(): void {
  const require = createRequire(import.meta.url);
  const load = () => {
    for (const name of LATE_PACKAGES) require(name);
  };
  setTimeout(load, LOAD_AHEAD_MS).unref();
}
