/** Faults as they happen to a request: a wait, a refusal, a body that breaks off, an answer that is slow or cut. */

import type { Answer, StreamedBody } from "../http/answer.ts";
import { derivedChunks } from "../http/chunks.ts";
import { type CosError, refuse } from "../errors/cos-error.ts";
import type { RequestBody } from "../http/request.ts";
import type { Clock } from "../ports/clock.ts";
import type { FaultSubject, Fault } from "./fault.ts";

/** Finds what is to happen to requests. */
export interface FaultFinder {
  /** Whether there is any fault; without one nothing else is asked. */
  readonly any: boolean;
  /** The first fault that is to happen to this request; it counts as met then. */
  find(subject: FaultSubject): Promise<Fault | undefined>;
  /**
   * The fault that a trusted caller's header `x-cosbox-fault` asks for: the id of an error, or a fault as JSON. Rejects
   * with CosError InvalidArgument for one that cannot stand; undefined where callers may not ask.
   */
  asked(header: string): Promise<Fault | undefined>;
}

export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

/** The refusal that a fault asks for; undefined where it asks for none at this moment. */
export function refusalOf(fault: Fault | undefined, phase: "before" | "during" | "after"): CosError | undefined {
  if (fault?.error === undefined || (fault.phase ?? "before") !== phase) return undefined;
  return refuse(fault.error, {
    cause: `the fault ${fault.id}`,
    evidence: () => ({ kind: "fault", id: fault.id, phase }),
  });
}

/** A body that breaks off with `refusal` when half of what was announced has come, or with its first bytes. */
export function breakingBody(body: RequestBody, refusal: CosError): RequestBody {
  const { declaredLength = 0 } = body;
  async function* stream(): AsyncGenerator<Buffer> {
    let left = Math.floor(declaredLength / 2);
    for await (const chunk of body.stream()) {
      if (chunk.length >= left) throw refusal;
      left -= chunk.length;
      yield chunk;
    }
    throw refusal;
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
      await body.collect(bytesMax, over);
      throw refusal;
    },
  };
}

const PIECE_BYTES = 16 * 1024;
/** Pieces in a second, where they are small enough. */
const PACE = 10;

function chunksOf(body: Answer["body"]): StreamedBody | undefined {
  if (body === undefined) return undefined;
  if (typeof body !== "string" && !Buffer.isBuffer(body)) return body;
  const bytes = Buffer.from(body);
  async function* chunks(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
  }
  return { length: bytes.length, chunks: chunks() };
}

/** The answer as the fault lets it go out. */
export function faultyAnswer(answer: Answer, fault: Fault, clock: Clock): Answer {
  const { bytesPerSecond, cutAfterBytes } = fault;
  if (bytesPerSecond === undefined && cutAfterBytes === undefined) return answer;
  if (cutAfterBytes === 0) return { ...answer, cut: true };
  const body = chunksOf(answer.body);
  if (body === undefined) return answer;
  const pieceBytes = bytesPerSecond === undefined ? PIECE_BYTES : Math.max(1, Math.ceil(bytesPerSecond / PACE));
  async function* chunks(whole: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let sent = 0;
    for await (const chunk of whole) {
      for (let at = 0; at < chunk.length; at += pieceBytes) {
        const piece = chunk.subarray(at, Math.min(at + pieceBytes, chunk.length));
        const most = (cutAfterBytes ?? Number.POSITIVE_INFINITY) - sent;
        if (most <= piece.length) {
          yield piece.subarray(0, most);
          throw new FaultCut(fault.id);
        }
        yield piece;
        sent += piece.length;
        if (bytesPerSecond !== undefined) await sleep(clock, (piece.length / bytesPerSecond) * 1000);
      }
    }
  }
  return { ...answer, body: { length: body.length, chunks: derivedChunks(body.chunks, chunks) } };
}

/** Why an answer broke off. */
class FaultCut extends Error {
  constructor(id: string) {
    super(`the fault ${id} cut the answer`);
    this.name = "FaultCut";
  }
}
