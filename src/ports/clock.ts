/** Time comes through this port, so that a test can hold it still and a simulation can move it. */

/** A timer that can be called off. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Virtual time in milliseconds since 1970: protocol and feature times (signatures, Last-Modified, expiry). */
  now(): number;
  /** The machine's time in milliseconds since 1970: what clients go by who know of no virtual time. */
  real(): number;
  /** What `now` showed, or would have shown, at the machine's `realMs`; for times to come, by what holds at present. */
  at(realMs: number): number;
  /**
   * Monotonic milliseconds: timeouts, pacing and leases. Never goes back and is not moved by the virtual clock. The
   * processes of one machine count from the same moment.
   */
  monotonic(): number;
  /** Runs `task` once after `ms` monotonic milliseconds. It does not keep the process alive. */
  after(ms: number, task: () => void): Timer;
}

/** What the clocks of a machine showed at one moment, to compare a later one with. Survives JSON. */
export interface ClockReading {
  /** Milliseconds since 1970. */
  readonly machineMs: number;
  readonly monotonicMs: number;
}

/** What a virtual clock shows from one moment of the machine's clock on. Times are ms since 1970. */
export type ClockChange = { readonly since: number } & (
  | { readonly mode: "real" }
  /** So many milliseconds ahead of the machine's clock, or behind it where negative. */
  | { readonly mode: "offset"; readonly offsetMs: number }
  | { readonly mode: "frozen"; readonly atMs: number }
);

/** A clock whose virtual time can be moved apart from the machine's. */
export interface VirtualClock extends Clock {
  /** What it has shown, the earliest first; empty where it has never been anything but the machine's. */
  readonly history: readonly ClockChange[];
  /** Takes over the history of the server that this process belongs to. */
  follow(history: readonly ClockChange[]): void;
}
