// The right column: a card per GPU, and the results by class.

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

export function paintResults(history, range) {
  const root = find("#results");
  const bars = history.panels.get("results")?.series ?? [];
  text(find("#results-range"), range);
  if (!bars.length) {
    root.replaceChildren(el("p", { className: "mute" }, t("No results in this time.")));
    return;
  }
  if (root.querySelector("p")) root.replaceChildren();
  const most = bars[0].value;
  reconcile(root, bars, {
    key: (bar) => bar.key,
    make: () => el("div", { className: "bar" }, el("span"), el("b"), el("meter-bar", {}, el("i"))),
    fill: (node, bar) => {
      text(node.children[0], t(bar.key));
      text(node.children[1], sayText(Math.round(bar.value), "count"));
      node.querySelector("i").style.transform = `scaleX(${(bar.value / most).toFixed(3)})`;
    },
  });
}
