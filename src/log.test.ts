import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { createLog, type LogOptions } from "./log.ts";

function capture(options: { level?: LogOptions["level"]; isTTY?: boolean } = {}) {
  const lines: string[] = [];
  const out = { write: (line: string) => lines.push(line), isTTY: options.isTTY ?? false };
  return { lines, log: createLog({ level: options.level ?? "info", out }) };
}

describe("the log", () => {
  it("writes one JSON object a line where no person watches", () => {
    const { lines, log } = capture();
    log.warn("certificate refused", { file: "a.pem" });
    const [line = ""] = lines;
    assert.equal(lines.length, 1);
    assert.ok(line.endsWith("\n"));
    const { time, ...rest } = JSON.parse(line) as Record<string, unknown>;
    assert.equal(typeof time, "number");
    assert.deepEqual(rest, { level: 40, file: "a.pem", msg: "certificate refused" });
  });

  it("writes a readable line on a terminal, with control characters spelled out", () => {
    const { lines, log } = capture({ isTTY: true });
    log.info("stored \x1b[31m", { key: "a\nb\x9b" });
    assert.match(lines.join(""), /^\d\d:\d\d:\d\d info {2}stored \\x1b\[31m key="a\\nb\\x9b"\n$/);
  });

  it("writes what is at or above its level, and nothing when silent", () => {
    const quiet = capture({ level: "warn" });
    quiet.log.info("no");
    quiet.log.error("yes", { error: new Error("why") });
    assert.equal(quiet.lines.length, 1);
    assert.match(quiet.lines[0] ?? "", /"message":"why"/);

    const silent = capture({ level: "silent" });
    silent.log.error("no");
    assert.deepEqual(silent.lines, []);
  });

  it.each([false, true])("never writes a secret (terminal: %s)", (isTTY) => {
    const { lines, log } = capture({ isTTY });
    log.info("start", {
      secretKey: "s3cret",
      settings: { secretKey: "s3cret" },
      headers: { authorization: "s3cret", "x-cos-security-token": "s3cret", host: "shown" },
    });
    assert.ok(!lines.join("").includes("s3cret"));
    assert.ok(lines.join("").includes("shown"));
  });
});
