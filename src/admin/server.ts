/**
 * The admin listener: a port of its own, on which people and programs look at the server and change how it behaves. A web
 * page that somebody visits must not be able to drive it: what comes from a page, or under a name that is not the
 * listener's, is refused, whatever else it carries.
 */

import { createHash, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, Server as NetServer, type Socket } from "node:net";
import { formatListen, type ListenAddress } from "../config/listen-address.ts";
import type { Log } from "../log.ts";
import type { Clock } from "../ports/clock.ts";
import type { AdminContext } from "./route.ts";

export interface AdminOptions {
  readonly listen: ListenAddress;
  /** What a caller sends as `Authorization: Bearer <token>`; "" where none is asked for. */
  readonly token: string;
  readonly context: AdminContext;
  readonly clock: Pick<Clock, "after">;
  readonly log: Pick<Log, "error">;
}

export interface AdminListener {
  /** `http://127.0.0.1:9001`. */
  readonly endpoint: string;
  readonly port: number;
  /** Takes no more connections; what is under way goes on. */
  leave(): void;
  /** Sends what it is about to answer, and ends the connections; what streams is ended in the middle. */
  stop(): Promise<void>;
}

/** How long a request may take to arrive, ms. */
const REQUEST_MS_MAX = 30_000;
const HEADER_BYTES_MAX = 16 * 1024;
/** Longest wait for answers when it stops, ms: other processes are asked for at most two seconds. */
const STOP_MS_MAX = 2_500;
const STOP_LOOK_MS = 20;

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** The host of a `Host` field without its port, lower case. */
function hostOf(field: string | undefined): string {
  return (field ?? "")
    .toLowerCase()
    .replace(/:\d*$/, "")
    .replace(/^\[|\]$/g, "");
}

/** Why a request is not listened to, before anything else is looked at; undefined where nothing speaks against it. */
function refusal(
  request: IncomingMessage,
  { listen, token }: AdminOptions,
): { readonly status: number; readonly code: string; readonly message: string } | undefined {
  const host = hostOf(request.headers.host);
  // A name that a stranger points at this machine reads as theirs (DNS rebinding). Addresses cannot be pointed.
  const isOurs = /^[0-9.]+$|:/.test(host) || host === "localhost" || host === listen.host.toLowerCase();
  if (!isOurs) return { status: 403, code: "ForeignHost", message: "the admin listener does not go by this name" };
  const { origin } = request.headers;
  if (origin !== undefined || (request.headers["sec-fetch-site"] ?? "none") !== "none") {
    return { status: 403, code: "ForeignOrigin", message: "the admin listener does not answer web pages" };
  }
  if (token !== "") {
    const sent = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
    if (sent === undefined || !timingSafeEqual(digest(sent), digest(token))) {
      return { status: 401, code: "Unauthorized", message: "send Authorization: Bearer <the token of the settings>" };
    }
  }
  return undefined;
}

function answerJson(response: ServerResponse, status: number, document: unknown): void {
  const text = `${JSON.stringify(document)}\n`;
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(text),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
  });
  response.end(text);
}

/** Starts the listener. @throws what the system says to the port. */
export async function startAdmin(options: AdminOptions): Promise<AdminListener> {
  const { listen, context, clock, log } = options;
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve));
  const server = createServer({ requestTimeout: REQUEST_MS_MAX, maxHeaderSize: HEADER_BYTES_MAX });
  /** Those whose requests are here. */
  const answers = new Set<ServerResponse>();
  /** Connections whose first request is on its way. */
  const begun = new Set<Socket>();
  let closed: Promise<unknown> | undefined;
  server.on("connection", (socket: Socket) => {
    begun.add(socket);
    socket.once("close", () => begun.delete(socket));
  });
  server.on("request", (request, response) => {
    begun.delete(request.socket);
    answers.add(response);
    response.once("close", () => answers.delete(response));
    const refused = refusal(request, options);
    if (refused !== undefined) {
      const { status, ...error } = refused;
      if (status === 401) response.setHeader("WWW-Authenticate", "Bearer");
      answerJson(response, status, { error });
      return;
    }
    // Most servers are never asked, and a start does not wait for what checks and describes the calls.
    import("./answer.ts")
      .then(({ answer }) => answer(request, response, context))
      .catch((error: unknown) => {
        log.error("an admin request failed", { error });
        if (response.headersSent) response.destroy();
        else answerJson(response, 500, { error: { code: "InternalError", message: "the log says why" } });
      });
  });
  await listening(server, listen);

  function leave(): void {
    if (closed !== undefined) return;
    closed = once(server, "close");
    // The listener's own `close`: that of an HTTP server also closes connections whose first request is on its way.
    NetServer.prototype.close.call(server);
  }

  /** Whether an answer is still to come, or on its way; not of those that follow what happens, for as long as one likes. */
  const isWaited = (): boolean => [...answers].some((one) => !one.headersSent || one.writableEnded);
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://${formatListen({ host: listen.host, port })}`,
    port,
    leave,
    async stop() {
      // Where others go on, whoever has just come does not know that this one leaves.
      const isLeft = closed !== undefined;
      leave();
      for (let waited = 0; waited < STOP_MS_MAX && (isWaited() || (isLeft && begun.size > 0)); waited += STOP_LOOK_MS) {
        await sleep(STOP_LOOK_MS);
      }
      server.closeAllConnections();
      await closed;
    },
  };
}

function listening(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
