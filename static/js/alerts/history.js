// The History tab: what fired in a time, how long, and who took it on.

import { alertText } from "../alerts.js";
import { call } from "../api.js";
import { all, el, find, reconcile, show, text } from "../dom.js";
import { duration, sayFull, sayMoment } from "../format.js";
import { t } from "../i18n.js";
import { Part } from "../part.js";

const SPANS = { "24h": 86400_000, "7d": 604800_000, "30d": 2592000_000, "90d": 7776000_000 };
/** So many rows a page shows without becoming slow; the CSV has all. */
const MOST = 500;
const ENDINGS = {
  no_data: () => t("its data ended"), rule_removed: () => t("its rule was removed"), expired: () => t("its sender said no more"), told: () => t("its sender ended it"),
};

export function startHistory(store) {
  let span = "24h";
  let fired = [];

  async function load() {
    const end = Math.round(store.now());
    const query = new URLSearchParams({ start: end - SPANS[span], end });
    find("#history-csv").href = `/api/alerts.csv?${query}`;
    const { alerts } = await call(`/api/alerts?${query}`);
    fired = alerts.filter((alert) => alert.firing_ms !== null).sort((one, other) => other.firing_ms - one.firing_ms);
    paint();
  }

  function paint() {
    const words = find("#history-filter").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const found = fired.filter((alert) => {
      const said = `${alert.rule} ${alertText(alert, "summary")} ${alertText(alert, "description")} ${Object.values(alert.labels).join(" ")} ${alert.ack_by ?? ""}`.toLowerCase();
      return words.every((word) => said.includes(word));
    });
    reconcile(find("#history tbody"), found.slice(0, MOST), { key: (alert) => alert.id, make: makeRow, fill: fillRow });
    text(find("#history-empty"), words.length && fired.length ? t("Nothing that fired has these words.") : t("Nothing fired in this time."));
    show(find("#history-empty"), found.length === 0);
    show(find("#history thead"), found.length > 0);
    text(find("#history-sum"), sum(found));
  }

  for (const button of all("#history-range button")) button.addEventListener("click", () => {
    span = button.dataset.span;
    for (const one of all("#history-range button")) one.setAttribute("aria-pressed", String(one === button));
    part.reload();
  });
  find("#history-filter").addEventListener("input", paint);
  const part = new Part(find("#part-history"), store, load, 30_000);
  return part;
}

function sum(found) {
  if (!found.length) return "";
  const rules = new Set(found.map((alert) => alert.rule)).size;
  const words = found.length === 1 ? t("One alert fired.") : rules === 1 ? t("{count} alerts fired, of one rule.", { count: found.length }) : t("{count} alerts fired, of {rules} rules.", { count: found.length, rules });
  return found.length > MOST ? `${words} ${t("The newest {count} are shown; the CSV has all.", { count: MOST })}` : words;
}

function makeRow() {
  const row = el("tr", {});
  row.append(el("td", {}, el("time")), el("td", {}, el("b"), el("div", { className: "mute" })), el("td", { data: { label: t("Lasted") } }, el("span"), el("div", { className: "mute" })), el("td", { className: "mute" }));
  return row;
}

function fillRow(row, alert) {
  const [when, what, lasted, acknowledged] = row.children;
  text(when.firstChild, sayMoment(alert.firing_ms));
  when.firstChild.title = sayFull(alert.firing_ms);
  text(what.firstChild, alertText(alert, "summary"));
  text(what.lastChild, alertText(alert, "description"));
  text(lasted.firstChild, alert.resolved_ms ? duration((alert.resolved_ms - alert.firing_ms) / 1000) : t("still firing"));
  text(lasted.lastChild, ENDINGS[alert.ended_by]?.() ?? "");
  text(acknowledged, alert.ack_by ? `${alert.ack_by} · “${alert.ack_reason}”` : "");
}
