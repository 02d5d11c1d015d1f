/** From what Node's parser passes on to a `WireRequest`: ids, target, host, expectation and codings. */

import type { IncomingMessage, ServerResponse } from "node:http";
import { CosError, refuse } from "../errors/cos-error.ts";
import type { Log } from "../log.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import { IncomingBody } from "./body.ts";
import { type Connection, EdgeRequest, isHttp10, NO_BODY } from "./connection.ts";
import type { EdgeLimits } from "./edge-limits.ts";
import { noHeaders, readHeaders } from "./headers.ts";
import { requestIds } from "./ids.ts";
import type { HeaderFields, RequestIds } from "./request.ts";
import { parseTarget, type Target } from "./target.ts";

export interface ReadingOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: EdgeLimits;
  readonly log: Pick<Log, "error">;
}

/** A request, and what is wrong with it if anything is. */
export interface Reading {
  readonly wire: EdgeRequest;
  readonly refusal: CosError | undefined;
}

export class RequestReader {
  readonly #options: ReadingOptions;
  readonly #nextIds: (nowMs: number) => RequestIds;

  constructor(options: ReadingOptions) {
    this.#options = options;
    this.#nextIds = requestIds(options.random);
  }

  /** Reads what the parser passed on. What is refused here is still a request, so that it can carry the answer. */
  read(connection: Connection, request: IncomingMessage, response: ServerResponse): Reading {
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
    target ??= anyTarget(connection, headers?.raw("host"));
    headers ??= noHeaders();
    return { wire: new EdgeRequest(connection, { method, target, headers, body, ids, receivedAt }), refusal };
  }

  /** A stand-in for a message that never became a request, so that its refusal has ids and a target. */
  unread(connection: Connection, method: string): EdgeRequest {
    const receivedAt = this.#options.clock.now();
    return new EdgeRequest(connection, {
      method,
      target: anyTarget(connection, undefined),
      headers: noHeaders(),
      body: NO_BODY,
      ids: this.#nextIds(receivedAt),
      receivedAt,
    });
  }
}

/** The root of the host that was named, or of our own address: `Resource` must not be empty. */
function anyTarget(connection: Connection, host: string | undefined): Target {
  try {
    if (host !== undefined && host !== "") return parseTarget("GET", "/", host);
  } catch {
    // The host is what cannot be read.
  }
  return parseTarget("GET", "/", connection.localAuthority);
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
