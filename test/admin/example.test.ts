/** The example for Vitest, run as it stands, with the reporter that tells which errors were met. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, onTestFinished } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

describe("examples/retry.test.js", () => {
  it("passes, and the reporter tells which errors it met", { timeout: 60_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "cosbox-example-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    // The package by its sources, since a clone has not been built yet.
    const config = {
      resolve: { alias: { "cosbox/vitest": join(ROOT, "src/vitest.ts"), cosbox: join(ROOT, "src/library.ts") } },
      test: { include: ["examples/*.test.js"], root: ROOT, reporters: ["default", join(ROOT, "src/vitest.ts")] },
    };
    const file = join(folder, "vitest.config.mjs");
    writeFileSync(file, `export default ${JSON.stringify(config)};`);
    const env = { ...process.env, NO_COLOR: "1", COSBOX_COVERAGE: "" };
    const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
    const child = spawn(process.execPath, [vitest, "run", "--config", file, "--root", ROOT], { cwd: ROOT, env });
    let text = "";
    child.stdout.on("data", (piece: Buffer) => (text += piece.toString()));
    child.stderr.on("data", (piece: Buffer) => (text += piece.toString()));
    const code = await new Promise((resolve) => child.on("close", resolve));
    assert.equal(code, 0, text);
    assert.match(text, /3 passed/);
    assert.match(text, /cosbox: errors met by these tests/);
    assert.match(text, /PutObject: \d+ requests, 2 of \d+ errors met\n {2}met {6}AccessDenied, SlowDown\n/);
  });
});
