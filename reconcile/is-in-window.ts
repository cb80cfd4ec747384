import type { Window } from '../schema/resources/reconcile-target.ts';

const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
const minutesOf = (time: string): number => Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5));

/** Making one takes longer than using it a hundred times. */
const formats = new Map<string, Intl.DateTimeFormat>();
const formatOf = (timeZone: string): Intl.DateTimeFormat => {
  const known = formats.get(timeZone);
  if (known) return known;
  const made = new Intl.DateTimeFormat('en-GB', { timeZone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  formats.set(timeZone, made);
  return made;
};

/** Day and minute of an instant in a time zone; summer time is the zone's matter. */
const localTime = (now: number, timeZone: string): { day: number; minute: number } => {
  const parts = formatOf(timeZone).formatToParts(new Date(now));
  const find = (type: string): string => parts.find((part) => part.type === type)?.value ?? '';
  return {
    day: days.indexOf(find('weekday').toLowerCase() as (typeof days)[number]),
    minute: Number(find('hour')) * 60 + Number(find('minute')),
  };
};

const covers = (window: Window, now: number): boolean => {
  const { day, minute } = localTime(now, window.timeZone);
  const [from, to] = [minutesOf(window.from), minutesOf(window.to)];
  const isDay = (index: number): boolean => window.days.includes(days[(index + 7) % 7] as (typeof days)[number]);
  if (from === to) return isDay(day);
  if (from < to) return isDay(day) && minute >= from && minute < to;
  // a window past midnight belongs to the day on which it begins
  return (isDay(day) && minute >= from) || (isDay(day - 1) && minute < to);
};

/** Whether changes may be made now (milliseconds): in no `deny` window and, where there are `allow` windows, in one of them. */
export const isInWindow = (windows: readonly Window[], now: number): boolean => {
  if (windows.some((window) => window.kind === 'deny' && covers(window, now))) return false;
  const allowed = windows.filter(({ kind }) => kind === 'allow');
  return allowed.length === 0 || allowed.some((window) => covers(window, now));
};

/**
 * The next minute in which changes may be made, at most eight days on; then it is asked again. Only the minutes at which something can begin or
 * end are looked at: clocks of all zones differ by whole quarters of an hour, so these are the edges' places in the quarter, and its beginning,
 * for days and summer time.
 */
export const windowOpensAt = (windows: readonly Window[], now: number): number => {
  const minuteMs = 60_000;
  const last = now + 8 * 86_400_000;
  const places = new Set([0, ...windows.flatMap(({ from, to }) => [minutesOf(from) % 15, minutesOf(to) % 15])]);
  for (let at = Math.floor(now / minuteMs) * minuteMs + minuteMs; at < last; at += minuteMs)
    if (places.has((at / minuteMs) % 15) && isInWindow(windows, at)) return at;
  return last;
};
