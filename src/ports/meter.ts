/** What counts for all processes of a server together, against rates and against bounds. */

/** How often something may happen. */
export interface Rate {
  readonly perSecond: number;
  /** How often it may happen at once, after a time in which it has not; at least 1. */
  readonly burst: number;
}

export interface Meter {
  /** Whether something of this name may happen now; then it counts. A name always comes with the same rate. */
  take(name: string, rate: Rate): boolean | Promise<boolean>;
  /**
   * Whether one more of this name may be under way, where there may be `most`; then it is, until `leave` is called or
   * the process ends.
   */
  enter(name: string, most: number): boolean | Promise<boolean>;
  leave(name: string): void;
}
