/**
 * Which bodies are being read in this process. The collector leaves them alone until their readers have gone, so that
 * a long download survives an overwrite of its object; and a reader that comes while a body is being freed is told at
 * once, before its first byte.
 *
 * Names are the ids of manifests, of inline rows and of holders, so they say whose bytes, not which. They are never
 * given to anything else.
 */
import type { Body, Piece } from "./records.ts";

export interface BodyPins {
  /** Pins the body; false when a part of it is being freed. Whoever pinned it unpins it, once. */
  pin(body: Body): boolean;
  unpin(body: Body): void;
  /** Which of the names a reader needs. The others are held: they get no reader until they are let go. */
  hold(names: Iterable<string>): string[];
  /** All that is held when no names are given: whoever held them is gone. */
  letGo(names?: Iterable<string>): void;
}

/** The names of a body's bytes. */
export function* namesOf(manifestId: string | undefined, pieces: readonly Piece[]): Iterable<string> {
  if (manifestId !== undefined) yield manifestId;
  for (const piece of pieces) yield piece.kind === "inline" ? piece.id : piece.holder;
}

/** `unpinned` is called when the last reader of something has gone that somebody wanted to hold. */
export function bodyPins(unpinned: () => void): BodyPins {
  const readers = new Map<string, number>();
  const held = new Set<string>();
  /** What could not be held, and is still being read. */
  const wanted = new Set<string>();
  return {
    pin({ manifest, pieces }) {
      if (held.size > 0) for (const name of namesOf(manifest?.id, pieces)) if (held.has(name)) return false;
      for (const name of namesOf(manifest?.id, pieces)) readers.set(name, (readers.get(name) ?? 0) + 1);
      return true;
    },
    unpin({ manifest, pieces }) {
      let isWanted = false;
      for (const name of namesOf(manifest?.id, pieces)) {
        const left = (readers.get(name) ?? 1) - 1;
        if (left > 0) {
          readers.set(name, left);
          continue;
        }
        readers.delete(name);
        if (wanted.delete(name)) isWanted = true;
      }
      if (isWanted) unpinned();
    },
    hold(names) {
      const read: string[] = [];
      for (const name of names) {
        if (!readers.has(name)) {
          held.add(name);
          continue;
        }
        wanted.add(name);
        read.push(name);
      }
      return read;
    },
    letGo(names) {
      if (names === undefined) held.clear();
      else for (const name of names) held.delete(name);
    },
  };
}
