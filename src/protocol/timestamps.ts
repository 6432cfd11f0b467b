/** Points in time as texts, exact to the nanosecond. `Date` knows milliseconds, and days that do not exist. */

/** A point in time as `google.protobuf.Timestamp` has it. */
export interface Instant {
  /** Since 1970. */
  readonly seconds: bigint;
  /** 0 to 999,999,999, from the second on. */
  readonly nanos: number;
}

/** RFC 3339; a fraction may be as long as it likes where nothing stands beyond nanoseconds. */
const FORM =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9})0*)?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/;
/** Seconds of the years 1 to 9999, which is what a Timestamp may hold. */
const FIRST = -62_135_596_800n;
const LAST = 253_402_300_799n;

/**
 * The point in time that an RFC 3339 text names; undefined for one that has another form, names a time that does
 * not exist, such as 30 February or a leap second, lies outside the years 1 to 9999, or is finer than a nanosecond.
 *
 * @example
 * parseTimestamp("2024-02-29T01:00:00.000000001+02:00"); // { seconds: 1709161200n, nanos: 1 }
 */
export function parseTimestamp(text: string): Instant | undefined {
  const parts = FORM.exec(text);
  if (parts === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts
    .slice(1, 7)
    .map(Number);
  const offset = { hours: Number(parts[9] ?? 0), minutes: Number(parts[10] ?? 0) };
  if (!exists({ year, month, day, hour, minute, second }, offset)) return undefined;
  // Not Date.UTC: to it the years up to 99 are of the twentieth century.
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const ahead = (parts[8] === "-" ? -60 : 60) * (60 * offset.hours + offset.minutes);
  const seconds = BigInt(date.getTime() / 1_000 - ahead);
  if (seconds < FIRST || seconds > LAST) return undefined;
  return { seconds, nanos: Number((parts[7] ?? "").padEnd(9, "0")) };
}

interface Moment {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

function exists(
  { year, month, day, hour, minute, second }: Moment,
  offset: { readonly hours: number; readonly minutes: number },
): boolean {
  return (
    month >= 1 &&
    month <= 12 &&
    day >= 1 &&
    day <= daysOf(year, month) &&
    hour <= 23 &&
    minute <= 59 &&
    second <= 59 &&
    offset.hours <= 23 &&
    offset.minutes <= 59
  );
}

function daysOf(year: number, month: number): number {
  if (month !== 2) return [4, 6, 9, 11].includes(month) ? 30 : 31;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
}
