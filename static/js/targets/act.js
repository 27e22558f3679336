// What a person does with a target: look now, pause, switch to the standby and back, delete.

import { call } from "../api.js";
import { ask, toast } from "../dialog.js";
import { el, icon, text } from "../dom.js";
import { sayReason, t } from "../i18n.js";
import { sayKind, sayLatency } from "./word.js";

const api = (name, rest = "") => `/api/targets/${encodeURIComponent(name)}${rest}`;

/** What a look found, a line for each probe. */
export function paintOutcomes(list, results) {
  list.replaceChildren(...results.map(({ probe, success, reason, duration_seconds: seconds, detail }) => el("li", { data: { state: success ? "ok" : success === null ? "" : "critical" } },
    icon(success ? "check-circle-fill" : success === null ? "question-circle-fill" : "x-circle-fill"),
    el("span", {}, [`${sayKind(probe)}: ${success ? t("all is well") : sayReason(reason) || (success === null ? t("not known") : t("it failed"))}`, detail?.status && t("HTTP status {status}", { status: detail.status }), seconds > 0 && sayLatency(seconds)].filter(Boolean).join(" · ")))));
}

/** Run `what` with a busy button; a refusal becomes a message. */
export async function busy(button, what) {
  button.disabled = true;
  try {
    await what();
  } catch (error) {
    toast([sayReason(error.message), error.suggestion].filter(Boolean).join(" "), "critical");
  } finally {
    button.disabled = false;
  }
}

export const checkNow = (name) => call(api(name, "/check"), { method: "POST", json: {} });

export function pause(name, paused) {
  if (!paused) return call(api(name, "/pause"), { method: "POST", json: { paused } });
  return ask({
    title: t("Pause {name}?", { name }),
    body: [t("Nobody looks at it until it is resumed: no alerts, no remedies, and its time does not count as downtime.")],
    confirm: t("Pause"),
    run: () => call(api(name, "/pause"), { method: "POST", json: { paused } }),
  });
}

export function switchStandby(name, active, url) {
  return ask({
    title: active ? t("Send callers of {name} to the standby?", { name }) : t("Send callers of {name} back?", { name }),
    body: [active ? t("Who calls /go/{name}/ is sent to {url} from now on, until somebody switches back or it is up again.", { name, url }) : t("Who calls /go/{name}/ is sent to the target itself again.", { name })],
    confirm: active ? t("Switch to the standby") : t("Switch back"),
    run: () => call(api(name, "/standby"), { method: "POST", json: { active } }),
  });
}

export const tryAgain = (name) => call(api(name, "/try-again"), { method: "POST", json: {} });

export function remove(name) {
  return ask({
    title: t("Delete the target {name}?", { name }),
    body: [t("Nobody looks at it any more. What was measured stays until it is too old; its alerts end.")],
    confirm: t("Delete"), danger: true,
    run: () => call(api(name), { method: "DELETE" }),
  });
}

/** A line to copy, with its button. */
export function copyLine(content, copied) {
  const line = el("pre", { className: "command", tabIndex: 0 });
  text(line, content);
  return el("div", { className: "push-line" }, line, el("button", { type: "button", className: "control", on: { click: copied } }, icon("clipboard"), t("Copy")));
}
