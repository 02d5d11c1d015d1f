/**
 * The log: pino's JSON lines, or one readable line each on a terminal. pino is loaded with the first line, because a
 * start without anything to report should not wait for it.
 */

import { createRequire } from "node:module";
import type { LoggerOptions, Logger as Pino } from "pino";

export type LogFields = Readonly<Record<string, unknown>>;

/** Each call writes one line. `fields` are named facts; an error goes under `error`. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export interface LogOptions {
  /** How packages are loaded; as Node does unless told. */
  readonly require?: (name: string) => unknown;
  readonly level: "debug" | "info" | "warn" | "error" | "silent";
  /** Where lines go, such as `process.stderr`. */
  readonly out: { write(line: string): unknown; readonly isTTY?: boolean };
}

/** Fields that are never written, at the top level or one below. */
const SECRETS = ["secretKey", "SecretKey", "authorization", "Authorization", "token", "x-cos-security-token"];

const LEVELS: Readonly<Record<number, string>> = { 20: "debug", 30: "info", 40: "warn", 50: "error" };

/** Characters of one field on a terminal line. */
const VALUE_CHARS_MAX = 500;

/** pino's JSON line as `12:34:56 warn  message key=value`. */
function readable(line: string): string {
  const { time, level, msg, error, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const clock = new Date(Number(time)).toTimeString().slice(0, 8);
  const facts = Object.entries(fields).map(([name, value]) =>
    printable(`${name}=${JSON.stringify(value)}`.slice(0, VALUE_CHARS_MAX)),
  );
  const words = [clock, (LEVELS[Number(level)] ?? "").padEnd(5), printable(String(msg)), ...facts];
  // The stack is what a developer at a terminal needs; its lines are indented so that each entry still begins alone.
  const stack = (error as { stack?: unknown } | undefined)?.stack;
  const trace = typeof stack === "string" ? `\n${stack.split("\n").map(printable).join("\n    ")}` : "";
  return `${words.join(" ")}${trace}\n`;
}

/** Control characters as `\x1b`: a log line must not be able to move the cursor or to pretend to be another line. */
function printable(text: string): string {
  return Array.from(text, (character) => {
    const code = character.charCodeAt(0);
    const control = code < 0x20 || (code >= 0x7f && code <= 0x9f);
    return control ? `\\x${code.toString(16).padStart(2, "0")}` : character;
  }).join("");
}

/** What can be said without pino; fields are left out, since nothing here knows which of them are secret. */
function bareLine(level: number, msg: string, error: unknown, logFault: unknown): string {
  const fault = error === undefined ? {} : { error: error instanceof Error ? String(error) : typeof error };
  return `${JSON.stringify({ level, ...fault, msg, logFault: String(logFault) })}\n`;
}

export function createLog({ level, out, require = createRequire(import.meta.url) }: LogOptions): Log {
  let loaded: Pino | undefined;
  function logger(): Pino {
    if (loaded !== undefined) return loaded;
    const load = require("pino") as typeof import("pino").default;
    const options: LoggerOptions = {
      level,
      base: null,
      errorKey: "error",
      redact: SECRETS.flatMap((name) => [`["${name}"]`, `*["${name}"]`]),
      serializers: { error: load.stdSerializers.err },
    };
    const write = out.isTTY === true ? (line: string) => out.write(readable(line)) : (line: string) => out.write(line);
    loaded = load(options, { write });
    return loaded;
  }

  const RANK = { debug: 20, info: 30, warn: 40, error: 50, silent: 60 };
  const at =
    (name: "debug" | "info" | "warn" | "error") =>
    (message: string, fields: LogFields = {}) => {
      if (RANK[name] < RANK[level]) return;
      let pino: Pino;
      try {
        pino = logger();
      } catch (error) {
        // Out of descriptors, say, just when the first line is due. The line is worth more than its form.
        out.write(bareLine(RANK[name], message, fields["error"], error));
        return;
      }
      pino[name](fields, message);
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** Writes nothing. */
export const SILENT: Log = createLog({ level: "silent", out: { write: () => undefined } });
