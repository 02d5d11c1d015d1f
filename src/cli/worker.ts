/**
 * One of the processes of `cosbox serve --workers`: serves until the first process tells it to stop. It is started by
 * that one alone, and ends when that one is gone.
 */

import { startServer } from "../assembly/server.ts";
import type { Settings } from "../config/settings.ts";
import { systemClock } from "../engines/clock/system.ts";
import type { FromWorker, ToWorker } from "../engines/peers/messages.ts";
import { workerPeers } from "../engines/peers/peers.ts";
import { startFault } from "../engines/peers/start-fault.ts";
import { createLog } from "../log.ts";
import type { ClockReading } from "../ports/clock.ts";
import { loadAhead } from "./load-ahead.ts";

/** Speaks to the first process; resolves when the message is on its way. */
function say(message: FromWorker): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send?.(message, undefined, undefined, () => resolve());
    else resolve();
  });
}

/** A Ctrl-C goes to every process of a terminal, and a service manager's signal often too: the first one decides. */
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => undefined);

// Without the first process nobody knows which of the others live, and its lock may be taken at any moment.
process.on("disconnect", () => process.exit(1));

const peers = workerPeers((message) => void say(message), systemClock());

async function serve(
  settings: Settings,
  since: ClockReading,
  stopped: Promise<{ graceMs: number; idleMs: number }>,
): Promise<void> {
  const log = createLog({ level: settings.logLevel, out: process.stderr });
  process.on("uncaughtException", (error) => {
    log.error("a fault ends this server process; another takes its place", { error, pid: process.pid });
    process.exit(70);
  });
  const server = await startServer(settings, { log, peers, since });
  const { host, port, admin } = server;
  await say({ kind: "listening", host, port, ...(admin === undefined ? {} : { admin }) });
  loadAhead();
  const { graceMs, idleMs } = await stopped;
  await server.stop(graceMs, idleMs);
}

let stop: (how: { graceMs: number; idleMs: number }) => void = () => undefined;
const stopped = new Promise<{ graceMs: number; idleMs: number }>((resolve) => {
  stop = resolve;
});

process.on("message", (message: ToWorker<Settings>) => {
  if (message.kind === "stop") return stop(message);
  if (message.kind !== "start") return peers.hear(message);
  serve(message.start, message.since, stopped).then(
    () => process.exit(0),
    async (error: unknown) => {
      await say({ kind: "failed", fault: startFault(error) });
      process.exit(1);
    },
  );
});

await say({ kind: "ready" });
