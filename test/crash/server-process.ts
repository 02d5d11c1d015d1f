/** The real command in a process group of its own, to be killed. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const COMMAND = join(ROOT, "dist", "lib", "cli", "main.js");
const STANDBY = join(ROOT, "test", "crash", "standby.mjs");
/** Far more than a start takes anywhere; a server that never listens must not hang the test. */
const START_MS_MAX = 60_000;

export interface ServerProcess {
  readonly pid: number;
  /** Resolves with the port when it listens; rejects with what it said when it ended before. */
  readonly listening: Promise<number>;
  /** Whether the process has ended. */
  readonly ended: () => boolean;
  /** All it has written to standard error. */
  readonly log: () => string;
  /** The processes that serve, where there are several. */
  workers(): Promise<readonly number[]>;
  /** SIGKILL to the whole group; resolves when it is dead. */
  kill(): Promise<void>;
  /** SIGTERM, as a service is stopped; resolves with its exit code. */
  stop(): Promise<number | null>;
  /** Resolves when it has ended by itself, with its exit code or signal. */
  readonly exit: Promise<number | string>;
}

export interface ServerOptions {
  readonly data: string;
  /** Further flags of `serve`. */
  readonly flags?: readonly string[];
  /** Flags of node. */
  readonly node?: readonly string[];
  /** A program, with its arguments, under which node is run. */
  readonly under?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** One process unless a test says otherwise: what is killed, starved or traced is then the one that serves. */
const FLAGS = ["--listen", "127.0.0.1:0", "--log-level", "warn", "--workers", "1"];

function watched(child: ChildProcess): ServerProcess {
  let log = "";
  let banner = "";
  let ended = false;
  const exit = once(child, "exit").then(([code, signal]: (number | string | null)[]) => {
    ended = true;
    return code ?? signal ?? 0;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    // A server that complains without end must not fill the memory of its test.
    if (log.length < 1_000_000) log += text;
  });
  const listening = new Promise<number>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the server did not listen in time: ${log}`)), START_MS_MAX);
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      if (banner.length > 10_000) return;
      banner += text;
      const port = /listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(banner)?.[1];
      if (port === undefined) return;
      clearTimeout(timer);
      resolve(Number(port));
    });
    void exit.then((how) => {
      clearTimeout(timer);
      reject(new Error(`the server ended (${how}) before it listened: ${log}`));
    });
  });
  listening.catch(() => undefined);
  const pid = child.pid as number;
  assert.ok(pid > 1);
  return {
    pid,
    listening,
    exit,
    ended: () => ended,
    log: () => log,
    workers: () => childrenOf(pid),
    async kill() {
      try {
        process.kill(-pid, "SIGKILL");
      } catch (error) {
        // The whole group is gone already.
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
      await exit;
    },
    async stop() {
      if (!ended) child.kill("SIGTERM");
      const how = await exit;
      return typeof how === "number" ? how : null;
    },
  };
}

/** Processes that are alive and were started by this one. */
async function childrenOf(pid: number): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, "utf8").catch(() => "");
    // The program's name stands in parentheses and may hold anything; its state and its parent follow.
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (Number(parent) === pid && state !== "Z") found.push(Number(name));
  }
  return found;
}

/** Starts `cosbox serve`. */
export function startServer({ data, flags = [], node = [], under = [], env = {} }: ServerOptions): ServerProcess {
  const [program, ...rest] = [...under, process.execPath];
  const args = [...rest, ...node, COMMAND, "serve", "--data", data, ...FLAGS, ...flags];
  return watched(
    spawn(program, args, {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...cleanEnvironment(), ...env },
    }),
  );
}

/** A process that has loaded the server's code and waits to be told to begin: most of a start is loading. */
export interface Standby {
  begin(options: Pick<ServerOptions, "data" | "flags">): ServerProcess;
  discard(): Promise<void>;
}

export function standby({ node = [], env = {} }: Pick<ServerOptions, "node" | "env"> = {}): Standby {
  const child = spawn(process.execPath, [...node, STANDBY], {
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...cleanEnvironment(), ...env },
  });
  const server = watched(child);
  child.stdin?.on("error", () => undefined);
  return {
    begin({ data, flags = [] }) {
      child.stdin?.end(`${JSON.stringify(["serve", "--data", data, ...FLAGS, ...flags])}\n`);
      return server;
    },
    discard: () => server.kill(),
  };
}

/** The settings of whoever runs the tests are not the server's. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(COSBOX_|VITEST|NODE_OPTIONS$|NODE_V8)/.test(name)),
  );
}
