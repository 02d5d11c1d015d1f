/**
 * The HTTP edge: sockets, limits and timeouts, requests in, answers out. Everything above it sees `WireRequest` and
 * `Answer` only; everything below it is node:http, whose parser stays strict.
 *
 * An early refusal is an answer that is ready while the client is still sending. Closing then makes the kernel reset
 * the connection, and the client loses the answer it has not read yet (Python's `http.client` always does, since it
 * sends the whole body before it reads). So the answer goes out, our side of the connection is closed, and what the
 * client still sends is read and thrown away, within `discardBytesMax` and `discardMs`.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { CosError, refuse } from "../errors/cos-error.ts";
import type { Log } from "../log.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { Answer, Handler, StreamedBody } from "./answer.ts";
import { IncomingBody } from "./body.ts";
import { formatHttpDate } from "./dates.ts";
import type { EdgeLimits } from "./edge-limits.ts";
import { noHeaders, readHeaders } from "./headers.ts";
import { requestIds } from "./ids.ts";
import { foreignMethod, methodOf, parserRefusal } from "./parser-refusals.ts";
import type { HeaderFields, RequestBody, RequestIds, WireRequest } from "./request.ts";
import { parseTarget, type Target } from "./target.ts";

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

export interface Edge {
  readonly host: string;
  readonly port: number;
  /** The certificate for connections from now on. Throws the TLS library's error for one that cannot be used. */
  setTls(certificate: Certificate): void;
  /** Takes no more connections, finishes the requests under way for at most `graceMs`, then cuts. May be called again. */
  stop(graceMs: number): Promise<void>;
}

/** What a client may still send after its answer without losing the connection. */
const DRAIN_BYTES_MAX = 64 * 1024;
/** A client that is being drained and sends nothing for this long has read its answer, or never will. */
const DISCARD_IDLE_MS = 5000;
/** Requests of one connection that may be under way at once; further ones wait in the kernel. */
const PIPELINED_MAX = 32;
/** Bytes of a socket's buffers; fewer pauses than Node's 16 KiB costs for large bodies. */
const SOCKET_BUFFER_BYTES = 64 * 1024;
/**
 * Bodies up to this size are handed to Node as Latin-1 text, a character for each byte: it joins them to the head and
 * makes one `write` of it, which costs less than the `writev` of a text and a buffer.
 */
const ONE_WRITE_BYTES_MAX = 16 * 1024;
/** Bytes in hand beyond this go out in pieces, each of which the client has `writeStallMs` to take. */
const PIECE_BYTES = 256 * 1024;
const XML_DECLARATION = "<?xml version='1.0' encoding='utf-8' ?>\n";
/** Fields that only the edge writes. */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  "Connection",
  "Content-Length",
  "Date",
  "Server",
  "Transfer-Encoding",
  "x-cos-request-id",
]);
/** What may not stand in a field's value: controls, and characters that are no bytes. */
const UNSENDABLE = /[^\t\x20-\x7e\x80-\xff]/;
const CLOSED = new Error("the connection is closed");

/**
 * Listens and answers until it is stopped. Rejects with the system's error when it cannot listen. Nothing a client
 * sends or leaves out makes it throw.
 */
export async function startEdge(options: EdgeOptions): Promise<Edge> {
  const edge = new HttpEdge(options);
  await edge.listen();
  return edge;
}

/** One connection that speaks HTTP; over TLS, the inside of it. */
class Connection {
  readonly socket: Socket;
  readonly secure: boolean;
  /** Requests whose answers are not out yet, in the order received. */
  readonly open = new Set<Exchange>();
  /** The request whose headers were read last. */
  latest: Exchange | undefined;
  /** The last words are spoken; what still comes is thrown away. */
  doomed = false;
  /** The parser gave up: no further request can be read. */
  broken = false;
  /** To be told once the requests before it are answered. */
  parting: { readonly refusal: CosError; readonly method: string } | undefined;
  paused = false;
  #remoteAddress: string | undefined;

  constructor(socket: Socket, secure: boolean) {
    this.socket = socket;
    this.secure = secure;
  }

  get remoteAddress(): string {
    this.#remoteAddress ??= this.socket.remoteAddress ?? "";
    return this.#remoteAddress;
  }

  /** Our own address as a `Host` would name it. */
  get localAuthority(): string {
    const { localAddress, localPort } = this.socket;
    if (localAddress === undefined || localPort === undefined) return "localhost";
    const address = localAddress.startsWith("::ffff:") ? localAddress.slice(7) : localAddress.replace(/%.*/, "");
    return address.includes(":") ? `[${address}]:${localPort}` : `${address}:${localPort}`;
  }
}

/** One request and the answer to it. */
class Exchange {
  readonly connection: Connection;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly wire: EdgeRequest;
  readonly body: IncomingBody;
  /** Set when the request is such that nothing after it on this connection can be trusted. */
  suspect = false;
  answering = false;
  closed = false;
  /** Called once when the connection is lost before the answer is out. */
  onClosed: (() => void) | undefined;

  constructor(connection: Connection, request: IncomingMessage, response: ServerResponse, wire: EdgeRequest) {
    this.connection = connection;
    this.request = request;
    this.response = response;
    this.wire = wire;
    this.body = wire.body as IncomingBody;
  }
}

class EdgeRequest implements WireRequest {
  readonly method: string;
  readonly target: Target;
  readonly headers: HeaderFields;
  readonly body: RequestBody;
  readonly ids: RequestIds;
  readonly receivedAt: number;
  readonly #connection: Connection;

  constructor(connection: Connection, parts: Omit<WireRequest, "secure" | "remoteAddress">) {
    this.#connection = connection;
    this.method = parts.method;
    this.target = parts.target;
    this.headers = parts.headers;
    this.body = parts.body;
    this.ids = parts.ids;
    this.receivedAt = parts.receivedAt;
  }

  get secure(): boolean {
    return this.#connection.secure;
  }

  get remoteAddress(): string {
    return this.#connection.remoteAddress;
  }
}

/** The body of a message that never became a request. */
const NO_BODY: RequestBody = {
  declaredLength: undefined,
  chunked: false,
  announced: false,
  async *stream() {},
  collect: () => Promise.resolve(Buffer.alloc(0)),
};

class HttpEdge implements Edge {
  host = "";
  port = 0;
  readonly #options: EdgeOptions;
  readonly #server: Server | SecureServer;
  readonly #nextIds: (nowMs: number) => RequestIds;
  /** Every accepted socket, those still in their TLS handshake included. */
  readonly #sockets = new Set<Socket>();
  readonly #connections = new Map<Socket, Connection>();
  #stopped: Promise<void> | undefined;
  /** Answers that leave at the end of this turn. */
  #due: { readonly exchange: Exchange; readonly answer: Answer }[] = [];
  #dateSecond = Number.NaN;
  #date = "";

  constructor(options: EdgeOptions) {
    this.#options = options;
    this.#nextIds = requestIds(options.random);
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

  setTls(certificate: Certificate): void {
    if (!("setSecureContext" in this.#server)) throw new Error("this listener does not speak TLS");
    const { cert, key } = certificate;
    this.#server.setSecureContext({ cert, key, minVersion: "TLSv1.2" });
  }

  stop(graceMs: number): Promise<void> {
    this.#stopped ??= this.#stop(graceMs);
    return this.#stopped;
  }

  async #stop(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const { socket, open, doomed } of this.#connections.values()) {
      if (open.size === 0 && !doomed) socket.destroy();
    }
    const cut = this.#options.clock.after(graceMs, () => {
      for (const socket of this.#sockets) socket.destroy();
    });
    await closed;
    cut.cancel();
  }

  // Requests in

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#connections.get(request.socket);
    if (connection === undefined || connection.doomed) return;
    const { wire, refusal } = this.#read(connection, request, response);
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
      this.#answer(exchange, this.#refusal(refusal, wire));
      return;
    }
    this.#options.handler(wire).then(
      (answer) => this.#ready(exchange, answer),
      (error: unknown) => this.#answer(exchange, this.#fault("a handler rejected", error, wire)),
    );
  }

  /** Reads what the parser passed on. What is refused here is still a request, so that it can carry the answer. */
  #read(
    connection: Connection,
    request: IncomingMessage,
    response: ServerResponse,
  ): { readonly wire: EdgeRequest; readonly refusal: CosError | undefined } {
    const { limits, clock } = this.#options;
    const receivedAt = clock.now();
    const ids = this.#nextIds(receivedAt);
    const method = request.method ?? "";
    let headers: HeaderFields | undefined;
    let target: Target | undefined;
    let refusal: CosError | undefined;
    let awaitsContinue = false;
    try {
      // The parser lets a request line without a version through, as HTTP/0.9.
      if (request.httpVersionMajor !== 1) throw refuse("BadRquest", { message: "The request has no HTTP version 1." });
      headers = readHeaders(request.rawHeaders, limits.headersMax);
      awaitsContinue = readExpectation(headers, request);
      refuseCoding(headers, request);
      target = parseTarget(method, request.url ?? "", hostOf(headers, request, connection), limits.queryParametersMax);
    } catch (error) {
      refusal = error instanceof CosError ? error : refuse("InternalError", { cause: error });
      if (refusal !== error)
        this.#options.log.error("a request could not be read", { error, requestId: ids.requestId });
    }
    const declared = headers?.raw("content-length");
    const frame = {
      declaredLength: declared === undefined ? undefined : Number(declared),
      // Where the fields themselves were refused, nothing they say of the body's length counts.
      chunked: headers === undefined || headers.raw("transfer-encoding") !== undefined,
      awaitsContinue,
    };
    const body = new IncomingBody(request, response, frame, limits, clock);
    target ??= this.#anyTarget(connection, headers?.raw("host"));
    headers ??= noHeaders();
    return { wire: new EdgeRequest(connection, { method, target, headers, body, ids, receivedAt }), refusal };
  }

  /** The root of the host that was named, or of our own address: `Resource` must not be empty. */
  #anyTarget(connection: Connection, host: string | undefined): Target {
    try {
      if (host !== undefined && host !== "") return parseTarget("GET", "/", host);
    } catch {
      // The host is what cannot be read.
    }
    return parseTarget("GET", "/", connection.localAuthority);
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

  /** Answers a message that never became a request, and closes. */
  #part(connection: Connection): void {
    const { parting } = connection;
    if (parting === undefined || connection.doomed) return;
    const receivedAt = this.#options.clock.now();
    const wire = new EdgeRequest(connection, {
      method: parting.method,
      target: this.#anyTarget(connection, undefined),
      headers: noHeaders(),
      body: NO_BODY,
      ids: this.#nextIds(receivedAt),
      receivedAt,
    });
    try {
      this.#lastWords(connection, this.#render(wire, this.#refusal(parting.refusal, wire)));
    } catch (error) {
      this.#options.log.error("a refusal could not be sent", { error, requestId: wire.ids.requestId });
      connection.socket.destroy();
    }
  }

  // Answers out

  /** The dialect's answer to a refusal. */
  #refusal(error: CosError, wire: WireRequest): Answer {
    try {
      return this.#options.dialect.writeError(error, wire);
    } catch (fault) {
      this.#options.log.error("a refusal could not be written", { error: fault, requestId: wire.ids.requestId });
      return { status: error.status, headers: [["x-cos-trace-id", wire.ids.traceId]] };
    }
  }

  #fault(what: string, error: unknown, wire: WireRequest): Answer {
    this.#options.log.error(what, { error, requestId: wire.ids.requestId });
    return this.#refusal(refuse("InternalError", { cause: error }), wire);
  }

  /**
   * Keeps an answer until this turn of the event loop ends, so that the answers to all requests the turn brought leave
   * one right after the other. A client that waits for several of them is woken once then, not once for each; with 64
   * connections that is a fifth to a third more requests per second, and one connection does not notice.
   */
  #ready(exchange: Exchange, answer: Answer): void {
    this.#due.push({ exchange, answer });
    if (this.#due.length > 1) return;
    setImmediate(() => {
      const due = this.#due;
      this.#due = [];
      for (const { exchange, answer } of due) this.#answer(exchange, answer);
    });
  }

  /** Sends the answer, whatever the handler or the edge has decided. Does not throw. */
  #answer(exchange: Exchange, answer: Answer): void {
    const { connection, wire } = exchange;
    try {
      this.#send(exchange, answer);
    } catch (error) {
      release(answer.body);
      const instead = this.#fault("an answer could not be sent", error, wire);
      try {
        if (exchange.answering) throw error;
        exchange.suspect = true;
        this.#send(exchange, instead);
      } catch {
        connection.socket.destroy();
      }
    }
  }

  #send(exchange: Exchange, answer: Answer): void {
    const { connection, response, body, wire, request } = exchange;
    const { status, body: content } = answer;
    if (exchange.closed || response.destroyed) {
      release(content);
      return;
    }
    const http10 = isHttp10(request);
    const stream = isStream(content) ? content : undefined;
    const { outstanding } = body;
    const close =
      body.failure !== undefined ||
      body.heldBack ||
      (connection.broken && !request.complete) ||
      outstanding > DRAIN_BYTES_MAX ||
      exchange.suspect ||
      http10 ||
      !response.shouldKeepAlive ||
      connection.socket.readableEnded ||
      this.#stopped !== undefined;
    // Streams and late documents take Node's way even so: no operation both sends one and leaves a long body unread.
    if (close && outstanding > 0 && stream === undefined && answer.later === undefined) {
      const rendered = this.#render(wire, answer);
      // Node gives a response the socket when all answers before it are out.
      if (response.socket !== null) this.#lastWords(connection, rendered);
      else response.once("socket", () => this.#lastWords(connection, rendered));
      return;
    }
    body.discard();
    if (answer.later !== undefined) {
      this.#sendLater(exchange, answer, answer.later, close);
      return;
    }
    const bodiless = status === 204 || status === 304;
    const text = typeof content === "string" && Buffer.byteLength(content) === content.length ? content : undefined;
    const bytes = text === undefined && stream === undefined ? bytesOf(content) : undefined;
    const length = stream?.length ?? text?.length ?? bytes?.length ?? 0;
    const head = this.#head(answer.headers, wire, bodiless ? undefined : String(length), close);
    const empty = bodiless || length === 0 || wire.method === "HEAD";
    const chunks = stream ?? (length > PIECE_BYTES ? inPieces(bytes ?? bytesOf(text)) : undefined);
    if (chunks !== undefined && !empty) {
      void this.#stream(exchange, status, head, chunks);
      return;
    }
    release(content);
    writeHead(exchange, status, head);
    if (empty) response.end();
    // ASCII is Latin-1 already.
    else if (text !== undefined) response.end(text, "latin1");
    else if (length > ONE_WRITE_BYTES_MAX) response.end(bytes);
    else response.end(bytes?.toString("latin1"), "latin1");
    this.#watch(exchange);
  }

  /** Cuts off a client that does not take an answer which is written to its end; most are with the kernel by now. */
  #watch(exchange: Exchange): void {
    const { connection, response } = exchange;
    const begin = (): void => {
      const stall = new StallWatch(exchange, this.#options.clock, this.#options.limits.writeStallMs);
      const closed = new Promise<void>((resolve) => response.once("close", resolve));
      void stall.during(closed).then(() => stall.cancel());
    };
    // Node gives a response the socket when all answers before it are out.
    if (response.socket === null && !response.writableFinished) response.once("socket", begin);
    else if (connection.socket.writableLength > 0) begin();
  }

  /** Header fields as Node takes them: names and values in turn. */
  #head(fields: Answer["headers"], wire: WireRequest, length: string | undefined, close: boolean): string[] {
    const head: string[] = [];
    for (const [name, value] of fields) {
      if (OWN_FIELDS.has(name)) throw new Error(`only the edge writes ${name}`);
      head.push(name, value);
    }
    if (length !== undefined) head.push("Content-Length", length);
    head.push("Connection", close ? "close" : "keep-alive", "Date", this.#dateNow(), "Server", "tencent-cos");
    head.push("x-cos-request-id", wire.ids.requestId);
    return head;
  }

  #dateNow(): string {
    const now = this.#options.clock.now();
    const second = Math.floor(now / 1000);
    if (second !== this.#dateSecond) {
      this.#dateSecond = second;
      this.#date = formatHttpDate(now);
    }
    return this.#date;
  }

  /** A whole answer that closes the connection, as bytes. Throws for a field that cannot be sent. */
  #render(wire: WireRequest, { status, headers, body }: Answer): Buffer {
    const content = bytesOf(body);
    const bodiless = status === 204 || status === 304;
    const head = this.#head(headers, wire, bodiless ? undefined : String(content.length), true);
    let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n`;
    for (let index = 0; index < head.length; index += 2) {
      const value = head[index + 1] as string;
      if (UNSENDABLE.test(value)) throw new Error(`the value of ${head[index]} cannot be sent`);
      text += `${head[index]}: ${value}\r\n`;
    }
    const headBytes = Buffer.from(`${text}\r\n`, "latin1");
    return bodiless || wire.method === "HEAD" ? headBytes : Buffer.concat([headBytes, content]);
  }

  /**
   * Writes an answer past Node's response, whose end would destroy the socket, and with it the answer wherever bytes of
   * the client are still unread. Then reads on until the client closes or a bound is reached.
   */
  #lastWords(connection: Connection, answer: Buffer): void {
    const { socket, latest } = connection;
    if (!socket.writable || connection.doomed) return;
    connection.doomed = true;
    socket.write(answer);
    // Over TLS our end would be answered with the client's own, in the midst of its body; the length tells enough.
    if (!connection.secure || latest === undefined || latest.request.complete) socket.end();
    else {
      latest.request.once("end", () => socket.end());
      socket.once("end", () => socket.end());
    }
    latest?.body.discard();
    this.#readOut(connection);
  }

  /** Cuts a connection whose last answer is written once it has sent enough, for long enough, or nothing more. */
  #readOut({ socket }: Connection): void {
    const { clock, limits } = this.#options;
    const untilMs = clock.monotonic() + limits.discardMs;
    const bytesMax = socket.bytesRead + limits.discardBytesMax;
    let seen = -1;
    let quietMs = 0;
    let timer: Timer;
    const look = (afterMs: number): void => {
      const { bytesRead } = socket;
      quietMs = bytesRead === seen ? quietMs + afterMs : 0;
      seen = bytesRead;
      const leftMs = untilMs - clock.monotonic();
      if (leftMs <= 0 || bytesRead > bytesMax || quietMs >= DISCARD_IDLE_MS) {
        socket.destroy();
        return;
      }
      // Often enough that a fast client cannot send much beyond the bound between two looks.
      const nextMs = Math.min(leftMs, 250);
      timer = clock.after(nextMs, () => look(nextMs));
    };
    look(0);
    socket.once("close", () => timer?.cancel());
  }

  /** Sends a stream chunk by chunk. A chunk is the engine's again once the next is asked for, so each is waited for. */
  async #stream(exchange: Exchange, status: number, head: string[], body: StreamedBody): Promise<void> {
    exchange.response.on("error", ignore);
    const iterator = body.chunks[Symbol.asyncIterator]();
    const stall = new StallWatch(exchange, this.#options.clock, this.#options.limits.writeStallMs);
    let sent = 0;
    try {
      while (sent < body.length) {
        const step = await iterator.next();
        if (exchange.closed) throw CLOSED;
        if (step.done === true) throw new Error(`a body of ${body.length} bytes ended after ${sent}`);
        const chunk = step.value;
        if (chunk.length === 0) continue;
        if (sent + chunk.length > body.length) throw new Error(`a body of ${body.length} bytes goes on`);
        if (sent === 0) writeHead(exchange, status, head);
        sent += chunk.length;
        await stall.during(written(exchange, chunk, sent === body.length));
      }
    } catch (error) {
      if (error !== CLOSED) this.#streamFailed(exchange, error);
    } finally {
      stall.cancel();
      try {
        await iterator.return?.();
      } catch (error) {
        this.#options.log.error("a body could not be released", { error, requestId: exchange.wire.ids.requestId });
      }
    }
  }

  #streamFailed(exchange: Exchange, error: unknown): void {
    if (exchange.answering) {
      // The status is out. An incomplete body is the only way left to tell.
      this.#options.log.error("a body broke off", { error, requestId: exchange.wire.ids.requestId });
      exchange.connection.socket.destroy();
    } else if (error instanceof CosError) {
      this.#answer(exchange, this.#refusal(error, exchange.wire));
    } else {
      this.#answer(exchange, this.#fault("a body could not be read", error, exchange.wire));
    }
  }

  /** Begins an answer whose document is not known yet; blanks keep proxies and clients from giving up. */
  #sendLater(exchange: Exchange, answer: Answer, later: Promise<string>, close: boolean): void {
    const { response, wire } = exchange;
    const { clock, limits, log } = this.#options;
    const head = this.#head(answer.headers, wire, undefined, close);
    // HTTP/1.0 knows no chunks: there the end of the connection ends the document.
    if (isHttp10(exchange.request)) response.useChunkedEncodingByDefault = false;
    else head.push("Transfer-Encoding", "chunked");
    writeHead(exchange, answer.status, head);
    response.on("error", ignore);
    response.write(XML_DECLARATION);
    let timer: Timer;
    const blank = (): void => {
      timer = clock.after(limits.blankEveryMs, () => {
        if (exchange.closed) return;
        response.write(" ");
        blank();
      });
    };
    blank();
    later.then(
      (text) => {
        timer.cancel();
        if (exchange.closed) return;
        response.end(text.startsWith(XML_DECLARATION) ? text.slice(XML_DECLARATION.length) : text);
        this.#watch(exchange);
      },
      (error: unknown) => {
        timer.cancel();
        log.error("a document that was promised failed", { error, requestId: wire.ids.requestId });
        exchange.connection.socket.destroy();
      },
    );
  }

  // Ends

  #done(exchange: Exchange): void {
    const { connection } = exchange;
    connection.open.delete(exchange);
    if (connection.paused && connection.open.size < PIPELINED_MAX / 2) {
      connection.paused = false;
      connection.socket.resume();
    }
    if (connection.open.size > 0) return;
    this.#part(connection);
    // Its head promised to keep the connection before the stop was known.
    if (this.#stopped !== undefined && !connection.doomed) connection.socket.destroySoon();
  }

  #lost(connection: Connection): void {
    this.#connections.delete(connection.socket);
    for (const exchange of connection.open) {
      exchange.closed = true;
      exchange.body.lost();
      exchange.onClosed?.();
    }
    connection.open.clear();
  }
}

/** Cuts the connection of a client that does not take one chunk within the bound. One timer per answer, set rarely. */
class StallWatch {
  readonly #exchange: Exchange;
  readonly #clock: Clock;
  readonly #stallMs: number;
  #since: number | undefined;
  #timer: Timer | undefined;

  constructor(exchange: Exchange, clock: Clock, stallMs: number) {
    this.#exchange = exchange;
    this.#clock = clock;
    this.#stallMs = stallMs;
  }

  async during(write: Promise<void>): Promise<void> {
    this.#since = this.#clock.monotonic();
    this.#timer ??= this.#clock.after(this.#stallMs, () => this.#look());
    await write;
    this.#since = undefined;
  }

  #look(): void {
    const waitedMs = this.#since === undefined ? 0 : this.#clock.monotonic() - this.#since;
    if (waitedMs >= this.#stallMs) {
      this.#exchange.connection.socket.destroy();
      return;
    }
    this.#timer = this.#clock.after(this.#stallMs - waitedMs + 1, () => this.#look());
  }

  cancel(): void {
    this.#timer?.cancel();
  }
}

function writeHead(exchange: Exchange, status: number, head: string[]): void {
  exchange.response.writeHead(status, STATUS_CODES[status] ?? "", head);
  exchange.answering = true;
}

/** Resolves when the kernel has taken the chunk; rejects with CLOSED when the connection is lost. */
function written(exchange: Exchange, chunk: Buffer, last: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    exchange.onClosed = () => reject(CLOSED);
    if (last) exchange.response.end(chunk, () => resolve());
    else exchange.response.write(chunk, (error) => (error == null ? resolve() : reject(CLOSED)));
  });
}

function inPieces(bytes: Buffer): StreamedBody {
  async function* pieces(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
  }
  return { length: bytes.length, chunks: pieces() };
}

function isStream(body: Answer["body"]): body is StreamedBody {
  return body !== undefined && typeof body !== "string" && !Buffer.isBuffer(body);
}

const NOTHING = Buffer.alloc(0);

/** Text becomes bytes here, because Node would encode header and text together, and headers are Latin-1. */
function bytesOf(body: Answer["body"]): Buffer {
  if (typeof body === "string") return Buffer.from(body, "utf8");
  return Buffer.isBuffer(body) ? body : NOTHING;
}

/** Gives a stream back that nobody will read, so that what it holds open is closed. */
function release(body: Answer["body"]): void {
  if (isStream(body)) Promise.resolve(body.chunks[Symbol.asyncIterator]().return?.()).catch(ignore);
}

function isHttp10(request: IncomingMessage): boolean {
  return request.httpVersionMajor < 1 || request.httpVersionMinor < 1;
}

/** Whether the client waits for `100 Continue`. HTTP/1.0 knows no expectations. */
function readExpectation(headers: HeaderFields, request: IncomingMessage): boolean {
  const expected = headers.get("expect");
  if (expected === undefined || isHttp10(request)) return false;
  if (expected.toLowerCase() === "100-continue") return true;
  throw refuse("BadRquest", { message: "The only expectation that can be met is 100-continue." });
}

function refuseCoding(headers: HeaderFields, request: IncomingMessage): void {
  const coding = headers.raw("transfer-encoding")?.trim().toLowerCase();
  if (coding === undefined || (coding === "chunked" && !isHttp10(request))) return;
  if (isHttp10(request)) throw refuse("BadRquest", { message: "HTTP/1.0 knows no Transfer-Encoding." });
  // Unless chunks come last, nobody can tell where the body ends.
  if (!/[ \t,]chunked$/.test(coding)) throw refuse("BadRquest", { message: "The Transfer-Encoding is not chunked." });
  throw refuse("NotImplemented", { message: "The only Transfer-Encoding that is implemented is chunked." });
}

/**
 * The `Host` that counts. A client of HTTP/1.0 need not send one and then means the address it connected to, as path
 * style does; only a target in absolute form speaks for itself.
 */
function hostOf(headers: HeaderFields, request: IncomingMessage, connection: Connection): string | undefined {
  const host = headers.raw("host");
  if (host !== undefined && host !== "") return host;
  if (!isHttp10(request)) throw refuse("BadRquest", { message: "The request names no host in its Host header." });
  return /^https?:/i.test(request.url ?? "") ? undefined : connection.localAuthority;
}

function ignore(): void {}
