/** Numbers as people read and write them. */

import { SettingsError } from "../config/settings.ts";

const UNITS = ["bytes", "kB", "MB", "GB", "TB", "PB"] as const;

/** `1,234`. */
export function countText(count: number): string {
  return String(Math.round(count)).replaceAll(/\B(?=(\d{3})+$)/g, ",");
}

/** `1 object`, `2 objects`. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}

/** `12.3 MB`, in powers of 1,000. */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 999.95 && unit < UNITS.length - 1; unit++) value /= 1_000;
  return unit === 0 ? countOf(bytes, "byte") : `${value.toFixed(1)} ${UNITS[unit]}`;
}

/** `45 s`, `3 min 20 s`, `2 h 5 min`. */
export function durationText(ms: number): string {
  const seconds = ms / 1_000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3_600)} h ${Math.round((seconds % 3_600) / 60)} min`;
}

const FACTORS: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["k", 1e3],
  ["m", 1e6],
  ["g", 1e9],
  ["ki", 2 ** 10],
  ["mi", 2 ** 20],
  ["gi", 2 ** 30],
]);

/**
 * Bytes per second of `100MB/s`, `100M`, `1.5GiB/s`.
 * @throws SettingsError that names the flag.
 */
export function rateOf(text: string, flag: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)\s*([kmg]i?)?b?(?:\/s)?$/i.exec(text.trim());
  const rate = Number(match?.[1]) * (FACTORS.get((match?.[2] ?? "").toLowerCase()) ?? Number.NaN);
  if (!(rate >= 1)) throw new SettingsError(`${flag}: expected a rate such as 100MB/s, found ${JSON.stringify(text)}`);
  return rate;
}

/** Text from outside on one line of a terminal: control characters and other unprintable ones are escaped. */
export function printable(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (one) => `\\u${(one.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
}
