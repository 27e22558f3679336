// Recurring stretches of time as Alertmanager's time_intervals have them, in words and as the page's simple form. No DOM.

import { sayDayClock } from "../format.js";
import { locale, t } from "../i18n.js";

export const DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
const DAY_END = "24:00";

// 2024-01-01 was a Monday.
const dayWord = (index, weekday = "long") => new Intl.DateTimeFormat(locale, { weekday, timeZone: "UTC" }).format(Date.UTC(2024, 0, 1 + index));
export const dayName = (day, style) => dayWord(DAYS.indexOf(day), style);
const monthName = (index) => new Intl.DateTimeFormat(locale, { month: "long", timeZone: "UTC" }).format(Date.UTC(2024, index, 1));
const list = (words) => new Intl.ListFormat(locale, { type: "conjunction" }).format(words);

/** ["monday:friday", "sunday"] → the days one by one, in the order of the week. */
export function daysOf(weekdays = []) {
  const found = new Set();
  for (const range of weekdays) {
    const [from, to = from] = String(range).toLowerCase().split(":").map((day) => DAYS.indexOf(day));
    if (from < 0 || to < 0) continue;
    for (let at = from; ; at = (at + 1) % 7) { found.add(DAYS[at]); if (at === to) break; }
  }
  return DAYS.filter((day) => found.has(day));
}

function sayDays(weekdays) {
  const days = daysOf(weekdays);
  if (!days.length || days.length === 7) return t("every day");
  if (days.join() === DAYS.slice(0, 5).join()) return t("Monday to Friday");
  if (days.join() === "saturday,sunday") return t("every weekend");
  return t("every {days}", { days: list(days.map((day) => dayName(day))) });
}

const range = (text, name) => {
  const [from, to = from] = String(text).split(":");
  return from === to ? name(from) : `${name(from)}–${name(to)}`;
};
const sayMonth = (word) => monthName(/^\d+$/.test(word) ? Number(word) - 1 : MONTHS.indexOf(word.toLowerCase()));
const sayDate = (word) => (word === "-1" ? t("the last day") : Number(word) < 0 ? t("{count} from the end", { count: -Number(word) }) : word);

/** "every Saturday 02:00–04:00 (Europe/Berlin)". */
export function sayInterval(interval) {
  const parts = [];
  if (interval.days_of_month?.length) {
    parts.push(t("on {dates} of the month", { dates: list(interval.days_of_month.map((one) => range(one, sayDate))) }));
    if (interval.weekdays?.length) parts.push(t("if it is {days}", { days: list(daysOf(interval.weekdays).map((day) => dayName(day))) }));
  } else parts.push(sayDays(interval.weekdays));
  if (interval.months?.length) parts.push(t("in {months}", { months: list(interval.months.map((one) => range(one, sayMonth))) }));
  if (interval.years?.length) parts.push(list(interval.years.map((one) => range(one, String))));
  parts.push(interval.times?.length ? list(interval.times.map((one) => `${one.start_time}–${one.end_time}`)) : t("all day"));
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zone = interval.location || "UTC";
  return parts.join(" ") + (zone === here ? "" : ` (${zone})`);
}

/** Windows over midnight are two intervals that meet there; in words they are one. */
export function sayIntervals(intervals) {
  const simple = simpleOf(intervals);
  if (!simple || intervals.length < 2) return intervals.map(sayInterval).join("; ");
  return sayInterval({ weekdays: simple.days, times: [{ start_time: simple.from, end_time: simple.to }], location: simple.zone });
}

const shift = (days) => DAYS.filter((day, index) => days.includes(DAYS[(index + 6) % 7]));

/** {days, from, to, zone} where the intervals are no more than that, else null. */
export function simpleOf(intervals) {
  const plain = intervals.every((one) => !one.days_of_month?.length && !one.months?.length && !one.years?.length && (one.times?.length ?? 0) <= 1);
  if (!plain || intervals.length > 2 || !intervals.length) return null;
  const [first, second] = intervals.map((one) => ({ days: daysOf(one.weekdays?.length ? one.weekdays : DAYS), from: one.times?.[0]?.start_time ?? "00:00", to: one.times?.[0]?.end_time ?? DAY_END, zone: one.location || "UTC" }));
  if (!second) return first;
  const meets = first.to === DAY_END && second.from === "00:00" && first.zone === second.zone && shift(first.days).join() === second.days.join();
  return meets ? { ...first, to: second.to } : null;
}

/** The reverse: from later than to means over midnight. */
export function intervalsOf({ days, from, to, zone }) {
  const one = (weekdays, start, end) => ({ ...(weekdays.length < 7 ? { weekdays } : {}), times: [{ start_time: start, end_time: end }], location: zone });
  const end = to === "00:00" ? DAY_END : to;
  if (from < end) return [one(days, from, end)];
  return [one(days, from, DAY_END), one(shift(days), "00:00", to)];
}

export const sayNext = (ms) => t("next {time}", { time: sayDayClock(ms) });
