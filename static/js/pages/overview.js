// The overview: tiles, event strip, charts, what needs a person, GPUs and results.

import { fillList, handleActions, isMuted } from "../alerts.js";
import { call } from "../api.js";
import { Charts } from "../charts.js";
import { toast } from "../dialog.js";
import { all, el, find, show, text } from "../dom.js";
import { rangeLabel, sayDayClock, sayMoment } from "../format.js";
import { paintBars, paintGpus } from "../gpus.js";
import { History } from "../history.js";
import { language, t } from "../i18n.js";
import { startStrip } from "../strip.js";
import { startTiles } from "../tiles.js";

/** Ranges whose newest point moves visibly; longer ones are drawn every few seconds only. */
const LIVELY = 2 * 3600_000;

export function start(store) {
  const history = new History();
  const charts = new Charts(store, history);
  const tiles = startTiles(store, history);
  const strip = startStrip(store);
  const panels = store.first.panels.filter((panel) => panel.kind === "chart");
  const bars = store.first.panels.filter((panel) => panel.kind === "bars");
  panels.forEach((panel) => addChart(charts, panel, store));
  let loading = null;
  let drawn = 0;

  async function load() {
    loading?.abort();
    const mine = (loading = new AbortController());
    const { start: from, end, step } = store.window();
    const query = new URLSearchParams({ page: "overview", start: Math.round(from), end: Math.round(end), step });
    try {
      history.load(await call(`/api/panels?${query}`, { signal: mine.signal }));
    } catch (error) {
      complain(error);
      return;
    }
    if (fitFirst(store, history)) return;
    paintBars(history, bars, rangeName(store));
    draw();
    await strip.load().catch(complain); // the charts do not wait for what happened
  }

  function complain(error) {
    if (error.name !== "AbortError" && store.connection === "open") toast(t("The history could not be loaded: {reason}", { reason: error.message }), "critical");
  }

  function draw() {
    drawn = Date.now();
    charts.redraw();
    tiles.draw();
    strip.paint();
  }

  const reload = () => load().catch((error) => console.error(error));
  store.on("tick", ({ time_ms: time, panels: values }) => {
    tiles.paint();
    paintGpus(store);
    showGpuCharts(store, panels);
    if (!store.live || !history.times.length) return;
    const unknown = history.append(time, values);
    if (unknown) reload();
    else if (store.range.span <= LIVELY || Date.now() - drawn > 5000) draw();
  });
  store.on("state", () => paintState(store));
  store.on("range", reload);
  store.on("pause", (paused) => { if (!paused) reload(); });
  store.on("connection", ({ connection, before }) => { if (connection === "open" && before !== "open") reload(); });
  store.on("events", (events) => { charts.bands = bandsOf(events, store); charts.redraw(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) draw(); });
  setInterval(() => { if (store.live && !document.hidden && store.connection === "open") refreshSlow(store, history, strip, bars); }, 30_000);
  handleActions(find("#needs"), store);
  document.addEventListener("click", (event) => {
    if (event.target.closest("#csv-all, #csv-phone, [data-action=csv]")) linkExports(store, panels);
  }, true);
  linkExports(store, panels);
  paintState(store);
  paintGpus(store);
}

/** A young installation has minutes of history, not an hour: show those, unless the visitor chose a range. */
function fitFirst(store, history) {
  if (store.chosen) return false;
  store.chosen = true;
  let first = Infinity;
  history.each((_, { values }) => {
    const index = values.findIndex((value) => value !== null);
    if (index >= 0) first = Math.min(first, history.times[index]);
  });
  const age = (store.now() - first) / 1000;
  const key = age < 240 ? "5m" : age < 720 ? "15m" : null;
  if (key) store.setRange(key, { remember: false });
  return Boolean(key);
}

/** What need not move every second: the lists of bars and events. */
async function refreshSlow(store, history, strip, bars) {
  const { start: from, end, step } = store.window();
  const query = new URLSearchParams({ page: "overview", start: Math.round(from), end: Math.round(end), step });
  bars.forEach((panel) => query.append("panel[]", panel.id));
  try {
    if (bars.length) for (const [id, found] of Object.entries((await call(`/api/panels?${query}`)).panels)) history.panels.set(id, found);
    paintBars(history, bars, rangeName(store));
    await strip.load();
  } catch {
    // The connection banner speaks where the server is gone; the next round tries again.
  }
}

function addChart(charts, panel, store) {
  const section = find(`[data-chart="${panel.id}"]`);
  const chart = charts.add(section, panel);
  section.addEventListener("drawn", ({ detail }) => {
    text(find("[data-field=unit]", section), detail.unit === "/s" ? t("per second") : detail.unit);
    const empty = find(".chart-empty", section);
    show(empty, !detail.some);
    const { error } = charts.history.panels.get(panel.id) ?? {};
    if (!detail.some) empty.replaceChildren(...(error ? [el("p", { className: "chart-failed" }, t("The query fails: {reason}", { reason: error }))] : emptyHint(panel)));
  });
  for (const link of all("[data-action=explore]", section)) linkExplore(link, panel.lines.filter((line) => line.style === "line"), panel, store);
  find("[data-action=png]", section).addEventListener("click", async () => {
    if (section.classList.contains("is-empty")) return;
    el("a", { href: await chart.png(), download: `${store.first.state.name}-${panel.id}.png` }).click();
  });
}

/** From a chart to its query on the Explore page, one entry for each line. */
function linkExplore(link, lines, panel, store) {
  const line = lines[Number(link.dataset.line)];
  const name = line.legend.replace(/\[.*?\]/g, "");
  if (lines.length > 1) text(find("span", link), t("Explore: {line}", { line: t(name) }));
  link.addEventListener("pointerdown", point);
  link.addEventListener("focus", point);
  link.addEventListener("click", point);
  function point() {
    const { start: from, end, step } = store.window();
    const window = Math.max(30_000, step, 4 * store.first.interval_ms) / 1000;
    const query = line.expr.trim().replaceAll("$window", `${window}s`).replaceAll("$range", `${Math.round((end - from) / 1000)}s`);
    const times = store.range.key === "custom" ? { start: Math.round(from), end: Math.round(end) } : { range: store.range.key };
    link.href = `/explore?${new URLSearchParams({ q: query, ...times, ...(panel.unit === "count" ? {} : { unit: panel.unit }) })}`;
  }
}

function emptyHint(panel) {
  if (panel.hint === "no_requests") return [el("p", {}, t("No requests in this time."))];
  if (panel.hint !== "first_prediction") return [el("p", {}, t("No data in this time."))];
  const command = `curl -F file=@photo.jpg ${location.origin}/predict`;
  return [el("p", {}, t("No requests in this time. Send one from a shell, or try the model on its page:")), el("pre", { className: "command" }, command)];
}

function paintState(store) {
  const { state } = store;
  const headline = state.headline[language];
  text(find("#headline"), headline.title);
  text(find("#facts"), headline.facts.join(" · "));
  find("#dot").dataset.state = state.level;
  const alerts = state.alerts.filter((alert) => !isMuted(alert));
  fillList(find("#needs"), alerts, store.first.may.operator);
  show(find("#needs-empty"), alerts.length === 0);
  text(find("#needs-count"), alerts.length || "");
}

function showGpuCharts(store, panels) {
  const some = Object.keys(store.values.gpus ?? {}).length > 0;
  find("#charts").toggleAttribute("data-gpu", some);
  for (const panel of panels) if (panel.needs === "gpu") show(find(`[data-chart="${panel.id}"]`), some);
}

function bandsOf(events, store) {
  const { end } = store.window();
  const bands = [];
  for (const level of ["warning", "critical"]) { // info is not worth a shade
    let last = null;
    for (const event of events) { // they come in the order of their beginnings
      if (event.kind === "action" || event.level !== level) continue;
      const to = event.end_ms ?? end + 3600_000;
      if (last && event.time_ms <= last.to) last.to = Math.max(last.to, to);
      else bands.push((last = { from: event.time_ms, to, level }));
    }
  }
  return bands;
}

function rangeName(store) {
  const { key, start: from, end } = store.range;
  return key === "custom" ? `${sayDayClock(from)} – ${sayMoment(end, from)}` : t("last {range}", { range: rangeLabel(key) });
}

function linkExports(store, panels) {
  const { start: from, end } = store.window();
  const link = (metrics) => {
    const query = new URLSearchParams({ start: (from / 1000).toFixed(3), end: (end / 1000).toFixed(3) });
    metrics.forEach((metric) => query.append("match[]", metric));
    return `/api/export.csv?${query}`;
  };
  const shown = panels.filter((panel) => !find(`[data-chart="${panel.id}"]`).hidden);
  const everything = [...new Set(shown.flatMap((panel) => panel.metrics))];
  for (const anchor of all("#csv-all, #csv-phone")) anchor.href = link(everything);
  for (const panel of panels) find(`[data-chart="${panel.id}"] [data-action=csv]`).href = link(panel.metrics);
}
