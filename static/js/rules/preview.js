// When a rule would have fired: a sentence, a chart with the times shaded and the threshold drawn, and the times in words.

import { unitOf } from "../alerts/measure.js";
import { call } from "../api.js";
import { Charts } from "../charts.js";
import { all, el, find, reconcile, show, text } from "../dom.js";
import { duration, sayDayClock, sayMoment } from "../format.js";
import { History } from "../history.js";
import { sayReason, t } from "../i18n.js";
import { Still } from "../still.js";

/** Most series drawn, and most times listed. */
const MOST = 24;
const LISTED = 8;

const HIDDEN = new Set(["__name__", "alertname"]);
const sayLabels = (labels, isShown = () => true) => Object.entries(labels).filter(([name]) => !HIDDEN.has(name) && isShown(name)).map(([name, value]) => `${name}=${value}`).join(" ");

/** Says of labels those only that differ, and none that tells apart what an earlier one does already (a GPU's uuid). */
function naming(everywhere) {
  const told = new Map(); // what a label tells apart → its name
  for (const name of new Set(everywhere.flatMap(Object.keys))) {
    const values = everywhere.map((labels) => labels[name]);
    const kinds = values.map((value) => values.indexOf(value)).join();
    if (new Set(values).size > 1 && !told.has(kinds)) told.set(kinds, name);
  }
  const names = new Set(told.values());
  return (labels) => sayLabels(labels, (name) => names.has(name));
}

export class Preview {
  constructor() {
    this.store = new Still();
    this.history = new History();
    this.charts = new Charts(this.store, this.history);
    this.panel = { id: "preview", unit: "count", colors: {}, thresholds: [], fit: false };
    this.charts.add(find("#preview-chart"), this.panel);
    find("#preview-hours").addEventListener("change", () => this.show(this.rule, { anew: true }));
  }

  /** `rule` as ruleAt gives it, null for none. */
  async show(rule, { anew = false } = {}) {
    const key = rule && `${rule.name}\n${rule.kind}\n${rule.expr}\n${rule.for}\n${rule.keep_firing_for}`;
    this.rule = rule;
    if (!rule || (key === this.key && !anew)) return;
    this.key = key;
    this.asking?.abort();
    const mine = (this.asking = new AbortController());
    text(find("#preview-name"), rule.name);
    find("#preview").setAttribute("aria-busy", "true");
    const hours = Number(find("#preview-hours").value);
    const json = { expr: rule.expr, hours, ...(rule.for ? { for: rule.for } : {}), ...(rule.keep_firing_for ? { keep_firing_for: rule.keep_firing_for } : {}) };
    try {
      const found = await call("/api/rules/preview", { method: "POST", json, signal: mine.signal });
      if (mine === this.asking) this.#paint(rule, hours, found);
    } catch (error) {
      if (error.name !== "AbortError" && mine === this.asking) this.#refuse(error);
    } finally {
      if (mine === this.asking) find("#preview").removeAttribute("aria-busy");
    }
  }

  #refuse(error) {
    this.key = null;
    find("#verdict").dataset.state = "";
    text(find("#verdict"), t("No preview: {reason}", { reason: sayReason(error.message) }));
    show(find("#preview-chart"), false);
    find("#spans").replaceChildren();
  }

  #paint(rule, hours, found) {
    const { fired, firing_seconds: firing, spans } = found;
    const known = (found.end_ms - found.start_ms) / 1000; // less than was asked for where history does not reach so far back
    const isShort = hours * 3600 - known > 2 * found.step_seconds;
    const range = isShort ? duration(known) : hours >= 48 ? t("{count} days", { count: hours / 24 }) : hours === 1 ? t("hour") : t("{count} hours", { count: hours });
    const verdict = find("#verdict");
    verdict.dataset.state = rule.kind === "alert" && fired ? "warning" : "";
    if (rule.kind === "record") text(verdict, t("A recording rule: what it would have recorded."));
    else if (!fired) text(verdict, t("It would not have fired in the last {range}.", { range }));
    else text(verdict, fired === 1 ? t("It would have fired once in the last {range}, for {duration}.", { range, duration: duration(firing) }) : t("It would have fired {count} times in the last {range}, for {duration} in all.", { count: fired, range, duration: duration(firing) }));
    if (isShort) verdict.append(` ${t("There is no older history.")}`);
    const say = naming([...found.series, ...spans].map(({ labels }) => labels ?? {}));
    this.#draw(rule, found, say);
    reconcile(find("#spans"), spans.slice(-LISTED).reverse(), {
      key: (span) => `${span.start_ms}${JSON.stringify(span.labels)}`,
      make: () => el("li", {}, el("time"), el("span", { className: "mono" })),
      fill: (item, span) => {
        const end = span.is_open ? t("now") : sayMoment(span.end_ms, span.start_ms);
        text(item.firstChild, `${sayDayClock(span.start_ms)} – ${end} (${duration((span.end_ms - span.start_ms) / 1000)})`);
        text(item.lastChild, say(span.labels ?? {}));
        item.title = sayLabels(span.labels ?? {});
      },
    });
    if (spans.length > LISTED) find("#spans").append(el("li", { className: "mute" }, t("and {count} more", { count: spans.length - LISTED })));
  }

  #draw(rule, { start_ms: start, end_ms: end, step_seconds: every, spans, series, threshold }, say) {
    const shown = series.slice(0, MOST).filter(({ points }) => points.length);
    const wasHidden = find("#preview-chart").hidden;
    show(find("#preview-chart"), shown.length > 0);
    if (!shown.length) return;
    const step = every * 1000;
    const count = Math.floor((end - start) / step) + 1;
    this.store.shown = { start, end, step };
    const drawn = shown.map(({ labels, points }) => {
      const values = new Array(count).fill(null);
      for (const [time, value] of points) values[Math.round((time - start) / step)] = value;
      const full = sayLabels(labels ?? {}) || labels?.__name__ || rule.name;
      return { key: full, title: say(labels ?? {}) || labels?.__name__ || rule.name, full, legend: "", labels: {}, style: "line", values };
    });
    this.panel.unit = unitOf(rule.expr);
    this.panel.thresholds = threshold ? [{ at: threshold.value, level: "critical" }] : [];
    this.charts.bands = spans.map((span) => ({ from: span.start_ms, to: span.end_ms, level: "warning" }));
    this.history.load({ ...this.store.shown, panels: { preview: { series: drawn } } });
    if (wasHidden) for (const chart of this.charts.charts) chart.visible = true;
    this.charts.redraw();
    for (const button of all("#preview-chart .legend button")) button.title ||= button.textContent;
  }
}
