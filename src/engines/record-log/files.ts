/**
 * Lines in files of one folder, each process in files of its own. A file is appended to and never changed; a full one is
 * left for the next, and the oldest are removed. Nothing is synced: a power cut may cost the last lines, and a line that
 * was cut short is one that does not parse.
 */

import { appendFile, mkdir, readdir, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { RecordLog } from "../../ports/record-log.ts";

export interface RecordFilesOptions {
  readonly folder: string;
  /** Tells this process from others, now and later: hex digits. */
  readonly incarnation: string;
  /** Lines kept in all files together, roughly: whole files are removed. */
  readonly linesMax: number;
  /** A file whose last line is older is removed, ms. */
  readonly ageMsMax: number;
}

const FILE_BYTES_MAX = 8 * 1024 ** 2;
/** Bytes that wait to be written; with more, lines are lost, since the disk does not keep up. */
const WAITING_BYTES_MAX = 4 * 1024 ** 2;
const FILES = 20;
const NAME = /^([0-9a-f]{12})-[0-9a-f]{1,32}\.jsonl$/;

/** The log in `folder`, which is made with the first line. */
export function recordFiles({ folder, incarnation, linesMax, ageMsMax }: RecordFilesOptions): RecordLog {
  const linesPerFile = Math.max(1, Math.ceil(linesMax / FILES));
  let waiting = "";
  let writing: Promise<void> | undefined;
  let file = "";
  let lines = 0;
  let bytes = 0;

  async function names(): Promise<string[]> {
    const found = await readdir(folder).catch(() => []);
    return found.filter((name) => NAME.test(name)).sort();
  }

  async function removeOld(): Promise<void> {
    const all = await names();
    // A file is begun when the one before it is full, so its beginning bounds the age of that one's last line.
    const oldest = Date.now() - ageMsMax;
    const beginsAt = (name: string | undefined) => Number.parseInt(name?.slice(0, 12) ?? "", 16);
    for (const [at, name] of all.entries()) {
      const tooMany = at < all.length - FILES;
      if (tooMany || beginsAt(all[at + 1]) < oldest) await unlink(join(folder, name)).catch(() => undefined);
    }
  }

  async function write(): Promise<void> {
    // Whatever else this turn brings goes out with the same write.
    await new Promise((resolve) => setImmediate(resolve));
    while (waiting !== "") {
      const text = waiting;
      waiting = "";
      if (file === "" || lines >= linesPerFile || bytes >= FILE_BYTES_MAX) {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        file = join(folder, `${Date.now().toString(16).padStart(12, "0")}-${incarnation}.jsonl`);
        lines = bytes = 0;
        await removeOld();
      }
      await appendFile(file, text, { mode: 0o600 });
      lines += text.split("\n").length - 1;
      bytes += Buffer.byteLength(text);
    }
  }

  return {
    append(line) {
      if (waiting.length + line.length > WAITING_BYTES_MAX) return;
      waiting += `${line}\n`;
      // A disk that takes no records must not stop the server; requests that need it are refused by themselves.
      writing ??= write()
        .catch(() => undefined)
        .finally(() => {
          writing = undefined;
        });
    },
    async *lines() {
      for (const name of (await names()).reverse()) {
        const text = await readFile(join(folder, name), "utf8").catch(() => "");
        yield* text
          .split("\n")
          .filter((line) => line !== "")
          .reverse();
      }
    },
    async flush() {
      await writing;
    },
  };
}
