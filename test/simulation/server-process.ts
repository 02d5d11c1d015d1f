/** A server in a process of its own that can be killed and started again on the same data. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";
import { DEVELOPMENT_SECRET_ID, DEVELOPMENT_SECRET_KEY } from "../../src/config/settings.ts";
import { type Received, type Sent, serverOf, type TestServer, UNCONTROLLED } from "../fixtures/server.ts";

const MAIN = path.resolve(import.meta.dirname, "../../src/cli/main.ts");
const TSX = import.meta.resolve("tsx");
const APPID = "1250000000";

export class ServerProcess {
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;
  #server: Promise<TestServer> | undefined;
  #bucketMade = false;
  #shown = "";

  /** Keeps its data in `folder`. */
  constructor(folder: string, workers: number, more: readonly string[] = []) {
    const settings = [
      "--data",
      folder,
      "--listen",
      "127.0.0.1:0",
      "--workers",
      String(workers),
      "--log-level",
      "error",
    ];
    this.#args = ["--import", TSX, MAIN, "serve", ...settings, ...more];
  }

  /** Starts it, and makes the bucket the first time. */
  start(): Promise<TestServer> {
    this.#server = this.#begin();
    this.#server.catch(() => undefined);
    return this.#server;
  }

  async #begin(): Promise<TestServer> {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("COSBOX_"));
    const child = spawn(process.execPath, this.#args, {
      env: Object.fromEntries(inherited),
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own, so that its workers die with it.
      detached: true,
    });
    this.#child = child;
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-4_000)));
    this.#shown = "";
    const port = await new Promise<number>((resolve, reject) => {
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        this.#shown += text;
        const found = /listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(this.#shown)?.[1];
        if (found !== undefined) resolve(Number(found));
      });
      child.once("close", (code) => {
        reject(new Error(`it ended with ${code}: ${said}`));
      });
    });
    const credentials = { secretId: DEVELOPMENT_SECRET_ID, secretKey: DEVELOPMENT_SECRET_KEY, appid: APPID, uin: "1" };
    const endpoint = `http://127.0.0.1:${port}`;
    const server = await serverOf(
      {
        endpoint,
        port,
        region: "ap-guangzhou",
        credentials,
        options: {
          SecretId: credentials.secretId,
          SecretKey: credentials.secretKey,
          Protocol: "http:",
          Proxy: endpoint,
        },
        ...UNCONTROLLED,
        bucket: (name) => `${name}-${APPID}`,
        stop: async () => {},
      },
      { createBucket: !this.#bucketMade },
    );
    this.#bucketMade = true;
    return server;
  }

  /** Sends it to the server that runs, or is being started. Rejects when no whole answer comes back. */
  async send(request: Sent): Promise<Received> {
    if (!this.#server) throw new Error("it was never started");
    return (await this.#server).send(request);
  }

  /** Where its admin listener is, as it says. */
  get admin(): string | undefined {
    return /admin[^\n]*(http:\/\/127\.0\.0\.1:\d+)/i.exec(this.#shown)?.[1];
  }

  /** Ends one of its workers, which it has to replace by itself; false where the system does not tell which they are. */
  killWorker(): boolean {
    const pid = this.#child?.pid;
    try {
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(/\s+/);
      const worker = children.find((child) =>
        readFileSync(`/proc/${child}/cmdline`, "latin1").startsWith(process.execPath),
      );
      return worker !== undefined && process.kill(Number(worker), "SIGKILL");
    } catch {
      return false;
    }
  }

  /** Ends every process of it at once, as the system does when it has no memory left. */
  async kill(): Promise<void> {
    const child = this.#child;
    const server = await this.#server?.catch(() => undefined);
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      const exit = once(child, "exit");
      process.kill(-child.pid, "SIGKILL");
      await exit;
    }
    await server?.stop();
  }
}
