/** `cosbox serve`: starts the server, says where it is, and stops it in order. */

import path from "node:path";
import { formatListen, isLoopback } from "../config/listen-address.ts";
import type { LoadedSettings } from "../config/load-settings.ts";
import type { Settings } from "../config/settings.ts";
import { systemClock } from "../engines/clock/system.ts";
import { developmentCaPath } from "../engines/tls/ca-path.ts";
import { createLog, type Log } from "../log.ts";
import { banner } from "./banner.ts";
import { loadAhead } from "./load-ahead.ts";
import { EXIT_FAILED, type Shell } from "./shell.ts";
import { explainStartFault, prepareDataFolder } from "./start-fault.ts";
import { packageVersion } from "./version.ts";

/** npm passes on a Ctrl-C that the terminal has already sent to every process; the echo is not a second wish. */
const ECHO_MS = 1000;

const FREE_PORT_ATTEMPTS = 5;

const SIGNALS = [
  ["SIGINT", 2],
  ["SIGTERM", 15],
] as const;

/** Resolves at the first signal to stop. A second one, later than an echo, ends the process at once. */
function firstSignal(shell: Shell): Promise<void> {
  return new Promise((resolve) => {
    let firstAt: number | undefined;
    for (const [signal, number] of SIGNALS) {
      shell.on(signal, () => {
        const now = performance.now();
        if (firstAt === undefined) {
          firstAt = now;
          resolve();
        } else if (now - firstAt > ECHO_MS) {
          shell.exit(128 + number);
        }
      });
    }
  });
}

/** What serves: this process, or several that it watches over. */
interface Serving {
  readonly host: string;
  readonly port: number;
  /** Where the admin listener is, if there is one. */
  readonly admin?: string | undefined;
  /** Resolves, with a line that says why, when it cannot go on. */
  readonly failed?: Promise<string>;
  /** Exchanges the processes one by one, so that no request fails. */
  readonly roll?: (graceMs: number) => Promise<void>;
  stop(graceMs: number): Promise<void>;
}

async function startAlone(settings: Settings, log: Log): Promise<Serving> {
  const { startServer } = await import("../assembly/server.ts");
  return await startServer(settings, { log });
}

/** This process holds the lock and watches; what it started serves. */
async function startWorkers(settings: Settings, log: Log): Promise<Serving> {
  if (settings.seed !== "") {
    const { beginWithSeed } = await import("../assembly/server.ts");
    await beginWithSeed(settings, log);
  }
  const { lockData } = await import("../engines/data-lock.ts");
  const lock = await lockData(settings.data);
  try {
    const processes = await startProcesses(settings, log);
    return {
      ...processes,
      async stop(graceMs) {
        await processes.stop(graceMs);
        await lock.release();
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function startProcesses(settings: Settings, log: Log, attempt = 1): Promise<Serving> {
  const { startWorkerProcesses } = await import("../engines/peers/worker-processes.ts");
  const { freePort } = await import("../engines/peers/free-port.ts");
  const { host, port } = settings.listen;
  const isFree = port === 0;
  // The processes share one listener, so its port is known before they start.
  const admin =
    settings.admin === "auto" && isFree ? { host: "127.0.0.1", port: await freePort("127.0.0.1") } : settings.admin;
  try {
    return await startWorkerProcesses({
      count: settings.workers,
      // The same file in the sources and in what is built from them.
      script: path.join(import.meta.dirname, `worker${path.extname(import.meta.filename)}`),
      start: { ...settings, seed: "", admin, listen: { host, port: isFree ? await freePort(host) : port } },
      clock: systemClock(),
      crashesMax: settings.limits.workerCrashesMax,
      onTrouble: (line) => log.error(line),
    });
  } catch (error) {
    // Somebody else was given the free port in between.
    const isTaken = isFree && (error as NodeJS.ErrnoException).code === "EADDRINUSE";
    if (!isTaken || attempt === FREE_PORT_ATTEMPTS) throw error;
    return await startProcesses(settings, log, attempt + 1);
  }
}

/** Runs until a signal; the result is the exit code. Throws SettingsError where a person has to mend something. */
export async function serve({ settings, warnings }: LoadedSettings, shell: Shell): Promise<number> {
  for (const warning of warnings) shell.stderr.write(`cosbox: warning: ${warning}\n`);
  if (!isLoopback(settings.listen.host) && settings.profile !== "server") {
    shell.stderr.write(
      `cosbox: warning: ${formatListen(settings.listen)} can be reached from other machines, ` +
        "and everyone who reaches it knows the development keys\n",
    );
  }
  if (!settings.memory || settings.tls === "dev") prepareDataFolder(settings.data);

  // Listened for from here on, so that a signal during the start is not lost.
  const signal = firstSignal(shell);
  const log = createLog({ level: settings.logLevel, out: shell.stderr });
  const start = settings.workers > 1 ? startWorkers : startAlone;
  const serving = await start(settings, log).catch((error: unknown) => {
    throw explainStartFault(error, settings);
  });
  const { host, port, admin } = serving;
  const { stopGraceMs } = settings.limits;
  shell.on("SIGUSR2", () => {
    if (serving.roll) void serving.roll(stopGraceMs);
    else shell.stderr.write("cosbox: SIGUSR2 exchanges server processes one by one, and here is only one\n");
  });
  const caPath = settings.tls === "dev" ? developmentCaPath(settings.data) : undefined;
  shell.stdout.write(banner({ settings, host, port, admin, caPath, version: packageVersion() }));
  loadAhead();

  const why = await Promise.race([signal, ...(serving.failed === undefined ? [] : [serving.failed])]);
  if (typeof why === "string") shell.stderr.write(`cosbox: stopping: ${why}\n`);
  else shell.stderr.write("cosbox: stopping; what is under way is finished first (again to stop at once)\n");
  await serving.stop(stopGraceMs);
  return typeof why === "string" ? EXIT_FAILED : 0;
}
