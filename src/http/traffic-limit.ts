/**
 * `x-cos-traffic-limit`: the pace at which one request's body comes in and its answer's goes out. A body that is not read
 * makes its client wait, so nothing is kept back here; there is one timer at a time for each request. (traffic-limit page)
 */

import { derivedChunks } from "./chunks.ts";
import { refuse } from "../errors/cos-error.ts";
import type { Limits } from "../limits.ts";
import type { Clock } from "../ports/clock.ts";
import type { Answer, StreamedBody } from "./answer.ts";
import type { RequestBody, WireRequest } from "./request.ts";

export const TRAFFIC_LIMIT = "x-cos-traffic-limit";

/** Pieces of an answer in a second: one that waits longer for a piece looks as if it were stuck. */
const PIECES_PER_SECOND = 10;
/** A wait that is shorter, ms, is left for the next one. */
const WAIT_MS_MIN = 5;
const BITS = 8;

/**
 * The pace that a request asks for, bytes per second; undefined for any. It may stand in a header, a form's field or the
 * query, where a link that is signed along with it forces it on whoever has the link: of two the lower one holds. Raises
 * InvalidArgument outside of the limits `trafficLimitMin` and `trafficLimitMax`.
 */
export function trafficLimitOf(
  { headers, target: { query } }: Pick<WireRequest, "headers" | "target">,
  { trafficLimitMin: min, trafficLimitMax: max }: Pick<Limits, "trafficLimitMin" | "trafficLimitMax">,
): number | undefined {
  const told = [headers.get(TRAFFIC_LIMIT), ...query.all(TRAFFIC_LIMIT)].filter((text) => text !== undefined);
  if (told.length === 0) return undefined;
  const bits = told.map((text) => (/^\d{1,16}$/.test(text) ? Number(text) : Number.NaN));
  if (!bits.every((number) => number >= min && number <= max)) {
    throw refuse("InvalidArgument", {
      message: `The argument ${TRAFFIC_LIMIT} must be a whole number from ${min} to ${max}.`,
    });
  }
  return Math.min(...bits) / BITS;
}

/** Makes bytes take their time. */
class Pace {
  readonly #clock: Clock;
  readonly #bytesPerSecond: number;
  /** Monotonic ms at which everything so far has had its time. */
  #until: number | undefined;

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** Resolves when `bytes` more have had their time. Time in which nothing was to be done is not made up for. */
  async spend(bytes: number): Promise<void> {
    const now = this.#clock.monotonic();
    this.#until = Math.max(this.#until ?? now, now - WAIT_MS_MIN) + (bytes / this.#bytesPerSecond) * 1000;
    const waitMs = this.#until - now;
    if (waitMs >= WAIT_MS_MIN) await new Promise<void>((resolve) => void this.#clock.after(waitMs, resolve));
  }
}

/** The body of a request as it comes in at a pace. */
export function pacedBody(body: RequestBody, bytesPerSecond: number, clock: Clock): RequestBody {
  const pace = new Pace(clock, bytesPerSecond);
  async function* stream(): AsyncGenerator<Buffer> {
    for await (const chunk of body.stream()) {
      await pace.spend(chunk.length);
      yield chunk;
    }
  }
  return {
    declaredLength: body.declaredLength,
    chunked: body.chunked,
    announced: body.announced,
    stream,
    get trailers() {
      return body.trailers;
    },
    async collect(bytesMax, over) {
      const bytes = await body.collect(bytesMax, over);
      await pace.spend(bytes.length);
      return bytes;
    },
  };
}

/** The answer as it goes out at a pace. */
export function pacedAnswer(answer: Answer, bytesPerSecond: number, clock: Clock): Answer {
  const { body } = answer;
  if (body === undefined) return answer;
  const whole: StreamedBody = typeof body === "string" || Buffer.isBuffer(body) ? inOneChunk(Buffer.from(body)) : body;
  const pieceBytes = Math.max(1, Math.ceil(bytesPerSecond / PIECES_PER_SECOND));
  async function* chunks(all: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    const pace = new Pace(clock, bytesPerSecond);
    for await (const chunk of all) {
      for (let at = 0; at < chunk.length; at += pieceBytes) {
        const piece = chunk.subarray(at, at + pieceBytes);
        await pace.spend(piece.length);
        yield piece;
      }
    }
  }
  return { ...answer, body: { length: whole.length, chunks: derivedChunks(whole.chunks, chunks) } };
}

function inOneChunk(bytes: Buffer): StreamedBody {
  async function* chunks(): AsyncGenerator<Buffer> {
    yield bytes;
  }
  return { length: bytes.length, chunks: chunks() };
}
