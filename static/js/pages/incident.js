// One incident: when it began, was noticed, taken on and over; what happened in between; what people noted.

import { alertText } from "../alerts.js";
import { sayAction } from "../alerts/sign.js";
import { call } from "../api.js";
import { all, el, field, find, icon, reconcile, show, text } from "../dom.js";
import { duration, sayExact, sayFull, sayMoment } from "../format.js";
import { sayAll, sayReason, t } from "../i18n.js";
import { causeOf, endOf, stateOf, titleOf } from "../incidents/word.js";
import { Part } from "../part.js";

const ICONS = { fired: "bell-fill", resolved: "check-circle-fill", acknowledged: "person-circle", action: "lightning-charge", notice: "send", unacknowledged: "dash-circle", note: "chat-left-text", state: "activity" };
const KINDS = { fired: () => t("fired"), resolved: () => t("resolved"), acknowledged: () => t("acknowledged"), action: () => t("action"), notice: () => t("notice"), unacknowledged: () => t("given back"), note: () => t("note"), state: () => t("state") };
const LOUD = { fired: "critical", resolved: "ok" };

export function start(store) {
  const root = find("#part-incident");
  const { incident: id } = store.first;

  async function load() {
    const { incident, parts, entries, alerts, actions } = await call(`/api/incidents/${id}`);
    paintHead(root, incident);
    paintCheckup(alerts);
    paintTimes(incident);
    paintCause(incident, parts ?? []);
    paintTimeline(entries, incident);
    paintJoined(find("#joined"), alerts, (alert) => [alertText(alert, "summary"), [sayMoment(alert.firing_ms ?? alert.active_ms), alert.resolved_ms ? duration((alert.resolved_ms - (alert.firing_ms ?? alert.active_ms)) / 1000) : t("still firing"), alert.ack_by].filter(Boolean).join(" · ")], t("No alert belongs to it."));
    paintJoined(find("#actions"), actions, (action) => [sayAction(action), sayReason(action.outcome)], t("Nothing was done by itself."));
  }

  const part = new Part(root, store, load, 10_000);
  find("#note")?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { target: form } = event;
    const problem = find(".error", form);
    const button = find("button", form);
    button.disabled = true;
    try {
      await call(`/api/incidents/${id}/notes`, { method: "POST", json: { text: form.elements.text.value.trim() } });
      form.reset();
      show(problem, false);
      await part.reload();
    } catch (error) {
      text(problem, [sayReason(error.message), error.suggestion].filter(Boolean).join(" "));
      show(problem, true);
    } finally {
      button.disabled = false;
    }
  });
  part.open();
}

function paintHead(root, incident) {
  text(field(root, "summary"), titleOf(incident));
  const [look, word] = stateOf(incident);
  const pill = field(root, "state");
  pill.dataset.state = look;
  text(pill, word);
  const until = endOf(incident) === null ? t("since {time}", { time: sayFull(incident.started_ms) }) : `${sayFull(incident.started_ms)} – ${sayMoment(endOf(incident), incident.started_ms)}`;
  text(field(root, "when"), [until, incident.level ? t("level {level}", { level: incident.level }) : ""].filter(Boolean).join(" · "));
}

/** What is usually looked at, of the newest alert that belongs to it. */
function paintCheckup(alerts) {
  const link = find("#checkup");
  show(link, alerts.length > 0);
  if (alerts.length) link.href = `/checkup?${new URLSearchParams({ alert: Math.max(...alerts.map(({ id }) => id)) })}`;
}

function paintTimes(incident) {
  const { pace, detected_ms: detected, acknowledged_ms: acknowledged, recovered_ms: recovered } = incident;
  const open = endOf(incident) === null;
  const lasted = ((endOf(incident) ?? Date.now()) - incident.started_ms) / 1000;
  const figures = {
    lasted: [lasted, open ? t("so far") : ""], detect: [pace?.detect, detected ? sayExact(detected) : t("not noticed by an alert")],
    acknowledge: [pace?.acknowledge, acknowledged ? sayExact(acknowledged) : open ? t("by nobody yet") : t("by nobody")], recover: [pace?.recover, recovered ? sayExact(recovered) : open ? t("not yet") : ""],
  };
  for (const box of all("#times [data-time]")) {
    const [length, words] = figures[box.dataset.time];
    text(box.children[1], length === null || length === undefined ? "–" : length < 1 ? t("at once") : duration(length));
    text(box.children[2], words);
  }
}

function paintCause(incident, parts) {
  const detail = Object.entries(incident.detail ?? {}).filter(([name, value]) => !["alert", "stretch"].includes(name) && ["string", "number"].includes(typeof value) && value !== "");
  find("#cause").replaceChildren(el("p", {}, el("b", {}, causeOf(incident))),
    ...(detail.length ? [el("dl", { className: "pairs" }, ...detail.slice(0, 10).flatMap(([name, value]) => [el("dt", {}, sayReason(name)), el("dd", {}, typeof value === "string" ? sayAll(value) : String(value))]))] : []),
    ...(parts.length ? [el("p", { className: "mute" }, t("Also in this time:")), el("ul", {}, ...parts.map((one) => el("li", {}, `${sayMoment(one.started_ms)} ${titleOf(one)}`)))] : []));
}

function paintTimeline(entries, incident) {
  const lines = entries.map((one, at) => ({ ...one, key: `${at} ${one.kind} ${one.time_ms}` }));
  if (!lines.length) {
    find("#timeline").replaceChildren(el("li", { className: "mute" }, t("Nothing is recorded of it but its beginning and its end.")));
    return;
  }
  reconcile(find("#timeline"), lines, {
    key: (one) => one.key,
    make: (one) => el("li", { data: { kind: one.kind, state: LOUD[one.kind] ?? "" } }, icon(ICONS[one.kind] ?? "activity"), el("time"), el("div", {}, el("p"), el("p", { className: "mute" }))),
    fill: (item, one) => {
      const [, time, body] = item.children;
      text(time, sayExact(one.time_ms));
      time.title = sayFull(one.time_ms);
      text(body.firstChild, sayLine(one));
      const after = one.time_ms > incident.started_ms ? t("{duration} in", { duration: duration((one.time_ms - incident.started_ms) / 1000) }) : "";
      text(body.lastChild, [KINDS[one.kind]?.() ?? one.kind, one.actor, after].filter(Boolean).join(" · "));
    },
  });
}

/** A line in the reader's language; what a person wrote stays as it is. */
function sayLine(one) {
  const { detail = {} } = one;
  if (one.kind === "note") return one.text;
  if (one.kind === "action" && detail.action) return sayAction({ ...detail, started_ms: one.time_ms, outcome: one.text });
  if (one.kind === "notice") return `${one.text} → ${detail.channel}${detail.state === "failed" ? ` (${t("given up")})` : detail.state === "waiting" ? ` (${t("waiting")})` : ""}`;
  if (one.kind === "state" && detail.state === "over") return t("All of it is over");
  if (one.kind === "state" && detail.state === "reopened") return t("It began again");
  if (one.kind === "state" && detail.state === "ended") return t("Over: {what}", { what: sayReason(one.text) });
  if (one.kind === "acknowledged" && one.text) return t("Taken on: {reason}", { reason: one.text });
  return detail.annotations ? alertText({ annotations: detail.annotations, rule: one.text }, "summary") : sayReason(one.text);
}

function paintJoined(box, items, say, empty) {
  if (!items.length) {
    box.replaceChildren(el("li", { className: "mute" }, empty));
    return;
  }
  reconcile(box, items, {
    key: (one) => one.id,
    make: () => el("li", {}, el("p"), el("p", { className: "mute" })),
    fill: (item, one) => say(one).forEach((words, at) => text(item.children[at], words)),
  });
}
