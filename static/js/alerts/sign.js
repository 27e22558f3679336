// What is worth knowing of an alert beside its words: flapping, missing data, why nobody is told, what was done. No DOM.

import { sayDayClock, sayMoment } from "../format.js";
import { sayReason, t } from "../i18n.js";

/** So often an alert must have fired shortly before, unless the server says itself that it flaps. */
const FLAPPING = 4;

const ACTIONS = { reload_model: () => t("Model reloaded"), restart_process: () => t("Process restarted"), rollback: () => t("Rolled back to the version before") };

/** `known`: {silences: id → silence, actions: those of this alert, newest first}. */
export function signsOf(alert, { silences = new Map(), actions = [] } = {}) {
  const signs = [];
  const sign = (key, icon, text, state) => signs.push({ key: `${key}${text}`, icon, text, state });
  if (alert.no_data_ms) sign("data", "dash-circle", t("No data since {time}: whether it still holds is not known", { time: sayMoment(alert.no_data_ms) }), "warning");
  if (alert.flapping ?? alert.flaps >= FLAPPING) sign("flaps", "arrow-left-right", t("Flapping: it fired {count} times in a short while and is told of once", { count: alert.flaps }), "warning");
  for (const id of alert.silenced_by ?? []) sign("silence", "bell-slash", saySilence(silences.get(id)));
  for (const name of alert.muted_by ?? []) sign("maintenance", "calendar-week", t("Maintenance window “{name}”", { name }));
  for (const name of alert.inhibited_by ?? []) sign("inhibited", "diagram-3", t("Not told of: {name} is its cause", { name: sayCause(name) }));
  if (alert.source === "api") sign("source", "broadcast", t("Sent by another server"));
  for (const action of actions.slice(0, 2)) sign("action", "lightning-charge", sayAction(action), action.helped === false || action.state === "failed" ? "warning" : "");
  return signs;
}

const sayCause = (name) => (typeof name === "string" ? name : name?.rule ?? "");

function saySilence(silence) {
  if (!silence) return t("Silenced");
  const until = t("Silenced until {time} by {name}", { time: sayDayClock(Date.parse(silence.endsAt)), name: silence.createdBy });
  return silence.comment ? `${until} · ${silence.comment}` : until;
}

/** "Model reloaded at 12:03: it helped". */
export function sayAction(action) {
  const what = ACTIONS[action.action]?.() ?? sayReason(action.action);
  const when = sayMoment(action.started_ms);
  if (action.state === "skipped") return t("{what}: not done at {time} ({reason})", { what, time: when, reason: sayReason(action.outcome) });
  if (action.state === "failed") return t("{what} by itself at {time}: it failed ({reason})", { what, time: when, reason: sayReason(action.outcome) });
  if (action.state === "started") return t("{what} by itself at {time}: under way", { what, time: when });
  if (action.helped === true) return t("{what} by itself at {time}: it helped", { what, time: when });
  if (action.helped === false) return t("{what} by itself at {time}: it did not help", { what, time: when });
  return t("{what} by itself at {time}: whether it helps is not known yet", { what, time: when });
}
