/** The fixtures for Vitest and Jest in the README, run as they are printed. */

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, it, onTestFinished } from "vitest";
import { ranNode } from "../fixtures/node-program.ts";

const ROOT = join(import.meta.dirname, "../..");
const TSX = import.meta.resolve("tsx");
const JEST = [process.env["COSBOX_JEST"] ?? "", join(ROOT, "node_modules/jest/bin/jest.js")].find(existsSync);

/** The block of the README that names its file in its first lines. */
function printed(name: string): string {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const blocks = readme.split("\n```js\n").map((text) => text.slice(0, text.indexOf("\n```") + 1));
  const block = blocks.find((text) => text.split("\n", 2).includes(`// ${name}`));
  assert.ok(block, `the README prints no ${name}`);
  return block;
}

/** A folder with these files of the README, in which the package is found by its sources: a clone is not built yet. */
function folderWith(...names: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "cosbox-readme-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const name of names) writeFileSync(join(folder, name), printed(name));
  const own = join(folder, "node_modules/cosbox");
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, "package.json"), '{ "name": "cosbox", "type": "module", "exports": "./index.mjs" }');
  const sources = pathToFileURL(join(ROOT, "src/library.ts")).href;
  writeFileSync(join(own, "index.mjs"), `export * from ${JSON.stringify(sources)};\n`);
  symlinkSync(join(ROOT, "node_modules/cos-nodejs-sdk-v5"), join(folder, "node_modules/cos-nodejs-sdk-v5"));
  return folder;
}

const ran = (folder: string, args: readonly string[]) => ranNode(args, folder, { NODE_OPTIONS: `--import=${TSX}` });

describe("the README's fixtures", () => {
  it("of Vitest give each test the seed again", { timeout: 120_000 }, async () => {
    const folder = folderWith("demo.vitest.js");
    symlinkSync(join(ROOT, "node_modules/vitest"), join(folder, "node_modules/vitest"));
    writeFileSync(join(folder, "vitest.config.mjs"), 'export default { test: { include: ["*.vitest.js"] } };');
    const { code, text } = await ran(folder, [join(ROOT, "node_modules/vitest/vitest.mjs"), "run"]);
    assert.equal(code, 0, text);
    assert.match(text, /2 passed/);
  });

  it("of Jest give each test the seed again", { timeout: 120_000 }, async ({ skip }) => {
    if (JEST === undefined) return skip("jest is not here; COSBOX_JEST names its bin/jest.js");
    const folder = folderWith("demo.jest.js", "cosbox-environment.mjs");
    const installed = join(JEST, "../../..");
    for (const name of ["jest", "jest-environment-node"]) {
      symlinkSync(join(installed, name), join(folder, "node_modules", name));
    }
    const config = { testMatch: ["**/*.jest.js"], rootDir: folder };
    writeFileSync(join(folder, "jest.config.json"), JSON.stringify(config));
    const { code, text } = await ran(folder, [JEST, "--runInBand", "--config", "jest.config.json"]);
    assert.equal(code, 0, text);
    assert.match(text, /Tests: +2 passed, 2 total/);
  });
});
