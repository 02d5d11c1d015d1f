/** Streams that are made of others. */

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
