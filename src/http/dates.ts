/** The dates of HTTP and of COS's documents, written and read without a locale. */

/** RFC 1123, such as `Fri, 10 Apr 2020 09:35:05 GMT`, of milliseconds since 1970. */
export function formatHttpDate(ms: number): string {
  return new Date(ms).toUTCString();
}

const DAY_MS = 86_400_000;
const TWO_DIGITS = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, "0"));
/** The day that was written last, as `2020-12-10T`: the rows of a list are often of one day. */
let lastDay = Number.NaN;
let lastDayText = "";

/** ISO 8601 with milliseconds, such as `2020-12-10T03:37:30.000Z`: lists of objects, parts and uploads. */
export function formatIsoMillis(ms: number): string {
  const day = Math.floor(ms / DAY_MS);
  if (day !== lastDay) {
    lastDayText = new Date(ms).toISOString().slice(0, -13);
    lastDay = day;
  }
  const rest = Math.floor(ms) - day * DAY_MS;
  const seconds = Math.floor(rest / 1000);
  const minutes = Math.floor(seconds / 60);
  const millis = String(rest % 1000).padStart(3, "0");
  return `${lastDayText}${TWO_DIGITS[Math.floor(minutes / 60)]}:${TWO_DIGITS[minutes % 60]}:${TWO_DIGITS[seconds % 60]}.${millis}Z`;
}

/** ISO 8601 in whole seconds, such as `2020-04-10T18:20:30Z`: CopyObjectResult and the list of buckets. */
export function formatIsoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const RFC1123 = /^[A-Za-z]{3}, (\d{2}) ([A-Za-z]{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/;
const RFC850 = /^[A-Za-z]{6,9}, (\d{2})-([A-Za-z]{3})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) GMT$/;
const ASCTIME = /^[A-Za-z]{3} ([A-Za-z]{3}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/;
const ISO8601 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:?\d{2})$/;

function utc(
  year: string,
  month: string,
  day: string,
  hour: string,
  minute: string,
  second: string,
): number | undefined {
  const index = MONTHS.indexOf(month.toLowerCase());
  if (index < 0) return undefined;
  let fullYear = Number(year);
  if (year.length === 2) fullYear += fullYear < 70 ? 2000 : 1900;
  const ms = Date.UTC(fullYear, index, Number(day), Number(hour), Number(minute), Number(second));
  const read = new Date(ms);
  const exact = read.getUTCDate() === Number(day) && read.getUTCHours() === Number(hour);
  return exact && Number(minute) < 60 && Number(second) <= 60 ? ms : undefined;
}

/**
 * Milliseconds since 1970 of a date in one of the forms a condition may have (RFC 1123, RFC 850, asctime, ISO 8601), or
 * undefined for any other text.
 */
export function parseHttpDate(text: string): number | undefined {
  const rfc1123 = RFC1123.exec(text);
  if (rfc1123) {
    const [, day = "", month = "", year = "", hour = "", minute = "", second = ""] = rfc1123;
    return utc(year, month, day, hour, minute, second);
  }
  const rfc850 = RFC850.exec(text);
  if (rfc850) {
    const [, day = "", month = "", year = "", hour = "", minute = "", second = ""] = rfc850;
    return utc(year, month, day, hour, minute, second);
  }
  const asctime = ASCTIME.exec(text);
  if (asctime) {
    const [, month = "", day = "", hour = "", minute = "", second = "", year = ""] = asctime;
    return utc(year, month, day.trim(), hour, minute, second);
  }
  if (ISO8601.test(text)) {
    const ms = Date.parse(text);
    return Number.isNaN(ms) ? undefined : ms;
  }
  return undefined;
}
