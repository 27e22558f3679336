// What a range of requests amounts to: a sentence, four figures, results by class, the hours that were busiest.

import { call } from "../api.js";
import { sayRatio } from "../days.js";
import { all, el, find, reconcile, show, text } from "../dom.js";
import { duration, sayText } from "../format.js";
import { language, t } from "../i18n.js";
import { Part } from "../part.js";
import { sayClass, sayOutcome } from "./word.js";

const MOST = 12;

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
    paintHours(found.busiest_hours ?? []);
  }

  const part = new Part(find("#part-summary"), store, load, 15_000);
  return { open: () => part.open(), reload: () => part.reload() };
}

/** [[name, count]], most first. */
const counted = (found) => Object.entries(found ?? {}).sort(([, one], [, other]) => other - one);

function sentence({ count, ok_share: ok, p95 }, outcomes, seconds) {
  if (!count) return t("Nothing was asked of the model in this time.");
  const failed = outcomes.filter(([name]) => ["error", "oom", "timeout"].includes(name)).reduce((sum, [, times]) => sum + times, 0);
  const parts = [
    count === 1 ? t("One request in {duration}.", { duration: duration(seconds) }) : t("{count} requests in {duration}.", { count: sayText(count, "count"), duration: duration(seconds) }),
    failed ? (failed === 1 ? t("One failed.") : t("{count} failed.", { count: failed })) : ok >= 1 ? t("All went well.") : t("None failed."),
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

function paintHours(hours) {
  show(find("#hours").closest("section"), hours.length > 0);
  const most = Math.max(...hours.map(({ count, requests }) => count ?? requests), 1);
  const shown = [...hours].sort((one, other) => (other.count ?? other.requests) - (one.count ?? one.requests)).slice(0, 6);
  reconcile(find("#hours"), shown, {
    key: ({ hour, start_ms: start }) => hour ?? start,
    make: () => el("li", {}, el("span"), el("b"), el("meter-bar", {}, el("i"))),
    fill: (item, { hour, count, requests }) => {
      const [label, figure, bar] = item.children;
      text(label, `${String(hour).padStart(2, "0")}:00 – ${String((hour + 1) % 24).padStart(2, "0")}:00`);
      text(figure, sayText(count ?? requests, "count"));
      bar.firstChild.style.transform = `scaleX(${((count ?? requests) / most).toFixed(3)})`;
    },
  });
}
