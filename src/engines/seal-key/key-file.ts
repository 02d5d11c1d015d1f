/** The sealing key in a file of its own, readable by its owner alone. */

import { link, mkdir, open, readFile, stat, unlink } from "node:fs/promises";
import path from "node:path";
import { SettingsError } from "../../config/settings.ts";
import type { Random } from "../../ports/random.ts";
import type { SealKey } from "../../ports/seal-key.ts";

const KEY_BYTES = 32;
/** The file is one line of hex digits, so that it can be copied by hand and kept with other secrets. */
const FORM = /^[0-9a-f]{64}\s*$/;

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/**
 * The key in `file`, an absolute path. Its calls throw SettingsError, one line, for a file that cannot be read or made,
 * that holds no key, or that others may read.
 */
export function keyFile(file: string, random: Random): SealKey {
  async function find(): Promise<Buffer | undefined> {
    let text: string;
    try {
      text = await readFile(file, "utf8");
      const { mode } = await stat(file);
      if (process.platform !== "win32" && (mode & 0o077) !== 0) {
        throw new SettingsError(`the seal key ${file} may be read by other users; run chmod 600 ${file}`);
      }
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      if (error instanceof SettingsError) throw error;
      throw new SettingsError(`cannot read the seal key ${file}: ${codeOf(error) || String(error)}`);
    }
    if (!FORM.test(text)) throw new SettingsError(`the seal key ${file} holds no key: expected 64 hex digits`);
    return Buffer.from(text.trim(), "hex");
  }

  /** Written whole and durable under another name first: whoever finds the file finds all of it. */
  async function write(key: Buffer): Promise<void> {
    await mkdir(path.dirname(file), { recursive: true });
    const draft = `${file}.${random.bytes(8).toString("hex")}`;
    const handle = await open(draft, "wx", 0o600);
    try {
      await handle.writeFile(`${key.toString("hex")}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    try {
      await link(draft, file);
    } finally {
      await unlink(draft);
    }
    const folder = await open(path.dirname(file), "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }

  return {
    kind: "file",
    place: file,
    find,
    async make() {
      const there = await find();
      if (there !== undefined) return there;
      try {
        await write(random.bytes(KEY_BYTES));
      } catch (error) {
        // Another process of this server was first.
        if (codeOf(error) !== "EEXIST") {
          throw new SettingsError(`cannot make the seal key ${file}: ${codeOf(error) || String(error)}`);
        }
      }
      const made = await find();
      if (made === undefined) throw new SettingsError(`the seal key ${file} is gone as soon as it was made`);
      return made;
    },
  };
}
