/** `cosbox serve`: starts the server, says where it is, and stops it in order. */

import { createRequire } from "node:module";
import { formatListen, isLoopback } from "../config/listen-address.ts";
import type { LoadedSettings } from "../config/load-settings.ts";
import { developmentCaPath } from "../engines/tls/ca-path.ts";
import { createLog } from "../log.ts";
import { banner } from "./banner.ts";
import type { Shell } from "./run.ts";
import { explainStartFault, prepareDataFolder } from "./start-fault.ts";
import { packageVersion } from "./version.ts";

/** npm passes on a Ctrl-C that the terminal has already sent to every process; the echo is not a second wish. */
const ECHO_MS = 1000;

const SIGNALS = [
  ["SIGINT", 2],
  ["SIGTERM", 15],
] as const;

/** Packages that are loaded when they are first needed, so that a start does not wait for them. */
const LATE_PACKAGES = ["mime-types", "pino", "saxes"];
const LOAD_AHEAD_MS = 300;

/** Loads what will be needed: when a process has run out of descriptors it can load nothing any more. */
function loadAhead(): void {
  const require = createRequire(import.meta.url);
  for (const name of LATE_PACKAGES) require(name);
}

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
  const { startServer } = await import("../assemble.ts");
  const server = await startServer(settings, { log }).catch((error: unknown) => {
    throw explainStartFault(error, settings);
  });
  const { host, port } = server;
  const caPath = settings.tls === "dev" ? developmentCaPath(settings.data) : undefined;
  shell.stdout.write(banner({ settings, host, port, caPath, version: packageVersion() }));

  setTimeout(loadAhead, LOAD_AHEAD_MS).unref();

  await signal;
  shell.stderr.write("cosbox: stopping; what is under way is finished first (again to stop at once)\n");
  await server.stop(settings.limits.stopGraceMs);
  return 0;
}
