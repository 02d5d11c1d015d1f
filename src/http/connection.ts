/** What the edge knows while it serves: a connection, and one request on it with the answer to it. */

import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { CosError } from "../errors/cos-error.ts";
import type { IncomingBody } from "./body.ts";
import type { HeaderFields, RequestBody, RequestIds, WireRequest } from "./request.ts";
import type { Target } from "./target.ts";

/** One connection that speaks HTTP; over TLS, the inside of it. */
export class Connection {
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

  get tlsVersion(): string | undefined {
    const protocol = this.socket instanceof TLSSocket ? this.socket.getProtocol() : null;
    return protocol?.startsWith("TLSv") ? protocol.slice(4) : undefined;
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
export class Exchange {
  readonly connection: Connection;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly wire: EdgeRequest;
  readonly body: IncomingBody;
  /** Set when the request is such that nothing after it on this connection can be trusted. */
  suspect = false;
  /** The status is out. */
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

  /** Begins the answer; `head` holds names and values in turn. Throws Node's error for a field that cannot be sent. */
  begin(status: number, head: string[]): void {
    this.response.writeHead(status, STATUS_CODES[status] ?? "", head);
    this.answering = true;
  }
}

export class EdgeRequest implements WireRequest {
  readonly method: string;
  readonly target: Target;
  readonly headers: HeaderFields;
  readonly body: RequestBody;
  readonly ids: RequestIds;
  readonly receivedAt: number;
  readonly #connection: Connection;

  constructor(connection: Connection, parts: Omit<WireRequest, "secure" | "tlsVersion" | "remoteAddress">) {
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

  get tlsVersion(): string | undefined {
    return this.#connection.tlsVersion;
  }

  get remoteAddress(): string {
    return this.#connection.remoteAddress;
  }
}

/** The body of a message that never became a request. */
export const NO_BODY: RequestBody = {
  declaredLength: undefined,
  chunked: false,
  announced: false,
  async *stream() {},
  collect: () => Promise.resolve(Buffer.alloc(0)),
};

export function isHttp10(request: IncomingMessage): boolean {
  return request.httpVersionMajor < 1 || request.httpVersionMinor < 1;
}
