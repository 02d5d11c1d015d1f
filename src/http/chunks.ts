/** Streams that are made of others. */

import type { Answer, StreamedBody } from "./answer.ts";

/**
 * What `derive` makes of the chunks of `source`. Ending it early ends the source as well, also before the first chunk was
 * asked for: a generator that never began would not, and what the source holds open would stay open.
 */
export function derivedChunks(
  source: AsyncIterable<Buffer>,
  derive: (chunks: AsyncIterable<Buffer>) => AsyncGenerator<Buffer>,
): AsyncIterable<Buffer> {
  const inner = source[Symbol.asyncIterator]();
  const outer = derive({ [Symbol.asyncIterator]: () => inner });
  let begun = false;
  return {
    [Symbol.asyncIterator]: () => ({
      next() {
        begun = true;
        return outer.next();
      },
      async return() {
        if (!begun) await inner.return?.();
        return await outer.return(undefined);
      },
    }),
  };
}

/**
 * The same answer; `done` is called once, when nothing more of it has to be read: its stream ended, failed or was given back,
 * or its document is known. An answer in hand is done at once.
 */
export function heldUntilSent(answer: Answer, done: () => void): Answer {
  const { body, later } = answer;
  if (later !== undefined) {
    void whenKnown(later, done);
    return answer;
  }
  if (body === undefined || typeof body === "string" || Buffer.isBuffer(body)) {
    done();
    return answer;
  }
  return { ...answer, body: { length: body.length, chunks: untilEnd(body.chunks, done) } };
}

/** Whoever sends the document hears of its failure. */
async function whenKnown(later: Promise<string>, done: () => void): Promise<void> {
  await Promise.allSettled([later]);
  done();
}

function untilEnd(source: StreamedBody["chunks"], done: () => void): StreamedBody["chunks"] {
  const inner = source[Symbol.asyncIterator]();
  let ended = false;
  const end = (): void => {
    if (!ended) done();
    ended = true;
  };
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        try {
          const step = await inner.next();
          if (step.done === true) end();
          return step;
        } catch (error) {
          end();
          throw error;
        }
      },
      async return() {
        try {
          await inner.return?.();
        } finally {
          end();
        }
        return { done: true, value: undefined };
      },
    }),
  };
}
