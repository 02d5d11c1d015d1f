/** What the store needs of the other processes that use the same engines, and what they need of it. */

/** Questions that one process asks of the others. A process that is alone is asked nothing. */
export interface Peers {
  /** Makes this process known as the one that writes under `incarnation`. Nothing is written before this resolves. */
  register(incarnation: string, here: Here): Promise<void>;
  /** Whether the process of this incarnation may still write. False is for good: it has ended, to its last write. */
  isAlive(incarnation: string): Promise<boolean>;
  /** Whether that process has this work under way. False when it has ended, or never had. */
  isUnderWay(incarnation: string, work: string): Promise<boolean>;
  /**
   * Which of these names a reader in another process needs. None of the others gets a reader there until `letGo`.
   * Undefined when somebody did not answer in time: then anything may be read, and nothing is held.
   */
  hold(names: readonly string[]): Promise<readonly string[] | undefined>;
  letGo(names: readonly string[]): void;
  /**
   * Tells every other process, and those that begin later, that a sync has failed: `why` is what each of them says when
   * it is asked to write.
   */
  stopWriting(why: string): void;
  /**
   * Has every other process do something with `text`, and gives what each of them says. Undefined when somebody did not
   * answer in time. Those that begin later are told nothing: they read what the store says.
   */
  consult(topic: string, text: string): Promise<readonly string[] | undefined>;
  /** Tells the process that collects that there may be something to release. May be called as often as one likes. */
  wake(): void;
}

/** What the others ask of this process, or tell it. Nothing here waits, but for what is consulted. */
export interface Here {
  isUnderWay(work: string): boolean;
  /** Which of these names are being read here; the others get no reader until `letGo`. */
  hold(names: readonly string[]): readonly string[];
  /** All names that others hold when none are given: whoever held them is gone. */
  letGo(names?: readonly string[]): void;
  /**
   * From now on this process collects for all; told again, it looks for what processes left that have died since. One
   * process at a time is told so.
   */
  tend(): void;
  /** A sync has failed in another process. */
  stopWriting(why: string): void;
  /** What this process says to `consult` of another. May wait, and does not reject. */
  consult(topic: string, text: string): Promise<string>;
  /** There may be something to release. Only for the process that collects. */
  wake(): void;
}
