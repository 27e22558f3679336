// The Active tab: what fires, what somebody took on, and what nobody is told of, each with all that is known about it.

import { fillList, isMuted } from "../alerts.js";
import { call } from "../api.js";
import { find, show, text } from "../dom.js";
import { t } from "../i18n.js";
import { Part } from "../part.js";
import { sayMeasure } from "./measure.js";
import { signsOf } from "./sign.js";

const LISTS = [
  ["active", (alert) => alert.state === "firing" && !isMuted(alert)],
  ["acknowledged", (alert) => alert.state === "acknowledged"],
  ["muted", (alert) => alert.state === "firing" && isMuted(alert)],
];

export function startActive(store, counted) {
  const expressions = new Map();
  let silences = new Map();
  let actions = [];
  let known = "";

  const about = (alert) => ({
    value: sayMeasure(alert.value, expressions.get(alert.rule)),
    signs: signsOf(alert, { silences, actions: actions.filter((one) => one.alert === alert.id) }),
  });

  function paint() {
    const { alerts, pending } = store.state;
    for (const [name, belongs] of LISTS) {
      const shown = alerts.filter(belongs);
      fillList(find(`#${name}`), shown, store.first.may.operator, about);
      if (name === "muted") show(find("#muted-section"), shown.length > 0);
      else show(find(`#${name}-empty`), shown.length === 0);
      text(find(`#${name}-count`), shown.length || "");
      if (name === "active") counted(shown.length);
    }
    text(find("#pending"), pending ? t("{count} pending", { count: pending }) : "");
    const now = alerts.map((alert) => `${alert.id}${alert.state}${alert.silenced_by ?? ""}`).join();
    if (now !== known && part.isOpen && known) part.reload();
    known = now;
  }

  /** What the live state does not carry. Each is worth having without the others. */
  async function load() {
    const wanted = [];
    if (store.state.alerts.some((alert) => !expressions.has(alert.rule))) wanted.push(call("/api/v1/rules?type=alert&exclude_alerts=true").then(({ data }) => data.groups.forEach(({ rules }) => rules.forEach((rule) => expressions.set(rule.name, rule.query)))));
    if (store.state.alerts.some((alert) => alert.silenced_by?.length)) wanted.push(call("/api/v2/silences").then((found) => { silences = new Map(found.map((one) => [one.id, one])); }));
    if (store.state.alerts.length) wanted.push(call("/api/actions?limit=100").then((found) => { actions = found.actions; }));
    const outcomes = await Promise.allSettled(wanted);
    paint();
    const failed = outcomes.find(({ status }) => status === "rejected");
    if (failed) throw failed.reason;
  }

  const part = new Part(find("#part-active"), store, load, 15_000);
  store.on("state", paint);
  document.addEventListener("silenceschange", () => { if (part.isOpen) part.reload(); });
  paint();
  return part;
}
