import assert from "node:assert/strict";
import { createRequire } from "node:module";
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

  it("still says what is wrong when pino cannot be loaded, and loads it for the next line", () => {
    const lines: string[] = [];
    let full = true;
    const require = createRequire(import.meta.url);
    const log = createLog({
      level: "info",
      out: { write: (line: string) => lines.push(line) },
      require: (name) => {
        if (full) throw new Error("EMFILE: too many open files");
        return require(name);
      },
    });
    log.error("a request failed", { error: new Error("why"), secretKey: "s3cret" });
    full = false;
    log.info("better");
    const [bare, whole] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.equal(bare?.["msg"], "a request failed");
    assert.equal(bare["error"], "Error: why");
    assert.equal(bare["logFault"], "Error: EMFILE: too many open files");
    assert.ok(!lines.join("").includes("s3cret"));
    assert.equal(whole?.["msg"], "better");
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
