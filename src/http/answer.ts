/** An answer as the dialect hands it to the HTTP edge. */

/** A body of known length in chunks; a chunk is valid until the next one is asked for. */
export interface StreamedBody {
  /** Bytes. */
  readonly length: number;
  readonly chunks: AsyncIterable<Buffer>;
}

export interface Answer {
  readonly status: number;
  /**
   * Header fields in canonical case, in the order they are sent. The edge adds Server, Date, Connection, Content-Length
   * and the request's ids. Values with CR, LF or NUL never get here: they are refused where they enter.
   */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /**
   * A text (UTF-8), bytes, a stream of known length, or nothing. For HEAD the edge sends the length and no body; for 204
   * and 304 neither. A stream that throws after its first byte cuts the connection, so that the client sees a failure.
   */
  readonly body?: string | Buffer | StreamedBody;
  /**
   * For an answer that began early: an XML document that follows once it is known, chunked. The edge sends the XML
   * declaration at once and then blanks, which keep the connection alive; a declaration in the text is not repeated.
   */
  readonly later?: Promise<string>;
  /** What the edge writes as Date, ms since 1970; by default its own clock's time. */
  readonly dateMs?: number;
  /** The connection is cut instead of answering. */
  readonly cut?: true;
}

/** What the edge calls for each request. It never rejects. */
export type Handler = (request: import("./request.ts").WireRequest) => Promise<Answer>;
