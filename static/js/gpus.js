// The right column: a card per GPU, and the lists of bars such as the results by class.

import { blank, el, field, find, reconcile, show, text } from "./dom.js";
import { sayText } from "./format.js";
import { t } from "./i18n.js";

function meter(card, name, share) {
  const bar = card.querySelector(`[data-meter="${name}"]`);
  bar.firstElementChild.style.transform = `scaleX(${Math.min(1, Math.max(0, share || 0)).toFixed(3)})`;
  bar.dataset.state = name === "memory" && share >= 0.9 ? (share >= 0.97 ? "critical" : "warning") : "";
}

const ofTotal = (used, total, unit) => (total ? t("{used} of {total}", { used: sayText(used, unit), total: sayText(total, unit) }) : sayText(used, unit));

function fill(card, [gpu, now]) {
  card.dataset.gpu = gpu;
  text(field(card, "gpu"), gpu);
  text(field(card, "name"), now.name);
  show(field(card, "simulated"), Boolean(now.simulated));
  meter(card, "load", now.load);
  meter(card, "memory", now.memory_total ? now.memory_used / now.memory_total : 0);
  text(field(card, "load"), sayText(now.load, "ratio"));
  text(field(card, "memory"), ofTotal(now.memory_used, now.memory_total, "bytes"));
  text(field(card, "torch"), now.reserved === undefined ? "–" : `${sayText(now.reserved, "bytes")} / ${sayText(now.allocated, "bytes")}`);
  text(field(card, "temperature"), sayText(now.temperature, "celsius"));
  text(field(card, "power"), ofTotal(now.power, now.power_limit, "watts"));
  text(field(card, "throttle"), now.throttle === undefined ? "–" : now.throttle > 0 ? t("yes") : t("no"));
}

export function paintGpus(store) {
  const cards = Object.entries(store.values.gpus ?? {});
  reconcile(find("#gpus"), cards, { key: ([gpu]) => gpu, make: () => blank("gpu-blank"), fill });
  show(find("#gpus-empty"), cards.length === 0);
  text(find("#gpu-count"), cards.length > 1 ? cards.length : "");
  show(find("#simulated"), cards.some(([, card]) => card.simulated));
}

/** Panels of kind bars: one bar per series, the largest first. */
export function paintBars(history, panels, range) {
  for (const panel of panels) {
    const root = find(`[data-bars="${panel.id}"]`);
    text(find("[data-field=range]", root.previousElementSibling), range);
    paintList(root, history.panels.get(panel.id) ?? {}, panel);
  }
}

function paintList(root, { series: bars = [], error }, panel) {
  if (!bars.length) {
    const why = panel.hint === "first_prediction" ? t("No results in this time.") : t("No data in this time.");
    root.replaceChildren(el("p", { className: error ? "chart-failed" : "mute" }, error ? t("The query fails: {reason}", { reason: error }) : why));
    return;
  }
  if (root.querySelector("p")) root.replaceChildren();
  const most = Math.max(...bars.map((bar) => bar.value));
  reconcile(root, bars, {
    key: (bar) => bar.key,
    make: () => el("div", { className: "bar" }, el("span"), el("b"), el("meter-bar", {}, el("i"))),
    fill: (node, bar) => {
      text(node.children[0], t(bar.key));
      text(node.children[1], sayText(panel.unit === "count" ? Math.round(bar.value) : bar.value, panel.unit));
      node.querySelector("i").style.transform = `scaleX(${(most > 0 ? Math.max(0, bar.value / most) : 0).toFixed(3)})`;
    },
  });
}
