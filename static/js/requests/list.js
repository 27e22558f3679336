// The table of requests, newest first; a row opens to all that is known of it.

import { call } from "../api.js";
import { el, field, find, icon, reconcile, show, text } from "../dom.js";
import { sayExact, sayFull, sayMoment, sayText } from "../format.js";
import { sayReason, t } from "../i18n.js";
import { Part } from "../part.js";
import { factsOf, lookOf, sayClass, sayOutcome } from "./word.js";

const PAGE = 100;
const ASKED = ["outcome", "class", "route", "q", "request_id", "min_seconds", "fingerprint"];

export function startRequests(store, filters) {
  const body = find("#requests tbody");
  const opened = new Set();
  let older = [];
  let shown = [];
  let next = null; // where the page after what is shown begins

  async function ask(before) {
    const query = filters.query(...ASKED);
    for (const [name, value] of Object.entries(filters.range(store.now()))) query.set(name, value);
    query.set("limit", PAGE);
    if (before) query.set("before", before);
    return call(`/api/requests?${query}`);
  }

  async function load() {
    const found = await ask();
    // What was asked for below stays below.
    const known = new Set(found.requests.map(keyOf));
    const last = found.requests.at(-1)?.time_ms ?? 0;
    older = older.filter((one) => one.time_ms <= last && !known.has(keyOf(one)));
    if (!older.length) next = found.next;
    paint([...found.requests, ...older]);
  }

  async function loadOlder() {
    const found = await ask(next);
    ({ next } = found);
    older = [...older, ...found.requests];
    paint([...shown, ...found.requests]);
  }

  function paint(requests) {
    shown = requests;
    reconcile(body, requests.flatMap((one) => (opened.has(keyOf(one)) ? [one, { ...one, isDetail: true }] : [one])), {
      key: (one) => (one.isDetail ? `detail ${keyOf(one)}` : keyOf(one)),
      make: (one) => (one.isDetail ? makeDetail(one) : makeRow(one)),
      fill: (row, one) => { if (!one.isDetail) fillRow(row, one, opened.has(keyOf(one))); },
    });
    show(find("#requests thead"), requests.length > 0);
    show(find("#requests-empty"), requests.length === 0);
    text(find("#requests-empty p"), next ? t("None so far; there are older ones to look through.") : t("No request in this time is like that."));
    show(find("#clear-filters"), filters.isNarrowed);
    show(find("#requests-more"), Boolean(next));
    text(find("#requests-count"), !requests.length ? "" : next ? t("the newest {count}", { count: requests.length }) : requests.length === 1 ? t("one request") : t("{count} requests", { count: requests.length }));
  }

  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-request]");
    if (!row || event.target.closest("a") || getSelection().toString()) return;
    const { key } = row.dataset;
    if (!opened.delete(key)) opened.add(key);
    paint(shown);
  });
  find("#requests-more").addEventListener("click", async ({ currentTarget: button }) => {
    button.disabled = true;
    await loadOlder().finally(() => { button.disabled = false; });
  });
  const part = new Part(find("#part-requests"), store, load, 10_000);
  return { open: () => part.open(), reload: () => { older = []; return part.reload(); } };
}

const keyOf = ({ request_id: id, time_ms: time, route }) => `${time} ${id} ${route}`;

function makeRow(one) {
  const cell = (name, label) => el("td", { data: { field: name, label } });
  return el("tr", { data: { request: one.request_id } },
    el("td", {}, el("time")), el("td", {}, el("button", { type: "button", className: "opener", "aria-expanded": "false" }, icon("chevron-right"), el("span", { className: "mono" }))),
    el("td", {}, el("span", { className: "pill" })), cell("class", t("Class")), cell("route", t("Route")), cell("seconds", t("Seconds")), cell("input", t("Input")));
}

function fillRow(row, one, isOpen) {
  const [time, id, outcome] = row.children;
  text(time.firstChild, sayTime(one.time_ms));
  time.firstChild.title = sayFull(one.time_ms);
  text(id.firstChild.lastChild, one.request_id);
  id.firstChild.setAttribute("aria-expanded", String(isOpen));
  outcome.firstChild.dataset.state = lookOf(one.outcome);
  text(outcome.firstChild, sayOutcome(one.outcome));
  text(field(row, "class"), sayClass(one.result_class));
  text(field(row, "route"), one.route ?? "–");
  text(field(row, "seconds"), sayText(one.total_seconds, "seconds"));
  text(field(row, "input"), factsOf(one.input).slice(0, 3).map(([, value]) => value).join(" · "));
}

const sayTime = (ms) => (new Date(ms).toDateString() === new Date().toDateString() ? sayExact(ms) : sayMoment(ms));

/** All that is known of one request. */
function makeDetail(one) {
  const facts = [
    [t("Time"), sayFull(one.time_ms)], [t("HTTP status"), String(one.status)], [t("Model"), [one.model, one.version].filter(Boolean).join(" ")],
    [t("In all"), sayText(one.total_seconds, "seconds")], [t("In the queue"), sayText(one.queue_seconds, "seconds")], [t("In the model"), sayText(one.compute_seconds, "seconds")],
    ...factsOf(one.input),
  ].filter(([, value]) => value);
  const range = { start: one.time_ms - 60_000, end: one.time_ms + 60_000 };
  return el("tr", { className: "detail" }, el("td", { colSpan: 7 }, ...[
    one.error ? el("pre", { className: "command", tabIndex: 0 }, sayReason(one.error)) : null,
    el("dl", { className: "fact-grid" }, ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
    el("p", { className: "row-of" },
      el("a", { className: "control small", href: `/logs?${new URLSearchParams({ request_id: one.request_id })}#own` }, icon("journal-text"), t("All log lines of this request")),
      one.fingerprint ? el("a", { className: "control small", href: `/requests?${new URLSearchParams({ fingerprint: one.fingerprint })}` }, icon("list-ul"), t("All with this error")) : null,
      el("a", { className: "control small", href: `/requests?${new URLSearchParams(range)}` }, icon("clock"), t("What else was asked then"))),
  ].filter(Boolean)));
}
