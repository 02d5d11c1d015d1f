/** Time comes through this port, so that a test can hold it still and a simulation can move it. */

/** A timer that can be called off. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Virtual time in milliseconds since 1970: protocol and feature times (signatures, Last-Modified, expiry). */
  now(): number;
  /** Monotonic milliseconds: timeouts, pacing and leases. Never goes back and is not moved by the virtual clock. */
  monotonic(): number;
  /** Runs `task` once after `ms` monotonic milliseconds. It does not keep the process alive. */
  after(ms: number, task: () => void): Timer;
}
