// The alerts page: what is active, what somebody took on, what was, and how the rules are doing.

import { alertText, fillList, handleActions } from "../alerts.js";
import { call } from "../api.js";
import { all, el, field, find, reconcile, show, text } from "../dom.js";
import { ago, duration, sayFull, sayMoment } from "../format.js";
import { t } from "../i18n.js";

const SPANS = { "24h": 86400_000, "7d": 604800_000, "30d": 2592000_000 };
const HEALTH = { inactive: ["ok", "OK"], pending: ["loading", "PENDING"], firing: ["warning", "FIRING"], error: ["critical", "ERROR"], unknown: ["", "NOT YET"] };

export function start(store) {
  let span = "24h";
  let known = "";

  function paint() {
    const { alerts, pending } = store.state;
    for (const [name, state] of [["active", "firing"], ["acknowledged", "acknowledged"]]) {
      const shown = alerts.filter((alert) => alert.state === state);
      fillList(find(`#${name}`), shown, store.first.may.operator);
      show(find(`#${name}-empty`), shown.length === 0);
      text(find(`#${name}-count`), shown.length || "");
    }
    text(find("#pending"), pending ? t("{count} pending", { count: pending }) : "");
    const now = alerts.map((alert) => `${alert.id}${alert.state}`).join();
    if (now !== known) loadHistory();
    known = now;
  }

  async function loadHistory() {
    const end = Math.round(store.now());
    try {
      const { alerts } = await call(`/api/alerts?${new URLSearchParams({ start: end - SPANS[span], end })}`);
      const fired = alerts.filter((alert) => alert.firing_ms !== null).sort((one, other) => other.firing_ms - one.firing_ms);
      reconcile(find("#history tbody"), fired, { key: (alert) => alert.id, make: historyRow, fill: fillHistory });
      show(find("#history-empty"), fired.length === 0);
      show(find("#history thead"), fired.length > 0);
    } catch {
      // The connection banner speaks where the server is gone; a reconnect loads again.
    }
  }

  find("#history-range").addEventListener("click", ({ target }) => {
    if (!target.dataset.span) return;
    span = target.dataset.span;
    for (const button of all("#history-range button")) button.setAttribute("aria-pressed", String(button === target));
    loadHistory();
  });
  store.on("state", paint);
  store.on("connection", ({ connection }) => { if (connection === "open") loadHistory(); });
  handleActions(find("main"), store);
  paint();
  loadHistory();
  loadRules();
  setInterval(() => { if (!document.hidden && store.connection === "open") loadRules(); }, 5000);
}

function historyRow() {
  const row = el("tr", {});
  row.append(el("td", {}, el("time")), el("td", {}, el("b"), el("div", { className: "mute" })), el("td", { data: { label: t("Lasted") } }), el("td", { className: "mute" }));
  return row;
}

function fillHistory(row, alert) {
  const [when, what, lasted, acknowledged] = row.children;
  text(when.firstChild, sayMoment(alert.firing_ms));
  when.firstChild.title = sayFull(alert.firing_ms);
  text(what.firstChild, alertText(alert, "summary"));
  text(what.lastChild, alertText(alert, "description"));
  text(lasted, alert.resolved_ms ? duration((alert.resolved_ms - alert.firing_ms) / 1000) : t("still firing"));
  text(acknowledged, alert.ack_by ? `${alert.ack_by} · “${alert.ack_reason}”` : "");
}

/** How the rules are doing, from the Prometheus-compatible API. */
async function loadRules() {
  try {
    const { data } = await call("/api/v1/rules");
    for (const group of data.groups) for (const rule of group.rules) fillRule(group, rule);
  } catch {
    // As above: the banner speaks.
  }
}

function fillRule(group, rule) {
  const row = find(`[data-rule="${CSS.escape(`${group.name}/${rule.name}`)}"]`);
  if (!row) return;
  const key = rule.health === "err" ? "error" : rule.health === "unknown" ? "unknown" : rule.state ?? "inactive";
  const [state, word] = HEALTH[key] ?? HEALTH.unknown;
  const pill = field(row, "state");
  pill.dataset.state = state;
  text(pill, t(word));
  text(field(row, "error"), rule.lastError);
  show(field(row, "error"), Boolean(rule.lastError));
  const at = Date.parse(rule.lastEvaluation);
  const evaluated = field(row, "evaluated");
  const took = rule.evaluationTime * 1000;
  text(evaluated, at > 0 ? ago(at) : t("not yet"));
  evaluated.title = at > 0 ? `${sayFull(at)} · ${took.toFixed(1)} ms` : "";
}
