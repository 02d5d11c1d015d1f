/**
 * A reporter for Vitest: after the run it prints which errors the tests met on the servers of `startCosbox`, of those that
 * the operations they used can answer with. In vitest.config: `reporters: ["default", "cosbox/vitest"]`.
 */

import { setCoverageFolder } from "./config/coverage-folder.ts";
import { coverageOf, coverageText } from "./diagnose/coverage.ts";
import { added, type TallyTold } from "./diagnose/tally.ts";
import { tallyFolder, takeTallies } from "./engines/tally-file.ts";
import { TABLE } from "./operations/table.ts";

/** What Vitest makes of the module's default export. */
export default class CosboxCoverageReporter {
  #folder: string | undefined;
  readonly #told: TallyTold[] = [];

  /** Before the processes of the tests begin, which inherit the variable. */
  async onInit(vitest: { onClose(run: () => Promise<void>): void }): Promise<void> {
    this.#folder = await tallyFolder();
    setCoverageFolder(this.#folder);
    // A server that all test files share, of a `globalSetup`, ends after the run has.
    vitest.onClose(() => this.#tell());
  }

  onTestRunStart(): void {
    this.#told.length = 0;
  }

  async onTestRunEnd(): Promise<void> {
    await this.#tell();
  }

  /** Tells of all servers that have ended, if there are any that it has not told of. */
  async #tell(): Promise<void> {
    if (this.#folder === undefined) return;
    const tallies = (await takeTallies(this.#folder)).map((text) => JSON.parse(text) as TallyTold);
    if (tallies.length === 0) return;
    this.#told.push(...tallies);
    process.stdout.write(`\ncosbox: errors met by these tests\n${coverageText(coverageOf(TABLE, added(this.#told)))}`);
  }
}
