// The dialog that adds or changes a channel. Its address is written only: the server never gives it back.

import { call } from "../api.js";
import { openForm, toast } from "../dialog.js";
import { el, show, text } from "../dom.js";
import { seconds } from "../format.js";
import { sayReason, t } from "../i18n.js";
import { SERVICES, kindOf } from "./services.js";

const option = (value, label, chosen) => el("option", { value, selected: String(chosen) === value }, label);
const field = (label, input, hint) => el("label", { className: "field" }, label, input, hint ? el("small", {}, hint) : null);

/** `channel`: one of /api/channels to change; without it a new one. */
export function openChannel({ channel = null, saved }) {
  const services = SERVICES();
  const name = el("input", { required: true, maxLength: 40, value: channel?.name ?? "", readOnly: Boolean(channel), placeholder: t("e.g. on-call group"), autocomplete: "off", spellcheck: false });
  const url = el("input", { id: "channel-url", type: "password", required: !channel, maxLength: 4000, autocomplete: "new-password", spellcheck: false, placeholder: channel ? t("unchanged") : services[0][1] });
  const hint = el("small", {}, channel ? t("Kept encrypted and never shown again. Leave it empty to keep the one there is.") : services[0][2]);
  const reveal = el("button", { type: "button", className: "control", "aria-pressed": "false", on: { click: () => {
    const shown = url.type === "password";
    url.type = shown ? "text" : "password";
    reveal.setAttribute("aria-pressed", String(shown));
    reveal.textContent = shown ? t("Hide") : t("Show");
  } } }, t("Show"));
  const service = el("select", { on: { change: () => {
    const [, example, where] = services[Number(service.value)];
    url.placeholder = example;
    text(hint, where);
  } } }, ...services.map(([label], at) => el("option", { value: String(at) }, label)));
  const level = el("select", {}, option("1", t("1: all"), channel?.least_level ?? 2), option("2", t("2: what wants a look"), channel?.least_level ?? 2), option("3", t("3: only what wants somebody now"), channel?.least_level ?? 2));
  const language = el("select", {}, option("", t("the server's"), channel?.language ?? ""), option("en", "English", channel?.language ?? ""), option("zh", "中文", channel?.language ?? ""));
  const rate = el("input", { type: "number", min: "0", max: "6000", step: "any", value: channel?.per_minute || "", placeholder: t("what the service allows") });
  const resolved = el("input", { type: "checkbox", checked: channel?.send_resolved ?? true });
  const picture = el("input", { type: "checkbox", checked: channel?.picture ?? true });
  const outcome = el("p", { className: "outcome-line", role: "status", hidden: true });

  const json = () => ({
    ...(url.value.trim() ? { kind: kindOf(url.value.trim()) } : {}), ...(url.value.trim() ? { url: url.value.trim() } : {}), least_level: Number(level.value), language: language.value || null,
    per_minute: Number(rate.value) || 0, send_resolved: resolved.checked, picture: picture.checked,
  });
  const test = el("button", { type: "button", className: "control", on: { click: async () => {
    if (!url.value.trim() && !channel) { url.reportValidity(); return; }
    const path = url.value.trim() ? "/api/channels/test" : `/api/channels/${encodeURIComponent(channel.name)}/test`;
    await trySending(test, outcome, path, url.value.trim() ? json() : {});
  } } }, t("Send test"));

  return openForm({
    title: channel ? t("Change the channel {name}", { name: channel.name }) : t("Add a channel"),
    wide: true, confirm: t("Save"), extra: test,
    content: [
      field(t("Channel name"), name),
      channel ? null : field(t("Service"), service),
      el("div", { className: "field" }, el("label", { htmlFor: "channel-url" }, t("Address (URL)")), el("div", { className: "secret" }, url, reveal), hint),
      el("div", { className: "two-fields" }, field(t("From level"), level, t("Without a routing file; a routing file decides for itself.")), field(t("Language"), language)),
      el("div", { className: "two-fields" }, field(t("At most so many a minute"), rate), el("div", { className: "checks" }, el("label", {}, resolved, t("Also say when it is over")), el("label", {}, picture, t("With a picture of the last hour, where the service takes one")))),
      outcome,
    ].filter(Boolean),
    run: async () => {
      await call(channel ? `/api/channels/${encodeURIComponent(channel.name)}` : "/api/channels", { method: channel ? "PUT" : "POST", json: channel ? json() : { name: name.value.trim(), ...json() } });
      toast(t("The channel is saved."));
      saved();
    },
  });
}

/** Send a test notice and say what the service answered, in its own words, and how long it took. */
export async function trySending(button, outcome, path, json = {}) {
  button.disabled = true;
  show(outcome, true);
  outcome.dataset.state = "busy";
  text(outcome, t("Sending …"));
  try {
    const { ok, answer, seconds: took } = await call(path, { method: "POST", json });
    outcome.dataset.state = ok ? "ok" : "critical";
    text(outcome, ok ? t("Delivered in {time}. The service answered: {answer}", { time: seconds(Math.max(took, 0.01)), answer: sayReason(answer) || t("(nothing)") }) : t("Not delivered after {time}: {answer}", { time: seconds(Math.max(took, 0.01)), answer: sayReason(answer) }));
  } catch (error) {
    outcome.dataset.state = "critical";
    text(outcome, [error.message, error.suggestion].filter(Boolean).join(" "));
  } finally {
    button.disabled = false;
  }
}
