/** Randomness comes through this port, so that a simulation can repeat it. */
export interface Random {
  /** `count` unpredictable bytes. */
  bytes(count: number): Buffer;
}
