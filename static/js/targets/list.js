// The list of targets: a sentence over all, then a row for each, what is down first.

import { call } from "../api.js";
import { sayRatio, stateOfDay } from "../days.js";
import { el, field, find, icon, reconcile, show, text } from "../dom.js";
import { sayFull } from "../format.js";
import { t } from "../i18n.js";
import { Part } from "../part.js";
import { sparkPaths } from "../spark.js";
import { ICONS, TIMED, daysOf, kindsOf, latencyOf, lookOf, pathOf, sayKind, sayLatency, sayState, sentence, settled, sorted, standing, uptimeOf } from "./word.js";

const SVG = "http://www.w3.org/2000/svg";
const DAYS = 90;
const HEIGHT = 22;
/** From so many on, they can be filtered. */
const MANY = 9;
const SPARK_MS = 3600_000;
const SPARK_STEP_MS = 60_000;
const LATENCY = `max by (target) (avg_over_time(probe_duration_seconds{probe=~"${TIMED.join("|")}"}[1m]))`;

/** `came(targets)` hears of every list. */
export function startList(store, came = () => {}) {
  const list = find("#target-list");
  const filter = find("#target-filter");
  let targets = [];

  async function load() {
    const query = new URLSearchParams({ tz: Intl.DateTimeFormat().resolvedOptions().timeZone });
    targets = (await call(`/api/targets?${query}`)).targets.map(settled);
    paint();
    came(targets);
  }

  function paint() {
    const words = filter.value.trim().toLowerCase();
    const shown = sorted(targets).filter(({ name, note, reason }) => !words || `${name} ${note ?? ""} ${reason ?? ""}`.toLowerCase().includes(words));
    const now = store.now();
    text(find("#standing"), targets.length ? sentence(targets, now) : "");
    find("#standing").dataset.state = targets.some(({ state }) => state === "down") ? "critical" : targets.length ? "ok" : "";
    show(filter.closest(".bar"), targets.length >= MANY);
    show(list, shown.length > 0);
    show(find("#targets-head"), shown.length > 0);
    show(find("#targets-empty"), targets.length === 0);
    show(find("#targets-none"), targets.length > 0 && shown.length === 0);
    reconcile(list, shown, { key: ({ name }) => name, make: makeRow, fill: (row, target) => fillRow(row, target, now) });
  }

  async function loadSparks() {
    const end = Math.round(store.now() / 1000);
    const start = end - SPARK_MS / 1000;
    const { data } = await call(`/api/v1/query_range?${new URLSearchParams({ query: LATENCY, start, end, step: SPARK_STEP_MS / 1000 })}`);
    for (const { metric, values } of data.result) {
      const row = list.querySelector(`[data-key="${CSS.escape(metric.target)}"]`);
      if (row) drawSpark(find(".spark", row), values, start, end);
    }
  }

  filter.addEventListener("input", paint);
  const part = new Part(find("#part-targets"), store, load, 5000);
  const sparks = new Part(find("#part-sparks"), store, loadSparks, 30_000);
  return { open: () => part.open().then(() => sparks.open()), reload: () => part.reload() };
}

function svg(className, viewBox, ...paths) {
  const node = document.createElementNS(SVG, "svg");
  node.setAttribute("class", className);
  node.setAttribute("viewBox", viewBox);
  node.setAttribute("preserveAspectRatio", "none");
  node.setAttribute("aria-hidden", "true");
  for (const name of paths) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("class", name);
    node.append(path);
  }
  return node;
}

function makeRow() {
  const said = (name) => el("span", { data: { field: name } });
  return el("li", { className: "target-row" },
    el("i", { className: "dot", "aria-hidden": "true" }),
    el("div", { className: "target-name" }, el("p", {}, el("a", { data: { field: "name" } }), el("span", { className: "chip", data: { field: "standby" }, hidden: true }, t("on standby"))), el("p", { className: "mute", data: { field: "note" } })),
    el("div", { className: "target-state" }, el("b", { data: { field: "state" } }), el("p", { data: { field: "standing" } })),
    el("div", { className: "target-days" }, svg("day-bars", `0 0 ${DAYS * 3} ${HEIGHT}`, "ok", "warning", "critical", "none"), el("span", { className: "visually-hidden", data: { field: "days" } })),
    el("dl", { className: "target-figures" }, ...["24h", "30d"].map((key) => el("div", {}, el("dt", {}, t(`${key.slice(0, -1)} ${key.slice(-1)}`)), el("dd", { data: { field: key } }, "–")))),
    el("div", { className: "target-latency" }, svg("spark", "0 0 100 28", "area", "line"), said("latency")),
    el("ul", { className: "kinds", "aria-label": t("What watches it") }));
}

function fillRow(row, target, now) {
  row.dataset.state = lookOf(target.state);
  const name = field(row, "name");
  name.href = pathOf(target.name);
  text(name, target.name);
  text(field(row, "note"), target.note ?? "");
  show(field(row, "standby"), Boolean(target.standby?.active));
  text(field(row, "state"), sayState(target.state));
  const said = field(row, "standing");
  text(said, standing(target, now));
  said.title = target.since_ms ? sayFull(target.since_ms) : "";
  const uptime = uptimeOf(target);
  text(field(row, "24h"), sayRatio(uptime["24h"]));
  text(field(row, "30d"), sayRatio(uptime["30d"]));
  fillDays(row, daysOf(target), uptime["90d"]);
  text(field(row, "latency"), sayLatency(latencyOf(target)));
  fillKinds(find(".kinds", row), target);
}

function fillDays(row, days, ratio) {
  const shown = days.slice(-DAYS);
  const paths = { ok: "", warning: "", critical: "", none: "" };
  shown.forEach((day, at) => {
    const state = stateOfDay(day);
    // A lost day is shorter as well: one sees it without telling the colours apart.
    const tall = state === "ok" ? HEIGHT : state === "none" ? 3 : Math.max(5, Math.min(18, HEIGHT * day.ratio - 4));
    paths[state] += `M${(DAYS - shown.length + at) * 3} ${HEIGHT}v-${tall.toFixed(1)}h2v${tall.toFixed(1)}z`;
  });
  for (const [state, path] of Object.entries(paths)) find(`.day-bars .${state}`, row).setAttribute("d", path);
  row.classList.toggle("is-dayless", shown.length === 0);
  text(field(row, "days"), shown.length ? t("In the last 90 days: {ratio}", { ratio: sayRatio(ratio) }) : "");
}

function fillKinds(list, target) {
  const found = kindsOf(target).map((kind) => ({ key: kind, icon: ICONS[kind] ?? "question-circle-fill", said: sayKind(kind) }));
  if (target.remedies?.length) found.push({ key: "remedies", icon: "lightning-charge", said: target.remedies.length === 1 ? t("one remedy") : t("{count} remedies", { count: target.remedies.length }) });
  reconcile(list, found, {
    key: (one) => one.key,
    make: (one) => el("li", {}, icon(one.icon), el("span", { className: "visually-hidden" })),
    fill: (item, one) => { item.title = one.said; text(item.lastChild, one.said); },
  });
}

function drawSpark(box, values, start, end) {
  const times = values.map(([time]) => time);
  const { line, area } = sparkPaths(times, values.map(([, value]) => (Number.isFinite(Number(value)) ? Number(value) : null)), start, end);
  find(".line", box).setAttribute("d", line);
  find(".area", box).setAttribute("d", area);
}
