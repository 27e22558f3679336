// What one target is looked at with: its probes, its scrapes, its logs, each as a line with what was found.

import { el, find, icon, reconcile, show, text } from "../dom.js";
import { ago, digits, duration, sayFull, sayText } from "../format.js";
import { sayReason, t } from "../i18n.js";
import { ICONS, lookOf, sayKind, sayLatency, sayState } from "./word.js";

const PHASES = { resolve: () => t("name look-up"), connect: () => t("connecting"), tls: () => t("TLS"), processing: () => t("waiting"), transfer: () => t("transfer") };
const DAY = 86400;
/** A certificate that is good for less than this is shown as one to care about. */
const SOON = 14 * DAY;

function line(kind) {
  return el("li", {}, icon(ICONS[kind] ?? "activity"), el("div", {}, el("b"), el("p", { className: "mute" })), el("span", { className: "pill" }), el("div", { className: "rest" }));
}

function fillLine(item, { state, word, title, facts }) {
  const [, body, pill] = item.children;
  item.dataset.state = state;
  pill.dataset.state = state;
  text(pill, word);
  text(body.firstChild, title);
  text(body.lastChild, facts.filter(Boolean).join(" · "));
}

/** `known`: what `measured` found. */
export function paintProbes(probes, known, now) {
  const box = find("#probes");
  show(box.closest("section"), probes.length > 0);
  reconcile(box, probes, {
    key: ({ probe }) => probe,
    make: ({ probe }) => line(probe),
    fill: (item, one) => {
      const seen = !one.seen_ms ? t("not asked yet") : one.probe === "push" ? t("last sign of life {ago}", { ago: ago(one.seen_ms, now) }) : t("asked {ago}", { ago: ago(one.seen_ms, now) });
      const since = one.since_ms && one.state !== "unknown" ? t("since {time}", { time: sayFull(one.since_ms) }) : "";
      fillLine(item, { state: lookOf(one.state), word: sayState(one.state), title: sayKind(one.probe), facts: [one.probe === "push" || one.duration_seconds === null ? "" : sayLatency(one.duration_seconds), seen, since] });
      const rest = item.lastChild;
      rest.replaceChildren(...[sayTrouble(one), sayDetail(one.detail ?? {}, known.certificates[one.probe], now), ...(one.probe === "http" ? phases(known.phases) : [])].filter(Boolean));
    },
  });
}

/** Why it is down or unknown, or why it may soon be. */
function sayTrouble({ state, reason }) {
  if (!reason) return null;
  if (state === "up") return el("p", { className: "soon" }, t("The last look failed: {reason}", { reason: sayReason(reason) }));
  return el("p", { className: state === "down" ? "error" : "mute" }, sayReason(reason));
}

/** What a probe found beyond up or down, in words. */
function sayDetail(detail, ends, now) {
  const parts = [];
  if (detail.status) parts.push(t("HTTP status {status}", { status: detail.status }));
  if (detail.url) parts.push(detail.url);
  if (detail.address) parts.push(detail.address);
  if (detail.records?.length) parts.push(detail.records.slice(0, 4).join(", "));
  if (detail.pids?.length) parts.push(t("process {ids}", { ids: detail.pids.slice(0, 4).join(", ") }));
  if (detail.message) parts.push(`“${detail.message}”`);
  const left = ends ? (ends - now) / 1000 : 0;
  const certificate = ends ? (left > 0 ? t("certificate good for {duration}", { duration: duration(left > DAY ? Math.floor(left / DAY) * DAY : left) }) : t("certificate expired {ago}", { ago: ago(ends, now) })) : "";
  if (!parts.length && !certificate) return null;
  const said = el("p", { className: "mute" }, parts.join(" · "));
  if (certificate) said.append(parts.length ? " · " : "", el("span", { title: sayFull(ends), className: left <= 0 ? "error" : left < SOON ? "soon" : "" }, certificate));
  return said;
}

/** Where the time of an answer went: a bar in its parts, and their names. */
function phases(found) {
  const parts = Object.entries(found ?? {}).filter(([, seconds]) => seconds > 0);
  if (!parts.length) return [];
  const sum = parts.reduce((total, [, seconds]) => total + seconds, 0);
  const color = (at) => `var(--s${(at % 8) + 1})`;
  const bar = el("div", { className: "phases", "aria-hidden": "true" }, ...parts.map(([, seconds], at) => {
    const part = el("i");
    part.style.width = `${(seconds / sum) * 100}%`;
    part.style.background = color(at);
    return part;
  }));
  return [bar, el("ul", { className: "phase-names" }, ...parts.map(([name, seconds], at) => {
    const item = el("li", {}, `${PHASES[name]?.() ?? name} ${sayText(seconds, "seconds")}`);
    item.style.setProperty("--phase", color(at));
    return item;
  }))];
}

/** `up` is null where it is not known yet. */
const stateOf = ({ up }) => (up === null || up === undefined ? "unknown" : up ? "up" : "down");

export function paintScrapes(scrapes, name, now) {
  const box = find("#scrapes");
  show(box.closest("section"), scrapes.length > 0);
  reconcile(box, scrapes, {
    key: ({ url }) => url,
    make: () => line("scrape"),
    fill: (item, one) => {
      const known = one.at_ms ? t("{count} series in {time}, {ago}", { count: one.series ?? 0, time: sayLatency(one.seconds), ago: ago(one.at_ms, now) }) : t("not asked yet");
      fillLine(item, { state: lookOf(stateOf(one)), word: sayState(stateOf(one)), title: one.url, facts: [one.profile, known] });
      const query = `{job="${name}"}`;
      item.lastChild.replaceChildren(...[one.error ? el("p", { className: "error" }, sayReason(one.error)) : null, el("p", {}, el("a", { href: `/explore?${new URLSearchParams({ q: query })}` }, t("Open in Explore")))].filter(Boolean));
    },
  });
}

export function paintLogs(logs, name, now) {
  const box = find("#logs");
  show(box.closest("section"), logs.length > 0);
  reconcile(box, logs, {
    key: ({ source }) => source,
    make: () => line("log"),
    fill: (item, one) => {
      const behind = one.behind_bytes > 0 ? t("{bytes} behind", { bytes: sayText(one.behind_bytes, "bytes") }) : "";
      const read = one.read_ms ? t("read {ago}", { ago: ago(one.read_ms, now) }) : t("nothing read yet");
      fillLine(item, { state: lookOf(stateOf(one)), word: one.up === null ? sayState("unknown") : one.up ? t("READ") : t("NOT READ"), title: one.source, facts: [one.lines === 1 ? t("one line") : t("{count} lines", { count: digits(one.lines ?? 0) }), behind, read] });
      item.lastChild.replaceChildren(...[one.error ? el("p", { className: "error" }, sayReason(one.error)) : null].filter(Boolean));
    },
  });
  find("#logs-found").href = `/logs?${new URLSearchParams({ target: name })}#found`;
}
