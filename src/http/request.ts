/** A request as the HTTP edge hands it on: read once, immutable, with nothing of node:http in it. */

import { refuse } from "../errors/cos-error.ts";
import type { ErrorId } from "../errors/catalogue.ts";
import type { Target } from "./target.ts";

/** The ids every answer carries in `x-cos-request-id` and, when it refuses, in `x-cos-trace-id`. */
export interface RequestIds {
  /** Base64 of `<hex8 unix seconds>_<hex address>_<hex>_<hex sequence>`, as the live service forms it. */
  readonly requestId: string;
  /** Base64 of 128 lower-case hex digits. Made when it is first asked for: only refusals carry it. */
  readonly traceId: string;
}

/** Header fields by lower-case name. Fields that may occur once only were refused by the edge when repeated. */
export interface HeaderFields {
  /** The value, trimmed; undefined when absent. An empty value counts as absent: SDKs send `Cache-Control:` and mean nothing. */
  get(name: string): string | undefined;
  /** The value exactly as received (also empty), for signatures; undefined when the field was not sent. */
  raw(name: string): string | undefined;
  /** Every field in the order received, names in lower case. */
  entries(): Iterable<readonly [name: string, value: string]>;
}

/** The body: a stream until somebody reads it. */
export interface RequestBody {
  /** Content-Length in bytes; undefined when the body is chunked or absent. */
  readonly declaredLength: number | undefined;
  readonly chunked: boolean;
  /** True when bytes may follow: Content-Length above 0, or chunked. */
  readonly announced: boolean;
  /**
   * The bytes as they arrive; the first read sends `100 Continue` when the client waits for it. Throws CosError
   * `IncompleteBody` when the connection ends early, `RequestTimeout` when nothing arrives for `limits.bodyIdleMs`,
   * `UserNetworkTooSlow` below the rate floor. May be taken once.
   */
  stream(): AsyncIterable<Buffer>;
  /**
   * What the client tells after the last byte, by lower-case name; there once the body has been read to its end.
   * Undefined where nothing may follow.
   */
  readonly trailers?: ReadonlyMap<string, string> | undefined;
  /** The whole body, at most `bytesMax` bytes; one more throws a CosError with the id `over`. Same errors as stream(). */
  collect(bytesMax: number, over: ErrorId): Promise<Buffer>;
}

export interface WireRequest {
  readonly method: string;
  readonly target: Target;
  readonly headers: HeaderFields;
  readonly body: RequestBody;
  readonly ids: RequestIds;
  /** True over TLS. */
  readonly secure: boolean;
  /** `1.2` or `1.3`; undefined without TLS. */
  readonly tlsVersion: string | undefined;
  /** Address of the socket's peer, never taken from a header. */
  readonly remoteAddress: string;
  /** Virtual time of arrival, milliseconds since 1970. */
  readonly receivedAt: number;
}

/** The same request, read anew: with other fields, another target, another body or by another clock. */
export class ReadRequest implements WireRequest {
  readonly method: string;
  readonly target: Target;
  readonly headers: HeaderFields;
  readonly body: RequestBody;
  readonly ids: RequestIds;
  readonly receivedAt: number;
  readonly #sent: WireRequest;

  constructor(sent: WireRequest, instead: Partial<Pick<WireRequest, "target" | "headers" | "body" | "receivedAt">>) {
    this.#sent = sent;
    this.method = sent.method;
    this.target = instead.target ?? sent.target;
    this.headers = instead.headers ?? sent.headers;
    this.body = instead.body ?? sent.body;
    this.ids = sent.ids;
    this.receivedAt = instead.receivedAt ?? sent.receivedAt;
  }

  get secure(): boolean {
    return this.#sent.secure;
  }

  get tlsVersion(): string | undefined {
    return this.#sent.tlsVersion;
  }

  get remoteAddress(): string {
    return this.#sent.remoteAddress;
  }
}

/** A body that has been collected before, or could not be, for whoever reads it next. */
export function collectedBody(
  { declaredLength, chunked, announced }: RequestBody,
  collected: { readonly bytes: Buffer } | { readonly error: unknown },
): RequestBody {
  const bytes = (): Buffer => {
    if ("error" in collected) throw collected.error;
    return collected.bytes;
  };
  return {
    declaredLength,
    chunked,
    announced,
    async *stream() {
      yield bytes();
    },
    async collect(bytesMax, over) {
      if (bytes().length > bytesMax) throw refuse(over);
      return bytes();
    },
  };
}

/** The same request with another body. */
export function withBody(request: WireRequest, body: RequestBody): WireRequest {
  return new ReadRequest(request, { body });
}
