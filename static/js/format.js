// Says numbers and times to people. dashboard/unit.py says the same numbers on the server; a test holds them together.

import { language, locale, t } from "./i18n.js";

const STEPS = {
  bytes: [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"], [1, "B"]],
  bytes_per_second: [[1e9, "GB/s"], [1e6, "MB/s"], [1e3, "kB/s"], [1, "B/s"]],
  seconds: [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"], [1e-3, "ms"], [1e-6, "µs"]],
  hertz: [[1e9, "GHz"], [1e6, "MHz"], [1e3, "kHz"], [1, "Hz"]],
};
const PLAIN = { ratio: [100, "%"], celsius: [1, "°C"], watts: [1, "W"], per_second: [1, "/s"], count: [1, ""] };
const LARGE = [[1e9, "G", 1e9], [1e6, "M", 1e6], [1e4, "k", 1e3]];

/** Three significant digits without trailing zeros, whole numbers from 100 on. */
export function digits(value) {
  const size = Math.abs(value);
  if (size >= 99.95) return String(Math.round(value));
  if (size < 0.005) return "0";
  return String(Number(value.toFixed(size >= 9.995 ? 1 : 2)));
}

/** Four significant digits, whatever the size, and whole numbers in full: 0.0001235, 41.5, 1795348500, 1.235e-9. */
export function precise(value) {
  const size = Math.abs(value);
  if (size >= 1e15 || (size !== 0 && size < 1e-6)) return value.toExponential(3).replace(/\.?0+e/, "e");
  return String(size >= 1e3 ? Math.round(value) : Number(value.toPrecision(4)));
}

/** {number, unit} in the unit that suits the size; absence is a dash. */
export function say(value, unit) {
  if (value === null || value === undefined || Number.isNaN(value)) return { number: "–", unit: "" };
  const steps = STEPS[unit];
  if (steps) {
    const [factor, name] = steps.find(([size]) => Math.abs(value) >= size * 0.9995) ?? steps.at(-1);
    return { number: digits(value / factor), unit: value === 0 && unit === "seconds" ? "s" : name };
  }
  const [factor, name] = PLAIN[unit] ?? [1, ""];
  const scaled = value * factor;
  const large = LARGE.find(([size]) => Math.abs(scaled) >= size);
  return large ? { number: digits(scaled / large[2]) + large[1], unit: name } : { number: digits(scaled), unit: name };
}

export function sayText(value, unit) {
  const said = say(value, unit);
  return said.unit ? `${said.number}\u202f${said.unit}` : said.number;
}

/** One factor and unit for a whole axis, by its largest value. */
export function axisUnit(unit, largest) {
  const steps = STEPS[unit];
  if (!steps) return { factor: (PLAIN[unit] ?? [1, ""])[0], unit: (PLAIN[unit] ?? [1, ""])[1] };
  const [factor, name] = (largest > 0 ? steps.find(([size]) => largest >= size * 0.9995) : null) ?? (unit === "seconds" ? [1e-3, "ms"] : steps.at(-1));
  return { factor: 1 / factor, unit: name };
}

const UNITS = { zh: { d: "天", h: "小时", min: "分钟", s: "秒" } };

/** A length of time as its two largest parts: 3 d 4 h. */
export function duration(seconds) {
  let rest = Math.max(1, Math.floor(seconds));
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].map(([size, name]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return [count, name];
  });
  const first = parts.findIndex(([count]) => count);
  return parts.slice(first, first + 2).filter(([count]) => count)
    .map(([count, name]) => `${count}\u202f${UNITS[language]?.[name] ?? name}`).join(" ");
}

/** A short span with a decimal, for what someone waits for: 4.1 s. */
export const seconds = (value) => (value < 60 ? `${digits(value)}\u202f${UNITS[language]?.s ?? "s"}` : duration(value));

export function ago(ms, now = Date.now()) {
  return now - ms < 5000 ? t("just now") : t("{duration} ago", { duration: duration((now - ms) / 1000) });
}

/** How a range is called: 15 m. */
export const rangeLabel = (key) => t(`${key.slice(0, -1)} ${key.slice(-1)}`);

const make = (options) => new Intl.DateTimeFormat(locale, { hourCycle: "h23", ...options });
const clock = make({ hour: "2-digit", minute: "2-digit" });
const exact = make({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = make({ day: "numeric", month: "short" });
const dayClock = make({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const full = make({ dateStyle: "medium", timeStyle: "long" });

export const sayClock = (ms) => clock.format(ms);
export const sayExact = (ms) => exact.format(ms);
export const sayDay = (ms) => day.format(ms);
export const sayDayClock = (ms) => dayClock.format(ms);
/** With the zone, for titles. */
export const sayFull = (ms) => full.format(ms);
/** As short as the distance allows. */
export const sayMoment = (ms, now = Date.now()) => (new Date(ms).toDateString() === new Date(now).toDateString() ? clock : dayClock).format(ms);

const NICE_SECONDS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000];

/** Local times at round places between two moments: {values, labels}. */
export function timeTicks(start, end, most) {
  const span = (end - start) / 1000;
  const step = NICE_SECONDS.find((size) => span / size <= most) ?? 864000;
  const offset = new Date(end).getTimezoneOffset() * 60;
  const values = [];
  for (let at = Math.ceil((start / 1000 - offset) / step) * step; (at + offset) * 1000 <= end; at += step) values.push((at + offset) * 1000);
  const label = step < 60 ? sayExact : step >= 86400 ? sayDay : sayClock;
  return { values, labels: values.map((at) => (step < 86400 && step >= 3600 && sayClock(at) === "00:00" ? sayDay(at) : label(at))) };
}

/** Round ends and round ticks for values from `smallest` to `largest`, 0 among them unless it is far away and `fit` says
 * that it need not be; shares end at 100 %, counts have whole steps. */
export function valueTicks(largest, unit, smallest = 0, fit = false) {
  const full = unit === "ratio" && largest > 60 && largest <= 100 && smallest >= 0;
  if (full) return { start: 0, end: 102, values: [0, 25, 50, 75, 100], labels: ["0", "25", "50", "75", "100"] };
  const far = fit && largest > smallest && (smallest > largest * 0.7 || largest < smallest * 0.7) && smallest * largest > 0;
  const low = far ? smallest : Math.min(0, smallest);
  const high = far ? largest : Math.max(0, largest);
  const span = (high - low) * 1.04 || 1;
  const power = 10 ** Math.floor(Math.log10(span / 4));
  const nice = [1, 2, 2.5, 5, 10].find((size) => span / 4 <= size * power) * power;
  const step = unit === "count" ? Math.max(1, Math.ceil(nice)) : nice;
  const first = low < 0 || far ? Math.floor((low - span * 0.02) / step) : 0;
  const last = high > 0 || low === 0 || far ? Math.ceil((high + (high - low || 1) * 0.04) / step) : 0;
  const values = [];
  for (let index = first; index <= last; index += 1) values.push(Number((index * step).toPrecision(far ? 10 : 6)));
  return { start: first * step, end: last * step, values, labels: values.map((value) => (Math.abs(value) >= 1e5 && !far ? sayText(value, "count") : String(value))) };
}
