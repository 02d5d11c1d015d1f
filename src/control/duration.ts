/** Durations as people write them. */

const UNIT_MS = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
  y: 365 * 86_400_000,
} as const;

/** Milliseconds of `90s`, `15m`, `12h`, `30d`, `2w`, `1y` (of 365 days) or several in a row; undefined for other texts. */
export function durationMs(text: string): number | undefined {
  if (!/^(\d{1,9}(ms|[smhdwy]))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|[smhdwy])/g)) {
    total += Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
  }
  return total;
}
