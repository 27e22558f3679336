// What was found in the logs of targets: each kind of line once, with how often, and what came with it.

import { call } from "../api.js";
import { el, field, find, icon, reconcile, show, text } from "../dom.js";
import { sayFull, sayMoment, sayText } from "../format.js";
import { t } from "../i18n.js";
import { Part } from "../part.js";
import { pathOf } from "../targets/word.js";

const PAGE = 200;
const LOOKS = { 3: "critical", 2: "warning", 1: "info", 0: "" };

export function startFound(store, filters) {
  const list = find("#events");

  async function load() {
    const query = filters.query("target", "level", "q", "pattern");
    for (const [name, value] of Object.entries(filters.range(store.now()))) query.set(name, value);
    query.set("limit", PAGE);
    const [{ events }, { sources }] = await Promise.all([call(`/api/logs/events?${query}`), call("/api/logs/sources")]);
    offer(sources ?? []);
    paint(events, sources ?? []);
  }

  /** The targets that have logs, to choose from. */
  function offer(sources) {
    const select = find("#found-filters [name=target]");
    const known = new Set([...select.options].map(({ value }) => value));
    for (const name of [...new Set(sources.map(({ target }) => target))].sort()) if (!known.has(name)) select.append(el("option", { value: name }, name));
  }

  function paint(events, sources) {
    const shown = [...events].sort((one, other) => other.last_ms - one.last_ms);
    reconcile(list, shown, { key: ({ id }) => id, make: makeEvent, fill: fillEvent });
    show(list, shown.length > 0);
    const lines = shown.reduce((sum, { count }) => sum + count, 0);
    text(find("#found-sum"), shown.length ? t("{count} lines of {kinds} kinds", { count: sayText(lines, "count"), kinds: shown.length }) : "");
    show(find("#found-empty"), shown.length === 0 && (sources.length > 0 || filters.isNarrowed));
    show(find("#found-clear"), filters.isNarrowed);
    show(find("#found-nobody"), shown.length === 0 && sources.length === 0 && !filters.isNarrowed);
    const broken = sources.filter(({ up }) => up === false);
    show(find("#found-broken"), broken.length > 0);
    text(find("#found-broken span"), broken.length ? t("Not read: {sources}", { sources: broken.map(({ target, source, error }) => `${target}: ${error || source}`).join("; ") }) : "");
  }

  find("#found-clear").addEventListener("click", () => filters.clear());
  return new Part(find("#part-found"), store, load, 5000);
}

function makeEvent() {
  return el("li", { className: "event" }, el("details", {}, el("summary", {},
    icon("chevron-right"), el("span", { className: "pill", data: { field: "level" } }), el("span", { className: "event-text mono", data: { field: "text" } }), el("b", { data: { field: "count" } }),
    el("span", { className: "mute", data: { field: "facts" } })), el("div", { className: "event-more", data: { field: "more" } })));
}

/** The whole entry: its first line, and those that came with it. */
const linesOf = ({ text: first, context }) => [first, ...(context ?? [])].flatMap((line) => line.split("\n"));

/** What tells most: of a traceback the error at its end, else the first line. */
function headOf(lines) {
  if (!lines[0].startsWith("Traceback (most recent call last)")) return lines[0];
  return lines.slice(1).find((line) => /^\S/.test(line) && !line.startsWith("Traceback")) ?? lines[0];
}

function fillEvent(item, one) {
  const level = field(item, "level");
  item.dataset.state = LOOKS[one.level] ?? "";
  level.dataset.state = LOOKS[one.level] ?? "";
  text(level, t("level {level}", { level: one.level }));
  const lines = linesOf(one);
  text(field(item, "text"), headOf(lines));
  text(field(item, "count"), `${sayText(one.count, "count")}×`);
  const when = one.count === 1 ? sayMoment(one.last_ms) : t("{first} until {last}", { first: sayMoment(one.first_ms), last: sayMoment(one.last_ms) });
  const facts = field(item, "facts");
  text(facts, [one.target, one.pattern, when, one.raised && t("raised an alert")].filter(Boolean).join(" · "));
  facts.title = `${sayFull(one.first_ms)} – ${sayFull(one.last_ms)}`;
  const more = field(item, "more");
  const said = `${one.source}\n${lines.join("\n")}`;
  if (more.dataset.said === said) return;
  more.dataset.said = said;
  more.replaceChildren(el("pre", { className: "command", tabIndex: 0 }, lines.join("\n")),
    el("p", { className: "row-of mute" }, el("span", { className: "grow mono" }, one.source ?? ""), el("a", { className: "control small", href: pathOf(one.target) }, icon("diagram-3"), t("The target")), el("a", { className: "control small", href: `/checkup?${new URLSearchParams({ target: one.target })}` }, icon("clipboard2-pulse"), t("Checkup"))));
}
