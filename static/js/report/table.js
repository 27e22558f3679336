// The tables of a report: what has nothing to say is not there.

import { el } from "../dom.js";
import { duration, sayDayClock, sayText, seconds } from "../format.js";
import { sayRatio } from "../days.js";
import { sayReason, t } from "../i18n.js";

const count = (value) => value.toLocaleString("en-US");
const share = (part, all) => (all ? sayText(part / all, "ratio") : "–");
const change = (value) => (value === null ? "–" : `${Math.abs(value) < 0.005 ? "±" : value > 0 ? "+" : "−"}${Math.abs(Math.round(value * 100))}\u202f%`);
const points = (value) => (value === null ? "–" : t("{points} points", { points: `${value >= 0 ? "+" : "−"}${Math.abs(value * 100).toFixed(2)}` }));
const or = (value, say) => (value === null || value === undefined ? "–" : say(value));

export function tables(report) {
  return [compared(report), incidents(report), outcomes(report), classes(report), gpus(report), forecasts(report), errors(report), alerts(report), people(report), targets(report), log(report), deeds(report)].filter(Boolean);
}

/** A card with a table; columns are [title, is a number]. */
function table(title, columns, rows, note = "") {
  if (!rows.length) return null;
  const cells = (row) => row.map((cell, at) => el("td", { className: columns[at][1] ? "number" : "" }, cell));
  return el("section", { className: "report-part" }, el("h2", {}, title),
    el("div", { className: "card-of flush" }, el("table", { className: "list" },
      el("thead", {}, el("tr", {}, ...columns.map(([name, number]) => el("th", { scope: "col", className: number ? "number" : "" }, name)))),
      el("tbody", {}, ...rows.map((row) => el("tr", {}, ...cells(row)))))),
    note ? el("p", { className: "mute note" }, note) : null);
}

function compared({ traffic, earlier, change: since }) {
  if (!traffic.requests && !earlier.requests) return null;
  const rows = [[t("Requests"), count(traffic.requests), count(earlier.requests), change(since.requests)],
    [t("Failed"), or(traffic.failed_share, (value) => sayText(value, "ratio")), or(earlier.failed_share, (value) => sayText(value, "ratio")), points(since.failed_share)],
    ...["p50", "p95", "p99"].map((name) => [t("Latency {name}", { name }), or(traffic.latency[name], (value) => sayText(value, "seconds")), or(earlier[name], (value) => sayText(value, "seconds")), change(since[name])])];
  return table(t("Against the period before"), [[t("What")], [t("This period"), true], [t("Before"), true], [t("Change"), true]], rows,
    since.requests === null && earlier.requests ? t("Numbers of requests are compared only where Wakeless saw both periods nearly whole.") : "");
}

const incidents = ({ incidents: { notes } }) => table(t("Incidents"), [[t("Began")], [t("What")], [t("Lasted"), true]], notes.map((one) => [
  el("a", { href: `/incidents/${one.id}` }, sayDayClock(one.started_ms)), sayReason(one.summary), one.ended_ms === null ? t("still lasts") : duration(one.seconds)]));

const pairs = (title, found, say = (name) => name) => {
  const all = Object.values(found).reduce((sum, value) => sum + value, 0);
  return table(title, [[t("What")], [t("Count"), true], [t("Share of all"), true]], Object.entries(found).sort((one, other) => other[1] - one[1]).map(([name, value]) => [say(name), count(value), share(value, all)]));
};
const outcomes = ({ traffic }) => pairs(t("Outcomes"), traffic.outcomes, sayReason);
const classes = ({ traffic }) => pairs(t("Results by class"), traffic.classes);

function gpus({ gpus: found, energy, currency }) {
  let note = "";
  if (energy) {
    note = t(energy.by === "counter" ? "{kwh} kWh, by the board's own counter." : "{kwh} kWh, by power over time.", { kwh: energy.kwh.toFixed(2) });
    if (energy.cost !== null) note += ` ${t("That cost {cost}.", { cost: `${energy.cost.toFixed(2)} ${currency}`.trim() })}`;
  }
  return table("GPU", [["GPU"], [t("GPU hours"), true], [t("Mean load"), true], [t("Peak memory"), true]], found.map((one) => [
    `${one.gpu} ${one.name}`.trim(), one.hours.toFixed(1), sayText(one.utilisation, "ratio"), or(one.memory_peak_bytes, (value) => sayText(value, "bytes"))]), note);
}

const forecasts = ({ forecasts: found, told }) => table(t("When it runs full"), [[t("What")], [t("In use"), true], [t("Forecast")]], found.map((one, at) => [
  one.what === "vram" ? `GPU ${one.name}` : one.name, `${sayText(one.last, "bytes")} / ${sayText(one.capacity, "bytes")}`, told.forecasts[at]]));

const errors = ({ traffic, start_ms: start, until_ms: end }) => table(t("Top errors"), [[t("Error")], [t("Outcome")], [t("Count"), true]], traffic.errors.map((one) => [
  el("a", { href: `/requests?outcome=${one.outcome}&start=${start}&end=${end}` }, one.text || sayReason(one.outcome)), sayReason(one.outcome), count(one.count)]));

function alerts({ alerts: found, notices }) {
  return table(t("Alerts"), [[t("Rule")], [t("Count"), true], [t("Lasted"), true]], found.rules.map((one) => [one.rule, count(one.count), duration(one.seconds)]),
    t("{sent} notices sent, {failed} failed.", notices));
}

const people = ({ alerts: found }) => table(t("Who answered"), [[t("Person")], [t("Alerts"), true], [t("After, on average"), true]], found.people.map((one) => [one.name, count(one.count), seconds(one.seconds)]),
  t("{acknowledged} of {count} alerts were acknowledged.", found));

const targets = ({ targets: found }) => table(t("Targets"), [[t("Target")], [t("Availability"), true], [t("Times down"), true], [t("Down for"), true], [t("Longest because of")]], found.map((one) => [
  el("a", { href: `/targets/${encodeURIComponent(one.target)}` }, one.target), sayRatio(one.ratio), count(one.outages), one.seconds_down ? duration(one.seconds_down) : "–", sayReason(one.reason)]));

const log = ({ patterns }) => table(t("Found in logs"), [[t("Target")], [t("Pattern")], [t("Lines"), true]], patterns.map((one) => [one.target, one.pattern, count(one.lines)]));

function deeds({ deeds: { actions, actions_helped: helped, remedies, remedies_helped: cured, people: acts } }) {
  const rows = [[t("Actions of alerts"), actions, helped], [t("Remedies of targets"), remedies, cured]].filter(([, all]) => all).map(([name, all, good]) => [name, count(all), count(good)]);
  return table(t("What was done"), [[t("What")], [t("Count"), true], [t("Helped"), true]], [...rows, ...Object.entries(acts).map(([act, all]) => [act, count(all), "–"])]);
}
