/** Makes a call of a running server fail, or be its last. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** What a server is started with, so that every call to its files comes from one thread and can be counted. */
export const COUNTABLE = { UV_THREADPOOL_SIZE: "1" };

export interface Trace {
  /** Lets go of the process; resolves with a line for each call that was traced. */
  end(): Promise<readonly string[]>;
}

const PATIENCE_MS = 200;
const ATTACH_MS_MAX = 10_000;

let count = 0;

/** Watches the calls of those names that the threads of a process make, from when this resolves. */
export async function trace(pid: number, calls: readonly string[]): Promise<Trace> {
  return attach(pid, ["-e", `trace=${calls.join()}`]);
}

/**
 * From when this resolves, the `nth` time that a thread of the process makes the system call, `what` happens instead:
 * `signal=KILL` or `error=EIO`. With an error, every later call of that kind is made as usual.
 */
export async function inject(pid: number, call: string, nth: number, what: string): Promise<Trace> {
  return attach(pid, ["-e", `trace=${call}`, "-e", `inject=${call}:${what}:when=${nth}`]);
}

async function attach(pid: number, rules: readonly string[]): Promise<Trace> {
  const output = join(tmpdir(), `cosbox-strace-${process.pid}-${count++}`);
  const strace = spawn("strace", ["-f", "-o", output, ...rules, "-p", String(pid)], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  strace.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const exit = once(strace, "exit");
  // It says that it is attached when it is attached to every thread.
  const end = performance.now() + ATTACH_MS_MAX;
  while (!said.includes("attached")) {
    if (strace.exitCode !== null || performance.now() > end) throw new Error(`strace could not attach: ${said}`);
    await sleep(2);
  }
  return {
    async end() {
      // Where its process has died it ends by itself; but now and then it misses the end of a thread that it has killed,
      // and waits for ever, while the dead process waits for it.
      strace.kill("SIGINT");
      await Promise.race([exit, sleep(PATIENCE_MS)]);
      strace.kill("SIGKILL");
      await exit;
      const lines = (await readFile(output, "utf8")).split("\n");
      await rm(output);
      return lines.filter((line) => /^\d+ +\w+\(/.test(line));
    },
  };
}
