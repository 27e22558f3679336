// What happened to one target: its outages, what was done about them and whether it helped, and what can be done.

import { el, find, icon, reconcile, show, text } from "../dom.js";
import { duration, sayFull, sayMoment } from "../format.js";
import { colon, sayReason, t } from "../i18n.js";
import { sayKind, sayRung } from "./word.js";

const LISTED = 50;

export function paintOutages(outages, now) {
  const shown = [...outages].sort((one, other) => other.started_ms - one.started_ms).slice(0, LISTED);
  reconcile(find("#outages"), shown, {
    key: (one) => `${one.started_ms} ${one.probe}`,
    make: () => el("li", {}, el("i", { className: "dot", "aria-hidden": "true" }), el("div", {}, el("b"), el("p", { className: "mute" })), el("span", { className: "when" })),
    fill: (item, one) => {
      const [, body, when] = item.children;
      const open = one.ended_ms === null || one.ended_ms === undefined;
      item.dataset.state = open ? "critical" : "";
      const length = duration(((one.ended_ms ?? now) - one.started_ms) / 1000);
      text(body.firstChild, open ? t("{duration} so far", { duration: length }) : length);
      text(body.lastChild, [sayReason(one.reason), one.probe && sayKind(one.probe)].filter(Boolean).join(" · "));
      text(when, sayMoment(one.started_ms));
      when.title = sayFull(one.started_ms);
    },
  });
  show(find("#outages-none"), shown.length === 0);
}

const OUTCOMES = {
  started: () => t("under way"), done: () => t("done"), failed: () => t("failed"), skipped: () => t("not done"), dry_run: () => t("would have been done"),
};

/** "It helped" is what one wants to know first. */
function verdict({ state, helped }) {
  if (state === "done" && helped === true) return ["ok", t("It helped")];
  if (state === "done" && helped === false) return ["warning", t("It did not help")];
  if (state === "failed") return ["critical", t("It failed")];
  return ["", OUTCOMES[state]?.() ?? state];
}

export function paintRemedies({ remedies = [], actions = [], exhausted = false }) {
  show(find("#exhausted"), exhausted);
  show(find("#remedies").closest("section"), remedies.length > 0 || actions.length > 0);
  reconcile(find("#remedies"), remedies, {
    key: ({ rung }) => rung,
    make: () => el("li", {}, icon("lightning-charge"), el("div", {}, el("b"), el("p", { className: "mute" }))),
    fill: (item, one) => {
      const [, body] = item.children;
      text(body.firstChild, sayRung(one.kind));
      const when = one.pattern ? t("when its log says “{pattern}”", { pattern: one.pattern }) : one.after_fails === 1 ? t("after one failure") : t("after {count} failures in a row", { count: one.after_fails });
      text(body.lastChild, [one.what, when, t("at most {count} times an hour", { count: one.limit_per_hour }), one.dry_run && t("only noted, not done")].filter(Boolean).join(" · "));
    },
  });
  const shown = [...actions].sort((one, other) => other.time_ms - one.time_ms).slice(0, LISTED);
  show(find("#actions-title"), shown.length > 0);
  show(find("#actions").parentElement, shown.length > 0);
  reconcile(find("#actions"), shown, {
    key: (one) => `${one.time_ms} ${one.rung} ${one.kind}`,
    make: () => el("li", {}, el("i", { className: "dot", "aria-hidden": "true" }), el("div", {}, el("b"), el("p", { className: "mute" })), el("span", { className: "when" })),
    fill: (item, one) => {
      const [, body, when] = item.children;
      const [state, word] = verdict(one);
      item.dataset.state = state;
      text(body.firstChild, `${sayRung(one.kind)}${colon}${word}`);
      text(body.lastChild, [sayReason(one.why), sayReason(one.outcome)].filter(Boolean).join(" · "));
      text(when, sayMoment(one.time_ms));
      when.title = sayFull(one.time_ms);
    },
  });
}
