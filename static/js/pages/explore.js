// Explore: one query, asked over a range (chart) or at its end (table), and everything one does with the answer.

import { call } from "../api.js";
import { Charts } from "../charts.js";
import { all, el, find, show, text } from "../dom.js";
import { fullName, placeOf, sayError, seriesOf, tableOf, widthOf } from "../explore/answer.js";
import { readLink, readOff, sayOff, stepMs, writeLink } from "../explore/link.js";
import { notesOf, paintNotes } from "../explore/note.js";
import { pastQueries, rememberQuery, startPast } from "../explore/past.js";
import { Table } from "../explore/table.js";
import { startTaking } from "../explore/take.js";
import { sayDayClock, sayText, seconds } from "../format.js";
import { History } from "../history.js";
import { t } from "../i18n.js";
import { Editor } from "../promql/editor.js";
import { Source } from "../promql/source.js";
import { guessUnit } from "../promql/tokens.js";

/** Most series drawn, and most rows shown: what a page can hold without becoming slow. */
const MOST = 200;
const MOST_ROWS = 1000;
/** After so long a wait the query can be cancelled. */
const SLOW_MS = 500;

export function start(store) {
  new Explore(store);
}

class Explore {
  constructor(store) {
    this.store = store;
    this.words = new Map(store.first.words.map((word) => [word.name, word]));
    this.source = new Source(() => store.window());
    this.editor = new Editor(this.source, this.words);
    this.history = new History();
    this.panel = { id: "explore", unit: "count", colors: {}, thresholds: [], fit: true, precise: true, pick: true };
    this.charts = new Charts(store, this.history);
    this.chart = this.charts.add(find("#view-chart"), this.panel);
    this.table = new Table();
    this.answer = null;
    this.keys = []; // of the series that were drawn last
    this.enable(false);
    this.listen();
    startTaking(this);
    startPast();
    this.source.metrics(); // so that the first proposal needs no wait
    this.follow(readLink(location.search));
  }

  listen() {
    const { store, editor } = this;
    find("#ask").addEventListener("submit", (event) => { event.preventDefault(); if (this.slow) this.cancel(); else this.run(); });
    editor.addEventListener("run", () => this.run());
    editor.addEventListener("past", ({ detail }) => this.recall(detail));
    store.on("range", () => { if (!this.following) this.run({ typed: false }); });
    addEventListener("popstate", () => this.follow(readLink(location.search)));
    for (const tab of all("#tabs [role=tab]")) {
      tab.addEventListener("click", () => this.setTab(tab.dataset.tab));
      tab.addEventListener("keydown", (event) => { if (/^Arrow(Left|Right)$/.test(event.key)) { this.setTab(this.tab === "chart" ? "table" : "chart"); find(`#tab-${this.tab}`).focus(); } });
    }
    find("#step").addEventListener("change", () => this.run({ typed: false }));
    find("#unit").addEventListener("change", () => { this.paint(); this.keep(); });
    find("#refresh").addEventListener("change", () => { this.schedule(); this.keep(); });
    find("#legend").addEventListener("chosen", () => { this.keep(); this.sayHidden(); });
    for (const type of ["pointerover", "focusin"]) find("#legend").addEventListener(type, ({ target }) => this.pickRow(target.closest("[data-key]")));
    find("#legend").addEventListener("pointerleave", () => this.pickRow(null));
    find("[data-action=show-all]").addEventListener("click", () => this.chart.legend.choose(new Set()));
    document.addEventListener("click", ({ target }) => {
      const query = target.closest?.("[data-query]")?.dataset.query;
      if (query === undefined) return;
      find("#recent").open = false;
      editor.value = query;
      this.run();
    });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.schedule(); });
    addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.slow) this.cancel();
      if (event.key === "/" && !event.target.closest("input, textarea, select, dialog")) { event.preventDefault(); editor.focus(); }
    });
    find("#view-chart").addEventListener("drawn", ({ detail }) => {
      show(find(".chart-empty"), !detail.some);
      text(find("#axis-unit"), detail.some ? detail.unit : "");
    });
  }

  // --- state and address ---------------------------------------------------------------------------------------------

  /** Take everything from an address and run it. */
  follow(link) {
    this.following = true;
    if (link.start !== null && link.end !== null) this.store.setWindow(link.start, link.end);
    else if (link.range) this.store.setRange(link.range, { remember: false });
    this.following = false;
    this.link = link;
    this.editor.value = link.query;
    this.setTab(link.tab, { run: false });
    choose(find("#step"), link.step);
    choose(find("#unit"), link.unit);
    choose(find("#refresh"), link.refresh);
    if (link.query) this.run({ push: false });
    else { this.clear(); this.editor.focus(); }
  }

  /** The address of what is shown; `fixed` with its times instead of the moving range. */
  address({ fixed = false } = {}) {
    const { range } = this.store;
    const { start, end } = this.store.window();
    const custom = range.key === "custom";
    const off = this.link ?? sayOff(this.chart.legend.off, this.keys);
    const state = {
      query: this.query ?? this.editor.value.trim(), tab: this.tab, step: find("#step").value, unit: find("#unit").value, refresh: fixed ? "" : find("#refresh").value,
      range: custom ? "" : range.key, start: fixed || custom ? start : null, end: fixed || custom ? end : null, hide: off.hide, only: off.only,
    };
    return `${location.origin}${location.pathname}?${writeLink(state)}`;
  }

  keep({ push = false } = {}) {
    const address = this.address();
    if (address === location.href) return;
    if (push) window.history.pushState(null, "", address);
    else window.history.replaceState(null, "", address);
  }

  setTab(name, { run = true } = {}) {
    this.tab = name;
    for (const tab of all("#tabs [role=tab]")) {
      tab.setAttribute("aria-selected", String(tab.dataset.tab === name));
      tab.tabIndex = tab.dataset.tab === name ? 0 : -1;
      show(find(`#view-${tab.dataset.tab}`), tab.dataset.tab === name);
    }
    for (const node of all(".choice.only-chart")) show(node, name === "chart");
    this.sayHidden();
    if (run && this.query) this.run({ typed: false });
    else if (run) this.keep();
  }

  // --- asking --------------------------------------------------------------------------------------------------------

  /** Ask the query in the box (`typed`), or the one that is shown once more. */
  async run({ typed = true, push = true } = {}) {
    const query = typed ? this.editor.value.trim() : this.query;
    if (!query) {
      if (typed) { this.query = null; this.link = null; this.clear(); this.keep({ push }); }
      return;
    }
    this.asking?.abort();
    const mine = (this.asking = new AbortController());
    if (query !== this.query && this.query) this.chart.legend.off = new Set();
    this.query = query;
    this.store.freeze();
    if (typed) rememberQuery(query);
    this.keep({ push });
    const begun = performance.now();
    this.busy(true);
    try {
      const [answer] = await Promise.all([this.tab === "chart" ? this.askRange(query, mine.signal) : this.askNow(query, mine.signal), this.source.metrics()]);
      if (mine !== this.asking) return;
      this.answer = { ...answer, query, seconds: (performance.now() - begun) / 1000 };
      if (typed || this.editor.value.trim() === query) this.editor.accept();
      this.paint();
    } catch (error) {
      if (error.name === "AbortError" || mine !== this.asking) return;
      this.refuse(error, query);
    } finally {
      if (mine === this.asking) {
        this.busy(false);
        this.schedule();
      }
    }
  }

  /** The button offers to cancel only what takes long enough to read it. */
  busy(on) {
    find("#outcome").toggleAttribute("aria-busy", on);
    clearTimeout(this.waiting);
    if (on) this.waiting = setTimeout(() => { this.slow = true; find("#run").toggleAttribute("data-asking", true); }, SLOW_MS);
    else { this.slow = false; find("#run").removeAttribute("data-asking"); }
  }

  cancel() {
    this.asking?.abort();
    this.asking = null;
    this.busy(false);
    find("#refresh").value = "";
    find("#outcome").classList.toggle("old", Boolean(this.answer));
    if (this.answer) text(find("#facts"), t("Cancelled; below is the answer to the query before."));
    else this.editor.remark(t("Cancelled."));
  }

  async askRange(query, signal) {
    const { start, end, step: suited } = this.store.window();
    const step = find("#step").value ? stepMs(find("#step").value) : suited;
    const grid = { start: Math.ceil(start / step) * step, end: Math.max(Math.floor(end / step), Math.ceil(start / step)) * step, step };
    const { data, ...notes } = await ask("query_range", { query, start: grid.start / 1000, end: grid.end / 1000, step: step / 1000, limit: MOST + 1 }, signal);
    const { series, common, told } = seriesOf(data.result, grid, MOST);
    this.keys = series.map((one) => one.key);
    if (this.link) this.chart.legend.off = readOff(this.link, this.keys);
    this.link = null;
    this.history.load({ ...grid, panels: { explore: { series } } });
    return { ...notesOf(notes), tab: "chart", series, common, told, grid, more: data.result.length > MOST };
  }

  async askNow(query, signal) {
    const { data, ...notes } = await ask("query", { query, time: this.store.window().end / 1000, limit: MOST_ROWS + 1 }, signal);
    const table = tableOf(data);
    return { ...notesOf(notes), tab: "table", table, common: table.common, told: table.columns.filter((name) => name !== "@time"), more: table.rows.length > MOST_ROWS };
  }

  refuse(error, query) {
    const same = this.editor.value.trim() === query;
    const lead = this.editor.value.length - this.editor.value.trimStart().length;
    const place = same ? placeOf(error, query) : null;
    this.editor.complain([sayError(error), error.suggestion].filter(Boolean).join(" "), place?.map((at) => at + lead) ?? null);
    find("#outcome").classList.toggle("old", Boolean(this.answer));
    if (this.answer) text(find("#facts"), t("The query above has an error; below is the answer to the one before."));
    find("#refresh").value = "";
  }

  schedule() {
    clearTimeout(this.timer);
    const every = Number(find("#refresh").value) * 1000;
    if (!every || !this.query || document.hidden || this.store.range.key === "custom") return;
    this.timer = setTimeout(() => (this.store.connection === "open" ? this.run({ typed: false, push: false }) : this.schedule()), every);
  }

  // --- painting ------------------------------------------------------------------------------------------------------

  clear() {
    this.answer = null;
    show(find("#start"), true);
    show(find("#answer"), false);
    this.enable(false);
  }

  enable(on) {
    for (const node of all("#csv > summary, #share > summary, #to-panel")) {
      node.classList.toggle("off", !on);
      node.setAttribute("aria-disabled", String(!on));
      if (node.tagName === "BUTTON") node.disabled = !on;
    }
  }

  paint() {
    const { answer } = this;
    if (!answer) return;
    show(find("#start"), false);
    show(find("#answer"), true);
    find("#outcome").classList.remove("old");
    this.enable(true);
    this.guess = guessUnit(answer.query, this.words, this.source.metadata);
    text(find("#unit option"), t("auto ({unit})", { unit: find(`#unit option[value="${this.guess}"]`).textContent }));
    text(find("#step option"), answer.grid && !find("#step").value ? t("auto ({unit})", { unit: sayText(answer.grid.step / 1000, "seconds") }) : t("auto"));
    text(find("#facts"), this.facts(answer).join(" · "));
    const common = Object.keys(answer.common).length && (answer.series ?? answer.table.rows).length > 1 ? t("all: {labels}", { labels: fullName(answer.common) }) : "";
    text(find("#common"), common);
    const cut = answer.tab === "chart" ? t("There are more than {count} series; the first {count} are drawn. Narrow the query down, for example with topk(20, …).", { count: MOST }) : t("There are more than {count} rows; the first {count} are shown.", { count: MOST_ROWS });
    paintNotes(answer, answer.more ? cut : null);
    if (answer.tab === "chart") {
      this.panel.unit = this.unit === "count" ? "" : this.unit;
      find("#legend").style.setProperty("--letters", Math.max(8, ...answer.series.map(({ title }) => widthOf(title))));
      this.charts.redraw();
      this.sayHidden();
    } else {
      this.table.paint(answer.table, this.unit, MOST_ROWS);
    }
  }

  get unit() {
    return find("#unit").value || this.guess || "count";
  }

  facts({ tab, series, table, grid, seconds: took }) {
    if (tab === "table") {
      const count = table.rows.length;
      return [count === 1 ? t("one row") : t("{count} rows", { count: Math.min(count, MOST_ROWS) }), t("at {time}", { time: sayDayClock(this.store.window().end) }), seconds(took)];
    }
    return [series.length === 1 ? t("one series") : t("{count} series", { count: series.length }), t("a point every {step}", { step: sayText(grid.step / 1000, "seconds") }), seconds(took)];
  }

  sayHidden() {
    show(find("[data-action=show-all]"), this.tab === "chart" && this.keys.some((key) => this.chart.legend.off.has(key)));
  }

  pickRow(row) {
    if (this.chart.frame) this.chart.pick(row ? this.answer.series?.find((one) => one.key === row.dataset.key) ?? null : null);
  }

  // --- queries of before ---------------------------------------------------------------------------------------------

  /** Step through the queries of before, as a shell does. */
  recall(by) {
    const queries = pastQueries();
    const at = queries.indexOf(this.editor.value.trim()) + by;
    if (at >= 0 && at < queries.length) this.editor.value = queries[at];
  }
}

/** Select a value; one that is not offered yet is added. */
function choose(select, value) {
  if (value && ![...select.options].some((option) => option.value === value)) select.append(el("option", { value }, value));
  select.value = value;
}

/** Ask the Prometheus API, by POST: queries may be longer than addresses. */
const ask = (path, parameters, signal) => call(`/api/v1/${path}`, { method: "POST", body: new URLSearchParams(parameters), signal });
