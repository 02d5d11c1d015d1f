/** Where servers of a test run leave their counters: the reporter sets it, the processes of the tests inherit it. */

const VARIABLE = "COSBOX_COVERAGE";

/** Undefined where nobody collects them. */
export function coverageFolder(): string | undefined {
  return process.env[VARIABLE] || undefined;
}

export function setCoverageFolder(folder: string): void {
  process.env[VARIABLE] = folder;
}
