// The replicas of the model, where there are several: what each does and holds.

import { el, find, reconcile, show, text } from "./dom.js";
import { sayReason, t } from "./i18n.js";

const STATES = { disabled: "Stopped", loading: "Loading", ready: "Ready", reloading: "Reloading", failed: "Failed", draining: "Draining", stopped: "Stopped" };

function look({ state, serving, breaker }) {
  if (state === "failed" || breaker === "open") return "critical";
  if (state === "loading" || state === "reloading") return "busy";
  return serving && breaker === "closed" ? "ok" : "warning";
}

export function paintReplicas(replicas) {
  const list = find("#replicas");
  show(list, replicas.length > 0);
  reconcile(list, replicas, {
    key: (one, index) => `${index}${one.device}`,
    make: () => el("li", {}, el("span", { className: "dot" }), el("span", {}, el("b"), " ", el("span", { className: "mute" })), el("time"), el("p", { hidden: true })),
    fill: (row, one) => {
      const [dot, name, load, why] = row.children;
      dot.dataset.state = look(one);
      text(name.firstElementChild, one.device);
      const doing = one.progress && t(one.progress);
      text(name.lastElementChild, [t(STATES[one.state]), doing, one.version && t("version {version}", one), !one.serving && t("takes no requests")].filter(Boolean).join(" · "));
      text(load, t("{waiting} waiting, {running} in flight", { waiting: one.queue_depth, running: one.in_flight }));
      text(why, [sayReason(one.reason), sayReason(one.suggestion)].filter(Boolean).join(". "));
      show(why, Boolean(why.textContent));
    },
  });
}
