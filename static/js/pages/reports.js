// The reports page: a day, a week or a month in a sentence, five numbers, advice, charts and tables. It prints well.

import { call } from "../api.js";
import { sayRatio } from "../days.js";
import { el, find, all, show, text } from "../dom.js";
import { duration, sayText } from "../format.js";
import { language, locale, t } from "../i18n.js";
import { figure, heat } from "../report/chart.js";
import { tables } from "../report/table.js";

const DAY = 86400_000;
const root = () => find("#report");
let wanted = null;
let shown = null;

export function start(store) {
  const given = new URLSearchParams(location.search);
  wanted = { period: ["day", "week", "month"].includes(given.get("period")) ? given.get("period") : "day", date: given.get("date") ?? "" };
  find("#periods").addEventListener("click", ({ target }) => { const period = target.closest("[data-period]")?.dataset.period; if (period) ask({ period, date: "" }); });
  find("#date").addEventListener("change", ({ target }) => { if (target.value) ask({ ...wanted, date: target.value }); });
  find("#earlier").addEventListener("click", () => step(-1));
  find("#later").addEventListener("click", () => step(1));
  find("#print").addEventListener("click", () => print());
  find("#send").addEventListener("click", () => send());
  addEventListener("popstate", () => location.reload());
  show(find("#send"), store.first?.may?.operator ?? JSON.parse(find("#first").textContent).may.operator);
  ask(wanted, false);
  call("/api/reports/list").then(schedule, () => {});
}

const utc = (day) => Date.parse(`${day}T12:00:00Z`);
const iso = (time) => new Date(time).toISOString().slice(0, 10);

function step(way) {
  if (!shown) return;
  ask({ ...wanted, date: iso(way < 0 ? utc(shown.first) - DAY : utc(shown.last) + DAY) });
}

async function ask(next, remember = true) {
  wanted = next;
  for (const one of all("[data-period]")) one.setAttribute("aria-pressed", String(one.dataset.period === next.period));
  root().setAttribute("aria-busy", "true");
  const query = new URLSearchParams({ period: next.period, ...(next.date ? { date: next.date } : {}) });
  if (remember) history.pushState(null, "", `?${query}`);
  try {
    const report = await call(`/api/reports?${query}`);
    if (wanted === next) paint({ ...report, told: report.told[language] ?? report.told.en });
  } catch (problem) {
    if (wanted !== next) return;
    shown = null;
    text(find("#sentence"), t("There is no such report: {reason}", { reason: problem.message }));
    root().replaceChildren();
  }
  root().removeAttribute("aria-busy");
}

function paint(report) {
  shown = report;
  find("#date").value = report.first;
  find("#later").disabled = report.until_ms < report.end_ms;
  text(find("#title"), report.told.title);
  text(find("#sentence"), report.told.sentence);
  root().replaceChildren(numbers(report), ...advice(report), charts(report), el("div", { className: "report-tables" }, ...tables(report)), foot(report));
}

function numbers({ availability, traffic, incidents, gpus, energy, currency, change }) {
  const card = (name, value, note = "") => el("div", { className: "card-of figure-of" }, el("span", { className: "mute" }, name), el("b", {}, value), el("span", { className: "mute" }, note));
  const moved = (value) => (value === null ? "" : t("{change} against the period before", { change: `${value >= 0 ? "+" : "−"}${Math.abs(Math.round(value * 100))}\u202f%` }));
  const hours = gpus.reduce((sum, one) => sum + one.hours, 0);
  return el("div", { className: "report-numbers" },
    card(t("Availability"), sayRatio(availability.ratio), availability.seconds_down ? t("down for {duration}", { duration: duration(availability.seconds_down) }) : ""),
    card(t("Requests"), traffic.requests.toLocaleString("en-US"), moved(change.requests)),
    card(t("Failed"), traffic.failed_share === null ? "–" : sayText(traffic.failed_share, "ratio"), traffic.failed ? t("{count} requests", { count: traffic.failed.toLocaleString("en-US") }) : ""),
    card(t("Latency p95"), traffic.latency.p95 === null ? "–" : sayText(traffic.latency.p95, "seconds"), moved(change.p95)),
    card(t("GPU hours"), gpus.length ? hours.toFixed(1) : "–", energy ? `${energy.kwh.toFixed(1)}\u202fkWh${energy.cost === null ? "" : ` · ${energy.cost.toFixed(2)} ${currency}`}` : ""),
    card(t("Incidents"), String(incidents.count), incidents.mttr === null ? "" : t("mended in {duration} on average", { duration: duration(incidents.mttr) })));
}

function advice({ advice: found, told }) {
  if (!found.length) return [];
  return [el("section", { className: "report-part" }, el("h2", {}, t("Advice")), el("ul", { className: "card-of advices" },
    ...found.map((one, at) => el("li", { data: { state: one.weight } }, el("i", { className: "dot" }), el("span", {}, told.advice[at])))))];
}

function charts(report) {
  const { traffic, vram, vram_bytes: size, days, period } = report;
  const clock = new Intl.DateTimeFormat(locale, period === "day" ? { hour: "2-digit", hourCycle: "h23" } : { day: "numeric", month: "short" });
  const labels = traffic.slots.map((slot) => clock.format(slot.start_ms));
  const found = [];
  if (traffic.requests) {
    found.push(figure({ title: t("Requests and failures"), kind: "bars", labels, unit: "count", values: traffic.slots.map((slot) => slot.requests), parts: traffic.slots.map((slot) => slot.failed), sub: t("red: failed"), says: (value, part) => t("{count} requests, {failed} failed", { count: value, failed: part ?? 0 }) }));
    found.push(figure({ title: t("Latency p95"), kind: "line", labels, unit: "seconds", values: traffic.slots.map((slot) => slot.p95) }));
  }
  if (vram.some((point) => point.value !== null)) found.push(figure({ title: t("GPU memory, peak"), kind: "line", labels, unit: "bytes", values: vram.map((point) => point.value), limit: size }));
  if (days.length > 1 && days.some((day) => day.ratio !== null)) {
    const date = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", timeZone: "UTC" });
    found.push(figure({ title: t("Availability by day"), kind: "shares", labels: days.map((day) => date.format(utc(day.day))), values: days.map((day) => day.ratio), unit: "ratio", says: sayRatio }));
  }
  if (traffic.requests) {
    const names = Array.from({ length: 7 }, (_, day) => new Intl.DateTimeFormat(locale, { weekday: "short", timeZone: "UTC" }).format(Date.UTC(2024, 0, 1 + day)));
    found.push(heat(traffic.heat, t("Requests by weekday and hour"), names));
  }
  return el("div", { className: `report-charts of-${found.length}` }, ...found);
}

function foot({ covered, missing }) {
  const lost = Object.keys(missing);
  const said = [t("Wakeless saw {share} of this time; what rests on series is of that part.", { share: sayRatio(covered) })];
  if (lost.length) said.push(t("Not read: {names}.", { names: lost.join(", ") }));
  return el("p", { className: "faint report-foot" }, said.join(" "));
}

function schedule({ schedule: times, channels }) {
  const set = Object.entries(times).filter(([, when]) => when !== "off").map(([period, when]) => `${t(period)} ${when}`);
  text(find("#schedule"), !set.length ? t("No report is sent by itself: set reports.daily, reports.weekly or reports.monthly.")
    : t("Sent by itself: {times}; to {channels}.", { times: set.join(", "), channels: channels.join(", ") || t("nobody, for there is no channel") }));
}

async function send() {
  if (!shown) return;
  find("#send").disabled = true;
  try {
    const { channels } = await call("/api/reports/send", { method: "POST", json: { period: shown.period, date: shown.first } });
    text(find("#schedule"), t("On its way to {channels}.", { channels: channels.join(", ") }));
  } catch (problem) {
    text(find("#schedule"), problem.message);
  }
  find("#send").disabled = false;
}
