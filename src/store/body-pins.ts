/**
 * Which bodies are being read in this process. The collector leaves them alone until their readers have gone, so that
 * a long download survives an overwrite of its object; and a reader that comes while a body is being freed is told at
 * once, before its first byte.
 *
 * Names are the ids of manifests, of inline rows and of holders, so they say whose bytes, not which.
 */
import type { Body, Piece } from "./records.ts";

export interface BodyPins {
  /** Pins the body; false when a part of it is being freed. Whoever pinned it unpins it, once. */
  pin(body: Body): boolean;
  unpin(body: Body): void;
  /** Whether a reader needs any of these. */
  isPinned(manifestId: string | undefined, pieces: readonly Piece[]): boolean;
  /** Says that these are being freed from now on. They are never named again, so only `freed` bounds what is kept. */
  freeing(manifestId: string | undefined, pieces: readonly Piece[]): void;
  freed(manifestId: string | undefined, pieces: readonly Piece[]): void;
}

function* names(manifestId: string | undefined, pieces: readonly Piece[]): Iterable<string> {
  if (manifestId !== undefined) yield manifestId;
  for (const piece of pieces) yield piece.kind === "inline" ? piece.id : piece.holder;
}

/** `unpinned` is called when a reader has gone: something may be collectable now. */
export function bodyPins(unpinned: () => void): BodyPins {
  const readers = new Map<string, number>();
  const underWay = new Set<string>();
  return {
    pin({ manifest, pieces }) {
      for (const name of names(manifest?.id, pieces)) if (underWay.has(name)) return false;
      for (const name of names(manifest?.id, pieces)) readers.set(name, (readers.get(name) ?? 0) + 1);
      return true;
    },
    unpin({ manifest, pieces }) {
      for (const name of names(manifest?.id, pieces)) {
        const left = (readers.get(name) ?? 1) - 1;
        if (left === 0) readers.delete(name);
        else readers.set(name, left);
      }
      unpinned();
    },
    isPinned(manifestId, pieces) {
      if (readers.size === 0) return false;
      for (const name of names(manifestId, pieces)) if (readers.has(name)) return true;
      return false;
    },
    freeing(manifestId, pieces) {
      for (const name of names(manifestId, pieces)) underWay.add(name);
    },
    freed(manifestId, pieces) {
      for (const name of names(manifestId, pieces)) underWay.delete(name);
    },
  };
}
