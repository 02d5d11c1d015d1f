/** Answers of operations that may take long: 200 now, blanks, and the document when it is known. */

import type { Clock } from "../ports/clock.ts";
import type { Answer } from "./answer.ts";

export interface EarlyAnswerOptions {
  readonly clock: Clock;
  /** The client is kept waiting for the status this long, ms. */
  readonly earlyAnswerMs: number;
  /** Status of an answer that begins early. */
  readonly status: number;
  /** The document that tells of a failure after the status is out. */
  readonly errorDocument: (error: unknown) => string;
}

const LATE = Symbol("late");

/**
 * The answer that is being worked on where it is there soon, and its rejection; otherwise one that begins now and
 * carries its document later. The work's answer must have a text for its body then.
 */
export async function answerWithin(
  working: Promise<Answer>,
  { clock, earlyAnswerMs, status, errorDocument }: EarlyAnswerOptions,
): Promise<Answer> {
  let wake: (value: typeof LATE) => void = () => {};
  const timeout = new Promise<typeof LATE>((resolve) => {
    wake = resolve;
  });
  const timer = clock.after(earlyAnswerMs, () => wake(LATE));
  const first = await Promise.race([working, timeout]).finally(() => timer.cancel());
  if (first !== LATE) return first;
  const later = working
    .then(({ body }) => {
      if (typeof body !== "string") throw new Error("a client is kept waiting for no document");
      return body;
    })
    .catch(errorDocument);
  return { status, headers: [["Content-Type", "application/xml"]], later };
}
