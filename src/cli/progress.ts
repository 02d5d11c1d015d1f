/** Shows how far long work has come: a bar that is drawn over on a terminal, a line now and then elsewhere. */

import { bytesText, countText, durationText } from "./quantities.ts";
import type { Shell } from "./shell.ts";

export interface Progress {
  /** Tells how much is done. */
  update(done: number): void;
  /** Leaves a line of its own above the bar. */
  line(text: string): void;
  /** Takes the bar away. */
  end(): void;
}

export interface ProgressOptions {
  /** What is being done: `reading`. */
  readonly label: string;
  /** All there is to do; undefined when nobody knows. */
  readonly total: number | undefined;
  readonly unit: "bytes" | "items";
}

const DRAW_MS = 100;
const LINE_MS = 10_000;
const BAR_CHARS = 24;

/** Progress goes to stderr, so that what a command prints can be kept. */
export function progress(shell: Pick<Shell, "stderr" | "stdout">, options: ProgressOptions): Progress {
  const { label, total, unit } = options;
  const terminal = shell.stderr.isTTY === true;
  const started = performance.now();
  let shownAt = terminal ? Number.NEGATIVE_INFINITY : started;
  let shown = false;

  function text(done: number, elapsed: number): string {
    const amount = (count: number): string => (unit === "bytes" ? bytesText(count) : countText(count));
    const speed = elapsed > 500 ? `, ${amount((done / elapsed) * 1_000)}/s` : "";
    if (total === undefined) return `${label}: ${amount(done)}${speed}`;
    const share = total === 0 ? 1 : Math.min(1, done / total);
    const left = share > 0.02 && share < 1 ? `, ${durationText((elapsed / share) * (1 - share))} left` : "";
    const filled = Math.round(share * BAR_CHARS);
    const bar = terminal ? ` [${"#".repeat(filled)}${".".repeat(BAR_CHARS - filled)}]` : "";
    return `${label}:${bar} ${Math.floor(share * 100)}% of ${amount(total)}${speed}${left}`;
  }

  function clear(): void {
    if (shown) shell.stderr.write("\r\u001b[K");
    shown = false;
  }

  return {
    update(done) {
      const now = performance.now();
      if (now - shownAt < (terminal ? DRAW_MS : LINE_MS)) return;
      shownAt = now;
      clear();
      shell.stderr.write(terminal ? text(done, now - started) : `${text(done, now - started)}\n`);
      shown = terminal;
    },
    line(line) {
      clear();
      shell.stdout.write(`${line}\n`);
    },
    end: clear,
  };
}
