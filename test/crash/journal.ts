/**
 * What clients know: for each key every change that was sent, and which of them were acknowledged. After a crash it
 * says which states a key may be in, and takes the one that was found for the only one.
 *
 * The rule: a change that was acknowledged before another one was sent, which was acknowledged too, is over. A change
 * that was never answered may have happened at any time from its sending on, or never.
 */
import { createHash } from "node:crypto";
import { createCRC64 } from "hash-wasm";
import type { Encryption } from "./encryption.ts";

/** An object as a client sees it. */
export interface Content {
  /** Names the change in messages, and stands in the object's metadata. */
  readonly tag: string;
  readonly type: string;
  readonly bytes: Buffer;
  readonly encryption: Encryption;
  /** Of the whole; undefined where only an answer can tell. */
  etag: string | undefined;
}

/** What is at a key; undefined for nothing. */
export type State = Content | undefined;

interface Change {
  readonly state: State;
  readonly sent: number;
  acknowledged: number;
}

/** A change under way. One of the three is called once. */
export interface Sent {
  /** The change was acknowledged. */
  acknowledge(): void;
  /** The server refused: it did not happen. */
  refuse(): void;
}

let time = 0;

/** One key (or whatever else has one state at a time). */
export class Register {
  #changes: Change[] = [{ state: undefined, sent: 0, acknowledged: 0 }];

  send(state: State): Sent {
    const change = { state, sent: ++time, acknowledged: Number.POSITIVE_INFINITY };
    this.#changes.push(change);
    return {
      acknowledge: () => {
        change.acknowledged = ++time;
        this.#forget();
      },
      refuse: () => {
        this.#changes = this.#changes.filter((one) => one !== change);
      },
    };
  }

  /** Every state that the key may be in now. */
  possible(): readonly State[] {
    return this.#changes.map(({ state }) => state);
  }

  /** The state, when only one is possible; otherwise "unknown". */
  certain(): State | "unknown" {
    return this.#changes.length === 1 ? this.#changes[0]?.state : "unknown";
  }

  /** No change is under way any more, and this state was found. */
  settle(state: State): void {
    this.#changes = [{ state, sent: 0, acknowledged: 0 }];
  }

  /** Lets go of what is over. */
  #forget(): void {
    let last = 0;
    for (const { sent, acknowledged } of this.#changes)
      if (acknowledged < Number.POSITIVE_INFINITY) last = Math.max(last, sent);
    this.#changes = this.#changes.filter(({ acknowledged }) => acknowledged >= last);
  }
}

export interface Part {
  readonly bytes: Buffer;
  /** Undefined where only an answer can tell. */
  readonly etag: string | undefined;
}

/** An upload that was begun. */
export interface Upload {
  readonly key: string;
  readonly id: string;
  readonly tag: string;
  readonly type: string;
  readonly encryption: Encryption;
  /** By number: what may be there, the newest last. Undefined among them: perhaps nothing. */
  readonly parts: Map<number, (Part | undefined)[]>;
  /** What a completion that was not answered would make of its key. */
  completing: Content | undefined;
  /** An abort that was not answered. */
  aborting: boolean;
}

/** Everything that one set of clients knows. */
export class Journal {
  readonly keys = new Map<string, Register>();
  readonly uploads = new Map<string, Upload>();
  /** Keys for which the beginning of an upload was not answered. */
  readonly perhapsBegun = new Set<string>();
  readonly buckets = new Map<string, Register>();
  /** Changes that were acknowledged since the journal was begun. */
  acknowledged = 0;

  at(key: string): Register {
    return entry(this.keys, key, () => new Register());
  }

  bucket(name: string): Register {
    return entry(this.buckets, name, () => new Register());
  }
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

export const md5 = (bytes: Buffer): string => createHash("md5").update(bytes).digest("hex");

/** CRC-64 as the service counts it, by code that is not the server's; decimal. */
export async function crc64Of(): Promise<(bytes: Buffer) => string> {
  const hasher = await createCRC64();
  return (bytes) => BigInt(`0x${hasher.init().update(bytes).digest("hex")}`).toString();
}
