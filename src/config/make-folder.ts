import { mkdirSync } from "node:fs";
import path from "node:path";

function mkdirUnlessThere(folder: string): void {
  try {
    // Only its owner may look into it: it holds objects, and the keys of a local authority.
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

/**
 * Makes the folder and those above it; one that is there is left alone. Throws the system's error. Node's own
 * recursive form never returns where a folder can be seen but nothing made in it, such as `/proc`. (Node 20.20.2)
 */
export function makeFolder(folder: string): void {
  try {
    mkdirUnlessThere(folder);
  } catch (error) {
    const parent = path.dirname(folder);
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT") || parent === folder) throw error;
    makeFolder(parent);
    mkdirUnlessThere(folder);
  }
}
