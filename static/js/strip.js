// The strip of events over the charts: alerts, incidents and what people did, on the charts' time axis.

import { alertText } from "./alerts.js";
import { call } from "./api.js";
import { el, find, reconcile, text } from "./dom.js";
import { sayFull, sayMoment } from "./format.js";
import { sayAll, sayReason, t } from "./i18n.js";

const SHOWN = 4;
/** Ends of the process that somebody wanted. */
export const PLANNED = new Set(["restart", "stop"]);
const LOUD = { critical: 2, warning: 1, info: 0 };

/** What happened in a few words: an alert's summary in the page's language, an incident's cause, what somebody did. */
export function eventTitle(event) {
  if (event.kind === "incident") return sayReason(event.title);
  if (event.kind === "action") return t(event.title);
  return alertText({ annotations: event.annotations, rule: event.title }, "summary");
}

/** What is known beyond that; of an action it is who, and in whose own words why. */
const sayDetail = (event) => (event.kind === "incident" ? sayAll(event.detail) : event.detail);

/** Events of one title in a row become one, with how often. */
function grouped(events) {
  const rows = [];
  for (const event of events) {
    const last = rows.at(-1);
    if (last && eventTitle(last) === eventTitle(event)) rows[rows.length - 1] = { ...event, times: last.times + 1 };
    else rows.push({ ...event, times: 1 });
  }
  return rows;
}

export function startStrip(store) {
  const lane = find("#lane");
  const list = find("#happened");
  const cross = el("div", { className: "cross", hidden: true });


  async function load() {
    const { start, end } = store.window();
    const query = new URLSearchParams({ start: Math.round(start), end: Math.round(end) });
    const { events } = await call(`/api/events?${query}`);
    for (const event of events) if (event.kind === "incident" && PLANNED.has(event.title)) event.level = "info";
    store.events = events.sort((one, other) => one.time_ms - other.time_ms);
    paint();
    store.emit("events", store.events);
  }

  function paint() {
    const { start, end } = store.window();
    const visible = store.events.filter((event) => (event.end_ms ?? end) >= start && event.time_ms <= end);
    const drawn = [...visible].sort((one, other) => LOUD[one.level] - LOUD[other.level]);
    if (!lane.contains(cross)) lane.append(cross);
    reconcileLane(drawn, start, end);
    const latest = grouped(visible).slice(-SHOWN);
    reconcile(list, latest, {
      key: (event, index) => `${index}${event.kind}${event.time_ms}${event.title}`,
      make: () => el("li", {}, el("time"), el("span")),
      fill: (item, event) => {
        text(item.firstChild, sayMoment(event.time_ms));
        item.firstChild.title = sayFull(event.time_ms);
        text(item.lastChild, eventTitle(event) + (event.times > 1 ? ` ×${event.times}` : "") + (event.kind === "alert" && event.end_ms === null ? ` (${t("firing")})` : ""));
        item.title = sayDetail(event);
      },
    });
    if (!latest.length) list.replaceChildren(el("li", { data: { key: "none" } }, t("Nothing out of the ordinary.")));
    text(find("#strip-range"), visible.length === 1 ? t("one event") : visible.length ? t("{count} events", { count: visible.length }) : "");
  }

  function reconcileLane(events, start, end) {
    const buttons = events.map((event) => {
      const from = Math.max(0, (event.time_ms - start) / (end - start));
      const to = event.kind === "action" ? from : Math.min(1, ((event.end_ms ?? end) - start) / (end - start));
      const title = [sayFull(event.time_ms), eventTitle(event), sayDetail(event)].filter(Boolean).join(" · ");
      const button = el("button", { type: "button", title, "aria-label": title, data: { state: event.level } });
      button.style.left = `${(from * 100).toFixed(2)}%`;
      button.style.width = `max(4px, ${((to - from) * 100).toFixed(2)}%)`;
      button.addEventListener("click", () => { if (event.kind !== "action") zoomTo(event, end); });
      return button;
    });
    lane.replaceChildren(...buttons, cross);
  }

  function zoomTo(event, now) {
    const until = event.end_ms ?? now;
    const pad = Math.max(60_000, (until - event.time_ms) * 0.5);
    store.setWindow(event.time_ms - pad, Math.min(until + pad, store.now()));
  }

  store.on("cursor", (time) => {
    const { start, end } = store.window();
    cross.hidden = time == null;
    if (time != null) cross.style.transform = `translateX(${Math.round(((time - start) / (end - start)) * lane.clientWidth)}px)`;
  });
  return { load, paint };
}
