/**
 * Answers that take time: streams chunk by chunk, documents that are promised before they are known, and the watch over
 * clients that take nothing of them.
 */

import type { Log } from "../log.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { StreamedBody } from "./answer.ts";
import { type Exchange, isHttp10 } from "./connection.ts";
import type { EdgeLimits } from "./edge-limits.ts";

export interface StreamingOptions {
  readonly clock: Clock;
  readonly limits: Pick<EdgeLimits, "blankEveryMs" | "writeStallMs">;
  readonly log: Pick<Log, "error">;
}

const XML_DECLARATION = "<?xml version='1.0' encoding='utf-8' ?>\n";
const CLOSED = new Error("the connection is closed");

/**
 * Sends a stream chunk by chunk. A chunk is the engine's again once the next is asked for, so each is waited for. A
 * stream that fails before its first chunk is told to `refused`, since there is still time for another answer. Does not
 * reject.
 */
export async function streamAnswer(
  exchange: Exchange,
  status: number,
  head: string[],
  body: StreamedBody,
  options: StreamingOptions,
  refused: (error: unknown) => void,
): Promise<void> {
  const requestId = exchange.wire.ids.requestId;
  exchange.response.on("error", ignore);
  const iterator = body.chunks[Symbol.asyncIterator]();
  const stall = new StallWatch(exchange, options);
  let sent = 0;
  try {
    while (sent < body.length) {
      const step = await iterator.next();
      if (exchange.closed) throw CLOSED;
      if (step.done === true) throw new Error(`a body of ${body.length} bytes ended after ${sent}`);
      const chunk = step.value;
      if (chunk.length === 0) continue;
      if (sent + chunk.length > body.length) throw new Error(`a body of ${body.length} bytes goes on`);
      if (sent === 0) exchange.begin(status, head);
      sent += chunk.length;
      await stall.during(written(exchange, chunk, sent === body.length));
    }
  } catch (error) {
    if (error === CLOSED) return;
    if (!exchange.answering) {
      refused(error);
      return;
    }
    // The status is out. An incomplete body is the only way left to tell.
    options.log.error("a body broke off", { error, requestId });
    exchange.connection.socket.destroy();
  } finally {
    stall.cancel();
    try {
      await iterator.return?.();
    } catch (error) {
      options.log.error("a body could not be released", { error, requestId });
    }
  }
}

/**
 * Begins an answer whose document is not known yet; blanks keep proxies and clients from giving up. `head` names neither
 * length nor coding.
 */
export function answerLater(
  exchange: Exchange,
  status: number,
  head: string[],
  later: Promise<string>,
  options: StreamingOptions,
): void {
  const { response, wire } = exchange;
  const { clock, limits, log } = options;
  // HTTP/1.0 knows no chunks: there the end of the connection ends the document.
  if (isHttp10(exchange.request)) response.useChunkedEncodingByDefault = false;
  else head.push("Transfer-Encoding", "chunked");
  exchange.begin(status, head);
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
      watchStall(exchange, options);
    },
    (error: unknown) => {
      timer.cancel();
      log.error("a document that was promised failed", { error, requestId: wire.ids.requestId });
      exchange.connection.socket.destroy();
    },
  );
}

/** Cuts off a client that does not take an answer which is written to its end; most are with the kernel by now. */
export function watchStall(exchange: Exchange, options: Pick<StreamingOptions, "clock" | "limits">): void {
  const { connection, response } = exchange;
  // Node gives a response the socket when all answers before it are out.
  if (response.socket === null && !response.writableFinished) {
    response.once("socket", () => stallUntilClosed(exchange, options));
  } else if (connection.socket.writableLength > 0) stallUntilClosed(exchange, options);
}

function stallUntilClosed(exchange: Exchange, options: Pick<StreamingOptions, "clock" | "limits">): void {
  const stall = new StallWatch(exchange, options);
  const closed = new Promise<void>((resolve) => exchange.response.once("close", resolve));
  void stall.during(closed).then(() => stall.cancel());
}

/** Cuts the connection of a client that does not take one chunk within the bound. One timer per answer, set rarely. */
class StallWatch {
  readonly #exchange: Exchange;
  readonly #clock: Clock;
  readonly #stallMs: number;
  #since: number | undefined;
  #timer: Timer | undefined;

  constructor(exchange: Exchange, { clock, limits }: Pick<StreamingOptions, "clock" | "limits">) {
    this.#exchange = exchange;
    this.#clock = clock;
    this.#stallMs = limits.writeStallMs;
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

/** Resolves when the kernel has taken the chunk; rejects with CLOSED when the connection is lost. */
function written(exchange: Exchange, chunk: Buffer, last: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    exchange.onClosed = () => reject(CLOSED);
    if (last) exchange.response.end(chunk, () => resolve());
    else exchange.response.write(chunk, (error) => (error == null ? resolve() : reject(CLOSED)));
  });
}

function ignore(): void {}
