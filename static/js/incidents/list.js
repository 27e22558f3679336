// The list of incidents over a range, open ones first, and what fails most in the same range.

import { call } from "../api.js";
import { all, el, find, reconcile, show, text } from "../dom.js";
import { duration, sayFull, sayMoment } from "../format.js";
import { sayReason, t } from "../i18n.js";
import { Part } from "../part.js";
import { causeOf, endOf, stateOf, titleOf } from "./word.js";

const SPANS = { "24h": 86400_000, "7d": 604800_000, "30d": 2592000_000, "90d": 7776000_000 };
const MOST = 300;

export function startList(store) {
  let span = "30d";

  const range = () => {
    const end = Math.round(store.now());
    return new URLSearchParams({ start: end - SPANS[span], end });
  };

  async function loadList() {
    const query = range();
    find("#incident-csv").href = `/api/incidents.csv?${query}`;
    const { incidents, means } = await call(`/api/incidents?${query}`);
    const planned = find("#incident-planned").checked;
    const found = incidents.filter((one) => (one.part_of ?? null) === null && (planned || !["planned", "remedy"].includes(one.kind)))
      .sort((one, other) => (endOf(one) !== null) - (endOf(other) !== null) || other.started_ms - one.started_ms);
    reconcile(find("#incidents tbody"), found.slice(0, MOST), { key: (one) => one.id, make: makeRow, fill: fillRow });
    show(find("#incidents thead"), found.length > 0);
    show(find("#incidents-empty"), found.length === 0);
    const open = found.filter((one) => endOf(one) === null).length;
    text(find("#standing"), open === 0 ? t("Nothing is open.") : open === 1 ? t("One incident is open.") : t("{count} incidents are open.", { count: open }));
    text(find("#incident-sum"), sum(found, means));
  }

  async function loadFailures() {
    const { points } = await call(`/api/failures?${range()}`);
    const most = Math.max(...points.map(({ count }) => count), 1);
    reconcile(find("#failures tbody"), points.slice(0, 20), { key: (one) => `${one.kind} ${one.name}`, make: makePoint, fill: (row, one) => fillPoint(row, one, most) });
    show(find("#failures thead"), points.length > 0);
    show(find("#failures-empty"), points.length === 0);
  }

  const list = new Part(find("#part-incidents"), store, loadList, 15_000);
  const failures = new Part(find("#part-failures"), store, loadFailures, 60_000);
  for (const button of all("#incident-range button")) button.addEventListener("click", () => {
    span = button.dataset.span;
    for (const one of all("#incident-range button")) one.setAttribute("aria-pressed", String(one === button));
    list.reload();
    failures.reload();
  });
  find("#incident-planned").addEventListener("change", () => list.reload());
  return { open: () => { list.open(); failures.open(); } };
}

function sum(found, means) {
  if (!found.length) return "";
  const parts = [found.length === 1 ? t("one incident") : t("{count} incidents", { count: found.length })];
  if (found.length > MOST) parts.push(t("The newest {count} are shown; the CSV has all.", { count: MOST }));
  if (means?.mttd !== null && means) parts.push(t("noticed after {duration}", { duration: duration(means.mttd) }));
  if (means?.mtta !== null && means) parts.push(t("taken on after {duration}", { duration: duration(means.mtta) }));
  if (means?.mttr !== null && means) parts.push(t("recovered after {duration}, on average", { duration: duration(means.mttr) }));
  return parts.join(" · ");
}

function makeRow() {
  return el("tr", {}, el("td", {}, el("span", { className: "pill" })), el("td", {}, el("a", { className: "incident-link" }), el("div", { className: "mute" })), el("td", { data: { label: t("Began") } }, el("time")), el("td", { data: { label: t("Lasted") } }));
}

function fillRow(row, one) {
  const [state, what, began, lasted] = row.children;
  const [look, word] = stateOf(one);
  state.firstChild.dataset.state = look;
  text(state.firstChild, word);
  what.firstChild.href = `/incidents/${one.id}`;
  text(what.firstChild, titleOf(one));
  text(what.lastChild, causeOf(one) === titleOf(one) ? "" : causeOf(one));
  text(began.firstChild, sayMoment(one.started_ms));
  began.firstChild.title = sayFull(one.started_ms);
  const end = endOf(one);
  text(lasted, end === null ? t("{duration} so far", { duration: duration((Date.now() - one.started_ms) / 1000) }) : duration((end - one.started_ms) / 1000));
}

function makePoint() {
  const cell = (label) => el("td", { data: { label } });
  return el("tr", {}, el("td", {}, el("b"), el("div", { className: "mute" })), el("td", { className: "share", data: { label: t("How often") } }, el("span"), el("i")), cell(t("In all")), cell(t("Until noticed")), cell(t("Until taken on")), cell(t("Until recovered")));
}

function fillPoint(row, one, most) {
  const [name, count, total, detect, acknowledge, recover] = row.children;
  text(name.firstChild, one.kind === "rule" ? one.name : sayReason(one.name));
  text(name.lastChild, one.kind === "rule" ? t("alert") : t("cause of outages"));
  text(count.firstChild, one.count === 1 ? t("once") : t("{count} times", { count: one.count }));
  count.lastChild.style.width = `${Math.round((one.count / most) * 100)}%`;
  const say = (value) => (value === null || value === undefined ? "–" : duration(value));
  text(total, say(one.seconds));
  text(detect, say(one.mttd));
  text(acknowledge, say(one.mtta));
  text(recover, say(one.mttr));
}
