// How long a target's probes took to be answered, over a range that one chooses; its outages are shaded.

import { call } from "../api.js";
import { Charts } from "../charts.js";
import { all, find, show, text } from "../dom.js";
import { History } from "../history.js";
import { Part } from "../part.js";
import { Still } from "../still.js";
import { TIMED, sayKind } from "./word.js";

const SPANS = { "1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800, "30d": 2_592_000 };
const POINTS = 360;

export class Latency {
  constructor(store, name) {
    this.name = name;
    this.span = "6h";
    this.outages = [];
    this.clock = store;
    this.still = new Still();
    this.history = new History();
    this.charts = new Charts(this.still, this.history);
    this.charts.add(find("#latency"), { id: "latency", unit: "seconds", colors: {}, thresholds: [], fit: false });
    find("#latency").addEventListener("drawn", ({ detail }) => {
      show(find("#latency .chart-empty"), !detail.some);
      text(find("#latency-unit"), detail.some ? detail.unit : "");
    });
    this.part = new Part(find("#part-latency"), store, () => this.#load(), 30_000);
    for (const button of all("#latency-range button")) button.addEventListener("click", () => {
      this.span = button.dataset.span;
      for (const one of all("#latency-range button")) one.setAttribute("aria-pressed", String(one === button));
      this.part.reload();
    });
  }

  query() {
    return `probe_duration_seconds{target="${this.name}",probe=~"${TIMED.join("|")}"}`;
  }

  /** [{started_ms, ended_ms or null}] */
  shade(outages) {
    this.outages = outages;
    this.#bands();
    this.charts.redraw();
  }

  #bands() {
    this.charts.bands = this.outages.map(({ started_ms: from, ended_ms: to }) => ({ from, to: to ?? this.clock.now(), level: "critical" }));
  }

  async #load() {
    const step = Math.max(15, Math.ceil(SPANS[this.span] / POINTS / 15) * 15);
    const end = Math.floor(this.clock.now() / 1000 / step) * step;
    const start = end - Math.floor(SPANS[this.span] / step) * step;
    const { data } = await call(`/api/v1/query_range?${new URLSearchParams({ query: this.query(), start, end, step })}`);
    const count = (end - start) / step + 1;
    const series = data.result.map(({ metric, values }) => {
      const points = new Array(count).fill(null);
      for (const [time, value] of values) points[Math.round((time - start) / step)] = Number.isFinite(Number(value)) ? Number(value) : null;
      return { key: metric.probe ?? "probe", title: sayKind(metric.probe ?? "probe"), legend: "", labels: {}, style: "line", values: points };
    });
    this.still.shown = { start: start * 1000, end: end * 1000, step: step * 1000 };
    this.history.load({ ...this.still.shown, panels: { latency: { series } } });
    this.#bands();
    this.charts.redraw();
  }
}
