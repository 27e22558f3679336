// What a range of requests amounts to: a sentence, four figures, results by class, the hours that were busiest.

import { call } from "../api.js";
import { sayRatio } from "../days.js";
import { all, el, find, reconcile, show, text } from "../dom.js";
import { duration, sayClock, sayDayClock, sayText } from "../format.js";
import { language, t } from "../i18n.js";
import { Part } from "../part.js";
import { lookOf, sayClass, sayOutcome } from "./word.js";

const MOST = 12;
const HOUR_MS = 3600_000;
const SVG = "http://www.w3.org/2000/svg";

export function startSummary(store, filters) {
  async function load() {
    const { start, end } = filters.range(store.now());
    const query = new URLSearchParams({ start, end, tz: Intl.DateTimeFormat().resolvedOptions().timeZone });
    const found = await call(`/api/requests/summary?${query}`);
    const outcomes = counted(found.outcomes);
    text(find("#standing"), sentence(found, outcomes, (end - start) / 1000));
    paintFigures(found);
    paintBars(find("#outcomes"), outcomes, sayOutcome, (name) => filters.set({ outcome: name }));
    paintBars(find("#classes"), counted(found.classes), sayClass, (name) => filters.set({ class: name }));
    paintHours(found.hours, found.busiest_hours);
  }

  const part = new Part(find("#part-summary"), store, load, 15_000);
  return { open: () => part.open(), reload: () => part.reload() };
}

/** [[name, count]], most first. */
const counted = (found) => Object.entries(found ?? {}).sort(([, one], [, other]) => other - one);

/** Whatever did not go well is counted, outcome by outcome: a refused input is no success, whoever is to blame. */
function sentence({ count, p95 }, outcomes, seconds) {
  if (!count) return t("Nothing was asked of the model in this time.");
  const bad = outcomes.filter(([name]) => lookOf(name) !== "ok");
  const sum = bad.reduce((total, [, times]) => total + times, 0);
  const which = bad.map(([name, times]) => `${sayOutcome(name)} ${sayText(times, "count")}`).join(language === "zh" ? "、" : ", ");
  const parts = [
    count === 1 ? t("One request in {duration}.", { duration: duration(seconds) }) : t("{count} requests in {duration}.", { count: sayText(count, "count"), duration: duration(seconds) }),
    !sum ? t("All went well.") : sum === 1 ? t("One did not go well: {which}.", { which }) : t("{count} did not go well: {which}.", { count: sayText(sum, "count"), which }),
    p95 !== null && p95 !== undefined ? t("95 % took {time} or less.", { time: sayText(p95, "seconds") }) : "",
  ];
  return parts.filter(Boolean).join(language === "zh" ? "" : " ");
}

function paintFigures({ count, ok_share: ok, mean, p95, max, slowest }) {
  const figures = {
    count: [sayText(count, "count"), ""], ok: [sayRatio(ok), ""],
    p95: [sayText(p95, "seconds"), mean === null || mean === undefined ? "" : t("{time} on average", { time: sayText(mean, "seconds") })], max: [sayText(max, "seconds"), ""],
  };
  for (const box of all("#figures [data-figure]")) {
    const [figure, words] = figures[box.dataset.figure];
    text(box.children[1], figure);
    if (box.dataset.figure !== "max") { text(box.children[2], words); continue; }
    const id = slowest?.[0]?.request_id;
    box.children[2].replaceChildren(...(id ? [el("a", { href: `/requests?${new URLSearchParams({ request_id: id })}` }, t("which one?"))] : []));
  }
}

function paintBars(box, pairs, say, choose) {
  const sum = pairs.reduce((total, [, count]) => total + count, 0);
  show(box.closest("section"), pairs.length > 0);
  reconcile(box, pairs.slice(0, MOST), {
    key: ([name]) => name,
    make: ([name]) => el("li", {}, el("button", { type: "button", on: { click: () => choose(name) } }, el("span"), el("b"), el("meter-bar", {}, el("i")))),
    fill: (item, [name, count]) => {
      const [label, figure, bar] = item.firstChild.children;
      text(label, say(name));
      text(figure, `${sayText(count, "count")} · ${sayText(count / sum, "ratio")}`);
      bar.firstChild.style.transform = `scaleX(${(count / pairs[0][1]).toFixed(3)})`;
    },
  });
}

function paintHours(hours, busiest) {
  show(find("#hours").closest("section"), hours.length > 0);
  find("#by-hour").replaceChildren(...(hours.length > 1 ? [hourBars(hours)] : []));
  const most = Math.max(...busiest.map(({ count }) => count), 1);
  reconcile(find("#hours"), busiest, {
    key: ({ start_ms: start }) => start,
    make: () => el("li", {}, el("span"), el("b"), el("meter-bar", {}, el("i"))),
    fill: (item, { start_ms: start, count }) => {
      const [label, figure, bar] = item.children;
      text(label, `${sayDayClock(start)} – ${sayClock(start + HOUR_MS)}`);
      text(figure, sayText(count, "count"));
      bar.firstChild.style.transform = `scaleX(${(count / most).toFixed(3)})`;
    },
  });
}

/** Requests of each hour as bars, those that failed in another colour at their feet. */
function hourBars(hours) {
  const first = hours[0].start_ms;
  const count = Math.round((hours.at(-1).start_ms - first) / HOUR_MS) + 1;
  const most = Math.max(...hours.map((one) => one.count), 1);
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ class: "hour-bars", viewBox: `0 0 ${count * 4} 40`, preserveAspectRatio: "none", role: "img", "aria-label": t("Requests hour by hour; the busiest are listed below.") })) svg.setAttribute(name, value);
  for (const name of ["count", "failed"]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    path.setAttribute("d", hours.filter((one) => one[name]).map((one) => {
      const tall = Math.max(1, (one[name] / most) * 40).toFixed(1);
      return `M${Math.round((one.start_ms - first) / HOUR_MS) * 4} 40v-${tall}h3v${tall}z`;
    }).join(""));
    svg.append(path);
  }
  const ends = el("p", { className: "hour-ends faint" }, el("span", {}, sayDayClock(first)), el("span", {}, sayDayClock(hours.at(-1).start_ms)));
  return el("div", {}, svg, ends);
}
