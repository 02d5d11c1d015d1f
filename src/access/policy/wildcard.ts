/** Patterns in which `*` stands for any run of characters, also none. Nothing else in them is special. */

export interface Wildcard {
  /** As written. */
  readonly text: string;
  /** What stands between the stars; one piece means that there is no star. */
  readonly pieces: readonly string[];
}

export function wildcard(text: string): Wildcard {
  return { text, pieces: text.split("*") };
}

/**
 * Whether the whole of `value` fits. Each piece is looked for right behind the one before: where only stars lie between
 * pieces, the first place that fits leaves the most room, so that nothing is ever tried twice.
 */
export function fits({ pieces }: Wildcard, value: string): boolean {
  const first = pieces[0] as string;
  if (pieces.length === 1) return value === first;
  const last = pieces[pieces.length - 1] as string;
  if (value.length < first.length + last.length || !value.startsWith(first) || !value.endsWith(last)) return false;
  const end = value.length - last.length;
  let at = first.length;
  for (let piece = 1; piece < pieces.length - 1; piece++) {
    const text = pieces[piece] as string;
    const found = value.indexOf(text, at);
    if (found < 0 || found + text.length > end) return false;
    at = found + text.length;
  }
  return true;
}
