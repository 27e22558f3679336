// The dialog that makes or changes a silence, and says before it is saved what it would hide.

import { call } from "../api.js";
import { openForm, toast } from "../dialog.js";
import { el, icon } from "../dom.js";
import { sayDayClock, sayFull } from "../format.js";
import { language, t } from "../i18n.js";
import { Matchers, exactly } from "../matchers.js";

const HOUR = 3600_000;
const PRESETS = [
  ["1h", () => t("1 hour"), (from) => from + HOUR],
  ["4h", () => t("4 hours"), (from) => from + 4 * HOUR],
  ["morning", () => t("Until tomorrow 9:00"), (from) => new Date(from).setHours(33, 0, 0, 0)],
];

/** The value of a datetime-local field for a moment, in the reader's own zone. */
export const localInput = (ms) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);

export function silenceAlert(alert, summary) {
  // The alert's own name is a label of it at Alertmanager, but not always of ours.
  return openSilence({ title: t("Silence: {summary}", { summary }), matchers: exactly({ alertname: alert.rule, ...alert.labels }) });
}

/** `silence`: one of Alertmanager's API to change; without it a new one is made from `matchers`. */
export function openSilence({ title = t("New silence"), silence = null, matchers = silence?.matchers ?? [], saved = () => {} } = {}) {
  const begins = silence ? Date.parse(silence.startsAt) : Date.now();
  let until = silence ? Date.parse(silence.endsAt) : begins + HOUR;
  const hides = el("div", { className: "hides", role: "status" });
  let timer = 0;
  let asked = 0;

  const list = new Matchers(matchers, () => later(0));
  const custom = el("input", { type: "datetime-local", value: localInput(until), "aria-label": t("Ends"), required: true, on: { input: () => take(Date.parse(custom.value), "custom") } });
  const buttons = PRESETS.map(([key, label, end]) => el("button", { type: "button", data: { preset: key }, "aria-pressed": String(!silence && key === "1h"), on: { click: () => take(end(Date.now()), key) } }, label()));
  const segments = el("div", { className: "segments", role: "group", "aria-label": t("For how long") }, ...buttons);
  const comment = el("input", { autofocus: true, name: "comment", maxLength: 500, required: true, value: silence?.comment ?? "", placeholder: t("e.g. driver update on host 3"), autocomplete: "off" });
  const later = (wait = 350) => { clearTimeout(timer); timer = setTimeout(look, wait); };

  function take(end, key) {
    if (Number.isNaN(end)) return;
    until = end;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.preset === key));
    if (key !== "custom") custom.value = localInput(end);
    custom.setCustomValidity(end > Date.now() ? "" : t("The end must be in the future."));
    later();
  }

  async function look() {
    if (!list.list.length) {
      hides.replaceChildren(el("p", { className: "mute" }, t("Add a matcher to say what is to be silenced.")));
      return;
    }
    const mine = (asked += 1);
    hides.setAttribute("aria-busy", "true");
    try {
      const found = await call("/api/silences/preview", { method: "POST", json: { matchers: list.list, startsAt: new Date(begins).toISOString(), endsAt: new Date(until).toISOString() } });
      if (mine === asked) paintHides(hides, found);
    } catch (error) {
      if (mine === asked) hides.replaceChildren(el("p", { className: "problem" }, t("What this would hide could not be found out: {reason}", { reason: error.message })));
    } finally {
      hides.removeAttribute("aria-busy");
    }
  }

  later(0);
  return openForm({
    title: silence ? t("Change the silence") : title,
    wide: true,
    confirm: silence ? t("Save") : t("Silence"),
    content: [
      list.root,
      el("div", { className: "field" }, el("span", {}, t("Until")), el("div", { className: "row-of" }, segments, custom)),
      el("label", { className: "field" }, t("Why"), comment),
      hides,
    ],
    run: async () => {
      if (!list.finish()) throw new Error(t('Write it as name="value".'));
      if (!list.list.length) throw new Error(t("Add a matcher to say what is to be silenced."));
      const json = { ...(silence ? { id: silence.id } : {}), matchers: list.list, startsAt: new Date(silence ? begins : Date.now()).toISOString(), endsAt: new Date(until).toISOString(), createdBy: silence?.createdBy ?? "", comment: comment.value.trim() };
      await call("/api/v2/silences", { method: "POST", json });
      toast(t("Silenced until {time}.", { time: sayDayClock(until) }));
      saved();
      document.dispatchEvent(new CustomEvent("silenceschange"));
    },
  });
}

function paintHides(node, { alerts, recent, total }) {
  const now = alerts.length === 0 ? t("It hides no alert that is active now.")
    : alerts.length === 1 ? t("It hides one alert that is active now:") : t("It hides {count} alerts that are active now:", { count: alerts.length });
  const parts = [el("p", {}, icon("bell-slash"), el("b", {}, now))];
  if (alerts.length) parts.push(el("ul", {}, ...alerts.slice(0, 6).map((alert) => el("li", {}, nameOf(alert))), ...(alerts.length > 6 ? [el("li", { className: "mute" }, t("and {count} more", { count: alerts.length - 6 }))] : [])));
  const days = recent.length ? t("In the last 7 days it would have hidden {count}: {rules}", { count: total, rules: recent.slice(0, 6).map(({ rule, count }) => `${rule} ×${count}`).join(", ") + (recent.length > 6 ? " …" : "") })
    : t("In the last 7 days it would have hidden nothing.");
  parts.push(el("p", { className: "mute" }, days));
  node.replaceChildren(...parts);
}

function nameOf({ annotations = {}, labels = {}, rule, summary }) {
  return annotations[`summary_${language}`] || annotations.summary || summary || rule || labels.alertname || "";
}

export const sayEnd = (iso) => sayDayClock(Date.parse(iso));
export const fullEnd = (iso) => sayFull(Date.parse(iso));
