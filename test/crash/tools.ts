/** What a test needs of the machine, and why it cannot run where that is missing. */
import { execFile, execFileSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const PATH = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/sbin"];

function isThere(program: string): boolean {
  return PATH.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Names what is missing, or undefined when the test can run. */
export function missing(programs: readonly string[], { root = false } = {}): string | undefined {
  if (process.platform !== "linux") return `needs Linux, and this is ${process.platform}`;
  if (root && process.getuid?.() !== 0) return "needs root, to mount a disk of its own";
  const lacking = programs.filter((program) => !isThere(program));
  return lacking.length === 0 ? undefined : `needs ${lacking.join(", ")}`;
}

const execute = promisify(execFile);

/** Runs a program of the system and resolves with what it printed. Rejects with its complaint. */
export async function command(program: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await execute(program, [...args], { env: { ...process.env, PATH: PATH.join(delimiter) } });
  return stdout.trim();
}

let straceReason: string | undefined | "unknown" = "unknown";

/** Whether strace is there and may trace: containers often forbid it. */
export function missingStrace(): string | undefined {
  if (straceReason !== "unknown") return straceReason;
  straceReason = missing(["strace"]);
  if (straceReason !== undefined) return straceReason;
  try {
    execFileSync("strace", ["-f", "-qq", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO", "true"], {
      stdio: "pipe",
    });
  } catch (error) {
    straceReason = `strace may not trace here: ${String((error as { stderr?: Buffer }).stderr).split("\n")[0]}`;
  }
  return straceReason;
}
