// The only file that touches Plotly. A board of charts shares one time axis, one cross-hair and one zoom. Only what can
// be seen is drawn, in animation frames, and nothing in a hidden tab.

import { axisUnit, sayExact, sayDayClock, timeTicks, valueTicks } from "./format.js";
import { Legend } from "./legend.js";
import { drawLines } from "./lines.js";

/** A time so near to the corner, in pixels, would run into the lowest value's number. */
const CORNER = 16;
const MARGIN = { l: 46, r: 12, t: 6, b: 22 };
/** What one animation frame may spend on charts before the rest waits for the next, in ms. */
const BUDGET = 12;
/** Up to so many series are Plotly's to draw; more are lines on a canvas under its axes, some twenty times faster. */
const APART = 24;
/** How near to a line the pointer picks it, in pixels. */
const NEAR = 40;

export class Charts {
  constructor(store, history) {
    this.store = store;
    this.history = history;
    this.charts = [];
    this.bands = [];
    this.pending = new Set();
    this.held = false;
    this.colors = readColors();
    this.seen = new IntersectionObserver((entries) => this.look(entries), { rootMargin: "80px" });
    this.sized = new ResizeObserver(() => this.redraw());
    document.addEventListener("visibilitychange", () => this.schedule());
    document.addEventListener("themechange", () => { this.colors = readColors(); this.redraw(); });
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { this.held = false; this.schedule(); });
    store.on("cursor", (time) => { this.cursor = time; this.point(); });
  }

  add(section, panel) {
    const chart = new Chart(this, section, panel);
    this.charts.push(chart);
    this.seen.observe(section);
    this.sized.observe(chart.plot);
    return chart;
  }

  look(entries) {
    for (const { target, isIntersecting } of entries) {
      const chart = this.charts.find((one) => one.section === target);
      chart.visible = isIntersecting;
      if (isIntersecting && chart.stale) this.mark(chart);
    }
  }

  /** Draw everything again, as soon as it can be seen. */
  redraw() {
    this.charts.forEach((chart) => this.mark(chart));
  }

  mark(chart) {
    chart.stale = true;
    this.pending.add(chart);
    this.schedule();
  }

  schedule() {
    if (this.frame || this.held || document.hidden) return;
    this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = 0;
    if (this.held) return; // drawing now would end the drag under way; its end schedules again
    const start = performance.now();
    for (const chart of [...this.pending]) {
      if (performance.now() - start > BUDGET) {
        this.schedule();
        return;
      }
      this.pending.delete(chart);
      if (chart.visible && !chart.section.hidden) chart.draw();
    }
  }

  /** Follow the pointer in all charts, once per animation frame. */
  point() {
    this.pointing ??= requestAnimationFrame(() => {
      this.pointing = null;
      for (const chart of this.charts) if (chart.visible) chart.point(this.cursor);
    });
  }
}

class Chart {
  constructor(board, section, panel) {
    Object.assign(this, { board, section, panel, visible: false, stale: true, traces: [] });
    this.plot = section.querySelector(".plot");
    this.canvas = document.createElement("div");
    this.cross = Object.assign(document.createElement("div"), { className: "cross", hidden: true });
    this.crossTime = Object.assign(document.createElement("div"), { className: "cross-time", hidden: true });
    this.many = Object.assign(document.createElement("canvas"), { className: "lines", hidden: true });
    this.picked = Object.assign(document.createElement("canvas"), { className: "lines picked", hidden: true });
    this.plot.append(this.canvas, this.many, this.picked, this.cross, this.crossTime);
    this.legend = new Legend(section.querySelector(".legend"), panel, () => board.mark(this));
    this.plot.addEventListener("pointermove", (event) => this.follow(event));
    this.plot.addEventListener("pointerleave", () => board.store.emit("cursor", null));
    this.plot.addEventListener("pointerdown", () => { board.held = true; });
  }

  /** What is drawn: the visible series on a common scale. */
  read() {
    const { history, colors } = this.board;
    const series = this.worthy((history.panels.get(this.panel.id)?.series ?? []).filter((one) => one.values));
    this.legend.name(series, colors);
    this.all = series;
    const shown = series.filter((one) => one.style !== "shade" && !this.legend.off.has(one.key));
    let [smallest, largest] = [Infinity, -Infinity];
    for (const one of shown) {
      for (const value of one.values) {
        if (value === null) continue;
        if (value > largest) largest = value;
        if (value < smallest) smallest = value;
      }
    }
    if (smallest > largest) [smallest, largest] = [0, 0];
    this.scale = axisUnit(this.panel.unit, Math.max(largest, -smallest));
    const { factor } = this.scale;
    return { shown, ticks: valueTicks(largest * factor, this.panel.unit, smallest * factor, this.panel.fit) };
  }

  /** Without the series that are 0 throughout, where the panel wants that; one is kept. */
  worthy(series) {
    if (!this.panel.quiet_zeros) return series;
    const some = series.filter((one) => one.values.some((value) => value > 0));
    return some.length ? some : series.slice(0, 1);
  }

  draw() {
    const begun = performance.now();
    const { history, store } = this.board;
    const { shown, ticks } = this.read();
    const some = this.all.some((one) => one.values.some((value) => value !== null));
    this.section.classList.toggle("is-empty", !some);
    this.section.dispatchEvent(new CustomEvent("drawn", { detail: { some, unit: this.scale.unit } }));
    this.stale = false;
    if (!some) return;
    const { start, end } = store.window();
    this.axis = { start, end, width: this.plot.clientWidth - MARGIN.l - MARGIN.r };
    this.shown = shown;
    this.many.hidden = shown.length <= APART;
    const traces = this.many.hidden ? shown.map((one) => this.trace(one)) : [];
    this.frame = { ...this.axis, low: ticks.start / this.scale.factor, high: ticks.end / this.scale.factor, margin: MARGIN };
    if (!this.many.hidden) drawLines(this.many, shown, history.times, this.frame, this.legend);
    this.pick(null);
    window.Plotly.react(this.canvas, traces, this.layout(start, end, ticks), { displayModeBar: false, responsive: false, doubleClick: false, showTips: false });
    this.listen();
    this.legend.say(this.cursorIndex(), this.scale, this.panel.unit);
    this.plot.dataset.sampleMs = history.times.at(-1) ?? "";
    this.plot.dataset.drawnMs = Date.now();
    this.plot.dataset.tookMs = (performance.now() - begun).toFixed(1);
  }

  trace(series) {
    const { times } = this.board.history;
    const { factor } = this.scale;
    const limit = series.style === "limit";
    const y = series.values.map((value) => (value === null ? null : value * factor));
    return {
      type: "scatter", mode: "lines", x: times, y, name: series.name, connectgaps: false, hoverinfo: "skip",
      line: { color: this.legend.color(series.key), width: limit ? 1 : 1.6, dash: limit ? "dot" : this.legend.dash(series.key), shape: this.panel.unit === "count" ? "hv" : "linear" },
    };
  }

  layout(start, end, value) {
    const { colors, bands } = this.board;
    const most = Math.max(2, Math.floor(this.axis.width / 84));
    const time = timeTicks(start, end, most);
    const clear = [...time.values.keys()].filter((index) => ((time.values[index] - start) / (end - start)) * this.axis.width >= CORNER);
    const line = (y, color) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color, width: 1, dash: "dash" } });
    const band = ({ from, to, color, opacity }) => ({ type: "rect", yref: "paper", y0: 0, y1: 1, x0: Math.max(from, start), x1: Math.min(to, end), fillcolor: color, opacity, line: { width: 0 }, layer: "below" });
    const shapes = [
      ...bands.filter(({ from, to }) => to > start && from < end).map((one) => band({ ...one, color: colors[one.level] ?? colors.accent, opacity: 0.07 })),
      ...this.shades().map((one) => band({ ...one, color: colors.warning, opacity: 0.16 })),
      ...this.panel.thresholds.map((bound) => ({ y: bound.at * this.scale.factor, level: bound.level }))
        .filter(({ y }) => y <= value.end && y >= value.start).map(({ y, level }) => line(y, colors[level])),
    ];
    const axis = { color: colors.mute, tickfont: { size: 11, color: colors.mute }, zeroline: false, ticks: "" };
    const ground = value.start <= 0 && value.end >= 0;
    return {
      width: this.plot.clientWidth, height: this.plot.clientHeight, margin: MARGIN, shapes, showlegend: false, hovermode: false,
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: colors.font, size: 11, color: colors.mute },
      xaxis: { ...axis, type: "linear", range: [start, end], showgrid: false, tickvals: clear.map((index) => time.values[index]), ticktext: clear.map((index) => time.labels[index]), tickangle: 0, automargin: false },
      yaxis: { ...axis, range: [value.start - (value.end - value.start) / 1000, value.end + (value.end - value.start) / 1000], gridcolor: colors.line, zeroline: ground, zerolinecolor: colors.strong, zerolinewidth: 1, tickvals: value.values, ticktext: value.labels, fixedrange: true, automargin: false },
    };
  }

  /** Stretches in which a series of style `shade` is not 0. */
  shades() {
    const { times } = this.board.history;
    const found = [];
    for (const series of this.all) {
      if (series.style !== "shade" || this.legend.off.has(series.key)) continue;
      let from = null;
      series.values.forEach((value, index) => {
        if (value > 0 && from === null) from = times[index];
        if (from !== null && (!(value > 0) || index === times.length - 1)) {
          found.push({ from, to: times[index] });
          from = null;
        }
      });
    }
    return found;
  }

  listen() {
    if (this.listening) return;
    this.listening = true;
    const { store } = this.board;
    this.canvas.on("plotly_relayout", (change) => {
      const from = change["xaxis.range[0]"];
      const to = change["xaxis.range[1]"];
      if (from !== undefined && to !== undefined) store.setWindow(Math.round(from), Math.round(to));
    });
    this.canvas.on("plotly_doubleclick", () => store.zoomOut());
  }

  follow(event) {
    if (!this.axis) return;
    const { left, top } = this.plot.getBoundingClientRect();
    const x = event.clientX - left - MARGIN.l;
    this.pointerY = event.clientY - top;
    const share = x / this.axis.width;
    const time = this.axis.start + share * (this.axis.end - this.axis.start);
    this.board.leader = this;
    this.board.store.emit("cursor", share >= 0 && share <= 1 ? time : null);
  }

  cursorIndex() {
    const { cursor, history } = this.board;
    return cursor == null ? null : history.nearest(cursor);
  }

  /** The series that runs nearest to the pointer, where it is near at all. */
  nearest() {
    const { low, high } = this.frame;
    const index = this.cursorIndex();
    const each = (high - low) / (this.plot.clientHeight - MARGIN.t - MARGIN.b);
    const wanted = high - (this.pointerY - MARGIN.t) * each;
    let best = null;
    let distance = NEAR * each;
    for (const one of this.shown) {
      const value = one.values[index];
      if (value === null || Math.abs(value - wanted) >= distance) continue;
      distance = Math.abs(value - wanted);
      best = one;
    }
    return best;
  }

  /** Draw one series over all others and mark it in the legend; null for none. */
  pick(series) {
    this.picked.hidden = !series || this.legend.off.has(series.key);
    if (!this.picked.hidden) drawLines(this.picked, [series], this.board.history.times, this.frame, this.legend, 3);
    this.legend.mark(series?.key);
  }

  point(time) {
    const on = time != null && this.axis && !this.section.classList.contains("is-empty");
    this.cross.hidden = !on;
    this.crossTime.hidden = !(on && this.board.leader === this);
    if (on) {
      const x = MARGIN.l + ((time - this.axis.start) / (this.axis.end - this.axis.start)) * this.axis.width;
      this.cross.style.transform = `translateX(${Math.round(x)}px)`;
      const near = this.panel.pick && this.board.leader === this ? this.nearest() : null;
      this.crossTime.textContent = [(this.axis.end - this.axis.start > 43200_000 ? sayDayClock : sayExact)(time), near?.name].filter(Boolean).join(" · ");
      const half = this.panel.pick ? this.crossTime.offsetWidth / 2 : 40;
      this.crossTime.style.left = `${Math.min(Math.max(x, half), this.plot.clientWidth - half)}px`;
      if (this.panel.pick) this.pick(near);
    } else if (this.panel.pick && this.frame) {
      this.pick(null);
    }
    if (this.scale) this.legend.say(this.cursorIndex(), this.scale, this.panel.unit);
  }

  /** A picture with title and legend, which on the page are not part of the plot. */
  async png() {
    const { colors } = this.board;
    const layout = { ...this.canvas.layout, width: 1200, height: 500, showlegend: true, paper_bgcolor: colors.panel, plot_bgcolor: colors.panel, margin: { l: 64, r: 24, t: 56, b: 44 },
      title: { text: `${this.section.querySelector("h2").textContent} (${this.scale.unit})`, font: { size: 18, color: colors.ink } }, legend: { orientation: "h", y: -0.1 } };
    return window.Plotly.toImage({ data: this.shown.map((one) => this.trace(one)), layout }, { format: "png", scale: 2 });
  }
}

function readColors() {
  const style = getComputedStyle(document.documentElement);
  const names = ["panel", "ink", "mute", "faint", "line", "accent", "warning", "critical", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "font"];
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  return { ...Object.fromEntries(names.map((name) => [name, read(name)])), info: read("accent"), strong: read("line-strong") };
}
