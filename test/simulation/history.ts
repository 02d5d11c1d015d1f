/**
 * Histories of one object under concurrent clients, and whether they could have happened one operation at a time.
 *
 * The search is that of Wing and Gong with Lowe's memory: operations are taken one by one in every order that respects
 * real time, and a set of operations that led to a state once before is not tried again. An operation whose outcome
 * nobody knows may have happened at any time after it was begun, or never.
 */

import { createHash } from "node:crypto";

/** What a client asked of the object, and was told; a read without an answer is left out of the history. */
export type Call =
  | { readonly kind: "put"; readonly value: string }
  | { readonly kind: "delete" }
  /** At `position` bytes. `told` is what came of it: stored, or why not. */
  | {
      readonly kind: "append";
      readonly value: string;
      readonly position: number;
      readonly told: "stored" | "not appendable" | { readonly next: number } | undefined;
    }
  /** The object as it was read; undefined for none. */
  | { readonly kind: "get"; readonly state: string | undefined }
  | { readonly kind: "head"; readonly etag: string | undefined };

export interface Operation {
  readonly client: number;
  readonly call: Call;
  /** Ticks of one clock, no two alike. */
  readonly begun: number;
  /** Undefined while the outcome is unknown. */
  readonly ended: number | undefined;
}

/** The bytes of a value: its name, again and again. A name is `<any>.<length>`. */
export function bytesOfValue(value: string): Buffer {
  return Buffer.alloc(lengthOf(value), `${value};`);
}

function lengthOf(value: string): number {
  return Number(value.slice(value.lastIndexOf(".") + 1));
}

/** The state of an object with these values one after the other: `n:<value>` or `a:<value>+<value>…`. */
export function stateOf(appendable: boolean, values: readonly string[]): string {
  return `${appendable ? "a" : "n"}:${values.join("+")}`;
}

function valuesOf(state: string): string[] {
  return state.slice(2).split("+");
}

/** The state whose bytes these are; throws for bytes that no client ever wrote in this form. */
export function stateOfBytes(appendable: boolean, bytes: Buffer): string {
  const values: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(";", at);
    const value = bytes.toString("latin1", at, end < 0 ? at : end);
    const length = lengthOf(value);
    if (!(length > value.length) || !bytes.subarray(at, at + length).equals(bytesOfValue(value))) {
      throw new Error(`bytes that nobody wrote, at ${at}: ${JSON.stringify(bytes.toString("latin1", at, at + 60))}`);
    }
    values.push(value);
    at += length;
  }
  return stateOf(appendable, values);
}

const etags = new Map<string, string>();

/** The ETag of an object in this state. */
export function etagOf(state: string): string {
  let etag = etags.get(state);
  if (etag === undefined) {
    const values = valuesOf(state);
    const last = createHash("md5").update(bytesOfValue(values.at(-1) as string));
    if (values.length === 1) etag = last.digest("hex");
    else {
      const before = etagOf(stateOf(true, values.slice(0, -1)));
      etag = createHash("md5").update(before, "hex").update(last.digest()).digest("hex");
    }
    etags.set(state, etag);
  }
  return etag;
}

const ABSENT = "";

function sizeOf(state: string): number {
  return state === ABSENT ? 0 : valuesOf(state).reduce((sum, value) => sum + lengthOf(value), 0);
}

/** The state after the call, or undefined where what the client was told cannot be so in this state. */
function after(state: string, { call, ended }: Operation): string | undefined {
  switch (call.kind) {
    case "put":
      return stateOf(false, [call.value]);
    case "delete":
      return ABSENT;
    case "get":
      return (call.state ?? ABSENT) === state ? state : undefined;
    case "head":
      return (call.etag === undefined ? state === ABSENT : state !== ABSENT && etagOf(state) === call.etag)
        ? state
        : undefined;
    case "append": {
      const { told } = call;
      if (state !== ABSENT && !state.startsWith("a:")) {
        return ended === undefined || told === "not appendable" ? state : undefined;
      }
      const size = sizeOf(state);
      if (size !== call.position) {
        return ended === undefined || (typeof told === "object" && told.next === size) ? state : undefined;
      }
      if (ended !== undefined && told !== "stored") return undefined;
      return stateOf(true, [...(state === ABSENT ? [] : valuesOf(state)), call.value]);
    }
  }
}

/** The beginning or the end of an operation, in a list that entries are taken out of and put back into. */
interface Entry {
  readonly operation: Operation | undefined;
  readonly number: bigint;
  /** The end that belongs to a beginning; undefined for ends. */
  readonly end: Entry | undefined;
  previous: Entry | undefined;
  next: Entry | undefined;
}

function remove(entry: Entry): void {
  if (entry.previous) entry.previous.next = entry.next;
  if (entry.next) entry.next.previous = entry.previous;
}

function restore(entry: Entry): void {
  if (entry.previous) entry.previous.next = entry;
  if (entry.next) entry.next.previous = entry;
}

function entriesOf(history: readonly Operation[]): Entry {
  const ends = new Map<Operation, Entry>();
  const entry = (operation: Operation, at: number, end: Entry | undefined): Entry => ({
    operation,
    number: 1n << BigInt(at),
    end,
    previous: undefined,
    next: undefined,
  });
  for (const [at, operation] of history.entries()) ends.set(operation, entry(operation, at, undefined));
  const timed = history.flatMap((operation, at) => {
    const end = ends.get(operation) as Entry;
    return [
      { time: operation.begun, entry: entry(operation, at, end) },
      { time: operation.ended ?? Number.POSITIVE_INFINITY, entry: end },
    ];
  });
  timed.sort((a, b) => (a.time === b.time ? 0 : a.time - b.time));
  const head: Entry = { operation: undefined, number: 0n, end: undefined, previous: undefined, next: undefined };
  let last = head;
  for (const { entry: one } of timed) {
    last.next = one;
    one.previous = last;
    last = one;
  }
  return head;
}

/** Whether the operations on one object, which began absent, could have happened one at a time. */
export function isLinearizable(history: readonly Operation[]): boolean {
  const head = entriesOf(history);
  const tried = new Set<string>();
  const taken: { readonly entry: Entry; readonly state: string }[] = [];
  let done = 0n;
  let state = ABSENT;
  let entry = head.next;
  while (entry) {
    const { operation, end, number } = entry;
    if (end) {
      const next = after(state, operation as Operation);
      const memory = `${done | number} ${next}`;
      if (next !== undefined && !tried.has(memory)) {
        tried.add(memory);
        taken.push({ entry, state });
        done |= number;
        state = next;
        remove(entry);
        remove(end);
        entry = head.next;
      } else {
        entry = entry.next;
      }
      continue;
    }
    // Whatever had an end before this one has been taken; what is left may never have happened.
    if (operation?.ended === undefined) return true;
    // It has ended, so it must have been taken by now: the last choice was wrong.
    const choice = taken.pop();
    if (!choice) return false;
    done &= ~choice.entry.number;
    state = choice.state;
    restore(choice.entry.end as Entry);
    restore(choice.entry);
    entry = choice.entry.next;
  }
  return true;
}
