/**
 * The HTTP edge: sockets, limits and timeouts, requests in, answers out. Everything above it sees `WireRequest` and
 * `Answer` only; everything below it is node:http, whose parser stays strict. This file listens and hears of what
 * happens on connections; how a request is read and an answer written has files of its own.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import { type AddressInfo, Server as NetServer, type Socket } from "node:net";
import { type CosError, refuse } from "../errors/cos-error.ts";
import type { Log } from "../log.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { Answer, Handler } from "./answer.ts";
import { Connection, Exchange } from "./connection.ts";
import type { EdgeLimits } from "./edge-limits.ts";
import { foreignMethod, methodOf, parserRefusal } from "./parser-refusals.ts";
import { RequestReader } from "./read-request.ts";
import type { WireRequest } from "./request.ts";
import { AnswerWriter } from "./write-answer.ts";

/** PEM texts, as `tls.createSecureContext` takes them. */
export interface Certificate {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
}

export interface EdgeOptions {
  readonly handler: Handler;
  readonly listen: { readonly host: string; readonly port: number };
  /** With a certificate the edge speaks HTTPS only. */
  readonly tls?: Certificate | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: EdgeLimits;
  readonly log: Pick<Log, "error" | "warn">;
  /** Writes the refusals that the edge itself raises. */
  readonly dialect: { writeError(error: CosError, request: WireRequest): Answer };
}

/** What is at the edge at this moment. */
export interface EdgeFigures {
  /** Requests whose answers are not out yet. */
  readonly requests: number;
  readonly connections: number;
}

export interface Edge {
  readonly host: string;
  readonly port: number;
  figures(): EdgeFigures;
  /** The certificate for connections from now on. Throws the TLS library's error for one that cannot be used. */
  setTls(certificate: Certificate): void;
  /**
   * Takes no more connections, finishes the requests under way for at most `graceMs`, then cuts. What comes meanwhile over
   * connections that are open already is `ServiceUnavailable`, and closes them; with the last request under way they are
   * closed. With `idleMs`, for a server that others go on for, what comes within that time is served as before. May be
   * called again.
   */
  stop(graceMs: number, idleMs?: number): Promise<void>;
}

/** Requests of one connection that may be under way at once; further ones wait in the kernel. */
const PIPELINED_MAX = 32;
/** Bytes of a socket's buffers; fewer pauses than Node's 16 KiB costs for large bodies. */
const SOCKET_BUFFER_BYTES = 64 * 1024;

/**
 * Listens and answers until it is stopped. Rejects with the system's error when it cannot listen. Nothing a client
 * sends or leaves out makes it throw.
 */
export async function startEdge(options: EdgeOptions): Promise<Edge> {
  const edge = new HttpEdge(options);
  await edge.listen();
  return edge;
}

class HttpEdge implements Edge {
  host = "";
  port = 0;
  readonly #options: EdgeOptions;
  readonly #server: Server | SecureServer;
  readonly #reader: RequestReader;
  readonly #writer: AnswerWriter;
  /** Every accepted socket, those still in their TLS handshake included. */
  readonly #sockets = new Set<Socket>();
  readonly #connections = new Map<Socket, Connection>();
  #stopped: Promise<void> | undefined;
  /** Requests whose answers are not out yet. */
  #underWay = 0;
  /** While it stops: whether connections without a request are still open, for one that may be on its way. */
  #leavesIdle = false;
  /** While it stops: closes the connections that are open without a request. */
  #closeIdle: (() => void) | undefined;

  constructor(options: EdgeOptions) {
    this.#options = options;
    this.#reader = new RequestReader(options);
    this.#writer = new AnswerWriter(options);
    const { limits, tls } = options;
    // Node looks for slow headers every so often; looking late must not add to the bound.
    const lookEveryMs = Math.max(10, Math.min(1000, Math.floor(limits.headersTimeoutMs / 10)));
    const settings = {
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: Math.max(1, limits.headersTimeoutMs - lookEveryMs),
      connectionsCheckingInterval: lookEveryMs,
      // Bodies have bounds of their own; Node's would cut every upload that takes longer than 300 s.
      requestTimeout: 0,
      keepAliveTimeout: limits.keepAliveMs,
      // We look ourselves, because Node would answer without ids and without a document.
      requireHostHeader: false,
      insecureHTTPParser: false,
      noDelay: true,
      highWaterMark: SOCKET_BUFFER_BYTES,
    };
    const secure = tls !== undefined;
    this.#server = secure
      ? createSecureServer({
          ...settings,
          // Until it is done there are no headers to wait for, so it has their time; Node's own bound is two minutes.
          handshakeTimeout: limits.headersTimeoutMs,
          cert: tls.cert,
          key: tls.key,
          minVersion: "TLSv1.2",
        })
      : createServer(settings);
    // Beyond Node's count of fields the rest would be dropped silently; ours refuses. Bytes bound both.
    this.#server.maxHeadersCount = 0;
    this.#server.maxConnections = limits.connectionsMax;
    // A client that has ended its side after the request still wants the answer (`nc -N` does so). The property has no
    // line in Node's manual; the test of half-closed requests holds it in place.
    Object.assign(this.#server, { httpAllowHalfOpen: true });
    this.#attach(secure);
  }

  #attach(secure: boolean): void {
    const server = this.#server;
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", ignore);
    });
    server.on(secure ? "secureConnection" : "connection", (socket: Socket) => {
      const connection = new Connection(socket, secure);
      this.#connections.set(socket, connection);
      socket.on("close", () => this.#lost(connection));
      if (secure) socket.on("error", ignore);
    });
    const onRequest = (request: IncomingMessage, response: ServerResponse) => this.#onRequest(request, response);
    server.on("request", onRequest);
    server.on("checkContinue", onRequest);
    server.on("checkExpectation", onRequest);
    server.on("clientError", (error: Error, socket) => this.#onClientError(error, socket as Socket));
    server.on("connect", (request: IncomingMessage, socket) => this.#onConnect(request, socket as Socket));
  }

  listen(): Promise<void> {
    const { host, port } = this.#options.listen;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off("error", reject);
        // From here on only: what keeps it from listening is the caller's to explain.
        this.#server.on("error", (error) => this.#options.log.error("the listener reported an error", { error }));
        const address = this.#server.address() as AddressInfo;
        this.host = address.address;
        this.port = address.port;
        resolve();
      });
    });
  }

  figures(): EdgeFigures {
    return { requests: this.#underWay, connections: this.#sockets.size };
  }

  setTls(certificate: Certificate): void {
    if (!("setSecureContext" in this.#server)) throw new Error("this listener does not speak TLS");
    const { cert, key } = certificate;
    this.#server.setSecureContext({ cert, key, minVersion: "TLSv1.2" });
  }

  stop(graceMs: number, idleMs = 0): Promise<void> {
    this.#stopped ??= this.#stop(graceMs, idleMs);
    return this.#stopped;
  }

  async #stop(graceMs: number, idleMs: number): Promise<void> {
    const { clock } = this.#options;
    this.#writer.stopping = true;
    this.#leavesIdle = idleMs > 0;
    const closed = new Promise<void>((resolve) => {
      // The listener's own `close`: that of an HTTP server closes idle connections as well.
      NetServer.prototype.close.call(this.#server, () => resolve());
    });
    const closeIdle = (): void => {
      this.#leavesIdle = false;
      this.#server.close();
      for (const { socket, open, doomed } of this.#connections.values()) {
        if (open.size === 0 && !doomed) socket.destroy();
      }
    };
    const idle = idleMs > 0 ? clock.after(idleMs, closeIdle) : undefined;
    if (idle === undefined) this.#closeIdle = closeIdle;
    this.#settle();
    const cut = clock.after(idleMs + graceMs, () => {
      for (const socket of this.#sockets) socket.destroy();
    });
    await closed;
    idle?.cancel();
    cut.cancel();
    this.#server.close();
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#connections.get(request.socket);
    if (connection === undefined || connection.doomed) return;
    const { wire, refusal: unread } = this.#reader.read(connection, request, response);
    this.#underWay += 1;
    const refusal = unread ?? this.#noRoom();
    const exchange = new Exchange(connection, request, response, wire);
    connection.latest = exchange;
    connection.open.add(exchange);
    response.on("finish", () => this.#done(exchange));
    if (connection.open.size >= PIPELINED_MAX && !connection.paused) {
      connection.paused = true;
      connection.socket.pause();
    }
    if (refusal !== undefined) {
      exchange.suspect = refusal.id === "BadRquest";
      this.#writer.refuse(exchange, refusal);
      return;
    }
    this.#options.handler(wire).then(
      (answer) => this.#writer.answerSoon(exchange, answer),
      (error: unknown) => this.#writer.fail(exchange, "a handler rejected", error),
    );
  }

  /** Why no further request can be taken on. */
  #noRoom(): CosError | undefined {
    // Its answer would be lost with the connection, so nothing of it may happen.
    if (this.#stopped !== undefined && !this.#leavesIdle) {
      return refuse("ServiceUnavailable", { cause: "the server is stopping" });
    }
    const { requestsMax } = this.#options.limits;
    const underWay = this.#underWay;
    if (underWay <= requestsMax) return undefined;
    return refuse("ServiceUnavailable", {
      headers: { "Retry-After": "1" },
      evidence: () => ({
        kind: "limit",
        name: "requestsMax",
        bound: requestsMax,
        told: `This process had ${underWay - 1} requests under way when it came.`,
      }),
    });
  }

  #onClientError(error: Error, socket: Socket): void {
    const { limits } = this.#options;
    const connection = this.#connections.get(socket);
    const refusal = parserRefusal(error, limits.headerBytesMax);
    // Without a connection this is a TLS handshake that failed; without a refusal, a connection that is lost.
    if (connection === undefined || refusal === undefined) {
      socket.destroy();
      return;
    }
    // The parser reports again whatever comes after its first error.
    if (connection.doomed || connection.broken) return;
    connection.broken = true;
    const { latest } = connection;
    if (latest !== undefined && !latest.request.complete) {
      // The message was a request already: its handler learns of it when it reads, and the answer closes.
      const ended = (error as { code?: string }).code === "HPE_INVALID_EOF_STATE";
      latest.body.fail(ended ? refuse("IncompleteBody") : refusal);
      if (!connection.open.has(latest)) socket.destroy();
      return;
    }
    if (refusal.id === "RequestTimeout" && socket.bytesRead === 0) {
      // A client that connected ahead of time and never used it expects no answer.
      socket.destroy();
      return;
    }
    connection.parting = { refusal, method: methodOf(error) };
    if (connection.open.size === 0) this.#part(connection);
  }

  #onConnect(request: IncomingMessage, socket: Socket): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined || connection.doomed || connection.open.size > 0) {
      socket.destroy();
      return;
    }
    // From here on the socket is no longer Node's parser's.
    socket.resume();
    const message = "This is no tunnel. Speak plain HTTP to it as a proxy, or HTTPS to it as the server.";
    connection.parting = { refusal: foreignMethod(message), method: request.method ?? "" };
    this.#part(connection);
  }

  /** Says the last words that wait for the answers before them, if there are any. */
  #part(connection: Connection): void {
    const { parting } = connection;
    if (parting === undefined || connection.doomed) return;
    this.#writer.part(connection, this.#reader.unread(connection, parting.method), parting.refusal);
  }

  #done(exchange: Exchange): void {
    const { connection } = exchange;
    if (connection.open.delete(exchange)) this.#underWay -= 1;
    if (connection.paused && connection.open.size < PIPELINED_MAX / 2) {
      connection.paused = false;
      connection.socket.resume();
    }
    if (connection.open.size > 0) return;
    this.#part(connection);
    // Its head promised to keep the connection before the stop was known.
    if (this.#stopped !== undefined && !this.#leavesIdle && !connection.doomed) connection.socket.destroySoon();
    this.#settle();
  }

  /** Closes idle connections once a server that stops has nothing under way: until then they get an answer. */
  #settle(): void {
    if (this.#underWay > 0) return;
    this.#closeIdle?.();
    this.#closeIdle = undefined;
  }

  #lost(connection: Connection): void {
    this.#connections.delete(connection.socket);
    for (const exchange of connection.open) {
      exchange.closed = true;
      exchange.body.lost();
      exchange.onClosed?.();
    }
    this.#underWay -= connection.open.size;
    connection.open.clear();
    this.#settle();
  }
}

function ignore(): void {}
