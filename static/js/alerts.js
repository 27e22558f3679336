// Alert cards, wherever they are shown, and what a person does with them.

import { silenceAlert } from "./alerts/silence.js";
import { call } from "./api.js";
import { ask, toast } from "./dialog.js";
import { blank, el, field, icon, reconcile, show, text } from "./dom.js";
import { ago, sayFull, sayMoment } from "./format.js";
import { language, t } from "./i18n.js";

/** An annotation of an alert in the page's language. */
export function alertText(alert, part) {
  const said = alert.annotations ?? {};
  return said[`${part}_${language}`] || said[part] || (part === "summary" ? alert.rule : "");
}

/** Whether notices about it are held back: by silences, maintenance windows, or an alert that is the cause of it. */
export const isMuted = (alert) => [alert.silenced_by, alert.inhibited_by, alert.muted_by].some((names) => names?.length > 0);

/** `about`: {value, signs} that the alert itself does not know, if the page does. */
export function fillCard(card, alert, may, about = {}) {
  card.dataset.id = alert.id;
  card.dataset.state = alert.tone ?? alert.severity;
  const acknowledged = alert.state === "acknowledged";
  card.toggleAttribute("data-acknowledged", acknowledged);
  card.toggleAttribute("data-muted", isMuted(alert));
  text(field(card, "summary"), alertText(alert, "summary"));
  text(field(card, "level"), t("level {level}", { level: alert.level }));
  text(field(card, "description"), alertText(alert, "description"));
  text(field(card, "value"), about.value ?? "");
  show(field(card, "value"), Boolean(about.value));
  fillSigns(field(card, "signs"), about.signs ?? []);
  const action = alertText(alert, "action");
  text(field(card, "action"), action);
  show(card.querySelector(".advice"), Boolean(action));
  show(card.querySelector("[data-action=acknowledge]"), alert.state === "firing" && may);
  show(card.querySelector("[data-action=unacknowledge]"), acknowledged && may);
  show(card.querySelector("[data-action=silence]"), may && !isMuted(alert));
  show(field(card, "acknowledged"), acknowledged);
  text(field(card, "acknowledged"), acknowledged ? `${alert.ack_by} · “${alert.ack_reason}” · ${sayMoment(alert.ack_ms)}` : "");
  fillRunbook(field(card, "runbook"), alert.annotations?.runbook_url ?? "");
  const checkup = field(card, "checkup");
  show(checkup, true);
  checkup.href = `/checkup?${new URLSearchParams({ alert: alert.id })}`;
  const since = alert.firing_ms ?? alert.active_ms;
  const time = field(card, "since");
  text(time, ago(since));
  const title = sayFull(since);
  if (time.title !== title) time.title = title;
}

/** Only addresses that lead somewhere: a rule of another server may hold any text. */
function fillRunbook(link, url) {
  const leads = /^(https?:\/\/|\/(?!\/))/.test(url);
  show(link, leads);
  if (leads && link.getAttribute("href") !== url) link.href = url;
}

function fillSigns(list, signs) {
  show(list, signs.length > 0);
  reconcile(list, signs, {
    key: (sign) => sign.key,
    make: (sign) => el("li", {}, icon(sign.icon), el("span")),
    fill: (item, sign) => {
      item.dataset.state = sign.state ?? "";
      text(item.lastChild, sign.text);
    },
  });
}

export function fillList(container, alerts, may, about = () => ({})) {
  reconcile(container, alerts, {
    key: (alert) => alert.id,
    make: () => blank("alert-blank"),
    fill: (card, alert) => fillCard(card, alert, may, about(alert)),
  });
}

/** Listen for the buttons of all cards inside `root`. */
export function handleActions(root, store) {
  root.addEventListener("click", (event) => {
    const action = event.target.closest("[data-action]")?.dataset.action;
    const id = event.target.closest(".alert-card")?.dataset.id;
    const alert = store.state.alerts.find((one) => String(one.id) === id);
    if (!alert) return;
    if (action === "acknowledge") acknowledge(alert);
    if (action === "unacknowledge") undo(alert);
    if (action === "silence") silenceAlert(alert, alertText(alert, "summary"));
  });
}

function acknowledge(alert) {
  return ask({
    title: t("Acknowledge: {summary}", { summary: alertText(alert, "summary") }),
    body: [t("You take this on: no more notices are sent for it. Checks go on, and it clears itself when the cause is gone.")],
    label: t("What are you doing about it?"),
    placeholder: t("e.g. stopping the other job on this GPU"),
    required: true,
    confirm: t("Acknowledge"),
    run: (reason) => call(`/api/alerts/${alert.id}/ack`, { method: "POST", json: { reason } }),
  });
}

async function undo(alert) {
  try {
    await call(`/api/alerts/${alert.id}/ack`, { method: "DELETE" });
  } catch (error) {
    toast(error.message, "critical");
  }
}
