/** The examples for Vitest, run as they stand, with the reporter that tells which errors were met. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, onTestFinished } from "vitest";
import { type Ran, ranNode } from "../fixtures/node-program.ts";

const ROOT = join(import.meta.dirname, "../..");

/** Runs Vitest on examples with the package by its sources, since a clone has not been built yet. */
function run(test: Record<string, unknown>): Promise<Ran> {
  const folder = mkdtempSync(join(tmpdir(), "cosbox-example-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const alias = {
    "cosbox/vitest": join(ROOT, "src/vitest.ts"),
    "cosbox/admin": join(ROOT, "src/admin/client.ts"),
    cosbox: join(ROOT, "src/library.ts"),
  };
  const reporters = ["default", join(ROOT, "src/vitest.ts")];
  const file = join(folder, "vitest.config.mjs");
  writeFileSync(
    file,
    `export default ${JSON.stringify({ resolve: { alias }, test: { root: ROOT, reporters, ...test } })};`,
  );
  return ranNode([join(ROOT, "node_modules/vitest/vitest.mjs"), "run", "--config", file, "--root", ROOT], ROOT);
}

describe("examples/retry.test.js", () => {
  it("passes, and the reporter tells which errors it met", { timeout: 60_000 }, async () => {
    const { code, text } = await run({ include: ["examples/*.test.js"] });
    assert.equal(code, 0, text);
    assert.match(text, /3 passed/);
    assert.match(text, /cosbox: errors met by these tests/);
    assert.match(text, /PutObject: \d+ requests, 2 of \d+ errors met\n {2}met {6}AccessDenied, SlowDown\n/);
  });
});

describe("examples/shared-server", () => {
  it("lets test files share a server and nothing else, and the reporter counts all of them", {
    timeout: 60_000,
  }, async () => {
    const globalSetup = [join(ROOT, "examples/shared-server/setup.js")];
    const { code, text } = await run({ include: ["examples/shared-server/*.test.js"], globalSetup });
    assert.equal(code, 0, text);
    assert.match(text, /Test Files {2}2 passed/);
    assert.match(text, /GetObject: 2 requests, 1 of \d+ errors met/);
  });
});
