/** What the decision records need of a place that outlives the process: lines, the oldest given up for new ones. */

export interface RecordLog {
  /** Keeps one line, without a newline in it. It neither waits nor throws: a record must not stand in a request's way. */
  append(line: string): void;
  /** Every line that is kept, of other processes too, the newest files first; a line that a crash cut short may come. */
  lines(): AsyncIterable<string>;
  /** Resolves when what was appended can be read by others, or never will be. */
  flush(): Promise<void>;
}
