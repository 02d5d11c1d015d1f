/** From an `Answer` to bytes on the socket: its head, and whichever way of sending it costs least or is safest. */

import { STATUS_CODES } from "node:http";
import { CosError, refuse } from "../errors/cos-error.ts";
import type { Log } from "../log.ts";
import type { Clock } from "../ports/clock.ts";
import type { Answer, StreamedBody } from "./answer.ts";
import { type Connection, type Exchange, isHttp10 } from "./connection.ts";
import { formatHttpDate } from "./dates.ts";
import type { EdgeLimits } from "./edge-limits.ts";
import { speakLastWords } from "./last-words.ts";
import type { WireRequest } from "./request.ts";
import { answerLater, streamAnswer, watchStall } from "./stream-answer.ts";

export interface WritingOptions {
  readonly clock: Clock;
  readonly limits: EdgeLimits;
  readonly log: Pick<Log, "error">;
  /** Writes the refusals that the edge itself raises. */
  readonly dialect: { writeError(error: CosError, request: WireRequest): Answer };
}

/** What a client may still send after its answer without losing the connection. */
const DRAIN_BYTES_MAX = 64 * 1024;
/**
 * Bodies up to this size are handed to Node as Latin-1 text, a character for each byte: it joins them to the head and
 * makes one `write` of it, which costs less than the `writev` of a text and a buffer.
 */
const ONE_WRITE_BYTES_MAX = 16 * 1024;
/** Bytes in hand beyond this go out in pieces, each of which the client has `writeStallMs` to take. */
const PIECE_BYTES = 256 * 1024;
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

export class AnswerWriter {
  /** Set when the server is to stop: from then on every answer closes its connection. */
  stopping = false;
  readonly #options: WritingOptions;
  /** Answers that leave at the end of this turn. */
  #due: { readonly exchange: Exchange; readonly answer: Answer }[] = [];
  #dateSecond = Number.NaN;
  #date = "";

  constructor(options: WritingOptions) {
    this.#options = options;
  }

  /**
   * Keeps an answer until this turn of the event loop ends, so that the answers to all requests the turn brought leave
   * one right after the other. A client that waits for several of them is woken once then, not once for each; with 64
   * connections that is a fifth to a third more requests per second, and one connection does not notice.
   */
  answerSoon(exchange: Exchange, answer: Answer): void {
    this.#due.push({ exchange, answer });
    if (this.#due.length > 1) return;
    setImmediate(() => {
      const due = this.#due;
      this.#due = [];
      for (const { exchange, answer } of due) this.#answer(exchange, answer);
    });
  }

  /** Answers with a refusal, as the dialect writes it. */
  refuse(exchange: Exchange, refusal: CosError): void {
    this.#answer(exchange, this.#refusal(refusal, exchange.wire));
  }

  /** Answers InternalError for a fault of ours, and logs it; `what` says where it was met. */
  fail(exchange: Exchange, what: string, error: unknown): void {
    this.#answer(exchange, this.#fault(what, error, exchange.wire));
  }

  /** Answers a message that never became a request, and closes. `wire` stands in for it. */
  part(connection: Connection, wire: WireRequest, refusal: CosError): void {
    try {
      speakLastWords(connection, this.#render(wire, this.#refusal(refusal, wire)), this.#options);
    } catch (error) {
      this.#options.log.error("a refusal could not be sent", { error, requestId: wire.ids.requestId });
      connection.socket.destroy();
    }
  }

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
    const { connection, response, body, wire } = exchange;
    const { status, body: content } = answer;
    if (exchange.closed || response.destroyed) {
      release(content);
      return;
    }
    if (answer.cut === true) {
      release(content);
      connection.socket.destroy();
      return;
    }
    const stream = isStream(content) ? content : undefined;
    const { outstanding } = body;
    const close = this.stopping || outstanding > DRAIN_BYTES_MAX || cannotGoOn(exchange);
    // Streams and late documents take Node's way even so: no operation both sends one and leaves a long body unread.
    if (close && outstanding > 0 && stream === undefined && answer.later === undefined) {
      const rendered = this.#render(wire, answer);
      // Node gives a response the socket when all answers before it are out.
      if (response.socket !== null) speakLastWords(connection, rendered, this.#options);
      else response.once("socket", () => speakLastWords(connection, rendered, this.#options));
      return;
    }
    body.discard();
    if (answer.later !== undefined) {
      const head = this.#head(answer, wire, undefined, close);
      answerLater(exchange, status, head, answer.later, this.#options);
      return;
    }
    const bodiless = status === 204 || status === 304;
    const text = typeof content === "string" && Buffer.byteLength(content) === content.length ? content : undefined;
    const bytes = text === undefined && stream === undefined ? bytesOf(content) : undefined;
    const length = stream?.length ?? text?.length ?? bytes?.length ?? 0;
    const head = this.#head(answer, wire, bodiless ? undefined : String(length), close);
    const empty = bodiless || length === 0 || wire.method === "HEAD";
    const chunks = stream ?? (length > PIECE_BYTES ? inPieces(bytes ?? bytesOf(text)) : undefined);
    if (chunks !== undefined && !empty) {
      void streamAnswer(exchange, status, head, chunks, this.#options, (error) => {
        const instead =
          error instanceof CosError ? this.#refusal(error, wire) : this.#fault("a body could not be read", error, wire);
        // The page that asked may read the refusal as well.
        this.#answer(exchange, { ...instead, headers: [...instead.headers, ...answer.headers.filter(isForBrowsers)] });
      });
      return;
    }
    release(content);
    exchange.begin(status, head);
    if (empty) response.end();
    // ASCII is Latin-1 already.
    else if (text !== undefined) response.end(text, "latin1");
    else if (length > ONE_WRITE_BYTES_MAX) response.end(bytes);
    else response.end(bytes?.toString("latin1"), "latin1");
    watchStall(exchange, this.#options);
  }

  /** Header fields as Node takes them: names and values in turn. */
  #head(
    { headers, dateMs }: Pick<Answer, "headers" | "dateMs">,
    wire: WireRequest,
    length: string | undefined,
    close: boolean,
  ): string[] {
    const head: string[] = [];
    for (const [name, value] of headers) {
      if (OWN_FIELDS.has(name)) throw new Error(`only the edge writes ${name}`);
      head.push(name, value);
    }
    if (length !== undefined) head.push("Content-Length", length);
    head.push("Connection", close ? "close" : "keep-alive", "Date", this.#dateOf(dateMs), "Server", "tencent-cos");
    head.push("x-cos-request-id", wire.ids.requestId);
    return head;
  }

  #dateOf(nowMs = this.#options.clock.now()): string {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#dateSecond) {
      this.#dateSecond = second;
      this.#date = formatHttpDate(nowMs);
    }
    return this.#date;
  }

  /** A whole answer that closes the connection, as bytes. Throws for a field that cannot be sent. */
  #render(wire: WireRequest, answer: Answer): Buffer {
    const { status, body } = answer;
    const content = bytesOf(body);
    const bodiless = status === 204 || status === 304;
    const head = this.#head(answer, wire, bodiless ? undefined : String(content.length), true);
    let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n`;
    for (let index = 0; index < head.length; index += 2) {
      const value = head[index + 1] as string;
      if (UNSENDABLE.test(value)) throw new Error(`the value of ${head[index]} cannot be sent`);
      text += `${head[index]}: ${value}\r\n`;
    }
    const headBytes = Buffer.from(`${text}\r\n`, "latin1");
    return bodiless || wire.method === "HEAD" ? headBytes : Buffer.concat([headBytes, content]);
  }
}

/** Whether no further request can be read from the connection, or none is wanted by the client. */
function cannotGoOn({ connection, request, response, body, suspect }: Exchange): boolean {
  return (
    body.failure !== undefined ||
    body.heldBack ||
    (connection.broken && !request.complete) ||
    suspect ||
    isHttp10(request) ||
    !response.shouldKeepAlive ||
    connection.socket.readableEnded
  );
}

function isForBrowsers([name]: readonly [name: string, value: string]): boolean {
  return name === "Vary" || name.startsWith("Access-Control-");
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
  if (isStream(body)) Promise.resolve(body.chunks[Symbol.asyncIterator]().return?.()).catch(() => {});
}
