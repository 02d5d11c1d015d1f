/** Reads cosbox.yaml, and tells on which line each of its values stands. */

import { readFileSync } from "node:fs";
import path from "node:path";
import { SettingsError } from "./settings.ts";

export interface SettingsFile {
  /** The file's name as messages show it. */
  readonly name: string;
  /** Absolute path of its folder: what relative paths in it start from. */
  readonly folder: string;
  readonly values: unknown;
  /** The line, from 1, of the key at `where`, such as ["limits", "partsMax"] or ["credentials", 0, "appid"]. */
  lineOf(where: readonly PropertyKey[]): number;
}

function reason(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EISDIR") return "it is a folder, not a file";
  if (code === "EACCES" || code === "EPERM") return "this user may not read it";
  return error instanceof Error ? error.message : String(error);
}

/**
 * Reads `given`, or `cosbox.yaml` in `cwd` when there is one; undefined when there is none. Throws SettingsError for
 * a file that cannot be read or is not YAML.
 */
export async function readSettingsFile(given: string | undefined, cwd: string): Promise<SettingsFile | undefined> {
  const file = path.resolve(cwd, given ?? "cosbox.yaml");
  return await readYaml(file, given ?? "cosbox.yaml", "settings", given === undefined);
}

/**
 * Reads a YAML file that messages call `name`; undefined where it is not there, if that is `allowed`.
 * @throws SettingsError for one that cannot be read or is not YAML.
 */
export async function readYaml(
  file: string,
  name: string,
  what: string,
  allowed = false,
): Promise<SettingsFile | undefined> {
  let source: string;
  try {
    source = readFileSync(file, "utf8");
  } catch (error) {
    if (allowed && error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new SettingsError(`cannot read ${what} from ${name}: ${reason(error)}`);
  }

  const { LineCounter, isMap, isNode, isPair, isScalar, isSeq, parseDocument, visit } = await import("yaml");
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, prettyErrors: false });
  const fault = document.errors[0];
  if (fault !== undefined) {
    const detail = fault.message.split("\n", 1)[0];
    throw new SettingsError(`${name}:${lines.linePos(fault.pos[0]).line}: expected YAML: ${detail}`);
  }

  function lineOf(where: readonly PropertyKey[]): number {
    let node: unknown = document.contents;
    let offset = 0;
    for (const step of where) {
      let next: unknown;
      if (isMap(node)) {
        const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === step);
        next = pair?.value;
        if (isNode(pair?.key)) offset = pair.key.range?.[0] ?? offset;
      } else if (isSeq(node)) {
        next = node.items[Number(step)];
        if (isNode(next)) offset = next.range?.[0] ?? offset;
      }
      node = next;
    }
    return lines.linePos(offset).line;
  }

  let values: unknown;
  try {
    values = document.toJS() ?? {};
  } catch (error) {
    // Aliases that name nothing, or multiply without end, are refused by the parser here, which tells no line.
    let offset = 0;
    visit(document, {
      Alias(_, alias) {
        offset = alias.range?.[0] ?? 0;
        return alias.resolve(document) === undefined ? visit.BREAK : undefined;
      },
    });
    throw new SettingsError(`${name}:${lines.linePos(offset).line}: expected YAML: ${reason(error)}`);
  }
  return { name, folder: path.dirname(file), values, lineOf };
}
