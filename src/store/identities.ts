/** Ids that this process gives out: its incarnation, then a count, so that rows named by them are appended in order. */

export interface Identities {
  /** 16 hex digits, drawn anew by each start. */
  readonly incarnation: string;
  /** 32 hex digits that nobody else gives out, ascending. */
  next(): string;
  /** Counts from 0, for what is named within the incarnation. */
  number(): number;
}

export function identities(incarnation: string): Identities {
  let count = 0;
  return {
    incarnation,
    next: () => incarnation + (count++).toString(16).padStart(16, "0"),
    number: () => count++,
  };
}
