/** Starts servers: a core, its namespaces, and the listeners in front of them. */

import type { BackgroundTask } from "../background.ts";
import { formatListen, isLoopback, reachableHost } from "../config/listen-address.ts";
import { type Settings, SettingsError } from "../config/settings.ts";
import type { AdminContext } from "../admin/route.ts";
import { startAdmin, type AdminListener } from "../admin/server.ts";
import type { ServerControl } from "../control/server-control.ts";
import { loadTls } from "../engines/tls/load-tls.ts";
import { startEdge } from "../http/server.ts";
import { type Log, SILENT } from "../log.ts";
import type { Clock } from "../ports/clock.ts";
import type { NamespaceControl } from "../namespaces/namespaces.ts";
import type { Recorder } from "../diagnose/recorder.ts";
import { Closers } from "./closers.ts";
import { openCore, type Place, type ServerOptions } from "./core.ts";
import { openNamespaces } from "./namespaces.ts";

/** A server that answers. */
export interface RunningServer {
  /** `http://127.0.0.1:9000`, with an address that this machine reaches. */
  readonly endpoint: string;
  readonly host: string;
  readonly port: number;
  /** What people may look at and change while it runs. */
  readonly control: ServerControl;
  /** What is kept of requests and refusals of this process. */
  readonly records: Recorder;
  /** Where the admin listener is, such as `http://127.0.0.1:9001`; undefined where there is none. */
  readonly admin: string | undefined;
  /** What is done in the background by the virtual clock. */
  readonly tasks: readonly BackgroundTask[];
  /** Servers in memory that share its listener. */
  readonly namespaces: NamespaceControl;
  /**
   * Finishes requests under way, for at most `graceMs` milliseconds, and closes the store. Connections that are idle
   * are closed after `idleMs`, by default at once.
   */
  stop(graceMs?: number, idleMs?: number): Promise<void>;
}

/**
 * Opens the admin listener. Where nobody said which port it has, it is the one after the server's, and a server does
 * without when somebody else is there.
 */
async function openAdmin(
  settings: Settings,
  port: number,
  context: Omit<AdminContext, "profile">,
  clock: Clock,
  log: Log,
): Promise<AdminListener | undefined> {
  const { admin, adminToken: token, profile } = settings;
  if (admin === "off") return undefined;
  const listen = admin === "auto" ? { host: "127.0.0.1", port: settings.listen.port === 0 ? 0 : port + 1 } : admin;
  if (admin === "auto" && profile === "server" && token === "") return undefined;
  if (token === "" && profile === "server") {
    throw new SettingsError("admin: with --profile server its callers need a token; set COSBOX_ADMIN_TOKEN");
  }
  if (token === "" && !isLoopback(listen.host)) {
    throw new SettingsError(
      `admin: ${formatListen(listen)} can be reached from other machines; set COSBOX_ADMIN_TOKEN`,
    );
  }
  try {
    return await startAdmin({ listen, token, context: { ...context, profile }, clock, log });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    if (admin !== "auto") throw new SettingsError(`admin: port ${listen.port} is taken; choose another with --admin`);
    log.warn(`port ${listen.port} is taken, so there is no admin listener; choose another with --admin host:port`);
    return undefined;
  }
}

/** Fills a new server with the seed of its settings, if they name one. */
async function begin(control: ServerControl, { seed }: Settings, log: Log): Promise<void> {
  if (seed === "") return;
  const { readSeed } = await import("../config/seed-file.ts");
  const seeded = await control.begin(() => readSeed(seed, "."));
  if (seeded === undefined) log.info("the server has begun before, and is not seeded");
  else log.info("the server begins with its seed", { ...seeded });
}

/**
 * The same for a data folder that nobody uses yet, before several processes do.
 * @throws SettingsError, and the faults of the system (a folder that cannot be used).
 */
export async function beginWithSeed(settings: Settings, log: Log): Promise<void> {
  const closers = new Closers();
  try {
    const core = await openCore({ ...settings, workers: 1 }, { log }, {}, closers);
    await begin(core.control, settings, log);
  } finally {
    await closers.run();
  }
}

/**
 * Starts a server with these settings and resolves when it listens.
 * @throws SettingsError, and the faults of the system (a busy port, a folder that cannot be used).
 */
export async function startServer(settings: Settings, options: ServerOptions = {}): Promise<RunningServer> {
  const { log = SILENT } = options;
  const { limits } = settings;
  const closers = new Closers();
  try {
    const place: Place = {};
    const core = await openCore(settings, options, place, closers);
    // It may be back before anybody needs it, so nothing waits for it; but whoever set it wrongly is told now.
    core.kms?.check().catch((error: unknown) => log.warn("objects under SSE-KMS cannot be read or stored", { error }));
    const { handler, control, records, tasks, clock, random } = core;
    await begin(control, settings, log);
    const apart = openNamespaces(settings, log, core, place);
    place.isNamespaces = (appid) => apart.hasAppid(appid);
    closers.add(() => apart.close());
    const tls = await loadTls(settings, clock, {
      onReload: (pair) => edge.setTls(pair),
      onRefused: (why) => log.warn(why),
    });
    if (tls !== undefined) closers.add(() => tls.close());
    const edge = await startEdge({
      handler: (request) => (apart.any ? apart.handle(request, handler) : handler(request)),
      listen: settings.listen,
      tls,
      clock,
      random,
      limits,
      log,
      dialect: {
        writeError: (error, request) =>
          apart.any ? apart.writeError(error, request, core) : core.writeError(error, request),
      },
    });
    closers.add(() => edge.stop(limits.stopGraceMs));
    place.edge = () => edge.figures();
    const { port } = edge;
    const host = reachableHost(settings.listen.host);
    const endpoint = `${tls === undefined ? "http" : "https"}://${formatListen({ host, port })}`;
    place.endpoint = endpoint;
    const admin = await openAdmin(settings, port, { server: control, namespaces: apart }, clock, log);
    if (admin !== undefined) {
      place.admin = admin.endpoint;
      closers.add(() => admin.stop());
    }
    return {
      endpoint,
      host,
      port,
      control,
      records,
      admin: admin?.endpoint,
      tasks,
      namespaces: apart,
      async stop(graceMs = limits.stopGraceMs, idleMs = 0) {
        // Where others go on for this process, whoever asks for the server's readiness shall ask them.
        if (idleMs > 0) admin?.leave();
        else place.isStopping = true;
        await edge.stop(graceMs, idleMs);
        await closers.run();
      },
    };
  } catch (error) {
    await closers.run();
    throw error;
  }
}
