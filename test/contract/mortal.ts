/** Engines of a process that dies at a change of what is stored. */

import type { Engines } from "./store-fixture.ts";

/** What a process gets that has died. */
export class Died extends Error {}

export interface Mortal extends Engines {
  /** It dies at the so-manieth change from now: before that is made, or after, but unanswered. */
  dieAt(changes: number, changed: boolean): void;
  /** Whether it has died. Nothing that it tries any more is stored. */
  isDead(): boolean;
}

/** The engines, as a process has them that lives until it is told when to die. */
export function mortal({ metadata, blobs }: Engines): Mortal {
  let left = Number.POSITIVE_INFINITY;
  let isApplied = false;
  let isDead = false;
  async function change<T>(apply: () => Promise<T>): Promise<T> {
    if (isDead) throw new Died();
    left -= 1;
    if (left > 0) return await apply();
    isDead = true;
    if (isApplied) await apply();
    throw new Died();
  }
  const unlessDead = async <T>(read: () => Promise<T>): Promise<T> => {
    if (isDead) throw new Died();
    return await read();
  };
  return {
    dieAt(changes, changed) {
      left = changes;
      isApplied = changed;
    },
    isDead: () => isDead,
    metadata: {
      read: (ranges) => unlessDead(() => metadata.read(ranges)),
      commit: (seen, writes) => change(() => metadata.commit(seen, writes)),
      close: () => metadata.close(),
    },
    blobs: {
      incarnation: blobs.incarnation,
      put: (body, sizeHint) => change(() => blobs.put(body, sizeHint)),
      read: (id, start, end) => blobs.read(id, start, end),
      remove: (ids) => change(() => blobs.remove(ids)),
      list: (after, limit) => unlessDead(() => blobs.list(after, limit)),
      close: () => blobs.close(),
    },
  };
}
