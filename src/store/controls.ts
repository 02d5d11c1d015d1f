/**
 * What people set on a running server beside its settings (its clock, faults, states of accounts): a document each, under
 * a name. Every process of a server finds the same, and a start finds what the last one left.
 */
import type { MetadataEngine } from "../ports/metadata.ts";
import { controlKey, prefixRange } from "./keys.ts";
import type { Transact } from "./transact.ts";

/** One control as it is stored. */
export interface Control {
  readonly name: string;
  readonly document: Buffer;
}

export interface Controls {
  /** Those whose names begin so, in order of name, at most `CONTROLS_MAX`. */
  list(prefix: string): Promise<readonly Control[]>;
  /**
   * Puts in place of what is there what `next` makes of it, or removes it where that is undefined; gives what `next`
   * gave. `next` may run again, and may refuse by throwing.
   */
  change(name: string, next: (previous: Buffer | undefined) => Buffer | undefined): Promise<Buffer | undefined>;
}

/** Controls of one kind that are read at a time: there are no more than this of any. */
export const CONTROLS_MAX = 1_000;

export function controls({ metadata, transact }: { metadata: MetadataEngine; transact: Transact }): Controls {
  return {
    async list(prefix) {
      const [rows = []] = await metadata.read([prefixRange(controlKey(prefix), CONTROLS_MAX)]);
      return rows.map(({ key, value }) => ({ name: key.toString("utf8", 1), document: value }));
    },
    change: (name, next) =>
      transact([controlKey(name)], async (tx) => {
        const key = controlKey(name);
        const value = next(await tx.get(key));
        if (value === undefined) tx.delete(key);
        else tx.set(key, value);
        return value;
      }),
  };
}
