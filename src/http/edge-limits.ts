import type { BodyLimits } from "./body.ts";

/** The bounds of the HTTP edge; `limits.ts` has the values and the reasons. */
export interface EdgeLimits extends BodyLimits {
  /** Bytes of the request line and all headers together: `BadRquest`. */
  readonly headerBytesMax: number;
  /** Header fields of one request: `BadRquest`. */
  readonly headersMax: number;
  /** Parameters of one query: `InvalidURI`. */
  readonly queryParametersMax: number;
  /** From a connection, or the first byte of a further request, to complete headers, ms: `RequestTimeout`. */
  readonly headersTimeoutMs: number;
  /** An idle connection is kept this long after an answer, ms. */
  readonly keepAliveMs: number;
  /** After an early refusal, bytes that are still read and thrown away before the connection is cut. */
  readonly discardBytesMax: number;
  /** After an early refusal, ms for which a client is still read. */
  readonly discardMs: number;
  /** A client that takes nothing of an answer for this long, ms, is cut off. */
  readonly writeStallMs: number;
  /** Between two blanks of an answer whose document is not known yet, ms. */
  readonly blankEveryMs: number;
  /** Requests under way at once; one more is `ServiceUnavailable`. */
  readonly requestsMax: number;
  /** Connections at once; further ones are closed as they come. */
  readonly connectionsMax: number;
}
